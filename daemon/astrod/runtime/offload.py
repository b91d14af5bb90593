"""Work off the loop, in named lanes.

A lane does one piece of work at a time, in order. `WallOffload` gives a lane a thread (for SQLite) or a worker
process (for pixels, for solving) that is started when first needed, killed when it misses its deadline and let
go when it has been idle. `VirtualOffload` does the same work for a night on the simulated clock: the result
arrives at start + a modelled duration, and time never passes that instant before the work is done.
"""

import asyncio
import concurrent.futures
import multiprocessing
import multiprocessing.connection
import random
import threading
from collections.abc import Callable
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from typing import Any, ParamSpec, Protocol, TypeVar

from astrod.errors import Bug, Retry
from astrod.runtime.clock import Clock
from astrod_drivers.host import die_with_parent

P = ParamSpec("P")
T = TypeVar("T")
IDLE_S = 600.0


class WorkerLost(Retry):
    """The worker process died or missed its deadline and was killed; the next call starts a new one."""


class Offload(Protocol):
    """Where work goes that would hold up the loop."""

    async def run(self, lane: str, cost: "Cost", work: Callable[..., T], *args: Any) -> T:
        """`work(*args)` in that lane. Raises what `work` raises, or WorkerLost."""

    def close(self) -> None:
        """End all workers now."""


@dataclass(frozen=True, slots=True)
class Cost:
    """What a piece of work costs: modelled seconds (for simulated nights) and the real deadline."""

    modelled_s: float
    deadline_s: float


def _serve(pipe: multiprocessing.connection.Connection) -> None:
    """A worker process: answer calls until the pipe closes (also when the parent dies)."""
    while True:
        try:
            work, args = pipe.recv()
        except EOFError:
            return
        try:
            answer = (True, work(*args))
        except Exception as fault:  # noqa: BLE001 - whatever it was, the parent raises it
            answer = (False, fault)
        try:
            pipe.send(answer)
        except (TypeError, AttributeError, ValueError) as fault:  # it could not be pickled
            pipe.send((False, Bug(f"a worker's answer cannot be sent: {fault}")))
        except BrokenPipeError:
            return  # the parent has ended, and nobody waits for the answer


