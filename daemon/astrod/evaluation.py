"""A model tried on files: what it says of them, what its stand-in says, and who is right where somebody knows."""

import csv
import json
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from astrod.appraise import appraise
from astrod.errors import InputInvalid
from astrod.frames.incoming import FITS_ENDINGS
from astrod.learning.evaluation import Evaluation, Share, Tried, evaluated
from astrod_models.zoo import Version

_TRUE, _FALSE = ("1", "true", "yes", "up", "keep", "good"), ("0", "false", "no", "down", "reject", "bad")


def files_in(named: list[Path]) -> Iterator[Path]:
    """The files named, and the FITS and `.npy` files below the folders named, in order."""
    for path in named:
        if not path.is_dir():
            yield path
            continue
        for file in sorted(path.rglob("*")):
            name = file.name.lower().removesuffix(".gz")
            if file.is_file() and name.endswith((*FITS_ENDINGS, ".npy")):
                yield file


def read_labels(path: Path) -> dict[str, bool]:
    """Whether each file is usable, by whole path and by name: JSON lines as `astrod models thumbs` writes them, or CSV
    with the columns `file` and `usable`. Raises InputInvalid.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as fault:
        raise InputInvalid(f"{path}: cannot be read: {fault}") from fault
    try:
        jsonl = text.lstrip().startswith("{")
        rows = [json.loads(line) for line in text.splitlines() if line.strip()] if jsonl else list(_csv(text))
        said = {str(row["file"]): _truth(row["usable"]) for row in rows}
    except (ValueError, KeyError, TypeError) as fault:
        raise InputInvalid(f"{path}: needs `file` and `usable` (true or false) of each frame: {fault!r}") from fault
    names = Counter(Path(file).name for file in said)
    by_name = {Path(file).name: usable for file, usable in said.items() if names[Path(file).name] == 1}
    return by_name | said


def _csv(text: str) -> Iterator[dict[str, str]]:
    yield from csv.DictReader(text.splitlines())


def _truth(value: object) -> bool:
    word = str(value).strip().lower()
    if word not in _TRUE + _FALSE:
        raise ValueError(f"{value!r} is neither true nor false")
    return word in _TRUE


def evaluate_quality(version: Version, files: list[Path], labels: dict[str, bool]) -> dict[str, Any]:
    """The quality model on files: counts by verdict, beside its stand-in's; who is right, where `labels` say so.

    A file that cannot be judged is named in `unreadable`, the others go on.
    """
    tried: list[Tried] = []
    causes: Counter[str] = Counter()
    unreadable: list[str] = []
    for path in files:
        try:
            said = appraise(path, version.folder).judgement
            other = appraise(path, version.folder, enabled=False).judgement
        except InputInvalid as fault:
            unreadable.append(str(fault))
            continue
        usable = labels.get(str(path), labels.get(str(path.resolve()), labels.get(path.name)))
        tried.append(Tried(usable, said.decision == "keep", said.quality, other.decision == "keep", other.quality))
        causes[said.cause if said.decision == "reject" else "kept"] += 1
    model, stand_in = evaluated(tried)
    return {
        "model": version.title,
        "key": version.key,
        "files": len(files),
        "judged": len(tried),
        "verdicts": dict(sorted(causes.items())),
        "stand_in_kept": sum(1 for one in tried if one.stand_in_kept),
        "labelled": sum(1 for one in tried if one.usable is not None),
        "scores": _told(model),
        "stand_in_scores": _told(stand_in),
        "unreadable": unreadable,
    }


def _told(found: Evaluation) -> dict[str, Any]:
    return {
        "good_kept": _share(found.good_kept),
        "bad_refused": _share(found.bad_refused),
        "auc": None if found.auc is None else round(found.auc, 4),
    }


def _share(share: Share) -> dict[str, Any] | None:
    if not share.count:
        return None
    low, high = share.interval
    return {"hits": share.hits, "count": share.count, "interval": [round(low, 4), round(high, 4)]}


EVALUATORS = {"quality": evaluate_quality}
"""The models that can be tried on files, and how."""
