"""The cloud model: where in a picture of the night sky is the sky covered?

The picture of any size becomes a raster of 192 cells over the circle of the sky (or over the longer side of a picture
that has none). What the network sees of a cell is relative to the picture's own sky and noise: how bright it is against
the rest, how it stands out of its neighbourhood, the strongest star in it and how many stars are around. A cloud may be
brighter than the sky (town, Moon) or darker; both hide stars. Outputs are calibrated probabilities.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from astrod_models.session import Session, open_session

NAME = "cloud"

RASTER = 192
GRID = 48
CHANNELS = ("spread", "contrast", "band_noise", "band_contrast", "peak", "density", "valid", "height")
FACTS = (
    "log_stars",
    "log_peak",
    "log_noise",
    "log_spread",
    "saturated",
    "level",
    "fisheye",
)
MAPS = (
    "spread",
    "contrast",
    "band_noise",
    "band_contrast",
    "rough_noise",
    "rough_contrast",
    "peak",
    "top_peak",
    "density",
)
"""What is averaged over a cell of the map and its surroundings: channels, their roughness, the strongest star."""
NEAR = (3, 7, 15)
"""Sides of the surroundings of a cell that are looked at, in cells."""
UNEVEN = (("spread", 7), ("spread", 15), ("contrast", 7), ("contrast", 15))
"""Maps whose unevenness in surroundings counts too."""
CELL_FEATURES = (
    *MAPS,
    "height",
    *(f"{name} of {side}" for side in NEAR for name in MAPS),
    *(f"unevenness of {name} of {side}" for name, side in UNEVEN),
)
PICTURE_FEATURES = (*(f"mean {name}" for name in MAPS), *(f"deviation of {name}" for name in MAPS), *FACTS)
STATES = ("day", "shut", "dew")
"""What a picture may be instead of a night sky: daylight, nothing of the sky at all, a wet or frosted window."""

MAGNITUDES = 0.3
"""A cell counts as covered where cloud takes more than about this from the light of its stars."""

Single = NDArray[np.float32]
Circle = tuple[float, float, float]

_FINEST = 4
_STAR_SIGMAS = 5.0
_NOISE_BLOCK = 8
_REACH = 8.0
_IMPOSSIBLE = 1e12


@dataclass(frozen=True, slots=True, eq=False)
class Raster:
    """What the model is shown of a picture.

    `channels` is (len(CHANNELS), 192, 192), `facts` (len(FACTS),). `stars` are the x, y (pixels of the picture) and
    signal-to-noise of what looks like stars, brightest first. The map's cell (row, column) is centred on pixel
    (x0 + column × step, y0 + row × step). `seen` (48, 48) is True for cells inside the sky and the picture; `flat` is
    True where all pixels of the sky have one value, `clipped` the share of them that have the highest one.
    """

    channels: Single
    facts: Single
    stars: NDArray[np.float64]
    x0: float
    y0: float
    step: float
    seen: NDArray[np.bool_]
    flat: bool
    clipped: float


@dataclass(frozen=True, slots=True, eq=False)
class Answer:
    """Calibrated probabilities (48, 48): that a cell is covered, that it is sky at all; and STATES by name."""

    cloud: Single
    sky: Single
    states: Mapping[str, float]


class Cloud:
    """The cloud model in force; raises card.WeightsRefusedError when there is none to trust."""

    def __init__(self, folder: Path | None = None) -> None:
        """Load from `folder`, or from astrod's own weights."""
        self._session: Session = open_session(NAME, folder)
        self.title = self._session.card.title
        self.thresholds = self._session.card.thresholds

    def __call__(self, raster: Raster) -> Answer:
        """The map of one picture."""
        cells, picture = features_of(raster.channels, raster.facts)
        said = self._session.run({"cells": cells.reshape(-1, len(CELL_FEATURES)), "picture": picture[None]})
        states = dict(zip(STATES, (float(value) for value in said["states"][0]), strict=True))
        return Answer(said["cloud"].reshape(GRID, GRID), said["sky"].reshape(GRID, GRID), states)


