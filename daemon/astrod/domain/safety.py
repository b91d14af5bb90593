"""Safe or unsafe, from readings, pure. Unknown is unsafe.

A source (a weather station, a safety monitor, the host's clock) is *trusted* when its last reading is fresh, moving,
possible, not overridden and within limits. Hysteresis works both ways: `unsafe_after` bad polls in a row before a
trusted source is no longer trusted, `safe_after_s` of good ones, within the tighter bounds, before it is again. A
missing reading is judged by the age of the last one: `stale_s`.

Ages and waits are reckoned by the time since the host started, which never steps, so that a clock that is set in
the night makes no reading older or younger. Only what people read is UTC.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from astrod.domain.instant import SECOND_US, clock_text
from astrod.domain.site import Agreement, Limit, WeatherSetup

FUTURE_S = 5.0
"""A reading from farther ahead than this comes from a wrong clock, its own or ours."""
COMPARE_S = 2.0
"""How often sources are compared with one another."""
DIFFERENCE = "difference"

POSSIBLE: dict[str, tuple[float, float]] = {
    "temperature_c": (-90.0, 65.0),
    "humidity_percent": (0.0, 105.0),
    "dew_point_c": (-100.0, 50.0),
    "pressure_hpa": (400.0, 1100.0),
    "wind_m_s": (0.0, 120.0),
    "gust_m_s": (0.0, 120.0),
    "rain_mm_h": (0.0, 500.0),
    "cloud_percent": (0.0, 100.0),
    "sky_temperature_c": (-150.0, 65.0),
    "sky_brightness_mag": (-15.0, 24.0),
    "mains": (0.0, 1.0),
    "battery_percent": (0.0, 100.0),
    "clock_error_s": (0.0, math.inf),
    "disk_free_gb": (0.0, math.inf),
    "internet": (0.0, 1.0),
}
"""What each quantity can be on Earth's surface, outdoors, instruments' rounding allowed for. A value outside is no
measurement: a sensor at its rail, an unplugged cable, a driver that answers -999.
"""


@dataclass(frozen=True, slots=True)
class Moment:
    """One instant by both clocks: UTC, which may be set, and microseconds since the host started, which never is."""

    utc_us: int
    boot_us: int


@dataclass(frozen=True, slots=True)
class Observation:
    """One reading of a source. `measured_us` is UTC by the source's word, `boot_us` the same instant by the host's
    own reckoning. `alerts` are parameters that the source itself calls dangerous.
    """

    measured_us: int
    boot_us: int
    values: dict[str, float]
    alerts: tuple[str, ...] = ()
    overridden: bool = False


def observed(
    now: Moment, measured_us: int, values: dict[str, float], alerts: tuple[str, ...] = (), overridden: bool = False
) -> Observation:
    """A reading as it arrives now, with its age carried over to the clock that never steps."""
    return Observation(measured_us, now.boot_us - (now.utc_us - measured_us), values, alerts, overridden)


@dataclass(frozen=True, slots=True)
class SourceState:
    """What safety remembers of a source between polls; plain values, so that it survives a restart of the process.

    `good_since_us` and `changed_us` count from the host's start, so they mean nothing after it starts anew.
    """

    trusted: bool = False
    bad_polls: int = 0
    good_since_us: int | None = None
    last: Observation | None = None
    changed_us: int | None = None
    reasons: tuple[str, ...] = ("no reading yet",)


def is_possible(name: str, value: float) -> bool:
    """Whether a quantity can have that value at all."""
    low, high = POSSIBLE.get(name, (-math.inf, math.inf))
    return math.isfinite(value) and low <= value <= high


def breach(limit: Limit, values: Mapping[str, float], trusted: bool) -> str | None:
    """Why a limit is broken, in words, or None. A source that is not trusted must clear the margin too."""
    value = values.get(limit.name)
    margin = 0.0 if trusted else limit.margin
    if value is None:
        return f"{limit.name} is not measured"
    if not is_possible(limit.name, value):
        return f"{limit.name} reads {value:g}, which cannot be"
    if limit.high is not None and value > limit.high - margin:
        return f"{limit.name} {value:g} over {limit.high - margin:g}"
    if limit.low is not None and value < limit.low + margin:
        return f"{limit.name} {value:g} under {limit.low + margin:g}"
    return None


def is_stale(setup: WeatherSetup, state: SourceState, now: Moment) -> bool:
    """Whether the last reading is too old to count, or there was none yet."""
    return state.last is None or now.boot_us - state.last.boot_us > setup.stale_s * SECOND_US


def faults(setup: WeatherSetup, state: SourceState, now: Moment) -> tuple[str, ...]:
    """All that is wrong with a source's last reading now."""
    last = state.last
    if last is None:
        return ("no reading yet",)
    if is_stale(setup, state, now):
        return (f"no reading since {clock_text(last.measured_us)}",)
    found = [text for limit in setup.limits if (text := breach(limit, last.values, state.trusted))]
    found += [f"{name} in alert" for name in last.alerts]
    if last.overridden:
        found.append("somebody overrides the station")
    if setup.frozen_s and state.changed_us is not None and now.boot_us - state.changed_us > setup.frozen_s * SECOND_US:
        found.append(f"the same values for more than {setup.frozen_s:g} s")
    return tuple(found)


