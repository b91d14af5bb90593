"""Time. The only place that asks the operating system for it, and the only one that sleeps.

`WallClock` is real time with an offset (rehearsals). `SimClock` belongs to a `VirtualLoop`, an event loop whose
time jumps to the next timer as soon as nothing else can run, so a night passes in seconds and every run of it
in the same order.
"""

import asyncio
import selectors
import time
from collections.abc import Callable
from typing import Any, Protocol, TypeVar

from astrod.domain.instant import SECOND_US
from astrod.errors import Bug

T = TypeVar("T")


class Clock(Protocol):
    """What the daemon asks for the time. Also satisfies `astrod_drivers.protocols.Clock`."""

    def now_us(self) -> int:
        """UTC, integer microseconds since 1970. May step when the host's clock is set."""

    def monotonic_s(self) -> float:
        """Seconds that never jump or stand still; for deadlines and durations."""

    def boottime_us(self) -> int:
        """Microseconds since the host started, suspension included; the same in all its processes."""

    async def sleep(self, seconds: float) -> None:
        """Wait that long; a negative wait is none."""


class WallClock:
    """Real time, shifted by `offset_us`."""

    def __init__(self, offset_us: int = 0) -> None:
        self.offset_us = offset_us

    def now_us(self) -> int:
        return time.time_ns() // 1000 + self.offset_us

    def monotonic_s(self) -> float:
        return time.monotonic()

    def boottime_us(self) -> int:
        return time.clock_gettime_ns(time.CLOCK_BOOTTIME) // 1000

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(max(0.0, seconds))

    def block(self, seconds: float) -> None:
        """Wait outside an event loop, before there is one."""
        time.sleep(seconds)


def cpu_s() -> float:
    """CPU seconds of this process, for reports; not a clock."""
    return time.process_time()


def elapsed_s() -> float:
    """Real seconds since some fixed moment, also in simulated nights; for reports of how long a run took."""
    return time.perf_counter()


class _JumpingSelector(selectors.BaseSelector):
    """A selector that never waits: when there is nothing to read, it moves the loop's time on instead."""

    def __init__(self, advance: Callable[[float | None], None]) -> None:
        self._real = selectors.DefaultSelector()
        self._advance = advance

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        ready = self._real.select(0)
        if not ready and (timeout is None or timeout > 0):
            self._advance(timeout)
        return ready

    def register(self, fileobj: Any, events: int, data: Any = None) -> selectors.SelectorKey:
        return self._real.register(fileobj, events, data)

    def unregister(self, fileobj: Any) -> selectors.SelectorKey:
        return self._real.unregister(fileobj)

    def modify(self, fileobj: Any, events: int, data: Any = None) -> selectors.SelectorKey:
        return self._real.modify(fileobj, events, data)

    def get_map(self) -> Any:
        return self._real.get_map()

    def close(self) -> None:
        self._real.close()


class VirtualLoop(asyncio.SelectorEventLoop):
    """An event loop with its own time, which starts at 0 and jumps from timer to timer.

    Nothing outside may wake it (no threads, no sockets from elsewhere): a loop in which every task waits and no
    timer is set raises Bug instead of hanging.
    """

    def __init__(self) -> None:
        self._virtual_s = 0.0
        super().__init__(_JumpingSelector(self._jump))
        self._clock_resolution = 1e-9

    def time(self) -> float:
        return self._virtual_s

    def _jump(self, timeout: float | None) -> None:
        if timeout is None:
            raise Bug("the simulated night is stuck: every task waits and no timer is set")
        self._virtual_s += timeout


class SimClock:
    """The clock of a `VirtualLoop`; UTC starts at `start_us` when the loop's time is 0.

    `offset_us` shifts one site's idea of UTC, as a badly set clock would.
    """

    def __init__(self, loop: VirtualLoop, start_us: int, offset_us: int = 0) -> None:
        self._loop = loop
        self._start_us = start_us
        self.offset_us = offset_us

    def now_us(self) -> int:
        return self._start_us + round(self._loop.time() * SECOND_US) + self.offset_us

    def monotonic_s(self) -> float:
        return self._loop.time()

    def boottime_us(self) -> int:
        return round(self._loop.time() * SECOND_US)

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(max(0.0, seconds))


def run_virtual(main: Callable[[VirtualLoop], Any]) -> Any:
    """Run the coroutine that `main(loop)` makes on a new virtual loop; returns its result."""
    loop = VirtualLoop()
    with asyncio.Runner(loop_factory=lambda: loop) as runner:
        return runner.run(main(loop))
