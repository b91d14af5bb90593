"""Samples for the cloud model: simulated pictures as the network sees them, kept in a cache outside the repository."""

import ast
import hashlib
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

import astrod_models.cloud
import training.cloudsky
from astrod_models.cloud import CHANNELS, FACTS, GRID, RASTER, STATES, features_of, prepare
from training.brightstars import Stars, stars
from training.cloudsky import draw

Floats = NDArray[np.float32]

CELLS_KEPT = 160
"""How many cells of each picture are kept to learn from: neighbours tell much the same."""
QUANTUM = 0.05
"""Channels are kept as whole numbers of this: far finer than their noise, and a fourth of the memory."""

_SOURCES = (astrod_models.cloud, training.cloudsky)


@dataclass(frozen=True, slots=True, eq=False)
class Samples:
    """Rasters (n, channels, 192, 192; in QUANTUM), facts, and the truth: see `cloudsky.Drawn`."""

    rasters: NDArray[np.int8]
    facts: NDArray[np.float32]
    covered: NDArray[np.float32]
    known: NDArray[np.bool_]
    open: NDArray[np.float32]
    states: NDArray[np.float32]
    families: NDArray[np.str_]
    seen: NDArray[np.bool_]

    def __len__(self) -> int:
        return int(self.facts.shape[0])

    def part(self, chosen: NDArray[np.int64]) -> "Samples":
        """Some of them."""
        return Samples(*(getattr(self, item.name)[chosen] for item in fields(self)))


def samples(name: str, count: int, seed: int, cache: Path, unseen: bool = False) -> Samples:
    """`count` samples; the same name, count, seed and code give the same ones, from the cache when they are there."""
    path = cache / f"{name}-{count}-{seed}-{_code()}.npz"
    if not path.exists():
        made = _drawn(count, seed, unseen)
        cache.mkdir(parents=True, exist_ok=True)
        with path.with_suffix(".part").open("wb") as file:
            np.savez(file, **{item.name: getattr(made, item.name) for item in fields(made)})
        path.with_suffix(".part").rename(path)
    with np.load(path) as arrays:
        return Samples(*(arrays[item.name] for item in fields(Samples)))


@dataclass(frozen=True, slots=True, eq=False)
class Cells:
    """What the network learns from: features of some cells of each picture (n, CELLS_KEPT, features) and their truth.

    `pictures` are the features of the whole, `shown` False for cells in which nothing is seen, `weight` see `trust`.
    """

    cells: Floats
    pictures: Floats
    covered: Floats
    known: NDArray[np.bool_]
    open: Floats
    shown: NDArray[np.bool_]
    states: Floats
    weight: Floats


def drawn_cells(drawn: Samples, name: str, cache: Path) -> Cells:
    """Cells drawn at random of each picture, seen ones where there are; kept in the cache like the samples."""
    path = cache / f"cells-{name}-{_code()}.npz"
    if not path.exists():
        made = _some_cells(drawn)
        with path.with_suffix(".part").open("wb") as file:
            np.savez(file, **{item.name: getattr(made, item.name) for item in fields(made)})
        path.with_suffix(".part").rename(path)
    with np.load(path) as arrays:
        return Cells(*(arrays[item.name] for item in fields(Cells)))


def _some_cells(drawn: Samples) -> Cells:
    dice = np.random.default_rng(len(drawn))
    rows: list[tuple[NDArray[Any], ...]] = []
    for index in range(len(drawn)):
        cells, picture = features(drawn, index)
        seen = np.flatnonzero(drawn.seen[index])
        chosen = dice.choice(seen if seen.size else GRID * GRID, CELLS_KEPT)
        truth = (part[index].ravel()[chosen] for part in (drawn.covered, drawn.known, drawn.open, drawn.seen))
        rows.append((cells.reshape(GRID * GRID, -1)[chosen], picture, *truth))
    return Cells(*(np.stack(column) for column in zip(*rows, strict=True)), drawn.states, trust(drawn))


def features(drawn: Samples, index: int) -> tuple[Floats, Floats]:
    """What the network is given of a sample: features of its cells (48, 48, …) and of the whole."""
    return features_of(drawn.rasters[index].astype(np.float32) * np.float32(QUANTUM), drawn.facts[index])


def trust(drawn: Samples) -> Floats:
    """How much each picture counts: less where the stars contradict the sky.

    Cameras that people use show stars on a clear night and few through a closed cloud; drawn at random some show none,
    and hot pixels pass for stars. Those are learned from, but must not outvote the rule.
    """
    share = (drawn.covered * drawn.known).sum(axis=(1, 2)) / np.maximum(drawn.known.sum(axis=(1, 2)), 1)
    stars = drawn.facts[:, FACTS.index("log_stars")]
    is_odd = ((share < 0.2) & (stars < 1.1)) | ((share > 0.8) & (stars > 1.9))
    return np.where(is_odd, 0.25, 1.0).astype(np.float32)


def _code() -> str:
    """A digest of the code that draws and prepares, whatever its layout and comments."""
    trees = [ast.dump(ast.parse(Path(str(module.__file__)).read_text(encoding="utf-8"))) for module in _SOURCES]
    return hashlib.sha256("".join(trees).encode()).hexdigest()[:10]


def _drawn(count: int, seed: int, unseen: bool) -> Samples:
    made = _empty(count)
    sky = stars()
    for index in range(count):
        _fill(made, index, np.random.default_rng([seed, index]), sky, unseen)
    return made


def _empty(count: int) -> Samples:
    grid = (count, GRID, GRID)
    return Samples(
        np.zeros((count, len(CHANNELS), RASTER, RASTER), dtype=np.int8),
        np.zeros((count, len(FACTS)), dtype=np.float32),
        np.zeros(grid, dtype=np.float32),
        np.zeros(grid, dtype=bool),
        np.zeros(grid, dtype=np.float32),
        np.zeros((count, len(STATES)), dtype=np.float32),
        np.zeros(count, dtype="U12"),
        np.zeros(grid, dtype=bool),
    )


def _fill(into: Samples, index: int, dice: np.random.Generator, sky: Stars, unseen: bool) -> None:
    """Draw one sample and write it to its place."""
    drawn = draw(dice, sky, unseen)
    raster = prepare(drawn.picture, drawn.circle)
    into.rasters[index] = np.rint(raster.channels / QUANTUM)
    into.facts[index] = raster.facts
    into.covered[index] = drawn.covered
    into.known[index] = drawn.known & raster.seen
    into.open[index] = drawn.open
    into.states[index] = drawn.states
    into.families[index] = drawn.family
    into.seen[index] = raster.seen
