"""The night's table: whatever happens in whatever order, it ends where it must."""

from dataclasses import replace
from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from astrod.domain.night import (
    TABLE,
    BarLifted,
    Barred,
    Finished,
    Held,
    Hindered,
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
    st.builds(Hindered, st.booleans()),
    st.just(Stopped()),
    st.just(Barred()),
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
        assert not after.hindered and not after.barred and not after.stopping


NIGHT = NightState(phase="observing", light="dark", safe=True)


@pytest.mark.parametrize(
    ("state", "wanted"),
    [
        (NIGHT, "observe"),
        (replace(NIGHT, light="twilight"), "ready"),
        (replace(NIGHT, light="day"), "end"),
        (replace(NIGHT, stopping=True), "end"),
        (replace(NIGHT, safe=False), "closed"),
        (replace(NIGHT, held=True), "closed"),
        (replace(NIGHT, barred=True), "closed"),
        (replace(NIGHT, paused=True), "paused"),
        (replace(NIGHT, hindered=True), "paused"),
        (replace(NIGHT, hindered=True, light="twilight"), "paused"),
        (replace(NIGHT, paused=True, held=True), "closed"),
        (replace(NIGHT, hindered=True, safe=False), "closed"),
        (replace(NIGHT, held=True, safe=False, paused=True, light="day"), "end"),
    ],
)
def test_what_is_wanted_follows_from_the_strongest_reason(state: NightState, wanted: Want) -> None:
    assert want(state) == wanted


@pytest.mark.parametrize(
    ("message", "noted"),
    [
        (LightChanged("twilight"), {"light": "twilight"}),
        (SafetyChanged(False), {"safe": False}),
        (Paused(True), {"paused": True}),
        (Hindered(True), {"hindered": True}),
        (Held(True), {"held": True}),
        (Stopped(), {"stopping": True}),
        (Barred(), {"barred": True}),
    ],
)
def test_a_message_is_noted_in_its_own_place_and_nowhere_else(message: Message, noted: dict[str, object]) -> None:
    after, _ = step(NIGHT, message)
    assert replace(after, phase=NIGHT.phase) == replace(NIGHT, **noted)  # type: ignore[arg-type]
    taken_back, _ = step(after, BarLifted())
    assert taken_back.barred is False


@given(st.lists(MESSAGES, max_size=40), st.sampled_from(["open", "close", "end"]), st.booleans())
def test_work_that_the_night_has_moved_on_from_changes_nothing(messages: list[Message], work: str, ok: bool) -> None:
    before, _ = play(*messages)
    begun = {"opening": "open", "closing": "close", "ending": "end"}.get(before.phase)
    after, effects = step(before, Finished(work, ok))  # type: ignore[arg-type]
    if work != begun:
        assert (after, effects) == (before, ())


@given(st.lists(MESSAGES, max_size=40), MESSAGES)
def test_nothing_turns_a_closing_round_and_a_failed_opening_bars(messages: list[Message], message: Message) -> None:
    before, _ = play(*messages)
    after, effects = step(before, message)
    if before.phase in ("closing", "ending") and not isinstance(message, Finished):
        assert (after.phase, effects) == (before.phase, ())
    if "alarm_open" in effects:
        assert after.barred and after.phase == "closing"
