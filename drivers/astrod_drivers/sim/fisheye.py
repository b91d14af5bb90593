"""The whole sky through a fish-eye: stars, Moon, glow, the clouds of the site, and meteors.

Equidistant projection, north up and east to the left, zenith in the middle of the picture. The same clouds drift over
it as over the telescopes (`clouds`), so that who watches it can know what they are about to see.
"""

import math
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from astrod_drivers.protocols import SiteFix
from astrod_drivers.sim import catalogue, ephemeris, light
from astrod_drivers.sim.clouds import extinction_mag
from astrod_drivers.sim.scene import Cloud

Float64 = NDArray[np.float64]

FAINTEST_MAG = 6.5
LOWEST_DEG = 2.0
"""Below, there are trees."""
STAR_FWHM_PX = 1.9
ZERO_E_S = 12_000.0
"""Electrons a second from a star of magnitude 0: a lens of 1.8 mm at f/2 and a colour sensor."""
READ_NOISE_E = 3.0
FULL_WELL_E = 18_000.0
GRID_PX = 8
"""Sky and clouds are worked out at every so many pixels, and interpolated between."""
_HALO = 5


@dataclass(frozen=True, slots=True)
class Meteor:
    """A meteor: from where to where (degrees), its length in time, and how bright it is at its brightest."""

    at_us: int
    azimuth_deg: float
    altitude_deg: float
    end_azimuth_deg: float
    end_altitude_deg: float
    lasts_s: float = 0.6
    mag: float = 0.0


@dataclass(frozen=True, slots=True)
class Lens:
    """A picture's geometry: the horizon is a circle of `radius_px` around (`x_px`, `y_px`)."""

    width_px: int = 480
    height_px: int = 480

    @property
    def x_px(self) -> float:
        return self.width_px / 2.0 - 0.5

    @property
    def y_px(self) -> float:
        return self.height_px / 2.0 - 0.5

    @property
    def radius_px(self) -> float:
        return 0.48 * min(self.width_px, self.height_px)

    def pixel(self, azimuth_deg: Float64, altitude_deg: Float64) -> tuple[Float64, Float64]:
        """Where directions fall; x to the right, y down, from the middle of the first pixel."""
        away = self.radius_px * (90.0 - altitude_deg) / 90.0
        turn = np.radians(azimuth_deg)
        return self.x_px - away * np.sin(turn), self.y_px - away * np.cos(turn)

    def direction(self, x: Float64, y: Float64) -> tuple[Float64, Float64]:
        """Azimuth and altitude of pixels, degrees; the altitude is negative outside the horizon's circle."""
        east, north = self.x_px - x, self.y_px - y
        away = np.hypot(east, north)
        return np.degrees(np.arctan2(east, north)) % 360.0, 90.0 - 90.0 * away / self.radius_px


@dataclass(frozen=True, slots=True)
class WholeSky:
    """All that a picture depends on. `meteors` are those that fall into the exposure; `lit` is False under a cap."""

    seed: int
    site: SiteFix
    at_us: int
    exposure_s: float = 10.0
    lens: Lens = Lens()
    cloud: Cloud | None = None
    dark_sky_mag: float = 21.3
    town_light: float = 1.0
    meteors: tuple[Meteor, ...] = ()


def render(sky: WholeSky) -> NDArray[np.uint16]:
    """The picture, (height, width), 16 bit."""
    x, y = _grid(sky.lens)
    azimuth, altitude = sky.lens.direction(x, y)
    passes = _passes(sky, azimuth, altitude)
    glow = _glow_e(sky, azimuth, altitude, passes)
    electrons = _enlarged(glow, sky.lens)
    _add_stars(electrons, sky)
    _add_moon(electrons, sky)
    for meteor in sky.meteors:
        _add_meteor(electrons, meteor, sky)
    electrons[_outside(sky.lens)] *= 0.02
    random = np.random.Generator(np.random.PCG64(np.random.SeedSequence((abs(sky.seed), sky.at_us))))
    noise = np.sqrt(np.maximum(electrons, 0.0) + READ_NOISE_E**2) * random.standard_normal(electrons.shape)
    adu = np.clip(electrons + noise, 0.0, FULL_WELL_E) * (60_000.0 / FULL_WELL_E) + 800.0
    return np.asarray(np.rint(adu), dtype=np.uint16)


def save(sky: WholeSky, path: Path) -> None:
    """Render into a `.npy` file, which appears whole or not at all."""
    part = path.with_name(path.name + ".part")
    with part.open("wb") as file:
        np.save(file, render(sky))
    part.replace(path)


def covered(sky: WholeSky, azimuth_deg: float, altitude_deg: float) -> float:
    """The truth: the share of light that clouds take in a direction, 0 to 1."""
    return float(1.0 - _passes(sky, np.array([azimuth_deg]), np.array([altitude_deg]))[0])


