"""The simulated all-sky camera: stars where they are, clouds that hide them, meteors where they were planted."""

from dataclasses import replace

import numpy as np
import pytest

from astrod_drivers.protocols import SiteFix
from astrod_drivers.sim import ephemeris
from astrod_drivers.sim.allsky import HOUR_US, SimAllSky
from astrod_drivers.sim.fisheye import Lens, Meteor, WholeSky, covered, render
from astrod_drivers.sim.scene import Cloud
from astrod_drivers.sim.setup import ObservatorySetup
from astrod_drivers.sim.weather import Climate

SITE = SiteFix(41.6, 1.5, 700.0)
MIDNIGHT_US = 1_797_206_400_000_000  # 2026-12-14T00:00Z, no Moon in the sky
CLEAR = WholeSky(1, SITE, MIDNIGHT_US, 10.0)
CAPELLA = (79.172, 45.998)


def place(ra_deg: float, dec_deg: float) -> tuple[float, float]:
    """Azimuth and altitude at the picture's instant."""
    ra, dec = ephemeris.of_date(ra_deg, dec_deg, MIDNIGHT_US)
    hour_angle = ephemeris.sidereal_deg(MIDNIGHT_US, SITE.longitude_deg) - ra
    altitude, azimuth = ephemeris.horizontal_deg(hour_angle, dec, SITE.latitude_deg)
    return azimuth, altitude


def around(picture: np.ndarray, x: float, y: float, reach: int = 4) -> np.ndarray:
    column, row = round(x), round(y)
    return picture[row - reach : row + reach + 1, column - reach : column + reach + 1].astype(float)


def test_a_bright_star_is_where_it_should_be_and_a_solid_cloud_hides_it() -> None:
    azimuth, altitude = place(*CAPELLA)
    assert altitude > 50.0
    x, y = CLEAR.lens.pixel(np.array([azimuth]), np.array([altitude]))
    clear = around(render(CLEAR), x[0], y[0])
    assert clear.max() > np.median(clear) + 5000.0
    row, column = np.unravel_index(clear.argmax(), clear.shape)
    assert abs(row - 4) <= 1 and abs(column - 4) <= 1
    clouded = around(render(replace(CLEAR, cloud=Cloud(cover=1.0, thickness_mag=8.0))), x[0], y[0])
    assert clouded.max() < np.median(clouded) + 2500.0


def test_pixels_and_directions_are_each_others_inverse() -> None:
    lens = Lens()
    azimuth, altitude = np.array([10.0, 135.0, 300.0]), np.array([80.0, 45.0, 5.0])
    assert np.allclose(lens.direction(*lens.pixel(azimuth, altitude)), (azimuth, altitude))
    x, _ = lens.pixel(np.array([90.0]), np.array([45.0]))
    assert x[0] < lens.x_px, "east is to the left of a picture of the sky with north up"


def test_a_meteor_lies_between_its_ends() -> None:
    meteor = Meteor(MIDNIGHT_US, 200.0, 70.0, 220.0, 55.0, mag=-3.0)
    difference = render(replace(CLEAR, meteors=(meteor,))).astype(float) - render(CLEAR).astype(float)
    rows, columns = np.nonzero(difference > 3000.0)
    assert len(rows) > 20
    x, y = CLEAR.lens.pixel(np.array([200.0, 220.0]), np.array([70.0, 55.0]))
    assert x.min() - 4 <= columns.min() and columns.max() <= x.max() + 4
    assert y.min() - 4 <= rows.min() and rows.max() <= y.max() + 4


def test_clouds_are_told_as_they_stand_in_the_picture() -> None:
    assert covered(CLEAR, 100.0, 60.0) == 0.0
    assert covered(replace(CLEAR, cloud=Cloud(cover=1.0, thickness_mag=5.0)), 100.0, 60.0) > 0.5


def test_meteors_fall_as_often_as_asked_the_same_for_a_seed(tmp_path: object) -> None:
    setup = ObservatorySetup(seed=3, allsky="allsky", meteors_per_hour=6.0)
    device = SimAllSky(setup, Climate(setup), None, None)  # type: ignore[arg-type]
    span = (MIDNIGHT_US, MIDNIGHT_US + 50 * HOUR_US)
    fell = device.meteors(*span)
    assert len(fell) == pytest.approx(300, abs=60)
    assert all(span[0] <= meteor.at_us < span[1] and 25.0 <= meteor.end_altitude_deg <= 88.0 for meteor in fell)
    again = SimAllSky(setup, Climate(setup), None, None)  # type: ignore[arg-type]
    assert again.meteors(*span) == fell
