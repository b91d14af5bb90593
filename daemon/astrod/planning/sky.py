"""The sky over a place: when it is dark, and when each target can be observed.

The night's limits come from astroplan's Observer. Targets are many, so their altitudes come from one formula
for all at once: each target's intermediate place (CIRS) at the middle of the night by astropy, then hour
angle from Earth's rotation angle. That leaves out polar motion and diurnal aberration: 0.0003 degrees.
Directions are geometric, without refraction, as astroplan's are.
"""

import warnings
from collections.abc import Callable
from dataclasses import dataclass
from functools import wraps
from typing import Any, ParamSpec, TypeVar

import astropy.units as u
import numpy as np
import numpy.typing as npt
from astroplan import Observer, moon_illumination, moon_phase_angle
from astropy.coordinates import CIRS, AltAz, EarthLocation, SkyCoord, get_body
from astropy.time import Time
from astropy.utils import iers
from astropy.utils.exceptions import AstropyWarning
from erfa import ErfaWarning

from astrod.domain.identity import Night, noon_us
from astrod.domain.instant import DAY_US, MINUTE_US, clock_text
from astrod.domain.site import Darkness, Place
from astrod.domain.target import Target
from astrod.planning import value
from astrod.planning.problem import Interval, Outlook, Problem, TargetOutlook
from astrod.runtime.offline import go_offline

P = ParamSpec("P")
R = TypeVar("R")
Array = npt.NDArray[np.float64]
Instants = npt.NDArray[np.int64]

SUN_STEP_US = 5 * MINUTE_US
GRID_US = 2 * MINUTE_US
MOON_STEP_US = 10 * MINUTE_US
SIDEREAL_DEG_PER_US = 360.98564736629 / DAY_US
_CROSSING_US = 100_000

go_offline()


@dataclass(frozen=True, slots=True)
class NightWindow:
    """A night's limits; None where the Sun never gets there (or the operator's wish leaves nothing).

    Preparing begins at `prepare_start_us`; observing is from `dusk_us` to `dawn_us`. In the polar night they
    are the local noons.
    """

    noon_us: int
    prepare_start_us: int | None
    dusk_us: int | None
    dawn_us: int | None
    prepare_end_us: int | None


def _time(instants_us: Instants | int) -> Time:
    """UTC microseconds as astropy's time, exact to the microsecond."""
    days, rest = np.divmod(np.asarray(instants_us, dtype=np.int64), DAY_US)
    return Time(days + 2440587.5, rest / DAY_US, format="jd", scale="utc")


def _location(place: Place) -> EarthLocation:
    return EarthLocation.from_geodetic(place.longitude_deg, place.latitude_deg, place.height_m)


def _ageless(compute: Callable[P, R]) -> Callable[P, R]:
    """Let a computation go beyond astropy's tables of the Earth's rotation without a word.

    Past their end (a year ahead) UT1 is taken from their last value and the pole's place from its mean of fifty
    years: within a second of time and an arcsecond, which no window is cut to.
    """

    @wraps(compute)
    def run(*args: P.args, **kwargs: P.kwargs) -> R:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message="Tried to get polar motions", category=AstropyWarning)
            warnings.filterwarnings("ignore", message=".*dubious year", category=ErfaWarning)
            warnings.simplefilter("ignore", iers.IERSDegradedAccuracyWarning)
            return compute(*args, **kwargs)

    return run


@_ageless
def sun_altitudes_deg(place: Place, instants_us: Instants) -> Array:
    """The Sun's geometric altitude at each instant."""
    altitudes = Observer(location=_location(place)).sun_altaz(_time(instants_us)).alt.deg
    return np.asarray(altitudes, dtype=np.float64)


def _crossing_us(place: Place, before_us: int, after_us: int, limit_deg: float) -> int:
    """Where the Sun passes an altitude between two instants that lie on either side of it."""
    low, high = before_us, after_us
    first, last = (float(a) - limit_deg for a in sun_altitudes_deg(place, np.array([low, high])))
    while high - low > _CROSSING_US:
        guess = low + round((high - low) * min(max(first / (first - last), 0.05), 0.95))
        here = float(sun_altitudes_deg(place, np.array([guess]))[0]) - limit_deg
        if abs(here) < 1e-5:
            return guess
        if (here > 0.0) == (first > 0.0):
            low, first = guess, here
        else:
            high, last = guess, here
    return high


