"""The moment that an operator means by `--until`."""

import re

from astrod.domain.instant import DAY_US, HOUR_US, MINUTE_US, parse_iso
from astrod.errors import InputInvalid

_CLOCK = re.compile(r"^([01]?\d|2[0-3]):([0-5]\d)Z?$")


def until_us(text: str, now_us: int) -> int:
    """The instant of `02:30` (UTC, the next one after now) or of an ISO 8601 text. Raises InputInvalid."""
    match = _CLOCK.match(text)
    if match:
        moment_us = now_us - now_us % DAY_US + int(match[1]) * HOUR_US + int(match[2]) * MINUTE_US
        return moment_us if moment_us > now_us else moment_us + DAY_US
    try:
        moment_us = parse_iso(text)
    except ValueError as fault:
        raise InputInvalid(f"{text!r} is no moment; write 02:30 or 2026-12-14T02:30Z, in UTC") from fault
    if moment_us <= now_us:
        raise InputInvalid(f"{text} is over; name a moment that is to come")
    return moment_us
