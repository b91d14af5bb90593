"""python -m astrod_drivers.sim.alpaca [--setup FILE] [--host 127.0.0.1] [--port 11111] [--discovery HOST:PORT]

Serves a simulated observatory to Alpaca clients, in real time, until SIGTERM. It listens on loopback only unless told
otherwise: Alpaca has no passwords. Exit codes: 0 ended as asked, 1 the port is taken, 78 the setup is wrong.
"""

import argparse
import asyncio
import os
import sys
import tempfile
from pathlib import Path

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # before numpy: its pool of threads is memory for nothing

import uvicorn

from astrod_drivers.permit import EpochCell
from astrod_drivers.protocols import Clock
from astrod_drivers.sim.alpaca.beacon import DISCOVERY_PORT, open_beacon
from astrod_drivers.sim.alpaca.server import AlpacaServer
from astrod_drivers.sim.observatory import Observatory
from astrod_drivers.sim.render import save
from astrod_drivers.sim.scene import Scene
from astrod_drivers.sim.setup import ObservatorySetup
from astrod_drivers.wallclock import WallClock
from astrod_drivers.wire import Offer

EXIT_SETUP = 78


async def _render(scene: Scene, path: Path) -> None:
    """In a thread: the server answers while a frame is made."""
    await asyncio.to_thread(save, scene, path)


def observatory_of(setup: ObservatorySetup, clock: Clock, spool: Path) -> Observatory:
    """The observatory without a safety of its own: hardware obeys whoever commands it."""
    gate = EpochCell()
    gate.become_safe()
    return Observatory(setup, clock, gate, spool, _render)


def offers_of(observatory: Observatory) -> dict[str, Offer]:
    """All its devices."""
    return {name: Offer(kind, observatory.device(name)) for name, kind in observatory.setup.names().items()}


async def serve(server: AlpacaServer, host: str, port: int, discovery: tuple[str, int] | None) -> None:
    """Serve until a signal. Raises OSError when discovery's port cannot be had."""
    beacon = await open_beacon(port, *discovery) if discovery else None
    # a client that polls every few seconds must not meet a connection that is just being closed
    config = uvicorn.Config(server.app, host=host, port=port, log_level="warning", timeout_keep_alive=30)
    try:
        await uvicorn.Server(config).serve()
    finally:
        if beacon is not None:
            beacon.close()


async def run(
    setup: ObservatorySetup, spool: Path, host: str, port: int, discovery: tuple[str, int] | None, offset_s: float
) -> None:
    """The observatory and its server, until a signal."""
    clock = WallClock(round(offset_s * 1e6))
    observatory = observatory_of(setup, clock, spool)
    observatory.play_faults({})
    try:
        await serve(AlpacaServer(offers_of(observatory), clock), host, port, discovery)
    finally:
        await observatory.close()


def _place(text: str) -> tuple[str, int]:
    host, _, port = text.rpartition(":")
    if not port.isdigit():
        raise argparse.ArgumentTypeError(f"{text!r} is not HOST:PORT")
    return host, int(port)


def main() -> int:
    """The command line; returns the exit code."""
    parser = argparse.ArgumentParser(prog="astrod_drivers.sim.alpaca", description=(__doc__ or "").partition("\n\n")[2])
    parser.add_argument("--setup", type=Path, help="a setup as JSON (ObservatorySetup.to_json); else the usual one")
    parser.add_argument("--host", default="127.0.0.1", help="the address to listen on")
    parser.add_argument("--port", type=int, default=11111)
    parser.add_argument("--spool", type=Path, help="where frames are kept until they are fetched; else a temporary one")
    parser.add_argument(
        "--discovery",
        type=_place,
        help=f"where to answer discovery, for instance 0.0.0.0:{DISCOVERY_PORT}; else nowhere",
    )
    parser.add_argument("--offset-s", type=float, default=0.0, help="added to the wall clock, for rehearsals")
    given = parser.parse_args()
    try:
        setup = ObservatorySetup.load(given.setup) if given.setup else ObservatorySetup()
    except (OSError, ValueError) as fault:
        print(f"{given.setup}: {fault}", file=sys.stderr)
        return EXIT_SETUP
    with tempfile.TemporaryDirectory(prefix="astrod-alpaca-") as folder:
        asyncio.run(run(setup, given.spool or Path(folder), given.host, given.port, given.discovery, given.offset_s))
    return 0


if __name__ == "__main__":
    sys.exit(main())
