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
from pathlib import Path
from typing import Any

from astrod.domain.safety import SafetyReport
from astrod.domain.site import Site
from astrod.errors import AstrodError, Bug
from astrod.rig.port import Port
from astrod.rig.safety.guard import Guard
from astrod.rig.safety.link import NAME, translated
from astrod.rig.safety.loop import SafetyLoop
from astrod.rig.safety.memory import Memory
from astrod.runtime.clock import WallClock
from astrod.runtime.systemd import start_log
from astrod_drivers.permit import EpochPage
from astrod_drivers.protocols import Mount, Permit, Roof, Weather
from astrod_drivers.session import open_session
from astrod_drivers.wire import Offer, Server, decode

log = logging.getLogger("astrod.safety")

TAKE_OVER_S = 5.0


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


def sessions_of(
    site: Site, clock: WallClock, spool: Path, page: Path, offset_us: int, sim_socket: Path | None
) -> tuple[dict[str, Port[Mount]], Port[Roof] | None]:
    """Sessions of our own to what must move to make the site safe: mounts and roof."""

    def session(address: str, kind: str) -> Any:
        return open_session(address, kind, spool=spool, gate_path=page, offset_us=offset_us, sim_socket=sim_socket)

    mounts: dict[str, Port[Mount]] = {
        rig.name: Port(f"{rig.name} mount", "mount", rig.mount.address, session(rig.mount.address, "mount"), clock)
        for rig in site.rigs
    }
    roof: Port[Roof] | None = None
    if site.roof is not None:
        roof = Port("roof", "roof", site.roof.address, session(site.roof.address, "roof"), clock)
    return mounts, roof


def build(site: Site, clock: WallClock, words: argparse.Namespace, page: EpochPage) -> SafetyLoop:
    """The loop with its own sessions."""
    mounts, roof = sessions_of(site, clock, words.spool, words.page, words.offset_us, words.sim_socket)
    weather: dict[str, Port[Weather]] = {}
    for source in site.weather:
        session: Any = open_session(
            source.address,
            "weather",
            spool=words.spool,
            gate_path=words.page,
            offset_us=words.offset_us,
            sim_socket=words.sim_socket,
        )
        weather[source.name] = Port(source.name, "weather", source.address, session, clock)
    return SafetyLoop(site, clock, page, weather, mounts, roof, Memory(words.memory))


async def guard(words: argparse.Namespace) -> None:
    """Guard the site until told to stop, or until control is gone and all is safe."""
    clock = WallClock(words.offset_us)
    lock = take_over(words.pid_file, clock)
    page = EpochPage(words.page)
    loop = build(read_site(words.site), clock, words, page)
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    running = asyncio.create_task(loop.run(lambda: None), name="safety")
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
        for task in (running, serving, stopping):
            task.cancel()
        await asyncio.gather(running, serving, stopping, return_exceptions=True)
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
    for name in ("site", "page", "memory", "pid-file", "spool"):
        parser.add_argument(f"--{name}", type=Path, required=True)
    parser.add_argument("--sim-socket", type=Path)
    parser.add_argument("--offset-us", type=int, default=0)
    parser.add_argument("--log-level", default="info")
    words = parser.parse_args()
    start_log(words.log_level)
    asyncio.run(guard(words))


if __name__ == "__main__":
    main()
