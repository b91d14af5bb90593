"""`astrod ride-along`."""

import argparse
import json
import signal
import sys
from io import TextIOWrapper
from pathlib import Path
from typing import TYPE_CHECKING, Any

from astrod.cli import exits
from astrod.cli.ink import Line, Span, cut, line, show
from astrod.cli.judge import report_line
from astrod.cli.verb import Verb
from astrod.errors import InputInvalid

if TYPE_CHECKING:  # the daemon's parts are imported when the verb runs
    from astrod.ridealong import Ride


class _Teller:
    """Tells people, or a program with `as_json`, what the ride brings; writes the nights to `report`, if any."""

    def __init__(self, as_json: bool, report: Path | None) -> None:
        self._as_json, self._report = as_json, report
        self._nights: dict[str, dict[str, Any]] = {}

    def frame(self, found: dict[str, Any]) -> None:
        """See `ridealong.Listener`."""
        if "error" in found:
            print(found["error"], file=sys.stderr, flush=True)
        if self._as_json:
            print(json.dumps(found, ensure_ascii=False), flush=True)
        elif "error" not in found:
            show([frame_line(found)], sys.stdout)

    def night(self, told: dict[str, Any]) -> None:
        """See `ridealong.Listener`."""
        from astrod.report import ride_told

        self._nights[told["first"]] = told
        if self._as_json:
            print(json.dumps({"summary": told}, ensure_ascii=False), flush=True)
        else:
            print("\n" + ride_told(told), flush=True)
        if self._report is not None:
            self._write(self._report, "\n\n".join(map(ride_told, self._nights.values())) + "\n")

    def _write(self, report: Path, text: str) -> None:
        try:
            report.write_text(text, encoding="utf-8", errors="backslashreplace")
            numbers = json.dumps({"nights": list(self._nights.values())}, indent=1)
            report.with_suffix(".json").write_text(numbers + "\n", encoding="utf-8")
        except OSError as fault:
            self.trouble(f"the report {report} cannot be written: {fault.strerror}")

    def trouble(self, text: str) -> None:
        """See `ridealong.Listener`."""
        print(f"astrod: {text}", file=sys.stderr, flush=True)


def frame_line(found: dict[str, Any]) -> Line:
    """One frame: its verdict as `astrod judge` shows it, and what astrod would have done."""
    if "verdict" not in found:
        return line(Span(f" {cut(Path(found['file']).name, 36):<36}  {found['sort']}, not judged", "dim"))
    then = found["would"]["text"].partition("; ")[2]
    return (*report_line(found), *(() if found["would"]["then"] == "none" else (Span(f" → {then}", "warn"),)))


async def _ride(ride: "Ride", once: bool) -> None:
    if once:
        await ride.once()
        return
    import asyncio

    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop.set)
    loop.add_signal_handler(signal.SIGUSR1, lambda: ride.tell_nights(again=True))
    await ride.go(stop)


def _run(args: argparse.Namespace) -> int:
    import asyncio  # here as in `_ride`: 0.1 s that no other verb should pay

    from astrod.frames.logbook import Logbook, logbook_path
    from astrod.ridealong import FOLDER_LANE, Ride, judged_by
    from astrod.runtime.clock import WallClock
    from astrod.runtime.offload import WallOffload

    if isinstance(sys.stdout, TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")  # a file's name need not be text
    folder: Path = args.folder
    if not folder.is_dir():
        raise InputInvalid(f"{folder} is no folder; name the one that the capture program writes its frames to")
    if args.report is not None and args.report.suffix == ".json":
        raise InputInvalid(f"{args.report}: name the report's text; its numbers go beside it, ending in .json")
    offload = WallOffload(threads=(FOLDER_LANE,))
    logbook = Logbook(logbook_path(folder), judged_by())
    ride = Ride(folder, logbook, _Teller(args.json, args.report), WallClock(), offload)
    if not args.json and not args.once:
        print(f"riding along {folder}; Ctrl-C ends it with the night's summary", flush=True)
    try:
        asyncio.run(_ride(ride, args.once))
    finally:
        offload.close()
    return exits.FAILED if args.once and ride.failed else exits.DONE


def _options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("folder", type=Path, metavar="FOLDER", help="where the frames are written, with all below it")
    parser.add_argument("--once", action="store_true", help="judge what is there, old frames too, and end")
    parser.add_argument(
        "--report", type=Path, metavar="FILE", help="write each night's summary there, and its numbers to FILE's .json"
    )


VERB = Verb(
    name="ride-along",
    summary="judge what another program takes, and say what astrod would have done",
    text=(
        "For Ekos, N.I.N.A. or anything that writes FITS: each new frame in the folder is judged within seconds of "
        "being whole. Nothing is commanded and nothing is written beside the frames; no configuration is needed. The "
        "night's summary comes at dawn, on Ctrl-C, or when the process gets SIGUSR1. Calibration frames and stacks are "
        "named and not judged. What was judged is remembered in ~/.cache/astrod, so that a restart does not judge it "
        "again; a ride that begins takes up frames of the last 12 hours. With --json one object a line for each "
        "frame, then one with `summary`; with --once the exit code is 1 if a file could not be judged."
    ),
    example="astrod ride-along ~/Pictures/tonight --report morning.txt",
    run=_run,
    options=_options,
    reads=True,
)
