"""Train, calibrate, measure and export the meteor model, from nothing, on one CPU core, always the same way.

    python -m training.meteor --meteors ../shared/data/meteor --out models/weights

where astrod is installed with its `train` extra (`make models` does both), or with PYTHONPATH=daemon:drivers:models.

1. A first network learns simulated stations alone. What it says of the real station is said of a station that it
   never saw.
2. The network that is shipped goes on from there, with the real station's stacks (their meteors erased, others
   injected) among its backgrounds. Without real data it is the first one, and the card says so.
3. Both are calibrated on whole simulated pictures, of stations that training never drew.
"""

import argparse
import hashlib
import time
from copy import deepcopy
from dataclasses import dataclass
from pathlib import Path
from typing import cast

import numpy as np
import torch
from numpy.typing import NDArray

from astrod_models.meteor import CELL_PX, CHANNELS, KINDS, NAME, Block
from training.meteor_blocks import SIDE_PX, Sample, labelled, over_real, simulated
from training.meteor_learning import Mixture, drawn, say, train
from training.meteor_network import Eye, MeteorNet, parameters, pooled
from training.meteor_scores import Line, measured
from training.meteor_stations import confirmed

VERSION = "1"
SEED = 20261121
METEOR_FROM = 0.5


@dataclass(frozen=True, slots=True)
class Sizes:
    """How much of everything; `FULL` is what ships, `QUICK` is for trying the script out."""

    own: int
    real: int
    whole: int
    epochs: int
    final_epochs: int


FULL = Sizes(3600, 800, 80, 6, 2)
QUICK = Sizes(96, 32, 6, 1, 1)


def own_sample(rng: np.random.Generator) -> Sample:
    """A sample of a station of our own."""
    return labelled(simulated(rng, SIDE_PX, SIDE_PX))


def fresh() -> MeteorNet:
    """An untrained network."""
    torch.manual_seed(SEED)
    return cast(MeteorNet, MeteorNet().to(memory_format=torch.channels_last))


def learned(sizes: Sizes, blocks: list[Block], cache: Path) -> tuple[MeteorNet, MeteorNet]:
    """The network that saw simulated stations only, and the one to ship."""
    own = drawn("meteor-own", sizes.own, SEED, own_sample, cache)
    first = fresh()
    say(f"learning {len(own)} samples of simulated stations, {parameters(first)} parameters")
    train(first, Mixture([own]), sizes.epochs, 3e-3, SEED)
    if not blocks:
        return first, first

    def real_sample(rng: np.random.Generator) -> Sample:
        return labelled(over_real(rng, blocks[int(rng.integers(len(blocks)))]))

    real = drawn("meteor-real", sizes.real, SEED + 1, real_sample, cache)
    shipped = deepcopy(first)
    say(f"learning {len(real)} samples over real stacks beside them")
    train(shipped, Mixture([own, real, real]), sizes.final_epochs, 1.5e-3, SEED + 2)
    return first, shipped


@dataclass(frozen=True, slots=True, eq=False)
class Heard:
    """Pooled logits of whole pictures, and what is in them (0, 1 or unsure)."""

    logits: NDArray[np.float64]
    labels: NDArray[np.uint8]


def heard(network: MeteorNet, sizes: Sizes) -> Heard:
    """What the network says of whole simulated pictures, which are larger than what it learned from."""
    logits, labels = [], []
    for index in range(sizes.whole):
        rng = np.random.default_rng((SEED + 9, index))
        one = labelled(simulated(rng, *_whole_shape(rng)))
        with torch.no_grad():
            pooled, _cells, _mask = network(torch.from_numpy(one.channels[None].astype(np.float32)))
        logits.append(pooled[0].numpy())
        labels.append(one.labels)
    return Heard(np.stack(logits).astype(np.float64), np.stack(labels))


def _whole_shape(rng: np.random.Generator) -> tuple[int, int]:
    """A picture's height and width, up to what RMS takes."""
    scale = rng.uniform(0.35, 1.0)
    return int(720 * scale) // CELL_PX * CELL_PX, int(1280 * scale) // CELL_PX * CELL_PX


