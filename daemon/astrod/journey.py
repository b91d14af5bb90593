"""A frame's way: validity gate, keep, record *taken*, measure and judge, record *judged*, tell the planner.

Recorded before acted on, so a crash can repeat a step and never lose one. Steps are idempotent by exposure id;
`resume` takes a frame up that a crash left on disk, `adopt` one that it left in the spool.
"""

import asyncio
import logging
import math
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from astrod.archive.archive import Archive
from astrod.config.settings import ModelSettings
from astrod.curation import ANOMALY, ENGINE, QUALITY, tell_choice
from astrod.domain.calibration import needed_by
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
    Strangeness,
    Taken,
)
from astrod.errors import InputInvalid
from astrod.frames.admission import REMEMBERED, Circumstances, Kept, Quarantined, admit, set_aside
from astrod.frames.header import FrameFacts
from astrod.frames.landing import Landed, landed, vouch, withdraw
from astrod.health import Health
from astrod.recording import Recording, insist
from astrod.rig.exposing import Exposed
from astrod.runtime.clock import Clock
from astrod.runtime.offload import Cost, Offload, WorkerLost
from astrod.runtime.trace import Trace
from astrod.versions import engine_fault, in_force

log = logging.getLogger(__name__)

LANE = "frames"
POISON = 2
"""A frame that killed so many workers is put aside unread."""
DISTRUST = 3
"""After so many frames in a row that the camera spoiled, its driver is not believed any more."""
KEEP = Cost(modelled_s=0.8, deadline_s=60.0)
APPRAISE = Cost(modelled_s=2.5, deadline_s=60.0)
NO_MEASURE = Measured(stars=0, background=None, noise=None, fwhm_px=None, elongation=None)


Camera = tuple[str, str]
"""A camera, by its rig and train."""

REFUSED: dict[str, Consequence] = {"mount": "check_tracking_and_retake", "light": "retake_once"}
"""What a refusal by the gate leads to, by who is to blame; else the frame is taken again as if it had not been."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a frame ended: kept or rejected with its verdict, or quarantined (`judgement` None) and why.

    `off_target_arcmin` is how far it was from its target by its own stars; None where they do not say.
    `overflowed`: its pixels were full.
    """

    intent: Intent
    judgement: Judgement | None
    measured: Measured | None
    consequence: Consequence
    reason: str = ""
    off_target_arcmin: float | None = None
    overflowed: bool = False

    @property
    def kept(self) -> bool:
        return self.judgement is not None and self.judgement.decision == "keep"


@dataclass(frozen=True, slots=True)
class Seen:
    """What measuring and judging say of a frame, and the numbers that its judge was shown.

    `taught` is what its camera's frames have taught so far, packed. `passed_over` is why the owner's version of the
    model did not judge it, `engine_fault` why the CPU ran it all the same; None where all is as they chose.
    """

    measured: Measured
    judgement: Judgement
    features: Mapping[str, float] = field(default_factory=dict)
    passed_over: str | None = None
    engine_fault: str | None = None
    strangeness: Strangeness | None = None
    taught: bytes | None = None


def see_frame(path: Path, models: ModelSettings, taught: bytes | None = None) -> Seen:
    """In the worker: measure and judge. Imported there, so that this process stays small.

    `taught` is what frames of this camera taught before (b"" where none did); None: it neither knows nor learns.
    """
    from astrod.appraise import appraise
    from astrod.judge import Usual

    usual = None if taught is None else Usual.unpacked(taught)
    if not models.enabled:
        appraisal = appraise(path, models.folder, enabled=False)
        return Seen(appraisal.measured, appraisal.judgement, dict(appraisal.features))
    engine = engine_fault(models)
    version, strange = in_force(models, QUALITY), in_force(models, ANOMALY)
    appraisal = appraise(path, version.folder, usual=usual, anomaly_weights=strange.folder)
    return Seen(
        appraisal.measured,
        appraisal.judgement,
        dict(appraisal.features),
        version.passed_over,
        engine,
        appraisal.strangeness,
        None if usual is None else usual.packed(),
    )


