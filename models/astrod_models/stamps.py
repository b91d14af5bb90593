"""Cut-outs around candidates of difference imaging, as the real-or-bogus model takes them.

A triplet is science, reference and difference, square, the candidate at its middle. Every plane is brought to
units of its own sky noise about its own sky, so that gain, units, exposure and zero point do not matter; pixels
without a value (NaN, infinite, the flat fillings of edges and masks) are told apart from sky. Nothing here
depends on the pixels' orientation.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

SIDE = 63
"""Pixels along a cut-out as the model sees it."""

CHANNELS = ("science", "reference", "difference", "science less reference", "no value")
COMPRESSION = 0.25
"""A channel is asinh(noise units) × this; the last is 1 where any plane lacks a value."""

FEATURES = (
    "peak",
    "signal",
    "off_centre",
    "deepest",
    "deepest_to_peak",
    "positive_near",
    "positive_wide",
    "sharpness",
    "concentration",
    "width",
    "elongation",
    "negative_share",
    "ring_share",
    "asymmetry",
    "science_signal",
    "reference_signal",
    "sign",
    "sign_unscaled",
    "agreement",
    "masked",
    "masked_near",
    "rough_around",
    "farther_peak",
    "brightest_reference",
    "noise_ratio",
    "in_a_row",
)
"""Names of the measured features, in order; see `features_of`."""

Floats = NDArray[np.float32]
Mask = NDArray[np.bool_]

_LARGEST = 1.0e30
_CEILING = 1.0e6
_FLAT_MOST = 0.6
"""A plane that is flat over more than this is quantised or empty, not masked."""

_BLANK_BELOW = -25.0
"""In noise units: science and reference fall no deeper than this by nature, only by filling."""

_LEAST_SCALE_PX = 12
_ROW, _COLUMN = np.mgrid[:SIDE, :SIDE] - SIDE // 2
_RADIUS: NDArray[np.float64] = np.hypot(_ROW, _COLUMN)


@dataclass(frozen=True, slots=True, eq=False)
class Stamps:
    """Triplets in noise units.

    `planes` (N, 3, 63, 63), 0 where there is no value; `less` (N, 63, 63) is science less reference brought to its
    flux scale by `scale` (N,), in units of its own noise; `valid` (N, 3, 63, 63); `noise` (N, 3) in the units that came
    in, 1 for a plane that has none.
    `reasons` says for each triplet why it cannot be judged, or None.
    """

    planes: Floats
    less: Floats
    valid: Mask
    noise: Floats
    scale: Floats
    reasons: tuple[str | None, ...]

    def __len__(self) -> int:
        return len(self.reasons)


def stamps_of(triplets: NDArray[Any]) -> Stamps:
    """Normalise triplets (N, S, S, 3) of any real type and any S from 15 up.

    Larger ones are cut to their middle, smaller ones bordered by pixels without a value: the pixel scale stays.
    Raises ValueError for arrays of another shape or type.
    """
    values, finite = _framed(triplets)
    valid = finite & ~_fillings(values, finite)
    sky, noise = _sky(values, valid)
    alive = noise > 0.0
    divisor = np.where(alive, noise, np.float32(1.0))
    sigmas = (values - sky[..., None, None]) / divisor[..., None, None]
    valid[:, :2] &= sigmas[:, :2] > _BLANK_BELOW
    valid &= alive[..., None, None]
    planes = np.where(valid, np.clip(sigmas, -_CEILING, _CEILING), np.float32(0.0)).astype(np.float32)
    scale = _flux_scale(planes, valid, divisor)
    less, _noise = _less(planes, valid, divisor, scale)
    return Stamps(planes, less, valid, divisor, scale, _reasons(valid, alive))


def _framed(triplets: NDArray[Any]) -> tuple[Floats, Mask]:
    """As (N, 3, 63, 63) float32, 0 where not finite; and where it is finite."""
    if triplets.ndim != 4 or triplets.shape[3] != 3 or triplets.shape[1] != triplets.shape[2]:
        raise ValueError(f"triplets are N×S×S×3, not {'×'.join(map(str, triplets.shape)) or 'a single number'}")
    if triplets.dtype.kind not in "fiub":
        raise ValueError(f"triplets hold real numbers, not {triplets.dtype}")
    side = triplets.shape[1]
    if side < 15:
        raise ValueError(f"cut-outs of {side}×{side} pixels are too small; 15×15 at least, better {SIDE}×{SIDE}")
    first = max(0, side // 2 - SIDE // 2)
    middle = triplets[:, first : first + SIDE, first : first + SIDE]
    kept = middle.shape[1]
    values = np.zeros((len(triplets), 3, SIDE, SIDE), dtype=np.float32)
    finite = np.zeros(values.shape, dtype=bool)
    start = SIDE // 2 - (side // 2 - first)
    place = (slice(None), slice(None), slice(start, start + kept), slice(start, start + kept))
    with np.errstate(over="ignore"):  # a float64 beyond float32 becomes infinite, and so has no value
        turned = np.moveaxis(middle, 3, 1).astype(np.float32)
    usable = np.abs(turned) < _LARGEST
    finite[place] = usable
    values[place] = np.where(usable, turned, np.float32(0.0))
    return values, finite


def _fillings(values: Floats, finite: Mask) -> Mask:
    """Pixels equal to all their neighbours: edges and masks filled with one value."""
    rows, columns = values.shape[2:]
    padded = np.pad(values, ((0, 0), (0, 0), (1, 1), (1, 1)), mode="edge")
    flat = finite.copy()
    for row in range(3):
        for column in range(3):
            flat &= padded[:, :, row : row + rows, column : column + columns] == values
    flat[flat.sum(axis=(2, 3)) > _FLAT_MOST * np.maximum(1, finite.sum(axis=(2, 3)))] = False
    return _grown(flat) & _filled_alike(values, flat)


def _grown(mask: Mask) -> Mask:
    """The mask and its neighbours."""
    padded = np.pad(mask, ((0, 0), (0, 0), (1, 1), (1, 1)))
    rows, columns = mask.shape[2:]
    grown = np.zeros_like(mask)
    for row in range(3):
        for column in range(3):
            grown |= padded[:, :, row : row + rows, column : column + columns]
    return grown


def _filled_alike(values: Floats, flat: Mask) -> Mask:
    """Pixels that carry the value of the plane's flat parts."""
    filling = np.where(flat, values, -np.inf).max(axis=(2, 3), keepdims=True)
    lowest = np.where(flat, values, np.inf).min(axis=(2, 3), keepdims=True)
    alike: Mask = (values == filling) | (values == lowest)
    return alike | flat


