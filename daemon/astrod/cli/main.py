"""The command line's entry: arguments in, exit code out."""

import argparse
import os
import sys
import traceback
from collections.abc import Sequence
from pathlib import Path
from textwrap import fill
from typing import Any

from astrod import __version__
from astrod.api.client import DaemonNotRunning, DaemonRefused
from astrod.cli import (
    attended,
    bench,
    catalogue,
    clock,
    clouds,
    commission,
    configuration,
    discover,
    doctor,
    exits,
    holds,
    judge,
    lists,
    meteors,
    models,
    observing,
    realbogus,
    reduce,
    ride_along,
    status,
    thumb,
)
from astrod.cli.verb import Verb
from astrod.errors import AstrodError, Bug, ConfigInvalid

VERBS: tuple[Verb, ...] = (
    *observing.VERBS,
    status.VERB,
    *lists.VERBS,
    thumb.VERB,
    judge.VERB,
    *bench.VERBS,
    ride_along.VERB,
    *models.VERBS,
    reduce.VERB,
    catalogue.VERB,
    meteors.VERB,
    clouds.VERB,
    realbogus.VERB,
    *holds.VERBS,
    *attended.VERBS,
    clock.VERB,
    discover.VERB,
    commission.VERB,
    configuration.VERB,
    doctor.VERB,
)


class _Formatter(argparse.RawDescriptionHelpFormatter):
    """Help as it is written; the options' columns a little wider."""

    def __init__(self, prog: str) -> None:
        super().__init__(prog, max_help_position=28, width=80)


def parser() -> argparse.ArgumentParser:
    """The whole command line."""
    top = argparse.ArgumentParser(
        prog="astrod",
        description="Run an observatory through the night with nobody there.",
        epilog=_exit_codes(),
        formatter_class=_Formatter,
        allow_abbrev=False,
    )
    top.add_argument("--version", action="version", version=f"astrod {__version__}")
    _add_config(top, None)
    verbs = top.add_subparsers(title="verbs", metavar="VERB", required=True)
    nested: dict[str, argparse._SubParsersAction[argparse.ArgumentParser]] = {}
    for verb in VERBS:
        first, _, second = verb.name.partition(" ")
        if second and first not in nested:
            group = verbs.add_parser(first, help=verb.summary, formatter_class=_Formatter, allow_abbrev=False)
            nested[first] = group.add_subparsers(title="verbs", metavar="VERB", required=True)
        _add(nested[first] if second else verbs, second or first, verb)
    return top


def _add(verbs: "argparse._SubParsersAction[argparse.ArgumentParser]", name: str, verb: Verb) -> None:
    _fill(verbs.add_parser(name, help=verb.summary, **_manual(verb)), verb)


def parser_of(verb: Verb) -> argparse.ArgumentParser:
    """The parser of one verb alone, for its manual."""
    alone = argparse.ArgumentParser(prog=f"astrod {verb.name}", **_manual(verb))
    _fill(alone, verb)
    return alone


def _manual(verb: Verb) -> dict[str, Any]:
    return {
        "description": f"{verb.summary[0].upper()}{verb.summary[1:]}.\n\n{fill(verb.text, 80)}",
        "epilog": f"example:\n  {verb.example}",
        "formatter_class": _Formatter,
        "allow_abbrev": False,
    }


def _fill(added: argparse.ArgumentParser, verb: Verb) -> None:
    _add_config(added, argparse.SUPPRESS)  # a default here would undo a --config that stands before the verb
    if verb.reads:
        added.add_argument("--json", action="store_true", help="print JSON instead of text")
    verb.options(added)
    added.set_defaults(verb=verb)


def _add_config(to: argparse.ArgumentParser, default: object) -> None:
    text = "the configuration, a file or a folder (else $ASTROD_CONFIG, else /etc/astrod)"
    to.add_argument("--config", type=Path, metavar="PATH", default=default, help=text)


def _exit_codes() -> str:
    return "exit codes:\n" + "\n".join(f"  {code:<3} {meaning}" for code, meaning in exits.MEANING.items())


def main(argv: Sequence[str] | None = None) -> int:
    """Run one verb. Never raises but SystemExit for usage, help and version (argparse)."""
    args = parser().parse_args(argv)
    verb: Verb = args.verb
    try:
        code = verb.run(args)
        sys.stdout.flush()
    except BrokenPipeError:
        return _hung_up()
    except KeyboardInterrupt:
        return 130
    except Exception as fault:  # noqa: BLE001  the last door: whatever comes becomes a message and an exit code
        return _failed(fault)
    return code


def _failed(fault: Exception) -> int:
    if isinstance(fault, ConfigInvalid):
        return configuration.complain(fault)
    if isinstance(fault, AstrodError) and not isinstance(fault, Bug):
        print(f"astrod: {fault}", file=sys.stderr)
        if isinstance(fault, DaemonRefused):
            return exits.OUR_FAULT if fault.kind == "bug" else exits.FAILED
        return exits.NOT_RUNNING if isinstance(fault, DaemonNotRunning) else exits.FAILED
    traceback.print_exception(fault)
    print("astrod: this is astrod's own fault; please report it with the lines above", file=sys.stderr)
    return exits.OUR_FAULT


def _hung_up() -> int:
    """Whoever read our output has left (`astrod frames | head`); nothing more can be said to them."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return exits.DONE


if __name__ == "__main__":
    sys.exit(main())
