"""Rotator, dome, cover, switch and sky-quality meter on a real indiserver, and what an address may say of them."""

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
from tests.contract.bench import IndiBench

from astrod_drivers.errors import AddressInvalid, CommandRefused, DeviceMissing, PermitRefused, Unreachable
from astrod_drivers.indi.server import IndiServer, missing
from astrod_drivers.remote import RemoteCover, RemoteRoof, RemoteRotator, RemoteSwitch, RemoteWeather
from astrod_drivers.session import Session, open_session

pytestmark = pytest.mark.indi
GADGETS = Path(__file__).with_name("gadgets.py")
DRIVERS = ["indi_simulator_rotator", "indi_simulator_dome", "indi_simulator_lightpanel", "indi_simulator_sqm"]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[IndiServer]:
    if why := missing():
        pytest.skip(why)
    server = IndiServer()
    server.start([*DRIVERS, str(GADGETS)], tmp_path_factory.mktemp("kinds"))
    yield server
    server.stop()


@pytest.fixture
async def kinds(server: IndiServer, tmp_path: Path) -> AsyncIterator[IndiBench]:
    bench = IndiBench(tmp_path, server)
    yield bench
    await bench.close()


async def started(bench: IndiBench, device: str, kind: str) -> Session:
    session = open_session(bench.server.address(device), kind, spool=bench.spool, gate_path=bench.gate.path)
    bench.sessions[f"{device} {len(bench.sessions)}"] = session
    await session.start(20.0)
    return session


async def test_rotator_turns_and_stops(kinds: IndiBench) -> None:
    rotator = (await started(kinds, "Rotator Simulator", "rotator")).device_as(RemoteRotator)
    await rotator.move(10.0)
    state = await kinds.until(rotator.read, lambda state: not state.moving)
    assert state.angle_deg == pytest.approx(10.0, abs=0.2)
    await rotator.move(370.0 + 60.0)
    await rotator.abort()
    assert (await kinds.until(rotator.read, lambda state: not state.moving)).angle_deg < 70.0


async def test_dome_turns_to_an_azimuth_and_its_shutter_stays(kinds: IndiBench) -> None:
    dome = (await started(kinds, "Dome Simulator", "roof")).device_as(RemoteRoof)
    before = await dome.read()
    await dome.turn(20.0)
    state = await kinds.until(dome.read, lambda state: abs((state.azimuth_deg or 0.0) - 20.0) < 1.0)
    assert state.aperture == before.aperture


async def test_light_panel_shines_and_has_no_lid(kinds: IndiBench) -> None:
    panel = (await started(kinds, "Light Panel Simulator", "cover")).device_as(RemoteCover)
    await panel.light(120)
    assert (await panel.read()).brightness == 120
    with pytest.raises(CommandRefused, match="255"):
        await panel.light(256)
    await panel.light(0)
    assert (await panel.read()).brightness == 0
    with pytest.raises(CommandRefused, match="no lid"):
        await panel.close()


async def test_cover_opens_with_leave_and_closes_without(kinds: IndiBench) -> None:
    cover = (await started(kinds, "Lid", "cover")).device_as(RemoteCover)
    await cover.open(kinds.permit)
    assert (await cover.read()).aperture == "opening"
    await kinds.until(cover.read, lambda state: state.aperture == "open", 5.0)
    kinds.gate.become_unsafe()
    await cover.close()
    await kinds.until(cover.read, lambda state: state.aperture == "closed", 5.0)
    with pytest.raises(PermitRefused):
        await cover.open(kinds.permit)
    assert (await cover.read()).aperture == "closed"


async def test_outlets_go_by_their_labels_and_leave_the_others_alone(kinds: IndiBench) -> None:
    box = (await started(kinds, "Power Box", "switch")).device_as(RemoteSwitch)
    state = await box.read()
    assert set(state.on) == {"Camera", "Mount", "Dew main", "Dew guide"}
    assert state.level == {"Dew main": 0.0, "Dew guide": 20.0}
    await box.set("Camera", True)
    assert (await box.read()).on["Mount"]
    await box.set("Mount", False)
    state = await box.read()
    assert (state.on["Camera"], state.on["Mount"]) == (True, False)
    await box.dim("Dew main", 40.0)
    assert (await box.read()).level["Dew main"] == pytest.approx(40.0, abs=0.5)
    with pytest.raises(CommandRefused, match="cannot be dimmed"):
        await box.dim("Camera", 10.0)
    with pytest.raises(CommandRefused, match="it has Camera, Mount"):
        await box.set("Kettle", True)
    await box.set("Mount", True)
    await box.set("Camera", False)


async def test_an_address_names_any_property_as_outlets(kinds: IndiBench) -> None:
    box = (await started(kinds, "Power Box?outlets=AUTO_DEW", "switch")).device_as(RemoteSwitch)
    await box.set("AUTO_DEW", True)
    assert (await box.read()).on["AUTO_DEW"]
    await box.set("AUTO_DEW", False)
    assert not (await box.read()).on["AUTO_DEW"]
    with pytest.raises(DeviceMissing, match="it has POWER_CONTROL"):
        await started(kinds, "Power Box?outlets=NO_SUCH&levels=NONE", "switch")


async def test_sky_quality_is_weather(kinds: IndiBench) -> None:
    meter = (await started(kinds, "SQM Simulator", "weather")).device_as(RemoteWeather)
    reading = await meter.read()
    assert 10.0 < reading.values["sky_brightness_mag"] < 25.0
    assert reading.measured_us <= kinds.clock.now_us()  # 0 until its driver has measured: once a minute


async def test_serial_number_tells_hardware_apart(kinds: IndiBench) -> None:
    await started(kinds, "Power Box?serial=PB-0042", "switch")
    with pytest.raises(DeviceMissing, match="'PB-0007': it says PB-0042"):
        await started(kinds, "Power Box?serial=PB-0007", "switch")


async def test_port_is_set_before_the_driver_connects(kinds: IndiBench, tmp_path: Path) -> None:
    port = tmp_path / "by-id"
    with pytest.raises(Unreachable, match="nothing is plugged in"):
        await started(kinds, f"Rotator Simulator?port={port}", "rotator")
    port.touch()
    await started(kinds, f"Rotator Simulator?port={port}", "rotator")
    assert f"PORT={port}" in kinds.get("Rotator Simulator.DEVICE_PORT.PORT")


def test_options_that_are_none_are_refused(tmp_path: Path) -> None:
    with pytest.raises(AddressInvalid, match="NAME=VALUE"):
        open_session("indi://h/d?serial", "camera", spool=tmp_path, gate_path=tmp_path / "epoch")
