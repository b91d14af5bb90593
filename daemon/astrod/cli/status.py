"""`astrod status`."""

import argparse
import select
import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from astrod.api.client import DaemonNotRunning, call
from astrod.api.schema import Status, read
from astrod.cli import exits
from astrod.cli.ink import Line, Span, line, show
from astrod.cli.screen import render
from astrod.cli.verb import Verb, answer, config_root
from astrod.config.roots import socket_path
from astrod.errors import TellOperator

REFRESH_S = 1.0


def _run(args: argparse.Namespace) -> int:
    path = socket_path(config_root(args))
    if args.watch and not args.json:
        return _watch(path)
    status = read(Status, call(path, "status"))
    return answer(args, status, lambda: render(status, _rows()))


def _watch(path: Path) -> int:
    """Refresh until q or Ctrl-C. A daemon that goes away is waited for: the screen says so."""
    with _whole_screen():
        try:
            while True:
                show(_screen(path), sys.stdout, over=sys.stdout.isatty())
                if _pressed_q(REFRESH_S):
                    return exits.DONE
        except KeyboardInterrupt:
            return exits.DONE


def _screen(path: Path) -> list[Line]:
    foot = line(Span(" q, Enter: leave", "dim"))
    rows = _rows(spare=2)
    try:
        lines = render(read(Status, call(path, "status")), rows)
    except DaemonNotRunning as fault:
        lines = [line(Span(" NO DAEMON", "bad")), line(f" {fault}"), line(Span(" waiting for it", "dim"))]
    except TellOperator as fault:
        lines = [line(Span(" NO ANSWER", "bad")), line(f" {fault}"), line(Span(" trying again", "dim"))]
    if rows is not None and len(lines) > rows:  # more trouble than screen: what is cut off is said to be
        lines = [
            *lines[: rows - 1],
            line(Span(" … more; make the window taller, or `astrod status`", "warn")),
        ]
    return [*lines, foot]


def _rows(spare: int = 1) -> int | None:
    """What the terminal can show, less lines to spare (the prompt's); None where nobody looks."""
    return shutil.get_terminal_size().lines - spare if sys.stdout.isatty() else None


@contextmanager
def _whole_screen() -> Iterator[None]:
    """The terminal's other screen, so that what was there before is there again afterwards."""
    if not sys.stdout.isatty():
        yield
        return
    sys.stdout.write("\x1b[?1049h\x1b[?25l\x1b[2J")
    try:
        yield
    finally:
        sys.stdout.write("\x1b[?25h\x1b[?1049l")
        sys.stdout.flush()


def _pressed_q(seconds: float) -> bool:
    """Wait so long; True at once when a line with q comes in, or the terminal is gone."""
    inputs = [sys.stdin] if sys.stdin.isatty() else []
    ready, _, _ = select.select(inputs, [], [], seconds)
    if not ready:
        return False
    typed = sys.stdin.readline()
    return not typed or typed.strip().lower() == "q"


def _options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--watch", action="store_true", help="refresh each second until q or Ctrl-C")


VERB = Verb(
    name="status",
    summary="what the observatory is doing, in one screen",
    text=(
        "The night, safety and why, devices, the exposure under way, the last verdicts, what comes next, and "
        "each trouble with its remedy. Times are UTC. The exit code says whether the daemon answered, not "
        "whether all is well: a script asks --json for safety.safe and health."
    ),
    example="astrod status --watch",
    run=_run,
    options=_options,
    reads=True,
)
