"""Commands toward danger, recorded before they are given: unpark, slew, open.

Commands toward safety (abort, park, close) are not here: they are given first and wait for no record. Neither are
wheel and focuser, which can hurt nothing: where they stand is read before each use.
"""

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial

from astrod.archive.archive import Archive
from astrod.domain.safety import SafetyReport
from astrod.errors import AstrodError
from astrod.recording import Recording
from astrod.rig.safety.guard import Guard
from astrod.runtime.clock import Clock
from astrod_drivers.protocols import Permit

log = logging.getLogger(__name__)


class Commands:
    """The commands of one site, in the archive (`rig.telescope.Intend`)."""

    def __init__(self, recording: Recording, clock: Clock) -> None:
        self._recording, self._clock = recording, clock
        self._ending: set[asyncio.Task[None]] = set()

    @asynccontextmanager
    async def intend(self, device: str, what: str) -> AsyncIterator[None]:
        """`async with intend("main mount", "slew"): ...`: the body begins once the intent is on disk.

        How it ended is recorded when there is time; a crash before that leaves it for the next start to ask the
        hardware. Raises what the archive raises; nothing has been commanded then.
        """
        begin = partial(Archive.begin_command, device=device, what=what, at_us=self._clock.now_us())
        number = await self._recording(begin)
        outcome = "cancelled"
        try:
            yield
            outcome = "done"
        except AstrodError as fault:
            outcome = str(fault)
            raise
        finally:
            self._later(self._end(number, outcome))

    async def _end(self, number: int, outcome: str) -> None:
        now_us = self._clock.now_us()
        try:
            await self._recording(partial(Archive.end_command, number=number, outcome=outcome, at_us=now_us))
        except AstrodError as fault:
            log.warning("how command %d ended is not recorded: %s", number, fault)

    def _later(self, body: "asyncio._CoroutineLike[None]") -> None:
        task = asyncio.create_task(body, name="end a command")
        self._ending.add(task)
        task.add_done_callback(self._ending.discard)


class RecordedGuard:
    """A `Guard` whose opening of the roof is recorded before it is asked for."""

    def __init__(self, guard: Guard, commands: Commands) -> None:
        self._guard, self._commands = guard, commands

    async def report(self) -> SafetyReport:
        """See `Guard`."""
        return await self._guard.report()

    async def changed(self, version: int) -> SafetyReport:
        """See `Guard`."""
        return await self._guard.changed(version)

    async def open_roof(self, permit: Permit) -> None:
        """See `Guard`."""
        async with self._commands.intend("roof", "open"):
            await self._guard.open_roof(permit)

    async def close_site(self, reason: str) -> None:
        """See `Guard`. It waits for no record: it is a move toward safety."""
        await self._guard.close_site(reason)

    async def tell_place(self, rig: str, number: int, azimuth_deg: float | None, altitude_deg: float | None) -> None:
        """See `Guard`."""
        await self._guard.tell_place(rig, number, azimuth_deg, altitude_deg)
