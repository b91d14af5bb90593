"""Waiting for hardware by reading it back."""

from collections.abc import Awaitable, Callable
from typing import TypeVar

from astrod.errors import OutcomeUnknown
from astrod.runtime.clock import Clock

T = TypeVar("T")


async def until(
    clock: Clock,
    device: str,
    what: str,
    read: Callable[[], Awaitable[T]],
    done: Callable[[T], bool],
    within_s: float,
    poll_s: float = 0.5,
) -> T:
    """Read until `done`, every `poll_s`; returns the last reading.

    Raises OutcomeUnknown when it is not done within `within_s`, and whatever `read` raises.
    """
    deadline_s = clock.monotonic_s() + within_s
    while not done(state := await read()):
        if clock.monotonic_s() >= deadline_s:
            raise OutcomeUnknown(device, f"{what}: not done within {within_s:g} s; it reads {state}")
        await clock.sleep(poll_s)
    return state
