"""A disk that keeps nothing it was not told to keep.

POSIX promises this and no more: the bytes of a file last once that file is synced, its name once its folder is. What
else a real file system happens to save differs from one to the next, so the survivors of a cut come in several kinds.
"""

import random
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path, PurePosixPath
from typing import Literal

from tests.powercut.record import Event

Survivors = Literal["synced", "names", "contents", "torn"]
SURVIVORS: tuple[Survivors, ...] = ("synced", "names", "contents", "torn")
"""What outlasts the cut beside what was synced: nothing; all names; all contents of named files; a random part of both.
"""

_SECTOR = 512


@dataclass
class File:
    """Bytes as the program sees them, as the platter has them, and the writes between the two."""

    now: bytearray = field(default_factory=bytearray)
    synced: bytes = b""
    since: list[Event] = field(default_factory=list)

    def apply(self, event: Event) -> None:
        """A write or a truncation."""
        _apply(self.now, event)
        self.since.append(event)

    def sync(self) -> None:
        self.synced, self.since = bytes(self.now), []

    def torn(self, chance: random.Random) -> bytes:
        """The synced bytes and a random choice of the writes since, some of them cut at a sector."""
        content = bytearray(self.synced)
        for event in self.since:
            if chance.random() < 0.5:
                continue
            cut = _SECTOR * chance.randrange(0, len(event.data) // _SECTOR + 1) if chance.random() < 0.3 else None
            _apply(
                content, event if cut is None else Event(event.kind, event.path, event.call, event.data[:cut], event.at)
            )
        return bytes(content)


def _apply(content: bytearray, event: Event) -> None:
    if event.kind == "truncate":
        del content[event.at :]
        content.extend(bytes(event.at - len(content)))
    else:
        end = event.at + len(event.data)
        content.extend(bytes(max(0, end - len(content))))
        content[event.at : end] = event.data


@dataclass
class Folder:
    """Names now, names on the platter, and what changed in between: name and what it stood for then (None: removed)."""

    now: dict[str, "File | Folder"] = field(default_factory=dict)
    synced: dict[str, "File | Folder"] = field(default_factory=dict)
    since: list[tuple[str, "File | Folder | None"]] = field(default_factory=list)

    def name(self, name: str, thing: "File | Folder | None") -> None:
        if thing is None:
            self.now.pop(name, None)
        else:
            self.now[name] = thing
        self.since.append((name, thing))

    def sync(self) -> None:
        self.synced, self.since = dict(self.now), []

    def torn(self, chance: random.Random) -> dict[str, "File | Folder"]:
        """The synced names and the first few changes since: a journal keeps them in order."""
        names = dict(self.synced)
        for name, thing in self.since[: chance.randrange(0, len(self.since) + 1)]:
            if thing is None:
                names.pop(name, None)
            else:
                names[name] = thing
        return names


class Disk:
    """Everything under one folder, which is itself taken to be there for good."""

    def __init__(self, root: str) -> None:
        self.root = PurePosixPath(root)
        self.top = Folder()

    def play(self, event: Event) -> None:
        """Let it happen. What is not under the root does not concern this disk."""
        match event.kind:
            case "said" | "unsynced":
                return
            case "sync":
                thing = self._find(event.path)
                if thing is not None:
                    thing.sync()
            case "rename":
                self._rename(event)
            case "unlink":
                self._name(event.path, None)
            case "mkdir":
                self._name(event.path, Folder())
            case "create":
                if self._inside(event.path) and self._find(event.path) is None:
                    self._name(event.path, File())
            case "write" | "truncate":
                thing = self._find(event.path)
                if isinstance(thing, File):
                    thing.apply(event)

    def _rename(self, event: Event) -> None:
        moved = self._find(event.path)
        if moved is not None:
            self._name(event.path, None)
            self._name(event.to, moved)

    def _inside(self, path: str) -> bool:
        return PurePosixPath(path).is_relative_to(self.root)

    def _name(self, path: str, thing: "File | Folder | None") -> None:
        if self._inside(path):
            parent = self._find(str(PurePosixPath(path).parent))
            assert isinstance(parent, Folder), f"{path}: its folder was never made"
            parent.name(PurePosixPath(path).name, thing)

    def _find(self, path: str) -> "File | Folder | None":
        if not self._inside(path):
            return None
        found: File | Folder | None = self.top
        for part in PurePosixPath(path).relative_to(self.root).parts:
            found = found.now.get(part) if isinstance(found, Folder) else None
        return found

    def survive(self, survivors: Survivors, into: Path, chance: random.Random) -> None:
        """Write what outlasts a cut at this moment into a real folder."""
        _write(self.top, survivors, into, chance)


def _write(folder: Folder, survivors: Survivors, into: Path, chance: random.Random) -> None:
    names = {"synced": folder.synced, "contents": folder.synced, "names": folder.now}.get(survivors)
    for name, thing in (folder.torn(chance) if names is None else names).items():
        if isinstance(thing, Folder):
            (into / name).mkdir()
            _write(thing, survivors, into / name, chance)
        elif not name.endswith("-shm"):  # SQLite's index of its log: shared memory, made anew from the log
            content = {"synced": thing.synced, "names": thing.synced, "contents": bytes(thing.now)}.get(survivors)
            (into / name).write_bytes(thing.torn(chance) if content is None else content)


def without(events: Sequence[Event], needless: "tuple[str, str]", root: str) -> list[Event]:
    """The same, but the syncs of one sort (see `sort_of`) were never asked for."""
    lost = (event.kind == "sync" and sort_of(event, root) == needless for event in events)
    return [replace(event, kind="unsynced") if gone else event for event, gone in zip(events, lost, strict=True)]


def sort_of(event: Event, root: str) -> tuple[str, str]:
    """Who synced what: the system call, and the path with its numbers and dates left out."""
    parts = PurePosixPath(event.path).relative_to(root).parts if event.path != root else ()
    plain = ["FRAME.part" if part.endswith(".part") else "NIGHT" if part[:2] == "20" else part for part in parts]
    return event.call, "/".join(plain) or "."
