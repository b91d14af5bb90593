"""Cosmic rays: found as on the whole frame at once, and stars left alone."""

import astroscrappy
import numpy as np
import pytest
from numpy.typing import NDArray
from tests.reduction.camera import Camera, stars_on

from astrod.measure.cosmics import cosmic_rays


def frame(fwhm_scale: float = 1.0, seed: int = 1) -> tuple[NDArray[np.float32], NDArray[np.bool_], float]:
    """Stars and hits on a flat sky of 50 electrons, gain 1; where the hits are, and the sky's noise."""
    from tests.reduction.camera import PSF

    camera = Camera(rows=300, columns=360)
    dice = np.random.default_rng(seed)
    psf = type(PSF)(PSF.xx / fwhm_scale**2, PSF.yy / fwhm_scale**2, PSF.xy / fwhm_scale**2, PSF.beta, 0)
    x, y = dice.uniform(10, 350, 120), dice.uniform(10, 290, 120)
    light = stars_on(camera, x, y, 10.0 ** dice.uniform(3.0, 5.3, 120), 50.0, psf)
    image = dice.poisson(light) + dice.normal(0.0, 5.0, light.shape)
    hits = np.zeros(light.shape, dtype=bool)
    for _hit in range(40):
        row, column = int(dice.integers(5, 290)), int(dice.integers(5, 345))
        length, slope = int(dice.integers(1, 7)), dice.uniform(-1.0, 1.0)
        for step in range(length):
            hits[row + int(slope * step), column + step] = True
    image[hits] += dice.uniform(300.0, 3000.0, np.count_nonzero(hits))
    return (image - 50.0).astype(np.float32), hits, float(np.sqrt(75.0))


def test_hits_are_found_and_stars_are_not() -> None:
    image, hits, noise = frame()
    found = cosmic_rays(image, noise, 1.0, np.zeros(image.shape, bool), bayer=False)
    assert np.mean(found[hits]) > 0.9
    grown = np.zeros_like(hits)
    rows, columns = np.nonzero(hits)
    for down in (-1, 0, 1):
        for across in (-1, 0, 1):
            grown[rows + down, columns + across] = True
    assert np.count_nonzero(found & ~grown) < 0.0002 * image.size


@pytest.mark.parametrize("seed", [1, 2])
def test_the_answer_is_that_of_the_whole_frame(seed: int) -> None:
    image, _hits, noise = frame(1.2, seed)
    found = cosmic_rays(image, noise, 1.0, np.zeros(image.shape, bool), bayer=False)
    variance = (noise**2 + np.maximum(image, 0.0)).astype(np.float32)
    whole, _clean = astroscrappy.detect_cosmics(
        image, invar=variance, gain=1.0, satlevel=np.inf, sigclip=5.0, objlim=5.0, niter=2, cleantype="medmask"
    )
    assert np.count_nonzero(found != whole) <= 0.12 * np.count_nonzero(whole)


def test_a_bayer_frame_is_looked_at_colour_by_colour() -> None:
    dice = np.random.default_rng(3)
    image = dice.normal(0.0, 10.0, (200, 200)).astype(np.float32)
    image[::2, ::2] += 800.0  # one colour is brighter: no hit
    image[51, 81] += 900.0
    image[::2, ::2] -= 800.0
    found = cosmic_rays(image, 10.0, None, np.zeros(image.shape, bool), bayer=True)
    assert found[51, 81]
    assert np.count_nonzero(found) == 1


def test_known_pixels_are_no_hits_and_small_frames_have_none() -> None:
    image, hits, noise = frame()
    assert not np.any(cosmic_rays(image, noise, 1.0, hits, bayer=False) & hits)
    assert not np.any(cosmic_rays(image[:20, :20], noise, 1.0, hits[:20, :20], bayer=False))