@lru_cache(maxsize=4)
def _grid(lens: Lens) -> tuple[Float64, Float64]:
    rows = np.arange(0, lens.height_px + GRID_PX, GRID_PX, dtype=np.float64)
    columns = np.arange(0, lens.width_px + GRID_PX, GRID_PX, dtype=np.float64)
    x, y = np.meshgrid(columns, rows)
    return x, y


@lru_cache(maxsize=4)
def _outside(lens: Lens) -> NDArray[np.bool_]:
    y, x = np.mgrid[0 : lens.height_px, 0 : lens.width_px]
    return np.asarray(np.hypot(x - lens.x_px, y - lens.y_px) > lens.radius_px * (90.0 - LOWEST_DEG) / 90.0)


def _passes(sky: WholeSky, azimuth: Float64, altitude: Float64) -> Float64:
    """The share of starlight that the clouds let through."""
    if sky.cloud is None or sky.cloud.cover <= 0.0:
        return np.ones_like(azimuth)
    height = np.radians(np.clip(altitude, 10.0, 89.99))
    away, turn = sky.cloud.height_m / np.tan(height), np.radians(azimuth)
    taken = extinction_mag(sky.cloud, away * np.sin(turn), away * np.cos(turn), sky.exposure_s / 2.0)
    return np.asarray(10.0 ** (-0.4 * np.minimum(taken / np.sin(height), 8.0)))


def _glow_e(sky: WholeSky, azimuth: Float64, altitude: Float64, passes: Float64) -> Float64:
    """The sky's light in a pixel: clouds dim what is above them and light up by what is below and beside."""
    place = ephemeris.sun_radec_deg(sky.at_us)
    sun_deg = ephemeris.altitude_deg(place, sky.at_us, sky.site.latitude_deg, sky.site.longitude_deg)
    moon_alt, moon_az = _moon(sky)
    phase = ephemeris.moon_phase_deg(sky.at_us)
    cap = np.clip(altitude, LOWEST_DEG, 90.0)
    heights = np.linspace(LOWEST_DEG, 90.0, 24)
    aparts = np.linspace(0.0, 180.0, 25)
    table = np.array(
        [
            [
                light.nanolamberts(
                    light.sky_mag_arcsec2(
                        sky.dark_sky_mag,
                        float(height),
                        sun_deg,
                        light.MoonLight(phase, moon_alt, max(2.0, float(apart))),
                    )
                )
                for apart in aparts
            ]
            for height in heights
        ]
    )
    apart = _apart_deg(azimuth, cap, moon_az, moon_alt)
    row = np.interp(cap, heights, np.arange(len(heights)))
    column = np.interp(apart, aparts, np.arange(len(aparts)))
    clear = _bilinear(table, row, column)
    clouded = 1.0 - passes
    brightness = clear * (passes + clouded * (0.25 + sky.town_light * (1.0 + 0.5 * np.cos(np.radians(cap)))))
    scale_arcsec = 90.0 / sky.lens.radius_px * 3600.0
    pixel_mag = (20.7233 - np.log(np.maximum(brightness, 1e-3) / 34.08)) / 0.92104 - 2.5 * math.log10(scale_arcsec**2)
    falls_off = np.cos(np.radians(90.0 - cap)) ** 0.3 * 0.3 + 0.7
    return np.asarray(ZERO_E_S * sky.exposure_s * 10.0 ** (-0.4 * pixel_mag) * falls_off)


def _bilinear(table: Float64, row: Float64, column: Float64) -> Float64:
    r0 = np.clip(row.astype(int), 0, table.shape[0] - 2)
    c0 = np.clip(column.astype(int), 0, table.shape[1] - 2)
    r, c = row - r0, column - c0
    top = table[r0, c0] * (1 - c) + table[r0, c0 + 1] * c
    low = table[r0 + 1, c0] * (1 - c) + table[r0 + 1, c0 + 1] * c
    return np.asarray(top * (1 - r) + low * r)


def _apart_deg(azimuth: Float64, altitude: Float64, to_azimuth: float, to_altitude: float) -> Float64:
    a, b = np.radians(altitude), math.radians(to_altitude)
    cosine = np.sin(a) * math.sin(b) + np.cos(a) * math.cos(b) * np.cos(np.radians(azimuth - to_azimuth))
    return np.asarray(np.degrees(np.arccos(np.clip(cosine, -1.0, 1.0))))


def _enlarged(coarse: Float64, lens: Lens) -> Float64:
    """The grid's values at every pixel."""
    row = np.arange(lens.height_px) / GRID_PX
    column = np.arange(lens.width_px) / GRID_PX
    return _bilinear(coarse, *np.meshgrid(row, column, indexing="ij"))


def _moon(sky: WholeSky) -> tuple[float, float]:
    """Altitude and azimuth, degrees."""
    ra, dec = ephemeris.moon_radec_deg(sky.at_us)
    hour_angle = ephemeris.sidereal_deg(sky.at_us, sky.site.longitude_deg) - ra
    return ephemeris.horizontal_deg(hour_angle, dec, sky.site.latitude_deg)


