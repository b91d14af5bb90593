"""The header says what is true, in the words that other programs read."""

import dataclasses
import math
import time

import pytest
from astropy import units as u
from astropy.coordinates import AltAz, EarthLocation, SkyCoord, get_body
from astropy.io import fits
from astropy.time import Time
from hypothesis import given
from hypothesis import strategies as st

from astrod.domain.instant import SECOND_US
from astrod.frames.header import FrameFacts, Value, ascii_text, header_of, sexagesimal, sky_of
from tests.frames.exposures import PUJALT, STARTED_US, exposure_of

SHAPE = (1096, 1936)


def values_of(facts: FrameFacts) -> dict[str, Value]:
    return {keyword: value for keyword, value, _ in header_of(facts, SHAPE)}


def test_states_time_at_start_middle_and_end() -> None:
    facts = dataclasses.replace(exposure_of(), started_us=STARTED_US)
    header = values_of(facts)
    assert header["DATE-OBS"] == "2026-12-14T22:01:05.123"
    assert header["DATE-AVG"] == "2026-12-14T22:03:35.123"
    assert header["DATE-END"] == "2026-12-14T22:06:05.123"
    assert (header["TIMESYS"], header["TIMESRC"], header["TIMEERR"]) == ("UTC", "chrony", 0.005)
    start = Time("2026-12-14T22:01:05.123456", scale="utc")
    assert header["MJD-OBS"] == pytest.approx(start.mjd, abs=1e-9)
    assert header["JD_UTC"] == pytest.approx(start.jd + 150 / 86400, abs=1e-8)


def test_barycentric_time_agrees_with_the_earth_and_the_direction() -> None:
    """BJD_TDB against the textbook: TDB plus the Earth's barycentric position along the line of sight."""
    from astropy.coordinates import get_body_barycentric

    header = values_of(dataclasses.replace(exposure_of(), started_us=STARTED_US))
    middle = Time("2026-12-14T22:03:35.123456", scale="utc")
    earth_km = get_body_barycentric("earth", middle, ephemeris="builtin").xyz.to_value(u.km)
    ra, dec = math.radians(83.822), math.radians(-5.391)
    line = (math.cos(dec) * math.cos(ra), math.cos(dec) * math.sin(ra), math.sin(dec))
    early_s = sum(a * b for a, b in zip(earth_km, line, strict=True)) / 299792.458
    # the site is up to 21 ms of light from the centre of the Earth
    assert header["BJD_TDB"] == pytest.approx(middle.tdb.jd + early_s / 86400, abs=0.03 / 86400)
    assert 400 < early_s < 500


def test_places_target_moon_and_sun() -> None:
    facts = exposure_of()
    header = values_of(facts)
    when = Time(facts.middle_us / 1e6, format="unix", scale="utc")
    site = EarthLocation.from_geodetic(PUJALT.longitude_deg, PUJALT.latitude_deg, PUJALT.height_m)
    horizon = AltAz(obstime=when, location=site)
    target = SkyCoord(83.822, -5.391, unit="deg")
    moon, sun = (get_body(name, when, site) for name in ("moon", "sun"))
    assert header["OBJCTALT"] == pytest.approx(target.transform_to(horizon).alt.deg, abs=1e-6)
    assert header["OBJCTAZ"] == pytest.approx(target.transform_to(horizon).az.deg, abs=1e-6)
    assert header["MOONALT"] == pytest.approx(moon.transform_to(horizon).alt.deg, abs=1e-4)
    assert header["SUNALT"] == pytest.approx(sun.transform_to(horizon).alt.deg, abs=1e-4)
    away_deg = moon.separation(SkyCoord(target.ra, target.dec, frame=moon.frame.replicate_without_data()))
    assert header["MOONSEP"] == pytest.approx(away_deg.deg, abs=0.01)
    secant = 1 / math.sin(math.radians(float(header["OBJCTALT"])))
    assert header["AIRMASS"] == pytest.approx(secant, rel=0.01)


@pytest.mark.parametrize(
    ("instant", "lit_percent"),
    [("2026-12-24T01:28:00", 100.0), ("2026-12-09T00:52:00", 0.0), ("2026-12-17T05:43:00", 50.0)],
)
def test_moon_is_lit_as_almanacs_say(instant: str, lit_percent: float) -> None:
    """Full moon, new moon and first quarter of December 2026."""
    instant_us = round(Time(instant, scale="utc").unix * SECOND_US)
    assert sky_of(PUJALT, instant_us, None).moon_lit_percent == pytest.approx(lit_percent, abs=1.2)


