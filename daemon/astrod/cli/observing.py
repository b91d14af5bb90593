"""`astrod run`, `night` and `demo`: a real night, one on the simulated clock, and one in real time right now."""

import argparse
import re
from pathlib import Path

from astrod.cli.configuration import complain, loaded
from astrod.cli.verb import Verb, config_root
from astrod.domain.identity import Night
from astrod.errors import ConfigInvalid

_SITE = re.compile(r"^[a-z][a-z0-9_]{0,31}$")


def _run(args: argparse.Namespace) -> int:
    try:
        found = loaded(args)
    except ConfigInvalid as fault:
        from astrod.daemon import refused

        complain(fault)
        return refused(config_root(args))
    from astrod.rehearsal.simulator import run

    return run(found)


def _night(args: argparse.Namespace) -> int:
    from astrod.rehearsal.night import main

    return main(args)


def _soak(args: argparse.Namespace) -> int:
    from astrod.rehearsal.soak import main

    return main(args)


def _demo(args: argparse.Namespace) -> int:
    from astrod.rehearsal.demo import main

    return main(args)


def _demo_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--simulated", action="store_true", help="on the simulated rig, even where INDI is there")
    parser.add_argument("--minutes", type=float, metavar="N", help="close and end after so long (else at ^C)")


def _date(text: str) -> str:
    try:
        return str(Night.parse(text))
    except ValueError as fault:
        raise argparse.ArgumentTypeError(f"{text!r} is no date; write 2026-12-14") from fault


def _site(text: str) -> str:
    if not _SITE.match(text):
        raise argparse.ArgumentTypeError(f"{text!r} is no site name; lower-case letters, digits and _ only")
    return text


def _seed(text: str) -> int:
    if not text.isdigit() or int(text) >= 2**32:
        raise argparse.ArgumentTypeError(f"{text!r} is no seed; a whole number, 0..4294967295")
    return int(text)


def _night_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--site", type=_site, default="pujalt", metavar="NAME", help="where (default pujalt)")
    parser.add_argument("--date", type=_date, default="2026-12-14", help="the evening's date (default 2026-12-14)")
    parser.add_argument("--seed", type=_seed, default=1, metavar="N", help="same seed, same night (default 1)")
    parser.add_argument("--weather", choices=("clear", "mixed", "cloudy"), default="clear", help="default clear")
    parser.add_argument("--small", action="store_true", help="a small sensor, 484×274: quicker, same code")
    parser.add_argument("--faults", type=Path, metavar="FILE", help="what is to go wrong, as [[fault]] tables in TOML")
    parser.add_argument("--keep", type=Path, metavar="DIR", help="keep frames and archive there; else they go")


def _number(text: str) -> int:
    if not text.isdigit() or int(text) >= 2**31:
        raise argparse.ArgumentTypeError(f"{text!r} is no whole number of 0 or more")
    return int(text)


def _soak_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--nights", type=_number, default=20, metavar="N", help="how many (default 20)")
    parser.add_argument("--night", type=_number, metavar="K", help="only that one, to play it again")
    parser.add_argument("--seed", type=_seed, default=1, metavar="N", help="same seed, same nights (default 1)")
    parser.add_argument("--jobs", type=_number, default=2, metavar="J", help="processes that play (default 2)")
    faults = argparse.BooleanOptionalAction
    parser.add_argument("--faults", action=faults, default=True, help="let things go wrong (default), or nothing")
    every = "one night in so many has a full-size sensor (default 50; 0 none)"
    parser.add_argument("--full-size-every", type=_number, default=50, metavar="N", help=every)
    parser.add_argument("--keep", type=Path, metavar="DIR", help="keep the folders of broken nights there")


VERBS = (
    Verb(
        name="run",
        summary="run the observatory until told to stop",
        text=(
            "In the foreground, as systemd starts it. Stop it with SIGTERM or Ctrl-C: it aborts, parks and "
            "closes first, which takes as long as the roof does; do not kill it harder. A configuration with "
            "a fault starts nothing and exits with 78."
        ),
        example="astrod --config ~/observatory run",
        run=_run,
    ),
    Verb(
        name="night",
        summary="play a whole night on the simulated clock and sum it up",
        text=(
            "The real daemon around the simulated observatory, minutes instead of hours, the same for the "
            "same seed. It reads no configuration and moves no hardware. What it takes goes with it unless "
            "--keep names a folder."
        ),
        example="astrod night --site pujalt --date 2026-12-14 --seed 7 --json",
        run=_night,
        options=_night_options,
        reads=True,
    ),
    Verb(
        name="soak",
        summary="play many nights drawn at random, each judged by a referee",
        text=(
            "Sites, seasons, weather, rigs, requests and faults are drawn from the seed; the real daemon plays "
            "each night in the simulated observatory, and a referee that knows the truth says what must never "
            "happen and did. A night that broke something is printed with the shortest list of faults that "
            "still breaks it, and the exit code is 1. It takes about ten seconds of CPU a night."
        ),
        example="astrod soak --nights 100 --seed 1 --jobs 2 --json",
        run=_soak,
        options=_soak_options,
        reads=True,
    ),
    Verb(
        name="demo",
        summary="observe now, in real time, at a real site where it is dark",
        text=(
            "The real daemon on INDI's simulators (or, where they are not installed, on the simulated rig), "
            "with everything in the folder demo/ here, frames included. indiserver listens on every network "
            "interface while it lasts. Ctrl-C closes and parks first."
        ),
        example="astrod demo --minutes 5",
        run=_demo,
        options=_demo_options,
    ),
)
