"""The stars that an all-sky camera sees: places and brightness of all to V = 5.5, ICRS at epoch J2000.0.

From the Hipparcos catalogue (ESA 1997, ESA SP-1200), moved from its epoch J1991.25 by its own proper motions; written
by `python -m training.brightstars`.
"""

from dataclasses import dataclass
from functools import cache
from importlib import resources

import numpy as np
from numpy.typing import NDArray

FAINTEST = 5.5


@dataclass(frozen=True, slots=True, eq=False)
class BrightStars:
    """Right ascension, declination (degrees, ICRS) and V magnitude of each star, brightest first."""

    ra_deg: NDArray[np.float64]
    dec_deg: NDArray[np.float64]
    magnitude: NDArray[np.float64]

    def brighter(self, magnitude: float) -> "BrightStars":
        """Those brighter than a magnitude."""
        count = int(np.searchsorted(self.magnitude, magnitude))
        return BrightStars(self.ra_deg[:count], self.dec_deg[:count], self.magnitude[:count])


@cache
def bright_stars() -> BrightStars:
    """The catalogue, read once."""
    text = resources.files("astrod.measure").joinpath("brightstars.csv").read_text(encoding="utf-8")
    rows = [line.split(",") for line in text.splitlines() if not line.startswith("#")]
    table = np.array(rows, dtype=np.float64)
    return BrightStars(table[:, 0].copy(), table[:, 1].copy(), table[:, 2].copy())
