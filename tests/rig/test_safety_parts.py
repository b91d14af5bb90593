"""The parts of safety one by one: what each asks of its device, in which words and how long, and what it makes of it.

The words end up in findings, in the status and in the report of the morning, where a person acts on them.
"""

import asyncio
import json
import os
import threading
from collections.abc import Awaitable, Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeVar

import pytest

from astrod.domain.safety import Observation, SourceState
from astrod.domain.site import MountSetup, Outlet, PowerSetup, RoofSetup, Site
from astrod.errors import AstrodError, OutcomeUnknown, RecoverDevice
from astrod.rig.port import DirectSession, Port
from astrod.rig.safety.clearance import Clearance, MonitorSensor, QuantitySensor, SwitchSensor
from astrod.rig.safety.closing import CALL_S, SIGHT_S, close_cover, closing_s, park, raise_critical
from astrod.rig.safety.hardware import ROOF, Hardware, hardware_of
from astrod.rig.safety.memory import KeptMemory, Memory, boot_id
from astrod.rig.safety.power import OutletCycle
from astrod.rig.safety.problem import Problem, by_code
from astrod.rig.safety.roof import Relay, RoofPaths, SecondDriver
from astrod.runtime.clock import SimClock, VirtualLoop, WallClock, run_virtual
from astrod_drivers.protocols import Permit
from tests.rig.devices import MIDNIGHT_US, SITE, Hut

T = TypeVar("T")
MOUNT_POWER, ROOF_POWER = Outlet("sim://switch", "mount"), Outlet("sim://switch", "roof")


class Heard(Port[Any]):
    """A port that writes down what it was asked for, and within which time."""

    def __init__(self, name: str, kind: str, address: str, device: Any, clock: SimClock) -> None:
        super().__init__(name, kind, address, DirectSession(device), clock)
        self.asked: list[tuple[str, float]] = []

    async def call(self, what: str, action: Callable[[Any], Awaitable[T]], deadline_s: float = 10.0) -> T:
        self.asked.append((what, deadline_s))
        return await super().call(what, action, deadline_s)

    @property
    def words(self) -> list[str]:
        """What it was asked for, each time."""
        return [what for what, _ in self.asked]


class Bench:
    """The hut's devices, their clock, and a port to any of them that is kept connected."""

    def __init__(self, loop: VirtualLoop) -> None:
        self.clock = SimClock(loop, MIDNIGHT_US)
        self.hut = Hut(self.clock)
        self._keeping: list[asyncio.Task[None]] = []

    async def port(self, address: str, name: str = "it") -> Heard:
        """A port whose device has answered."""
        port = Heard(name, "any", address, self.hut.devices[address], self.clock)
        self._keeping.append(asyncio.create_task(port.keep()))
        assert await port.found(5.0)
        return port

    async def end(self) -> None:
        for task in self._keeping:
            task.cancel()
        if self._keeping:
            await asyncio.wait(self._keeping)


def on_bench(story: Callable[[Bench], Awaitable[None]]) -> None:
    """Play a story on the simulated clock, with no loop of safety."""

    async def play(loop: VirtualLoop) -> None:
        bench = Bench(loop)
        try:
            await story(bench)
        finally:
            await bench.end()

    run_virtual(play)


# -- park sensors --------------------------------------------------------------------------------------------


def test_an_input_that_is_not_there_or_off_is_not_parked() -> None:
    async def story(bench: Bench) -> None:
        port = await bench.port("sim://switch")
        assert await SwitchSensor(port, "park").parked() is False
        bench.hut.switch.on["park"] = True
        assert await SwitchSensor(port, "park").parked() is True
        assert await SwitchSensor(port, "another").parked() is False
        assert set(port.words) == {"read the park sensor"}

    on_bench(story)


@pytest.mark.parametrize(("measured", "parked"), [({}, False), ({"park": 0.5}, False), ({"park": 0.6}, True)])
def test_a_quantity_over_a_half_is_parked_unless_somebody_overrides_the_station(
    measured: dict[str, float], parked: bool
) -> None:
    async def story(bench: Bench) -> None:
        port = await bench.port("sim://weather")
        bench.hut.weather.more = measured
        assert await QuantitySensor(port, "park").parked() is parked
        bench.hut.weather.overridden = True
        assert await QuantitySensor(port, "park").parked() is False
        assert set(port.words) == {"read the park sensor"}

    on_bench(story)


