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
from numpy.typing import NDArray

from astrod_models.cloud import CELL_FEATURES, GRID, NAME, PICTURE_FEATURES, STATES
from training.clouddata import Cells, Floats, Samples, drawn_cells, features, samples, trust
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
    batch: int = 36


FULL = Sizes(1800, 150, 250, 12)
QUICK = Sizes(48, 16, 16, 5)
CELLS_EACH = 48
"""How many cells of each picture a step learns from."""


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
    network = learn(drawn_cells(train, f"{sizes.train}", chosen.cache), sizes)
    slope, shift = temperature(network, validation)
    path = export(Calibrated(network, slope, shift), chosen.out)
    sets = {
        "validation": validation,
        "families never seen": unseen,
        "families never seen, stars as they should be": unseen.part(np.flatnonzero(trust(unseen) > 0.5)),
    }
    beside = baselines(train)
    lines = {name: scored(ask(network, asked, slope, shift), asked, beside) for name, asked in sets.items()}
    minutes = (time.process_time() - started) / 60.0
    write_card(
        path, network, sizes, lines, real_pictures(path.parent, chosen.data), f"{minutes:.0f} minutes of one core"
    )
    _say(f"{path}: {path.stat().st_size} bytes, {minutes:.1f} minutes")


def learn(train: Cells, sizes: Sizes) -> CloudNet:
    """The network, trained with a rising and falling rate, on other cells of each picture in each epoch."""
    torch.manual_seed(SEED)
    dice = np.random.default_rng(SEED)
    network = CloudNet(_scale(train.cells[train.shown]), _scale(train.pictures))
    _say(f"{parameters(network)} parameters, {len(train.pictures)} pictures")
    steps = sizes.epochs * (len(train.pictures) // sizes.batch)
    optimiser = torch.optim.AdamW(network.parameters(), lr=1e-3, weight_decay=1e-2)
    rate = torch.optim.lr_scheduler.OneCycleLR(optimiser, 8e-3, total_steps=steps, pct_start=0.2)
    for epoch in range(sizes.epochs):
        network.train()
        order, total = dice.permutation(len(train.pictures)), 0.0
        for start in range(0, len(order) // sizes.batch * sizes.batch, sizes.batch):
            some = dice.choice(train.cells.shape[1], CELLS_EACH, replace=False)
            loss = _loss(network, train, order[start : start + sizes.batch], some, dice)
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
            rate.step()
            total += float(loss.detach())
        if epoch % 5 == 4:
            _say(f"epoch {epoch + 1}: loss {total / (len(order) // sizes.batch):.4f}")
    return network.eval()


def _scale(features: Floats) -> tuple[torch.Tensor, torch.Tensor]:
    """Mean and spread of features, over all but the last axis."""
    flat = features.reshape(-1, features.shape[-1])
    return torch.from_numpy(flat.mean(axis=0)), torch.from_numpy(flat.std(axis=0) + 0.05)


def _loss(
    network: CloudNet, train: Cells, chosen: NDArray[np.int64], some: NDArray[np.int64], dice: np.random.Generator
) -> torch.Tensor:
    """Cross-entropies: of the map where it is known, of sky where there is a picture, of the states."""
    at = np.ix_(chosen, some)
    cells, pictures = train.cells[at], train.pictures[chosen]
    cells = cells + 0.03 * network.cell_spread.numpy() * dice.standard_normal(cells.shape, dtype=np.float32)
    pictures = pictures + 0.15 * network.picture_spread.numpy() * dice.standard_normal(pictures.shape, dtype=np.float32)
    maps, states = network(torch.from_numpy(cells), torch.from_numpy(pictures))
    covered, open_sky, known, shown = (
        torch.from_numpy(part[at].astype(np.float32)) for part in (train.covered, train.open, train.known, train.shown)
    )
    shown = shown * torch.from_numpy((train.states[chosen, 1] == 0).astype(np.float32))[:, None]
    entropy = torch.nn.functional.binary_cross_entropy_with_logits
    # every picture counts the same, however many of its cells are known
    each = (entropy(maps[..., 0], covered, reduction="none") * known).sum(dim=1) / (known.sum(dim=1) + 4.0)
    sky = (entropy(maps[..., 1], open_sky, reduction="none") * shown).sum() / shown.sum().clamp(min=1.0)
    weight = torch.from_numpy(train.weight[chosen])
    loss: torch.Tensor = (
        (each * weight).sum() / weight.sum() + 0.2 * sky + 0.3 * entropy(states, torch.from_numpy(train.states[chosen]))
    )
    return loss


def ask(network: CloudNet, asked: Samples, slope: float = 1.0, shift: float = 0.0) -> Map:
    """What the network says of samples."""
    clouds, states = [], []
    with torch.no_grad():
        for index in range(len(asked)):
            cells, picture = features(asked, index)
            said, state = network(torch.from_numpy(cells.reshape(1, GRID * GRID, -1)), torch.from_numpy(picture[None]))
            clouds.append(torch.sigmoid(said[0, :, 0] * slope + shift).numpy().reshape(GRID, GRID))
            states.append(torch.sigmoid(state[0]).numpy())
    return Map(np.stack(clouds), np.stack(states))


def temperature(network: CloudNet, validation: Samples) -> tuple[float, float]:
    """Slope and shift that make the map's probabilities honest on the validation set."""
    raw = ask(network, validation).cloud[validation.known]
    logits = torch.from_numpy(np.log(np.clip(raw, 1e-6, 1 - 1e-6) / np.clip(1 - raw, 1e-6, 1.0))).double()
    truth = torch.from_numpy(validation.covered[validation.known]).double()
    weight = torch.from_numpy(np.repeat(trust(validation), validation.known.sum(axis=(1, 2)))).double()
    setting = torch.tensor([1.0, 0.0], dtype=torch.float64, requires_grad=True)
    optimiser = torch.optim.LBFGS([setting], max_iter=60)

    def loss() -> torch.Tensor:
        optimiser.zero_grad()
        fit: torch.Tensor = torch.nn.functional.binary_cross_entropy_with_logits(
            logits * setting[0] + setting[1], truth, weight=weight
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
    shapes = (torch.zeros(GRID * GRID, len(CELL_FEATURES)), torch.zeros(1, len(PICTURE_FEATURES)))
    torch.onnx.export(
        model.eval(),
        shapes,
        str(path),
        input_names=["cells", "picture"],
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
    "Five settings were tried with the real pictures' scores in sight: not learned from, yet not unseen.",
]

[model]
name = "{NAME}"
version = "{VERSION}"
file = "{path.name}"
sha256 = "{digest}"
made_by = "models/training/cloud.py, seed {SEED}, {effort}"
parameters = {parameters(network)}
inputs = ["cells", "picture"]
outputs = ["cloud", "sky", "states"]
means = [{", ".join(f'"{name}"' for name in STATES)}]

[thresholds]
covered = 0.5
sky = 0.4
day = 0.5
shut = 0.4
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
