"""A crash at every step of a frame's journey: what the next start makes of it."""

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from astrod.archive.archive import Archive
from astrod.config.load import load
from astrod.daemon import resolve_name
from astrod.domain.exposure import Intent, Judgement, Measured, Taken
from astrod.domain.identity import Night
from astrod.errors import TellOperator
from astrod.frames.admission import Circumstances
from astrod.frames.landing import SUFFIX, landed, vouch, vouched
from astrod.frames.store import FrameStore
from astrod.reconcile import reconcile
from astrod.rehearsal.night import SMALL, PlayedNight
from astrod.rehearsal.observatory import Play, write_simulated
from astrod.rehearsal.sites import known
from astrod.runtime.clock import VirtualLoop, run_virtual
from astrod_drivers.protocols import Permit, RawFrame
from tests.frames.exposures import exposure_of

NIGHT = Night.parse("2026-12-14")
STEPS = ("begun", "exposed", "landed", "kept", "recorded", "judged")

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("reconcile")]


def crash_after(step: str, archive: Archive, root: Path, spool: Path) -> Intent:
    """Leave archive, disk and spool as a daemon that died right after this step would."""
    facts = exposure_of(1)
    intent = archive.begin_exposure(
        "pujalt", NIGHT, kind="light", rig="main", train="main", exposure_s=300.0, at_us=1, request="M 42/1", filter="L"
    )
    assert intent.id == facts.intent.id
    reached = STEPS.index(step)
    pixels = spool / f"{intent.id}.npy"
    if reached >= 1:
        np.save(pixels, np.random.default_rng(1).normal(1000.0, 20.0, (SMALL[1], SMALL[0])).astype(np.uint16))
    if step == "landed":
        seen = Circumstances(*SMALL[:2], facts.started_us, facts.started_us + 302_000_000, True, 1.0, 10.0)
        vouch(landed(RawFrame(str(intent.id), pixels, "npy", facts.started_us, 0, 300.0), facts, seen))
    if reached >= 3:
        taken = FrameStore(root).keep(pixels, "npy", facts)
    if reached >= 4:
        archive.record_taken(taken, 2)
    if reached >= 5:
        seen = Measured(stars=9, background=1000.0, noise=20.0, fwhm_px=2.0, elongation=1.1)
        archive.record_judged(intent.id, seen, Judgement(90.0, "keep", "none", {}, "test"), 3)
    return intent


def restarted(folder: Path, step: str) -> tuple[Any, dict[str, int], list[str]]:
    """Crash after a step, start again twice: the archive's row, frames kept by request, files on disk."""
    spool = folder / "spool"
    spool.mkdir()
    write_simulated(folder, known("pujalt"), Play(1, "clear", *SMALL), spool)
    loaded = load(folder, resolve_name)
    storage = loaded.settings.storage
    storage.data_dir.mkdir(parents=True, exist_ok=True)

    async def start(loop: VirtualLoop, crash: bool) -> tuple[Any, dict[str, int]]:
        played = PlayedNight(loaded, loop, NIGHT, spool, 2.0, alone=True)
        try:
            if crash:
                intent = crash_after(step, played.archive, storage.data_dir, spool)
                half = storage.data_dir / "frames" / str(NIGHT) / "half.fits.part"
                half.parent.mkdir(parents=True, exist_ok=True)
                half.write_bytes(b"SIMPLE")
            await reconcile(played.core, storage)
            rows = played.archive.frames(NIGHT)
            assert len(rows) == 1
            assert not crash or rows[0].intent.id == intent.id
            return rows[0], dict(played.core.schedule.kept)
        finally:
            played.close()

    first, kept = run_virtual(lambda loop: start(loop, True))
    again, _ = run_virtual(lambda loop: start(loop, False))
    assert again == first
    assert list(spool.iterdir()) == []
    files = sorted(path.name for path in (storage.data_dir / "frames").rglob("*.fits"))
    return first, kept, files


