"""Turning a camera to a position angle: the rotator turns it, and the stars say where it really stands.

    seen ─ within the tolerance ──────────────────────────→ framed
      └─ off: turning → looking ─ within the tolerance ───→ framed
                 ↑          ├─ off: turning again; the other way round where it went the wrong way
                 └──────────┤
                            ├─ off after the last turn ───→ off
                            └─ no solution ───────────────→ unsolved

A rotator tells a mechanical angle, which says nothing of the sky before a frame was solved; and which way round it
counts depends on the optics. Both are learned from the frames. Past the meridian a German mount shows the field
turned by 180 degrees, so what was learned on one side of the pier serves the other as well.
"""

import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Literal

from astrod.domain.plate import PlateSolution, Sighting, turn_deg
from astrod.errors import OutcomeUnknown, RecoverDevice, Replan
from astrod.rig.telescope import Telescope

log = logging.getLogger(__name__)

Sight = Callable[[], Awaitable[Sighting]]
"""Expose where the telescope points and solve the frame."""

RotatingState = Literal["seen", "turning", "looking", "framed", "off", "unsolved"]

TURNS = 3
TOLD_DEG = 2.0
"""A smaller turn does not say which way round the rotator counts."""


class RotatorFailed(Replan):
    """The rotator is lost, refuses, or does not arrive; it was told to stop."""


@dataclass(frozen=True, slots=True)
class Framed:
    """How a turn ended. `off_deg` is what was left at the last look, None without one; `solution` is that look."""

    state: RotatingState
    turns: int
    off_deg: float | None
    solution: PlateSolution | None


class Rotating:
    """One train's rotator, and what its frames have told of it. `state` says how far a turn is."""

    def __init__(self, telescope: Telescope, train: str) -> None:
        self._telescope, self._train = telescope, train
        self._within_deg = telescope.trains[train].setup.rotator_within_deg
        self._sense = 1.0
        self._west_zero_deg: float | None = None
        self.state: RotatingState = "seen"

    def forget(self) -> None:
        """The rotator may count from elsewhere now; which way round it counts stays."""
        self._west_zero_deg = None

    def field_turn_deg(self, from_rotator_deg: float, to_rotator_deg: float) -> float:
        """By how much the position angle changes when the rotator goes from one angle to another."""
        return self._sense * (to_rotator_deg - from_rotator_deg)

    async def ahead(self, wanted_deg: float, past: bool) -> bool:
        """Turn to where the position angle was found to be before; False where nothing is known yet.

        `past`: past the meridian, where the field of a German mount is upside down. Raises RotatorFailed.
        """
        if self._west_zero_deg is None:
            return False
        here_deg = await self._here_deg()
        shown_deg = self._west_zero_deg + (180.0 if past else 0.0) + self._sense * here_deg
        await self._turn(here_deg, turn_deg(shown_deg, wanted_deg))
        return True

    async def run(self, wanted_deg: float, past: bool, seen: PlateSolution | None, sight: Sight) -> Framed:
        """Turn until the upper edge of a frame stands at the wanted position angle, as a solved frame shows it.

        `seen` is a solution of a frame taken with the rotator as it stands, None where there is none. Raises what
        exposing raises, and RotatorFailed.
        """
        async with self._telescope.leases.hold("rotate", f"{self._telescope.mount.name} rotator {self._train}"):
            turns = 0
            solution = seen if seen is not None else await self._look(sight)
            while solution is not None:
                here_deg = await self._here_deg()
                self._learn(solution, here_deg, past)
                off_deg = turn_deg(solution.rotation_deg, wanted_deg)
                if abs(off_deg) <= self._within_deg:
                    return self._ended("framed", turns, off_deg, solution)
                if turns >= TURNS:
                    return self._ended("off", turns, off_deg, solution)
                await self._turn(here_deg, off_deg)
                turns += 1
                before, solution = solution, await self._look(sight)
                if solution is not None:
                    self._learn_sense(off_deg, turn_deg(before.rotation_deg, solution.rotation_deg))
            return self._ended("unsolved", turns, None, None)

    async def _look(self, sight: Sight) -> PlateSolution | None:
        self.state = "looking"
        return (await sight()).solution

    async def _turn(self, here_deg: float, by_deg: float) -> None:
        """Turn the field by so much, so that its position angle grows by it."""
        if abs(by_deg) <= 0.5 * self._within_deg:
            return
        self.state = "turning"
        try:
            await self._telescope.turn_rotator(self._train, (here_deg + self._sense * by_deg) % 360.0)
        except (RecoverDevice, Replan) as fault:
            await self._stop()
            raise RotatorFailed(str(fault)) from fault

    async def _here_deg(self) -> float:
        try:
            return await self._telescope.rotator_angle_deg(self._train)
        except (RecoverDevice, Replan) as fault:
            raise RotatorFailed(str(fault)) from fault

    async def _stop(self) -> None:
        """A rotator that did not arrive may still turn, and would smear the next frame."""
        rotator = self._telescope.rotator(self._train)
        if rotator is None:
            return
        try:
            await rotator.call("stop", lambda device: device.abort())
        except (RecoverDevice, OutcomeUnknown, Replan) as fault:
            log.warning("%s does not stop: %s", rotator.name, fault)

    def _learn(self, solution: PlateSolution, here_deg: float, past: bool) -> None:
        turned_deg = solution.rotation_deg - (180.0 if past else 0.0)
        self._west_zero_deg = (turned_deg - self._sense * here_deg) % 360.0

    def _learn_sense(self, asked_deg: float, went_deg: float) -> None:
        """A field that went the other way by about what was asked tells that the rotator counts the other way round.

        By half a turn both ways lead to the same place, and nothing is learned.
        """
        opposite = abs(turn_deg(went_deg, -asked_deg)) < 0.25 * min(abs(asked_deg), 180.0 - abs(asked_deg))
        if abs(asked_deg) > TOLD_DEG and opposite:
            self._sense = -self._sense
            log.info("the rotator of train %s counts the other way round", self._train)

    def _ended(self, state: RotatingState, turns: int, off_deg: float | None, solution: PlateSolution | None) -> Framed:
        self.state = state
        return Framed(state, turns, off_deg, solution)
