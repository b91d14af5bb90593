"""What daemon and command line say to each other, and its version.

A request is one JSON line, `{"schema": 1, "verb": "status", "args": {}}`; an answer is one too,
`{"schema": 1, "ok": {…}}` or `{"schema": 1, "error": {"kind": …, "text": …}}`. The texts of times are UTC,
ISO 8601 with a Z.

Within a version keys are only ever added. Either side ignores keys that it does not know and `read` gives
those that it misses a value that promises nothing; so a daemon and a command line one version apart still
speak. Further apart they refuse, and say what to do.
"""

import types
import typing
from collections.abc import Mapping
from typing import Any, Literal, Required, TypedDict, TypeVar

SCHEMA = 1
LINE_MAX = 65_536
"""Bytes in a request, with its line end."""

ErrorKind = Literal["bad_request", "unknown_verb", "schema", "busy", "refused", "failed", "bug"]


class Safety(TypedDict):
    """`safe` False unless it is known to be; `reasons` say why not. `epoch` is the safety epoch."""

    safe: bool
    reasons: list[str]
    epoch: int
    since: str | None


class Device(TypedDict):
    """`kind` as in `astrod_drivers.protocols.KINDS`; `state` is one of ready, busy, connecting, lost, off."""

    name: str
    kind: str
    address: str
    state: str
    detail: str


class Exposing(TypedDict):
    """An exposure under way. `elapsed_s` is at the status's own `time`."""

    id: str
    rig: str
    train: str
    kind: str
    target: str | None
    request: str | None
    filter: str | None
    started: str | None
    exposure_s: float
    elapsed_s: float


class Slot(TypedDict):
    """A run of exposures that is planned."""

    start: str
    end: str
    rig: str
    target: str
    request: str
    filter: str | None
    exposure_s: float
    exposures: int
    why: str


class FrameCounts(TypedDict):
    """Of the night so far."""

    taken: int
    kept: int
    rejected: int


class Verdict(TypedDict):
    """A judged frame. `decision` is keep or reject, `cause` as in `domain.exposure.Cause`; newest last."""

    id: str
    at: str
    target: str | None
    filter: str | None
    exposure_s: float
    quality: float
    decision: str
    cause: str
    stars: int | None
    fwhm_px: float | None


class Finding(TypedDict):
    """A known trouble. `severity` is info, warning or critical; `remedy` is what to do about it."""

    code: str
    severity: str
    text: str
    remedy: str


class Next(TypedDict):
    """What comes next, in words, and when."""

    at: str | None
    what: str


class Hold(TypedDict):
    """An operator's wish in force: pause, or close."""

    name: str
    since: str | None
    until: str | None
    who: str


class GuidingRow(TypedDict):
    """A rig that is guided: the error over the last half minute, arcseconds RMS, None before there is one."""

    rig: str
    star_lost: bool
    rms_ra_arcsec: float | None
    rms_dec_arcsec: float | None
    rms_arcsec: float | None


class Status(TypedDict):
    """`astrod status --json`. `phase` is the night's own word; `exposing` is empty between exposures."""

    schema: int
    version: str
    site: str
    title: str
    time: str
    night: str
    phase: str
    safety: Safety
    devices: list[Device]
    exposing: list[Exposing]
    guiding: list[GuidingRow]
    plan: list[Slot]
    next: Next | None
    frames: FrameCounts
    last_verdicts: list[Verdict]
    holds: list[Hold]
    health: list[Finding]


class PlanAnswer(TypedDict):
    """`astrod plan --json`. `refused` says, for each request with no slot, why."""

    schema: int
    site: str
    night: str
    made: str | None
    by: str
    plan: list[Slot]
    refused: dict[str, str]


class RequestRow(TypedDict):
    """How far a request has come: `kept` of `count`; `progress` is done, partial or untouched."""

    id: str
    filter: str | None
    exposure_s: float
    count: int
    kept: int
    progress: str


class TargetRow(TypedDict):
    """A target, ICRS degrees."""

    name: str
    ra_deg: float
    dec_deg: float
    priority: float
    rig: str | None
    requests: list[RequestRow]


class TargetsAnswer(TypedDict):
    """`astrod targets --json`."""

    schema: int
    site: str
    targets: list[TargetRow]


class FrameRow(TypedDict):
    """A frame; what is not known yet is null. `path` is relative to the data root; `guide_rms_arcsec` is the error of
    the guiding meanwhile, both axes together; `thumb` is the owner's word, up or down.
    """

    id: str
    night: str
    kind: str
    target: str | None
    request: str | None
    filter: str | None
    exposure_s: float
    started: str | None
    path: str | None
    quality: float | None
    decision: str | None
    cause: str | None
    stars: int | None
    fwhm_px: float | None
    guide_rms_arcsec: float | None
    thumb: str | None
    thumb_cause: str | None


class FramesAnswer(TypedDict):
    """`astrod frames --json`; oldest first."""

    schema: int
    site: str
    night: str | None
    frames: list[FrameRow]


class DetectionRow(TypedDict):
    """Something that crossed the sky. `begins` and `ends` are [azimuth, altitude], degrees, null while the camera
    is not calibrated; `picture` is relative to the data root.
    """

    time: str
    watch: str
    kind: str
    score: float
    length_px: float
    begins: list[float] | None
    ends: list[float] | None
    model: str
    picture: str | None


class WatchRow(TypedDict):
    """A watch of the sky: what it saw last of clouds, null before it saw anything or where it cannot tell."""

    name: str
    source: str
    seen: str | None
    cloud_percent: float | None
    why: str


