"""Work off the loop: real workers are killed when late, and simulated ones arrive when modelled."""

import os
import signal
import time

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
