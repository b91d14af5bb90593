"""What a faulty device answers in place of the truth: readings that are old, wrong or made up."""

import dataclasses
import math
from collections.abc import Callable, Mapping
from typing import Any

from astrod_drivers.errors import BadAnswer
from astrod_drivers.protocols import MountState, RoofState, SafetyReading, WeatherReading, WheelState
from astrod_drivers.sim.injector import Running
from astrod_drivers.wire import decode, encode

FAR = 1e6
"""A number that nothing an observatory measures in degrees, steps, percent or Celsius ever reaches."""


def note(running: Running, method: str, arguments: tuple[Any, ...]) -> None:
    """Remember what the device was told, where the fault's lie depends on it."""
    match running.fault.kind, method:
        case "park_lies", "park":
            running.memory["parked"] = True
        case "park_lies", "unpark":
            running.memory["parked"] = False
        case "roof_lies", "open":
            running.memory["wanted"] = 1.0
        case "roof_lies", "close":
            running.memory["wanted"] = 0.0
        case "filter_sticks", "select":
            running.memory["filter"] = arguments[0]


def told(running: Running, answer: Any, now_us: int) -> Any:
    """The answer to `read`, as the fault makes it. Raises BadAnswer where it makes it one that no host hands on."""
    lie = _LIES.get(running.fault.kind)
    return answer if lie is None else lie(running, answer, now_us)


def _stale(running: Running, answer: WeatherReading | SafetyReading, now_us: int) -> Any:
    return running.memory.setdefault("reading", answer)


def _frozen(running: Running, answer: WeatherReading | SafetyReading, now_us: int) -> Any:
    first = running.memory.setdefault("reading", answer)
    return dataclasses.replace(first, measured_us=answer.measured_us)


def _pier(running: Running, answer: MountState, now_us: int) -> MountState:
    if answer.pier_side is None:
        return answer
    return dataclasses.replace(answer, pier_side="east" if answer.pier_side == "west" else "west")


def _parked(running: Running, answer: MountState, now_us: int) -> MountState:
    if not running.memory.get("parked"):
        return answer
    return dataclasses.replace(answer, parked=True, slewing=False, tracking=False)


def _roof(running: Running, answer: RoofState, now_us: int) -> RoofState:
    wanted = running.memory.get("wanted")
    if wanted not in (0.0, 1.0):
        return answer
    return dataclasses.replace(answer, aperture="open" if wanted == 1.0 else "closed")


def _filter(running: Running, answer: WheelState, now_us: int) -> WheelState:
    asked = running.memory.get("filter")
    if asked is None or asked == answer.filter:
        return answer
    if running.fault.way == "silent":
        return dataclasses.replace(answer, filter=asked, moving=False)
    return dataclasses.replace(answer, filter=None, moving=True)


def _nonsense(running: Running, answer: Any, now_us: int) -> Any:
    garbage: dict[str, object] = {"nan": math.nan, "range": FAR, "type": "#"}
    spoiled = _spoiled(answer, garbage[running.fault.way])
    if spoiled == encode(answer):
        raise BadAnswer(f"{answer!r} cannot be: there is no number in it")
    return decode(type(answer), encode(spoiled))


def _spoiled(value: Any, garbage: object) -> Any:
    """The value as it travels, with garbage for each of its floats, and for whole numbers that are no instants."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        parts = {part.name: getattr(value, part.name) for part in dataclasses.fields(value)}
        return {name: item if name.endswith("_us") else _spoiled(item, garbage) for name, item in parts.items()}
    if isinstance(value, Mapping):
        return {name: _spoiled(item, garbage) for name, item in value.items()}
    if isinstance(value, int) and not isinstance(value, bool):
        return -int(FAR) if garbage == FAR else garbage
    return garbage if isinstance(value, float) else encode(value)


_LIES: Mapping[str, Callable[[Running, Any, int], Any]] = {
    "stale": _stale,
    "frozen": _frozen,
    "pier_lies": _pier,
    "park_lies": _parked,
    "roof_lies": _roof,
    "filter_sticks": _filter,
    "wrong": _nonsense,
}