def test_a_monitor_that_says_safe_is_parked() -> None:
    async def story(bench: Bench) -> None:
        port = await bench.port("sim://park")
        for safe in (True, False):
            bench.hut.park_sensor.safe = safe
            assert await MonitorSensor(port).parked() is safe
        assert set(port.words) == {"read the park sensor"}

    on_bench(story)


# -- the interlock -------------------------------------------------------------------------------------------

PARK_PLACE = (0.0, 40.0)


class Sky:
    """Answers where a tube points, and counts how often it was asked."""

    def __init__(self) -> None:
        self.asked = 0
        self.seen: tuple[float, float] | None = None
        self.meanwhile: Callable[[], None] = lambda: None

    async def where_is_it(self, rig: str) -> tuple[float, float] | None:
        self.asked += 1
        self.meanwhile()
        return self.seen


def locked(interlock: Any, park_place: tuple[float, float] | None = PARK_PLACE) -> Site:
    """The hut's site with such an interlock."""
    rig = SITE.rigs[0]
    mount = replace(rig.mount, park_place=park_place)
    return replace(SITE, rigs=(replace(rig, mount=mount),), roof=RoofSetup("sim://roof", interlock=interlock))


def test_a_tube_is_clear_once_the_sky_showed_it_at_its_place_and_until_it_may_have_left() -> None:
    async def story(bench: Bench) -> None:
        port, sky, mount = await bench.port("sim://mount"), Sky(), bench.hut.mount
        clearance = Clearance(locked("solve"), {"main": port}, {}, sky.where_is_it)
        assert clearance.asks_the_sky
        assert clearance.doubt("main") == "is not known to be clear"
        assert not await clearance.is_clear("main")
        assert clearance.doubt("main") == "says that it is parked, and no plate solution says where it points"
        sky.seen = (90.0, 45.4)
        assert not await clearance.is_clear("main")
        assert clearance.doubt("main") == (
            "says that it is parked, and the sky shows it at azimuth 90°, altitude 45°, not at its park place, 0°, 40°"
        )
        sky.seen = (0.0, 44.9)
        assert await clearance.is_clear("main") and await clearance.is_clear("main")
        assert sky.asked == 3 and clearance.doubt("main") == "is not known to be clear"
        clearance.look_anew()
        assert await clearance.is_clear("main") and sky.asked == 4
        mount.shove()
        assert await clearance.parked("main") is False and not await clearance.is_clear("main")
        await mount.park()
        await bench.clock.sleep(11.0)
        assert await clearance.is_clear("main") and sky.asked == 5

    on_bench(story)


@pytest.mark.parametrize(("altitude_deg", "clear"), [(44.99, True), (45.01, False), (35.01, True), (34.99, False)])
def test_how_far_from_its_place_the_sky_may_show_a_tube(altitude_deg: float, clear: bool) -> None:
    async def story(bench: Bench) -> None:
        sky = Sky()
        sky.seen = (0.0, altitude_deg)
        port = await bench.port("sim://mount")
        assert await Clearance(locked("solve"), {"main": port}, {}, sky.where_is_it).is_clear("main") is clear

    on_bench(story)


def test_nobody_who_can_look_or_no_place_to_be_at_clears_nothing_but_a_closed_roof_needs_no_look() -> None:
    async def story(bench: Bench) -> None:
        port, sky = await bench.port("sim://mount"), Sky()
        sky.seen = PARK_PLACE
        blind = Clearance(locked("solve"), {"main": port}, {})
        placeless = Clearance(locked("solve", None), {"main": port}, {}, sky.where_is_it)
        for clearance in (blind, placeless):
            assert not await clearance.is_clear("main")
            assert await clearance.is_clear("main", under_roof=True)
        bench.hut.mount.shove()
        assert not await blind.is_clear("main", under_roof=True)
        assert sky.asked == 0

    on_bench(story)


