"""Real frames as backgrounds: read once, reduced to planes, handed out in pieces, turned and rescaled."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from astrod.frames.image import read_image
from astrod.measure.frame import measure_plane
from astrod.measure.plane import plane
from training.faults import Single, ramp

CAMERAS = ("seestar", "hatp32", "panoptes", "donuts")

_NO_SKY = ("dark", "rotation")
_SAME_PIXELS = ("focus_", "pointing00", "solved.fits.fz", "tiny")


@dataclass(frozen=True, slots=True, eq=False)
class Real:
    """A real exposure. `trailing` is how far its own stars are from round, 0..1 as a label."""

    name: str
    camera: str
    values: Single
    scale_px: int
    saturation_adu: float | None
    fwhm: float
    noise: float
    trailing: float


def real_frames(folder: Path) -> list[Real]:
    """Every usable real exposure under `folder`, one of each when several files hold the same pixels.

    None are found where the folder is missing; then the simulated skies alone must do.
    """
    return [
        _real(path, camera)
        for camera in CAMERAS
        for path in sorted((folder / camera).glob("*.gz"))
        if not any(word in path.name for word in _NO_SKY + _SAME_PIXELS)
    ]


def _real(path: Path, camera: str) -> Real:
    seen = plane(read_image(path))
    measured, _evidence = measure_plane(seen)
    elongation = measured.elongation or 1.0
    return Real(
        name=path.name,
        camera=camera,
        values=seen.values,
        scale_px=seen.scale_px,
        saturation_adu=seen.saturation_adu,
        fwhm=(measured.fwhm_px or 3.0) / seen.scale_px,
        noise=measured.noise or 1.0,
        trailing=0.5 * ramp(elongation, 1.6, 2.1),
    )


@dataclass(frozen=True, slots=True, eq=False)
class Piece:
    """A part of a real frame: the light of its sources, and everything else with their places filled by
    noise.
    """

    light: Single
    rest: Single
    fwhm: float
    noise: float
    saturation_adu: float | None
    scale_px: int
    trailing: float


def piece(rng: np.random.Generator, real: Real, whole: bool = False) -> Piece:
    """A random part at a random scale and turn; `whole`: the frame as it is."""
    values, fwhm, noise = real.values, real.fwhm, real.noise
    if not whole:
        values = _cut(rng, values)
        factor = float(np.exp(rng.uniform(np.log(0.5), np.log(1.6)))) if rng.random() < 0.6 else 1.0
        if factor * fwhm < 1.3 or min(values.shape) * factor < 150:
            factor = 1.0
        if factor != 1.0:
            values, noise = _rescaled(rng, values, factor, noise)
            fwhm = fwhm * factor
        values = np.rot90(values, int(rng.integers(0, 4)))
        values = values[:, ::-1] if rng.random() < 0.5 else values
    values = np.ascontiguousarray(values, dtype=np.float32)
    light, rest = _parted(rng, values, noise, fwhm)
    return Piece(light, rest, fwhm, noise, real.saturation_adu, real.scale_px, real.trailing)


def _cut(rng: np.random.Generator, values: Single) -> Single:
    rows, columns = (min(int(axis * rng.uniform(0.5, 1.0)), 600) if axis > 300 else axis for axis in values.shape)
    top = int(rng.integers(0, values.shape[0] - rows + 1))
    left = int(rng.integers(0, values.shape[1] - columns + 1))
    return values[top : top + rows, left : left + columns]


def _rescaled(rng: np.random.Generator, values: Single, factor: float, noise: float) -> tuple[Single, float]:
    """Resampled by `factor`; interpolation smooths the noise, so white noise of half its strength is
    added.
    """
    source = ndimage.gaussian_filter(values, 0.35 / factor) if factor < 0.8 else values
    scaled = ndimage.zoom(source, factor, order=1)
    added = rng.normal(0.0, 0.5 * noise, scaled.shape)
    return (scaled + added).astype(np.float32), noise


def _parted(rng: np.random.Generator, values: Single, noise: float, fwhm: float) -> tuple[Single, Single]:
    """Source light, and the frame without it."""
    middle = ndimage.zoom(ndimage.median_filter(values[::8, ::8], 9), 8, order=1)
    sky = np.full(values.shape, np.median(values), dtype=np.float32)
    rows, columns = min(middle.shape[0], values.shape[0]), min(middle.shape[1], values.shape[1])
    sky[:rows, :columns] = middle[:rows, :columns]
    above = values - sky
    smooth = ndimage.uniform_filter(above, 3)
    mask: NDArray[np.bool_] = smooth > 1.2 * noise
    mask = ndimage.binary_opening(mask, iterations=1) | (above > 8.0 * noise)
    mask = ndimage.binary_dilation(mask, iterations=max(2, int(fwhm)))
    light = np.where(mask, above, np.float32(0.0)).astype(np.float32)
    fill = rng.normal(0.0, noise, values.shape).astype(np.float32)
    rest = np.where(mask, sky + fill, values).astype(np.float32)
    return light, rest
