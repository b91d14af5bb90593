"""Where the slit stands, held against a mount that is turned axis by axis and a ray that is walked step by step."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from astrod.domain.dome import DomeGeometry, Side, slit_place_deg

Vector = tuple[float, float, float]


def turned(vector: Vector, axis: Vector, angle: float) -> Vector:
    """A vector turned about an axis (Rodrigues' formula)."""
    cross = (
        axis[1] * vector[2] - axis[2] * vector[1],
        axis[2] * vector[0] - axis[0] * vector[2],
        axis[0] * vector[1] - axis[1] * vector[0],
    )
    dot = sum(a * b for a, b in zip(axis, vector, strict=True))
    cos, sin = math.cos(angle), math.sin(angle)
    x, y, z = (v * cos + c * sin + a * dot * (1.0 - cos) for v, c, a in zip(vector, cross, axis, strict=True))
    return x, y, z


def built(latitude_deg: float, hour_angle_deg: float, dec_deg: float, side: Side) -> tuple[Vector, Vector]:
    """Pointing and tube's direction from the crossing of the axes, by turning a mount from its rest position.

    At rest it looks at the equator in the meridian with its tube on that side: the sky's daily turn (about the pole,
    east to west) carries both; declination turns about the declination axis and moves the tube nowhere.
    """
    lat = math.radians(latitude_deg)
    pole = (0.0, math.cos(lat), math.sin(lat))
    south = (0.0, -math.sin(lat), math.cos(lat))
    east = (1.0, 0.0, 0.0)
    looking = turned(south, east, -math.radians(dec_deg))
    rest = east if side == "east" else (-1.0, 0.0, 0.0)
    daily = -math.radians(hour_angle_deg)
    return turned(looking, pole, daily), turned(rest, pole, daily)


def walked(start: Vector, direction: Vector, radius: float) -> Vector:
    """Where a ray from inside leaves a sphere, by halving."""
    near, far = 0.0, 3.0 * radius
    for _ in range(60):
        middle = (near + far) / 2.0
        x, y, z = (a + middle * b for a, b in zip(start, direction, strict=True))
        near, far = (middle, far) if math.hypot(x, y, z) < radius else (near, middle)
    x, y, z = (a + near * b for a, b in zip(start, direction, strict=True))
    return x, y, z


@given(
    latitude=st.floats(-70.0, 70.0),
    hour_angle=st.floats(-85.0, 85.0),
    dec=st.floats(-80.0, 80.0),
    side=st.sampled_from(("east", "west")),
    place=st.tuples(st.floats(-0.4, 0.4), st.floats(-0.4, 0.4), st.floats(-0.5, 0.3)),
    offset=st.floats(0.0, 0.6),
)
def test_the_slit_is_where_the_tubes_axis_leaves_the_dome(
    latitude: float, hour_angle: float, dec: float, side: Side, place: Vector, offset: float
) -> None:
    geometry = DomeGeometry(1.6, *place, offset)
    d, beside = built(latitude, hour_angle, dec, side)
    x, y, z = (a + offset * b for a, b in zip(place, beside, strict=True))
    leaves = walked((x, y, z), d, 1.6)
    altitude = math.degrees(math.asin(max(-1.0, min(1.0, d[2]))))
    azimuth = math.degrees(math.atan2(d[0], d[1])) % 360.0
    seen_altitude, seen_azimuth = slit_place_deg(geometry, altitude, azimuth, latitude, side)
    alt, az = math.radians(seen_altitude), math.radians(seen_azimuth)
    seen = (1.6 * math.cos(alt) * math.sin(az), 1.6 * math.cos(alt) * math.cos(az), 1.6 * math.sin(alt))
    assert math.dist(seen, leaves) < 1e-4


@given(altitude=st.floats(5.0, 85.0), azimuth=st.floats(0.0, 359.9), side=st.sampled_from(("east", "west", None)))
def test_a_tube_in_the_middle_and_a_dome_without_end_need_no_correction(
    altitude: float, azimuth: float, side: Side | None
) -> None:
    for geometry, within in ((DomeGeometry(1.5), 1e-6), (DomeGeometry(1e5, 0.3, -0.2, 0.1, 0.5), 0.01)):
        found = slit_place_deg(geometry, altitude, azimuth, 41.7, side)
        assert found[0] == pytest.approx(altitude, abs=within)
        off = (found[1] - azimuth + 180.0) % 360.0 - 180.0
        assert abs(off) * math.cos(math.radians(altitude)) <= within


def test_a_figure_worked_by_hand() -> None:
    """At the equator, looking due south at 45° with the tube 0.5 m west of the pier, in a dome of 1 m: it leaves at
    0.5 m west, and at k sin 45° south and up, with 2 (k sin 45°)² = 1 - 0.25.
    """
    altitude, azimuth = slit_place_deg(DomeGeometry(1.0, tube_offset_m=0.5), 45.0, 180.0, 0.0, "west")
    assert altitude == pytest.approx(math.degrees(math.asin(math.sqrt(0.375))))
    assert azimuth == pytest.approx(180.0 + math.degrees(math.atan2(0.5, math.sqrt(0.375))))


def test_a_tube_that_does_not_fit_is_refused() -> None:
    with pytest.raises(ValueError, match=r"1\.1 m from the dome's centre"):
        DomeGeometry(1.0, east_m=0.6, tube_offset_m=0.5)
