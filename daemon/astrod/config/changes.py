"""What a reload changes, and what it takes for each change to count."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel

from astrod.config.load import Loaded
from astrod.config.schema import Document, When, extra_of, table_of

_ORDER: tuple[When, ...] = ("live", "restart")


@dataclass(frozen=True, slots=True)
class Change:
    """A key that differs, as `rig.main.mount.slew_s`; a table that came or went goes by its own name."""

    key: str
    when: When


def changes(old: Loaded, new: Loaded) -> tuple[Change, ...]:
    """Every difference between two configurations. Rigs, trains, sources, limits and targets go by their names."""
    return tuple(_tables("", Document, old.values, new.values))


def needs(found: tuple[Change, ...]) -> When:
    """The most that any of the changes asks for; `live` where there is none."""
    return max((change.when for change in found), key=_ORDER.index, default="live")


def _tables(place: str, table: type[BaseModel], old: dict[str, Any], new: dict[str, Any]) -> Iterator[Change]:
    for name, info in table.model_fields.items():
        before, after, here = old.get(name), new.get(name), f"{place}{name}"
        inner = table_of(info)
        if before == after:
            continue
        if inner is None:
            yield Change(here, extra_of(info)["when"])
        elif isinstance(before, list) and isinstance(after, list):
            yield from _lists(here, inner, _by_name(before), _by_name(after))
        elif before is None or after is None:
            yield Change(here, _most(inner))
        else:
            yield from _tables(f"{here}.", inner, before, after)


def _lists(place: str, table: type[BaseModel], old: dict[str, Any], new: dict[str, Any]) -> Iterator[Change]:
    for name in dict.fromkeys([*old, *new]):
        if name in old and name in new:
            yield from _tables(f"{place}.{name}.", table, old[name], new[name])
        else:
            yield Change(f"{place}.{name}", _most(table))


def _by_name(items: list[Any]) -> dict[str, Any]:
    """Exposures have no name; their number is what they go by, as in a request's id."""
    return {str(item.get("name", index + 1)): item for index, item in enumerate(items)}


def _most(table: type[BaseModel]) -> When:
    """What it takes for a whole table to come or go."""
    whens: list[When] = [
        _most(inner) if (inner := table_of(info)) else extra_of(info)["when"] for info in table.model_fields.values()
    ]
    return max(whens, key=_ORDER.index)
