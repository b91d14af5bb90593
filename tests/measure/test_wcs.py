"""Where pixels look: SIP both ways, as astropy has it, and fits that prove their distortion."""

import warnings

import numpy as np
import pytest
from astropy import wcs
from astropy.io import fits
from hypothesis import given, settings
from hypothesis import strategies as st

from astrod.domain.plate import PlateSolution
from astrod.measure.wcs import Wcs, of_plate, refine

SHAPE = (1000, 1400)
BENT = Wcs(
    83.0, -5.0, 699.5, 499.5, (-5e-4, 2e-5, 2e-5, 5e-4),
    {(2, 0): 2e-6, (1, 1): -1e-6, (0, 2): 1.5e-6, (3, 0): 3e-9}, {(2, 0): -1e-6, (0, 2): 2e-6, (1, 2): 2e-9},
)  # fmt: skip


def places(count: int, seed: int = 1) -> tuple[np.ndarray, np.ndarray]:
    dice = np.random.default_rng(seed)
    return dice.uniform(0, SHAPE[1] - 1, count), dice.uniform(0, SHAPE[0] - 1, count)


def test_pixels_and_sky_agree_with_astropy() -> None:
    header = fits.Header({name: value for name, value, _comment in BENT.cards(*SHAPE)})
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        theirs = wcs.WCS(header)
    x, y = places(200)
    ra, dec = BENT.sky(x, y)
    other = theirs.all_pix2world(np.stack([x, y], axis=1), 0)
    assert np.abs(other[:, 0] - ra).max() < 1e-9
    assert np.abs(other[:, 1] - dec).max() < 1e-9
    flat = theirs.wcs_world2pix(np.stack([ra, dec], axis=1), 1) - theirs.wcs.crpix
    back = theirs.sip_foc2pix(flat, 1) - 1.0  # by AP and BP alone
    assert np.abs(back - np.stack([x, y], axis=1)).max() < 0.02


def test_sky_and_back_is_where_it_was() -> None:
    x, y = places(200)
    again = BENT.pixels(*BENT.sky(x, y))
    assert max(np.abs(again[0] - x).max(), np.abs(again[1] - y).max()) < 1e-4


@given(
    rotation=st.floats(0.0, 359.9),
    dec=st.floats(-85.0, 85.0),
    mirrored=st.booleans(),
    scale=st.floats(0.3, 20.0),
)
@settings(max_examples=30, deadline=None)
def test_a_plate_solution_becomes_its_wcs(rotation: float, dec: float, mirrored: bool, scale: float) -> None:
    plate = PlateSolution(120.0, dec, rotation, scale, "mirrored" if mirrored else "direct", 0.5, 20, "test")
    found = of_plate(plate, *SHAPE)
    middle = np.array([(SHAPE[1] - 1) / 2.0]), np.array([(SHAPE[0] - 1) / 2.0])
    ra, dec_found = found.sky(*middle)
    assert ra[0] == pytest.approx(120.0)
    assert dec_found[0] == pytest.approx(dec)
    up_ra, up_dec = found.sky(middle[0], middle[1] - 1.0)
    east = (up_ra[0] - 120.0) * np.cos(np.radians(dec))
    assert np.degrees(np.arctan2(east, up_dec[0] - dec)) % 360.0 == pytest.approx(rotation, abs=0.1) or rotation > 359.8
    assert found.scale_arcsec_px == pytest.approx(scale)
    right_ra, right_dec = found.sky(middle[0] + 1.0, middle[1])
    right_east, right_north = (right_ra[0] - 120.0) * np.cos(np.radians(dec)), right_dec[0] - dec
    assert bool(east * right_north - (up_dec[0] - dec) * right_east > 0.0) is not mirrored


@pytest.mark.parametrize(("stars", "order"), [(200, 3), (10, 1)])
def test_a_distortion_is_found_where_stars_prove_it(stars: int, order: int) -> None:
    x, y = places(stars)
    ra, dec = BENT.sky(x, y)
    dice = np.random.default_rng(2)
    start = Wcs(BENT.ra_deg + 2e-4, BENT.dec_deg, BENT.x, BENT.y, BENT.cd)
    found = refine(start, x + dice.normal(0, 0.05, stars), y + dice.normal(0, 0.05, stars), ra, dec, 6.0)
    assert found is not None
    assert found.wcs.order == order
    if order == 3:
        there = found.wcs.pixels(ra, dec)
        assert np.hypot(there[0] - x, there[1] - y).max() < 0.1
        assert found.wcs.residual_arcsec == pytest.approx(0.05 * 1.414 * 1.8, rel=0.25)


def test_a_straight_plate_is_not_bent() -> None:
    straight = Wcs(83.0, -5.0, 699.5, 499.5, BENT.cd)
    x, y = places(300)
    dice = np.random.default_rng(2)
    found = refine(
        straight, x + dice.normal(0, 0.3, 300), y + dice.normal(0, 0.3, 300), *straight.sky(x, y), radius_px=4.0
    )
    assert found is not None
    assert found.wcs.order == 1


def test_stars_of_another_field_prove_nothing() -> None:
    x, y = places(100)
    ra, dec = BENT.sky(*places(3, seed=8))
    assert refine(BENT, x, y, ra, dec, 3.0) is None
