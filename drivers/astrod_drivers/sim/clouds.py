"""Clouds: a layer of fractal noise that the wind carries over the site.

The field lives on a horizontal plane at the cloud's height, metres east and north of the observatory. Each
octave is value noise on a tile of 64 by 64 knots that repeats; their sum is about normal, so a threshold
sets the cover.
"""

import math
from functools import lru_cache
from statistics import NormalDist

import numpy as np
from numpy.typing import NDArray

from astrod_drivers.sim.scene import Cloud

_TILE = 64
_LARGEST_M = 6000.0
_OCTAVES = 9
_FALL = 0.66  # each octave, half the size, has this share of the last one's amplitude
_NORMAL = NormalDist()

Float64 = NDArray[np.float64]


@lru_cache(maxsize=8)
def _tiles(seed: int) -> Float64:
    """Knots of every octave, standard normal."""
    random = np.random.Generator(np.random.PCG64(np.random.SeedSequence((seed, 0xC10D))))
    return random.standard_normal((_OCTAVES, _TILE, _TILE))


def _octave(tile: Float64, x: Float64, y: Float64) -> Float64:
    """Smoothly interpolated knots; the tile repeats."""
    ix, iy = np.floor(x).astype(np.int64), np.floor(y).astype(np.int64)
    fx, fy = x - ix, y - iy
    sx, sy = fx * fx * (3.0 - 2.0 * fx), fy * fy * (3.0 - 2.0 * fy)
    left, right, low, high = ix % _TILE, (ix + 1) % _TILE, iy % _TILE, (iy + 1) % _TILE
    bottom = tile[low, left] * (1.0 - sx) + tile[low, right] * sx
    top = tile[high, left] * (1.0 - sx) + tile[high, right] * sx
    return np.asarray(bottom * (1.0 - sy) + top * sy)


def _noise(seed: int, x_m: Float64, y_m: Float64) -> Float64:
    """The field, about standard normal."""
    total, power = np.zeros(np.broadcast(x_m, y_m).shape), 0.0
    for octave, tile in enumerate(_tiles(seed)):
        size_m, amplitude = _LARGEST_M / 2.0**octave, _FALL**octave
        total += amplitude * _octave(tile, x_m / size_m, y_m / size_m)
        power += (amplitude * 0.743) ** 2  # 0.743: the RMS that smoothstep interpolation leaves of the knots
    return np.asarray(total / math.sqrt(power))


def extinction_mag(cloud: Cloud, east_m: Float64, north_m: Float64, after_s: Float64 | float = 0.0) -> Float64:
    """What the cloud takes from a star, magnitudes on the vertical, at places of its plane, `after_s` into
    the exposure. Shapes broadcast.
    """
    if cloud.cover <= 0.0 or cloud.thickness_mag <= 0.0:
        return np.zeros(np.broadcast(east_m, north_m, after_s).shape)
    x_m = east_m - cloud.offset_m[0] - cloud.drift_m_s[0] * after_s
    y_m = north_m - cloud.offset_m[1] - cloud.drift_m_s[1] * after_s
    edge = -_NORMAL.inv_cdf(min(0.9999, max(0.0001, cloud.cover)))
    return np.asarray(cloud.thickness_mag * np.clip((_noise(cloud.seed, x_m, y_m) - edge) / 0.7, 0.0, 1.3))


def plane_m(cloud: Cloud, altitude_deg: float, azimuth_deg: float) -> tuple[float, float]:
    """Where a line of sight meets the cloud's plane: metres east and north of the site."""
    away = cloud.height_m / math.tan(math.radians(min(89.99, max(4.0, altitude_deg))))
    return away * math.sin(math.radians(azimuth_deg)), away * math.cos(math.radians(azimuth_deg))


def transmission(
    cloud: Cloud | None,
    altitude_deg: float,
    azimuth_deg: float,
    fov_deg: tuple[float, float],
    exposure_s: float,
) -> Float64:
    """The share of light that passes, averaged over the exposure, on a coarse grid over the frame (rows,
    columns).
    """
    rows, columns = 10, 16
    if cloud is None or cloud.cover <= 0.0:
        return np.ones((rows, columns))
    east_m, north_m = plane_m(cloud, altitude_deg, azimuth_deg)
    slant = 1.0 / math.sin(math.radians(max(4.0, altitude_deg)))
    reach_m = math.radians(1.0) * cloud.height_m * slant
    x_m = east_m + np.linspace(-0.5, 0.5, columns)[None, None, :] * fov_deg[0] * reach_m
    y_m = north_m + np.linspace(-0.5, 0.5, rows)[None, :, None] * fov_deg[1] * reach_m
    steps = int(min(16, max(1, exposure_s * math.hypot(*cloud.drift_m_s) / 30.0)))
    after_s = ((np.arange(steps) + 0.5) * exposure_s / steps)[:, None, None]
    return np.asarray(np.mean(10.0 ** (-0.4 * slant * extinction_mag(cloud, x_m, y_m, after_s)), axis=0))