def _aged(state: SourceState, reading: Observation | None) -> Observation | None:
    """A reading that was read before keeps the age that it had then, whatever the clock has been set to since."""
    if reading is None or state.last is None or reading.measured_us != state.last.measured_us:
        return reading
    return replace(reading, boot_us=state.last.boot_us)


def _ahead_s(reading: Observation, now: Moment) -> float:
    return (reading.boot_us - now.boot_us) / SECOND_US


def _seen(state: SourceState, reading: Observation | None) -> SourceState:
    """The state with a reading taken in, unless it is older than the last one."""
    last = state.last
    if reading is None or (last is not None and reading.boot_us < last.boot_us):
        return state
    moved = last is None or reading.values != last.values
    return replace(state, last=reading, changed_us=reading.boot_us if moved else state.changed_us)


def poll(setup: WeatherSetup, state: SourceState, reading: Observation | None, now: Moment) -> SourceState:
    """The source after a poll; `reading` None when the poll failed."""
    reading = _aged(state, reading)
    if reading is not None and (ahead_s := _ahead_s(reading, now)) > FUTURE_S:
        # not taken in: it would look younger than every honest reading after it
        found: tuple[str, ...] = (f"reading is {ahead_s:.0f} s in the future: its clock or ours is wrong",)
    else:
        state = _seen(state, reading)
        found = faults(setup, state, now)
    if found or state.last is None:
        return _distrusted(setup, state, found, missing=reading is None)
    # the wait counts from reading to reading: one good word and then silence is not a clear sky
    seen_us = state.last.boot_us
    since_us = seen_us if state.good_since_us is None else state.good_since_us
    if state.trusted or seen_us - since_us >= setup.safe_after_s * SECOND_US:
        return replace(state, trusted=True, bad_polls=0, good_since_us=since_us, reasons=())
    began_us = now.utc_us - (now.boot_us - since_us)
    told = f"{setup.name}: good since {clock_text(began_us)}, for {setup.safe_after_s:.0f} s at least"
    return replace(state, trusted=False, bad_polls=0, good_since_us=since_us, reasons=(told,))


def _distrusted(setup: WeatherSetup, state: SourceState, found: tuple[str, ...], missing: bool) -> SourceState:
    """The age limit is the hysteresis of a missing reading; a bad one has `unsafe_after`."""
    bad_polls = state.bad_polls + 1
    trusted = state.trusted and bad_polls < setup.unsafe_after and not missing
    reasons = tuple(f"{setup.name}: {text}" for text in found)
    return replace(state, trusted=trusted, bad_polls=bad_polls, good_since_us=None, reasons=reasons)


# -- sources that should agree -------------------------------------------------------------------------------


def comparison(agreement: Agreement) -> WeatherSetup:
    """An agreement as a source like any other: what it reads is the difference, polled every COMPARE_S."""
    return WeatherSetup(
        name=f"agreement on {agreement.name}",
        address="",
        limits=(Limit(DIFFERENCE, high=agreement.within),),
        poll_s=COMPARE_S,
        stale_s=agreement.stale_s,
        unsafe_after=max(1, math.ceil(agreement.unsafe_after_s / COMPARE_S)),
        safe_after_s=agreement.safe_after_s,
    )


def difference(agreement: Agreement, states: Mapping[str, SourceState], now: Moment) -> Observation | None:
    """How far apart the sources are that measure the quantity now; None when fewer than two do."""
    fresh = [
        value
        for state in states.values()
        if state.last is not None
        and now.boot_us - state.last.boot_us <= agreement.stale_s * SECOND_US
        and (value := state.last.values.get(agreement.name)) is not None
        and is_possible(agreement.name, value)
    ]
    if len(fresh) < 2:
        return None
    return Observation(now.utc_us, now.boot_us, {DIFFERENCE: max(fresh) - min(fresh)})


# -- the clock ------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class ClockQuality:
    """Who vouches for the host's clock, and how wrong it is at most; None where nobody does, or they contradict."""

    source: str
    error_us: int | None


def stepped_s(before: Moment, after: Moment) -> float:
    """By how many seconds UTC was set between two moments; 0 for a clock that was left alone."""
    return ((after.utc_us - before.utc_us) - (after.boot_us - before.boot_us)) / SECOND_US


@dataclass(frozen=True, slots=True)
class SafetyReport:
    """Safety's word. `version` grows with every change; `roof` and `parked` are read from the hardware.

    `roof` is None where no roof is configured; `parked` maps each rig to what is known of its mount, by its own
    word or by its park sensor (None: unknown). `no_slews` says why nothing may slew though the site may be safe.
    Each of `troubles` is a code of `domain.trouble`, a blank, and the particulars. `sights_wanted` maps the rigs of
    which safety asks where they point to the number of the question, which the answer must carry.
    """

    version: int
    safe: bool
    reasons: tuple[str, ...]
    epoch: int
    since_us: int
    roof: str | None = None
    parked: dict[str, bool | None] | None = None
    weather: dict[str, float] | None = None
    troubles: tuple[str, ...] = ()
    no_slews: tuple[str, ...] = ()
    sights_wanted: dict[str, int] = field(default_factory=dict)