def prepare(plane: Single, circle: Circle | None) -> Raster:
    """The raster of a grey picture (height, width; NaN where there is no value), any size down to one pixel.

    `circle` is the sky's (x, y, radius in pixels), None where the picture is all sky.
    """
    height, width = plane.shape
    if circle is None:
        x, y, side = (width - 1) / 2.0, (height - 1) / 2.0, float(max(width, height))
    else:
        x, y, side = circle[0], circle[1], 2.0 * circle[2]
    fine = int(np.clip(round(side / RASTER), 1, _FINEST))
    left, top = x - side / 2.0, y - side / 2.0
    work, share = _resampled(plane, left, top, side, RASTER * fine)
    inside = share > 0.5
    if circle is not None:
        inside &= _distance(RASTER * fine) <= 1.0
    channels, facts, stars = _channels(work, inside, fine, _pedestal(plane, circle), circle is not None)
    stars[:, :2] = stars[:, :2] * (side / (RASTER * fine)) + [[left, top]]
    valid = channels[CHANNELS.index("valid")]
    cell = RASTER // GRID
    seen = valid.reshape(GRID, cell, GRID, cell).mean(axis=(1, 3)) >= 0.5
    step = side / GRID
    flat = not inside.any() or float(work[inside].max()) == float(work[inside].min())
    clipped = 0.0 if flat else float(np.mean(work[inside] >= _nearly_top(work[inside])))
    return Raster(channels, facts, stars, left + 0.5 * step, top + 0.5 * step, step, seen, flat, clipped)


def _nearly_top(values: Single) -> float:
    """The highest value, less what averaging and JPEG take from it."""
    return float(values.max()) - 2e-3 * float(values.max() - values.min())


def features_of(channels: Single, facts: Single) -> tuple[Single, Single]:
    """What the network is given: (48, 48, CELL_FEATURES) of each cell and its surroundings, (PICTURE_FEATURES,)."""
    cell = RASTER // GRID
    named = {name: channels[index].reshape(GRID, cell, GRID, cell) for index, name in enumerate(CHANNELS)}
    share = named["valid"].mean(axis=(1, 3))
    named["rough_noise"], named["rough_contrast"] = np.abs(named["band_noise"]), np.abs(named["band_contrast"])
    maps = [_over_valid(named[name], named["valid"]) for name in MAPS if name != "top_peak"]
    maps.insert(MAPS.index("top_peak"), named["peak"].max(axis=(1, 3)))
    stack = np.stack(maps) * (share > 0.0)
    around = {side: _around(stack, share, side) for side in NEAR}
    squares = {side: _around(stack[:2] ** 2, share, side) for side in NEAR[1:]}
    uneven = [
        np.sqrt(np.maximum(squares[side][MAPS.index(name)] - around[side][MAPS.index(name)] ** 2, 0.0))
        for name, side in UNEVEN
    ]
    height = named["height"].mean(axis=(1, 3))
    cells = np.concatenate([stack, height[None], *around.values(), np.stack(uneven)]).transpose(1, 2, 0)
    weight = share / max(1e-6, float(share.sum()))
    mean = (stack * weight).sum(axis=(1, 2))
    deviation = np.sqrt(np.maximum((stack**2 * weight).sum(axis=(1, 2)) - mean**2, 0.0))
    return cells.astype(np.float32), np.concatenate([mean, deviation, facts]).astype(np.float32)


def _over_valid(values: Single, valid: Single) -> Single:
    """Means over the cells of the map, of what is valid in them."""
    means: Single = (values * valid).sum(axis=(1, 3)) / np.maximum(valid.sum(axis=(1, 3)), 1e-3)
    return means


