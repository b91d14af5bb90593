"""A model tried on files: what it says of them, what its stand-in says, and who is right where somebody knows."""

import csv
import json
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from astrod.appraise import appraise
from astrod.errors import InputInvalid
from astrod.frames.incoming import FITS_ENDINGS
from astrod.learning.evaluation import Evaluation, Share, Tried, evaluated
from astrod.sighting import seen_in
from astrod_models.zoo import Version

_ENDINGS = (*FITS_ENDINGS, ".npy", ".jpg", ".jpeg", ".png", ".mp4", ".mkv", ".avi")
_TRUE, _FALSE = ("1", "true", "yes", "up", "keep", "good"), ("0", "false", "no", "down", "reject", "bad")


def files_in(named: list[Path]) -> Iterator[Path]:
    """The files named, and the frames and pictures below the folders named, in order."""
    for path in named:
        if not path.is_dir():
            yield path
            continue
        for file in sorted(path.rglob("*")):
            name = file.name.lower().removesuffix(".gz")
            if file.is_file() and name.endswith(_ENDINGS):
                yield file


def read_labels(path: Path) -> dict[str, bool]:
    """Whether each file is usable, by whole path and by name: JSON lines as `astrod models thumbs` writes them, or CSV
    with the columns `file` and `usable`, or `meteor` for what holds one. Raises InputInvalid.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as fault:
        raise InputInvalid(f"{path}: cannot be read: {fault}") from fault
    try:
        jsonl = text.lstrip().startswith("{")
        rows = [json.loads(line) for line in text.splitlines() if line.strip()] if jsonl else list(_csv(text))
        said = {str(row["file"]): _truth(row["usable"] if "usable" in row else row["meteor"]) for row in rows}
    except (ValueError, KeyError, TypeError) as fault:
        raise InputInvalid(
            f"{path}: needs `file` and `usable` (or `meteor`), true or false, of each: {fault!r}"
        ) from fault
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


@dataclass(frozen=True, slots=True)
class Said:
    """What a model says of one file: yes or no (worth keeping; a meteor), its score 0 to 100, and in a word."""

    yes: bool
    score: float
    word: str


Ask = Callable[[Path, Path | None, bool], Said]
"""A file, the folder of the model (None: the shipped one), whether the model is to judge and not its stand-in."""


def _ask_quality(path: Path, weights: Path | None, enabled: bool) -> Said:
    said = appraise(path, weights, enabled).judgement
    return Said(said.decision == "keep", said.quality, "kept" if said.decision == "keep" else said.cause)


def _ask_meteor(path: Path, weights: Path | None, enabled: bool) -> Said:
    sightings = [one.sighting for one in seen_in(str(path), weights, enabled)]
    if not sightings:
        raise InputInvalid(f"{path}: no frame in it")
    meteor = any(one.meteor for one in sightings)
    return Said(meteor, 100.0 * max(one.score for one in sightings), "meteor" if meteor else "none")


def evaluate(version: Version, files: list[Path], labels: dict[str, bool]) -> dict[str, Any]:
    """A model of EVALUATED on files: counts by what it says, beside its stand-in; who is right, where `labels` tell.

    A file that cannot be judged is named in `unreadable`, the others go on.
    """
    ask, words = EVALUATED[version.name]
    tried: list[Tried] = []
    counts: Counter[str] = Counter()
    unreadable: list[str] = []
    for path in files:
        try:
            said, other = ask(path, version.folder, True), ask(path, version.folder, False)
        except InputInvalid as fault:
            unreadable.append(str(fault))
            continue
        usable = labels.get(str(path), labels.get(str(path.resolve()), labels.get(path.name)))
        tried.append(Tried(usable, said.yes, said.score, other.yes, other.score))
        counts[said.word] += 1
    model, stand_in = evaluated(tried)
    return {
        "model": version.title,
        "key": version.key,
        "files": len(files),
        "judged": len(tried),
        "says": dict(sorted(counts.items())),
        "stand_in_yes": sum(1 for one in tried if one.stand_in_kept),
        "words": list(words),
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


EVALUATED: Mapping[str, tuple[Ask, tuple[str, str]]] = {
    "meteor": (_ask_meteor, ("meteors found", "others let by")),
    "quality": (_ask_quality, ("good kept", "bad refused")),
}
"""The models that can be tried on files: how each is asked, and how its two kinds of right answers are called."""
