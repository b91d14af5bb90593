"""The image of a star: seeing (Moffat), defocus (disc or ring), trail and pixel, as a bank of small stamps.

The bank holds the same image at `OVERSAMPLE` by `OVERSAMPLE` shifts within a pixel, so a star is drawn by
looking up the nearest shift. The Moffat profile has beta = 3 (Trujillo et al. 2001, MNRAS 328, 977, find
2.5 to 4.8).
"""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

BETA = 3.0
MAX_RADIUS_PX = 120

Float64 = NDArray[np.float64]
Float32 = NDArray[np.float32]


@dataclass(frozen=True, slots=True, eq=False)
class Bank:
    """Stamps of one star of unit flux: `stamps[row shift, column shift]`, each (2 radius + 1) square.

    What the wings beyond the stamp hold is left out; `wing` gives it. `core_px` is how far the star's image
    reaches before its wings begin.
    """

    stamps: Float32
    radius_px: int
    core_px: float
    alpha_px: float

    @property
    def oversample(self) -> int:
        return len(self.stamps)

    @property
    def peak(self) -> float:
        """The largest share of the flux that falls into one pixel."""
        return float(self.stamps.max())

    def middle(self, radius: int) -> Float32:
        """The stamps cut down to a smaller radius."""
        low, high = self.radius_px - radius, self.radius_px + radius + 1
        return np.ascontiguousarray(self.stamps[:, :, low:high, low:high])

    def wing(self, square_px: Float64) -> Float64:
        """Share of the flux per pixel at a squared distance, far out."""
        return moffat(square_px, self.alpha_px)

    def wing_radius_px(self, share: float) -> float:
        """Where the wings fall to that share of the flux per pixel."""
        top = (BETA - 1.0) / (math.pi * self.alpha_px**2)
        return self.alpha_px * math.sqrt(max(0.0, (top / share) ** (1.0 / BETA) - 1.0))


def moffat(square_px: Float64, alpha_px: float) -> Float64:
    """Moffat's profile (1969, A&A 3, 455) of unit volume at a squared distance."""
    return np.asarray((BETA - 1.0) / (math.pi * alpha_px**2) * (1.0 + square_px / alpha_px**2) ** -BETA)


def alpha_of(fwhm_px: float) -> float:
    """Moffat's alpha for a full width at half maximum."""
    return fwhm_px / (2.0 * math.sqrt(2.0 ** (1.0 / BETA) - 1.0))


def _good_size(least: int) -> int:
    """The next size whose transform is quick (only 2, 3 and 5 as factors)."""
    size = least
    while True:
        rest = size
        for prime in (2, 3, 5):
            while rest % prime == 0:
                rest //= prime
        if rest == 1:
            return size
        size += 1


def _centred(size: int) -> Float64:
    """Sample positions with 0 first, as a transform wants them."""
    return np.asarray(np.fft.fftfreq(size, 1.0 / size), np.float64)


def _ring(distance: Float64, outer: float, inner: float) -> Float64:
    """A disc with a hole and edges softened over one sample, of unit volume."""
    disc = np.clip(outer - distance + 0.5, 0.0, 1.0)
    if inner > 0.5:
        disc *= np.clip(distance - inner + 0.5, 0.0, 1.0)
    return np.asarray(disc / disc.sum())


def _trail(path: Float64, weight: Float64, size: int) -> Float64:
    """Points of a path (rows of x, y in samples) as bilinear spots on a wrapped grid, of unit volume."""
    grid = np.zeros((size, size))
    base = np.floor(path).astype(np.int64)
    share = path - base
    for ox in (0, 1):
        for oy in (0, 1):
            spot = np.abs(1 - ox - share[:, 0]) * np.abs(1 - oy - share[:, 1]) * weight
            np.add.at(grid, ((base[:, 1] + oy) % size, (base[:, 0] + ox) % size), spot)
    return np.asarray(grid / weight.sum())


def _oversampling(radius_px: int) -> int:
    return 5 if radius_px <= 24 else 3  # odd, so that the shifts fall on samples


def build(fwhm_px: float, blur_px: float, obstruction: float, path_px: Float64, weight: Float64) -> Bank:
    """The bank for a seeing, a defocus disc's diameter with its central obstruction, and a path of the image
    (rows of x, y about 0, with weights), all in pixels.
    """
    alpha_px = alpha_of(fwhm_px)
    reach_px = blur_px / 2.0 + float(np.abs(path_px).max())
    radius_px = min(MAX_RADIUS_PX, math.ceil(reach_px + 3.2 * fwhm_px + 2.0))
    fine = _oversampling(radius_px)
    size = _good_size((2 * radius_px + 3) * fine)
    axis = _centred(size) / fine
    square = axis[:, None] ** 2 + axis[None, :] ** 2
    spectrum = np.fft.rfft2(moffat(square, alpha_px) / fine**2)
    if blur_px > 0.4:
        distance = np.sqrt(square) * fine
        spectrum *= np.fft.rfft2(_ring(distance, blur_px / 2.0 * fine, blur_px / 2.0 * fine * obstruction))
    if float(np.abs(path_px).max()) > 0.1:
        spectrum *= np.fft.rfft2(_trail(path_px * fine, weight, size))
    frequency = np.fft.fftfreq(size) * fine
    pixel = np.sinc(frequency)[:, None] * np.sinc(frequency[: size // 2 + 1])[None, :]
    image = np.maximum(np.fft.irfft2(spectrum * pixel, (size, size)) * fine**2, 0.0)
    return Bank(_shifts(image, radius_px, fine), radius_px, reach_px + fwhm_px, alpha_px)


def _shifts(image: Float64, radius_px: int, fine: int) -> Float32:
    """The image seen at every shift within a pixel: shift k means the star is k/fine - 1/2 + 1/(2 fine) px
    along.
    """
    pixels = np.arange(-radius_px, radius_px + 1) * fine
    moved = (np.arange(fine) + 0.5) - fine / 2.0
    rows = pixels[None, :] - np.rint(moved[:, None]).astype(np.int64)
    stamps = image[rows[:, None, :, None], rows[None, :, None, :]]
    return np.ascontiguousarray(stamps, dtype=np.float32)
