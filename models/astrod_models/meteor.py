"""The meteor model: does a block of frames, or a still, show a meteor, and where?

A block is what a stretch of video leaves behind: of each pixel its maximum, the number of the frame in which
that came, its mean and its spread. A still has the one image only. Everything that the network sees is in
units of the image's own local noise, so that depth, gain, gamma and town do not matter; the frame numbers
enter as a local ramp (how smoothly, and how slowly, time runs along the light), which tells a meteor from an
aircraft and is missing in a still.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from astrod_models.session import Session, open_session

NAME = "meteor"

KINDS = ("meteor", "aircraft", "satellite")
"""What a moving light may be; the order of the network's outputs."""

CHANNELS = ("excess", "star", "coherence", "slope", "lift", "timed")
"""What the network sees of each pixel, in order; `view_of` says what each is."""

CELL_PX = 16
"""Pixels of the view per cell of the class map."""

MASK_PX = 4
"""Pixels of the view per cell of the mask and of the attention map."""

LONGEST_PX = 2048
"""Longer images are binned to this at most."""

FEWEST_TIMED = 8
"""Blocks of fewer frames than this tell nothing by the frame of maximum."""

_TILE = 32
_STILL_TILE = 16
_CEILING = 1.0e6
_LARGEST = np.float32(1.0e15)
_RAMP_PX = 9
_STRIP = 1 << 24

Floats = NDArray[np.float32]


@dataclass(frozen=True, slots=True, eq=False)
class Block:
    """What is known of a stretch of frames: arrays of one shape (height, width), any numeric type.

    `frame` counts from 0. In a still only `maximum` is there, and `count` is 1.
    """

    maximum: NDArray[Any]
    frame: NDArray[Any] | None = None
    mean: NDArray[Any] | None = None
    spread: NDArray[Any] | None = None
    count: int = 1


@dataclass(frozen=True, slots=True, eq=False)
class View:
    """A block as the network sees it, and as a track is measured on it.

    `channels` is (len(CHANNELS), h, w), padded with zeros to multiples of CELL_PX; of it `rows` × `columns` are
    image. `excess` (rows, columns) is the brightness above the surroundings in units of their noise, `flux` the
    same in the image's own units, `frame` the frame of maximum, None for a still. A view's pixel is
    `factor` × `factor` of the image's; `count` as in the block.
    """

    channels: Floats
    excess: Floats
    flux: Floats
    frame: NDArray[np.int32] | None
    rows: int
    columns: int
    factor: int
    count: int


@dataclass(frozen=True, slots=True, eq=False)
class Answer:
    """What the network says of a view.

    `chances` are the probabilities that something of KINDS is in the block; `cells` (3, h/16, w/16) the same for
    each cell before pooling, `mask` (3, h/4, w/4) of each small cell to lie on a light of that kind, `attention`
    (h/4, w/4) the multi-layer Grad-CAM of the first kind, from 0 to 1.
    """

    chances: dict[str, float]
    cells: Floats
    mask: Floats
    attention: Floats


class Meteor:
    """The meteor model in force; raises card.WeightsRefusedError when there is none to trust."""

    def __init__(self, folder: Path | None = None) -> None:
        """Load from `folder`, or from astrod's own weights."""
        self._session: Session = open_session(NAME, folder)
        self.title = self._session.card.title
        self.thresholds = self._session.card.thresholds

    def __call__(self, view: View) -> Answer:
        """Look at one view."""
        said = self._session.run({"channels": view.channels[None]})
        chances = dict(zip(KINDS, (float(value) for value in said["chances"][0]), strict=True))
        return Answer(chances, said["cells"][0], said["mask"][0], said["attention"][0, 0])


