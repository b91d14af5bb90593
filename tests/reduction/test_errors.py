"""Errors are honest: the same field exposed again and again scatters as they say."""

import numpy as np

from astrod.measure.calibrate import Detector, Recipe, calibrate
from astrod.measure.masters import Master
from astrod.measure.photometry import STAR, find_sources, measure_sources
from astrod.measure.sources import sky
from tests.reduction.camera import Camera, stars_on

FRAMES = 14


def test_repeated_photometry_scatters_as_its_errors_say() -> None:
    camera = Camera(rows=300, columns=360, dark_e_s=0.0)
    dice = np.random.default_rng(6)
    x, y = (axis.ravel() for axis in np.meshgrid(np.arange(20.0, 350.0, 30.0), np.arange(20.0, 290.0, 30.0)))
    x, y = x + dice.uniform(-4, 4, x.size), y + dice.uniform(-4, 4, y.size)
    light = stars_on(camera, x, y, 10.0 ** dice.uniform(3.2, 5.2, x.size), 400.0)
    plain = np.zeros((camera.rows, camera.columns), np.float32)
    bias = Master((plain + camera.bias_adu + camera.pattern).astype(np.float32), 0.0, 50, 400.0, 6.0, 3.75)
    flat = Master(camera.response.astype(np.float32), 0.0, 50, 1.0, 0.1, 0.001)
    detector = Detector(camera.gain_e_adu, camera.read_noise_e / camera.gain_e_adu, 60_000.0)
    values = np.full((6, FRAMES, x.size), np.nan)
    for number in range(FRAMES):
        raw = camera.expose(light, 0.0, dice)
        found = calibrate(raw, None, Recipe(bias, flat=flat), detector)
        seen = sky(found.values, None)
        finds = find_sources(seen.above, found.sigma, found.flags)
        table = measure_sources(finds, seen.above, found.sigma, found.flags).table
        away = np.hypot(table.x[:, None] - x, table.y[:, None] - y)
        nearest, near = away.argmin(axis=0), away.min(axis=0) < 1.0
        rows = table.of(nearest)
        near &= rows.kind == STAR
        columns = (rows.profile, rows.profile_error, rows.aperture, rows.aperture_error, rows.x, rows.place_error)
        for index, column in enumerate(columns):
            values[index, number, near] = column[near]
    often = np.isfinite(values[0]).sum(axis=0) == FRAMES
    assert np.count_nonzero(often) > 0.6 * x.size
    for value, error in ((0, 1), (2, 3), (4, 5)):
        scatter = np.std(values[value][:, often], axis=0, ddof=1)
        told = np.median(values[error][:, often], axis=0)
        assert 0.85 < float(np.sqrt(np.mean((scatter / told) ** 2))) < 1.2
