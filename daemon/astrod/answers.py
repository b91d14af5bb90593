"""What the daemon answers at its socket: the read verbs from the core's state, the operator's verbs to it."""

import json
import math
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import Any, get_args

from astrod import __version__
from astrod.api.schema import (
    SCHEMA,
    Ack,
    AttendedAnswer,
    CalibrationRow,
    CalibrationsAnswer,
    ClockAnswer,
    DetectionRow,
    DetectionsAnswer,
    Device,
    DriftRow,
    Exposing,
    Finding,
    FrameCounts,
    FrameRow,
    FramesAnswer,
    GuidingRow,
    Hold,
    ModelAnswer,
    ModelRow,
    ModelsAnswer,
    Next,
    OffsetRow,
    OffsetsAnswer,
    PlanAnswer,
    RequestRow,
    Slot,
    StandingRow,
    Status,
    TargetRow,
    TargetsAnswer,
    ThumbsAnswer,
    Verdict,
    VersionRow,
    WatchRow,
    read,
)
from astrod.api.until import until_us
from astrod.archive.rows import FrameRow as Row
from astrod.attended import Attended
from astrod.core import Core
from astrod.domain.calibration import Need
from astrod.domain.exposure import Cause, Thumb
from astrod.domain.identity import ExposureId, Night, noon_us
from astrod.domain.instant import DAY_US, SECOND_US, iso, parse_iso
from astrod.domain.plan import progress
from astrod.domain.watching import Detection
from astrod.errors import InputInvalid, TellOperator
from astrod.holds import Holds
from astrod.rig.port import Port
from astrod.rig.telescope import Telescope
from astrod.runtime.timekeeping import Timekeeper
from astrod.watch.watch import Watch

Handler = Callable[[dict[str, Any]], Awaitable[Mapping[str, Any]]]
VERDICTS = 5
SLOTS = 8


