"""Train, calibrate, evaluate and export the quality model, from nothing, on one CPU core, always the same
way.

    python -m training.quality --frames ../shared/data/frames --out models/weights

where astrod is installed with its `train` extra (`make models` does both), or with
PYTHONPATH=daemon:drivers:models. Without real frames it learns from simulated skies alone and says so.

1. A first network learns our own simulated sky alone. Whatever it says of real cameras, of the simulated
   observatory and of fault families that were kept back is said of things it never saw.
2. For each real camera, a network learns from all but that one and is tested on it. What these networks say
   of the camera that each left out sets temperatures and cuts (see `training.calibration`).
3. The network that is shipped has learned from everything but the validation and test samples, and is read
   with the temperatures and cuts of step 2.
"""

import argparse
import hashlib
import sys
import time
from copy import deepcopy
from dataclasses import dataclass
from pathlib import Path
from typing import cast

import numpy as np
import torch
from numpy.typing import NDArray

from astrod.judge.classical import classical
from astrod_models.quality import FEATURES, ISSUES, NAME, OUTPUTS
from astrod_models.session import open_session
from training.calibration import Heard, Setting, setting
from training.frames import CAMERAS, Real, real_frames
from training.groups import BARE_BELOW, Group, clean, clear, favoured, group, joined, over_real, simulated, told
from training.network import Calibrated, QualityNet, parameters
from training.observatory import observed
from training.scores import Baseline, Score, scored, wilson

VERSION = "3"
SEED = 20261121
BATCH = 32
BRANCH_DROPOUT = 0.12
TRAINING_TILES = 6  # of ten, another choice for each batch: less work, more variety
OUTPUT_WEIGHTS = (*(1.0,) * len(ISSUES), 1.5)
Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Sizes:
    """How much of everything; `full` is what ships, `quick` is for trying the script out."""

    sky: int
    sky_parts: int
    unseen: int
    camera: int
    observatory: int
    observatory_test: int
    epochs: int
    camera_epochs: int
    final_epochs: int


FULL = Sizes(1300, 4, 600, 500, 1000, 500, 9, 4, 7)
QUICK = Sizes(120, 1, 60, 40, 40, 40, 2, 1, 1)


@dataclass(frozen=True, slots=True, eq=False)
class Data:
    """All samples, by where they come from."""

    sky: Group
    validation: Group
    unseen: Group
    cameras: dict[str, Group]
    clean: dict[str, Group]
    observatory: Group
    observatory_test: Group


def own_sky(sizes: Sizes, cache: Path) -> tuple[Group, Group]:
    """Samples of our own sky: for learning, and a twelfth for calibration."""
    parts = [group(f"sky{part}", sizes.sky, 100 + part, simulated("seen"), cache) for part in range(sizes.sky_parts)]
    everything = joined(parts)
    cut = len(everything) // 12
    order = np.random.default_rng(SEED).permutation(len(everything))
    return everything.part(order[cut:]), everything.part(order[:cut])


def gather(sky: Group, validation: Group, sizes: Sizes, frames: list[Real], cache: Path) -> Data:
    """Draw all other samples, or read them from the cache."""
    by_camera = {name: [frame for frame in frames if frame.camera == name] for name in CAMERAS}
    return Data(
        sky=sky,
        validation=validation,
        unseen=group("sky-unseen", sizes.unseen, 200, simulated("unseen"), cache),
        cameras={
            name: group(f"over-{name}", sizes.camera, 300 + index, over_real(listed, "seen"), cache)
            for index, (name, listed) in enumerate(by_camera.items())
            if listed
        },
        clean={name: clean(listed) for name, listed in by_camera.items() if listed},
        observatory=group("observatory", sizes.observatory, 500, observed, cache),
        observatory_test=group("observatory-test", sizes.observatory_test, 600, observed, cache),
    )


