"""A remote server's clock against ours, from time stamps that hold whole seconds only."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

pytest.importorskip("PyIndi", reason="pyindi-client is not installed (pip install astrod[indi])")

from astrod_drivers.indi.link import ClockOffset, told_at

NOW_US = 1_797_292_800_000_000


@given(st.floats(-5000.0, 5000.0), st.lists(st.tuples(st.floats(0.0, 900.0), st.floats(0.0, 0.4)), min_size=1))
def test_the_true_offset_lies_within_the_bounds(ahead_s: float, messages: list[tuple[float, float]]) -> None:
    offset = ClockOffset()
    for sent_s, travel_s in sorted(messages):
        sent_us = NOW_US + round(sent_s * 1e6)
        stamp_us = (sent_us + round(ahead_s * 1e6)) // 1_000_000 * 1_000_000
        offset = offset.heard(stamp_us, sent_us + round(travel_s * 1e6))
    assert offset.known
    assert offset.low_s - 1e-5 <= ahead_s <= offset.high_s + 1e-5


def test_many_messages_narrow_it_and_a_clock_that_is_set_starts_anew() -> None:
    offset = ClockOffset()
    assert not offset.known
    for step in range(40):
        now_us = NOW_US + step * 1_025_000
        offset = offset.heard((now_us + 3_000_000) // 1_000_000 * 1_000_000, now_us)
    assert offset.middle_s == pytest.approx(3.0, abs=0.5)
    assert offset.high_s - offset.low_s < 1.0
    moved = offset.heard(NOW_US + 60_000_000, NOW_US + 50_000_000)
    assert moved.middle_s == pytest.approx(10.75)


@pytest.mark.parametrize("text", ["", "yesterday", "2026-13-01T00:00:00"])
def test_what_is_no_stamp_is_none(text: str) -> None:
    assert told_at(text) is None


def test_a_stamp_is_utc() -> None:
    assert told_at("2026-12-15T00:00:00") == told_at("2026-12-15T00:00:00Z") == NOW_US