def test_a_mount_that_leaves_while_the_sky_is_asked_is_not_clear() -> None:
    async def story(bench: Bench) -> None:
        port, sky = await bench.port("sim://mount"), Sky()
        sky.seen, sky.meanwhile = PARK_PLACE, bench.hut.mount.shove
        clearance = Clearance(locked("solve"), {"main": port}, {}, sky.where_is_it)
        assert not await clearance.is_clear("main")
        sky.meanwhile = lambda: None
        await bench.hut.mount.park()
        await bench.clock.sleep(11.0)
        assert await clearance.is_clear("main") and sky.asked == 2

    on_bench(story)


def test_a_sensor_is_believed_and_a_mount_that_moves_against_it_too() -> None:
    async def story(bench: Bench) -> None:
        mount, sensor = await bench.port("sim://mount"), await bench.port("sim://park")
        clearance = Clearance(locked("sensor"), {"main": mount}, {"main": MonitorSensor(sensor)})
        assert not clearance.asks_the_sky
        assert await clearance.parked("main") is True and await clearance.is_clear("main")
        bench.hut.mount.tracking = True
        assert await clearance.parked("main") is True and not await clearance.is_clear("main")
        bench.hut.mount.tracking = False
        bench.hut.mount.shove()
        assert await clearance.is_clear("main")  # the sensor's word counts, not the mount's
        bench.hut.park_sensor.safe = False
        assert await clearance.parked("main") is False and not await clearance.is_clear("main")
        bench.hut.park_sensor.safe, bench.hut.mount.gone = True, True
        assert await clearance.is_clear("main")
        bench.hut.park_sensor.gone = True
        assert await clearance.parked("main") is None and not await clearance.is_clear("main")
        none = Clearance(locked("sensor"), {"main": mount}, {})
        assert await none.parked("main") is None and not await none.is_clear("main")

    on_bench(story)


def test_by_its_own_flag_a_mount_that_does_not_answer_is_not_clear_and_where_nothing_is_needed_all_is() -> None:
    async def story(bench: Bench) -> None:
        port = await bench.port("sim://mount")
        flag = Clearance(locked("mount"), {"main": port}, {})
        free = Clearance(locked("none"), {"main": port}, {})
        assert await flag.parked("main") is True and await flag.is_clear("main") and await free.is_clear("main")
        bench.hut.mount.shove()
        assert await flag.parked("main") is False and not await flag.is_clear("main") and await free.is_clear("main")
        bench.hut.mount.gone = True
        assert await flag.parked("main") is None and not await flag.is_clear("main") and await free.is_clear("main")
        assert set(port.words) == {"read the mount"}
        roofless = Clearance(replace(SITE, roof=None), {"main": port}, {})
        assert not await roofless.is_clear("main")

    on_bench(story)


# -- mounts and covers ---------------------------------------------------------------------------------------


def test_a_mount_is_stopped_before_it_is_parked_and_one_that_is_parked_is_left_alone() -> None:
    async def story(bench: Bench) -> None:
        port = await bench.port("sim://mount")
        await park(bench.clock, port, 60.0)
        assert port.words == ["read the mount"] and bench.hut.events == []
        bench.hut.mount.shove()
        began_s = bench.clock.monotonic_s()
        await park(bench.clock, port, 60.0)
        assert 10.0 <= bench.clock.monotonic_s() - began_s <= 10.25
        assert bench.hut.events == ["stop", "park"]
        assert port.words[1:4] == ["read the mount", "stop the mount", "park"]
        assert set(port.words[4:]) == {"read the mount"}

    on_bench(story)


def test_a_mount_that_does_not_park_in_its_time_says_what_it_reads() -> None:
    async def story(bench: Bench) -> None:
        port = await bench.port("sim://mount", "main mount")
        bench.hut.mount.shove()
        bench.hut.mount.stuck = True
        began_s = bench.clock.monotonic_s()
        with pytest.raises(OutcomeUnknown, match=r"^main mount: park: not done within 30 s; it reads MountState\("):
            await park(bench.clock, port, 30.0)
        assert 30.0 <= bench.clock.monotonic_s() - began_s <= 30.5

    on_bench(story)


def test_a_mount_that_does_not_say_within_a_second_whether_it_is_parked_is_parked() -> None:
    async def story(bench: Bench) -> None:
        port = await bench.port("sim://mount", "main mount")
        bench.hut.mount.hangs = True
        began_s = bench.clock.monotonic_s()
        with pytest.raises(OutcomeUnknown, match=r"^main mount: stop the mount: no answer within 10 s"):
            await park(bench.clock, port, 30.0)
        assert bench.clock.monotonic_s() - began_s == pytest.approx(11.0, abs=0.1)

    on_bench(story)


