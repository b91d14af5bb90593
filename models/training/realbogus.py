"""Train, calibrate, evaluate and export the real-or-bogus model, from nothing, on one CPU core, always the same way.

    python -m training.realbogus --alerts ../shared/data/realbogus --frames ../shared/data/frames --out models/weights

where astrod is installed with its `train` extra (`make models` does both), or with PYTHONPATH=daemon:drivers:models.
Without alerts and real frames there are fewer tests, and it says so.

1. The network that is shipped learns simulated pairs alone; pairs that it did not learn from give its temperature. What
   it says of alerts, of two real cameras, of the simulated observatory and of families of pairs that were kept back is
   said of things it never saw.
2. Would alerts help? They are parted by night. For each part a network goes on learning with the alerts of the others,
   less all that share an object or a place with it, and is tested on that part. So far it is worse everywhere: the
   labels are another classifier's, mistakes included. So no alert is learned from.
"""

import argparse
import hashlib
import sys
import time
from copy import deepcopy
from dataclasses import dataclass, replace
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
from training.realbogus_examples import Examples, cached, joined, prepared, simulated
from training.realbogus_learning import Stages, fresh, learn, logits_of, mixture, stages
from training.realbogus_network import Calibrated, RealBogusNet, parameters
from training.realbogus_scores import Figures, Regression, alike, figures, regression, section, temperature

VERSION = "1"
SEED = 20261121
SIMULATED_SHARE = 0.4
FOLDS = 3
ALERTS_AT_ONCE = 700
Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Sizes:
    """How much of everything: parts of so many simulated pairs to learn from, pairs to test on, one alert of so many,
    candidates of each other camera; cycles of the first step, and batches of each cycle and step.
    """

    pair_parts: int
    pairs: int
    unseen_pairs: int
    observatory: int
    alerts_every: int
    camera_candidates: int
    cycles: int
    cycle_steps: int
    fold_steps: int


FULL = Sizes(4, 140, 150, 10, 1, 5000, 3, 105, 90)
QUICK = Sizes(2, 15, 10, 1, 9, 60, 2, 6, 6)


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
    parts = [simulated(f"seen{part}", sizes.pairs, 100 + part, "seen", cache) for part in range(sizes.pair_parts)]
    everything = joined(parts)
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
        joined([lessons(alerts, first, cache) for first in range(0, size, ALERTS_AT_ONCE)]),
    )


def lessons(alerts: Alerts, first: int, cache: Path) -> Examples:
    """Varied alerts of one part, to learn from."""
    part = alerts.part(slice(first, first + ALERTS_AT_ONCE))
    made = cached(f"lessons{first} {len(alerts)}", lambda: prepared(examples(part, SEED + first)), cache)
    return replace(made, source=(made.source + first).astype(np.int32))


def first_network(pairs: Examples, sizes: Sizes, kept: Stages) -> RealBogusNet:
    """Step 1: in a few cycles, each from a high rate to a low one."""
    network, mixed = fresh(pairs, SEED), mixture([(pairs, 1.0, 0.4)])
    for cycle in range(sizes.cycles):
        rate = 3e-3 / (1.0 + 0.5 * cycle)
        teach = partial(learn, network, mixed, sizes.cycle_steps, rate, SEED + 20 + cycle)
        network = kept.after(f"first{cycle}", network, teach)
    return network


def tuned(
    name: str, base: RealBogusNet, pairs: Examples, taught: Examples, steps: int, kept: Stages
) -> tuple[RealBogusNet, Regression]:
    """The first network gone on with alerts, and a regression on the same."""
    network = deepcopy(base)
    mixed = mixture([(pairs, SIMULATED_SHARE, 0.4), (taught, 1.0 - SIMULATED_SHARE, 0.45)])
    network = kept.after(name, network, partial(learn, network, mixed, steps, 1.5e-3, SEED))
    return network, regression(mixed.examples, mixed.chances)


