"""`astrod pause`, `astrod resume`, `astrod close`: the operator's wishes."""

import argparse
import re

from astrod.api.client import DaemonNotRunning, call
from astrod.api.schema import Ack, read
from astrod.cli import exits
from astrod.cli.verb import Verb, config_root, who
from astrod.config.roots import socket_path

_UNTIL = re.compile(r"^(([01]?\d|2[0-3]):[0-5]\dZ?|\d{4}-\d{2}-\d{2}T\d{2}:\d{2}.*)$")
_CLOSE_S = 600.0


def _wish(args: argparse.Namespace, verb: str, wanted: dict[str, str], timeout_s: float = 30.0) -> int:
    said = call(socket_path(config_root(args)), verb, {"who": who(), **wanted}, timeout_s)
    print(read(Ack, said)["text"] or "done")
    return exits.DONE


def _pause(args: argparse.Namespace) -> int:
    return _wish(args, "pause", {"until": args.until} if args.until else {})


def _resume(args: argparse.Namespace) -> int:
    return _wish(args, "resume", {})


def _close(args: argparse.Namespace) -> int:
    if args.now:
        return _close_directly(args)
    try:
        return _wish(args, "close", {}, _CLOSE_S)
    except DaemonNotRunning:
        print("no daemon is running; closing directly")
        return _close_directly(args)


def _close_directly(args: argparse.Namespace) -> int:
    from astrod.daemon import close_now

    return close_now(config_root(args))


def _close_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--now", action="store_true", help="directly, without asking the daemon, as systemd does")


def _until(text: str) -> str:
    if not _UNTIL.match(text):
        raise argparse.ArgumentTypeError(f"{text!r} is no moment; write 02:30 or 2026-12-14T02:30Z, in UTC")
    return text


def _pause_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--until", type=_until, metavar="WHEN", help="02:30 or 2026-12-14T02:30Z, UTC")


VERBS = (
    Verb(
        name="pause",
        summary="take no new exposure for a while",
        text=(
            "The exposure under way is finished first. The roof stays as it is and safety goes on: a paused "
            "observatory still closes for weather and at dawn. A pause outlives a restart of the daemon; "
            "without --until only `astrod resume` ends it."
        ),
        example="astrod pause --until 02:30",
        run=_pause,
        options=_pause_options,
    ),
    Verb(
        name="resume",
        summary="end a pause or a close",
        text="The night goes on where it is safe and dark; safety is not overruled, it cannot be.",
        example="astrod resume",
        run=_resume,
    ),
    Verb(
        name="close",
        summary="abort, park, close the roof, and stay closed",
        text=(
            "Takes effect at once: the exposure under way is lost. The site stays closed until `astrod "
            "resume`. With no daemon running, the roof is closed directly by the configuration; the answer "
            "comes when the hardware says that it is closed, and exit 1 means: go and look."
        ),
        example="astrod close",
        run=_close,
        options=_close_options,
    ),
)
