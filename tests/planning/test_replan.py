"""Planning again in mid-night, warm: after a closure, a device that fails, an alert; at once, and as good as anew."""

from collections.abc import Sequence
from dataclasses import replace

import pytest

from astrod.planning.search import Solved, solve
from astrod.planning.sky import foresee
from astrod.planning.solve import make_plan
from astrod.planning.visits import Chance, Placement, Visit, Work
from tests.planning.places import PUJALT, SHOW, night_problem, target
from tests.planning.referee import violations
from tests.planning.test_search import drawn, faults

pytestmark = pytest.mark.usefixtures("search_compiled")

HOUR_MS = 3_600_000
QUICK_S = 0.1


def without_time(work: Work, from_ms: int, to_ms: int) -> Work:
    """The same night with nothing observed between two instants."""
    rows = []
    for chances in work.chances[0]:
        visit = len(rows)
        length = work.visits[visit].duration_ms
        kept: list[Chance] = []
        for chance in chances:
            for low, high in (
                (chance.from_ms, min(chance.to_ms, from_ms - length)),
                (max(chance.from_ms, to_ms), chance.to_ms),
            ):
                if low <= high:
                    kept.append(replace(chance, from_ms=low, to_ms=high, peak_ms=min(max(chance.peak_ms, low), high)))
        rows.append(tuple(kept))
    return replace(work, chances=(tuple(rows),))


def still_legal(work: Work, placements: Sequence[Placement]) -> tuple[Placement, ...]:
    """What of an earlier plan still fits a night that changed; its chances are found anew."""
    kept = []
    for placement in placements:
        for at, chance in enumerate(work.chances[0][placement.visit]):
            if chance.from_ms <= placement.start_ms <= chance.to_ms:
                kept.append(replace(placement, chance=at))
                break
    return tuple(kept)


def closed(work: Work) -> Work:
    """Two hours of cloud in mid-night."""
    return without_time(work, 3 * HOUR_MS, 5 * HOUR_MS)


def without_a_filter(work: Work) -> Work:
    """The wheel cannot reach a filter any more."""
    rows = [() if visit.filter == "Ha" else row for visit, row in zip(work.visits, work.chances[0], strict=True)]
    return replace(work, chances=(tuple(rows),))


def alerted(work: Work) -> Work:
    """Something worth more than all else, for the next hour."""
    visits = (Visit("alert", 100.0, 20.0, "R", 900_000), *work.visits[1:])
    values = work.values.copy()
    values[0, 0] = 200.0
    chance = Chance(4 * HOUR_MS, 5 * HOUR_MS, 0, 4 * HOUR_MS)
    return replace(work, visits=visits, values=values, chances=(((chance,), *work.chances[0][1:]),))


@pytest.mark.parametrize("change", [closed, without_a_filter, alerted])
def test_a_warm_plan_is_as_good_as_one_from_scratch_with_ten_times_the_work(change: object) -> None:
    assert callable(change)
    work = drawn(21, 100)
    before = solve(work, 1, 0.5)
    changed: Work = change(work)
    warm: Solved = solve(changed, 2, QUICK_S, still_legal(changed, before.placements))
    cold = solve(changed, 2, 10.0 * QUICK_S)
    assert faults(changed, warm.placements) == []
    assert warm.value >= 0.98 * cold.value


def test_the_daemons_planner_goes_on_from_its_former_plan() -> None:
    """With hardly any work to spend, what was found before is kept."""
    targets = tuple(target(name, count=20, priority=1.0 + at % 3) for at, name in enumerate(SHOW[:14]))
    problem = replace(night_problem(PUJALT, "2026-12-14", targets), work=0.3)
    outlook = foresee(problem)
    good = make_plan(problem, outlook)
    brief = replace(problem, work=0.0001)
    warm, cold = make_plan(brief, outlook, good), make_plan(brief, outlook)
    assert violations(warm, brief, outlook) == []
    assert sum(slot.value for slot in warm.slots) > sum(slot.value for slot in cold.slots)
    assert sum(slot.value for slot in warm.slots) > 0.99 * sum(slot.value for slot in good.slots)
