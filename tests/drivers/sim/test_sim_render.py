"""Frames: stars where they should be, as bright and as sharp as they should be, and every fault visible."""

import os
import re
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from astrod_drivers.sim import psf
from astrod_drivers.sim.canvas import Canvas, Ellipse
from astrod_drivers.sim.render import render, sky_to_pixel, zero_electrons
from astrod_drivers.sim.scene import (
    Cloud,
    Optics,
    Pointing,
    Scene,
    Sensor,
    Streak,
    Transient,
    filter_named,
    trail,
)

QUIET = Sensor(width_px=321, height_px=241, cosmic_rays_cm2_min=0.0, hot_share=0.0, adc_bits=16)
PLAIN = Optics(vignetting=0.0, dust_motes=0)
POLE_FIELD = Pointing(ra_deg=192.9, dec_deg=27.1)  # few stars
BASE = Scene(sensor=QUIET, optics=PLAIN, pointings=(POLE_FIELD,), temperature_c=-20.0)
SPOT = Transient(192.9, 27.1, 9.0)


def electrons(frame: NDArray[Any], scene: Scene) -> NDArray[np.float64]:
    return (frame.astype(np.float64) - scene.sensor.bias_adu) * scene.sensor.egain_e_per_adu


def added(event: Transient | Streak, scene: Scene = BASE) -> NDArray[np.float64]:
    """What an event adds to a scene, electrons: the noise's seed is the same, so little else is left."""
    with_event = render(replace(scene, events=(event,)))
    return electrons(with_event, scene) - electrons(render(scene), scene)


def moments(light: NDArray[np.float64], x: float, y: float, reach: int = 14) -> tuple[float, float, float, float]:
    """Flux, centroid and RMS width about (x, y)."""
    rows, columns = (
        slice(round(y) - reach, round(y) + reach + 1),
        slice(round(x) - reach, round(x) + reach + 1),
    )
    cut = light[rows, columns]
    yy, xx = np.mgrid[rows, columns]
    flux = float(cut.sum())
    cx, cy = float((cut * xx).sum() / flux), float((cut * yy).sum() / flux)
    core = np.hypot(xx - cx, yy - cy) < 8
    width = float(np.sqrt(max(0.0, (cut * ((xx - cx) ** 2 + (yy - cy) ** 2))[core].sum() / cut[core].sum())))
    return flux, cx, cy, width


def test_equal_scenes_give_equal_frames_and_other_seeds_other_noise() -> None:
    assert np.array_equal(render(BASE), render(replace(BASE)))
    assert not np.array_equal(render(BASE), render(replace(BASE, seed=2)))
    assert render(BASE).dtype == np.uint16
    assert render(BASE).shape == (241, 321)


@pytest.mark.parametrize("rotation_deg", [0.0, 37.0, 180.0])
@pytest.mark.parametrize("offset", [(0.0, 0.0), (0.0213, -0.0117), (-0.0301, 0.0203)])
def test_a_star_lies_where_the_projection_says(rotation_deg: float, offset: tuple[float, float]) -> None:
    scene = replace(BASE, pointings=(replace(POLE_FIELD, rotation_deg=rotation_deg),))
    star = replace(SPOT, ra_deg=192.9 + offset[0], dec_deg=27.1 + offset[1])
    x, y = sky_to_pixel(scene, scene.pointings[0], np.array([star.ra_deg]), np.array([star.dec_deg]))
    _, cx, cy, _ = moments(added(star, scene), float(x[0]), float(y[0]))
    assert cx == pytest.approx(float(x[0]), abs=0.12)
    assert cy == pytest.approx(float(y[0]), abs=0.12)


def test_north_is_up_and_east_left_without_rotation() -> None:
    x, y = sky_to_pixel(BASE, POLE_FIELD, np.array([192.9, 192.92]), np.array([27.12, 27.1]))
    assert y[0] < 119
    assert x[0] == pytest.approx(160.0)
    assert x[1] < 159


def test_flux_follows_magnitude_exposure_and_filter() -> None:
    for scene in (BASE, replace(BASE, exposure_s=20.0), replace(BASE, filter=filter_named("G"))):
        flux, *_ = moments(added(replace(SPOT, mag=12.0), scene), 160.0, 120.0)
        expected = zero_electrons(scene) * 10.0 ** (-0.4 * 12.0)
        assert flux == pytest.approx(expected, rel=0.06)


def test_seeing_sets_the_width() -> None:
    widths = []
    for seeing_arcsec in (2.0, 4.0, 6.0):
        light = added(replace(SPOT, mag=11.5), replace(BASE, seeing_arcsec=seeing_arcsec, jitter_arcsec=0.0))
        area = float((light > light.max() / 2.0).sum())
        widths.append(2.0 * np.sqrt(area / np.pi) * BASE.scale_arcsec)
    assert widths == sorted(widths)
    assert widths[2] == pytest.approx(6.2, rel=0.15)


