"""The observatory as a process: several clients, real time, and no more than its share of the machine."""

import asyncio
import json
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import psutil  # type: ignore[import-untyped,unused-ignore]
import pytest
from sim_bench import SMALL

from astrod_drivers.errors import CommandRefused, DeadlineMissed, Unreachable
from astrod_drivers.permit import EpochPage
from astrod_drivers.sim import serve
from astrod_drivers.sim.faults import Fault
from astrod_drivers.sim.setup import ObservatorySetup, RoofSetup
from astrod_drivers.wire import Connection, decode

FULL = replace(ObservatorySetup(), roof=RoofSetup(travel_s=0.5))


async def connected(path: Path, process: subprocess.Popen[bytes]) -> Connection:
    for _ in range(200):
        try:
            return await Connection.open_path(path)
        except Unreachable:
            await asyncio.sleep(0.05)
    raise AssertionError(f"no observatory at {path}; exit {process.poll()}")


@pytest.fixture
async def started(tmp_path: Path) -> AsyncIterator[Callable[..., subprocess.Popen[bytes]]]:
    processes: list[subprocess.Popen[bytes]] = []

    def start(setup: ObservatorySetup) -> subprocess.Popen[bytes]:
        (tmp_path / "setup.json").write_text(setup.to_json())
        process = subprocess.Popen(command(tmp_path), stderr=subprocess.PIPE)
        processes.append(process)
        return process

    yield start
    for process in processes:
        process.kill()
        process.communicate()


def command(folder: Path) -> list[str]:
    parts = {"--socket": "s", "--setup": "setup.json", "--spool": "spool", "--gate": "gate"}
    given = [text for option, name in parts.items() for text in (option, str(folder / name))]
    return [sys.executable, "-m", "astrod_drivers.sim.serve", *given]


async def test_it_outlives_its_clients_and_ends_on_sigterm(
    started: Callable[..., subprocess.Popen[bytes]], tmp_path: Path
) -> None:
    process = started(FULL)
    first, second = await connected(tmp_path / "s", process), await connected(tmp_path / "s", process)
    epoch = EpochPage(tmp_path / "gate").become_safe()
    permit = {"epoch": epoch}
    await first.call("roof", "open", {"permit": permit}, 5.0)
    await asyncio.sleep(0.6)
    assert (await second.call("roof", "read", {}, 5.0))["aperture"] == "open"
    shot: dict[str, Any] = {"exposure_id": "one", "exposure_s": 0.5}
    await first.call("camera", "expose", {"shot": shot, "permit": permit}, 5.0)
    await first.close()
    frame = await second.call("camera", "fetch", {"exposure_id": "one"}, 30.0)
    assert np.load(frame["path"]).shape == (1096, 1936)
    await second.close()
    assert process.poll() is None
    process.send_signal(signal.SIGTERM)
    assert process.wait(10) == 0
    assert not (tmp_path / "s").exists()


@pytest.mark.slow
async def test_at_rest_it_is_light(started: Callable[..., subprocess.Popen[bytes]], tmp_path: Path) -> None:
    process = started(FULL)
    connection = await connected(tmp_path / "s", process)
    permit = {"epoch": EpochPage(tmp_path / "gate").become_safe()}
    await connection.call("roof", "open", {"permit": permit}, 5.0)
    for name in ("one", "two"):
        shot = {"exposure_id": name, "exposure_s": 0.2}
        await connection.call("camera", "expose", {"shot": shot, "permit": permit}, 5.0)
        await connection.call("camera", "fetch", {"exposure_id": name}, 30.0)
    watched = psutil.Process(process.pid)
    before = sum(watched.cpu_times()[:2])
    for _ in range(10):
        for name in FULL.names():
            await connection.call(name, "read", {}, 5.0)
        await asyncio.sleep(1.0)
    cpu_percent = (sum(watched.cpu_times()[:2]) - before) / 10.0 * 100.0
    pss_mb = watched.memory_full_info().pss / 1e6
    print(f"at rest: {pss_mb:.0f} MB PSS, {cpu_percent:.2f} % CPU")
    assert pss_mb < 80.0
    assert cpu_percent < 2.0  # 1 % is the aim; a loaded machine's accounting is coarse
    await connection.close()


