"""The operating system's clock: the one place in the drivers that asks for the time."""

import asyncio
import time
from collections.abc import Awaitable


class WallClock:
    """A `protocols.Clock` for real hardware. `offset_us` is added: a rehearsal plays a night now."""

    def __init__(self, offset_us: int = 0) -> None:
        self._offset_us = offset_us

    def now_us(self) -> int:
        """UTC, integer microseconds since 1970, with the offset."""
        return time.time_ns() // 1000 + self._offset_us

    def monotonic_s(self) -> float:
        """Seconds that never jump."""
        return time.monotonic()

    def sleep(self, seconds: float) -> Awaitable[None]:
        """Wait."""
        return asyncio.sleep(seconds)

    def block(self, seconds: float) -> None:
        """Wait outside an event loop."""
        time.sleep(seconds)
