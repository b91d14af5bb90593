"""The safety loop: polls, decides, and acts without asking.

Every second it weighs what it knows (weather sources, the sun, the control loop's heartbeat) by the rules of
`domain.safety`. Becoming unsafe ends the safety epoch first, so that no driver takes a hazardous command any
more, then parks and closes, again and again until it is so. Plan, operator and peers cannot overrule it.
"""

import asyncio
import logging
from collections.abc import Mapping
from dataclasses import replace

from astrod.domain.instant import SECOND_US
from astrod.domain.safety import Observation, SafetyReport, SourceState, faults, poll
from astrod.domain.site import Site, WeatherSetup
from astrod.domain.sphere import sun_altitude_deg
from astrod.errors import AstrodError, GoSafe, RecoverDevice
from astrod.rig.port import Port
from astrod.rig.safety.closing import make_safe, read_roof
from astrod.rig.safety.guard import EpochGate
from astrod.rig.safety.memory import Memory
from astrod.rig.waiting import until
from astrod.runtime.clock import Clock
from astrod.runtime.supervise import Ready
from astrod_drivers.protocols import Mount, Permit, Roof, Weather

log = logging.getLogger(__name__)

TICK_S = 1.0
STATUS_S = 2.0
AGAIN_S = 10.0
CONTROL_SILENT_S = 20.0
FIRST_CONTACT_S = 5.0


