"""What goes wrong with real INDI servers, drivers and host processes, and what the daemon hears of it."""

import asyncio
import os
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from tests.contract.bench import IndiBench

from astrod_drivers.errors import AddressInvalid, CommandRefused, DeadlineMissed, DeviceMissing, Unreachable
from astrod_drivers.indi.server import SIMULATORS, IndiServer, missing
from astrod_drivers.protocols import CameraState, Shot
from astrod_drivers.remote import RemoteCamera, RemoteRoof, RemoteSafetyMonitor, RemoteWeather, RemoteWheel
from astrod_drivers.session import Session, open_session

pytestmark = pytest.mark.indi
CCD, WHEEL = SIMULATORS["camera"][0], SIMULATORS["wheel"][0]
PSS_LIMIT_KB = 30_000


@pytest.fixture
async def frail(tmp_path: Path) -> AsyncIterator[IndiBench]:
    """A server of its own with camera, wheel and a roll-off roof, which may be broken at will."""
    if why := missing():
        pytest.skip(why)
    server = IndiServer()
    server.start([CCD, WHEEL, "indi_rolloff_dome"], tmp_path / "home")
    bench = IndiBench(tmp_path, server)
    yield bench
    await bench.close()
    server.stop()


async def camera_of(bench: IndiBench) -> RemoteCamera:
    return await bench.device("camera", RemoteCamera)


def session_at(bench: IndiBench, address: str, kind: str) -> Session:
    session = open_session(address, kind, spool=bench.spool, gate_path=bench.gate.path)
    bench.sessions[address] = session
    return session


def alive(pid: int) -> bool:
    """Whether that process is there and no zombie."""
    status = Path(f"/proc/{pid}/stat")
    return status.exists() and ") Z " not in status.read_text()


def pss_kb(pid: int) -> int:
    """Proportional set size."""
    lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("Pss:"))


# -- addresses -----------------------------------------------------------------------------------------------


async def test_no_server_is_unreachable_and_says_where(frail: IndiBench) -> None:
    frail.server.stop()
    with pytest.raises(Unreachable, match=rf"no indiserver answers at 127\.0\.0\.1:{frail.server.port}"):
        await frail.session("wheel").start(10.0)


async def test_wrong_name_is_told_the_right_one(frail: IndiBench) -> None:
    session = session_at(frail, frail.server.address("CCD Simulatr"), "camera")
    with pytest.raises(DeviceMissing, match=r"Did you mean 'CCD Simulator'\? There are: CCD Simulator, Filter"):
        await session.start(10.0)


async def test_wrong_kind_is_told_what_it_lacks(frail: IndiBench) -> None:
    session = session_at(frail, frail.server.address("Filter Simulator"), "camera")
    with pytest.raises(DeviceMissing, match="is no camera: it has no CCD_EXPOSURE"):
        await session.start(15.0)


async def test_kinds_that_indi_does_not_serve_and_sim_without_a_socket_are_refused(tmp_path: Path) -> None:
    for address, kind in (("indi://h/d", "guider"), ("indi://h/d", "kettle"), ("sim://camera", "camera")):
        with pytest.raises(AddressInvalid):
            open_session(address, kind, spool=tmp_path, gate_path=tmp_path / "epoch")


async def test_localhost_with_a_port_is_that_server(frail: IndiBench, indiserver: IndiServer) -> None:
    """The library would take `localhost` for the Unix socket of whichever server came first."""
    for port in (frail.server.port, indiserver.port):
        session = session_at(frail, f"indi://localhost:{port}/Filter Simulator", "wheel")
        await session.start(10.0)
        await session.kill()
    session = session_at(frail, f"indi://localhost:{frail.server.port}/Weather Simulator", "weather")
    with pytest.raises(DeviceMissing):
        await session.start(10.0)


# -- drivers and servers that die ----------------------------------------------------------------------------


async def test_driver_killed_in_mid_exposure(frail: IndiBench) -> None:
    camera = await camera_of(frail)
    await camera.expose(Shot("k1", 10.0), frail.permit)
    fetching = asyncio.create_task(camera.fetch("k1"))
    await asyncio.sleep(0.2)
    frail.server.kill_driver(CCD)
    async with asyncio.timeout(2.0):
        with pytest.raises(Unreachable, match="k1 is lost"):
            await fetching
    with pytest.raises(Unreachable, match="connect again"):
        await camera.read()
    await frail.session("camera").start(20.0)
    with pytest.raises(Unreachable):
        await camera.fetch("k1")
    await camera.expose(Shot("k2", 0.2), frail.permit)
    assert (await camera.fetch("k2")).path.exists()


