"""Groups of samples: drawn from a seed, kept in a cache outside the repository, read back as arrays."""

import hashlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, fields
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from training.dataset import Drawn, Sample, draw_fault, overlaid, sampled, synthetic
from training.faults import Family
from training.frames import Real, piece


@dataclass(frozen=True, slots=True, eq=False)
class Group:
    """Samples stacked along the first axis; fields as in Sample."""

    tiles: NDArray[np.float16]
    whole: NDArray[np.float16]
    features: NDArray[np.float32]
    targets: NDArray[np.float32]
    baseline: NDArray[np.float32]

    def __len__(self) -> int:
        return int(self.targets.shape[0])

    def part(self, where: NDArray[np.intp]) -> "Group":
        """The samples at some positions."""
        return Group(**{item.name: getattr(self, item.name)[where] for item in fields(self)})


def joined(groups: list[Group]) -> Group:
    """All samples of several groups, in their order."""
    names = [item.name for item in fields(Group)]
    return Group(**{name: np.concatenate([getattr(group, name) for group in groups]) for name in names})


Draw = Callable[[np.random.Generator, str], Drawn]


def simulated(family: Family) -> Draw:
    """Frames of our own simulated sky."""
    return lambda rng, fault: synthetic(rng, fault, family)


def over_real(frames: list[Real], family: Family) -> Draw:
    """Faults over pieces of these real frames."""
    return lambda rng, fault: overlaid(rng, piece(rng, frames[int(rng.integers(len(frames)))]), fault, family)


def clean(frames: list[Real]) -> Group:
    """Each real frame as it is, once."""
    rng = np.random.default_rng(0)
    drawn = (overlaid(rng, piece(rng, frame, whole=True), "as is", "seen") for frame in frames)
    return _stacked(sample for sample in map(sampled, drawn) if sample is not None)


def group(name: str, count: int, seed: int, draw: Draw, cache: Path) -> Group:
    """`count` samples less those that nobody could judge; the same name, count and seed give the same
    samples, from the cache when they are there.
    """
    tag = hashlib.sha256(f"{name} {count} {seed}".encode()).hexdigest()[:12]
    path = cache / f"{name}-{tag}.npz"
    if not path.exists():
        cache.mkdir(parents=True, exist_ok=True)
        made = _stacked(_samples(count, seed, draw))
        part = path.with_suffix(".part")
        with part.open("wb") as file:
            np.savez(file, **{item.name: getattr(made, item.name) for item in fields(made)})
        part.replace(path)
    with np.load(path) as arrays:
        return _told(Group(**{item.name: arrays[item.name] for item in fields(Group)}))


def _told(whole: Group) -> Group:
    """Without the frames that are good by their making yet hold fewer than three stars: no one could tell."""
    blank = (whole.baseline[:, 0] < 3) & (whole.targets[:, -1] > 0.5)
    return whole.part(np.flatnonzero(~blank))


def _samples(count: int, seed: int, draw: Draw) -> Iterator[Sample]:
    """One generator for each sample, so that any of them can be drawn again alone."""
    index = made = 0
    while made < count:
        rng = np.random.default_rng([seed, index])
        sample = sampled(draw(rng, draw_fault(rng)))
        index += 1
        if sample is not None:
            made += 1
            yield sample


def _stacked(samples: Iterator[Sample]) -> Group:
    listed = list(samples)
    names = [item.name for item in fields(Group)]
    return Group(**{name: np.stack([getattr(sample, name) for sample in listed]) for name in names})
