"""Occupation: a rig's time without gaps, whatever it is told in whatever order."""

from hypothesis import given
from hypothesis import strategies as st

from astrod.domain.instant import SECOND_US
from astrod.domain.minutes import CAUSES, DarkCause, account
from astrod.occupation import Occupation
from tests.spine.stillclock import StillClock

CHANGES = st.lists(
    st.tuples(st.integers(0, 600), st.sampled_from(CAUSES), st.sampled_from(["enter", "rename", "cut", "take"])),
    max_size=40,
)


@given(CHANGES)
def test_every_second_has_one_cause(changes: list[tuple[int, DarkCause, str]]) -> None:
    clock = StillClock(1_000 * SECOND_US)
    rig = Occupation("main", clock)
    recorded = []
    for wait_s, cause, how in changes:
        clock.pass_s(wait_s)
        if how == "enter":
            rig.enter(cause, cause)
        elif how == "rename":
            rig.rename(cause, cause)
        elif how == "cut":
            rig.cut()
        else:
            recorded += rig.take()
    rig.cut()
    recorded += rig.take()
    ends = [1_000 * SECOND_US, *(interval.end_us for interval in recorded)]
    assert [interval.start_us for interval in recorded] == ends[:-1]
    assert ends[-1] == clock.now_us()
    minutes = account(recorded, 1, 1_000 * SECOND_US, clock.now_us())
    assert minutes["unexplained"] == 0.0


def test_the_time_before_a_restart_is_the_daemons_fault() -> None:
    clock = StillClock(5_000 * SECOND_US)
    rig = Occupation("main", clock)
    clock.pass_s(10)
    rig.away_since(4_000 * SECOND_US)
    rig.enter("observed", "M 31")
    clock.pass_s(90)
    rig.cut()
    intervals = rig.take()
    minutes = account(intervals, 1, 4_000 * SECOND_US, clock.now_us())
    assert minutes["unexplained"] == 0.0
    assert abs(minutes["fault"] * 60.0 - 1_000.0) < 0.1
    assert intervals[0].detail == "the daemon was not running"


def test_nothing_was_missed_where_the_account_goes_on() -> None:
    clock = StillClock(5_000 * SECOND_US)
    rig = Occupation("main", clock)
    clock.pass_s(10)
    rig.away_since(5_000 * SECOND_US)
    rig.away_since(9_000 * SECOND_US)
    assert [interval.cause for interval in rig.take()] == ["idle"]


def test_intervals_that_could_not_be_recorded_come_again_first() -> None:
    clock = StillClock(0)
    rig = Occupation("main", clock)
    clock.pass_s(5)
    rig.enter("observed", "M 31")
    taken = rig.take()
    clock.pass_s(5)
    rig.enter("overhead", "slew")
    rig.give_back(taken)
    assert [interval.start_us for interval in rig.take()] == [0, 5 * SECOND_US]
