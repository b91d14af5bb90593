"""Where each pixel looks: a tangent plane with distortion (SIP), fitted to catalogue stars.

SIP is Shupe et al. 2005 (ASP Conf. 347, 491): a polynomial of the pixel's distance from the reference pixel is added
before the linear part. Pixels count from 0, the centre of the first; headers count from 1.
"""

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from astrod.domain.plate import PlateSolution
from astrod.measure.match import project

Floats = NDArray[np.float64]
Powers = Mapping[tuple[int, int], float]

_LEAST = {1: 5, 2: 16, 3: 40}
"""Matched stars from which a polynomial of that degree is tried."""
_WORTH = 0.97
_ARCSEC = 3600.0


@dataclass(frozen=True, slots=True)
class Wcs:
    """`ra_deg`, `dec_deg` (ICRS) are at pixel (`x`, `y`); `cd` is degrees per pixel, rows east and north.

    `a` and `b` are SIP's coefficients by powers of x and y. `residual_arcsec` is the RMS distance of the `stars`
    fitted from their places, on the sky, with the freedom of the fit allowed for.
    """

    ra_deg: float
    dec_deg: float
    x: float
    y: float
    cd: tuple[float, float, float, float]
    a: Powers = field(default_factory=dict)
    b: Powers = field(default_factory=dict)
    stars: int = 0
    residual_arcsec: float = math.nan

    @property
    def order(self) -> int:
        """The polynomial's degree; 1 without distortion."""
        return max((i + j for i, j in (*self.a, *self.b)), default=1)

    @property
    def scale_arcsec_px(self) -> float:
        """At the reference pixel."""
        a, b, c, d = self.cd
        return _ARCSEC * math.sqrt(abs(a * d - b * c))

    def sky(self, x: Floats, y: Floats) -> tuple[Floats, Floats]:
        """ICRS degrees of pixels."""
        u, v = np.asarray(x, float) - self.x, np.asarray(y, float) - self.y
        u, v = u + _polynomial(self.a, u, v), v + _polynomial(self.b, u, v)
        east = np.radians(self.cd[0] * u + self.cd[1] * v)
        north = np.radians(self.cd[2] * u + self.cd[3] * v)
        dec0 = math.radians(self.dec_deg)
        depth = math.cos(dec0) - north * math.sin(dec0)
        ra = np.degrees(np.arctan2(east, depth))
        dec = np.degrees(np.arctan2(math.sin(dec0) + north * math.cos(dec0), np.hypot(east, depth)))
        return (self.ra_deg + ra) % 360.0, dec

    def pixels(self, ra_deg: Floats, dec_deg: Floats) -> tuple[Floats, Floats]:
        """Pixels of ICRS degrees, NaN behind the plane; the distortion is undone by iteration."""
        flat = project(np.asarray(ra_deg, float), np.asarray(dec_deg, float), self.ra_deg, self.dec_deg) / _ARCSEC
        a, b, c, d = self.cd
        area = a * d - b * c
        goal_u, goal_v = (d * flat.real - b * flat.imag) / area, (a * flat.imag - c * flat.real) / area
        u, v = goal_u.copy(), goal_v.copy()
        for _round in range(12 if self.a or self.b else 0):
            u, v = goal_u - _polynomial(self.a, u, v), goal_v - _polynomial(self.b, u, v)
        return u + self.x, v + self.y

    def cards(self, rows: int, columns: int) -> Iterator[tuple[str, str | int | float, str]]:
        """The header's cards, the inverse polynomial for programs that ask for it included."""
        suffix = "-SIP" if self.order > 1 else ""
        yield "WCSAXES", 2, "axes of the WCS"
        yield "RADESYS", "ICRS", "frame of the WCS"
        yield "CTYPE1", f"RA---TAN{suffix}", "solved"
        yield "CTYPE2", f"DEC--TAN{suffix}", "solved"
        yield "CUNIT1", "deg", "unit of axis 1"
        yield "CUNIT2", "deg", "unit of axis 2"
        yield "CRVAL1", self.ra_deg, "[deg] right ascension at the reference pixel"
        yield "CRVAL2", self.dec_deg, "[deg] declination at the reference pixel"
        yield "CRPIX1", self.x + 1.0, "[px] reference pixel"
        yield "CRPIX2", self.y + 1.0, "[px] reference pixel"
        for name, value in zip(("CD1_1", "CD1_2", "CD2_1", "CD2_2"), self.cd, strict=True):
            yield name, value, "[deg/px]"
        if self.stars:
            yield "WCSRMS", round(self.residual_arcsec, 4), "[arcsec] RMS of the stars fitted"
            yield "WCSSTARS", self.stars, "stars fitted"
        if self.order > 1:
            inverse_a, inverse_b = self._inverse(rows, columns)
            for name, powers in (("A", self.a), ("B", self.b), ("AP", inverse_a), ("BP", inverse_b)):
                yield f"{name}_ORDER", max(i + j for i, j in powers), "SIP polynomial"
                for (i, j), value in sorted(powers.items()):
                    yield f"{name}_{i}_{j}", value, "SIP coefficient"

    def _inverse(self, rows: int, columns: int) -> tuple[Powers, Powers]:
        """SIP's AP and BP, one degree higher, by least squares over the frame."""
        v, u = np.mgrid[0 : rows - 1 : 20j, 0 : columns - 1 : 20j]
        u, v = u.ravel() - self.x, v.ravel() - self.y
        bent_u, bent_v = u + _polynomial(self.a, u, v), v + _polynomial(self.b, u, v)
        size = max(rows, columns)
        powers = [(i, j) for i in range(self.order + 2) for j in range(self.order + 2 - i)]
        basis = np.stack([(bent_u / size) ** i * (bent_v / size) ** j for i, j in powers], axis=1)
        fit_u, *_ = np.linalg.lstsq(basis, u - bent_u, rcond=None)
        fit_v, *_ = np.linalg.lstsq(basis, v - bent_v, rcond=None)
        units = [float(size) ** (i + j) for i, j in powers]
        return (
            {power: float(value / unit) for power, value, unit in zip(powers, fit_u, units, strict=True)},
            {power: float(value / unit) for power, value, unit in zip(powers, fit_v, units, strict=True)},
        )


