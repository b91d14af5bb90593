"""Safety's rules on readings: unknown is unsafe, and hysteresis works both ways."""

import math
from dataclasses import replace
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from astrod.domain.instant import SECOND_US
from astrod.domain.safety import (
    DIFFERENCE,
    POSSIBLE,
    Moment,
    Observation,
    SourceState,
    breach,
    comparison,
    difference,
    faults,
    is_possible,
    is_stale,
    observed,
    poll,
    stepped_s,
)
from astrod.domain.site import Agreement, Limit, WeatherSetup

SETUP = WeatherSetup(
    name="mast",
    address="sim://weather",
    limits=(Limit("wind_m_s", high=12.0, margin=2.0), Limit("humidity_percent", high=85.0)),
    poll_s=5.0,
    stale_s=30.0,
    frozen_s=600.0,
    unsafe_after=2,
    safe_after_s=60.0,
)
CALM = {"wind_m_s": 3.0, "humidity_percent": 40.0}


BOOT_S = 5_000
"""How long the host has been up when the tests' UTC begins."""


def moment(now_s: float) -> Moment:
    """Both clocks, one of which began before the other."""
    return Moment(round(now_s * SECOND_US), round((BOOT_S + now_s) * SECOND_US))


def seen_at(now_s: float, values: dict[str, float]) -> Observation:
    """A reading measured and read now."""
    return observed(moment(now_s), moment(now_s).utc_us, values)


def watch(state: SourceState, values: list[dict[str, float] | None], start_s: int = 0) -> tuple[SourceState, int]:
    """Poll each five seconds; None is a poll without an answer."""
    now_s = start_s
    for reading in values:
        seen = None if reading is None else seen_at(now_s, {**reading, "tick": float(now_s)})
        state = poll(SETUP, state, seen, moment(now_s))
        now_s += 5
    return state, now_s


def trusted() -> tuple[SourceState, int]:
    state, now_s = watch(SourceState(), [CALM] * 13)
    assert state.trusted and state.reasons == ()
    return state, now_s


def test_a_source_is_trusted_only_after_its_time_of_good_readings() -> None:
    assert not watch(SourceState(), [CALM] * 12)[0].trusted
    assert watch(SourceState(), [CALM] * 13)[0].trusted


def test_one_bad_reading_is_not_a_storm_and_two_are() -> None:
    state, now_s = trusted()
    state, now_s = watch(state, [{**CALM, "wind_m_s": 20.0}], now_s)
    assert state.trusted
    state, _ = watch(state, [{**CALM, "wind_m_s": 20.0}], now_s)
    assert not state.trusted
    assert state.reasons == ("mast: wind_m_s 20 over 12",)


def test_after_a_storm_the_tighter_bound_counts() -> None:
    state, now_s = trusted()
    state, now_s = watch(state, [{**CALM, "wind_m_s": 20.0}] * 2, now_s)
    state, now_s = watch(state, [{**CALM, "wind_m_s": 11.0}] * 20, now_s)
    assert not state.trusted
    state, _ = watch(state, [{**CALM, "wind_m_s": 9.0}] * 14, now_s)
    assert state.trusted


def test_a_silent_source_is_unsafe_when_its_last_reading_is_stale() -> None:
    state, now_s = trusted()
    state, now_s = watch(state, [None] * 5, now_s)
    assert state.trusted
    state, _ = watch(state, [None] * 3, now_s)
    assert not state.trusted
    assert "no reading since" in state.reasons[0]


def test_a_missing_reading_has_its_age_for_hysteresis_and_no_other() -> None:
    state, now_s = trusted()
    assert poll(SETUP, state, None, moment(now_s + 20)).trusted
    assert not poll(SETUP, state, None, moment(now_s + 26)).trusted


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_a_value_that_is_no_number_is_unsafe(value: float) -> None:
    state, now_s = trusted()
    state, _ = watch(state, [{**CALM, "wind_m_s": value}] * 2, now_s)
    assert not state.trusted


def test_a_limit_without_its_measurement_is_unsafe() -> None:
    state, now_s = trusted()
    state, _ = watch(state, [{"wind_m_s": 3.0}] * 2, now_s)
    assert state.reasons == ("mast: humidity_percent is not measured",)


