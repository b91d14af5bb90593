"""A file or a stream in, what moved across it out: read, judge, and say or write it down, in one synchronous call.

This is all that `astrod meteors` needs of the eyes. No configuration is read.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from astrod.domain.sighting import Sighting, Track
from astrod.errors import InputInvalid
from astrod.frames.clip import stacks_of
from astrod.frames.detectinfo import Detection
from astrod.frames.picture import write_annotated
from astrod.frames.stack import Stack, read_stack
from astrod.judge.meteor import later, linked, sight
from astrod_models.meteor import Block


@dataclass(frozen=True, slots=True, eq=False)
class Seen:
    """What one stack, or one still, showed. A stack of a longer video begins at its frame `stack.first`."""

    source: str
    stack: Stack
    sighting: Sighting


def seen_in(source: str, weights: Path | None = None, enabled: bool = True) -> Iterator[Seen]:
    """Each stack of a file or a stream as it is judged: one for FITS and pictures, one each 256 frames for video.

    `source` is a file's name, a device (`/dev/video0`) or an address with `://`. `weights` is the folder of the
    model in force, None for the one shipped; where models are not `enabled`, classical means judge. Raises
    InputInvalid, naming the file.
    """
    single = None if is_stream(source) else read_stack(Path(source))
    for stack in stacks_of(source) if single is None else (single,):
        block = Block(stack.maximum, stack.frame, stack.mean, stack.spread, stack.count)
        sighting = sight(block, stack.rows_in_turn, weights, enabled)
        yield Seen(source, stack, later(sighting, stack.first))


def is_stream(source: str) -> bool:
    """Whether a source is a camera or an address, which may never end, and no file."""
    return "://" in source or source.startswith("/dev/")


def report(source: str, seen: list[Seen]) -> dict[str, Any]:
    """The object that `astrod meteors --json` prints for a file, from all its stacks; pixel coordinates from 0.

    A light that goes on from one stack to the next is one track.
    """
    if not seen:
        raise InputInvalid(f"{source}: no frame in it")
    best = max(seen, key=lambda one: one.sighting.score).sighting
    tracks = linked([one.sighting.tracks for one in seen])
    stack = seen[-1].stack
    rows, columns = stack.maximum.shape
    return {
        "file": source,
        "meteor": any(one.sighting.meteor for one in seen),
        "score": round(best.score, 4),
        "why": best.why,
        "tracks": [track_report(track, stack.fps) for track in tracks],
        "frames": stack.first + stack.count,
        "fps": stack.fps or None,
        "width": columns,
        "height": rows,
        "model": best.model,
    }


def track_report(track: Track, fps: float) -> dict[str, Any]:
    """One track as it is printed; what a still does not tell is None."""
    first, last = track.frames
    return {
        "class": track.kind,
        "score": round(track.score, 4),
        "frames": [first, last],
        "points": [[point.frame, point.x, point.y] for point in track.points],
        "box": [round(value, 2) for value in track.box],
        "light": [point.light for point in track.points],
        "length_px": round(track.length_px, 2),
        "angle_deg": round(track.angle_deg, 2),
        "px_per_frame": None if track.speed_px is None else round(track.speed_px, 3),
        "duration_s": round((last - first + 1.0) / fps, 3) if fps and track.speed_px is not None else None,
        "why": track.why,
    }


def detections(seen: list[Seen]) -> list[Detection]:
    """The meteors of these stacks as the Global Meteor Network's file lists them."""
    return [
        Detection(
            name=Path(one.source).name.removesuffix(".gz"),
            station=one.stack.station or "XX0000",
            fps=one.stack.fps or 25.0,
            angle_deg=track.angle_deg,
            px_per_frame=track.speed_px or 0.0,
            points=tuple((point.frame, point.x, point.y, point.light) for point in track.points),
        )
        for one in seen
        for track in one.sighting.tracks
        if track.kind == "meteor"
    ]


def write_picture(folder: Path, one: Seen) -> Path | None:
    """An annotated JPEG of a stack with a meteor, named for its file and first frame; None where there is none."""
    if not one.sighting.meteor:
        return None
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as fault:
        raise InputInvalid(f"{folder}: cannot be made: {fault.strerror or fault}") from fault
    stem = Path(one.source).name.split(".")[0]
    path = folder / (f"{stem}_{one.stack.first:06d}.jpg" if one.stack.first else f"{stem}.jpg")
    lines = [
        ([(point.x, point.y) for point in track.points], f"{track.kind} {track.score:.2f}")
        for track in one.sighting.tracks
    ]
    write_annotated(path, one.stack.maximum, lines)
    return path
