"""`astrod judge`."""

import argparse
import json
import sys
from pathlib import Path
from typing import Any

from astrod.cli import exits
from astrod.cli.ink import Line, Span, cut, line, show
from astrod.cli.verb import Verb
from astrod.errors import InputInvalid


def _run(args: argparse.Namespace) -> int:
    from astrod.appraise import Series, report

    failed, series = False, Series()
    for path in args.files:
        try:
            found: dict[str, Any] = report(path, series=series)
        except InputInvalid as fault:
            failed = True
            found = {"file": str(path), "error": str(fault)}
            print(fault, file=sys.stderr)
        if args.json:
            print(json.dumps(found, ensure_ascii=False), flush=True)
        elif "error" not in found:
            show([report_line(found), *_why(found)], sys.stdout)
    return exits.FAILED if failed else exits.DONE


def report_line(found: dict[str, Any]) -> Line:
    """One judged file: name, verdict, quality, what is wrong with it if anything, and the measures."""
    kept = found["verdict"] == "keep"
    issues = [f"{name} {chance:.0%}" for name, chance in found["issues"].items() if chance >= 0.5]
    measured = found["measured"]
    if measured["fwhm_px"] is not None:
        issues.append(f"FWHM {measured['fwhm_px']:.1f} px")
    issues.append(f"{measured['stars']} stars")
    if found["anomaly"]["flag"]:
        issues.append("something strange")
    verdict = Span("keep  " if kept else "reject", "good" if kept else "warn")
    name = Path(found["file"]).name
    return line(f" {cut(name, 36):<36}  ", verdict, f" {found['quality']:3.0f}  {', '.join(issues)}")


def _why(found: dict[str, Any]) -> list[Line]:
    """What decided, under a frame that is rejected."""
    return [] if found["verdict"] == "keep" else [line(Span(f"     {reason}", "dim")) for reason in found["why"]]


def _options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "files", nargs="+", type=Path, metavar="FILE", help="FITS, plain or gzipped, mono or Bayer, any size"
    )


VERB = Verb(
    name="judge",
    summary="say of image files how good they are, and what is wrong with them",
    text=(
        "Needs no configuration and no daemon. With --json one object a line for each file, in order. A file "
        "that cannot be judged is named, the others are judged all the same, and the exit code is 1. "
        "Files given together tell of one another: transparency against the clearest frame of the same field before, "
        "and, after twenty frames of one camera, what is strange by its own standards. "
        "Verdicts are for single raw exposures: a stacked or stretched image gets one that means nothing."
    ),
    example="astrod judge --json night/*.fits",
    run=_run,
    options=_options,
    reads=True,
)