def test_a_frozen_source_is_unsafe() -> None:
    state = SourceState()
    for now_s in range(0, 700, 5):
        state = poll(SETUP, state, seen_at(now_s, CALM), moment(now_s))
    assert not state.trusted
    assert "the same values for more than 600 s" in state.reasons[0]


def test_an_overridden_station_and_one_in_alert_are_unsafe() -> None:
    state, now_s = trusted()
    for faulty in ({"overridden": True}, {"alerts": ("rain_mm_h",)}):
        spoilt = state
        for later_s in (now_s, now_s + 5):
            reading = replace(seen_at(later_s, {**CALM, "tick": float(later_s)}), **faulty)  # type: ignore[arg-type]
            spoilt = poll(SETUP, spoilt, reading, moment(later_s))
        assert not spoilt.trusted


def test_a_reading_from_the_future_is_unsafe() -> None:
    state, now_s = trusted()
    for _ in range(2):
        state = poll(SETUP, state, observed(moment(now_s), moment(now_s + 60).utc_us, CALM), moment(now_s))
    assert "in the future" in state.reasons[0]


@given(st.lists(st.one_of(st.none(), st.floats(0.0, 30.0)), min_size=1, max_size=80))
def test_trust_is_never_won_by_fewer_good_polls_than_its_time(winds: list[float | None]) -> None:
    state, good_s = SourceState(), -5
    for index, wind in enumerate(winds):
        now = moment(index * 5)
        reading = None if wind is None else seen_at(index * 5, {**CALM, "wind_m_s": wind, "tick": float(index)})
        before = state
        state = poll(SETUP, state, reading, now)
        fresh = state.last is not None and now.boot_us - state.last.boot_us <= 30 * SECOND_US
        steady = (
            fresh and state.last is not None and state.last.values["wind_m_s"] <= (12.0 if before.trusted else 10.0)
        )
        good_s = good_s + 5 if steady else -5
        if state.trusted and not before.trusted:
            assert good_s >= 60


def test_silence_after_one_good_word_wins_no_trust() -> None:
    """A station that dies after a good reading must not be believed once the wait is over, though it is not stale."""
    patient = replace(SETUP, stale_s=600.0)
    state = poll(patient, SourceState(), seen_at(0, CALM), moment(0))
    for now_s in range(5, 200, 5):
        state = poll(patient, state, None, moment(now_s))
    assert not state.trusted


@pytest.mark.parametrize(
    ("name", "value"),
    [("wind_m_s", -1.0), ("humidity_percent", 128.0), ("temperature_c", -999.0), ("pressure_hpa", 0.0), ("mains", 2.0)],
)
def test_a_value_that_cannot_be_is_no_measurement(name: str, value: float) -> None:
    assert not is_possible(name, value)
    assert "cannot be" in (breach(Limit(name, low=-1e6, high=1e6), {name: value}, trusted=True) or "")


@pytest.mark.parametrize(("name", "bounds"), POSSIBLE.items())
def test_the_bounds_of_the_possible_are_possible(name: str, bounds: tuple[float, float]) -> None:
    assert is_possible(name, bounds[0])
    assert math.isinf(bounds[1]) or is_possible(name, bounds[1])
    assert not is_possible(name, bounds[0] - 0.5)
    assert math.isinf(bounds[1]) or not is_possible(name, bounds[1] + 0.5)


@pytest.mark.parametrize(("trusted", "edge"), [(True, 12.0), (False, 10.0)])
def test_a_limit_holds_up_to_its_edge_and_the_margin_counts_until_it_is_trusted(trusted: bool, edge: float) -> None:
    limit = Limit("wind_m_s", high=12.0, margin=2.0)
    assert breach(limit, {"wind_m_s": edge}, trusted) is None
    assert breach(limit, {"wind_m_s": edge + 0.01}, trusted) is not None


@pytest.mark.parametrize(("trusted", "edge"), [(True, 5.0), (False, 7.0)])
def test_a_lower_limit_likewise(trusted: bool, edge: float) -> None:
    limit = Limit("sky_brightness_mag", low=5.0, margin=2.0)
    assert breach(limit, {"sky_brightness_mag": edge}, trusted) is None
    assert breach(limit, {"sky_brightness_mag": edge - 0.01}, trusted) is not None


