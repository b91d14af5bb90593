"""An exposure: intended, taken, judged."""

from dataclasses import dataclass
from typing import Literal

from astrod.domain.identity import ExposureId

FrameKind = Literal["light", "test", "focus", "dark", "bias", "flat", "flat_dark"]
SHUT: tuple[FrameKind, ...] = ("dark", "bias", "flat_dark")
"""Kinds that are exposed with the shutter closed; they see no sky."""
CALIBRATION: tuple[FrameKind, ...] = (*SHUT, "flat")


@dataclass(frozen=True, slots=True)
class Intent:
    """What is about to be exposed; recorded before the shutter opens. Angles ICRS degrees.

    `gain`, `offset` and `temperature_c` are what the camera is set to, `rotation_deg` the rotator's mechanical angle;
    they decide which calibration frames serve it (`domain.calibration`).
    """

    id: ExposureId
    kind: FrameKind
    rig: str
    train: str
    exposure_s: float
    ra_deg: float | None
    dec_deg: float | None
    target: str | None = None
    request: str | None = None
    filter: str | None = None
    binning: int = 1
    retake_of: str | None = None
    gain: float | None = None
    offset: float | None = None
    temperature_c: float | None = None
    rotation_deg: float | None = None


@dataclass(frozen=True, slots=True)
class Taken:
    """An exposure whose pixels are on disk, synced and recorded. `path` is relative to the data root."""

    id: ExposureId
    path: str
    sha256: str
    size_bytes: int
    started_us: int
    exposure_s: float


@dataclass(frozen=True, slots=True)
class Measured:
    """What classical means find in a frame; None where the frame does not tell.

    FWHM in pixels of the array that was measured (binned pixels for binned frames; the full pixel grid for
    Bayer frames), elongation is the median major/minor axis ratio, background and noise in ADU.
    """

    stars: int
    background: float | None
    noise: float | None
    fwhm_px: float | None
    elongation: float | None
    saturated: int = 0


Cause = Literal[
    "none", "clouds", "trailing", "defocus", "streak", "seeing", "pixels", "glare", "leak", "dew", "unknown"
]
Decision = Literal["keep", "reject"]


@dataclass(frozen=True, slots=True)
class Judgement:
    """What the models (or their classical stand-in, named in `model`) say of a frame.

    `quality` 0..100; `issues` maps what may be wrong (the causes but none and unknown) to probabilities; `why` says in
    words with numbers what decided, the weightiest first.
    """

    quality: float
    decision: Decision
    cause: Cause
    issues: dict[str, float]
    model: str
    why: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class StrangeTile:
    """A part of a frame that is not as usual, pixels of the frame from 0; `score` as in Strangeness."""

    x: int
    y: int
    side: int
    score: float


@dataclass(frozen=True, slots=True)
class Strangeness:
    """How far a frame is from ordinary ones, by its strangest tile: 0..1, flagged from 0.5 on. It names nothing.

    `basis` says against what it was held: frames in general, those of this camera, or that a model is missing.
    """

    score: float
    flag: bool
    tiles: tuple[StrangeTile, ...]
    basis: str


Consequence = Literal[
    "none",
    "pause_for_cloud",
    "refocus_and_retake",
    "check_tracking_and_retake",
    "retake_once",
    "tell_owner",
    "look_elsewhere",
]

CONSEQUENCES: dict[Cause, tuple[Decision, Consequence]] = {
    "none": ("keep", "none"),
    "streak": ("keep", "none"),  # stacking rejects a streak; the frame is worth keeping
    "seeing": ("keep", "none"),  # no focus run makes it better; the planner sees the FWHM
    "pixels": ("keep", "tell_owner"),  # a dark takes them out, if it is taken
    "leak": ("keep", "tell_owner"),
    "glare": ("keep", "look_elsewhere"),  # the frame is what the sky gave; another direction may be darker
    "clouds": ("reject", "pause_for_cloud"),
    "defocus": ("reject", "refocus_and_retake"),
    "trailing": ("reject", "check_tracking_and_retake"),
    "dew": ("reject", "retake_once"),  # told as well: heat may help within minutes, a retake without it does not
    "unknown": ("reject", "retake_once"),
}
"""What a verdict leads to, by its cause."""


@dataclass(frozen=True, slots=True)
class Thumb:
    """The owner's word on a frame, whatever the verdict: `up` is worth keeping; `cause` is what they say is wrong."""

    id: ExposureId
    up: bool
    cause: Cause | None
    who: str
    at_us: int
