"""The compiled search: legal plans whatever is asked, the same again, bounded, and no worse when it starts warm."""

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from astrod.planning import search as door
from astrod.planning.search import library, pack, search, solve
from astrod.planning.visits import Chance, Group, Overheads, Placement, Visit, Work, separations_deg

STEP_MS = 60_000


pytestmark = pytest.mark.usefixtures("search_compiled")


def drawn(seed: int, visits: int, rigs: int = 1, groups: int = 0, hours: float = 8.0) -> Work:
    """A night's work of random visits; groups of two to four of them with random rules."""
    rng = np.random.default_rng(seed)
    samples = int(hours * 60) + 2
    night_ms = int(hours * 3_600_000)
    durations = rng.integers(2, 45, visits) * 60_000 + rng.integers(0, 1000, visits)
    instants = np.arange(samples) * STEP_MS
    values = np.zeros((rigs, visits, samples))
    chances: list[tuple[tuple[Chance, ...], ...]] = []
    for rig in range(rigs):
        row: list[tuple[Chance, ...]] = []
        for visit in range(visits):
            transit, worth = rng.uniform(0, night_ms), rng.uniform(1, 20)
            values[rig, visit] = worth * np.exp(-(((instants - transit) / 9e6) ** 2))
            spans = [(0, int(transit) - 1, 1), (int(transit), night_ms, 0)]
            found = []
            for low, high, side in spans:
                opens, shuts = low + int(rng.integers(0, 4_000_000)), high - int(durations[visit])
                if opens <= shuts:
                    found.append(Chance(opens, shuts, side, min(max(int(transit), opens), shuts)))
            row.append(tuple(found))
        chances.append(tuple(row))
    members = rng.permutation(visits).tolist()
    made = []
    for at in range(groups):
        size = int(rng.integers(2, 5))
        mine, members = tuple(members[:size]), members[size:]
        together = int(rng.integers(0, 60_000)) if rng.random() < 0.3 else None
        least = int(rng.integers(-600_000, 1_800_000))
        rule = ("any", "same", "different")[int(rng.integers(0, 3 if rigs > 1 else 2))]
        if together is not None:
            rule = "different" if rigs > 1 else "any"
        made.append(
            Group(
                f"g{at}", mine, 20.0, least, least + int(rng.integers(600_000, 7_200_000)), together, rule, at % 2 == 0
            )  # type: ignore[arg-type]
        )
    return Work(
        rigs=tuple(
            Overheads(f"rig{at}", 2.0 + at, 5000, 3000, 60_000, 25_000, 0, (10.0, 20.0) if at else None, "L")
            for at in range(rigs)
        ),
        visits=tuple(
            Visit(
                f"v{at}",
                float(rng.uniform(0, 360)),
                float(rng.uniform(-60, 80)),
                ("L", "R", "Ha", None)[int(rng.integers(0, 4))],
                int(durations[at]),
            )
            for at in range(visits)
        ),
        groups=tuple(made),
        chances=tuple(chances),
        values=values,
        step_ms=STEP_MS,
    )


def _pause_ms(work: Work, rig: int, early: Placement, late: Placement) -> int:
    """The set-up between two visits, said again and apart from the planner."""
    a, b, over = work.visits[early.visit], work.visits[late.visit], work.rigs[rig]
    busy = int(separations_deg((a, b))[0, 1] * 1000.0 / over.slew_deg_s)
    busy += over.flip_ms if early.of(work).side != late.of(work).side else 0
    if b.filter is not None and a.filter != b.filter:
        busy = max(busy, over.change_ms)
    return over.readout_ms + (busy + over.settle_ms if busy else 0)


def faults(work: Work, placements: tuple[Placement, ...]) -> list[str]:
    """All that is wrong with a plan."""
    wrong: list[str] = []
    placed = {placement.visit: placement for placement in placements}
    if len(placed) != len(placements):
        wrong.append("a visit twice")
    for placement in placements:
        chance = placement.of(work)
        if not chance.from_ms <= placement.start_ms <= chance.to_ms:
            wrong.append(f"{placement.visit} outside its chance")
    for rig in range(len(work.rigs)):
        mine = [placement for placement in placements if placement.rig == rig]
        for early, late in pairwise(mine):
            gap = late.start_ms - early.start_ms - work.visits[early.visit].duration_ms
            if gap < _pause_ms(work, rig, early, late):
                wrong.append(f"{late.visit} {gap} ms after {early.visit}")
    for group in work.groups:
        wrong += _group_faults(work, group, placed)
    return wrong


def _group_faults(work: Work, group: Group, placed: dict[int, Placement]) -> list[str]:
    wrong: list[str] = []
    taken = [member in placed for member in group.members]
    if group.whole and any(taken) and not all(taken):
        wrong.append(f"{group.name} in part")
    for before, after in pairwise(group.members):
        if after in placed and before not in placed:
            wrong.append(f"{group.name}: {after} without {before}")
        if after not in placed or before not in placed:
            continue
        a, b = placed[before], placed[after]
        gap = b.start_ms - a.start_ms - work.visits[before].duration_ms
        if group.together_ms is not None:
            if abs(b.start_ms - a.start_ms) > group.together_ms:
                wrong.append(f"{group.name} not together")
        elif not group.least_gap_ms <= gap <= group.most_gap_ms:
            wrong.append(f"{group.name}: gap of {gap}")
        if (group.rule == "same" and a.rig != b.rig) or (group.rule == "different" and a.rig == b.rig):
            wrong.append(f"{group.name} breaks its rule of rigs")
    return wrong


