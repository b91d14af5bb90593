"""The roof, by the ways there are to it: its driver, and where there is one a second path with a time of its own."""

import asyncio
import logging
from typing import Protocol

from astrod.domain.site import RoofSetup
from astrod.errors import AstrodError, RecoverDevice
from astrod.rig.port import Port
from astrod.rig.safety.power import PowerCycle
from astrod.rig.safety.problem import Problem
from astrod.rig.waiting import until
from astrod.runtime.clock import Clock
from astrod_drivers.protocols import Aperture, Permit, Roof, Switch

log = logging.getLogger(__name__)

ASK_S = 1.0
TAKEN_S = 5.0
"""A driver that has not taken the command to close within this time hangs; what comes next has its own time."""
POLL_S = 0.25


class SecondPath(Protocol):
    """Another way to close the same roof, which shares nothing with the first that could hang with it."""

    @property
    def name(self) -> str: ...

    async def close(self) -> None:
        """Begin to close. Raises AstrodError."""

    async def aperture(self) -> Aperture | None:
        """What the roof's own switches say along this path; None where it cannot tell. Raises AstrodError."""


class SecondDriver:
    """Another driver of the same roof."""

    def __init__(self, port: Port[Roof]) -> None:
        self._port = port

    @property
    def name(self) -> str:
        return self._port.name

    async def close(self) -> None:
        """See `SecondPath`."""
        await self._port.call("close the roof", lambda roof: roof.close())

    async def aperture(self) -> Aperture | None:
        """See `SecondPath`."""
        return (await self._port.call("read the roof", lambda roof: roof.read())).aperture


class Relay:
    """An outlet that closes the roof when it is switched on. It cannot tell whether the roof moved."""

    def __init__(self, port: Port[Switch], outlet: str) -> None:
        self._port, self._outlet = port, outlet

    @property
    def name(self) -> str:
        return f"{self._port.name} {self._outlet}"

    async def close(self) -> None:
        """See `SecondPath`."""
        await self._port.call(f"switch {self._outlet} on", lambda switch: switch.set(self._outlet, True))

    async def aperture(self) -> Aperture | None:
        """See `SecondPath`."""
        return None


def agreed(first: Aperture | None, second: Aperture | None) -> Aperture:
    """The roof as two drivers read it, None for one that does not tell. Two that contradict each other leave it
    unknown, but a roof that either sees moving moves.
    """
    if first is None or second is None or first == second:
        return first or second or "unknown"
    for state in (first, second):
        if state in ("opening", "closing"):
            return state
    return "unknown"


class RoofPaths:
    """The roof of one site. `name` is its device's, for errors."""

    def __init__(
        self,
        clock: Clock,
        setup: RoofSetup,
        first: Port[Roof],
        second: SecondPath | None = None,
        power: PowerCycle | None = None,
    ) -> None:
        self._clock, self._setup = clock, setup
        self._first, self._second, self._power = first, second, power

    @property
    def name(self) -> str:
        return self._first.name

    async def aperture(self) -> Aperture:
        """The roof as its drivers read it; "unknown" when none answers, or they contradict each other."""
        if self._second is None:
            return agreed(await self._by_first(), None)
        first, second = await asyncio.gather(self._by_first(), self._by_second(self._second))
        return agreed(first, second)

    async def open(self, permit: Permit) -> None:
        """Begin to open, by the first path only. Raises GoSafe, RecoverDevice, Replan."""
        await self._first.call("open the roof", lambda roof: roof.open(permit))

    async def close(self) -> tuple[Problem, ...]:
        """Close, and return when the roof reads closed, or when everything has been tried; what went wrong."""
        if await self.seen() == "closed":
            return ()
        why = await self._close_by_first()
        if why is None:
            return ()
        log.error("the roof does not close: %s", why)
        found = await self._close_by_second(self._second, why) if self._second else Problem("AST-110", why)
        return (await self._after_power(found) if found.critical else found,)

    async def seen(self) -> Aperture:
        """What it reads, "unknown" for a driver that does not say so soon: that is told to close all the same."""
        try:
            async with asyncio.timeout(ASK_S):
                return await self.aperture()
        except TimeoutError:
            return "unknown"

    # -- the first path --------------------------------------------------------------------------------------

    async def _close_by_first(self) -> str | None:
        """Why the first path failed, None when the roof is closed."""
        try:
            await self._first.call("close the roof", lambda roof: roof.close(), deadline_s=TAKEN_S)
            await self._until_closed(self.name)
        except AstrodError as fault:
            return str(fault)
        return None

    async def _until_closed(self, path: str) -> None:
        await until(
            self._clock,
            path,
            "close the roof",
            self._seen_closing,
            lambda seen: seen == "closed",
            self._setup.close_s,
            POLL_S,
        )

    async def _seen_closing(self) -> Aperture:
        """What the roof reads while it should close. Raises RecoverDevice when nobody tells any more: waiting then
        tells nothing either.
        """
        seen = await self.aperture()
        if seen == "unknown" and not self._first.up and not isinstance(self._second, SecondDriver):
            raise RecoverDevice(self.name, f"lost while it closes: {self._first.detail}")
        return seen

    async def _by_first(self) -> Aperture | None:
        try:
            return (await self._first.call("read the roof", lambda roof: roof.read())).aperture
        except AstrodError as fault:
            log.debug("roof state unknown: %s", fault)
            return None

    # -- what is left ----------------------------------------------------------------------------------------

    async def _by_second(self, second: SecondPath) -> Aperture | None:
        try:
            return await second.aperture()
        except AstrodError as fault:
            log.debug("roof state unknown by its second path: %s", fault)
            return None

    async def _close_by_second(self, second: SecondPath, why: str) -> Problem:
        """A time of its own: nothing that the first path used up is taken from it."""
        try:
            await second.close()
            await self._until_closed(second.name)
        except AstrodError as fault:
            return Problem("AST-110", f"{why}; nor by its second path, {second.name}: {fault}")
        return Problem("AST-114", f"closed by {second.name}, since {why}")

    async def _after_power(self, problem: Problem) -> Problem:
        """Take the drive's power away once, unless the roof says that it moves; the next try finds it fresh."""
        if self._power is None or await self.aperture() in ("opening", "closing"):
            return problem
        try:
            cycled = await self._power.cycle()
        except AstrodError as fault:
            return Problem(problem.code, f"{problem.text}; its power cannot be cycled: {fault}")
        return Problem(problem.code, f"{problem.text}; its power was cycled") if cycled else problem
