"""The configuration's reference and its commented file, written from the schema.

    python -m astrod.config.reference [FOLDER]

writes `daemon/docs/configuration.md` and `etc/astrod.toml` below the folder (default: here). A test fails
when they lag behind the schema.
"""

import json
import sys
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from textwrap import wrap
from typing import Any

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from astrod.config.schema import Document, bounds_text, extra_of, is_list, options, table_of

REFERENCE = Path("daemon/docs/configuration.md")
COMMENTED = Path("etc/astrod.toml")

_TOML_HEAD = """\
# astrod's configuration: every key there is. `astrod config check` names each fault with its line.
#
# Lines without a mark are in force: a simulated observatory, so that a night can be seen before there is
# a telescope. A line `#key = value` shows the default, or an example where there is none. What else is
# read: conf.d/*.toml, in order of name, each over what came before, and targets.d/*.toml, which hold
# [[target]] only. Relative paths start at this file's folder. The last word of each comment says when a
# change counts: live at the next exposure after a reload, session when the device is connected again,
# restart after a restart."""

_MORE = {
    ("weather", "limits"): """
[[weather.limits]]
name = "rain_mm_h"
high = 0.0

[[weather.limits]]
name = "humidity_percent"
high = 90.0
margin = 3.0

[[weather.limits]]
name = "cloud_percent"
high = 80.0
margin = 10.0"""
}
"""What the commented file has beside one example of each table: a roof must not open in the rain."""

_DOC_HEAD = """\
# Configuration

Generated from `daemon/astrod/config/schema` by `python -m astrod.config.reference`; do not edit.

astrod reads `astrod.toml`, then `conf.d/*.toml` in order of name, then `targets.d/*.toml`, from the folder
(or main file) given by `--config`, else by `ASTROD_CONFIG`, else from `/etc/astrod`. A later file's key
replaces an earlier one's; rigs, trains, weather sources and limits are joined by `name`; targets are always
one more, and `targets.d` holds nothing else. Relative paths start at the main file's folder, so that a whole
observatory can live in any folder, with no privileges. `etc/astrod.toml` shows every key; `etc/examples` has
whole observatories.

What is not configured is not missing: leave out the wheel, the focuser, the cooler that you do not have.
Only a roof and its weather must be said to be absent (`roof = "none"`, `weather = "none"` under `[site]`),
because forgetting them would be dangerous.

Unknown keys are errors. `astrod config check` reads everything as `astrod run` does and names every fault
with its file, line and remedy. When a change counts: **live** at the next exposure after a reload,
**session** when the device is connected again, **restart** after a restart of the daemon. A reload that
fails leaves the old configuration in force.
"""


def reference_text() -> str:
    """The whole of `configuration.md`."""
    parts = [_DOC_HEAD]
    for path, table, many in tables((), Document):
        parts.append(f"\n## `{header(path, many)}`\n\n{table.__doc__}\n")
        parts.append("\n| key | type | default | counts | meaning |\n|---|---|---|---|---|")
        parts += [_row(name, info) for name, info in values_of(table)]
        parts.append("")
    return "\n".join(parts).replace("\n\n\n", "\n\n")


def commented_text() -> str:
    """The whole of `etc/astrod.toml`."""
    rows = [_TOML_HEAD]
    for path, table, many in tables((), Document):
        mark = "" if _in_force(path) else "#"
        rows += ["", *(f"# {row}" for row in wrap(table.__doc__ or "", 100)), f"{mark}{header(path, many)}"]
        for name, info in values_of(table):
            rows += _commented(name, info, mark)
        rows += [_MORE[path]] if path in _MORE else []
    return "\n".join(rows) + "\n"


def tables(path: tuple[str, ...], table: type[BaseModel]) -> Iterator[tuple[tuple[str, ...], type[BaseModel], bool]]:
    """Every table of the schema below this one: its path, its class, and whether it is a list of tables."""
    for name, info in table.model_fields.items():
        inner = table_of(info)
        if inner is not None:
            yield (*path, name), inner, is_list(info)
            yield from tables((*path, name), inner)


def values_of(table: type[BaseModel]) -> Iterator[tuple[str, FieldInfo]]:
    """The keys of a table that are not tables themselves."""
    for name, info in table.model_fields.items():
        if table_of(info) is None:
            yield name, info


def header(path: tuple[str, ...], many: bool) -> str:
    """`[site]` or `[[rig.train]]`."""
    return f"[[{'.'.join(path)}]]" if many else f"[{'.'.join(path)}]"


def _in_force(path: tuple[str, ...]) -> bool:
    """Targets live in files of their own; what replaces a table of ours, is one of two kinds, needs a server of one's
    own, or a second source to agree with, waits.
    """
    return path[0] not in ("target", "ladder", "indi", "agreement", "watch") and path[-1] != "guider"


def _row(name: str, info: FieldInfo) -> str:
    default = "required" if info.is_required() else _default_text(info)
    return f"| `{name}` | {_type_text(info)} | {default} | {extra_of(info)['when']} | {info.description} |"


def _default_text(info: FieldInfo) -> str:
    return "none" if info.default is None else f"`{toml_text(info.default)}`"


def _type_text(info: FieldInfo) -> str:
    choices = options(info)
    if choices:
        return " ".join(f"`{choice}`" for choice in choices)
    bounds = bounds_text(info)
    return f"{_kind_text(info)} {bounds}".strip()


def _kind_text(info: FieldInfo) -> str:
    written = str(info.annotation)
    for mark, word in (
        ("list", "list"),
        ("dict", "table"),
        ("datetime", "moment"),
        ("bool", "true/false"),
        ("int", "whole number"),
    ):
        if mark in written:
            return word
    return "number" if "float" in written else "text"


def _commented(name: str, info: FieldInfo, mark: str) -> list[str]:
    extra = extra_of(info)
    bounds, choices = bounds_text(info), options(info)
    limits = ", ".join(choices) if len(choices) > 1 else bounds
    said = "; ".join(part for part in ((info.description or "").rstrip("."), limits, extra["when"]) if part)
    words = wrap(f"{said}.", 100)
    shown = extra["shown"] and not mark
    value = _shown_value(info, extra["example"])
    return [*(f"# {word}" for word in words), f"{'' if shown else '#'}{name} = {toml_text(value)}"]


def _shown_value(info: FieldInfo, example: Any) -> Any:
    """The default where there is one to show, else the example."""
    return example if info.is_required() or info.default in (None, "", []) else info.default


def toml_text(value: Any) -> str:
    """A value as TOML writes it."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, str):
        return json.dumps(value, ensure_ascii=False)
    if isinstance(value, datetime):
        return value.isoformat().replace("+00:00", "Z")
    if isinstance(value, list):
        return f"[{', '.join(toml_text(item) for item in value)}]"
    if isinstance(value, dict):
        return "{ " + ", ".join(f"{json.dumps(name)} = {toml_text(item)}" for name, item in value.items()) + " }"
    return str(value)


def write(folder: Path) -> None:
    """Write both files below `folder`."""
    for path, text in ((REFERENCE, reference_text()), (COMMENTED, commented_text())):
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_text(text, encoding="utf-8")


if __name__ == "__main__":
    write(Path(sys.argv[1] if len(sys.argv) > 1 else "."))
