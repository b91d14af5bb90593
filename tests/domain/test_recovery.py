"""The recovery ladder: every rung in its turn, nothing for ever, and the foot again after a good hour."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from astrod.domain.recovery import (
    DEFAULT,
    FOOT,
    LADDERS,
    STEPS,
    Climb,
    Ladder,
    Outcome,
    Rung,
    Step,
    at_least,
    attempt,
    step,
)

rungs = st.builds(Rung, step=st.sampled_from(STEPS), tries=st.integers(1, 4), wait_s=st.floats(0, 60))
ladders = st.builds(Ladder, rungs=st.lists(rungs, min_size=1, max_size=6).map(tuple))


def climbed(ladder: Ladder, outcomes: list[Outcome]) -> list[Step]:
    """The steps taken for these outcomes."""
    climb, steps = FOOT, []
    for outcome in outcomes:
        steps.append(attempt(ladder, climb).step)
        climb = step(ladder, climb, outcome)
    return steps


def test_each_step_is_tried_as_often_as_the_ladder_says_and_then_all_at_leisure() -> None:
    ladder = Ladder((Rung("reconnect"), Rung("restart", tries=2), Rung("power_cycle")), again_s=33.0)
    assert climbed(ladder, ["failed"] * 6) == ["reconnect", "restart", "restart", "power_cycle", "restart", "restart"]
    spent = Climb(2, 1, spent=True)
    assert attempt(ladder, spent) == Rung("restart", wait_s=33.0)
    assert step(ladder, spent, "connected") == spent
    assert step(ladder, spent, "fresh") == FOOT


def test_a_device_that_is_lost_again_soon_is_treated_more_thoroughly() -> None:
    ladder = Ladder((Rung("reconnect"), Rung("restart"), Rung("power_cycle")))
    assert climbed(ladder, ["connected", "connected", "failed"]) == ["reconnect", "restart", "power_cycle"]
    assert climbed(ladder, ["connected", "fresh", "connected"])[2] == "reconnect"


@given(ladders, st.lists(st.sampled_from(["failed", "connected"]), max_size=40))
def test_it_only_climbs_and_ends_after_so_many_tries(ladder: Ladder, outcomes: list[Outcome]) -> None:
    climb, heights = FOOT, []
    for outcome in outcomes:
        heights.append((climb.spent, climb.rung, climb.tried))
        climb = step(ladder, climb, outcome)
    assert heights == sorted(heights)
    assert climb.spent == (len(outcomes) >= sum(rung.tries for rung in ladder.rungs))


@given(ladders, st.sets(st.sampled_from(STEPS)))
def test_what_is_not_possible_is_left_out_and_something_always_remains(ladder: Ladder, steps: set[Step]) -> None:
    possible = ladder.possible(steps)
    assert possible.rungs
    assert {rung.step for rung in possible.rungs} <= {"reconnect", "restart"} | steps


@given(ladders, st.sampled_from(STEPS), st.integers(0, 5))
def test_distrust_never_climbs_down_and_asks_for_no_more_than_wanted(ladder: Ladder, wanted: Step, rung: int) -> None:
    climb = Climb(min(rung, len(ladder.rungs) - 1))
    raised = at_least(ladder, climb, wanted)
    assert raised.rung >= climb.rung
    if raised != climb:
        assert STEPS.index(ladder.rungs[raised.rung].step) <= STEPS.index(wanted)


def test_a_camera_without_a_driver_to_restart_has_its_session_restarted() -> None:
    possible = DEFAULT.possible({"power_cycle"})
    assert attempt(possible, at_least(possible, FOOT, "restart_driver")).step == "restart"
    possible = DEFAULT.possible({"restart_driver"})
    assert attempt(possible, at_least(possible, FOOT, "restart_driver")).step == "restart_driver"


def test_a_switch_is_never_told_to_switch_itself() -> None:
    assert "power_cycle" not in {rung.step for rung in LADDERS["switch"].rungs}


@pytest.mark.parametrize("wrong", [{"tries": 0}, {"wait_s": -1.0}, {"deadline_s": 0.0}])
def test_a_rung_that_cannot_be_is_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(ValueError, match="rung restart"):
        Rung("restart", **wrong)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="one rung"):
        Ladder(())
