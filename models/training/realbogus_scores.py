"""What the real-or-bogus scores are worth: areas, recalls at few false alarms with intervals, and the baselines."""

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from training.realbogus_examples import Examples
from training.scores import auc, wilson

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]

FALSE_SHARES = (0.01, 0.05)
ALIKE_MAG = 0.5
_DRAWS = 400


@dataclass(frozen=True, slots=True)
class Recall:
    """How many real ones pass the cut that lets `false_alarms` of the bogus pass."""

    share: float
    hits: int
    false_alarms: int


@dataclass(frozen=True, slots=True)
class Figures:
    """One test's results: ours with a 95 % interval, the classical regression's and brightness alone."""

    name: str
    real: int
    bogus: int
    area: float
    interval: tuple[float, float]
    recalls: tuple[Recall, ...]
    classical: float
    brightness: float | None


def figures(name: str, ours: Floats, classical: Floats, brightness: Floats | None, real: Bools) -> Figures:
    """The figures of one set; `brightness` in magnitudes or any number that grows or falls with it."""
    alone = None
    if brightness is not None:
        alone = auc(brightness, real)
        alone = max(alone, 1.0 - alone)
    return Figures(
        name,
        int(real.sum()),
        int((~real).sum()),
        auc(ours, real),
        _interval(ours, real),
        tuple(_recall(ours, real, share) for share in FALSE_SHARES),
        auc(classical, real),
        alone,
    )


def _recall(values: Floats, real: Bools, share: float) -> Recall:
    order = np.sort(values[~real])[::-1]
    allowed = int(share * order.size)
    cut = order[allowed] if order.size else -np.inf
    return Recall(share, int((values[real] > cut).sum()), int((values[~real] > cut).sum()))


def _interval(values: Floats, real: Bools) -> tuple[float, float]:
    """95 % of the area under the curve, by drawing both classes again with replacement."""
    rng = np.random.default_rng(0)
    ones, zeros = values[real], values[~real]
    areas = []
    for _ in range(_DRAWS):
        again = np.concatenate([rng.choice(ones, ones.size), rng.choice(zeros, zeros.size)])
        areas.append(auc(again, np.arange(again.size) < ones.size))
    return float(np.quantile(areas, 0.025)), float(np.quantile(areas, 0.975))


def alike(magnitude: Floats, real: Bools, bogus: Bools) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Pairs of a real and a bogus, each used once, whose magnitudes differ by ALIKE_MAG at most."""
    free = list(np.flatnonzero(real))
    ours, theirs = [], []
    for index in np.flatnonzero(bogus):
        gaps = [abs(magnitude[other] - magnitude[index]) for other in free]
        if gaps and min(gaps) <= ALIKE_MAG:
            ours.append(free.pop(int(np.argmin(gaps))))
            theirs.append(index)
    return np.array(ours, dtype=np.intp), np.array(theirs, dtype=np.intp)


@dataclass(frozen=True, slots=True, eq=False)
class Regression:
    """A logistic regression on the measured features: odds = features × weights + offset."""

    weights: Floats
    offset: float

    def __call__(self, examples: Examples) -> Floats:
        """The log odds of being real."""
        odds: Floats = examples.features.astype(np.float64) @ self.weights + self.offset
        return odds


def regression(examples: Examples, chances: Floats) -> Regression:
    """Fitted to examples that count by their chances, lightly held to zero."""
    features = examples.features.astype(np.float64)
    middle, spread = features.mean(axis=0), features.std(axis=0) + 1e-6
    scaled = torch.from_numpy((features - middle) / spread)
    truth, weight = torch.from_numpy(examples.real.astype(np.float64)), torch.from_numpy(chances)
    weights = torch.zeros(features.shape[1], dtype=torch.float64, requires_grad=True)
    offset = torch.zeros(1, dtype=torch.float64, requires_grad=True)
    optimiser = torch.optim.LBFGS([weights, offset], max_iter=60)

    def loss() -> torch.Tensor:
        optimiser.zero_grad()
        odds = scaled @ weights + offset
        parts = torch.nn.functional.binary_cross_entropy_with_logits(odds, truth, weight=weight, reduction="sum")
        fit: torch.Tensor = parts + 1e-3 * (weights**2).sum()
        fit.backward()
        return fit

    optimiser.step(loss)
    found = weights.detach().numpy() / spread
    return Regression(found, float(offset.detach().numpy()[0] - (found * middle).sum()))


def temperature(logits: Floats, real: Bools) -> tuple[float, float]:
    """Slope and shift by likelihood, real and bogus weighing the same, held lightly to 1 and 0."""
    weight = torch.from_numpy(np.where(real, 0.5 / real.sum(), 0.5 / (~real).sum()))
    values, truth = torch.from_numpy(logits), torch.from_numpy(real.astype(np.float64))
    slope = torch.ones(1, dtype=torch.float64, requires_grad=True)
    shift = torch.zeros(1, dtype=torch.float64, requires_grad=True)
    optimiser = torch.optim.LBFGS([slope, shift], max_iter=60)

    def loss() -> torch.Tensor:
        optimiser.zero_grad()
        odds = values * slope + shift
        parts = torch.nn.functional.binary_cross_entropy_with_logits(odds, truth, weight=weight, reduction="sum")
        fit: torch.Tensor = parts + 1e-3 * ((slope - 1.0) ** 2 + shift**2).sum()
        fit.backward()
        return fit

    optimiser.step(loss)
    return float(slope.detach().numpy()[0]), float(shift.detach().numpy()[0])


def section(found: Figures) -> str:
    """One set's figures as TOML."""
    low, high = found.interval
    lines = [f'\n[scores."{found.name}"]', f"real = {found.real}", f"bogus = {found.bogus}", f"auc = {found.area:.4f}"]
    lines.append(f"auc_interval = [{low:.4f}, {high:.4f}]")
    for recall in found.recalls:
        low, high = wilson(recall.hits, found.real)
        lines.append(
            f"recall_at_{recall.share * 100:.0f}_percent = {{ hits = {recall.hits}, "
            f"false_alarms = {recall.false_alarms}, share = {recall.hits / max(1, found.real):.3f}, "
            f"interval = [{low:.3f}, {high:.3f}] }}"
        )
    lines.append(f"classical_auc = {found.classical:.4f}")
    if found.brightness is not None:
        lines.append(f"brightness_alone_auc = {found.brightness:.4f}")
    lines.append("chance_auc = 0.5")
    return "\n".join(lines) + "\n"
