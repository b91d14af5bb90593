"""The zero point of a frame, by catalogue stars that it shows: how many, how well, and where it is not known, why."""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from astrod.domain.photometry import LEAST_MATCHES, MAGNITUDE_OF_RELATIVE, Unknown, ZeroPoint

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]

_CLIP_SIGMAS = 3.0
_FAINTEST_SIGNAL = 10.0
_WIDEST_SCATTER = 0.5
_COLOUR_STARS, _COLOUR_SPREAD = 20, 0.6
_SURE = 3.0


@dataclass(frozen=True, slots=True, eq=False)
class Matches:
    """Sources that are catalogue stars, entry by entry: flux with error (ADU), the catalogue's magnitude in the band
    and the star's colour (NaN where unknown), and which may be used: clean stars that are not saturated.
    """

    flux: Floats
    flux_error: Floats
    magnitude: Floats
    colour: Floats
    usable: Bools


def zero_point(matches: Matches, band: str, catalogue: str, colour: str | None = None) -> ZeroPoint | Unknown:
    """The zero point; with a colour term where enough stars of enough colours prove one (3 sigma)."""
    bright = matches.flux > _FAINTEST_SIGNAL * matches.flux_error
    used = matches.usable & bright & np.isfinite(matches.magnitude)
    number = int(np.count_nonzero(used))
    if number < LEAST_MATCHES:
        return Unknown(_too_few(matches, number, catalogue))
    instrumental = matches.magnitude[used] + 2.5 * np.log10(matches.flux[used])
    error = MAGNITUDE_OF_RELATIVE * matches.flux_error[used] / matches.flux[used]
    shade = matches.colour[used]
    plain = _level(instrumental, error)
    if plain.kept < LEAST_MATCHES:
        return Unknown(f"only {plain.kept} of {number} stars of {catalogue} agree with one another")
    if plain.scatter > _WIDEST_SCATTER:
        return Unknown(
            f"{number} stars of {catalogue} scatter by {plain.scatter:.2f} mag: clouds, or they are not these stars"
        )
    told = np.isfinite(shade)
    if colour is not None and np.count_nonzero(told) >= _COLOUR_STARS:
        spread = float(np.subtract(*np.percentile(shade[told], [90, 10])))
        if spread >= _COLOUR_SPREAD:
            middle = float(np.median(shade[told]))
            bent = _level(instrumental[told], error[told], shade[told] - middle)
            if abs(bent.slope) > _SURE * bent.slope_error and bent.scatter < plain.scatter:
                return ZeroPoint(
                    bent.value, bent.error, bent.scatter, bent.kept, band, catalogue, colour,
                    bent.slope, bent.slope_error, middle,
                )  # fmt: skip
    return ZeroPoint(plain.value, plain.error, plain.scatter, plain.kept, band, catalogue)


def _too_few(matches: Matches, number: int, catalogue: str) -> str:
    stars = matches.flux.size
    full = int(np.count_nonzero(~matches.usable))
    if stars == 0:
        return f"no star of {catalogue} is in the field"
    return (
        f"{number} usable stars of {catalogue}, {LEAST_MATCHES} are needed ({stars} matched, {full} saturated or not "
        "clean); import a deeper catalogue with `astrod catalogue import`"
    )


@dataclass(frozen=True, slots=True)
class _Level:
    value: float
    error: float
    scatter: float
    kept: int
    slope: float = 0.0
    slope_error: float = math.inf


def _level(values: Floats, errors: Floats, shade: Floats | None = None) -> _Level:
    """A weighted mean, or a line over `shade`, without what lies far off; stars differ by more than their errors say,
    so the scatter found is added to each.
    """
    kept = np.ones(values.size, dtype=bool)
    basis = np.ones((values.size, 1)) if shade is None else np.stack([np.ones(values.size), shade], axis=1)
    fit: Floats = np.array([np.median(values), 0.0])[: basis.shape[1]]
    covariance: Floats = np.eye(basis.shape[1])
    scatter = math.inf
    wide = _CLIP_SIGMAS * (1.0 + 12.0 / values.size)  # of few stars the scatter is hardly known
    for round_ in range(10):
        left = values - basis @ fit
        scatter = 1.4826 * float(np.median(np.abs(left[kept] - np.median(left[kept]))))
        new = np.abs(left) <= wide * np.maximum(np.sqrt(errors**2 + 1e-6), scatter)
        if round_ and np.array_equal(new, kept):
            break
        if np.count_nonzero(new) <= basis.shape[1] + 1:
            break
        kept = new
        freedom = int(np.count_nonzero(kept)) - basis.shape[1]
        around = left[kept] - (np.median(left[kept]) if round_ == 0 else 0.0)
        spread = float(np.sum(around**2)) / freedom
        extra = max(0.0, spread - float(np.mean(errors[kept] ** 2)))
        weight = 1.0 / (errors**2 + extra + 1e-10)
        normal = (basis[kept] * weight[kept, None]).T @ basis[kept]
        covariance = np.asarray(np.linalg.inv(normal))
        fit = covariance @ ((basis[kept] * weight[kept, None]).T @ values[kept])
    sure = covariance[1, 1] if basis.shape[1] == 2 else math.inf
    slope = float(fit[1]) if basis.shape[1] == 2 else 0.0
    return _Level(
        float(fit[0]), math.sqrt(covariance[0, 0]), scatter, int(np.count_nonzero(kept)), slope, math.sqrt(sure)
    )