def test_the_psf_holds_all_the_light() -> None:
    for blur_px, path in ((0.0, 0.0), (12.0, 0.0), (0.0, 20.0), (9.0, 15.0)):
        line = np.stack([np.linspace(-path / 2, path / 2, 41), np.zeros(41)], axis=1)
        bank = psf.build(2.0, blur_px, 0.3, line, np.ones(41))
        assert bank.stamps.sum(axis=(2, 3)) == pytest.approx(1.0, abs=0.03)


def test_defocus_makes_a_ring_behind_an_obstruction() -> None:
    scene = replace(BASE, defocus_um=200.0, optics=replace(PLAIN, obstruction=0.4), seeing_arcsec=2.0)
    light = added(replace(SPOT, mag=9.0), scene)
    yy, xx = np.mgrid[0:241, 0:321]
    away = np.hypot(xx - 160, yy - 120)
    assert light[(away > 4) & (away < 6)].mean() > 2.0 * light[away < 1.5].mean()
    assert light[(away > 4) & (away < 6)].mean() > 5.0 * light[(away > 11) & (away < 13)].mean()


def test_trailing_draws_stars_out_along_the_drift() -> None:
    steady = replace(BASE, pointings=trail(192.9, 27.1, 0.0))
    drifting = replace(BASE, pointings=trail(192.9, 27.1, 30.0, 90.0))
    light = added(SPOT, drifting)
    rows, columns = np.nonzero(light > light.max() / 3.0)
    assert np.ptp(columns) > 14
    assert np.ptp(rows) < 8
    assert moments(added(SPOT, steady), 160.0, 120.0)[3] < 4.0


def test_a_jump_in_mid_exposure_gives_two_stars() -> None:
    path = (
        Pointing(0.0, 192.9, 27.1),
        Pointing(0.5, 192.9, 27.1),
        Pointing(0.501, 192.9, 27.14),
        Pointing(1.0, 192.9, 27.14),
    )
    light = added(SPOT, replace(BASE, pointings=path))
    shift = 0.04 * 3600 / BASE.scale_arcsec
    first, second = moments(light, 160.0, 120.0)[0], moments(light, 160.0, 120.0 + shift)[0]
    assert first == pytest.approx(second, rel=0.15)
    assert first > 0.4 * moments(added(SPOT), 160.0, 120.0)[0]


def test_a_long_slew_during_the_exposure_is_survived() -> None:
    path = (
        Pointing(0.0, 10.0, 40.0, 0.0),
        Pointing(0.5, 190.0, -20.0, 180.0),
        Pointing(1.0, 190.0, -20.0, 180.0),
    )
    assert render(replace(BASE, pointings=path)).shape == (241, 321)


def test_clouds_take_starlight_and_give_glow() -> None:
    thick = replace(BASE, cloud=Cloud(cover=1.0, thickness_mag=3.0), town_light=1.5)
    assert moments(added(SPOT, thick), 160.0, 120.0)[0] < 0.2 * moments(added(SPOT), 160.0, 120.0)[0]
    assert np.median(render(thick)) > np.median(render(BASE)) + 30
    assert np.array_equal(render(replace(BASE, cloud=Cloud(cover=0.0))), render(BASE))


def test_the_sky_brightens_and_saturates() -> None:
    levels = [float(np.median(render(replace(BASE, sky_mag_arcsec2=mag)))) for mag in (22.0, 20.0, 17.0, 4.0)]
    assert levels == sorted(levels)
    assert levels[-1] == 65535


def test_dark_frames_have_no_sky_and_warm_sensors_glow() -> None:
    sensor = replace(QUIET, hot_share=2e-3)
    cold = render(replace(BASE, light=False, sensor=sensor, temperature_c=-20.0))
    warm = render(replace(BASE, light=False, sensor=sensor, temperature_c=20.0, seed=5))
    assert np.median(cold) == pytest.approx(QUIET.bias_adu, abs=3)
    assert np.median(warm) > np.median(cold) + 15
    hottest = np.argsort(warm.ravel())[-20:]
    assert (cold.ravel()[hottest] > np.median(cold)).mean() > 0.6  # the same pixels, whatever the seed of the frame
    assert np.array_equal(render(replace(BASE, roof_open=0.0)), render(replace(BASE, light=False))), (
        "a closed roof is as dark as a shutter"
    )


def test_noise_is_photon_and_read_noise() -> None:
    bias = electrons(render(replace(BASE, exposure_s=0.0)), BASE)
    assert bias.std() == pytest.approx(QUIET.read_noise_e, rel=0.05)
    bright = replace(BASE, sky_mag_arcsec2=17.0, optics=replace(PLAIN, vignetting=0.0))
    flat = electrons(render(bright), bright)
    response = (0.005 * np.median(flat)) ** 2  # the pixels differ by half a percent
    spread = 1.4826 * float(np.median(np.abs(flat - np.median(flat))))
    assert spread**2 == pytest.approx(np.median(flat) + QUIET.read_noise_e**2 + response, rel=0.08)


def test_a_bright_star_saturates_and_bleeds() -> None:
    clean = replace(BASE, sensor=replace(QUIET, blooming=0.0), events=(replace(SPOT, mag=2.0),))
    bleeding = replace(clean, sensor=replace(QUIET, blooming=0.3))
    full = [(render(scene) == 65535).sum(axis=0).max() for scene in (clean, bleeding)]
    assert full[0] > 5
    assert full[1] > full[0] + 10