class Answers:
    """The verbs of one daemon."""

    def __init__(self, core: Core, holds: Holds, attended: Attended, time: Timekeeper) -> None:
        self._core, self._holds, self._attended, self._time = core, holds, attended, time

    def handlers(self) -> dict[str, Handler]:
        """By verb, for `api.server`."""
        return {
            "status": self.status,
            "plan": self.plan,
            "targets": self.targets,
            "frames": self.frames,
            "detections": self.detections,
            "calibrations": self.calibrations,
            "offsets": self.offsets,
            "pause": self.pause,
            "resume": self.resume,
            "close": self.close,
            "attend": self.attend,
            "attended": self.attended,
            "attended_stop": self.attended_stop,
            "models": self.models,
            "model": self.model,
            "model_shadow": self.model_shadow,
            "model_promote": self.model_promote,
            "model_rollback": self.model_rollback,
            "thumb": self.thumb,
            "thumbs": self.thumbs,
            "clock": self.clock,
            "state_time": self.state_time,
        }

    # -- status ----------------------------------------------------------------------------------------------

    async def status(self, args: dict[str, Any]) -> Status:
        """One screen's worth of everything."""
        core, conductor = self._core, self._core.conductor
        rows = await core.recording(lambda archive: archive.frames(conductor.night))
        lights = [row for row in rows if row.intent.kind == "light" and row.taken is not None]
        safety = conductor.safety
        return Status(
            schema=SCHEMA,
            version=__version__,
            site=core.site.name,
            title=core.site.title,
            time=iso(core.clock.now_us()),
            night=str(conductor.night),
            phase=conductor.state.phase,
            safety={
                "safe": safety.safe,
                "reasons": list(safety.reasons),
                "epoch": safety.epoch,
                "since": iso(safety.since_us),
            },
            devices=self._devices(),
            exposing=self._exposing(),
            guiding=self._guiding(),
            plan=self._slots()[:SLOTS],
            next=self._next(),
            frames=FrameCounts(
                taken=len(lights),
                kept=sum(1 for row in lights if row.kept),
                rejected=sum(1 for row in lights if row.judgement is not None and not row.kept),
            ),
            last_verdicts=[verdict for row in lights if (verdict := _verdict(row))][-VERDICTS:],
            holds=self._hold_rows(),
            health=[
                Finding(code=f.code, severity=f.trouble.severity, text=f.text, remedy=f.trouble.remedy)
                for f in core.health.findings
            ],
        )

    def _devices(self) -> list[Device]:
        rows = [_device(port) for port in self._core.ports()]
        safety, site = self._core.conductor.safety, self._core.site
        if site.roof is not None:
            roof = safety.roof or "unknown"
            rows.append(
                Device(
                    name="roof",
                    kind="roof",
                    address=site.roof.address,
                    state="lost" if roof == "unknown" else "ready",
                    detail=roof,
                )
            )
        for source in site.weather:
            lost = next((text for text in safety.reasons if text.startswith(f"{source.name}: no reading")), "")
            state = "lost" if lost else "ready"
            rows.append(Device(name=source.name, kind="weather", address=source.address, state=state, detail=lost))
        return rows

    def _exposing(self) -> list[Exposing]:
        now_us = self._core.clock.now_us()
        found: list[Exposing] = []
        for observer in self._core.observers.values():
            if observer.exposing.under_way is None:
                continue
            intent, started_us = observer.exposing.under_way
            found.append(
                Exposing(
                    id=str(intent.id),
                    rig=intent.rig,
                    train=intent.train,
                    kind=intent.kind,
                    target=intent.target,
                    request=intent.request,
                    filter=intent.filter,
                    started=iso(started_us),
                    exposure_s=intent.exposure_s,
                    elapsed_s=round(min(intent.exposure_s, (now_us - started_us) / 1e6), 1),
                )
            )
        return found

    def _guiding(self) -> list[GuidingRow]:
        return [
            GuidingRow(
                rig=name,
                star_lost=state.star_lost,
                rms_ra_arcsec=_hundredths(state.rms_ra_arcsec),
                rms_dec_arcsec=_hundredths(state.rms_dec_arcsec),
                rms_arcsec=_hundredths(state.rms_arcsec),
            )
            for name, telescope in self._core.telescopes.items()
            if telescope.guiding is not None and (state := telescope.guiding.seen) is not None and state.guiding
        ]

    def _slots(self) -> list[Slot]:
        schedule, now_us = self._core.schedule, self._core.clock.now_us()
        requests = {request.id: request for target in schedule.targets for request in target.requests}
        return [
            Slot(
                start=iso(slot.start_us),
                end=iso(slot.end_us),
                rig=slot.rig,
                target=slot.target,
                request=slot.request,
                filter=requests[slot.request].filter if slot.request in requests else None,
                exposure_s=requests[slot.request].exposure_s if slot.request in requests else 0.0,
                exposures=slot.exposures,
                why=slot.why,
            )
            for slot in schedule.plan.slots
            if slot.end_us > now_us
        ]

    def _next(self) -> Next:
        conductor, now_us = self._core.conductor, self._core.clock.now_us()
        state, dark = conductor.state, conductor.dark
        if state.held:
            return Next(at=None, what="held closed until `astrod resume`")
        if state.paused:
            return Next(at=None, what="paused until `astrod resume`")
        if now_us < dark.dusk_us:
            return Next(at=iso(dark.dusk_us), what="dark: exposures begin")
        if now_us >= dark.dawn_us:
            return Next(at=None, what="the night is over; the next one begins at dusk")
        if not state.safe:
            return Next(at=None, what="opens again when it is safe")
        if state.phase == "observing" and not self._core.schedule.plan.slots:
            return Next(at=iso(dark.dawn_us), what=self._core.schedule.idle_because)
        return Next(at=iso(dark.dawn_us), what="dawn: close and park")

    def _hold_rows(self) -> list[Hold]:
        return [
            Hold(
                name=hold.name,
                since=iso(hold.since_us),
                until=iso(hold.until_us) if hold.until_us is not None else None,
                who=hold.who,
            )
            for hold in self._holds.in_force
        ]

    # -- the other read verbs --------------------------------------------------------------------------------

    async def plan(self, args: dict[str, Any]) -> PlanAnswer:
        """The whole plan, and why the rest is not in it."""
        plan = self._core.schedule.plan
        return PlanAnswer(
            schema=SCHEMA,
            site=self._core.site.name,
            night=str(self._core.conductor.night),
            made=iso(plan.made_us),
            by=plan.by,
            plan=self._slots(),
            refused=dict(plan.refused),
        )

    async def targets(self, args: dict[str, Any]) -> TargetsAnswer:
        """What is wanted and how far it has come."""
        kept = self._core.schedule.kept
        rows = [
            TargetRow(
                name=target.name,
                ra_deg=target.ra_deg,
                dec_deg=target.dec_deg,
                priority=target.priority,
                rig=target.rig,
                requests=[
                    RequestRow(
                        id=request.id,
                        filter=request.filter,
                        exposure_s=request.exposure_s,
                        count=request.count,
                        kept=kept.get(request.id, 0),
                        progress=progress(kept.get(request.id, 0), request.count),
                    )
                    for request in target.requests
                ],
            )
            for target in self._core.schedule.targets
        ]
        return TargetsAnswer(schema=SCHEMA, site=self._core.site.name, targets=rows)

    async def frames(self, args: dict[str, Any]) -> FramesAnswer:
        """Frames of a night (`night`), or the latest (`limit`)."""
        night = _night(args.get("night"))
        limit = args.get("limit")
        if limit is not None and (not isinstance(limit, int) or limit < 1):
            raise InputInvalid(f"limit {limit!r} must be a number over 0")
        rows = await self._core.recording(lambda archive: archive.frames(night, limit))
        return FramesAnswer(
            schema=SCHEMA,
            site=self._core.site.name,
            night=str(night) if night else None,
            frames=[_frame(row) for row in rows],
        )

    async def detections(self, args: dict[str, Any]) -> DetectionsAnswer:
        """What crossed the sky in a night (`night`), and what the watches see now."""
        core = self._core
        night = _night(args.get("night"))
        start_us = noon_us(night or core.conductor.night, core.site.place.longitude_deg)
        found = await core.recording(lambda archive: archive.detections(start_us, start_us + DAY_US))
        return DetectionsAnswer(
            schema=SCHEMA,
            site=core.site.name,
            night=str(night) if night else None,
            watches=[_watch(watch) for watch in core.watches],
            detections=[_detection(detection) for detection in found],
        )

    async def calibrations(self, args: dict[str, Any]) -> CalibrationsAnswer:
        """The calibration ledger: what the frames need, and what there is of it."""
        calibrating = self._core.calibrating
        rows = [_calibration(need) for need in await calibrating.needs()]
        scheduled = calibrating.settings.scheduled
        return CalibrationsAnswer(schema=SCHEMA, site=self._core.site.name, scheduled=scheduled, sets=rows)

    async def offsets(self, args: dict[str, Any]) -> OffsetsAnswer:
        """By how much the focus of the filters differs: the owner's word, and what focus runs have told."""
        rows = [
            row
            for name, telescope in self._core.telescopes.items()
            for train in telescope.trains
            for row in _offsets(name, train, telescope)
        ]
        return OffsetsAnswer(schema=SCHEMA, site=self._core.site.name, offsets=rows)

    # -- the models and the owner's word on them ------------------------------------------------------------

    async def models(self, args: dict[str, Any]) -> ModelsAnswer:
        """Each model and its version in force."""
        rows = [_model_row(told) for told in await self._core.curation.listed()]
        return ModelsAnswer(schema=SCHEMA, site=self._core.site.name, models=rows)

    async def model(self, args: dict[str, Any]) -> ModelAnswer:
        """All of one model (`name`)."""
        return model_answer(self._core.site.name, await self._core.curation.shown(_text(args, "name")))

    async def model_shadow(self, args: dict[str, Any]) -> Ack:
        """Judge the model in a `file` beside the one in force, or none."""
        return Ack(schema=SCHEMA, text=await self._core.curation.set_shadow(_text(args, "name"), _file(args)))

    async def model_promote(self, args: dict[str, Any]) -> Ack:
        """Put the candidate, or the model in a `file`, in force; `anyway` overrules the rule."""
        anyway = args.get("anyway") is True
        return Ack(schema=SCHEMA, text=await self._core.curation.promote(_text(args, "name"), _file(args), anyway))

    async def model_rollback(self, args: dict[str, Any]) -> Ack:
        """Put the version in force that was before."""
        return Ack(schema=SCHEMA, text=await self._core.curation.roll_back(_text(args, "name")))

    async def thumb(self, args: dict[str, Any]) -> Ack:
        """The owner's word on a frame (`id`): `word` is up, down or none, `cause` what is wrong with it."""
        exposure, word, cause = _exposure(args), args.get("word"), args.get("cause")
        if cause is not None and cause not in CAUSES:
            raise InputInvalid(f"{cause!r} is no cause; there are {', '.join(CAUSES)}")
        if word == "none":
            await self._core.recording(lambda archive: archive.take_back_thumb(exposure))
            return Ack(schema=SCHEMA, text=f"{exposure} has no thumb any more")
        if word not in ("up", "down"):
            raise InputInvalid(f"{word!r} is no word on a frame; say up, down or none")
        who, now_us = str(args.get("who") or "somebody"), self._core.clock.now_us()
        thumb = Thumb(exposure, word == "up", cause, who, now_us)
        await self._core.recording(lambda archive: archive.set_thumb(thumb))
        return Ack(schema=SCHEMA, text=f"{exposure} has thumb {word}" + (f": {cause}" if cause else ""))

    async def thumbs(self, args: dict[str, Any]) -> ThumbsAnswer:
        """The frames with a thumb, as a set to train with."""
        rows = await self._core.curation.export_thumbs(self._core.storage.data_dir)
        lines = [json.dumps(row, ensure_ascii=False, sort_keys=True) for row in rows]
        return ThumbsAnswer(schema=SCHEMA, site=self._core.site.name, lines=lines)

    # -- the operator ----------------------------------------------------------------------------------------

    async def pause(self, args: dict[str, Any]) -> Ack:
        """No new exposure; the roof stays as it is."""
        wanted = args.get("until")
        until = until_us(str(wanted), self._core.clock.now_us()) if wanted else None
        await self._holds.pause(str(args.get("who", "")), until)
        end = f"it goes on at {iso(until)}, or" if until else "it goes on"
        return Ack(schema=SCHEMA, text=f"paused: no exposure begins after this one; {end} with `astrod resume`")

    async def resume(self, args: dict[str, Any]) -> Ack:
        """Lift pause and close."""
        await self._holds.lift(str(args.get("who", "")))
        return Ack(schema=SCHEMA, text="going on, as far as the night and safety allow")

    async def close(self, args: dict[str, Any]) -> Ack:
        """Park and close now, and stay so."""
        await self._holds.close(str(args.get("who", "")))
        return Ack(schema=SCHEMA, text="parking and closing; it stays closed until `astrod resume`")

    # -- the operator, hands on ------------------------------------------------------------------------------

    async def attend(self, args: dict[str, Any]) -> AttendedAnswer:
        """Begin an attended job; `attended` tells how it goes."""
        await self._attended.begin(str(args.get("what", "")), args)
        return await self.attended(args)

    async def attended(self, args: dict[str, Any]) -> AttendedAnswer:
        """How the latest attended job goes."""
        job = self._attended.job
        if job is None:
            return AttendedAnswer(schema=SCHEMA, what="", who="", state="none", lines=[])
        return AttendedAnswer(schema=SCHEMA, what=job.what, who=job.who, state=job.state, lines=list(job.lines))

    async def attended_stop(self, args: dict[str, Any]) -> AttendedAnswer:
        """End the attended job under way."""
        await self._attended.stop()
        return await self.attended(args)

    # -- the clock -------------------------------------------------------------------------------------------

    async def clock(self, args: dict[str, Any]) -> ClockAnswer:
        """How good the host's clock is, and what that forbids."""
        quality, setup = self._time.quality(), self._core.site.time
        return ClockAnswer(
            schema=SCHEMA,
            time=iso(self._core.clock.now_us()),
            source=quality.source,
            error_s=None if quality.error_us is None else quality.error_us / SECOND_US,
            error_max_s=setup.error_max_s or None,
            slews_forbidden_by=list(self._core.conductor.safety.no_slews),
        )

    async def state_time(self, args: dict[str, Any]) -> ClockAnswer:
        """Somebody says what time it is now, and how well they know it; it counts until the host starts anew."""
        try:
            utc_us, error_us = parse_iso(str(args.get("utc"))), round(float(args.get("error_s", 0.0)) * SECOND_US)
            self._time.statements.state(str(args.get("who") or "somebody"), utc_us, error_us)
        except (ValueError, OverflowError) as fault:
            raise InputInvalid(f"no time can be had from that: {fault}; write 2026-12-14T22:01:05Z") from fault
        except OSError as fault:
            raise TellOperator(f"the statement cannot be kept: {fault}") from fault
        return await self.clock({})


