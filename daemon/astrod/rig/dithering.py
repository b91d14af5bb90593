"""Dithering: each few exposures the field moves by some pixels, so that no star falls on the same pixel twice.

With a guider the lock moves; without one the mount is sent a little beside its target. Offsets go round the target
by the golden angle at growing and shrinking distances: no two of a night are the same, and none drifts away.
"""

import math
from dataclasses import dataclass

GOLDEN_DEG = 137.50776405003785
GOLDEN_SHARE = 0.6180339887498949


def offset(number: int, amount_px: float) -> tuple[float, float]:
    """The `number`th offset from the target (0 is none), at half to all of `amount_px`."""
    if number <= 0:
        return 0.0, 0.0
    angle = math.radians(GOLDEN_DEG * number)
    distance_px = amount_px * (0.5 + 0.5 * (GOLDEN_SHARE * number % 1.0))
    return distance_px * math.cos(angle), distance_px * math.sin(angle)


@dataclass(frozen=True, slots=True)
class Rhythm:
    """When to dither, counted over the exposures of one target. `number` counts the dithers so far."""

    target: str | None = None
    exposures: int = 0
    number: int = 0

    def on(self, target: str) -> "Rhythm":
        """For the next exposure of `target`; another target begins anew, from its own place."""
        return self if target == self.target else Rhythm(target, number=0)

    def taken(self) -> "Rhythm":
        """After an exposure."""
        return Rhythm(self.target, self.exposures + 1, self.number)

    def is_due(self, every: int) -> bool:
        """Whether the next exposure is to be dithered first: after each `every` of them; 0 is never."""
        return every > 0 and self.exposures >= every

    def dithered(self) -> "Rhythm":
        """After a dither."""
        return Rhythm(self.target, 0, self.number + 1)


def aside(ra_deg: float, dec_deg: float, number: int, amount_arcsec: float) -> tuple[float, float]:
    """ICRS degrees of the `number`th dithered place about a target."""
    east_arcsec, north_arcsec = offset(number, amount_arcsec)
    cos_dec = max(0.05, math.cos(math.radians(dec_deg)))
    north_deg = max(-90.0, min(90.0, dec_deg + north_arcsec / 3600.0))
    return (ra_deg + east_arcsec / 3600.0 / cos_dec) % 360.0, north_deg
