"""`astrod doctor`."""

import argparse
import json
import sys
from collections.abc import Iterator
from textwrap import wrap
from typing import TYPE_CHECKING

from astrod.cli import exits
from astrod.cli.configuration import loaded
from astrod.cli.ink import Line, Span, line, show
from astrod.cli.verb import Verb

if TYPE_CHECKING:
    from astrod.doctor.diagnosis import Examined

_INDENT = " " * 6
_WIDTH = 100


def _run(args: argparse.Namespace) -> int:
    found = loaded(args)
    from astrod.doctor.diagnosis import as_json, sound
    from astrod.doctor.examination import examine
    from astrod.runtime.clock import WallClock
    from astrod.runtime.timekeeping import clock_quality

    examined = examine(found, WallClock(), clock_quality)
    if args.json:
        print(json.dumps(as_json(examined), ensure_ascii=False))
    else:
        show(lines(examined), sys.stdout)
    return exits.DONE if sound(examined) else exits.FAILED


def lines(examined: "list[Examined]") -> Iterator[Line]:
    """A line for each thing that was looked at; under it what is wrong and what to do."""
    for each in examined:
        bad = [found for found in each.diagnoses if found.severity != "info"]
        word = Span("BAD ", "warn") if bad else Span("note", "dim") if each.diagnoses else Span("ok  ", "good")
        yield line(" ", word, f" {each.what}: {each.text}")
        for found in each.diagnoses:
            for text in wrap(f"{found.code} {found.text}", _WIDTH):
                yield line(_INDENT + text)
            for number, text in enumerate(wrap(found.cure, _WIDTH - 3)):
                yield line(_INDENT + ("-> " if number == 0 else "   ") + text)


VERB = Verb(
    name="doctor",
    summary="find what is wrong with the computer, the files and the devices, and say what to do",
    text=(
        "Moves nothing and leaves everything as it was. Where a daemon runs, it tells of its devices; else each "
        "device is connected and read. Each trouble has its code and its remedy. The exit code is 1 when anything "
        "was found that may cost a night, 78 when the configuration cannot be read."
    ),
    example="astrod doctor --json",
    run=_run,
    reads=True,
)
