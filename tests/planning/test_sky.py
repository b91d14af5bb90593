"""Twilight and windows, against astropy and astroplan themselves."""

import time

import astropy.units as u
import numpy as np
import pytest
from astroplan import AirmassConstraint, AltitudeConstraint, FixedTarget, MoonSeparationConstraint, Observer
from astropy.coordinates import AltAz, EarthLocation, SkyCoord, get_body, get_sun
from astropy.time import Time

from astrod.domain import sphere
from astrod.domain.darkness import dark_time
from astrod.domain.identity import Night
from astrod.domain.instant import DAY_US, HOUR_US, MINUTE_US, SECOND_US
from astrod.domain.site import Darkness, Place
from astrod.domain.target import Request, Target
from astrod.planning.problem import Problem, RigState
from astrod.planning.sky import foresee, horizon_deg, margins_deg, night_window, runs, visibility
from tests.planning.places import (
    ALERT,
    CERRO_TOLOLO,
    HELSINKI,
    LA_PALMA,
    PUJALT,
    SIDING_SPRING,
    TROMSO,
    night_problem,
    target,
)

# Nights beyond astropy's tables of the Earth's rotation make astropy warn; ours stay silent, see test_offline.
pytestmark = [
    pytest.mark.filterwarnings("ignore:Tried to get polar motions"),
    pytest.mark.filterwarnings("ignore:transforming other coordinates"),
    pytest.mark.filterwarnings("ignore::astropy.coordinates.baseframe.NonRotationTransformationWarning"),
]


def _frame(place: Place, instants_us: np.ndarray) -> AltAz:
    location = EarthLocation.from_geodetic(place.longitude_deg, place.latitude_deg, place.height_m)
    return AltAz(obstime=Time(instants_us / 1e6, format="unix", scale="utc"), location=location)


def _sun_deg(place: Place, instants_us: np.ndarray) -> np.ndarray:
    frame = _frame(place, instants_us)
    return np.asarray(get_sun(frame.obstime).transform_to(frame).alt.deg)


@pytest.mark.parametrize(
    ("place", "night"),
    [
        (PUJALT, "2026-12-14"),
        (PUJALT, "2026-06-21"),
        (LA_PALMA, "2026-03-20"),
        (CERRO_TOLOLO, "2026-07-01"),
        (SIDING_SPRING, "2028-12-05"),
        (HELSINKI, "2026-08-20"),
        (TROMSO, "2026-12-21"),
    ],
)
def test_dusk_and_dawn_are_where_a_scan_of_the_sun_says(place: Place, night: str) -> None:
    window = night_window(place, Night.parse(night), Darkness())
    for limit, edges in (
        (-6.0, (window.prepare_start_us, window.prepare_end_us)),
        (-12.0, (window.dusk_us, window.dawn_us)),
    ):
        assert edges[0] is not None
        assert edges[1] is not None
        scan = np.arange(window.noon_us, window.noon_us + DAY_US, 2 * MINUTE_US)
        below = scan[_sun_deg(place, scan) < limit]
        assert 0 <= below[0] - edges[0] <= 2 * MINUTE_US
        assert 0 <= edges[1] - below[-1] <= 2 * MINUTE_US
        assert _sun_deg(place, np.array(edges)) == pytest.approx([limit, limit], abs=0.003)


@pytest.mark.parametrize("place", [PUJALT, CERRO_TOLOLO, TROMSO])
def test_the_closed_formula_of_the_domain_agrees(place: Place) -> None:
    exact = night_window(place, Night.parse("2026-10-17"), Darkness())
    quick = dark_time(place, Darkness(), Night.parse("2026-10-17"))
    assert exact.dusk_us == pytest.approx(quick.dusk_us, abs=20 * SECOND_US)
    assert exact.dawn_us == pytest.approx(quick.dawn_us, abs=20 * SECOND_US)


def test_a_summer_night_that_never_gets_dark() -> None:
    helsinki = night_window(HELSINKI, Night.parse("2026-06-21"), Darkness())
    assert (helsinki.dusk_us, helsinki.dawn_us) == (None, None)
    assert helsinki.prepare_start_us is not None
    tromso = night_window(TROMSO, Night.parse("2026-06-21"), Darkness())
    assert (tromso.prepare_start_us, tromso.dusk_us, tromso.prepare_end_us) == (None, None, None)


def test_a_polar_night_runs_from_noon_to_noon() -> None:
    window = night_window(ALERT, Night.parse("2026-12-21"), Darkness())
    assert (window.dusk_us, window.dawn_us) == (window.noon_us, window.noon_us + DAY_US)


def test_the_operator_narrows_the_night() -> None:
    night = Night.parse("2026-12-14")
    whole = night_window(PUJALT, night, Darkness())
    assert whole.dusk_us is not None
    start, end = whole.dusk_us + HOUR_US, whole.dusk_us + 3 * HOUR_US
    narrow = night_window(PUJALT, night, Darkness(not_before_us=start, not_after_us=end))
    assert (narrow.dusk_us, narrow.dawn_us) == (start, end)
    nothing = night_window(PUJALT, night, Darkness(not_before_us=end, not_after_us=start))
    assert (nothing.dusk_us, nothing.dawn_us) == (None, None)