def test_bad_starts_say_why(tmp_path: Path) -> None:
    (tmp_path / "setup.json").write_text(json.dumps({"seeed": 3}))
    done = subprocess.run(command(tmp_path), capture_output=True, timeout=60, check=False)
    assert done.returncode == serve.EXIT_SETUP
    assert b"seeed" in done.stderr


async def test_a_taken_socket_is_refused(started: Callable[..., subprocess.Popen[bytes]], tmp_path: Path) -> None:
    connection = await connected(tmp_path / "s", started(SMALL))
    done = await asyncio.to_thread(subprocess.run, command(tmp_path), capture_output=True, timeout=60, check=False)
    assert done.returncode == serve.EXIT_TAKEN
    assert b"already" in done.stderr
    await connection.close()


async def test_it_ends_when_nobody_comes(tmp_path: Path) -> None:
    served = serve.serve(SMALL, tmp_path / "s", tmp_path, tmp_path / "gate", offset_s=0.0, idle_s=0.2)
    await asyncio.wait_for(served, 20)
    assert (tmp_path / "gate").exists()


async def test_faults_come_with_the_setup_and_at_run_time(
    started: Callable[..., subprocess.Popen[bytes]], tmp_path: Path
) -> None:
    slow = Fault("slow", "mount", at="start", amount=0.3, lasts_s=600.0)
    process = started(replace(FULL, faults=(slow,)))
    connection = await connected(tmp_path / "s", process)
    with pytest.raises(DeadlineMissed):
        await connection.call("mount", "read", {}, 0.2)
    assert (await connection.call("mount", "read", {}, 2.0))["parked"]
    for fault in (Fault("hang", "roof", at="start"), Fault("crash", "camera", when="exposing")):
        await connection.call("faults", "inject", {"fault": fault}, 2.0)
    with pytest.raises(DeadlineMissed):
        await connection.call("roof", "read", {}, 0.3)
    permit = {"epoch": EpochPage(tmp_path / "gate").become_safe()}
    shot: dict[str, Any] = {"exposure_id": "one", "exposure_s": 5.0}
    await connection.call("camera", "expose", {"shot": shot, "permit": permit}, 5.0)
    with pytest.raises(Unreachable):
        await connection.call("camera", "fetch", {"exposure_id": "one"}, 3.0)
    with pytest.raises(Unreachable, match="session"):
        await connection.call("camera", "connect", {}, 3.0)
    again = await Connection.open_path(tmp_path / "s")  # a session that was started again
    for device in ("roof", "camera"):
        await again.call(device, "connect", {}, 2.0)
        await again.call(device, "read", {}, 2.0)
    fired = decode(tuple[serve.Fired, ...], await again.call("faults", "fired", {}, 2.0))
    assert [(f.fault.kind, f.ended_us is None) for f in fired] == [("slow", True), ("hang", False), ("crash", False)]
    assert await again.call("faults", "clear", {"device": ""}, 2.0) == 1
    with pytest.raises(CommandRefused, match="'camera'"):
        await again.call("faults", "inject", {"fault": Fault("hang", "camra", at="start")}, 2.0)
    with pytest.raises(CommandRefused, match="no fault 'hand'"):
        await again.call("faults", "inject", {"fault": {"kind": "hand", "device": "camera", "at": "start"}}, 2.0)
    await connection.close()
    await again.close()


@pytest.mark.parametrize(
    ("keys", "says"),
    [
        ('kind = "hang"\ndevice = "camera"\nat = "start"\nfor = 3', "unknown key 'for'"),
        ('kind = "hang"\ndevice = "camera"\nat = "dusk"', "dusk is not known here"),
        ('kind = "disk_full"\nat = "start"', "only astrod night"),
    ],
)
def test_a_wrong_file_of_faults_is_refused(tmp_path: Path, keys: str, says: str) -> None:
    (tmp_path / "setup.json").write_text(FULL.to_json())
    (tmp_path / "faults.toml").write_text(f"[[fault]]\n{keys}\n")
    given = [*command(tmp_path), "--faults", str(tmp_path / "faults.toml")]
    ran = subprocess.run(given, capture_output=True, text=True, timeout=30, check=False)
    assert ran.returncode == serve.EXIT_SETUP
    assert says in ran.stderr
