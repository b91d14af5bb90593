"""At start: what the archive, the disk, the spool and the hardware say of what a crash cut short.

A frame that was kept and recorded goes on with its journey. One that is complete on disk, but whose record the
crash prevented, is recorded now. One that was read out and lies in the spool with a note that vouches for it goes
through the gate now. An exposure without pixels is noted as interrupted. A command toward danger of whose end
nothing is known is ended by what the hardware says. Nights that are over and whose record is open are closed.
Nothing is deleted but half-written temporary files and pixels that nothing vouches for.
"""

import logging
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from astrod.archive.archive import Archive
from astrod.archive.rows import Command
from astrod.config.settings import StorageSettings
from astrod.core import Core, resume_frames
from astrod.domain.exposure import Intent, Taken
from astrod.errors import AstrodError, TellOperator
from astrod.frames.landing import Landed, vouched
from astrod.frames.store import FrameStore
from astrod.recording import insist
from astrod.rig.telescope import Telescope

log = logging.getLogger(__name__)

HARDWARE_S = 10.0
"""How long a mount may take to connect before its command is ended as unknown."""


def _nobody_waits() -> None:
    """Nothing is held back until the hardware has been asked."""


@dataclass(frozen=True, slots=True)
class Left:
    """What the former daemon left, as it was before this one began anything."""

    store: FrameStore
    unfinished: list[Intent]
    unjudged: list[tuple[Intent, Taken]]
    commands: list[Command]
    spooled: list[Path]
    vouched: dict[str, Landed]


def _left(storage: StorageSettings, archive: Archive) -> Left:
    """Look once, in the archive's lane: whatever comes later is this daemon's own. Sweeps half-written files up."""
    store = FrameStore(storage.data_dir)
    try:
        for leftover in store.sweep():
            log.warning("removed the half-written %s", leftover)
    except TellOperator as fault:  # a read-only disk: they do no harm until it is mended
        log.warning("half-written files stay: %s", fault)
    rows = [(taken, archive.frame(taken.id)) for taken in archive.taken_unjudged()]
    return Left(
        store,
        archive.unfinished(),
        [(row.intent, taken) for taken, row in rows if row is not None],
        archive.unfinished_commands(),
        sorted(path for path in storage.spool_dir.glob("*") if path.is_file()),
        {frame.raw.exposure_id: frame for frame in vouched(storage.spool_dir)},
    )


async def reconcile(core: Core, storage: StorageSettings, asked: Callable[[], None] = _nobody_waits) -> None:
    """Bring archive, disk and hardware together, then finish what was under way.

    `asked` is called once the hardware has been asked and left at rest: from then on it may be commanded anew. What
    follows, frames above all, may take as long as it likes.
    """
    left = await core.recording(partial(_left, storage))
    await _end_commands(core, left.commands)
    asked()
    waiting: list[tuple[Intent, Taken]] = []
    adopted: list[tuple[Intent, Landed]] = []
    for intent in left.unfinished:
        taken = await core.recording(partial(_found, left.store, intent))
        if taken is not None:
            waiting.append((intent, taken))
        elif str(intent.id) in left.vouched:
            adopted.append((intent, left.vouched[str(intent.id)]))
        else:
            await _interrupted(core, intent)
    waiting += left.unjudged
    _clear(left.spooled, {str(intent.id) for intent, _ in adopted})
    core.trace.note("reconciled", unfinished=len(left.unfinished), resumed=len(waiting), adopted=len(adopted))
    await resume_frames(core, waiting)
    for intent, frame in adopted:
        log.info("taking up %s, which was read out and not yet written", intent.id)
        core.schedule.settled(await core.journey.adopt(intent, frame))
    for night in await core.close_records():
        log.info("closed the record of the night of %s, which a crash had left open", night)


def _found(store: FrameStore, intent: Intent, _: Archive) -> Taken | None:
    return store.find(intent.id)


async def _interrupted(core: Core, intent: Intent) -> None:
    now_us = core.clock.now_us()
    why = "the daemon ended in mid exposure"
    await insist(
        core.clock,
        core.health,
        "AST-303",
        lambda: core.recording(lambda archive: archive.end_exposure(intent.id, "interrupted", why, now_us)),
    )


def _clear(spooled: Sequence[Path], adopted: Collection[str]) -> None:
    """Remove what the former daemon left in the spool and nothing vouches for."""
    for leftover in spooled:
        if not any(leftover.name.startswith(f"{name}.") for name in adopted):
            leftover.unlink(missing_ok=True)
            log.warning("removed spooled pixels of an interrupted exposure: %s", leftover.name)


# -- commands ------------------------------------------------------------------------------------------------


async def _end_commands(core: Core, commands: Sequence[Command]) -> None:
    """End each command by what its device says now. A mount that still slews for nobody is stopped."""
    by_mount = {telescope.mount.name: telescope for telescope in core.telescopes.values()}
    for command in commands:
        telescope = by_mount.get(command.device)
        outcome = await _mount_says(telescope) if telescope is not None else "the daemon ended before it was over"
        log.warning("%s was told to %s when the daemon ended: %s", command.device, command.what, outcome)
        core.trace.note("command", device=command.device, command=command.what, outcome=outcome)
        now_us = core.clock.now_us()
        end = partial(Archive.end_command, number=command.number, outcome=outcome, at_us=now_us)
        await core.record_if_possible(end)  # nobody may command the hardware before this is over


async def _mount_says(telescope: Telescope) -> str:
    mount = telescope.mount
    if not await mount.found(HARDWARE_S):
        return "nobody knows: the mount does not answer"
    try:
        state = await telescope.read_mount()
        if state.slewing:
            await mount.call("stop the mount", lambda device: device.abort())
            return "it was still slewing, and was stopped"
    except AstrodError as fault:
        return f"nobody knows: {fault}"
    return "it is parked" if state.parked else "it tracks" if state.tracking else "it stands still"
