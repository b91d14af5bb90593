"""Focus: what one exposure says of it, the curve through several, and when a run is due. Pure."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import combinations, pairwise
from statistics import median

SMALLEST_FWHM_PX = 0.8
"""No optics make stars narrower than the pixels that sample them: what reads less is noise or hot pixels."""
LARGEST_FWHM_PX = 60.0
LEAST_STARS = 5
LEAST_POINTS = 4
OUTLIER = 4.0
SCATTER_FLOOR = 0.04
SCATTER_MAX = 0.2
WILD_MAX = 2
RISE_MIN = 1.15
SHRINK_MAX = 0.75
"""A curve with scatter promises no stars narrower than this share of the narrowest that were seen."""
SCATTER_CLEAN = 0.06
"""One that fits this well may: with steps wider than the focus is deep, the best place lies between two of them."""


@dataclass(frozen=True, slots=True)
class Sample:
    """What one exposure showed: the FWHM in pixels, None where nothing could be measured, and how many stars."""

    fwhm_px: float | None
    stars: int

    @property
    def credible(self) -> bool:
        """Whether it can be of stars at all: enough of them, and a width that stars can have."""
        width = self.fwhm_px
        return self.stars >= LEAST_STARS and width is not None and SMALLEST_FWHM_PX <= width <= LARGEST_FWHM_PX


@dataclass(frozen=True, slots=True)
class Curve:
    """A focus curve: best position, FWHM there by the fit, and the points it was drawn through."""

    position: float
    fwhm_px: float
    points: tuple[tuple[int, float], ...]


def focus_curve(points: Sequence[tuple[int, float]]) -> Curve | None:
    """The curve through (position, FWHM) points, up to two wild ones left out; None when there is no trustworthy one.

    The fit whose median deviation over all points is least, with none, one or two of them left out (Rousseeuw 1984,
    JASA 79, 871), says which points are wild: those off by four times the usual scatter. The curve through the others
    must have its minimum within the sweep, be steep enough to be no noise, and promise no stars much narrower than any
    that were seen, unless all points lie on it and none is missing where it is lowest.
    """
    if len(points) < LEAST_POINTS:
        return None
    kept = _tame(sorted(points))
    found, fitted = minimum(kept), _fitted(kept)
    if found is None or fitted is None or len(kept) < 0.7 * len(points):
        return None
    position, lowest = found
    narrowest, widest = min(fwhm for _, fwhm in kept), max(fwhm for _, fwhm in kept)
    scatter = (sum((fwhm / fitted(x) - 1.0) ** 2 for x, fwhm in kept) / len(kept)) ** 0.5
    if scatter > SCATTER_MAX or widest < RISE_MIN * lowest or lowest < SMALLEST_FWHM_PX:
        return None
    if lowest < SHRINK_MAX * narrowest and (scatter > SCATTER_CLEAN or _in_a_gap(position, kept)):
        return None
    return Curve(position, lowest, tuple(kept))


def _in_a_gap(position: float, points: list[tuple[int, float]]) -> bool:
    """Whether points that the sweep should have are missing around a position."""
    steps = [(right - left, left <= position <= right) for (left, _), (right, _) in pairwise(points)]
    usual = median(step for step, _ in steps)
    return any(here and step > 1.5 * usual for step, here in steps)


def _tame(points: list[tuple[int, float]]) -> list[tuple[int, float]]:
    """The points without the wild ones; none is wild where one curve passes close by all of them."""
    best = _deviations(points, points)
    if max(best) <= SCATTER_CLEAN:
        return points
    spare = min(WILD_MAX, len(points) - LEAST_POINTS - 1)
    for count in range(1, spare + 1):
        for left_out in combinations(range(len(points)), count):
            away = _deviations([point for i, point in enumerate(points) if i not in left_out], points)
            if median(away) < 0.5 * max(median(best), SCATTER_FLOOR / OUTLIER):
                best = away
    usual = max(1.4826 * median(best), SCATTER_FLOOR)
    return [point for point, away in zip(points, best, strict=True) if away <= OUTLIER * usual]


def _deviations(fitted_to: list[tuple[int, float]], points: list[tuple[int, float]]) -> list[float]:
    """How far each point is, as a share, from the curve through some of them; infinitely where there is none."""
    fitted = _fitted(fitted_to) if len(fitted_to) >= LEAST_POINTS else None
    return [math.inf if fitted is None else abs(fwhm / fitted(x) - 1.0) for x, fwhm in points]


def minimum(points: Sequence[tuple[int, float]]) -> tuple[float, float] | None:
    """Position and FWHM at the minimum of the parabola through (position, FWHM^2); None when there is none.

    FWHM^2 is the sum of the seeing's square and a term that grows with the square of the distance from focus, so a
    parabola fits it without bias (a hyperbola in FWHM). There is a minimum when it opens upward and its lowest point
    lies within the sweep, above nothing.
    """
    if len(points) < LEAST_POINTS:
        return None
    centre, scale = _frame(points)
    fit = _parabola([(x - centre) / scale for x, _ in points], [fwhm * fwhm for _, fwhm in points])
    if fit is None or fit[0] <= 0:
        return None
    a, b, c = fit
    best, lowest = -b / (2 * a), c - b * b / (4 * a)
    reach = [(x - centre) / scale for x, _ in points]
    if not min(reach) <= best <= max(reach) or lowest <= 0.0:
        return None
    return centre + scale * best, math.sqrt(lowest)


class _Fitted:
    """The fitted curve as a function of position."""

    def __init__(self, centre: float, scale: float, fit: tuple[float, float, float]) -> None:
        self._centre, self._scale, self._fit = centre, scale, fit

    def __call__(self, position: float) -> float:
        a, b, c = self._fit
        x = (position - self._centre) / self._scale
        return math.sqrt(max(a * x * x + b * x + c, 0.01))


def _fitted(points: Sequence[tuple[int, float]]) -> _Fitted | None:
    centre, scale = _frame(points)
    fit = _parabola([(x - centre) / scale for x, _ in points], [fwhm * fwhm for _, fwhm in points])
    return None if fit is None else _Fitted(centre, scale, fit)


def _frame(points: Sequence[tuple[int, float]]) -> tuple[float, float]:
    """Centre and half width of the sweep, in which the numbers of the fit stay small."""
    centre = sum(x for x, _ in points) / len(points)
    return centre, max(abs(x - centre) for x, _ in points) or 1.0


def _parabola(xs: Sequence[float], ys: Sequence[float]) -> tuple[float, float, float] | None:
    """a, b, c of the least-squares a x^2 + b x + c, by Cramer's rule on the normal equations.

    FWHM is measured to about the same fraction at any focus, so a point weighs 1 / y^2: else the widest stars,
    with the largest errors, would say where the narrowest are.
    """
    weights = [1.0 / max(y, 0.25) ** 2 for y in ys]
    largest = max(weights)
    weights = [weight / largest for weight in weights]
    s = [sum(w * x**k for w, x in zip(weights, xs, strict=True)) for k in range(5)]
    t = [sum(w * y * x**k for w, x, y in zip(weights, xs, ys, strict=True)) for k in range(3)]

    def det(m: Sequence[Sequence[float]]) -> float:
        return (
            m[0][0] * (m[1][1] * m[2][2] - m[1][2] * m[2][1])
            - m[0][1] * (m[1][0] * m[2][2] - m[1][2] * m[2][0])
            + m[0][2] * (m[1][0] * m[2][1] - m[1][1] * m[2][0])
        )

    base = [[s[4], s[3], s[2]], [s[3], s[2], s[1]], [s[2], s[1], s[0]]]
    whole = det(base)
    if abs(whole) < 1e-18:
        return None
    right = [t[2], t[1], t[0]]

    def solved(column: int) -> float:
        return det([[*row[:column], right[i], *row[column + 1 :]] for i, row in enumerate(base)]) / whole

    return solved(0), solved(1), solved(2)


# -- when a run is due ---------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class RefocusRule:
    """When to focus again; 0 and False: never for that reason.

    `every_min` minutes, `temperature_c` degrees, `fwhm_percent` of growth of the FWHM over the best frames since the
    last run, a filter that was not focused in (`each_filter`).
    """

    at_start: bool = True
    every_min: float = 120.0
    temperature_c: float = 2.0
    fwhm_percent: float = 25.0
    each_filter: bool = False


TREND = 3
"""Frames whose median FWHM is compared: with that of the best so many in a row."""


@dataclass(slots=True)
class FocusMemory:
    """What is known since the last focus run of a train. `widths` are FWHM of good frames by filter, oldest first."""

    at_us: int | None = None
    temperature_c: float | None = None
    filter: str | None = None
    widths: dict[str | None, list[float]] = field(default_factory=dict)

    def focused(self, at_us: int, temperature_c: float | None, filter_name: str | None) -> None:
        """A run ended, well or not: what was known of before is over."""
        self.at_us, self.temperature_c, self.filter = at_us, temperature_c, filter_name
        self.widths.clear()

    def forget(self) -> None:
        """The focuser may have lost count of its steps: nothing is known any more."""
        self.at_us = self.temperature_c = self.filter = None
        self.widths.clear()

    def seen(self, filter_name: str | None, fwhm_px: float) -> None:
        """A good frame had this FWHM."""
        self.widths.setdefault(filter_name, []).append(fwhm_px)

    def due(self, rule: RefocusRule, at_us: int, temperature_c: float | None, filter_name: str | None) -> str | None:
        """Why the train should be focused now, in words; None where it need not be."""
        if self.at_us is None:
            return "it was not focused yet" if rule.at_start else None
        waited_min = (at_us - self.at_us) / 60e6
        if 0.0 < rule.every_min <= waited_min:
            return f"the last run is {waited_min:.0f} minutes old"
        if rule.temperature_c > 0.0 and temperature_c is not None and self.temperature_c is not None:
            change_c = temperature_c - self.temperature_c
            if abs(change_c) >= rule.temperature_c:
                return f"the temperature changed by {change_c:+.1f} °C"
        if rule.each_filter and filter_name is not None and filter_name != self.filter:
            return f"filter {filter_name} was not focused in"
        return self._trend(rule, filter_name)

    def _trend(self, rule: RefocusRule, filter_name: str | None) -> str | None:
        widths = self.widths.get(filter_name, [])
        if rule.fwhm_percent <= 0.0 or len(widths) < 2 * TREND:
            return None
        medians = [median(widths[i : i + TREND]) for i in range(len(widths) - TREND + 1)]
        growth = 100.0 * (medians[-1] / min(medians) - 1.0)
        return f"stars grew by {growth:.0f} %" if growth >= rule.fwhm_percent else None
