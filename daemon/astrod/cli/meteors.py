"""`astrod meteors`."""

import argparse
import json
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from astrod.cli import exits
from astrod.cli.ink import Line, Span, cut, line, show
from astrod.cli.verb import Verb
from astrod.errors import InputInvalid

if TYPE_CHECKING:
    from astrod.sighting import Seen


def _run(args: argparse.Namespace) -> int:
    from astrod.frames.detectinfo import write_detectinfo
    from astrod.sighting import detections

    failed = False
    listed = []
    for source in args.files:
        try:
            for seen, found in _looked_at(source, args):
                listed += detections(seen)
                _say(found, args.json)
        except InputInvalid as fault:
            failed = True
            print(fault, file=sys.stderr)
            _say({"file": source, "error": str(fault)}, args.json)
    if args.ftpdetectinfo is not None:
        write_detectinfo(args.ftpdetectinfo, listed, "Processed with astrod")
    return exits.FAILED if failed else exits.DONE


def _say(found: dict[str, Any], as_json: bool) -> None:
    if as_json:
        print(json.dumps(found, ensure_ascii=False), flush=True)
    elif "error" not in found:
        show([report_line(found)], sys.stdout)


def _looked_at(source: str, args: argparse.Namespace) -> "Iterator[tuple[list[Seen], dict[str, Any]]]":
    """The stacks of one input, without their pixels, and their report: all of a file's, each of a stream's."""
    from astrod.sighting import is_stream, report, seen_in, write_picture

    seen: list[Seen] = []
    for one in seen_in(source):
        if args.pictures is not None:
            write_picture(args.pictures, one)
        bare = replace(one, stack=one.stack.bare())
        if is_stream(source):
            yield [bare], report(source, [bare])
        else:
            seen.append(bare)
    if not is_stream(source):
        yield seen, report(source, seen)


def report_line(found: dict[str, Any]) -> Line:
    """One input: name, whether there is a meteor, its score, and why."""
    verdict = Span("meteor" if found["meteor"] else "-     ", "good" if found["meteor"] else "dim")
    name = Path(found["file"]).name
    return line(f" {cut(name, 44):<44}  ", verdict, f" {found['score']:4.2f}  {found['why']}")


def _options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "files",
        nargs="+",
        metavar="FILE",
        help="an FF stack, FITS, JPEG, PNG or video; or a camera: /dev/video0, rtsp://…",
    )
    parser.add_argument("--pictures", type=Path, metavar="FOLDER", help="write a marked picture of each meteor there")
    parser.add_argument(
        "--ftpdetectinfo", type=Path, metavar="FILE", help="write the meteors in the Global Meteor Network's form"
    )


VERB = Verb(
    name="meteors",
    summary="find meteors in stacks, stills and video, and measure their tracks",
    text=(
        "Needs no configuration and no daemon. With --json one object for each input, in order: whether there is a "
        "meteor, the score, and the tracks, frame by frame, in pixels from 0. Frames count from 0; those of FF "
        "stacks carry RMS's term for sensors read row by row (row / rows). An input that cannot be read is named, "
        "the others are looked at all the same, and the exit code is 1. A still has no time: satellites and "
        "aircraft are told from meteors by their look alone there, and less well. A camera (/dev/video0, rtsp://…) is "
        "watched until it ends or you do, one object each 256 frames."
    ),
    example="astrod meteors --json FF_*.fits night.mp4",
    run=_run,
    options=_options,
    reads=True,
)
