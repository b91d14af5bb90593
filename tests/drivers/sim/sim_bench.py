"""A clock that jumps from one awaited instant to the next, and an observatory under it."""

import asyncio
import heapq
from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeVar

import pytest

from astrod_drivers.permit import EpochCell
from astrod_drivers.protocols import Permit
from astrod_drivers.sim.observatory import Observatory
from astrod_drivers.sim.render import save
from astrod_drivers.sim.scene import Scene, Sensor
from astrod_drivers.sim.setup import CameraSetup, MountSetup, ObservatorySetup, TrainSetup

T = TypeVar("T")
EVENING_US = int(datetime(2026, 12, 14, 19, 0, tzinfo=UTC).timestamp()) * 1_000_000


class JumpingClock:
    """A `protocols.Clock` whose time stands still until `play` has nothing left to do at this instant."""

    def __init__(self, start_us: int = EVENING_US) -> None:
        self._now_us = start_us
        self._start_us = start_us
        self._waiting: list[tuple[int, int, asyncio.Future[None]]] = []
        self._count = 0

    def now_us(self) -> int:
        return self._now_us

    def monotonic_s(self) -> float:
        return (self._now_us - self._start_us) / 1e6

    def sleep(self, seconds: float) -> Awaitable[None]:
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._count += 1
        heapq.heappush(self._waiting, (self._now_us + round(seconds * 1e6), self._count, future))
        return future

    async def play(self, story: Coroutine[Any, Any, T]) -> T:
        """Run a coroutine to its end, letting time jump whenever all wait."""
        task = asyncio.create_task(story)
        while not task.done():
            for _ in range(20):
                await asyncio.sleep(0)
            if not task.done() and self._waiting:
                self._now_us, _, future = heapq.heappop(self._waiting)
                if not future.done():
                    future.set_result(None)
        return await task


@dataclass
class Bench:
    """An observatory, its clock and its gate; `rendered` counts the frames that were made."""

    clock: JumpingClock
    gate: EpochCell
    observatory: Observatory
    rendered: list[Scene] = field(default_factory=list)

    @property
    def permit(self) -> Permit:
        return Permit(self.gate.epoch)

    def device(self, name: str) -> Any:
        """The device, untyped: tests name its kind by the way they use it."""
        return self.observatory.device(name)

    def bare(self, name: str) -> Any:
        """The device itself, with what the simulation knows of it."""
        return self.observatory.bare(name)


SMALL = ObservatorySetup(
    mounts=(MountSetup(trains=(TrainSetup(camera=CameraSetup(sensor=Sensor(width_px=242, height_px=136))),)),)
)


@pytest.fixture
def bench(tmp_path: Path) -> Callable[..., Bench]:
    """Makes a bench; keyword arguments: setup, start_us, spool."""

    def make(setup: ObservatorySetup = SMALL, start_us: int = EVENING_US, spool: Path = tmp_path) -> Bench:
        clock, gate = JumpingClock(start_us), EpochCell()
        gate.become_safe()
        rendered: list[Scene] = []

        async def render(scene: Scene, path: Path) -> None:
            rendered.append(scene)
            await asyncio.sleep(0)
            save(scene, path)

        return Bench(clock, gate, Observatory(setup, clock, gate, spool, render), rendered)

    return make
