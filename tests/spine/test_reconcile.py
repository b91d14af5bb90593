"""A crash at every step of a frame's journey: what the next start makes of it."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from astrod.archive.archive import Archive
from astrod.config.load import load
from astrod.daemon import resolve_name
from astrod.domain.exposure import Intent, Judgement, Measured, Taken
from astrod.domain.identity import Night
from astrod.frames.store import FrameStore
from astrod.reconcile import reconcile
from astrod.rehearsal.night import SMALL, PlayedNight
from astrod.rehearsal.observatory import Play, write_simulated
from astrod.rehearsal.sites import known
from astrod.runtime.clock import VirtualLoop, run_virtual
from tests.frames.exposures import exposure_of

NIGHT = Night.parse("2026-12-14")
STEPS = ("begun", "exposed", "kept", "recorded", "judged")

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
    if reached >= 2:
        taken = FrameStore(root).keep(pixels, "npy", facts)
    if reached >= 3:
        archive.record_taken(taken, 2)
    if reached >= 4:
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
        played = PlayedNight(loaded, loop, NIGHT, spool, 2.0)
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


@pytest.mark.parametrize("step", ["kept", "recorded"])
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
