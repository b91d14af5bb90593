"""The safety loop: polls, decides, and acts without asking.

Every second it weighs what it knows (its sources, whether they agree, the sun, the control loop's heartbeat) by the
rules of `domain.safety`. Becoming unsafe ends the safety epoch first, so that no driver takes a hazardous command
any more, then parks and closes, again and again until it is so; until then the site stays unsafe, whatever the
sky does. Plan, operator and peers cannot overrule it.
"""

import asyncio
import logging
from collections.abc import Sequence
from functools import partial

from astrod.domain.instant import SECOND_US
from astrod.domain.safety import (
    COMPARE_S,
    Moment,
    Observation,
    SafetyReport,
    SourceState,
    comparison,
    difference,
    is_possible,
    is_stale,
    observed,
    poll,
    stepped_s,
)
from astrod.domain.site import Action, Agreement, Site, WeatherSetup
from astrod.domain.sphere import sun_altitude_deg
from astrod.errors import AstrodError, GoSafe, RecoverDevice
from astrod.rig.port import Port
from astrod.rig.safety.closing import AGAIN_S, Closing, raise_critical
from astrod.rig.safety.guard import EpochGate
from astrod.rig.safety.hardware import Hardware
from astrod.rig.safety.memory import Memory
from astrod.rig.safety.problem import Problem, by_code
from astrod.rig.safety.sights import Sights
from astrod.rig.waiting import until
from astrod.runtime.clock import Clock
from astrod.runtime.supervise import Ready
from astrod_drivers.protocols import Permit, SafetyMonitor, SafetyReading, Weather, WeatherReading

log = logging.getLogger(__name__)

TICK_S = 1.0
STATUS_S = 2.0
CONTROL_SILENT_S = 20.0
FIRST_CONTACT_S = 5.0
STEP_S = 1.0
"""A clock that jumps by more than this was set; less is what disciplining it does."""
STEP_TOLD_US = 1800 * SECOND_US
STEP_HOLDS_US = 600 * SECOND_US
"""A clock that was set by more than its error could be must then be left alone for so long before it is believed."""


