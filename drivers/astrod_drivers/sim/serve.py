"""The simulated observatory as a process of its own, in real time, as hardware is: it outlives a killed
daemon.

python -m astrod_drivers.sim.serve --socket PATH --setup FILE --spool DIR --gate FILE [--offset-s X]

Any number of clients may connect (see `wire`). It ends on SIGTERM, and by itself after a quarter of an hour
without any client. Exit codes: 0 ended as asked, 1 the socket is taken, 78 the setup is wrong.
"""

import argparse
import asyncio
import logging
import os
import signal
import socket
import sys
from pathlib import Path

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # before numpy: its pool of threads is memory for nothing

from astrod_drivers.permit import EpochPage
from astrod_drivers.sim.observatory import Observatory
from astrod_drivers.sim.render import save
from astrod_drivers.sim.scene import Scene
from astrod_drivers.sim.setup import ObservatorySetup
from astrod_drivers.wallclock import WallClock
from astrod_drivers.wire import Offer, Server

IDLE_S = 900.0
_LOOK_S = 2.0
EXIT_TAKEN, EXIT_SETUP = 1, 78
log = logging.getLogger(__name__)


async def _render(scene: Scene, path: Path) -> None:
    """In a thread: the loop answers while a frame is made."""
    await asyncio.to_thread(save, scene, path)


def _is_served(path: Path) -> bool:
    """Whether another process answers at the socket."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        try:
            probe.connect(str(path))
        except OSError:
            return False
    return True


async def serve(
    setup: ObservatorySetup,
    socket_path: Path,
    spool: Path,
    gate: Path,
    offset_s: float,
    idle_s: float = IDLE_S,
) -> None:
    """Serve until SIGTERM or SIGINT, or until no client has been there for `idle_s`."""
    clock = WallClock(round(offset_s * 1e6))
    page = EpochPage(gate)
    observatory = Observatory(setup, clock, page, spool, _render)
    offers = {name: Offer(kind, observatory.device(name)) for name, kind in setup.names().items()}
    server = Server(offers)
    await server.listen(socket_path)
    log.info("observatory with %s at %s", ", ".join(offers), socket_path)
    ended = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, ended.set)
    try:
        await _until_left(server, ended, clock, idle_s)
    finally:
        await server.close()
        await observatory.close()
        page.close()


async def _until_left(server: Server, ended: asyncio.Event, clock: WallClock, idle_s: float) -> None:
    """Wait for the end: asked for, or because everybody is gone."""
    seen_s = clock.monotonic_s()
    while not ended.is_set():
        if server.clients:
            seen_s = clock.monotonic_s()
        elif clock.monotonic_s() - seen_s > idle_s:
            log.info("no client for %.0f s; ending", idle_s)
            return
        try:
            await asyncio.wait_for(ended.wait(), min(_LOOK_S, idle_s))
        except TimeoutError:
            continue


def main() -> int:
    """The command line; returns the exit code."""
    parser = argparse.ArgumentParser(description="Serve a simulated observatory on a Unix socket.")
    parser.add_argument("--socket", type=Path, required=True)
    parser.add_argument("--setup", type=Path, required=True, help="a setup as JSON (ObservatorySetup.to_json)")
    parser.add_argument("--spool", type=Path, required=True, help="where frames land")
    parser.add_argument("--gate", type=Path, required=True, help="the safety epoch's page")
    parser.add_argument("--offset-s", type=float, default=0.0, help="added to the wall clock")
    given = parser.parse_args()
    logging.basicConfig(level=logging.INFO, stream=sys.stderr, format="%(name)s: %(message)s")
    try:
        setup = ObservatorySetup.load(given.setup)
    except (OSError, ValueError) as fault:
        print(f"{given.setup}: {fault}", file=sys.stderr)
        return EXIT_SETUP
    if _is_served(given.socket):
        print(f"{given.socket}: another observatory is served here already", file=sys.stderr)
        return EXIT_TAKEN
    given.spool.mkdir(parents=True, exist_ok=True)
    try:
        asyncio.run(serve(setup, given.socket, given.spool, given.gate, given.offset_s))
    finally:
        given.socket.unlink(missing_ok=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
