"""The stars' profile and what is measured by it, on stars that are known."""

import numpy as np
import pytest
from numpy.typing import NDArray

from astrod.measure.psf import Psf, fit_shape, fit_stars

Floats = NDArray[np.float64]


def moffat(fwhm_px: float, elongation: float = 1.0, beta: float = 3.0) -> Psf:
    """A profile of that size, drawn out along x."""
    scale = 4.0 * (2.0 ** (1.0 / beta) - 1.0) / fwhm_px**2
    return Psf(scale / elongation, scale * elongation, 0.0, beta, 0)


def drawn(psf: Psf, x: Floats, y: Floats, flux: Floats, shape: tuple[int, int] = (260, 300)) -> Floats:
    """Stars, by a finer raster than the fit's own: seven by seven points to the pixel."""
    image = np.zeros(shape)
    fine = (np.arange(7) + 0.5) / 7.0 - 0.5
    narrow = Psf(psf.xx, psf.yy, psf.xy, psf.beta, 0)
    norm = (psf.beta - 1.0) * np.sqrt(psf.xx * psf.yy - psf.xy**2) / np.pi
    for column, row, light in zip(x, y, flux, strict=True):
        left, top = max(int(column) - 30, 0), max(int(row) - 30, 0)
        v, u = np.mgrid[top : min(top + 61, shape[0]), left : min(left + 61, shape[1])].astype(float)
        part = sum(
            (1.0 + narrow.xx * (u + a - column) ** 2 + narrow.yy * (v + b - row) ** 2) ** -psf.beta
            for a in fine
            for b in fine
        )
        image[top : top + 61, left : left + 61] += light * norm * np.asarray(part) / 49.0
    return image


def raster(step: int = 36, seed: int = 1) -> tuple[Floats, Floats, Floats]:
    """Stars that keep apart, with their fluxes."""
    dice = np.random.default_rng(seed)
    x, y = (axis.ravel().astype(float) for axis in np.meshgrid(np.arange(24, 280, step), np.arange(24, 240, step)))
    return (
        x + dice.uniform(-0.5, 0.5, x.size),
        y + dice.uniform(-0.5, 0.5, x.size),
        10.0 ** dice.uniform(3.3, 5.0, x.size),
    )


@pytest.mark.parametrize("fwhm_px", [1.2, 2.5, 7.0])
@pytest.mark.parametrize("elongation", [1.0, 1.6])
def test_the_profile_is_found_and_errors_are_honest(fwhm_px: float, elongation: float) -> None:
    psf = moffat(fwhm_px, elongation)
    x, y, flux = raster()
    light = drawn(psf, x, y, flux)
    sigma = np.sqrt(100.0 + light)
    image = (light + np.random.default_rng(2).normal(0.0, 1.0, light.shape) * sigma).astype(np.float32)
    weights = (1.0 / sigma**2).astype(np.float32)
    order = np.argsort(-flux)
    found = fit_shape(image, weights, x[order] + 0.2, y[order] - 0.2, 1.3 * fwhm_px)
    assert found is not None
    assert found.fwhm_px == pytest.approx(fwhm_px, rel=0.04)
    assert found.elongation == pytest.approx(elongation, rel=0.06)
    fits = fit_stars(image, weights, np.rint(x), np.rint(y), found)
    pulls = (fits.flux / np.median(fits.flux / flux) - flux) / fits.flux_error
    assert 0.7 < 1.4826 * float(np.median(np.abs(pulls))) < 1.35
    assert np.median(fits.flux / flux) == pytest.approx(1.0, abs=0.02)
    assert 0.6 < float(np.std((fits.x - x) / fits.place_error)) < 1.5
    assert np.median(fits.chi) == pytest.approx(1.0, abs=0.1)


def test_a_faint_neighbour_is_not_counted_into_its_star() -> None:
    psf = moffat(3.0)
    x, y, flux = raster()
    near_x, near_y, near_flux = x + 4.5, y + 1.0, 0.3 * flux
    light = drawn(psf, np.concatenate([x, near_x]), np.concatenate([y, near_y]), np.concatenate([flux, near_flux]))
    weights = np.full(light.shape, 0.01, np.float32)
    fits = fit_stars(light.astype(np.float32), weights, np.concatenate([x, near_x]), np.concatenate([y, near_y]), psf)
    assert np.abs(fits.flux[: x.size] / flux - 1.0).max() < 0.01
    assert np.abs(fits.flux[x.size :] / near_flux - 1.0).max() < 0.04


def test_a_star_without_pixels_has_no_flux() -> None:
    image, weights = np.zeros((60, 60), np.float32), np.zeros((60, 60), np.float32)
    fits = fit_stars(image, weights, np.array([30.0]), np.array([30.0]), moffat(3.0))
    assert not fits.good[0]
    assert np.isnan(fits.flux[0])


def test_noise_pixels_are_king_s() -> None:
    """Of a Gaussian the equivalent area is 4·pi·sigma²; a Moffat profile of high beta is nearly one."""
    psf = moffat(8.0, beta=60.0)
    assert psf.noise_pixels == pytest.approx(4.0 * np.pi * (8.0 / 2.3548) ** 2, rel=0.03)
