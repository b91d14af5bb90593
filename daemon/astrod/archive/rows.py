"""What the archive gives back, and how the domain's words become rows and rows words again."""

import dataclasses
import json
import math
from dataclasses import dataclass
from typing import Any, Literal, cast

from astrod.archive.database import Row
from astrod.domain.exposure import Cause, Decision, FrameKind, Intent, Judgement, Measured, Taken, Thumb
from astrod.domain.identity import ExposureId
from astrod.domain.plan import Plan, Slot
from astrod.domain.watching import Detection

Outcome = Literal["taken", "seen", "failed", "aborted", "interrupted"]
"""`seen` are test and focus frames: measured, judged and let go."""
Severity = Literal["info", "warning", "critical"]


@dataclass(frozen=True, slots=True)
class FrameRow:
    """All the archive knows of one exposure. What has not happened (yet) is None.

    `guided_arcsec` is the guiding error, RMS, in right ascension and in declination.
    """

    intent: Intent
    begun_us: int
    outcome: Outcome | None = None
    reason: str | None = None
    ended_us: int | None = None
    taken: Taken | None = None
    measured: Measured | None = None
    judgement: Judgement | None = None
    judged_us: int | None = None
    quarantine_path: str | None = None
    quarantine_reason: str | None = None
    guided_arcsec: tuple[float, float] | None = None
    thumb: Thumb | None = None

    @property
    def id(self) -> ExposureId:
        """The exposure's id."""
        return self.intent.id

    @property
    def kept(self) -> bool:
        """Judged worth keeping."""
        return self.judgement is not None and self.judgement.decision == "keep"


def detection_row(detection: Detection) -> Row:
    """A detection as its row."""
    return {
        "watch": detection.watch,
        "at_us": detection.at_us,
        "kind": detection.kind,
        "score": detection.score,
        "points": json.dumps(detection.points),
        "begins": None if detection.begins is None else json.dumps(detection.begins),
        "ends": None if detection.ends is None else json.dumps(detection.ends),
        "model": detection.model,
        "picture": detection.picture,
    }


def detection_of(row: Row) -> Detection:
    """The detection in a row."""

    def place(text: str | None) -> tuple[float, float] | None:
        return None if text is None else (json.loads(text)[0], json.loads(text)[1])

    points = tuple((point[0], point[1], point[2]) for point in json.loads(row["points"]))
    return Detection(
        watch=row["watch"],
        at_us=row["at_us"],
        kind=row["kind"],
        score=row["score"],
        points=points,
        begins=place(row["begins"]),
        ends=place(row["ends"]),
        model=row["model"],
        picture=row["picture"],
    )


@dataclass(frozen=True, slots=True)
class Judged:
    """A light frame that was judged, with what its judge was shown (empty where forgotten) and the owner's word."""

    id: ExposureId
    path: str
    judgement: Judgement
    features: dict[str, float]
    thumb: Thumb | None


@dataclass(frozen=True, slots=True)
class Shadowed:
    """What the model in force and a candidate in the shadow decided of one frame; `up` is the owner's word, if any."""

    id: ExposureId
    now: Decision
    shadow: Decision
    up: bool | None


@dataclass(frozen=True, slots=True)
class Event:
    """Something that happened, for people; `number` grows by one with each and never repeats."""

    number: int
    at_us: int
    kind: str
    severity: Severity
    text: str
    data: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Command:
    """A command toward danger that was recorded before it was given, and of whose end nothing is known."""

    number: int
    device: str
    what: str
    at_us: int


@dataclass(frozen=True, slots=True)
class Hold:
    """An operator's hold that is in force; `until_us` None: until it is lifted."""

    name: str
    who: str
    since_us: int
    until_us: int | None = None


def exposure_row(intent: Intent, at_us: int) -> Row:
    """The row of an exposure that begins."""
    exposure = intent.id
    row = {field.name: getattr(intent, field.name) for field in dataclasses.fields(intent)}
    own = {
        "id": str(exposure),
        "site": exposure.site,
        "night": str(exposure.night),
        "counter": exposure.counter,
    }
    return {**row, **own, "begun_us": at_us}


def taken_row(taken: Taken) -> Row:
    """The row of a frame on disk, less when it was recorded."""
    return {field.name: getattr(taken, field.name) for field in dataclasses.fields(taken)} | {"id": str(taken.id)}


def judged_row(exposure: ExposureId, measured: Measured, judgement: Judgement) -> Row:
    """The row of a verdict, less when it was recorded. What is not finite counts as not measured."""
    values = {field.name: _finite(getattr(measured, field.name)) for field in dataclasses.fields(measured)}
    return values | {
        "id": str(exposure),
        "quality": judgement.quality,
        "decision": judgement.decision,
        "cause": judgement.cause,
        "issues": json.dumps(judgement.issues, sort_keys=True),
        "model": judgement.model,
    }


def _finite(value: float | None) -> float | None:
    return value if value is not None and math.isfinite(value) else None


