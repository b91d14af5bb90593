"""The account of dark minutes leaves nothing out and counts nothing twice."""

from hypothesis import given
from hypothesis import strategies as st

from astrod.domain.instant import MINUTE_US
from astrod.domain.minutes import CAUSES, Interval, account


def test_intervals_are_cut_to_the_dark_time_and_gaps_show() -> None:
    intervals = [
        Interval("rig", 0, 60 * MINUTE_US, "observed", ""),
        Interval("rig", 70 * MINUTE_US, 100 * MINUTE_US, "weather", "rain"),
    ]
    minutes = account(intervals, 1, 30 * MINUTE_US, 90 * MINUTE_US)
    assert minutes == {
        "observed": 30.0,
        "overhead": 0.0,
        "weather": 20.0,
        "fault": 0.0,
        "idle": 0.0,
        "unexplained": 10.0,
    }


SPANS = st.tuples(st.sampled_from(["a", "b"]), st.integers(0, 500), st.integers(0, 500), st.sampled_from(CAUSES))


@given(st.lists(SPANS, max_size=30))
def test_causes_and_the_unexplained_always_add_up_to_the_dark_time(spans: list[tuple[str, int, int, str]]) -> None:
    intervals = [
        Interval(rig, min(a, b) * MINUTE_US, max(a, b) * MINUTE_US, cause, "")  # type: ignore[arg-type]
        for rig, a, b, cause in spans
    ]
    minutes = account(intervals, 2, 100 * MINUTE_US, 400 * MINUTE_US)
    assert abs(sum(minutes.values()) - 300.0) < 0.01
    assert min(minutes.values()) >= 0.0
