"""`astrod clock`: how good the host's clock is, and the owner's word on the time where nothing better is to be had."""

import argparse
import math

from astrod.api.client import call
from astrod.api.schema import ClockAnswer, read
from astrod.cli.ink import Line, line
from astrod.cli.verb import Verb, answer, config_root, who
from astrod.config.roots import socket_path


def clock_lines(said: ClockAnswer) -> list[Line]:
    """The answer for people."""
    error_s, most_s = said["error_s"], said["error_max_s"]
    error = "unknown" if error_s is None else f"{error_s:.3g} s at most"
    bound = "no bound" if most_s is None else f"nothing slews above {most_s:g} s"
    lines = [f"time    {said['time']}", f"source  {said['source']}", f"error   {error} ({bound})"]
    lines += [f"slews   forbidden: {why}" for why in said["slews_forbidden_by"]]
    return [line(text) for text in lines]


def _clock(args: argparse.Namespace) -> int:
    path = socket_path(config_root(args))
    if args.utc is None:
        said = read(ClockAnswer, call(path, "clock"))
    else:
        wanted = {"utc": args.utc, "error_s": args.error_s, "who": who()}
        said = read(ClockAnswer, call(path, "state_time", wanted))
    return answer(args, said, lambda: clock_lines(said))


def _seconds(text: str) -> float:
    try:
        seconds = float(text)
    except ValueError:
        seconds = math.nan
    if not 0 < seconds <= 86400:
        raise argparse.ArgumentTypeError(f"{text!r} is no error; write seconds, over 0")
    return seconds


def _options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("utc", nargs="?", metavar="UTC", help="the time now, 2026-12-14T22:01:05Z")
    parser.add_argument("--error-s", type=_seconds, default=2.0, metavar="S", help="how well you know it (2 s)")


VERB = Verb(
    name="clock",
    summary="show how good the clock is, or state the time",
    text=(
        "Nothing slews while the clock may be wrong by more than [time] error_max_s. NTP, chrony or a gpsd tell how "
        "good it is; where there is none of them, read the time off your phone and state it. That sets no clock: it "
        "bounds the error of the one there is, and it counts until the host starts anew."
    ),
    example="astrod clock 2026-12-14T22:01:05Z --error-s 2",
    run=_clock,
    options=_options,
    reads=True,
)