def calibration(told: Heard) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Slope and shift of each logit: a logistic regression, held near (1, 0) where there is little to learn from."""
    slopes, shifts = [], []
    for index in range(len(KINDS)):
        sure = told.labels[:, index] < 2
        values, truth = told.logits[sure, index], told.labels[sure, index].astype(np.float64)
        slope, shift = 1.0, 0.0
        for _step in range(50):
            chance = 1.0 / (1.0 + np.exp(-np.clip(slope * values + shift, -30.0, 30.0)))
            design = np.stack([values, np.ones_like(values)])
            bend = chance * (1.0 - chance)
            gradient = design @ (truth - chance) - 1.0 * np.array([slope - 1.0, 0.2 * shift])
            hessian = (design * bend) @ design.T + np.diag([1.0, 0.2])
            step = np.linalg.solve(hessian, gradient)
            slope, shift = slope + float(step[0]), shift + float(step[1])
        slopes.append(slope)
        shifts.append(shift)
    return np.array(slopes), np.array(shifts)


def eye_of(network: MeteorNet, sizes: Sizes) -> Eye:
    """The network with its calibration, ready for export."""
    slope, shift = calibration(heard(network, sizes))
    say(f"calibration: slope {np.round(slope, 2)}, shift {np.round(shift, 2)}")
    return Eye(network, torch.from_numpy(slope).float(), torch.from_numpy(shift).float()).eval()


def gradient_error(eye: Eye) -> float:
    """The largest difference between the explicit gradient and automatic differentiation.

    As a share of the largest gradient, over random channels and both layers of the attention.
    """
    generator = torch.Generator().manual_seed(SEED)
    channels = torch.randn((2, len(CHANNELS), 96, 128), generator=generator)
    _fine, middle, _deep = eye.network.layers(channels)
    middle = middle.detach().requires_grad_()
    deep = eye.network.deep(middle)
    deep.retain_grad()
    cells = eye.network.classes(deep)
    pooled(cells)[:, 0].sum().backward()
    by_hand = eye.middle_gradient(middle.detach(), cells.detach())
    errors = [
        float((by_hand - middle.grad).abs().max() / middle.grad.abs().max()),
        float(
            (deep.grad.sum(dim=(2, 3)) - eye.last_weights()[0, :, 0, 0]).abs().max() / eye.last_weights().abs().max()
        ),
    ]
    return max(errors)


def export(eye: Eye, folder: Path) -> Path:
    """Write the ONNX file, for pictures of any size; returns where."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{NAME}.onnx"
    outputs = ["chances", "cells", "mask", "attention"]
    axes = {name: {2: f"{name}_rows", 3: f"{name}_columns"} for name in ("channels", *outputs[1:])}
    torch.onnx.export(
        eye.to(memory_format=torch.contiguous_format),
        (torch.zeros((1, len(CHANNELS), 96, 128)),),
        str(path),
        input_names=["channels"],
        output_names=outputs,
        dynamic_axes=axes,
        dynamo=False,
        opset_version=17,
    )
    return path


def write_card(path: Path, eye: Eye, trained: dict[str, int], effort: str) -> None:
    """The card beside the weights, without scores."""
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    head = f"""\
# What this model is, what it was trained on, what it is worth, and where it ends.
# Written by models/training/meteor.py; daemon/docs/measured/meteors.md says how each score was taken.

limits = [
    "A still has no time: satellites and aircraft are told from meteors by their look alone there, and less well.",
    "Slower than one pixel a frame, a meteor looks like a satellite; longer than eight seconds it is called one.",
    "All labelled real stacks are of one station; other stations are represented by simulated skies.",
    "Chances are calibrated on simulated pictures, half of which hold a meteor: real nights hold far fewer.",
]

[model]
name = "{NAME}"
version = "{VERSION}"
file = "{path.name}"
sha256 = "{digest}"
made_by = "models/training/meteor.py, seed {SEED}, {effort}"
parameters = {parameters(eye.network)}
inputs = ["channels"]
outputs = ["chances", "cells", "mask", "attention"]
means = [{", ".join(f'"{name}"' for name in KINDS)}]
gradient_error = {gradient_error(eye):.2e}

[thresholds]
meteor = {METEOR_FROM}

[trained_on]
"""
    body = "".join(f'"{name}" = {count}\n' for name, count in trained.items())
    path.with_suffix(".toml").write_text(head + body, encoding="utf-8")


def write_scores(path: Path, lines: list[Line]) -> None:
    """Put the scores into a card, in place of those it had."""
    card = path.with_suffix(".toml")
    head = card.read_text(encoding="utf-8").split("\n[scores.", 1)[0].rstrip("\n") + "\n"
    card.write_text(head + "".join(line.section() for line in lines), encoding="utf-8")


def make(sizes: Sizes, root: Path, out: Path, cache: Path) -> None:
    """Train both networks and export them with their cards: to `cache`/unseen, and to `out`."""
    started = time.monotonic()
    stacks = confirmed(root)
    if not stacks:
        say(f"no real stacks under {root}: learning from simulated stations alone")
    first, shipped = learned(sizes, [stack.erased(index) for index, stack in enumerate(stacks)], cache)
    trained = {"simulated stations": sizes.own}
    for network, folder in ((first, cache / "unseen"), (shipped, out)):
        if network is shipped and stacks:
            trained |= {"injected over real stacks": sizes.real}
        eye = eye_of(network, sizes)
        path = export(eye, folder)
        write_card(path, eye, trained, f"{(time.monotonic() - started) / 60.0:.0f} minutes on a share of one core")
        say(f"{path}: {path.stat().st_size} bytes")


def main() -> None:
    """Everything, end to end."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--meteors", type=Path, default=Path("../shared/data/meteor"), help="the real station")
    parser.add_argument("--out", type=Path, default=Path("models/weights"), help="where weights and card go")
    parser.add_argument(
        "--cache", type=Path, default=Path("/tmp/astrod-training"), help="samples, and the first network"
    )
    parser.add_argument("--quick", action="store_true", help="a few samples only, to try the script out")
    parser.add_argument("--only", choices=("train", "measure"), help="one half of it")
    chosen = parser.parse_args()
    torch.set_num_threads(1)
    torch.use_deterministic_algorithms(True)
    if chosen.only != "measure":
        make(QUICK if chosen.quick else FULL, chosen.meteors, chosen.out, chosen.cache)
    if chosen.only != "train":
        lines = measured(chosen.cache / "unseen", chosen.out, chosen.meteors, quick=chosen.quick)
        write_scores(chosen.out / f"{NAME}.onnx", lines)


if __name__ == "__main__":
    main()
