"""What a rehearsal observes: well-known objects of both hemispheres, so that some are up anywhere, any night."""

from collections.abc import Sequence
from dataclasses import dataclass

OBJECTS = (
    *("NGC 253", "NGC 55", "NGC 300", "M 31", "M 33", "NGC 891", "M 74", "NGC 1365", "M 45", "NGC 1566"),
    *("NGC 1792", "M 1", "M 42", "NGC 2070", "M 35", "NGC 2237", "M 81", "NGC 2903", "NGC 3372", "M 65"),
    *("M 106", "M 104", "M 51", "NGC 5128", "M 83", "M 101", "NGC 5139", "NGC 5907", "M 13", "NGC 6744"),
    *("M 92", "M 8", "M 16", "M 57", "M 27", "NGC 6946", "NGC 7000", "NGC 7331", "M 15", "NGC 104"),
)


@dataclass(frozen=True, slots=True)
class Wish:
    """Exposures of one kind, asked of every object."""

    filter: str | None
    exposure_s: float
    count: int


COLOUR = tuple(Wish(name, 120.0, count) for name, count in (("L", 24), ("R", 8), ("G", 8), ("B", 8)))


def document(wishes: Sequence[Wish]) -> str:
    """A file for `targets.d`, TOML."""
    lines = ["# Well-known objects of both hemispheres, by their names."]
    for number, name in enumerate(OBJECTS):
        lines += ["", "[[target]]", f'name = "{name}"', f"priority = {1.0 + number % 4 * 0.25}"]
        for wish in wishes:
            lines += ["", "[[target.exposures]]", f"exposure_s = {wish.exposure_s}", f"count = {wish.count}"]
            lines += [f'filter = "{wish.filter}"'] if wish.filter else []
    return "\n".join(lines) + "\n"
