"""What does not belong in a frame, without a name for it: a convolutional autoencoder that knows ordinary frames.

Every pixel is looked at, at 2×2 binning and again at 8×8, in tiles of 64. Known stars are left out. What the network
cannot tell from the rest of the tile remains; how much of it there is at each size, and along rows and columns, in
units of the photon noise, makes a tile's numbers (STATISTICS). Their distance from those of ordinary tiles is its
surprise; the frame's is the largest of its tiles', so that the rate of false alarms is one per frame.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from astrod_models.card import WeightsRefusedError
from astrod_models.session import Session, open_session

NAME = "anomaly"

BINNINGS = (2, 8)
TILE_PX = 64
LEAST_VALID = 0.15
"""Tiles with a smaller share of pixels outside stars and frame say nothing."""

_SIZES = (1, 2, 4, 8, 16)
STATISTICS = (
    *(f"{kind}{size}" for size in _SIZES for kind in ("power", "peak", "dip")),
    "rows",
    "columns",
    "quietest_row",
    "quietest_column",
)
_CLIP = 60.0
_HOT_SIGMAS = 6.0
_BORDER_SHARE = 0.02
_OFF_LEVEL = 0.5
_BATCH = 64
_BAND_ROWS = 16
_SMALL_PX = 8.0
_FLOORS = {"peak": 0.5, "dip": 0.5}
_FLOOR = 0.05
"""Added before logarithms are taken: coarse converters leave quiet rows, few blocks may leave none above nought."""


Single = NDArray[np.float32]
Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]


@dataclass(frozen=True, slots=True, eq=False)
class Scene:
    """What is looked at: `above` the sky-subtracted plane in units of its noise; `known` (N, 3) the stars, x, y and the
    radius that they fill, pixels of the plane.
    """

    above: Single
    known: Floats


@dataclass(frozen=True, slots=True, eq=False)
class Tiles:
    """Tiles of one binning: (N, 64, 64) values of unit noise and which of them count; where each begins and its side,
    pixels of the plane.
    """

    binning: int
    values: Single
    valid: Bools
    x: NDArray[np.int64]
    y: NDArray[np.int64]


@dataclass(frozen=True, slots=True, eq=False)
class Surprise:
    """One frame's tiles: their binning, their place and side in pixels of the plane, their STATISTICS and their
    surprise.

    Of ordinary frames as many as the card's rate of false alarms have a largest surprise over 1.
    """

    binning: NDArray[np.int64]
    x: NDArray[np.int64]
    y: NDArray[np.int64]
    side: NDArray[np.int64]
    statistics: Floats
    surprise: Floats

    @property
    def largest(self) -> float:
        """The frame's surprise; 0 where no tile says anything."""
        return float(self.surprise.max()) if self.surprise.size else 0.0


@dataclass(frozen=True, slots=True, eq=False)
class Ordinary:
    """How ordinary tiles' STATISTICS lie, for each binning: their mean and what whitens them; and the distance that is
    exceeded in one frame of so many.
    """

    mean: dict[int, Floats]
    whiten: dict[int, Floats]
    limit: float

    def distance(self, binning: int, statistics: Floats) -> Floats:
        """Of each tile from the ordinary, as a share of the limit."""
        away = (statistics - self.mean[binning]) @ self.whiten[binning]
        return np.asarray((away**4).mean(axis=1) ** 0.25 / self.limit)  # between their mean and the largest of them


class Anomaly:
    """The network in force; raises card.WeightsRefusedError when there is none to trust."""

    def __init__(self, folder: Path | None = None) -> None:
        """Load from `folder`, or from astrod's own weights."""
        self._session: Session = open_session(NAME, folder)
        card = self._session.card
        self.title = card.title
        self.ordinary = _ordinary(card.facts, card.title)

    def statistics(self, scene: Scene) -> list[tuple[Tiles, Floats]]:
        """The tiles of both binnings with their STATISTICS, tiles that say nothing left out."""
        found = []
        for tiles in tiles_of(scene):
            rests = [
                self._rest(tiles.values[first : first + _BATCH], tiles.valid[first : first + _BATCH])
                for first in range(0, len(tiles.values), _BATCH)
            ]
            found.append((tiles, np.concatenate(rests) if rests else np.zeros((0, len(STATISTICS)))))
        return found

    def __call__(self, scene: Scene) -> Surprise:
        """Look at one frame."""
        parts = self.statistics(scene)
        binning = np.concatenate([np.full(tiles.x.size, tiles.binning) for tiles, _ in parts])
        return Surprise(
            binning,
            np.concatenate([tiles.x for tiles, _ in parts]),
            np.concatenate([tiles.y for tiles, _ in parts]),
            binning * TILE_PX,
            np.concatenate([numbers for _, numbers in parts]),
            np.concatenate([self.ordinary.distance(tiles.binning, numbers) for tiles, numbers in parts]),
        )

    def _rest(self, values: Single, valid: Bools) -> Floats:
        seen = compressed(values, valid)
        told = self._session.run({"tiles": np.stack([seen, valid.astype(np.float32)], axis=1)})["ordinary"]
        return statistics(seen - told[:, 0], valid)


