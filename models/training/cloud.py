"""Trains the cloud model from scratch and writes its weights and card: `python -m training.cloud [--quick]`.

Samples are simulated all-sky pictures (cloudsky.py); the network (cloudnet.py) learns the map, whether a cell is sky at
all, and whether the picture is a night sky. Its temperature comes from a validation set; the card's scores come from
cloud and lens families that training never saw, and from real pictures where they are there.
"""

import argparse
import hashlib
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from astrod_models.cloud import NAME, STATES
from training.clouddata import QUANTUM, Samples, samples
from training.cloudnet import Calibrated, CloudNet, parameters
from training.cloudscores import Map, Scores, baselines, real_pictures, scored

SEED = 20261121
VERSION = "1"


@dataclass(frozen=True, slots=True)
class Sizes:
    """How much of everything."""

    train: int
    validation: int
    unseen: int
    epochs: int
    batch: int = 16


FULL = Sizes(1800, 150, 250, 9)
QUICK = Sizes(48, 16, 16, 2)


def main() -> None:
    """Everything, end to end."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=Path("../shared/data"), help="real pictures, to test on only")
    parser.add_argument("--out", type=Path, default=Path("models/weights"), help="where weights and card go")
    parser.add_argument("--cache", type=Path, default=Path("/tmp/astrod-training"), help="drawn samples")
    parser.add_argument("--quick", action="store_true", help="a few samples only, to try the script out")
    chosen = parser.parse_args()
    torch.set_num_threads(1)
    torch.use_deterministic_algorithms(True)
    sizes = QUICK if chosen.quick else FULL
    started = time.process_time()
    train = samples("train", sizes.train, 1, chosen.cache)
    validation = samples("validation", sizes.validation, 2, chosen.cache)
    unseen = samples("unseen", sizes.unseen, 3, chosen.cache, unseen=True)
    network = learn(train, sizes)
    slope, shift = temperature(network, validation)
    path = export(Calibrated(network, slope, shift), chosen.out)
    lines = {
        "validation": scored(ask(network, validation, slope, shift), validation, baselines(train)),
        "families never seen": scored(ask(network, unseen, slope, shift), unseen, baselines(train)),
    }
    minutes = (time.process_time() - started) / 60.0
    write_card(
        path, network, sizes, lines, real_pictures(path.parent, chosen.data), f"{minutes:.0f} minutes of one core"
    )
    _say(f"{path}: {path.stat().st_size} bytes, {minutes:.1f} minutes")


def learn(train: Samples, sizes: Sizes) -> CloudNet:
    """The network, trained with a rising and falling rate; pictures are mirrored and turned by quarters."""
    torch.manual_seed(SEED)
    dice = np.random.default_rng(SEED)
    facts = torch.from_numpy(train.facts)
    network = CloudNet(facts.mean(dim=0), facts.std(dim=0) + 0.1).to(memory_format=torch.channels_last)
    _say(f"{parameters(network)} parameters, {len(train)} samples")
    steps = sizes.epochs * (len(train) // sizes.batch)
    optimiser = torch.optim.AdamW(network.parameters(), lr=1e-3, weight_decay=1e-3)
    rate = torch.optim.lr_scheduler.OneCycleLR(optimiser, 4e-3, total_steps=steps, pct_start=0.2)
    for epoch in range(sizes.epochs):
        network.train()
        order, total = dice.permutation(len(train)), 0.0
        for start in range(0, len(train) // sizes.batch * sizes.batch, sizes.batch):
            batch = train.part(order[start : start + sizes.batch])
            loss = _loss(network, batch, int(dice.integers(8)), dice)
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
            rate.step()
            total += float(loss.detach())
        _say(f"epoch {epoch + 1}: loss {total / (len(train) // sizes.batch):.4f}")
    return network.eval()


def _loss(network: CloudNet, batch: Samples, turn: int, dice: np.random.Generator) -> torch.Tensor:
    """Cross-entropies: of the map where it is known, of sky where there is a picture, of the states."""
    rasters = _turned(torch.from_numpy(batch.rasters).float() * QUANTUM, turn)
    rasters[:, :4] *= float(np.exp(dice.normal(0.0, 0.15)))  # spread and contrast are never measured exactly
    facts = torch.from_numpy(batch.facts) + 0.05 * torch.from_numpy(dice.normal(size=batch.facts.shape)).float()
    maps, states = network(rasters, facts)
    covered, open_sky = (_turned(torch.from_numpy(part)[:, None], turn)[:, 0] for part in (batch.covered, batch.open))
    known, seen = (
        _turned(torch.from_numpy(part.astype(np.float32))[:, None], turn)[:, 0] for part in (batch.known, batch.seen)
    )
    night = torch.from_numpy((batch.states[:, 1] == 0).astype(np.float32))[:, None, None]
    entropy = torch.nn.functional.binary_cross_entropy_with_logits
    # every picture counts alike, however many of its cells are known
    each = (entropy(maps[:, 0], covered, reduction="none") * known).sum(dim=(1, 2)) / (known.sum(dim=(1, 2)) + 20.0)
    sky = (entropy(maps[:, 1], open_sky.clamp(0, 1), reduction="none") * seen * night).sum() / (
        seen * night
    ).sum().clamp(min=1.0)
    state = entropy(states, torch.from_numpy(batch.states))
    loss: torch.Tensor = each.mean() + 0.2 * sky + 0.3 * state
    return loss


def _turned(maps: torch.Tensor, turn: int) -> torch.Tensor:
    """One of the eight symmetries of the square."""
    turned = torch.rot90(maps, turn % 4, dims=(2, 3))
    return torch.flip(turned, dims=(3,)) if turn >= 4 else turned


def ask(network: CloudNet, asked: Samples, slope: float = 1.0, shift: float = 0.0) -> Map:
    """What the network says of samples, in parts that fit the memory."""
    clouds, states = [], []
    with torch.no_grad():
        for start in range(0, len(asked), 32):
            part = asked.part(np.arange(start, min(start + 32, len(asked))))
            maps, state = network(torch.from_numpy(part.rasters).float() * QUANTUM, torch.from_numpy(part.facts))
            clouds.append(torch.sigmoid(maps[:, 0] * slope + shift).numpy())
            states.append(torch.sigmoid(state).numpy())
    return Map(np.concatenate(clouds), np.concatenate(states))


def temperature(network: CloudNet, validation: Samples) -> tuple[float, float]:
    """Slope and shift that make the map's probabilities honest on the validation set."""
    raw = ask(network, validation).cloud[validation.known]
    logits = torch.from_numpy(np.log(np.clip(raw, 1e-6, 1 - 1e-6) / np.clip(1 - raw, 1e-6, 1.0))).double()
    truth = torch.from_numpy(validation.covered[validation.known]).double()
    setting = torch.tensor([1.0, 0.0], dtype=torch.float64, requires_grad=True)
    optimiser = torch.optim.LBFGS([setting], max_iter=60)

    def loss() -> torch.Tensor:
        optimiser.zero_grad()
        fit: torch.Tensor = torch.nn.functional.binary_cross_entropy_with_logits(
            logits * setting[0] + setting[1], truth
        )
        fit.backward()
        return fit

    optimiser.step(loss)
    slope, shift = setting.detach().tolist()
    return float(slope), float(shift)


