"""Coolers, dew heaters and domes: the tables, and the activities on the simulated clock."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

import pytest
from hypothesis import given
from hypothesis import strategies as st

from astrod.domain.dome import DomeGeometry
from astrod.domain.site import CameraSetup, Heater, Place
from astrod.domain.sphere import sidereal_deg
from astrod.errors import OutcomeUnknown
from astrod.rig.cooling import Cooling, Ramp, step
from astrod.rig.dew import BLIND_PERCENT, Dew, switched, wish
from astrod.rig.doming import Doming, must_turn
from astrod.rig.port import DirectSession, Port
from astrod.runtime.clock import SimClock, VirtualLoop, run_virtual
from astrod_drivers.protocols import CameraState, RoofState, SwitchState
from tests.rig.devices import MIDNIGHT_US, FakeDevice

T = TypeVar("T")
PUJALT = Place(41.7, 1.4, 760.0)


def simulated(body: Callable[[SimClock], Awaitable[T]]) -> T:
    async def main(loop: VirtualLoop) -> T:
        return await body(SimClock(loop, MIDNIGHT_US))

    found: T = run_virtual(main)
    return found


async def port_of(device: Any, kind: str, clock: SimClock) -> Port[Any]:
    port: Port[Any] = Port(kind, kind, f"sim://{kind}", DirectSession(device), clock)
    keeping = asyncio.create_task(port.keep())
    assert await port.found(5.0)
    device.keeping = keeping
    return port


# -- the cooler ----------------------------------------------------------------------------------------------


class FakeCooler(FakeDevice):
    """Follows its setpoint at once, down to `reach_c`; the power says how near it is to that."""

    def __init__(self, clock: SimClock, reach_c: float = -40.0) -> None:
        super().__init__(clock, [])
        self.reach_c, self.ambient_c = reach_c, 10.0
        self.target_c: float | None = None
        self.told: list[tuple[float, float | None]] = []

    async def read(self) -> CameraState:
        await self.answer()
        now_c = self.ambient_c if self.target_c is None else max(self.target_c, self.reach_c)
        power = 100.0 * (self.ambient_c - now_c) / (self.ambient_c - self.reach_c)
        return CameraState(False, 0.0, now_c, self.target_c is not None, power)

    async def cool(self, target_c: float | None) -> None:
        await self.answer()
        self.told.append((self.clock.monotonic_s(), target_c))
        self.target_c = target_c


def steepest_c_min(told: list[tuple[float, float | None]], start_c: float) -> float:
    """The fastest change of setpoint over any minute."""
    points = [(at_s, c) for at_s, c in told if c is not None]
    last = start_c
    steps = []
    for at_s, c in points:
        steps.append((at_s, abs(c - last)))
        last = c
    return max(sum(by for at_s, by in steps if from_s <= at_s < from_s + 60.0) for from_s, _ in steps)


def test_a_ramp_is_never_faster_than_asked_and_ends_cold_and_then_warm() -> None:
    async def body(clock: SimClock) -> None:
        camera = FakeCooler(clock)
        setup = CameraSetup("sim://camera", cool_to_c=-10.0, ramp_c_min=3.0)
        cooling = Cooling(await port_of(camera, "camera", clock), setup, clock)
        began_s = clock.monotonic_s()
        await cooling.cool(-10.0)
        assert cooling.state == "holding"
        assert camera.target_c == -10.0
        assert clock.monotonic_s() - began_s == pytest.approx(400.0, abs=60.0)
        assert steepest_c_min(camera.told, 10.0) <= 3.01
        camera.told.clear()
        await cooling.warm()
        assert cooling.state == "off"
        assert camera.target_c is None
        assert steepest_c_min(camera.told, -10.0) <= 3.01
        camera.keeping.cancel()  # type: ignore[attr-defined]

    simulated(body)


def test_a_cooler_at_its_power_limit_stops_where_it_can_hold() -> None:
    async def body(clock: SimClock) -> None:
        camera = FakeCooler(clock, reach_c=-6.0)
        setup = CameraSetup("sim://camera", cool_to_c=-10.0, ramp_c_min=6.0, cooler_power_max_percent=80.0)
        cooling = Cooling(await port_of(camera, "camera", clock), setup, clock)
        await cooling.cool(-10.0)
        assert cooling.state == "limited"
        assert camera.target_c is not None
        assert camera.target_c > -6.0
        camera.keeping.cancel()  # type: ignore[attr-defined]

    simulated(body)


def test_a_camera_that_is_lost_goes_on_with_its_ramp() -> None:
    async def body(clock: SimClock) -> None:
        camera = FakeCooler(clock)
        cooling = Cooling(
            await port_of(camera, "camera", clock), CameraSetup("x", cool_to_c=-10.0, ramp_c_min=5.0), clock
        )
        ramp = asyncio.create_task(cooling.cool(-10.0))
        await clock.sleep(60.0)
        camera.gone = True
        await clock.sleep(60.0)
        camera.gone = False
        await ramp
        assert camera.target_c == -10.0
        camera.keeping.cancel()  # type: ignore[attr-defined]

    simulated(body)


@given(st.floats(-60, 40), st.floats(-60, 40), st.floats(0, 100), st.floats(-50, 30), st.floats(0.1, 10))
def test_a_step_never_passes_its_target(
    setpoint_c: float, sensor_c: float, power: float, target_c: float, by_c: float
) -> None:
    after = step(Ramp("ramping", setpoint_c, target_c), CameraState(False, 0.0, sensor_c, True, power), by_c, 90.0)
    assert after.setpoint_c >= target_c
    up = step(Ramp("warming", setpoint_c, target_c), CameraState(False, 0.0, sensor_c, True, power), by_c, 90.0)
    assert up.setpoint_c <= max(setpoint_c, target_c)


# -- dew heaters ---------------------------------------------------------------------------------------------


class FakePower(FakeDevice):
    """One outlet that can be dimmed and one that cannot."""

    def __init__(self, clock: SimClock) -> None:
        super().__init__(clock, [])
        self.on = {"relay": False, "strip": False}
        self.level = {"strip": 0.0}

    async def read(self) -> SwitchState:
        await self.answer()
        return SwitchState(dict(self.on), dict(self.level))

    async def set(self, name: str, on: bool) -> None:
        self.events.append(f"{name} {on}")
        self.on[name] = on

    async def dim(self, name: str, percent: float) -> None:
        self.level[name] = percent


def test_heat_grows_as_the_margin_shrinks_and_the_day_is_cold() -> None:
    async def body(clock: SimClock) -> None:
        power = FakePower(clock)
        weather: dict[str, float] = {"temperature_c": 10.0, "dew_point_c": 0.0}
        awake = True
        port = await port_of(power, "switch", clock)
        heaters = {Heater("s", name): port for name in ("relay", "strip")}
        dew = Dew(heaters, lambda: weather, lambda: awake, clock)
        tending = asyncio.create_task(dew.run())
        await clock.sleep(61.0)
        assert (power.level["strip"], power.on["relay"]) == (0.0, False)
        weather["dew_point_c"] = 9.0
        await clock.sleep(61.0)
        assert power.level["strip"] == pytest.approx(83.3, abs=0.1)
        assert power.on["relay"]
        weather.clear()
        await clock.sleep(61.0)
        assert power.level["strip"] == BLIND_PERCENT
        awake = False
        await clock.sleep(61.0)
        assert (power.level["strip"], power.on["relay"]) == (0.0, False)
        assert power.events == ["relay True", "relay False"]
        tending.cancel()
        power.keeping.cancel()  # type: ignore[attr-defined]

    simulated(body)


@given(st.floats(-40, 40), st.floats(0, 30), st.floats(0, 30), st.floats(0.5, 10))
def test_a_damper_night_is_never_heated_less(air_c: float, dry_by: float, drier_by: float, margin_c: float) -> None:
    damp = wish(True, air_c, air_c - dry_by, margin_c).percent
    dry = wish(True, air_c, air_c - dry_by - drier_by, margin_c).percent
    assert 0.0 <= dry <= damp <= 100.0
    assert switched(True, damp) or not switched(False, damp)  # hysteresis is never the wrong way round


# -- the dome ------------------------------------------------------------------------------------------------


class FakeDome(FakeDevice):
    """Turns at two degrees a second, or not at all when `stuck`."""

    def __init__(self, clock: SimClock) -> None:
        super().__init__(clock, [])
        self.stuck = False
        self.turns: list[float] = []
        self._from_deg, self._to_deg, self._began_s = 0.0, 0.0, 0.0

    def azimuth_deg(self) -> float:
        way = (self._to_deg - self._from_deg + 180.0) % 360.0 - 180.0
        gone = min(abs(way), 2.0 * (self.clock.monotonic_s() - self._began_s))
        return (self._from_deg + (gone if way > 0 else -gone)) % 360.0

    async def read(self) -> RoofState:
        await self.answer()
        return RoofState("open", self.azimuth_deg())

    async def turn(self, azimuth_deg: float) -> None:
        self.turns.append(azimuth_deg)
        if not self.stuck:
            self._from_deg, self._to_deg, self._began_s = self.azimuth_deg(), azimuth_deg, self.clock.monotonic_s()


def test_the_slit_is_there_before_anything_else_happens_and_small_ways_are_not_gone() -> None:
    async def body(clock: SimClock) -> None:
        dome = FakeDome(clock)
        doming = Doming(await port_of(dome, "roof", clock), PUJALT, 5.0, lambda: True, clock)
        await doming.face(120.0, 30.0)
        _, wanted_deg = doming.slit_deg(120.0, 30.0, None)
        assert not must_turn(dome.azimuth_deg(), wanted_deg, 40.0, 5.0)
        turns = len(dome.turns)
        await doming.face(120.5, 30.0)
        assert len(dome.turns) == turns
        dome.stuck = True
        with pytest.raises(OutcomeUnknown, match="turn to"):
            await doming.face(240.0, -10.0)
        assert doming.state == "lost"
        dome.keeping.cancel()  # type: ignore[attr-defined]

    simulated(body)


def test_near_the_zenith_and_across_north() -> None:
    assert not must_turn(10.0, 190.0, 89.0, 5.0)
    assert must_turn(None, 10.0, 40.0, 5.0)
    assert not must_turn(358.0, 2.0, 40.0, 5.0)
    assert must_turn(350.0, 2.0, 40.0, 5.0)


def test_the_slit_of_a_german_mount_changes_with_the_side_of_the_pier() -> None:
    async def body(clock: SimClock) -> None:
        dome = FakeDome(clock)
        geometry = DomeGeometry(1.5, tube_offset_m=0.35)
        doming = Doming(await port_of(dome, "roof", clock), PUJALT, 5.0, lambda: True, clock, geometry)
        ra_deg = sidereal_deg(clock.now_us(), PUJALT.longitude_deg) + 1.0  # just east of the meridian
        await doming.face(ra_deg, 20.0, "west")
        before = dome.azimuth_deg()
        await doming.face(ra_deg, 20.0, "east")
        after = dome.azimuth_deg()
        assert before > 185.0 and after < 170.0  # looking south, the tube west and then east of the pier
        assert doming.slit_deg(ra_deg, 20.0, None) == doming.slit_deg(ra_deg, 20.0, "west")
        dome.keeping.cancel()  # type: ignore[attr-defined]

    simulated(body)
