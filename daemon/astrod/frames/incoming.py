"""Frames that another program writes into a folder: which are there, and which have come to rest.

Only looking tells on every disk: the system's notices of changes do not come from a network share. Nothing is
opened and nothing is written here.
"""

import os
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

from astrod.errors import TellOperator

FITS_ENDINGS = (".fit", ".fits", ".fts", ".fz")
UNREAD_ENDINGS = (".xisf", ".cr2", ".cr3", ".nef", ".arw", ".raf", ".orf", ".dng", ".tif", ".tiff", ".ser")
"""Pictures of the sky as well, which are told of and not read."""

Stamp = tuple[int, int]
"""Size in bytes and time of change in nanoseconds: what differs once a file was written to."""


@dataclass(frozen=True, slots=True)
class Arrival:
    """A file that has come to rest."""

    path: Path
    stamp: Stamp


@dataclass(frozen=True, slots=True)
class Found:
    """What one look at the folder has found. `unread` counts files of other formats by ending; `barred` names folders
    that cannot be read; `resting` is False while some file is being written.
    """

    arrivals: tuple[Arrival, ...]
    unread: dict[str, int]
    barred: tuple[str, ...]
    resting: bool


@dataclass(slots=True)
class _Watched:
    stamp: Stamp
    since_s: float
    given: bool = False


@dataclass(slots=True)
class Incoming:
    """A folder and all below it. A file has come to rest when it was the same for `rest_s` seconds."""

    folder: Path
    rest_s: float
    _watched: dict[Path, _Watched] = field(default_factory=dict)
    _looked: bool = False

    def look(self, now_s: float, since_ns: int = 0) -> Found:
        """Look once; `now_s` is of a clock that never jumps. Each arrival is given once, and again if it changes.

        Files that the first look finds changed before `since_ns` count as always having been there; later what is new
        is new, whatever clock the file system goes by. Raises TellOperator for a folder that is not there.
        """
        unread: Counter[str] = Counter()
        barred: list[str] = []
        there: dict[Path, Stamp] = {}
        self._gather(self.folder, there, unread, barred)
        arrivals = []
        resting = True
        for path, stamp in sorted(there.items()):
            known = self._watched.get(path)
            if known is None or known.stamp != stamp:
                old = not self._looked and stamp[1] < since_ns
                self._watched[path] = _Watched(stamp, now_s, given=old)
                resting = resting and old
            elif not known.given:
                if now_s - known.since_s >= self.rest_s:
                    known.given = True
                    arrivals.append(Arrival(path, stamp))
                else:
                    resting = False
        self._looked = True
        for gone in self._watched.keys() - there.keys():
            del self._watched[gone]
        return Found(tuple(arrivals), dict(sorted(unread.items())), tuple(barred), resting)

    def _gather(self, folder: Path, there: dict[Path, Stamp], unread: Counter[str], barred: list[str]) -> None:
        try:
            with os.scandir(folder) as entries:
                for entry in sorted(entries, key=lambda one: one.name):
                    self._take(entry, there, unread, barred)
        except OSError as fault:
            if folder == self.folder:
                raise TellOperator(f"{folder} cannot be looked at: {fault.strerror}; is its disk there?") from fault
            barred.append(f"{folder}: {fault.strerror}")

    def _take(
        self, entry: "os.DirEntry[str]", there: dict[Path, Stamp], unread: Counter[str], barred: list[str]
    ) -> None:
        if entry.name.startswith("."):
            return
        if entry.is_dir(follow_symlinks=False):
            self._gather(Path(entry.path), there, unread, barred)
            return
        name = entry.name.lower().removesuffix(".gz")
        ending = os.path.splitext(name)[1]  # noqa: PTH122  of a text: a Path for each name would cost as much as the look
        if ending in UNREAD_ENDINGS:
            unread[ending] += 1
        elif ending in FITS_ENDINGS:
            try:
                state = entry.stat()
            except OSError:  # taken away, or a dangling link: it is not there
                return
            there[Path(entry.path)] = (state.st_size, state.st_mtime_ns)
