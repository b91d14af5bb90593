"""A frame's way when the disk is full, a worker dies, or its pixels are no frame."""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import pytest

from astrod.archive.archive import Archive
from astrod.config.settings import ModelSettings
from astrod.domain.exposure import Judgement, Measured
from astrod.domain.identity import Night
from astrod.errors import TellOperator
from astrod.frames.admission import Circumstances
from astrod.frames.header import FrameFacts
from astrod.health import Health
from astrod.journey import Journey, Outcome, Seen
from astrod.recording import AGAIN_S, Recording
from astrod.rig.exposing import Exposed
from astrod.runtime.clock import SimClock, VirtualLoop, run_virtual
from astrod.runtime.offload import Cost, WorkerLost
from astrod.runtime.trace import Trace
from astrod_drivers.protocols import CameraInfo, CameraState, MountState, RawFrame
from tests.frames.exposures import STARTED_US, exposure_of

NIGHT = Night.parse("2026-12-14")
T = TypeVar("T")
GOOD = Seen(Measured(50, 1000.0, 20.0, 2.2, 1.1), Judgement(90.0, "keep", "none", {}, "test"))


@dataclass
class TroubledOffload:
    """Does work at once. `troubles` maps the name of a piece of work to what its next calls raise, in order."""

    clock: SimClock
    troubles: dict[str, list[Exception]] = field(default_factory=dict)
    verdict: Seen = GOOD

    async def run(self, lane: str, cost: Cost, work: Callable[..., T], *args: Any) -> T:
        name = getattr(work, "__name__", "")
        await self.clock.sleep(cost.modelled_s)
        if self.troubles.get(name):
            raise self.troubles[name].pop(0)
        if name == "see_frame":
            return self.verdict  # type: ignore[return-value]
        return work(*args)

    def close(self) -> None:
        """No workers."""


@dataclass
class Walk:
    """How a frame's walk ended, and what is left."""

    outcome: Outcome
    row: Any
    took_s: float
    codes: list[str]
    pixels_left: bool
    said: list[str]


def walk(
    folder: Path,
    troubles: dict[str, list[Exception]],
    pixels: Callable[[Path], None] | None = None,
    verdict: Seen = GOOD,
    off_arcmin: float | None = None,
    known: bool = False,
) -> Walk:
    """Walk one frame of stars and noise, of a field that was `known` before, and which is that far from its target."""

    async def off_target(exposed: Exposed) -> float | None:
        return off_arcmin

    facts = exposure_of(1)
    raw = folder / "raw.npy"
    noise = np.random.default_rng(2).normal(1000.0, 20.0, (64, 96)).astype(np.uint16)
    np.save(raw, noise)
    if pixels is not None:
        pixels(raw)

    async def play(loop: VirtualLoop) -> Walk:
        clock = SimClock(loop, STARTED_US + 400_000_000)
        archive = Archive.open(folder / "archive.db")
        offload = TroubledOffload(clock, troubles, verdict)
        trace = Trace(clock)
        health = Health(clock, trace)
        intent = archive.begin_exposure(
            "pujalt", NIGHT, kind="light", rig="main", train="newton", exposure_s=300.0, at_us=1, request="M 42/1"
        )
        journey = Journey(
            folder,
            ModelSettings(enabled=True, folder=None),
            offload,
            Recording(archive, offload),
            lambda exposed: facts,
            lambda exposed, recent: circumstances(facts, recent),
            health,
            trace,
            clock,
            off_target_arcmin=off_target,
            knows_field=lambda intent: known,
        )
        frame = RawFrame(str(intent.id), raw, "npy", facts.started_us, 3000, 300.0)
        exposed = Exposed(
            intent,
            frame,
            CameraInfo("camera", 96, 64, 4.0, 16),
            CameraState(exposing=False),
            MountState(83.8, -5.4, slewing=False, tracking=True, parked=False),
            None,
            facts.started_us,
            facts.started_us + 302_000_000,
        )
        began_s = clock.monotonic_s()
        try:
            outcome = await journey.walk(exposed)
            took_s = clock.monotonic_s() - began_s
            codes = [finding.code for finding in health.findings]
            said = [note["code"] for note in trace.notes if note["what"] == "trouble"]
            return Walk(outcome, archive.frame(intent.id), took_s, codes, raw.exists(), said)
        finally:
            archive.close()

    return run_virtual(play)  # type: ignore[no-any-return]