def _below(place: Place, grid_us: Instants, altitudes_deg: Array, limit_deg: float) -> Interval | None:
    """The interval around the Sun's lowest sample in which it stays under a limit; None if there is none."""
    lowest = int(np.argmin(altitudes_deg))
    if altitudes_deg[lowest] >= limit_deg:
        return None
    above = altitudes_deg >= limit_deg
    earlier, later = np.flatnonzero(above[:lowest]), np.flatnonzero(above[lowest:])
    start, end = int(grid_us[0]), int(grid_us[-1])
    if earlier.size:
        at = int(earlier[-1])
        start = _crossing_us(place, int(grid_us[at]), int(grid_us[at + 1]), limit_deg)
    if later.size:
        at = lowest + int(later[0])
        end = _crossing_us(place, int(grid_us[at - 1]), int(grid_us[at]), limit_deg)
    return start, end


def _narrowed(interval: Interval | None, darkness: Darkness) -> Interval | None:
    """What the operator wants used of an interval; None for nothing."""
    if interval is None:
        return None
    start, end = interval
    if darkness.not_before_us is not None:
        start = max(start, darkness.not_before_us)
    if darkness.not_after_us is not None:
        end = min(end, darkness.not_after_us)
    return (start, end) if start < end else None


def night_window(place: Place, night: Night, darkness: Darkness) -> NightWindow:
    """The limits of a night at a place, to a second, narrowed by the operator's `not_before_us`, `not_after_us`."""
    noon = noon_us(night, place.longitude_deg)
    grid = np.arange(noon, noon + DAY_US + 1, SUN_STEP_US, dtype=np.int64)
    altitudes = sun_altitudes_deg(place, grid)
    prepare = _narrowed(_below(place, grid, altitudes, darkness.prepare_below_deg), darkness)
    dark = _narrowed(_below(place, grid, altitudes, darkness.observe_below_deg), darkness)
    prepare_start, prepare_end = prepare or (None, None)
    dusk, dawn = dark or (None, None)
    return NightWindow(noon, prepare_start, dusk, dawn, prepare_end)


@dataclass(frozen=True, slots=True)
class Moonlight:
    """The Moon on a grid of instants: topocentric altitude, intermediate place as unit vectors, phase."""

    altitude_deg: Array
    direction: Array
    phase_angle_deg: float
    illumination: float


@dataclass(frozen=True, slots=True)
class Visibility:
    """Targets by instants: degrees, shapes (targets, instants). `moon_deg` is the distance from the Moon."""

    grid_us: Instants
    altitude_deg: Array
    azimuth_deg: Array
    moon_deg: Array
    moon: Moonlight
    transit_us: Instants


def _unit(longitude_rad: Array, latitude_rad: Array) -> Array:
    """Unit vectors, the last axis x, y, z."""
    return np.stack(
        (
            np.cos(latitude_rad) * np.cos(longitude_rad),
            np.cos(latitude_rad) * np.sin(longitude_rad),
            np.sin(latitude_rad),
        ),
        axis=-1,
    )


def _rotation_rad(instants_us: Instants, longitude_deg: float) -> Array:
    """The local Earth rotation angle: hour angle plus intermediate right ascension."""
    angle = _time(instants_us).earth_rotation_angle(longitude_deg * u.deg)
    return np.asarray(angle.rad, dtype=np.float64)


def _horizontal(hour_angle: Array, dec: Array, latitude: float) -> tuple[Array, Array]:
    """Altitude and azimuth (north 0, east 90), degrees, of hour angles and declinations in radians."""
    sin_alt = np.sin(dec) * np.sin(latitude) + np.cos(dec) * np.cos(latitude) * np.cos(hour_angle)
    north = np.sin(dec) * np.cos(latitude) - np.cos(dec) * np.sin(latitude) * np.cos(hour_angle)
    east = -np.cos(dec) * np.sin(hour_angle)
    altitude = np.degrees(np.arctan2(sin_alt, np.hypot(north, east)))
    return altitude, np.degrees(np.arctan2(east, north)) % 360.0


