"""Gain and read noise from the frames themselves, where no header tells them: the photon transfer.

Photons come at random, so the variance of a pixel rises with its level by one over the gain (Janesick 2007, Photon
Transfer, ch. 5). Two flats and two biases tell both; a single frame tells its gain where its own sky differs enough in
level from place to place, or from colour to colour of a Bayer sensor.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

_CELL = 32
_CLIP_SIGMAS = 3.5
_CLIPPED_VARIANCE = 0.9939
"""Of a normal law cut at 3.5 sigma."""
_LEAST_CELLS, _MOST_CELLS = 30, 1500
_SURE = 8.0
_CORNERS = ((0, 0), (0, 1), (1, 0), (1, 1))


@dataclass(frozen=True, slots=True)
class Transfer:
    """Electrons per ADU with its error; `read_noise_adu` None where it was not told. `by` says how it was had."""

    gain_e_adu: float
    error_e_adu: float
    read_noise_adu: float | None
    by: str


def from_pairs(flats: tuple[NDArray[Any], NDArray[Any]], biases: tuple[NDArray[Any], NDArray[Any]]) -> Transfer | None:
    """Janesick's two flats and two biases; None where the flats are no brighter than the biases or not alike.

    >>> dice = np.random.default_rng(1)
    >>> flat = lambda: dice.poisson(20_000.0, (300, 300)) / 2.0 + dice.normal(500.0, 3.0, (300, 300))
    >>> bias = lambda: dice.normal(500.0, 3.0, (300, 300))
    >>> found = from_pairs((flat(), flat()), (bias(), bias()))
    >>> 1.95 < found.gain_e_adu < 2.05, 2.9 < found.read_noise_adu < 3.1
    (True, True)
    """
    first, second = (np.asarray(flat, np.float32) for flat in flats)
    dark_one, dark_two = (np.asarray(bias, np.float32) for bias in biases)
    pedestal = 0.5 * (dark_one + dark_two)
    first, second = first - pedestal, second - pedestal
    levels = float(first.mean()), float(second.mean())
    if min(levels) <= 0.0 or abs(levels[0] / levels[1] - 1.0) > 0.5:
        return None
    ratio = levels[0] / levels[1]  # brought to one level, the pattern of the pixels cancels
    read_variance = 0.5 * _clipped_variance(dark_one - dark_two)
    extra = read_variance * (1.0 + ratio**2 + 0.5 * (1.0 - ratio) ** 2)
    light, variance = _levels_and_variances(first, first - ratio * second)
    photons = variance - extra
    sure = photons > 0.0
    if np.count_nonzero(sure) < max(1, 0.5 * light.size) or not np.median(light) > 0.0:
        return None
    gains = light[sure] * (1.0 + ratio) / photons[sure]
    error = 1.25 * float(np.std(gains)) / np.sqrt(gains.size) if gains.size > 3 else float(np.median(gains)) * 0.1
    return Transfer(float(np.median(gains)), error, float(np.sqrt(read_variance)), "two flats and two biases")


def from_sky(pixels: NDArray[Any], pedestal_adu: float | None, bayer: bool) -> Transfer | None:
    """The gain by how the noise of the frame's sky rises with its level; None where that is not sure (8 sigma).

    `pedestal_adu` (what the frame has without light) also gives the read noise; None leaves it untold. Give pixels
    before the flat was divided out: that changes levels and noise otherwise than light does.
    """
    levels, variances = _cells(np.asarray(pixels, np.float32), bayer)
    if levels.size < _LEAST_CELLS:
        return None
    slope, error, at_zero = _line(levels, variances)
    if not slope > _SURE * error:
        return None
    read = None
    if pedestal_adu is not None:
        variance = at_zero + slope * pedestal_adu
        read = float(np.sqrt(variance)) if variance > 0.0 else 0.0
    return Transfer(1.0 / slope, error / slope**2, read, "the frame's own sky")


def _cells(pixels: NDArray[np.float32], bayer: bool) -> tuple[Floats, Floats]:
    """Level and variance of each cell of sky, of each colour; cells with a step inside are left out by their noise."""
    levels, variances = [], []
    for row, column in _CORNERS if bayer else ((0, 0),):
        phase = pixels[row::2, column::2] if bayer else pixels
        rows, columns = (axis // _CELL for axis in phase.shape)
        if rows == 0 or columns == 0:
            continue
        cut = phase[: rows * _CELL, : columns * _CELL]
        raster = cut.reshape(rows, _CELL, columns, _CELL).swapaxes(1, 2)
        cells = raster[:: 1 + rows * columns // _MOST_CELLS].reshape(-1, _CELL, _CELL)
        levels.append(np.median(cells, axis=(1, 2)).astype(np.float64))
        variances.append(_variances(cells))
    return (np.concatenate(levels), np.concatenate(variances)) if levels else (np.empty(0), np.empty(0))


def _variances(cells: NDArray[np.float32]) -> Floats:
    """Of each cell, from differences of pixels side by side; stars' are clipped away."""
    pairs = (cells[:, :, 1::2] - cells[:, :, 0::2]).reshape(len(cells), -1).astype(np.float64)
    width = 1.4826 * np.median(np.abs(pairs), axis=1) + 0.5
    for _round in range(3):
        kept = np.abs(pairs) <= _CLIP_SIGMAS * width[:, None]
        number = np.maximum(kept.sum(axis=1), 1)
        width = np.sqrt((np.where(kept, pairs, 0.0) ** 2).sum(axis=1) / number / _CLIPPED_VARIANCE)
        width = np.maximum(width, 1e-9)
    return np.asarray(0.5 * width**2)


