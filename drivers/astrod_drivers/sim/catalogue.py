"""The stars and galaxies of the simulated sky. One sky for every observatory: it depends on nobody's seed.

Stars to V 9.5 are real (Tycho-2, see `data/LICENCE-tycho2.txt`). Fainter ones are drawn, cell by cell, from
a generator that is seeded with the cell's number, so the same star is at the same place in every frame, at
every site. Their numbers follow the model of the Galaxy by Bahcall & Soneira 1980 (ApJS 44, 73, appendix
B).
"""

import math
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from astrod_drivers.sim.grid import Grid

FAINT_END_MAG = 9.5
FAINTEST_MAG = 18.5
BRIGHT_GRID = Grid(1.0)
DRAWN_GRID = Grid(0.5)
_DATA = Path(__file__).parent / "data"
BRIGHT_FILE = _DATA / "tycho2_bright.npy"
CELLS_FILE = _DATA / "tycho2_cells.npy"
PACKED = np.dtype([("ra", "<u2"), ("dec", "<u2"), ("mag", "u1")])
_MAG_ZERO, _MAG_STEP = -1.5, 0.045
_SKY, _COLOUR, _GALAXY = 20_261_214, 1, 2  # seeds: the sky's own, and its streams

Float64 = NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class Stars:
    """Stars as columns: ICRS degrees, V magnitude, B-V colour."""

    ra_deg: Float64
    dec_deg: Float64
    mag: Float64
    colour: Float64

    def __len__(self) -> int:
        return len(self.mag)

    def where(self, keep: NDArray[np.bool_]) -> "Stars":
        """Those stars only."""
        return Stars(self.ra_deg[keep], self.dec_deg[keep], self.mag[keep], self.colour[keep])


@dataclass(frozen=True, slots=True, eq=False)
class Galaxies:
    """Galaxies as columns: ICRS degrees, V magnitude, half-light radius along the major axis (arcseconds),
    axis ratio, position angle (degrees, from north through east), and the light's concentration: True
    for an elliptical (de Vaucouleurs-like), False for an exponential disc.
    """

    ra_deg: Float64
    dec_deg: Float64
    mag: Float64
    radius_arcsec: Float64
    axis_ratio: Float64
    angle_deg: Float64
    elliptical: NDArray[np.bool_]

    def __len__(self) -> int:
        return len(self.mag)

    def where(self, keep: NDArray[np.bool_]) -> "Galaxies":
        """Those galaxies only."""
        return Galaxies(
            self.ra_deg[keep],
            self.dec_deg[keep],
            self.mag[keep],
            self.radius_arcsec[keep],
            self.axis_ratio[keep],
            self.angle_deg[keep],
            self.elliptical[keep],
        )


def pack(cell: NDArray[np.int64], ra_deg: Float64, dec_deg: Float64, mag: Float64) -> NDArray[np.void]:
    """Positions as 16-bit fractions of their cell (0.03 arcseconds), magnitudes as bytes."""
    band = np.searchsorted(BRIGHT_GRID.starts, cell, side="right") - 1
    width_deg = 360.0 / BRIGHT_GRID.widths[band]
    packed = np.empty(len(cell), PACKED)
    packed["ra"] = _fraction(ra_deg / width_deg - (cell - BRIGHT_GRID.starts[band]))
    packed["dec"] = _fraction((dec_deg + 90.0) / BRIGHT_GRID.step_deg - band)
    packed["mag"] = np.rint((mag - _MAG_ZERO) / _MAG_STEP)
    return packed


def _fraction(share: Float64) -> NDArray[np.uint16]:
    return np.clip(share * 65536.0, 0, 65535).astype("<u2")


@lru_cache(maxsize=1)
def _bright() -> tuple[NDArray[np.void], NDArray[np.int64]]:
    """The packed stars, mapped from the file, and the first star of each cell."""
    counts = np.load(CELLS_FILE)
    return np.load(BRIGHT_FILE, mmap_mode="r"), np.concatenate([[0], np.cumsum(counts, dtype=np.int64)])


@lru_cache(maxsize=4096)
def _unpack(cell: int) -> Stars:
    packed, first = _bright()
    rows = packed[first[cell] : first[cell + 1]]
    ra_deg, dec_deg, width_deg = BRIGHT_GRID.corner_deg(cell)
    colour = _generator(_COLOUR, cell).normal(0.65, 0.45, len(rows))
    return Stars(
        ra_deg + (rows["ra"] + 0.5) / 65536.0 * width_deg,
        dec_deg + (rows["dec"] + 0.5) / 65536.0 * BRIGHT_GRID.step_deg,
        rows["mag"] * _MAG_STEP + _MAG_ZERO,
        np.clip(colour, -0.3, 2.0),
    )