@_ageless
def moonlight(place: Place, grid_us: Instants) -> Moonlight:
    """The Moon at each instant of a grid, interpolated between samples ten minutes apart."""
    steps = max(2, int(-(-(int(grid_us[-1]) - int(grid_us[0])) // MOON_STEP_US)) + 1)
    samples = np.linspace(int(grid_us[0]), int(grid_us[-1]), steps).astype(np.int64)
    times, location = _time(samples), _location(place)
    body = get_body("moon", times, location).transform_to(AltAz(obstime=times, location=location))
    latitude = np.radians(place.latitude_deg)
    alt, az = body.alt.rad, body.az.rad
    dec = np.arcsin(np.sin(alt) * np.sin(latitude) + np.cos(alt) * np.cos(latitude) * np.cos(az))
    hour_angle = np.arctan2(
        -np.cos(alt) * np.sin(az),
        np.sin(alt) * np.cos(latitude) - np.cos(alt) * np.sin(latitude) * np.cos(az),
    )
    vectors = _unit(_rotation_rad(samples, place.longitude_deg) - hour_angle, dec)
    direction = np.stack([np.interp(grid_us, samples, vectors[:, axis]) for axis in range(3)], axis=-1)
    direction /= np.linalg.norm(direction, axis=-1, keepdims=True)
    ra, z = np.arctan2(direction[:, 1], direction[:, 0]), direction[:, 2]
    altitude, _ = _horizontal(_rotation_rad(grid_us, place.longitude_deg) - ra, np.arcsin(z), latitude)
    middle = _time(int(samples[steps // 2]))
    return Moonlight(
        altitude,
        direction,
        float(np.degrees(moon_phase_angle(middle).value)),
        float(moon_illumination(middle)),
    )


@_ageless
def visibility(place: Place, ra_deg: Array, dec_deg: Array, grid_us: Instants) -> Visibility:
    """Where many targets (ICRS degrees) stand at each instant of a grid that spans a day at most."""
    middle_us = int(grid_us[len(grid_us) // 2])
    seen = SkyCoord(ra_deg, dec_deg, unit="deg").transform_to(CIRS(obstime=_time(middle_us)))
    ra, dec = np.atleast_1d(seen.ra.rad), np.atleast_1d(seen.dec.rad)
    rotation = _rotation_rad(grid_us, place.longitude_deg)
    hour_angle = rotation[None, :] - ra[:, None]
    altitude, azimuth = _horizontal(hour_angle, dec[:, None], float(np.radians(place.latitude_deg)))
    moon = moonlight(place, grid_us)
    apart = np.degrees(np.arccos(np.clip(_unit(ra, dec) @ moon.direction.T, -1.0, 1.0)))
    now = np.degrees(rotation[len(grid_us) // 2] - ra)
    from_transit = (now + 180.0) % 360.0 - 180.0
    transit = middle_us - np.rint(from_transit / SIDEREAL_DEG_PER_US).astype(np.int64)
    return Visibility(grid_us, altitude, azimuth, apart, moon, transit)


def horizon_deg(azimuth_deg: Array, horizon: tuple[tuple[float, float], ...]) -> Array:
    """The altitude of the horizon mask at each azimuth; -90 where there is no mask."""
    if not horizon:
        return np.full_like(azimuth_deg, -90.0)
    points = sorted(horizon)
    return np.interp(azimuth_deg, [p[0] for p in points], [p[1] for p in points], period=360.0)


def _runs(grid_us: Instants, margin: Array) -> tuple[Interval, ...]:
    """The intervals in which a margin is not negative, its zeros found by straight lines."""
    good = margin >= 0.0
    edges = np.flatnonzero(good[1:] != good[:-1])
    span = margin[edges] / (margin[edges] - margin[edges + 1])
    zeros = grid_us[edges] + span * (grid_us[edges + 1] - grid_us[edges])
    marks: list[int] = []
    if good[0]:
        marks.append(int(grid_us[0]))
    for edge, zero in zip(edges, zeros, strict=True):
        marks.append(int(np.ceil(zero)) if good[edge + 1] else int(zero))
    if good[-1]:
        marks.append(int(grid_us[-1]))
    pairs = zip(marks[::2], marks[1::2], strict=True)
    return tuple((start, end) for start, end in pairs if end > start)


@dataclass(frozen=True, slots=True)
class Limits:
    """What holds for one target: the lowest altitude allowed (the site's or its own, and its air mass's)."""

    altitude_deg: float
    airmass: float | None
    moon_deg: float

    @classmethod
    def of(cls, target: Target, problem: Problem) -> "Limits":
        own = target.min_altitude_deg
        floor = problem.min_altitude_deg if own is None else own
        return cls(floor, target.max_airmass, target.min_moon_deg)

    @property
    def floor_deg(self) -> float:
        """The altitude that both limits ask for."""
        if self.airmass is None:
            return self.altitude_deg
        return max(self.altitude_deg, value.altitude_of_airmass_deg(self.airmass))


def _never(target: Target, limits: Limits, place: Place, altitude: Array, mask: Array, moon: Array) -> str:
    """Why a target has no window, the first limit that alone forbids it."""
    highest = float(altitude.max())
    ever = 90.0 - abs(place.latitude_deg - target.dec_deg)
    floor = limits.floor_deg
    if ever < floor:
        return f"never above {floor:.0f}° here: {ever:.0f}° at most"
    if highest < floor:
        return f"only in daylight: {highest:.0f}° at most in the dark, {floor:.0f}° needed"
    up = altitude >= floor
    if not np.any(up & (altitude >= mask)):
        return f"behind the horizon mask whenever it is above {floor:.0f}°"
    up &= altitude >= mask
    farthest = float(moon[up].max())
    if farthest < limits.moon_deg:
        return f"too near the moon ({farthest:.0f}° < {limits.moon_deg:.0f}°)"
    return "never within its limits of altitude and moon at the same time"


def _grid(start_us: int, end_us: int) -> Instants:
    """Instants at most two minutes apart, both ends among them."""
    steps = max(1, -(-(end_us - start_us) // GRID_US))
    return np.linspace(start_us, end_us, steps + 1).astype(np.int64)


def _target_outlook(problem: Problem, target: Target, at: int, seen: Visibility) -> TargetOutlook:
    limits = Limits.of(target, problem)
    altitude, moon_deg = seen.altitude_deg[at], seen.moon_deg[at]
    mask = horizon_deg(seen.azimuth_deg[at], problem.horizon)
    # A moon below the horizon troubles nobody: its margin is then how far below it is.
    moon = np.maximum(moon_deg - limits.moon_deg, -seen.moon.altitude_deg)
    margin = np.minimum(np.minimum(altitude - limits.floor_deg, altitude - mask), moon)
    windows = _runs(seen.grid_us, margin)
    narrow = all(value.is_narrow(request.filter) for request in target.requests)
    scattered = value.moonlight_nanolambert(
        altitude, moon_deg, seen.moon.altitude_deg, np.full_like(altitude, seen.moon.phase_angle_deg)
    )
    reason = None
    if not windows:
        reason = _never(target, limits, problem.place, altitude, mask, moon_deg)
    return TargetOutlook(
        windows=windows,
        reason=reason,
        transit_us=int(seen.transit_us[at]),
        floor_deg=limits.floor_deg,
        altitude_deg=tuple(altitude.tolist()),
        airmass=tuple(value.airmass(altitude).tolist()),
        moon_deg=tuple(moon_deg.tolist()),
        quality=tuple(value.quality(altitude, scattered, narrow).tolist()),
    )


def foresee(problem: Problem) -> Outlook:
    """What the sky offers to each target of a problem between its start and its end.

    It can be kept for the night: a later problem of the same targets and limits has the same outlook.
    """
    start, end = problem.start_us, max(problem.end_us, problem.start_us + MINUTE_US)
    grid = _grid(start, end)
    ra = np.array([target.ra_deg for target in problem.targets], dtype=np.float64)
    dec = np.array([target.dec_deg for target in problem.targets], dtype=np.float64)
    seen = visibility(problem.place, ra, dec, grid)
    rows: dict[str, TargetOutlook] = {
        target.name: _target_outlook(problem, target, at, seen) for at, target in enumerate(problem.targets)
    }
    return Outlook(
        start_us=start,
        end_us=end,
        step_us=round((end - start) / (len(grid) - 1)),
        moon_altitude_deg=tuple(seen.moon.altitude_deg.tolist()),
        moon_illumination=seen.moon.illumination,
        targets=rows,
    )


def describe(window: Interval) -> str:
    """`21:10 to 03:05`, UTC."""
    return " to ".join(clock_text(instant)[:5] for instant in window)


def astroplan_observer(place: Place) -> Any:
    """astroplan's own observer of a place, for those who want to check us against it."""
    return Observer(location=_location(place))
