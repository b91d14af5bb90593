"""Filter offsets from focus runs: told by runs alike, deaf to wild ones, silent where runs cannot be compared."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from astrod.domain.instant import MINUTE_US
from astrod.domain.offsets import LEAST_PAIRS, FilterOffset, FocusPoint, filter_offsets, shift

TRUE = {"L": 0, "R": 12, "Ha": -25}


def runs(nights: int, noise: list[int] | None = None, drift: float = -30.0) -> list[FocusPoint]:
    """One run through each filter every night, ten minutes apart; the focus moves with the temperature."""
    points = []
    wild = iter(noise or [])
    for night in range(nights):
        temperature_c = 10.0 - 3.0 * night
        for number, (name, steps) in enumerate(TRUE.items()):
            at_us = (night * 1440 + number * 10) * MINUTE_US
            position = 5000 + round(drift * (temperature_c - 10.0)) + steps + next(wild, 0)
            points.append(FocusPoint(name, position, temperature_c - 0.1 * number, at_us))
    return points


def told(points: list[FocusPoint], scatter_max: float = 25.0) -> dict[str, int]:
    return {offset.filter: offset.steps for offset in filter_offsets(points, scatter_max)}


def between(steps: dict[str, int], a: str, b: str) -> int:
    return steps[b] - steps[a]


def test_offsets_are_those_of_the_glass_whatever_the_temperature_did() -> None:
    steps = told(runs(4))
    assert set(steps) == set(TRUE)
    assert all(between(steps, "L", name) == TRUE[name] for name in TRUE)


@given(noise=st.lists(st.integers(-4, 4), min_size=21, max_size=21))
def test_noise_costs_no_more_than_itself(noise: list[int]) -> None:
    steps = told(runs(7, noise))
    assert all(abs(between(steps, "L", name) - TRUE[name]) <= 8 for name in TRUE)


def test_one_wild_run_moves_nothing() -> None:
    steps = told(runs(5, [0, 400]))
    assert between(steps, "L", "R") == pytest.approx(TRUE["R"], abs=1)


def test_too_few_pairs_and_too_much_scatter_tell_nothing() -> None:
    assert told(runs(LEAST_PAIRS - 1)) == {}
    assert told(runs(LEAST_PAIRS)) != {}
    assert told(runs(5, [0, 90, 0, 0, -90, 0, 0, 60, 0, 0, -60, 0, 0, 90]), scatter_max=25.0).get("R") is None
    assert told([]) == {} == told(runs(9)[::3])  # one filter alone


def test_runs_that_are_not_alike_are_not_held_against_each_other() -> None:
    warm = [FocusPoint("L", 5000 + night, 12.0, night * 1440 * MINUTE_US) for night in range(5)]
    cold = [FocusPoint("R", 4000 + night, 9.0, (night * 1440 + 30) * MINUTE_US) for night in range(5)]
    assert told(warm + cold) == {}
    blind = [FocusPoint(point.filter, point.position, None, point.at_us) for point in warm + cold]
    assert told(blind) == {}  # half an hour apart and no thermometer


def test_the_owners_word_wins_and_is_never_mixed_with_ours() -> None:
    learned = (FilterOffset("L", 0, 9, 1.0), FilterOffset("R", 12, 4, 2.0), FilterOffset("Ha", -25, 3, 2.0))
    owner = {"L": 100, "R": 130}
    assert shift(owner, learned, "L", "R") == 30
    assert shift(owner, learned, "R", "Ha") == -37
    assert shift(None, learned, "Ha", "L") == 25
    assert shift(owner, (), "R", "Ha") is None