async def test_camera_that_crashes_by_itself(frail: IndiBench) -> None:
    camera = await camera_of(frail)
    await camera.expose(Shot("x1", 10.0), frail.permit)
    frail.set("CCD Simulator", "CCD_SIMULATE_CRASH.CRASH=On")
    async with asyncio.timeout(5.0):
        with pytest.raises(Unreachable, match="lost"):
            await camera.fetch("x1")


async def test_server_killed_in_mid_exposure_and_back(frail: IndiBench, tmp_path: Path) -> None:
    camera = await camera_of(frail)
    await camera.expose(Shot("s1", 10.0), frail.permit)
    fetching = asyncio.create_task(camera.fetch("s1"))
    await asyncio.sleep(0.2)
    frail.server.kill()
    async with asyncio.timeout(1.0):
        with pytest.raises(Unreachable, match="lost"):
            await fetching
    with pytest.raises(Unreachable, match="connect again"):
        await camera.read()
    with pytest.raises(Unreachable, match="no indiserver"):
        await frail.session("camera").start(10.0)
    frail.server.start([CCD, WHEEL], tmp_path / "home")
    await frail.session("camera").start(20.0)
    await camera.expose(Shot("s2", 0.2), frail.permit)
    assert (await camera.fetch("s2")).path.exists()


async def test_driver_stopped_and_started_by_fifo(frail: IndiBench) -> None:
    wheel = await frail.device("wheel", RemoteWheel)
    frail.server.fifo(f"stop {WHEEL}")
    await asyncio.sleep(0.3)
    with pytest.raises(Unreachable):
        await wheel.read()
    frail.server.fifo(f"start {WHEEL}")
    await frail.session("wheel").start(20.0)
    assert (await wheel.read()).filter == "Red"


# -- drivers that hang ---------------------------------------------------------------------------------------


async def test_hung_driver_is_not_believed(frail: IndiBench) -> None:
    wheel = await frail.device("wheel", RemoteWheel)
    await asyncio.sleep(3.2)
    assert (await wheel.read()).filter == "Red"  # silent, but it answers when asked
    await asyncio.sleep(3.2)
    frail.server.signal_driver(WHEEL, signal.SIGSTOP)
    with pytest.raises(DeadlineMissed, match="any word"):
        await wheel.read()
    frail.server.signal_driver(WHEEL, signal.SIGCONT)
    assert (await wheel.read()).filter == "Red"


async def test_pixels_that_do_not_come_are_missed_by_the_callers_deadline(frail: IndiBench) -> None:
    camera = await camera_of(frail)
    camera.deadlines_s["fetch"] = 1.0
    await camera.expose(Shot("h1", 0.3), frail.permit)
    frail.server.signal_driver(CCD, signal.SIGSTOP)
    with pytest.raises(DeadlineMissed, match="fetch"):
        await camera.fetch("h1")
    assert (await camera.read()).exposing  # as last heard, and it was heard a second ago
    frail.server.signal_driver(CCD, signal.SIGCONT)
    assert (await camera.fetch("h1")).exposure_id == "h1"
    assert not (await camera.read()).exposing


# -- host processes that hang or die -------------------------------------------------------------------------


async def test_hung_child_misses_its_deadline_and_is_killed_at_once(frail: IndiBench) -> None:
    camera = await camera_of(frail)
    camera.deadlines_s["read"] = 0.3
    pid = frail.session("camera").pid
    assert pid is not None
    os.kill(pid, signal.SIGSTOP)
    with pytest.raises(DeadlineMissed, match="read back"):
        await camera.read()
    begun_s = time.monotonic()
    await frail.session("camera").kill()
    assert time.monotonic() - begun_s < 1.0
    assert not alive(pid)
    with pytest.raises(Unreachable, match="not started"):
        await camera.read()
    await frail.session("camera").restart(20.0)
    assert isinstance(await camera.read(), CameraState)


async def test_dead_child_is_unreachable_at_once(frail: IndiBench) -> None:
    camera = await camera_of(frail)
    await camera.expose(Shot("z1", 10.0), frail.permit)
    fetching = asyncio.create_task(camera.fetch("z1"))
    await asyncio.sleep(0.1)
    pid = frail.session("camera").pid
    assert pid is not None
    os.kill(pid, signal.SIGKILL)
    async with asyncio.timeout(1.0):
        with pytest.raises(Unreachable, match="gone"):
            await fetching
    assert not frail.session("camera").alive
    await frail.session("camera").start(20.0)
    assert (await camera.read()).exposing  # the hardware went on without us, and says so
    await camera.abort()
    await frail.until(camera.read, lambda state: not state.exposing, 5.0)


