"""`astrod discover`."""

import argparse
from collections.abc import Iterator
from typing import TYPE_CHECKING

from astrod.cli import exits
from astrod.cli.ink import Line, Span, line
from astrod.cli.tables import columns
from astrod.cli.verb import Verb, answer

if TYPE_CHECKING:
    from astrod.commissioning.discovery import Discovered, Server


def _run(args: argparse.Namespace) -> int:
    import asyncio  # here, for the client verbs share this module's start

    from astrod.commissioning.discovery import Place, discover
    from astrod.errors import InputInvalid
    from astrod.runtime.clock import WallClock

    try:
        places = [Place.parse(text) for text in args.place]
    except ValueError as fault:
        raise InputInvalid(str(fault)) from fault
    found = asyncio.run(discover(places, WallClock(), args.discovery_port))
    answer(args, found.as_json(), lambda: lines(found))
    return exits.DONE


def lines(found: "Discovered") -> Iterator[Line]:
    """Each server with its devices, then the serial devices."""
    for server in found.servers:
        yield from _server(server)
    if not found.servers:
        yield line(Span(" no INDI or Alpaca server answers; start one, or name the computer it runs on", "warn"))
    if found.serial:
        yield line(Span(" serial devices, for ?port= in an INDI address", "bold"))
    for port in found.serial:
        yield line(f"   {port.path}", Span(f"  now {port.device}" if port.path != port.device else "", "dim"))


def _server(server: "Server") -> Iterator[Line]:
    name = f"  {server.name}" if server.name else ""
    yield line(Span(f" {server.protocol} {server.host}:{server.port}", "bold"), name)
    rows = [
        (device.name, " ".join(device.kinds) or "nothing that astrod drives", device.address)
        for device in server.devices
    ]
    if rows:
        yield from columns(
            ("  device", "can be used as", "address"),
            [("  " + a, b, c) for a, b, c in rows],
            ["" if device.kinds else "dim" for device in server.devices],
        )
    else:
        yield line(Span("   no device", "dim"))


def _options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("place", nargs="*", metavar="HOST[:PORT]", help="other computers; PORT is their indiserver's")
    parser.add_argument(
        "--discovery-port", type=int, metavar="N", help="where Alpaca servers listen for discovery (else 32227)"
    )


VERB = Verb(
    name="discover",
    summary="find the INDI and Alpaca servers, their devices, and serial devices",
    text=(
        "Asks the indiservers of this computer (ports 7624 and 7625) and of the computers named, and by broadcast the "
        "Alpaca servers of the networks that this computer is in. Each device comes with the address for the "
        "configuration. Connects nothing and moves nothing. An INDI server elsewhere must be named: INDI has no "
        "discovery. A device that an INDI driver has not connected yet may not say what it is."
    ),
    example="astrod discover hut.lan",
    run=_run,
    options=_options,
    reads=True,
)
