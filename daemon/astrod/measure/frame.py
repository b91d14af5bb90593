"""A frame, measured by classical means: sky, sources, star sizes and shapes, and what the judge wants to
know.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from astrod.domain.exposure import Measured
from astrod.measure.defects import defects
from astrod.measure.lines import line_signal
from astrod.measure.moments import FWHM_PER_SIGMA, Shapes, shapes, stamps
from astrod.measure.plane import Frame, Plane, plane
from astrod.measure.profile import profile
from astrod.measure.sources import Sky, Sources, sky, sources
from astrod.measure.starlike import starlike

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]

_MOST_STARS = 60
_LEAST_SIGNAL = 8.0
_SATURATED_SHARE = 0.9
_LONG_RATIO = 5.0
_CELLS = 4


@dataclass(frozen=True, slots=True, eq=False)
class Features:
    """What the judge is shown: see `astrod_models.quality.View` and `astrod_models.anomaly.Scene`, whose fields these
    are; and `flux` of the sources at x, y, ADU.
    """

    above: NDArray[np.float32]
    sky: Floats
    x: Floats
    y: Floats
    values: Mapping[str, float]
    known: Floats
    flux: Floats


def measure(frame: Frame) -> tuple[Measured, Features]:
    """Measure a raw frame. Raises InputInvalid where no sky can be made out at all (no noise, all
    structure).
    """
    return measure_plane(plane(frame))


def measure_plane(seen: Plane) -> tuple[Measured, Features]:
    """Measure what is already one brightness plane; as `measure`."""
    found = sky(seen.values, seen.mask)
    listed = sources(found, seen.mask)
    full = _full(listed, seen)
    stars = ~listed.hot & ~_long(listed)
    picked = np.flatnonzero(stars & ~full)
    picked = picked[np.argsort(-listed.signal[picked], kind="stable")]
    shaped = _shapes(found, listed, picked[:_MOST_STARS])
    shape = None if shaped is None else shaped[0]
    values = (
        _sky_values(found)
        | _glow_values(found, seen)
        | _count_values(found, listed, stars, full, seen)
        | _defect_values(found)
        | _shape_values(shape)
        | _profile_values(found, listed, picked, shaped)
    )
    measured = Measured(
        stars=int(np.count_nonzero(stars)),
        background=found.level,
        noise=found.noise,
        fwhm_px=None if shape is None else float(np.median(shape.fwhm[shape.good])) * seen.scale_px,
        elongation=None if shape is None else _elongation(shape),
        saturated=int(np.count_nonzero(full)),
    )
    coarse = (found.coarse - np.median(found.coarse)) / found.noise
    above = np.multiply(found.above, np.float32(1.0 / found.noise), out=found.above)  # nobody needs it in ADU any more
    known = starlike(listed, full)
    return measured, Features(above, coarse, listed.x[picked], listed.y[picked], values, known, listed.flux[picked])


def _full(listed: Sources, seen: Plane) -> Bools:
    """Sources whose peak reaches the saturation level."""
    if seen.saturation_adu is None:
        return np.zeros(len(listed), dtype=bool)
    column = np.clip(np.rint(listed.x).astype(int), 0, seen.values.shape[1] - 1)
    row = np.clip(np.rint(listed.y).astype(int), 0, seen.values.shape[0] - 1)
    return np.asarray(seen.values[row, column] >= _SATURATED_SHARE * seen.saturation_adu)


def _long(listed: Sources) -> Bools:
    """Sources far longer than wide and than the others: streaks, not stars."""
    if len(listed) == 0:
        return np.zeros(0, dtype=bool)
    usual = float(np.median(listed.length))
    return np.asarray((listed.a > _LONG_RATIO * listed.b) & (listed.length > 4.0 * usual))


Shaped = tuple[Shapes, NDArray[np.float32]]
"""The fitted shapes, and the stamps they were fitted to."""


def _shapes(found: Sky, listed: Sources, picked: NDArray[np.intp]) -> Shaped | None:
    """Adaptive shapes of the picked stars, the clear ones when there are enough; None when none can be
    had.
    """
    clear = picked[(listed.signal[picked] > _LEAST_SIGNAL) & listed.clean[picked]]
    chosen = clear if clear.size >= 5 else picked[listed.signal[picked] > 0.6 * _LEAST_SIGNAL]
    if chosen.size == 0:
        return None
    size = float(np.median(listed.a[chosen]))
    half = int(np.clip(np.ceil(3.5 * size), 6, 32))
    cut, _columns, _rows = stamps(found.above, listed.x[chosen], listed.y[chosen], half)
    start = np.clip(np.sqrt(listed.a[chosen] * listed.b[chosen]), 0.5, half / 2.5)
    shape = shapes(cut, start)
    return (shape, cut) if bool(shape.good.any()) else None


def _elongation(shape: Shapes) -> float:
    return float(np.median((shape.major / shape.minor)[shape.good]))


def _log(value: float) -> float:
    """Common logarithm, floored where there is nothing."""
    return float(np.log10(max(value, 1e-3)))


def _sky_values(found: Sky) -> dict[str, float]:
    """The unevenness of the sky in units of the pixel noise: slope, what a slope leaves, and the fine
    part.
    """
    rows, columns = found.coarse.shape
    v, u = np.mgrid[-1 : 1 : rows * 1j, -1 : 1 : columns * 1j] if min(rows, columns) > 1 else np.zeros((2, 1, 1))
    grid = found.coarse[: u.shape[0], : u.shape[1]] / found.noise
    basis = np.stack([np.ones(u.size), u.ravel(), v.ravel()], axis=1)
    fit, *_rest = np.linalg.lstsq(basis, grid.ravel(), rcond=None)
    left = (grid.ravel() - basis @ fit).reshape(grid.shape)
    steps = np.concatenate([np.diff(left, axis=0).ravel(), np.diff(left, axis=1).ravel()])
    spread = np.subtract(*np.percentile(left, [90, 10]))
    return {
        "sky_spread": _log(float(spread)),
        "sky_slope": _log(float(np.hypot(fit[1], fit[2]))),
        "sky_fine": _log(float(np.abs(steps).mean()) if steps.size else 0.0),
        "noise_spread": _noise_spread(found),
    }


def _glow_values(found: Sky, seen: Plane) -> dict[str, float]:
    """Where the sky is bright: its highest and lowest part in units of the noise, how near to an edge the highest is
    (1: at it), and the level as a share of the highest value that a pixel can have or has.
    """
    grid = found.coarse / found.noise
    middle = float(np.median(grid))
    low, high = np.percentile(grid, [2, 98])
    row, column = np.unravel_index(int(np.argmax(grid)), grid.shape)
    off = [abs(2.0 * (at + 0.5) / size - 1.0) for at, size in ((row, grid.shape[0]), (column, grid.shape[1]))]
    top = seen.saturation_adu or float(seen.values.max())
    return {
        "sky_peak": _log(float(high) - middle),
        "sky_dip": _log(middle - float(low)),
        "peak_edge": max(off),
        "log_level": _log(found.level / top) if top > 0.0 else -3.0,
    }


def _defect_values(found: Sky) -> dict[str, float]:
    """Hot pixels per million and standing rows or columns."""
    seen = defects(found.above, found.noise)
    return {"log_sharp": float(np.log10(1.0 + seen.hot_per_mpx)), "log_standing": float(np.log10(1.0 + seen.lines))}


def _noise_spread(found: Sky) -> float:
    """How unevenly the noise lies over a 4×4 raster: logarithm of the 90th over the 10th percentile."""
    rows, columns = (max(1, axis // _CELLS) for axis in found.above.shape)
    stride = max(1, int(np.sqrt(rows * columns / 4000)))
    cells = [
        found.above[row * rows : (row + 1) * rows : stride, column * columns : (column + 1) * columns : stride].ravel()
        for row in range(_CELLS)
        for column in range(_CELLS)
    ]
    widths = np.subtract(*np.percentile(cells, [70, 30], axis=1))  # one call for all: each costs more than its sort
    high, low = np.percentile(widths.astype(np.float64), [90, 10])
    return float(np.clip(np.log(max(high, 1e-9) / max(low, 1e-9)), 0.0, 5.0))


def _count_values(found: Sky, listed: Sources, stars: Bools, full: Bools, seen: Plane) -> dict[str, float]:
    """How many, how bright, how spread over the frame."""
    pixels = float(found.above.size)
    count = int(np.count_nonzero(stars))
    signal = np.sort(listed.signal[stars & ~full])[::-1]
    dispersion, empty = _evenness(found, listed, stars)
    usual = float(np.median(listed.length[stars])) if count else 4.0
    long = (listed.a > 3.0 * listed.b) & (listed.length > 3.0 * usual) & ~listed.hot
    longest = float(listed.length[long].max()) / min(found.above.shape) if bool(long.any()) else 0.0
    return {
        "log_stars": float(np.log10(1.0 + count)),
        "log_density": float(np.log10((count + 0.5) / pixels * 1e6)),
        "log_bright": float(np.log10(1.0 + np.count_nonzero(listed.signal[stars] > 30.0))),
        "log_top_signal": _log(float(signal[min(4, signal.size - 1)]) if signal.size else 0.0),
        "log_median_signal": _log(float(np.median(signal)) if signal.size else 0.0),
        "patchy": dispersion,
        "empty": empty,
        "log_longest": _log(longest),
        "log_line": _log(line_signal(found.above)),
        "log_long_count": float(np.log10(1.0 + np.count_nonzero(long))),
        "log_hot": float(np.log10(1.0 + np.count_nonzero(listed.hot) / pixels * 1e6)),
        "log_saturated": float(np.log10(1.0 + np.count_nonzero(full))),
        "log_area": _log(float(listed.area[stars].sum()) / pixels),
        "log_size": float(np.log2(np.sqrt(pixels) / 512.0)),
        "superpixel": float(seen.scale_px == 2),
    }


def _evenness(found: Sky, listed: Sources, stars: Bools) -> tuple[float, float]:
    """Of star counts on a 4×4 raster: log of variance over mean, and empty cells beyond what chance
    leaves.
    """
    if not bool(stars.any()):
        return 0.0, 0.0
    rows, columns = found.above.shape
    counts, _y, _x = np.histogram2d(listed.y[stars], listed.x[stars], bins=_CELLS, range=((0, rows), (0, columns)))
    mean = float(counts.mean())
    dispersion = float(np.log10(max(float(counts.var()) / mean, 0.1)))
    return dispersion, float(np.mean(counts == 0.0)) - float(np.exp(-mean))


def _shape_values(shape: Shapes | None) -> dict[str, float]:
    """Sizes and shapes of the stars, in pixels of the plane; neutral values where there are none."""
    if shape is None:
        neutral = ("fwhm_spread", "log_elongation", "coherence", "scatter")
        return {"shaped": 0.0, "log_fwhm": 1.0, "hollow": 1.5, "wings": 1.0} | dict.fromkeys(neutral, 0.0)
    good = shape.good
    fwhm = shape.fwhm[good]
    e1, e2 = shape.e1[good], shape.e2[good]
    mean1, mean2 = float(np.median(e1)), float(np.median(e2))
    quarter, half, three = np.percentile(fwhm, [25, 50, 75])
    return {
        "shaped": float(np.log10(1.0 + good.sum())),
        "log_fwhm": float(np.log2(max(half, 0.5))),
        "fwhm_spread": float((three - quarter) / max(half, 0.1)),
        "log_elongation": float(np.log(_elongation(shape))),
        "coherence": float(np.hypot(mean1, mean2)),
        "scatter": float(np.median(np.hypot(e1 - mean1, e2 - mean2))),
        "hollow": float(np.median(shape.hollow[good])),
        "wings": float(np.median(shape.major[good]) * FWHM_PER_SIGMA / max(half, 0.1)),
    }


def _profile_values(found: Sky, listed: Sources, picked: NDArray[np.intp], shaped: Shaped | None) -> dict[str, float]:
    """How the stars' light falls off; a Gaussian's values where there are none."""
    if shaped is None:
        return {"core": 0.5, "edge": 0.86, "halo": -4.0}
    shape, cut = shaped
    seen = profile(cut, shape, found.above, listed.x[picked], listed.y[picked], listed.signal[picked])
    return {"core": seen.core, "edge": seen.edge, "halo": seen.halo}
