"""How a star's light falls off: what tells wide seeing (a core with wings) from defocus (a disc with an edge) and a
dewed lens (a halo).
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from astrod.measure.moments import Shapes, stamps

Floats = NDArray[np.float64]

_HALO_STARS = 16
_HALO_SIGNAL = 40.0
_HALO_REACH = (2.5, 4.0)
_LARGEST_HALF_PX = 48


@dataclass(frozen=True, slots=True)
class Profile:
    """Medians over the stars, radii in units of the FWHM.

    `core`: light inside half a FWHM over that inside one and a half (0.50 for a Gaussian). `edge`: logarithm of the
    light between 0.5 and 1 over that between 1 and 1.5 (0.86 for a Gaussian, less with wings, more for a disc).
    `halo`: logarithm of the brightness at 2.5 to 4 over that of the centre, floored at -4; -4 where no star is bright.
    """

    core: float
    edge: float
    halo: float


def profile(
    cut: NDArray[np.float32], shape: Shapes, above: NDArray[np.float32], x: Floats, y: Floats, signal: Floats
) -> Profile:
    """From the stamps that `shape` was fitted to; the halo from `above` around the brightest of x, y (by signal)."""
    good = shape.good
    fwhm = float(np.median(shape.fwhm[good]))
    radius = _radius(cut, shape.x, shape.y) / np.maximum(shape.fwhm, 0.5).astype(np.float32)[:, None, None]
    inside = [np.where(radius < reach, cut, np.float32(0.0)).sum(axis=(1, 2))[good] for reach in (0.5, 1.0, 1.5)]
    whole = np.maximum(inside[2], 1e-9)
    core = float(np.median(inside[0] / whole))
    near, far = inside[1] - inside[0], inside[2] - inside[1]
    edge = float(np.median(np.log10(np.clip(near / np.maximum(far, 0.01 * whole), 0.1, 100.0))))
    return Profile(float(np.clip(core, 0.0, 1.5)), edge, _halo(above, fwhm, x, y, signal))


def _radius(cut: NDArray[np.float32], x: Floats, y: Floats) -> NDArray[np.float32]:
    side = cut.shape[1]
    axis = np.arange(side, dtype=np.float32) - side // 2
    dx = axis[None, None, :] - x.astype(np.float32)[:, None, None]
    dy = axis[None, :, None] - y.astype(np.float32)[:, None, None]
    return np.asarray(np.hypot(dx, dy))


def _halo(above: NDArray[np.float32], fwhm: float, x: Floats, y: Floats, signal: Floats) -> float:
    bright = np.flatnonzero(signal > _HALO_SIGNAL)[:_HALO_STARS]
    if bright.size == 0:
        return -4.0
    half = int(np.clip(np.ceil(_HALO_REACH[1] * fwhm), 6, _LARGEST_HALF_PX))
    cut, _columns, _rows = stamps(above, x[bright], y[bright], half)
    axis = np.arange(2 * half + 1) - half
    radius = np.hypot(axis[None, :], axis[:, None]) / max(fwhm, 0.5)
    ring = (radius >= _HALO_REACH[0]) & (radius <= _HALO_REACH[1])
    middle = radius <= max(0.5, 1.0 / max(fwhm, 0.5))
    if not bool(ring.any()):
        ring = radius >= 0.8 * float(radius.max())
    around = np.median(cut[:, ring], axis=1)  # neighbours fill less than half of the ring
    share = around / np.maximum(cut[:, middle].mean(axis=1), 1e-9)
    return float(np.log10(np.clip(np.median(share), 1e-4, 1.0)))
