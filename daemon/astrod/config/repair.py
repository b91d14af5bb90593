"""A faulty document made whole, so that the faults between keys show together with the faults in them.

What is repaired is never used for anything but finding more faults.
"""

import copy
from collections.abc import Sequence
from typing import Any

from pydantic import ValidationError
from pydantic.fields import FieldInfo

from astrod.config.faults import table_at
from astrod.config.position import KeyPath
from astrod.config.schema import Document, extra_of, is_list, table_of

_ROUNDS = 8


def repaired(values: dict[str, Any], error: ValidationError) -> tuple[Document, list[KeyPath]] | None:
    """The document with its faulty keys taken out or replaced by examples, and the paths that were touched.

    None where that does not lead to a document that the schema accepts.
    """
    whole = copy.deepcopy(values)
    touched: list[KeyPath] = []
    for _ in range(_ROUNDS):
        for detail in error.errors(include_url=False):
            touched.append(detail["loc"])
            _repair(whole, detail["loc"], detail["type"])
        try:
            return Document.model_validate(whole), touched
        except ValidationError as again:
            error = again
    return None


def _repair(values: Any, path: KeyPath, kind: str) -> None:
    holder = values
    for part in path[:-1]:
        if not _has(holder, part):
            return  # an earlier repair has taken the table away
        holder = holder[part]
    last = path[-1]
    if kind == "extra_forbidden":
        holder.pop(last, None)
    elif isinstance(last, int):
        holder[last : last + 1] = []
    else:
        _replace(holder, path)


def _has(holder: Any, part: str | int) -> bool:
    if isinstance(part, int):
        return isinstance(holder, list) and part < len(holder)
    return isinstance(holder, dict) and part in holder


def _replace(holder: dict[str, Any], path: KeyPath) -> None:
    table, name = table_at(path[:-1]), str(path[-1])
    info = table.model_fields.get(name) if table else None
    holder.pop(name, None)
    if info is not None and info.is_required():
        holder[name] = _example(info)


def _example(info: FieldInfo) -> Any:
    """A value that the field accepts: of a table, the keys it cannot do without."""
    table = table_of(info)
    if table is None:
        return extra_of(info)["example"]
    whole = {name: _example(inner) for name, inner in table.model_fields.items() if inner.is_required()}
    return [whole] if is_list(info) else whole


def beside(path: KeyPath, touched: Sequence[KeyPath]) -> bool:
    """Whether a fault at `path` may come of a repair: one leads through the other, or a name was lent."""
    lent = [other for other in touched if other[-1] == "name"]
    if path[-1] == "name" and any(other[:-2] == path[:-2] for other in lent):
        return True
    if path[0] == "target" and path[-1] in ("rig", "train") and any(other[0] == "rig" for other in lent):
        return True
    return any(path[: len(other)] == other or other[: len(path)] == path for other in touched)
