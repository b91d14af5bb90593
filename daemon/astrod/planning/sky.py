"""The sky over a place: when it is dark, and when each target can be observed.

The night's limits come from astroplan's Observer. Targets are many, so their altitudes come from one formula
for all at once: each target's intermediate place (CIRS) at the middle of the night by astropy, then hour
angle from Earth's rotation angle. That leaves out polar motion and diurnal aberration: 0.0003 degrees.
Directions are geometric, without refraction, as astroplan's are.
"""

# ruff: noqa: E402 - astropy must not be imported before go_offline()

import warnings
from array import array
from collections.abc import Callable
from dataclasses import dataclass
from functools import wraps
from typing import Any, ParamSpec, TypeVar

from astrod.runtime.offline import go_offline

go_offline()  # before the first import of astropy, which wants a home directory then

import astropy.units as u
import numpy as np
import numpy.typing as npt
from astroplan import Observer, moon_phase_angle
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

P = ParamSpec("P")
R = TypeVar("R")
Array = npt.NDArray[np.float64]
Instants = npt.NDArray[np.int64]

SUN_STEP_US = 5 * MINUTE_US
GRID_US = 2 * MINUTE_US
MOON_STEP_US = 30 * MINUTE_US
SIDEREAL_DEG_PER_US = 360.98564736629 / DAY_US
_CROSSING_US = 100_000


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
    """Targets by instants: degrees, shapes (targets, instants). `moon_deg` is the distance from the Moon.

    `rotation` is the Earth's at each instant, `ra` and `dec` the targets' intermediate places, all radians.
    """

    grid_us: Instants
    altitude_deg: Array
    moon_deg: Array
    moon: Moonlight
    transit_us: Instants
    place: Place
    rotation: Array
    ra: Array
    dec: Array

    @property
    def azimuth_deg(self) -> Array:
        """North 0, east 90. Worked out anew each time it is asked for: only horizon masks want it."""
        hour_angle = self.rotation[None, :] - self.ra[:, None]
        return _horizontal(hour_angle, self.dec[:, None], float(np.radians(self.place.latitude_deg)))[1]


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


def _cubic(samples_us: Instants, vectors: Array, grid_us: Instants) -> Array:
    """Vectors at each instant of a grid by the cubics through the four evenly spaced samples around it (Lagrange)."""
    position = (grid_us - samples_us[0]) / ((samples_us[-1] - samples_us[0]) / (len(samples_us) - 1))
    first = np.clip(np.floor(position).astype(np.int64) - 1, 0, len(samples_us) - 4)
    x = (position - first)[:, None]
    return np.asarray(
        -(x - 1) * (x - 2) * (x - 3) / 6 * vectors[first]
        + x * (x - 2) * (x - 3) / 2 * vectors[first + 1]
        - x * (x - 1) * (x - 3) / 2 * vectors[first + 2]
        + x * (x - 1) * (x - 2) / 6 * vectors[first + 3]
    )


