"""Safety's rules on readings: unknown is unsafe, and hysteresis works both ways."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from astrod.domain.instant import SECOND_US
from astrod.domain.safety import Moment, Observation, SourceState, observed, poll
from astrod.domain.site import Limit, WeatherSetup

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