def test_a_cover_is_told_and_read_until_it_is_closed() -> None:
    async def story(bench: Bench) -> None:
        port = await bench.port("sim://cover", "main cover")
        await close_cover(bench.clock, port)
        assert port.words == ["close the cover", "read the cover"]
        assert bench.hut.events == ["close cover"]
        bench.hut.cover.aperture, bench.hut.cover.jammed = "open", True
        began_s = bench.clock.monotonic_s()
        with pytest.raises(OutcomeUnknown, match=r"^main cover: close the cover: not done within 60 s; it reads Cover"):
            await close_cover(bench.clock, port)
        assert 60.0 <= bench.clock.monotonic_s() - began_s <= 60.5

    on_bench(story)


# -- the roof's paths ----------------------------------------------------------------------------------------


def test_the_second_paths_ask_in_the_roofs_words() -> None:
    async def story(bench: Bench) -> None:
        switch, roof = await bench.port("sim://switch", "relays"), await bench.port("sim://roof2", "second")
        relay, driver = Relay(switch, "relay"), SecondDriver(roof)
        assert (relay.name, driver.name) == ("relays relay", "second")
        assert await relay.aperture() is None
        assert await driver.aperture() == "closed"
        await relay.close()
        await driver.close()
        assert switch.words == ["switch relay on"]
        assert roof.words == ["read the roof", "close the roof"]
        assert bench.hut.events == ["relay on", "close", "second path", "close"]

    on_bench(story)


async def opened(bench: Bench, roof: RoofPaths) -> None:
    """The roof, opened for good."""
    await roof.open(Permit(bench.hut.gate.become_safe()))
    await bench.clock.sleep(30.0)
    assert await roof.aperture() == "open" == await roof.seen()
    bench.hut.events.clear()


def test_a_roof_is_told_within_its_time_and_read_until_it_is_closed() -> None:
    async def story(bench: Bench) -> None:
        port = await bench.port("sim://roof", "roof")
        roof = RoofPaths(bench.clock, RoofSetup("sim://roof", close_s=60.0), port)
        assert roof.name == "roof"
        assert await roof.seen() == "closed" and await roof.close() == ()
        assert port.words == ["read the roof"] * 2
        await opened(bench, roof)
        assert ("open the roof", 10.0) in port.asked
        began_s = bench.clock.monotonic_s()
        assert await roof.close() == ()
        assert 20.0 <= bench.clock.monotonic_s() - began_s <= 20.25
        assert ("close the roof", 5.0) in port.asked
        assert bench.hut.events == ["close"]

    on_bench(story)


def test_a_roof_that_jams_says_what_it_reads_and_what_was_tried() -> None:
    async def story(bench: Bench) -> None:
        first, second = await bench.port("sim://roof", "roof"), await bench.port("sim://roof2", "second")
        setup = RoofSetup("sim://roof", close_s=60.0)
        alone = RoofPaths(bench.clock, setup, first)
        await opened(bench, alone)
        bench.hut.roof.jammed = True
        began_s = bench.clock.monotonic_s()
        why = "roof: close the roof: not done within 60 s; it reads open"
        assert await alone.close() == (Problem("AST-110", why),)
        assert 60.0 <= bench.clock.monotonic_s() - began_s <= 60.5
        again = "second: close the roof: not done within 60 s; it reads open"
        both = RoofPaths(bench.clock, setup, first, SecondDriver(second))
        assert await both.close() == (Problem("AST-110", f"{why}; nor by its second path, second: {again}"),)
        bench.hut.roof.jammed, bench.hut.roof.deaf = False, True
        assert await both.close() == (Problem("AST-114", f"closed by second, since {why}"),)

    on_bench(story)


class Plug:
    """A power cycle that is what the test makes of it."""

    def __init__(self) -> None:
        self.cycled = 0
        self.works: bool | AstrodError = True

    async def cycle(self) -> bool:
        self.cycled += 1
        if isinstance(self.works, AstrodError):
            raise self.works
        return self.works