@_ageless
def moonlight(place: Place, grid_us: Instants) -> Moonlight:
    """The Moon at each instant of a grid, by cubics through samples half an hour apart."""
    steps = max(4, int(-(-(int(grid_us[-1]) - int(grid_us[0])) // MOON_STEP_US)) + 1)
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
    direction = _cubic(samples, vectors, grid_us)
    direction /= np.linalg.norm(direction, axis=-1, keepdims=True)
    ra, z = np.arctan2(direction[:, 1], direction[:, 0]), direction[:, 2]
    altitude, _ = _horizontal(_rotation_rad(grid_us, place.longitude_deg) - ra, np.arcsin(z), latitude)
    phase = float(moon_phase_angle(_time(int(samples[steps // 2]))).value)
    return Moonlight(altitude, direction, float(np.degrees(phase)), (1.0 + float(np.cos(phase))) / 2.0)


@_ageless
def visibility(place: Place, ra_deg: Array, dec_deg: Array, grid_us: Instants) -> Visibility:
    """Where many targets (ICRS degrees) stand at each instant of a grid that spans a day at most."""
    middle_us = int(grid_us[len(grid_us) // 2])
    seen = SkyCoord(ra_deg, dec_deg, unit="deg").transform_to(CIRS(obstime=_time(middle_us)))
    ra, dec = np.atleast_1d(seen.ra.rad), np.atleast_1d(seen.dec.rad)
    rotation = _rotation_rad(grid_us, place.longitude_deg)
    latitude = float(np.radians(place.latitude_deg))
    zenith = _unit(rotation, np.full_like(rotation, latitude))
    targets, moon = _unit(ra, dec), moonlight(place, grid_us)
    altitude = np.degrees(np.arcsin(np.clip(targets @ zenith.T, -1.0, 1.0)))
    apart = np.degrees(np.arccos(np.clip(targets @ moon.direction.T, -1.0, 1.0)))
    now = np.degrees(rotation[len(grid_us) // 2] - ra)
    from_transit = (now + 180.0) % 360.0 - 180.0
    transit = middle_us - np.rint(from_transit / SIDEREAL_DEG_PER_US).astype(np.int64)
    return Visibility(grid_us, altitude, apart, moon, transit, place, rotation, ra, dec)


def horizon_deg(azimuth_deg: Array, horizon: tuple[tuple[float, float], ...]) -> Array:
    """The altitude of the horizon mask at each azimuth; -90 where there is no mask."""
    if not horizon:
        return np.full_like(azimuth_deg, -90.0)
    points = sorted(horizon)
    return np.interp(azimuth_deg, [p[0] for p in points], [p[1] for p in points], period=360.0)


def runs(grid_us: Instants, margin: Array) -> list[tuple[Interval, ...]]:
    """For each row of margins the intervals in which it is not negative, its zeros found by straight lines."""
    good = margin >= 0.0
    rows, edges = np.nonzero(good[:, 1:] != good[:, :-1])
    before, after = margin[rows, edges], margin[rows, edges + 1]
    zeros = grid_us[edges] + before / (before - after) * (grid_us[edges + 1] - grid_us[edges])
    opens = good[rows, edges + 1]
    marks = np.where(opens, np.ceil(zeros), np.trunc(zeros)).astype(np.int64).tolist()
    first, last = int(grid_us[0]), int(grid_us[-1])
    at = np.searchsorted(rows, np.arange(len(margin) + 1)).tolist()
    found: list[tuple[Interval, ...]] = []
    for row, (starts, ends) in enumerate(zip(good[:, 0].tolist(), good[:, -1].tolist(), strict=True)):
        mine = [first] * starts + marks[at[row] : at[row + 1]] + [last] * ends
        pairs = zip(mine[::2], mine[1::2], strict=True)
        found.append(tuple((start, end) for start, end in pairs if end > start))
    return found


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


def _qualities(problem: Problem, seen: Visibility) -> Array:
    """What an exposure of each target is worth at each instant; moonlight only where there is any."""
    up = seen.moon.altitude_deg > 0.0
    scattered = np.zeros_like(seen.altitude_deg)
    if up.any():
        phase = np.full_like(seen.moon.altitude_deg[up], seen.moon.phase_angle_deg)
        scattered[:, up] = value.moonlight_nanolambert(
            seen.altitude_deg[:, up], seen.moon_deg[:, up], seen.moon.altitude_deg[up], phase
        )
    narrow = [all(value.is_narrow(request.filter) for request in target.requests) for target in problem.targets]
    return value.quality(seen.altitude_deg, scattered, np.array(narrow)[:, None])


def margins_deg(seen: Visibility, floor_deg: Array, moon_deg: Array) -> Array:
    """By how many degrees targets are above their floors and far enough from the Moon (both by target).

    A moon below the horizon troubles nobody: its margin is then how far below it is.
    """
    moon = np.maximum(seen.moon_deg - moon_deg[:, None], -seen.moon.altitude_deg)
    return np.asarray(np.minimum(seen.altitude_deg - floor_deg[:, None], moon))


def _outlooks(problem: Problem, seen: Visibility) -> dict[str, TargetOutlook]:
    limits = [Limits.of(target, problem) for target in problem.targets]
    floors = [limit.floor_deg for limit in limits]
    margin = margins_deg(seen, np.array(floors), np.array([limit.moon_deg for limit in limits]))
    mask = np.full((1, len(seen.grid_us)), -90.0)
    if problem.horizon:
        mask = horizon_deg(seen.azimuth_deg, problem.horizon)
        margin = np.minimum(margin, seen.altitude_deg - mask)
    windows, quality = runs(seen.grid_us, margin), _qualities(problem, seen)
    rows: dict[str, TargetOutlook] = {}
    for at, target in enumerate(problem.targets):
        altitude, moon = seen.altitude_deg[at], seen.moon_deg[at]
        reason = None
        if not windows[at]:
            reason = _never(target, limits[at], problem.place, altitude, mask[at % len(mask)], moon)
        rows[target.name] = TargetOutlook(
            windows=windows[at],
            reason=reason,
            transit_us=int(seen.transit_us[at]),
            floor_deg=floors[at],
            altitude_deg=_samples(altitude),
            moon_deg=_samples(moon),
            quality=_samples(quality[at]),
        )
    return rows


def _samples(values: Array) -> "array[float]":
    """Samples as a plain array: compact between processes, and no numpy where they are read."""
    return array("d", np.ascontiguousarray(values).tobytes())


def foresee(problem: Problem) -> Outlook:
    """What the sky offers to each target of a problem between its start and its end.

    It can be kept for the night: a later problem of the same targets and limits has the same outlook.
    """
    start, end = problem.start_us, max(problem.end_us, problem.start_us + MINUTE_US)
    grid = _grid(start, end)
    ra = np.array([target.ra_deg for target in problem.targets], dtype=np.float64)
    dec = np.array([target.dec_deg for target in problem.targets], dtype=np.float64)
    seen = visibility(problem.place, ra, dec, grid)
    return Outlook(
        start_us=start,
        end_us=end,
        step_us=round((end - start) / (len(grid) - 1)),
        moon_altitude_deg=_samples(seen.moon.altitude_deg),
        moon_illumination=seen.moon.illumination,
        targets=_outlooks(problem, seen) if problem.targets else {},
    )


def describe(window: Interval) -> str:
    """`21:10 to 03:05`, UTC."""
    return " to ".join(clock_text(instant)[:5] for instant in window)


def astroplan_observer(place: Place) -> Any:
    """astroplan's own observer of a place, for those who want to check us against it."""
    return Observer(location=_location(place))
