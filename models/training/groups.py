"""Groups of samples: drawn from a seed, kept in a cache outside the repository, read back as arrays."""

import hashlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, fields
from functools import cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

import astrod.measure
import astrod_drivers.sim
import astrod_models.quality
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


BARE_BELOW = 3
"""Stars under which a frame shows nothing of the sky's transparency."""

BARE_EXTRA = 2

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


def group(name: str, count: int, seed: int, draw: Draw, folder: Path) -> Group:
    """`count` samples; the same name, count and seed give the same samples, from the cache when they are there.

    The cache knows the code that drew and measured them: other code draws anew.
    """
    tag = hashlib.sha256(f"{name} {count} {seed} {_code()}".encode()).hexdigest()[:12]
    path = folder / f"{name}-{tag}.npz"
    if not path.exists():
        folder.mkdir(parents=True, exist_ok=True)
        made = _stacked(_samples(count, seed, draw))
        part = path.with_suffix(".part")
        with part.open("wb") as file:
            np.savez(file, **{item.name: getattr(made, item.name) for item in fields(made)})
        part.replace(path)
    with np.load(path) as arrays:
        return Group(**{item.name: arrays[item.name] for item in fields(Group)})


@cache
def _code() -> str:
    """One digest of all source files that samples depend on."""
    folders = [Path(module.__file__ or "").parent for module in (astrod.measure, astrod_drivers.sim)]
    here = Path(__file__).parent
    files = [here / f"{name}.py" for name in ("dataset", "faults", "frames", "observatory", "sky", "view")]
    files.append(Path(astrod_models.quality.__file__))
    files += [path for folder in folders for path in sorted(folder.glob("*.py"))]
    return hashlib.sha256(b"".join(path.read_bytes() for path in files)).hexdigest()


def clear(samples: Group) -> NDArray[np.intp]:
    """Where the frames are that are good by their making."""
    return np.flatnonzero(samples.targets[:, -1] > 0.5)


def told(whole: Group) -> Group:
    """Without clear frames that hold too few stars: no one could tell those from clouded ones, nor score it."""
    bare = (whole.baseline[:, 0] < BARE_BELOW) & (whole.targets[:, -1] > 0.5)
    return whole.part(np.flatnonzero(~bare))


def favoured(samples: Group) -> Group:
    """For learning: clear frames with too few stars count three times, so that a bare frame is kept in doubt."""
    bare = (samples.baseline[:, 0] < BARE_BELOW) & (samples.targets[:, -1] > 0.5)
    return samples.part(np.concatenate([np.arange(len(samples)), np.repeat(np.flatnonzero(bare), BARE_EXTRA)]))


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