def test_a_drive_that_jams_has_its_power_cycled_once_and_the_report_says_how_that_went() -> None:
    async def story(bench: Bench) -> None:
        port, plug = await bench.port("sim://roof", "roof"), Plug()
        roof = RoofPaths(bench.clock, RoofSetup("sim://roof", close_s=60.0), port, power=plug)
        await opened(bench, roof)
        bench.hut.roof.jammed = True
        why = "roof: close the roof: not done within 60 s; it reads open"
        assert await roof.close() == (Problem("AST-110", f"{why}; its power was cycled"),)
        plug.works = False
        assert await roof.close() == (Problem("AST-110", why),)
        plug.works = RecoverDevice("switch", "welded")
        told = f"{why}; its power cannot be cycled: switch: welded"
        assert await roof.close() == (Problem("AST-110", told),)
        assert plug.cycled == 3
        bench.hut.roof.jammed = False
        bench.hut.roof.travel_s = 100.0
        (slow,) = await roof.close()
        assert slow.text == "roof: close the roof: not done within 60 s; it reads closing" and plug.cycled == 3

    on_bench(story)


@pytest.mark.parametrize(("lies", "cycled"), [("opening", 0), ("closing", 0), ("open", 1), ("unknown", 1)])
def test_the_power_of_a_roof_that_either_driver_sees_moving_is_left_alone(lies: Any, cycled: int) -> None:
    async def story(bench: Bench) -> None:
        first, second, plug = await bench.port("sim://roof"), await bench.port("sim://roof2"), Plug()
        setup = RoofSetup("sim://roof", close_s=60.0)
        roof = RoofPaths(bench.clock, setup, first, SecondDriver(second), plug)
        await opened(bench, roof)
        bench.hut.roof.jammed, bench.hut.second_roof.lies = True, lies
        (found,) = await roof.close()
        assert found.code == "AST-110" and plug.cycled == cycled

    on_bench(story)


def test_a_roof_whose_only_driver_is_lost_while_it_closes_is_given_up_at_once() -> None:
    async def story(bench: Bench) -> None:
        port = await bench.port("sim://roof", "roof")
        roof = RoofPaths(bench.clock, RoofSetup("sim://roof", close_s=60.0), port)
        await opened(bench, roof)
        closing = asyncio.create_task(roof.close())
        await bench.clock.sleep(5.0)
        bench.hut.roof.gone = True
        began_s = bench.clock.monotonic_s()
        assert await closing == (Problem("AST-110", "roof: lost while it closes: it is gone"),)
        assert bench.clock.monotonic_s() - began_s <= 1.0

    on_bench(story)


def test_a_roof_that_does_not_say_within_a_second_is_not_known_to_be_closed() -> None:
    async def story(bench: Bench) -> None:
        port = await bench.port("sim://roof", "roof")
        roof = RoofPaths(bench.clock, RoofSetup("sim://roof"), port)
        bench.hut.roof.hangs = True
        began_s = bench.clock.monotonic_s()
        assert await roof.seen() == "unknown"
        assert bench.clock.monotonic_s() - began_s == pytest.approx(1.0, abs=0.1)

    on_bench(story)


# -- power ---------------------------------------------------------------------------------------------------


def test_an_outlet_is_off_for_its_time_read_back_both_ways_and_not_cycled_again_too_soon() -> None:
    async def story(bench: Bench) -> None:
        port = await bench.port("sim://switch", "plugs")
        await bench.clock.sleep(1000.0)
        cycle = OutletCycle(port, MOUNT_POWER, PowerSetup(off_s=7.0, start_s=9.0, again_s=100.0), bench.clock)
        began_s = bench.clock.monotonic_s()
        cycling = asyncio.create_task(cycle.cycle())
        await bench.clock.sleep(6.9)
        assert bench.hut.switch.on["mount"] is False
        await bench.clock.sleep(0.2)
        assert bench.hut.switch.on["mount"] is True
        assert await cycling is True
        assert bench.clock.monotonic_s() - began_s == pytest.approx(16.0, abs=0.1)
        asked = [what for what in port.words if what != "read"]  # which is whether it is still there
        assert asked == ["switch mount off", "read the switch", "switch mount on", "read the switch"]
        assert bench.hut.events == ["mount off", "mount on"]
        await bench.clock.sleep(100.0 - 16.2)
        assert await cycle.cycle() is False
        assert bench.hut.events == ["mount off", "mount on"]
        await bench.clock.sleep(0.2)
        assert await cycle.cycle() is True

    on_bench(story)