def _sky(values: Floats, valid: Mask) -> tuple[Floats, Floats]:
    """Median and robust noise, from the lower half so that stars do not count, of each plane (N, 3)."""
    count = valid.sum(axis=(2, 3))
    order = np.sort(np.where(valid, values, np.float32(np.inf)).reshape(*count.shape, SIDE * SIDE), axis=2)

    def quantile(share: float) -> Floats:
        where = np.minimum((count * share).astype(int), order.shape[2] - 1)[..., None]
        found: Floats = np.take_along_axis(order, where, axis=2)[..., 0]
        return found

    middle, low = quantile(0.5), quantile(0.16)
    enough = count >= 25
    middle = np.where(enough, middle, np.float32(0.0))
    noise = np.where(enough, middle - np.where(enough, low, np.float32(0.0)), np.float32(0.0))
    return middle.astype(np.float32), np.where(noise > 1e-6 * np.abs(middle) + 1e-30, noise, 0.0).astype(np.float32)


def _flux_scale(planes: Floats, valid: Mask, noise: Floats) -> Floats:
    """Science counts for one of the reference's, by the stars around; 1 where they do not contradict that.

    Planes mostly come on one scale. Only a plain difference (a cut-out normalised by its own) is undone.
    """
    both = valid[:, 0] & valid[:, 1] & (_RADIUS > 8.0)
    bright = both & (planes[:, 1] > 10.0) & (planes[:, 0] > 3.0)
    enough = bright.sum(axis=(1, 2)) >= _LEAST_SCALE_PX
    science = np.where(bright, planes[:, 0], 0.0).sum(axis=(1, 2)) * noise[:, 0].astype(np.float64)
    reference = np.where(bright, planes[:, 1], 0.0).sum(axis=(1, 2)) * noise[:, 1].astype(np.float64)
    scale = np.where(enough, science / np.where(enough, reference, 1.0), 1.0)
    return np.where((scale > 0.6) & (scale < 1.7), 1.0, np.clip(scale, 1e-6, 1e6)).astype(np.float32)


def _less(planes: Floats, valid: Mask, noise: Floats, scale: Floats) -> tuple[Floats, Floats]:
    """Science less the scaled reference in units of both noises together; and that noise, in science's units."""
    ratio = np.minimum(scale.astype(np.float64) * noise[:, 1] / noise[:, 0], _CEILING).astype(np.float32)
    spread = np.sqrt(1.0 + ratio * ratio)
    less = (planes[:, 0] - ratio[:, None, None] * planes[:, 1]) / spread[:, None, None]
    kept = np.where(valid[:, 0] & valid[:, 1], np.clip(less, -_CEILING, _CEILING), np.float32(0.0))
    return kept.astype(np.float32), (spread * noise[:, 0]).astype(np.float32)