def intent_of(row: Row) -> Intent:
    """The intent in a row of `exposures`."""
    return Intent(
        ExposureId.parse(row["id"]),
        cast(FrameKind, row["kind"]),
        row["rig"],
        row["train"],
        row["exposure_s"],
        row["ra_deg"],
        row["dec_deg"],
        target=row["target"],
        request=row["request"],
        filter=row["filter"],
        binning=row["binning"],
        retake_of=row["retake_of"],
        gain=row["gain"],
        offset=row["offset"],
        temperature_c=row["temperature_c"],
        rotation_deg=row["rotation_deg"],
    )


_ALIKE = ("kind", "rig", "train", "exposure_s", "filter", "binning", "gain", "offset", "temperature_c", "rotation_deg")
CALIBRATED_ALIKE = ", ".join(f'exposures."{name}" AS "{name}"' for name in _ALIKE)
CALIBRATED_ALIKE_BY = ", ".join(f'exposures."{name}"' for name in _ALIKE)
"""The columns that decide which calibration frames serve an exposure (`domain.calibration.Recipe`)."""


def taken_of(row: Row) -> Taken:
    """The frame in a row of `taken`."""
    names = ("path", "sha256", "size_bytes", "started_us", "exposure_s")
    return Taken(ExposureId.parse(row["id"]), *(row[name] for name in names))


FRAME_SQL = """
    SELECT e.*, t.path, t.sha256, t.size_bytes, t.started_us, t.exposure_s AS true_exposure_s,
           j.stars, j.background, j.noise, j.fwhm_px, j.elongation, j.saturated, j.quality, j.decision,
           j.cause, j.issues, j.model, j.recorded_us AS judged_us, g.rms_ra_arcsec, g.rms_dec_arcsec,
           h.up, h.cause AS thumb_cause, h.who AS thumb_who, h.at_us AS thumb_us
    FROM exposures AS e LEFT JOIN taken AS t USING (id) LEFT JOIN judged AS j USING (id)
    LEFT JOIN guided AS g USING (id) LEFT JOIN thumbs AS h USING (id)
"""
"""Exposures with what became of them; `frame_of` reads its rows."""


def frame_of(row: Row) -> FrameRow:
    """A row of FRAME_SQL."""
    return FrameRow(
        intent_of(row),
        row["begun_us"],
        row["outcome"],
        row["reason"],
        row["ended_us"],
        taken_of({**row, "exposure_s": row["true_exposure_s"]}) if row["path"] is not None else None,
        _measured_of(row) if row["stars"] is not None else None,
        _judgement_of(row) if row["decision"] is not None else None,
        row["judged_us"],
        row["quarantine_path"],
        row["quarantine_reason"],
        (row["rms_ra_arcsec"], row["rms_dec_arcsec"]) if row["rms_ra_arcsec"] is not None else None,
        _thumb_of(row) if row["up"] is not None else None,
    )


def _thumb_of(row: Row) -> Thumb:
    cause = cast(Cause | None, row["thumb_cause"])
    return Thumb(ExposureId.parse(row["id"]), bool(row["up"]), cause, row["thumb_who"], row["thumb_us"])


def _measured_of(row: Row) -> Measured:
    names = ("stars", "background", "noise", "fwhm_px", "elongation", "saturated")
    return Measured(*(row[name] for name in names))


def _judgement_of(row: Row) -> Judgement:
    return Judgement(
        row["quality"],
        cast(Decision, row["decision"]),
        cast(Cause, row["cause"]),
        json.loads(row["issues"]),
        row["model"],
    )


JUDGED_SQL = """
    SELECT j.*, t.path, s.features, h.up, h.cause AS thumb_cause, h.who AS thumb_who, h.at_us AS thumb_us
    FROM judged AS j JOIN taken AS t USING (id) JOIN exposures AS e USING (id)
    LEFT JOIN shown AS s USING (id) LEFT JOIN thumbs AS h USING (id)
    WHERE e.kind = 'light'
"""
"""Light frames with their verdicts; `judged_of` reads its rows."""


def judged_of(row: Row) -> Judged:
    """A row of JUDGED_SQL."""
    return Judged(
        ExposureId.parse(row["id"]),
        row["path"],
        _judgement_of(row),
        json.loads(row["features"]) if row["features"] else {},
        _thumb_of(row) if row["up"] is not None else None,
    )


def shadow_row(exposure: ExposureId, version: str, said: Judgement, at_us: int) -> Row:
    """The row of a candidate's verdict."""
    return {
        "id": str(exposure),
        "version": version,
        "quality": said.quality,
        "decision": said.decision,
        "cause": said.cause,
        "issues": json.dumps(said.issues, sort_keys=True),
        "model": said.model,
        "recorded_us": at_us,
    }


def shadowed_of(row: Row) -> Shadowed:
    """A frame's two decisions and the owner's word."""
    return Shadowed(
        ExposureId.parse(row["id"]),
        cast(Decision, row["now"]),
        cast(Decision, row["shadow"]),
        None if row["up"] is None else bool(row["up"]),
    )


def plan_text(plan: Plan) -> str:
    """A plan as JSON."""
    return json.dumps(dataclasses.asdict(plan), sort_keys=True)


def plan_of(text: str) -> Plan:
    """A plan from its JSON."""
    fields = json.loads(text)
    fields["slots"] = tuple(Slot(**slot) for slot in fields["slots"])
    return Plan(**fields)
