"""Why a verdict is what it is, in short words with numbers: what was measured, and what the model leant on."""

import math
from collections.abc import Callable, Mapping

from astrod.domain.exposure import Cause, Decision
from astrod_models.quality import Answer

Values = Mapping[str, float]

_ALL_ONE_WAY = 0.25
_LONG = 1.35
_HOLLOW = 1.15
_EDGED = 1.05
_SEEN_LINE = 0.85
_DECIDES = 0.15
"""An input that moves a probability by less than this did not decide anything."""

_MOST = 5
_INPUTS = {"tiles": "the stars' own looks", "whole": "the frame as a whole", "features": "the measurements"}


def why(
    answer: Answer, decision: Decision, cause: Cause, values: Values, without: Mapping[str, Answer]
) -> tuple[str, ...]:
    """At most five reasons, the weightiest first.

    `values` are the measurements by name. `without` holds what the model would have said with one of its inputs blank;
    empty where no model judged.
    """
    named: list[str] = [cause] if cause in _SAYS else []
    named += [issue for issue in sorted(answer.issues, key=answer.issues.__getitem__, reverse=True) if issue in _SAYS]
    issues = [name for name in dict.fromkeys(named) if name == cause or answer.issues[name] >= 0.5]
    said = [_SAYS[issue](values) for issue in issues]
    leant = _leant(answer, decision, cause, without)
    if decision == "keep" and cause == "none":
        said.insert(0, _sound(values))
    if cause == "unknown":
        said.insert(
            0, f"no fault stands out, but such frames are usable in {answer.usable:.0%} of cases; {_sound(values)}"
        )
    return tuple((said + leant)[:_MOST]) if len(said) < _MOST else (*said[: _MOST - 1], *leant)[:_MOST]


def _leant(answer: Answer, decision: Decision, cause: Cause, without: Mapping[str, Answer]) -> list[str]:
    """The input without which the deciding probability would have moved most, if by much."""
    of = cause if cause in answer.issues else "usable"

    def chance(said: Answer) -> float:
        return said.issues.get(of, said.usable)

    if not without or of not in (*next(iter(without.values())).issues, "usable"):
        return []  # no model judged, or none that knows of this
    name = max(without, key=lambda key: abs(chance(without[key]) - chance(answer)))
    moved = chance(without[name])
    if abs(moved - chance(answer)) < _DECIDES:
        return [f"the model's inputs agree: none moves its {of} of {chance(answer):.0%} by more than {_DECIDES:.0%}"]
    return [f"{_INPUTS[name]} decided: without them the model's {of} would be {moved:.0%}, not {chance(answer):.0%}"]


def _stars(values: Values) -> str:
    count = max(0, round(10.0 ** values["log_stars"] - 1.0))
    return "no star" if count == 0 else "1 star" if count == 1 else f"{count} stars"


def _width_px(values: Values) -> float:
    """FWHM in pixels of the frame."""
    return float(2.0 ** values["log_fwhm"] * (1.0 + values["superpixel"]))


def _sound(values: Values) -> str:
    if values["shaped"] == 0.0:
        return f"{_stars(values)}, none clear enough to measure its shape"
    return (
        f"{_stars(values)}, {_width_px(values):.1f} px wide, {math.exp(values['log_elongation']):.2f}x longer than wide"
    )


def _clouds(values: Values) -> str:
    density = 10.0 ** values["log_density"]
    uneven = 10.0 ** values["sky_spread"]
    return f"{_stars(values)} ({density:.0f} per megapixel), sky uneven by {uneven:.1f} times its noise"


def _trailing(values: Values) -> str:
    if values["shaped"] == 0.0:
        return "no star clear enough to measure its shape"
    long = math.exp(values["log_elongation"])
    if long < _LONG:
        return f"stars only {long:.2f}x longer than wide as measured"
    way = "all in one direction" if values["coherence"] > _ALL_ONE_WAY else "in no common direction"
    return f"stars {long:.1f}x longer than wide, {way}"


def _defocus(values: Values) -> str:
    if values["shaped"] == 0.0:
        return "no star clear enough to measure its width"
    wide = f"stars {_width_px(values):.1f} px wide"
    if values["hollow"] < _HOLLOW:
        return f"{wide} and hollow: the centre {values['hollow']:.2f} times as bright as the ring (1.56 in focus)"
    if values["edge"] > _EDGED:
        return f"{wide} with an edge instead of wings, as a disc has"
    return f"{wide}, neither hollow nor edged as measured"


def _seeing(values: Values) -> str:
    if values["shaped"] == 0.0:
        return "no star clear enough to measure its width"
    form = "wings and no edge, as seeing makes them" if values["edge"] <= _EDGED else "an edge: perhaps defocus"
    return f"stars {_width_px(values):.1f} px wide with {form}"


def _streak(values: Values) -> str:
    share = 10.0 ** values["log_longest"]
    if share > 0.05:
        return f"a line of {share:.0%} of the frame's shorter side"
    sigmas = 10.0 ** values["log_line"]
    return f"the strongest straight line stands out {sigmas:.1f}-fold" + (
        " (4 to 6 without any)" if values["log_line"] < _SEEN_LINE else ""
    )


def _pixels(values: Values) -> str:
    hot, lines = 10.0 ** values["log_sharp"] - 1.0, round(10.0 ** values["log_standing"] - 1.0)
    return f"{hot:.0f} hot pixels per megapixel, {lines} rows or columns out of level"


def _glare(values: Values) -> str:
    slope, level = 10.0 ** values["sky_slope"], 10.0 ** values["log_level"]
    return f"sky rises by {2.0 * slope:.1f} times its noise across the frame, at {level:.0%} of full scale"


def _leak(values: Values) -> str:
    place = "at the edge" if values["peak_edge"] > 0.75 else "inside the frame"
    return f"sky {10.0 ** values['sky_peak']:.1f} times its noise brighter {place} than in the middle of its levels"


def _dew(values: Values) -> str:
    share = 10.0 ** values["halo"]
    return f"bright stars have halos of {share:.1%} of their centres; only a sequence tells dew from thin cloud"


_SAYS: dict[str, Callable[[Values], str]] = {
    "clouds": _clouds,
    "trailing": _trailing,
    "defocus": _defocus,
    "streak": _streak,
    "seeing": _seeing,
    "pixels": _pixels,
    "glare": _glare,
    "leak": _leak,
    "dew": _dew,
}
