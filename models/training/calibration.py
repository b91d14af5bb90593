"""Temperatures and cuts that carry to cameras never seen: fitted on what networks said of cameras they had
not learned from.

Cuts that balance best on simulated samples do not hold elsewhere, since every new camera shifts the logits. So
the networks that left a camera out are asked about that camera, the answers of all cameras are pooled, each
camera weighing the same, and slopes, shifts and cuts come from the pool. Clean real frames weigh extra: a false
rejection costs an owner more than a poor frame that is kept.
"""

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from astrod_models.quality import OUTPUTS
from training.scores import SURE_HIGH, SURE_LOW

Floats = NDArray[np.float64]

CLEAN_SHARE = 0.25
"""How much of a camera's weight its clean frames have together."""

CLEAN_KEPT = 0.97
GOOD_KEPT = 0.95
KEEP_FROM = 0.5
"""A frame that is more likely good than not is never rejected, whatever balances best."""

FALSE_ALARMS = 0.10
"""The share of frames without a fault that may reach that fault's cut; the rest of rejections are unexplained."""

_GRID = np.linspace(0.01, 0.99, 197)


@dataclass(frozen=True, slots=True, eq=False)
class Heard:
    """What one network said of one source it never learned from: raw logits and labels (n, outputs).

    `clean` is True for whole real frames as they are.
    """

    name: str
    logits: Floats
    targets: Floats
    clean: NDArray[np.bool_]


@dataclass(frozen=True, slots=True, eq=False)
class Setting:
    """How logits are read: probability = sigmoid(logits × slope + shift), and from where each output counts."""

    slope: Floats
    shift: Floats
    cuts: Floats

    def probabilities(self, logits: Floats) -> Floats:
        """Calibrated probabilities of OUTPUTS."""
        answers: Floats = 1.0 / (1.0 + np.exp(-np.clip(logits * self.slope + self.shift, -30.0, 30.0)))
        return answers


def setting(pool: list[Heard]) -> Setting:
    """Slopes, shifts and cuts from a pool of sources, each weighing the same."""
    slope, shift = _fitted(pool)
    raw = Setting(slope, shift, np.full(len(OUTPUTS), KEEP_FROM))
    said = [raw.probabilities(heard.logits) for heard in pool]
    cuts = [_fault_cut(pool, said, index) for index in range(len(OUTPUTS) - 1)]
    return Setting(slope, shift, np.array([*cuts, _usable_cut(pool, said)]))


def _weights(heard: Heard) -> Floats:
    """Sum 1; the clean frames share CLEAN_SHARE of it."""
    clean = int(heard.clean.sum())
    if clean in (0, heard.clean.size):
        return np.full(heard.clean.size, 1.0 / heard.clean.size)
    return np.where(heard.clean, CLEAN_SHARE / clean, (1.0 - CLEAN_SHARE) / (heard.clean.size - clean))


def _fitted(pool: list[Heard]) -> tuple[Floats, Floats]:
    """Slope and shift of each output by weighted likelihood, held lightly to 1 and 0."""
    logits = torch.from_numpy(np.concatenate([heard.logits for heard in pool]))
    targets = torch.from_numpy(np.concatenate([heard.targets for heard in pool]))
    weights = torch.from_numpy(np.concatenate([_weights(heard) for heard in pool]))[:, None] / len(pool)
    slope = torch.ones(len(OUTPUTS), dtype=torch.float64, requires_grad=True)
    shift = torch.zeros(len(OUTPUTS), dtype=torch.float64, requires_grad=True)
    optimiser = torch.optim.LBFGS([slope, shift], max_iter=100)

    def loss() -> torch.Tensor:
        optimiser.zero_grad()
        parts = torch.nn.functional.binary_cross_entropy_with_logits(
            logits * slope + shift, targets, weight=weights, reduction="sum"
        )
        fit: torch.Tensor = parts + 1e-3 * ((slope - 1.0) ** 2).sum() + 1e-3 * (shift**2).sum()
        fit.backward()
        return fit

    optimiser.step(loss)
    return slope.detach().numpy(), shift.detach().numpy()


def _shares(pool: list[Heard], said: list[Floats], index: int) -> tuple[Floats, Floats]:
    """For each cut of the grid, mean over sources: positives at or over it, negatives at or over it."""
    hits, alarms = [], []
    for heard, values in zip(pool, said, strict=True):
        label = heard.targets[:, index]
        over = values[:, index][:, None] >= _GRID
        positive, negative = label >= SURE_HIGH, label <= SURE_LOW
        if bool(positive.any()) and bool(negative.any()):
            hits.append(over[positive].mean(axis=0))
            alarms.append(over[negative].mean(axis=0))
    return np.mean(hits, axis=0), np.mean(alarms, axis=0)


def _fault_cut(pool: list[Heard], said: list[Floats], index: int) -> float:
    """Where hits less false alarms are best, with no more false alarms than FALSE_ALARMS."""
    hits, alarms = _shares(pool, said, index)
    worth = np.where(alarms <= FALSE_ALARMS, hits - alarms, -1.0)
    return float(_GRID[int(np.argmax(worth))])


def _usable_cut(pool: list[Heard], said: list[Floats]) -> float:
    """Where kept less kept-though-bad is best, among cuts that keep enough of the clean and the good."""
    kept, bad = _shares(pool, said, len(OUTPUTS) - 1)
    clean = [values[heard.clean, -1] for heard, values in zip(pool, said, strict=True)]
    together = np.concatenate(clean)
    clean_kept = (together[:, None] >= _GRID).mean(axis=0) if together.size else np.ones(_GRID.size)
    allowed = (clean_kept >= CLEAN_KEPT) & (kept >= GOOD_KEPT) & (_GRID <= KEEP_FROM)
    worth = np.where(allowed, kept - bad, -1.0)
    return float(_GRID[int(np.argmax(worth))])