def export(model: Calibrated, folder: Path) -> Path:
    """Write the ONNX file; returns where."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{NAME}.onnx"
    network = model.network
    shapes = (torch.zeros(1, network.stem[0].in_channels, 192, 192), torch.zeros(1, network.mean.numel()))
    torch.onnx.export(
        model.eval(),
        shapes,
        str(path),
        input_names=["raster", "facts"],
        output_names=["cloud", "sky", "states"],
        dynamo=False,
        opset_version=17,
    )
    return path


def write_card(
    path: Path, network: CloudNet, sizes: Sizes, lines: dict[str, Scores], real: dict[str, str], effort: str
) -> None:
    """The card beside the weights."""
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    head = f"""\
# What this model is, what it was trained on, what it is worth, and where it ends.
# Written by models/training/cloud.py; scores are the model's beside baselines, with counts.

limits = [
    "Learned from simulated pictures only; the real ones it was tested on are few and from few cameras.",
    "Thin, even cloud over the whole sky looks like a shorter exposure: with no star map of its own it is missed.",
    "A picture that shows no star for other reasons (short exposure, focus, haze) leans towards covered.",
    "Aurora and airglow waves are not cloud; strong ones are taken for it where they hide the stars.",
    "A wet window, a closed roof and daylight are told by rough signs; the site's own sensors know better.",
]

[model]
name = "{NAME}"
version = "{VERSION}"
file = "{path.name}"
sha256 = "{digest}"
made_by = "models/training/cloud.py, seed {SEED}, {effort}"
parameters = {parameters(network)}
inputs = ["raster", "facts"]
outputs = ["cloud", "sky", "states"]
means = [{", ".join(f'"{name}"' for name in STATES)}]

[thresholds]
covered = 0.5
sky = 0.4
day = 0.5
shut = 0.5
dew = 0.5

[trained_on]
"simulated pictures" = {sizes.train}
"simulated pictures, for the temperature" = {sizes.validation}
"""
    body = "".join(f'\n[scores."{name}"]\n{scores.toml()}' for name, scores in lines.items())
    body += "".join(f'\n[scores."{name}"]\n{text}' for name, text in real.items())
    path.with_suffix(".toml").write_text(head + body, encoding="utf-8")


def _say(text: str) -> None:
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
