"""One brightness plane out of a raw frame: mono as it is, Bayer by its two greens.

A Bayer frame becomes one superpixel per 2×2 cell, the mean of its green pixels, so its plane is half as wide
and half as high (`scale_px` 2). Cameras that forget to say that they are Bayer are recognised by the levels
of the four pixel phases.
"""

from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

FloatPlane = NDArray[np.float32]

Corner = tuple[int, int]
_FALLING: tuple[Corner, Corner] = ((0, 0), (1, 1))
_RISING: tuple[Corner, Corner] = ((0, 1), (1, 0))

_SAMPLES = 10_000
_PHASE_SIGMAS = 0.35
_CLIPPED_PIXELS = 4


class Frame(Protocol):
    """What measuring needs of a frame; `astrod.frames.image.Image` is one."""

    @property
    def pixels(self) -> NDArray[Any]:
        """2-D, uint16 or float32, no NaN."""

    @property
    def mask(self) -> NDArray[np.bool_] | None:
        """True where a pixel carries no value."""

    @property
    def bayer(self) -> str | None:
        """The pattern at (0, 0), None where mono or unknown."""

    @property
    def exposure_s(self) -> float | None:
        """Length of the exposure, None where unknown."""

    @property
    def saturation_adu(self) -> float | None:
        """The level at which a pixel tells nothing more, None where unknown."""


@dataclass(frozen=True, slots=True, eq=False)
class Plane:
    """Brightness in ADU, float32, C order. `scale_px` pixels of the frame make one of the plane."""

    values: FloatPlane
    mask: NDArray[np.bool_] | None
    scale_px: int
    saturation_adu: float | None


def plane(frame: Frame) -> Plane:
    """The plane that is measured."""
    pixels, mask = frame.pixels, frame.mask
    diagonal = green_diagonal(frame.bayer, pixels)
    saturation = frame.saturation_adu or _clipping_level(pixels)
    if diagonal is None:
        return Plane(np.ascontiguousarray(pixels, dtype=np.float32), mask, 1, saturation)
    first, second = (_phase(pixels, corner).astype(np.float32) for corner in diagonal)
    green_mask = None if mask is None else _phase(mask, diagonal[0]) | _phase(mask, diagonal[1])
    return Plane(np.ascontiguousarray((first + second) * np.float32(0.5)), green_mask, 2, saturation)


def green_diagonal(pattern: str | None, pixels: NDArray[Any]) -> tuple[Corner, Corner] | None:
    """Which two pixels of each 2×2 cell are green, by the pattern, or by the levels; None: mono."""
    return _green_diagonal(pattern) if pattern else _bayer_diagonal(pixels)


def _green_diagonal(pattern: str) -> tuple[Corner, Corner]:
    return _FALLING if pattern.startswith("G") else _RISING


def _phase(pixels: NDArray[Any], corner: Corner) -> NDArray[Any]:
    """Every second pixel of every second row, from `corner`; odd edges cut off."""
    rows, columns = (axis // 2 * 2 for axis in pixels.shape)
    phase: NDArray[Any] = pixels[corner[0] : rows : 2, corner[1] : columns : 2]
    return phase


def _bayer_diagonal(pixels: NDArray[Any]) -> tuple[Corner, Corner] | None:
    """The green diagonal of an undeclared Bayer frame; None where the four phases have one level (mono)."""
    levels: dict[Corner, float] = {}
    noise = np.inf
    for corner in _FALLING + _RISING:
        phase = _phase(pixels, corner).ravel()
        sample = phase[:: max(1, phase.size // _SAMPLES)].astype(np.float64)
        middle = float(np.median(sample))
        deviation = 1.4826 * float(np.median(np.abs(sample - middle))) + 1e-12
        core = sample[np.abs(sample - middle) < 3.0 * deviation]  # the mean of the sky tells integer levels apart
        levels[corner] = float(core.mean()) if core.size else middle
        noise = min(noise, deviation)
    if max(levels.values()) - min(levels.values()) < _PHASE_SIGMAS * noise:
        return None
    falling = abs(levels[0, 0] - levels[1, 1])
    rising = abs(levels[0, 1] - levels[1, 0])
    return _FALLING if falling < rising else _RISING


def _clipping_level(pixels: NDArray[Any]) -> float | None:
    """The highest value, when several pixels share it: full well or the converter's end. None: nothing
    clips.
    """
    top = float(pixels.max())
    if np.count_nonzero(pixels == pixels.max()) < _CLIPPED_PIXELS:
        return None
    return top
