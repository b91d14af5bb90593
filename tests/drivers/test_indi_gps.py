"""What a GPS receiver's driver tells: only answers to our question count, with a fix, and as numbers that can be."""

from xml.etree.ElementTree import ParseError

import pytest
from hypothesis import given
from hypothesis import strategies as st

from astrod_drivers.errors import BadAnswer
from astrod_drivers.indi.gps import Fix, Told, degrees

PLACE = (
    '<{0}NumberVector device="{1}" name="GEOGRAPHIC_COORD" state="{2}">'
    '<{3} name="LAT">51:30:00</{3}><{3} name="LONG">357.7</{3}><{3} name="ELEV">72</{3}></{0}NumberVector>'
)
TIME = (
    '<setTextVector device="GPS" name="TIME_UTC" state="{0}"><oneText name="UTC">\n2026-11-21T14:22:46\n</oneText>'
    '<oneText name="OFFSET">0.00</oneText></setTextVector>'
)
ON = (
    '<setSwitchVector device="GPS" name="CONNECTION" state="Ok"><oneSwitch name="CONNECT">{0}</oneSwitch>'
    "</setSwitchVector>"
)


def asked() -> Told:
    told = Told("GPS")
    told.asked_us = 100
    return told


def test_time_and_place_of_an_answer() -> None:
    told = asked()
    time, place = told.hear((TIME.format("Ok") + PLACE.format("set", "GPS", "Ok", "oneNumber")).encode(), 700)
    assert time == Fix(100, 700, utc="2026-11-21T14:22:46")
    assert place.place is not None
    assert (place.place.latitude_deg, round(place.place.longitude_deg, 6), place.place.height_m) == (51.5, -2.3, 72.0)
    assert told.fixes == 2


@pytest.mark.parametrize(
    "text",
    [
        PLACE.format("def", "GPS", "Ok", "defNumber"),  # what it knew before it was asked
        PLACE.format("set", "GPS", "Busy", "oneNumber"),  # it has no fix
        PLACE.format("set", "Other", "Ok", "oneNumber"),
        PLACE.format("set", "GPS", "Ok", "oneNumber").replace("51:30:00", "91:00:00"),
        PLACE.format("set", "GPS", "Ok", "oneNumber").replace("51:30:00", "north"),
        TIME.format("Alert"),
    ],
)
def test_what_is_no_fix(text: str) -> None:
    assert asked().hear(text.encode(), 700) == []


def test_before_it_is_asked_nothing_counts() -> None:
    assert Told("GPS").hear(TIME.format("Ok").encode(), 700) == []


def test_pieces_of_any_size_and_whether_it_is_connected() -> None:
    told = asked()
    assert told.connected is None
    text = (ON.format("Off") + TIME.format("Ok") + ON.format("On")).encode()
    found = [fix for at in range(len(text)) for fix in told.hear(text[at : at + 1], 700)]
    assert len(found) == 1 and told.connected is True


def test_what_is_no_xml() -> None:
    with pytest.raises(ParseError):
        asked().hear(b"<a b=</x>", 700)


@given(st.floats(-90.0, 90.0))
def test_plain_and_sexagesimal_numbers(value: float) -> None:
    assert degrees(str(value), 90.0) == value if "e" not in str(value) else True
    minutes, degree = abs(value) % 1.0 * 60.0, int(abs(value))
    text = f"{'-' if value < 0 else ''}{degree}:{int(minutes)}:{minutes % 1.0 * 60.0:.4f}"
    assert degrees(text, 90.1) == pytest.approx(value, abs=1e-6)


@pytest.mark.parametrize("text", ["", "x", "1:2:3:4", "nan", "inf", "1e999", "--"])
def test_what_is_no_number(text: str) -> None:
    with pytest.raises(BadAnswer):
        degrees(text, 90.0)