@dataclass(frozen=True, slots=True, eq=False)
class Solved:
    """A WCS and what it rests on: for each pair the source's and the catalogue star's number, and how far the source
    is from the star's place, arcseconds east and north.
    """

    wcs: Wcs
    sources: NDArray[np.intp]
    stars: NDArray[np.intp]
    east_arcsec: Floats
    north_arcsec: Floats


def of_plate(found: PlateSolution, rows: int, columns: int) -> Wcs:
    """The undistorted WCS that a plate solution tells."""
    mirrored = found.parity == "mirrored"
    up = math.radians(found.rotation_deg)
    turn = complex(math.sin(up), math.cos(up)) / (-1j if mirrored else 1j)
    scale = found.scale_arcsec_px / _ARCSEC
    right, down = -scale * turn, scale * turn * (1j if mirrored else -1j)
    cd = right.real, down.real, right.imag, down.imag
    return Wcs(found.ra_deg, found.dec_deg, (columns - 1) / 2.0, (rows - 1) / 2.0, cd)


def refine(start: Wcs, x: Floats, y: Floats, ra_deg: Floats, dec_deg: Floats, radius_px: float) -> Solved | None:
    """The WCS fitted to all stars that it brings near a source, with as much distortion as they prove.

    Sources and stars are within `radius_px` of one another by `start`. None where fewer than five pairs are left.
    """
    wcs, radius = start, radius_px
    pairs = _pairs(wcs, x, y, ra_deg, dec_deg, radius)
    if pairs[0].size < _LEAST[1]:
        return None
    for degree in (1, 1, 2, 2, 3, 3):
        if pairs[0].size < _LEAST[degree]:
            break
        better = _fitted(wcs, x[pairs[0]], y[pairs[0]], ra_deg[pairs[1]], dec_deg[pairs[1]], degree)
        if degree > wcs.order and better.residual_arcsec > _WORTH * wcs.residual_arcsec:
            break
        wcs = better
        radius = min(radius, max(1.0, 4.0 * wcs.residual_arcsec / wcs.scale_arcsec_px))
        again = _pairs(wcs, x, y, ra_deg, dec_deg, radius)
        if again[0].size < _LEAST[1]:
            return None
        pairs = again
    wcs = _fitted(wcs, x[pairs[0]], y[pairs[0]], ra_deg[pairs[1]], dec_deg[pairs[1]], wcs.order)
    seen_ra, seen_dec = wcs.sky(x[pairs[0]], y[pairs[0]])
    east = (seen_ra - ra_deg[pairs[1]] + 180.0) % 360.0 - 180.0
    return Solved(
        wcs,
        pairs[0],
        pairs[1],
        east * np.cos(np.radians(dec_deg[pairs[1]])) * _ARCSEC,
        (seen_dec - dec_deg[pairs[1]]) * _ARCSEC,
    )