def train(network: QualityNet, samples: Group, epochs: int, rate: float, seed: int) -> None:
    """Learn in place: Adam with one warm cycle, faces turned at random, branches dropped so none is leant
    on.
    """
    generator = torch.Generator().manual_seed(seed)
    steps = epochs * (len(samples) // BATCH)
    optimiser = torch.optim.AdamW(network.parameters(), lr=rate, weight_decay=1e-3)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, rate, total_steps=max(steps + 1, 20), pct_start=0.2)
    weights = torch.tensor(OUTPUT_WEIGHTS)
    network.train()
    for epoch in range(epochs):
        started, total = time.monotonic(), 0.0
        order = torch.randperm(len(samples), generator=generator).numpy()
        for first in range(0, len(samples) - BATCH + 1, BATCH):
            tiles, whole, features, targets = _batch(samples, np.sort(order[first : first + BATCH]))
            logits = _augmented(network, tiles, whole, features, generator)
            loss = torch.nn.functional.binary_cross_entropy_with_logits(logits, targets, weight=weights)
            optimiser.zero_grad(set_to_none=True)
            loss.backward()
            torch.nn.utils.clip_grad_norm_(network.parameters(), 2.0)
            optimiser.step()
            schedule.step()
            total += float(loss.detach()) * BATCH
        _say(f"  epoch {epoch + 1}: loss {total / len(samples):.4f}, {time.monotonic() - started:.0f} s")
    network.eval()


def _batch(samples: Group, where: NDArray[np.intp]) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor]:
    return (
        torch.from_numpy(samples.tiles[where].astype(np.float32)),
        torch.from_numpy(samples.whole[where].astype(np.float32)),
        torch.from_numpy(samples.features[where]),
        torch.from_numpy(samples.targets[where]),
    )


def _augmented(
    network: QualityNet,
    tiles: torch.Tensor,
    whole: torch.Tensor,
    features: torch.Tensor,
    generator: torch.Generator,
) -> torch.Tensor:
    """Logits of a batch, turned and mirrored, now and then without one of the three views."""
    chosen = torch.randperm(tiles.shape[1], generator=generator)[:TRAINING_TILES]
    tiles = tiles[:, chosen].contiguous(memory_format=torch.channels_last)
    whole = whole.contiguous(memory_format=torch.channels_last)
    turn, mirror = (int(value) for value in torch.randint(0, 4, (2,), generator=generator))
    tiles, whole = torch.rot90(tiles, turn, (2, 3)), torch.rot90(whole, turn, (2, 3))
    if mirror % 2:
        tiles, whole = tiles.flip(3), whole.flip(3)
    features = features + 0.05 * network.spread * torch.randn(features.shape, generator=generator)
    keep = (torch.rand((3, len(tiles), 1), generator=generator) > BRANCH_DROPOUT).float()
    return network.read(
        network.look(tiles) * keep[0], network.survey(whole) * keep[1], network.count(features) * keep[2]
    )


def logits_of(network: torch.nn.Module, samples: Group) -> Floats:
    """What the network says of each sample."""
    answers = []
    with torch.no_grad():
        for first in range(0, len(samples), 64):
            tiles, whole, features, _ = _batch(samples, np.arange(first, min(first + 64, len(samples))))
            answers.append(network(tiles, whole, features).numpy())
    return np.concatenate(answers).astype(np.float64)


@dataclass(frozen=True, slots=True, eq=False)
class Judge:
    """A network with the way its logits are read."""

    network: QualityNet
    setting: Setting

    def __call__(self, samples: Group) -> Floats:
        """Probabilities of OUTPUTS."""
        return self.setting.probabilities(logits_of(self.network, samples))


def heard(name: str, network: QualityNet, samples: Group, whole: Group | None = None) -> Heard:
    """What a network says of samples, and of `whole`, clean real frames, that it never learned from."""
    parts = [samples] if whole is None else [samples, whole]
    is_clean = np.concatenate([np.full(len(part), part is whole) for part in parts])
    everything = joined(parts)
    return Heard(name, logits_of(network, everything), everything.targets.astype(np.float64), is_clean)


