"""How long one rig exposes: as long as its request asks, or by halves shorter where the sky or the field forbids it.

A request that says `adapt` leaves the length to the sky, within its bounds: as short as can be without the noise of the
read-out counting, by doubles and halves of what it asks.

Before a long exposure through a glass whose sky is not known, a short test frame looks how bright it is; after that
each light frame tells of the next.
"""

import math
from collections.abc import Awaitable, Callable
from typing import Protocol

from astrod.domain.exposure import Intent
from astrod.domain.plan import Choice
from astrod.domain.site import Site
from astrod.domain.skylight import FULL, Glass, Noise, Skylight, field_turn_deg_s, fitted, halved, longest_turning_s
from astrod.domain.sphere import altitude_azimuth_deg, hour_angle_deg
from astrod.errors import Replan
from astrod.journey import Outcome
from astrod.rig.flipping import SIDEREAL_S_PER_DEG, belongs_east_of_pier
from astrod.rig.telescope import Telescope, TrainPorts
from astrod.runtime.clock import Clock
from astrod.runtime.trace import Trace
from astrod_drivers.protocols import Permit

LOOK_FROM_S = 100.0
"""Shorter exposures cost no more than a look: they are their own."""
LOOK_S = (5.0, 1.0)
"""A look's length; and of the second, which tells the pedestal where the first alone would shorten the exposure."""

Level = Callable[[str, float, Permit], Awaitable[float | None]]
"""Expose a test frame with a train for so many seconds and say its sky's level in ADU, None where it tells none."""


DarkNoise = Callable[[str, Choice], Awaitable[float | None]]
"""The noise, ADU, of a frame that a train takes without light as it would for a choice; None where none was taken."""


async def no_dark_noise(train: str, choice: Choice) -> float | None:
    """For a rig whose darks nobody keeps."""
    return None


class Lengths(Protocol):
    """Who plans the night: hears how long exposures are, and knows how much of the night is left."""

    @property
    def left_s(self) -> float: ...

    def lasts(self, request: str, exposure_s: float) -> None: ...