@pytest.mark.parametrize(
    ("place", "night"),
    [(PUJALT, "2026-12-14"), (CERRO_TOLOLO, "2028-12-05"), (TROMSO, "2026-11-01"), (ALERT, "2027-12-20")],
)
def test_positions_are_astropys(place: Place, night: str) -> None:
    noon = night_window(place, Night.parse(night), Darkness()).noon_us
    grid = np.arange(noon, noon + DAY_US, 20 * MINUTE_US)
    sky = np.random.default_rng(7)
    ra, dec = sky.uniform(0.0, 360.0, 60), np.degrees(np.arcsin(sky.uniform(-1.0, 1.0, 60)))
    seen = visibility(place, ra, dec, grid)
    frame = _frame(place, grid)[None, :]
    truth = SkyCoord(ra[:, None], dec[:, None], unit="deg").transform_to(frame)
    assert np.abs(seen.altitude_deg - truth.alt.deg).max() < 0.001
    across = (seen.azimuth_deg - truth.az.deg + 180.0) % 360.0 - 180.0
    assert np.abs(across * np.cos(truth.alt.rad)).max() < 0.001
    moon = get_body("moon", frame.obstime, frame.location).transform_to(frame)
    assert np.abs(seen.moon.altitude_deg - moon.alt.deg).max() < 0.01
    assert np.abs(seen.moon_deg - moon.separation(truth).deg).max() < 0.01


def test_transits_are_where_targets_stand_highest() -> None:
    problem = night_problem(PUJALT, "2026-12-14", (target("M31"), target("M42"), target("M81")))
    for name, foreseen in foresee(problem).targets.items():
        wanted = next(t for t in problem.targets if t.name == name)
        around = foreseen.transit_us + np.array([-60, 0, 60]) * SECOND_US
        altitude = visibility(PUJALT, np.array([wanted.ra_deg]), np.array([wanted.dec_deg]), around).altitude_deg[0]
        assert altitude[1] > altitude[0]
        assert altitude[1] > altitude[2]


def test_windows_are_astroplans_constraints() -> None:
    """Altitude, air mass and distance from the Moon, minute by minute, save within a hair of a limit."""
    names = ["M31", "M42", "M1", "M81", "M45", "M13", "NGC253", "NGC2244"]
    targets = tuple(target(name, min_altitude_deg=30.0, max_airmass=1.8, min_moon_deg=60.0) for name in names)
    problem = night_problem(PUJALT, "2026-12-18", targets)
    outlook = foresee(problem)
    instants = np.arange(problem.start_us, problem.end_us, MINUTE_US)
    observer = Observer(location=_frame(PUJALT, instants).location)
    times = Time(instants / 1e6, format="unix", scale="utc")
    fixed = [FixedTarget(SkyCoord(t.ra_deg, t.dec_deg, unit="deg"), name=t.name) for t in targets]
    altitude = AltitudeConstraint(min=30 * u.deg)(observer, fixed, times, grid_times_targets=True)
    airmass = AirmassConstraint(max=1.8)(observer, fixed, times, grid_times_targets=True)
    moon = MoonSeparationConstraint(min=60 * u.deg)(observer, fixed, times, grid_times_targets=True)
    moon |= observer.moon_altaz(times).alt.deg[None, :] < 0.0
    theirs = altitude & airmass & moon
    seen = visibility(PUJALT, np.array([t.ra_deg for t in targets]), np.array([t.dec_deg for t in targets]), instants)
    secant = 1.0 / np.sin(np.radians(np.maximum(seen.altitude_deg, 1.0)))
    doubtful = (
        (np.abs(seen.altitude_deg - 30.0) < 0.01)
        | (np.abs(secant - 1.8) < 0.01)  # astroplan's secant against Kasten & Young
        | (np.abs(seen.moon_deg - 60.0) < 0.02)
        | (np.abs(seen.moon.altitude_deg)[None, :] < 0.02)
    )
    ours = np.array(
        [
            [any(start <= instant < end for start, end in outlook.targets[t.name].windows) for instant in instants]
            for t in targets
        ]
    )
    assert 0 < theirs.sum() < theirs.size
    assert not np.any((ours != theirs) & ~doubtful)
    assert doubtful.mean() < 0.02


def test_a_window_ends_at_the_limit_to_a_second() -> None:
    problem = night_problem(PUJALT, "2026-12-14", (target("M42", min_altitude_deg=30.0),))
    ((start, end),) = foresee(problem).targets["M42"].windows
    wanted = problem.targets[0]
    edges = visibility(PUJALT, np.array([wanted.ra_deg]), np.array([wanted.dec_deg]), np.array([start, end]))
    assert edges.altitude_deg[0] == pytest.approx([30.0, 30.0], abs=0.002)


