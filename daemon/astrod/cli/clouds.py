"""`astrod clouds`."""

import argparse
import json
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from astrod.cli import exits
from astrod.cli.ink import Line, Span, Style, cut, line, show
from astrod.cli.verb import Verb
from astrod.errors import InputInvalid


def _run(args: argparse.Namespace) -> int:
    from astrod.domain.instant import from_datetime
    from astrod.overcast import Moment, read_calibration, report

    moment = None
    if (args.site is None) != (args.time is None):
        raise InputInvalid("--site and --time go together: where and when the picture was taken")
    if args.site is not None:
        moment = Moment(args.site[0], args.site[1], from_datetime(args.time))
    if args.calibrate is not None:
        return _calibrate(args, moment)
    calibration = None if args.calibration is None else read_calibration(args.calibration)
    failed = False
    for path in args.files:
        failed |= _answer(args, path, lambda path: report(path, calibration, moment))
    return exits.FAILED if failed else exits.DONE


def _answer(args: argparse.Namespace, path: Path, ask: Callable[[Path], dict[str, Any]]) -> bool:
    """Print what is found in a file; whether it could not be read."""
    try:
        found = ask(path)
    except InputInvalid as fault:
        found = {"file": str(path), "error": str(fault)}
        print(fault, file=sys.stderr)
    if args.json:
        print(json.dumps(found, ensure_ascii=False), flush=True)
    elif "error" not in found:
        show([report_line(found)], sys.stdout)
    return "error" in found


def _calibrate(args: argparse.Namespace, moment: Any) -> int:
    """Fit the camera to the stars of one picture and write it down."""
    from astrod.overcast import calibrate, read_calibration, survey, write_calibration

    if moment is None or len(args.files) != 1:
        raise InputInvalid("--calibrate takes one picture, with the --site and --time at which it was taken")
    before = None if args.calibration is None else read_calibration(args.calibration)
    seen = survey(args.files[0])
    camera = calibrate(seen, moment, before)
    write_calibration(args.calibrate, camera, seen, moment)
    found = {"file": str(args.files[0]), **camera.facts()}
    if args.json:
        print(json.dumps(found))
    else:
        show(
            [line(f" {camera.stars} stars, {camera.residual_arcmin:.1f}′ from their places: {args.calibrate}")],
            sys.stdout,
        )
    return exits.DONE


def report_line(found: dict[str, Any]) -> Line:
    """One picture: name, covered share, why."""
    fraction = found["cloud_fraction"]
    style: Style = "" if fraction is None else "good" if fraction < 0.3 else "warn"
    share = "  no map" if fraction is None else f"{fraction:4.0%} cloud"
    why = found["why"][0] if fraction is None else "; ".join(found["why"][1:]) or f"{found['stars']} stars"
    return line(f" {cut(Path(found['file']).name, 36):<36}  ", Span(f"{share:>10}", style), f"  {why}")


def _site(text: str) -> tuple[float, float]:
    latitude, _, longitude = text.partition(",")
    try:
        place = float(latitude), float(longitude)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is no LAT,LON in degrees, such as 41.6,2.1") from None
    if not (abs(place[0]) <= 90.0 and abs(place[1]) <= 360.0):
        raise argparse.ArgumentTypeError(f"{text!r}: latitude within 90 degrees, longitude within 360, east positive")
    return place


def _time(text: str) -> datetime:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is no instant, such as 2026-11-21T23:15:00") from None
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)


def _options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "files", nargs="+", type=Path, metavar="FILE", help="JPEG, PNG or FITS of an all-sky or wide camera, any size"
    )
    parser.add_argument(
        "--calibration", type=Path, metavar="FILE", help="where pixels look: astrod's or RMS's platepar"
    )
    parser.add_argument(
        "--calibrate", type=Path, metavar="FILE", help="fit the camera by this picture's stars; write it"
    )
    parser.add_argument("--site", type=_site, metavar="LAT,LON", help="where it was taken, degrees, east positive")
    parser.add_argument("--time", type=_time, metavar="ISO", help="when it was taken, UTC (mid-exposure)")


VERB = Verb(
    name="clouds",
    summary="say where the sky is covered, from pictures of an all-sky camera",
    text=(
        "Needs no configuration and no daemon. With --json one object a line for each file, in order: cloud_fraction, "
        "and grid.p, the probability that each cell of the picture is covered, null where it shows no sky; with "
        "--calibration also by azimuth and altitude. By day, or with the roof closed, there is no map and `why` says "
        "so. A file that cannot be read is named, the others are read all the same, and the exit code is 1. Thin, even "
        "cloud looks like a shorter exposure: one picture alone cannot tell."
    ),
    example="astrod clouds --json allsky/*.jpg",
    run=_run,
    options=_options,
    reads=True,
)
