"""Train, calibrate, evaluate and export the real-or-bogus model, from nothing, on one CPU core, always the same way.

    python -m training.realbogus --alerts ../shared/data/realbogus --frames ../shared/data/frames --out models/weights

where astrod is installed with its `train` extra (`make models` does both), or with PYTHONPATH=daemon:drivers:models.
Without alerts it learns from simulated pairs alone and says so.

1. A first network learns simulated pairs alone. What it says of alerts is said of a survey it never saw.
2. The alerts are parted by night. For each part a network goes on learning with the alerts of the others, less all
   that share an object or a place with it, and is tested on that part. What the three say gives the temperature.
3. The network that is shipped has gone on learning with all alerts. It is tested on simulated pairs of families kept
   back, on two real cameras and on the simulated observatory, of which no network learned anything.
"""

import argparse
import hashlib
import sys
import time
from copy import deepcopy
from dataclasses import dataclass
from functools import partial
from itertools import islice
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from astrod_models.realbogus import NAME
from astrod_models.stamps import CHANNELS, FEATURES, SIDE
from training.realbogus_alerts import Alerts, as_they_are, examples, learnable, read_alerts, turned_asteroids
from training.realbogus_cameras import REAL_CAMERAS, real_camera, simulated_observatory
from training.realbogus_examples import Examples, cached, prepared, simulated
from training.realbogus_learning import BATCH, fresh, learn, logits_of, mixture
from training.realbogus_network import Calibrated, RealBogusNet, parameters
from training.realbogus_scores import Figures, Regression, alike, figures, regression, section, temperature

VERSION = "1"
SEED = 20261121
SIMULATED_SHARE = 0.35
FOLDS = 3
Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Sizes:
    """How much of everything: simulated pairs to learn from and to test on, one alert of so many, candidates of each
    other camera, batches of each step.
    """

    pairs: int
    unseen_pairs: int
    observatory: int
    alerts_every: int
    camera_candidates: int
    first_steps: int
    fold_steps: int
    final_steps: int


FULL = Sizes(900, 150, 10, 1, 5000, 520, 150, 260)
QUICK = Sizes(30, 10, 1, 9, 60, 12, 6, 6)


@dataclass(frozen=True, slots=True, eq=False)
class AlertSets:
    """The alerts as tests and as lessons."""

    alerts: Alerts
    plain: Examples
    turned: Examples
    lessons: Examples


@dataclass(frozen=True, slots=True, eq=False)
class Said:
    """What a network and the regression say of the alerts, and of the asteroids turned round."""

    plain: Floats
    turned: Floats
    classical_plain: Floats
    classical_turned: Floats


def simulated_sets(sizes: Sizes, cache: Path) -> tuple[Examples, Examples]:
    """Candidates of simulated pairs to learn from, and a twelfth of the pairs to calibrate on."""
    everything = simulated("seen", sizes.pairs, 100, "seen", cache)
    held = everything.source % 12 == 0
    return everything.part(np.flatnonzero(~held)), everything.part(np.flatnonzero(held))


def alert_sets(folder: Path, sizes: Sizes, cache: Path) -> AlertSets | None:
    """The alerts, prepared once; None where there are none."""
    alerts = read_alerts(folder)
    if alerts is None:
        return None
    alerts = alerts.part(slice(None, None, sizes.alerts_every))
    size = len(alerts)
    return AlertSets(
        alerts,
        cached(f"alerts {size}", lambda: prepared(as_they_are(alerts)), cache),
        cached(f"turned {size}", lambda: prepared(turned_asteroids(alerts)), cache),
        cached(f"lessons {size}", lambda: prepared(examples(alerts, SEED)), cache),
    )


def tuned(
    base: RealBogusNet, pairs: Examples, lessons: Examples, steps: int, seed: int
) -> tuple[RealBogusNet, Regression]:
    """The first network gone on with alerts, and a regression on the same."""
    network = deepcopy(base)
    mixed = mixture([(pairs, SIMULATED_SHARE, 0.4), (lessons, 1.0 - SIMULATED_SHARE, 0.45)])
    loss = learn(network, mixed, steps, 1.2e-3, seed)
    _say(f"  {steps} batches of {BATCH}, loss {loss:.4f}")
    return network, regression(mixed.examples, mixed.chances)


def said(network: RealBogusNet, classical: Regression, sets: AlertSets) -> Said:
    """What both say of the alerts as they are."""
    return Said(
        logits_of(network, sets.plain), logits_of(network, sets.turned), classical(sets.plain), classical(sets.turned)
    )


