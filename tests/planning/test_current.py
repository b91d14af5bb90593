"""The decision at each exposure."""

import subprocess
import sys
import time
from dataclasses import replace
from functools import cache
from itertools import pairwise
from typing import Any

import pytest

from astrod.domain.instant import HOUR_US, MINUTE_US, SECOND_US
from astrod.domain.plan import Plan
from astrod.planning.current import Situation, needs_replan, next_exposure
from astrod.planning.problem import Outlook, Problem, RigState
from astrod.planning.sky import foresee
from astrod.planning.solve import make_plan
from tests.planning.places import PUJALT, SHOW, night_problem, target


@cache
def _night() -> tuple[Problem, Outlook, Plan]:
    targets = tuple(target(name, priority=1.0 + at % 3) for at, name in enumerate(SHOW[:12]))
    problem = night_problem(PUJALT, "2026-12-14", targets)
    outlook = foresee(problem)
    return problem, outlook, make_plan(problem, outlook)


def _situation(**changes: Any) -> Situation:
    problem, outlook, _ = _night()
    return Situation(replace(problem, **changes), outlook, {})


def test_the_plan_is_followed_from_dusk_to_dawn() -> None:
    """Exposure by exposure, with a rig that does just what the planner reckons with, nearly all of it is had."""
    problem, outlook, plan = _night()
    counts = {request.id: request.count for wanted in problem.targets for request in wanted.requests}
    rig, now, done, departed = problem.rigs[0], problem.start_us, 0, 0
    while True:
        situation = Situation(replace(problem, remaining=counts, rigs=(rig,)), outlook, {})
        turn = next_exposure(plan, situation, "east", now)
        if turn is None:
            break
        assert now <= turn.leave_us <= turn.start_us
        assert turn.end_us <= problem.end_us
        windows = outlook.targets[turn.choice.target].windows
        assert any(start <= turn.start_us and turn.end_us <= end for start, end in windows)
        counts[turn.choice.request] -= 1
        rig = replace(rig, pointing=(turn.choice.ra_deg, turn.choice.dec_deg), filter=turn.choice.filter)
        now = turn.end_us + round(rig.readout_s * SECOND_US)
        done += 1
        departed += turn.slot is None
    assert min(counts.values()) >= 0
    planned = sum(slot.exposures for slot in plan.slots)
    assert done > 0.97 * planned
    assert departed < 0.03 * planned


def test_what_is_done_or_banned_is_passed_over() -> None:
    problem, outlook, plan = _night()
    now = problem.start_us
    first = next_exposure(plan, _situation(), "east", now)
    assert first is not None
    assert first.slot == plan.slots[0]
    assert first.choice.why == plan.slots[0].why
    done = next_exposure(plan, _situation(remaining={first.choice.request: 0}), "east", now)
    assert done is not None
    assert done.choice.request != first.choice.request
    banned = Situation(problem, outlook, {first.choice.target: "the mount would not go there"})
    other = next_exposure(plan, banned, "east", now)
    assert other is not None
    assert other.choice.target != first.choice.target
    assert needs_replan(plan, banned, {}, now) == f"{first.choice.target}: the mount would not go there"


def test_a_request_may_be_banned_without_its_target() -> None:
    problem, outlook, plan = _night()
    now = problem.start_us
    first = next_exposure(plan, _situation(), "east", now)
    assert first is not None
    banned = Situation(problem, outlook, {first.choice.request: "the sky is too bright for it"})
    other = next_exposure(plan, banned, "east", now)
    assert other is not None and other.choice.request != first.choice.request
    assert needs_replan(plan, banned, {}, now) == f"{first.choice.target}: the sky is too bright for it"


def test_a_slot_is_begun_some_minutes_early_rather_than_waited_for() -> None:
    _, _, plan = _night()
    first, second = next((a, b) for a, b in pairwise(plan.slots) if a.request != b.request)
    now = first.end_us - 3 * MINUTE_US
    done = {slot.request: slot.exposures for slot in plan.slots if slot.request != first.request}
    turn = next_exposure(plan, _situation(remaining={**done, first.request: 0}), "east", now)
    assert turn is not None and turn.slot == second
    assert turn.leave_us == now
    assert turn.start_us < second.start_us


