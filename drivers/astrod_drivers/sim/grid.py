"""A grid of nearly square cells on the sphere, so that a cone needs to look at a few cells only.

Declination is cut into bands of `step_deg`, each band into as many equal cells of right ascension as make
them about square. Cells are numbered from the south pole, by band, then by right ascension.
"""

import math
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Grid:
    """The grid with bands of `step_deg`, which must divide 180."""

    step_deg: float

    @property
    def bands(self) -> int:
        return round(180.0 / self.step_deg)

    @cached_property
    def widths(self) -> NDArray[np.int64]:
        """How many cells each band has."""
        middle_deg = (np.arange(self.bands) + 0.5) * self.step_deg - 90.0
        count = np.rint(360.0 / self.step_deg * np.cos(np.radians(middle_deg)))
        return np.asarray(np.maximum(1, count), np.int64)

    @cached_property
    def starts(self) -> NDArray[np.int64]:
        """The number of the first cell of each band, and the count of all cells at the end."""
        return np.concatenate([[0], np.cumsum(self.widths)])

    @property
    def cells(self) -> int:
        return int(self.starts[-1])

    def corner_deg(self, cell: int) -> tuple[float, float, float]:
        """Lowest right ascension and declination of a cell, and its width in right ascension, degrees."""
        band = int(np.searchsorted(self.starts, cell, side="right")) - 1
        width_deg = 360.0 / int(self.widths[band])
        return (cell - int(self.starts[band])) * width_deg, band * self.step_deg - 90.0, width_deg

    def area_deg2(self, cell: int) -> float:
        """Solid angle of a cell, square degrees."""
        _, low_deg, width_deg = self.corner_deg(cell)
        height = math.sin(math.radians(low_deg + self.step_deg)) - math.sin(math.radians(low_deg))
        return width_deg * math.degrees(height)

    def locate(self, ra_deg: NDArray[np.float64], dec_deg: NDArray[np.float64]) -> NDArray[np.int64]:
        """The cell of each position."""
        band = np.clip(((dec_deg + 90.0) / self.step_deg).astype(np.int64), 0, self.bands - 1)
        column = ((ra_deg % 360.0) / 360.0 * self.widths[band]).astype(np.int64)
        return self.starts[band] + np.minimum(column, self.widths[band] - 1)

    def runs(self, ra_deg: float, dec_deg: float, radius_deg: float) -> list[tuple[int, int]]:
        """Runs of cells, as (first, last + 1), that together cover the cone; they may reach beyond it."""
        low = max(0, math.floor((dec_deg - radius_deg + 90.0) / self.step_deg))
        high = min(self.bands - 1, math.floor((dec_deg + radius_deg + 90.0) / self.step_deg))
        half_deg = self._half_width_deg(dec_deg, radius_deg)
        return [run for band in range(low, high + 1) for run in self._band_runs(band, ra_deg, half_deg)]

    @staticmethod
    def _half_width_deg(dec_deg: float, radius_deg: float) -> float:
        if abs(dec_deg) + radius_deg >= 90.0:
            return 180.0
        return math.degrees(math.asin(math.sin(math.radians(radius_deg)) / math.cos(math.radians(dec_deg))))

    def _band_runs(self, band: int, ra_deg: float, half_deg: float) -> list[tuple[int, int]]:
        start, width = int(self.starts[band]), int(self.widths[band])
        if half_deg >= 180.0:
            return [(start, start + width)]
        first = math.floor((ra_deg - half_deg) / 360.0 * width)
        last = math.floor((ra_deg + half_deg) / 360.0 * width)
        if last - first + 1 >= width:
            return [(start, start + width)]
        a, b = first % width, last % width
        if a <= b:
            return [(start + a, start + b + 1)]
        return [(start + a, start + width), (start, start + b + 1)]