def _generator(stream: int, cell: int) -> np.random.Generator:
    return np.random.Generator(np.random.PCG64(np.random.SeedSequence((_SKY, stream, cell))))


def galactic_deg(ra_deg: float, dec_deg: float) -> tuple[float, float]:
    """Galactic longitude and latitude of ICRS coordinates (pole and node of the Hipparcos catalogue, vol.
    1).
    """
    ra, dec = math.radians(ra_deg - 192.85948), math.radians(dec_deg)
    pole = math.radians(27.12825)
    sin_b = math.sin(dec) * math.sin(pole) + math.cos(dec) * math.cos(pole) * math.cos(ra)
    y = math.cos(dec) * math.sin(ra)
    x = math.sin(dec) * math.cos(pole) - math.cos(dec) * math.sin(pole) * math.cos(ra)
    return (122.93192 - math.degrees(math.atan2(y, x))) % 360.0, math.degrees(math.asin(sin_b))


def star_counts_per_deg2(mag: Float64, longitude_deg: float, latitude_deg: float) -> Float64:
    """Stars brighter than V `mag` in a square degree of Galactic coordinates.

    Bahcall & Soneira's fit holds above 20 degrees of latitude; nearer the plane the latitude is softened to
    10 degrees, which stands for the dust.
    """
    b = math.radians(min(90.0, math.hypot(latitude_deg, 10.0)))
    across = math.cos(b) * math.cos(math.radians(longitude_deg))
    mu = np.clip(0.0075 * (mag - 12.0) + 0.03, 0.03, 0.09)
    gamma = np.clip(0.04 * (12.0 - mag) + 0.36, 0.04, 0.36)
    disc = 925.0 * 10.0 ** (0.035 * (mag - 15.75)) / (1.0 + 10.0 ** (-0.132 * (mag - 15.75))) ** 3.0
    disc /= (math.sin(b) * (1.0 - mu * across / math.sin(b))) ** (3.0 - 5.0 * gamma)
    halo = 1050.0 * 10.0 ** (0.087 * (mag - 17.5)) / (1.0 + 10.0 ** (-0.18 * (mag - 17.5))) ** 2.5
    return np.asarray(disc + halo / (1.0 - across) ** (1.45 - 0.2 * across))


@lru_cache(maxsize=96)
def _drawn(cell: int) -> Stars:
    """The faint stars of a cell, brightest first."""
    ra_deg, dec_deg, width_deg = DRAWN_GRID.corner_deg(cell)
    grid = np.linspace(FAINT_END_MAG, FAINTEST_MAG, 46)
    counts = star_counts_per_deg2(grid, *galactic_deg(ra_deg + width_deg / 2, dec_deg + DRAWN_GRID.step_deg / 2))
    random = _generator(0, cell)
    number = int(random.poisson((counts[-1] - counts[0]) * DRAWN_GRID.area_deg2(cell)))
    share = np.sort(random.random(number))
    return Stars(
        ra_deg + random.random(number) * width_deg,
        _spread_dec_deg(random.random(number), dec_deg, DRAWN_GRID.step_deg),
        np.interp(share, (counts - counts[0]) / (counts[-1] - counts[0]), grid),
        np.clip(random.normal(0.8, 0.35, number), -0.2, 2.0),
    )


def _spread_dec_deg(share: Float64, low_deg: float, step_deg: float) -> Float64:
    """Declinations that are uniform on the sphere within a band."""
    low, high = math.sin(math.radians(low_deg)), math.sin(math.radians(low_deg + step_deg))
    return np.degrees(np.arcsin(np.clip(low + share * (high - low), -1.0, 1.0)))