@pytest.mark.parametrize("step", ["begun", "exposed"])
def test_an_exposure_without_a_frame_is_interrupted(tmp_path: Path, step: str) -> None:
    row, _, files = restarted(tmp_path, step)
    assert (row.outcome, row.taken, row.judgement, files) == ("interrupted", None, None, [])


@pytest.mark.parametrize("step", ["landed", "kept", "recorded"])
def test_a_frame_on_disk_goes_on_to_its_verdict(tmp_path: Path, step: str) -> None:
    row, _, files = restarted(tmp_path, step)
    assert isinstance(row.taken, Taken)
    assert row.judgement is not None
    assert files == [Path(row.taken.path).name]
    assert row.judgement.decision == "reject"  # noise, without a star


def test_a_frame_that_was_judged_is_left_alone(tmp_path: Path) -> None:
    row, kept, files = restarted(tmp_path, "judged")
    assert row.judgement is not None
    assert (row.judgement.model, kept, len(files)) == ("test", {}, 1)


@pytest.mark.parametrize("harm", ["shorter", "gone", "no note", "nonsense"])
def test_pixels_are_taken_up_only_where_a_whole_note_vouches_for_all_of_them(tmp_path: Path, harm: str) -> None:
    facts, pixels = exposure_of(1), tmp_path / "pujalt-20261214-00001.npy"
    pixels.write_bytes(b"x" * 1000)
    frame = landed(
        RawFrame(str(facts.intent.id), pixels, "npy", facts.started_us, 0, 300.0),
        facts,
        Circumstances(96, 64, 1, 2, None, None, 10.0),
    )
    vouch(frame)
    assert vouched(tmp_path) == [frame]
    note = tmp_path / f"{facts.intent.id}{SUFFIX}"
    if harm == "shorter":
        pixels.write_bytes(b"x" * 999)
    elif harm == "gone":
        pixels.unlink()
    elif harm == "no note":
        note.unlink()
    else:
        note.write_text(note.read_text()[:100])
    assert vouched(tmp_path) == []


class Observatory:
    """A played night's parts with the clock at some hour, and no devices kept but the mount."""

    def __init__(self, folder: Path) -> None:
        self.spool = folder / "spool"
        self.spool.mkdir()
        write_simulated(folder, known("pujalt"), Play(1, "clear", *SMALL), self.spool)
        self.loaded = load(folder, resolve_name)
        self.storage = self.loaded.settings.storage
        self.storage.data_dir.mkdir(parents=True, exist_ok=True)

    def play(self, story: Callable[[PlayedNight], Awaitable[None]]) -> None:
        """Tell a story in it."""

        async def run(loop: VirtualLoop) -> None:
            played = PlayedNight(self.loaded, loop, NIGHT, self.spool, 2.0, alone=True)
            mount = next(port for port in played.core.ports() if port.kind == "mount")
            keeping = asyncio.create_task(mount.keep())
            try:
                await story(played)
            finally:
                keeping.cancel()
                await asyncio.wait({keeping})
                played.close()

        run_virtual(run)


def test_a_slew_that_a_crash_left_under_way_is_stopped_and_its_intent_ended(tmp_path: Path) -> None:
    observatory = Observatory(tmp_path)

    async def story(played: PlayedNight) -> None:
        telescope = played.core.telescopes["main"]
        assert await telescope.mount.found(10.0)
        permit = Permit(played.gate.become_safe())
        played.gate.bar_slews(False)
        await telescope.unpark(permit)
        await played.clock.sleep(1.0)
        await telescope.mount.call("slew", lambda mount: mount.slew(10.0, 60.0, permit))
        number = played.archive.begin_command("main mount", "slew to 10 60", 1)
        played.archive.begin_command("roof", "open", 2)
        assert (await telescope.read_mount()).slewing
        await reconcile(played.core, observatory.storage)
        assert not (await telescope.read_mount()).slewing
        assert played.archive.unfinished_commands() == []
        said = {note["device"]: note["outcome"] for note in played.core.trace.notes if note["what"] == "command"}
        assert said["main mount"] == "it was still slewing, and was stopped"
        played.archive.end_command(number, "another word", 9)
        assert played.archive.unfinished_commands() == []

    observatory.play(story)


