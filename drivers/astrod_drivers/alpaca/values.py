"""What may be believed of an answer: the type that the interface declares, finite, within its bounds.

Each function raises BadAnswer, which names the member that lied.
"""

import math
from collections.abc import Callable
from datetime import UTC, datetime
from typing import TypeVar

from astrod_drivers.alpaca.link import NotOffered, NotServed, NotSet
from astrod_drivers.errors import BadAnswer

T = TypeVar("T")


def number(value: object, what: str, low: float = -math.inf, high: float = math.inf) -> float:
    """A finite number within bounds."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise BadAnswer(f"{what} should be a number but is {str(value)[:40]!r}; read the device's log")
    try:
        found = float(value)
    except OverflowError as fault:
        raise BadAnswer(f"{what} is beyond all bounds; read the device's log") from fault
    if not (math.isfinite(found) and low <= found <= high):
        raise BadAnswer(f"{what} is {found}, outside {low:g}..{high:g}; read the device's log")
    return found


def whole(value: object, what: str, low: int, high: int) -> int:
    """A whole number within bounds; 3.0 is one."""
    found = number(value, what, low, high)
    if found != round(found):
        raise BadAnswer(f"{what} should be a whole number but is {found}; read the device's log")
    return round(found)


def flag(value: object, what: str) -> bool:
    """True or False, and nothing that merely resembles them."""
    if not isinstance(value, bool):
        raise BadAnswer(f"{what} should be true or false but is {str(value)[:40]!r}; read the device's log")
    return value


def texts(value: object, what: str) -> tuple[str, ...]:
    """A list of texts."""
    if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
        raise BadAnswer(f"{what} should be a list of names but is {str(value)[:40]!r}; read the device's log")
    return tuple(value)


def instant_us(value: object, what: str) -> tuple[int, int]:
    """A UTC time in ISO 8601 as microseconds, and how coarsely it was told: 1 s, or what its fraction says."""
    said = value.strip().rstrip("zZ").strip() if isinstance(value, str) else ""
    whole_s, dot, fraction = said.partition(".")
    digits = fraction[:6]
    try:
        second = datetime.fromisoformat(whole_s).replace(tzinfo=UTC)
        parts_us = int(digits.ljust(6, "0")) if dot else 0
    except ValueError as fault:
        raise BadAnswer(f"{what} should be a UTC time but is {str(value)[:40]!r}; read the device's log") from fault
    if parts_us < 0:
        raise BadAnswer(f"{what} should be a UTC time but is {said[:40]!r}; read the device's log")
    since = second - datetime(1970, 1, 1, tzinfo=UTC)
    return (since.days * 86_400 + since.seconds) * 1_000_000 + parts_us, 10 ** (6 - len(digits)) if dot else 1_000_000


def optional(read: Callable[[], T]) -> T | None:
    """What `read` answers, or None where the device has no such member, or no value for it."""
    try:
        return read()
    except (NotOffered, NotServed, NotSet):
        return None
