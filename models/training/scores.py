"""How good a judge is: areas under the curve, balanced accuracy, shares with their intervals, and the
baseline.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from astrod_models.quality import OUTPUTS
from training.groups import Group

Floats = NDArray[np.float64]

SURE_LOW, SURE_HIGH = 0.1, 0.9
"""Labels between these are too soft to count a verdict right or wrong."""


@dataclass(frozen=True, slots=True)
class Score:
    """One output on one set: area under the curve and balanced accuracy, with the counts behind them."""

    auc: float
    balanced: float
    positives: int
    negatives: int


def auc(values: Floats, truth: NDArray[np.bool_]) -> float:
    """The chance that a positive outranks a negative; ties count half."""
    order = np.sort(values[~truth])
    if order.size == 0 or not truth.any():
        return float("nan")
    low = np.searchsorted(order, values[truth], side="left")
    high = np.searchsorted(order, values[truth], side="right")
    return float(np.mean(low + high) / 2.0 / order.size)


def balanced(said: NDArray[np.bool_], truth: NDArray[np.bool_]) -> float:
    """Mean of the shares of positives and of negatives that are called right."""
    if truth.all() or not truth.any():
        return float("nan")
    return float(0.5 * (said[truth].mean() + (~said[~truth]).mean()))


def wilson(hits: int, count: int) -> tuple[float, float]:
    """The 95 % interval of a share (Wilson 1927)."""
    if count == 0:
        return 0.0, 1.0
    z, share = 1.96, hits / count
    middle = (share + z * z / (2 * count)) / (1 + z * z / count)
    half = z * np.sqrt(share * (1 - share) / count + z * z / (4 * count**2)) / (1 + z * z / count)
    return float(middle - half), float(middle + half)


def scored(probabilities: Floats, cuts: Floats, group: Group) -> dict[str, Score]:
    """Scores of each output over the samples whose label is sure."""
    results = {}
    for index, name in enumerate(OUTPUTS):
        label = group.targets[:, index]
        sure = (label <= SURE_LOW) | (label >= SURE_HIGH)
        truth = np.asarray(label[sure] > 0.5)
        values = probabilities[sure, index].astype(np.float64)
        results[name] = Score(
            auc(values, truth), balanced(values >= cuts[index], truth), int(truth.sum()), int((~truth).sum())
        )
    return results


class Baseline:
    """What an observer's script does: cuts on star count, FWHM and elongation, fitted on the same samples.

    Each output gets a logistic regression on the logarithms of the three (and their absence, and their
    squares), which is at least as good as any threshold on them, cut where it balances best.
    """

    def __init__(self, group: Group) -> None:
        """Fit on a training group, by Newton's method with a little ridge."""
        design = _design(group.baseline)
        self._weights = np.stack([_fit(design, group.targets[:, index]) for index in range(len(OUTPUTS))])
        values = self(group)
        self.cuts = np.array([_best_cut(values[:, i], group.targets[:, i] > 0.5) for i in range(len(OUTPUTS))])

    def __call__(self, group: Group) -> Floats:
        """Probabilities of OUTPUTS."""
        logits = np.clip(_design(group.baseline) @ self._weights.T, -30, 30)
        answers: Floats = 1.0 / (1.0 + np.exp(-logits))
        return answers


def _design(numbers: NDArray[np.float32]) -> Floats:
    stars, fwhm, elongation = numbers.astype(np.float64).T
    known = fwhm > 0.0
    columns = [np.log10(1.0 + stars), np.where(known, np.log2(np.maximum(fwhm, 0.5)), 1.5)]
    columns.append(np.where(known, np.log(np.maximum(elongation, 1.0)), 0.2))
    squares = [column**2 for column in columns]
    return np.stack([np.ones(stars.size), known.astype(np.float64), *columns, *squares], axis=1)


def _fit(design: Floats, label: NDArray[np.float32]) -> Floats:
    weights = np.zeros(design.shape[1])
    ridge = 1e-2 * np.eye(design.shape[1])
    for _step in range(25):
        chance = 1.0 / (1.0 + np.exp(-np.clip(design @ weights, -30, 30)))
        slope = design.T @ (label - chance) - ridge @ weights
        bend = (design * (chance * (1 - chance))[:, None]).T @ design + ridge
        weights = weights + np.linalg.solve(bend, slope)
    return weights


def _best_cut(values: Floats, truth: NDArray[np.bool_]) -> float:
    cuts = np.quantile(values, np.linspace(0.01, 0.99, 99))
    return float(cuts[int(np.argmax([balanced(values >= cut, truth) for cut in cuts]))])
