"""Where a picture of the sky shows the sky: the bright circle of a fish-eye on its black surround, if there is one."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

Floats = NDArray[np.float64]
Circle = tuple[float, float, float]

_COARSE_PX = 160
_LEVELS = (0.05, 0.1, 0.18, 0.3, 0.45)
_ANGLES = 90
_TRIPLES = 300
_NEAR = 0.02
_SMALLEST_RADIUS = 0.2
_LARGEST_RADIUS = 0.85
_LEAST_SHARE = 0.5
_LEAST_SEEN = 0.3
_FARTHEST = 0.33
_OUTSIDE_MIDDLE = 0.12
_OUTSIDE_MOST = 0.3
_SURROUND = 0.06
_BLACK = 0.62


@dataclass(frozen=True, slots=True)
class Horizon:
    """The circle in which a fish-eye shows the sky: pixels, 0 the centre of the first, x to the right, y down."""

    x: float
    y: float
    radius: float


def grey(picture: NDArray[np.float32]) -> NDArray[np.float32]:
    """One plane of brightness out of (height, width) or (height, width, 3); infinite pixels become NaN."""
    plane = picture if picture.ndim == 2 else picture.mean(axis=2, dtype=np.float32)
    return np.where(np.isfinite(plane), plane, np.float32(np.nan)) if np.isinf(plane).any() else plane


def find_horizon(plane: NDArray[np.float32]) -> Horizon | None:
    """The fish-eye's circle in a grey picture; None where the picture has none, or none that can be told.

    The picture is cut at several levels; of each bright region the edge is fitted by a circle that most of it must
    follow (trees may bite into it, the picture's own edge may cut it), and what lies outside must be dark. Good to
    about 2 % of the radius.
    """
    if min(plane.shape) < 24:
        return None
    step = max(1, -(-max(plane.shape) // _COARSE_PX))
    coarse = _coarse(plane, step)
    low, high = np.percentile(coarse, [1.0, 90.0])
    if not high > low:
        return None
    depth = np.clip((coarse - low) / (high - low), 0.0, 1.0)
    found = [_around(depth > level, depth, coarse) for level in _LEVELS]
    best = max((fit for fit in found if fit is not None), default=None)
    if best is None:
        return None
    x, y, radius = best[1]
    offset = (step - 1) / 2.0
    return Horizon(x * step + offset, y * step + offset, radius * step)


def _coarse(plane: NDArray[np.float32], step: int) -> Floats:
    """The picture binned by `step`, without pixels that have no value, and freed of stars and lamps."""
    rows, columns = plane.shape[0] // step * step, plane.shape[1] // step * step
    count = np.zeros((rows // step, columns // step))
    total = np.zeros_like(count)
    for line in range(rows // step):  # a line at a time: a large picture needs no copy of itself
        blocks = plane[line * step : (line + 1) * step, :columns].reshape(step, columns // step, step)
        known = np.isfinite(blocks)
        count[line] = known.sum(axis=(0, 2))
        total[line] = np.where(known, blocks, np.float32(0.0)).sum(axis=(0, 2), dtype=np.float64)
    middle = float(total.sum() / max(1, int(count.sum())))
    means = np.where(count > 0, total / np.maximum(count, 1), middle)
    smooth: Floats = ndimage.median_filter(means, size=3, mode="nearest")
    return smooth


def _around(bright: NDArray[np.bool_], depth: Floats, coarse: Floats) -> tuple[float, Circle] | None:
    """The circle around the largest bright region and how well it fits (share of its seen edge); None: no circle."""
    labels, count = ndimage.label(bright)
    if count == 0:
        return None
    largest = 1 + int(np.argmax(np.bincount(labels.ravel())[1:]))
    region = ndimage.binary_fill_holes(labels == largest)
    inner = np.zeros_like(region)
    inner[1:-1, 1:-1] = True  # where the region leaves the picture there is no edge to see
    rows, columns = np.nonzero(region & ~ndimage.binary_erosion(region) & inner)
    if rows.size < 20:
        return None
    x, y = columns.astype(np.float64), rows.astype(np.float64)
    circles = _through(x, y, depth.shape)
    shares = _shares(circles, x, y, depth.shape)
    if not shares.size or shares.max() < _LEAST_SHARE:
        return None
    circle = _refined(circles[int(np.argmax(shares))], x, y)
    share = float(_shares(circle[None], x, y, depth.shape)[0])
    best: Circle = (float(circle[0]), float(circle[1]), float(circle[2]))
    if share < _LEAST_SHARE or not _dark_outside(depth, coarse, best):
        return None
    return share, best


def _through(x: Floats, y: Floats, shape: tuple[int, ...]) -> Floats:
    """Circles (n, 3: x, y, radius) through triples of edge points drawn evenly, those of a possible size and place."""
    dice = np.random.default_rng(x.size)
    a, b, c = (dice.integers(0, x.size, _TRIPLES) for _ in range(3))
    ax, ay, bx, by = x[b] - x[a], y[b] - y[a], x[c] - x[a], y[c] - y[a]
    cross = 2.0 * (ax * by - ay * bx)
    with np.errstate(divide="ignore", invalid="ignore"):
        u = (by * (ax**2 + ay**2) - ay * (bx**2 + by**2)) / cross
        v = (ax * (bx**2 + by**2) - bx * (ax**2 + ay**2)) / cross
    circles = np.stack([x[a] + u, y[a] + v, np.hypot(u, v)], axis=1)
    with np.errstate(invalid="ignore"):
        off = np.hypot(circles[:, 0] - 0.5 * shape[1], circles[:, 1] - 0.5 * shape[0]) / max(shape)
        size = circles[:, 2] / max(shape)
        possible = (off < _FARTHEST) & (size > _SMALLEST_RADIUS) & (size < _LARGEST_RADIUS)
    kept: Floats = circles[possible]
    return kept


def _shares(circles: Floats, x: Floats, y: Floats, shape: tuple[int, ...]) -> Floats:
    """For each circle the share of its seen edge that has an edge point on it; 0 where too little is seen."""
    dx, dy = x - circles[:, 0:1], y - circles[:, 1:2]
    close = np.abs(np.hypot(dx, dy) - circles[:, 2:3]) < np.maximum(1.5, _NEAR * circles[:, 2:3])
    bins = np.floor(np.arctan2(dy, dx) / (2.0 * np.pi) * _ANGLES).astype(np.int64) % _ANGLES
    hit = np.zeros((circles.shape[0], _ANGLES), dtype=bool)
    which, point = np.nonzero(close)
    hit[which, bins[which, point]] = True
    angle = (np.arange(_ANGLES) + 0.5) * (2.0 * np.pi / _ANGLES)
    column = circles[:, 0:1] + circles[:, 2:3] * np.cos(angle)
    row = circles[:, 1:2] + circles[:, 2:3] * np.sin(angle)
    seen = (column >= 1) & (column <= shape[1] - 2) & (row >= 1) & (row <= shape[0] - 2)
    count = seen.sum(axis=1)
    shares: Floats = np.where(count >= _LEAST_SEEN * _ANGLES, (hit & seen).sum(axis=1) / np.maximum(count, 1), 0.0)
    return shares


def _refined(circle: Floats, x: Floats, y: Floats) -> Floats:
    """The least-squares circle (Kåsa 1976) through the edge points near `circle`, twice."""
    for near in (0.04, 0.02):
        distance = np.hypot(x - circle[0], y - circle[1])
        close = np.abs(distance - circle[2]) < np.maximum(2.0, near * circle[2])
        if close.sum() < 10:
            return circle
        design = np.stack([x[close], y[close], np.ones(int(close.sum()))], axis=1)
        p, q, r = np.linalg.lstsq(design, x[close] ** 2 + y[close] ** 2, rcond=None)[0]
        circle = np.array([p / 2.0, q / 2.0, np.sqrt(max(0.0, r + (p**2 + q**2) / 4.0))])
    return circle


def _dark_outside(depth: Floats, coarse: Floats, circle: Circle) -> bool:
    """Whether what is well outside is dark, nearly everywhere, against what is inside."""
    rows, columns = np.indices(depth.shape)
    distance = np.hypot(columns - circle[0], rows - circle[1]) / circle[2]
    far, near = distance > 1.1, distance < 0.9
    outside, inside = depth[far], depth[near]
    if outside.size < 0.01 * depth.size or inside.size == 0:
        return False
    middle, most = np.percentile(outside, [50.0, 85.0]) / max(1e-9, float(np.median(inside)))
    if not (middle < _OUTSIDE_MIDDLE and most < _OUTSIDE_MOST):
        return False
    # a lens that vignettes darkens its corners by degrees; where only the corners lie outside they must be black
    has_surround = outside.size >= _SURROUND * depth.size
    return has_surround or bool(np.median(coarse[far]) < _BLACK * np.median(coarse[near]))
