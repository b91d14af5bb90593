"""The safety process: `python -m astrod.rig.safety.process`. Started by control, outlives it until all is safe.

It holds sessions of its own to the roof, the sensors and the mounts (for parking). When control is gone it goes
on: control's heartbeat goes stale, the site closes, and then it ends; or a new safety process takes over from
it (SIGTERM), which leaves the hardware as it is.
"""

import argparse
import asyncio
import fcntl
import json
import logging
import os
import signal
import socket
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from astrod.domain.safety import SafetyReport
from astrod.domain.site import Site
from astrod.errors import AstrodError, Bug
from astrod.rig.port import DirectSession, Port, Session
from astrod.rig.recovery import DriverRestarts
from astrod.rig.safety.guard import Guard
from astrod.rig.safety.hardware import Hardware, OpenPort, hardware_of
from astrod.rig.safety.link import NAME, translated
from astrod.rig.safety.loop import SafetyLoop
from astrod.rig.safety.memory import Memory, boot_id
from astrod.rig.safety.sights import Sights
from astrod.rig.safety.sources import free_bytes_of, is_own, own_source
from astrod.runtime.clock import Clock, WallClock
from astrod.runtime.systemd import start_log
from astrod.runtime.timekeeping import Statements, Timekeeper, timekeeper
from astrod_drivers.permit import EpochPage
from astrod_drivers.protocols import Permit
from astrod_drivers.session import open_session
from astrod_drivers.wire import Offer, Server, decode

log = logging.getLogger("astrod.safety")

TAKE_OVER_S = 5.0
SETTLE_S = 1.0
"""At its end safety waits so long for its memory to be written: whoever takes over waits for the lock."""


class Door:
    """`Guard` as the wire serves it, with the daemon's errors in the wire's words."""

    def __init__(self, guard: Guard) -> None:
        self._guard = guard

    async def report(self) -> SafetyReport:
        """See `Guard`."""
        return await self._guard.report()

    async def changed(self, version: int) -> SafetyReport:
        """See `Guard`; answers after ten seconds in any case, so that silence means trouble."""
        try:
            async with asyncio.timeout(10.0):
                return await self._guard.changed(version)
        except TimeoutError:
            return await self._guard.report()

    async def open_roof(self, permit: Permit) -> None:
        """See `Guard`."""
        try:
            await self._guard.open_roof(permit)
        except AstrodError as fault:
            raise translated(fault) from fault

    async def close_site(self, reason: str) -> None:
        """See `Guard`."""
        try:
            await self._guard.close_site(reason)
        except AstrodError as fault:
            raise translated(fault) from fault

    async def tell_place(self, rig: str, number: int, azimuth_deg: float | None, altitude_deg: float | None) -> None:
        """See `Guard`."""
        await self._guard.tell_place(rig, number, azimuth_deg, altitude_deg)


def read_site(path: Path) -> Site:
    """The site as control wrote it. Raises Bug when it cannot be read."""
    try:
        site = decode(Site, json.loads(path.read_text()), "site")
    except (OSError, ValueError) as fault:
        raise Bug(f"the safety process cannot read its site from {path}: {fault}") from fault
    if not isinstance(site, Site):
        raise Bug(f"{path} holds no site")
    return site


def take_over(pid_file: Path, clock: WallClock) -> int:
    """Become the only safety process: end a former one, which leaves the hardware as it is; returns the lock."""
    handle = os.open(pid_file, os.O_RDWR | os.O_CREAT, 0o600)
    deadline_s = clock.monotonic_s() + TAKE_OVER_S
    asked: signal.Signals | None = None
    while True:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            break
        except BlockingIOError:
            late = clock.monotonic_s() > deadline_s
            wanted = signal.SIGKILL if late else signal.SIGTERM
            if asked != wanted:
                _signal_former(handle, wanted)
                asked = wanted
            clock.block(0.05)
    os.ftruncate(handle, 0)
    os.pwrite(handle, f"{os.getpid()}\n".encode(), 0)
    return handle


def _signal_former(handle: int, wanted: signal.Signals) -> None:
    text = os.pread(handle, 32, 0).decode(errors="replace").strip()
    if text.isdigit():
        log.warning("taking over from safety process %s", text)
        try:
            os.kill(int(text), wanted)
        except ProcessLookupError:
            log.info("it had ended already")


