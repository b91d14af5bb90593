"""What must never happen, whatever storms, jams, losses, restarts and openings come in whatever order."""

import asyncio
import contextlib
from collections.abc import Coroutine
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from astrod.domain.instant import SECOND_US
from astrod.domain.site import Interlock, Outlet, RoofSetup, Site, WeatherSetup
from astrod.errors import AstrodError
from astrod.runtime.clock import SimClock, VirtualLoop
from astrod_drivers.errors import DriverError, PermitRefused
from astrod_drivers.protocols import Permit
from tests.rig.devices import MIDNIGHT_US, SITE, Hut, in_hut

ACTS = ("storm", "calm", "open", "close", "unpark", "jam roof", "stick mount", "lose sensor", "hang roof", "free all")
UNSAFE_LIMIT_S = 300.0
"""A sensor's age (60), parking (60) and closing (60) with the waits between, nothing being stuck."""


async def act(hut: Hut, what: str, permits: list[Permit], tasks: set[asyncio.Task[None]]) -> None:
    """Do one thing to the hut. Openings go on by themselves."""

    async def bold(deed: Coroutine[Any, Any, None]) -> None:
        try:
            await deed
        except (AstrodError, DriverError) as fault:
            hut.events.append(f"refused: {type(fault).__name__}")

    report = await hut.loop.report()
    if report.safe:
        permits.append(Permit(report.epoch))
    stale = permits[0] if permits else Permit(0)
    match what:
        case "storm":
            hut.weather.wind_m_s = 25.0
        case "calm":
            hut.weather.wind_m_s = 1.0
        case "open":
            tasks.add(asyncio.create_task(bold(hut.loop.open_roof(permits[-1] if permits else stale))))
        case "close":
            tasks.add(asyncio.create_task(bold(hut.loop.close_site("a whim"))))
        case "unpark":
            if hut.roof.aperture == "open":
                await bold(hut.mount.unpark(permits[-1] if permits else stale))
        case "jam roof":
            hut.roof.jammed = True
        case "stick mount":
            hut.mount.stuck = True
        case "lose sensor":
            hut.weather.gone = True
        case "hang roof":
            hut.roof.hangs = True
        case "free all":
            hut.roof.jammed = hut.roof.hangs = hut.mount.stuck = hut.weather.gone = False
    if permits and not hut.gate.allows(stale):  # an old epoch moves nothing
        with pytest.raises(PermitRefused):
            await hut.mount.unpark(stale)


@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.lists(st.tuples(st.sampled_from(ACTS), st.floats(0.0, 90.0)), max_size=12))
def test_whatever_happens_the_site_ends_closed_and_no_roof_moves_over_a_mount(deeds: list[tuple[str, float]]) -> None:
    async def story(hut: Hut) -> None:
        permits: list[Permit] = []
        tasks: set[asyncio.Task[None]] = set()
        await hut.open()
        for what, wait_s in deeds:
            await act(hut, what, permits, tasks)
            await hut.clock.sleep(wait_s)
        await act(hut, "free all", permits, tasks)
        hut.weather.wind_m_s = 25.0
        await hut.until(lambda _: hut.roof.aperture == "closed" and hut.mount.parked, UNSAFE_LIMIT_S)
        await hut.clock.sleep(300.0)
        assert hut.roof.aperture == "closed"
        assert hut.mount.parked
        for task in tasks:
            task.cancel()

    in_hut(story)


# -- any site, any order -------------------------------------------------------------------------------------

SENSORS = ("weather", "second_weather", "monitor")
DEVICES = ("mount", "roof", "cover", "second_roof", "switch", "park_sensor", *SENSORS)
SOURCES = (
    SITE.weather[0],
    replace(SITE.weather[0], name="second", address="sim://weather2"),
    WeatherSetup("monitor", "sim://monitor", stale_s=60.0, safe_after_s=30.0, kind="safety_monitor"),
)
NOTICED_S = 80.0
"""A source's age (60), a poll that waits for its deadline, and the hysteresis of a bad one."""
CLOSED_S = 900.0
"""With everything free again: the rest of a cycle of power, of attempts that time out, and the waits between."""


