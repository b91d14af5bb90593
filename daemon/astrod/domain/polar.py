"""Where a mount's polar axis points, from plate solutions taken while only that axis turned.

The tube then draws a circle about the axis. Directions are unit vectors in the local frame (east, north, up), fixed to
the ground, so it does not matter whether the mount tracked in between. Refraction is left out: below 30 degrees of
altitude it costs more than an arcminute, so take the three points higher than that.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from astrod.domain.sphere import separation_deg

Direction = tuple[float, float, float]

LEAST_ARC_DEG = 20.0
CIRCLE_ARCMIN = 20.0


@dataclass(frozen=True, slots=True)
class Aim:
    """Where the tube pointed: altitude and azimuth (north 0, east 90), degrees, and when."""

    altitude_deg: float
    azimuth_deg: float
    at_us: int

    @property
    def direction(self) -> Direction:
        """East, north, up."""
        alt, az = math.radians(self.altitude_deg), math.radians(self.azimuth_deg)
        return math.cos(alt) * math.sin(az), math.cos(alt) * math.cos(az), math.sin(alt)


@dataclass(frozen=True, slots=True)
class PolarError:
    """How far the mount's axis points from the celestial pole, arcminutes: `altitude` too high, `azimuth` too far
    east, both as the axis itself moves (the azimuth's share of a great circle is smaller by cos(latitude)).
    """

    altitude_arcmin: float
    azimuth_arcmin: float
    total_arcmin: float

    @property
    def advice(self) -> str:
        """What to turn, in words."""
        updown = "lower" if self.altitude_arcmin > 0.0 else "raise"
        side = "west" if self.azimuth_arcmin > 0.0 else "east"
        return (
            f"{self.total_arcmin:.1f}' off the pole: {updown} the axis by {abs(self.altitude_arcmin):.1f}' and "
            f"turn it {side} by {abs(self.azimuth_arcmin):.1f}'"
        )


def axis_of(aims: Sequence[Aim], latitude_deg: float) -> Direction:
    """The direction of the axis about which the tube turned, on the side of the visible pole.

    Raises ValueError, which says what to do, for other than three aims or too short an arc.
    """
    if len(aims) != 3:
        raise ValueError(f"three aims make a circle, not {len(aims)}")
    a, b, c = (aim.direction for aim in aims)
    normal = _cross(_minus(b, a), _minus(c, a))
    length = math.hypot(*normal)
    if length < 1e-9:
        raise ValueError("the three aims do not lie on a circle; turn the polar axis only, between them")
    axis = normal[0] / length, normal[1] / length, normal[2] / length
    if _dot(axis, pole_of(latitude_deg)) < 0.0:
        axis = -axis[0], -axis[1], -axis[2]
    turned_deg = _angle_about(axis, a, c)
    if turned_deg < LEAST_ARC_DEG:
        raise ValueError(f"the axis turned by {turned_deg:.0f}° only; turn it {LEAST_ARC_DEG:.0f}° or more in all")
    return axis


def pole_of(latitude_deg: float) -> Direction:
    """The celestial pole over the horizon."""
    lat = math.radians(latitude_deg)
    sign = 1.0 if latitude_deg >= 0.0 else -1.0
    return 0.0, sign * math.cos(lat), sign * math.sin(lat)


def polar_error(axis: Direction, latitude_deg: float) -> PolarError:
    """How far an axis points from the pole."""
    altitude_deg = math.degrees(math.asin(max(-1.0, min(1.0, axis[2]))))
    azimuth_deg = math.degrees(math.atan2(axis[0], axis[1]))
    pole_azimuth_deg = 0.0 if latitude_deg >= 0.0 else 180.0
    side_deg = (azimuth_deg - pole_azimuth_deg + 180.0) % 360.0 - 180.0
    if latitude_deg < 0.0:
        side_deg = -side_deg  # seen towards the southern pole, east is the other way round
    total_deg = separation_deg(azimuth_deg, altitude_deg, pole_azimuth_deg, abs(latitude_deg))
    return PolarError((altitude_deg - abs(latitude_deg)) * 60.0, side_deg * 60.0, total_deg * 60.0)


def turned_axis(axis: Direction, before: Aim, now: Aim, tracking: bool) -> Direction:
    """The axis after its bolts were turned: the tube looked at `before`, and now looks at `now`.

    Only the altitude and azimuth bolts may have moved it, and the mount's own tracking where it `tracks`.
    Raises ValueError when that cannot explain what is seen, as after a slew.
    """
    start = before.direction
    if tracking:
        turned_deg = 360.98564736629 / 86400.0 * (now.at_us - before.at_us) / 1e6
        start = _turned(start, axis, -turned_deg if axis[1] >= 0.0 else turned_deg)  # the sky goes westward
    seen = now.direction
    azimuth_deg = altitude_deg = 0.0
    for _ in range(12):
        placed = _bolted(start, axis, azimuth_deg, altitude_deg)
        by_azimuth = _minus(_bolted(start, axis, azimuth_deg + 0.01, altitude_deg), placed)
        by_altitude = _minus(_bolted(start, axis, azimuth_deg, altitude_deg + 0.01), placed)
        step = _least_squares(by_azimuth, by_altitude, _minus(seen, placed))
        azimuth_deg, altitude_deg = azimuth_deg + 0.01 * step[0], altitude_deg + 0.01 * step[1]
    left_arcmin = 60.0 * math.degrees(math.hypot(*_minus(seen, _bolted(start, axis, azimuth_deg, altitude_deg))))
    if not left_arcmin < CIRCLE_ARCMIN or abs(azimuth_deg) > 30.0 or abs(altitude_deg) > 30.0:
        raise ValueError("the tube moved otherwise than by its bolts; begin anew with three points")
    return _bolted(axis, axis, azimuth_deg, altitude_deg)


def _bolted(vector: Direction, axis: Direction, azimuth_deg: float, altitude_deg: float) -> Direction:
    """A direction fixed to the mount's head, after the axis was raised and turned east."""
    level = math.hypot(axis[0], axis[1])
    right = (axis[1] / level, -axis[0] / level, 0.0)  # horizontal, to the right of the axis seen from behind
    raised = _turned(vector, right, altitude_deg)
    return _turned(raised, (0.0, 0.0, 1.0), -azimuth_deg if axis[1] >= 0.0 else azimuth_deg)


def _turned(vector: Direction, axis: Direction, angle_deg: float) -> Direction:
    """A vector turned about a unit axis, right-handed (Rodrigues' formula)."""
    angle = math.radians(angle_deg)
    across, along = _cross(axis, vector), _dot(axis, vector) * (1.0 - math.cos(angle))
    x, y, z = (
        v * math.cos(angle) + w * math.sin(angle) + u * along for v, w, u in zip(vector, across, axis, strict=True)
    )
    return x, y, z


def _angle_about(axis: Direction, first: Direction, last: Direction) -> float:
    """The angle between two directions about an axis, 0..180 degrees."""
    u, v = _cross(axis, first), _cross(axis, last)
    lengths = math.hypot(*u) * math.hypot(*v)
    return math.degrees(math.acos(max(-1.0, min(1.0, _dot(u, v) / lengths)))) if lengths else 0.0


def _least_squares(u: Direction, v: Direction, wanted: Direction) -> tuple[float, float]:
    """Shares of `u` and `v` that come nearest to `wanted`."""
    uu, vv, uv = _dot(u, u), _dot(v, v), _dot(u, v)
    whole = uu * vv - uv * uv
    if whole <= 1e-12 * uu * vv:
        raise ValueError("seen from here the two bolts do the same; point the tube away from east and west")
    a, b = _dot(u, wanted), _dot(v, wanted)
    return (a * vv - b * uv) / whole, (b * uu - a * uv) / whole


def _minus(a: Direction, b: Direction) -> Direction:
    return a[0] - b[0], a[1] - b[1], a[2] - b[2]


def _dot(a: Direction, b: Direction) -> float:
    return a[0] * b[0] + a[1] * b[1] + a[2] * b[2]


def _cross(a: Direction, b: Direction) -> Direction:
    return a[1] * b[2] - a[2] * b[1], a[2] * b[0] - a[0] * b[2], a[0] * b[1] - a[1] * b[0]
