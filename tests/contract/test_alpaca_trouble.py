"""What goes wrong with Alpaca servers and networks, and what the daemon hears of it."""

import asyncio
import os
import signal
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from tests.contract.alpaca_bench import AlpacaBench, free_port, running
from tests.contract.conftest import TOGETHER, simulators_command
from tests.contract.test_contract import exposed
from tests.contract.test_indi_trouble import PSS_LIMIT_KB, pss_kb

from astrod_drivers.errors import (
    AddressInvalid,
    BadAnswer,
    CommandRefused,
    DeadlineMissed,
    DeviceMissing,
    DriverError,
    Unreachable,
)
from astrod_drivers.protocols import Shot
from astrod_drivers.remote import RemoteCamera, RemoteMount, RemoteRoof, RemoteWeather
from astrod_drivers.session import open_session


@pytest.mark.parametrize(
    ("kind", "error"),
    [
        ("html", BadAnswer),
        ("error500", Unreachable),
        ("cut", BadAnswer),
        ("wrong_size", BadAnswer),
        ("nan", BadAnswer),
        ("huge", BadAnswer),
        ("text", BadAnswer),
        ("no_value", BadAnswer),
        ("bad_error", BadAnswer),
        ("driver_error", Unreachable),
        ("disconnected", Unreachable),
        ("other_answer", BadAnswer),
        ("drip", DeadlineMissed),
        ("hang", DeadlineMissed),
    ],
)
async def test_each_misbehaviour_is_an_error_of_ours(
    alpaca_bench: AlpacaBench, kind: str, error: type[DriverError]
) -> None:
    mount = await alpaca_bench.device("mount", RemoteMount)
    alpaca_bench.misbehave({"kind": kind, "path": "/rightascension", "times": 1})
    before_s = time.monotonic()
    with pytest.raises(error):
        await mount.read()
    assert time.monotonic() - before_s < 3.5
    assert not (await mount.read()).slewing  # the same process and connection go on


@pytest.mark.parametrize("kind", ["html", "error500", "cut", "wrong_size", "nan", "other_answer"])
async def test_a_bad_image_is_no_frame(alpaca_bench: AlpacaBench, kind: str) -> None:
    camera = await alpaca_bench.device("camera", RemoteCamera)
    await exposed(alpaca_bench, camera, f"bad-{kind}", 0.1)
    alpaca_bench.misbehave({"kind": kind, "path": "/imagearray", "times": 1})
    with pytest.raises((BadAnswer, Unreachable)):
        await camera.fetch(f"bad-{kind}")
    assert not list(alpaca_bench.spool.iterdir())  # nothing half-written is left behind
    assert (await camera.fetch(f"bad-{kind}")).path.exists()  # and the image can be asked for again


async def test_abort_overtakes_a_call_that_hangs(alpaca_bench: AlpacaBench) -> None:
    mount = await alpaca_bench.device("mount", RemoteMount)
    alpaca_bench.misbehave({"kind": "hang", "path": "/rightascension"})
    reading = asyncio.create_task(mount.read())
    await asyncio.sleep(0.2)
    before_s = time.monotonic()
    await mount.abort()
    assert time.monotonic() - before_s < 1.0
    with pytest.raises(DeadlineMissed):
        await reading


async def test_closing_the_roof_needs_no_answer_but_its_own(alpaca_bench: AlpacaBench) -> None:
    roof = await alpaca_bench.device("roof", RemoteRoof)
    await roof.open(alpaca_bench.permit)
    alpaca_bench.misbehave({"kind": "hang", "path": "/shutterstatus"}, {"kind": "hang", "path": "/connected"})
    await roof.close()
    alpaca_bench.misbehave()
    await alpaca_bench.until(roof.read, lambda state: state.aperture == "closed")


async def test_a_server_that_dies_is_unreachable_and_found_again(tmp_path: Path) -> None:
    port = free_port()
    command = [sys.executable, "-m", "tests.contract.alpaca_server", str(port), str(tmp_path)]
    bench = AlpacaBench(tmp_path, port)
    with running(command, port):
        weather = await bench.device("weather", RemoteWeather)
        await weather.read()
    with pytest.raises(Unreachable):
        await weather.read()
    with running(command, port):
        with pytest.raises(Unreachable, match="not connected"):
            await weather.read()
        await weather.connect()
        assert (await weather.read()).values
    await bench.close()