def test_bayer_pixels_see_their_colours() -> None:
    scene = replace(BASE, sensor=replace(QUIET, bayer="RGGB"))
    frame = electrons(render(scene), scene)
    red, green, blue = (float(np.median(frame[y::2, x::2])) for y, x in ((0, 0), (0, 1), (1, 1)))
    assert green > red > 0
    assert green > blue > 0


def test_binning_averages() -> None:
    whole, binned = render(BASE), render(replace(BASE, binning=2))
    assert binned.shape == (120, 160)
    assert np.median(binned) == pytest.approx(np.median(whole), abs=4)
    assert binned[:20].std() < whole[:40].std()


def test_streaks_cross_the_frame() -> None:
    light = added(Streak(0.0, 0.5, 1.0, 0.5, mag=3.0))
    assert (light[118:124].max(axis=0) > 200).mean() > 0.95
    assert np.abs(light[:100]).max() < 200
    flashing = added(Streak(0.0, 0.5, 1.0, 0.5, mag=3.0, tumble=1.0))
    assert (flashing[118:124].max(axis=0) > 200).mean() < 0.9
    meteor = added(Streak(0.3, 0.2, 0.7, 0.8, mag=-2.0, rate_arcsec_s=30_000.0, flare=True))
    assert meteor.sum() > 1000


def test_a_moving_transient_moves() -> None:
    asteroid = replace(SPOT, dec_rate_arcsec_h=720.0)
    _, _, y, _ = moments(added(asteroid), 160.0, 116.0)
    assert y == pytest.approx(120.0 - 720.0 / 120.0 / BASE.scale_arcsec, abs=0.3)


def test_impossible_scenes_are_refused() -> None:
    with pytest.raises(ValueError, match="pointing"):
        Scene(pointings=())
    with pytest.raises(ValueError, match="exposure"):
        Scene(exposure_s=-1.0)


@pytest.mark.parametrize("elliptical", [False, True])
@pytest.mark.parametrize("axis_ratio", [1.0, 0.4])
def test_a_galaxy_holds_its_light(elliptical: bool, axis_ratio: float) -> None:
    canvas = Canvas.blank(400, 400, 10, 1.0)
    canvas.add_galaxy(0.0, 200.3, 199.6, np.full(4, 1000.0), Ellipse(12.0, axis_ratio, 0.6, elliptical))
    assert canvas.frame().sum() == pytest.approx(1000.0, rel=0.12)
    rows, columns = np.mgrid[0:400, 0:400]
    assert (canvas.frame() * rows).sum() / canvas.frame().sum() == pytest.approx(199.6, abs=0.2)
    assert (canvas.frame() * columns).sum() / canvas.frame().sum() == pytest.approx(200.3, abs=0.2)


def test_the_same_frame_in_any_process() -> None:
    program = (
        "import hashlib\nfrom astrod_drivers.sim.scene import *\n"
        "from astrod_drivers.sim.render import render\n"
        "s = Scene(sensor=Sensor(width_px=200, height_px=100), cloud=Cloud(cover=0.5), events=(Streak(),))\n"
        "print(hashlib.sha256(render(s).tobytes()).hexdigest())"
    )
    digests = {
        subprocess.run(
            [sys.executable, "-c", program],
            env={**os.environ, "PYTHONHASHSEED": seed, "OPENBLAS_NUM_THREADS": threads},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for seed, threads in (("0", "1"), ("12345", "2"))
    }
    assert len(digests) == 1


@pytest.mark.skipif(shutil.which("solve-field") is None, reason="needs astrometry.net and its Tycho-2 index")
def test_astrometry_net_knows_our_sky(tmp_path: Path) -> None:
    fits = pytest.importorskip("astropy.io.fits")
    wide = Optics(focal_length_mm=100.0, aperture_mm=30.0)
    fits.writeto(tmp_path / "sky.fits", render(Scene(pointings=(Pointing(0.0, 83.5, 22.3, 33.0),), optics=wide)))
    hints = ["--scale-units", "arcsecperpix", "--scale-low", "5.8", "--scale-high", "6.2", "--radius", "3"]
    command = ["solve-field", "--no-plots", "--cpulimit", "60", *hints, "--ra", "83.6", "--dec", "22.2"]
    done = subprocess.run(
        [*command, "-D", tmp_path, tmp_path / "sky.fits"], capture_output=True, text=True, check=False
    )
    if "index" not in done.stdout + done.stderr:
        pytest.skip("astrometry.net has no index files here")
    found = re.search(r"Field center: \(RA,Dec\) = \(([\d.]+), ([\d.]+)\)", done.stdout)
    assert found, done.stdout[-600:]
    assert float(found[1]) == pytest.approx(83.5, abs=0.002)
    assert float(found[2]) == pytest.approx(22.3, abs=0.002)
    turn = re.search(r"up is (-?[\d.]+) degrees E of N", done.stdout)
    assert turn
    assert float(turn[1]) == pytest.approx(33.0 - 180.0, abs=0.3)  # FITS shows the first row at the bottom
