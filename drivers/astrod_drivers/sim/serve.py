"""The simulated observatory as a process of its own, in real time, as hardware is: it outlives a killed
daemon.

python -m astrod_drivers.sim.serve --socket PATH --setup FILE --spool DIR --gate FILE [--offset-s X] [--faults FILE]

Any number of clients may connect (see `wire`). The faults of the setup happen as planned; the offer `faults` takes
more of them at run time (see `FaultControl`). It ends on SIGTERM, and by itself after a quarter of an hour
without any client. Exit codes: 0 ended as asked, 1 the socket is taken, 78 the setup is wrong.
"""

import argparse
import asyncio
import logging
import os
import signal
import socket
import sys
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Protocol

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # before numpy: its pool of threads is memory for nothing

from astrod_drivers.errors import CommandRefused
from astrod_drivers.permit import EpochPage
from astrod_drivers.sim.faults import Fault, from_toml
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


@dataclass(frozen=True, slots=True)
class Fired:
    """A fault that happened: when it began, in which phase, and when it ended."""

    fault: Fault
    since_us: int
    phase: str
    ended_us: int | None


class FaultControl(Protocol):
    """The offer `faults`: make things go wrong while the observatory runs."""

    async def inject(self, fault: Fault) -> None:
        """Have it happen when it is due; one that was due before happens now. Raises CommandRefused."""

    async def clear(self, device: str) -> int:
        """End the faults of a device ("": all) and forget what was to come; returns how many that was."""

    async def fired(self) -> tuple[Fired, ...]:
        """What has happened so far."""


class Faults:
    """Implements `FaultControl`."""

    def __init__(self, observatory: Observatory) -> None:
        self._observatory = observatory

    async def inject(self, fault: Fault) -> None:
        """See `FaultControl.inject`."""
        try:
            self._observatory.faults.plan((fault,), {})
        except ValueError as wrong:
            raise CommandRefused(str(wrong)) from wrong

    async def clear(self, device: str) -> int:
        """See `FaultControl.clear`."""
        return self._observatory.faults.clear(device)

    async def fired(self) -> tuple[Fired, ...]:
        """See `FaultControl.fired`."""
        told = self._observatory.faults.fired
        return tuple(Fired(running.fault, running.since_us, running.phase, running.ended_us) for running in told)


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
    observatory.play_faults({})

    def offers() -> dict[str, Offer]:
        """A client's own handles: to connect anew is to start a session anew."""
        devices = {name: Offer(kind, observatory.device(name)) for name, kind in setup.names().items()}
        return {**devices, "faults": Offer(FaultControl, Faults(observatory))}

    server = Server(offers)
    await server.listen(socket_path)
    log.info("observatory with %s at %s", ", ".join(setup.names()), socket_path)
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


def _setup(file: Path, faults: Path | None) -> ObservatorySetup:
    """The setup, with the faults of another file. Raises OSError, ValueError."""
    setup = ObservatorySetup.load(file)
    if faults is not None:
        setup = replace(setup, faults=setup.faults + from_toml(faults.read_text(encoding="utf-8")))
    for fault in setup.faults:
        fault.due_us({"start": 0})  # nobody tells us of dusk and dawn
        if fault.entry.where == "host":
            raise ValueError(f"{fault.kind!r} happens to the daemon's host: only astrod night can play it")
    return setup


def main() -> int:
    """The command line; returns the exit code."""
    parser = argparse.ArgumentParser(description="Serve a simulated observatory on a Unix socket.")
    parser.add_argument("--socket", type=Path, required=True)
    parser.add_argument("--setup", type=Path, required=True, help="a setup as JSON (ObservatorySetup.to_json)")
    parser.add_argument("--spool", type=Path, required=True, help="where frames land")
    parser.add_argument("--gate", type=Path, required=True, help="the safety epoch's page")
    parser.add_argument("--offset-s", type=float, default=0.0, help="added to the wall clock")
    parser.add_argument("--faults", type=Path, help="what is to go wrong, as [[fault]] tables in TOML")
    given = parser.parse_args()
    logging.basicConfig(level=logging.INFO, stream=sys.stderr, format="%(name)s: %(message)s")
    try:
        setup = _setup(given.setup, given.faults)
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