def some_site(interlock: Interlock, second: str | None, power: bool, cover: bool) -> Site:
    """A site whose roof could hit its mount, fitted out in one of many ways."""
    rig = SITE.rigs[0]
    mount = replace(
        rig.mount,
        park_sensor="sim://park" if interlock == "sensor" else None,
        park_place=(0.0, 41.7) if interlock == "solve" else None,
        power=Outlet("sim://switch", "mount") if power else None,
    )
    train = replace(rig.trains[0], cover="sim://cover" if cover else None)
    roof = RoofSetup(
        "sim://roof",
        interlock=interlock,
        open_s=60.0,
        close_s=60.0,
        second_path=second,
        power=Outlet("sim://switch", "roof") if power else None,
    )
    return replace(SITE, rigs=(replace(rig, mount=mount, trains=(train,)),), roof=roof, weather=SOURCES)


class SafetyMachine(RuleBasedStateMachine):
    """A hut whose devices hang, lie, stick and vanish, whose control comes and goes, in whatever order.

    The park sensor and the sky tell the truth, for they are what the roof goes by; all else may do what it likes.
    """

    @initialize(
        interlock=st.sampled_from(["mount", "sensor", "solve"]),
        second=st.sampled_from([None, "sim://roof2", "sim://switch#relay"]),
        power=st.booleans(),
        cover=st.booleans(),
    )
    def begin(self, interlock: Interlock, second: str | None, power: bool, cover: bool) -> None:
        self.loop = VirtualLoop()
        self.permits: list[Permit] = []
        self.bad_since_s: float | None = None
        self.loop.run_until_complete(self._begin(some_site(interlock, second, power, cover)))

    async def _begin(self, site: Site) -> None:
        self.hut = Hut(SimClock(self.loop, MIDNIGHT_US), site)
        self.clouded = False
        self.lies = site.roof is not None and site.roof.interlock != "mount"
        self.safety = asyncio.create_task(self.hut.loop.run(lambda: None))
        self.others = {asyncio.create_task(body) for body in (self.hut.control(), self._sense(), self._look_up())}
        await self.hut.clock.sleep(40.0)

    async def _sense(self) -> None:
        """The park sensor's own wiring."""
        while True:
            self.hut.park_sensor.safe = self.hut.mount.parked
            await self.hut.clock.sleep(0.1)

    async def _look_up(self) -> None:
        """Control's plate solves, while it lives and there is a sky."""
        hut = self.hut
        while True:
            await hut.clock.sleep(0.5)
            for rig, number in (await hut.loop.report()).sights_wanted.items():
                await hut.clock.sleep(4.0)
                if hut.control_lives:
                    blind = self.clouded or hut.roof.aperture == "closed"
                    place = (None, None) if blind else (0.5, 42.0) if hut.mount.parked else (180.0, 50.0)
                    await hut.loop.tell_place(rig, number, *place)

    def _pass(self, seconds: float) -> None:
        self.loop.run_until_complete(self.hut.clock.sleep(seconds))

    def _do(self, deed: Coroutine[Any, Any, None]) -> None:
        async def bold() -> None:
            with contextlib.suppress(AstrodError, DriverError):
                await deed

        async def begin() -> None:
            self.others.add(asyncio.create_task(bold()))

        self.loop.run_until_complete(begin())

    def _note_bad(self) -> None:
        """Since when the truth, or what can be known of it, has been unsafe."""
        hut = self.hut
        blind = any(getattr(hut, name).gone or getattr(hut, name).hangs for name in SENSORS)
        bad = blind or hut.weather.wind_m_s > 12.0 or hut.second_weather.wind_m_s > 12.0 or not hut.monitor.safe
        bad = bad or hut.weather.stale or hut.weather.ahead_s > 5.0 or not hut.control_lives
        self.bad_since_s = (self.bad_since_s or hut.clock.monotonic_s()) if bad else None

    @rule(name=st.sampled_from(["weather", "second_weather"]), wind_m_s=st.sampled_from([1.0, 1.0, 11.9, 25.0, -3.0]))
    def wind(self, name: str, wind_m_s: float) -> None:
        getattr(self.hut, name).wind_m_s = wind_m_s
        self._note_bad()

    @rule(safe=st.booleans())
    def monitor_says(self, safe: bool) -> None:
        self.hut.monitor.safe = safe
        self._note_bad()

    @rule(stale=st.booleans(), ahead_s=st.sampled_from([0.0, 0.0, 60.0]))
    def weather_clock(self, stale: bool, ahead_s: float) -> None:
        self.hut.weather.stale, self.hut.weather.ahead_s = stale, ahead_s
        self._note_bad()

    @rule(name=st.sampled_from(DEVICES), how=st.sampled_from(["gone", "hangs"]))
    def break_device(self, name: str, how: str) -> None:
        setattr(self.hut.__dict__[name], how, True)
        self._note_bad()

    @rule(name=st.sampled_from(DEVICES))
    def mend_device(self, name: str) -> None:
        device = self.hut.__dict__[name]
        device.gone = device.hangs = False
        self._note_bad()

    @rule(stuck=st.booleans())
    def stick_mount(self, stuck: bool) -> None:
        self.hut.mount.stuck = stuck
        self.hut.mount.lies_parked = stuck and self.lies

    @rule(jammed=st.booleans(), deaf=st.booleans())
    def jam_roof(self, jammed: bool, deaf: bool) -> None:
        self.hut.roof.jammed, self.hut.roof.deaf = jammed, deaf

    @rule(jammed=st.booleans())
    def jam_cover(self, jammed: bool) -> None:
        self.hut.cover.jammed = jammed

    @rule(clouded=st.booleans())
    def hide_the_sky(self, clouded: bool) -> None:
        self.clouded = clouded

    @rule(lives=st.booleans())
    def control_lives(self, lives: bool) -> None:
        self.hut.control_lives = lives
        self._note_bad()

    @rule(by_s=st.sampled_from([-3600, -30, 45, 7200]))
    def set_clock(self, by_s: int) -> None:
        self.hut.clock.offset_us += by_s * SECOND_US

    @rule()
    def open_roof(self) -> None:
        report = self.loop.run_until_complete(self.hut.loop.report())
        if report.safe:
            self.permits.append(Permit(report.epoch))
        self._do(self.hut.loop.open_roof(self.permits[-1] if self.permits else Permit(0)))

    @rule()
    def unpark(self) -> None:
        if self.hut.roof.aperture == "open" and self.permits:
            self._do(self.hut.mount.unpark(self.permits[-1]))

    @rule()
    def close_site(self) -> None:
        self._do(self.hut.loop.close_site("a whim"))

    @rule()
    def restart_safety(self) -> None:
        """A new process takes over; the hardware stays as it is."""

        async def again() -> None:
            self.safety.cancel()
            await asyncio.wait({self.safety})
            self.hut.restart()
            self.safety = asyncio.create_task(self.hut.loop.run(lambda: None))

        self.loop.run_until_complete(again())

    @rule(seconds=st.sampled_from([0.3, 2.0, 10.0, 45.0, 100.0]))
    def wait(self, seconds: float) -> None:
        self._pass(seconds)

    @invariant()
    def safety_lives(self) -> None:
        if self.safety.done():
            self.safety.result()
            raise AssertionError("the safety loop ended")

    @invariant()
    def no_roof_moves_over_a_mount(self) -> None:
        assert self.hut.roof.wrong == []

    @invariant()
    def what_is_unsafe_is_noticed(self) -> None:
        if self.bad_since_s is not None and self.hut.clock.monotonic_s() - self.bad_since_s > NOTICED_S:
            assert not self.hut.gate.safe

    @invariant()
    def old_permits_are_void(self) -> None:
        for permit in self.permits:
            assert not self.hut.gate.allows(permit) or permit.epoch == self.hut.gate.epoch

    def teardown(self) -> None:
        if not hasattr(self, "hut"):
            return
        try:
            hut = self.hut
            for name in DEVICES:
                device = hut.__dict__[name]
                device.gone = device.hangs = False
            hut.roof.jammed = hut.roof.deaf = hut.mount.stuck = hut.mount.lies_parked = hut.cover.jammed = False
            hut.weather.wind_m_s = 25.0
            hut.control_lives, self.clouded = True, False
            self.loop.run_until_complete(
                hut.until(lambda _: hut.roof.aperture == "closed" and hut.mount.parked, CLOSED_S)
            )
            assert hut.roof.wrong == []
        finally:
            for task in (self.safety, *self.others):
                task.cancel()
            self.loop.run_until_complete(asyncio.wait({self.safety, *self.others}))
            self.loop.close()


TestSafetyMachine = SafetyMachine.TestCase
TestSafetyMachine.settings = settings(
    max_examples=40, stateful_step_count=25, deadline=None, suppress_health_check=list(HealthCheck)
)