def test_the_horizon_mask_is_joined_around_the_circle() -> None:
    mask = ((90.0, 40.0), (180.0, 10.0), (270.0, 20.0))
    azimuths = np.array([90.0, 135.0, 270.0, 0.0, 359.999])
    assert horizon_deg(azimuths, mask) == pytest.approx([40.0, 25.0, 20.0, 30.0, 30.0], abs=0.01)
    assert horizon_deg(azimuths, ()).max() < -80.0


def test_a_wall_in_the_east_delays_a_target() -> None:
    free = night_problem(PUJALT, "2026-12-14", (target("M42"),))
    wall = Problem(
        free.place, free.rigs, free.targets, free.now_us, free.end_us,
        horizon=((0.0, 0.0), (90.0, 60.0), (150.0, 60.0), (160.0, 0.0)),
    )  # fmt: skip
    (early, _), (late, _) = (foresee(problem).targets["M42"].windows[0] for problem in (free, wall))
    assert late > early + HOUR_US


@pytest.mark.parametrize(
    ("wanted", "reason"),
    [
        (target("NGC104"), "never above 25° here"),
        (target("M16"), "only in daylight"),
        (target("M42", min_altitude_deg=45.0), "never above 45° here: 43° at most"),
        (target("M42", max_airmass=1.2), "never above"),
    ],
)
def test_why_a_target_cannot_be_had(wanted: Target, reason: str) -> None:
    foreseen = foresee(night_problem(PUJALT, "2026-12-14", (wanted,))).targets[wanted.name]
    assert foreseen.windows == ()
    assert foreseen.reason is not None
    assert reason in foreseen.reason


def test_too_near_the_moon_is_said_with_figures() -> None:
    place, night = PUJALT, "2026-12-23"  # a bright Moon that is up all night
    problem = night_problem(place, night, (target("M45"),))
    seen = foresee(problem)
    assert seen.moon_illumination > 0.9
    grid = np.arange(problem.start_us, problem.end_us, 30 * MINUTE_US)
    moon = get_body("moon", Time(grid[len(grid) // 2] / 1e6, format="unix"))
    beside = Target(
        "beside", float(moon.ra.deg), float(moon.dec.deg), (Request("beside/1", "beside", 60.0, 5),), min_moon_deg=30.0
    )
    foreseen = foresee(night_problem(place, night, (beside,))).targets["beside"]
    assert foreseen.windows == ()
    assert foreseen.reason is not None
    assert "too near the moon" in foreseen.reason
    assert "< 30°" in foreseen.reason


def test_behind_the_mask_is_said() -> None:
    free = night_problem(PUJALT, "2026-12-14", (target("M42"),))
    walled = Problem(
        free.place, free.rigs, free.targets, free.now_us, free.end_us, horizon=((0.0, 80.0), (180.0, 80.0))
    )
    reason = foresee(walled).targets["M42"].reason
    assert reason is not None
    assert "horizon mask" in reason


def test_three_hundred_targets_take_less_than_a_second() -> None:
    sky = np.random.default_rng(3)
    targets = tuple(
        Target(
            f"T{n}", float(sky.uniform(0, 360)), float(sky.uniform(-30, 89)), (Request(f"T{n}/1", f"T{n}", 60.0, 5),)
        )
        for n in range(300)
    )
    problem = night_problem(PUJALT, "2026-12-14", targets, (RigState("east"),))
    begun = time.process_time()
    assert len(foresee(problem).targets) == 300
    assert time.process_time() - begun < 1.0


def test_windows_of_a_thousand_targets_take_a_fraction_of_a_second() -> None:
    """A tenth on an idle core; see tests/bench/planning.py."""
    sky = np.random.default_rng(4)
    ra, dec = sky.uniform(0.0, 360.0, 1000), sky.uniform(-40.0, 89.0, 1000)
    problem = night_problem(PUJALT, "2026-12-14", (target("M42"),))
    grid = np.linspace(problem.start_us, problem.end_us, 361).astype(np.int64)
    begun = time.process_time()
    seen = visibility(PUJALT, ra, dec, grid)
    found = runs(grid, margins_deg(seen, np.full(1000, 30.0), np.full(1000, 30.0)))
    assert time.process_time() - begun < 0.5
    assert 300 < sum(bool(windows) for windows in found) < 1000


def test_samples_and_windows_agree_with_the_domains_formula() -> None:
    problem = night_problem(PUJALT, "2026-12-14", (target("M31"),))
    outlook = foresee(problem)
    foreseen = outlook.targets["M31"]
    middle = (problem.start_us + problem.end_us) // 2
    altitude, _ = sphere.altitude_azimuth_deg(
        problem.targets[0].ra_deg, problem.targets[0].dec_deg, middle, PUJALT.latitude_deg, PUJALT.longitude_deg
    )
    assert outlook.sample(foreseen.altitude_deg, middle) == pytest.approx(altitude, abs=0.5)
    assert foreseen.window_at(foreseen.windows[0][0]) == foreseen.windows[0]
    assert foreseen.window_at(foreseen.windows[0][1]) is None
