"""What the real-or-bogus model's scores mean, and who answers when its weights cannot be trusted."""

from collections.abc import Callable, Mapping
from functools import cache
from pathlib import Path
from types import MappingProxyType
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from astrod_models.card import WeightsRefusedError
from astrod_models.realbogus import RealBogus, Scores, scored
from astrod_models.stamps import FEATURES, features_of, stamps_of

TITLE = "classical stand-in"

REAL_FROM = 0.5
"""Probability from which a candidate counts as real, where the model's card names no other."""

Call = Literal["real", "bogus", "unknown"]

_WEIGHTS: Mapping[str, float] = MappingProxyType(
    {
        "peak": -0.957,
        "signal": 0.398,
        "off_centre": -0.489,
        "deepest": 0.340,
        "deepest_to_peak": 0.156,
        "positive_near": 1.232,
        "positive_wide": -0.760,
        "sharpness": -2.351,
        "concentration": -0.239,
        "width": -0.072,
        "elongation": -3.052,
        "negative_share": -5.836,
        "ring_share": -3.808,
        "asymmetry": -0.289,
        "science_signal": 0.066,
        "reference_signal": 0.112,
        "sign": -0.136,
        "sign_unscaled": 0.254,
        "agreement": 2.445,
        "masked": -3.049,
        "masked_near": 5.415,
        "rough_around": 0.570,
        "farther_peak": 0.141,
        "brightest_reference": 0.087,
        "noise_ratio": 0.040,
        "in_a_row": -3.958,
    }
)
_OFFSET = 1.973
"""The regression that `training.realbogus` prints when it has learned."""

Vetting = Callable[[NDArray[Any]], Scores]


def vetting(weights: Path | None = None) -> tuple[Vetting, str, float]:
    """Who scores triplets, their title, and from which score a candidate is real.

    The model of the folder `weights` (default: the one shipped), loaded once in a process; the classical stand-in
    where it is missing or refused, and its title says why.
    """
    model = _model(weights)
    if isinstance(model, str):
        return classical, f"{TITLE} ({model})", REAL_FROM
    return model, model.title, model.thresholds.get("real", REAL_FROM)


@cache
def _model(weights: Path | None) -> RealBogus | str:
    """The model, or the reason why there is none."""
    try:
        return RealBogus(weights)
    except WeightsRefusedError as refused:
        return str(refused)


def model_fault(weights: Path | None = None) -> str | None:
    """Why the real-or-bogus model cannot be used; None when it can."""
    model = _model(weights)
    return model if isinstance(model, str) else None


def call(score: float, real_from: float) -> Call:
    """The score in a word; NaN is unknown."""
    if np.isnan(score):
        return "unknown"
    return "real" if score >= real_from else "bogus"


def classical(triplets: NDArray[Any]) -> Scores:
    """A logistic regression on the measured features: what can be said without a network."""
    stamps = stamps_of(triplets)
    return scored(stamps, regression(features_of(stamps), _WEIGHTS, _OFFSET))


def regression(features: NDArray[np.float32], weights: Mapping[str, float], offset: float) -> NDArray[np.float64]:
    """Probabilities from features in the order of FEATURES."""
    vector = np.array([weights.get(name, 0.0) for name in FEATURES])
    odds = np.clip(features.astype(np.float64) @ vector + offset, -30.0, 30.0)
    answers: NDArray[np.float64] = 1.0 / (1.0 + np.exp(-odds))
    return answers