class SafetyLoop:
    """Safety for one site. Implements `Guard`; everything it holds is its own."""

    def __init__(
        self,
        site: Site,
        clock: Clock,
        gate: EpochGate,
        weather: Mapping[str, Port[Weather]],
        mounts: Mapping[str, Port[Mount]],
        roof: Port[Roof] | None,
        memory: Memory,
    ) -> None:
        self._site, self._clock, self._gate, self._memory = site, clock, gate, memory
        self._weather, self._mounts, self._roof = weather, mounts, roof
        remembered = memory.load()
        self._sources = {setup.name: remembered.get(setup.name, SourceState()) for setup in site.weather}
        self._parked: dict[str, bool | None] = dict.fromkeys(mounts)
        self._aperture: str | None = "unknown" if roof else None
        self._troubles: dict[str, str] = {}
        self._making: asyncio.Task[None] | None = None
        self._closes = 0
        self._changed = asyncio.Condition()
        gate.become_unsafe()
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
        if self._roof is None or self._site.roof is None:
            return
        setup, roof = self._site.roof, self._roof
        if not self._gate.allows(permit):
            raise GoSafe("the roof stays closed: " + "; ".join(self._report.reasons))
        closes = self._closes
        await self._wait_for_making()
        aperture = (await read_roof(roof)).aperture
        if aperture == "open":  # it was left open, by a control process that died: nothing has to move
            return
        if setup.needs_parked and not all([await self._is_parked(name) for name in self._mounts]):
            raise RecoverDevice(roof.name, "stays closed: a mount is not parked under it")
        if closes != self._closes:  # whoever asked to close asked after us
            raise GoSafe("the roof stays closed: it was told to close meanwhile")
        await roof.call("open the roof", lambda device: device.open(permit))
        await until(
            self._clock,
            roof.name,
            "open the roof",
            lambda: read_roof(roof),
            lambda state: state.aperture == "open" or closes != self._closes or not self._gate.allows(permit),
            setup.open_s,
        )
        if closes != self._closes or not self._gate.allows(permit):
            raise GoSafe("the roof closes again: " + ("; ".join(self._report.reasons) or "it was told to close"))

    async def close_site(self, reason: str) -> None:
        """See `Guard`."""
        log.info("closing: %s", reason)
        self._closes += 1
        await self._wait_for_making()
        await make_safe(self._clock, self._site, self._mounts, self._roof)
        await self._look()

    # -- the loop --------------------------------------------------------------------------------------------

    async def run(self, ready: Ready) -> None:
        """Guard the site for ever."""
        async with asyncio.TaskGroup() as group:
            for weather in self._weather.values():
                group.create_task(weather.keep(), name=f"keep {weather.name}")
            for mount in self._mounts.values():
                group.create_task(mount.keep(), name=f"keep {mount.name}")
            if self._roof is not None:
                group.create_task(self._roof.keep(), name=f"keep {self._roof.name}")
            await self._first_contact()
            for setup in self._site.weather:
                group.create_task(self._poll(setup), name=f"poll {setup.name}")
            group.create_task(self._watch_hardware(), name="watch roof and mounts")
            ready()
            while True:
                await self._tick()
                await self._clock.sleep(TICK_S)

    async def _first_contact(self) -> None:
        """Give the devices a moment to answer for the first time, so that a mere start raises no alarm."""
        movers = [port.found(FIRST_CONTACT_S) for port in self._mounts.values()]
        if self._roof is not None:
            movers.append(self._roof.found(FIRST_CONTACT_S))
        await asyncio.gather(*movers)
        await self._look()

    async def _poll(self, setup: WeatherSetup) -> None:
        port = self._weather[setup.name]
        while True:
            reading = await self._read(port, setup)
            self._sources[setup.name] = poll(setup, self._sources[setup.name], reading, self._clock.now_us())
            self._memory.save(self._sources)
            await self._tick()
            await self._clock.sleep(setup.poll_s)

    async def _read(self, port: Port[Weather], setup: WeatherSetup) -> Observation | None:
        try:
            reading = await port.call("read", lambda device: device.read(), deadline_s=max(2.0, setup.poll_s))
        except AstrodError as fault:
            log.debug("%s: no reading: %s", setup.name, fault)
            return None
        alerts = tuple(sorted(name for name, zone in reading.zones.items() if zone == "alert"))
        return Observation(reading.measured_us, reading.values, alerts, reading.overridden)

    def _reasons(self, now_us: int) -> tuple[str, ...]:
        found: list[str] = []
        for setup in self._site.weather:
            state = self._sources[setup.name]
            if state.trusted and any("no reading" in text for text in faults(setup, state, now_us)):
                state = self._sources[setup.name] = poll(setup, state, None, now_us)
            if not state.trusted:
                found += state.reasons
        place = self._site.place
        if sun_altitude_deg(now_us, place.latitude_deg, place.longitude_deg) > self._site.darkness.roof_below_deg:
            found.append("the sun is up")
        silent_s = (self._clock.boottime_us() - self._gate.control_beat_us) / SECOND_US
        if silent_s > CONTROL_SILENT_S:
            found.append(f"the control loop has been silent for more than {CONTROL_SILENT_S:.0f} s")
        return tuple(found)

    async def _tick(self) -> None:
        now_us = self._clock.now_us()
        reasons = self._reasons(now_us)
        if reasons and self._report.safe:
            self._gate.become_unsafe()  # before anything else: from here on no driver takes a hazardous command
        elif not reasons and not self._report.safe:
            self._gate.become_safe()
        await self._publish(reasons, now_us)
        self._gate.beat_safety(self._clock.boottime_us())
        if self._making is not None and self._making.done():
            self._making.result()  # a bug in there ends safety, and so the daemon, whose closer then closes
        if reasons and self._exposed() and (self._making is None or self._making.done()):
            self._making = asyncio.create_task(self._make_safe(), name="make the site safe")

    def _exposed(self) -> bool:
        """Whether anything is known, or must be feared, not to be where it should be under an unsafe sky."""
        return self._aperture not in (None, "closed") or any(parked is False for parked in self._parked.values())

    async def _make_safe(self) -> None:
        try:
            await make_safe(self._clock, self._site, self._mounts, self._roof)
            self._troubles.clear()
        except AstrodError as fault:
            code = "AST-110" if self._roof is not None and fault.args[0].startswith(self._roof.name) else "AST-120"
            self._troubles[code] = str(fault)
            log.error("%s the site is not safe yet: %s", code, fault)
            await self._clock.sleep(AGAIN_S)
        await self._look()

    async def _wait_for_making(self) -> None:
        if self._making is not None and not self._making.done():
            await asyncio.wait({self._making})

    # -- what the hardware says ------------------------------------------------------------------------------

    async def _is_parked(self, name: str) -> bool | None:
        try:
            return (await self._mounts[name].call("read the mount", lambda mount: mount.read())).parked
        except AstrodError as fault:
            log.debug("%s: park state unknown: %s", name, fault)
            return None

    async def _look(self) -> None:
        for name in self._mounts:
            self._parked[name] = await self._is_parked(name)
        if self._roof is not None:
            try:
                self._aperture = (await read_roof(self._roof)).aperture
            except AstrodError as fault:
                log.debug("roof state unknown: %s", fault)
                self._aperture = "unknown"
        if not self._exposed():
            self._troubles.clear()
        await self._publish(self._report.reasons, self._clock.now_us())

    async def _watch_hardware(self) -> None:
        while True:
            await self._look()
            await self._clock.sleep(STATUS_S)

    async def _publish(self, reasons: tuple[str, ...], now_us: int) -> None:
        last, safe = self._report, not reasons
        fresh = replace(
            last,
            safe=safe,
            reasons=reasons,
            epoch=self._gate.epoch,
            since_us=now_us if safe != last.safe else last.since_us,
            roof=self._aperture,
            parked=dict(self._parked),
            weather=self._values(),
            troubles=tuple(f"{code} {text}" for code, text in sorted(self._troubles.items())),
        )
        if fresh == last:
            return
        self._report = replace(fresh, version=last.version + 1)
        if safe != last.safe:
            log.warning("the site is %s%s", "safe" if safe else "UNSAFE: ", "; ".join(reasons))
        async with self._changed:
            self._changed.notify_all()

    def _values(self) -> dict[str, float]:
        values: dict[str, float] = {}
        for state in self._sources.values():
            if state.last is not None:
                values.update(state.last.values)
        return values
