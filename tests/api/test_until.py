"""Moments that an operator names."""

import pytest

from astrod.api.until import until_us
from astrod.domain.instant import parse_iso
from astrod.errors import InputInvalid

NOW_US = parse_iso("2026-12-14T22:14:03Z")


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("23:00", "2026-12-14T23:00:00Z"),
        ("2:30", "2026-12-15T02:30:00Z"),
        ("22:14Z", "2026-12-15T22:14:00Z"),
        ("2026-12-15T02:30Z", "2026-12-15T02:30:00Z"),
        ("2026-12-15T02:30+01:00", "2026-12-15T01:30:00Z"),
        ("2026-12-15T02:30", "2026-12-15T02:30:00Z"),
    ],
)
def test_a_moment_to_come(text: str, moment: str) -> None:
    assert until_us(text, NOW_US) == parse_iso(moment)


@pytest.mark.parametrize("text", ["24:00", "soon", "", "2026-12-14T22:00Z", "2026-13-01T00:00Z"])
def test_no_moment_or_one_that_is_over(text: str) -> None:
    with pytest.raises(InputInvalid, match=r"write 02:30|is to come"):
        until_us(text, NOW_US)
