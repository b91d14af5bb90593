"""A file of candidates in, scores out: a batch at a time. Nothing is written, no configuration is read."""

import math
from pathlib import Path
from typing import Any

from astrod.errors import InputInvalid
from astrod.frames.triplets import triplet_batches
from astrod.judge.realbogus import call, vetting


def report(path: Path, weights: Path | None = None) -> dict[str, Any]:
    """The object that `astrod realbogus --json` prints for a file.

    `scores` are probabilities of a real brightening, in the file's order, None where one cannot be told; `unjudged`
    lists those by index with the reason. Raises InputInvalid, naming the file, for what holds no triplets.
    """
    score, title, real_from = vetting(weights)
    scores: list[float | None] = []
    unjudged: list[dict[str, Any]] = []
    counts = {"real": 0, "bogus": 0, "unknown": 0}
    for batch in triplet_batches(path):
        try:
            found = score(batch)
        except ValueError as fault:
            raise InputInvalid(f"{path}: {fault}") from fault
        for value, reason in zip(found.values.tolist(), found.reasons, strict=True):
            counts[call(value, real_from)] += 1
            if reason is not None:
                unjudged.append({"index": len(scores), "reason": reason})
            scores.append(None if math.isnan(value) else float(f"{value:.6g}"))
    return {
        "file": str(path),
        "count": len(scores),
        "real": counts["real"],
        "bogus": counts["bogus"],
        "scores": scores,
        "unjudged": unjudged,
        "real_from": real_from,
        "model": title,
    }