def view_of(block: Block) -> View:
    """The network's channels of a block, or of a still.

    excess: (maximum - mean) / spread, less its local median, by its local scatter; in a still the image above its
    local background by its noise. star: the mean's own excess (0 in a still). coherence: 0 to 1, how well
    the frame numbers near a bright pixel follow one ramp; slope: that ramp's steepness, frames per pixel, by logarithm.
    lift: the local median against that of the whole image. timed: 1 where frame numbers are known.
    Brightness is compressed by asinh. NaN and infinite pixels count as background.
    """
    factor = max(1, -(-max(block.maximum.shape) // LONGEST_PX))
    maximum = _binned(block.maximum, factor)
    timed = block.frame is not None and block.mean is not None and block.spread is not None
    if timed and block.count >= FEWEST_TIMED:
        flux, level, star = _above_mean(block, maximum, factor)
        tile = _TILE
    else:
        flux, level, star = maximum, maximum, np.zeros_like(maximum)
        tile = _STILL_TILE
    excess, middle, noise = _standardised(level, tile, floor=0.1 if level is not flux else _quantum(block.maximum))
    if level is flux:
        flux = flux - middle
    frame = _binned_frame(block.frame, excess, factor) if timed and block.frame is not None else None
    rows, columns = maximum.shape
    height, width = (max(2, -(-axis // CELL_PX)) * CELL_PX for axis in (rows, columns))
    channels = np.zeros((len(CHANNELS), height, width), dtype=np.float32)
    inside = channels[:, :rows, :columns]
    inside[0] = _compressed(excess)
    inside[1] = star
    if frame is not None and block.count >= FEWEST_TIMED:
        inside[2:4] = _ramp(excess, frame, block.count)
        inside[5] = 1.0
    inside[4] = 0.5 * _compressed((middle - np.median(middle)) / max(float(np.median(noise)), 1e-6))
    return View(channels, excess, flux, frame, rows, columns, factor, block.count)


def _above_mean(block: Block, maximum: Floats, factor: int) -> tuple[Floats, Floats, Floats]:
    """(maximum - mean), the same by its spread, and what of the mean stands out, compressed."""
    mean, spread = _binned(block.mean, factor), _binned(block.spread, factor)
    flux = maximum - mean
    quantum = _quantum(block.maximum)
    level = flux / np.sqrt(np.maximum(spread, 0.0) ** 2 + quantum * quantum)
    star, _middle, _noise = _standardised(mean, _TILE, floor=quantum)
    return flux, np.clip(level, -_CEILING, _CEILING), _compressed(star)


def _quantum(pixels: NDArray[Any]) -> float:
    """The noise that counting in whole numbers leaves at least; of floats, a hair of their range."""
    if pixels.dtype.kind in "uib":
        return 0.5
    finite = pixels[np.isfinite(pixels)] if pixels.size else pixels
    if not finite.size:
        return 1.0
    low, high = np.percentile(finite[:: max(1, finite.size // 100_000)].astype(np.float64), (1.0, 99.0))
    return float(np.clip((high - low) * 1e-3, 1e-12, _LARGEST))


def _finite(values: NDArray[Any]) -> Floats:
    """float32 of bounded size, what is not finite replaced by the median of what is (by 0 where nothing is)."""
    with np.errstate(over="ignore"):
        plain = np.asarray(values, dtype=np.float32)
    if values.dtype.kind == "f":
        plain = np.clip(plain, -_LARGEST, _LARGEST) if np.isfinite(plain).all() else _filled(plain)
    return plain


def _filled(plain: Floats) -> Floats:
    good = np.isfinite(plain)
    middle = np.median(plain[good]) if good.any() else 0.0
    return np.clip(np.where(good, plain, np.float32(middle)), -_LARGEST, _LARGEST)


def _binned(values: NDArray[Any] | None, factor: int) -> Floats:
    """Means of factor × factor pixels; the rest at the far edges is left out, where there is any whole block."""
    assert values is not None
    if factor == 1:
        return _finite(values)
    rows, columns = (max(1, axis // factor) for axis in values.shape)
    out = np.empty((rows, columns), dtype=np.float32)
    strip = max(1, _STRIP // (factor * max(1, values.shape[1])))
    for first in range(0, rows, strip):
        part = _finite(values[first * factor : (first + strip) * factor, : columns * factor])
        tall, wide = part.shape[0] // max(1, part.shape[0] // factor), part.shape[1] // columns
        blocks = part[: part.shape[0] // tall * tall].reshape(-1, tall, columns, wide)
        out[first : first + blocks.shape[0]] = blocks.mean(axis=(1, 3), dtype=np.float32)
    return out


def _binned_frame(frame: NDArray[Any], excess: Floats, factor: int) -> NDArray[np.int32]:
    """The frame numbers of the view's pixels: of a block of pixels, the middle one's."""
    rows, columns = excess.shape
    half = factor // 2
    picked = frame[half::factor, half::factor] if factor > 1 else frame
    picked = _finite(picked[:rows, :columns]).astype(np.int32)
    short = (rows - picked.shape[0], columns - picked.shape[1])
    return np.pad(picked, ((0, short[0]), (0, short[1])), mode="edge") if any(short) else picked


def _standardised(level: Floats, tile: int, floor: float) -> tuple[Floats, Floats, Floats]:
    """`level` less its local median by its local scatter; that median and scatter, at full size.

    Both are of square tiles, smoothed and interpolated; the scatter is the median absolute deviation, never below
    half its median over the image, nor below `floor`.
    """
    rows, columns = level.shape
    middle = _interpolated(_smoothed(_tiles(level, tile)), tile, rows, columns)
    rest = level - middle
    scatter = _smoothed(1.4826 * _tiles(np.abs(rest), tile))
    scatter = np.maximum(scatter, max(0.5 * float(np.median(scatter)), floor))
    noise = _interpolated(scatter, tile, rows, columns)
    return np.clip(rest / noise, -_CEILING, _CEILING), middle, noise


def _tiles(level: Floats, tile: int) -> Floats:
    """Medians of square tiles; the last ones reach over the edge and repeat it."""
    down, right = (-axis % tile for axis in level.shape)
    padded = np.pad(level, ((0, down), (0, right)), mode="symmetric" if min(level.shape) >= tile else "edge")
    rows, columns = padded.shape[0] // tile, padded.shape[1] // tile
    blocks = padded.reshape(rows, tile, columns, tile).transpose(0, 2, 1, 3).reshape(rows, columns, tile * tile)
    return np.median(blocks, axis=2).astype(np.float32)


def _smoothed(grid: Floats) -> Floats:
    """The median of each entry and its eight neighbours: one odd tile leaves no mark."""
    padded = np.pad(grid, 1, mode="edge")
    rows, columns = grid.shape
    near = [padded[y : y + rows, x : x + columns] for y in range(3) for x in range(3)]
    return np.asarray(np.median(np.stack(near), axis=0), dtype=np.float32)


def _interpolated(grid: Floats, tile: int, rows: int, columns: int) -> Floats:
    """The grid of tile middles, bilinear at each pixel, constant beyond the outermost middles."""
    along = _interpolated_rows(grid, tile, rows)
    return np.ascontiguousarray(_interpolated_rows(np.ascontiguousarray(along.T), tile, columns).T)


def _interpolated_rows(grid: Floats, tile: int, rows: int) -> Floats:
    place = np.clip((np.arange(rows) + 0.5) / tile - 0.5, 0.0, grid.shape[0] - 1.0)
    low = np.minimum(place.astype(np.intp), max(0, grid.shape[0] - 2))
    high = np.minimum(low + 1, grid.shape[0] - 1)
    share = (place - low).astype(np.float32)[:, None]
    return np.asarray(grid[low] * (1.0 - share) + grid[high] * share, dtype=np.float32)


def _ramp(excess: Floats, frame: NDArray[np.int32], count: int) -> Floats:
    """Coherence and slope: near each pixel, a straight line through frame number against place.

    Of each 2 × 2 pixels the brightest speaks, weighted by the square of its excess; the line runs along the
    principal direction of the weights. Coherence falls with the scatter about it, as a share of what random
    frame numbers scatter.
    """
    bright, when = _brightest(excess, frame)
    weight = np.square(np.clip(bright - 2.0, 0.0, 50.0)).astype(np.float64) + 1e-3
    time = (when - 0.5 * count) / count
    rows, columns = np.mgrid[: bright.shape[0], : bright.shape[1]]
    x, y = columns - 0.5 * bright.shape[1], rows - 0.5 * bright.shape[0]
    total = _boxed(weight)
    mx, my, mt = (_boxed(weight * value) / total for value in (x, y, time))
    cxx = _boxed(weight * x * x) / total - mx * mx
    cxy = _boxed(weight * x * y) / total - mx * my
    cyy = _boxed(weight * y * y) / total - my * my
    cxt, cyt = _boxed(weight * x * time) / total - mx * mt, _boxed(weight * y * time) / total - my * mt
    ctt = _boxed(weight * time * time) / total - mt * mt
    angle = 0.5 * np.arctan2(2.0 * cxy, cxx - cyy)
    cos, sin = np.cos(angle), np.sin(angle)
    long = np.maximum(cxx * cos * cos + 2.0 * cxy * cos * sin + cyy * sin * sin, 1e-3)
    slope = (cxt * cos + cyt * sin) / long
    scatter = np.sqrt(np.maximum(ctt - slope * slope * long, 0.0)) * np.sqrt(12.0)
    coherence = np.exp(-8.0 * scatter)
    frames_per_px = np.abs(slope) * (0.5 * count)
    steep = 0.25 * (np.log2(frames_per_px + 0.02) + 3.0) * coherence
    both = np.stack([coherence, steep]).astype(np.float32)
    full = both.repeat(2, axis=1).repeat(2, axis=2)
    return np.asarray(full[:, : excess.shape[0], : excess.shape[1]])


def _brightest(excess: Floats, frame: NDArray[np.int32]) -> tuple[Floats, NDArray[np.int32]]:
    """Of each 2 × 2 pixels the largest excess, and its frame number."""
    down, right = excess.shape[0] % 2, excess.shape[1] % 2
    if down or right:
        excess = np.pad(excess, ((0, down), (0, right)), mode="edge")
        frame = np.pad(frame, ((0, down), (0, right)), mode="edge")
    bright, when = excess[::2, ::2], frame[::2, ::2]
    for y, x in ((0, 1), (1, 0), (1, 1)):
        other = excess[y::2, x::2]
        brighter = other > bright
        bright, when = np.where(brighter, other, bright), np.where(brighter, frame[y::2, x::2], when)
    return bright, when


def _boxed(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Sums over a square window around each entry, cut off at the edges."""
    half = _RAMP_PX // 2
    for axis in (0, 1):
        sums = np.cumsum(values, axis=axis)
        size = values.shape[axis]
        high = np.minimum(np.arange(size) + half, size - 1)
        low = np.arange(size) - half - 1
        below = np.take(sums, np.maximum(low, 0), axis=axis)
        shape = (-1, 1) if axis == 0 else (1, -1)
        values = np.take(sums, high, axis=axis) - np.where((low >= 0).reshape(shape), below, 0.0)
    return values


def _compressed(sigmas: Floats) -> Floats:
    """Noise units to the network's range: linear near 0, logarithmic far from it."""
    return np.asarray(np.arcsinh(0.5 * np.clip(sigmas, -_CEILING, _CEILING)) * 0.5, dtype=np.float32)