def test_a_clock_that_is_set_makes_no_reading_older_or_younger() -> None:
    state, now_s = trusted()
    for set_by_s in (3600, -3600):
        later = Moment(moment(now_s + set_by_s).utc_us, moment(now_s).boot_us)
        assert faults(SETUP, state, later) == ()
        assert state.last is not None
        again = poll(SETUP, state, observed(later, state.last.measured_us, state.last.values), later)  # re-read
        assert again.trusted and again.bad_polls == 0 and again.last == state.last


def test_readings_after_a_clock_was_set_back_are_taken_in() -> None:
    state, now_s = trusted()
    for later_s in range(now_s, now_s + 100, 5):
        now = Moment(moment(later_s - 3600).utc_us, moment(later_s).boot_us)
        state = poll(SETUP, state, observed(now, now.utc_us, {**CALM, "tick": float(later_s)}), now)
    assert state.trusted and state.reasons == ()


def test_one_reading_from_the_far_future_does_not_shut_out_those_that_follow() -> None:
    state, now_s = trusted()
    glitch = observed(moment(now_s), moment(now_s + 1e8).utc_us, CALM)
    state = poll(SETUP, state, glitch, moment(now_s))
    state, _ = watch(state, [CALM] * 14, now_s + 5)
    assert state.trusted and state.last is not None
    assert state.last.measured_us == moment(now_s + 5 + 13 * 5).utc_us


@pytest.mark.parametrize(("ahead_s", "fine"), [(5.0, True), (5.5, False)])
def test_how_far_ahead_a_reading_may_be(ahead_s: float, fine: bool) -> None:
    state, now_s = trusted()
    for later_s in (now_s, now_s + 5):
        ahead = observed(moment(later_s), moment(later_s + ahead_s).utc_us, {**CALM, "tick": float(later_s)})
        state = poll(SETUP, state, ahead, moment(later_s))
    assert state.trusted is fine


@pytest.mark.parametrize(("age_s", "stale"), [(30.0, False), (30.001, True)])
def test_a_reading_is_stale_beyond_its_age(age_s: float, stale: bool) -> None:
    state = SourceState(last=seen_at(0, CALM))
    assert is_stale(SETUP, state, moment(age_s)) is stale


def test_a_reading_that_is_read_again_and_again_ages() -> None:
    """A driver that repeats its last word is silent, whatever it answers."""
    state, now_s = trusted()
    last_us = moment(now_s - 5).utc_us
    for later_s in range(now_s, now_s + 60, 5):
        state = poll(SETUP, state, observed(moment(later_s), last_us, CALM), moment(later_s))
    assert not state.trusted
    assert "no reading since" in state.reasons[0]