def by_night(base: RealBogusNet, pairs: Examples, sets: AlertSets, sizes: Sizes) -> Said:
    """Step 2: of each alert what the network says that learned nothing of its night, its object and its place."""
    out = Said(*(np.full(len(part), np.nan) for part in (sets.plain, sets.turned, sets.plain, sets.turned)))
    fold = sets.alerts.fold
    for index in range(FOLDS):
        allowed = learnable(sets.alerts, fold == index)
        lessons = sets.lessons.part(np.flatnonzero(allowed[sets.lessons.source]))
        _say(f"learning alerts but those of part {index + 1}: {len(lessons)}")
        one = said(*tuned(base, pairs, lessons, sizes.fold_steps, SEED + 1 + index), sets)
        mine, turned = fold[sets.plain.source] == index, fold[sets.turned.source] == index
        for whole, part, where in (
            (out.plain, one.plain, mine),
            (out.turned, one.turned, turned),
            (out.classical_plain, one.classical_plain, mine),
            (out.classical_turned, one.classical_turned, turned),
        ):
            whole[where] = part[where]
    return out


def alert_figures(name: str, found: Said, sets: AlertSets) -> list[Figures]:
    """The tests on alerts: asteroids and likely real ones against bogus, and asteroids against themselves reversed."""
    alerts, at = sets.alerts, sets.plain.source
    magnitude = alerts.magnitude[at]
    asteroid, bogus, brightening = alerts.asteroid[at], alerts.bogus[at], alerts.brightening[at]
    tests = {
        "asteroids and likely bogus": (asteroid, bogus, False),
        "asteroids and likely bogus of equal magnitude": (asteroid, bogus, True),
        "asteroids and likely bogus of equal magnitude, positive ones": (asteroid, bogus & alerts.positive[at], True),
        "likely real and likely bogus of equal magnitude, positive ones": (
            brightening,
            bogus & alerts.positive[at],
            True,
        ),
        "likely brightenings and likely fadings": (brightening, alerts.fading[at], False),
    }
    lines = []
    for test, (real, other, equal) in tests.items():
        ones, zeros = alike(magnitude, real, other) if equal else (np.flatnonzero(real), np.flatnonzero(other))
        where, truth = np.concatenate([ones, zeros]), np.arange(len(ones) + len(zeros)) < len(ones)
        lines.append(
            figures(f"{test}{name}", found.plain[where], found.classical_plain[where], magnitude[where], truth)
        )
    ours = np.concatenate([found.plain[asteroid], found.turned])
    classical = np.concatenate([found.classical_plain[asteroid], found.classical_turned])
    truth = np.arange(len(ours)) < asteroid.sum()
    lines.append(figures(f"asteroids and the same reversed{name}", ours, classical, None, truth))
    return lines


def other_figures(name: str, network: RealBogusNet, classical: Regression, test: Examples) -> list[Figures]:
    """One camera's candidates: all bogus together, and the reversed ones alone."""
    ours, theirs = logits_of(network, test), classical(test)
    lines = [figures(name, ours, theirs, test.signal.astype(np.float64), test.real)]
    reversed_only = test.real | test.of_kind("reversed") | test.of_kind("turned")
    if (reversed_only & ~test.real).sum() >= 20:
        where = np.flatnonzero(reversed_only)
        signal = test.signal[where].astype(np.float64)
        lines.append(figures(f"{name}, reversed ones alone", ours[where], theirs[where], signal, test.real[where]))
    return lines


def others(frames: Path, sizes: Sizes, cache: Path) -> dict[str, Examples]:
    """Everything that no network learns from."""
    most = sizes.camera_candidates
    found = {
        "simulated pairs, families kept back": simulated("unseen", sizes.unseen_pairs, 200, "unseen", cache),
        "simulated observatory, never seen": cached(
            f"observatory {sizes.observatory} {most}",
            lambda: prepared(islice(simulated_observatory(sizes.observatory, 300), most)),
            cache,
        ),
    }
    for camera in REAL_CAMERAS:
        if (frames / camera).is_dir():
            drawn = partial(real_camera, frames, camera, 400)
            found[f"{camera}, real frames never seen"] = cached(
                f"{camera} {most}", lambda drawn=drawn: prepared(islice(drawn(), most)), cache
            )
    return found


def export(network: RealBogusNet, slope: float, shift: float, folder: Path) -> Path:
    """Write the ONNX file; returns where."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{NAME}.onnx"
    torch.onnx.export(
        Calibrated(network, slope, shift).eval(),
        (torch.zeros(2, len(CHANNELS), SIDE, SIDE), torch.zeros(2, len(FEATURES))),
        str(path),
        input_names=["view", "features"],
        output_names=["probabilities"],
        dynamic_axes={"view": {0: "batch"}, "features": {0: "batch"}, "probabilities": {0: "batch"}},
        dynamo=False,
        opset_version=17,
    )
    return path


def write_card(path: Path, network: RealBogusNet, counts: dict[str, int], lines: list[Figures], effort: str) -> None:
    """The card beside the weights."""
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    head = f"""\
# What this model is, what it was trained on, what it is worth, and where it ends.
# Written by models/training/realbogus.py; daemon/docs/measured/realbogus.md says how each set was made.