def fresh(samples: Group) -> QualityNet:
    """An untrained network for features like these."""
    torch.manual_seed(SEED)
    mean, spread = samples.features.mean(axis=0), samples.features.std(axis=0) + 1e-3
    network = QualityNet(torch.from_numpy(mean), torch.from_numpy(spread))
    return cast(QualityNet, network.to(memory_format=torch.channels_last))


@dataclass(frozen=True, slots=True)
class Line:
    """One set's results: model and baseline by output, and how many clean frames each kept, where known."""

    name: str
    model: dict[str, Score]
    baseline: dict[str, Score]
    kept: int | None = None
    kept_by_baseline: int | None = None
    clean: int | None = None
    former: dict[str, Score] | None = None
    stand_in: dict[str, Score] | None = None


def stand_in(samples: Group) -> dict[str, Score]:
    """What the daemon's classical stand-in says of each output, from the same measurements."""
    answers = [classical(dict(zip(FEATURES, row.tolist(), strict=True))) for row in samples.features]
    said = np.array([[answer.issues.get(name, answer.usable) for name in OUTPUTS] for answer in answers])
    return scored(said, np.full(len(OUTPUTS), 0.5), samples)


class Former:
    """The version in force until now, as it ships, on the same samples: what a new one has to beat."""

    def __init__(self, folder: Path) -> None:
        """From its card and weights; raises WeightsRefusedError."""
        self._session = open_session(NAME, folder)
        told = self._session.card.facts["model"]
        self.means = tuple(told["means"])
        self._where = [FEATURES.index(name) for name in told["features"]]

    def scores(self, samples: Group) -> dict[str, Score]:
        """Of the outputs that it has."""
        said = np.zeros((len(samples), len(OUTPUTS)))
        cuts = np.full(len(OUTPUTS), 0.5)
        places = [OUTPUTS.index(name) for name in self.means]
        for name, place in zip(self.means, places, strict=True):
            cuts[place] = self._session.card.thresholds[name]
        for row in range(len(samples)):
            feeds = {
                "tiles": samples.tiles[row : row + 1].astype(np.float32),
                "whole": samples.whole[row : row + 1].astype(np.float32),
                "features": samples.features[row : row + 1, self._where],
            }
            said[row, places] = self._session.run(feeds)["probabilities"][0]
        return {name: score for name, score in scored(said, cuts, samples).items() if name in self.means}


def compare(
    name: str,
    model: Judge,
    baseline: Baseline,
    samples: Group,
    whole: Group | None = None,
    former: Former | None = None,
) -> Line:
    """The model beside the baseline, and beside the version before, on one set; `whole`: real frames as they are."""
    test = told(samples)
    ours = scored(model(test), model.setting.cuts, test)
    theirs = scored(baseline(test), baseline.cuts, test)
    before = former.scores(test) if former is not None else None
    simple = stand_in(test)
    line = Line(name, ours, theirs, former=before, stand_in=simple)
    if whole is not None:
        line = Line(name, ours, theirs, *_kept(model, baseline, whole), len(whole), before, simple)
    _show(line)
    return line


def keeps(name: str, model: Judge, baseline: Baseline, samples: Group) -> Line:
    """How many frames of one kind are kept, by the model and by the baseline."""
    if not len(samples):
        return Line(name, {}, {})
    line = Line(name, {}, {}, *_kept(model, baseline, samples), len(samples))
    _show(line)
    return line


def _kept(model: Judge, baseline: Baseline, samples: Group) -> tuple[int, int]:
    """How many of these frames the model keeps, and how many the baseline."""
    ours = int((model(samples)[:, -1] >= model.setting.cuts[-1]).sum())
    return ours, int((baseline(samples)[:, -1] >= baseline.cuts[-1]).sum())