def _pairs(
    wcs: Wcs, x: Floats, y: Floats, ra_deg: Floats, dec_deg: Floats, radius: float
) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Sources and stars that are each other's nearest, within a radius in pixels."""
    empty = np.empty(0, np.intp)
    star_x, star_y = wcs.pixels(ra_deg, dec_deg)
    there = np.flatnonzero(np.isfinite(star_x) & np.isfinite(star_y))
    if there.size == 0 or x.size == 0:
        return empty, empty
    sources = np.stack([x, y], axis=1)
    stars = np.stack([star_x[there], star_y[there]], axis=1)
    distance, nearest = cKDTree(stars).query(sources, distance_upper_bound=radius)
    _, back = cKDTree(sources).query(stars)
    found = np.flatnonzero(np.isfinite(distance))
    found = found[back[nearest[found]] == found]
    return found, there[nearest[found]]


def _fitted(wcs: Wcs, x: Floats, y: Floats, ra_deg: Floats, dec_deg: Floats, degree: int) -> Wcs:
    """Polynomials from pixels to the tangent plane, stars far off left out, as a WCS about the same pixel."""
    u, v = x - wcs.x, y - wcs.y
    size = max(float(np.abs(u).max()), float(np.abs(v).max()), 1.0)
    powers = [(i, total - i) for total in range(degree + 1) for i in range(total, -1, -1)]
    basis = np.stack([(u / size) ** i * (v / size) ** j for i, j in powers], axis=1)
    ra0, dec0 = wcs.ra_deg, wcs.dec_deg
    kept = np.ones(x.size, dtype=bool)
    fit: NDArray[np.complex128] = np.zeros(len(powers), np.complex128)
    rms = math.nan
    for round_ in range(4):
        flat = project(ra_deg, dec_deg, ra0, dec0) / _ARCSEC
        fit = np.asarray(np.linalg.lstsq(basis[kept].astype(np.complex128), flat[kept], rcond=None)[0])
        left = np.abs(basis @ fit - flat)
        freedom = max(1, int(np.count_nonzero(kept)) - len(powers))
        rms = _ARCSEC * math.sqrt(float(np.sum(left[kept] ** 2)) / freedom)
        if round_ == 3:
            break
        limit = 3.5 * 0.85 * float(np.median(left)) + 1e-9  # of a distance in two axes
        new = left <= max(limit, 1e-7)
        kept = new if np.count_nonzero(new) >= len(powers) + 2 else kept
        ra0, dec0 = _moved(complex(fit[0]), ra0, dec0)
    terms = {power: complex(term) for power, term in zip(powers, fit, strict=True)}
    right, down = terms[1, 0] / size, terms[0, 1] / size
    cd = right.real, down.real, right.imag, down.imag
    area = cd[0] * cd[3] - cd[1] * cd[2]
    a: dict[tuple[int, int], float] = {}
    b: dict[tuple[int, int], float] = {}
    for (i, j), term in terms.items():
        if i + j >= 2:
            east, north = term.real / size ** (i + j), term.imag / size ** (i + j)
            a[i, j] = (cd[3] * east - cd[1] * north) / area
            b[i, j] = (cd[0] * north - cd[2] * east) / area
    return Wcs(ra0, dec0, wcs.x, wcs.y, cd, a, b, int(np.count_nonzero(kept)), rms)


def _moved(shift_deg: complex, ra_deg: float, dec_deg: float) -> tuple[float, float]:
    east, north = math.radians(shift_deg.real), math.radians(shift_deg.imag)
    dec0 = math.radians(dec_deg)
    depth = math.cos(dec0) - north * math.sin(dec0)
    ra = (ra_deg + math.degrees(math.atan2(east, depth))) % 360.0
    return ra, math.degrees(math.atan2(math.sin(dec0) + north * math.cos(dec0), math.hypot(east, depth)))


def _polynomial(powers: Powers, u: Floats, v: Floats) -> Floats:
    total = np.zeros(np.broadcast_shapes(np.shape(u), np.shape(v)))
    for (i, j), value in powers.items():
        total = total + value * u**i * v**j
    return total
