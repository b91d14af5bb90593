"""Lenses of several families are fitted by their stars to a few arcminutes; directions agree with astropy."""

from collections.abc import Callable
from datetime import UTC

import numpy as np
import pytest
from astropy import units as u
from astropy.coordinates import AltAz, EarthLocation, SkyCoord
from astropy.time import Time
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from astrod.domain.instant import from_datetime
from astrod.errors import InputInvalid
from astrod.measure.brightstars import bright_stars
from astrod.measure.fisheye import (
    Fisheye,
    Seen,
    equatorial_of,
    fisheye_of,
    fit,
    horizontal_of,
    refit,
    refraction_deg,
    seen_at,
    vectors,
)

Floats = NDArray[np.float64]
Lens = Callable[[Floats, Floats], tuple[Floats, Floats]]

PROJECTIONS: dict[str, Callable[[Floats], Floats]] = {
    "equidistant": lambda angle: angle,
    "equisolid": lambda angle: 2.0 * np.sin(angle / 2.0),
    "stereographic": lambda angle: 2.0 * np.tan(angle / 2.0),
    "orthographic": lambda angle: np.sin(np.minimum(angle, np.pi / 2.0)),
}
X, Y, RADIUS = 400.0, 390.0, 384.0


def lens(dice: np.random.Generator, name: str, edge_deg: float, tilt_deg: float, mirrored: bool) -> Lens:
    """Directions to pixels, written down apart from the code under test."""
    tilt = np.deg2rad(tilt_deg)
    lean = np.array([[1, 0, 0], [0, np.cos(tilt), -np.sin(tilt)], [0, np.sin(tilt), np.cos(tilt)]])
    turns = [np.deg2rad(angle) for angle in dice.uniform(0.0, 360.0, 2)]
    first, last = (np.array([[np.cos(t), np.sin(t), 0], [-np.sin(t), np.cos(t), 0], [0, 0, 1]]) for t in turns)
    matrix = first @ lean @ last
    focal = RADIUS / float(PROJECTIONS[name](np.array(np.deg2rad(edge_deg))))

    def pixels(azimuth: Floats, altitude: Floats) -> tuple[Floats, Floats]:
        camera = vectors(azimuth, altitude) @ matrix
        radius = focal * PROJECTIONS[name](np.arccos(camera[..., 2]))
        flat = np.hypot(camera[..., 0], camera[..., 1])
        sign = -1.0 if mirrored else 1.0
        return X + radius * camera[..., 0] / flat, Y + sign * radius * camera[..., 1] / flat

    return pixels


def picture(dice: np.random.Generator, pixels: Lens, limit: float) -> tuple[Floats, tuple[int, float, float]]:
    """Stars (x, y; brightest first) of a place and time: some missing, some that are none, none exactly placed."""
    stars = bright_stars()
    moment = int(1.7e15 + dice.uniform(0, 3e13)), float(dice.uniform(-60, 60)), float(dice.uniform(-180, 180))
    azimuth, altitude = horizontal_of(stars.ra_deg, stars.dec_deg, *moment)
    magnitude = stars.magnitude + dice.normal(0.0, 0.3, stars.magnitude.size)
    magnitude += 0.2 / np.sin(np.deg2rad(np.maximum(altitude, 3.0)))
    shown = (altitude > 3.0) & (magnitude < limit) & (dice.random(magnitude.size) > 0.15)
    x, y = pixels(azimuth[shown], altitude[shown])
    others = int(dice.integers(5, 50))
    x = np.concatenate([x + dice.normal(0.0, 0.25, x.size), dice.uniform(20, 780, others)])
    y = np.concatenate([y + dice.normal(0.0, 0.25, y.size), dice.uniform(20, 780, others)])
    order = np.argsort(np.concatenate([magnitude[shown], dice.uniform(0.0, limit, others)]))
    return np.stack([x[order], y[order]], axis=1), moment


def errors_arcmin(camera: Fisheye, pixels: Lens) -> Floats:
    dice = np.random.default_rng(0)
    azimuth, altitude = dice.uniform(0, 360, 400), dice.uniform(15, 89, 400)
    found = vectors(*camera.horizontal(*pixels(azimuth, altitude)))
    return np.rad2deg(np.linalg.norm(found - vectors(azimuth, altitude), axis=1)) * 60.0


@pytest.mark.parametrize("mirrored", [False, True])
@pytest.mark.parametrize("name", PROJECTIONS)
def test_each_family_of_lenses_is_fitted(name: str, mirrored: bool) -> None:
    dice = np.random.default_rng(11 + mirrored)
    pixels = lens(dice, name, 86.0 if name == "orthographic" else dice.uniform(80, 94), dice.normal(0, 3), mirrored)
    stars, moment = picture(dice, pixels, dice.uniform(3.6, 4.8))
    camera = fit(seen_at(stars, bright_stars(), *moment), X + 5.0, Y - 4.0, RADIUS * 1.02)
    assert camera.mirrored == mirrored
    assert camera.residual_arcmin < 10.0
    assert np.sqrt(np.mean(errors_arcmin(camera, pixels) ** 2)) < 5.0