def _show(line: Line) -> None:
    kept = "" if line.clean is None else f"; clean kept {line.kept}/{line.clean} ({line.kept_by_baseline} by cuts)"
    _say(f"{line.name}{kept}")
    for name in line.model:
        ours, theirs = line.model[name], line.baseline[name]
        _say(
            f"    {name:9s} AUC {ours.auc:.3f} ({theirs.auc:.3f})  balanced {ours.balanced:.3f} "
            f"({theirs.balanced:.3f})  {ours.positives}+ {ours.negatives}-{_before(line, name)}"
        )


def _before(line: Line, name: str) -> str:
    text = ""
    for title, scores in (("before", line.former), ("stand-in", line.stand_in)):
        if scores is not None and name in scores:
            text += f"  {title}: AUC {scores[name].auc:.3f} balanced {scores[name].balanced:.3f}"
    return text


def learn_sky(sky: Group, sizes: Sizes) -> QualityNet:
    """Step 1: a network that knows our own sky and nothing else."""
    network = fresh(sky)
    _say(f"learning our own sky: {len(sky)} samples, {parameters(network)} parameters")
    train(network, favoured(sky), sizes.epochs, 3e-3, SEED)
    return network


def evaluate_unseen(network: QualityNet, data: Data, sizes: Sizes, former: Former | None) -> tuple[list[Line], Setting]:
    """Steps 1 and 2: the scores on all that was never seen, and the setting that follows for the shipped network.

    Each camera's cuts come from the other cameras' folds and the validation samples, never from its own.
    """
    first = heard("validation", network, told(data.validation))
    model, baseline = Judge(network, setting([first])), Baseline(told(data.sky))
    lines = [
        compare("validation (same families)", model, baseline, data.validation),
        compare("simulated, families kept back", model, baseline, data.unseen, None, former),
        compare("simulated observatory, never seen", model, baseline, data.observatory_test, None, former),
    ]
    for name, test in data.cameras.items():
        lines.append(compare(f"{name}, no real frame seen", model, baseline, test, data.clean[name]))
    folds: dict[str, tuple[QualityNet, Baseline, Heard]] = {}
    for name, test in data.cameras.items():
        others = joined([data.sky, *(data.cameras[other] for other in data.cameras if other != name)])
        tuned = deepcopy(network)
        _say(f"learning all cameras but {name}")
        train(tuned, favoured(_mixture(others, len(data.sky))), sizes.camera_epochs, 2e-3, SEED + 1)
        folds[name] = tuned, Baseline(told(others)), heard(name, tuned, told(test), data.clean[name])
    for name, (tuned, baseline, _own) in folds.items():
        pool = [first, *(other for camera, (_net, _base, other) in folds.items() if camera != name)]
        model = Judge(tuned, setting(pool))
        line = compare(f"{name}, left out", model, baseline, data.cameras[name], data.clean[name], former)
        lines.append(line)
    return lines, setting([first, *(own for _net, _base, own in folds.values())])