def test_an_intent_is_on_disk_before_the_command_and_ended_after_it(tmp_path: Path) -> None:
    observatory = Observatory(tmp_path)

    async def story(played: PlayedNight) -> None:
        telescope = played.core.telescopes["main"]
        assert await telescope.mount.found(10.0)
        permit = Permit(played.gate.become_safe())
        played.gate.bar_slews(False)
        await telescope.unpark(permit)
        await played.clock.sleep(1.0)
        slewing = asyncio.create_task(telescope.slew(10.0, 60.0, permit))
        while not (await telescope.read_mount()).slewing:
            await played.clock.sleep(0.1)
        assert [command.what for command in played.archive.unfinished_commands()] == ["slew to 10.0000 +60.0000"]
        await slewing
        await played.clock.sleep(1.0)
        assert played.archive.unfinished_commands() == []

    observatory.play(story)


def test_an_exposure_that_is_cancelled_while_it_is_recorded_is_ended(tmp_path: Path) -> None:
    observatory = Observatory(tmp_path)

    async def story(played: PlayedNight) -> None:
        intents = played.core.observers["main"]._intents
        beginning = asyncio.create_task(_begin(intents))
        await played.clock.sleep(0.001)
        beginning.cancel()
        await asyncio.wait({beginning})
        assert beginning.cancelled()
        await played.clock.sleep(1.0)
        (row,) = played.archive.frames()
        assert (row.outcome, row.reason) == ("aborted", "aborted")

    observatory.play(story)


async def _begin(intents: Any) -> None:
    await intents.begin("focus", "main", "main", 4.0, None, None)


def test_the_record_of_a_night_that_ended_while_the_daemon_was_dead_is_closed(tmp_path: Path) -> None:
    observatory = Observatory(tmp_path)

    async def story(played: PlayedNight) -> None:
        before = Night.parse("2026-12-12")
        for night in (before, NIGHT):
            played.archive.open_night(night, 1)
        await reconcile(played.core, observatory.storage)
        assert played.archive.open_nights() == [NIGHT]  # this one is still to come
        assert played.archive.summary(before) is not None
        await played.clock.sleep((played.dark.dawn_us - played.clock.now_us()) / 1e6 + 60.0)
        await reconcile(played.core, observatory.storage)
        assert played.archive.open_nights() == []
        summary = played.archive.summary(NIGHT)
        assert summary is not None and summary["frames"]["taken"] == 0

    observatory.play(story)


def test_a_daemon_that_starts_on_a_full_disk_says_so_and_goes_on(tmp_path: Path) -> None:
    observatory = Observatory(tmp_path)

    async def story(played: PlayedNight) -> None:
        assert await played.core.telescopes["main"].mount.found(10.0)
        played.archive.open_night(Night.parse("2026-12-12"), 1)
        played.archive.begin_command("main mount", "unpark", 1)
        asked: list[bool] = []
        whole = played.core.recording

        async def full(action: Any) -> Any:
            if asked or "end_command" in str(action) or "close_night" in str(action):
                raise TellOperator("no space left on the disk")
            return await whole(action)

        played.core.recording = full  # type: ignore[assignment]
        reconciling = asyncio.create_task(reconcile(played.core, observatory.storage, lambda: asked.append(True)))
        await played.clock.sleep(20.0)
        assert asked == [True]
        assert [finding.code for finding in played.core.health.findings] == ["AST-303"]
        reconciling.cancel()
        await asyncio.wait({reconciling})

    observatory.play(story)
