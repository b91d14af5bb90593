"""The equinox of date, against ERFA as an independent witness."""

import math

import erfa
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from astrod_drivers.equinox import apparent_of, icrs_of

RA = st.floats(0.0, 360.0, exclude_max=True)
DEC = st.floats(-89.9, 89.9)
UTC_US = st.integers(946_728_000_000_000, 2_524_608_000_000_000)  # 2000 to 2050


def separation_arcsec(first: tuple[float, float], second: tuple[float, float]) -> float:
    (a, b), (c, d) = (tuple(map(math.radians, place)) for place in (first, second))
    return float(erfa.seps(a, b, c, d)) * 206_264.806


def erfa_apparent(ra_deg: float, dec_deg: float, utc_us: int) -> tuple[float, float]:
    tt = utc_us / 86_400e6 + 69.184 / 86_400
    ra, dec, origins = erfa.atci13(math.radians(ra_deg), math.radians(dec_deg), 0, 0, 0, 0, 2_440_587.5, tt)
    return math.degrees(erfa.anp(ra - origins)), math.degrees(dec)


def elongation_deg(ra_deg: float, dec_deg: float, utc_us: int) -> float:
    """Distance from the Sun, which bends light by what we leave out: 0.2″ at 2.5°."""
    earth, _ = erfa.epv00(2_440_587.5, utc_us / 86_400e6)
    place = erfa.s2c(math.radians(ra_deg), math.radians(dec_deg))
    return math.degrees(float(erfa.sepp(-earth["p"], place)))


@given(RA, DEC, UTC_US)
def test_agrees_with_erfa(ra_deg: float, dec_deg: float, utc_us: int) -> None:
    assume(elongation_deg(ra_deg, dec_deg, utc_us) > 2.5)
    ours = apparent_of(ra_deg, dec_deg, utc_us)
    assert separation_arcsec(ours, erfa_apparent(ra_deg, dec_deg, utc_us)) < 0.1 + 0.2


def test_agrees_with_erfa_away_from_the_sun_to_a_tenth_of_an_arcsecond() -> None:
    worst = 0.0
    for year in range(2000, 2051):
        utc_us = 946_728_000_000_000 + int((year - 2000) * 365.2425 * 86_400e6)  # always near 1 January
        for ra_deg in range(0, 200, 20):  # the Sun is at 281°
            for dec_deg in (-85.0, -40.0, 0.0, 40.0, 85.0):
                place = (float(ra_deg), dec_deg, utc_us)
                worst = max(worst, separation_arcsec(apparent_of(*place), erfa_apparent(*place)))
    assert 0.0 < worst < 0.1


@given(RA, DEC, UTC_US)
def test_there_and_back(ra_deg: float, dec_deg: float, utc_us: int) -> None:
    there = apparent_of(ra_deg, dec_deg, utc_us)
    assert separation_arcsec(icrs_of(*there, utc_us), (ra_deg, dec_deg)) < 1e-4


def test_precession_in_2026_is_a_third_of_a_degree() -> None:
    assert apparent_of(0.0, 0.0, 1_795_000_000_000_000)[0] == pytest.approx(0.343, abs=0.01)
