"""Darks, biases and flat-darks of one train: make it dark, wait for the cold, expose until there are enough.

    waiting ── dark ──> cooling ── cold ──> exposing ── enough ──> done
       ^                                        │
       └── light gets in ───────────────────────┤── out of time ──> stopped

The roof may be closed and the sky unsafe: these frames see no sky. What makes it dark is the camera's shutter, else
the cover, else a closed roof at night; where there is none of them no dark is taken.
"""

import logging
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Literal

from astrod.domain.calibration import Recipe
from astrod.errors import AstrodError, Replan
from astrod.rig.telescope import Telescope
from astrod.runtime.clock import Clock

log = logging.getLogger(__name__)

DarkState = Literal["waiting", "cooling", "exposing", "done", "stopped"]
Darkener = Literal["shutter", "cover", "roof"]

NIGHT_BELOW_DEG = -6.0
LOOK_S = 30.0
FAILURES_MAX = 3

TakeDark = Callable[[Recipe], Awaitable[bool]]
"""Take one frame by a recipe and keep it; False when it is of no use. Raises the daemon's errors."""


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What decides whether it is dark in the tube. `roof` is its aperture; None: there is none, or nobody knows."""

    roof: str | None
    sun_altitude_deg: float


@dataclass(frozen=True, slots=True)
class Seen:
    """What `step` asks of the train."""

    time_left: bool
    wanted: bool
    dark: bool
    cold: bool


def darkener(shutter: bool, has_cover: bool, around: Surroundings) -> Darkener | None:
    """What keeps the light out, the surest first; None where nothing does now."""
    if shutter:
        return "shutter"
    if has_cover:
        return "cover"
    night = around.sun_altitude_deg < NIGHT_BELOW_DEG
    return "roof" if around.roof == "closed" and night else None


def step(seen: Seen) -> DarkState:
    """The next state, from the strongest reason to the weakest; it depends on nothing but what is seen."""
    if not seen.wanted:
        return "done"
    if not seen.time_left:
        return "stopped"
    if not seen.dark:
        return "waiting"
    return "exposing" if seen.cold else "cooling"


class Darks:
    """One run on one train. `state` says how far it is. Cancelling it aborts the exposure under way."""

    def __init__(
        self, telescope: Telescope, train: str, take: TakeDark, around: Callable[[], Surroundings], clock: Clock
    ) -> None:
        self._telescope, self._train, self._take = telescope, train, take
        self._around, self._clock = around, clock
        self._covered = False
        self.state: DarkState = "waiting"

    async def run(self, wanted: Sequence[Recipe], until_us: int) -> int:
        """Take what is wanted, in its order; returns how many were kept.

        It ends when all are taken, at `until_us`, or after three failures in a row (of which the last is raised).
        """
        queue, taken, failures = list(wanted), 0, 0
        while True:
            self.state = step(await self._look(queue, until_us))
            if self.state in ("done", "stopped"):
                return taken
            if self.state != "exposing":
                await self._clock.sleep(LOOK_S)
                continue
            try:
                taken += await self._take(queue[0])
                queue.pop(0)
                failures = 0
            except Replan:
                queue.pop(0)
            except AstrodError as fault:
                failures += 1
                log.warning("train %s: a dark failed: %s", self._train, fault)
                if failures >= FAILURES_MAX:
                    raise
                await self._clock.sleep(LOOK_S)

    async def _look(self, queue: Sequence[Recipe], until_us: int) -> Seen:
        if not queue:
            return Seen(time_left=True, wanted=False, dark=False, cold=False)
        ends_us = self._clock.now_us() + round(queue[0].exposure_s * 1e6)
        left = ends_us <= until_us
        dark = left and await self._is_dark()
        return Seen(time_left=left, wanted=True, dark=dark, cold=dark and await self._is_cold(queue[0]))

    async def _is_cold(self, recipe: Recipe) -> bool:
        """A dark at another temperature than its lights' is worth nothing, so there is no deadline but the run's."""
        return recipe.temperature_c is None or await self._telescope.is_cold(self._train)

    async def _is_dark(self) -> bool:
        ports = self._telescope.trains[self._train]
        by = darkener(ports.setup.camera.shutter, ports.cover is not None, self._around())
        if by == "cover":
            await self._close_cover()
        return by is not None

    async def _close_cover(self) -> None:
        cover = self._telescope.trains[self._train].cover
        if cover is None or self._covered:
            return
        async with self._telescope.leases.hold("darks", cover.name):
            await self._telescope.shut(cover)
            state = await cover.call("read the cover", lambda device: device.read())
            if state.brightness:
                await cover.call("switch the light off", lambda device: device.light(0))
        self._covered = True
