"""`astrod meteors`."""

import argparse
import json
import sys
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
            seen, found = _looked_at(source, args)
            listed += detections(seen)
        except InputInvalid as fault:
            failed = True
            found = {"file": source, "error": str(fault)}
            print(fault, file=sys.stderr)
        if args.json:
            print(json.dumps(found, ensure_ascii=False), flush=True)
        elif "error" not in found:
            show([report_line(found)], sys.stdout)
    if args.ftpdetectinfo is not None:
        write_detectinfo(args.ftpdetectinfo, listed, "Processed with astrod")
    return exits.FAILED if failed else exits.DONE


def _looked_at(source: str, args: argparse.Namespace) -> "tuple[list[Seen], dict[str, Any]]":
    """The stacks of one input, without their pixels but the last one's, and its report."""
    from dataclasses import replace

    from astrod.sighting import report, seen_in, write_picture

    seen: list[Seen] = []
    for one in seen_in(source):
        if args.pictures is not None:
            write_picture(args.pictures, one)
        seen.append(replace(one, stack=one.stack.bare()))
    return seen, report(source, seen)


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
        help="an FF stack, FITS, JPEG, PNG or video; also a device (/dev/video0) or rtsp:// address",
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
        "aircraft are told from meteors by their look alone there, and less well."
    ),
    example="astrod meteors --json FF_*.fits night.mp4",
    run=_run,
    options=_options,
    reads=True,
)
