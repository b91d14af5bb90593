"""A frame's way: validity gate, keep, record *taken*, measure and judge, record *judged*, tell the planner.

Recorded before acted on, so a crash can repeat a step and never lose one. Steps are idempotent by exposure id;
`resume` takes a frame up where a crash left it.
"""

import logging
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from astrod.config.settings import ModelSettings
from astrod.domain.exposure import (
    CALIBRATION,
    CONSEQUENCES,
    SHUT,
    Consequence,
    Decision,
    FrameKind,
    Intent,
    Judgement,
    Measured,
    Taken,
)
from astrod.errors import InputInvalid
from astrod.frames.admission import Circumstances, Kept, Quarantined, admit
from astrod.frames.header import FrameFacts
from astrod.health import Health
from astrod.recording import Recording, insist
from astrod.rig.exposing import Exposed
from astrod.runtime.clock import Clock
from astrod.runtime.offload import Cost, Offload, WorkerLost
from astrod.runtime.trace import Trace

log = logging.getLogger(__name__)

LANE = "frames"
KEEP = Cost(modelled_s=0.8, deadline_s=60.0)
APPRAISE = Cost(modelled_s=2.5, deadline_s=60.0)
NO_MEASURE = Measured(stars=0, background=None, noise=None, fwhm_px=None, elongation=None)


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a frame ended: kept or rejected with its verdict, or quarantined (`judgement` None) and why."""

    intent: Intent
    judgement: Judgement | None
    measured: Measured | None
    consequence: Consequence
    reason: str = ""

    @property
    def kept(self) -> bool:
        return self.judgement is not None and self.judgement.decision == "keep"


@dataclass(frozen=True, slots=True)
class Seen:
    """What measuring and judging say of a frame."""

    measured: Measured
    judgement: Judgement


def see_frame(path: Path, models: ModelSettings) -> Seen:
    """In the worker: measure and judge. Imported there, so that this process stays small."""
    from astrod.appraise import appraise

    appraisal = appraise(path, models.folder, models.enabled)
    return Seen(appraisal.measured, appraisal.judgement)


def see_calibration(path: Path, kind: FrameKind) -> Seen:
    """In the worker: the level of a calibration frame. No model judges it: it shows no sky."""
    from astrod.appraise import appraise_calibration

    measured, fault = appraise_calibration(path, dark=kind in SHUT)
    decision: Decision = "reject" if fault else "keep"
    judgement = Judgement(0.0 if fault else 100.0, decision, "unknown" if fault else "none", {}, f"{kind} level")
    if fault:
        log.warning("%s: %s", path.name, fault)
    return Seen(measured, judgement)


class Journey:
    """Walks frames past the stations. One for a site; any number of frames at once."""

    def __init__(
        self,
        root: Path,
        models: ModelSettings,
        offload: Offload,
        recording: Recording,
        facts: Callable[[Exposed], FrameFacts],
        circumstances: Callable[[Exposed, tuple[str, ...]], Circumstances],
        health: Health,
        trace: Trace,
        clock: Clock,
    ) -> None:
        self._root, self._models = root, models
        self._offload, self._recording = offload, recording
        self._facts, self._circumstances = facts, circumstances
        self._health, self._trace, self._clock = health, trace, clock
        self._recent: tuple[str, ...] = ()

    async def walk(self, exposed: Exposed) -> Outcome:
        """The whole way of a frame that has just been read out."""
        admitted = await insist(self._clock, self._health, "AST-301", lambda: self._admit(exposed))
        if isinstance(admitted, Quarantined):
            return await self._quarantined(exposed, admitted)
        self._recent = (*self._recent, admitted.pixels_digest)[-8:]
        return await self._from_kept(exposed.intent, admitted.taken, exposed.raw.path)

    async def resume(self, intent: Intent, taken: Taken) -> Outcome:
        """The rest of the way of a frame that a crash left on disk, unjudged."""
        return await self._from_kept(intent, taken, None)

    async def look(self, exposed: Exposed) -> Seen:
        """Judge a test or focus frame and let it go; it is recorded as taken, not kept on disk."""
        seen = await self._appraise(exposed.raw.path)
        await insist(
            self._clock,
            self._health,
            "AST-303",
            lambda: self._recording(
                lambda archive: archive.end_exposure(
                    exposed.intent.id, "seen", f"{exposed.intent.kind} frame, not kept", self._clock.now_us()
                )
            ),
        )
        self._discard(exposed.raw.path)
        return seen

    async def _admit(self, exposed: Exposed) -> Kept | Quarantined:
        raw = exposed.raw
        return await self._offload.run(
            LANE,
            KEEP,
            admit,
            self._root,
            raw.path,
            raw.format,
            self._facts(exposed),
            self._circumstances(exposed, self._recent),
        )

    async def _from_kept(self, intent: Intent, taken: Taken, pixels: Path | None) -> Outcome:
        now_us = self._clock.now_us
        await insist(
            self._clock,
            self._health,
            "AST-303",
            lambda: self._recording(lambda archive: archive.record_taken(taken, now_us())),
        )
        self._trace.note("taken", id=str(taken.id), sha256=taken.sha256)
        if pixels is not None:
            self._discard(pixels)
        seen = await self._appraise(self._root / taken.path, intent.kind)
        await insist(
            self._clock,
            self._health,
            "AST-303",
            lambda: self._recording(
                lambda archive: archive.record_judged(taken.id, seen.measured, seen.judgement, now_us())
            ),
        )
        return self._outcome(intent, seen)

    def _outcome(self, intent: Intent, seen: Seen) -> Outcome:
        judgement = seen.judgement
        self._trace.note(
            "judged",
            id=str(intent.id),
            decision=judgement.decision,
            cause=judgement.cause,
            quality=round(judgement.quality, 1),
            stars=seen.measured.stars,
        )
        consequence = CONSEQUENCES[judgement.cause][1] if judgement.decision == "reject" else "none"
        return Outcome(intent, judgement, seen.measured, consequence)

    async def _appraise(self, path: Path, kind: FrameKind = "light") -> Seen:
        """Measure and judge. A worker that dies twice over one frame leaves it judged as unknown."""
        for _ in range(2):
            try:
                if kind in CALIBRATION:
                    return await self._offload.run(LANE, KEEP, see_calibration, path, kind)
                seen = await self._offload.run(LANE, APPRAISE, see_frame, path, self._models)
            except WorkerLost as fault:
                self._health.found("AST-402", str(fault))
            except InputInvalid as fault:
                return _unjudged(str(fault))
            else:
                self._health.mended("AST-402")
                self._tell_stand_in(seen)
                return seen
        return _unjudged("the judging worker died over this frame twice")

    def _tell_stand_in(self, seen: Seen) -> None:
        if seen.judgement.model.startswith("classical"):
            self._health.found("AST-401", f"frames are judged by {seen.judgement.model}")
        else:
            self._health.mended("AST-401")

    async def _quarantined(self, exposed: Exposed, found: Quarantined) -> Outcome:
        await insist(
            self._clock,
            self._health,
            "AST-303",
            lambda: self._recording(
                lambda archive: archive.quarantined(exposed.intent.id, found.path, found.reason, self._clock.now_us())
            ),
        )
        self._health.found("AST-302", f"{exposed.intent.id}: {found.reason}")
        self._trace.note("quarantined", id=str(exposed.intent.id), why=found.reason)
        self._discard(exposed.raw.path)
        return Outcome(exposed.intent, None, None, "retake_once", found.reason)

    def _discard(self, pixels: Path) -> None:
        """Remove raw pixels that are safe elsewhere."""
        try:
            pixels.unlink(missing_ok=True)
        except OSError as fault:
            log.warning("spooled pixels %s cannot be removed: %s", pixels, fault)


def _unjudged(why: str) -> Seen:
    log.warning("a frame could not be judged: %s", why)
    judgement = Judgement(quality=0.0, decision="reject", cause="unknown", issues={}, model="none")
    return Seen(measured=NO_MEASURE, judgement=judgement)