def see_calibration(path: Path, kind: FrameKind) -> Seen:
    """In the worker: the level of a calibration frame. No model judges it: it shows no sky."""
    from astrod.appraise import appraise_calibration

    measured, fault = appraise_calibration(path, dark=kind in SHUT)
    decision: Decision = "reject" if fault else "keep"
    judgement = Judgement(0.0 if fault else 100.0, decision, "unknown" if fault else "none", {}, f"{kind} level")
    if fault:
        log.warning("%s: %s", path.name, fault)
    return Seen(measured, judgement)


def doubted(judgement: Judgement) -> Judgement:
    """The verdict on a frame whose field cannot be found in it, though it was just before.

    Streaks are then taken for the stars: those of a mount that has stopped tracking cross the whole field in a long
    exposure, and look like satellites.
    """
    if judgement.decision == "keep" and judgement.cause == "streak":
        return replace(judgement, decision="reject", cause="trailing")
    return judgement


AfterVerdict = Callable[[Intent, Path], None]
"""Told of each light frame that was judged and of its file, when no other frame waits; must not wait itself."""


def nothing_more(intent: Intent, path: Path) -> None:
    """For journeys that end with the verdict."""
    log.debug("%s: %s is judged", intent.id, path.name)


Distrust = Callable[[Intent, str], Awaitable[None]]
"""Have the camera of that exposure started anew, for that reason."""


