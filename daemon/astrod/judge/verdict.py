"""One verdict out of the models' scores, with the cause that decides what happens next."""

import math
from collections.abc import Mapping
from dataclasses import replace
from functools import cache
from pathlib import Path
from types import MappingProxyType
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from astrod.domain.exposure import Cause, Judgement
from astrod.judge.classical import ISSUES, TITLE, classical
from astrod.judge.why import why
from astrod_models.card import WeightsRefusedError
from astrod_models.quality import Answer, Quality, View

KEEP_FROM = 0.5
"""Probability of being usable from which a frame is kept, where the model's card names no other."""

_FEW_STARS = 3
_LONG = 3.3
_ALIGNED = 0.6
_LONG_USABLE = 0.08
"""Of 104 training samples that showed at most three sources, all long and aligned, eight were good."""

_NAMED_FROM = 0.4
_NOTED_FROM: dict[Cause, float] = {"streak": 0.5, "leak": 0.7, "pixels": 0.7, "glare": 0.9, "seeing": 0.6}
"""What a kept frame may be noted for, from which probability; the first of them that is reached is its cause."""

_FAULTS: tuple[Cause, ...] = ("clouds", "trailing", "defocus", "dew")


class Evidence(Protocol):
    """What judging needs of a measured frame; `astrod.measure.Features` is one."""

    @property
    def above(self) -> NDArray[np.float32]:
        """The plane above its sky, in units of the noise."""

    @property
    def sky(self) -> NDArray[np.float64]:
        """The background map, same units."""

    @property
    def x(self) -> NDArray[np.float64]:
        """Columns of the sources worth a look, best first."""

    @property
    def y(self) -> NDArray[np.float64]:
        """Their rows."""

    @property
    def values(self) -> Mapping[str, float]:
        """The measurements by name."""


def judge(evidence: Evidence, weights: Path | None = None, enabled: bool = True) -> Judgement:
    """The verdict on a measured frame.

    By the quality model of the folder `weights` (default: the one shipped), loaded once in a process; by the
    classical stand-in where models are not `enabled`, or this one is missing or refused; `model` says why.
    """
    model = _model(weights) if enabled else "models are switched off"
    simple = classical(evidence.values)
    if isinstance(model, str):
        return explained(verdict(simple, f"{TITLE} ({model})"), simple, evidence.values, {})
    view = View(evidence.above, evidence.sky, evidence.x, evidence.y, evidence.values)
    try:
        said, without = model.look(view)
    except WeightsRefusedError as refused:  # its card promised what its file does not take or give
        return explained(verdict(simple, f"{TITLE} ({refused})"), simple, evidence.values, {})
    answer = Answer({name: said.issues.get(name, simple.issues[name]) for name in ISSUES}, said.usable)
    guarded = _guarded(answer, evidence.values)
    return explained(verdict(guarded, model.title, model.thresholds), guarded, evidence.values, without)


def explained(
    judgement: Judgement, answer: Answer, values: Mapping[str, float], without: Mapping[str, Answer]
) -> Judgement:
    """The judgement with what decided it; arguments as in `astrod.judge.why.why`."""
    return replace(judgement, why=why(answer, judgement.decision, judgement.cause, values, without))


def _guarded(answer: Answer, values: Mapping[str, float]) -> Answer:
    """The model keeps frames with hardly a star, in doubt; where those it has are all drawn out, there is none."""
    few = 10.0 ** values["log_stars"] - 1.0 <= _FEW_STARS + 0.5
    long = values["shaped"] > 0.0 and math.exp(values["log_elongation"]) > _LONG and values["coherence"] > _ALIGNED
    return Answer(answer.issues, min(answer.usable, _LONG_USABLE)) if few and long else answer


@cache
def _model(weights: Path | None) -> Quality | str:
    """The model, or the reason why there is none."""
    try:
        return Quality(weights)
    except WeightsRefusedError as refused:
        return str(refused)


def model_fault(weights: Path | None = None) -> str | None:
    """Why the quality model cannot be used; None when it can."""
    model = _model(weights)
    return model if isinstance(model, str) else None


def verdict(answer: Answer, model: str, thresholds: Mapping[str, float] = MappingProxyType({})) -> Judgement:
    """Keep or reject, and the cause. What does not spoil a frame never rejects it: stacking takes a streak out.

    `thresholds` are the card's: kept from `usable` on; the likeliest fault is the cause of a rejection, if it
    reaches its own threshold.
    """
    issues = {name: float(value) for name, value in answer.issues.items()}
    if answer.usable >= thresholds.get("usable", KEEP_FROM):
        noted = (cause for cause, least in _NOTED_FROM.items() if issues.get(cause, 0.0) >= least)
        return Judgement(answer.score, "keep", next(noted, "none"), issues, model)
    worst = max(_FAULTS, key=lambda fault: issues.get(fault, 0.0))
    cause = worst if issues.get(worst, 0.0) >= thresholds.get(worst, _NAMED_FROM) else "unknown"
    return Judgement(answer.score, "reject", cause, issues, model)
