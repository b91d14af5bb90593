"""Samples for the cloud model: simulated pictures as the network sees them, kept in a cache outside the repository."""

import ast
import hashlib
from dataclasses import dataclass, fields
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

import astrod_models.cloud
import training.cloudsky
from astrod_models.cloud import CHANNELS, FACTS, GRID, RASTER, STATES, prepare
from training.brightstars import Stars, stars
from training.cloudsky import draw

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