def test_without_a_plan_what_is_worth_most_is_taken() -> None:
    problem, outlook, _ = _night()
    empty = Plan(problem.now_us, "dispatch", ())
    turn = next_exposure(empty, _situation(), "east", problem.start_us)
    assert turn is not None
    assert turn.slot is None
    assert "outside the plan" in turn.choice.why
    worth = {
        wanted.name: wanted.priority * outlook.quality(wanted.name, turn.start_us)
        for wanted in problem.targets
        if outlook.targets[wanted.name].window_at(turn.start_us)
    }
    assert worth[turn.choice.target] == max(worth.values())


def test_no_exposure_runs_into_dawn_blocked_time_or_the_meridian() -> None:
    problem, outlook, plan = _night()
    late = problem.end_us - 60 * SECOND_US
    assert next_exposure(plan, _situation(), "east", late) is None
    now = problem.start_us
    turn = next_exposure(plan, _situation(blocked=((now - 1, now + HOUR_US),)), "east", now)
    assert turn is not None
    assert turn.start_us >= now + HOUR_US
    rig = RigState("east", flip_s=100.0, past_meridian_s=0.0)
    one = (target("M42", exposure_s=600.0),)
    transit = outlook.targets["M42"].transit_us
    situation = Situation(replace(problem, targets=one, rigs=(rig,)), outlook, {})
    flip = next_exposure(Plan(now, "dispatch", ()), situation, "east", transit - 60 * SECOND_US)
    assert flip is not None
    assert flip.start_us == transit + 100 * SECOND_US


def test_an_unknown_rig_or_a_finished_list_has_no_turn() -> None:
    problem, _, plan = _night()
    assert next_exposure(plan, _situation(), "nowhere", problem.start_us) is None
    assert next_exposure(plan, _situation(targets=()), "east", problem.start_us) is None


def test_a_plan_that_serves_is_kept() -> None:
    problem, _, plan = _night()
    assert needs_replan(plan, _situation(), {}, problem.start_us) is None
    assert needs_replan(plan, _situation(), {}, problem.start_us - HOUR_US) is None


def test_a_night_that_falls_behind_is_planned_again() -> None:
    _, _, plan = _night()
    now = plan.slots[4].end_us
    had: dict[str, int] = {}
    for slot in plan.slots[:5]:
        had[slot.request] = had.get(slot.request, 0) + slot.exposures
    assert needs_replan(plan, _situation(), had, now) is None
    reason = needs_replan(plan, _situation(), {}, now)
    assert reason is not None
    assert "behind its plan" in reason


def test_a_request_done_early_is_a_reason() -> None:
    _, _, plan = _night()
    slot = plan.slots[0]
    reason = needs_replan(plan, _situation(remaining={slot.request: 0}), {}, slot.start_us)
    assert reason == f"{slot.target}: {slot.request} is done early"


def test_a_plan_that_is_over_with_work_left_is_a_reason() -> None:
    _, _, plan = _night()
    kept = {slot.request: 999 for slot in plan.slots}
    stub = replace(plan, slots=plan.slots[:1])
    reason = needs_replan(stub, _situation(), kept, plan.slots[0].end_us + MINUTE_US)
    assert reason is not None
    assert "could go on" in reason


def test_a_decision_takes_under_five_milliseconds() -> None:
    problem, _, plan = _night()
    situation = _situation()
    instants = range(problem.start_us, problem.end_us, 10 * MINUTE_US)
    begun = time.process_time()
    for now in instants:
        next_exposure(plan, situation, "east", now)
        needs_replan(plan, situation, {}, now)
    assert (time.process_time() - begun) / len(instants) < 0.005


@pytest.mark.parametrize("module", ["current", "problem"])
def test_the_control_process_stays_light(module: str) -> None:
    code = (
        f"import sys, astrod.planning.{module}; print([m for m in ('numpy','astropy','ortools') if m in sys.modules])"
    )
    run = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, env={"PYTHONPATH": ":".join(sys.path)}
    )
    assert run.stdout.strip() == "[]"