def said(network: RealBogusNet, classical: Regression, sets: AlertSets) -> Said:
    """What both say of the alerts as they are."""
    return Said(
        logits_of(network, sets.plain), logits_of(network, sets.turned), classical(sets.plain), classical(sets.turned)
    )


def by_night(base: RealBogusNet, pairs: Examples, sets: AlertSets, sizes: Sizes, kept: Stages) -> Said:
    """Step 2: of each alert what the network says that learned nothing of its night, its object and its place."""
    out = Said(*(np.full(len(part), np.nan) for part in (sets.plain, sets.turned, sets.plain, sets.turned)))
    fold = sets.alerts.fold
    for index in range(FOLDS):
        allowed = learnable(sets.alerts, fold == index)
        taught = sets.lessons.part(np.flatnonzero(allowed[sets.lessons.source]))
        _say(f"learning alerts but those of part {index + 1}: {len(taught)}")
        one = said(*tuned(f"fold{index}", base, pairs, taught, sizes.fold_steps, kept), sets)
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
    "There are 155 likely bogus, 83 of them as faint as an asteroid: the intervals are wide.",
    "No real image was learned from; whether to learn alerts too was decided on the alerts it is tested on.",
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


@dataclass(slots=True, eq=False)
class Outcome:
    """What is shipped, with the regression beside it, logits of pairs not learned from, and all figures."""

    network: RealBogusNet
    classical: Regression
    logits: Floats
    truth: NDArray[np.bool_]
    lines: list[Figures]
    counts: dict[str, int]


def after_pairs(pairs: Examples, validation: Examples, sizes: Sizes, kept: Stages) -> Outcome:
    """Step 1."""
    base = first_network(pairs, sizes, kept)
    mixed = mixture([(pairs, 1.0, 0.4)])
    counts = {"candidates of simulated pairs": len(pairs)}
    classical = regression(mixed.examples, mixed.chances)
    return Outcome(base, classical, logits_of(base, validation), validation.real, [], counts)


def on_alerts(first: Outcome, pairs: Examples, sets: AlertSets, sizes: Sizes, kept: Stages) -> list[Figures]:
    """The shipped network on all alerts; and step 2."""
    lines = alert_figures("", said(first.network, first.classical, sets), sets)
    unlearned = by_night(first.network, pairs, sets, sizes, kept)
    return lines + alert_figures(" (not shipped: other nights learned from)", unlearned, sets)


def run(alerts: Path, frames: Path, out: Path, cache: Path, sizes: Sizes) -> None:
    """Both steps."""
    begun_before = cache.is_dir() and any(cache.glob("realbogus-*"))
    started = time.process_time()
    pairs, validation = simulated_sets(sizes, cache)
    sets, tests = alert_sets(alerts, sizes, cache), others(frames, sizes, cache)
    _say(f"{len(pairs)} candidates of simulated pairs, {time.process_time() - started:.0f} s")
    kept = stages(f"{sizes} {SEED}", cache)
    outcome = after_pairs(pairs, validation, sizes, kept)
    _say(f"learned: {parameters(outcome.network)} parameters, {time.process_time() - started:.0f} s")
    if sets is None:
        _say(f"no alerts under {alerts}: not tested on them")
    else:
        outcome.lines += on_alerts(outcome, pairs, sets, sizes, kept)
    for name, test in tests.items():
        outcome.lines += other_figures(name, outcome.network, outcome.classical, test)
    _show(outcome.lines)
    slope, shift = temperature(outcome.logits, outcome.truth)
    path = export(outcome.network, slope, shift, out)
    minutes = (time.process_time() - started) / 60.0
    effort = f"{minutes:.1f} minutes of one core" + (" after stages that were kept" if begun_before else "")
    write_card(path, outcome.network, outcome.counts, outcome.lines, effort)
    told = zip(FEATURES, outcome.classical.weights, strict=True)
    _say("regression: " + ", ".join(f'"{name}": {weight:.3f}' for name, weight in told))
    _say(f"offset {outcome.classical.offset:.3f}; slope {slope:.3f}, shift {shift:.3f}")
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
