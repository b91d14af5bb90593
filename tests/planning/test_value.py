"""The closed formula of what an exposure brings."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from astrod.domain import sphere
from astrod.planning import value

DARK = np.zeros(1)


def test_air_mass_is_the_domains() -> None:
    altitudes = np.linspace(-5.0, 90.0, 200)
    ours = value.airmass(altitudes)
    theirs = [sphere.airmass(float(altitude)) for altitude in altitudes]
    assert ours == pytest.approx(theirs, rel=1e-12)


@given(st.floats(1.01, 10.0))
def test_an_air_mass_limit_is_an_altitude_limit(limit: float) -> None:
    assert sphere.airmass(value.altitude_of_airmass_deg(limit)) == pytest.approx(limit, rel=1e-6)


def test_a_limit_of_less_than_one_leaves_the_zenith() -> None:
    assert value.altitude_of_airmass_deg(0.5) == pytest.approx(90.0)


@given(st.floats(1.0, 79.0), st.floats(0.1, 1.0))
def test_higher_is_better(altitude_deg: float, step_deg: float) -> None:
    low, high = (value.quality(np.array([a]), DARK)[0] for a in (altitude_deg, altitude_deg + step_deg))
    assert 0.0 < low < high <= 1.0


def test_the_zenith_of_a_dark_night_is_one_and_the_ground_nothing() -> None:
    assert value.quality(np.array([90.0]), DARK)[0] == pytest.approx(1.0, abs=1e-3)
    assert value.quality(np.array([-3.0]), DARK)[0] == 0.0


def test_moonlight_of_a_full_moon_is_what_krisciunas_and_schaefer_say() -> None:
    """Their figure for a full Moon 60° from the zenith, sky 60° from it at 45°: some 3 magnitudes brighter."""
    light = value.moonlight_nanolambert(np.array([60.0]), np.array([60.0]), np.array([45.0]), np.array([0.0]))
    magnitudes = 2.5 * math.log10((79.0 + light[0]) / 79.0)
    assert 2.5 < magnitudes < 4.0


@given(st.floats(10.0, 120.0), st.floats(1.0, 90.0))
def test_the_moon_costs_less_when_far_or_down(apart_deg: float, moon_altitude_deg: float) -> None:
    sky = np.array([60.0])
    near, far = (
        value.moonlight_nanolambert(sky, np.array([d]), np.array([moon_altitude_deg]), np.array([20.0]))[0]
        for d in (apart_deg / 4, min(apart_deg, 90.0))
    )
    down = value.moonlight_nanolambert(sky, np.array([apart_deg]), np.array([-1.0]), np.array([20.0]))[0]
    assert near > far > down == 0.0


def test_narrow_filters_mind_the_moon_less() -> None:
    moon = np.array([500.0])
    broad, narrow = (value.quality(np.array([60.0]), moon, narrow=flag)[0] for flag in (False, True))
    assert narrow > 2 * broad
    assert [value.is_narrow(name) for name in ("Ha", "H-alpha", "O III", "SII 3nm", "L", "R", None)] == [
        True, True, True, True, False, False, False,
    ]  # fmt: skip