async def test_a_device_that_is_not_there_is_missing_and_the_others_are_named(alpaca_bench: AlpacaBench) -> None:
    session = alpaca_bench.session_at("telescope/7", "mount")
    with pytest.raises(DeviceMissing, match=r"There are: telescope/0, camera/0"):
        await session.start()


async def test_nobody_at_the_port(alpaca_bench: AlpacaBench) -> None:
    address = f"alpaca://127.0.0.1:{free_port()}/telescope/0"
    session = open_session(address, "mount", spool=alpaca_bench.spool, gate_path=alpaca_bench.gate.path)
    with pytest.raises(Unreachable, match="no Alpaca server answers"):
        await session.start()
    await session.kill()


def test_the_wrong_type_for_a_kind_names_the_right_one(tmp_path: Path) -> None:
    with pytest.raises(AddressInvalid, match=r"is no mount; write .*/telescope/NUMBER"):
        open_session("alpaca://127.0.0.1/camera/0", "mount", spool=tmp_path, gate_path=tmp_path / "epoch")


def test_a_kind_that_alpaca_lacks_is_refused_before_any_process(tmp_path: Path) -> None:
    with pytest.raises(AddressInvalid, match="no guider through Alpaca"):
        open_session("alpaca://127.0.0.1/camera/0", "guider", spool=tmp_path, gate_path=tmp_path / "epoch")


async def test_children_are_small_also_after_an_exposure(alpaca_bench: AlpacaBench) -> None:
    camera = await alpaca_bench.device("camera", RemoteCamera)
    await exposed(alpaca_bench, camera, "small", 0.1)
    await camera.fetch("small")
    pid = alpaca_bench.sessions["camera"].pid
    assert pid is not None
    assert pss_kb(pid) < PSS_LIMIT_KB


async def test_a_child_that_hangs_beyond_help_is_killed_and_restarted(alpaca_bench: AlpacaBench) -> None:
    mount = await alpaca_bench.device("mount", RemoteMount)
    session = alpaca_bench.sessions["mount"]
    assert session.pid is not None
    os.kill(session.pid, signal.SIGSTOP)
    with pytest.raises(DeadlineMissed):
        await mount.read()
    await session.restart()
    assert (await mount.read()).parked in (True, False)


async def test_weather_that_stopped_measuring_grows_old(alpaca_bench: AlpacaBench) -> None:
    weather = await alpaca_bench.device("weather", RemoteWeather)
    alpaca_bench.misbehave({"kind": "html", "path": "/humidity"})
    reading = await weather.read()
    assert "humidity_percent" not in reading.values
    assert "temperature_c" in reading.values
    alpaca_bench.misbehave({"kind": "nan"})
    with pytest.raises(BadAnswer):
        await weather.read()


# -- alpaca-simulators without a network -----------------------------------------------------------------------


@TOGETHER
async def test_a_camera_that_fails_says_so_and_no_frame_comes(tmp_path: Path) -> None:
    port = free_port()
    with running(simulators_command(port, "--no-stars"), port, env={"PYTHONPATH": str(_drivers())}):
        bench = AlpacaBench(tmp_path, port)
        camera = await bench.device("camera", RemoteCamera)
        await camera.expose(Shot("offline", 0.1), bench.permit)
        with pytest.raises(CommandRefused, match="the camera failed"):
            await camera.fetch("offline")
        await bench.close()


@TOGETHER
async def test_light_frames_of_the_simulators_hold_stars(alpaca_simulators: int, tmp_path: Path) -> None:
    bench = AlpacaBench(tmp_path, alpaca_simulators)
    camera = await bench.device("camera", RemoteCamera)
    await camera.expose(Shot("stars", 2.0), bench.permit)
    pixels = np.load((await camera.fetch("stars")).path)
    assert pixels.shape == (1024, 1024)
    assert pixels.max() > pixels.mean() + 50.0 * np.median(np.abs(pixels - np.median(pixels)))
    await bench.close()


def _drivers() -> Path:
    return Path(__file__).parents[2] / "drivers"
