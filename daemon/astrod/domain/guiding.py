"""Guiding, as far as it is thought: which way the stars went, which pulse brings them back.

Positions and shifts are in pixels of the guide camera. Everything here is pure; `rig.autoguider` does it.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from statistics import median
from typing import Literal

DecMode = Literal["both", "north", "south", "off"]
Vector = tuple[float, float]

SEARCH_PX = 12.0
MATCH_PX = 2.5
FLUX_RATIO = 2.5
LEAST_SQUARE_DEG = 55.0
SWITCH_AFTER = 3
SWITCH_AT_ONCE_PX = 3.0


@dataclass(frozen=True, slots=True)
class GuideStar:
    """A star in a guide frame. `flux` in ADU over the sky."""

    x: float
    y: float
    flux: float


@dataclass(frozen=True, slots=True)
class Shift:
    """How far the stars have moved since the reference frame, and how many of them say so."""

    dx: float
    dy: float
    stars: int


# -- which way the stars went --------------------------------------------------------------------------------


def shift_of(reference: Sequence[GuideStar], stars: Sequence[GuideStar], near: Vector | None = None) -> Shift | None:
    """The one shift that brings most reference stars onto stars of about their flux; None when the star is lost.

    Each pair of stars votes for the shift between them. Shifts within SEARCH_PX of `near`, where the stars were last,
    are tried first, then any. Of several stars at least half must agree, and never fewer than two.
    """
    votes = [
        (star.x - mark.x, star.y - mark.y)
        for mark in reference
        for star in stars
        if 1.0 / FLUX_RATIO <= star.flux / mark.flux <= FLUX_RATIO
    ]
    if near is not None:
        close = [vote for vote in votes if math.dist(vote, near) <= SEARCH_PX]
        found = _agreed(reference, stars, close)
        if found is not None:
            return found
    return _agreed(reference, stars, votes)


def _agreed(reference: Sequence[GuideStar], stars: Sequence[GuideStar], votes: Sequence[Vector]) -> Shift | None:
    if not votes:
        return None
    best = max(votes, key=lambda vote: sum(1 for other in votes if math.dist(vote, other) <= MATCH_PX))
    pairs = _pairs(reference, stars, best)
    if len(pairs) < _needed(len(reference)):
        return None
    dx = _weighted_mean([(star.x - mark.x, mark.flux) for mark, star in pairs])
    dy = _weighted_mean([(star.y - mark.y, mark.flux) for mark, star in pairs])
    return Shift(dx, dy, len(pairs))


def _needed(stars: int) -> int:
    return 1 if stars == 1 else max(2, math.ceil(stars / 2))


def _pairs(
    reference: Sequence[GuideStar], stars: Sequence[GuideStar], moved: Vector
) -> list[tuple[GuideStar, GuideStar]]:
    """Each reference star with the nearest star to where it should be now."""
    pairs = []
    for mark in reference:
        place = (mark.x + moved[0], mark.y + moved[1])
        nearest = min(stars, key=lambda star: math.dist((star.x, star.y), place))
        if math.dist((nearest.x, nearest.y), place) <= MATCH_PX:
            pairs.append((mark, nearest))
    return pairs


def _weighted_mean(values: Sequence[tuple[float, float]]) -> float:
    """The mean of (value, flux), outliers over a pixel from the median left out; a centroid's error goes as
    1 / sqrt(flux), so its weight as the flux."""
    middle = median(value for value, _ in values)
    kept = [(value, flux) for value, flux in values if abs(value - middle) <= 1.0]
    kept = kept or [(middle, 1.0)]
    return sum(value * flux for value, flux in kept) / sum(flux for _, flux in kept)


# -- what a pulse does ---------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Calibration:
    """How a second's pulse moves the stars: pixels, at a declination, on one side of the pier.

    `west` and `north` are the stars' shifts for pulses in those directions.
    """

    west: Vector
    north: Vector
    dec_deg: float
    pier_side: str

    def trouble(self) -> str | None:
        """Why this cannot be true, None where it can. The axes of a mount stand at right angles."""
        if not all(math.isfinite(value) for value in (*self.west, *self.north, self.dec_deg)):
            return "it holds what is no number"
        rates = math.hypot(*self.west), math.hypot(*self.north)
        if min(rates) < 1e-3:
            return "the star did not move"
        if not LEAST_SQUARE_DEG <= self.angle_deg <= 180.0 - LEAST_SQUARE_DEG:
            return f"its axes stand at {self.angle_deg:.0f}° instead of 90°: something else moved the star"
        return None

    @property
    def angle_deg(self) -> float:
        """Between the axes, 0..180."""
        product = self.west[0] * self.north[0] + self.west[1] * self.north[1]
        lengths = math.hypot(*self.west) * math.hypot(*self.north)
        return math.degrees(math.acos(max(-1.0, min(1.0, product / lengths))))

    def at(self, dec_deg: float) -> "Calibration":
        """The same at another declination: a turn about the pole moves stars by its cosine."""
        scale = max(0.05, math.cos(math.radians(dec_deg))) / max(0.05, math.cos(math.radians(self.dec_deg)))
        return replace(self, west=(self.west[0] * scale, self.west[1] * scale), dec_deg=dec_deg)

    def axes_px(self, dx: float, dy: float) -> Vector:
        """A shift split along the axes: pixels that west and north pulses would have made."""
        (wx, wy), (nx, ny) = self.west, self.north
        whole = wx * ny - wy * nx
        west_s, north_s = (dx * ny - dy * nx) / whole, (wx * dy - wy * dx) / whole
        return west_s * math.hypot(wx, wy), north_s * math.hypot(nx, ny)

    def pulse_s(self, west_px: float, north_px: float) -> Vector:
        """Seconds of pulse to move the stars so far along the axes; negative is the other direction."""
        return west_px / math.hypot(*self.west), north_px / math.hypot(*self.north)


# -- how hard to correct -------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Tuning:
    """How an axis is steered. Errors under `min_move_px` are seeing and left alone."""

    aggression: float = 0.7
    hysteresis: float = 0.1
    min_move_px: float = 0.15


@dataclass(frozen=True, slots=True)
class RaSteering:
    """Right ascension: proportional with hysteresis, which damps what chases the seeing."""

    last_px: float = 0.0

    def step(self, error_px: float, tuning: Tuning) -> tuple["RaSteering", float]:
        """The next state, and the correction in pixels (of the error's sign: what must be taken back)."""
        if abs(error_px) < tuning.min_move_px:
            return RaSteering(), 0.0
        h = tuning.hysteresis
        move_px = tuning.aggression * ((1.0 - h) * error_px + h * self.last_px)
        return RaSteering(move_px), move_px


@dataclass(frozen=True, slots=True)
class DecSteering:
    """Declination, whose drift is slow and one way: it changes direction only after SWITCH_AFTER errors on the new
    side, or one large one, so that the gears' backlash is not crossed for a gust.
    """

    side: int = 0
    against: int = 0

    def step(self, error_px: float, tuning: Tuning, mode: DecMode) -> tuple["DecSteering", float]:
        """The next state, and the correction in pixels. A positive error asks for a pulse to the south."""
        allowed = {"both": (-1, 1), "south": (1,), "north": (-1,), "off": ()}[mode]
        if abs(error_px) < tuning.min_move_px:
            return self, 0.0
        side = 1 if error_px > 0.0 else -1
        if side not in allowed:
            return self, 0.0
        if side != self.side and self.side != 0 and abs(error_px) < SWITCH_AT_ONCE_PX:
            against = self.against + 1
            if against < SWITCH_AFTER:
                return replace(self, against=against), 0.0
        return DecSteering(side), tuning.aggression * error_px


@dataclass(frozen=True, slots=True)
class Residual:
    """What was left of the error in one guide frame, arcseconds along the axes."""

    at_s: float
    ra_arcsec: float
    dec_arcsec: float


def rms(residuals: Sequence[Residual]) -> tuple[float, float] | None:
    """Root mean square by axis; None without residuals."""
    if not residuals:
        return None
    count = len(residuals)
    return (
        math.sqrt(sum(r.ra_arcsec**2 for r in residuals) / count),
        math.sqrt(sum(r.dec_arcsec**2 for r in residuals) / count),
    )


@dataclass(frozen=True, slots=True)
class Settling:
    """Whether the star has stayed within a bound for long enough; `since_s` is when it came within."""

    since_s: float | None = None
    done: bool = False

    def step(self, now_s: float, error_px: float, within_px: float, for_s: float) -> "Settling":
        """The next state; once done it stays so until a new settling begins."""
        if self.done:
            return self
        if error_px > within_px:
            return Settling()
        since_s = now_s if self.since_s is None else self.since_s
        return Settling(since_s, now_s - since_s >= for_s)
