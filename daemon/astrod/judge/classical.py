"""What a few cuts on the measurements can say of a frame: the stand-in for the quality model, and beside it for issues
that the model in force does not know.

Not as good as the model, and said so in every verdict that rests on it; it keeps the night going when the weights
cannot be trusted. Cuts are absolute, since one frame alone has no history.
"""

import math
from collections.abc import Mapping

from astrod_models.quality import Answer

TITLE = "classical stand-in"

ISSUES = ("clouds", "trailing", "defocus", "streak", "seeing", "pixels", "glare", "leak", "dew")
"""All that can be wrong with a frame. Hot pixels and bad lines are always counted, never learned."""

_NO_STAR = {"trailing": 0.1, "defocus": 0.1, "seeing": 0.05, "dew": 0.05}


def classical(values: Mapping[str, float]) -> Answer:
    """Probabilities of ISSUES by logistic cuts on the measured values, named as in `astrod_models.quality.FEATURES`."""
    clouds = _clouds(values)
    streak = max(_rising(values["log_longest"], -0.6, 0.1), _rising(values["log_line"], 0.95, 0.04))
    shapes = _NO_STAR if values["shaped"] == 0.0 else _shapes(values)
    issues = {"clouds": clouds, "streak": streak, "pixels": _pixels(values)} | shapes | _stray_light(values, clouds)
    usable = (1.0 - clouds) * (1.0 - issues["trailing"]) * (1.0 - issues["defocus"])
    return Answer({name: issues[name] for name in ISSUES}, usable)


def _clouds(values: Mapping[str, float]) -> float:
    """Hardly a star, or an uneven sky with the stars in patches."""
    stars = 10.0 ** values["log_stars"] - 1.0
    bare = 1.0 - _rising(math.log10(1.0 + stars), 0.6, 0.15)
    return max(bare, _rising(values["sky_spread"], 0.6, 0.15) * _rising(values["patchy"], 0.5, 0.2))


def _shapes(values: Mapping[str, float]) -> dict[str, float]:
    """Long in one direction: trailing. A hole, or too wide: defocus. Wide with wings: seeing. A halo: dew."""
    trailing = _rising(math.exp(values["log_elongation"]), 1.7, 0.12) * _rising(values["coherence"], 0.2, 0.05)
    fwhm = 2.0 ** values["log_fwhm"]
    hollow = 1.0 - _rising(values["hollow"], 1.05, 0.08)
    defocus = max(_rising(fwhm, 14.0, 1.0), hollow) * (1.0 - trailing)
    winged = 1.0 - _rising(values["edge"], 1.05, 0.08)
    return {
        "trailing": trailing,
        "defocus": defocus,
        "seeing": _rising(fwhm, 6.5, 0.5) * winged * (1.0 - defocus) * (1.0 - trailing),
        "dew": _rising(values["halo"], -1.85, 0.1) * _rising(values["log_fwhm"], 0.6, 0.1),
    }


def _pixels(values: Mapping[str, float]) -> float:
    """Over two thousand hot pixels in a million, or more than a handful of rows and columns out of level."""
    return max(_rising(values["log_sharp"], 3.4, 0.08), _rising(values["log_standing"], 0.85, 0.06))


def _stray_light(values: Mapping[str, float], clouds: float) -> dict[str, float]:
    """A slope over the whole frame: glare. A bright part at the edge that no slope explains: a leak."""
    straight = 1.0 - _rising(values["sky_spread"] - values["sky_slope"], 0.2, 0.1)
    slope = _rising(values["sky_slope"], 0.7, 0.08)
    left = _rising(values["sky_spread"], 0.3, 0.12) * _rising(values["sky_peak"] - values["sky_dip"], 0.32, 0.1)
    at_edge = _rising(values["peak_edge"], 0.75, 0.05)
    return {"glare": slope * straight * (1.0 - clouds), "leak": left * at_edge * (1.0 - clouds)}


def _rising(value: float, middle: float, width: float) -> float:
    """From 0 to 1 around `middle`."""
    return 1.0 / (1.0 + math.exp(-max(-60.0, min(60.0, (value - middle) / width))))
