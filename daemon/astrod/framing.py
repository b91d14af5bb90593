"""The camera at the position angle that a target asks for: turned before its first exposure, and after a flip.

A field that cannot be turned is told and exposed as it stands: a rotator that fails costs an angle, never a night.
"""

import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from astrod.domain.plan import Choice
from astrod.domain.plate import PlateSolution, Sighting
from astrod.errors import AstrodError
from astrod.health import Health
from astrod.occupation import Occupation
from astrod.rig.rotating import Framed, Rotating, RotatorFailed
from astrod.rig.telescope import Telescope
from astrod.runtime.clock import Clock
from astrod.runtime.trace import Trace
from astrod_drivers.protocols import Rotator

log = logging.getLogger(__name__)

FAILED_S = 1800.0
"""A rotator that failed is left alone for so long, and frames are taken as the camera stands."""


@dataclass(frozen=True, slots=True)
class Wish:
    """What a camera was turned for: a target, its position angle, and the side of the meridian."""

    target: str
    position_angle_deg: float
    past: bool


class Framing:
    """The rotators of one rig."""

    def __init__(
        self, telescope: Telescope, health: Health, trace: Trace, clock: Clock, occupation: Occupation
    ) -> None:
        self._telescope, self._health, self._trace = telescope, health, trace
        self._clock, self._occupation = clock, occupation
        self._rotating: dict[str, Rotating] = {}
        self._framed: dict[str, Wish] = {}
        self._rests_until_s: dict[str, float] = {}
        for name, train in telescope.trains.items():
            if train.rotator is not None and telescope.setup.mount.kind == "equatorial":
                self._rotating[name] = Rotating(telescope, name)
                train.rotator.on_connect(self._forgetting(name))

    def _forgetting(self, train: str) -> Callable[[Rotator], Awaitable[None]]:
        async def forget(rotator: Rotator) -> None:
            """One that comes back may have lost count: where it stands is asked of the stars again."""
            self._framed.pop(train, None)
            self._rotating[train].forget()

        return forget

    def field_turn_deg(self, train: str, from_rotator_deg: float | None, to_rotator_deg: float | None) -> float:
        """By how much the field of a train turned between two angles of its rotator; 0 where it has none."""
        if train not in self._rotating or from_rotator_deg is None or to_rotator_deg is None:
            return 0.0
        return self._rotating[train].field_turn_deg(from_rotator_deg, to_rotator_deg)

    def is_framed(self, choice: Choice, train: str, past: bool) -> bool:
        """Whether nothing is to be done for this choice: no wish, no rotator, turned already, or given up for now."""
        wish = self._wish(choice, past)
        return wish is None or self._rests(train) or self._framed.get(train) == wish

    async def ahead(self, choice: Choice, train: str, past: bool) -> None:
        """Turn to where the angle was found before, so that the frame that centres verifies it at no cost."""
        wish = self._wish(choice, past)
        if wish is None or self.is_framed(choice, train, past):
            return
        self._occupation.enter("overhead", f"turning the camera for {choice.target}")
        try:
            await self._rotating[train].ahead(wish.position_angle_deg, past)
        except RotatorFailed as fault:
            self._failed(train, str(fault))

    async def frame(
        self,
        choice: Choice,
        train: str,
        past: bool,
        seen: PlateSolution | None,
        sight: Callable[[], Awaitable[Sighting]],
    ) -> PlateSolution | None:
        """Turn the camera until the stars say that it stands as asked; the last solution where it was turned.

        `seen` is a solution of a frame that was taken as the camera stands now. Raises what exposing raises.
        """
        wish = self._wish(choice, past)
        if wish is None or self.is_framed(choice, train, past):
            return None
        self._occupation.enter("overhead", f"turning the camera for {choice.target}")
        try:
            framed = await self._rotating[train].run(wish.position_angle_deg, past, seen, sight)
        except RotatorFailed as fault:
            self._failed(train, str(fault))
            return None
        self._framed[train] = wish
        self._tell(choice, train, framed)
        return framed.solution if framed.turns else None

    def _wish(self, choice: Choice, past: bool) -> Wish | None:
        if choice.position_angle_deg is None:
            return None
        return Wish(choice.target, choice.position_angle_deg, past)

    def _rests(self, train: str) -> bool:
        if train not in self._rotating:
            return True
        if self._telescope.rotator(train) is None:
            self._health.found("AST-143", f"train {train}: its rotator is lost; the camera stays as it stands", train)
            return True
        return self._clock.monotonic_s() < self._rests_until_s.get(train, 0.0)

    def _failed(self, train: str, why: str) -> None:
        self._rests_until_s[train] = self._clock.monotonic_s() + FAILED_S
        self._health.found("AST-143", f"train {train}: {why}; the camera stays as it stands", train)
        self._trace.note("rotator failed", rig=self._telescope.setup.name, train=train, why=why)

    def _tell(self, choice: Choice, train: str, framed: Framed) -> None:
        off_deg = None if framed.off_deg is None else round(framed.off_deg, 2)
        rig = self._telescope.setup.name
        self._trace.note(
            "framed", rig=rig, target=choice.target, state=framed.state, turns=framed.turns, off_deg=off_deg
        )
        if framed.state == "framed":
            self._health.mended("AST-143", train)
        elif framed.state == "unsolved":
            text = f"no frame of {choice.target} could be solved, so nobody knows how the camera stands"
            self._health.found("AST-143", f"train {train}: {text}", train)
        else:
            text = f"{choice.target} stays {framed.off_deg:+.1f}° from the position angle that it asks for"
            self._health.found("AST-143", f"train {train}: {text}", train)


async def turn_for_flats(telescope: Telescope, train: str, angle_deg: float | None) -> bool:
    """Turn the camera to the mechanical angle that flats are wanted for; False where it cannot be had.

    Without an angle, or without a rotator and an angle, there is nothing to do.
    """
    if angle_deg is None:
        return True
    if telescope.rotator(train) is None:
        return False
    try:
        await telescope.turn_rotator(train, angle_deg)
    except AstrodError as fault:
        log.warning("no flats of train %s at %.1f°: %s", train, angle_deg, fault)
        return False
    return True
