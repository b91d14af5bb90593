"""Master calibration frames: many frames of a kind made one, by a mean without what stands out.

A pixel of a frame that lies far from the median of that pixel over all frames (a cosmic ray, a satellite over a
twilight flat) is left out of the mean. With three frames their median is taken, with fewer their mean.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from astrod.errors import InputInvalid

Float32 = NDArray[np.float32]
Bools = NDArray[np.bool_]

SIGMA_OF_MAD = 1.4826
_CLIP_SIGMAS = 5.0
_MEDIAN_OF_THREE = 1.16
"""A median of three normal values scatters so much more than their mean."""
_BLOCK_VALUES = 4_000_000
_HOT_SIGMAS = 12.0
_DEAD, _BRIGHT = 0.7, 1.4
"""A pixel of a flat that has less or more of the light of its like-coloured neighbours cannot be mended by division."""
_SAMPLE = 200_000


@dataclass(frozen=True, slots=True, eq=False)
class Master:
    """One master. `values` are ADU for a bias or dark, for a flat the response with 1 the usual (of each colour).

    `sigma` is the random error that a pixel of it has, same unit, and `noise` that of a pixel of a single frame;
    `spread` is how much the pixels differ among themselves, robust. `bad` are pixels that no calibration mends, None
    where none were looked for.
    """

    values: Float32
    sigma: float
    frames: int
    level: float
    spread: float
    noise: float
    bad: Bools | None = None


def combine(frames: Sequence[NDArray[Any]], pedestal: Float32 | None = None, normalise: bool = False) -> Master:
    """The master of frames of one shape; `pedestal` is taken from each first.

    `normalise` brings each frame to a median of one before (flats: the light may change between them). Raises
    InputInvalid for no frames, differing shapes, or a flat without light.
    """
    if not frames:
        raise InputInvalid("no frames to make a master of")
    shape = frames[0].shape
    if any(frame.shape != shape for frame in frames):
        raise InputInvalid("frames of different sizes make no master")
    scales = [_scale(frame, pedestal) if normalise else 1.0 for frame in frames]
    values = np.empty(shape, np.float32)
    noises = []
    rows = max(1, _BLOCK_VALUES // (shape[1] * len(frames)))
    for top in range(0, shape[0], rows):
        part = slice(top, top + rows)
        stack = np.stack([np.asarray(frame[part], np.float32) for frame in frames])
        if pedestal is not None:
            stack -= pedestal[part]
        stack *= np.asarray(scales, np.float32)[:, None, None]
        values[part], noise = _mean(stack)
        noises.append(noise)
    level, spread = _level(values)
    noise = float(np.median(noises))
    worse = _MEDIAN_OF_THREE if len(frames) == 3 else 1.0
    return Master(values, worse * noise / float(np.sqrt(len(frames))), len(frames), level, spread, noise)


def _scale(frame: NDArray[Any], pedestal: Float32 | None) -> float:
    """What brings a flat to a median of one."""
    step = max(1, int(np.sqrt(frame.size / _SAMPLE)))
    sample = np.asarray(frame[::step, ::step], np.float32)
    median = float(np.median(sample if pedestal is None else sample - pedestal[::step, ::step]))
    if not median > 0.0:
        raise InputInvalid("a flat holds no light above its pedestal")
    return 1.0 / median


def _mean(stack: Float32) -> tuple[Float32, float]:
    """The clipped mean over the first axis, and the noise of a pixel of one frame."""
    count = stack.shape[0]
    if count == 1:
        pairs = np.diff(stack[0], axis=1)
        return stack[0], SIGMA_OF_MAD * float(np.median(np.abs(pairs))) / float(np.sqrt(2.0))
    typical = _typical(stack)
    if count < 4:
        return np.median(stack, axis=0) if count == 3 else stack.mean(axis=0), typical
    middle = np.median(stack, axis=0)
    away = np.abs(stack - middle)
    local = SIGMA_OF_MAD * np.median(away, axis=0)
    kept = away <= _CLIP_SIGMAS * np.maximum(local, max(typical, 1e-12))
    stack = np.where(kept, stack, 0.0)
    number = np.maximum(kept.sum(axis=0), 1)
    return np.asarray(stack.sum(axis=0) / number, np.float32), typical


def _typical(stack: Float32) -> float:
    """The noise of one value, from the differences of the first frames: the spread of pixels does not count."""
    pairs = np.abs(stack[1] - stack[0])
    clipped = pairs[pairs <= 4.0 * SIGMA_OF_MAD * max(float(np.median(pairs)), 1e-12)]
    return float(np.sqrt(np.mean(np.square(clipped, dtype=np.float64)) / 2.0)) if clipped.size else 0.0


def _level(values: Float32) -> tuple[float, float]:
    step = max(1, int(np.sqrt(values.size / _SAMPLE)))
    sample = values[::step, ::step]
    level = float(np.median(sample))
    return level, SIGMA_OF_MAD * float(np.median(np.abs(sample - level)))


def with_hot(dark: Master, factor_s: float | None) -> Master:
    """A dark with its hot pixels found: those that gather far more than the usual, in units of the pixels' spread.

    `factor_s` is its exposure, None where unknown; it is only asked whether there is one.
    """
    if factor_s is None or factor_s <= 0.0:
        return dark
    limit = dark.level + _HOT_SIGMAS * max(dark.spread, dark.sigma, 0.5)
    return replace(dark, bad=np.asarray(dark.values > limit))


def as_flat(flat: Master, bayer: bool) -> Master:
    """A combined flat as a response: 1 the usual pixel, of each colour where it is a Bayer sensor, and its bad pixels.

    A Bayer frame's colours each have their own unit, so the flat takes nothing from a frame's colours and adds none.
    """
    values = flat.values.copy()
    for row, column in ((0, 0), (0, 1), (1, 0), (1, 1)) if bayer else ((None, None),):
        phase = values if row is None else values[row::2, column::2]
        middle, _ = _level(np.ascontiguousarray(phase))
        phase /= np.float32(middle if middle > 0.0 else 1.0)
    bad = _odd_pixels(values)
    values[bad] = 1.0
    return replace(flat, values=values, level=1.0, bad=bad, sigma=flat.sigma / max(flat.level, 1e-9))


def _odd_pixels(values: Float32) -> Bools:
    """Pixels far from the mean of the neighbours two away, which have the same colour on any sensor."""
    padded = np.pad(values, 2, mode="reflect")
    around = padded[:-4, 2:-2] + padded[4:, 2:-2]
    around += padded[2:-2, :-4]
    around += padded[2:-2, 4:]
    around *= np.float32(0.25)
    with np.errstate(divide="ignore", invalid="ignore"):
        ratio = values / around
    return np.asarray(~((ratio > _DEAD) & (ratio < _BRIGHT) & (values > 0.05)))