def _ordinary(facts: Mapping[str, object], title: str) -> Ordinary:
    """From the card: `[ordinary]` with mean2, mean8 (rows of numbers), whiten2, whiten8 and limit."""
    told = facts.get("ordinary")
    if not isinstance(told, Mapping):
        raise WeightsRefusedError(f"the card of {title} does not say what is ordinary")
    try:
        mean = {binning: np.array(told[f"mean{binning}"], dtype=np.float64) for binning in BINNINGS}
        whiten = {binning: np.array(told[f"whiten{binning}"], dtype=np.float64) for binning in BINNINGS}
        limit = float(told["limit"])
    except (KeyError, TypeError, ValueError) as fault:
        raise WeightsRefusedError(f"the card of {title} is damaged: {fault!r}") from fault
    width = len(STATISTICS)
    if any(mean[b].shape != (width,) or whiten[b].shape != (width, width) for b in BINNINGS):
        raise WeightsRefusedError(f"the card of {title} names other statistics than are taken here")
    return Ordinary(mean, whiten, limit)


def tiles_of(scene: Scene) -> list[Tiles]:
    """The frame's tiles, one entry for each of BINNINGS; at the edges they overlap: every pixel is seen."""
    fine, free = _halved(scene)
    values, valid = fine, free
    found = []
    for binning in BINNINGS:
        if binning > BINNINGS[0]:
            values, valid = _coarser(fine, free, binning // BINNINGS[0])
        found.append(_cut(values, valid, binning))
    return found


def compressed(values: Single, valid: Bools) -> Single:
    """Noise units to the network's range, nothing where nothing counts."""
    squeezed = np.arcsinh(values, dtype=np.float32)
    squeezed *= valid
    return squeezed


def statistics(rest: Single, valid: Bools) -> Floats:
    """STATISTICS of what remains of tiles (N, 64, 64), logarithms.

    For each size of blocks their mean square, and the highest square above and below nought (light is natural, its
    lack is not); the mean square of rows' and of columns' means; the least mean square of the difference between
    neighbouring rows, and columns (none where they were not read, or read twice).
    """
    weight = valid.astype(np.float32)
    rest = rest * weight
    columns = []
    total, number = rest, weight
    for size in _SIZES:
        if size > 1:
            total, number = _paired(total), _paired(number)
        level, count = _levels(total, number, size)
        columns.append((level**2).sum(axis=1) / np.maximum(count, 1.0))
        columns += [np.maximum(level.max(axis=1), 0.0) ** 2, np.minimum(level.min(axis=1), 0.0) ** 2]
    for axis in (2, 1):
        number = weight.sum(axis=axis)
        mean_square = rest.sum(axis=axis) ** 2 / np.maximum(number, 1.0)
        columns.append(mean_square.sum(axis=1) / np.maximum((number > 0).sum(axis=1), 1))
    for axis in (2, 1):
        both = weight.take(range(1, TILE_PX), 3 - axis) * weight.take(range(TILE_PX - 1), 3 - axis)
        number = both.sum(axis=axis)
        step = (np.diff(rest, axis=3 - axis) ** 2 * both).sum(axis=axis) / 2.0
        within = np.where(number >= TILE_PX // 8, step / np.maximum(number, 1.0), np.inf).min(axis=1)
        columns.append(np.where(np.isfinite(within), within, 0.5))
    floors = np.array([_FLOORS.get(name.rstrip("0123456789"), _FLOOR) for name in STATISTICS])
    return np.asarray(np.log(np.stack(columns, axis=1).astype(np.float64) + floors))


def _levels(total: Single, number: Single, size: int) -> tuple[Single, Single]:
    """Blocks' sums over the root of their pixels (0 where under half of one counts), and how many count."""
    full = number >= 0.5 * size * size
    level = np.where(full, total / np.sqrt(np.maximum(number, 1.0)), np.float32(0.0))
    flat = (len(total), total[0].size if len(total) else 1)
    return level.reshape(flat), full.reshape(flat).sum(axis=1).astype(np.float32)


def _paired(values: Single) -> Single:
    """Sums of 2×2 along the last two axes."""
    rows: Single = values[..., 0::2, :] + values[..., 1::2, :]
    return rows[..., 0::2] + rows[..., 1::2]


def _halved(scene: Scene) -> tuple[Single, Bools]:
    """The frame at 2×2 binning in units of its noise, clipped, and where no known star lies."""
    rows, columns = (max(1, axis // 2) for axis in scene.above.shape)
    halved = np.zeros((rows, columns), dtype=np.float32)
    if min(scene.above.shape) >= 2:
        for first in range(0, rows, _BAND_ROWS):  # in bands that stay in the processor's cache
            band = scene.above[2 * first : 2 * min(first + _BAND_ROWS, rows), : 2 * columns]
            with np.errstate(invalid="ignore", over="ignore"):  # what is not finite is put to nought
                cooled = _cooled(band[0::2, 0::2], band[1::2, 0::2], band[0::2, 1::2], band[1::2, 1::2])
            np.nan_to_num(cooled, copy=False, nan=0.0, posinf=_CLIP, neginf=-_CLIP)
            np.clip(cooled, -_CLIP, _CLIP, out=halved[first : first + _BAND_ROWS])
    free = _free(halved.shape, scene.known / 2.0)
    _leave_border(halved, free)
    _leave_border(halved.T, free.T)
    return halved, free


def _cooled(first: Single, second: Single, third: Single, fourth: Single) -> Single:
    """The sum of four pixels over two, one that is far over the other three (hot, or hit by a cosmic ray) replaced by
    their mean.
    """
    top = np.maximum(np.maximum(first, second), np.maximum(third, fourth))
    total = first + second
    total += third
    total += fourth
    total -= top
    rest = total / np.float32(3.0)
    hot = top > np.float32(_HOT_SIGMAS) + np.float32(4.0) * np.abs(rest)
    np.copyto(top, rest, where=hot)
    total += top
    total *= np.float32(0.5)
    return np.asarray(total, dtype=np.float32)


def _leave_border(values: Single, free: Bools) -> None:
    """Mark rows at the two edges, two in a hundred at most, whose level is not the sky's: sensors often end so."""
    depth = max(1, round(_BORDER_SHARE * len(values)))
    for edge, marked in ((values[:depth], free[:depth]), (values[::-1][:depth], free[::-1][:depth])):
        count = np.maximum(marked.sum(axis=1), 1)
        level = np.where(marked, np.clip(edge, -5.0, 5.0), 0.0).sum(axis=1) / count
        off = np.flatnonzero((np.abs(level) > _OFF_LEVEL) & (np.abs(level) * np.sqrt(count) > 2.0 * _HOT_SIGMAS))
        if off.size:
            marked[: off[-1] + 1] = False


def _free(shape: tuple[int, ...], known: Floats) -> Bools:
    """False inside the discs (x, y, radius)."""
    free = np.ones(shape, dtype=bool)
    reach = np.ceil(known[:, 2])
    for radius in np.unique(reach[(reach > 0.0) & (reach <= _SMALL_PX)]).astype(int).tolist():
        _clear_small(free, known[reach == radius], radius)
    for x, y, radius in known[reach > _SMALL_PX].tolist():
        left, right = max(0, int(x - radius)), min(shape[1], int(x + radius) + 2)
        top, bottom = max(0, int(y - radius)), min(shape[0], int(y + radius) + 2)
        if left < right and top < bottom:
            across = (np.arange(left, right) - x) ** 2
            down = (np.arange(top, bottom) - y) ** 2
            free[top:bottom, left:right] &= across[None, :] + down[:, None] > radius * radius
    return free


def _clear_small(free: Bools, discs: Floats, reach: int) -> None:
    """Many discs of about one size at once."""
    step = np.arange(-reach, reach + 1)
    down, right = (axis.ravel() for axis in np.meshgrid(step, step, indexing="ij"))
    column = np.rint(discs[:, :1]).astype(np.int64) + right
    row = np.rint(discs[:, 1:2]).astype(np.int64) + down
    inside = (column - discs[:, :1]) ** 2 + (row - discs[:, 1:2]) ** 2 <= discs[:, 2:] ** 2
    inside &= (row >= 0) & (row < free.shape[0]) & (column >= 0) & (column < free.shape[1])
    free[row[inside], column[inside]] = False


def _coarser(values: Single, valid: Bools, factor: int) -> tuple[Single, Bools]:
    """Blocks summed over the root of their valid pixels; valid where a quarter of a block is; `factor` a power of
    two.
    """
    pad = tuple((0, -axis % factor) for axis in values.shape)
    weight = np.pad(valid.astype(np.float32), pad)
    total = np.pad(values, pad)
    total *= weight
    for _halving in range(int(factor).bit_length() - 1):
        total, weight = _paired(total), _paired(weight)
    coarse = total / np.sqrt(np.maximum(weight, 1.0))
    return np.clip(coarse, -_CLIP, _CLIP).astype(np.float32), np.asarray(weight >= 0.25 * factor * factor)


def _cut(values: Single, valid: Bools, binning: int) -> Tiles:
    rows, columns = values.shape
    pad = ((0, max(0, TILE_PX - rows)), (0, max(0, TILE_PX - columns)))
    if pad != ((0, 0), (0, 0)):
        values, valid = np.pad(values, pad), np.pad(valid, pad)
    tops, lefts = _starts(values.shape[0]), _starts(values.shape[1])
    top, left = (axis.ravel() for axis in np.meshgrid(tops, lefts, indexing="ij"))
    windows = np.lib.stride_tricks.sliding_window_view(valid, (TILE_PX, TILE_PX))[top, left]
    said = windows.mean(axis=(1, 2)) >= LEAST_VALID
    top, left = top[said], left[said]
    cut = np.lib.stride_tricks.sliding_window_view(values, (TILE_PX, TILE_PX))[top, left]
    return Tiles(binning, cut, windows[said], left * binning, top * binning)


def _starts(length: int) -> NDArray[np.int64]:
    """Where tiles begin along an axis: as few as cover it, evenly."""
    return np.linspace(0, length - TILE_PX, -(-length // TILE_PX)).round().astype(np.int64)
