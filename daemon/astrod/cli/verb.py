"""What a verb of the command line is."""

import argparse
import getpass
import json
import sys
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from astrod.cli.ink import Line, show


def no_options(parser: argparse.ArgumentParser) -> None:
    """For a verb that has no options of its own."""
    parser.set_defaults()


@dataclass(frozen=True, slots=True)
class Verb:
    """One verb. `text` is its manual, trap included; `example` one command line that works.

    `run` gets the parsed arguments (`config` is a Path or None) and returns the exit code; what it raises of
    `astrod.errors` becomes a message and an exit code in `main`. `reads` verbs have `--json`.
    """

    name: str
    summary: str
    text: str
    example: str
    run: Callable[[argparse.Namespace], int]
    options: Callable[[argparse.ArgumentParser], None] = no_options
    reads: bool = False


def who() -> str:
    """Who speaks, for the record."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # a user id without a name, as in containers
        return "operator"


def config_root(args: argparse.Namespace) -> Path | None:
    """The file or folder given by --config."""
    root: Path | None = args.config
    return root


def answer(args: argparse.Namespace, raw: Mapping[str, Any], lines: Callable[[], Iterable[Line]]) -> int:
    """Print a reading verb's answer: the object itself with --json, else lines."""
    if args.json:
        print(json.dumps(raw, ensure_ascii=False))
    else:
        show(lines(), sys.stdout)
    return 0