limits = [
    "Real means a brightening: a fading scores low, unless images are exchanged and the difference negated.",
    "A single glint or a lone satellite flash looks like a star that was not there; only a second exposure tells.",
    "Cut-outs keep their pixels: stars narrower than 1.3 or wider than 8 of them were not learned.",
    "The labels of alerts are other classifiers'; only asteroids matched to their orbits are known to be real.",
    "Two nights hold all asteroids but one, and there are 155 likely bogus: the intervals are wide.",
    "Scores named 'no alert learned from' are those of a network trained on simulated pairs alone.",
]

[model]
name = "{NAME}"
version = "{VERSION}"
file = "{path.name}"
sha256 = "{digest}"
made_by = "models/training/realbogus.py, seed {SEED}, {effort}"
parameters = {parameters(network)}
inputs = ["view", "features"]
outputs = ["probabilities"]
means = ["a real brightening at the middle of the cut-outs"]

[thresholds]
real = 0.5

[trained_on]
"""
    body = "".join(f'"{name}" = {count}\n' for name, count in counts.items())
    path.with_suffix(".toml").write_text(head + body + "".join(map(section, lines)), encoding="utf-8")


def _show(lines: list[Figures]) -> None:
    for one in lines:
        recalls = ", ".join(f"{r.hits / max(1, one.real):.3f} at {r.share:.0%}" for r in one.recalls)
        alone = "-" if one.brightness is None else f"{one.brightness:.3f}"
        _say(
            f"  {one.name}: {one.real}+ {one.bogus}-, AUC {one.area:.4f} ({one.interval[0]:.3f}-{one.interval[1]:.3f}),"
            f" recall {recalls}; classical {one.classical:.3f}, brightness {alone}"
        )


def _say(text: str) -> None:
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


def run(alerts: Path, frames: Path, out: Path, cache: Path, sizes: Sizes) -> None:
    """All three steps."""
    drawn_before = cache.is_dir() and any(cache.glob("realbogus-*"))
    started = time.process_time()
    pairs, validation = simulated_sets(sizes, cache)
    sets, tests = alert_sets(alerts, sizes, cache), others(frames, sizes, cache)
    _say(f"{len(pairs)} candidates of simulated pairs, {time.process_time() - started:.0f} s")
    base = fresh(pairs, SEED)
    mixed = mixture([(pairs, 1.0, 0.4)])
    loss = learn(base, mixed, sizes.first_steps, 2.5e-3, SEED)
    _say(f"learned: loss {loss:.4f}, {parameters(base)} parameters, {time.process_time() - started:.0f} s")
    classical = regression(mixed.examples, mixed.chances)
    logits, truth = [logits_of(base, validation)], [validation.real]
    network, lines = base, []
    counts = {"candidates of simulated pairs": len(pairs)}
    if sets is None:
        _say(f"no alerts under {alerts}: learning from simulated pairs alone")
    else:
        lines += alert_figures(", no alert learned from", said(base, classical, sets), sets)
        _show(lines)
        unlearned = by_night(base, pairs, sets, sizes)
        lines += alert_figures(", other nights learned from", unlearned, sets)
        known = sets.alerts.brightening[sets.plain.source] | sets.alerts.bogus[sets.plain.source]
        logits, truth = [unlearned.plain[known]], [sets.plain.real[known]]
        _say(f"learning all alerts: {len(sets.lessons)}")
        network, classical = tuned(base, pairs, sets.lessons, sizes.final_steps, SEED + 9)
        counts |= {"alerts, varied and turned": len(sets.lessons)}
    for name, test in tests.items():
        lines += other_figures(name, network, classical, test)
    _show(lines)
    slope, shift = temperature(np.concatenate(logits), np.concatenate(truth))
    path = export(network, slope, shift, out)
    minutes = (time.process_time() - started) / 60.0
    effort = f"{minutes:.0f} minutes of one core" + (", samples drawn before" if drawn_before else "")
    write_card(path, network, counts, lines, effort)
    _say("regression: " + ", ".join(f'"{n}": {w:.3f}' for n, w in zip(FEATURES, classical.weights, strict=True)))
    _say(f"offset {classical.offset:.3f}; slope {slope:.3f}, shift {shift:.3f}")
    _say(f"{path}: {path.stat().st_size} bytes, {minutes:.1f} minutes")


def main() -> None:
    """From the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--alerts", type=Path, default=Path("../shared/data/realbogus"), help="ZTF alerts")
    parser.add_argument("--frames", type=Path, default=Path("../shared/data/frames"), help="real frames to test on")
    parser.add_argument("--out", type=Path, default=Path("models/weights"), help="where weights and card go")
    parser.add_argument("--cache", type=Path, default=Path("/tmp/astrod-training"), help="drawn samples")
    parser.add_argument("--quick", action="store_true", help="a few samples only, to try the script out")
    chosen = parser.parse_args()
    torch.set_num_threads(1)
    torch.use_deterministic_algorithms(True)
    run(chosen.alerts, chosen.frames, chosen.out, chosen.cache, QUICK if chosen.quick else FULL)


if __name__ == "__main__":
    main()
