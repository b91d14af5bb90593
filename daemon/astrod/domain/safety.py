"""Safe or unsafe, from readings, pure. Unknown is unsafe.

A source (a weather station) is *trusted* when its last reading is fresh, moving, not overridden and within
limits. Hysteresis works both ways: `unsafe_after` bad polls in a row before a trusted source is called unsafe,
`safe_after_s` of good ones, within the tighter bounds, before it is trusted again. A missing reading is judged
by the age of the last one: `stale_s`.
"""

from dataclasses import dataclass, replace

from astrod.domain.instant import SECOND_US, clock_text
from astrod.domain.site import Limit, WeatherSetup


@dataclass(frozen=True, slots=True)
class Observation:
    """One reading of a source. `alerts` are parameters that the source itself calls dangerous."""

    measured_us: int
    values: dict[str, float]
    alerts: tuple[str, ...] = ()
    overridden: bool = False


@dataclass(frozen=True, slots=True)
class SourceState:
    """What safety remembers of a source between polls; plain values, so that it survives a restart."""

    trusted: bool = False
    bad_polls: int = 0
    good_since_us: int | None = None
    last: Observation | None = None
    changed_us: int | None = None
    reasons: tuple[str, ...] = ("no reading yet",)


def breach(limit: Limit, values: dict[str, float], trusted: bool) -> str | None:
    """Why a limit is broken, in words, or None. A source that is not trusted must clear the margin too."""
    value = values.get(limit.name)
    margin = 0.0 if trusted else limit.margin
    if value is None:
        return f"{limit.name} is not measured"
    if value != value or value in (float("inf"), float("-inf")):
        return f"{limit.name} reads {value}"
    if limit.high is not None and value > limit.high - margin:
        return f"{limit.name} {value:g} over {limit.high - margin:g}"
    if limit.low is not None and value < limit.low + margin:
        return f"{limit.name} {value:g} under {limit.low + margin:g}"
    return None


def faults(setup: WeatherSetup, state: SourceState, now_us: int) -> tuple[str, ...]:
    """All that is wrong with a source's last reading at this instant."""
    last = state.last
    if last is None:
        return ("no reading yet",)
    age_s = (now_us - last.measured_us) / SECOND_US
    if age_s > setup.stale_s:
        return (f"no reading since {clock_text(last.measured_us)}",)
    if age_s < -5.0:
        return (f"reading is {-age_s:.0f} s in the future: its clock or ours is wrong",)
    found = [text for limit in setup.limits if (text := breach(limit, last.values, state.trusted))]
    found += [f"{name} in alert" for name in last.alerts]
    if last.overridden:
        found.append("somebody overrides the station")
    if setup.frozen_s and state.changed_us is not None and now_us - state.changed_us > setup.frozen_s * SECOND_US:
        found.append(f"the same values since {clock_text(state.changed_us)}")
    return tuple(found)


def _seen(state: SourceState, reading: Observation | None) -> SourceState:
    if reading is None or (state.last is not None and reading.measured_us < state.last.measured_us):
        return state
    moved = state.last is None or reading.values != state.last.values
    return replace(state, last=reading, changed_us=reading.measured_us if moved else state.changed_us)


def poll(setup: WeatherSetup, state: SourceState, reading: Observation | None, now_us: int) -> SourceState:
    """The source after a poll; `reading` None when the poll failed."""
    state = _seen(state, reading)
    found = faults(setup, state, now_us)
    if found:
        bad_polls = state.bad_polls + 1
        stale = reading is None  # the age limit is the hysteresis of a missing reading
        trusted = state.trusted and bad_polls < setup.unsafe_after and not stale
        reasons = tuple(f"{setup.name}: {text}" for text in found)
        return replace(state, trusted=trusted, bad_polls=bad_polls, good_since_us=None, reasons=reasons)
    since = now_us if state.good_since_us is None else state.good_since_us
    waited_s = (now_us - since) / SECOND_US
    trusted = state.trusted or waited_s >= setup.safe_after_s
    reasons = (
        () if trusted else (f"{setup.name}: good since {clock_text(since)}, for {setup.safe_after_s:.0f} s at least",)
    )
    return replace(state, trusted=trusted, bad_polls=0, good_since_us=since, reasons=reasons)


@dataclass(frozen=True, slots=True)
class SafetyReport:
    """Safety's word. `version` grows with every change; `roof` and `parked` are read from the hardware.

    `roof` is None where no roof is configured; `parked` maps each rig to what its mount says (None: unknown).
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