def test_an_outlet_that_is_welded_or_that_there_is_not_is_said_and_switched_on_again() -> None:
    async def story(bench: Bench) -> None:
        port = await bench.port("sim://switch", "plugs")
        bench.hut.switch.welded = True
        cycle = OutletCycle(port, MOUNT_POWER, PowerSetup(), bench.clock)
        began_s = bench.clock.monotonic_s()
        with pytest.raises(OutcomeUnknown, match=r"^plugs: switch mount off: not done within 10 s"):
            await cycle.cycle()
        assert 10.0 <= bench.clock.monotonic_s() - began_s <= 10.6
        assert bench.hut.events == ["mount off", "mount on"]
        other = OutletCycle(port, Outlet("sim://switch", "kettle"), PowerSetup(), bench.clock)
        bench.hut.switch.on = {"mount": True, "roof": True}
        with pytest.raises(RecoverDevice, match=r"^plugs: has no outlet 'kettle'; it has mount, roof$"):
            await other.cycle()
        bench.hut.switch.on = {}
        with pytest.raises(RecoverDevice, match=r"has no outlet 'lamp'; it has none$"):
            await OutletCycle(port, Outlet("sim://switch", "lamp"), PowerSetup(), bench.clock).cycle()

    on_bench(story)


# -- what safety holds ---------------------------------------------------------------------------------------


def furnished(**changes: Any) -> Site:
    """A site with one of everything that safety can hold."""
    rig = SITE.rigs[0]
    trains = (
        replace(rig.trains[0], cover="sim://cover"),
        replace(rig.trains[0], name="wide", cover=None),
        replace(rig.trains[0], name="guide", cover="sim://cover2"),
    )
    mount = MountSetup("sim://mount", park_sensor="sim://switch#park", park_sensor_kind="switch", power=MOUNT_POWER)
    bare = replace(rig, name="bare", mount=MountSetup("sim://mount2"), trains=(replace(rig.trains[0], name="main"),))
    roof = RoofSetup("sim://roof", interlock="sensor", second_path="sim://roof2", power=ROOF_POWER)
    return replace(SITE, rigs=(replace(rig, mount=mount, trains=trains), bare), roof=replace(roof, **changes))


def held(site: Site, sources: bool = True) -> tuple[Hardware, list[tuple[str, str, str]]]:
    """What safety holds of a site, and all that was opened for it."""
    opened: list[tuple[str, str, str]] = []
    clock = WallClock()

    def open_port(name: str, kind: str, address: str) -> Port[Any]:
        opened.append((name, kind, address))
        return Port(name, kind, address, DirectSession(None), clock)  # type: ignore[type-var]

    return hardware_of(site, clock, open_port, sources=sources), opened


def test_each_device_is_opened_once_by_its_kind_and_under_its_own_name() -> None:
    hardware, opened = held(furnished())
    assert opened == [
        ("main mount", "mount", "sim://mount"),
        ("bare mount", "mount", "sim://mount2"),
        ("main main cover", "cover", "sim://cover"),
        ("main guide cover", "cover", "sim://cover2"),
        ("switch of mount", "switch", "sim://switch"),
        ("roof, second path", "roof", "sim://roof2"),
        ("roof", "roof", "sim://roof"),
        ("station", "weather", "sim://weather"),
    ]
    assert [port.name for port in hardware.ports] == [name for name, _, _ in opened]
    assert {name: port.address for name, port in hardware.mounts.items()} == {
        "main": "sim://mount",
        "bare": "sim://mount2",
    }
    assert {name: port.address for name, port in hardware.covers.items()} == {
        "main main": "sim://cover",
        "main guide": "sim://cover2",
    }
    assert set(hardware.power) == {"main", ROOF} == {"main", "roof"}
    assert hardware.roof is not None and hardware.roof.name == "roof"
    assert {name: port.address for name, port in hardware.sources.items()} == {"station": "sim://weather"}
    assert [port.name for port in hardware.movers()] == [name for name, _, _ in opened if name != "station"]


