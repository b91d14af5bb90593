"""Where a frame is among the stars, asked of a worker: what centring, flips and the validity gate go by.

A quick look around the place that the mount reports is the rule; only a search for a mount that is lost runs the
programs that take long, in a lane of its own, so that frames go on being judged. The scale of each train is learned
from its first solution and how its frames lie from its last, which makes all later ones faster and surer.
"""

import logging
import math
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from astrod.config.settings import SolveSettings
from astrod.domain.exposure import Intent
from astrod.domain.plate import Expected, PlateSolution, Sighting
from astrod.domain.site import Site, Train
from astrod.domain.sphere import altitude_azimuth_deg
from astrod.errors import InputInvalid
from astrod.rig.exposing import Exposed
from astrod.runtime.clock import Clock
from astrod.runtime.offload import Cost, Offload, WorkerLost

if TYPE_CHECKING:
    from astrod.measure.index import Coverage
    from astrod.measure.solve import Solver

log = logging.getLogger(__name__)

LANE = "frames"
LOST_LANE = "solve"
NEAR = Cost(modelled_s=0.5, deadline_s=30.0)
NEAR_DEG = 0.3
ABOUT_DEG = (1.5, 6.0)
"""Looked around a mount's word: first as near as one that was centred is, then as far as one may be off."""
SEARCH_STARS = 8
"""With fewer stars a frame that is not solved says nothing: it is cloud, dew or a cover."""
LEARNED_ERROR = 0.01

Stars = Callable[[float, float, float, int], Any]
"""Catalogue stars, as `measure.match.StarsNear`, which imports numpy and so cannot be named here."""


def _solver(settings: SolveSettings, stars: Stars | None) -> "Solver":
    """In the worker: what there is to solve with."""
    from astrod.measure.index import IndexStars, index_files
    from astrod.measure.solve import Solver

    if stars is None and index_files(settings.index_dirs):
        stars = IndexStars(settings.index_dirs)
    return Solver(stars, settings.index_dirs, settings.solve_field, settings.astap, settings.deadline_s)


def locate(path: Path, places: Sequence[Expected], settings: SolveSettings, stars: Stars | None) -> Sighting:
    """In the worker: the frame's place by a quick look around each of `places` in turn."""
    from astrod.frames.image import read_image
    from astrod.measure.solve import near, spots_of

    spots, solver = spots_of(read_image(path)), _solver(settings, stars)
    solution = next((found for place in places if (found := near(spots, place, solver)) is not None), None)
    return Sighting(solution, len(spots))


def search(path: Path, expected: Expected, settings: SolveSettings, stars: Stars | None) -> Sighting:
    """In the worker: the frame's place anywhere on the sky, first within `expected.within_deg`. Takes long."""
    from astrod.frames.image import read_image
    from astrod.measure.solve import blind, hinted, spots_of

    frame = read_image(path)
    spots, solver = spots_of(frame), _solver(settings, stars)
    solution = hinted(frame, spots, expected, solver) if solver.stars is None else None
    return Sighting(solution or blind(frame, spots, expected, solver), len(spots))


def rich_fields(
    ra_deg: float, dec_deg: float, field_deg: float, settings: SolveSettings, stars: Stars | None
) -> list[tuple[float, float]]:
    """In the worker: see `measure.solve.rich_fields`."""
    from astrod.measure.solve import rich_fields

    return rich_fields(ra_deg, dec_deg, field_deg, _solver(settings, stars))


def field_arcmin(train: Train, width_px: int, height_px: int, pixel_um: float) -> tuple[float, float]:
    """A train's field of view, arcminutes."""
    scale = pixel_um / train.focal_length_mm * 206.265 / 60.0
    return width_px * scale, height_px * scale


def field_coverage(settings: SolveSettings, width_arcmin: float, height_arcmin: float) -> "Coverage":
    """Whether a field of that size can be solved when the mount is lost, and what to install; for `doctor`."""
    from astrod.measure.solve import covered

    return covered(_solver(settings, None), width_arcmin, height_arcmin)


