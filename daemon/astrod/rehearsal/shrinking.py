"""The shortest list that still does it: delta debugging (Zeller & Hildebrandt 2002, IEEE TSE 28, 183)."""

from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import TypeVar

T = TypeVar("T")


def shrink(parts: Sequence[T], breaks: Callable[[tuple[T, ...]], bool]) -> tuple[T, ...]:
    """The parts without which it would not break, in their order: no one of them can be left out.

    `breaks` says whether a list of parts still breaks it, and is asked often; that the whole list does is taken
    for granted. Empty where it breaks without any.
    """
    left = tuple(parts)
    if not left or breaks(()):
        return ()
    pieces = 2
    while len(left) > 1:
        found = next((rest for rest in _without_one_piece(left, pieces) if breaks(rest)), None)
        if found is not None:
            left, pieces = found, max(2, pieces - 1)
        elif pieces >= len(left):
            break
        else:
            pieces = min(len(left), 2 * pieces)
    return left


def _without_one_piece(parts: tuple[T, ...], pieces: int) -> list[tuple[T, ...]]:
    """The parts less each of so many pieces in turn."""
    edges = [len(parts) * k // pieces for k in range(pieces + 1)]
    return [parts[:low] + parts[high:] for low, high in pairwise(edges)]