def _around(stack: Single, share: Single, side: int) -> Single:
    """Means over squares of `side` cells around each cell, of what is valid there."""
    weight = ndimage.uniform_filter(share, side, mode="constant")
    total = ndimage.uniform_filter(stack * share, (0, side, side), mode="constant")
    means: Single = total / np.maximum(weight, 1e-3)
    return means


def _distance(size: int) -> Single:
    """How far each cell of a square raster is from its middle; 1 at the middle of its sides."""
    axis = (np.arange(size, dtype=np.float32) + 0.5) * (2.0 / size) - 1.0
    distance: Single = np.hypot(axis[:, None], axis[None, :])
    return distance


def _resampled(plane: Single, left: float, top: float, side: float, size: int) -> tuple[Single, Single]:
    """Means of the picture over the size × size parts of a square, and the share of each that has a value.

    The square's corner lies at (left + 0.5, top + 0.5) from the picture's corner: pixel 0 covers 0 to 1.
    """
    factor = max(1, min(int(side / size / 2.0), *plane.shape))
    if factor > 1:  # bin first: exact enough, and a picture of 16k × 16k needs no copy of its size
        rows, columns = (axis // factor * factor for axis in plane.shape)
        blocks = plane[:rows, :columns].reshape(rows // factor, factor, columns // factor, factor)
        with np.errstate(over="ignore", invalid="ignore"):  # what overflows has no value
            plane = blocks.mean(axis=(1, 3), dtype=np.float32)
        left, top, side = (left + 0.5) / factor - 0.5, (top + 0.5) / factor - 0.5, side / factor
    known = np.abs(plane) < _IMPOSSIBLE
    share: NDArray[Any]
    if known.all():
        total = _averaged(_averaged(plane, top, side, size).T, left, side, size).T
        share = np.outer(*(_cover(n, at, side, size) for n, at in zip(plane.shape, (top, left), strict=True)))
    else:
        filled = np.where(known, plane, np.float32(0.0))
        total = _averaged(_averaged(filled, top, side, size).T, left, side, size).T
        share = _averaged(_averaged(known.astype(np.float32), top, side, size).T, left, side, size).T
    means = np.where(share > 1e-3, total / np.maximum(share, 1e-3), 0.0)
    return means.astype(np.float32), share.astype(np.float32)


def _averaged(plane: Single, start: float, side: float, size: int) -> Single:
    """The integral of each row-wise interval over its length; what lies outside the picture counts 0."""
    count = plane.shape[0]
    edges = np.clip(start + 0.5 + side * np.arange(size + 1) / size, 0.0, count)
    whole = np.minimum(np.floor(edges).astype(np.int64), count - 1)
    sums = np.zeros((count + 1, plane.shape[1]), dtype=np.float64)
    np.cumsum(plane, axis=0, dtype=np.float64, out=sums[1:])
    upto = sums[whole] + (edges - whole)[:, None] * plane[whole]
    means: Single = (np.diff(upto, axis=0) * (size / side)).astype(np.float32)
    return means


def _cover(count: int, start: float, side: float, size: int) -> NDArray[np.float64]:
    """The share of each interval that lies inside the picture."""
    edges = np.clip(start + 0.5 + side * np.arange(size + 1) / size, 0.0, count)
    share: NDArray[np.float64] = np.diff(edges) * (size / side)
    return share


def _pedestal(plane: Single, circle: Circle | None) -> float | None:
    """The level without light, as the surround of a fish-eye shows it; None where there is no surround."""
    if circle is None:
        return None
    step = max(1, max(plane.shape) // 256)
    coarse = plane[::step, ::step]
    rows, columns = np.indices(coarse.shape, dtype=np.float32) * np.float32(step)
    outside = coarse[np.hypot(columns - circle[0], rows - circle[1]) > 1.08 * circle[2]]
    outside = outside[np.abs(outside) < _IMPOSSIBLE]
    return float(np.median(outside)) if outside.size >= 50 else None


def _channels(
    work: Single, inside: NDArray[np.bool_], fine: int, pedestal: float | None, fisheye: bool
) -> tuple[Single, Single, NDArray[np.float64]]:
    """Channels, facts, and the stars in pixels of `work`."""
    channels = np.zeros((len(CHANNELS), RASTER, RASTER), dtype=np.float32)
    named = dict(zip(CHANNELS, channels, strict=True))
    valid = _cells(inside.astype(np.float32), fine)
    named["valid"][:] = valid
    named["height"][:] = np.maximum(0.0, 1.0 - _distance(RASTER) ** 2) if fisheye else 0.5
    if not inside.any():
        return channels, np.zeros(len(FACTS), dtype=np.float32), np.zeros((0, 3))
    middle = float(np.median(work[inside]))
    filled = np.where(inside, work, np.float32(middle))
    points, wide, noise = _points(filled, inside, fine)
    stars = _stars(points, noise, inside)
    level = _level(np.minimum(filled, wide + 2.0 * noise), inside, fine, middle)
    sky = level[valid > 0.5] if (valid > 0.5).any() else level.ravel()
    low, middle, high = (float(value) for value in np.percentile(sky, [16.0, 50.0, 84.0]))
    grain = float(np.median(noise[inside]))
    dark = min(float(sky.min()), middle) if pedestal is None else min(pedestal, middle)
    light = max(middle - dark, grain, 1e-12)
    spread = max(0.5 * (high - low), 0.3 * grain / fine, 1e-3 * light)
    band = level - _blurred_inside(level, valid, _REACH / 2.0)
    still = max(grain / fine, 1e-4 * light)
    named["spread"][:] = np.arcsinh((level - middle) / spread)
    named["contrast"][:] = np.log(np.clip((level - dark) / light, 0.05, 20.0))
    named["band_noise"][:] = 0.5 * np.arcsinh(band / still)
    named["band_contrast"][:] = np.arcsinh(band / (0.02 * light))
    peak, density = _star_maps(stars, valid, fine)
    named["peak"][:], named["density"][:] = peak, density
    for name in ("spread", "contrast", "band_noise", "band_contrast"):
        named[name][valid <= 0.5] = 0.0
    top = float(work[inside].max())
    facts = {
        "log_stars": np.log10(1.0 + 1e4 * stars.shape[0] / max(1.0, float(inside.sum()) / fine**2)),
        "log_peak": np.log10(1.0 + float(np.median(stars[:40, 2]))) if stars.shape[0] else 0.0,
        "log_noise": np.log10(np.clip(grain / light, 1e-5, 10.0)),
        "log_spread": np.log10(np.clip(0.5 * (high - low) / light, 1e-4, 10.0)),
        "saturated": np.sqrt(float(np.mean(work[inside] >= dark + 0.97 * (top - dark)))),
        "level": (middle - dark) / max(top - dark, 1e-12),
        "fisheye": float(fisheye),
    }
    return np.clip(channels, -6.0, 6.0), np.array([facts[name] for name in FACTS], dtype=np.float32), stars


def _cells(work: Single, fine: int) -> Single:
    """Means over the cells of the raster."""
    means: Single = work.reshape(RASTER, fine, RASTER, fine).mean(axis=(1, 3))
    return means


def _points(filled: Single, inside: NDArray[np.bool_], fine: int) -> tuple[Single, Single, Single]:
    """What stands out as a point, the smooth rest, and the noise of the former, each a map."""
    wide = ndimage.uniform_filter(filled, 9, mode="nearest")
    points = ndimage.gaussian_filter(filled, 0.8, mode="nearest", truncate=3.0) - wide
    points[~inside] = 0.0
    block = _NOISE_BLOCK * fine
    count = filled.shape[0] // block
    deviation = np.abs(points).reshape(count, block, count, block).swapaxes(1, 2).reshape(count, count, -1)
    coarse = 1.4826 * np.median(deviation, axis=2)
    known = inside.reshape(count, block, count, block).mean(axis=(1, 3)) > 0.7
    usual = float(np.median(coarse[known])) if known.any() else 0.0
    levels = np.abs(points[inside])
    least = float(levels[levels > 0.0].mean()) * 0.2 if (levels > 0.0).any() else 1e-12
    coarse = np.where(known, np.maximum(coarse, 0.4 * usual), usual)
    coarse = np.maximum(ndimage.median_filter(coarse, 3, mode="nearest"), max(least, 1e-12))
    noise = ndimage.zoom(coarse.astype(np.float32), block, order=1, mode="nearest", grid_mode=True)
    return points, wide, noise


def _stars(points: Single, noise: Single, inside: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Peaks (n, 3: x, y, signal-to-noise) of point-like things, brightest first; x, y to a fraction of a pixel."""
    signal = points / noise
    ready = ndimage.binary_erosion(inside, iterations=2)
    peaks = (signal > _STAR_SIGMAS) & ready
    peaks &= signal >= ndimage.maximum_filter(signal, 5, mode="nearest")
    rows, columns = np.nonzero(peaks)
    height = signal[rows, columns].astype(np.float64)
    order = np.argsort(-height, kind="stable")[:4000]
    rows, columns, height = rows[order], columns[order], height[order]
    dx = _vertex(signal[rows, columns - 1], height, signal[rows, columns + 1])
    dy = _vertex(signal[rows - 1, columns], height, signal[rows + 1, columns])
    return np.stack([columns + 0.5 + dx, rows + 0.5 + dy, height], axis=1)


def _vertex(before: Single, at: NDArray[np.float64], after: Single) -> NDArray[np.float64]:
    """Where the parabola through three neighbours has its top, -0.5 to 0.5."""
    bend = before + after - 2.0 * at
    shift: NDArray[np.float64] = np.clip(0.5 * (before - after) / np.minimum(bend, -1e-9), -0.5, 0.5)
    return shift


def _level(work: Single, inside: NDArray[np.bool_], fine: int, middle: float) -> Single:
    """The sky's level in each cell, without stars; the middle of all where nothing is seen."""
    share = _cells(inside.astype(np.float32), fine)
    total = _cells(np.where(inside, work, np.float32(0.0)), fine)
    level = np.where(share > 0.2, total / np.maximum(share, 0.2), np.float32(middle))
    smooth: Single = ndimage.median_filter(level.astype(np.float32), 3, mode="nearest")
    return smooth


def _blurred_inside(level: Single, valid: Single, sigma: float) -> Single:
    """A Gaussian mean over the cells that are valid."""
    weight = ndimage.gaussian_filter(valid, sigma, mode="constant", truncate=2.5)
    total = ndimage.gaussian_filter(level * valid, sigma, mode="constant", truncate=2.5)
    blurred: Single = np.where(weight > 1e-3, total / np.maximum(weight, 1e-3), level)
    return blurred


def _star_maps(stars: NDArray[np.float64], valid: Single, fine: int) -> tuple[Single, Single]:
    """The strongest star of each cell, and how many there are around, both compressed."""
    peak = np.zeros((RASTER, RASTER), dtype=np.float32)
    count = np.zeros((RASTER, RASTER), dtype=np.float32)
    rows = np.clip((stars[:, 1] / fine).astype(np.int64), 0, RASTER - 1)
    columns = np.clip((stars[:, 0] / fine).astype(np.int64), 0, RASTER - 1)
    np.maximum.at(peak, (rows, columns), stars[:, 2].astype(np.float32))
    np.add.at(count, (rows, columns), np.float32(1.0))
    share = ndimage.gaussian_filter(valid, _REACH, mode="constant", truncate=2.5)
    around = ndimage.gaussian_filter(count, _REACH, mode="constant", truncate=2.5)
    density = np.where(valid > 0.5, around / np.maximum(share, 0.05), 0.0)
    return np.arcsinh(peak / 5.0), (0.5 * np.log1p(density * 1e3)).astype(np.float32)