class SafetyLoop:
    """Safety for one site. Implements `Guard`; everything it holds is its own."""

    def __init__(
        self,
        site: Site,
        clock: Clock,
        gate: EpochGate,
        hardware: Hardware,
        memory: Memory,
        sights: Sights | None = None,
    ) -> None:
        self._site, self._clock, self._gate, self._hardware, self._memory = site, clock, gate, hardware, memory
        self._sights = sights or Sights(clock)
        self._closing = Closing(clock, site, hardware)
        self._setups = {setup.name: setup for setup in (*site.sources, *map(comparison, site.agreements))}
        remembered = memory.load()
        self._sources = {name: remembered.get(name, SourceState()) for name in self._setups}
        self._parked: dict[str, bool | None] = dict.fromkeys(hardware.mounts)
        self._aperture: str | None = "unknown" if hardware.roof else None
        self._problems: tuple[Problem, ...] = ()
        self._making: asyncio.Task[None] | None = None
        self._makings = 0
        self._unfinished = False
        self._closes = 0
        self._seen = self._now()
        self._step: tuple[int, str] | None = None
        self._leap: tuple[int, float] | None = None
        self._changed = asyncio.Condition()
        self._values = self._measured()
        self._told: tuple[object, ...] = ()
        gate.become_unsafe()
        gate.bar_slews(True)
        self._report = SafetyReport(1, False, ("starting",), gate.epoch, clock.now_us(), self._aperture)

    # -- what control may ask --------------------------------------------------------------------------------

    async def report(self) -> SafetyReport:
        """See `Guard`."""
        return self._report

    async def changed(self, version: int) -> SafetyReport:
        """See `Guard`."""
        async with self._changed:
            await self._changed.wait_for(lambda: self._report.version != version)
        return self._report

    async def open_roof(self, permit: Permit) -> None:
        """See `Guard`."""
        roof, setup = self._hardware.roof, self._site.roof
        if roof is None or setup is None:
            return
        if not self._gate.allows(permit):
            raise GoSafe("the roof stays closed: " + "; ".join(self._report.reasons))
        closes = self._closes
        await self._wait_for_making()
        aperture = await roof.aperture()
        if aperture == "open":  # left open by a control process that died: nothing has to move
            await self._take_note()
            return
        if not await self._is_clear_to_open(aperture):
            await self._make_safe_once()  # a driver that started anew may have forgotten that its mount is parked
            if not await self._is_clear_to_open(await roof.aperture()):
                raise RecoverDevice(roof.name, "stays closed: a mount is not parked under it, or not known to be")
        if closes != self._closes:  # whoever asked to close asked after us
            raise GoSafe("the roof stays closed: it was told to close meanwhile")
        self._hardware.clearance.look_anew()
        await roof.open(permit)
        await until(
            self._clock,
            roof.name,
            "open the roof",
            roof.aperture,
            lambda seen: seen == "open" or closes != self._closes or not self._gate.allows(permit),
            setup.open_s,
        )
        if closes != self._closes or not self._gate.allows(permit):
            raise GoSafe("the roof closes again: " + ("; ".join(self._report.reasons) or "it was told to close"))
        await self._take_note()

    async def _is_clear_to_open(self, aperture: str) -> bool:
        """Whether every mount is out of the way of the roof, as it reads before it opens."""
        asking = partial(self._hardware.clearance.is_clear, under_roof=aperture == "closed")
        return all(await asyncio.gather(*map(asking, self._hardware.mounts)))

    async def _take_note(self) -> None:
        """See that the roof is open before whoever opened it is told so: mounts move from then on."""
        await self._look()
        await self._tick()

    async def close_site(self, reason: str) -> None:
        """See `Guard`."""
        log.info("closing: %s", reason)
        self._closes += 1
        await self._wait_for_making()
        self._problems = await self._make_safe_once()
        await self._look()
        raise_critical(self._problems)

    async def tell_place(self, rig: str, number: int, azimuth_deg: float | None, altitude_deg: float | None) -> None:
        """See `Guard`."""
        place = None if azimuth_deg is None or altitude_deg is None else (azimuth_deg, altitude_deg)
        self._sights.tell(rig, number, place)
        await self._publish(self._report.reasons, self._report.no_slews, self._now())

    # -- the loop --------------------------------------------------------------------------------------------

    async def run(self, ready: Ready) -> None:
        """Guard the site for ever."""
        try:
            async with asyncio.TaskGroup() as group:
                for port in self._hardware.ports:
                    group.create_task(port.keep(), name=f"keep {port.name}")
                await self._first_contact()
                for setup in self._site.sources:
                    group.create_task(self._poll(setup), name=f"poll {setup.name}")
                for agreement in self._site.agreements:
                    group.create_task(self._compare(agreement), name=f"compare {agreement.name}")
                group.create_task(self._watch_hardware(), name="watch roof and mounts")
                ready()
                while True:
                    await self._tick()
                    await self._clock.sleep(TICK_S)
        finally:
            if self._making is not None:  # whoever takes over goes on with it
                self._making.cancel()

    async def _first_contact(self) -> None:
        """Give what moves a moment to answer for the first time, so that a mere start raises no alarm."""
        await asyncio.gather(*(port.found(FIRST_CONTACT_S) for port in self._hardware.movers()))
        await self._look()

    def _now(self) -> Moment:
        return Moment(self._clock.now_us(), self._clock.boottime_us())

    async def _poll(self, setup: WeatherSetup) -> None:
        port = self._hardware.sources[setup.name]
        while True:
            reading = await self._read(port, setup)
            await self._weigh(setup, reading)
            await self._clock.sleep(setup.poll_s)

    async def _compare(self, agreement: Agreement) -> None:
        setup = self._setups[comparison(agreement).name]
        while True:
            await self._weigh(setup, difference(agreement, self._readings(), self._now()))
            await self._clock.sleep(COMPARE_S)

    async def _weigh(self, setup: WeatherSetup, reading: Observation | None) -> None:
        """Take a reading in and act on it; only then is it remembered, since a disk may make us wait."""
        self._sources[setup.name] = poll(setup, self._sources[setup.name], reading, self._now())
        self._values = self._measured()
        await self._tick()
        self._memory.save(self._sources)

    async def _read(self, port: "Port[Weather] | Port[SafetyMonitor]", setup: WeatherSetup) -> Observation | None:
        try:
            reading = await port.call("read", lambda device: device.read(), deadline_s=max(2.0, setup.poll_s))
        except AstrodError as fault:
            log.debug("%s: no reading: %s", setup.name, fault)
            return None
        return self._observation(reading)

    def _observation(self, reading: WeatherReading | SafetyReading) -> Observation:
        if isinstance(reading, SafetyReading):
            return observed(self._now(), reading.measured_us, {}, () if reading.safe else ("the monitor",))
        alerts = tuple(sorted(name for name, zone in reading.zones.items() if zone == "alert"))
        return observed(self._now(), reading.measured_us, reading.values, alerts, reading.overridden)

    def _readings(self) -> dict[str, SourceState]:
        return {setup.name: self._sources[setup.name] for setup in self._site.sources}

    # -- the decision ----------------------------------------------------------------------------------------

    def _distrusted(self, action: Action, now: Moment) -> list[str]:
        """Why sources with this action are not trusted now; one that has gone silent ages between its polls too."""
        found: list[str] = []
        for name, setup in self._setups.items():
            state = self._sources[name]
            if setup.action != action:
                continue
            if state.trusted and is_stale(setup, state, now):
                state = self._sources[name] = poll(setup, state, None, now)
            if not state.trusted:
                found += state.reasons
        return found

    def _reasons(self, now: Moment) -> tuple[str, ...]:
        found = self._distrusted("unsafe", now)
        place = self._site.place
        if sun_altitude_deg(now.utc_us, place.latitude_deg, place.longitude_deg) > self._site.darkness.roof_below_deg:
            found.append("the sun is up")
        silent_s = (now.boot_us - self._gate.control_beat_us) / SECOND_US
        if silent_s > CONTROL_SILENT_S:
            found.append(f"the control loop has been silent for more than {CONTROL_SILENT_S:.0f} s")
        if not found and self._unfinished and self._exposed():
            found.append("the site is not closed and parked yet")
        return tuple(found)

    async def _tick(self) -> None:
        now = self._now()
        self._notice_step(now)
        reasons, no_slews = self._reasons(now), self._no_slews(now)
        if reasons and self._report.safe:
            self._gate.become_unsafe()  # before anything else: from here on no driver takes a hazardous command
        self._gate.bar_slews(bool(no_slews) or self._makings > 0 or self._is_roofed_in())
        if not reasons and not self._report.safe:
            self._gate.become_safe()
        await self._publish(reasons, no_slews, now)
        self._gate.beat_safety(now.boot_us)
        self._act(reasons)

    def _is_roofed_in(self) -> bool:
        """Whether mounts stand under a closed roof that they could hit: none may be unparked then."""
        return self._aperture == "closed" and self._site.roof is not None and self._site.roof.needs_parked

    def _act(self, reasons: Sequence[str]) -> None:
        if self._making is not None and self._making.done():
            self._making.result()  # a bug in there ends safety, and so the daemon, whose closer then closes
        self._unfinished = self._exposed() and (self._unfinished or bool(reasons))
        if self._unfinished and (self._making is None or self._making.done()):
            self._making = asyncio.create_task(self._make_safe(), name="make the site safe")

    def _no_slews(self, now: Moment) -> tuple[str, ...]:
        """Why nothing may slew: a source says so, or the clock was just set by more than it could be wrong.

        Whoever vouched for it was wrong before or is wrong now, and nobody knows which: where the sky is depends on it.
        """
        found = self._distrusted("no_slews", now)
        if self._leap is not None and now.boot_us - self._leap[0] < STEP_HOLDS_US:
            within_min = STEP_HOLDS_US // (60 * SECOND_US)
            found.append(f"the clock was set by {self._leap[1]:+.1f} s, and must hold for {within_min} min")
        return tuple(found)

    def _notice_step(self, now: Moment) -> None:
        """The clock was set: readings keep their age, people should know, and a leap bars slews for a while."""
        by_s = stepped_s(self._seen, now)
        self._seen = now
        if abs(by_s) > STEP_S:
            log.warning("AST-152 the host's clock was set by %+.1f s", by_s)
            self._step = now.boot_us, f"AST-152 by {by_s:+.1f} s"
            if 0.0 < self._site.time.error_max_s < abs(by_s):
                self._leap = now.boot_us, by_s
        elif self._step is not None and now.boot_us - self._step[0] > STEP_TOLD_US:
            self._step = None

    def _exposed(self) -> bool:
        """Whether anything is known, or must be feared, not to be where it should be under an unsafe sky."""
        return self._aperture not in (None, "closed") or any(parked is False for parked in self._parked.values())

    async def _make_safe_once(self) -> tuple[Problem, ...]:
        """See `Closing.make_safe`. Meanwhile no mount leaves its place, though the sky may be safe."""
        self._makings += 1
        self._gate.bar_slews(True)
        try:
            return await self._closing.make_safe()
        finally:
            self._makings -= 1

    async def _make_safe(self) -> None:
        self._problems = await self._make_safe_once()
        for problem in self._problems:
            level = logging.ERROR if problem.critical else logging.WARNING
            log.log(level, "%s the site is not safe yet: %s", problem.code, problem.text)
        if any(problem.critical for problem in self._problems):
            await self._clock.sleep(AGAIN_S)
        await self._look()

    async def _wait_for_making(self) -> None:
        if self._making is not None and not self._making.done():
            await asyncio.wait({self._making})

    # -- what the hardware says ------------------------------------------------------------------------------

    async def _look(self) -> None:
        """Ask everything at once, so that one that hangs makes nothing else look older."""
        await asyncio.gather(*map(self._look_at_mount, self._hardware.mounts), self._look_at_roof())
        if not self._exposed():
            self._problems = tuple(problem for problem in self._problems if not problem.critical)
        await self._publish(self._report.reasons, self._report.no_slews, self._now())

    async def _look_at_mount(self, name: str) -> None:
        self._parked[name] = await self._hardware.clearance.parked(name)

    async def _look_at_roof(self) -> None:
        if self._hardware.roof is not None:
            self._aperture = await self._hardware.roof.aperture()

    async def _watch_hardware(self) -> None:
        while True:
            await self._look()
            await self._clock.sleep(STATUS_S)

    # -- the report ------------------------------------------------------------------------------------------

    def _troubles(self, no_slews: Sequence[str], now: Moment) -> tuple[str, ...]:
        found = {code: f"{code} {text}" for code, text in by_code(self._problems).items()}
        watched = self._distrusted("warn", now)
        if watched:
            found["AST-102"] = "AST-102 " + "; ".join(watched)
        if no_slews:
            found["AST-150"] = "AST-150 " + "; ".join(no_slews)
        if self._step is not None:
            found["AST-152"] = self._step[1]
        return tuple(found[code] for code in sorted(found))

    async def _publish(self, reasons: tuple[str, ...], no_slews: tuple[str, ...], now: Moment) -> None:
        """Tell who waits what has changed; mostly nothing has, and that is seen at little cost."""
        last, safe = self._report, not reasons
        parked, troubles, wanted = dict(self._parked), self._troubles(no_slews, now), self._sights.wanted
        told = (reasons, self._gate.epoch, self._aperture, parked, self._values, troubles, no_slews, wanted)
        if told == self._told:
            return
        self._told = told
        self._report = SafetyReport(
            version=last.version + 1,
            safe=safe,
            reasons=reasons,
            epoch=self._gate.epoch,
            since_us=now.utc_us if safe != last.safe else last.since_us,
            roof=self._aperture,
            parked=parked,
            weather=self._values,
            troubles=troubles,
            sights_wanted=wanted,
            no_slews=no_slews,
        )
        if safe != last.safe:
            log.warning("the site is %s%s", "safe" if safe else "UNSAFE: ", "; ".join(reasons))
        async with self._changed:
            self._changed.notify_all()

    def _measured(self) -> dict[str, float]:
        """What the sources last said, a new dictionary each time: reports hold it."""
        values: dict[str, float] = {}
        for state in self._readings().values():
            if state.last is not None:
                values.update({name: value for name, value in state.last.values.items() if is_possible(name, value)})
        return values