CAUSES: tuple[Cause, ...] = get_args(Cause)
"""What an owner may say is wrong with a frame."""


def _text(args: Mapping[str, Any], name: str) -> str:
    value = args.get(name)
    if not isinstance(value, str) or not value:
        raise InputInvalid(f"{name} is missing")
    return value


def _file(args: Mapping[str, Any]) -> Path | None:
    """The file that a request names: an absolute path, for the daemon works elsewhere."""
    named = args.get("file")
    if named is None:
        return None
    path = Path(str(named))
    if not path.is_absolute():
        raise InputInvalid(f"{path}: give the whole path of the model's file")
    return path


def _exposure(args: Mapping[str, Any]) -> ExposureId:
    try:
        return ExposureId.parse(str(args.get("id")))
    except ValueError as fault:
        raise InputInvalid(str(fault)) from fault


def _model_row(told: Mapping[str, Any]) -> ModelRow:
    return read(ModelRow, {**told, "shadow": told["shadow"] if isinstance(told["shadow"], str) else None})


def model_answer(site: str, told: Mapping[str, Any]) -> ModelAnswer:
    """What `Curation.shown` tells, as an answer."""
    shadow = told["shadow"]
    standing = read(StandingRow, shadow) if isinstance(shadow, Mapping) and "frames" in shadow else None
    return ModelAnswer(
        schema=SCHEMA,
        site=site,
        model=_model_row({**told, "shadow": shadow["key"] if isinstance(shadow, Mapping) else shadow}),
        folder=told["folder"],
        before=told["before"],
        all=[read(VersionRow, row) for row in told["all"]],
        standing=standing,
        drift=[read(DriftRow, row) for row in told.get("drift", [])],
        card=json.dumps(told["card"], ensure_ascii=False),
    )


