"""By hand: `slew`, `set-park`, `expose`, `focus`, `backlash`, `guide-calibrate`, `polar-align`, by the daemon."""

import argparse
import getpass
import signal
import threading
from typing import Any

from astrod.api.client import call
from astrod.api.schema import AttendedAnswer, read
from astrod.cli import exits
from astrod.cli.verb import Verb, config_root, no_options
from astrod.config.roots import socket_path

POLL_S = 1.0


def _attend(args: argparse.Namespace, what: str, **wanted: object) -> int:
    """Begin the job, print its lines as they come, end it with ^C."""
    socket = socket_path(config_root(args))
    ask: dict[str, Any] = {"what": what, "rig": args.rig, "who": _who(), **wanted}
    interrupted = threading.Event()
    signal.signal(signal.SIGINT, lambda *_: interrupted.set())
    job = read(AttendedAnswer, call(socket, "attend", ask, 30.0))
    shown = 0
    while True:
        for line in job["lines"][shown:]:
            print(line, flush=True)
        shown = len(job["lines"])
        if job["state"] != "running":
            break
        stop = interrupted.wait(POLL_S)
        job = read(AttendedAnswer, call(socket, "attended_stop" if stop else "attended", {}, 30.0))
    print("the rig is paused for you; `astrod resume` lets the night go on")
    return exits.DONE if job["state"] == "done" else exits.FAILED


def _who() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # a user id without a name, as in containers
        return "operator"


def _rig(parser: argparse.ArgumentParser) -> None:
    no_options(parser)
    parser.add_argument("--rig", metavar="NAME", help="which rig (default the first)")


def _slew_options(parser: argparse.ArgumentParser) -> None:
    _rig(parser)
    parser.add_argument("ra_deg", type=float, help="right ascension, ICRS degrees")
    parser.add_argument("dec_deg", type=float, help="declination, ICRS degrees")


def _expose_options(parser: argparse.ArgumentParser) -> None:
    _rig(parser)
    parser.add_argument("exposure_s", type=float, help="seconds")
    parser.add_argument("--loop", action="store_true", help="again and again, until ^C")


def _align_options(parser: argparse.ArgumentParser) -> None:
    _rig(parser)
    parser.add_argument("--measure-only", action="store_true", help="measure once; do not follow the bolts")


_PAUSE = (
    "The rig is paused for you, for twenty minutes at most; the exposure under way is finished first. Safety goes "
    "on: it moves nothing that safety forbids, and stops when it is no longer safe. ^C stops it."
)

VERBS = (
    Verb(
        name="slew",
        summary="send a rig to a place by hand",
        text=f"Waits until the mount tracks there and says where it stands. {_PAUSE}",
        example="astrod slew 10.6847 41.2687",
        run=lambda args: _attend(args, "slew", ra_deg=args.ra_deg, dec_deg=args.dec_deg),
        options=_slew_options,
    ),
    Verb(
        name="set-park",
        summary="make the place where a mount stands its park place",
        text=(
            "Slew there first, where the roof clears it. The mount parks, and is seen to come back to where it stood; "
            f"its driver keeps the place. Says what to write as park_place. {_PAUSE}"
        ),
        example="astrod set-park",
        run=lambda args: _attend(args, "set-park"),
        options=_rig,
    ),
    Verb(
        name="expose",
        summary="take test exposures by hand and say what is in them",
        text=f"The frames are measured and judged, and not kept. {_PAUSE}",
        example="astrod expose 5 --loop",
        run=lambda args: _attend(args, "expose", exposure_s=args.exposure_s, count=1000 if args.loop else 1),
        options=_expose_options,
    ),
    Verb(
        name="focus",
        summary="focus by hand where the telescope points",
        text=f"The same focus run as in the night. {_PAUSE}",
        example="astrod focus",
        run=lambda args: _attend(args, "focus"),
        options=_rig,
    ),
    Verb(
        name="backlash",
        summary="measure the play of the focuser's gears and say which key to write",
        text=(
            "Focus first. Sweeps through focus upwards, then downwards; the places of best focus differ by the play. "
            f"The focuser goes back to where it was. {_PAUSE}"
        ),
        example="astrod backlash",
        run=lambda args: _attend(args, "backlash"),
        options=_rig,
    ),
    Verb(
        name="guide-calibrate",
        summary="teach the guider anew how its pulses move the stars",
        text=(
            "After the guide camera was turned or its optic changed. Point at a bright field within 75 degrees of the "
            f"equator first; PHD2 calibrates by its own settings. {_PAUSE}"
        ),
        example="astrod guide-calibrate",
        run=lambda args: _attend(args, "guide-calibrate"),
        options=_rig,
    ),
    Verb(
        name="polar-align",
        summary="measure the polar axis by three points, and follow it while its bolts are turned",
        text=(
            "Slews to three places east of the meridian, solves a frame at each, and says how far the axis is from the "
            f"pole; then measures again and again for a quarter of an hour while you turn the bolts. {_PAUSE}"
        ),
        example="astrod polar-align",
        run=lambda args: _attend(args, "polar-align", follow=not args.measure_only),
        options=_align_options,
    ),
)
