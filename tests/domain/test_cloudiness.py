"""The cloud map as planner and safety take it."""

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from astrod.domain.cloudiness import BANDS, SECTORS, CloudMap


def drawn(seed: int) -> list[list[float | None]]:
    """Any map: a third of it unseen."""
    dice = random.Random(seed)
    return [[None if dice.random() < 0.3 else dice.random() for _ in range(SECTORS)] for _ in range(BANDS)]


def cloud_map(rows: list[list[float | None]]) -> CloudMap:
    return CloudMap(0, tuple(map(tuple, rows)), True)


def uniform(chance: float | None) -> list[list[float | None]]:
    return [[chance] * SECTORS for _ in range(BANDS)]


@given(
    seed=st.integers(0, 10**6),
    azimuth=st.floats(-720.0, 720.0),
    altitude=st.floats(-90.0, 90.0),
    above=st.floats(0.0, 89.0),
)
def test_every_question_has_an_answer(seed: int, azimuth: float, altitude: float, above: float) -> None:
    whole = cloud_map(drawn(seed))
    chance, share = whole.chance(azimuth, altitude), whole.covered_share(above)
    assert chance is None or 0.0 <= chance <= 1.0
    assert share is None or -1e-9 <= share <= 1.0 + 1e-9
    assert (chance is None) == (whole.is_covered(azimuth, altitude) is None)
    assert altitude >= 0.0 or chance is None


def test_shares_are_of_solid_angle() -> None:
    rows = uniform(0.0)
    rows[0] = [1.0] * SECTORS
    low = cloud_map(rows)
    assert low.covered_share() == pytest.approx(0.17365, abs=1e-4)  # sin 10°
    assert low.covered_share(above_deg=10.0) == 0.0
    assert low.covered_share(above_deg=5.0) == pytest.approx((0.17365 - 0.08716) / (1 - 0.08716), abs=1e-4)


def test_what_is_hardly_seen_is_not_known() -> None:
    rows = uniform(None)
    rows[8] = [0.0] * SECTORS
    assert cloud_map(rows).covered_share() is None
    assert cloud_map(rows).covered_share(above_deg=80.0) == 0.0
    assert cloud_map(rows).covered_share(above_deg=90.0) is None


def test_directions_find_their_sector() -> None:
    rows = uniform(0.1)
    rows[3][1] = 0.9
    there = cloud_map(rows)
    assert there.is_covered(20.0, 35.0) is True
    assert there.is_covered(20.0 - 360.0, 35.0) is True
    assert there.is_covered(31.0, 35.0) is False
    assert there.chance(0.0, 90.0) == 0.1


def test_a_map_of_another_shape_or_with_other_numbers_is_refused() -> None:
    with pytest.raises(ValueError, match="bands"):
        CloudMap(0, ((0.0,),), True)
    with pytest.raises(ValueError, match="between 0 and 1"):
        cloud_map(uniform(1.5))
