"""Making the site safe: covers, mounts, then the roof, each with its own time and by reading back.

Commands toward safety need no permit and wait for nobody's record of them. The roof moves as soon as every mount is
known to be out of its way, and never before; what is to be done about a mount that does not get there is the
site's `on_stuck_mount`.
"""

import asyncio
import logging
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial

from astrod.domain.site import Rig, Site
from astrod.errors import AstrodError, RecoverDevice
from astrod.rig.port import Port
from astrod.rig.safety.hardware import Hardware
from astrod.rig.safety.power import PowerCycle
from astrod.rig.safety.problem import Problem, by_code
from astrod.rig.safety.roof import RoofPaths
from astrod.rig.safety.sights import SIGHT_S
from astrod.rig.waiting import until
from astrod.runtime.clock import Clock
from astrod_drivers.protocols import Cover, Mount

log = logging.getLogger(__name__)

ASK_S = 1.0
POLL_S = 0.25
CALL_S = 10.0
"""A call to a device takes no longer."""
AGAIN_S = 10.0
"""Rest between two tries to make a site safe."""
COVER_S = 60.0
SKY_S = 90.0
"""Covers wait no longer than this for the sky to be asked where the tubes point."""
OVER_MOUNTS = ("AST-120", "AST-122")
"""What says that a mount is not parked."""


async def park(clock: Clock, port: Port[Mount], within_s: float) -> None:
    """Stop the mount and park it; returns when it says that it is parked. Raises RecoverDevice, Replan."""
    if await _says_parked(port):
        return
    await port.call("stop the mount", lambda mount: mount.abort())
    await port.call("park", lambda mount: mount.park())
    await until(
        clock,
        port.name,
        "park",
        lambda: port.call("read the mount", lambda mount: mount.read()),
        lambda state: state.parked,
        within_s,
        POLL_S,
    )


async def _says_parked(port: Port[Mount]) -> bool:
    """Whether it is parked already; one that does not say so soon is stopped and parked without being asked."""
    try:
        async with asyncio.timeout(ASK_S):
            return (await port.call("read the mount", lambda mount: mount.read())).parked
    except TimeoutError:
        return False


async def close_cover(clock: Clock, port: Port[Cover]) -> None:
    """Close a cover; returns when it reads closed. Raises AstrodError."""
    await port.call("close the cover", lambda cover: cover.close())
    await until(
        clock,
        port.name,
        "close the cover",
        lambda: port.call("read the cover", lambda cover: cover.read()),
        lambda state: state.aperture == "closed",
        COVER_S,
    )


@dataclass(slots=True)
class _Stuck:
    """A mount that does not park: since when, and whether its power was cycled since."""

    since_s: float
    cycled: bool = False


