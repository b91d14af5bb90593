"""What happened, in order, and its fingerprint: the same seed must give the same `sha256`."""

import hashlib
import json
import logging
import re
from collections import deque
from typing import Any

from astrod.domain.instant import iso
from astrod.runtime.clock import Clock

log = logging.getLogger(__name__)

_FOLDER = re.compile(r"(?<![\w.:/])/(?:[\w.\-]+/)+")
"""A path's folders: where the data lies is no part of what happened."""


def _canonical(value: Any) -> Any:
    return round(value, 6) if isinstance(value, float) else value


class Trace:
    """A running record of decisions, commands and outcomes; keeps the last `keep` notes for people."""

    def __init__(self, clock: Clock, keep: int = 2000) -> None:
        self._clock = clock
        self._digest = hashlib.sha256()
        self.notes: deque[dict[str, Any]] = deque(maxlen=keep)

    def note(self, what: str, **facts: Any) -> None:
        """Record one event; `facts` must be JSON values."""
        record = {"at_us": self._clock.now_us(), "what": what, **{k: _canonical(v) for k, v in facts.items()}}
        self._digest.update(_FOLDER.sub("", json.dumps(record, sort_keys=True)).encode() + b"\n")
        self.notes.append(record)
        log.info("%s %s", what, " ".join(f"{key}={value}" for key, value in facts.items()))
        log.debug("at %s", iso(record["at_us"]))

    @property
    def sha256(self) -> str:
        """Over all notes so far."""
        return self._digest.hexdigest()
