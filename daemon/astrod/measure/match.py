"""Which catalogue stars these are: pairs of stars tried against pairs of the catalogue, the best fit proved.

With a scale that is known to a few percent, two stars of a frame fix where it is, how it is turned, and its
parity. Each pair of bright stars is laid over every catalogue pair of its length; a guess is proved by how
many other stars it explains, against how many would fall on catalogue stars by chance. Positions are complex
numbers in a tangent plane: east + i north, arcseconds. No I/O.
"""

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree
from scipy.special import bdtrc

from astrod.domain.plate import Expected, Orientation, Parity, PlateSolution

Floats = NDArray[np.float64]
Points = NDArray[np.complex128]
StarsNear = Callable[[float, float, float, int], tuple[Floats, Floats]]
"""Right ascensions and declinations (ICRS degrees), brightest first: the so many brightest within a radius
(degrees) of a place. Picklable, for it travels to the worker."""

_PAIRED = 14
_PROVING = 40
_FITTED = 150
_CATALOGUE_PER_STAR = 3.0
_MOST_PAIRED_STARS = 3000
_MOST_GUESSES = 40_000
_MOST_TRIED = 300_000
"""A frame that is what it should be is proved within some ten thousand guesses; clouds and noise end here."""
_CHANCE = 1e-5
_LEAST_STARS = 5
_ALIGNED, _ALIGNED_TO = 10, 120
"""Stars of a frame that are laid, as the last frame lay, on so many stars of the catalogue."""


@dataclass(frozen=True, slots=True, eq=False)
class Spots:
    """Stars of a frame, brightest first: pixels from its centre, x to the right, y down, and the frame's size."""

    x_px: Floats
    y_px: Floats
    width_px: int
    height_px: int

    def __len__(self) -> int:
        return int(self.x_px.size)

    def plane(self, scale_arcsec_px: float) -> Points:
        """Their places in the tangent plane if the frame were not turned: north up, east left."""
        return np.asarray(-scale_arcsec_px * (self.x_px + 1j * self.y_px), np.complex128)


@dataclass(frozen=True, slots=True, eq=False)
class _Guesses:
    """Similarities from frame to tangent plane, `turn` * z + `shift`; z is conjugated where `mirrored`."""

    turn: Points
    shift: Points
    mirrored: NDArray[np.bool_]

    def of(self, chosen: NDArray[np.intp]) -> "_Guesses":
        return _Guesses(self.turn[chosen], self.shift[chosen], self.mirrored[chosen])

    def lay(self, spots: Points) -> Points:
        """Where each guess puts each spot: guesses by spots."""
        seen = np.where(self.mirrored[:, None], np.conj(spots)[None, :], spots[None, :])
        return self.turn[:, None] * seen + self.shift[:, None]


def project(ra_deg: Floats, dec_deg: Floats, centre_ra_deg: float, centre_dec_deg: float) -> Points:
    """Gnomonic projection about a centre, arcseconds east + i north; the other half of the sky becomes NaN."""
    ra, dec = np.radians(ra_deg - centre_ra_deg), np.radians(dec_deg)
    dec0 = math.radians(centre_dec_deg)
    depth = np.sin(dec) * math.sin(dec0) + np.cos(dec) * math.cos(dec0) * np.cos(ra)
    depth = np.where(depth > 1e-6, depth, np.nan)
    east = np.cos(dec) * np.sin(ra) / depth
    north = (np.sin(dec) * math.cos(dec0) - np.cos(dec) * math.sin(dec0) * np.cos(ra)) / depth
    return np.asarray((east + 1j * north) * (180.0 / math.pi * 3600.0))


def deproject(point: complex, centre_ra_deg: float, centre_dec_deg: float) -> tuple[float, float]:
    """The ICRS place of a point of the tangent plane about a centre."""
    east, north = (value * math.pi / 180.0 / 3600.0 for value in (point.real, point.imag))
    dec0 = math.radians(centre_dec_deg)
    depth = math.cos(dec0) - north * math.sin(dec0)
    ra = math.atan2(east, depth)
    dec = math.atan2(math.sin(dec0) + north * math.cos(dec0), math.hypot(east, depth))
    return (centre_ra_deg + math.degrees(ra)) % 360.0, math.degrees(dec)


