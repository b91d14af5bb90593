"""`astrod config check`, and how every verb that needs a configuration reads it."""

import argparse
import json
import sys
from typing import TYPE_CHECKING

from astrod.cli import exits
from astrod.cli.verb import Verb, config_root
from astrod.errors import ConfigInvalid

if TYPE_CHECKING:
    from astrod.config.load import Loaded


def loaded(args: argparse.Namespace) -> "Loaded":
    """The configuration that --config, ASTROD_CONFIG or /etc/astrod names. Raises ConfigInvalid."""
    from astrod.config.load import load
    from astrod.planning.catalogue import resolve

    def place(name: str) -> tuple[float, float]:
        entry = resolve(name)
        return entry.ra_deg, entry.dec_deg

    return load(config_root(args), place)


def _check(args: argparse.Namespace) -> int:
    try:
        found = loaded(args)
    except ConfigInvalid as fault:
        if args.json:
            print(json.dumps({"ok": False, "faults": fault.faults}, ensure_ascii=False))
            return exits.CONFIG
        raise
    if args.json:
        print(json.dumps(_summary(found), ensure_ascii=False))
    else:
        print("\n".join(_words(found, args.verbose)))
    return exits.DONE


def _summary(found: "Loaded") -> dict[str, object]:
    return {
        "ok": True,
        "faults": [],
        "site": found.site.name,
        "rigs": [rig.name for rig in found.site.rigs],
        "targets": len(found.targets),
        "requests": sum(len(target.requests) for target in found.targets),
        "files": [str(path) for path in found.files],
        "notes": list(found.notes),
        "overrides": list(found.overrides),
        "digest": found.digest,
    }


def _words(found: "Loaded", verbose: bool) -> list[str]:
    site, settings = found.site, found.settings
    trains = sum(len(rig.trains) for rig in site.rigs)
    requests = sum(len(target.requests) for target in found.targets)
    parts = [
        _many(len(site.rigs), "rig"),
        _many(trains, "train"),
        "a roof" if site.roof else "no roof",
        _many(len(site.weather), "weather source"),
        _many(len(found.targets), "target"),
        _many(requests, "request"),
    ]
    words = [
        f"ok: {site.title} ({site.name}): {', '.join(parts)}",
        *(f"note: {note}" for note in found.notes),
    ]
    if verbose:
        words += [f"read {path}" for path in found.files]
        words += list(found.overrides)
        words += [
            f"data {settings.storage.data_dir}",
            f"socket {settings.daemon.socket}",
            f"digest {found.digest}",
        ]
    return words


def _many(count: int, what: str) -> str:
    return f"{count or 'no'} {what}{'' if count == 1 else 's'}"


def _options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "-v", "--verbose", action="store_true", help="name the files, and keys that a later file replaced"
    )


def complain(fault: ConfigInvalid) -> int:
    """Print every fault to stderr. Returns the exit code."""
    for text in fault.faults:
        print(text, file=sys.stderr)
    count = len(fault.faults)
    print(f"{_many(count, 'fault')} in the configuration", file=sys.stderr)
    return exits.CONFIG


VERB = Verb(
    name="config check",
    summary="read the configuration as `run` does, and start nothing",
    text=(
        "Prints every fault at once, each with file, line, key and remedy, and exits with 78; or says ok, "
        "with notes on what is right but perhaps not meant. It does not ask the hardware: a device that is "
        "not there is a matter for `astrod status`."
    ),
    example="astrod --config etc/examples/backyard config check -v",
    run=_check,
    options=_options,
    reads=True,
)
