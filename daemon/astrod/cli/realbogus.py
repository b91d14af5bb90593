"""`astrod realbogus`."""

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
    from astrod.vetting import report

    failed = False
    for path in args.files:
        try:
            found: dict[str, Any] = report(path)
        except InputInvalid as fault:
            failed = True
            found = {"file": str(path), "error": str(fault)}
            print(fault, file=sys.stderr)
        if args.json:
            print(json.dumps(found, ensure_ascii=False), flush=True)
        elif "error" not in found:
            show(report_lines(found), sys.stdout)
    return exits.FAILED if failed else exits.DONE


def report_lines(found: dict[str, Any]) -> list[Line]:
    """The counts of one file, then a line for each candidate that may be real, likeliest first."""
    name = cut(Path(found["file"]).name, 36)
    head = f" {name:<36}  {found['count']} candidates: {found['real']} real, {found['bogus']} bogus"
    if found["unjudged"]:
        head += f", {len(found['unjudged'])} not judged"
    lines = [line(Span(head, "bold")), line(Span(f" by {found['model']}", "dim"))]
    chances = [(score, index) for index, score in enumerate(found["scores"]) if score is not None]
    for score, index in sorted(chances, reverse=True):
        if score >= found["real_from"]:
            lines.append(line(f" {index:>6}  ", Span("real", "good"), f"  {score:.1%}"))
    lines.extend(line(Span(f" {one['index']:>6}  not judged: {one['reason']}", "warn")) for one in found["unjudged"])
    return lines


def _options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "files",
        nargs="+",
        type=Path,
        metavar="TRIPLETS",
        help="`.npz` with the array `triplets`, or `.npy`: N×S×S×3, science, reference, difference",
    )


VERB = Verb(
    name="realbogus",
    summary="say of candidates of difference imaging how likely each is real",
    text=(
        "Needs no configuration and no daemon. The candidate stands at the middle of its cut-outs; any units, any "
        "camera, 63×63 pixels best. A score is the chance, 0 to 1, that light really appeared there: a fading scores "
        "low, unless science and reference are exchanged and the difference is negated. With --json one object a "
        "line for each file: `scores` in the file's order, null for one that cannot be judged, and why in `unjudged`. "
        "A file that cannot be read is named, the others are judged all the same, and the exit code is 1."
    ),
    example="astrod realbogus --json candidates.npz",
    run=_run,
    options=_options,
    reads=True,
)