@lru_cache(maxsize=96)
def _drawn_galaxies(cell: int) -> Galaxies:
    """The galaxies of a cell. Numbers rise as 10^(0.6 m) (Euclidean counts; one per square degree at V 15),
    dimmed towards the Galactic plane by 0.15 magnitudes per cosecant of latitude.
    """
    ra_deg, dec_deg, width_deg = DRAWN_GRID.corner_deg(cell)
    _, latitude_deg = galactic_deg(ra_deg + width_deg / 2, dec_deg + DRAWN_GRID.step_deg / 2)
    dust = 0.15 * (1.0 / max(0.05, abs(math.sin(math.radians(latitude_deg)))) - 1.0)
    random = _generator(_GALAXY, cell)
    number = int(random.poisson(10.0 ** (0.6 * (FAINTEST_MAG - 15.0)) * DRAWN_GRID.area_deg2(cell)))
    true_mag = FAINTEST_MAG + np.log10(np.maximum(random.random(number), 1e-9)) / 0.6
    return Galaxies(
        ra_deg + random.random(number) * width_deg,
        _spread_dec_deg(random.random(number), dec_deg, DRAWN_GRID.step_deg),
        true_mag + dust,
        np.clip(14.0 * 10.0 ** (-0.16 * (true_mag - 14.0) + random.normal(0.0, 0.12, number)), 0.7, 90.0),
        random.uniform(0.25, 1.0, number),
        random.uniform(0.0, 180.0, number),
        random.random(number) < 0.3,
    )


def separation_deg(ra_deg: Float64, dec_deg: Float64, centre_ra_deg: float, centre_dec_deg: float) -> Float64:
    """Angular distance of each position from a centre, degrees, by the haversine formula."""
    dec, centre = np.radians(dec_deg), math.radians(centre_dec_deg)
    half_ra = np.sin(np.radians(ra_deg - centre_ra_deg) / 2.0)
    half_dec = np.sin((dec - centre) / 2.0)
    square = half_dec**2 + np.cos(dec) * math.cos(centre) * half_ra**2
    return np.asarray(np.degrees(2.0 * np.arcsin(np.sqrt(np.clip(square, 0.0, 1.0)))))


def _cells(grid: Grid, ra_deg: float, dec_deg: float, radius_deg: float) -> list[int]:
    return [cell for first, end in grid.runs(ra_deg, dec_deg, radius_deg) for cell in range(first, end)]


def stars_in_cone(ra_deg: float, dec_deg: float, radius_deg: float, faintest_mag: float = FAINTEST_MAG) -> Stars:
    """All stars within `radius_deg` of a direction (ICRS degrees) and no fainter than V `faintest_mag`.

    Milliseconds for a degree; the order is fixed. Nothing is fainter than `FAINTEST_MAG`.
    """
    parts = [_unpack(cell) for cell in _cells(BRIGHT_GRID, ra_deg, dec_deg, radius_deg)]
    if faintest_mag > FAINT_END_MAG:
        for cell in _cells(DRAWN_GRID, ra_deg, dec_deg, radius_deg):
            drawn = _drawn(cell)
            end = int(np.searchsorted(drawn.mag, faintest_mag, side="right"))
            parts.append(Stars(drawn.ra_deg[:end], drawn.dec_deg[:end], drawn.mag[:end], drawn.colour[:end]))
    stars = Stars(
        np.concatenate([part.ra_deg for part in parts]),
        np.concatenate([part.dec_deg for part in parts]),
        np.concatenate([part.mag for part in parts]),
        np.concatenate([part.colour for part in parts]),
    )
    near = separation_deg(stars.ra_deg, stars.dec_deg, ra_deg, dec_deg) <= radius_deg
    return stars.where(near & (stars.mag <= faintest_mag))


def galaxies_in_cone(ra_deg: float, dec_deg: float, radius_deg: float, faintest_mag: float = FAINTEST_MAG) -> Galaxies:
    """All galaxies within `radius_deg` of a direction and no fainter than V `faintest_mag`."""
    parts = [_drawn_galaxies(cell) for cell in _cells(DRAWN_GRID, ra_deg, dec_deg, radius_deg)]
    galaxies = Galaxies(
        np.concatenate([part.ra_deg for part in parts]),
        np.concatenate([part.dec_deg for part in parts]),
        np.concatenate([part.mag for part in parts]),
        np.concatenate([part.radius_arcsec for part in parts]),
        np.concatenate([part.axis_ratio for part in parts]),
        np.concatenate([part.angle_deg for part in parts]),
        np.concatenate([part.elliptical for part in parts]),
    )
    near = separation_deg(galaxies.ra_deg, galaxies.dec_deg, ra_deg, dec_deg) <= radius_deg
    return galaxies.where(near & (galaxies.mag <= faintest_mag))