@dataclass(frozen=True, slots=True)
class Lines:
    """How this process reaches devices: its frames' spool, the epoch's page, a rehearsal's clock and simulator."""

    spool: Path
    page: Path
    offset_us: int = 0
    sim_socket: Path | None = None

    def session(self, address: str, kind: str) -> Any:
        """A session of our own to a device. Raises AddressInvalid."""
        return open_session(
            address,
            kind,
            spool=self.spool,
            gate_path=self.page,
            offset_us=self.offset_us,
            sim_socket=self.sim_socket,
        )


def device_opener(site: Site, clock: Clock, open_session: Callable[[str, str], Session[Any]]) -> OpenPort:
    """Makes ports to devices that climb the site's ladders, but for the power: that is `Closing`'s, which cycles it
    only when a mount or a roof must move and does not.
    """
    restarts = DriverRestarts(clock, site.indi)

    def open_port(name: str, kind: str, address: str) -> Port[Any]:
        session = open_session(address, kind)
        return Port(name, kind, address, session, clock, site.ladder(kind), restarts.of(address))

    return open_port


def opener(site: Site, lines: Lines, clock: WallClock, time: Timekeeper, data: Path, run_dir: Path) -> OpenPort:
    """Makes ports to devices through their sessions, and to the host's own sources in this very process."""
    open_device = device_opener(site, clock, lines.session)

    def open_port(name: str, kind: str, address: str) -> Port[Any]:
        if not is_own(address):
            return open_device(name, kind, address)
        own = own_source(address, clock, time.quality, free_bytes_of(data), run_dir)
        return Port(name, kind, address, DirectSession(own), clock)

    return open_port


def movers_of(site: Site, clock: WallClock, lines: Lines) -> Hardware:
    """What makes the site safe, without the sources: for the closer."""
    return hardware_of(site, clock, device_opener(site, clock, lines.session), sources=False)


async def guard(words: argparse.Namespace) -> None:
    """Guard the site until told to stop, or until control is gone and all is safe."""
    clock = WallClock(words.offset_us)
    lock = take_over(words.pid_file, clock)
    page, site = EpochPage(words.page), read_site(words.site)
    time = timekeeper(clock, Statements(words.statement, clock, boot_id()), site.time.gpsd, site.time.gps)
    lines = Lines(words.spool, words.page, words.offset_us, words.sim_socket)
    sights = Sights(clock)
    open_port = opener(site, lines, clock, time, words.site.parent, words.memory.parent)
    hardware = hardware_of(site, clock, open_port, sights.where_is_it)
    memory = Memory(words.memory)
    loop = SafetyLoop(site, clock, page, hardware, memory, sights)
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    running = asyncio.create_task(loop.run(lambda: None), name="safety")
    keeping = asyncio.create_task(time.watch(), name="time")
    serving = asyncio.create_task(_serve_control(loop, words.fd), name="serve control")
    stopping = asyncio.create_task(stop.wait(), name="stop")
    try:
        await asyncio.wait({running, serving, stopping}, return_when=asyncio.FIRST_COMPLETED)
        if serving.done() and not stopping.done():
            log.error("the control process is gone; closing the site unless a new one takes over")
            orphan = asyncio.create_task(_until_safe(loop), name="close")
            await asyncio.wait({running, orphan, stopping}, return_when=asyncio.FIRST_COMPLETED)
        if running.done():
            running.result()
    finally:
        for task in (running, serving, stopping, keeping):
            task.cancel()
        await asyncio.gather(running, serving, stopping, keeping, return_exceptions=True)
        if not memory.settle(SETTLE_S):
            log.warning("what safety remembered last is not written")
        os.close(lock)


async def _serve_control(loop: SafetyLoop, fd: int) -> None:
    server = Server({NAME: Offer(Guard, Door(loop))})
    await server.attend_socket(socket.socket(fileno=fd))


async def _until_safe(loop: SafetyLoop) -> None:
    """Wait until the loop, by its own rules, has closed the site that control has left."""
    report = await loop.report()
    while report.safe or report.roof not in (None, "closed") or any(p is False for p in (report.parked or {}).values()):
        report = await loop.changed(report.version)
    log.warning("the site is closed and parked; safety ends")


def main() -> None:
    """The command line; see `link.arguments`."""
    parser = argparse.ArgumentParser(prog="astrod-safety", description=__doc__)
    parser.add_argument("--fd", type=int, required=True)
    for name in ("site", "page", "memory", "statement", "pid-file", "spool"):
        parser.add_argument(f"--{name}", type=Path, required=True)
    parser.add_argument("--sim-socket", type=Path)
    parser.add_argument("--offset-us", type=int, default=0)
    parser.add_argument("--log-level", default="info")
    words = parser.parse_args()
    start_log(words.log_level)
    asyncio.run(guard(words))


if __name__ == "__main__":
    main()
