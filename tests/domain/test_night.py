"""The night's table: whatever happens in whatever order, it ends where it must."""

from typing import get_args

from hypothesis import given
from hypothesis import strategies as st

from astrod.domain.night import (
    TABLE,
    BarLifted,
    Finished,
    Held,
    LightChanged,
    Message,
    NightState,
    Paused,
    Phase,
    SafetyChanged,
    Stopped,
    Want,
    step,
    want,
)

MESSAGES: st.SearchStrategy[Message] = st.one_of(
    st.builds(LightChanged, st.sampled_from(["day", "twilight", "dark"])),
    st.builds(SafetyChanged, st.booleans()),
    st.builds(Paused, st.booleans()),
    st.builds(Held, st.booleans()),
    st.just(Stopped()),
    st.just(BarLifted()),
    st.builds(Finished, st.sampled_from(["open", "close", "end"]), st.booleans()),
)


def play(*messages: Message) -> tuple[NightState, list[str]]:
    """A night from the start through these messages: the last state and all effects."""
    state, effects = NightState(), []
    for message in messages:
        state, now = step(state, message)
        effects += now
    return state, effects


def test_every_phase_has_a_row_for_every_want() -> None:
    assert set(TABLE) == {(phase, wish) for phase in get_args(Phase) for wish in get_args(Want)}


def test_a_clear_night_opens_observes_and_ends() -> None:
    state, effects = play(
        SafetyChanged(True),
        LightChanged("twilight"),
        Finished("open", True),
        LightChanged("dark"),
        LightChanged("day"),
        Finished("end", True),
    )
    assert state.phase == "asleep"
    assert effects == ["cool", "open", "observe", "suspend", "end", "finish"]


def test_rain_closes_and_the_night_goes_on_after_it() -> None:
    state, effects = play(
        LightChanged("dark"),
        SafetyChanged(True),
        Finished("open", True),
        SafetyChanged(False),
        SafetyChanged(True),
        Finished("close", True),
        Finished("open", True),
    )
    assert state.phase == "observing"
    assert effects == ["cool", "open", "observe", "suspend", "close", "open", "observe"]


def test_a_roof_that_does_not_open_is_closed_and_left_until_the_bar_is_lifted() -> None:
    opened = (LightChanged("dark"), SafetyChanged(True), Finished("open", False), Finished("close", True))
    state, effects = play(*opened)
    assert state.phase == "closed"
    assert effects[-2:] == ["alarm_open", "close"]
    assert play(*opened, BarLifted())[0].phase == "opening"


def test_a_roof_that_does_not_close_is_told_again_and_again() -> None:
    state, effects = play(
        LightChanged("dark"),
        SafetyChanged(True),
        SafetyChanged(False),
        Finished("close", False),
        Finished("close", False),
    )
    assert state.phase == "closing"
    assert effects.count("close") == 3
    assert effects.count("alarm_close") == 2


@given(st.lists(MESSAGES, max_size=40))
def test_unsafe_never_leaves_a_night_open(messages: list[Message]) -> None:
    state, _ = play(*messages, SafetyChanged(False))
    assert state.phase in ("asleep", "closed", "closing", "ending")


@given(st.lists(MESSAGES, max_size=40))
def test_stop_always_ends_asleep_once_the_hardware_obeys(messages: list[Message]) -> None:
    state, _ = play(*messages, Stopped())
    for _ in range(3):
        for work in ("close", "end"):
            state, _ = step(state, Finished(work, True))
    assert state.phase == "asleep"


@given(st.lists(MESSAGES, max_size=40), MESSAGES)
def test_nothing_opens_or_observes_unless_it_is_wanted(messages: list[Message], message: Message) -> None:
    before, _ = play(*messages)
    after, effects = step(before, message)
    if "open" in effects:
        assert want(after) in ("ready", "observe")
    if "observe" in effects:
        assert want(after) == "observe"
        assert after.safe and after.light == "dark" and not after.paused and not after.held
