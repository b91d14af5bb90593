"""The power may go at any moment: what was promised is on the disk, and the next start finds its way.

A short night runs under strace; from its system calls a disk is rebuilt that has only what was synced (`disk`). At
each promise and each sync the power goes, and what is left must hold every promise made until then. Then each sort of
sync is taken away in turn, and something must break: a sync that can go unnoticed is one that is not tested.
"""

import hashlib
import os
import random
import re
import shutil
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from astrod.archive.archive import Archive
from astrod.core import data_paths
from astrod.domain.identity import ExposureId, Night
from astrod.errors import AstrodError
from astrod.frames.store import FrameStore
from tests.powercut.disk import SURVIVORS, Disk, Survivors, sort_of, without
from tests.powercut.record import Event, record
from tests.powercut.scenario import NIGHT, site_text

pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(300),
    pytest.mark.xdist_group("powercut"),
    pytest.mark.skipif(shutil.which("strace") is None, reason="strace is not installed"),
]

NOTABLE = ("sync", "unsynced", "rename", "unlink", "mkdir")
SAID = re.compile(rb"^(expose|taken|judged|good) id=(\S+)(?:.* sha256=(\S+))?")


@dataclass
class Promises:
    """What the night has said it has safe."""

    exposed: set[str] = field(default_factory=set)
    taken: dict[str, str] = field(default_factory=dict)
    judged: set[str] = field(default_factory=set)
    good: int = -1

    def hear(self, text: bytes) -> bool:
        """Note what a piece of log promises; True when it does."""
        found = [match for line in text.splitlines() if (match := SAID.match(line))]
        for match in found:
            what, exposure = match[1].decode(), match[2].decode()
            if what == "expose":
                self.exposed.add(exposure)
            elif what == "taken":
                self.taken[exposure] = match[3].decode()
            elif what == "good":
                self.good = int(exposure)
            else:
                self.judged.add(exposure)
        return bool(found)


@dataclass(frozen=True)
class Recorded:
    """A recorded night: where its files were and what happened to them."""

    root: str
    events: tuple[Event, ...]


@pytest.fixture(scope="session")
def played(tmp_path_factory: pytest.TempPathFactory) -> Recorded:
    folder = tmp_path_factory.mktemp("night") / "observatory"
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(p for p in sys.path if p), "ORT_DISABLE_TELEMETRY": "1"}
    command = [sys.executable, "-m", "tests.powercut.scenario", str(folder)]
    events = record(command, folder.parent / "trace", environment)
    inside = [
        e
        for e in events
        if e.kind == "said"
        or e.path.startswith(f"{folder}/")
        or e.to.startswith(f"{folder}/")
        or (e.kind == "sync" and e.path == f"{folder}")
    ]
    return Recorded(str(folder), tuple(inside))


def moments(events: Sequence[Event]) -> Iterator[int]:
    """After which events the power goes: each promise, sync, change of a name and write to the database; at the end."""
    for number, event in enumerate(events):
        if (
            event.kind in NOTABLE
            or event.path.endswith("archive.db")
            or (event.kind == "said" and SAID.match(event.data))
        ):
            yield number
    yield len(events) - 1


def broken_by_cuts(
    events: Sequence[Event], root: str, folder: Path, survivors: Sequence[Survivors], step: int = 1
) -> str:
    """Cut the power at every `step`-th moment; the first promise that was broken, or nothing."""
    disk, promises = Disk(root), Promises()
    cuts = set(list(moments(events))[::step])
    for number, event in enumerate(events):
        disk.play(event)
        if event.kind == "said":
            promises.hear(event.data)
        if number not in cuts:
            continue
        for kind in survivors:
            left = folder / "left"
            left.mkdir()
            disk.survive(kind, left, random.Random(number))
            found = broken(left / "data", promises)
            shutil.rmtree(left)
            if found:
                return f"after {event.kind} {event.path[-60:]} ({number}), {kind} survived: {found}"
    return ""


def broken(data: Path, promises: Promises) -> str:
    """What the next start would find wrong with this data folder; nothing when all is well."""
    if not data_paths(data)["archive"].exists():
        return "the archive is gone" if promises.exposed else ""
    try:
        archive = Archive.open(data_paths(data)["archive"])
    except AstrodError as fault:
        return f"the archive does not open: {fault}"
    try:
        return _kept(archive, data, promises) or _goes_on(archive, data, promises)
    except AstrodError as fault:
        return f"the start fails: {fault}"
    finally:
        archive.close()


def _kept(archive: Archive, data: Path, promises: Promises) -> str:
    if faults := archive.integrity():
        return f"the archive is damaged: {faults[0]}"
    rows = {str(row.id): row for row in archive.frames(limit=None)}
    for exposure in promises.exposed - set(rows):
        return f"{exposure} was allotted and is forgotten"
    for exposure, sha256 in promises.taken.items():
        taken = rows[exposure].taken
        if taken is None:
            return f"{exposure} was recorded as taken and is not"
        path = data / taken.path
        if not path.is_file() or hashlib.sha256(path.read_bytes()).hexdigest() != sha256:
            return f"{exposure} was kept and is not whole on disk"
    if promises.good >= 0:
        good = data / "site.good.json"
        later = {site_text(turn) for turn in range(promises.good, promises.good + 2)}
        if not good.is_file() or good.read_text() not in later:
            return f"the site that was kept for the closer, number {promises.good}, is gone"
    for exposure in promises.judged:
        if rows[exposure].judgement is None:
            return f"{exposure} was judged and is not"
    return ""


def _goes_on(archive: Archive, data: Path, promises: Promises) -> str:
    """What reconciling at the next start does, as far as archive and disk are concerned."""
    store = FrameStore(data)
    store.sweep()
    for intent in archive.unfinished():
        taken = store.find(intent.id)
        if taken is not None:
            archive.record_taken(taken, 0)
    on_disk = {str(found.id) for found in store.scan()}
    recorded = {str(row.id) for row in archive.frames(limit=None) if row.taken is not None}
    if on_disk != recorded:
        return f"on disk and recorded differ: {on_disk ^ recorded}"
    fresh = archive.begin_exposure(
        "pujalt", Night.parse(NIGHT), kind="light", rig="main", train="main", exposure_s=1.0, at_us=0
    )
    used = promises.exposed | on_disk
    return f"{fresh.id} is allotted twice" if str(fresh.id) in used else ""


def test_the_night_made_promises(played: Recorded) -> None:
    promises = Promises()
    for event in played.events:
        if event.kind == "said":
            promises.hear(event.data)
    assert len(promises.taken) >= 2 and len(promises.judged) >= 2 and len(promises.exposed) >= 10
    assert all(ExposureId.parse(exposure) for exposure in promises.exposed)


def test_no_promise_is_broken_by_a_power_cut(played: Recorded, tmp_path: Path) -> None:
    assert broken_by_cuts(played.events, played.root, tmp_path, SURVIVORS) == ""


def test_every_sync_is_needed(played: Recorded, tmp_path: Path) -> None:
    sorts = sorted({sort_of(event, played.root) for event in played.events if event.kind == "sync"})
    assert len(sorts) >= 6, sorts
    unneeded = [
        sort
        for sort in sorts
        if not broken_by_cuts(without(played.events, sort, played.root), played.root, tmp_path, SURVIVORS)
    ]
    # SQLite's own, for the one empty page of a database that nothing has been written to yet
    assert unneeded == [("fdatasync", "data/archive.db-journal")], sorts
