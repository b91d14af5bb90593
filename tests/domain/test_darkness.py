"""Dark times against astropy's Sun, and at latitudes where the night is odd."""

import pytest
from astropy.coordinates import AltAz, EarthLocation, get_sun
from astropy.time import Time

from astrod.domain.darkness import dark_time
from astrod.domain.identity import Night, night_of, noon_us
from astrod.domain.instant import DAY_US, HOUR_US, MINUTE_US, SECOND_US, iso, parse_iso
from astrod.domain.site import Darkness, Place
from astrod.domain.sphere import airmass, separation_deg, sun_altitude_deg
from astrod.runtime.offline import go_offline

PUJALT = Place(41.72, 1.42, 760.0)
TROMSO = Place(69.65, 18.95, 10.0)


def astropy_sun_deg(place: Place, instant_us: int) -> float:
    go_offline()
    when = Time(instant_us / 1e6, format="unix")
    here = EarthLocation.from_geodetic(place.longitude_deg, place.latitude_deg, place.height_m)
    return float(get_sun(when).transform_to(AltAz(obstime=when, location=here)).alt.deg)


@pytest.mark.parametrize("place", [PUJALT, Place(-30.17, -70.81, 2200.0), Place(19.82, -155.47, 4200.0)])
@pytest.mark.parametrize("day", ["2026-12-14", "2028-06-21"])
def test_dusk_and_dawn_have_the_sun_at_its_limit(place: Place, day: str) -> None:
    dark = dark_time(place, Darkness(), Night.parse(day))
    for instant in (dark.dusk_us, dark.dawn_us):
        assert astropy_sun_deg(place, instant) == pytest.approx(-12.0, abs=0.03)
    assert dark.prepare_us < dark.dusk_us < dark.dawn_us


def test_sun_altitude_agrees_with_astropy_through_a_year() -> None:
    for day in range(0, 365, 17):
        instant = parse_iso("2027-01-01T00:00:00") + day * DAY_US + day * HOUR_US
        ours = sun_altitude_deg(instant, PUJALT.latitude_deg, PUJALT.longitude_deg)
        assert ours == pytest.approx(astropy_sun_deg(PUJALT, instant), abs=0.03)


def test_midsummer_in_the_north_has_no_dark_time_and_midwinter_no_end() -> None:
    summer = dark_time(TROMSO, Darkness(), Night.parse("2026-06-21"))
    assert summer.dusk_us == summer.dawn_us
    assert {summer.light_at(summer.dusk_us + step * HOUR_US) for step in range(-12, 12)} == {"day"}
    winter = dark_time(TROMSO, Darkness(observe_below_deg=-1.0, prepare_below_deg=0.0), Night.parse("2026-12-21"))
    assert (winter.dusk_us, winter.dawn_us) == (
        noon_us(Night.parse("2026-12-21"), 18.95),
        noon_us(Night.parse("2026-12-22"), 18.95),
    )


def test_the_operator_may_narrow_the_night() -> None:
    whole = dark_time(PUJALT, Darkness(), Night.parse("2026-12-14"))
    start, end = whole.dusk_us + HOUR_US, whole.dusk_us + HOUR_US + 4 * MINUTE_US
    dark = dark_time(PUJALT, Darkness(not_before_us=start, not_after_us=end), Night.parse("2026-12-14"))
    assert (dark.dusk_us, dark.dawn_us) == (start, end)
    assert dark.light_at(start - SECOND_US) == "day"
    assert dark.light_at(end - 1) == "dark"
    assert dark.light_at(end) == "day"


def test_a_night_is_the_date_of_the_noon_before_it() -> None:
    noon = noon_us(Night.parse("2026-12-14"), 150.0)
    assert iso(noon) == "2026-12-14T02:00:00.000Z"
    assert str(night_of(noon, 150.0)) == "2026-12-14"
    assert str(night_of(noon - 1, 150.0)) == "2026-12-13"
    assert str(night_of(noon + DAY_US - 1, 150.0)) == "2026-12-14"


def test_air_mass_and_separation_at_known_places() -> None:
    assert airmass(90.0) == pytest.approx(1.0, abs=1e-3)
    assert airmass(30.0) == pytest.approx(1.994, abs=2e-3)
    assert airmass(-1.0) == float("inf")
    assert separation_deg(10.0, 0.0, 190.0, 0.0) == pytest.approx(180.0)
    assert separation_deg(10.0, 20.0, 10.0, 20.0) == 0.0