def _mixture(samples: Group, sky: int) -> Group:
    """A third of the sky that is known already, and all of the new."""
    order = np.random.default_rng(SEED + 2).permutation(sky)[: sky // 3]
    return samples.part(np.concatenate([np.sort(order), np.arange(sky, len(samples))]))


def final(
    network: QualityNet, chosen: Setting, data: Data, sizes: Sizes, former: Former | None
) -> tuple[Judge, list[Line]]:
    """Step 3: what is shipped, and how it does on samples of the same kinds that it did not learn from."""
    held = {name: np.arange(0, len(part), 8) for name, part in data.cameras.items()}
    learn = [part.part(np.setdiff1d(np.arange(len(part)), held[name])) for name, part in data.cameras.items()]
    check = joined([data.validation, *(part.part(held[name]) for name, part in data.cameras.items())])
    everything = joined([data.sky, data.observatory, data.unseen, *learn])
    _say(f"learning everything: {len(everything)} samples")
    tuned = deepcopy(network)
    train(tuned, favoured(_mixture(everything, len(data.sky))), sizes.final_epochs, 2e-3, SEED + 3)
    model, baseline = Judge(tuned, chosen), Baseline(told(everything))
    nights = data.observatory_test
    lines = [
        compare(
            "shipped: validation and an eighth of each camera, not learned from", model, baseline, check, None, former
        ),
        compare("shipped: simulated observatory, other nights", model, baseline, nights, None, former),
        keeps("shipped: simulated observatory, clear", model, baseline, nights.part(clear(nights))),
        keeps("shipped: simulated observatory, clear but under three stars", model, baseline, _bare(nights, True)),
        keeps("shipped: simulated observatory, faulty and under three stars", model, baseline, _bare(nights, False)),
        *(
            compare(f"shipped: {name}, most of it learned from", model, baseline, test, data.clean[name])
            for name, test in data.cameras.items()
        ),
    ]
    return model, lines


def _bare(samples: Group, wanted: bool) -> Group:
    """The clear, or the other, samples that show fewer than three stars."""
    is_clear = np.zeros(len(samples), dtype=bool)
    is_clear[clear(samples)] = True
    return samples.part(np.flatnonzero((samples.baseline[:, 0] < BARE_BELOW) & (is_clear == wanted)))


def export(judge: Judge, folder: Path) -> Path:
    """Write the ONNX file; returns where."""
    slope, shift = (torch.from_numpy(values).float() for values in (judge.setting.slope, judge.setting.shift))
    model = Calibrated(judge.network, slope, shift).eval()
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{NAME}.onnx"
    shapes = ((1, 10, 48, 48), (1, 3, 128, 128), (1, len(FEATURES)))
    torch.onnx.export(
        model,
        tuple(torch.zeros(shape) for shape in shapes),
        str(path),
        input_names=["tiles", "whole", "features"],
        output_names=["probabilities"],
        dynamo=False,
        opset_version=17,
    )
    return path


def write_card(path: Path, data: Data, model: Judge, lines: list[Line], effort: str) -> None:
    """The card beside the weights."""
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    trained = {
        "own sky": data.sky,
        "own sky, other families": data.unseen,
        "simulated observatory": data.observatory,
    }
    counts = {name: len(part) for name, part in trained.items()}
    counts |= {f"faults over {name}": len(part) - len(part) // 8 for name, part in data.cameras.items()}
    cuts = "".join(f"{name} = {cut:.3f}\n" for name, cut in zip(OUTPUTS, model.setting.cuts, strict=True))
    head = f"""\
# What this model is, what it was trained on, what it is worth, and where it ends.
# Written by models/training/quality.py; scores are model (baseline) with counts.

limits = [
    "One frame alone: thin, even cloud looks like a shorter exposure, slight defocus like poor seeing, dew like haze.",
    "Seeing is poor by the pixel: wider than 5.5 to 8 px with a star's wings; arcseconds it does not know.",
    "Hot pixels and bad lines are no output: they are counted (daemon/astrod/measure/defects.py).",
    "Deep-sky exposures through a telescope or lens; not all-sky frames, planets, the Moon, flats or darks.",
    "Stars wider than about 12 px in focus may be taken for defocus: bin such frames.",
    "Faults were simulated, also those over real frames: no labelled real faults were to be had.",
    "Temperatures and cuts come from networks that left one camera out each; the shipped one borrows them.",
    "Left-out scores use cuts of the other cameras only, but the recipe was settled with all four in sight.",
    "A frame with hardly a star and no sign of cloud is kept in doubt (about 60 of 100); so is a dark.",
    "Scores named 'shipped' tell less than 'left out': the shipped network knows these cameras.",
]

[model]
name = "{NAME}"
version = "{VERSION}"
file = "{path.name}"
sha256 = "{digest}"
made_by = "models/training/quality.py, seed {SEED}, {effort}"
parameters = {parameters(model.network)}
inputs = ["tiles", "whole", "features"]
outputs = ["probabilities"]
features = [{", ".join(f'"{name}"' for name in FEATURES)}]
means = [{", ".join(f'"{name}"' for name in (*ISSUES, "usable"))}]

[thresholds]
{cuts}
[trained_on]
"""
    body = "".join(f'"{name}" = {count}\n' for name, count in counts.items())
    good = data.sky.features[data.sky.targets[:, -1] > 0.9]
    usual = zip(FEATURES, np.median(good, axis=0), strict=True)
    body += "\n[usual]\n" + "".join(f"{name} = {value:.4f}\n" for name, value in usual)
    path.with_suffix(".toml").write_text(head + body + "".join(map(_section, lines)), encoding="utf-8")


def _section(line: Line) -> str:
    """One set's scores as TOML."""
    text = f'\n[scores."{line.name}"]\n'
    if line.clean is not None and line.kept is not None:
        low, high = wilson(line.kept, line.clean)
        text += f"clean_kept = {line.kept}\nclean_kept_by_baseline = {line.kept_by_baseline}\n"
        text += f"clean_frames = {line.clean}\nclean_kept_interval = [{low:.3f}, {high:.3f}]\n"
    for name in line.model:
        ours, theirs = line.model[name], line.baseline[name]
        if ours.positives and ours.negatives:
            text += (
                f"{name} = {{ auc = {ours.auc:.3f}, balanced = {ours.balanced:.3f}, "
                f"baseline_auc = {theirs.auc:.3f}, baseline_balanced = {theirs.balanced:.3f}, "
                f"{_told_before(line, name)}faulty = {_faulty(name, ours)}, good = {_good(name, ours)} }}\n"
            )
    return text


def _told_before(line: Line, name: str) -> str:
    text = ""
    for title, scores in (("before", line.former), ("stand_in", line.stand_in)):
        if scores is not None and name in scores:
            text += f"{title}_auc = {scores[name].auc:.3f}, {title}_balanced = {scores[name].balanced:.3f}, "
    return text


def _faulty(name: str, score: Score) -> int:
    return score.negatives if name == "usable" else score.positives


def _good(name: str, score: Score) -> int:
    return score.positives if name == "usable" else score.negatives


def _say(text: str) -> None:
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


def main() -> None:
    """Everything, end to end."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--frames", type=Path, default=Path("../shared/data/frames"), help="real frames")
    parser.add_argument("--out", type=Path, default=Path("models/weights"), help="where weights and card go")
    parser.add_argument("--cache", type=Path, default=Path("/tmp/astrod-training"), help="drawn samples")
    parser.add_argument("--former", type=Path, help="folder of the version in force, to be compared with")
    parser.add_argument("--quick", action="store_true", help="a few samples only, to try the script out")
    chosen = parser.parse_args()
    torch.set_num_threads(1)
    torch.use_deterministic_algorithms(True)
    sizes = QUICK if chosen.quick else FULL
    started = time.monotonic()
    drawn_before = chosen.cache.is_dir() and any(chosen.cache.iterdir())
    former = Former(chosen.former) if chosen.former else None
    sky, validation = own_sky(sizes, chosen.cache)
    network = learn_sky(sky, sizes)
    frames = real_frames(chosen.frames)
    if not frames:
        _say(f"no real frames under {chosen.frames}: learning from simulated skies alone")
    data = gather(sky, validation, sizes, frames, chosen.cache)
    lines, found = evaluate_unseen(network, data, sizes, former)
    model, shipped = final(network, found, data, sizes, former)
    path = export(model, chosen.out)
    minutes = (time.monotonic() - started) / 60.0
    effort = f"{minutes:.0f} minutes on one core" + (", samples drawn before" if drawn_before else "")
    write_card(path, data, model, lines + shipped, effort)
    _say(f"{path}: {path.stat().st_size} bytes, {minutes:.1f} minutes")


if __name__ == "__main__":
    main()
