"""How good the host's clock is, by its own word: the kernel's, which NTP and chrony keep up to date."""

import ctypes
import ctypes.util
from dataclasses import dataclass
from functools import cache

_UNSYNCHRONISED = 5  # TIME_ERROR, <sys/timex.h>


class _Timex(ctypes.Structure):
    """The head of `struct timex` (adjtimex(2)); the rest is padding that the kernel may write."""

    _fields_ = (
        ("modes", ctypes.c_uint),
        ("offset", ctypes.c_long),
        ("freq", ctypes.c_long),
        ("maxerror", ctypes.c_long),
        ("esterror", ctypes.c_long),
        ("status", ctypes.c_int),
        ("rest", ctypes.c_char * 256),
    )


@dataclass(frozen=True, slots=True)
class ClockQuality:
    """Who disciplines the clock, and the greatest error it admits; None where nobody does."""

    source: str
    error_us: int | None


@cache
def _libc() -> ctypes.CDLL:
    return ctypes.CDLL(ctypes.util.find_library("c"), use_errno=True)


def clock_quality() -> ClockQuality:
    """The kernel's opinion of its own clock now."""
    timex = _Timex()
    state = _libc().adjtimex(ctypes.byref(timex))
    if state < 0 or state == _UNSYNCHRONISED:
        return ClockQuality("host clock, not synchronised", None)
    return ClockQuality("host clock, NTP", int(timex.maxerror))
