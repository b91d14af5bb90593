"""The validity gate: is this a frame of what was asked for at all? Quality is judged later, by others.

Pure: arrays and facts in, a refusal or None out.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from astrod.domain.instant import SECOND_US, iso

Pixels = NDArray[np.uint16]

Culprit = Literal["camera", "roof", "mount", "wheel", "cooler", "light"]
"""Who is to blame: only frames that the camera spoiled say anything of its driver."""

DRIFT_C = 3.0
COLD_C = 1.5
"""A sensor within COLD_C of its target was cold; DRIFT_C later it is not any more."""

_DEAD_ROWS = 0.1
_DARK_LEVEL = 0.25
_LIT = 8.0
_RAYS = 20
_SLACK_US = 2 * SECOND_US


@dataclass(frozen=True, slots=True)
class Asked:
    """What was asked of the camera, and how the observatory stood while it exposed.

    `width_px`, `height_px` are those of the binned frame. `asked_us` is when the shutter was commanded,
    `arrived_us` when the pixels came; `started_us` is what the camera says. `roof_open` (during the whole
    exposure), `off_target_arcmin` (at worst), `tracked` (all the time) and `filter_seen` are None where nobody can
    know (no roof, no mount reading, no wheel). Temperatures are the sensor's before and after; `cooled_before` and
    `cooled_after` say whether the cooler was on. `dark_adu` and `dark_noise_adu` are level and spread of a frame that
    this camera took so without light, None where there is no such frame.
    """

    width_px: int
    height_px: int
    exposure_s: float
    asked_us: int
    arrived_us: int
    started_us: int
    light: bool = True
    roof_open: bool | None = None
    off_target_arcmin: float | None = None
    on_target_arcmin: float = 10.0
    clock_error_us: int = 0
    saturation_adu: int = 65535
    tracked: bool | None = None
    filter_asked: str | None = None
    filter_seen: str | None = None
    target_c: float | None = None
    before_c: float | None = None
    after_c: float | None = None
    cooled_before: bool = False
    cooled_after: bool = False
    dark_adu: float | None = None
    dark_noise_adu: float | None = None


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why a frame must not be believed, in words for a person, and who spoiled it. `full`: its pixels are."""

    culprit: Culprit
    reason: str
    full: bool = False


def digest(pixels: Pixels) -> str:
    """A digest of the pixels alone, for telling a repeated frame; 16 bytes in hex."""
    return hashlib.blake2b(np.ascontiguousarray(pixels).data, digest_size=16).hexdigest()


def refusal(pixels: Pixels, asked: Asked, recent: Sequence[str], pixels_digest: str | None = None) -> Refusal | None:
    """Why this frame must not be believed; None when it may pass.

    `recent` are the digests of the last frames of this camera; `pixels_digest` is this one's, if known.
    """
    if (reason := _size(pixels, asked)) is not None:
        return Refusal("camera", reason)
    found = _circumstances(asked) or _temperature(asked)
    if found is not None:
        return found
    if (reason := _start(asked)) is not None:
        return Refusal("camera", reason)
    if (found := _content(pixels, asked)) is not None:
        return found
    if (pixels_digest or digest(pixels)) in recent:
        return Refusal("camera", "its pixels are those of an earlier frame; the camera repeated itself")
    return None


def _size(pixels: Pixels, asked: Asked) -> str | None:
    if pixels.shape == (asked.height_px, asked.width_px):
        return None
    got = "×".join(str(length) for length in reversed(pixels.shape))
    return f"it is {got} pixels and {asked.width_px}×{asked.height_px} were asked for"


def _circumstances(asked: Asked) -> Refusal | None:
    if not asked.light:
        return None
    if asked.roof_open is False:
        return Refusal("roof", "the roof was not open during the whole exposure")
    off = asked.off_target_arcmin
    if off is not None and not off <= asked.on_target_arcmin:  # NaN is off target too
        words = f"the mount was {off:.1f}' from the target, and {asked.on_target_arcmin:.1f}' are allowed"
        return Refusal("mount", words)
    if asked.tracked is False:
        return Refusal("mount", "the mount did not track during the whole exposure")
    if asked.filter_asked is not None and asked.filter_seen not in (None, asked.filter_asked):
        return Refusal("wheel", f"the filter was {asked.filter_seen}, and {asked.filter_asked} was asked for")
    return None


def _temperature(asked: Asked) -> Refusal | None:
    """A cooler that gave up in mid exposure. A sensor that never became cold was let observe as it is."""
    if asked.target_c is None:
        return None
    if asked.cooled_before and not asked.cooled_after:
        return Refusal("cooler", "its cooler went off during the exposure")
    if asked.before_c is None or asked.after_c is None or abs(asked.before_c - asked.target_c) > COLD_C:
        return None
    if not abs(asked.after_c - asked.target_c) <= DRIFT_C:
        return Refusal("cooler", f"the sensor drifted to {asked.after_c:.1f} C, and {asked.target_c:.1f} C is asked")
    return None


def _start(asked: Asked) -> str | None:
    """The exposure must fit between the command and the arrival of its pixels."""
    slack_us = _SLACK_US + asked.clock_error_us
    latest_us = asked.arrived_us - round(asked.exposure_s * SECOND_US) + slack_us
    if asked.started_us < asked.asked_us - slack_us:
        return f"it says it began {iso(asked.started_us)}, before it was asked for at {iso(asked.asked_us)}"
    if asked.started_us > latest_us:
        return f"it says it began {iso(asked.started_us)}, too late to be over at {iso(asked.arrived_us)}"
    return None


def _content(pixels: Pixels, asked: Asked) -> Refusal | None:
    low_by_row, high_by_row = pixels.min(axis=1), pixels.max(axis=1)
    low, high = int(low_by_row.min()), int(high_by_row.max())
    if low == high:
        full = asked.light and low >= asked.saturation_adu
        what = "the sky was too bright, or the camera failed" if full else "the camera or its cable failed"
        return Refusal("camera", f"every pixel is {low}; {what}", full)
    dead = float(np.mean((low_by_row == high_by_row) & (low_by_row < asked.saturation_adu)))
    if dead > _DEAD_ROWS and pixels.shape[1] > 1:
        return Refusal("camera", f"{dead:.0%} of its rows hold one value each; the read-out broke off")
    thinned = pixels[::4, ::4]
    if np.median(thinned) >= asked.saturation_adu:
        what = "there was too much light for so long" if asked.light else "the shutter stood open in the light"
        return Refusal("light", f"more than half of it is saturated; {what}", full=asked.light)
    if asked.light and (np.count_nonzero(thinned) * 100 < thinned.size or _saw_nothing(pixels, thinned, asked)):
        return Refusal("camera", "it is black; the camera lost its data, or the shutter or the cover stayed shut")
    return None


def _saw_nothing(pixels: Pixels, thinned: Pixels, asked: Asked) -> bool:
    """Whether a frame looks like one taken without light: the dark's level, and no stars.

    A dark sky through a narrow filter leaves that level too, but not without stars: they light up pixels side by side,
    as a hot pixel does not and as cosmic rays do, of which some are let pass for each second.
    """
    if asked.dark_adu is None or asked.dark_noise_adu is None:
        return False
    noise_adu = max(asked.dark_noise_adu, 1.0)
    if abs(float(np.median(thinned)) - asked.dark_adu) > _DARK_LEVEL * noise_adu:
        return False
    lit = pixels > asked.dark_adu + _LIT * noise_adu
    side_by_side = int(np.count_nonzero(lit[:, 1:] & lit[:, :-1]))
    return side_by_side < _RAYS + asked.exposure_s
