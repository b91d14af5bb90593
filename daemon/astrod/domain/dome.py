"""Where a dome's slit must stand for a tube that is not at the dome's centre. Pure.

The tube's axis is a line from the tube along the pointing; the slit must stand where it leaves the dome. With the
dome's centre as the origin, the tube at t, the pointing a unit vector d and the dome a sphere of radius R, it leaves at
t + k d with k = -t.d + sqrt((t.d)^2 + R^2 - t.t), the farther root of |t + k d| = R.

A German mount carries its tube at the end of the declination axis. That axis is perpendicular to the polar axis p and
to the pointing, so it lies along p x d; the tube is on its far side where it is east of the pier, and on its near side
where it is west of it. Measures are those that INDI (DOME_MEASUREMENTS) and ASCOM's dome clients ask for.
"""

import math
from dataclasses import dataclass
from typing import Literal

Vector = tuple[float, float, float]
"""East, north, up; metres, or a direction."""

Side = Literal["east", "west"]


@dataclass(frozen=True, slots=True)
class DomeGeometry:
    """A dome and the mount in it, metres. `east_m`, `north_m`, `up_m` lead from the dome's centre (that of its sphere)
    to the point where the mount's axes cross; `tube_offset_m` from the polar axis to the tube's (0: a fork, an alt-az).
    """

    radius_m: float
    east_m: float = 0.0
    north_m: float = 0.0
    up_m: float = 0.0
    tube_offset_m: float = 0.0

    def __post_init__(self) -> None:
        reach_m = math.hypot(self.east_m, self.north_m, self.up_m) + abs(self.tube_offset_m)
        if not reach_m < self.radius_m:
            text = (
                f"the tube would be up to {reach_m:g} m from the dome's centre, and its radius is {self.radius_m:g} m"
            )
            raise ValueError(text)


def slit_place_deg(
    geometry: DomeGeometry, altitude_deg: float, azimuth_deg: float, latitude_deg: float, side: Side | None
) -> tuple[float, float]:
    """Altitude and azimuth, seen from the dome's centre, of where the tube's axis leaves the dome.

    `side` is the pier's side on which the tube of a German mount is; None: of one with no such thing.
    """
    d = _direction(altitude_deg, azimuth_deg)
    t = _tube(geometry, d, latitude_deg, side)
    along = _dot(t, d)
    k = -along + math.sqrt(along * along + geometry.radius_m**2 - _dot(t, t))
    east, north, up = (a + k * b for a, b in zip(t, d, strict=True))
    altitude = math.asin(max(-1.0, min(1.0, up / geometry.radius_m)))
    return math.degrees(altitude), math.degrees(math.atan2(east, north)) % 360.0


def _direction(altitude_deg: float, azimuth_deg: float) -> Vector:
    alt, az = math.radians(altitude_deg), math.radians(azimuth_deg)
    return math.cos(alt) * math.sin(az), math.cos(alt) * math.cos(az), math.sin(alt)


def _tube(geometry: DomeGeometry, d: Vector, latitude_deg: float, side: Side | None) -> Vector:
    """Where the tube is: beside the crossing of the axes, along the declination axis."""
    crossing = geometry.east_m, geometry.north_m, geometry.up_m
    if side is None or not geometry.tube_offset_m:
        return crossing
    lat = math.radians(latitude_deg)
    axis = _cross((0.0, math.cos(lat), math.sin(lat)), d)
    length = math.sqrt(_dot(axis, axis))
    if length < 1e-9:  # at the pole the declination axis may lie anywhere
        return crossing
    share = (geometry.tube_offset_m if side == "east" else -geometry.tube_offset_m) / length
    return crossing[0] + share * axis[0], crossing[1] + share * axis[1], crossing[2] + share * axis[2]


def _dot(a: Vector, b: Vector) -> float:
    return a[0] * b[0] + a[1] * b[1] + a[2] * b[2]


def _cross(a: Vector, b: Vector) -> Vector:
    return a[1] * b[2] - a[2] * b[1], a[2] * b[0] - a[0] * b[2], a[0] * b[1] - a[1] * b[0]
