"""Where light is added up before the sensor counts it: stamps of stars, their wings, galaxies."""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from astrod_drivers.sim.psf import Bank

_WING_PX = 400
_UNSEEN = 0.15  # wings end where they fall below this share of the noise
_BATCH = 400_000  # pixels stamped at once

Float32 = NDArray[np.float32]
Float64 = NDArray[np.float64]
Int64 = NDArray[np.int64]


@dataclass(frozen=True, slots=True, eq=False)
class Lights:
    """Points of light: places on the sensor (0 is the middle of the first pixel), electrons, and the factor
    of these that each of the four Bayer positions sees (one row for each light; all alike on a mono
    sensor).
    """

    x: Float64
    y: Float64
    flux_e: Float64
    colour: Float64

    def where(self, keep: NDArray[np.bool_] | slice) -> "Lights":
        """Those lights only."""
        return Lights(self.x[keep], self.y[keep], self.flux_e[keep], self.colour[keep])

    def __len__(self) -> int:
        return len(self.flux_e)


@dataclass(frozen=True, slots=True)
class Ellipse:
    """A galaxy's shape: half-light radius along its major axis, which lies `angle_rad` from up towards
    left.
    """

    radius_px: float
    axis_ratio: float
    angle_rad: float
    elliptical: bool


@dataclass(frozen=True, slots=True, eq=False)
class Canvas:
    """Electrons on the sensor, with a margin around it (an even number of pixels, so that Bayer positions
    stay).

    `noise_e` is the noise of a pixel of plain sky: what is far below it is left out.
    """

    light: Float32
    margin: int
    noise_e: float

    @classmethod
    def blank(cls, height_px: int, width_px: int, margin: int, noise_e: float) -> "Canvas":
        """A dark canvas with a margin of at least `margin`."""
        margin = 2 * ((margin + 2) // 2)
        return cls(np.zeros((height_px + 2 * margin, width_px + 2 * margin), np.float32), margin, noise_e)

    def frame(self) -> Float32:
        """What falls on the sensor."""
        return np.ascontiguousarray(self.light[self.margin : -self.margin, self.margin : -self.margin])

    def add_stars(self, bank: Bank, lights: Lights, least_e: float) -> None:
        """Add the stamp of each light of more than `least_e`; faint ones get the stamp's middle only."""
        reach, margin = bank.radius_px, self.margin
        column, row = np.rint(lights.x), np.rint(lights.y)
        inside = (column > reach - margin) & (column < self.light.shape[1] - margin - reach - 1)
        inside &= (row > reach - margin) & (row < self.light.shape[0] - margin - reach - 1)
        inside &= lights.flux_e * lights.colour.max(axis=1) > least_e
        small = max(2, min(reach, math.ceil(bank.core_px + 1.0)))
        edge = bank.wing(np.array(max(1.0, small - bank.core_px + bank.alpha_px) ** 2))
        faint = lights.flux_e * float(edge) < 0.3 * self.noise_e
        for radius, chosen in ((small, inside & faint), (reach, inside & ~faint)):
            self._stamp(bank.middle(radius), lights.where(chosen))

    def _stamp(self, stamps: Float32, lights: Lights) -> None:
        """Add stamps in batches; `stamps` as in `psf.Bank`."""
        batch = max(1, _BATCH // (stamps.shape[-1] ** 2))
        for start in range(0, len(lights), batch):
            self._stamp_batch(stamps, lights.where(slice(start, start + batch)))

    def _stamp_batch(self, stamps: Float32, lights: Lights) -> None:
        fine, radius, width = len(stamps), stamps.shape[-1] // 2, self.light.shape[1]
        span = np.arange(-radius, radius + 1)
        column, row = np.rint(lights.x).astype(np.int64), np.rint(lights.y).astype(np.int64)
        shift_x = np.minimum(((lights.x - column + 0.5) * fine).astype(np.int64), fine - 1)
        shift_y = np.minimum(((lights.y - row + 0.5) * fine).astype(np.int64), fine - 1)
        light = stamps[shift_y, shift_x] * lights.flux_e.astype(np.float32)[:, None, None]
        light *= _tint(lights.colour.astype(np.float32), column[:, None] + span, row[:, None] + span)
        inner = (span[:, None] * width + span[None, :]).ravel()
        index = ((row + self.margin) * width + column + self.margin)[:, None] + inner
        np.add.at(self.light.reshape(-1), index.reshape(-1), light.reshape(-1))

    def add_wings(self, bank: Bank, lights: Lights) -> None:
        """Add the wings of bright lights beyond their stamps, without colour."""
        flux_e = lights.flux_e * lights.colour.mean(axis=1)
        edge = float(bank.wing(np.array(float(bank.radius_px) ** 2)))
        for k in np.flatnonzero(flux_e * edge > _UNSEEN * self.noise_e):
            radius = min(_WING_PX, math.ceil(bank.wing_radius_px(_UNSEEN * self.noise_e / flux_e[k])))
            self._add_wing(bank, float(lights.x[k]), float(lights.y[k]), float(flux_e[k]), radius)

    def _add_wing(self, bank: Bank, x: float, y: float, flux_e: float, radius: int) -> None:
        rows, columns = self._window(x, y, radius)
        square = (rows[:, None] - y) ** 2 + (columns[None, :] - x) ** 2
        light = flux_e * bank.wing(square)
        light[square > radius**2] = 0.0
        stamped_rows = np.abs(rows - round(y)) <= bank.radius_px
        stamped_columns = np.abs(columns - round(x)) <= bank.radius_px
        light[stamped_rows[:, None] & stamped_columns[None, :]] = 0.0
        self._add(rows, columns, light)

    def add_galaxy(self, blur_px: float, x: float, y: float, flux_e: Float64, shape: Ellipse) -> None:
        """Add an exponential disc or, for an elliptical, a Sersic profile of index 2 (Graham & Driver 2005,
        PASA 22, 118); the blur widens its axes. `flux_e` is for the four Bayer positions.
        """
        major = math.hypot(shape.radius_px, blur_px)
        minor = math.hypot(shape.radius_px * shape.axis_ratio, blur_px)
        rows, columns = self._window(x, y, math.ceil(min(150.0, 4.5 * major)))
        up, left = y - rows[:, None], x - columns[None, :]
        along = up * math.cos(shape.angle_rad) + left * math.sin(shape.angle_rad)
        across = left * math.cos(shape.angle_rad) - up * math.sin(shape.angle_rad)
        radius = np.sqrt((along / major) ** 2 + (across / minor) ** 2 + 0.01)
        # b_n and 1 / (2 pi n b_n^(-2n) Gamma(2n)), for n = 2 and n = 1
        elliptical, disc = 2.4113 * np.exp(-3.672 * np.sqrt(radius)), 0.4481 * np.exp(-1.678 * radius)
        light = elliptical if shape.elliptical else disc
        place = (rows[:, None] % 2) * 2 + columns[None, :] % 2
        self._add(rows, columns, light / (major * minor) * flux_e[place])

    def _window(self, x: float, y: float, reach: int) -> tuple[Int64, Int64]:
        """Rows and columns about a place, as far as the canvas goes, in the sensor's numbers."""
        height, width = self.light.shape
        row, column = round(y) + self.margin, round(x) + self.margin
        rows = np.arange(max(0, row - reach), min(height, row + reach + 1))
        columns = np.arange(max(0, column - reach), min(width, column + reach + 1))
        return rows - self.margin, columns - self.margin

    def _add(self, rows: Int64, columns: Int64, light: Float64) -> None:
        if len(rows) and len(columns):
            top, left = rows[0] + self.margin, columns[0] + self.margin
            self.light[top : top + len(rows), left : left + len(columns)] += light.astype(np.float32)


def _tint(colour: Float32, columns: Int64, rows: Int64) -> Float32:
    """The colour factor of each light at each pixel of its stamp."""
    if not np.ptp(colour, axis=1).any():
        return np.asarray(colour[:, 0][:, None, None])
    place = (rows % 2)[:, :, None] * 2 + (columns % 2)[:, None, :]
    return np.asarray(np.take_along_axis(colour[:, None, :].repeat(place.shape[1], 1), place, axis=2))
