"""Where the sky is covered: the cloud model's map or its classical stand-in, and what the picture is, in words.

A picture that is no night sky (daylight, a closed roof) gets no map: nothing seen is nothing known, which is not clear.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from astrod_models.card import WeightsRefusedError
from astrod_models.cloud import CHANNELS, FACTS, GRID, RASTER, Answer, Cloud, Raster

TITLE = "classical stand-in"

_CUTS = {"covered": 0.5, "sky": 0.4, "day": 0.8, "shut": 0.7, "dew": 0.5}
_FEW_STARS = 12
_OVEREXPOSED = 0.6


@dataclass(frozen=True, slots=True, eq=False)
class Verdict:
    """What is to be known of a picture.

    `chance` (48, 48) is the probability that each cell is covered, NaN where the picture shows no sky; None where it
    shows no night sky at all. `fraction` is its mean over the sky, each cell by the share of the sky that it shows.
    """

    chance: NDArray[np.float64] | None
    fraction: float | None
    is_dark: bool
    is_wet: bool
    states: Mapping[str, float]
    why: tuple[str, ...]
    model: str


def judge(
    raster: Raster, fisheye: bool, weights: Path | None = None, is_day: bool | None = None, enabled: bool = True
) -> Verdict:
    """The verdict on a picture's raster, by the model of the folder `weights` (default: the one shipped).

    By the classical stand-in where models are not `enabled`, or this one is missing or refused; `model` says why.
    `is_day` is what the Sun says where time and place are known; the pixels say it otherwise.
    """
    model = _model(weights) if enabled else "models are switched off"
    if isinstance(model, str):
        return _verdict(raster, classical(raster), fisheye, f"{TITLE} ({model})", _CUTS, is_day)
    return _verdict(raster, model(raster), fisheye, model.title, {**_CUTS, **model.thresholds}, is_day)


def model_fault(weights: Path | None = None) -> str | None:
    """Why the cloud model cannot be used; None when it can."""
    model = _model(weights)
    return model if isinstance(model, str) else None


@cache
def _model(weights: Path | None) -> Cloud | str:
    """The model, or the reason why there is none."""
    try:
        return Cloud(weights)
    except WeightsRefusedError as refused:
        return str(refused)


def _verdict(
    raster: Raster, answer: Answer, fisheye: bool, model: str, cuts: Mapping[str, float], is_day: bool | None
) -> Verdict:
    states = {name: round(value, 4) for name, value in answer.states.items()}
    blind = _blind(raster)
    day = answer.states["day"] >= cuts["day"] if is_day is None else is_day
    shut = answer.states["shut"] >= cuts["shut"]
    wet = answer.states["dew"] >= cuts["dew"]
    if blind or day or shut:
        why = blind or ("daylight: no map of the night's clouds can be made" if day else _SHUT)
        return Verdict(None, None, not day, wet, states, (why,), model)
    open_sky = raster.seen & (answer.sky >= cuts["sky"])
    if not open_sky.any():
        return Verdict(None, None, True, wet, states, (_SHUT,), model)
    chance = np.where(open_sky, answer.cloud.astype(np.float64), np.nan)
    fraction = float(np.average(chance[open_sky], weights=_solid_angle(fisheye)[open_sky]))
    return Verdict(chance, fraction, True, wet, states, _reasons(raster, chance, fraction, wet), model)


_SHUT = "nothing of the sky is seen: a closed roof, a cap, or no light at all"


def _blind(raster: Raster) -> str | None:
    """Why the picture tells nothing whatever a model says; None where it may."""
    if not raster.seen.any():
        return "no pixel of the sky has a value"
    if raster.flat:
        return "every pixel of the sky has one value: full, empty, or no picture at all"
    if raster.clipped > _OVEREXPOSED:
        return f"{raster.clipped:.0%} of the sky is overexposed: nothing can be told from it"
    return None


def _reasons(raster: Raster, chance: NDArray[np.float64], fraction: float, wet: bool) -> tuple[str, ...]:
    """What decided, in words."""
    stars = raster.stars.shape[0]
    reasons = [f"{fraction:.0%} of the sky seen is covered; {stars} points stand out like stars"]
    covered, clear = chance >= 0.5, chance < 0.5
    density = _averaged(raster.channels[CHANNELS.index("density")])
    if covered.any() and clear.any():
        inside, outside = float(density[covered].mean()), float(density[clear].mean())
        if inside < 0.8 * outside:
            reasons.append("stars are fewer where it is covered")
        level = _averaged(raster.channels[CHANNELS.index("contrast")])
        step = float(level[covered].mean() - level[clear].mean())
        if abs(step) > 0.1:
            reasons.append(f"the covered part is {'brighter' if step > 0 else 'darker'} than the clear one")
    elif covered.any() and stars < _FEW_STARS:
        reasons.append("hardly a star anywhere")
    if wet:
        reasons.append("the window looks wet or frosted: what is blurred may be the picture and not the sky")
    return tuple(reasons)


def _solid_angle(fisheye: bool) -> NDArray[np.float64]:
    """How much sky each cell shows, in any unit: an equidistant lens to the horizon is assumed of a fish-eye."""
    if not fisheye:
        return np.ones((GRID, GRID))
    axis = (np.arange(GRID) + 0.5) * (2.0 / GRID) - 1.0
    theta = 0.5 * np.pi * np.minimum(np.hypot(axis[:, None], axis[None, :]), 1.0)
    return np.asarray(np.sinc(theta / np.pi))


def classical(raster: Raster) -> Answer:
    """The stand-in: covered is where stars are few against what the rest of the picture shows, or the sky is rough.

    Its weights were fitted by `training.cloud` on the cells of its simulated pictures.
    """
    features = features_of(raster.channels, raster.facts)
    logits = features @ _WEIGHTS
    cloud = (1.0 / (1.0 + np.exp(-np.clip(logits, -30.0, 30.0)))).astype(np.float32)
    full = float(raster.facts[FACTS.index("saturated")]) ** 2
    is_bare = raster.stars.shape[0] < 3
    noise = float(raster.facts[FACTS.index("log_noise")])
    day = 0.9 if is_bare and (full > 0.3 or noise < -2.3) else 0.1
    return Answer(cloud, raster.seen.astype(np.float32), {"day": day, "shut": 0.1, "dew": 0.1})


_WEIGHTS = np.array([1.406, -1.122, 2.19, -2.922, 0.799, 1.587, -0.086, 0.01, 0.78])


def features_of(channels: NDArray[np.float32], facts: NDArray[np.float32]) -> NDArray[np.float64]:
    """What the stand-in looks at in each cell (48, 48, features): stars against the rest's, roughness, level."""
    named = {name: _averaged(channels[index]) for index, name in enumerate(CHANNELS)}
    valid = named["valid"] > 0.5
    density = named["density"].astype(np.float64)
    usual = float(np.percentile(density[valid], 80.0)) if valid.any() else 0.0
    few = np.clip(1.0 - density / max(usual, 0.3), -1.0, 1.0)
    rough = np.log1p(ndimage.gaussian_filter(np.abs(named["band_noise"]), 1.5)).astype(np.float64)
    stars = float(facts[FACTS.index("log_stars")])
    contrast, spread = named["contrast"].astype(np.float64), named["spread"].astype(np.float64)
    parts = [
        np.ones_like(few),
        few,
        few * stars,
        np.full_like(few, stars),
        rough,
        density,
        spread,
        contrast,
        rough * stars,
    ]
    return np.stack(parts, axis=2)


def _averaged(channel: NDArray[np.float32]) -> NDArray[np.float32]:
    """A channel on the map's grid."""
    cell = RASTER // GRID
    means: NDArray[np.float32] = channel.reshape(GRID, cell, GRID, cell).mean(axis=(1, 3))
    return means
