"""The archive from the loop's side: each call in the archive's lane, one after the other, never on the loop."""

import logging
from collections.abc import Awaitable, Callable
from typing import TypeVar

from astrod.archive.archive import Archive
from astrod.errors import Retry, TellOperator
from astrod.health import Health
from astrod.runtime.clock import Clock
from astrod.runtime.offload import Cost, Offload

log = logging.getLogger(__name__)

T = TypeVar("T")

LANE = "archive"
COST = Cost(modelled_s=0.01, deadline_s=20.0)
AGAIN_S = 15.0


class Recording:
    """Calls on the archive, awaited. What they raise is the archive's."""

    def __init__(self, archive: Archive, offload: Offload) -> None:
        self._archive, self._offload = archive, offload

    async def __call__(self, action: Callable[[Archive], T]) -> T:
        """`action(archive)` in its turn."""
        return await self._offload.run(LANE, COST, action, self._archive)


async def insist(clock: Clock, health: Health, code: str, step: Callable[[], Awaitable[T]]) -> T:
    """Do a step that must happen, again and again while the disk refuses or a worker dies.

    The trouble `code` stands as long as it lasts. What is waited for is not lost meanwhile: pixels lie in the
    spool, and no exposure begins that cannot be recorded.
    """
    while True:
        try:
            done = await step()
        except (Retry, TellOperator) as fault:
            health.found(code, str(fault))
            await clock.sleep(AGAIN_S)
        else:
            health.mended(code)
            return done
