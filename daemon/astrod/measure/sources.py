"""The sky and what stands out of it: astrod's only door to `sep` (Source Extractor as a library)."""

from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
import sep
from numpy.typing import NDArray

from astrod.errors import InputInvalid
from astrod.measure.moments import windows

Floats = NDArray[np.float64]

_THRESHOLD_SIGMAS = 4.0
_SMALLEST_AREA_PX = 4
_DEBLEND_CONTRAST = 0.03  # coarser than sep's own 0.005: a donut must stay one source
_COARSER_SIGMAS = (12.0, 60.0)
_HOT_SHARE = 0.8
_STRIP_PX = 1024
_OVERLAP_PX = 96
"""sep's cleaning takes time by the square of the sources, so tall frames are searched in strips."""

_ROUNDING = 3e-7  # what float32 itself leaves, relative to the level

sep.set_sub_object_limit(8192)


@dataclass(frozen=True, slots=True, eq=False)
class Sky:
    """Background level and noise in ADU, the sky-subtracted plane, and the coarse map of the background."""

    level: float
    noise: float
    above: NDArray[np.float32]
    coarse: Floats


@dataclass(frozen=True, slots=True, eq=False)
class Sources:
    """What was detected, by falling flux; positions in pixels of the plane, 0 the centre of the first.

    `signal` is the peak in units of the noise, `a` and `b` isophotal sigmas, `length` the longer side of the
    box around it, `hot` True for what is sharper than any star: hot pixels and cosmic rays.
    """

    x: Floats
    y: Floats
    flux: Floats
    peak: Floats
    signal: Floats
    a: Floats
    b: Floats
    theta: Floats
    area: Floats
    length: Floats
    clean: NDArray[np.bool_]
    hot: NDArray[np.bool_]

    def __len__(self) -> int:
        return int(self.x.size)


def sky(plane: NDArray[np.float32], mask: NDArray[np.bool_] | None) -> Sky:
    """The background by sep's mesh (64 pixels, less for small frames) and what is left above it."""
    mesh = int(np.clip(min(plane.shape) // 4, 8, 64))
    background = sep.Background(plane, mask=mask, bw=mesh, bh=mesh, fw=3, fh=3)
    back = background.back(dtype=np.float32)
    step = max(1, mesh // 2)
    coarse = back[::step, ::step].astype(np.float64)
    above = np.subtract(plane, back, out=back)  # in place: a large frame is a hundred megabytes
    noise = float(background.globalrms)
    if noise in (0.0, 1.0):  # sep says 1 where it found none: most pixels equal, as with few bits
        noise = float(np.std(np.diff(above, axis=1))) / np.sqrt(2.0)
    if not noise > _ROUNDING * abs(float(background.globalback)):
        raise InputInvalid("the frame has no noise at all; a real sensor has: give the raw frame")
    return Sky(float(background.globalback), noise, above, coarse)


def sources(found: Sky, mask: NDArray[np.bool_] | None) -> Sources:
    """Everything over four sigma; where that is too much for sep's buffers, what stands out more."""
    table = _extract(found, mask)
    table = table[np.argsort(-table["flux"], kind="stable")]
    x, y = table["x"].astype(np.float64), table["y"].astype(np.float64)
    width = table["xmax"] - table["xmin"] + 1
    height = table["ymax"] - table["ymin"] + 1
    peak = table["peak"].astype(np.float64)
    return Sources(
        x=x,
        y=y,
        flux=table["flux"].astype(np.float64),
        peak=peak,
        signal=peak / found.noise,
        a=np.maximum(table["a"].astype(np.float64), 0.3),
        b=np.maximum(table["b"].astype(np.float64), 0.3),
        theta=table["theta"].astype(np.float64),
        area=table["npix"].astype(np.float64),
        length=np.hypot(width, height).astype(np.float64),
        clean=np.asarray(table["flag"] == 0),
        hot=_hot(found.above, table),
    )


def _extract(found: Sky, mask: NDArray[np.bool_] | None) -> NDArray[Any]:
    """What stands out, strip by strip; each source is taken from the strip in which its peak lies."""
    rows = found.above.shape[0]
    edges = np.linspace(0, rows, max(1, rows // _STRIP_PX) + 1).astype(int).tolist()
    parts = []
    for top, bottom in pairwise(edges):
        first, last = max(0, top - _OVERLAP_PX), min(rows, bottom + _OVERLAP_PX)
        table = _extract_part(found.above[first:last], None if mask is None else mask[first:last], found.noise)
        for name in ("y", "ypeak", "ymin", "ymax"):
            table[name] += first
        parts.append(table[(table["ypeak"] >= top) & (table["ypeak"] < bottom)])
    return parts[0] if len(parts) == 1 else np.concatenate(parts)


def _extract_part(above: NDArray[np.float32], mask: NDArray[np.bool_] | None, noise: float) -> NDArray[Any]:
    sep.set_extract_pixstack(_buffer_px(above.size))
    for sigmas in (_THRESHOLD_SIGMAS, *_COARSER_SIGMAS):
        contrast = _DEBLEND_CONTRAST if sigmas == _THRESHOLD_SIGMAS else 1.0
        try:
            table: NDArray[Any] = sep.extract(
                above,
                sigmas,
                err=noise,
                mask=mask,
                minarea=_SMALLEST_AREA_PX,
                deblend_cont=contrast,
            )
            return table
        except Exception as fault:  # noqa: BLE001  sep raises bare Exception when a buffer is full
            full = fault
    raise InputInvalid(f"too much structure to tell sources apart ({full}); give a raw, unstacked frame")


def _buffer_px(pixels: int) -> int:
    """Size of sep's pixel buffer: it is cleared on each call, which for small frames took longest of all."""
    return min(max(pixels // 3, 20_000), 1_000_000)


def _hot(above: NDArray[np.float32], table: NDArray[Any]) -> NDArray[np.bool_]:
    """True where one pixel, or one pixel pair, holds nearly all of the light around the peak."""
    column, row = table["xpeak"].astype(np.int64), table["ypeak"].astype(np.int64)
    reach = np.arange(-1, 2)
    around = windows(above, row[:, None, None] + reach[None, :, None], column[:, None, None] + reach[None, None, :])
    light = np.maximum(around, 0.0).sum(axis=(1, 2))
    return np.asarray(around[:, 1, 1] > _HOT_SHARE * np.maximum(light, 1e-9))
