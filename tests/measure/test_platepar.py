"""RMS's calibrations are read as RMS means them."""

from typing import Any

import numpy as np
import pytest

from astrod.errors import InputInvalid
from astrod.measure.fisheye import like, vectors
from astrod.measure.platepar import platepar_of

RADIAL: dict[str, Any] = {
    # the numbers of a real station (AU004P), as its maker published them in the code of RMS
    "F_scale": 15.701176160218697,
    "Ho": 313.86851592408493,
    "JD": 2460740.915217384,
    "RA_d": 109.18334207962252,
    "dec_d": -74.08689102624128,
    "X_res": 1280,
    "Y_res": 720,
    "lat": -22.47,
    "lon": 143.18,
    "pos_angle_ref": 343.0805344830111,
    "distortion_type": "radial7-odd",
    "equal_aspect": True,
    "asymmetry_corr": True,
    "force_distortion_centre": False,
    "refraction": True,
    "station_code": "AU004P",
    "x_poly_fwd": [0.0324395, 0.0302382, 0.0111435, -0.2604269, 0.0752265, -0.0006981, 0.0123352],
    "y_poly_fwd": [0.5, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0],
}
ALT_CENTRE, AZ_CENTRE, FOV_H, FOV_V, TILT = 37.96222, 175.86983, 88.652, 47.015, -1.49374
"""What the same file says of the camera, worked out by RMS itself."""


def looks(facts: dict[str, Any], *pixels: tuple[float, float]) -> np.ndarray[Any, np.dtype[np.float64]]:
    """Unit vectors of pixels."""
    x, y = np.array(pixels, dtype=np.float64).T
    return vectors(*platepar_of(facts).horizontal(x, y))


def test_the_middle_of_the_plate_looks_where_rms_says() -> None:
    """The plate's middle lies where the distortion takes nothing away: beside the picture's middle by the offset."""
    x0, y0 = 0.0324395 * 640, 0.0302382 * 360
    azimuth, altitude = platepar_of(RADIAL | {"refraction": False}).horizontal(
        np.array([640 + x0]), np.array([360 + y0])
    )
    # RMS takes the middle for J2000 in its note of the altitude, and for the equinox of date where it maps pixels
    assert azimuth[0] == pytest.approx(AZ_CENTRE, abs=0.1)
    assert altitude[0] == pytest.approx(ALT_CENTRE, abs=0.05)


def test_the_field_has_the_size_and_the_tilt_that_rms_says() -> None:
    left, right, top, bottom = looks(RADIAL, (0, 360), (1280, 360), (640, 0), (640, 720))
    assert np.rad2deg(np.arccos(left @ right)) == pytest.approx(FOV_H, abs=0.6)
    assert np.rad2deg(np.arccos(top @ bottom)) == pytest.approx(FOV_V, abs=0.6)
    near_left, near_right = looks(RADIAL, (630, 360), (650, 360))
    east = np.hypot(*(near_right - near_left)[:2])
    assert np.rad2deg(np.arctan2(near_right[2] - near_left[2], east)) == pytest.approx(TILT, abs=1.0)


def test_the_sky_is_not_mirrored() -> None:
    """Looking south with the horizon below, west is on the right."""
    left, right, top, bottom = looks(RADIAL, (0, 360), (1280, 360), (640, 0), (640, 720))
    assert right[0] < left[0]
    assert top[2] > bottom[2]


def test_a_polynomial_without_bends_is_an_equidistant_plate() -> None:
    flat = RADIAL | {"distortion_type": "poly3+radial", "x_poly_fwd": [0.0] * 12, "y_poly_fwd": [0.0] * 12}
    middle, right = looks(flat, (640, 360), (640 + 157.01176, 360))
    assert np.rad2deg(np.arccos(middle @ right)) == pytest.approx(10.0, abs=1e-3)
    bent = flat | {"x_poly_fwd": [0.0, 0.1, *[0.0] * 10]}
    assert np.rad2deg(np.arccos(middle @ looks(bent, (640 + 157.01176, 360))[0])) == pytest.approx(11.0, abs=1e-3)


@pytest.mark.parametrize(
    "kind", ["radial3-all", "radial4-all", "radial5-all", "radial3-odd", "radial5-odd", "radial9-odd"]
)
def test_radial_kinds_grow_by_their_powers(kind: str) -> None:
    powers = range(2, int(kind[6]) + 1) if kind.endswith("all") else range(3, int(kind[6]) + 1, 2)
    numbers = [0.0, 0.0, *[0.02] * len(powers)]
    facts = RADIAL | {"distortion_type": kind, "asymmetry_corr": False, "x_poly_fwd": numbers}
    middle, edge = looks(facts, (640, 360), (1280, 360))
    expected = (1.0 + 0.02 * len(powers)) * 640 / facts["F_scale"]
    assert np.rad2deg(np.arccos(middle @ edge)) == pytest.approx(expected, abs=1e-3)


def test_refraction_lifts_what_is_low() -> None:
    plain = RADIAL | {"refraction": False}
    pixels = np.array([640.0]), np.array([700.0])
    lifted = platepar_of(RADIAL).horizontal(*pixels)[1] - platepar_of(plain).horizontal(*pixels)[1]
    assert 0.015 < lifted[0] < 0.03  # the middle at 38 degrees is lifted by 1.3 arcminutes, and the picture with it


@pytest.mark.parametrize(
    ("change", "word"),
    [
        ({"distortion_type": "wavy"}, "unknown distortion"),
        ({"F_scale": 0.0}, "impossible"),
        ({"x_poly_fwd": [0.0]}, "impossible"),
        ({"lat": None}, "not a platepar"),
        ({"RA_d": float("nan")}, "impossible"),
        ({"distortion_type": "poly3+radial"}, "impossible"),
    ],
)
def test_a_bad_platepar_is_refused(change: dict[str, Any], word: str) -> None:
    with pytest.raises(InputInvalid, match=word):
        platepar_of(RADIAL | change)
    with pytest.raises(InputInvalid, match="old one"):
        platepar_of({name: value for name, value in RADIAL.items() if name != "x_poly_fwd"})


def test_a_platepar_becomes_a_camera_that_can_be_fitted_again() -> None:
    platepar = platepar_of(RADIAL | {"asymmetry_corr": False, "x_poly_fwd": [0.0324, 0.0302, 0.0752, -0.0007, 0.0123]})
    camera = like(platepar, 1280, 720)
    assert camera.residual_arcmin < 4.0
    assert not camera.mirrored
    x, y = np.array([100.0, 640.0, 1200.0]), np.array([600.0, 360.0, 90.0])
    apart = vectors(*camera.horizontal(x, y)) - vectors(*platepar.horizontal(x, y))
    assert np.rad2deg(np.linalg.norm(apart, axis=1)).max() < 0.15
