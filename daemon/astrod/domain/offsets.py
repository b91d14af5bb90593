"""By how much the focus of each filter differs, as the focus runs of many nights tell. Pure.

A position of best focus moves with the temperature far more than from filter to filter, so only runs are held
against each other that were made soon after one another and at like temperature.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median

from astrod.domain.instant import MINUTE_US

LEAST_PAIRS = 3
LIKE_C = 1.0
WITHIN_MIN = 120.0
BLIND_WITHIN_MIN = 20.0
"""Without a thermometer: so soon after one another that the temperature can hardly have changed."""
SIGMA = 1.4826
"""A median absolute deviation, times this, is the standard deviation of normal errors."""


@dataclass(frozen=True, slots=True)
class FocusPoint:
    """What a focus run found through a filter: the position of best focus, steps, and the focuser's temperature."""

    filter: str
    position: int
    temperature_c: float | None
    at_us: int


@dataclass(frozen=True, slots=True)
class FilterOffset:
    """Steps to the focus of a filter from that of the filter with most runs; `pairs` of runs tell it, with such a
    `scatter` (standard deviation, steps).
    """

    filter: str
    steps: int
    pairs: int
    scatter: float


def alike(a: FocusPoint, b: FocusPoint) -> bool:
    """Whether two runs may be held against each other."""
    apart_min = abs(a.at_us - b.at_us) / MINUTE_US
    if a.temperature_c is None or b.temperature_c is None:
        return apart_min <= BLIND_WITHIN_MIN
    return apart_min <= WITHIN_MIN and abs(a.temperature_c - b.temperature_c) <= LIKE_C


def filter_offsets(points: Sequence[FocusPoint], scatter_max: float) -> tuple[FilterOffset, ...]:
    """The offsets that runs tell well enough, by filter; empty where no two filters can be compared.

    An offset is the median over pairs of runs, each run with the nearest in time through the reference filter: three
    pairs at least, which scatter by no more than `scatter_max` steps.
    """
    counts = Counter(point.filter for point in points)
    if len(counts) < 2:
        return ()
    reference = min(counts, key=lambda name: (-counts[name], name))
    base = [point for point in points if point.filter == reference]
    found = [
        offset
        for name in sorted(counts)
        if name != reference and (offset := _offset(name, points, base, scatter_max)) is not None
    ]
    return (FilterOffset(reference, 0, counts[reference], 0.0), *found) if found else ()


def _offset(
    name: str, points: Sequence[FocusPoint], base: Sequence[FocusPoint], scatter_max: float
) -> FilterOffset | None:
    steps = []
    for point in points:
        like = [other for other in base if point.filter == name and alike(point, other)]
        if like:
            nearest = min(like, key=lambda other: abs(other.at_us - point.at_us))
            steps.append(point.position - nearest.position)
    if len(steps) < LEAST_PAIRS:
        return None
    middle = median(steps)
    scatter = SIGMA * median(abs(step - middle) for step in steps)
    return FilterOffset(name, round(middle), len(steps), scatter) if scatter <= scatter_max else None


def shift(configured: dict[str, int] | None, learned: Sequence[FilterOffset], before: str, after: str) -> int | None:
    """Steps from the focus of one filter to that of another; None where nobody knows.

    The owner's word wins, and the two are not mixed: their zeros differ.
    """
    for known in (configured or {}, {offset.filter: offset.steps for offset in learned}):
        if before in known and after in known:
            return known[after] - known[before]
    return None
