"""What vouches for pixels in the spool: a note beside them, so that a frame outlives the daemon that read it out.

The spool is memory, which survives the end of every process of ours. A note is written as soon as the pixels are
there and goes when they are safe elsewhere; pixels with a note are a frame to go on with, pixels without one are
what an interrupted exposure left.
"""

import json
import logging
from dataclasses import dataclass
from pathlib import Path

from astrod.frames.admission import Circumstances
from astrod.frames.header import FrameFacts
from astrod_drivers.errors import BadAnswer
from astrod_drivers.protocols import RawFrame
from astrod_drivers.wire import decode, encode

log = logging.getLogger(__name__)

SUFFIX = ".landed.json"


@dataclass(frozen=True, slots=True)
class Landed:
    """A frame in the spool with all that its header and its gate need. `size_bytes` is that of its pixels' file."""

    raw: RawFrame
    facts: FrameFacts
    seen: Circumstances
    size_bytes: int


def landed(raw: RawFrame, facts: FrameFacts, seen: Circumstances) -> Landed:
    """A frame that has just been read out; a file that is gone already has no size."""
    return Landed(raw, facts, seen, raw.path.stat().st_size if raw.path.exists() else 0)


def vouch(frame: Landed) -> None:
    """Write the note, whole or not at all. A spool that refuses it costs the frame only if the daemon dies too."""
    note = _note_of(frame.raw.path, frame.raw.exposure_id)
    draft = note.with_suffix(".new")
    try:
        draft.write_text(json.dumps(encode(frame)))
        draft.replace(note)
    except (OSError, BadAnswer) as fault:
        log.warning("%s has no note in the spool: %s", frame.raw.exposure_id, fault)


def withdraw(raw: RawFrame) -> None:
    """Remove pixels and note: the frame is safe elsewhere."""
    for path in (raw.path, _note_of(raw.path, raw.exposure_id)):
        try:
            path.unlink(missing_ok=True)
        except OSError as fault:
            log.warning("%s cannot be removed from the spool: %s", path, fault)


def vouched(spool: Path) -> list[Landed]:
    """The frames in the spool that a note vouches for and whose pixels are whole, in order."""
    frames = []
    for note in sorted(spool.glob(f"*{SUFFIX}")):
        try:
            frame = decode(Landed, json.loads(note.read_text()), note.name)
            whole = frame.raw.path.stat().st_size == frame.size_bytes > 0
        except (OSError, ValueError, BadAnswer) as fault:
            log.warning("the note %s is no use: %s", note.name, fault)
            continue
        if whole:
            frames.append(frame)
    return frames


def _note_of(pixels: Path, exposure_id: str) -> Path:
    return pixels.with_name(exposure_id + SUFFIX)
