"""What is wrong with the sensor in a frame: hot pixels, and rows or columns of their own level."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

_HOT_SIGMAS = 8.0
_NEIGHBOUR_SHARE = 0.15
"""The narrowest star that is fairly sampled (FWHM 1.2 px) leaves a quarter of its peak in the next pixel."""

_MOST_CANDIDATES = 200_000
_SAMPLED_LINES = 256
_CLIP_SIGMAS = 4.0
_LINE_SIGMAS = 8.0
_LEAST_STEP_SIGMAS = 0.5
_BESIDE = 4


@dataclass(frozen=True, slots=True)
class Defects:
    """`hot_per_mpx`: single pixels far over all their neighbours, per million; `lines`: rows and columns that stand
    out of those beside them.
    """

    hot_per_mpx: float
    lines: int


def defects(above: NDArray[np.float32], noise: float) -> Defects:
    """The defects of a sky-subtracted plane whose pixels have the given noise, same unit."""
    rows, columns = above.shape
    downwards = above[:: max(1, rows // _SAMPLED_LINES)]
    sideways = above[:, :: max(1, columns // _SAMPLED_LINES)].T
    lines = _standing_out(downwards, noise) + _standing_out(sideways, noise)
    return Defects(_hot(above, noise) / above.size * 1e6, lines)


def _hot(above: NDArray[np.float32], noise: float) -> float:
    """How many pixels are over _HOT_SIGMAS while all eight neighbours hold next to nothing of it."""
    inner = above[1:-1, 1:-1]
    row, column = np.divmod(np.flatnonzero(inner > _HOT_SIGMAS * noise), max(inner.shape[1], 1))
    thinning = max(1, row.size // _MOST_CANDIDATES)
    row, column = row[::thinning], column[::thinning]
    value = inner[row, column]
    beside = np.full(value.shape, -np.inf, dtype=np.float32)
    for down in (0, 1, 2):
        for right in (0, 1, 2):
            if (down, right) != (1, 1):
                np.maximum(beside, above[row + down, column + right], out=beside)
    alone = beside < np.maximum(_NEIGHBOUR_SHARE * value, 3.5 * noise)
    return float(np.count_nonzero(alone) * thinning)


def _standing_out(sample: NDArray[Any], noise: float) -> int:
    """How many columns of the sample differ from the columns beside them."""
    if sample.shape[1] <= 2 * _BESIDE:
        return 0
    limit = np.float32(_CLIP_SIGMAS * noise)
    level = np.clip(sample, -limit, limit).mean(axis=0, dtype=np.float64)
    padded = np.pad(level, _BESIDE, mode="reflect")
    windows = np.lib.stride_tricks.sliding_window_view(padded, 2 * _BESIDE + 1)
    step = np.abs(level - np.median(windows, axis=1))
    usual = max(1.4826 * float(np.median(step)), noise / np.sqrt(sample.shape[0]))
    return int(np.count_nonzero(step > max(_LINE_SIGMAS * usual, _LEAST_STEP_SIGMAS * noise)))