class DetectionsAnswer(TypedDict):
    """`astrod detections --json`; oldest first. `night` is null for the one that is or was last."""

    schema: int
    site: str
    night: str | None
    watches: list[WatchRow]
    detections: list[DetectionRow]


class CalibrationRow(TypedDict):
    """A set of calibration frames that some frames need. `standing` is has, lacks or expired."""

    kind: str
    rig: str
    train: str
    exposure_s: float
    filter: str | None
    binning: int
    gain: float | None
    temperature_c: float | None
    rotation_deg: float | None
    frames: int
    wanted: int
    has: int
    expired: int
    standing: str


class CalibrationsAnswer(TypedDict):
    """`astrod calibrations --json`. `scheduled` False: counted only, for there is no [calibration]."""

    schema: int
    site: str
    scheduled: bool
    sets: list[CalibrationRow]


class OffsetRow(TypedDict):
    """Steps to a filter's focus from the common zero of its train; `by` is configured or learned, and learned ones
    tell of how many `pairs` of focus runs they are, and how these scatter. `applied`: the wheel's turning applies it.
    """

    rig: str
    train: str
    filter: str
    steps: int
    by: str
    pairs: int | None
    scatter: float | None
    applied: bool


class OffsetsAnswer(TypedDict):
    """`astrod offsets --json`."""

    schema: int
    site: str
    offsets: list[OffsetRow]


class ModelRow(TypedDict):
    """A model: the version in force by `key` and `title`; `fault` is why the wanted one is not, or why it is refused,
    and `stand_in` what judges where no version can. `shadow` is the key of a candidate.
    """

    name: str
    key: str
    title: str
    trusted: bool
    fault: str | None
    stand_in: str | None
    bytes: int | None
    sha256: str | None
    shadow: str | None
    versions: int


class ModelsAnswer(TypedDict):
    """`astrod models list --json`."""

    schema: int
    site: str
    models: list[ModelRow]


class VersionRow(TypedDict):
    """A version of a model, and why it is refused, if it is."""

    key: str
    title: str
    in_force: bool
    refused: str | None


class StandingRow(TypedDict):
    """What a candidate has shown on `frames` that the model in force judged too: on how many they agree, how many
    thumbs each agrees with, how many good frames it keeps; `lacks` says what its promotion waits for.
    """

    key: str
    frames: int
    alike: int
    thumbs: int
    in_force_right: int
    shadow_right: int
    good: int
    good_kept: int
    passes: bool
    lacks: list[str]


class DriftRow(TypedDict):
    """An input or score of the last days' frames against the card: the share outside its range, the population
    stability index, and whether that is drift.
    """

    name: str
    frames: int
    outside: float
    psi: float
    drift: bool


class ModelAnswer(TypedDict):
    """`astrod models show --json`; `card` is the card as JSON text, `before` the versions that were in force."""

    schema: int
    site: str
    model: ModelRow
    folder: str
    before: list[str]
    all: list[VersionRow]
    standing: StandingRow | None
    drift: list[DriftRow]
    card: str


class ThumbsAnswer(TypedDict):
    """The frames with a thumb as a set to train with; each line is a JSON object."""

    schema: int
    site: str
    lines: list[str]


class ClockAnswer(TypedDict):
    """`astrod clock --json`. `error_s` is how wrong the clock is at most, None where nobody knows; beyond
    `error_max_s` (None: no bound) nothing slews. `slews_forbidden_by` is what forbids it now.
    """

    schema: int
    time: str
    source: str
    error_s: float | None
    error_max_s: float | None
    slews_forbidden_by: list[str]


class Ack(TypedDict):
    """The answer to pause, resume and close: what is now in force."""

    schema: int
    text: str


class AttendedAnswer(TypedDict):
    """An attended job; `state` is running, done, failed, stopped, or none where there was none yet."""

    schema: int
    what: str
    who: str
    state: str
    lines: list[str]


class Error(TypedDict):
    """Why a request was not answered."""

    kind: str
    text: str


class Request(TypedDict, total=False):
    """A request."""

    schema: Required[int]
    verb: Required[str]
    args: dict[str, Any]


Answer = TypeVar("Answer")


def read(kind: type[Answer], raw: object) -> Answer:
    """An answer of this kind from whatever the other side sent.

    A missing or misfit value becomes one that promises nothing (false, 0, "", [], null); unknown keys go.
    """
    return typing.cast(Answer, _fit(kind, raw))


def speaks(other: object) -> bool:
    """Whether the two sides understand each other: at most one version apart."""
    return type(other) is int and abs(other - SCHEMA) <= 1


def _fit(hint: Any, raw: object) -> object:
    if typing.is_typeddict(hint):
        given = raw if isinstance(raw, Mapping) else {}
        return {name: _fit(inner, given.get(name)) for name, inner in typing.get_type_hints(hint).items()}
    origin, args = typing.get_origin(hint), typing.get_args(hint)
    if origin is list:
        return [_fit(args[0], item) for item in raw] if isinstance(raw, list) else []
    if origin is dict:
        return {str(k): _fit(args[1], v) for k, v in raw.items()} if isinstance(raw, dict) else {}
    if origin is types.UnionType:
        return None if raw is None else _fit(args[0], raw)
    return _plain(hint, raw)


def _plain(kind: Any, raw: object) -> object:
    if isinstance(raw, bool):
        return raw if kind is bool else kind()
    if kind is float and isinstance(raw, int):
        return float(raw)
    return raw if isinstance(raw, kind) else kind()
