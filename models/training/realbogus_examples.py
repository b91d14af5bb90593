"""Examples for the real-or-bogus network: prepared arrays, drawn from seeds, kept in a cache outside the repository."""

import hashlib
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, fields
from functools import cache
from itertools import islice
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from astrod_models.stamps import features_of, stamps_of, view_of
from training.realbogus_pairs import KINDS, Drawn, draw
from training.realbogus_sky import Family

ALL_KINDS = (*KINDS, "alert", "alert bogus")
_PREPARED_AT_ONCE = 256


@dataclass(frozen=True, slots=True, eq=False)
class Examples:
    """Triplets as the network takes them, with what they are. `source` is the alert or the pair each comes from."""

    view: NDArray[np.float16]
    features: NDArray[np.float32]
    real: NDArray[np.bool_]
    kind: NDArray[np.int16]
    signal: NDArray[np.float32]
    source: NDArray[np.int32]

    def __len__(self) -> int:
        return len(self.real)

    def part(self, where: NDArray[np.intp]) -> "Examples":
        """The examples at some positions."""
        return Examples(**{item.name: getattr(self, item.name)[where] for item in fields(self)})

    def of_kind(self, kind: str) -> NDArray[np.bool_]:
        """Where the examples of a kind are."""
        found: NDArray[np.bool_] = self.kind == ALL_KINDS.index(kind)
        return found


def joined(parts: list[Examples]) -> Examples:
    """All examples of several sets, in their order."""
    names = [item.name for item in fields(Examples)]
    return Examples(**{name: np.concatenate([getattr(part, name) for part in parts]) for name in names})


def prepared(drawn: Iterable[tuple[int, Drawn]]) -> Examples:
    """Examples of drawn triplets, each with its source; those that cannot be judged are left out."""
    parts = []
    waiting = iter(drawn)
    while batch := list(islice(waiting, _PREPARED_AT_ONCE)):
        stamps = stamps_of(np.stack([one.triplet for _source, one in batch]))
        kept = np.array([reason is None for reason in stamps.reasons])
        parts.append(
            Examples(
                view_of(stamps)[kept].astype(np.float16),
                features_of(stamps)[kept],
                np.array([one.real for _source, one in batch])[kept],
                np.array([ALL_KINDS.index(one.kind) for _source, one in batch], dtype=np.int16)[kept],
                np.array([one.signal for _source, one in batch], dtype=np.float32)[kept],
                np.array([source for source, _one in batch], dtype=np.int32)[kept],
            )
        )
    return joined(parts)


def simulated(name: str, pairs: int, seed: int, family: Family, folder: Path) -> Examples:
    """The candidates of simulated pairs; the same name, number and seed give the same, from the cache if there."""

    def drawn() -> Iterator[tuple[int, Drawn]]:
        for index in range(pairs):
            for one in draw(np.random.default_rng([seed, index]), family):
                yield index, one

    return cached(f"{name} {pairs} {seed}", lambda: prepared(drawn()), folder)


def cached(name: str, make: Callable[[], Examples], folder: Path) -> Examples:
    """What `make` makes, read from the cache where this code has made it before."""
    tag = hashlib.sha256(f"{name} {code_digest()}".encode()).hexdigest()[:12]
    path = folder / f"realbogus-{name.split()[0]}-{tag}.npz"
    if not path.exists():
        folder.mkdir(parents=True, exist_ok=True)
        made = make()
        part = path.with_suffix(".part")
        with part.open("wb") as file:
            np.savez(file, **{item.name: getattr(made, item.name) for item in fields(made)})
        part.replace(path)
    with np.load(path) as arrays:
        return Examples(**{item.name: arrays[item.name] for item in fields(Examples)})


@cache
def code_digest() -> str:
    """One digest of the source files that examples depend on."""
    here = Path(__file__).parent
    files = [here / f"realbogus_{name}.py" for name in ("alerts", "artefacts", "cameras", "examples", "pairs", "sky")]
    files.append(here.parent / "astrod_models" / "stamps.py")
    return hashlib.sha256(b"".join(path.read_bytes() for path in files if path.exists())).hexdigest()