class _ProcessLane:
    """One worker process, one call at a time."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._context = multiprocessing.get_context("spawn")
        self._process: Any = None
        self._pipe: multiprocessing.connection.Connection | None = None
        self._turn = asyncio.Lock()
        self._retirement: asyncio.TimerHandle | None = None

    def _start(self) -> multiprocessing.connection.Connection:
        ours, theirs = self._context.Pipe()
        self._process = self._context.Process(target=_serve, args=(theirs,), name=f"astrod-{self._name}", daemon=True)
        self._process.start()
        theirs.close()
        self._pipe = ours
        return ours

    def stop(self) -> None:
        """Kill the worker, if there is one."""
        if self._retirement is not None:
            self._retirement.cancel()
        process, self._process, self._pipe = self._process, None, None
        if process is not None:
            process.kill()  # whoever still reads from its pipe sees its end, and closes it
            process.join(5.0)

    async def run(self, deadline_s: float, work: Callable[..., T], args: tuple[Any, ...]) -> T:
        async with self._turn:
            if self._retirement is not None:
                self._retirement.cancel()
            loop = asyncio.get_running_loop()
            try:
                done, value = await self._exchange(loop, deadline_s, (work, args))
            except asyncio.CancelledError:
                self.stop()
                raise
            except TimeoutError as fault:  # before OSError, of which it is a kind
                self.stop()
                raise WorkerLost(f"the {self._name} worker took over {deadline_s:g} s and was killed") from fault
            except (EOFError, OSError) as fault:
                self.stop()
                raise WorkerLost(f"the {self._name} worker died; it is started again for the next frame") from fault
            self._retirement = loop.call_later(IDLE_S, self.stop)
        if not done:
            raise value
        return value  # type: ignore[no-any-return]

    async def _exchange(self, loop: asyncio.AbstractEventLoop, deadline_s: float, call: Any) -> tuple[bool, Any]:
        answer: asyncio.Future[tuple[bool, Any]] = loop.create_future()

        def settle(setter: Callable[[Any], None], value: Any) -> None:
            if not answer.done():
                setter(value)

        pipe = self._pipe or self._start()

        def ask() -> None:  # in a thread of its own: killing the worker ends its recv
            try:
                pipe.send(call)
                loop.call_soon_threadsafe(settle, answer.set_result, pipe.recv())
            except (EOFError, OSError) as fault:
                loop.call_soon_threadsafe(settle, answer.set_exception, fault)

        threading.Thread(target=ask, name=f"astrod-{self._name}", daemon=True).start()
        async with asyncio.timeout(deadline_s):
            return await answer


class WallOffload:
    """Lanes in real time. Lanes named in `threads` run in a thread of this process, all others in a worker."""

    def __init__(self, threads: tuple[str, ...] = ("archive",)) -> None:
        self._threads = {
            name: concurrent.futures.ThreadPoolExecutor(1, thread_name_prefix=f"astrod-{name}") for name in threads
        }
        self._lanes: dict[str, _ProcessLane] = {}

    async def run(self, lane: str, cost: Cost, work: Callable[..., T], *args: Any) -> T:
        """See `Offload.run`. A thread cannot be killed: its missed deadline raises WorkerLost, the work goes on."""
        if lane in self._threads:
            future = asyncio.get_running_loop().run_in_executor(self._threads[lane], work, *args)
            try:
                async with asyncio.timeout(cost.deadline_s):
                    return await asyncio.shield(future)
            except TimeoutError as fault:
                raise WorkerLost(f"the {lane} thread took over {cost.deadline_s:g} s") from fault
        return await self._lanes.setdefault(lane, _ProcessLane(lane)).run(cost.deadline_s, work, args)

    def close(self) -> None:
        """See `Offload.close`. Threads end after the work they have begun."""
        for lane in self._lanes.values():
            lane.stop()
        for pool in self._threads.values():
            pool.shutdown(wait=True)


def _pool() -> concurrent.futures.ProcessPoolExecutor:
    """One process, which ends with its parent, however that ends."""
    spawn = multiprocessing.get_context("spawn")
    return concurrent.futures.ProcessPoolExecutor(max_workers=1, mp_context=spawn, initializer=die_with_parent)


class VirtualOffload:
    """Lanes on the simulated clock. Lanes in `processes` use a real worker process, so that two cores help."""

    def __init__(self, clock: Clock, seed: int, processes: tuple[str, ...] = ()) -> None:
        self._clock = clock
        self._seed = seed
        self._calls: dict[str, int] = {}
        self._turns: dict[str, asyncio.Lock] = {}
        self._pools = {name: _pool() for name in processes}

    def _duration_s(self, lane: str, modelled_s: float) -> float:
        count = self._calls[lane] = self._calls.get(lane, 0) + 1
        return modelled_s * random.Random(f"{self._seed}/{lane}/{count}").uniform(0.8, 1.3)

    async def run(self, lane: str, cost: Cost, work: Callable[..., T], *args: Any) -> T:
        """See `Offload.run`."""
        async with self._turns.setdefault(lane, asyncio.Lock()):
            duration_s = self._duration_s(lane, cost.modelled_s)
            if lane in self._pools:
                future = self._pools[lane].submit(work, *args)
                await self._clock.sleep(duration_s)
                try:
                    return future.result()  # blocks on purpose: simulated time stands still until the work is done
                except BrokenProcessPool as fault:
                    self._pools[lane] = _pool()
                    raise WorkerLost(f"the {lane} worker died; it is started again") from fault
            value = work(*args)
            await self._clock.sleep(duration_s)
            return value

    async def drain(self) -> None:
        """Let each worker end what it has begun, whose caller is gone; simulated time stands still meanwhile."""
        for pool in self._pools.values():
            pool.submit(int).result()

    def close(self) -> None:
        """See `Offload.close`."""
        for pool in self._pools.values():
            pool.shutdown(wait=True, cancel_futures=True)
