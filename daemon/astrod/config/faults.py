"""Faults of a configuration, in words: file and line, key, what is wrong, and what would be right."""

import difflib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel, ValidationError
from pydantic.fields import FieldInfo

from astrod.config.joining import Joined, place_text
from astrod.config.position import KeyPath
from astrod.config.schema import Document, bounds_text, options, table_of

_KINDS = {
    "string_type": "a text in quotes",
    "float_type": "a number",
    "int_type": "a whole number",
    "bool_type": "true or false",
    "list_type": "a list [ … ]",
    "model_type": "a table",
    "dict_type": "a table",
    "datetime_type": "a moment, such as 2026-12-14T22:00:00Z",
}


@dataclass(frozen=True, slots=True, order=True)
class Fault:
    """One fault, at the line of the key, or of the table that lacks it; line 0 is the whole file."""

    file: str
    line: int
    place: str
    text: str

    def __str__(self) -> str:
        where = f"{self.file}:{self.line}" if self.line else self.file
        return f"{where}: {self.place}: {self.text}" if self.place else f"{where}: {self.text}"


def fault_at(joined: Joined, path: KeyPath, text: str, main: str) -> Fault:
    """A fault of the key at `path`; `main` is the file to name where no file has anything of it."""
    origin = joined.origin(path)
    place = _place(path)
    return Fault(origin.file, origin.line, place, text) if origin else Fault(main, 0, place, text)


def _place(path: KeyPath) -> str:
    """The key with its table; of an entry in a list that holds no tables, the list's key and its number."""
    named = len(path)
    while named and isinstance(path[named - 1], int):
        named -= 1
    if named == len(path) or table_at(path[:named]) is not None:
        return place_text(path)
    return place_text(path[:named]) + "".join(f" {int(part) + 1}" for part in path[named:])


def nearest(word: str, known: Sequence[str]) -> str | None:
    """The known word that a slip of the fingers would turn into `word`."""
    lowered = {name.lower(): name for name in known}
    close = difflib.get_close_matches(word.lower(), list(lowered), n=1, cutoff=0.6)
    return lowered[close[0]] if close else None


def faults_of(error: ValidationError, joined: Joined, main: str) -> list[Fault]:
    """Every fault that the schema found. A key that is missing because it is misspelt is one fault."""
    details = error.errors(include_url=False)
    meant = {(*d["loc"][:-1], _meant(d["loc"])) for d in details if d["type"] == "extra_forbidden"}
    return [
        fault_at(joined, detail["loc"], _text(detail), main)
        for detail in details
        if not (detail["type"] == "missing" and detail["loc"] in meant)
    ]


def table_at(path: KeyPath) -> type[BaseModel] | None:
    """The schema's table at a path, None where the path leads to a value."""
    model: type[BaseModel] = Document
    for part in path:
        if isinstance(part, int):
            continue
        info = model.model_fields.get(part)
        inner = table_of(info) if info else None
        if inner is None:
            return None
        model = inner
    return model


def _field_at(path: KeyPath) -> FieldInfo | None:
    names = [part for part in path if isinstance(part, str)]
    table = table_at(tuple(names[:-1])) if names else None
    return table.model_fields.get(names[-1]) if table else None


def _meant(path: KeyPath) -> str | None:
    table = table_at(path[:-1])
    return nearest(str(path[-1]), list(table.model_fields)) if table else None


def _text(detail: Any) -> str:
    kind, path, given, ctx = detail["type"], detail["loc"], detail["input"], detail.get("ctx", {})
    if kind == "extra_forbidden":
        return _unknown(path)
    if kind == "missing":
        return _missing(path)
    if kind == "literal_error":
        return _not_one_of(given, path)
    if kind in _KINDS:
        return f"{_shown(given)} is {_kind_of(given)}; {_KINDS[kind]} is wanted"
    if kind == "int_from_float":
        return f"{_shown(given)} is no whole number"
    if kind == "value_error":
        return f"{_shown(given)} {ctx['error']}"
    if kind == "string_pattern_mismatch":
        return f"{_shown(given)} is no name here; use lower-case letters, digits and _, a letter first"
    if kind in ("too_short", "too_long", "string_too_short"):
        return _length(kind, path, ctx)
    info = _field_at(path)
    bounds = bounds_text(info) if info else ""
    return f"{_shown(given)} is outside {bounds}" if bounds else f"{_shown(given)}: {detail['msg']}"


def _unknown(path: KeyPath) -> str:
    table = table_at(path[:-1])
    if table is None:
        return "no such key"
    name, known = str(path[-1]), list(table.model_fields)
    close = nearest(name, known)
    if close:
        return f'no such key; did you mean "{close}"?'
    homes = [home for home in _homes(name) if home]
    if homes:
        return f"no such key here; it belongs in {' or '.join(homes)}"
    return f"no such key; the keys here are {', '.join(known)}"


def _homes(name: str) -> list[str]:
    """The tables that do have a key of this name."""
    return [place_text((*path, "")).strip() for path, table in _tables((), Document) if name in table.model_fields]


def _tables(path: KeyPath, table: type[BaseModel]) -> Iterator[tuple[KeyPath, type[BaseModel]]]:
    yield path, table
    for name, info in table.model_fields.items():
        inner = table_of(info)
        if inner is not None:
            yield from _tables((*path, name), inner)


def _missing(path: KeyPath) -> str:
    info = _field_at(path)
    what = info.description if info else None
    return f"is missing: {what}" if what else "is missing"


def _not_one_of(given: Any, path: KeyPath) -> str:
    info = _field_at(path)
    known = options(info) if info else []
    close = nearest(str(given), known)
    meant = f'; did you mean "{close}"?' if close else ""
    return f"{_shown(given)} is not one of {', '.join(map(_shown, known))}{meant}"


def _length(kind: str, path: KeyPath, ctx: dict[str, Any]) -> str:
    if kind == "string_too_short":
        return "is empty"
    bound = ctx["min_length"] if kind == "too_short" else ctx["max_length"]
    word = "at least" if kind == "too_short" else "at most"
    return f"has {ctx['actual_length']} entries; {word} {bound} wanted"


def _kind_of(given: Any) -> str:
    if isinstance(given, bool):
        return "true or false"
    for kind, word in (
        (str, "a text"),
        (int, "a number"),
        (float, "a number"),
        (list, "a list"),
        (dict, "a table"),
    ):
        if isinstance(given, kind):
            return word
    return "a moment"


def _shown(given: Any) -> str:
    if isinstance(given, str):
        return f'"{given[:60]}"'
    if isinstance(given, bool):
        return str(given).lower()
    if isinstance(given, dict):
        return "{ … }"
    if isinstance(given, list):
        return "[ … ]"
    return str(given)
