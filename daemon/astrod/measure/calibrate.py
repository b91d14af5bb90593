"""Raw pixels made science pixels: overscan, bias, dark, linearity and flat, with an error and flags for each pixel.

No pixel is replaced by what its neighbours say: what has no value keeps the one it has and is flagged. A Bayer frame
stays one.
"""

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from astrod.measure.masters import Master

Float32 = NDArray[np.float32]

NO_VALUE = 1
SATURATED = 2
BAD = 4
COSMIC = 8
FLAGS = {NO_VALUE: "no value", SATURATED: "saturated", BAD: "bad pixel", COSMIC: "cosmic ray"}
"""Bits of the flags, and their names."""

_BLOCK_ROWS = 128
_FULL = 0.98
"""Of the saturation level: full pixels scatter below it, as their pedestals do."""


@dataclass(frozen=True, slots=True)
class Detector:
    """Electrons per ADU and read noise; None where unknown. `by` says where they are from."""

    gain_e_adu: float | None = None
    read_noise_adu: float | None = None
    saturation_adu: float | None = None
    by: str = "header"


@dataclass(frozen=True, slots=True, eq=False)
class Recipe:
    """What a frame is calibrated with; None where there is none.

    `pedestal` is a bias, or a dark of the frame's own exposure, which holds the bias. `dark` without its bias is
    multiplied by `dark_factor`. `linearity` are c1, c2… of true = seen·(1 + c1·seen + c2·seen²…), ADU above the
    pedestal.
    """

    pedestal: Master | None = None
    dark: Master | None = None
    dark_factor: float = 1.0
    flat: Master | None = None
    linearity: tuple[float, ...] = ()


@dataclass(frozen=True, slots=True, eq=False)
class Calibrated:
    """`values` in ADU, `sigma` the standard error of each, `flags` bits of `FLAGS`. `modelled` is False where the gain
    or the pedestal is unknown, so that `sigma` knows nothing of photons yet (see `measured_errors`).
    """

    values: Float32
    sigma: Float32
    flags: NDArray[np.uint8]
    modelled: bool
    counts: dict[str, int] = field(default_factory=dict)


def overscan_level(overscan: NDArray[Any]) -> Float32:
    """The level of each row by its overscan, smoothed over 21 rows by their median, as a column."""
    rows = np.median(np.asarray(overscan, np.float32), axis=1)
    padded = np.pad(rows, 10, mode="reflect" if rows.size > 10 else "edge")
    windows = np.lib.stride_tricks.sliding_window_view(padded, 21)
    return np.asarray(np.median(windows, axis=1), np.float32)[:, None]


def calibrate(
    pixels: NDArray[Any], mask: NDArray[np.bool_] | None, recipe: Recipe, detector: Detector, has_pedestal: bool = True
) -> Calibrated:
    """Calibrate a frame, by blocks of rows so that it stays in the processor's cache.

    `has_pedestal` False: the pedestal was taken off already (overscan), or there never was one.
    """
    rows, columns = pixels.shape
    values, sigma = np.empty((rows, columns), np.float32), np.empty((rows, columns), np.float32)
    flags = np.zeros((rows, columns), np.uint8)
    gain, read_adu = detector.gain_e_adu, detector.read_noise_adu or 0.0
    free = recipe.pedestal is not None or not has_pedestal
    modelled = gain is not None and free
    for top in range(0, rows, _BLOCK_ROWS):
        part = slice(top, top + _BLOCK_ROWS)
        block = pixels[part].astype(np.float32)
        flag = flags[part]
        if detector.saturation_adu is not None:
            flag |= np.where(block >= _FULL * detector.saturation_adu, np.uint8(SATURATED), np.uint8(0))
        if recipe.pedestal is not None:
            block -= recipe.pedestal.values[part]
        if recipe.linearity:
            block *= _linear(block, recipe.linearity)
        variance = _variance(block, recipe, gain if modelled else None, read_adu)
        if recipe.dark is not None:
            block -= np.float32(recipe.dark_factor) * recipe.dark.values[part]
        if recipe.flat is not None:
            response = recipe.flat.values[part]
            block /= response
            if recipe.flat.sigma > 0.0:
                variance += np.square(block * np.float32(recipe.flat.sigma) * response)
            sigma[part] = np.sqrt(variance) / response
        else:
            np.sqrt(variance, out=sigma[part])
        values[part] = block
    _flag(flags, mask, recipe)
    return Calibrated(values, sigma, flags, modelled, counts_of(flags))


def _variance(block: Float32, recipe: Recipe, gain: float | None, read_adu: float) -> Float32:
    """Of each pixel, before the flat: read noise, photons of light and dark current, and the masters' own errors."""
    fixed = read_adu**2
    if recipe.pedestal is not None:
        fixed += recipe.pedestal.sigma**2
    if recipe.dark is not None:
        fixed += (recipe.dark_factor * recipe.dark.sigma) ** 2
    if gain is None:
        return np.full_like(block, max(fixed, 1e-6))
    variance = np.maximum(block, np.float32(0.0))
    variance *= np.float32(1.0 / gain)
    variance += np.float32(max(fixed, 1e-6))
    return variance


def _linear(block: Float32, coefficients: tuple[float, ...]) -> Float32:
    factor = np.ones_like(block)
    power = block.copy()
    for number in coefficients:
        factor += np.float32(number) * power
        power *= block
    return factor


def _flag(flags: NDArray[np.uint8], mask: NDArray[np.bool_] | None, recipe: Recipe) -> None:
    if mask is not None:
        flags[mask] |= NO_VALUE
    for master in (recipe.pedestal, recipe.dark, recipe.flat):
        if master is not None and master.bad is not None:
            flags[master.bad] |= BAD


def counts_of(flags: NDArray[np.uint8]) -> dict[str, int]:
    """How many pixels have each flag."""
    return {name: int(np.count_nonzero(flags & np.uint8(bit))) for bit, name in FLAGS.items()}


def green_of(found: Calibrated, diagonal: tuple[tuple[int, int], tuple[int, int]]) -> Calibrated:
    """The mean of a Bayer frame's two greens, half as wide and high: what stars are measured on.

    A cell of which one green is flagged is flagged: half a star's light there would be the other green's alone.
    """
    rows, columns = (axis // 2 * 2 for axis in found.values.shape)
    first, second = ((slice(top, rows, 2), slice(left, columns, 2)) for top, left in diagonal)
    values = np.ascontiguousarray(found.values[first] + found.values[second])
    values *= np.float32(0.5)
    sigma = np.hypot(found.sigma[first], found.sigma[second])
    sigma *= np.float32(0.5)
    flags = np.ascontiguousarray(found.flags[first] | found.flags[second])
    return Calibrated(values, sigma, flags, found.modelled, counts_of(flags))


def measured_errors(above: Float32, noise: float, gain_e_adu: float | None, flat: Master | None = None) -> Float32:
    """Errors by the noise that the frame's sky has, and by photons of what stands above it where the gain is known.

    For frames whose errors cannot be modelled, or whose model is wrong. `above` is the frame without its sky.
    """
    variance = np.full(above.shape, np.float32(noise**2))
    if gain_e_adu is not None:
        light = np.maximum(above, np.float32(0.0))
        light *= np.float32(1.0 / gain_e_adu)
        variance += light
    np.sqrt(variance, out=variance)
    if flat is not None:
        variance /= np.sqrt(np.clip(flat.values, 0.05, None))
    return variance
