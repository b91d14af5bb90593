"""A frame's entry: through the validity gate into the store, or into quarantine. One call for the worker."""

from dataclasses import dataclass
from pathlib import Path

from astrod.domain.exposure import SHUT, Taken
from astrod.errors import InputInvalid
from astrod.frames.header import FrameFacts
from astrod.frames.store import FrameStore, read_pixels
from astrod_drivers.protocols import PixelFormat

REMEMBERED = 50
"""How many digests of a camera's earlier frames tell a repeated one: a driver's ring of buffers is shorter."""


@dataclass(frozen=True, slots=True)
class Circumstances:
    """What the gate must know besides the facts; see `gate.Asked`. Digests of the camera's `recent` frames, of
    which REMEMBERED are enough.
    """

    width_px: int
    height_px: int
    asked_us: int
    arrived_us: int
    roof_open: bool | None
    off_target_arcmin: float | None
    on_target_arcmin: float
    recent: tuple[str, ...] = ()
    tracked: bool | None = None
    filter_seen: str | None = None
    before_c: float | None = None
    cooled_before: bool = False
    cooled_after: bool = False
    dark_adu: float | None = None
    dark_noise_adu: float | None = None


@dataclass(frozen=True, slots=True)
class Kept:
    """The frame is on disk, and the digest of its pixels."""

    taken: Taken
    pixels_digest: str


@dataclass(frozen=True, slots=True)
class Quarantined:
    """The frame is not believed: where it lies (relative to the data root), why, and who spoiled it. `full`: its
    pixels are, and it was to see light.
    """

    path: str
    reason: str
    culprit: str = "camera"
    full: bool = False


def admit(
    root: Path, pixels_path: Path, fmt: PixelFormat, facts: FrameFacts, seen: Circumstances
) -> Kept | Quarantined:
    """Let a frame in, or put it aside. Raises TellOperator when the disk refuses; the pixels stay where they are.

    The gate's numpy is imported here, so that the control process, which only names this function, stays small.
    """
    from astrod.frames.gate import Asked, digest, refusal

    store = FrameStore(root)
    if not pixels_path.exists():
        return Quarantined("", "its pixels are gone from the spool")
    try:
        pixels, _ = read_pixels(pixels_path, fmt)
    except InputInvalid as fault:  # to try again would not help: the pixels stay as they are
        return Quarantined(store.quarantine(pixels_path, fmt, facts, str(fault)), str(fault))
    asked = Asked(
        width_px=seen.width_px,
        height_px=seen.height_px,
        exposure_s=facts.exposure_s,
        asked_us=seen.asked_us,
        arrived_us=seen.arrived_us,
        started_us=facts.started_us,
        light=facts.intent.kind not in SHUT,
        roof_open=None if facts.intent.kind == "flat" else seen.roof_open,  # a panel shines under a roof too
        off_target_arcmin=seen.off_target_arcmin,
        on_target_arcmin=seen.on_target_arcmin,
        clock_error_us=facts.started_error_us,
        saturation_adu=facts.saturation_adu or 65535,
        tracked=seen.tracked,
        filter_asked=facts.intent.filter,
        filter_seen=seen.filter_seen,
        target_c=facts.set_temperature_c,
        before_c=seen.before_c,
        after_c=facts.temperature_c,
        cooled_before=seen.cooled_before,
        cooled_after=seen.cooled_after,
        dark_adu=seen.dark_adu,
        dark_noise_adu=seen.dark_noise_adu,
    )
    fingerprint = digest(pixels)
    refused = refusal(pixels, asked, seen.recent, fingerprint)
    if refused is not None:
        path = store.quarantine(pixels_path, fmt, facts, refused.reason)
        return Quarantined(path, refused.reason, refused.culprit, refused.full)
    return Kept(store.keep(pixels_path, fmt, facts), fingerprint)


def set_aside(root: Path, pixels_path: Path, facts: FrameFacts, reason: str) -> Quarantined:
    """Move pixels to quarantine without looking into them: reading them killed the worker.

    Raises TellOperator when the disk refuses; the pixels stay where they are then.
    """
    store = FrameStore(root)
    if not pixels_path.exists():
        return Quarantined("", "its pixels are gone from the spool")
    return Quarantined(store.set_aside(pixels_path, facts, reason), reason)