def test_without_sources_there_is_what_moves() -> None:
    hardware, opened = held(furnished(), sources=False)
    assert hardware.sources == {} and "weather" not in [kind for _, kind, _ in opened]
    assert [port.name for port in hardware.movers()] == [name for name, _, _ in opened]


@pytest.mark.parametrize(
    ("written", "kind", "opened"),
    [
        ("sim://park", "safety_monitor", ("main park sensor", "safety_monitor", "sim://park")),
        ("sim://panel#park", "switch", ("main park sensor", "switch", "sim://panel")),
        ("sim://mast#park", "weather", ("main park sensor", "weather", "sim://mast")),
    ],
)
def test_a_park_sensor_is_opened_by_its_kind(written: str, kind: Any, opened: tuple[str, str, str]) -> None:
    site = furnished()
    mount = replace(site.rigs[0].mount, park_sensor=written, park_sensor_kind=kind)
    sensed = replace(site, rigs=(replace(site.rigs[0], mount=mount), site.rigs[1]))
    assert opened in held(sensed)[1]
    by_flag = replace(sensed, roof=replace(sensed.roof or RoofSetup(""), interlock="mount"))
    assert opened not in held(by_flag)[1]


def test_a_relay_is_an_outlet_of_a_switch_and_a_site_without_a_roof_has_none() -> None:
    hardware, opened = held(furnished(second_path="sim://relays#shut"))
    assert ("switch of shut", "switch", "sim://relays") in opened
    assert ("roof, second path", "roof", "sim://roof2") not in opened
    assert held(furnished(second_path=None))[1][-2:] == [
        ("roof", "roof", "sim://roof"),
        ("station", "weather", "sim://weather"),
    ]
    hardware, opened = held(replace(furnished(), roof=None))
    assert hardware.roof is None and set(hardware.power) == {"main"}
    assert "roof" not in [kind for _, kind, _ in opened]


# -- how long it takes ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("mount", "roof", "takes_s"),
    [
        ({}, None, 100.0 + 20.0 + 10.0),
        ({"power": MOUNT_POWER}, None, 2 * (100.0 + 20.0) + (3.0 + 4.0 + 40.0) + 10.0),
        ({}, {}, 120.0 + (50.0 + 20.0) + 10.0),
        ({}, {"second_path": "sim://roof2"}, 120.0 + 2 * 70.0 + 10.0),
        ({}, {"power": ROOF_POWER}, 120.0 + 2 * 70.0 + 47.0 + 10.0),
        ({}, {"interlock": "solve"}, 120.0 + SIGHT_S + 70.0 + 10.0),
    ],
)
def test_the_time_that_a_site_takes_has_room_for_everything_it_has(
    mount: dict[str, Any], roof: dict[str, Any] | None, takes_s: float
) -> None:
    rig = SITE.rigs[0]
    slow = replace(rig, mount=replace(rig.mount, park_s=100.0, **mount))
    quick = replace(rig, name="quick", mount=replace(rig.mount, park_s=1.0))
    cover = None if roof is None else RoofSetup("sim://roof", **{"close_s": 50.0, **roof})
    site = replace(SITE, rigs=(quick, slow), roof=cover, power=PowerSetup(off_s=3.0, start_s=4.0))
    assert CALL_S == 10.0 and closing_s(site) == takes_s


# -- problems ------------------------------------------------------------------------------------------------


def test_problems_are_told_by_their_codes_and_only_grave_ones_are_raised() -> None:
    problems = (Problem("AST-120", "one"), Problem("AST-113", "a cover"), Problem("AST-120", "two"))
    assert by_code(problems) == {"AST-120": "one; two", "AST-113": "a cover"}
    assert [problem.critical for problem in problems] == [True, False, True]
    raise_critical(problems[1:2])
    with pytest.raises(RecoverDevice, match=r"^safety: AST-110 jammed; AST-120 one; two$") as raised:
        raise_critical((Problem("AST-110", "jammed"), *problems))
    assert raised.value.device == "safety"


# -- memory --------------------------------------------------------------------------------------------------

FULL = SourceState(
    trusted=True,
    bad_polls=3,
    good_since_us=5,
    last=Observation(7, 8, {"wind_m_s": 2.0}, ("rain", "hail"), True),
    changed_us=9,
    reasons=("one", "two"),
)


