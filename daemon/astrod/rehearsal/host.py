"""The computer that the daemon runs on, in a night on the simulated clock: its clock can be wrong, its disk full or
read-only, and all its processes can end at once, to be started again on the same data folder.

A `Life` is one run of the daemon. Every task that is begun in it belongs to it, whoever begins it; when it dies they
are all cancelled, and nothing that a task's own tidying up then tries reaches a device, the archive or the disk, as
a process that was killed tidies nothing up. What the devices do goes on: they are no part of any life.
"""

import asyncio
import contextvars
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, Literal, TypeVar, cast

from astrod.errors import Bug
from astrod.rehearsal.disk import on_bad_disk
from astrod.runtime.clock import SimClock
from astrod.runtime.offload import Cost, Offload
from astrod_drivers.sim.injector import Running

T = TypeVar("T")

DiskState = Literal["full", "read_only"]
ON_DISK = ("frames", "archive")
"""The lanes whose work writes below the data folder."""

_ROUNDS = 500
_life: contextvars.ContextVar["Life | None"] = contextvars.ContextVar("life", default=None)


class Life:
    """One run of the daemon. `died` is done when it was killed, with the seconds until it is started again."""

    def __init__(self) -> None:
        self.died: asyncio.Future[float] = asyncio.get_running_loop().create_future()
        self.tasks: set[asyncio.Task[Any]] = set()

    def kill(self, away_s: float) -> None:
        """End it: from this instant on it can do nothing more."""
        if not self.died.done():
            self.died.set_result(away_s)

    def check(self) -> None:
        """Raise CancelledError in a task of a life that is over."""
        if self.died.done():
            raise asyncio.CancelledError

    def lose(self, task: "asyncio.Task[Any]") -> None:
        """A task is over. Takes note of the error of one that outlived its life: nobody is left to ask for it."""
        self.tasks.discard(task)
        if self.died.done() and not task.cancelled():
            task.exception()

    async def bury(self) -> None:
        """Wait until its tasks are gone; no simulated time passes. Raises Bug for one that does not go."""
        await asyncio.wait(self.tasks, timeout=0.0)  # those begun just now take their first step, which leads nowhere
        for _ in range(_ROUNDS):
            for task in self.tasks:
                task.cancel()
            if not self.tasks:
                return
            await asyncio.wait(self.tasks, timeout=0.0)
        raise Bug(f"tasks outlive the daemon they belong to: {', '.join(sorted(str(task) for task in self.tasks))}")


def own_tasks(loop: asyncio.AbstractEventLoop, coro: Any, context: contextvars.Context | None = None) -> Any:
    """A task factory (`loop.set_task_factory`) by which each task is known to the life that it is begun in."""
    task: asyncio.Task[Any] = asyncio.Task(coro, loop=loop, context=context)
    life = _life.get() if context is None else context.get(_life)
    if life is not None:
        life.tasks.add(task)
        task.add_done_callback(life.lose)
    return task


class Host:
    """The computer. `life` is the daemon's present run; `clock` is the one that the daemon reads."""

    def __init__(self, clock: SimClock, data: Path) -> None:
        self._clock, self._data = clock, data
        self.life = Life()
        self.disk: DiskState | None = None
        self.clock_told_wrong = False
        self.lost_power: Callable[[Running], None] = lambda running: None
        """Told of each power cut before its life ends: what else loses its power is the observatory's business."""

    async def live(self, body: Callable[[], Awaitable[None]]) -> float | None:
        """One run of the daemon; returns None when it ended by itself, else in how many seconds it starts again."""
        life, context = self.life, contextvars.copy_context()
        context.run(_life.set, life)
        task = asyncio.get_running_loop().create_task(_awaited(body), name="daemon", context=context)
        ends: set[asyncio.Future[Any]] = {task, life.died}
        try:
            await asyncio.wait(ends, return_when=asyncio.FIRST_COMPLETED)
        finally:
            if not task.done():
                await life.bury()
        if life.died.done():
            self.life = Life()
            return life.died.result()
        task.result()
        return None

    def strike(self, running: Running, begins: bool) -> None:
        """A fault of the host begins or ends (`Injector.on_host`)."""
        fault = running.fault
        match fault.kind:
            case "clock_step":
                self._clock.offset_us += round(fault.size * 1e6) * (1 if begins else -1)
                self.clock_told_wrong = begins and fault.way == "told"
            case "disk_full" | "disk_read_only":
                self.disk = cast(DiskState, fault.kind.removeprefix("disk_")) if begins else None
            case "power_cut" | "daemon_crash" if begins:
                if fault.kind == "power_cut":
                    self.lost_power(running)
                self.life.kill(fault.size)

    def offload(self, below: Offload) -> Offload:
        """The lanes as the present life has them, on this host's disk."""
        return _HostOffload(self, self.life, self._data, below)


async def _awaited(body: Callable[[], Awaitable[None]]) -> None:
    await body()


class _HostOffload:
    """Implements `Offload`."""

    def __init__(self, host: Host, life: Life, data: Path, below: Offload) -> None:
        self._host, self._life, self._data, self._below = host, life, data, below

    async def run(self, lane: str, cost: Cost, work: Callable[..., T], *args: Any) -> T:
        """See `Offload.run`."""
        self._life.check()
        if self._host.disk is not None and lane in ON_DISK:
            return await self._below.run(lane, cost, on_bad_disk, self._host.disk, self._data, work, *args)
        return await self._below.run(lane, cost, work, *args)

    def close(self) -> None:
        """See `Offload.close`; the lanes below are kept for the next life."""