@settings(max_examples=40, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow])
@given(seed=st.integers(0, 10**6), visits=st.integers(1, 60), rigs=st.integers(1, 3), share=st.integers(0, 5))
def test_plans_are_legal_and_within_their_bound(seed: int, visits: int, rigs: int, share: int) -> None:
    work = drawn(seed, visits, rigs, groups=visits * share // 20)
    solved = solve(work, seed, 0.02)
    assert faults(work, solved.placements) == []
    assert not solved.capped
    assert solved.bound is None or solved.value <= solved.bound
    assert solved.gap is None or 0.0 <= solved.gap <= 1.0


def test_the_same_seed_has_the_same_plan_and_more_work_a_better_one() -> None:
    packed = pack(drawn(3, 80, rigs=2, groups=8))
    first, again, longer = search(packed, 1, 400_000), search(packed, 1, 400_000), search(packed, 1, 8_000_000)
    assert first == again
    assert longer.value > first.value
    assert search(packed, 2, 400_000).placements != first.placements


def _best_by_trial(work: Work, taken: tuple[Placement, ...], step_ms: int) -> float:
    """The most that can be added to a plan, every next visit and every start on a grid tried."""
    best, used = 0.0, {placement.visit for placement in taken}
    for visit in range(len(work.visits)):
        for at, chance in enumerate(work.chances[0][visit] if visit not in used else ()):
            for start in range(chance.from_ms, chance.to_ms + 1, step_ms):
                placement = Placement(visit, 0, start, at)
                if taken and faults(work, (taken[-1], placement)):
                    continue
                if taken and start < taken[-1].start_ms:
                    continue
                worth = float(np.interp(start, np.arange(work.values.shape[2]) * work.step_ms, work.values[0, visit]))
                best = max(best, worth + _best_by_trial(work, (*taken, placement), step_ms))
    return best


@pytest.mark.parametrize("seed", [11, 12, 13])
def test_a_small_night_is_planned_as_well_as_can_be(seed: int) -> None:
    work = drawn(seed, 3, hours=2.0)
    solved = solve(work, 1, 0.1)
    assert solved.value >= _best_by_trial(work, (), 1_500_000) > 0.0
    assert solved.bound is not None
    assert solved.value > 0.97 * solved.bound


def test_a_warm_start_keeps_what_it_is_given() -> None:
    work = drawn(5, 120, groups=6)
    packed = pack(work)
    good = search(packed, 1, 20_000_000)
    warm = search(packed, 2, 100_000, good.placements)
    assert warm.value >= good.value * (1.0 - 1e-9)
    assert faults(work, warm.placements) == []


@settings(max_examples=15, deadline=None, derandomize=True)
@given(seed=st.integers(0, 10**6), moved=st.integers(0, 3_000_000))
def test_a_warm_start_that_does_not_fit_any_more_does_no_harm(seed: int, moved: int) -> None:
    work = drawn(seed, 30, rigs=2, groups=5)
    packed = pack(work)
    good = search(packed, 1, 200_000).placements
    late = [replace(placement, start_ms=placement.start_ms + moved * (at % 3)) for at, placement in enumerate(good)]
    assert faults(work, search(packed, 2, 1000, late).placements) == []


def test_nothing_to_do_is_a_plan_of_nothing() -> None:
    assert solve(drawn(1, 0), 1, 0.1).placements == ()
    never = drawn(1, 4, hours=0.02)
    assert solve(never, 1, 0.01).placements == ()


def test_the_guard_ends_a_search_and_says_so() -> None:
    found = search(pack(drawn(2, 100)), 1, 10**12, guard_s=0.05)
    assert found.capped
    assert found.placements


def test_a_library_of_another_source_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(door, "_digest", lambda folder: "0" * 64)
    library.cache_clear()
    try:
        assert library() is None
    finally:
        library.cache_clear()


def test_thousands_of_visits_are_narrowed_down_to_the_most_promising() -> None:
    work = drawn(1, 400, groups=20)
    monkey = pytest.MonkeyPatch()
    with monkey.context() as patch:
        patch.setattr(door, "VISITS_MOST", 150)
        solved = solve(work, 1, 0.3)
    assert faults(work, solved.placements) == []
    assert solved.bound is None
    assert solved.value > 0.95 * solve(work, 1, 0.3).value


def test_a_group_too_large_to_hold_is_refused_with_its_name() -> None:
    work = drawn(1, 70)
    large = Group("all", tuple(range(70)), 1.0, 0, 10**8)
    with pytest.raises(ValueError, match="'all'"):
        pack(Work(work.rigs, work.visits, (large,), work.chances, work.values, work.step_ms))