async def trust_always(intent: Intent, reason: str) -> None:
    """For journeys whose camera nobody can start anew."""
    log.warning("%s: %s", intent.id, reason)


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
        distrust: Distrust = trust_always,
        off_target_arcmin: Callable[[Exposed], Awaitable[float | None]] | None = None,
        knows_field: Callable[[Intent], bool] = lambda intent: False,
        after_verdict: AfterVerdict = nothing_more,
    ) -> None:
        """`off_target_arcmin` asks a light frame's own stars how far it is from its target; `knows_field` tells whether
        frames of that field were recognised just before.
        """
        self._off_target_arcmin, self._knows_field = off_target_arcmin, knows_field
        self._root, self._models = root, models
        self._offload, self._recording = offload, recording
        self._facts, self._circumstances = facts, circumstances
        self._health, self._trace, self._clock = health, trace, clock
        self._distrust, self._after_verdict = distrust, after_verdict
        self._under_way = 0
        self._digests: dict[Camera, tuple[str, ...]] = {}
        self._turns: dict[Camera, asyncio.Lock] = {}
        self._spoiled: dict[Camera, int] = {}
        self._taught: dict[Camera, bytes] = {}

    async def walk(self, exposed: Exposed) -> Outcome:
        """The whole way of a frame that has just been read out."""
        frame = landed(exposed.raw, self._facts(exposed), self._circumstances(exposed, ()))
        vouch(frame)
        off_arcmin = await self._ask_stars(exposed)
        if off_arcmin is not None:  # the sky's word on the pointing outranks the mount's
            frame = replace(frame, seen=replace(frame.seen, off_target_arcmin=off_arcmin))
        lost = off_arcmin is None and exposed.intent.kind == "light" and self._knows_field(exposed.intent)
        return replace(await self.adopt(exposed.intent, frame, lost), off_target_arcmin=off_arcmin)

    async def _ask_stars(self, exposed: Exposed) -> float | None:
        if self._off_target_arcmin is None or exposed.intent.kind != "light":
            return None
        return await self._off_target_arcmin(exposed)

    async def adopt(self, intent: Intent, frame: Landed, lost: bool = False) -> Outcome:
        """The whole way of a frame that lies in the spool and is vouched for, since now or since before a crash.

        `lost`: its field was recognised just before, and is not in this frame.
        """
        camera = (intent.rig, intent.train)
        async with self._turns.setdefault(camera, asyncio.Lock()):  # each frame knows those before it
            recent = await self._recent(camera)
            dark_adu, dark_noise_adu = await self._dark_level(intent)
            seen = replace(frame.seen, recent=recent, dark_adu=dark_adu, dark_noise_adu=dark_noise_adu)
            admitted = await self._admit(replace(frame, seen=seen))
            if isinstance(admitted, Kept):
                self._digests[camera] = (*recent, admitted.pixels_digest)[-REMEMBERED:]
        if isinstance(admitted, Quarantined):
            return await self._quarantined(intent, frame, admitted)
        self._spoiled[camera] = 0
        return await self._from_kept(intent, admitted.taken, frame, admitted.pixels_digest, lost)

    async def resume(self, intent: Intent, taken: Taken) -> Outcome:
        """The rest of the way of a frame that a crash left on disk, unjudged."""
        return await self._from_kept(intent, taken, None, None)

    async def look(self, exposed: Exposed) -> Seen:
        """Judge a test or focus frame and let it go; it is recorded as taken, not kept on disk."""
        seen = await self._appraise(exposed.raw.path, exposed.intent.kind)
        await self.let_go(exposed)
        return seen

    async def let_go(self, exposed: Exposed) -> None:
        """A frame that has served its purpose: recorded as seen, its pixels removed."""
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
        withdraw(exposed.raw)

    async def _recent(self, camera: Camera) -> tuple[str, ...]:
        """The digests of a camera's last frames; those before this run of the daemon come from the archive."""
        if camera not in self._digests:
            rig, train = camera
            self._digests[camera] = await insist(
                self._clock,
                self._health,
                "AST-303",
                lambda: self._recording(lambda archive: archive.recent_digests(rig, train, REMEMBERED)),
            )
        return self._digests[camera]

    async def _dark_level(self, intent: Intent) -> tuple[float | None, float | None]:
        """What the camera gives without light, by its newest dark or bias like this frame; None where it has none."""
        if intent.kind != "light":
            return None, None
        dark = next(recipe for recipe in needed_by(intent) if recipe.kind == "dark")
        return await insist(
            self._clock,
            self._health,
            "AST-303",
            lambda: self._recording(lambda archive: archive.dark_level(dark)),
        )

    async def _admit(self, frame: Landed) -> Kept | Quarantined:
        """Through the gate and onto the disk, however long the disk refuses; or aside, when it kills workers."""
        killed = 0

        async def once() -> Kept | Quarantined:
            nonlocal killed
            raw, facts = frame.raw, frame.facts
            if killed >= POISON:
                reason = f"reading it killed the worker {killed} times"
                return await self._offload.run(LANE, KEEP, set_aside, self._root, raw.path, facts, reason)
            try:
                return await self._offload.run(LANE, KEEP, admit, self._root, raw.path, raw.format, facts, frame.seen)
            except WorkerLost:
                killed += 1
                raise

        return await insist(self._clock, self._health, "AST-301", once)

    async def _from_kept(
        self, intent: Intent, taken: Taken, frame: Landed | None, pixels_digest: str | None, lost: bool = False
    ) -> Outcome:
        self._under_way += 1
        try:
            outcome = await self._judge_kept(intent, taken, frame, pixels_digest, lost)
        finally:
            self._under_way -= 1
        if intent.kind == "light" and not self._under_way:
            self._after_verdict(intent, self._root / taken.path)
        return outcome

    async def _judge_kept(
        self, intent: Intent, taken: Taken, frame: Landed | None, pixels_digest: str | None, lost: bool
    ) -> Outcome:
        now_us = self._clock.now_us
        await insist(
            self._clock,
            self._health,
            "AST-303",
            lambda: self._recording(lambda archive: _record_taken(archive, taken, now_us(), pixels_digest, frame)),
        )
        self._trace.note("taken", id=str(taken.id), sha256=taken.sha256)
        if frame is not None:
            withdraw(frame.raw)
        seen = await self._appraise(self._root / taken.path, intent.kind, (intent.rig, intent.train))
        if lost:
            seen = replace(seen, judgement=doubted(seen.judgement))
        await insist(
            self._clock,
            self._health,
            "AST-303",
            lambda: self._recording(
                lambda archive: archive.record_judged(taken.id, seen.measured, seen.judgement, now_us(), seen.features)
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
        if intent.kind == "light":
            self._tell_of_optics(intent, judgement)
        return Outcome(intent, judgement, seen.measured, CONSEQUENCES[judgement.cause][1])

    def _tell_of_optics(self, intent: Intent, judgement: Judgement) -> None:
        """What no retake and no waiting mends is told, until a frame of that camera is free of it."""
        subject = f"{intent.rig}/{intent.train}"
        if judgement.cause in ("pixels", "leak", "dew"):
            told = judgement.why[0] if judgement.why else f"{judgement.issues.get(judgement.cause, 0.0):.0%} likely"
            self._health.found("AST-406", f"{subject}: {judgement.cause}: {told}", subject)
        elif judgement.decision == "keep":
            self._health.mended("AST-406", subject)

    async def _appraise(self, path: Path, kind: FrameKind, camera: Camera | None = None) -> Seen:
        """Measure and judge. A worker that dies twice over one frame leaves it judged as unknown.

        `camera` is given for light frames that are kept: they teach what is usual for it.
        """
        taught = self._taught.get(camera, b"") if camera is not None else None
        for _ in range(2):
            try:
                if kind in CALIBRATION:
                    return await self._offload.run(LANE, KEEP, see_calibration, path, kind)
                seen = await self._offload.run(LANE, APPRAISE, see_frame, path, self._models, taught)
            except WorkerLost as fault:
                self._health.found("AST-402", str(fault))
            except InputInvalid as fault:
                return _unjudged(str(fault))
            else:
                self._health.mended("AST-402")
                self._tell_stand_in(seen)
                if camera is not None:
                    self._tell_strange(path, camera, seen)
                return seen
        return _unjudged("the judging worker died over this frame twice")

    def _tell_strange(self, path: Path, camera: Camera, seen: Seen) -> None:
        """Something that no fault explains is told until a frame of that camera is free of it."""
        if seen.taught is not None:
            self._taught[camera] = seen.taught
        subject, strange = "/".join(camera), seen.strangeness
        if strange is None or not strange.flag or seen.judgement.decision == "reject":
            self._health.mended("AST-407", subject)  # a rejected frame is strange for a reason that is told already
            return
        where = f"around pixel {strange.tiles[0].x}, {strange.tiles[0].y}" if strange.tiles else "all over"
        self._trace.note("strange", frame=path.name, score=round(strange.score, 2), parts=len(strange.tiles))
        self._health.found("AST-407", f"{subject}: {path.name}: {where}, against {strange.basis}", subject)

    def _tell_stand_in(self, seen: Seen) -> None:
        if seen.judgement.model.startswith("classical"):
            self._health.found("AST-401", f"frames are judged by {seen.judgement.model}")
        else:
            self._health.mended("AST-401")
        tell_choice(self._health, QUALITY, seen.passed_over)
        tell_choice(self._health, ENGINE, seen.engine_fault)

    async def _quarantined(self, intent: Intent, frame: Landed, found: Quarantined) -> Outcome:
        await insist(
            self._clock,
            self._health,
            "AST-303",
            lambda: self._recording(
                lambda archive: archive.quarantined(intent.id, found.path, found.reason, self._clock.now_us())
            ),
        )
        self._health.found("AST-302", f"{intent.id}: {found.reason}")
        self._trace.note("quarantined", id=str(intent.id), why=found.reason)
        withdraw(frame.raw)
        if found.culprit == "camera":
            await self._count_spoiled(intent, found.reason)
        consequence = "none" if found.full else REFUSED.get(found.culprit, "none")  # the next one will be shorter
        return Outcome(intent, None, None, consequence, found.reason, overflowed=found.full)

    async def _count_spoiled(self, intent: Intent, reason: str) -> None:
        camera = (intent.rig, intent.train)
        self._spoiled[camera] = self._spoiled.get(camera, 0) + 1
        if self._spoiled[camera] >= DISTRUST:
            self._spoiled[camera] = 0
            await self._distrust(intent, f"{DISTRUST} frames in a row were refused, the last because {reason}")


def _record_taken(archive: Archive, taken: Taken, at_us: int, pixels_digest: str | None, frame: Landed | None) -> None:
    """The frame and how it was guided, in one transaction; a frame resumed from the disk has no more to tell."""
    with archive.together():
        archive.record_taken(taken, at_us, pixels_digest)
        if frame is None:
            return
        ra, dec = frame.facts.guide_rms_ra_arcsec, frame.facts.guide_rms_dec_arcsec
        if ra is not None and dec is not None and math.isfinite(ra) and math.isfinite(dec):
            archive.record_guided(taken.id, ra, dec)


def _unjudged(why: str) -> Seen:
    log.warning("a frame could not be judged: %s", why)
    judgement = Judgement(quality=0.0, decision="reject", cause="unknown", issues={}, model="none")
    return Seen(measured=NO_MEASURE, judgement=judgement)
