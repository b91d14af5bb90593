"""Centring: a short exposure, its plate solution, a correction; until the sky says that the target is in the middle.

    exposing → solving ─ within the tolerance ──────────→ centred
       ↑          ├─ off: correcting (sync, or offset) ─→ exposing, or centred where the correction was small
       │          ├─ off for the last time ─────────────→ off
       └──────────┴─ unsolved: once more, exposed longer; then → unsolved

A frame that nobody can solve costs no target: the mount's own word then stands, and the caller is told.
"""

import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Literal

from astrod.domain.plate import PlateSolution, Sighting
from astrod.domain.site import MountSetup
from astrod.rig.telescope import Telescope
from astrod_drivers.protocols import Permit

log = logging.getLogger(__name__)

Sight = Callable[[float, bool], Awaitable[Sighting]]
"""Expose here for so many seconds and solve the frame; True: search the whole sky if need be."""

CentringState = Literal["exposing", "solving", "correcting", "centred", "unsolved", "off"]

LONGER = 4.0
UNSOLVED_MAX = 2
TRUSTED = 8.0
"""A correction of up to so many tolerances is taken as done: the light frame that follows is solved anyway."""


@dataclass(frozen=True, slots=True)
class Centred:
    """How centring ended. `off_arcsec` is the last distance measured, before a last trusted correction."""

    state: CentringState
    exposures: int
    off_arcsec: float | None
    solution: PlateSolution | None


def tolerance_arcsec(setup: MountSetup, width_arcsec: float, height_arcsec: float) -> float:
    """How near the target must be: as configured, else a twentieth of the field's shorter side, 20″ at least.

    Never more than half of what counts as on target, or a frame centred within it could fail the validity gate.
    """
    if setup.centre_within_arcsec is not None:
        return setup.centre_within_arcsec
    return min(max(20.0, 0.05 * min(width_arcsec, height_arcsec)), 30.0 * setup.on_target_arcmin)


class Centring:
    """One centring of one mount. `state` says how far it is."""

    def __init__(self, telescope: Telescope, sight: Sight, within_arcsec: float) -> None:
        self._telescope, self._sight, self._within = telescope, sight, within_arcsec
        self.state: CentringState = "exposing"

    async def run(self, ra_deg: float, dec_deg: float, permit: Permit) -> Centred:
        """Centre what the mount already tracks. Raises what slewing and exposing raise; nothing is undone then."""
        setup = self._telescope.setup.mount
        async with self._telescope.leases.hold("centre", self._telescope.mount.name):
            unsolved, exposures = 0, 0
            last: PlateSolution | None = None
            while exposures < setup.centre_tries + unsolved:
                self.state = "exposing"
                sighting = await self._sight(setup.centre_exposure_s * LONGER**unsolved, unsolved > 0)
                exposures += 1
                self.state = "solving"
                if sighting.solution is None:
                    unsolved += 1
                    if unsolved >= UNSOLVED_MAX:
                        return self._ended("unsolved", exposures, ra_deg, dec_deg, last)
                    continue
                last = sighting.solution
                if last.off_arcsec(ra_deg, dec_deg) <= self._within:
                    return self._ended("centred", exposures, ra_deg, dec_deg, last)
                await self._correct(last, ra_deg, dec_deg, permit)
                if last.off_arcsec(ra_deg, dec_deg) <= TRUSTED * self._within:
                    return self._ended("centred", exposures, ra_deg, dec_deg, last)
            return self._ended("off", exposures, ra_deg, dec_deg, last)

    async def _correct(self, seen: PlateSolution, ra_deg: float, dec_deg: float, permit: Permit) -> None:
        self.state = "correcting"
        log.info("%s points %.0f″ beside its target", self._telescope.mount.name, seen.off_arcsec(ra_deg, dec_deg))
        await self._telescope.align(seen.ra_deg, seen.dec_deg)
        await self._telescope.slew(ra_deg, dec_deg, permit)

    def _ended(
        self, state: CentringState, exposures: int, ra_deg: float, dec_deg: float, seen: PlateSolution | None
    ) -> Centred:
        self.state = state
        return Centred(state, exposures, seen.off_arcsec(ra_deg, dec_deg) if seen else None, seen)
