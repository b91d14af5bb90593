"""The night as a table: `step(state, message) -> (state, effects)`, pure.

What is *wanted* follows from the light, from safety and from the operator; where the night *is* is a phase.
`TABLE` says, for each phase and want, where to go and what to do. Conductor carries the effects out and
reports back with `Finished`. Everything that affects the night is in `NightState`.

    asleep ── dusk ──> closed ── safe ──> opening ──> open ── dark ──> observing
                        ^  ^                 │          │                 │
                        │  └──── closing <───┴──────────┴── unsafe ───────┘
                        └── and from anywhere, at dawn or on stop: ending ──> asleep
"""

from dataclasses import dataclass, replace
from typing import Literal, get_args

Phase = Literal["asleep", "closed", "opening", "open", "observing", "closing", "ending"]
Want = Literal["end", "closed", "ready", "paused", "observe"]
Light = Literal["day", "twilight", "dark"]
Effect = Literal["cool", "open", "observe", "suspend", "close", "end", "finish", "alarm_open", "alarm_close"]
Work = Literal["open", "close", "end"]


@dataclass(frozen=True, slots=True)
class NightState:
    """Where the night is. `paused` and `held` are the operator's; `barred` follows a failed opening, or a loss for
    which nothing is worth being open; `hindered` is safety's word that nothing may slew.
    """

    phase: Phase = "asleep"
    light: Light = "day"
    safe: bool = False
    paused: bool = False
    held: bool = False
    stopping: bool = False
    barred: bool = False
    hindered: bool = False


@dataclass(frozen=True, slots=True)
class LightChanged:
    """The sun crossed a limit."""

    light: Light


@dataclass(frozen=True, slots=True)
class SafetyChanged:
    """Safety's word changed."""

    safe: bool


@dataclass(frozen=True, slots=True)
class Paused:
    """The operator wants no exposures (True) or no longer so."""

    on: bool


@dataclass(frozen=True, slots=True)
class Hindered:
    """Nothing may slew (True) or everything may again: what is exposing ends, nothing new begins."""

    on: bool


@dataclass(frozen=True, slots=True)
class Held:
    """The operator wants the site closed (True) or no longer so."""

    on: bool


@dataclass(frozen=True, slots=True)
class Stopped:
    """The daemon is to stop: close and park whatever the hour."""


@dataclass(frozen=True, slots=True)
class Barred:
    """There is nothing to be open for: what the night needs is lost."""


@dataclass(frozen=True, slots=True)
class BarLifted:
    """Enough time has passed since a failed opening to try again, or what was lost is back."""


@dataclass(frozen=True, slots=True)
class Finished:
    """Work that an effect began has ended."""

    work: Work
    ok: bool


Message = LightChanged | SafetyChanged | Paused | Hindered | Held | Stopped | Barred | BarLifted | Finished
Effects = tuple[Effect, ...]


def want(state: NightState) -> Want:
    """What the night should be doing, from the strongest reason to the weakest."""
    if state.stopping or state.light == "day":
        return "end"
    if state.held or not state.safe or state.barred:
        return "closed"
    if state.paused or state.hindered:
        return "paused"
    return "observe" if state.light == "dark" else "ready"


_STAY: Effects = ()
_WANTS: tuple[Want, ...] = get_args(Want)
_UNSTOPPABLE: tuple[Phase, ...] = ("closing", "ending")

TABLE: dict[tuple[Phase, Want], tuple[Phase, Effects]] = {
    ("asleep", "end"): ("asleep", _STAY),
    ("asleep", "closed"): ("closed", ("cool",)),
    ("asleep", "ready"): ("opening", ("cool", "open")),
    ("asleep", "paused"): ("closed", ("cool",)),
    ("asleep", "observe"): ("opening", ("cool", "open")),
    ("closed", "end"): ("ending", ("end",)),
    ("closed", "closed"): ("closed", _STAY),
    ("closed", "ready"): ("opening", ("open",)),
    ("closed", "paused"): ("closed", _STAY),
    ("closed", "observe"): ("opening", ("open",)),
    ("opening", "end"): ("ending", ("end",)),
    ("opening", "closed"): ("closing", ("close",)),
    ("opening", "ready"): ("opening", _STAY),
    ("opening", "paused"): ("opening", _STAY),
    ("opening", "observe"): ("opening", _STAY),
    ("open", "end"): ("ending", ("end",)),
    ("open", "closed"): ("closing", ("close",)),
    ("open", "ready"): ("open", _STAY),
    ("open", "paused"): ("open", _STAY),
    ("open", "observe"): ("observing", ("observe",)),
    ("observing", "end"): ("ending", ("suspend", "end")),
    ("observing", "closed"): ("closing", ("suspend", "close")),
    ("observing", "ready"): ("open", ("suspend",)),
    ("observing", "paused"): ("open", ("suspend",)),
    ("observing", "observe"): ("observing", _STAY),
    # closing and ending are never turned round half-way: they go on until they have finished
    **{(phase, wish): (phase, _STAY) for phase in _UNSTOPPABLE for wish in _WANTS},
}


def _noted(state: NightState, message: Message) -> NightState:
    match message:
        case LightChanged(light):
            return replace(state, light=light)
        case SafetyChanged(safe):
            return replace(state, safe=safe)
        case Paused(on):
            return replace(state, paused=on)
        case Hindered(on):
            return replace(state, hindered=on)
        case Held(on):
            return replace(state, held=on)
        case Stopped():
            return replace(state, stopping=True)
        case Barred():
            return replace(state, barred=True)
        case BarLifted():
            return replace(state, barred=False)
        case Finished():
            return state


_FINISHED: dict[tuple[Phase, Work, bool], tuple[Phase, Effects]] = {
    ("opening", "open", True): ("open", _STAY),
    ("opening", "open", False): ("closing", ("alarm_open", "close")),
    ("closing", "close", True): ("closed", _STAY),
    ("closing", "close", False): ("closing", ("alarm_close", "close")),
    ("ending", "end", True): ("asleep", ("finish",)),
    ("ending", "end", False): ("ending", ("alarm_close", "end")),
}


def step(state: NightState, message: Message) -> tuple[NightState, Effects]:
    """The next state and what must be done to get there, in order.

    A `Finished` for work that the night has since moved on from changes nothing.
    """
    noted = _noted(state, message)
    done: Effects = ()
    if isinstance(message, Finished):
        phase, done = _FINISHED.get((state.phase, message.work, message.ok), (state.phase, _STAY))
        noted = replace(noted, phase=phase, barred=noted.barred or "alarm_open" in done)
    phase, effects = TABLE[noted.phase, want(noted)]
    return replace(noted, phase=phase), done + effects