def match(spots: Spots, expected: Expected, stars_near: StarsNear) -> PlateSolution | None:
    """The plate solution of a frame that is within `expected.within_deg` of its place; None when none is proved.

    Good to about six degrees around: beyond, the tangent plane stretches too much.
    """
    if len(spots) < _LEAST_STARS:
        return None
    scale = expected.scale_arcsec_px
    sky = spots.plane(scale)
    half_field_deg = 0.5 * scale * math.hypot(spots.width_px, spots.height_px) / 3600.0
    reach_deg = expected.within_deg + half_field_deg
    field_deg2 = spots.width_px * spots.height_px * (scale / 3600.0) ** 2
    per_deg2 = _CATALOGUE_PER_STAR * min(len(spots), _PROVING) / field_deg2
    area_deg2 = 2.0 * math.pi * (1.0 - math.cos(math.radians(reach_deg))) * (180.0 / math.pi) ** 2
    ra_deg, dec_deg = stars_near(expected.ra_deg, expected.dec_deg, reach_deg, max(50, round(per_deg2 * area_deg2)))
    catalogue = project(ra_deg, dec_deg, expected.ra_deg, expected.dec_deg)
    catalogue = catalogue[np.isfinite(catalogue)]
    if catalogue.size < _LEAST_STARS:
        return None
    radius = max(2.0 * scale, 0.004 * 2.0 * half_field_deg * 3600.0)
    search = _Search(sky[:_PROVING], catalogue, radius, expected.scale_error, area_deg2 * 3600.0**2)
    found = search.aligned(expected.turned) if expected.turned is not None else None
    found = found or search.run(_pairs_wanted(sky[:_PAIRED]))
    if found is None:
        return None
    return _refined(spots, expected, found, stars_near, half_field_deg)


def _pairs_wanted(sky: Points) -> list[tuple[int, int]]:
    """Pairs of bright stars, the brightest first, the too close ones left out: they say little of a rotation."""
    reach = np.abs(sky[:, None] - sky[None, :])
    least = 0.2 * float(reach.max())
    pairs = [(i, j) for i in range(len(sky)) for j in range(i + 1, len(sky)) if reach[i, j] >= least]
    return sorted(pairs, key=lambda pair: pair[0] + pair[1])