def test_a_change_in_the_last_digit_thaws() -> None:
    state = SourceState()
    for now_s in range(0, 1400, 5):
        wind_m_s = 3.0 + 0.01 * (now_s // 500)
        state = poll(SETUP, state, seen_at(now_s, {**CALM, "wind_m_s": wind_m_s}), moment(now_s))
        if now_s > 100:
            assert state.trusted, now_s


# -- sources that should agree -------------------------------------------------------------------------------

AGREE = Agreement("temperature_c", within=4.0, stale_s=60.0, unsafe_after_s=10.0, safe_after_s=20.0)


def reading_of(temperature_c: float, now_s: float) -> SourceState:
    return SourceState(trusted=True, last=seen_at(now_s, {"temperature_c": temperature_c}))


@pytest.mark.parametrize(("second_c", "apart_c"), [(12.0, 4.0), (8.0, 0.0), (3.5, 4.5)])
def test_sources_are_compared_by_how_far_they_are_apart(second_c: float, apart_c: float) -> None:
    found = difference(AGREE, {"a": reading_of(8.0, 0), "b": reading_of(second_c, 0)}, moment(1))
    assert found is not None and found.values == {DIFFERENCE: apart_c}


@pytest.mark.parametrize(
    "second",
    [
        SourceState(),
        SourceState(last=seen_at(0, {"wind_m_s": 1.0})),
        SourceState(last=seen_at(0, {"temperature_c": -999.0})),
        SourceState(last=seen_at(-100, {"temperature_c": 8.0})),
    ],
    ids=["no reading", "not measured", "impossible", "stale"],
)
def test_one_source_alone_agrees_with_nobody(second: SourceState) -> None:
    assert difference(AGREE, {"a": reading_of(8.0, 0), "b": second}, moment(1)) is None


def test_disagreement_is_unsafe_after_its_time_and_accord_safe_after_its_own() -> None:
    setup, state = comparison(AGREE), SourceState()
    history = []
    for now_s in range(0, 120, 2):
        second_c = 20.0 if 40 <= now_s < 70 else 8.0
        states = {"a": reading_of(8.0, now_s), "b": reading_of(second_c, now_s)}
        state = poll(setup, state, difference(AGREE, states, moment(now_s)), moment(now_s))
        history.append((now_s, state.trusted))
    changes = [(now_s, on) for (now_s, on), (_, was) in pairwise([(0, False), *history][::-1]) if on != was][::-1]
    assert changes == [(20, True), (48, False), (90, True)]


# -- the clock ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("set_by_s", [-3600.0, 0.0, 7.5])
def test_a_set_clock_is_noticed_by_how_much(set_by_s: float) -> None:
    after = Moment(moment(10 + set_by_s).utc_us, moment(10).boot_us)
    assert stepped_s(moment(0), after) == pytest.approx(set_by_s)


# -- the exact word, and the exact edge ----------------------------------------------------------------------


def test_each_fault_is_told_in_its_own_words() -> None:
    """They are read in the status and in the report of the morning, and the account of minutes looks at them."""
    assert SourceState().reasons == faults(SETUP, SourceState(), moment(0)) == ("no reading yet",)
    spoilt = replace(seen_at(0, {"wind_m_s": 12.5, "humidity_percent": math.nan}), alerts=("rain",), overridden=True)
    state = SourceState(trusted=True, last=spoilt, changed_us=moment(-600.5).boot_us)
    assert faults(SETUP, state, moment(0)) == (
        "wind_m_s 12.5 over 12",
        "humidity_percent reads nan, which cannot be",
        "rain in alert",
        "somebody overrides the station",
        "the same values for more than 600 s",
    )
    assert faults(SETUP, state, moment(31)) == ("no reading since 00:00:00",)
    dark = Limit("sky_brightness_mag", low=5.0, margin=2.0)
    assert breach(dark, {"sky_brightness_mag": 6.5}, trusted=False) == "sky_brightness_mag 6.5 under 7"
    assert breach(dark, {}, trusted=False) == "sky_brightness_mag is not measured"
    assert breach(SETUP.limits[0], {"wind_m_s": 11.0}, trusted=False) == "wind_m_s 11 over 10"


def test_a_reading_is_as_old_by_the_host_as_by_its_own_word() -> None:
    late = observed(moment(100), moment(93).utc_us, CALM)
    assert late == Observation(moment(93).utc_us, moment(93).boot_us, CALM, (), False)
    told = observed(moment(100), moment(93).utc_us, CALM, ("rain",), True)
    assert told == Observation(moment(93).utc_us, moment(93).boot_us, CALM, ("rain",), True)


def test_a_source_that_is_good_but_not_yet_for_long_enough_says_since_when() -> None:
    state = poll(SETUP, SourceState(), seen_at(90, CALM), moment(90))
    state = poll(SETUP, state, seen_at(100, CALM), moment(100))
    assert (state.trusted, state.bad_polls, state.good_since_us) == (False, 0, moment(90).boot_us)
    assert state.reasons == ("mast: good since 00:01:30, for 60 s at least",)


def test_a_reading_from_the_future_is_not_taken_in_and_says_by_how_much() -> None:
    state, now_s = trusted()
    before = state.last
    state = poll(SETUP, state, observed(moment(now_s), moment(now_s + 7.4).utc_us, CALM), moment(now_s))
    assert state.reasons == ("mast: reading is 7 s in the future: its clock or ours is wrong",)
    assert (state.bad_polls, state.trusted, state.last, state.good_since_us) == (1, True, before, None)


def test_bad_polls_are_counted_from_one_and_forgotten_by_a_good_one() -> None:
    state, now_s = trusted()
    windy = {**CALM, "wind_m_s": 20.0}
    counts = []
    for _ in range(3):
        state, now_s = watch(state, [windy], now_s)
        counts.append((state.bad_polls, state.trusted))
    assert counts == [(1, True), (2, False), (3, False)]
    state, _ = watch(state, [CALM], now_s)
    assert (state.bad_polls, state.trusted) == (0, False)
    again, _ = watch(trusted()[0], [windy, CALM, windy, CALM, windy], trusted()[1])
    assert again.trusted and again.bad_polls == 1


def test_what_is_trusted_stays_so_with_the_time_since_when_and_nothing_to_say() -> None:
    state, now_s = trusted()
    since_us = state.good_since_us
    state, _ = watch(state, [CALM] * 4, now_s)
    assert (state.trusted, state.good_since_us, state.reasons) == (True, since_us, ())
    assert since_us == moment(0).boot_us


def test_two_readings_of_one_instant_both_count() -> None:
    """A source with a clock of whole seconds may well send two: the later word is the one that holds."""
    state = poll(SETUP, SourceState(), seen_at(5, CALM), moment(5))
    late = Observation(moment(5).utc_us + 1, moment(5).boot_us, {**CALM, "wind_m_s": 20.0})
    state = poll(SETUP, state, late, moment(5))
    assert state.last == late and state.bad_polls == 1
    older = Observation(moment(4).utc_us, moment(4).boot_us, CALM)
    assert poll(SETUP, state, older, moment(5)).last == late


@pytest.mark.parametrize(("same_for_s", "frozen"), [(600.0, False), (600.001, True)])
def test_a_source_is_frozen_beyond_its_time(same_for_s: float, frozen: bool) -> None:
    state = SourceState(trusted=True, last=seen_at(0, CALM), changed_us=moment(-same_for_s).boot_us)
    assert bool(faults(SETUP, state, moment(0))) is frozen
    assert faults(replace(SETUP, frozen_s=0.0), state, moment(0)) == ()


def test_the_instant_of_the_last_change_is_kept_while_the_values_stay() -> None:
    state = poll(SETUP, SourceState(), seen_at(0, CALM), moment(0))
    state = poll(SETUP, state, seen_at(5, CALM), moment(5))
    assert state.changed_us == moment(0).boot_us
    state = poll(SETUP, state, seen_at(10, {**CALM, "wind_m_s": 3.1}), moment(10))
    assert state.changed_us == moment(10).boot_us


def test_an_agreement_is_polled_and_judged_like_a_source() -> None:
    assert comparison(AGREE) == WeatherSetup(
        name="agreement on temperature_c",
        address="",
        limits=(Limit("difference", high=4.0),),
        poll_s=2.0,
        stale_s=60.0,
        unsafe_after=5,
        safe_after_s=20.0,
    )
    assert comparison(replace(AGREE, unsafe_after_s=0.0)).unsafe_after == 1
    assert comparison(replace(AGREE, unsafe_after_s=10.1)).unsafe_after == 6


@pytest.mark.parametrize(("age_s", "counts"), [(60.0, True), (60.001, False)])
def test_a_reading_is_compared_up_to_its_age(age_s: float, counts: bool) -> None:
    states = {"a": reading_of(8.0, 0), "b": reading_of(9.5, 0)}
    found = difference(AGREE, states, moment(age_s))
    assert (found is not None) is counts
    if found is not None:
        now = moment(age_s)
        assert found == Observation(now.utc_us, now.boot_us, {DIFFERENCE: 1.5})


@given(st.integers(-(10**9), 10**9), st.integers(0, 10**9), st.integers(-(10**8), 10**8))
def test_a_set_clock_is_noticed_wherever_it_stood(began_s: int, passed_s: int, set_by_s: int) -> None:
    before = Moment(began_s * SECOND_US, 77 * SECOND_US)
    after = Moment((began_s + passed_s + set_by_s) * SECOND_US, (77 + passed_s) * SECOND_US)
    assert stepped_s(before, after) == set_by_s


def test_a_source_without_a_wait_is_trusted_at_its_first_word_and_knows_since_when() -> None:
    state = poll(replace(SETUP, safe_after_s=0.0), SourceState(), seen_at(3, CALM), moment(4))
    assert (state.trusted, state.good_since_us, state.reasons) == (True, moment(3).boot_us, ())
