"""Calibration, step by step: what each does to pixels and errors, and gain from the frames themselves."""

import numpy as np
import pytest

from astrod.domain.setup import Setup, dark_factor, fits
from astrod.errors import InputInvalid
from astrod.measure.calibrate import SATURATED, Detector, Recipe, calibrate, green_of, overscan_level
from astrod.measure.masters import Master, as_flat, combine
from astrod.measure.noise import from_sky

SHAPE = (120, 160)


def master(value: float, sigma: float = 0.0) -> Master:
    return Master(np.full(SHAPE, value, np.float32), sigma, 20, value, 1.0, 1.0)


def test_steps_come_in_their_order() -> None:
    raw = np.full(SHAPE, 1400, np.uint16)
    recipe = Recipe(master(400.0), master(50.0), 0.5, master(0.5), linearity=(1e-4,))
    found = calibrate(raw, None, recipe, Detector(2.0, 3.0))
    assert found.values[0, 0] == pytest.approx((1000.0 * (1.0 + 0.1) - 25.0) / 0.5)
    assert found.sigma[0, 0] == pytest.approx(np.sqrt(9.0 + 1100.0 / 2.0) / 0.5, rel=1e-4)
    assert found.modelled


def test_without_gain_or_pedestal_errors_are_not_modelled() -> None:
    raw = np.full(SHAPE, 1400, np.uint16)
    assert not calibrate(raw, None, Recipe(), Detector(2.0, 3.0)).modelled
    assert not calibrate(raw, None, Recipe(master(400.0)), Detector(None, 3.0)).modelled
    assert calibrate(raw, None, Recipe(), Detector(2.0, 3.0), has_pedestal=False).modelled


def test_full_pixels_are_flagged_by_their_raw_value() -> None:
    raw = np.full(SHAPE, 1400, np.uint16)
    raw[5, 7] = 4095
    found = calibrate(raw, None, Recipe(master(400.0)), Detector(2.0, 3.0, 4095.0))
    assert found.flags[5, 7] == SATURATED
    assert np.count_nonzero(found.flags) == 1


def test_the_greens_are_averaged_with_their_errors() -> None:
    raw = np.zeros(SHAPE, np.uint16)
    raw[0::2, 1::2], raw[1::2, 0::2] = 1000, 1200
    found = green_of(calibrate(raw, None, Recipe(), Detector(2.0, 5.0), has_pedestal=False), ((0, 1), (1, 0)))
    assert found.values.shape == (60, 80)
    assert found.values[3, 3] == 1100.0
    assert found.sigma[3, 3] == pytest.approx(0.5 * np.sqrt(50.0 + 500.0 + 600.0), rel=1e-4)


def test_a_master_leaves_cosmic_rays_out_and_knows_its_error() -> None:
    dice = np.random.default_rng(1)
    frames = [dice.normal(500.0, 4.0, SHAPE).astype(np.float32) for _ in range(12)]
    frames[3][10, 10:14] = 9000.0
    made = combine(frames)
    assert np.abs(made.values[10, 10:14] - 500.0).max() < 6.0
    assert made.sigma == pytest.approx(4.0 / np.sqrt(12.0), rel=0.05)
    assert float(np.std(made.values)) == pytest.approx(made.sigma, rel=0.05)
    assert made.noise == pytest.approx(4.0, rel=0.05)


@pytest.mark.parametrize("count", [1, 2, 3, 4])
def test_few_frames_make_a_master_too(count: int) -> None:
    dice = np.random.default_rng(2)
    made = combine([dice.normal(500.0, 4.0, SHAPE).astype(np.float32) for _ in range(count)])
    assert float(np.std(made.values)) == pytest.approx(made.sigma, rel=0.12)


