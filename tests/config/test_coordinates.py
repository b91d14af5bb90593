"""Coordinates as people write them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from astrod.config import coordinates


@pytest.mark.parametrize(
    "text",
    [
        "00h42m44s +41d16m08s",
        "00:42:44 +41:16:08",
        "0 42 44 +41 16 08",
        "00h42m44.0s, +41°16'08\"",
        "00h 42m 44s +41d 16m 08s",
        "10.683333 +41.268889",
        "10.683333, 41.268889",
        " 00h42m44s  +41°16′08″ ",
    ],
)
def test_many_ways_lead_to_andromeda(text: str) -> None:
    ra_deg, dec_deg = coordinates.parse(text)
    assert ra_deg == pytest.approx(10.683333, abs=1e-5)
    assert dec_deg == pytest.approx(41.268889, abs=1e-5)


def test_a_small_negative_declination_keeps_its_sign() -> None:
    assert coordinates.parse("05h35m17s -00d23m28s")[1] == pytest.approx(-0.391111, abs=1e-6)
    assert coordinates.parse("05h35m −05d23m")[1] == pytest.approx(-5.383333, abs=1e-6)


@pytest.mark.parametrize(
    "text",
    ["", "M 31", "00h42m44s", "25h00m00s +10d00m", "10h70m00s +10d00m", "12h00m00s +90d00m01s", "400 10"],
)
def test_what_is_no_place_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"write|not on the sky|60 or more"):
        coordinates.parse(text)


@given(st.floats(0, 359.99), st.floats(-89.99, 89.99))
def test_sexagesimal_there_and_back(ra_deg: float, dec_deg: float) -> None:
    seconds, arcseconds = round(ra_deg * 240), round(abs(dec_deg) * 3600)
    hms = f"{seconds // 3600:02d}h{seconds // 60 % 60:02d}m{seconds % 60:02d}s"
    dms = f"{arcseconds // 3600:02d}d{arcseconds // 60 % 60:02d}m{arcseconds % 60:02d}s"
    if seconds >= 86400:
        return
    found = coordinates.parse(f"{hms} {'-' if dec_deg < 0 else '+'}{dms}")
    assert found == pytest.approx((ra_deg, dec_deg), abs=0.5 / 240 + 1e-6)
