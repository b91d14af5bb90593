"""A camera whose truth is known: bias with a pattern, dark current, vignetting, noise, and stars where they are put."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from astrod.measure.psf import Psf
from astrod.measure.wcs import Wcs

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Camera:
    """Electrons per ADU, electrons, ADU; the patterns are fixed by `seed`."""

    rows: int = 240
    columns: int = 320
    gain_e_adu: float = 1.6
    read_noise_e: float = 6.0
    bias_adu: float = 400.0
    dark_e_s: float = 0.4
    saturation_adu: float = 60_000.0
    seed: int = 3

    @property
    def pattern(self) -> Floats:
        """What the bias adds from column to column."""
        return np.random.default_rng(self.seed).normal(0.0, 6.0, (1, self.columns)) + np.zeros((self.rows, 1))

    @property
    def currents(self) -> Floats:
        """Dark current of each pixel, electrons a second; one in 500 is hot."""
        dice = np.random.default_rng(self.seed + 1)
        current = np.full((self.rows, self.columns), self.dark_e_s)
        hot = dice.random(current.shape) < 0.002
        current[hot] += dice.uniform(20.0, 60.0, np.count_nonzero(hot))
        return current

    @property
    def response(self) -> Floats:
        """What of the light arrives: vignetting, and one percent from pixel to pixel."""
        y, x = np.mgrid[-1 : 1 : self.rows * 1j, -1 : 1 : self.columns * 1j]
        dice = np.random.default_rng(self.seed + 2)
        return np.asarray((1.0 - 0.25 * (x**2 + y**2)) * dice.normal(1.0, 0.01, (self.rows, self.columns)))

    def expose(self, light_e: Floats | float, exposure_s: float, dice: np.random.Generator) -> NDArray[np.uint16]:
        """A raw frame of that much light, electrons per pixel before the optics take their share."""
        electrons = dice.poisson(light_e * self.response + self.currents * exposure_s).astype(float)
        electrons += dice.normal(0.0, self.read_noise_e, electrons.shape)
        adu = electrons / self.gain_e_adu + self.bias_adu + self.pattern
        return np.clip(np.rint(adu), 0, self.saturation_adu).astype(np.uint16)


PSF = Psf(0.25, 0.2, 0.02, 3.0, 0)


def stars_on(camera: Camera, x: Floats, y: Floats, electrons: Floats, sky_e: float, psf: Psf = PSF) -> Floats:
    """Stars on a sky, electrons."""
    light = np.full((camera.rows, camera.columns), sky_e)
    for column, row, flux in zip(x, y, electrons, strict=True):
        reach = 25
        left, top = max(int(column) - reach, 0), max(int(row) - reach, 0)
        right, bottom = min(int(column) + reach, camera.columns), min(int(row) + reach, camera.rows)
        v, u = np.mgrid[top:bottom, left:right].astype(float)
        light[top:bottom, left:right] += flux * psf.values(u - column, v - row)
    return light


def save(path: Path, pixels: NDArray[np.generic], **cards: object) -> Path:
    """A FITS file; `_` in a keyword stands for `-`."""
    from astropy.io import fits

    header = fits.Header({name.replace("_", "-"): value for name, value in cards.items()})
    fits.PrimaryHDU(pixels, header).writeto(path)
    return path


WCS = Wcs(150.0, 30.0, 159.5, 119.5, (-4.0 / 3600.0, 0.0, 0.0, -4.0 / 3600.0))
"""Of `field`: north up, 4 arcseconds per pixel."""


def session(folder: Path, camera: Camera, light_e: Floats, exposure_s: float = 30.0, seed: int = 1) -> Path:
    """A folder with a light, biases, darks and flats of one camera; the light's path."""
    dice = np.random.default_rng(seed)
    common = {"INSTRUME": "Test 1", "XBINNING": 1, "YBINNING": 1, "GAIN": 120, "CCD_TEMP": -10.0}
    for number in range(8):
        save(folder / f"bias{number}.fits", camera.expose(0.0, 0.0, dice), IMAGETYP="Bias Frame", EXPTIME=0.0, **common)
        dark = camera.expose(0.0, exposure_s, dice)
        save(folder / f"dark{number}.fits", dark, IMAGETYP="Dark Frame", EXPTIME=exposure_s, **common)
        flat = camera.expose(30_000.0 * (1.0 + 0.03 * number), 0.0, dice)
        save(folder / f"flat{number}.fits", flat, IMAGETYP="Flat Field", EXPTIME=2.0, FILTER="V", **common)
    sky = {"RA": 150.0, "DEC": 30.0, "SCALE": 4.0, "DATE_OBS": "2026-02-03T01:02:03"}
    raw = camera.expose(light_e, exposure_s, dice)
    return save(folder / "light.fits", raw, IMAGETYP="Light Frame", EXPTIME=exposure_s, FILTER="V", **common, **sky)
