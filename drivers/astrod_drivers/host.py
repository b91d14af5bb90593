"""The child process that holds one native driver session and serves it over an inherited socket.

    python -m astrod_drivers.host --fd N --kind camera --address indi://… --spool DIR --gate FILE

It ends with its parent: the kernel kills it when the parent dies, and so does the end of the socket. It
imports what it needs and no numpy, to stay below 30 MB.
"""

import argparse
import asyncio
import ctypes
import logging
import os
import signal
import socket
import sys
from pathlib import Path

from astrod_drivers.address import FEEDS, parse
from astrod_drivers.permit import EpochPage
from astrod_drivers.protocols import KINDS, Device
from astrod_drivers.wallclock import WallClock
from astrod_drivers.wire import Offer, Server

PR_SET_PDEATHSIG = 1


def die_with_parent() -> None:
    """Ask the kernel to kill this process when its parent dies, however it dies and whatever we hang in."""
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), "prctl(PR_SET_PDEATHSIG) failed")


def open_device(kind: str, address_text: str, spool: Path, gate: Path, offset_us: int) -> Device:
    """The driver for that address, not yet connected. Raises AddressInvalid."""
    address, clock, page = parse(address_text), WallClock(offset_us), EpochPage(gate)
    # code of libraries and of others is loaded here, in the child, and nowhere else
    if address.scheme in FEEDS:
        from astrod_drivers.feeds.devices import open_feed

        return open_feed(kind, address, clock=clock)
    if address.scheme == "indi":
        from astrod_drivers.indi.devices import open_indi

        return open_indi(kind, address, clock=clock, gate=page, spool=spool)
    if address.scheme == "alpaca":
        from astrod_drivers.alpaca.devices import open_alpaca

        return open_alpaca(kind, address, clock=clock, gate=page, spool=spool)
    if address.scheme == "phd2":
        from astrod_drivers.phd2.guider import open_phd2

        return open_phd2(kind, address_text, clock=clock, gate=page)
    from astrod_drivers.plugins import open_plugin

    return open_plugin(kind, address, clock=clock, gate=page, spool=spool)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="astrod_drivers.host", description="Serve one device to its parent.")
    parser.add_argument("--fd", type=int, required=True, help="the inherited, connected socket")
    parser.add_argument("--kind", choices=KINDS, required=True)
    parser.add_argument("--address", required=True)
    parser.add_argument("--spool", type=Path, required=True, help="where frames go")
    parser.add_argument("--gate", type=Path, required=True, help="the safety epoch's page")
    parser.add_argument("--offset-us", type=int, default=0, help="added to the clock, for rehearsals")
    return parser


async def serve(arguments: argparse.Namespace) -> None:
    """Serve until the parent's end of the socket closes."""
    spot = (arguments.kind, arguments.address, arguments.spool, arguments.gate, arguments.offset_us)
    device = open_device(*spot)
    server = Server({parse(arguments.address).device: Offer(arguments.kind, device)})
    await server.attend_socket(socket.socket(fileno=arguments.fd))


def main() -> None:
    """Serve, then end without waiting for native threads, which may hang."""
    die_with_parent()
    arguments = _parser().parse_args()
    logging.basicConfig(level=logging.INFO, format=f"%(levelname)s {arguments.address}: %(message)s")
    # the terminal's ^C goes to the whole group; only the parent decides when a device is let go
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    asyncio.run(serve(arguments))
    logging.shutdown()
    sys.stderr.flush()
    os._exit(0)


if __name__ == "__main__":
    main()
