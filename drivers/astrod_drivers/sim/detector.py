"""From light to numbers: response, dark current, noise, cosmic rays, full well, bleeding, digitisation.

What never changes of a camera (dust, pixel response, hot pixels) is drawn once from its seed and kept.
"""

import math
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from astrod_drivers.sim.scene import Optics, Sensor

Float32 = NDArray[np.float32]
Float64 = NDArray[np.float64]

_FLAT, _HOT = 11, 12
MAX_ADU = 65535


@dataclass(frozen=True, slots=True, eq=False)
class HotPixels:
    """Pixels whose dark current stands out: flat indices, and electrons a second at 20 C."""

    index: NDArray[np.int64]
    dark_e_s: Float32


def generator(*seeds: int) -> np.random.Generator:
    """A quick generator for a frame's noise, from whole numbers of any sign."""
    return np.random.Generator(np.random.SFC64(np.random.SeedSequence([abs(seed) for seed in seeds])))


def flat_field(sensor: Sensor, optics: Optics) -> Float32:
    """The share of light that each pixel answers to: vignetting, dust and pixel response, 1 at the centre."""
    return _flat((sensor.height_px, sensor.width_px), sensor.seed, optics.vignetting, optics.dust_motes)


@lru_cache(maxsize=2)
def _flat(shape: tuple[int, int], seed: int, vignetting: float, dust_motes: int) -> Float32:
    random = generator(seed, _FLAT)
    y = ((np.arange(shape[0]) - (shape[0] - 1) / 2) / (max(shape) / 2)).astype(np.float32)
    x = ((np.arange(shape[1]) - (shape[1] - 1) / 2) / (max(shape) / 2)).astype(np.float32)
    corner = float(x[-1] ** 2 + y[-1] ** 2)
    flat = 1.0 - (vignetting / corner) * (y[:, None] ** 2 + x[None, :] ** 2)
    flat *= 1.0 + 0.005 * random.standard_normal(shape, dtype=np.float32)
    for _ in range(dust_motes):
        _dim_by_dust(flat, random)
    return np.asarray(flat, np.float32)


def _dim_by_dust(flat: Float32, random: np.random.Generator) -> None:
    """One mote's shadow: a soft ring, as large as the mote is far from the sensor."""
    height, width = flat.shape
    x, y, radius = random.uniform(0, width), random.uniform(0, height), random.uniform(6, 28)
    depth = random.uniform(0.01, 0.06)
    reach = int(radius + 4)
    rows = slice(max(0, int(y) - reach), min(height, int(y) + reach))
    columns = slice(max(0, int(x) - reach), min(width, int(x) + reach))
    away = np.hypot(np.arange(rows.start, rows.stop)[:, None] - y, np.arange(columns.start, columns.stop)[None, :] - x)
    shadow = np.clip((radius - away) / 3.0 + 0.5, 0, 1) * np.clip((away - 0.35 * radius) / 3.0 + 0.5, 0.3, 1)
    flat[rows, columns] *= (1.0 - depth * shadow).astype(np.float32)


def hot_pixels(sensor: Sensor) -> HotPixels:
    """The hot pixels of a camera."""
    return _hot(sensor.width_px * sensor.height_px, sensor.seed, sensor.hot_share)


@lru_cache(maxsize=4)
def _hot(pixels: int, seed: int, share: float) -> HotPixels:
    random = generator(seed, _HOT)
    number = int(random.poisson(share * pixels))
    index = np.unique(random.integers(0, pixels, number))
    return HotPixels(index, np.exp(random.normal(1.6, 1.2, len(index))).astype(np.float32))


def warmth(temperature_c: float) -> float:
    """Dark current at a temperature over that at 20 C."""
    return float(2.0 ** ((temperature_c - 20.0) / 6.0))


def add_dark(charge: Float32, sensor: Sensor, temperature_c: float, exposure_s: float) -> None:
    """Add the dark current's mean to the charge, in place."""
    scale = warmth(temperature_c) * exposure_s
    charge += np.float32(sensor.dark_e_s * scale)
    hot = hot_pixels(sensor)
    charge.reshape(-1)[hot.index] += hot.dark_e_s * np.float32(scale)


