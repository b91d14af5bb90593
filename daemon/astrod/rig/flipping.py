"""The meridian flip of a German equatorial: when it is due, and whether it really happened.

West of the pier (`pier_side` "west") the tube looks east; past the meridian it must change to the east side, which
a mount does when it is slewed to its target anew. Two witnesses say whether it did: the pier side, where the mount
tells one, and the field, which has turned by 180 degrees. The field decides where they differ. No witness is ever
taken to mean that no flip is needed: the slew is sent anyway.

    turning → verifying ─ flipped ──────────────────────→ done
       ↑          ├─ no witness ────────────────────────→ done, unverified
       │          └─ not flipped: by way of a place farther west, once more
       └──────────────┘        then: tracking off, parked → failed
"""

import logging
import math
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Literal

from astrod.domain.plate import turned_half
from astrod.domain.site import MountSetup
from astrod.errors import AstrodError, GoSafe, Replan
from astrod.rig.telescope import Telescope
from astrod_drivers.protocols import MountState, Permit, PierSide

log = logging.getLogger(__name__)

Rotation = Callable[[], Awaitable[float | None]]
"""The field's rotation as a frame taken now shows it, degrees; None where it cannot be had."""

FlipState = Literal["turning", "verifying", "done", "failed"]
Witness = Literal["pier side", "rotation", "none"]

TRIES = 2
DETOUR_DEG = 25.0
WAIT_MAX_S = 900.0
SIDEREAL_S_PER_DEG = 239.345


class FlipFailed(Replan):
    """The mount did not change sides; it has stopped, and is parked or parking. Targets past the meridian must wait."""


@dataclass(frozen=True, slots=True)
class FlipRun:
    """A flip that was done, in how many tries, and who bears witness to it."""

    tries: int
    witness: Witness


def belongs_east_of_pier(setup: MountSetup, hour_angle: float) -> bool:
    """Whether the tube must be east of the pier for a target at this hour angle: past the meridian far enough.

    Never for an alt-azimuth. An hour angle that is no number counts as past: unknown never means that no flip is
    needed.
    """
    return setup.kind == "equatorial" and not hour_angle <= setup.flip_after_deg


def wait_for_flip_s(setup: MountSetup, hour_angle: float, exposure_s: float) -> float:
    """How long to wait before a flip rather than begin an exposure that would end past the tracking limit.

    0 where the exposure may begin. Raises Replan where the wait would be over a quarter of an hour.
    """
    if setup.kind != "equatorial" or belongs_east_of_pier(setup, hour_angle):
        return 0.0
    end_deg = hour_angle + exposure_s / SIDEREAL_S_PER_DEG
    if end_deg <= setup.track_past_meridian_deg:
        return 0.0
    wait_s = (setup.flip_after_deg - hour_angle) * SIDEREAL_S_PER_DEG + 1.0
    if wait_s > WAIT_MAX_S:
        raise Replan(
            f"an exposure of {exposure_s:g} s would end {end_deg:.1f}° past the meridian, and the mount tracks to "
            f"{setup.track_past_meridian_deg:g}°; shorter exposures would fit"
        )
    return wait_s


class Flipping:
    """One flip of one mount. `state` says how far it is."""

    def __init__(self, telescope: Telescope, rotation: Rotation, before_deg: float | None) -> None:
        """`before_deg` is the field's rotation with the tube west of the pier, None where it was never seen."""
        self._telescope, self._rotation, self._before_deg = telescope, rotation, before_deg
        self.state: FlipState = "turning"

    async def run(self, ra_deg: float, dec_deg: float, permit: Permit) -> FlipRun:
        """Slew to a target past the meridian and see to it that the tube is then east of the pier.

        Raises FlipFailed when it is not after two tries: the mount then stands still and parks.
        """
        async with self._telescope.leases.hold("flip", self._telescope.mount.name):
            for attempt in range(1, TRIES + 1):
                self.state = "turning"
                if attempt > 1:
                    await self._detour(ra_deg, dec_deg, permit)
                state = await self._telescope.slew(ra_deg, dec_deg, permit)
                self.state = "verifying"
                flipped, witness = await self._flipped(state)
                if flipped:
                    self.state = "done"
                    return FlipRun(attempt, witness)
                log.warning("%s did not change sides (by its %s)", self._telescope.mount.name, witness)
            self.state = "failed"
            await self._give_up()
            raise FlipFailed(f"{self._telescope.mount.name} did not change sides in {TRIES} tries; it was parked")

    async def _flipped(self, state: MountState) -> tuple[bool, Witness]:
        """What the witnesses say. The field is asked only where the pier side does not speak for a flip."""
        if state.pier_side == "east":
            return True, "pier side"
        now_deg = await self._rotation() if self._before_deg is not None else None
        if self._before_deg is not None and now_deg is not None and math.isfinite(now_deg):
            return turned_half(self._before_deg, now_deg), "rotation"
        side: PierSide | None = state.pier_side
        return (False, "pier side") if side == "west" else (True, "none")

    async def _detour(self, ra_deg: float, dec_deg: float, permit: Permit) -> None:
        """Far west of the target first: some mounts change sides only on a long way."""
        try:
            await self._telescope.slew((ra_deg - DETOUR_DEG) % 360.0, dec_deg, permit)
        except GoSafe:
            raise
        except Replan as fault:  # too low, or refused: then the way back is simply shorter
            log.info("no detour: %s", fault)

    async def _give_up(self) -> None:
        """Tracking off, whatever it takes: the tube must not follow the sky into the pier. Then park."""
        for what, action in (("stop", self._telescope.stand_still), ("park", self._telescope.park)):
            try:
                await action()
            except AstrodError as fault:  # the other one may still work
                log.critical("%s: cannot %s: %s", self._telescope.mount.name, what, fault)
