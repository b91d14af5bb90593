"""What was already said of another program's frames, so that a restart says it once: a file of JSON lines.

It lies in the owner's cache, never beside the frames. A line that is not whole, as after a power cut, counts for
nothing; where nothing can be written the ride goes on without a memory.
"""

import hashlib
import json
import logging
import os
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from astrod.frames.incoming import Arrival, Stamp

log = logging.getLogger(__name__)

KEPT = 20_000
"""Lines of verdicts that are read back; older ones are forgotten."""


def logbook_path(folder: Path) -> Path:
    """Where the logbook of a folder lies: below XDG_CACHE_HOME, else below ~/.cache."""
    cache = os.environ.get("XDG_CACHE_HOME")
    root = Path(cache or os.path.expanduser("~/.cache"))  # noqa: PTH111  Path's own raises where there is no home
    name = hashlib.sha256(os.fsencode(folder.resolve())).hexdigest()[:16]
    return root / "astrod" / "ride-along" / f"{name}.jsonl"


@dataclass(frozen=True, slots=True)
class Known:
    """What was said of a file, and where it lay then, if elsewhere."""

    found: dict[str, Any]
    moved_from: str | None = None


class Logbook:
    """The verdicts on one folder's frames, by file. `by` names who judges: what another one said does not count."""

    def __init__(self, path: Path, by: str) -> None:
        self._path, self._by = path, by
        self._begun: Counter[tuple[str, Stamp]] = Counter()
        self._said: dict[str, tuple[Stamp, dict[str, Any]]] = {}
        self._writes = True
        self._read()

    @property
    def said(self) -> list[dict[str, Any]]:
        """Everything that was said, in the order in which it was said first."""
        return [found for _, found in self._said.values()]

    def known(self, arrival: Arrival) -> Known | None:
        """What was said of this file as it is; of one that was moved here from a place that is empty now as well."""
        said = self._said.get(str(arrival.path))
        if said is not None and said[0] == arrival.stamp:
            return Known(said[1])
        for file, (stamp, found) in self._said.items():
            if stamp == arrival.stamp and not Path(file).exists():
                del self._said[file]
                moved = {**found, "file": str(arrival.path)}
                self.say(arrival, moved)
                return Known(moved, file)
        return None

    def attempts(self, arrival: Arrival) -> int:
        """How often judging this file was begun and brought nothing, in this run and those before it."""
        return self._begun[str(arrival.path), arrival.stamp]

    def begin(self, arrival: Arrival) -> None:
        """Judging begins: told first, so that a file which takes this process down with it is known next time."""
        self._begun[str(arrival.path), arrival.stamp] += 1
        self._write({"file": str(arrival.path), "stamp": arrival.stamp})

    def put_off(self, arrival: Arrival) -> None:
        """The file is not whole yet: what was begun harmed nobody."""
        self._begun.pop((str(arrival.path), arrival.stamp), None)
        self._write({"file": str(arrival.path), "stamp": arrival.stamp, "put_off": True})

    def say(self, arrival: Arrival, found: dict[str, Any]) -> None:
        """This is what is said of the file."""
        self._begun.pop((str(arrival.path), arrival.stamp), None)
        self._said[str(arrival.path)] = (arrival.stamp, found)
        self._write({"file": str(arrival.path), "stamp": arrival.stamp, "found": found})

    def _write(self, entry: dict[str, Any]) -> None:
        if not self._writes:
            return
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            with self._path.open("a", encoding="utf-8") as file:
                file.write(json.dumps({"by": self._by, **entry}) + "\n")
        except OSError as fault:
            self._writes = False
            log.warning("%s cannot be written (%s): a restart judges again", self._path, fault.strerror)

    def _read(self) -> None:
        try:
            lines = self._path.read_text(encoding="utf-8", errors="replace").splitlines()
        except OSError:  # there is none yet; one that cannot be read cannot be written either, and that is told
            return
        for line in lines[-KEPT:]:
            self._take(line)
        if len(lines) > 2 * KEPT:
            self._rewrite(lines[-KEPT:])

    def _take(self, line: str) -> None:
        try:
            entry = json.loads(line)
            file, (size, changed) = str(entry["file"]), entry["stamp"]
            if entry["by"] != self._by:
                return
            stamp, found = (int(size), int(changed)), entry.get("found")
        except (ValueError, KeyError, TypeError):  # a line cut short
            return
        if isinstance(found, dict):
            self._begun.pop((file, stamp), None)
            self._said[file] = (stamp, found)
        elif entry.get("put_off"):
            self._begun.pop((file, stamp), None)
        else:
            self._begun[file, stamp] += 1

    def _rewrite(self, lines: list[str]) -> None:
        draft = self._path.with_suffix(".new")
        try:
            draft.write_text("\n".join(lines) + "\n", encoding="utf-8")
            draft.replace(self._path)
        except OSError as fault:
            log.warning("%s cannot be shortened: %s", self._path, fault.strerror)
