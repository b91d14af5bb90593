"""The polar axis from three plate solutions, against the simulated mount's known error."""

import math
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from astrod.domain.polar import (
    Aim,
    PolarError,
    axis_of,
    polar_error,
    pole_of,
    turned_axis,
)
from astrod.domain.sphere import sidereal_deg
from astrod_drivers.sim import ephemeris
from tests.rig.guide_bench import GuideBench, at_bench


def direction(altitude_deg: float, azimuth_deg: float) -> tuple[float, float, float]:
    return Aim(altitude_deg, azimuth_deg, 0).direction


def aim(vector: tuple[float, float, float], at_us: int = 0) -> Aim:
    return Aim(math.degrees(math.asin(vector[2])), math.degrees(math.atan2(vector[0], vector[1])) % 360.0, at_us)


def around(axis: tuple[float, float, float], away_deg: float, angles_deg: list[float]) -> list[Aim]:
    """Sightings on a circle about an axis, counted from the meridian."""
    level = math.hypot(axis[0], axis[1])
    right = (axis[1] / level, -axis[0] / level, 0.0)
    up = tuple(right[(k + 1) % 3] * axis[(k + 2) % 3] - right[(k + 2) % 3] * axis[(k + 1) % 3] for k in range(3))
    c, s = math.cos(math.radians(away_deg)), math.sin(math.radians(away_deg))
    found = []
    for angle_deg in angles_deg:
        a, b = math.cos(math.radians(angle_deg)), math.sin(math.radians(angle_deg))
        found.append(aim(tuple(c * axis[k] + s * (a * up[k] + b * right[k]) for k in range(3))))  # type: ignore[arg-type]
    return found


@given(
    latitude_deg=st.one_of(st.floats(15.0, 70.0), st.floats(-70.0, -15.0)),
    up_arcmin=st.floats(-300, 300),
    side_arcmin=st.floats(-300, 300),
    away_deg=st.floats(25.0, 85.0),
    first_deg=st.floats(0.0, 360.0),
    arc_deg=st.floats(24.0, 120.0),
)
def test_any_axis_is_found_from_any_three_points(
    latitude_deg: float, up_arcmin: float, side_arcmin: float, away_deg: float, first_deg: float, arc_deg: float
) -> None:
    north = latitude_deg >= 0.0
    azimuth_deg = side_arcmin / 60.0 if north else 180.0 - side_arcmin / 60.0
    axis = direction(abs(latitude_deg) + up_arcmin / 60.0, azimuth_deg)
    seen = around(axis, away_deg, [first_deg, first_deg + arc_deg / 2.0, first_deg + arc_deg])
    error = polar_error(axis_of(seen, latitude_deg), latitude_deg)
    assert error.altitude_arcmin == pytest.approx(up_arcmin, abs=0.01)
    assert error.azimuth_arcmin == pytest.approx(side_arcmin, abs=0.01)


def test_the_advice_undoes_the_error() -> None:
    assert polar_error(pole_of(41.7), 41.7).total_arcmin == pytest.approx(0.0, abs=1e-6)
    advice = PolarError(12.0, -30.0, 25.0).advice
    assert "lower the axis by 12.0'" in advice and "east by 30.0'" in advice


def test_what_is_no_circle_is_refused() -> None:
    short = around(pole_of(40.0), 50.0, [0.0, 5.0, 10.0])
    with pytest.raises(ValueError, match="turned by 10"):
        axis_of(short, 40.0)
    with pytest.raises(ValueError, match="three aims"):
        axis_of(short[:2], 40.0)
    with pytest.raises(ValueError, match="do not lie on a circle"):
        axis_of([short[0]] * 3, 40.0)


@given(st.floats(-240, 240), st.floats(-240, 240), st.booleans())
def test_bolts_are_followed_while_they_are_turned(up_arcmin: float, side_arcmin: float, tracking: bool) -> None:
    latitude_deg, minute_us = 41.7, 60_000_000
    axis, after = direction(42.5, 1.0), direction(42.5 + up_arcmin / 60.0, 1.0 + side_arcmin / 60.0)
    before = around(axis, 60.0, [70.0])[0]
    turned_deg = 360.98564736629 / 1440.0 if tracking else 0.0
    now = around(after, 60.0, [70.0 - turned_deg])[0]  # westward, facing north
    found = turned_axis(axis, before, Aim(now.altitude_deg, now.azimuth_deg, minute_us), tracking)
    error, wanted = polar_error(found, latitude_deg), polar_error(after, latitude_deg)
    assert error.altitude_arcmin == pytest.approx(wanted.altitude_arcmin, abs=0.05)
    assert error.azimuth_arcmin == pytest.approx(wanted.azimuth_arcmin, abs=0.05)


def test_a_slew_is_no_bolt() -> None:
    axis = direction(42.5, 1.0)
    before, now = around(axis, 60.0, [0.0])[0], around(axis, 30.0, [80.0])[0]
    with pytest.raises(ValueError, match="begin anew"):
        turned_axis(axis, before, now, tracking=False)


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_the_simulated_mounts_error_is_found(tmp_path: Path, seed: int) -> None:
    """From where its tube really points, as a plate solution would say."""

    async def story(bench: GuideBench) -> None:
        site = bench.observatory.setup.site
        seen = []
        for hour_angle_deg in (-75.0, -45.0, -15.0):
            now_us = bench.clock.now_us()
            here = sidereal_deg(now_us, site.longitude_deg)
            await bench.slew(ephemeris.icrs((here - hour_angle_deg) % 360.0, 30.0, now_us))  # one declination of date
            truth = bench.truth
            seen.append(Aim(truth.altitude_deg, truth.azimuth_deg, bench.clock.now_us()))
        error = polar_error(axis_of(seen, site.latitude_deg), site.latitude_deg)
        so = bench.observatory._mounts["mount"]._errors  # the referee may look
        raised_arcmin, east_arcmin = -60.0 * so.polar_elevation, 60.0 * so.polar_azimuth
        assert error.total_arcmin == pytest.approx(25.0, abs=0.7)
        assert error.altitude_arcmin == pytest.approx(raised_arcmin, abs=0.7)
        level = math.cos(math.radians(site.latitude_deg))
        assert error.azimuth_arcmin * level == pytest.approx(east_arcmin, abs=0.7)

    at_bench(story, tmp_path, polar_error_arcmin=25.0, pointing_arcmin=0.0, repeat_arcsec=0.0, periodic_arcsec=0.0)