def test_no_frames_or_unlike_ones_make_no_master() -> None:
    with pytest.raises(InputInvalid, match="no frames"):
        combine([])
    with pytest.raises(InputInvalid, match="different sizes"):
        combine([np.zeros((4, 4)), np.zeros((4, 5))])
    with pytest.raises(InputInvalid, match="no light"):
        combine([np.zeros((40, 40))], normalise=True)


def test_a_bayer_flat_keeps_the_colours_as_they_are() -> None:
    values = np.ones(SHAPE, np.float32)
    values[0::2, 0::2] = 0.4
    values[:, :80] *= 0.8
    flat = as_flat(Master(values, 0.001, 10, 1.0, 0.1, 0.003), bayer=True)
    red, green = flat.values[0::2, 0::2], flat.values[0::2, 1::2]
    assert np.allclose(red, green)
    assert not np.any(flat.bad)


def test_overscan_follows_the_rows() -> None:
    drift = 400.0 + 20.0 * np.sin(np.arange(300) / 40.0)
    dice = np.random.default_rng(1)
    found = overscan_level(drift[:, None] + dice.normal(0.0, 5.0, (300, 24)))
    assert np.abs(found[:, 0] - drift)[12:-12].max() < 2.5


@pytest.mark.parametrize("bayer", [False, True])
def test_the_gain_is_in_the_frame_s_own_sky(bayer: bool) -> None:
    dice = np.random.default_rng(4)
    y, x = np.mgrid[-1:1:900j, -1:1:900j]
    level = 1500.0 * (1.0 - 0.4 * (x**2 + y**2))
    if bayer:
        level[0::2, 0::2] *= 0.45
        level[1::2, 1::2] *= 0.6
    adu = np.rint(dice.poisson(level) / 1.6 + dice.normal(300.0, 2.5, level.shape))
    adu[400:404, 400:404] += 5000.0
    found = from_sky(adu, 300.0, bayer)
    assert found is not None
    assert found.gain_e_adu == pytest.approx(1.6, rel=0.06)
    assert abs(found.gain_e_adu - 1.6) < 4.0 * found.error_e_adu
    assert found.read_noise_adu == pytest.approx(2.5, abs=1.2)


def test_an_even_sky_tells_no_gain() -> None:
    dice = np.random.default_rng(4)
    assert from_sky(dice.normal(1000.0, 20.0, (600, 600)), None, bayer=False) is None
    assert from_sky(dice.normal(1000.0, 20.0, (20, 20)), None, bayer=False) is None


def test_darks_are_scaled_only_when_that_is_right() -> None:
    assert dark_factor(60.0, 60.5, with_bias=False) == 1.0
    assert dark_factor(120.0, 60.0, with_bias=True) == 0.5
    assert "without a bias" in str(dark_factor(120.0, 60.0, with_bias=False))
    assert "not scaled up" in str(dark_factor(30.0, 60.0, with_bias=True))
    assert "not told" in str(dark_factor(None, 60.0, with_bias=True))


def test_what_is_not_told_is_a_doubt_and_no_refusal() -> None:
    made, frame = Setup(10, 10, camera="ZWO  asi", gain=100.0), Setup(10, 10, camera="ZWO ASI", gain=None)
    found = fits("bias", made, frame)
    assert found.refused is None
    assert "gain is not told" in found.doubts


def test_a_flat_of_another_rotation_or_telescope_does_not_suit() -> None:
    frame = Setup(10, 10, filter="V", telescope="RC 8", rotation_deg=359.0)
    assert fits("flat", Setup(10, 10, filter="V", telescope="RC8", rotation_deg=0.5), frame).refused is None
    turned = fits("flat", Setup(10, 10, filter="V", telescope="RC 8", rotation_deg=90.0), frame).refused
    assert turned is not None and turned.startswith("rotation 90°")
    assert "telescope" in str(fits("flat", Setup(10, 10, filter="V", telescope="Epsilon"), frame).refused)
    assert fits("bias", Setup(10, 10, telescope="Epsilon"), frame).refused is None