def circumstances(facts: FrameFacts, recent: tuple[str, ...]) -> Circumstances:
    return Circumstances(96, 64, facts.started_us, facts.started_us + 302_000_000, True, 1.0, 10.0, recent)


def test_a_plain_walk(tmp_path: Path) -> None:
    told = walk(tmp_path, {})
    assert told.outcome.kept
    assert told.row.kept
    assert (told.codes, told.pixels_left) == ([], False)


@pytest.mark.parametrize(
    ("off_arcmin", "known", "kept"),
    [(None, True, False), (None, False, True), (1.0, True, True)],
    ids=["known and not recognised", "never recognised", "recognised"],
)
def test_lines_where_the_stars_of_a_known_field_should_be_are_no_satellite(
    tmp_path: Path, off_arcmin: float | None, known: bool, kept: bool
) -> None:
    lines = replace(GOOD, judgement=Judgement(90.0, "keep", "streak", {"streak": 1.0}, "test"))
    told = walk(tmp_path, {}, verdict=lines, off_arcmin=off_arcmin, known=known)
    assert told.outcome.kept is told.row.kept is kept
    assert told.row.judgement.cause == ("streak" if kept else "trailing")
    assert told.outcome.consequence == ("none" if kept else "check_tracking_and_retake")


@pytest.mark.parametrize(
    ("verdict", "codes"),
    [
        (replace(GOOD, judgement=replace(GOOD.judgement, model="classical stand-in (no card)")), ["AST-401"]),
        (replace(GOOD, passed_over="quality 9-abc: does not match its card"), ["AST-404"]),
        (replace(GOOD, engine_fault="ONNX Runtime has no cuda here"), ["AST-404"]),
    ],
    ids=["stand-in", "passed over", "no such engine"],
)
def test_who_judges_in_place_of_the_owners_model_is_told(tmp_path: Path, verdict: Seen, codes: list[str]) -> None:
    assert walk(tmp_path, {}, verdict=verdict).codes == codes


def test_the_numbers_that_the_judge_was_shown_are_kept(tmp_path: Path) -> None:
    walk(tmp_path, {}, verdict=replace(GOOD, features={"log_stars": 1.25}))
    archive = Archive.open(tmp_path / "archive.db")
    try:
        assert [row.features for row in archive.judged()] == [{"log_stars": 1.25}]
    finally:
        archive.close()


def test_a_full_disk_is_waited_for_and_loses_nothing(tmp_path: Path) -> None:
    told = walk(tmp_path, {"admit": [TellOperator("no space left on the disk")] * 4})
    assert told.outcome.kept
    assert told.took_s >= 4 * AGAIN_S
    assert told.said == ["AST-301"]
    assert told.codes == []
    assert (tmp_path / told.row.taken.path).is_file()


def test_a_worker_that_dies_once_over_a_frame_is_asked_again(tmp_path: Path) -> None:
    told = walk(tmp_path, {"see_frame": [WorkerLost("it died")]})
    assert told.outcome.kept
    assert (told.said, told.codes) == (["AST-402"], [])


def test_a_frame_that_kills_its_judge_twice_is_kept_on_disk_and_judged_as_unknown(tmp_path: Path) -> None:
    told = walk(tmp_path, {"see_frame": [WorkerLost("it died"), WorkerLost("it died again")]})
    assert not told.outcome.kept
    assert told.outcome.consequence == "retake_once"
    assert told.row.judgement.cause == "unknown"
    assert (tmp_path / told.row.taken.path).is_file()


@pytest.mark.parametrize("spoilt", ["cut short", "a cube", "gone"])
def test_pixels_that_are_no_frame_go_to_quarantine_and_are_not_tried_for_ever(tmp_path: Path, spoilt: str) -> None:
    def spoil(raw: Path) -> None:
        if spoilt == "cut short":
            raw.write_bytes(raw.read_bytes()[:100])
        elif spoilt == "a cube":
            np.save(raw, np.zeros((3, 4, 5), np.uint16))
        else:
            raw.unlink()

    told = walk(tmp_path, {}, spoil)
    assert told.took_s < AGAIN_S
    assert told.outcome.judgement is None
    assert told.row.outcome == "failed"
    assert told.row.quarantine_reason
    assert told.codes == ["AST-302"]
    assert not told.pixels_left
