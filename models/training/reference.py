"""What a model's inputs and scores look like on samples of its own kind, as quantiles in its card: `[reference]`.

    python -m training.reference NAME [--count N | --samples FILE...]

The daemon holds a site's frames against them and tells of drift (`astrod.learning.drift`). It needs no PyTorch: the
scores are those of the shipped ONNX file. A training script that has samples at hand calls `add_reference` itself.
"""

import argparse
import re
import sys
from collections.abc import Callable, Mapping
from dataclasses import fields
from pathlib import Path
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from astrod.learning.drift import LEVELS
from astrod_models.card import read_card
from astrod_models.quality import FEATURES
from astrod_models.session import open_session
from training.frames import CAMERAS, real_frames
from training.groups import Group, clear, group, joined, over_real, simulated
from training.observatory import observed

SEED = 4000
COUNT = 600
Values: TypeAlias = Mapping[str, NDArray[np.floating]]
_SECTION = re.compile(r"\n*^\[reference(\.\w+)?\]\n.*?(?=^\[|\Z)", re.MULTILINE | re.DOTALL)


def section(samples: int, features: Values, scores: Values) -> str:
    """The `[reference]` of a card: quantiles at LEVELS of each input on all samples, of each score on the good ones."""
    lines = ["[reference]", f"samples = {samples}", f"levels = [{', '.join(map(str, LEVELS))}]"]
    for name, table in (("features", features), ("scores", scores)):
        lines += ["", f"[reference.{name}]"]
        lines += [f"{key} = [{', '.join(map(_number, _quantiles(values)))}]" for key, values in table.items()]
    return "\n".join(lines) + "\n"


def _quantiles(values: NDArray[np.floating]) -> NDArray[np.float64]:
    return np.quantile(np.asarray(values, dtype=np.float64), LEVELS)


def _number(value: float) -> str:
    text = f"{value:.5g}"
    return text if any(mark in text for mark in ".e") else f"{text}.0"


def add_reference(card: Path, samples: int, features: Values, scores: Values) -> None:
    """Write the section into a card, in place of one that is there."""
    rest = _SECTION.sub("\n", card.read_text(encoding="utf-8")).rstrip()
    card.write_text(f"{rest}\n\n{section(samples, features, scores)}", encoding="utf-8")


def drawn(count: int, cache: Path, frames: Path) -> Group:
    """Samples as the quality model was trained on: half our own sky, the rest the observatory and real cameras."""
    parts = [
        group("reference-sky", count // 2, SEED, simulated("seen"), cache),
        group("reference-observatory", count // 4, SEED + 1, observed, cache),
    ]
    real = [frame for frame in real_frames(frames) if frame.camera in CAMERAS]
    if real:
        parts.append(group("reference-real", count // 4, SEED + 2, over_real(real, "seen"), cache))
    return joined(parts)


def read_samples(files: list[Path], count: int) -> Group:
    """Samples that a training has drawn (`training.groups`): `count` of all files together, as many of each."""
    parts = []
    for file in files:
        with np.load(file) as arrays:
            whole = Group(**{item.name: arrays[item.name] for item in fields(Group)})
        step = max(1, len(whole) * len(files) // count)
        parts.append(whole.part(np.arange(0, len(whole), step)))
    return joined(parts)


def quality(samples: Group, folder: Path) -> tuple[int, Values, Values]:
    """The inputs of the quality model of a folder, and what it says of these samples."""
    model = read_card("quality", folder).facts["model"]
    features = {name: samples.features[:, FEATURES.index(name)] for name in model["features"]}
    said = _said(samples, np.stack(list(features.values()), axis=1), folder)[clear(samples)]
    return len(samples), features, {name: said[:, index] for index, name in enumerate(model["means"])}


def _said(samples: Group, features: NDArray[np.float32], folder: Path) -> NDArray[np.float32]:
    """What the model of a folder says of each sample, by the features that it takes."""
    session = open_session("quality", folder)
    answers = [
        session.run(
            {
                "tiles": samples.tiles[at : at + 1].astype(np.float32),
                "whole": samples.whole[at : at + 1].astype(np.float32),
                "features": features[at : at + 1],
            }
        )[session.card.outputs[0]][0]
        for at in range(len(samples))
    ]
    return np.stack(answers)


MODELS: Mapping[str, Callable[[Group, Path], tuple[int, Values, Values]]] = {"quality": quality}
"""The models that have a reference, and how each is asked."""


def main() -> None:
    """Draw samples, run the model, write its card."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("name", choices=sorted(MODELS))
    parser.add_argument("--count", type=int, default=COUNT)
    parser.add_argument("--samples", type=Path, nargs="+", help="take those that a training has drawn, and draw none")
    parser.add_argument("--out", type=Path, default=Path("models/weights"), help="the folder with model and card")
    parser.add_argument("--frames", type=Path, default=Path("../shared/data/frames"), help="real frames")
    parser.add_argument("--cache", type=Path, default=Path("/tmp/astrod-training"), help="drawn samples")
    chosen = parser.parse_args()
    card = chosen.out / f"{chosen.name}.toml"
    read_card(chosen.name, chosen.out)
    if chosen.samples:
        samples = read_samples(chosen.samples, chosen.count)
    else:
        samples = drawn(chosen.count, chosen.cache, chosen.frames)
    count, features, scores = MODELS[chosen.name](samples, chosen.out)
    add_reference(card, count, features, scores)
    sys.stdout.write(f"{card}: the reference of {count} samples\n")


if __name__ == "__main__":
    main()