PARENT = """
import asyncio, sys
from pathlib import Path
from astrod_drivers.session import open_session
async def main() -> None:
    spool = Path(sys.argv[2])
    session = open_session(sys.argv[1], "wheel", spool=spool, gate_path=spool / "epoch")
    await session.start(20.0)
    print(session.pid, flush=True)
    await asyncio.sleep(60.0)
asyncio.run(main())
"""


@pytest.mark.parametrize("hung", [False, True])
async def test_child_ends_with_its_parent(frail: IndiBench, hung: bool) -> None:
    command = [sys.executable, "-c", PARENT, frail.server.address("Filter Simulator"), str(frail.spool)]
    parent = await asyncio.create_subprocess_exec(*command, stdout=subprocess.PIPE)
    assert parent.stdout is not None
    pid = int(await parent.stdout.readline())
    if hung:
        os.kill(pid, signal.SIGSTOP)
    parent.kill()
    await parent.wait()
    deadline_s = time.monotonic() + 3.0
    while alive(pid):
        assert time.monotonic() < deadline_s, "the child outlives its parent"
        await asyncio.sleep(0.05)


async def test_child_is_small(frail: IndiBench) -> None:
    camera = await camera_of(frail)
    await camera.expose(Shot("m1", 0.2), frail.permit)
    await camera.fetch("m1")
    pid = frail.session("camera").pid
    assert pid is not None
    assert 5_000 < pss_kb(pid) < PSS_LIMIT_KB


# -- weather and roof ----------------------------------------------------------------------------------------


async def test_override_is_told_and_hides_nothing(indi_bench: IndiBench) -> None:
    weather = await indi_bench.device("weather", RemoteWeather)
    station = "Weather Simulator"
    try:
        indi_bench.set(station, "WEATHER_CONTROL.Wind=36")
        windy = await indi_bench.until(weather.read, lambda r: r.values["wind_m_s"] > 1.0, 12.0)
        assert windy.values["wind_m_s"] == pytest.approx(10.0)  # the driver speaks km/h
        assert windy.zones["wind_m_s"] == "alert"
        assert not windy.overridden
        indi_bench.set(station, "WEATHER_OVERRIDE.OVERRIDE=On")
        calm = await indi_bench.until(weather.read, lambda r: r.overridden, 5.0)
        assert calm.zones["wind_m_s"] == "alert"
        monitor = session_at(indi_bench, indi_bench.server.address(station), "safety_monitor")
        await monitor.start(10.0)
        assert not (await monitor.device_as(RemoteSafetyMonitor).read()).safe
    finally:
        indi_bench.set(station, "WEATHER_OVERRIDE.OVERRIDE=Off")
        indi_bench.set(station, "WEATHER_CONTROL.Wind=0")


async def test_weather_of_a_hung_station_grows_old(indi_bench: IndiBench) -> None:
    weather = await indi_bench.device("weather", RemoteWeather)
    program = SIMULATORS["weather"][0]
    before = await indi_bench.until(weather.read, lambda r: r.measured_us > 0, 10.0)
    indi_bench.server.signal_driver(program, signal.SIGSTOP)
    try:
        assert (await weather.read()).measured_us == before.measured_us
        await asyncio.sleep(3.2)
        with pytest.raises(DeadlineMissed):
            await weather.read()
    finally:
        indi_bench.server.signal_driver(program, signal.SIGCONT)
    await indi_bench.until(weather.read, lambda r: r.measured_us > before.measured_us, 10.0)


async def test_roll_off_roof_without_a_shutter(frail: IndiBench) -> None:
    roof_session = session_at(frail, frail.server.address("RollOff Simulator"), "roof")
    await roof_session.start(10.0)
    roof = roof_session.device_as(RemoteRoof)
    assert (await roof.read()).azimuth_deg is None
    await roof.close()
    assert (await roof.read()).aperture == "closing"
    await roof.abort()
    stopped = await frail.until(roof.read, lambda state: state.aperture != "closing", 5.0)
    assert stopped.aperture == "unknown"
    await roof.open(frail.permit)
    assert (await roof.read()).aperture == "opening"


async def test_binning_that_the_camera_does_not_have_is_refused(frail: IndiBench) -> None:
    camera = await camera_of(frail)
    with pytest.raises(CommandRefused):
        await camera.expose(Shot("q1", 0.2, binning=9), frail.permit)
    assert not (await camera.read()).exposing