def _levels_and_variances(light: NDArray[Any], difference: NDArray[Any]) -> tuple[Floats, Floats]:
    """Level and variance cell by cell, so that a slope of the light across them does not count; at most 400 cells."""
    rows, columns = (axis // _CELL for axis in difference.shape)
    if rows == 0 or columns == 0:
        return np.array([float(light.mean())]), np.array([_clipped_variance(difference)])
    cells = [
        (slice(row * _CELL, (row + 1) * _CELL), slice(column * _CELL, (column + 1) * _CELL))
        for row in range(rows)
        for column in range(columns)
    ]
    cells = cells[:: max(1, len(cells) // 400)]
    levels = np.array([float(light[cell].mean()) for cell in cells])
    return levels, np.array([_clipped_variance(difference[cell]) for cell in cells])


def _clipped_variance(values: NDArray[Any]) -> float:
    flat = np.asarray(values, np.float64).ravel()
    flat = flat - np.median(flat)
    width = 1.4826 * float(np.median(np.abs(flat))) + 1e-9
    for _round in range(3):
        kept = flat[np.abs(flat) <= _CLIP_SIGMAS * max(width, 0.5)]
        width = float(np.sqrt(np.mean(kept**2) / _CLIPPED_VARIANCE)) if kept.size else width
    return width**2


def _line(levels: Floats, variances: Floats) -> tuple[float, float, float]:
    """Slope, its error and the value at level zero of a straight line; cells far above it (stars, edges) left out."""
    kept = np.ones(levels.size, dtype=bool)
    slope, error, start = 0.0, np.inf, 0.0
    for _round in range(8):
        x, y = levels[kept], variances[kept]
        if x.size < _LEAST_CELLS or np.ptp(x) <= 0.0:
            return 0.0, np.inf, 0.0
        middle = x.mean()
        slope = float(np.sum((x - middle) * y) / np.sum((x - middle) ** 2))
        start = float(y.mean() - slope * middle)
        left = variances - (start + slope * levels)
        width = 1.4826 * float(np.median(np.abs(left[kept] - np.median(left[kept])))) + 1e-12
        error = width / float(np.sqrt(np.sum((x - middle) ** 2)))
        new = np.abs(left - np.median(left[kept])) <= 3.0 * width
        if np.array_equal(new, kept):
            break
        kept = new
    return slope, error, start