def test_all_that_is_known_of_a_source_survives(tmp_path: Path) -> None:
    kept = {"mast": FULL, "new": SourceState()}
    for memory in (Memory(tmp_path / "safety.json"), KeptMemory()):
        assert memory.load() == {}
        memory.save(kept)
        assert memory.settle(10.0)
        assert memory.load() == kept
    assert Memory(tmp_path / "safety.json").load() == kept
    assert sorted(path.name for path in tmp_path.iterdir()) == ["safety.json"]


def test_what_was_kept_is_not_what_changes_later() -> None:
    memory, sources = KeptMemory(), {"mast": FULL}
    memory.save(sources)
    sources.clear()
    assert memory.load() == {"mast": FULL}
    memory.load().clear()
    assert memory.load() == {"mast": FULL}


@pytest.mark.parametrize(
    "spoil",
    [
        lambda kept: {**kept, "boot": "another"},
        lambda kept: {"sources": kept["sources"]},
        lambda kept: {"boot": kept["boot"]},
        lambda kept: [],
        lambda kept: {**kept, "sources": {"mast": {**kept["sources"]["mast"], "reasons": "no list"}}},
        lambda kept: {**kept, "sources": {"mast": {**kept["sources"]["mast"], "more": 1}}},
        lambda kept: {**kept, "sources": {"mast": {"trusted": True}}},
    ],
    ids=["another boot", "no boot", "no sources", "a list", "reasons", "another key", "too little"],
)
def test_what_is_of_another_boot_or_nonsense_is_left_aside(tmp_path: Path, spoil: Callable[[Any], Any]) -> None:
    path = tmp_path / "safety.json"
    memory = Memory(path)
    memory.save({"mast": FULL})
    assert memory.settle(10.0)
    path.write_text(json.dumps(spoil(json.loads(path.read_text()))))
    assert memory.load() == {}
    path.write_text("{")
    assert memory.load() == {}


def test_a_memory_that_still_writes_keeps_no_process_alive(tmp_path: Path) -> None:
    memory = Memory(tmp_path / "memory.json")
    memory.save({})
    writers = [thread for thread in threading.enumerate() if thread.name == "safety's memory"]
    assert writers and all(writer.daemon for writer in writers)
    assert memory.settle(5.0)


def test_a_memory_without_a_file_remembers_nothing_and_the_boot_has_a_name() -> None:
    memory = Memory(None)
    memory.save({"mast": FULL})
    assert memory.settle(0.0) and memory.load() == {}
    assert len(boot_id()) == 36 and boot_id() == boot_id().strip()


def test_a_memory_that_cannot_be_read_says_what_is_wrong_with_it(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "safety.json"
    path.write_text(json.dumps({"boot": boot_id(), "sources": {"mast": {"last": None, "reasons": "x"}}}))
    assert Memory(path).load() == {}
    assert "cannot be read and is left aside: reasons are no list" in caplog.text
    path.unlink()
    caplog.clear()
    assert Memory(path).load() == {} and caplog.text == ""


def test_a_disk_is_slow_when_a_second_word_waits_and_that_is_said_once(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "safety.json"
    memory = Memory(path)
    os.mkfifo(path.with_suffix(".new"))  # opening it to write hangs until somebody reads
    told = []
    for _ in range(6):
        memory.save({"mast": FULL})
        memory.settle(0.05)
        told.append(caplog.text.count("the disk is slow or hangs"))
    assert told == [0, 0, 1, 1, 1, 1]
    reader = os.open(path.with_suffix(".new"), os.O_RDONLY)
    assert memory.settle(10.0)
    os.close(reader)
    path.unlink()  # the pipe, which took the draft's place
    memory.save({"mast": FULL})
    assert memory.settle(10.0)
    assert caplog.text.count("the disk is slow or hangs") == 1


def test_on_a_host_that_does_not_name_its_boot_nothing_is_remembered(tmp_path: Path) -> None:
    assert boot_id(tmp_path / "none") == ""
    memory = Memory(tmp_path / "safety.json", tmp_path / "none")
    memory.save({"mast": FULL})
    assert memory.settle(10.0) and memory.load() == {}