def add_noise(charge: Float32, sensor: Sensor, random: np.random.Generator) -> None:
    """Add photon and read noise, in place.

    Photon noise is drawn as normal: with a read noise of an electron or more the difference does not show.
    """
    noise = random.standard_normal(charge.shape, dtype=np.float32)
    noise *= np.sqrt(charge + np.float32(sensor.read_noise_e**2))
    charge += noise


def add_cosmic_rays(charge: Float32, sensor: Sensor, exposure_s: float, random: np.random.Generator) -> None:
    """Add the tracks of cosmic rays and of local radioactivity, in place."""
    area_cm2 = charge.size * (sensor.pixel_um * 1e-4) ** 2
    for _ in range(int(random.poisson(sensor.cosmic_rays_cm2_min * area_cm2 * exposure_s / 60.0))):
        length = min(60, 1 + int(random.exponential(4.0)))
        angle, total = random.uniform(0, math.tau), random.lognormal(7.3, 0.7) * math.sqrt(length)
        along = np.linspace(0.0, length - 1.0, 2 * length)
        x = np.rint(random.uniform(0, charge.shape[1]) + along * math.cos(angle)).astype(np.int64)
        y = np.rint(random.uniform(0, charge.shape[0]) + along * math.sin(angle)).astype(np.int64)
        inside = (x >= 0) & (x < charge.shape[1]) & (y >= 0) & (y < charge.shape[0])
        share = (total / (2 * length) * random.uniform(0.5, 1.5, 2 * length)).astype(np.float32)
        np.add.at(charge, (y[inside], x[inside]), share[inside])


def bleed(charge: Float32, sensor: Sensor) -> None:
    """Let charge above full well run along its column, half up and half down, in place."""
    if sensor.blooming <= 0.0:
        return
    full = np.float32(sensor.full_well_e)
    rows, columns = np.nonzero(charge > full)
    if len(rows) == 0 or len(rows) > charge.size // 4:
        return
    for column in np.unique(columns):
        _bleed_column(charge[:, column], np.sort(rows[columns == column]), full, sensor.blooming)


def _bleed_column(line: Float32, rows: NDArray[np.int64], full: np.float32, share: float) -> None:
    """Spread each run of overfull pixels of one column beyond its two ends."""
    breaks = np.flatnonzero(np.diff(rows) > 1)
    for first, last in zip(np.concatenate([[0], breaks + 1]), np.concatenate([breaks, [len(rows) - 1]]), strict=True):
        top, bottom = int(rows[first]), int(rows[last])
        excess = float(np.sum(line[top : bottom + 1] - full)) * share / 2.0
        _fill(line[bottom + 1 :], excess, full)
        _fill(line[:top][::-1], excess, full)


def _fill(line: Float32, excess: float, full: np.float32) -> None:
    """Fill pixels to full well, one after the other, until the excess is used up; some drains away on the
    way.
    """
    room = np.maximum(full - line, np.float32(0.0)) * np.float32(1.15)
    used = np.cumsum(room, dtype=np.float64)
    end = int(np.searchsorted(used, excess))
    line[:end] = np.maximum(line[:end], full)
    if end < len(line):
        rest = excess - (float(used[end - 1]) if end else 0.0)
        line[end] += np.float32(rest / 1.15)


def digitise(charge: Float32, sensor: Sensor, binning: int) -> NDArray[np.uint16]:
    """Clip at full well, convert, add bias, average binned pixels. An ADC of fewer than 16 bits leaves its
    low bits zero, as cameras do that hand out 16.
    """
    np.minimum(charge, np.float32(sensor.full_well_e), out=charge)
    charge *= np.float32(1.0 / sensor.egain_e_per_adu)
    charge += np.float32(sensor.bias_adu)
    if binning > 1:
        charge = _binned(charge, binning)
    step = 1 << max(0, 16 - sensor.adc_bits)
    charge *= np.float32(1.0 / step)
    charge += np.float32(0.5)
    np.clip(charge, 0.0, np.float32(MAX_ADU // step), out=charge)
    adu = charge.astype(np.uint16)
    adu *= np.uint16(step)
    adu[adu >= MAX_ADU + 1 - step] = MAX_ADU
    return adu


def _binned(charge: Float32, binning: int) -> Float32:
    height, width = charge.shape[0] // binning * binning, charge.shape[1] // binning * binning
    blocks = charge[:height, :width].reshape(height // binning, binning, width // binning, binning)
    return np.ascontiguousarray(blocks.mean(axis=(1, 3), dtype=np.float32))
