"""Train, calibrate, evaluate and export the anomaly model, from nothing, on one CPU core, always the same way.

    python -m training.anomaly --frames ../shared/data/frames --out models/weights

It learns ordinary tiles only: of our own simulated sky, of the simulated observatory and of real cameras. Things
planted by `training.strange` are for the evaluation alone. Beside the autoencoder stand the same statistics of the
tiles as they are, and after a principal-component fit of the same width (a linear autoencoder); each gets its own idea
of what is ordinary and its own limit at the same rate of false alarms per frame.

For each real camera a network learns from all but that one; what it says of that camera's frames and of things planted
there is what the card calls left out.
"""

import argparse
import hashlib
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from astrod.errors import InputInvalid
from astrod.measure.frame import measure_plane
from astrod.measure.plane import Plane
from astrod_models.anomaly import BINNINGS, NAME, STATISTICS, TILE_PX, Ordinary, Scene, compressed, statistics, tiles_of
from training.dataset import Drawn, overlaid, synthetic
from training.frames import CAMERAS, Real, piece, real_frames
from training.observatory import observed
from training.scores import auc, wilson
from training.strange import STRANGE

VERSION = "1"
SEED = 20261121
RATE = 0.02
"""Of ordinary frames, the share that may be flagged."""

BATCH = 64
MOST_TILES = 24
"""Of one frame and binning, for learning."""

Floats = NDArray[np.float64]
Single = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Sizes:
    """How many frames of everything; `full` is what ships, `quick` is for trying the script out."""

    sky: int
    observatory: int
    camera: int
    strange: int
    epochs: int
    camera_epochs: int


FULL = Sizes(120, 40, 30, 4, 4, 2)
QUICK = Sizes(30, 10, 8, 2, 1, 1)


@dataclass(frozen=True, slots=True, eq=False)
class Look:
    """One frame's tiles at each binning: values and validity."""

    tiles: tuple[tuple[Single, NDArray[np.bool_]], ...]


def looked(drawn: Plane) -> Look | None:
    """The tiles of a plane as the daemon cuts them; None where measuring refuses the frame."""
    try:
        _measured, seen = measure_plane(drawn)
    except InputInvalid:
        return None
    return Look(
        tuple((tiles.values.astype(np.float32), tiles.valid) for tiles in tiles_of(Scene(seen.above, seen.known)))
    )


Draw = Callable[[np.random.Generator], Drawn]


def ordinary_sky(rng: np.random.Generator) -> Drawn:
    """A good frame of our own sky; a tenth with wide seeing."""
    return synthetic(rng, "seeing" if rng.random() < 0.1 else "good", "seen")


def ordinary_night(rng: np.random.Generator) -> Drawn:
    """A good frame of the simulated observatory."""
    return observed(rng, "good")


def ordinary_real(frames: list[Real]) -> Draw:
    """A piece of a real frame as it is."""

    def draw(rng: np.random.Generator) -> Drawn:
        return overlaid(rng, piece(rng, frames[int(rng.integers(len(frames)))]), "good", "seen")

    return draw


def ordinary(draw: Draw, count: int, seed: int) -> list[Look]:
    """Ordinary frames."""
    return [look for look in (looked(draw(np.random.default_rng([seed, i])).plane) for i in range(count)) if look]


def strange(draw: Draw, count: int, seed: int) -> Iterator[tuple[str, Look]]:
    """`count` frames with each of STRANGE in them."""
    for index, (name, plant) in enumerate(STRANGE.items()):
        for number in range(count):
            rng = np.random.default_rng([seed, index, number])
            plane = draw(rng).plane
            noise = 1.4826 * float(np.median(np.abs(np.diff(plane.values, axis=1)))) / np.sqrt(2.0)
            damaged = np.ascontiguousarray(plant(rng, plane.values, max(noise, 1e-3)), dtype=np.float32)
            look = looked(Plane(damaged, plane.mask, plane.scale_px, plane.saturation_adu))
            if look is not None:
                yield name, look