def _reasons(valid: Mask, alive: Mask) -> tuple[str | None, ...]:
    near = _within(2.0)
    empty = valid[:, 2][:, near].sum(axis=1) < 5
    reasons: list[str | None] = []
    for index in range(len(valid)):
        if not alive[index, 2]:
            reasons.append("the difference is empty, constant or masked")
        elif not alive[index, 0]:
            reasons.append("the science cut-out is empty, constant or masked")
        elif empty[index]:
            reasons.append("the difference has no values at its middle")
        else:
            reasons.append(None)
    return tuple(reasons)


def view_of(stamps: Stamps) -> Floats:
    """What the network looks at, channels as CHANNELS, (N, 5, 63, 63)."""
    sigmas = np.concatenate([stamps.planes, stamps.less[:, None]], axis=1)
    lacks = _lacks(stamps)[:, None]
    return np.concatenate([_compressed(sigmas), lacks], axis=1, dtype=np.float32)


def _lacks(stamps: Stamps) -> Mask:
    """Where any of the three planes has no value."""
    lacks: Mask = ~np.all(stamps.valid, axis=1)
    return lacks


def _compressed(sigmas: Floats) -> Floats:
    """Noise units to the network's range: asinh, linear near 0, logarithmic far from it."""
    size = np.abs(sigmas)
    grown = np.log(size + np.sqrt(size * size + np.float32(1.0)))  # three times as fast as np.arcsinh
    compressed: Floats = np.copysign(grown, sigmas) * np.float32(COMPRESSION)
    return compressed


def features_of(stamps: Stamps) -> Floats:
    """What can be measured at the middle of a triplet, (N, 26) in the order of FEATURES, all finite.

    Signals are in noise units through a signed asinh; shares are of 1. `sign` is the flux of science less
    reference over that of the difference (1 for a brightening, -1 where the difference is turned round),
    `agreement` the correlation of the two planes near the middle.
    """
    with np.errstate(all="ignore"):
        named = _differences(stamps) | _surroundings(stamps)
    columns = np.stack([np.asarray(named[name], dtype=np.float32) for name in FEATURES], axis=1)
    return np.nan_to_num(columns, nan=0.0, posinf=20.0, neginf=-20.0)


def _within(radius: float) -> Mask:
    inside: Mask = radius >= _RADIUS
    return inside


def _between(inner: float, outer: float) -> Mask:
    return _within(outer) & ~_within(inner)