class _Search:
    """Tries pairs of spots against pairs of the catalogue, all in one tangent plane, arcseconds."""

    def __init__(self, sky: Points, catalogue: Points, radius: float, scale_error: float, area: float) -> None:
        self._sky, self._radius, self._scale_error = sky, radius, scale_error
        self._tree = cKDTree(_columns(catalogue))
        self._chance = min(0.5, catalogue.size * math.pi * radius**2 / area)
        self._tried = 0
        self._bright = catalogue[:_MOST_PAIRED_STARS]

    @cached_property
    def _pairs(self) -> tuple[NDArray[np.intp], Floats]:
        """Pairs of the catalogue's bright stars that a frame may hold, and their lengths, the shortest first."""
        longest = float(np.abs(self._sky[:, None] - self._sky[None, :]).max()) * (1.0 + self._scale_error)
        ends = cKDTree(_columns(self._bright)).query_pairs(longest, output_type="ndarray")
        lengths = np.abs(self._bright[ends[:, 0]] - self._bright[ends[:, 1]])
        order = np.argsort(lengths, kind="stable")
        return ends[order], lengths[order]

    def aligned(self, lay: Orientation) -> _Guesses | None:
        """The frame laid as another one lay, or upside down, with each bright star on each of the catalogue; None
        when none of that is proved.
        """
        mirrored = lay.parity == "mirrored"
        up = math.radians(lay.rotation_deg)
        turn = complex(math.sin(up), math.cos(up)) / (-1j if mirrored else 1j)
        spots, stars = self._sky[:_ALIGNED], self._bright[:_ALIGNED_TO]
        seen = np.conj(spots) if mirrored else spots
        for way in (turn, -turn):
            shift = (stars[None, :] - way * seen[:, None]).ravel()
            guesses = _Guesses(np.full(shift.size, way), shift, np.full(shift.size, mirrored))
            self._tried += shift.size
            proved = self._proved(guesses, (), given=1)
            if proved is not None:
                return proved
        return None

    def run(self, pairs: list[tuple[int, int]]) -> _Guesses | None:
        """The first guess that is proved; None when no pair leads to one within a bounded effort."""
        for first, second in pairs:
            for guesses in self._guesses(first, second):
                self._tried += guesses.turn.size
                proved = self._proved(guesses, (first, second))
                if proved is not None:
                    return proved
                if self._tried >= _MOST_TRIED:
                    return None
        return None

    def _guesses(self, first: int, second: int) -> Iterator[_Guesses]:
        """Each catalogue pair of that length, both ways round, both parities, in portions."""
        a, b = self._sky[first], self._sky[second]
        length = abs(b - a)
        slack = length * self._scale_error + self._radius
        pairs, lengths = self._pairs
        low, high = np.searchsorted(lengths, [length - slack, length + slack])
        for start in range(int(low), int(high), _MOST_GUESSES // 4):
            ends = pairs[start : min(int(high), start + _MOST_GUESSES // 4)]
            p = self._bright[np.concatenate([ends[:, 0], ends[:, 1]])]
            q = self._bright[np.concatenate([ends[:, 1], ends[:, 0]])]
            turns = [(q - p) / (b - a), (q - p) / np.conj(b - a)]
            shifts = [p - turns[0] * a, p - turns[1] * np.conj(a)]
            mirrored = np.repeat([False, True], p.size)
            yield _Guesses(np.concatenate(turns), np.concatenate(shifts), mirrored)

    def _proved(self, guesses: _Guesses, used: tuple[int, ...], given: int = 0) -> _Guesses | None:
        """The best of the guesses, if it explains more than chance does. The stars that it was made of prove nothing:
        they are `used`, the same for all, or so many are `given`.
        """
        others = np.array([i for i in range(self._sky.size) if i not in used])
        quick = self._hits(guesses, self._sky[others[:6]])
        chosen = np.flatnonzero(quick >= min(2, others.size))
        if chosen.size == 0:
            return None
        hits = self._hits(guesses.of(chosen), self._sky[others])
        best = int(np.argmax(hits))
        by_chance = float(bdtrc(hits[best] - given - 1, others.size - given, self._chance)) * max(self._tried, 1)
        if by_chance > _CHANCE or hits[best] + len(used) < _LEAST_STARS:
            return None
        return guesses.of(chosen[best : best + 1])

    def _hits(self, guesses: _Guesses, spots: Points) -> NDArray[np.intp]:
        """How many spots each guess lays onto a catalogue star."""
        laid = guesses.lay(spots)
        distance, _ = self._tree.query(_columns(laid.ravel()), distance_upper_bound=self._radius)
        return np.asarray(np.isfinite(distance).reshape(laid.shape).sum(axis=1))


def _columns(points: Points) -> Floats:
    return np.stack([points.real, points.imag], axis=1)


def _refined(
    spots: Spots, expected: Expected, guess: _Guesses, stars_near: StarsNear, half_field_deg: float
) -> PlateSolution | None:
    """The guess, fitted to all stars about the frame's own centre."""
    mirrored = bool(guess.mirrored[0])
    plane = spots.plane(expected.scale_arcsec_px)[:_FITTED]
    plane = np.conj(plane) if mirrored else plane
    ra_deg, dec_deg = deproject(complex(guess.shift[0]), expected.ra_deg, expected.dec_deg)
    stars = stars_near(ra_deg, dec_deg, 1.2 * half_field_deg, 6 * max(len(spots), _PROVING))
    turn, shift = complex(guess.turn[0]), 0j
    radius = max(4.0 * expected.scale_arcsec_px, 0.006 * 2.0 * half_field_deg * 3600.0)
    residual, count = math.inf, 0
    for _ in range(5):
        catalogue = project(*stars, ra_deg, dec_deg)
        laid: Points = turn * plane + shift
        distance, nearest = cKDTree(_columns(catalogue)).query(_columns(laid), distance_upper_bound=radius)
        hit = np.isfinite(distance)
        count = int(np.count_nonzero(hit))
        if count < _LEAST_STARS:
            return None
        turn, shift = _similarity(plane[hit], catalogue[nearest[hit]])
        left = np.abs(turn * plane[hit] + shift - catalogue[nearest[hit]])
        residual = float(np.sqrt(np.mean(left**2)))
        ra_deg, dec_deg = deproject(shift, ra_deg, dec_deg)
        shift = 0j
        radius = max(1.5 * expected.scale_arcsec_px, min(radius, 3.0 * float(np.median(left))))
    parity: Parity = "mirrored" if mirrored else "direct"
    up = turn * (-1j if mirrored else 1j)
    rotation_deg = math.degrees(math.atan2(up.real, up.imag)) % 360.0
    scale = expected.scale_arcsec_px * abs(turn)
    return PlateSolution(ra_deg, dec_deg, rotation_deg, scale, parity, residual, count, "catalogue")


def _similarity(plane: Points, sky: Points) -> tuple[complex, complex]:
    """Least squares of `turn` * plane + `shift` = sky."""
    middle, aim = plane.mean(), sky.mean()
    around = plane - middle
    turn = complex(np.vdot(around, sky - aim) / np.vdot(around, around).real)
    return turn, complex(aim - turn * middle)