def _stage(inputs: int, outputs: int, size: int = 3) -> nn.Sequential:
    return nn.Sequential(nn.Conv2d(inputs, outputs, size, stride=2, padding=size // 2), nn.ReLU(inplace=True))


def _back(inputs: int, outputs: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Upsample(scale_factor=2, mode="nearest"), nn.Conv2d(inputs, outputs, 3, padding=1), nn.ReLU(inplace=True)
    )


class Autoencoder(nn.Module):  # type: ignore[misc]  # torch is not followed
    """(N, 2, 64, 64), compressed values and where they count, to what an ordinary tile would hold (N, 1, 64, 64)."""

    def __init__(self) -> None:
        super().__init__()
        self.narrow = nn.Sequential(
            _stage(2, 8, 5), _stage(8, 16), _stage(16, 32), _stage(32, 48), nn.Conv2d(48, WIDTH // 16, 1)
        )
        self.widen = nn.Sequential(_back(WIDTH // 16, 32), _back(32, 16), _back(16, 8), nn.Upsample(scale_factor=2))
        self.last = nn.Conv2d(8, 1, 3, padding=1)

    def forward(self, tiles: Tensor) -> Tensor:
        """As the class says."""
        ordinary: Tensor = self.last(self.widen(self.narrow(tiles)))
        return ordinary


WIDTH = 192
"""Numbers that a tile is narrowed to: 16 places of 12."""

Rest = Callable[[Single, NDArray[np.bool_]], Single]
"""What remains of compressed tiles, by one of the three ways."""


def as_it_is(values: Single, valid: NDArray[np.bool_]) -> Single:
    """Nothing is explained."""
    return compressed(values, valid)


def by_components(looks: list[Look]) -> Rest:
    """After the first WIDTH principal components of ordinary tiles."""
    values, valid = _pool(looks, 6)
    flat = compressed(values, valid).reshape(len(values), -1)
    rng = np.random.default_rng(SEED)
    flat = flat[rng.choice(len(flat), min(len(flat), 3000), replace=False)]
    mean = flat.mean(axis=0)
    _left, _sizes, basis = np.linalg.svd(_sketch(flat - mean, rng), full_matrices=False)
    basis = basis[:WIDTH].astype(np.float32)

    def rest(values: Single, valid: NDArray[np.bool_]) -> Single:
        seen = compressed(values, valid).reshape(len(values), TILE_PX * TILE_PX) - mean
        left: Single = (seen - (seen @ basis.T) @ basis).reshape(values.shape)
        return left

    return rest


def _sketch(flat: Single, rng: np.random.Generator) -> Single:
    """Rows that span nearly what the first components of `flat` span (Halko, Martinsson & Tropp 2011, SIAM Rev. 53)."""
    mixed = rng.standard_normal((WIDTH + 32, len(flat))).astype(np.float32) @ flat
    for _round in range(2):
        mixed = np.linalg.qr(flat @ mixed.T).Q.T @ flat
    sketch: Single = mixed.astype(np.float32)
    return sketch


def by_network(network: Autoencoder) -> Rest:
    """After what the network tells."""

    def rest(values: Single, valid: NDArray[np.bool_]) -> Single:
        seen = compressed(values, valid)
        with torch.no_grad():
            parts = [
                network(torch.from_numpy(_stacked(seen[k : k + 128], valid[k : k + 128])))[:, 0].numpy()
                for k in range(0, len(seen), 128)
            ]
        told: Single = np.concatenate(parts) if parts else np.zeros_like(seen)
        return seen - told

    return rest


def _stacked(seen: Single, valid: NDArray[np.bool_]) -> Single:
    return np.stack([seen, valid.astype(np.float32)], axis=1)


def _pool(looks: list[Look], most: int) -> tuple[Single, NDArray[np.bool_]]:
    """At most `most` tiles of each frame and binning, drawn at random."""
    rng = np.random.default_rng(SEED)
    values, valid = [], []
    for look in looks:
        for some, free in look.tiles:
            chosen = rng.permutation(len(some))[:most]
            values.append(some[chosen])
            valid.append(free[chosen])
    return np.concatenate(values), np.concatenate(valid)


def learn(network: Autoencoder, looks: list[Look], epochs: int) -> None:
    """Learn in place to tell each pixel from the tile's others: a fifth of them is hidden from the network at a time,
    so that noise cannot be learned by heart.
    """
    values, valid = _pool(looks, MOST_TILES)
    seen = compressed(values, valid)
    generator = torch.Generator().manual_seed(SEED)
    steps = max(1, epochs * (len(seen) // BATCH))
    optimiser = torch.optim.AdamW(network.parameters(), lr=3e-3, weight_decay=1e-4)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, 3e-3, total_steps=max(steps + 1, 20), pct_start=0.2)
    network.train()
    for epoch in range(epochs):
        started, total = time.monotonic(), 0.0
        order = torch.randperm(len(seen), generator=generator).numpy()
        for first in range(0, len(seen) - BATCH + 1, BATCH):
            where = order[first : first + BATCH]
            tiles, free = _turned(torch.from_numpy(seen[where]), torch.from_numpy(valid[where]), generator)
            shown = free & (torch.rand(free.shape, generator=generator) > 0.2)
            told = network(torch.stack([tiles * shown, shown.float()], dim=1))[:, 0]
            loss = torch.nn.functional.huber_loss(told * free, tiles * free, delta=2.0)
            optimiser.zero_grad(set_to_none=True)
            loss.backward()
            optimiser.step()
            schedule.step()
            total += float(loss.detach()) * BATCH
        _say(f"  epoch {epoch + 1}: loss {total / len(seen):.4f}, {time.monotonic() - started:.0f} s")
    network.eval()


def _turned(tiles: Tensor, free: Tensor, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    turn, mirror = (int(value) for value in torch.randint(0, 4, (2,), generator=generator))
    tiles, free = torch.rot90(tiles, turn, (1, 2)), torch.rot90(free, turn, (1, 2))
    return (tiles.flip(2), free.flip(2)) if mirror % 2 else (tiles, free)


def numbers(looks: list[Look], rest: Rest) -> list[tuple[Floats, ...]]:
    """Each frame's STATISTICS, one array for each binning."""
    return [tuple(statistics(rest(values, valid), valid) for values, valid in look.tiles) for look in looks]


def settled(sources: list[list[tuple[Floats, ...]]]) -> Ordinary:
    """What is ordinary: mean and whitening of the calmest 95 % of tiles, and the limit at RATE per frame.

    Each source of frames weighs the same for the limit, however many frames it has.
    """
    found = [frame for source in sources for frame in source]
    mean, whiten = {}, {}
    for index, binning in enumerate(BINNINGS):
        pooled = np.concatenate([frame[index] for frame in found])
        middle = np.median(pooled, axis=0)
        spread = 1.4826 * np.median(np.abs(pooled - middle), axis=0) + 1e-3
        away = (((pooled - middle) / spread) ** 4).mean(axis=1)
        core = pooled[away <= np.quantile(away, 0.95)]
        mean[binning] = core.mean(axis=0)
        values, vectors = np.linalg.eigh(np.cov(core.T) + 1e-3 * np.diag(spread**2 + 1e-3))
        whiten[binning] = vectors / np.sqrt(values)[None, :]
    raw = Ordinary(mean, whiten, 1.0)
    largest = np.array([surprise_of(frame, raw) for frame in found])
    weight = np.concatenate([np.full(len(source), 1.0 / len(source)) for source in sources if source])
    order = np.argsort(largest)
    over = 1.0 - np.cumsum(weight[order]) / weight.sum()
    return Ordinary(mean, whiten, float(largest[order][int(np.argmax(over <= RATE))]))


def surprise_of(frame: tuple[Floats, ...], ordinary: Ordinary) -> float:
    """A frame's largest."""
    each = [ordinary.distance(binning, part) for binning, part in zip(BINNINGS, frame, strict=True)]
    return max((float(part.max()) for part in each if part.size), default=0.0)


@dataclass(frozen=True, slots=True)
class Line:
    """One set's results by one way: how many things of each kind were noticed, how many ordinary frames flagged, and
    the surprise that RATE of its ordinary frames exceed.
    """

    name: str
    way: str
    auc: float
    noticed: dict[str, tuple[int, int]]
    alarms: int
    frames: int
    reached: float


def judged(name: str, way: str, rest: Rest, known: Ordinary, looks: list[Look], things: list[tuple[str, Look]]) -> Line:
    """Score one way on ordinary frames and planted things that it never learned from."""
    calm = np.array([surprise_of(frame, known) for frame in numbers(looks, rest)])
    wild = np.array([surprise_of(frame, known) for frame in numbers([look for _, look in things], rest)])
    kinds = np.array([kind for kind, _ in things])
    noticed = {kind: (int((wild[kinds == kind] > 1.0).sum()), int((kinds == kind).sum())) for kind in STRANGE}
    truth = np.concatenate([np.ones(wild.size, dtype=bool), np.zeros(calm.size, dtype=bool)])
    reached, area = float(np.quantile(calm, 1.0 - RATE)), auc(np.concatenate([wild, calm]), truth)
    line = Line(name, way, area, noticed, int((calm > 1.0).sum()), calm.size, reached)
    seen = sum(hits for hits, _ in noticed.values())
    _say(f"  {name:28s} {way:12s} AUC {line.auc:.3f} noticed {seen}/{wild.size} alarms {line.alarms}/{line.frames}")
    _say("    " + ", ".join(f"{kind} {hits}/{count}" for kind, (hits, count) in noticed.items()))
    return line


@dataclass(frozen=True, slots=True, eq=False)
class Data:
    """All looks, by where they come from."""

    sky: list[Look]
    nights: list[Look]
    cameras: dict[str, list[Look]]
    nights_strange: list[tuple[str, Look]]
    cameras_strange: dict[str, list[tuple[str, Look]]]


def gather(sizes: Sizes, frames: list[Real]) -> Data:
    """Draw everything."""
    draws = {
        name: ordinary_real([frame for frame in frames if frame.camera == name])
        for name in CAMERAS
        if any(frame.camera == name for frame in frames)
    }
    data = Data(
        ordinary(ordinary_sky, sizes.sky, 1),
        ordinary(ordinary_night, sizes.observatory, 2),
        {name: ordinary(draw, sizes.camera, 10 + index) for index, (name, draw) in enumerate(draws.items())},
        list(strange(ordinary_night, sizes.strange, 3)),
        {name: list(strange(draw, sizes.strange, 20 + index)) for index, (name, draw) in enumerate(draws.items())},
    )
    _say(
        f"drawn: {len(data.sky)} of our own sky, {len(data.nights)} of the simulated observatory, {len(draws)} cameras"
    )
    return data


def learn_sky(data: Data, sizes: Sizes) -> Autoencoder:
    """A network that knows our own sky and nothing else."""
    network = fresh()
    _say(f"learning our own sky: {len(data.sky)} frames")
    learn(network, data.sky, sizes.epochs)
    return network


def tuned(base: Autoencoder, looks: list[Look], data: Data, sizes: Sizes) -> Autoencoder:
    """The network of our own sky after these frames, and a quarter of those that it knows already."""
    network = fresh()
    network.load_state_dict(base.state_dict())
    learn(network, looks + data.sky[::4], sizes.camera_epochs)
    return network


def sources(data: Data) -> tuple[dict[str, list[Look]], dict[str, list[tuple[str, Look]]]]:
    """Ordinary frames, and those with something planted, by what took them; our own sky apart."""
    looks = {**data.cameras, "simulated observatory": data.nights}
    return looks, {**data.cameras_strange, "simulated observatory": data.nights_strange}


def left_out(name: str, base: Autoencoder, data: Data, sizes: Sizes) -> list[Line]:
    """One source left out; three ways beside one another."""
    looks, things = sources(data)
    parts = [data.sky, *(part for other, part in looks.items() if other != name)]
    others = [look for part in parts[1:] for look in part]
    _say(f"learning all but {name}")
    network = tuned(base, others, data, sizes)
    ways = {"as it is": as_it_is, "components": by_components(others + data.sky), "network": by_network(network)}
    return [
        judged(
            f"{name}, left out", way, rest, settled([numbers(part, rest) for part in parts]), looks[name], things[name]
        )
        for way, rest in ways.items()
    ]


def fresh() -> Autoencoder:
    """An untrained network."""
    torch.manual_seed(SEED)
    return Autoencoder()


def widened(known: Ordinary, lines: list[Line]) -> Ordinary:
    """With a limit that also holds on cameras never seen: raised by the median of what those left out reached."""
    reached = [line.reached for line in lines if line.way == "network"]
    return Ordinary(known.mean, known.whiten, known.limit * max(1.0, float(np.median(reached)) if reached else 1.0))


def final(base: Autoencoder, data: Data, sizes: Sizes) -> tuple[Autoencoder, Ordinary]:
    """What is shipped: learned from everything ordinary."""
    looks, _things = sources(data)
    everything = [look for part in looks.values() for look in part]
    _say(f"learning everything: {len(everything) + len(data.sky)} frames")
    network = tuned(base, everything, data, sizes)
    rest = by_network(network)
    return network, settled([numbers(part, rest) for part in (data.sky, *looks.values())])


def export(network: Autoencoder, folder: Path) -> Path:
    """Write the ONNX file; returns where."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{NAME}.onnx"
    torch.onnx.export(
        network.eval(),
        (torch.zeros((1, 2, TILE_PX, TILE_PX)),),
        str(path),
        input_names=["tiles"],
        output_names=["ordinary"],
        dynamic_axes={"tiles": {0: "count"}, "ordinary": {0: "count"}},
        dynamo=False,
        opset_version=17,
    )
    return path


def write_card(path: Path, data: Data, network: Autoencoder, known: Ordinary, lines: list[Line], effort: str) -> None:
    """The card beside the weights."""
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    counts = {"own sky": len(data.sky), "simulated observatory": len(data.nights)}
    counts |= {f"pieces of {name}": len(part) for name, part in data.cameras.items()}
    text = f"""\
# What this model is, what it was trained on, what it is worth, and where it ends.
# Written by models/training/anomaly.py; scores are of frames of a camera that was left out, with counts.

limits = [
    "It says that something is strange, never what. Faults that the quality model names are strange as well.",
    "Planted things were simulated; what a site's own night brings is not known.",
    "What fills the frame evenly, and what is fainter than the noise at every size, is not noticed.",
    "A bright nebula or galaxy of a kind it has not learned may be called strange until the site's frames are known.",
]

[model]
name = "{NAME}"
version = "{VERSION}"
file = "{path.name}"
sha256 = "{digest}"
made_by = "models/training/anomaly.py, seed {SEED}, {effort}"
parameters = {sum(parameter.numel() for parameter in network.parameters())}
inputs = ["tiles"]
outputs = ["ordinary"]
statistics = [{", ".join(f'"{name}"' for name in STATISTICS)}]

[ordinary]
rate = {RATE}
limit = {known.limit:.6g}
"""
    for binning in BINNINGS:
        text += f"mean{binning} = {_row(known.mean[binning])}\n"
        text += f"whiten{binning} = [\n" + "".join(f"    {_row(row)},\n" for row in known.whiten[binning]) + "]\n"
    text += "\n[trained_on]\n" + "".join(f'"{name}" = {count}\n' for name, count in counts.items())
    path.with_suffix(".toml").write_text(text + "".join(map(_section, lines)), encoding="utf-8")


def _row(values: Floats) -> str:
    return "[" + ", ".join(f"{value:.6g}" for value in values) + "]"


def _section(line: Line) -> str:
    """One set's scores by one way as TOML."""
    noticed, count = (sum(part) for part in zip(*line.noticed.values(), strict=True))
    low, high = wilson(noticed, count)
    least, most = wilson(line.alarms, line.frames)
    text = f'\n[scores."{line.name}, {line.way}"]\nauc = {line.auc:.3f}\n'
    text += f"noticed = {noticed}\nplanted = {count}\nnoticed_interval = [{low:.3f}, {high:.3f}]\n"
    text += f"false_alarms = {line.alarms}\nordinary_frames = {line.frames}\n"
    text += f"false_alarms_interval = [{least:.3f}, {most:.3f}]\n"
    for kind, (hits, of) in line.noticed.items():
        text += f'"{kind}" = [{hits}, {of}]\n'
    return text


def _say(text: str) -> None:
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


def main() -> None:
    """Everything, end to end."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--frames", type=Path, default=Path("../shared/data/frames"), help="real frames")
    parser.add_argument("--out", type=Path, default=Path("models/weights"), help="where weights and card go")
    parser.add_argument("--quick", action="store_true", help="a few frames only, to try the script out")
    chosen = parser.parse_args()
    torch.set_num_threads(1)
    torch.use_deterministic_algorithms(True)
    sizes = QUICK if chosen.quick else FULL
    started = time.monotonic()
    frames = real_frames(chosen.frames)
    if not frames:
        _say(f"no real frames under {chosen.frames}: learning from simulated skies alone")
    data = gather(sizes, frames)
    base = learn_sky(data, sizes)
    lines = [line for name in sources(data)[0] for line in left_out(name, base, data, sizes)]
    network, known = final(base, data, sizes)
    known = widened(known, lines)
    path = export(network, chosen.out)
    minutes = (time.monotonic() - started) / 60.0
    write_card(path, data, network, known, lines, f"{minutes:.0f} minutes on one core")
    _say(f"{path}: {path.stat().st_size} bytes, {minutes:.1f} minutes")


if __name__ == "__main__":
    main()
