"""The shortest list that still breaks it."""

from hypothesis import given
from hypothesis import strategies as st

from astrod.rehearsal.shrinking import shrink

PARTS = st.lists(st.integers(0, 40), min_size=1, max_size=24, unique=True)


@given(PARTS, st.data())
def test_finds_just_what_it_takes(parts: list[int], data: st.DataObject) -> None:
    guilty = set(data.draw(st.lists(st.sampled_from(parts), unique=True)))
    found = shrink(parts, lambda some: guilty <= set(some))
    assert set(found) == guilty
    assert list(found) == [part for part in parts if part in guilty]


@given(PARTS, st.integers(1, 5))
def test_none_of_what_is_left_can_be_left_out(parts: list[int], least: int) -> None:
    def breaks(some: tuple[int, ...]) -> bool:
        return sum(some) >= least * 10

    if not breaks(tuple(parts)):
        return
    found = shrink(parts, breaks)
    assert breaks(found)
    assert not any(breaks(found[:k] + found[k + 1 :]) for k in range(len(found)))


def test_asks_for_nothing_first() -> None:
    asked: list[tuple[int, ...]] = []

    def breaks(some: tuple[int, ...]) -> bool:
        asked.append(some)
        return True

    assert shrink((1, 2, 3), breaks) == ()
    assert asked == [()]
