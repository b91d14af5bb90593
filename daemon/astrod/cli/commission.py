"""`astrod commission`."""

import argparse
import sys
import tempfile
from pathlib import Path

from astrod.cli import exits
from astrod.cli.verb import Verb


def _run(args: argparse.Namespace) -> int:
    from astrod.commissioning.interview import Interview, read_answers
    from astrod.commissioning.walk import Walk
    from astrod.config.load import load
    from astrod.daemon import resolve_name
    from astrod.runtime.clock import WallClock
    from astrod_drivers.permit import EpochPage
    from astrod_drivers.session import Session, open_session

    answers = read_answers(args.answers) if args.answers else {}
    interview = Interview(answers, input if sys.stdin.isatty() and not args.no_questions else None, print)
    with tempfile.TemporaryDirectory(prefix="astrod-commission-") as name:
        page = EpochPage(Path(name) / "epoch")  # a page that nobody ever made safe: no hazardous command could pass

        def session(address: str, kind: str) -> Session:
            return open_session(address, kind, spool=Path(name), gate_path=page.path)

        try:
            Walk(interview, session, WallClock()).go(args.out, lambda folder: load(folder, resolve_name))
        finally:
            page.close()
    return exits.DONE


def _options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--answers", type=Path, metavar="FILE", help="answers, TOML; what it leaves out is asked")
    parser.add_argument("--out", type=Path, metavar="DIR", default=Path("observatory"), help="where to write it")
    parser.add_argument("--no-questions", action="store_true", help="ask nothing: defaults for what FILE leaves out")


VERB = Verb(
    name="commission",
    summary="be asked for your observatory, and end with a configuration that passes its check",
    text=(
        "Asks for the site, the INDI and Alpaca servers, which of their devices to use, the optics, the roof and the "
        "weather limits; connects each device, reads it and tells what it says. Moves nothing: what must move, moves "
        "at the running daemon, under safety. Each step can be done again. Writes astrod.toml and targets.d into a "
        "folder that has neither, and only what passes `astrod config check`; then says what to do next."
    ),
    example="astrod commission --out observatory",
    run=_run,
    options=_options,
)
