"""Edges in stills: the rim of a fish-eye, a roof, the lit side of a cloud look like a line to whoever sees lines only.

A light stands above both of its sides; at an edge one side is as bright as the line itself.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from astrod.domain.sighting import Track

_PLACES = 15
_LINE_PX, _NEAR_PX, _FAR_PX = 7.0, 11.0, 17.0
"""The fit to an edge may lie some pixels beside it, more so to an arc."""
_STEP_SHARE = 0.6
"""An edge: the line stands above its brighter side by less than this share of the step between the sides."""
_STEP_NOISE = 3.0


def is_edge(image: NDArray[Any], track: Track) -> bool:
    """Whether a track through a still runs along an edge of brightness. Coordinates are the image's pixels."""
    first, last = track.points[0], track.points[-1]
    length = float(np.hypot(last.x - first.x, last.y - first.y))
    if length < 1.0:
        return False
    along = np.linspace(0.1, 0.9, _PLACES)
    x, y = first.x + along * (last.x - first.x), first.y + along * (last.y - first.y)
    across = (-(last.y - first.y) / length, (last.x - first.x) / length)

    def level(*offsets: float) -> NDArray[np.float64]:
        """What stands at these distances beside each place, the middle one of them; NaN outside."""
        return np.median([_at(image, x + across[0] * off, y + across[1] * off) for off in offsets], axis=0)

    sides = np.linspace(_NEAR_PX, _FAR_PX, 5)
    left, right = level(*sides), level(*(-sides))
    line = np.max(
        [_at(image, x + across[0] * off, y + across[1] * off) for off in (-1.5, -0.75, 0.0, 0.75, 1.5)], axis=0
    )
    known = np.isfinite(left) & np.isfinite(right) & np.isfinite(line)
    if known.sum() < _PLACES // 2:
        return False
    step = np.median(left[known] - right[known])
    scatter = 1.4826 * np.median(np.abs(left[known] - right[known] - step)) / np.sqrt(known.sum())
    rise = np.median(line[known] - np.maximum(left[known], right[known]))
    return bool(abs(step) > _STEP_NOISE * scatter and rise < _STEP_SHARE * abs(step))


def _at(image: NDArray[Any], x: NDArray[np.float64], y: NDArray[np.float64]) -> NDArray[np.float64]:
    """The nearest pixels; NaN outside the image."""
    column, row = np.rint(x).astype(int), np.rint(y).astype(int)
    inside = (row >= 0) & (row < image.shape[0]) & (column >= 0) & (column < image.shape[1])
    values = np.full(x.shape, np.nan)
    values[inside] = image[row[inside], column[inside]]
    return values
