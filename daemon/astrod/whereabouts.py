"""Where a parked tube really points: an exposure and its plate solution, whenever safety asks (`interlock = "solve"`).

Nothing of it waits for the archive, for safety waits for it: the frame is recorded nowhere and its pixels are let go.
"""

import asyncio
import itertools
import logging
from collections.abc import Iterator, Mapping

from astrod.domain.exposure import Intent
from astrod.domain.identity import ExposureId, night_of
from astrod.domain.plate import Sighting
from astrod.domain.site import Site
from astrod.domain.sphere import altitude_azimuth_deg
from astrod.errors import AstrodError
from astrod.frames.landing import withdraw
from astrod.rig.exposing import Exposing
from astrod.rig.safety.guard import Guard
from astrod.rig.telescope import Telescope, TrainPorts
from astrod.runtime.clock import Clock
from astrod.solving import Solving

log = logging.getLogger(__name__)

EXPOSURES_S = (2.0, 8.0)
"""Short first: a parked mount does not track, and stars away from the pole leave trails. Then for what is too faint:
a narrow field near the pole, a dense filter, a tube that is not focused yet.
"""
COUNTERS = range(99_999, 99_899, -1)
"""Exposure numbers that no archive allots: they are its last hundred of a night."""
AGAIN_S = 1.0


class Whereabouts:
    """Answers safety's questions for one site."""

    def __init__(
        self, site: Site, guard: Guard, telescopes: Mapping[str, Telescope], solving: Solving, clock: Clock
    ) -> None:
        self._site, self._guard, self._telescopes = site, guard, telescopes
        self._solving, self._clock = solving, clock
        self._counters: Iterator[int] = itertools.cycle(COUNTERS)

    async def answer(self) -> None:
        """Answer whatever safety asks, for ever; return at once where its interlock never asks."""
        if self._site.roof is None or self._site.roof.interlock != "solve":
            return
        version = 0
        while True:
            try:
                report = await self._guard.changed(version)
                version = report.version
                asked = report.sights_wanted.items()
                await asyncio.gather(*(self._tell(rig, number) for rig, number in asked if rig in self._telescopes))
            except AstrodError as fault:
                log.warning("safety was not told where the telescopes point: %s", fault)
                await self._clock.sleep(AGAIN_S)

    async def _tell(self, rig: str, number: int) -> None:
        place = await self.of(rig)
        azimuth_deg, altitude_deg = place if place is not None else (None, None)
        await self._guard.tell_place(rig, number, azimuth_deg, altitude_deg)

    async def of(self, rig: str) -> tuple[float, float] | None:
        """Azimuth and altitude, degrees, at which a rig's first train that sees stars points; None where none does."""
        telescope = self._telescopes[rig]
        trains = sorted(telescope.trains.values(), key=lambda ports: ports.cover is not None)
        for exposure_s, train in itertools.product(EXPOSURES_S, trains):
            sighting = await self._sighting(telescope, train, exposure_s)
            solution = sighting.solution
            if solution is None:
                log.warning("rig %s: %d stars in %g s do not tell where it points", rig, sighting.stars, exposure_s)
            else:
                place = self._site.place
                altitude_deg, azimuth_deg = altitude_azimuth_deg(
                    solution.ra_deg, solution.dec_deg, self._clock.now_us(), place.latitude_deg, place.longitude_deg
                )
                log.info("rig %s points at azimuth %.1f°, altitude %.1f° by the sky", rig, azimuth_deg, altitude_deg)
                return azimuth_deg, altitude_deg
        return None

    async def _sighting(self, telescope: Telescope, train: TrainPorts, exposure_s: float) -> Sighting:
        try:
            intent = self._intent(telescope, train, exposure_s)
            exposed = await Exposing(telescope, self._clock).expose(intent, None)
        except AstrodError as fault:
            log.warning("%s cannot look where it points: %s", train.camera.name, fault)
            return Sighting(None, 0)
        try:
            return await self._solving.sight(exposed, thorough=True)
        finally:
            withdraw(exposed.raw)

    def _intent(self, telescope: Telescope, train: TrainPorts, exposure_s: float) -> Intent:
        night = night_of(self._clock.now_us(), self._site.place.longitude_deg)
        number = ExposureId(self._site.name, night, next(self._counters))
        binning = train.setup.camera.binning
        return Intent(number, "test", telescope.setup.name, train.setup.name, exposure_s, None, None, binning=binning)
