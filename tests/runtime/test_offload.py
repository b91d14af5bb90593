"""Work off the loop: real workers are killed when late, and simulated ones arrive when modelled."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from astrod.errors import InputInvalid
from astrod.runtime.clock import SimClock, VirtualLoop, run_virtual
from astrod.runtime.offload import Cost, VirtualOffload, WallOffload, WorkerLost

COST = Cost(modelled_s=2.0, deadline_s=20.0)


def double(value: int) -> int:
    return 2 * value


def nap(seconds: float) -> None:
    time.sleep(seconds)


def refuse() -> None:
    raise InputInvalid("no such file; give another")


def die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


async def test_a_worker_answers_and_its_errors_come_back() -> None:
    offload = WallOffload()
    try:
        assert await offload.run("pixels", COST, double, 21) == 42
        with pytest.raises(InputInvalid, match="give another"):
            await offload.run("pixels", COST, refuse)
        assert await offload.run("archive", COST, double, 4) == 8
    finally:
        offload.close()


async def test_a_late_or_dead_worker_is_replaced() -> None:
    offload = WallOffload()
    try:
        with pytest.raises(WorkerLost, match="killed"):
            await offload.run("pixels", Cost(1.0, deadline_s=0.5), nap, 60.0)
        with pytest.raises(WorkerLost, match="died"):
            await offload.run("pixels", COST, die)
        assert await offload.run("pixels", COST, double, 1) == 2
    finally:
        offload.close()


def test_simulated_results_arrive_after_a_modelled_time_that_the_seed_decides() -> None:
    def arrivals(seed: int) -> list[float]:
        async def main(loop: VirtualLoop) -> list[float]:
            offload = VirtualOffload(SimClock(loop, 0), seed, processes=("pixels",))
            times = []
            try:
                for lane in ("pixels", "archive", "pixels"):
                    assert await offload.run(lane, COST, double, 5) == 10
                    times.append(loop.time())
            finally:
                offload.close()
            return times

        result = run_virtual(main)
        assert isinstance(result, list)
        return result

    assert arrivals(1) == arrivals(1) != arrivals(2)
    assert 3 * 2.0 * 0.8 <= arrivals(1)[-1] <= 3 * 2.0 * 1.3


ORPHANED = """
from tests.runtime.test_offload import COST, tell_and_nap
from astrod.runtime.clock import SimClock, run_virtual
from astrod.runtime.offload import VirtualOffload

async def main(loop):
    await VirtualOffload(SimClock(loop, 0), 1, processes=("frames",)).run("frames", COST, tell_and_nap)

if __name__ == "__main__":
    run_virtual(main)
"""


def tell_and_nap() -> None:
    print(os.getpid(), flush=True)
    time.sleep(60.0)


def is_there(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    return True


def test_a_worker_of_a_played_night_ends_with_it_however_that_ends(tmp_path: Path) -> None:
    script = tmp_path / "orphaned.py"
    script.write_text(ORPHANED)
    here = {**os.environ, "PYTHONPATH": os.pathsep.join([str(Path.cwd()), os.environ.get("PYTHONPATH", "")])}
    with subprocess.Popen([sys.executable, str(script)], stdout=subprocess.PIPE, text=True, env=here) as night:
        assert night.stdout is not None
        worker = int(night.stdout.readline())
        assert is_there(worker)
        night.kill()
        night.wait(10.0)
        deadline_s = time.monotonic() + 10.0
        while is_there(worker) and time.monotonic() < deadline_s:
            time.sleep(0.05)
        assert not is_there(worker)