class Closing:
    """Makes one site safe, as often as it is asked to; it remembers only which mounts are stuck, and since when."""

    def __init__(self, clock: Clock, site: Site, hardware: Hardware) -> None:
        self._clock, self._site, self._hardware = clock, site, hardware
        self._rigs: Mapping[str, Rig] = {rig.name: rig for rig in site.rigs}
        self._stuck: dict[str, _Stuck] = {}
        self._unparked: dict[str, str] = {}
        self._began_s = clock.monotonic_s()

    async def make_safe(self) -> tuple[Problem, ...]:
        """Do everything that can be done now; returns what went wrong, nothing when the site is closed and parked."""
        self._began_s = self._clock.monotonic_s()
        looked = asyncio.Event()
        if not self._hardware.clearance.asks_the_sky:
            looked.set()
        covers = asyncio.ensure_future(self._close_covers(looked))
        parking = asyncio.ensure_future(self._park_all())
        try:
            problems = await self._close_roof(parking, looked)
            unparked = await parking
            if not any(problem.code in OVER_MOUNTS for problem in problems):
                problems += tuple(Problem("AST-120", text) for text in unparked.values())
            return (*problems, *await covers)
        finally:
            parking.cancel()
            covers.cancel()

    # -- mounts ----------------------------------------------------------------------------------------------

    async def _park_all(self) -> dict[str, str]:
        """Park every mount at once; returns why, for each that is not parked."""

        async def one(name: str) -> tuple[str, str] | None:
            try:
                await park(self._clock, self._hardware.mounts[name], self._rigs[name].mount.park_s)
            except AstrodError as fault:
                if self._unparked.get(name) != str(fault):  # it is tried every ten seconds, perhaps until dawn
                    log.error("rig %s is not parked: %s", name, fault)
                self._unparked[name] = str(fault)
                return name, f"{self._hardware.mounts[name].name} is not parked ({fault})"
            self._unparked.pop(name, None)
            return None

        return dict(failed for failed in await asyncio.gather(*map(one, self._hardware.mounts)) if failed)

    async def _all_clear(self, under_roof: bool) -> bool:
        asking = partial(self._hardware.clearance.is_clear, under_roof=under_roof)
        return all(await asyncio.gather(*map(asking, self._hardware.mounts)))

    async def _cleared(self, parking: "asyncio.Future[dict[str, str]]", under_roof: bool) -> bool:
        """Wait until every mount is out of the way, or parking them has ended and some are not."""
        while not parking.done():
            if await self._all_clear(under_roof):
                return True
            await self._clock.sleep(POLL_S)
        return await self._all_clear(under_roof)

    # -- the roof --------------------------------------------------------------------------------------------

    async def _close_roof(
        self, parking: "asyncio.Future[dict[str, str]]", looked: asyncio.Event
    ) -> tuple[Problem, ...]:
        """Close it as soon as every mount is out of its way. `looked` is set when the sky is not needed any more."""
        roof, setup = self._hardware.roof, self._site.roof
        if roof is None or setup is None:
            looked.set()
            return ()
        under_roof = await self._is_under_roof(roof)
        clear = not setup.needs_parked or await self._cleared(parking, under_roof)
        looked.set()
        if clear:
            self._stuck.clear()
            return await roof.close()
        return await self._over_stuck_mounts(await parking, under_roof)

    async def _is_under_roof(self, roof: RoofPaths) -> bool:
        """Whether there is no sky to be asked, for who goes by it."""
        clearance = self._hardware.clearance
        if not clearance.asks_the_sky:
            return False
        seen = await roof.seen()
        if seen == "open":
            clearance.look_anew()
        return seen == "closed"

    async def _over_stuck_mounts(self, unparked: Mapping[str, str], under_roof: bool) -> tuple[Problem, ...]:
        """The mounts that are in the way: their power, and when that does not help either, the site's own wish."""
        hardware, setup = self._hardware, self._site.roof
        found = [name for name in hardware.mounts if not await hardware.clearance.is_clear(name, under_roof)]
        exhausted = [await self._exhausted(name) for name in found]
        told = [unparked.get(name, f"{hardware.mounts[name].name} {hardware.clearance.doubt(name)}") for name in found]
        if found and all(exhausted) and setup and hardware.roof and setup.on_stuck_mount == "close_anyway":
            closed = await hardware.roof.close()
            return (*(Problem("AST-122", f"{text}; the roof closes all the same") for text in told), *closed)
        return tuple(Problem("AST-120", f"{text}; the roof needs it parked and stays as it is") for text in told)

    async def _exhausted(self, name: str) -> bool:
        """Whether a stuck mount has had its time, its power cycled where that can be, and its time again."""
        stuck = self._stuck.setdefault(name, _Stuck(self._began_s))
        if self._clock.monotonic_s() - stuck.since_s < self._rigs[name].mount.park_s:
            return False
        power = self._hardware.power.get(name)
        if power is None or stuck.cycled:
            return True
        await self._cycle(name, power)
        stuck.cycled, stuck.since_s = True, self._clock.monotonic_s()
        return False

    async def _cycle(self, name: str, power: PowerCycle) -> None:
        """Stop the mount if it still hears, and cycle its power."""
        port = self._hardware.mounts[name]
        try:
            await port.call("stop the mount", lambda mount: mount.abort())
        except AstrodError as fault:
            log.warning("%s cannot be stopped before its power goes: %s", port.name, fault)
        try:
            await power.cycle()
        except AstrodError as fault:
            log.error("the power of %s cannot be cycled: %s", port.name, fault)

    # -- covers ----------------------------------------------------------------------------------------------

    async def _close_covers(self, looked: asyncio.Event) -> tuple[Problem, ...]:
        """Close every cover at once, when the sky was `looked` at; the roof waits for none of them."""
        try:
            async with asyncio.timeout(SKY_S):
                await looked.wait()
        except TimeoutError:
            log.warning("covers close, though nobody has seen yet where the telescopes point")

        async def one(name: str) -> Problem | None:
            try:
                await close_cover(self._clock, self._hardware.covers[name])
            except AstrodError as fault:
                return Problem("AST-113", f"{self._hardware.covers[name].name}: {fault}")
            return None

        return tuple(p for p in await asyncio.gather(*map(one, self._hardware.covers)) if p)


def closing_s(site: Site) -> float:
    """How long making a site safe takes at the most, seconds, if everything is tried that it has: each mount parked,
    its power cycled, parked again; then the sky asked, the roof closed by one path and the other, its power cycled.
    """
    power = site.power
    cycle_s = power.off_s + power.start_s + 4.0 * CALL_S
    parking = [
        (rig.mount.park_s + 2.0 * CALL_S) * (2.0 if rig.mount.power else 1.0) + (cycle_s if rig.mount.power else 0.0)
        for rig in site.rigs
    ]
    return max(parking) + _roof_s(site, cycle_s) + AGAIN_S


def _roof_s(site: Site, cycle_s: float) -> float:
    """The roof's part of `closing_s`."""
    roof = site.roof
    if roof is None:
        return 0.0
    path_s = roof.close_s + 2.0 * CALL_S
    paths = 1.0 + (roof.second_path is not None) + (roof.power is not None)
    sky_s = SIGHT_S if roof.interlock == "solve" else 0.0
    return sky_s + paths * path_s + (cycle_s if roof.power else 0.0)


async def make_safe(clock: Clock, site: Site, hardware: Hardware) -> None:
    """Make a site safe, for whoever has no loop (the closer): tried again for `closing_s`, so that a power cycle and
    the owner's word on stuck mounts have their turn, and to the end of the try that is then under way.

    Raises RecoverDevice naming what is not safe; everything that could be done has then been done.
    """
    closing, deadline_s = Closing(clock, site, hardware), clock.monotonic_s() + closing_s(site)
    while True:
        problems = await closing.make_safe()
        for problem in problems:
            log.log(logging.ERROR if problem.critical else logging.WARNING, "%s %s", problem.code, problem.text)
        if not any(problem.critical for problem in problems) or clock.monotonic_s() > deadline_s:
            break
        await clock.sleep(AGAIN_S)
    raise_critical(problems)


def raise_critical(problems: tuple[Problem, ...]) -> None:
    """Raise RecoverDevice when any of the problems leaves the site unsafe."""
    critical = by_code([problem for problem in problems if problem.critical])
    if critical:
        raise RecoverDevice("safety", "; ".join(f"{code} {text}" for code, text in critical.items()))
