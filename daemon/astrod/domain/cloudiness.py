"""How covered the sky is, and where: what an all-sky camera tells the planner and safety."""

import math
from dataclasses import dataclass

BANDS = 9
"""Bands of altitude, 10 degrees each, from the horizon up."""
SECTORS = 24
"""Sectors of azimuth, 15 degrees each, from north through east."""
COVERED_FROM = 0.5

_BAND_DEG = 90.0 / BANDS
_SECTOR_DEG = 360.0 / SECTORS
_LEAST_SEEN = 0.5


@dataclass(frozen=True, slots=True)
class CloudMap:
    """The chance that cloud covers a direction. `chances[band][sector]` is None where the camera sees no sky.

    `is_oriented` is False where nobody knows which way the camera is turned: then all sectors of a band hold its mean.
    """

    at_us: int
    chances: tuple[tuple[float | None, ...], ...]
    is_oriented: bool

    def __post_init__(self) -> None:
        if len(self.chances) != BANDS or any(len(band) != SECTORS for band in self.chances):
            raise ValueError(f"a cloud map has {BANDS} bands of {SECTORS} sectors")
        for band in self.chances:
            if any(chance is not None and not 0.0 <= chance <= 1.0 for chance in band):
                raise ValueError("a chance of cloud lies between 0 and 1")

    def chance(self, azimuth_deg: float, altitude_deg: float) -> float | None:
        """The chance that a direction is covered; None below the horizon and where no sky is seen."""
        if not 0.0 <= altitude_deg <= 90.0:
            return None
        band = min(BANDS - 1, int(altitude_deg / _BAND_DEG))
        return self.chances[band][int(azimuth_deg % 360.0 / _SECTOR_DEG) % SECTORS]

    def is_covered(self, azimuth_deg: float, altitude_deg: float) -> bool | None:
        """Whether a direction is rather covered than clear; None where that is not known."""
        chance = self.chance(azimuth_deg, altitude_deg)
        return None if chance is None else chance >= COVERED_FROM

    def covered_share(self, above_deg: float = 0.0) -> float | None:
        """The covered share of the sky above an altitude, by solid angle; None where less than half of it is seen."""
        whole = seen = covered = 0.0
        for band, sectors in enumerate(self.chances):
            low, high = max(band * _BAND_DEG, above_deg), (band + 1) * _BAND_DEG
            if low >= high:
                continue
            area = (math.sin(math.radians(high)) - math.sin(math.radians(low))) / SECTORS
            for chance in sectors:
                whole += area
                if chance is not None:
                    seen += area
                    covered += area * chance
        return covered / seen if whole > 0.0 and seen >= _LEAST_SEEN * whole else None