def test_a_camera_that_leans_is_fitted() -> None:
    dice = np.random.default_rng(4)
    pixels = lens(dice, "equisolid", 90.0, 8.0, False)
    stars, moment = picture(dice, pixels, 4.5)
    camera = fit(seen_at(stars, bright_stars(), *moment), X, Y, RADIUS)
    assert np.sqrt(np.mean(errors_arcmin(camera, pixels) ** 2)) < 5.0


def test_the_wrong_night_is_refused() -> None:
    dice = np.random.default_rng(8)
    stars, (at, latitude, longitude) = picture(dice, lens(dice, "equidistant", 88.0, 1.0, False), 4.2)
    with pytest.raises(InputInvalid, match="check site and time"):
        fit(seen_at(stars, bright_stars(), at, -latitude, longitude + 111.0), X, Y, RADIUS)
    with pytest.raises(InputInvalid, match="too few"):
        fit(seen_at(stars[:5], bright_stars(), at, latitude, longitude), X, Y, RADIUS)


def test_a_camera_that_was_knocked_is_fitted_again() -> None:
    dice = np.random.default_rng(9)
    pixels = lens(dice, "equisolid", 90.0, 2.0, False)
    stars, moment = picture(dice, pixels, 4.4)
    seen = seen_at(stars, bright_stars(), *moment)
    camera = fit(seen, X, Y, RADIUS)
    knocked = Fisheye(camera.x + 4.0, camera.y, camera.focal_px, camera.k3, camera.k5, camera.turn, camera.mirrored)
    again = refit(seen, knocked)
    assert abs(again.x - camera.x) < 0.2
    with pytest.raises(InputInvalid):
        refit(Seen(seen.x, seen.y[::-1].copy(), seen.azimuth_deg, seen.altitude_deg), camera)


CAMERA = Fisheye(320.5, 241.0, 152.0, -0.04, 0.002, (0.03, -0.05, 2.0), False, 3.2, 120)


@given(azimuth=st.floats(0, 359.9), altitude=st.floats(0.0, 89.0), mirrored=st.booleans())
def test_pixels_and_directions_are_inverse(azimuth: float, altitude: float, mirrored: bool) -> None:
    camera = Fisheye(*[getattr(CAMERA, name) for name in ("x", "y", "focal_px", "k3", "k5", "turn")], mirrored)
    place = np.array([azimuth]), np.array([altitude])
    back = camera.horizontal(*camera.pixels(*place))
    assert float(np.linalg.norm(vectors(*back) - vectors(*place))) < 1e-6


def test_a_calibration_survives_its_file_and_a_bad_one_is_refused() -> None:
    again = fisheye_of(CAMERA.facts())
    assert again.stars == 120
    x, y = np.array([100.0, 500.0]), np.array([200.0, 300.0])
    assert np.allclose(again.horizontal(x, y), CAMERA.horizontal(x, y), atol=1e-5)
    for broken in ({"x": "?"}, {"focal_px": 0.0}, {"turn": [1, 2]}, {"turn": None}, {"k3": float("nan")}):
        with pytest.raises(InputInvalid, match="--calibrate"):
            fisheye_of(CAMERA.facts() | broken)


def test_directions_agree_with_astropy_and_are_inverse() -> None:
    at = Time("2025-03-11T22:14:05")
    at_us = from_datetime(at.to_datetime(timezone=UTC))
    stars = bright_stars().brighter(2.5)
    azimuth, altitude = horizontal_of(stars.ra_deg, stars.dec_deg, at_us, 41.6, 2.1)
    frame = AltAz(obstime=at, location=EarthLocation.from_geodetic(2.1, 41.6))
    there = SkyCoord(stars.ra_deg * u.deg, stars.dec_deg * u.deg).transform_to(frame)
    true = altitude - refraction_deg(there.alt.deg)
    up = there.alt.deg > 10.0
    apart = np.linalg.norm(vectors(azimuth, true) - vectors(there.az.deg, there.alt.deg), axis=1)[up]
    assert np.rad2deg(apart.max()) * 60.0 < 0.6  # aberration and UT1
    ra, dec = equatorial_of(azimuth[up], altitude[up], at_us, 41.6, 2.1)
    assert np.allclose(dec, stars.dec_deg[up], atol=1e-3)
    assert np.abs((ra - stars.ra_deg[up] + 180) % 360 - 180).max() < 0.01


def test_refraction_is_the_textbooks() -> None:
    assert refraction_deg(np.array([0.0]))[0] * 60 == pytest.approx(29.0, abs=1.0)
    assert refraction_deg(np.array([45.0]))[0] * 60 == pytest.approx(1.0, abs=0.05)
    assert refraction_deg(np.array([-5.0]))[0] == 0.0


def test_the_catalogue_is_what_the_eye_sees() -> None:
    stars = bright_stars()
    assert stars.magnitude[0] == pytest.approx(-1.44)
    assert np.all(np.diff(stars.magnitude) >= 0)
    assert 2500 < stars.ra_deg.size < 3200
    assert stars.brighter(2.0).ra_deg.size < 60