class Solving:
    """Solves the frames of all rigs of a site. `last` is each train's last solution."""

    def __init__(
        self, site: Site, settings: SolveSettings, stars: Stars | None, offload: Offload, clock: Clock
    ) -> None:
        self._site, self._settings, self._stars = site, settings, stars
        self._offload, self._clock = offload, clock
        self._known: dict[tuple[str, str, int], PlateSolution] = {}
        self._indexed = any(next(folder.glob("index-*.fits"), None) for folder in settings.index_dirs)
        self.last: dict[tuple[str, str], PlateSolution] = {}

    @property
    def able(self) -> bool:
        """Whether there is anything to solve with: a catalogue, an index or ASTAP."""
        return self._stars is not None or self._indexed or self._settings.astap is not None

    async def sight(self, exposed: Exposed, thorough: bool) -> Sighting:
        """Where a frame is. `thorough`: search the whole sky for one that shows stars and is not near its place.

        Never raises for a frame that cannot be solved or a worker that dies over it: that is no solution.
        """
        expected = self._expected(exposed)
        if expected is None or not self.able:
            return Sighting(None, 0)
        places = [replace(expected, within_deg=within_deg) for within_deg in (NEAR_DEG, *ABOUT_DEG)]
        sighting = await self._ask(LANE, NEAR, locate, exposed, places)
        if sighting.solution is None and sighting.stars >= SEARCH_STARS and (thorough or not self._has_stars):
            slow = Cost(modelled_s=10.0, deadline_s=3.0 * self._settings.deadline_s + 30.0)
            sighting = await self._ask(LOST_LANE, slow, search, exposed, replace(expected, within_deg=10.0))
        return self._believed(exposed, sighting)

    async def off_target_arcmin(self, exposed: Exposed) -> float | None:
        """How far a light frame is from its target by the stars in it; None where they do not say."""
        intent, expected = exposed.intent, self._expected(exposed)
        if not (self._settings.lights and self._has_stars) or expected is None:
            return None
        if intent.ra_deg is None or intent.dec_deg is None:
            return None
        places = [replace(expected, within_deg=within_deg) for within_deg in (NEAR_DEG, ABOUT_DEG[0])]
        solution = self._believed(exposed, await self._ask(LANE, NEAR, locate, exposed, places)).solution
        return None if solution is None else solution.off_arcsec(intent.ra_deg, intent.dec_deg) / 60.0

    def knows_field(self, intent: Intent) -> bool:
        """Whether the train's last solution was of the field that this exposure is to show: then it can be solved."""
        found = self.last.get((intent.rig, intent.train))
        if found is None or intent.ra_deg is None or intent.dec_deg is None:
            return False
        return found.off_arcsec(intent.ra_deg, intent.dec_deg) <= 3600.0 * ABOUT_DEG[0]

    async def rich_fields(self, ra_deg: float, dec_deg: float, field_deg: float) -> list[tuple[float, float]]:
        """Places near by with more bright stars than others; empty where no catalogue tells."""
        try:
            return await self._offload.run(
                LANE, NEAR, rich_fields, ra_deg, dec_deg, field_deg, self._settings, self._stars
            )
        except WorkerLost as fault:
            log.warning("no star field found: %s", fault)
            return []

    @property
    def _has_stars(self) -> bool:
        return self._stars is not None or self._indexed

    def _train(self, exposed: Exposed) -> Train:
        rig = next(rig for rig in self._site.rigs if rig.name == exposed.intent.rig)
        return next(train for train in rig.trains if train.name == exposed.intent.train)

    def _expected(self, exposed: Exposed) -> Expected | None:
        """What is expected of a frame; None where mount or camera say what cannot be."""
        intent, mount, pixel_um = exposed.intent, exposed.mount, exposed.camera.pixel_um
        if not (math.isfinite(mount.ra_deg) and abs(mount.dec_deg) <= 90.0 and 0.5 <= pixel_um <= 100.0):
            return None
        known = self._known.get((intent.rig, intent.train, intent.binning))
        if known is not None:
            place = mount.ra_deg, mount.dec_deg
            return Expected(*place, known.scale_arcsec_px, NEAR_DEG, LEARNED_ERROR, known.orientation)
        scale = pixel_um * intent.binning / self._train(exposed).focal_length_mm * 206.265
        return Expected(mount.ra_deg, mount.dec_deg, scale, NEAR_DEG)

    async def _ask(
        self, lane: str, cost: Cost, work: Callable[..., Sighting], exposed: Exposed, expected: object
    ) -> Sighting:
        try:
            return await self._offload.run(lane, cost, work, exposed.raw.path, expected, self._settings, self._stars)
        except (WorkerLost, InputInvalid) as fault:
            log.warning("%s cannot be solved: %s", exposed.intent.id, fault)
            return Sighting(None, 0)

    def _believed(self, exposed: Exposed, sighting: Sighting) -> Sighting:
        """The sighting, remembered; one that lies under the horizon is none, whatever solved it."""
        found, place, intent = sighting.solution, self._site.place, exposed.intent
        if found is None:
            return sighting
        up_deg, _ = altitude_azimuth_deg(
            found.ra_deg, found.dec_deg, self._clock.now_us(), place.latitude_deg, place.longitude_deg
        )
        if up_deg < -1.0:
            log.warning("%s would be %.0f° under the horizon; site, time or solution is wrong", intent.id, -up_deg)
            return Sighting(None, sighting.stars)
        self._known[intent.rig, intent.train, intent.binning] = found
        self.last[intent.rig, intent.train] = found
        return sighting