class ExposureTime:
    """The exposure times of one rig."""

    def __init__(
        self,
        site: Site,
        telescope: Telescope,
        schedule: Lengths,
        level: Level,
        trace: Trace,
        clock: Clock,
        dark_noise: DarkNoise = no_dark_noise,
    ) -> None:
        self._dark_noise = dark_noise
        self._site, self._telescope, self._schedule, self._level = site, telescope, schedule, level
        self._trace, self._clock = trace, clock
        self.skylight = Skylight()

    async def of(self, choice: Choice, train: str, permit: Permit) -> float:
        """How long to expose for a choice, at which the mount points already; seconds.

        Raises Replan where even the shortest frame that its request allows would be full of sky, or end by day.
        """
        setup = self._telescope.trains[train].setup.camera
        glass, full_adu = (train, choice.filter, choice.binning), float(setup.saturation_adu)
        if choice.binning == setup.binning and self._is_to_be_looked_at(choice, glass, full_adu):
            await self._look(choice, glass, full_adu, permit)
        bright_s = self.skylight.longest_s(glass, full_adu, self._clock.now_us())
        turning_s = await self._longest_turning_s(choice, self._telescope.trains[train])
        wished_s = await self._wished_s(choice, train, glass)
        exposure_s = halved(wished_s, min(bright_s, turning_s), choice.exposure_min_s)
        self._schedule.lasts(choice.request, exposure_s)
        left_s = self._schedule.left_s
        exposure_s = halved(exposure_s, left_s, choice.exposure_min_s)
        if exposure_s > left_s:
            raise Replan(f"{left_s:.0f} s are left of the night, too few for {exposure_s:g} s")
        if exposure_s * FULL > bright_s:
            raise Replan(f"the sky is too bright for {exposure_s:g} s: it fills the pixels in {bright_s / FULL:.0f} s")
        if exposure_s != choice.exposure_s and exposure_s == wished_s:
            self._trace.note("adapted", target=choice.target, exposure_s=exposure_s, asked_s=choice.exposure_s)
        elif exposure_s < choice.exposure_s:
            reasons = {bright_s: "the sky is bright", turning_s: "the field turns", left_s: "dawn is near"}
            why = reasons[min(reasons)]
            self._trace.note("shortened", target=choice.target, exposure_s=exposure_s, why=why)
        return exposure_s

    async def _wished_s(self, choice: Choice, train: str, glass: Glass) -> float:
        """What the request asks; where it adapts, as long as the sky's noise needs to drown the read-out's.

        A frame that grows must still end before the mount has to change sides.
        """
        if not choice.adapt:
            return choice.exposure_s
        dark_noise_adu = await self._dark_noise(train, choice)
        if dark_noise_adu is None:
            return choice.exposure_s
        wanted_s = self.skylight.swamped_s(glass, dark_noise_adu, self._clock.now_us())
        if wanted_s is None:
            return choice.exposure_s
        longest_s = min(choice.exposure_max_s or choice.exposure_s, self._until_flip_s(choice))
        return fitted(choice.exposure_s, wanted_s, choice.exposure_min_s, longest_s)

    def _until_flip_s(self, choice: Choice) -> float:
        """The seconds for which the mount tracks the choice on this side of the meridian; infinite past it."""
        mount = self._telescope.setup.mount
        hour_angle = hour_angle_deg(choice.ra_deg, self._clock.now_us(), self._site.place.longitude_deg)
        if mount.kind != "equatorial" or belongs_east_of_pier(mount, hour_angle):
            return math.inf
        return (mount.track_past_meridian_deg - hour_angle) * SIDEREAL_S_PER_DEG

    def hear(self, outcome: Outcome) -> None:
        """What a light frame showed of the sky."""
        intent, now_us = outcome.intent, self._clock.now_us()
        if intent.target is None:
            return
        if outcome.overflowed:
            full_adu = float(self._telescope.trains[intent.train].setup.camera.saturation_adu)
            self.skylight.overflowed(_glass(intent), intent.target, intent.exposure_s, full_adu, now_us)
        elif outcome.measured is not None and outcome.measured.background is not None:
            level_adu = outcome.measured.background
            self.skylight.measured(_glass(intent), intent.target, intent.exposure_s, level_adu, now_us)
            if outcome.measured.noise is not None:
                self.skylight.noises[_glass(intent)] = Noise(outcome.measured.noise, intent.exposure_s, now_us)

    def _is_to_be_looked_at(self, choice: Choice, glass: Glass, full_adu: float) -> bool:
        if choice.exposure_s < LOOK_FROM_S:
            return False
        now_us = self._clock.now_us()
        return not self.skylight.is_known(glass, choice.target, choice.exposure_s, full_adu, now_us)

    async def _look(self, choice: Choice, glass: Glass, full_adu: float, permit: Permit) -> None:
        """Measure the sky by one test frame, by two where the pedestal matters and is not known."""
        long_s, short_s = LOOK_S
        level_adu = await self._level(glass[0], long_s, permit)
        if level_adu is None:
            return
        self.skylight.measured(glass, choice.target, long_s, level_adu, self._clock.now_us())
        fits = self.skylight.longest_s(glass, full_adu, self._clock.now_us()) >= choice.exposure_s
        if fits or (glass[0], glass[2]) in self.skylight.pedestals:
            return
        short_adu = await self._level(glass[0], short_s, permit)
        if short_adu is not None and level_adu < full_adu:
            self.skylight.compared(glass, (short_s, short_adu), (long_s, level_adu))
            self.skylight.measured(glass, choice.target, long_s, level_adu, self._clock.now_us())

    async def _longest_turning_s(self, choice: Choice, train: TrainPorts) -> float:
        """By the field's turning; infinite for a mount whose field stands still, and behind a rotator, whose
        driver follows the field by itself.
        """
        if self._telescope.setup.mount.kind == "equatorial" or train.rotator is not None:
            return math.inf
        place = self._site.place
        where = choice.ra_deg, choice.dec_deg, self._clock.now_us(), place.latitude_deg, place.longitude_deg
        camera = await train.camera.call("describe the camera", lambda device: device.describe())
        turn_deg_s = field_turn_deg_s(*altitude_azimuth_deg(*where), place.latitude_deg)
        return longest_turning_s(turn_deg_s, camera.width_px // choice.binning, camera.height_px // choice.binning)


def _glass(intent: Intent) -> Glass:
    return intent.train, intent.filter, intent.binning
