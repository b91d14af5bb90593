"""At start: what the archive, the disk and the spool say of the exposures that a crash cut short.

A frame that was kept and recorded goes on with its journey. One that is complete on disk, but whose record the
crash prevented, is recorded now. An exposure without pixels is noted as interrupted. Nothing is deleted but
half-written temporary files.
"""

import logging
from functools import partial
from pathlib import Path

from astrod.archive.archive import Archive
from astrod.config.settings import StorageSettings
from astrod.core import Core, resume_frames
from astrod.domain.exposure import Intent, Taken
from astrod.frames.store import FrameStore

log = logging.getLogger(__name__)


def _swept(root: Path) -> FrameStore:
    """Sweep up half-written files before anything is kept."""
    store = FrameStore(root)
    for leftover in store.sweep():
        log.warning("removed the half-written %s", leftover)
    return store


async def reconcile(core: Core, storage: StorageSettings) -> None:
    """Bring archive and disk together, then finish what was under way."""
    store = await core.recording(lambda _: _swept(storage.data_dir))
    unfinished = await core.recording(lambda archive: archive.unfinished())
    waiting: list[tuple[Intent, Taken]] = []
    for intent in unfinished:
        taken = await core.recording(partial(_found, store, intent))
        if taken is not None:
            waiting.append((intent, taken))
        else:
            await _interrupted(core, intent)
    waiting += await core.recording(_unjudged)
    for leftover in sorted(storage.spool_dir.glob("*")):
        if leftover.is_file():
            leftover.unlink()
            log.warning("removed spooled pixels of an interrupted exposure: %s", leftover.name)
    core.trace.note("reconciled", unfinished=len(unfinished), resumed=len(waiting))
    await resume_frames(core, waiting)


def _found(store: FrameStore, intent: Intent, _: Archive) -> Taken | None:
    return store.find(intent.id)


def _unjudged(archive: Archive) -> list[tuple[Intent, Taken]]:
    rows = [(taken, archive.frame(taken.id)) for taken in archive.taken_unjudged()]
    return [(row.intent, taken) for taken, row in rows if row is not None]


async def _interrupted(core: Core, intent: Intent) -> None:
    now_us = core.clock.now_us()
    await core.recording(
        lambda archive: archive.end_exposure(intent.id, "interrupted", "the daemon ended in mid exposure", now_us)
    )
