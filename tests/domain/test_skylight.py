"""How long an exposure may be under a bright sky, and on a field that turns."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as some

from astrod.domain.skylight import (
    FULL,
    KNOWN_US,
    TURN_PX,
    Noise,
    Skylight,
    field_turn_deg_s,
    fitted,
    halved,
    longest_turning_s,
    swamped_s,
)
from astrod.domain.sphere import altitude_azimuth_deg, sidereal_deg

GLASS = "main", "L", 1
NOON_US = 1_800_000_000_000_000


def parallactic_deg(hour_angle_deg: float, dec_deg: float, latitude_deg: float) -> float:
    """The angle between north and the zenith at a place on the sky (Meeus, chapter 14)."""
    ha, dec, lat = map(math.radians, (hour_angle_deg, dec_deg, latitude_deg))
    return math.degrees(math.atan2(math.sin(ha), math.tan(lat) * math.cos(dec) - math.sin(dec) * math.cos(ha)))


@pytest.mark.parametrize(("ra_deg", "dec_deg"), [(10.0, 20.0), (40.0, 41.0), (75.0, -10.0), (200.0, 70.0)])
def test_the_field_turns_as_fast_as_the_parallactic_angle_changes(ra_deg: float, dec_deg: float) -> None:
    latitude_deg, seconds = 36.0, 20
    altitude_deg, azimuth_deg = altitude_azimuth_deg(ra_deg, dec_deg, NOON_US, latitude_deg, 0.0)
    hour_angle = 360.0 / 86164.0905
    here = sidereal_deg(NOON_US, 0.0) - ra_deg
    before = parallactic_deg(here - hour_angle * seconds / 2, dec_deg, latitude_deg)
    after = parallactic_deg(here + hour_angle * seconds / 2, dec_deg, latitude_deg)
    turned = abs((after - before + 180.0) % 360.0 - 180.0) / seconds
    assert field_turn_deg_s(altitude_deg, azimuth_deg, latitude_deg) == pytest.approx(turned, rel=1e-3)


def test_the_zenith_turns_without_end_and_a_still_field_never() -> None:
    assert field_turn_deg_s(90.0, 0.0, 40.0) == math.inf
    assert longest_turning_s(0.0, 484, 274) == math.inf
    longest_s = longest_turning_s(0.004, 484, 274)
    assert math.radians(0.004 * longest_s) * math.hypot(484, 274) / 2 == pytest.approx(TURN_PX)


@given(some.floats(1.0, 3600.0), some.floats(0.1, 5000.0), some.none() | some.floats(1.0, 3600.0))
def test_an_exposure_is_halved_until_it_fits_and_never_below_its_least(
    exposure_s: float, longest_s: float, least_s: float | None
) -> None:
    short_s = halved(exposure_s, longest_s, least_s)
    floor_s = min(exposure_s, 30.0 if least_s is None else least_s)
    assert floor_s <= short_s <= exposure_s
    assert math.log2(exposure_s / short_s) == pytest.approx(round(math.log2(exposure_s / short_s)), abs=1e-9)
    assert short_s <= longest_s or short_s / 2 < floor_s
    assert short_s == exposure_s or 2 * short_s > longest_s


@given(some.floats(0.0, 3000.0), some.floats(1.0, 2000.0))
def test_two_looks_tell_the_pedestal_and_so_the_longest_exposure(pedestal_adu: float, rate_adu_s: float) -> None:
    sky = Skylight()
    levels = [(seconds, pedestal_adu + rate_adu_s * seconds) for seconds in (2.0, 10.0)]
    sky.compared(GLASS, *levels)
    sky.measured(GLASS, "M 31", *levels[1], NOON_US)
    longest_s = sky.longest_s(GLASS, 65535.0, NOON_US)
    assert pedestal_adu + rate_adu_s * longest_s == pytest.approx(FULL * 65535.0, rel=1e-3)


def test_with_no_pedestal_known_an_exposure_is_too_short_rather_than_too_long() -> None:
    sky = Skylight()
    sky.measured(GLASS, "M 31", 10.0, 500.0 + 100.0 * 10.0, NOON_US)
    assert 500.0 + 100.0 * sky.longest_s(GLASS, 65535.0, NOON_US) < FULL * 65535.0


def test_a_bright_sky_is_known_on_its_own_target_only_and_none_for_ever() -> None:
    sky = Skylight()
    sky.measured(GLASS, "M 31", 10.0, 1000.0, NOON_US)
    assert sky.is_known(GLASS, "M 31", 300.0, 65535.0, NOON_US)
    assert not sky.is_known(GLASS, "M 33", 300.0, 65535.0, NOON_US)
    assert sky.is_known(GLASS, "M 33", 100.0, 65535.0, NOON_US)
    assert not sky.is_known(GLASS, "M 31", 300.0, 65535.0, NOON_US + KNOWN_US + 1)
    assert sky.longest_s(GLASS, 65535.0, NOON_US + KNOWN_US + 1) == math.inf
    assert not sky.is_known(("main", "R", 1), "M 31", 300.0, 65535.0, NOON_US)


def test_a_frame_that_overflowed_shortens_the_next_and_a_measured_one_corrects_it() -> None:
    sky = Skylight()
    sky.overflowed(GLASS, "M 31", 480.0, 65535.0, NOON_US)
    assert sky.longest_s(GLASS, 65535.0, NOON_US) < 240.0
    sky.measured(GLASS, "M 31", 120.0, 12_000.0, NOON_US)
    assert sky.longest_s(GLASS, 65535.0, NOON_US) > 400.0


@given(
    exposure=some.sampled_from((15.0, 60.0, 90.0, 300.0)),
    wanted=some.one_of(some.floats(0.1, 5000.0), some.just(math.inf)),
    shortest=some.one_of(some.none(), some.floats(1.0, 200.0)),
    longest=some.one_of(some.none(), some.floats(60.0, 3600.0)),
)
def test_a_fitted_exposure_keeps_its_bounds_and_goes_no_farther_than_it_must(
    exposure: float, wanted: float, shortest: float | None, longest: float | None
) -> None:
    found = fitted(exposure, wanted, shortest, longest)
    assert math.log2(found / exposure) == round(math.log2(found / exposure))
    assert found <= max(exposure, longest or 0.0)
    assert found >= min(exposure, 30.0 if shortest is None else shortest)
    if found > exposure:
        assert found / 2.0 < wanted
    if found < exposure:
        assert found >= wanted


def test_the_sky_drowns_the_read_out_when_it_has_ten_times_its_variance() -> None:
    noise = Noise(adu=math.sqrt(25.0 + 100.0), exposure_s=50.0, at_us=0)
    assert swamped_s(noise, 5.0) == pytest.approx(125.0)
    assert swamped_s(Noise(4.9, 50.0, 0), 5.0) == math.inf