def _hundredths(value: float | None) -> float | None:
    return None if value is None else round(value, 2)


def _device(port: Port[Any]) -> Device:
    state = "ready" if port.up else ("connecting" if port.detail == "not connected yet" else "lost")
    return Device(
        name=port.name, kind=port.kind, address=port.address, state=state, detail="" if port.up else port.detail
    )


def _night(text: object) -> Night | None:
    if text is None:
        return None
    try:
        return Night.parse(str(text))
    except ValueError as fault:
        raise InputInvalid(f"night {text!r} is no date; write for instance 2026-12-14") from fault


def _verdict(row: Row) -> Verdict | None:
    if row.judgement is None or row.measured is None:
        return None
    return Verdict(
        id=str(row.id),
        at=iso(row.judged_us or row.begun_us),
        target=row.intent.target,
        filter=row.intent.filter,
        exposure_s=row.intent.exposure_s,
        quality=row.judgement.quality,
        decision=row.judgement.decision,
        cause=row.judgement.cause,
        stars=row.measured.stars,
        fwhm_px=row.measured.fwhm_px,
    )


def _frame(row: Row) -> FrameRow:
    intent, taken, judgement, measured = row.intent, row.taken, row.judgement, row.measured
    return FrameRow(
        id=str(row.id),
        night=str(row.id.night),
        kind=intent.kind,
        target=intent.target,
        request=intent.request,
        filter=intent.filter,
        exposure_s=intent.exposure_s,
        started=iso(taken.started_us) if taken else None,
        path=taken.path if taken else None,
        quality=judgement.quality if judgement else None,
        decision=judgement.decision if judgement else None,
        cause=judgement.cause if judgement else None,
        stars=measured.stars if measured else None,
        fwhm_px=measured.fwhm_px if measured else None,
        guide_rms_arcsec=round(math.hypot(*row.guided_arcsec), 3) if row.guided_arcsec else None,
        thumb=("up" if row.thumb.up else "down") if row.thumb else None,
        thumb_cause=row.thumb.cause if row.thumb else None,
    )