def _differences(stamps: Stamps) -> dict[str, NDArray[Any]]:
    """The difference's own shape."""
    difference = stamps.planes[:, 2]
    flat = difference.reshape(len(difference), SIDE * SIDE)
    near, wide, core = (_within(radius).ravel() for radius in (4.3, 9.0, 1.5))
    peak = flat[:, core].max(axis=1)
    deepest = flat[:, _within(6.0).ravel()].min(axis=1)
    around = np.where(_within(5.0).ravel(), flat, -np.inf)
    place = around.argmax(axis=1)
    core_sum, near_sum = flat[:, core].sum(axis=1), flat[:, near].sum(axis=1)
    turned = difference[:, ::-1, ::-1]
    box = np.s_[:, SIDE // 2 - 5 : SIDE // 2 + 6, SIDE // 2 - 5 : SIDE // 2 + 6]
    odd = np.sqrt(((difference - turned)[box] ** 2).sum(axis=(1, 2)) / (2.0 * (difference[box] ** 2).sum(axis=(1, 2))))
    width, elongation = _moments(difference)
    ring = _between(5.0, 10.0)
    return {
        "peak": np.arcsinh(peak),
        "signal": np.arcsinh(near_sum / np.sqrt(near.sum())),
        "off_centre": _RADIUS.ravel()[place],
        "deepest": np.arcsinh(deepest),
        "deepest_to_peak": np.clip(deepest / np.maximum(np.abs(peak), 1.0), -3.0, 1.0),
        "positive_near": near_sum / np.abs(flat[:, near]).sum(axis=1),
        "positive_wide": flat[:, wide].sum(axis=1) / np.abs(flat[:, wide]).sum(axis=1),
        "sharpness": np.clip(difference[:, SIDE // 2, SIDE // 2] / core_sum, -2.0, 2.0),
        "concentration": np.clip(core_sum / near_sum, -3.0, 3.0),
        "width": width,
        "elongation": elongation,
        "negative_share": (flat[:, near] < -2.0).mean(axis=1),
        "ring_share": (np.abs(difference[:, ring]) > 3.0).mean(axis=1),
        "asymmetry": odd,
    }


def in_a_row(difference: Floats) -> Floats:
    """How strong, against the middle of the difference (N, 63, 63), two others are that stand in a row with it, 0 to 1.

    Either on both sides and equally far, or on one side and the second twice as far: satellites that glint and
    aeroplanes that blink make such rows.
    """
    half = SIDE // 2
    padded = np.pad(difference, ((0, 0), (1, 1), (1, 1)))
    rows = padded[:, :-2] + padded[:, 1:-1] + padded[:, 2:]
    smooth = rows[:, :, :-2] + rows[:, :, 1:-1] + rows[:, :, 2:]
    beside = np.where(_RADIUS > 5.0, np.minimum(smooth, smooth[:, ::-1, ::-1]), 0.0).max(axis=(1, 2))
    once = smooth[:, half - 15 : half + 16, half - 15 : half + 16]
    twice = smooth[:, half - 30 : half + 31 : 2, half - 30 : half + 31 : 2]
    apart = _RADIUS[half - 15 : half + 16, half - 15 : half + 16] > 5.0
    beyond = np.where(apart, np.minimum(once, twice), 0.0).max(axis=(1, 2))
    middle = np.maximum(smooth[:, half - 1 : half + 2, half - 1 : half + 2].max(axis=(1, 2)), 15.0)
    share: Floats = np.clip(np.maximum(beside, beyond) / middle, 0.0, 1.0)
    return share


def _moments(difference: Floats) -> tuple[NDArray[Any], NDArray[Any]]:
    """Width in pixels and log axis ratio of the light above one sigma within 5 pixels."""
    light = np.where(_within(5.0) & (difference > 1.0), difference, 0.0).astype(np.float64)
    total = light.sum(axis=(1, 2)) + 1e-9
    mean = [(light * axis).sum(axis=(1, 2)) / total for axis in (_ROW, _COLUMN)]
    rr = (light * _ROW**2).sum(axis=(1, 2)) / total - mean[0] ** 2
    cc = (light * _COLUMN**2).sum(axis=(1, 2)) / total - mean[1] ** 2
    rc = (light * _ROW * _COLUMN).sum(axis=(1, 2)) / total - mean[0] * mean[1]
    half, gap = 0.5 * (rr + cc), np.sqrt(0.25 * (rr - cc) ** 2 + rc**2)
    return np.sqrt(np.maximum(half, 0.0)), 0.5 * np.log((half + gap + 0.1) / (np.maximum(half - gap, 0.0) + 0.1))


def _surroundings(stamps: Stamps) -> dict[str, NDArray[Any]]:
    """The difference against science, reference and what lies around."""
    science, reference, difference = (stamps.planes[:, index] for index in range(3))
    near, ring = _within(4.3), _between(5.0, 10.0)
    root = np.sqrt(near.sum())

    def over(plane: Floats) -> NDArray[Any]:
        above: NDArray[Any] = plane[:, near].sum(axis=1) - near.sum() * np.median(plane[:, ring], axis=1)
        return above

    flux = difference[:, near].sum(axis=1) * stamps.noise[:, 2].astype(np.float64)

    def ratio(scale: Floats) -> NDArray[Any]:
        less, noise = _less(stamps.planes, stamps.valid, stamps.noise, scale)
        share = less[:, near].sum(axis=1) * noise / np.where(flux == 0.0, 1.0, flux)
        clipped: NDArray[Any] = np.clip(share, -2.0, 2.0)
        return clipped

    together = np.hypot(stamps.noise[:, 0], stamps.noise[:, 1])

    box = _within(5.5)
    a, b = stamps.less[:, box], difference[:, box]
    likeness = (a * b).sum(axis=1) / np.sqrt((a * a).sum(axis=1) * (b * b).sum(axis=1))
    lacks = _lacks(stamps)
    far = np.abs(difference[:, ~_within(8.0)])
    return {
        "in_a_row": in_a_row(difference),
        "science_signal": np.arcsinh(over(science) / root),
        "reference_signal": np.arcsinh(over(reference) / root),
        "sign": ratio(stamps.scale),
        "sign_unscaled": ratio(np.ones_like(stamps.scale)),
        "agreement": likeness,
        "masked": lacks.mean(axis=(1, 2)),
        "masked_near": lacks[:, box].mean(axis=1),
        "rough_around": np.log(1.0 + difference[:, _between(5.0, 12.0)].std(axis=1)),
        "farther_peak": np.arcsinh(far.max(axis=1)),
        "brightest_reference": np.arcsinh(reference[:, _within(8.0)].max(axis=1)),
        "noise_ratio": np.log((stamps.noise[:, 2] + 1e-30) / (together + 1e-30)).clip(-5.0, 5.0),
    }