@lru_cache(maxsize=1)
def _bright() -> catalogue.Stars:
    return catalogue.stars_in_cone(0.0, 90.0, 180.0, FAINTEST_MAG)


def _places(sky: WholeSky) -> tuple[Float64, Float64, Float64]:
    """Azimuth, altitude and magnitude of the stars above the horizon."""
    stars = _bright()
    ra, dec = np.radians(stars.ra_deg), np.radians(stars.dec_deg)
    vectors = np.stack([np.cos(dec) * np.cos(ra), np.cos(dec) * np.sin(ra), np.sin(dec)])
    u, v, w = np.array(ephemeris.precession(sky.at_us)) @ vectors
    lat = math.radians(sky.site.latitude_deg)
    ha = math.radians(ephemeris.sidereal_deg(sky.at_us, sky.site.longitude_deg)) - np.arctan2(v, u)
    cos_dec = np.sqrt(np.maximum(0.0, 1.0 - w * w))
    up = w * math.sin(lat) + cos_dec * math.cos(lat) * np.cos(ha)
    east = -cos_dec * np.sin(ha)
    north = w * math.cos(lat) - cos_dec * math.sin(lat) * np.cos(ha)
    altitude = np.degrees(np.arcsin(np.clip(up, -1.0, 1.0)))
    seen = altitude > LOWEST_DEG
    return np.degrees(np.arctan2(east, north))[seen] % 360.0, altitude[seen], stars.mag[seen]


def _add_stars(electrons: Float64, sky: WholeSky) -> None:
    azimuth, altitude, mag = _places(sky)
    x, y = sky.lens.pixel(azimuth, altitude)
    heights = np.linspace(LOWEST_DEG, 90.0, 60)
    air = np.interp(altitude, heights, [ephemeris.airmass(float(height)) for height in heights])
    total = ZERO_E_S * sky.exposure_s * 10.0 ** (-0.4 * (mag + 0.2 * air)) * _passes(sky, azimuth, altitude)
    _splat(electrons, x, y, total)


def _splat(electrons: Float64, x: Float64, y: Float64, total: Float64) -> None:
    """Add points of light with the lens's own blur."""
    sigma = STAR_FWHM_PX / 2.3548
    column, row = np.rint(x).astype(int), np.rint(y).astype(int)
    offsets = np.arange(-_HALO, _HALO + 1)
    across = np.exp(-0.5 * ((column[:, None] + offsets - x[:, None]) / sigma) ** 2)
    down = np.exp(-0.5 * ((row[:, None] + offsets - y[:, None]) / sigma) ** 2)
    blur = total[:, None, None] * down[:, :, None] * across[:, None, :] / (2.0 * math.pi * sigma**2)
    rows = row[:, None, None] + offsets[None, :, None] + np.zeros_like(offsets)[None, None, :]
    columns = column[:, None, None] + offsets[None, None, :] + np.zeros_like(offsets)[None, :, None]
    inside = (rows >= 0) & (rows < electrons.shape[0]) & (columns >= 0) & (columns < electrons.shape[1])
    np.add.at(electrons, (rows[inside], columns[inside]), blur[inside])


def _add_moon(electrons: Float64, sky: WholeSky) -> None:
    altitude, azimuth = _moon(sky)
    if altitude < LOWEST_DEG:
        return
    (x,), (y,) = sky.lens.pixel(np.array([azimuth]), np.array([altitude]))
    lit = (180.0 - ephemeris.moon_phase_deg(sky.at_us)) / 180.0
    passes = float(_passes(sky, np.array([azimuth]), np.array([altitude]))[0])
    rows, columns = np.mgrid[0 : electrons.shape[0], 0 : electrons.shape[1]]
    away = np.hypot(columns - x, rows - y)
    electrons += passes * lit * FULL_WELL_E * (4.0 * np.exp(-0.5 * (away / 2.5) ** 2) + 0.3 * np.exp(-away / 6.0))


def _add_meteor(electrons: Float64, meteor: Meteor, sky: WholeSky) -> None:
    """A line that brightens slowly and fades fast, as meteors do, seen through the clouds."""
    x, y = sky.lens.pixel(
        np.array([meteor.azimuth_deg, meteor.end_azimuth_deg]), np.array([meteor.altitude_deg, meteor.end_altitude_deg])
    )
    count = max(2, 3 * int(math.hypot(x[1] - x[0], y[1] - y[0])))
    along = (np.arange(count) + 0.5) / count
    curve = along**1.2 * (1.0 - along**4)
    middle = (meteor.azimuth_deg + meteor.end_azimuth_deg) / 2.0, (meteor.altitude_deg + meteor.end_altitude_deg) / 2.0
    passes = float(_passes(sky, np.array([middle[0]]), np.array([middle[1]]))[0])
    total = ZERO_E_S * 10.0 ** (-0.4 * meteor.mag) * meteor.lasts_s * passes * curve / curve.max() / count * 2.0
    _splat(electrons, x[0] + along * (x[1] - x[0]), y[0] + along * (y[1] - y[0]), total)