def _offsets(rig: str, train: str, telescope: Telescope) -> list[OffsetRow]:
    setup = telescope.trains[train].setup.focuser
    configured = (setup.filter_offsets if setup else None) or {}
    own = [
        OffsetRow(
            rig=rig, train=train, filter=name, steps=steps, by="configured", pairs=None, scatter=None, applied=True
        )
        for name, steps in configured.items()
    ]
    told = [
        OffsetRow(
            rig=rig,
            train=train,
            filter=offset.filter,
            steps=offset.steps,
            by="learned",
            pairs=offset.pairs,
            scatter=round(offset.scatter, 1),
            applied=offset.filter not in configured,
        )
        for offset in telescope.offsets_learned(train)
    ]
    return own + told


def _calibration(need: Need) -> CalibrationRow:
    recipe = need.recipe
    return CalibrationRow(
        kind=recipe.kind,
        rig=recipe.rig,
        train=recipe.train,
        exposure_s=recipe.exposure_s,
        filter=recipe.filter,
        binning=recipe.binning,
        gain=recipe.gain,
        temperature_c=recipe.temperature_c,
        rotation_deg=recipe.rotation_deg,
        frames=need.frames,
        wanted=need.wanted,
        has=need.has,
        expired=need.expired,
        standing=need.standing,
    )


def _watch(watch: Watch) -> WatchRow:
    cover = watch.cover
    return WatchRow(
        name=watch.setup.name,
        source=watch.setup.source,
        seen=None if cover is None else iso(cover.at_us),
        cloud_percent=None if cover is None or cover.percent is None else round(cover.percent, 1),
        why="" if cover is None else cover.why,
    )


def _detection(detection: Detection) -> DetectionRow:
    return DetectionRow(
        time=iso(detection.at_us),
        watch=detection.watch,
        kind=detection.kind,
        score=round(detection.score, 3),
        length_px=round(detection.length_px, 1),
        begins=None if detection.begins is None else list(detection.begins),
        ends=None if detection.ends is None else list(detection.ends),
        model=detection.model,
        picture=detection.picture,
    )
