"""Several TOML files joined into one document that remembers where each key came from.

A later file's key replaces an earlier one's; tables are joined key by key; of the lists of tables, rigs,
trains, sources, limits, agreements and watches are joined by `name` (a new name is one more), targets are always one
more.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from astrod.config.position import KeyPath

_JOINED_BY_NAME = frozenset({"rig", "train", "weather", "limits", "agreement", "watch"})
_APPENDED = frozenset({"target"})


@dataclass(frozen=True, slots=True)
class Origin:
    """A line of a file."""

    file: str
    line: int

    def __str__(self) -> str:
        return f"{self.file}:{self.line}"


@dataclass(slots=True)
class Joined:
    """The document so far. `overrides` tells, one line each, which keys a later file replaced."""

    values: dict[str, Any] = field(default_factory=dict)
    origins: dict[KeyPath, Origin] = field(default_factory=dict)
    overrides: list[str] = field(default_factory=list)

    def origin(self, path: KeyPath) -> Origin | None:
        """Where a key stands; for one that is absent, the nearest table around it."""
        for length in range(len(path), 0, -1):
            if path[:length] in self.origins:
                return self.origins[path[:length]]
        return None

    def add(self, file: str, values: Mapping[str, Any], lines: Mapping[KeyPath, int]) -> None:
        """Join one more file."""
        _Addition(self, file, lines).table(self.values, values, (), ())


@dataclass(frozen=True, slots=True)
class _Addition:
    """One file on its way in. Paths come in pairs: in the joined document, and in the file itself."""

    joined: Joined
    file: str
    lines: Mapping[KeyPath, int]

    def note(self, path: KeyPath, own: KeyPath) -> None:
        if own in self.lines:
            self.joined.origins[path] = Origin(self.file, self.lines[own])

    def note_all(self, path: KeyPath, own: KeyPath, value: Any) -> None:
        """Note a value and everything inside it."""
        self.note(path, own)
        inside = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
        for part, inner in inside:
            self.note_all((*path, part), (*own, part), inner)

    def table(self, into: dict[str, Any], new: Mapping[str, Any], path: KeyPath, own: KeyPath) -> None:
        for name, value in new.items():
            self.entry(into, name, value, (*path, name), (*own, name))

    def entry(self, into: dict[str, Any], name: str, value: Any, path: KeyPath, own: KeyPath) -> None:
        before = into.get(name)
        if isinstance(before, dict) and isinstance(value, dict):
            self.table(before, value, path, own)
        elif name in _JOINED_BY_NAME | _APPENDED and isinstance(before, list) and isinstance(value, list):
            self.tables(before, value, path, own, by_name=name in _JOINED_BY_NAME)
        else:
            self.replace(into, name, value, path, own)

    def replace(self, into: dict[str, Any], name: str, value: Any, path: KeyPath, own: KeyPath) -> None:
        if name in into and into[name] != value:
            earlier = self.joined.origin(path)
            place = Origin(self.file, self.lines.get(own, 0))
            self.joined.overrides.append(f"{place}: {place_text(path)} replaces {earlier}")
        for gone in [known for known in self.joined.origins if known[: len(path)] == path]:
            del self.joined.origins[gone]
        into[name] = value
        self.note_all(path, own, value)

    def tables(self, before: list[Any], new: list[Any], path: KeyPath, own: KeyPath, *, by_name: bool) -> None:
        """An earlier table takes one newcomer at most, so that a name used twice in a file still shows."""
        free = {_name(item): index for index, item in enumerate(before) if by_name and _name(item) is not None}
        for index, item in enumerate(new):
            at = free.pop(_name(item), None)
            if at is None or not isinstance(item, dict):
                before.append(item)
                self.note_all((*path, len(before) - 1), (*own, index), item)
            else:
                self.table(before[at], item, (*path, at), (*own, index))


def _name(item: Any) -> str | None:
    name = item.get("name") if isinstance(item, dict) else None
    return name if isinstance(name, str) else None


def section_text(path: KeyPath) -> str:
    """The table that holds a key, as TOML writes it: `[rig.mount]`; for a second weather `[[weather]] 2`."""
    table = path[:-1]
    if not table:
        return ""
    if isinstance(table[-1], int):
        number = f" {table[-1] + 1}" if table[-1] else ""
        return f"[[{_dotted(table)}]]{number} "
    return f"[{_dotted(table)}] "


def place_text(path: KeyPath) -> str:
    """A key with its table: `[rig.mount] slew_s`."""
    if path and isinstance(path[-1], int):
        return section_text((*path, "")).strip()
    return f"{section_text(path)}{path[-1] if path else ''}"


def _dotted(table: KeyPath) -> str:
    return ".".join(part for part in table if isinstance(part, str))
