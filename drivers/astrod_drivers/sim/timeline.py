"""What a device was doing when: the legs of its motion, each a function of time.

A device never needs a background task: a command appends a leg, and whoever wants to know where the device
is, or was a minute ago in mid exposure, asks the leg of that instant.
"""

from bisect import bisect_right
from typing import Generic, TypeVar

Leg = TypeVar("Leg")
_KEPT = 128


class Timeline(Generic[Leg]):
    """Legs in order of their start, the last `kept` of them; the first one reaches back for ever."""

    def __init__(self, instant_us: int, leg: Leg, kept: int = _KEPT) -> None:
        self._kept = kept
        self._starts = [instant_us]
        self._legs = [leg]

    def at(self, instant_us: int) -> tuple[int, Leg]:
        """The leg of an instant, and when it began."""
        index = max(0, bisect_right(self._starts, instant_us) - 1)
        return self._starts[index], self._legs[index]

    def add(self, instant_us: int, leg: Leg) -> None:
        """From this instant on, `leg`. Instants never go back."""
        start_us = max(instant_us, self._starts[-1])
        self._starts, self._legs = [*self._starts[-self._kept :], start_us], [*self._legs[-self._kept :], leg]

    def changes(self, start_us: int, end_us: int) -> list[int]:
        """The instants between the two (the first excluded) at which a leg begins."""
        return [begin_us for begin_us in self._starts if start_us < begin_us <= end_us]
