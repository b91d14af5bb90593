"""Straight lines across a frame, too faint for a source extractor: satellites and aircraft.

The frame is binned to about a hundred pixels, its stars clipped, and summed along every line (the Radon
transform, by adding pixels into the bins of their distances). A trail of a third of the noise per pixel
stands out.
"""

from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

_SIDE = 112
_ANGLES = 72
_CLIP_SIGMAS = 3.0
_SHORTEST = 0.35
_BESIDE = (-4, -3, 3, 4)

Bins = NDArray[np.int32]


def line_signal(above: NDArray[np.float32]) -> float:
    """How far the strongest line stands out, in sigmas of all lines; 4 to 6 where there is none.

    `above` is the sky-subtracted plane, any unit. Rows and columns of their own level (banding, hot columns)
    are levelled first, so trails within half a degree of them are missed.
    """
    binned = _binned(above)
    side = min(binned.shape)
    if side < 16:
        return 0.0
    binned = _levelled(binned)
    weight, bins = _raster(*binned.shape)
    found = [
        _contrast(_sums(places, binned, counts.size), counts, side) for counts, places in zip(weight, bins, strict=True)
    ]
    lines = np.concatenate(found)
    usual = 1.4826 * float(np.median(np.abs(lines - np.median(lines))))
    return float(lines.max()) / max(usual, 0.3)


def _contrast(sums: NDArray[np.float64], counts: NDArray[np.float64], side: int) -> NDArray[np.float64]:
    """Each long line's mean less that of the lines beside it, times the root of its length."""
    mean = sums / counts
    beside = sum(_turned(mean, shift) for shift in _BESIDE) / len(_BESIDE)
    long = counts > _SHORTEST * side
    apart = long.copy()
    for shift in _BESIDE:
        apart &= _turned(long, shift)
    return np.asarray((mean - beside)[apart] * np.sqrt(counts[apart]))


def _turned(values: NDArray[Any], shift: int) -> NDArray[Any]:
    """`np.roll` of one axis, without its cost for arrays of any shape: it took half of the whole search."""
    return np.concatenate((values[-shift:], values[:-shift]))


def _sums(places: Bins, binned: NDArray[np.float64], count: int) -> NDArray[np.float64]:
    return np.asarray(np.bincount(places, weights=binned.ravel(), minlength=count), dtype=np.float64)


def _binned(above: NDArray[np.float32]) -> NDArray[np.float64]:
    factor = max(1, round(max(above.shape) / _SIDE))
    rows, columns = (axis // factor for axis in above.shape)
    if min(rows, columns) == 0:
        return np.zeros((0, 0))
    blocks = above[: rows * factor, : columns * factor].reshape(rows, factor, columns, factor)
    return np.asarray(blocks.mean(axis=3).mean(axis=1), dtype=np.float64)


def _levelled(binned: NDArray[np.float64]) -> NDArray[np.float64]:
    """Rows and columns to the same level, unit noise, stars clipped."""
    flat = binned - np.median(binned, axis=1, keepdims=True)
    flat = flat - np.median(flat, axis=0, keepdims=True)
    noise = 1.4826 * float(np.median(np.abs(flat))) + 1e-12
    return np.clip(flat / noise, -_CLIP_SIGMAS, _CLIP_SIGMAS)


@lru_cache(maxsize=8)
def _raster(rows: int, columns: int) -> tuple[list[NDArray[np.float64]], list[Bins]]:
    """For each angle: how many pixels each line holds, and the line of each pixel."""
    y, x = np.mgrid[0:rows, 0:columns].astype(np.float64)
    reach = int(np.hypot(rows, columns)) + 2
    counts, places = [], []
    for angle in (np.arange(_ANGLES) + 0.5) * np.pi / _ANGLES:
        distance = (x - columns / 2.0) * np.cos(angle) + (y - rows / 2.0) * np.sin(angle)
        place = (np.rint(distance) + reach // 2 + 1).astype(np.int32).ravel()
        places.append(place)
        counts.append(np.maximum(np.bincount(place, minlength=reach + 3), 1).astype(np.float64))
    return counts, places
