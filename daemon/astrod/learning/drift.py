"""Whether what a model is shown, or what it says, is still what it was made with: a site's frames against its card.

A site is a narrow slice of what a model was trained on: one camera, one sky. So its inputs are not asked to be spread
as the card's are, only to lie within them; the share of frames outside is what counts. The population stability
index of each is told beside it, for people: a narrow slice makes it great, so no alarm hangs on it. A model that has
become unsure says so in its scores: those of the frames that it keeps are held against the lowest of the good frames it
was made with.
"""

import math
from bisect import bisect_left
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

FRAMES = 200
"""Of fewer frames nothing is said."""
OUTSIDE_SHARE = 0.10
"""More frames than this outside the range of the card, for certain (Wilson, 95 %), are drift; 0.002 are expected."""
UNSURE_LEVEL, UNSURE_SHARE = 0.05, 0.25
"""More of the kept frames than this, for certain, scored like the lowest 0.05 of the card's good ones are drift."""

LEVELS = (0.001, 0.01, 0.05, 0.1, 0.25, 0.5, 0.75, 0.9, 0.95, 0.99, 0.999)
"""The levels of a card's quantiles."""
_BINNED = (0.1, 0.25, 0.5, 0.75, 0.9)
_Z = 1.96


@dataclass(frozen=True, slots=True)
class Reference:
    """The quantiles at LEVELS of a model's inputs and scores on `samples` good frames that it was made with."""

    samples: int
    features: Mapping[str, tuple[float, ...]]
    scores: Mapping[str, tuple[float, ...]]


def reference_of(facts: Mapping[str, Any]) -> Reference | None:
    """The reference in a card (`[reference]`, written by training.reference); None where it has none that is sound."""
    section = facts.get("reference")
    if not isinstance(section, Mapping) or tuple(section.get("levels", ())) != LEVELS:
        return None
    features, scores = (_quantiles(section.get(name)) for name in ("features", "scores"))
    return Reference(int(section.get("samples", 0)), features, scores) if features or scores else None


def _quantiles(table: object) -> dict[str, tuple[float, ...]]:
    if not isinstance(table, Mapping):
        return {}
    return {
        str(name): tuple(map(float, values))
        for name, values in table.items()
        if isinstance(values, list) and len(values) == len(LEVELS) and all(map(math.isfinite, values))
    }


@dataclass(frozen=True, slots=True)
class Shown:
    """What one frame showed a model, and what it said: whether it kept the frame, and its score (0 to 100)."""

    features: Mapping[str, float]
    kept: bool
    score: float


@dataclass(frozen=True, slots=True)
class Drift:
    """One input or score: the share of frames outside the card's range, the index, and whether it is drift."""

    name: str
    frames: int
    outside: float
    psi: float
    is_drift: bool

    def __str__(self) -> str:
        return f"{self.name}: {self.outside:.0%} of {self.frames} frames outside the card's range, index {self.psi:.2f}"


def drifts(reference: Reference, shown: Sequence[Shown]) -> list[Drift]:
    """Each input and score of these frames against the card, drift first; empty for too few frames."""
    if len(shown) < FRAMES:
        return []
    found = [
        _of_input(name, quantiles, [frame.features[name] for frame in shown if name in frame.features])
        for name, quantiles in reference.features.items()
    ]
    kept = [frame.score / 100.0 for frame in shown if frame.kept]
    usable = reference.scores.get("usable")
    if usable is not None and len(kept) >= FRAMES:
        found.append(_of_score("score of kept frames", usable, kept))
    return sorted(found, key=lambda drift: (not drift.is_drift, -drift.outside, -drift.psi, drift.name))


def _of_input(name: str, quantiles: Sequence[float], values: Sequence[float]) -> Drift:
    out = sum(1 for value in values if not quantiles[0] <= value <= quantiles[-1])
    count = len(values)
    drifted = count >= FRAMES and wilson_low(out, count) > OUTSIDE_SHARE
    return Drift(name, count, out / count if count else 0.0, psi(quantiles, values), drifted)


def _of_score(name: str, quantiles: Sequence[float], values: Sequence[float]) -> Drift:
    low = sum(1 for value in values if value < quantiles[LEVELS.index(UNSURE_LEVEL)])
    drifted = wilson_low(low, len(values)) > UNSURE_SHARE
    return Drift(name, len(values), low / len(values), psi(quantiles, values), drifted)


def psi(quantiles: Sequence[float], values: Sequence[float]) -> float:
    """The population stability index of values against quantiles at LEVELS: 0 for the same, 0.25 for a great change.

    Bins end at the quantiles of _BINNED; equal quantiles are one. Half a frame is added to each bin, so that an empty
    one counts as rare and not as impossible.
    """
    if not values:
        return 0.0
    edges: list[float] = []
    below: list[float] = []
    for level in _BINNED:
        edge = quantiles[LEVELS.index(level)]
        if edge >= quantiles[-1]:
            break  # nothing lies above it: the last bin begins below
        if edges and edge == edges[-1]:
            below[-1] = level
        else:
            edges.append(edge)
            below.append(level)
    expected = [high - low for low, high in zip([0.0, *below], [*below, 1.0], strict=True)]
    counts = [0.5] * len(expected)
    for value in values:
        counts[bisect_left(edges, value)] += 1.0
    total = sum(counts)
    return sum((n / total - share) * math.log(n / total / share) for n, share in zip(counts, expected, strict=True))


def wilson_low(hits: int, count: int) -> float:
    """The lower end of Wilson's 95 % interval of a share."""
    if not count:
        return 0.0
    share, square = hits / count, _Z * _Z
    middle = share + square / (2 * count)
    half = _Z * math.sqrt(share * (1 - share) / count + square / (4 * count * count))
    return max(0.0, (middle - half) / (1 + square / count))
