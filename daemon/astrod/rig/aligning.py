"""Polar alignment: three points on a circle about the polar axis, then the axis followed while its bolts are turned.

    pointing → sighting, three times → following, until stopped or ALIGN_S have passed

Only the polar axis turns between the points: each is sent to the same declination of date. All three lie on the
eastern side of the meridian, so that no mount flips between them.
"""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from astrod.domain.plate import Sighting
from astrod.domain.polar import Aim, PolarError, axis_of, polar_error, turned_axis
from astrod.domain.site import Place
from astrod.domain.sphere import altitude_azimuth_deg, sidereal_deg
from astrod.errors import Replan
from astrod.rig.telescope import Telescope
from astrod.runtime.clock import Clock
from astrod_drivers.protocols import Permit

HOUR_ANGLES_DEG = (-70.0, -45.0, -20.0)
DEC_DEG = 30.0
EXPOSURE_S = 5.0
TRIES = 2
FOLLOW_S = 900.0
EVERY_S = 2.0

Sight = Callable[[float, bool], Awaitable[Sighting]]
"""Expose here for so many seconds and solve the frame; True: search the whole sky if need be."""
Tell = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Equinox:
    """To and from the true equator and equinox of date, degrees, at an instant (`_us`)."""

    of_date: Callable[[float, float, int], tuple[float, float]]
    icrs: Callable[[float, float, int], tuple[float, float]]


class Aligning:
    """One polar alignment of one rig. `tell` hears each step and each new error, in words."""

    def __init__(
        self, telescope: Telescope, place: Place, sight: Sight, equinox: Equinox, clock: Clock, tell: Tell
    ) -> None:
        self._telescope, self._place, self._sight = telescope, place, sight
        self._equinox, self._clock, self._tell = equinox, clock, tell

    async def measure(self, permit: Permit) -> tuple[PolarError, tuple[float, float, float], Aim]:
        """The error by three points, the axis, and the last point. Raises Replan where a point cannot be had."""
        aims = []
        dec_deg = DEC_DEG if self._place.latitude_deg >= 0.0 else -DEC_DEG
        for number, hour_angle_deg in enumerate(HOUR_ANGLES_DEG, 1):
            self._tell(f"point {number} of {len(HOUR_ANGLES_DEG)}: slewing to hour angle {hour_angle_deg:.0f}°")
            now_us = self._clock.now_us()
            here_deg = sidereal_deg(now_us, self._place.longitude_deg)
            target = self._equinox.icrs((here_deg - hour_angle_deg) % 360.0, dec_deg, now_us)
            await self._telescope.slew(*target, permit)
            aims.append(await self._aim())
        try:
            axis = axis_of(aims, self._place.latitude_deg)
        except ValueError as fault:
            raise Replan(f"polar alignment: {fault}") from fault
        error = polar_error(axis, self._place.latitude_deg)
        self._tell(error.advice)
        return error, axis, aims[-1]

    async def follow(self, axis: tuple[float, float, float], start: Aim) -> None:
        """Tell the error again and again while the bolts are turned, for FOLLOW_S at most. The mount must track."""
        until_s = self._clock.monotonic_s() + FOLLOW_S
        self._tell("turn the bolts slowly now; each line is measured anew")
        while self._clock.monotonic_s() < until_s:
            await self._clock.sleep(EVERY_S)
            try:
                turned = turned_axis(axis, start, await self._aim(), tracking=True)
            except ValueError as fault:
                raise Replan(f"polar alignment: {fault}") from fault
            self._tell(polar_error(turned, self._place.latitude_deg).advice)

    async def _aim(self) -> Aim:
        """Where the tube points now. Raises Replan when the frame cannot be solved."""
        for attempt in range(TRIES):
            at_us = self._clock.now_us() + round(EXPOSURE_S * 5e5)
            found = (await self._sight(EXPOSURE_S * (1 + attempt), True)).solution
            if found is not None:
                place = self._equinox.of_date(found.ra_deg, found.dec_deg, at_us)
                where = altitude_azimuth_deg(*place, at_us, self._place.latitude_deg, self._place.longitude_deg)
                return Aim(*where, at_us)
        raise Replan("polar alignment: the frame could not be solved; look at focus and clouds, then begin anew")
