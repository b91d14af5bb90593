"""The validity gate: is this a frame of what was asked for at all? Quality is judged later, by others.

Pure: arrays and facts in, a reason or None out.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from astrod.domain.instant import SECOND_US, iso

Pixels = NDArray[np.uint16]

REMEMBERED = 50
"""How many digests of earlier frames are worth keeping for `recent`."""

_DEAD_ROWS = 0.1
_SLACK_US = 2 * SECOND_US


@dataclass(frozen=True, slots=True)
class Asked:
    """What was asked of the camera, and how the observatory stood while it exposed.

    `width_px`, `height_px` are those of the binned frame. `asked_us` is when the shutter was commanded,
    `arrived_us` when the pixels came; `started_us` is what the camera says. `roof_open` and
    `off_target_arcmin` are None where nobody can know (no roof, no mount reading).
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


def digest(pixels: Pixels) -> str:
    """A digest of the pixels alone, for telling a repeated frame; 16 bytes in hex."""
    return hashlib.blake2b(np.ascontiguousarray(pixels).data, digest_size=16).hexdigest()


def refusal(pixels: Pixels, asked: Asked, recent: Sequence[str], pixels_digest: str | None = None) -> str | None:
    """Why this frame must not be believed, in words for a person; None when it may pass.

    `recent` are the digests of the last frames of this camera; `pixels_digest` is this one's, if known.
    """
    reason = _size(pixels, asked) or _circumstances(asked) or _start(asked) or _content(pixels, asked)
    if reason is None and (pixels_digest or digest(pixels)) in recent:
        return "its pixels are those of an earlier frame; the camera repeated itself, restart its driver"
    return reason


def _size(pixels: Pixels, asked: Asked) -> str | None:
    if pixels.shape == (asked.height_px, asked.width_px):
        return None
    got = "×".join(str(length) for length in reversed(pixels.shape))
    return f"it is {got} pixels and {asked.width_px}×{asked.height_px} were asked for"


def _circumstances(asked: Asked) -> str | None:
    if not asked.light:
        return None
    if asked.roof_open is False:
        return "the roof was not open"
    off = asked.off_target_arcmin
    if off is not None and not off <= asked.on_target_arcmin:  # NaN is off target too
        return f"the mount was {off:.1f}' from the target, and {asked.on_target_arcmin:.1f}' are allowed"
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


def _content(pixels: Pixels, asked: Asked) -> str | None:
    low_by_row, high_by_row = pixels.min(axis=1), pixels.max(axis=1)
    low, high = int(low_by_row.min()), int(high_by_row.max())
    if low == high:
        return f"every pixel is {low}; the camera or its cable failed"
    dead = float(np.mean(low_by_row == high_by_row))
    if dead > _DEAD_ROWS and pixels.shape[1] > 1:
        return f"{dead:.0%} of its rows hold one value each; the read-out broke off"
    if asked.light and np.median(pixels[::4, ::4]) >= asked.saturation_adu:
        return "more than half of it is saturated; there was light that is no sky"
    if asked.light and np.count_nonzero(pixels[::4, ::4]) * 100 < pixels[::4, ::4].size:
        return "it is black; the shutter or the cover stayed shut"
    return None