def test_wcs_guess_puts_the_pointing_at_the_centre_and_north_up() -> None:
    from astropy.wcs import WCS

    top_down = fits.Header(header_of(exposure_of(), SHAPE))
    wcs = WCS(top_down, fix=False)
    centre = wcs.pixel_to_world((SHAPE[1] - 1) / 2, (SHAPE[0] - 1) / 2)
    assert centre.separation(SkyCoord(83.822, -5.391, unit="deg")).arcsec < 0.01
    first_row = wcs.pixel_to_world((SHAPE[1] - 1) / 2, 0)
    assert first_row.dec.deg > -5.391  # the first row stored is the top of the picture
    turned = dataclasses.replace(exposure_of(), row_order="BOTTOM-UP")
    bottom_up = WCS(fits.Header(header_of(turned, SHAPE)), fix=False)
    assert bottom_up.pixel_to_world((SHAPE[1] - 1) / 2, 0).dec.deg < -5.391
    assert top_down["SCALE"] == pytest.approx(1.6501, abs=1e-4)


def test_binning_scales_pixels() -> None:
    facts = exposure_of()
    binned = dataclasses.replace(facts, intent=dataclasses.replace(facts.intent, binning=2))
    header = values_of(binned)
    assert (header["XBINNING"], header["XPIXSZ"]) == (2, 8.0)
    assert header["SCALE"] == pytest.approx(3.3002, abs=1e-4)


def test_says_nothing_of_what_nobody_knows() -> None:
    dark = exposure_of(kind="dark", target=None, sky=False, filter=None)
    header = values_of(dark)
    absent = {
        "RA",
        "CRVAL1",
        "AIRMASS",
        "OBJECT",
        "FILTER",
        "PIERSIDE",
        "BAYERPAT",
        "BJD_TDB",
        "FOCPOS",
        "MOONSEP",
    }
    assert not absent & set(header)
    assert header["IMAGETYP"] == "Dark Frame"
    assert header["GAIN"] == 100 and isinstance(header["GAIN"], int)


def test_leaves_out_values_that_are_not_numbers() -> None:
    header = values_of(dataclasses.replace(exposure_of(), temperature_c=math.nan, egain_e_per_adu=math.inf))
    assert "CCD-TEMP" not in header and "EGAIN" not in header


def test_every_card_is_legal_commented_and_unique() -> None:
    facts = exposure_of(target="Ångström’s Пример µ Cephei with a name that goes on and on ab")
    facts = dataclasses.replace(facts, bayer="RGGB", site_title="L'observatoire d'à côté " * 4)
    cards = header_of(facts, SHAPE)
    keywords = [keyword for keyword, _, _ in cards]
    assert len(keywords) == len(set(keywords))
    for keyword, value, comment in cards:
        card = fits.Card(keyword, value, comment)
        card.verify("exception")
        assert str(card).isascii()
        assert comment or (isinstance(value, str) and len(value) > 50)
        if not (isinstance(value, str) and len(value) > 66):
            back = fits.Card.fromstring(str(card)).value
            assert back == (pytest.approx(value, rel=1e-13) if isinstance(value, float) else value)


@given(st.text(max_size=70))
def test_any_text_becomes_legal(text: str) -> None:
    assert all(" " <= c <= "~" for c in ascii_text(text))


def test_text_keeps_its_sense() -> None:
    assert ascii_text("Hα Ñandú straße 5°") == "Halpha Nandu strasse 5deg"


@given(st.floats(min_value=-90, max_value=90))
def test_sexagesimal_comes_back(angle_deg: float) -> None:
    text = sexagesimal(angle_deg, 1, signed=True)
    degrees, minutes, seconds = text[1:].split()
    assert float(seconds) < 60 and int(minutes) < 60
    back = (int(degrees) + int(minutes) / 60 + float(seconds) / 3600) * (-1 if text[0] == "-" else 1)
    assert back == pytest.approx(angle_deg, abs=0.051 / 3600)


def test_right_ascension_wraps_at_24_hours() -> None:
    assert sexagesimal(23.9999999, 2, signed=False) == "00 00 00.00"


def test_costs_little_once_warm() -> None:
    header_of(exposure_of(), SHAPE)
    costs_s = []
    for counter in range(1, 8):
        before_s = time.process_time()
        header_of(exposure_of(counter), SHAPE)
        costs_s.append(time.process_time() - before_s)
    assert min(costs_s) < 0.06
