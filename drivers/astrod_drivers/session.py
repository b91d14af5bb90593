"""A device session from the daemon's side: a killable child process, or the simulated observatory's socket.

A native driver may hang for ever in C++. So it lives in a child (`astrod_drivers.host`) and the daemon holds
a `Session`: every call has a deadline, `kill` is SIGKILL at once, and after it the session can be started
again. The device proxy stays the same object through all of that, so nobody needs to be told.
"""

import asyncio
import importlib.util
import logging
import os
import socket
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeVar

from astrod_drivers.address import FEEDS, Address, parse
from astrod_drivers.alpaca import SERVED as ALPACA_SERVED
from astrod_drivers.alpaca import TYPES
from astrod_drivers.errors import AddressInvalid, Unreachable
from astrod_drivers.feeds import SERVED as FED
from astrod_drivers.indi import SERVED as INDI_SERVED
from astrod_drivers.phd2 import SERVED as PHD2_SERVED
from astrod_drivers.protocols import KINDS, Device
from astrod_drivers.remote import PROXIES, Remote
from astrod_drivers.wire import Connection

REAP_S = 5.0
_LIBRARIES = {
    "indi": ("INDI", INDI_SERVED, "PyIndi", "pyindi-client"),
    "alpaca": ("Alpaca", ALPACA_SERVED, "alpaca", "alpyca"),
    "phd2": ("PHD2", PHD2_SERVED, "json", ""),
}
"""By scheme: its name, the kinds it serves, the module that it needs and the package that brings it."""
R = TypeVar("R", bound=Remote)
log = logging.getLogger(__name__)


class Child:
    """A driver host process with its end of a socket pair. It dies with us, and of our end's closing."""

    def __init__(self, arguments: list[str]) -> None:
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)
        command = [
            sys.executable,
            "-P",
            "-m",
            "astrod_drivers.host",
            "--fd",
            str(theirs.fileno()),
            *arguments,
        ]
        with theirs:
            # native libraries write to stdout, where a command of ours may be answering: send it to stderr
            self._process = subprocess.Popen(command, pass_fds=(theirs.fileno(),), stdin=subprocess.DEVNULL, stdout=2)
        self.socket = ours

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def alive(self) -> bool:
        return self._process.poll() is None

    def kill(self) -> None:
        """SIGKILL, now."""
        self._process.kill()

    async def reap(self) -> None:
        """Wait for its end, REAP_S at most. A child that sleeps uninterruptibly is left to the kernel."""
        try:
            async with asyncio.timeout(REAP_S):
                await self._ended()
        except TimeoutError:
            log.error("driver host %d survives SIGKILL: its hardware blocks in the kernel; unplug it", self.pid)

    async def _ended(self) -> None:
        if not self.alive:
            return
        loop = asyncio.get_running_loop()
        ended = asyncio.Event()
        handle = os.pidfd_open(self.pid)
        try:
            loop.add_reader(handle, ended.set)
            await ended.wait()
        finally:
            loop.remove_reader(handle)
            os.close(handle)
        self._process.wait()


class Session:
    """One device of one kind, reached through a child process or the simulated observatory's socket.

    Not to be built directly: `open_session` checks the address and the kind first.
    """

    def __init__(
        self,
        address: Address,
        kind: str,
        *,
        arguments: list[str],
        sim_socket: Path | None,
        deadlines_s: Mapping[str, float] | None = None,
    ) -> None:
        self.address = address
        self.kind = kind
        self._arguments = arguments
        self._sim_socket = sim_socket
        self._child: Child | None = None
        self._connection: Connection | None = None
        self._proxy = PROXIES[kind](self, address.device, deadlines_s)

    @property
    def device(self) -> Device:
        """The typed proxy, the same object for the session's life. Calls raise Unreachable until `start`."""
        return self._proxy

    def device_as(self, proxy: type[R]) -> R:
        """The proxy with its type, as in `session.device_as(RemoteMount)`. TypeError for another kind."""
        if not isinstance(self._proxy, proxy):
            raise TypeError(f"{self.address} is a {self.kind}, not a {proxy.__name__}")
        return self._proxy

    @property
    def alive(self) -> bool:
        """The process behind the device answers or is still believed to; says nothing of the hardware."""
        return self._connection is not None and self._connection.alive

    @property
    def pid(self) -> int | None:
        """The child's process id, None without one."""
        return self._child.pid if self._child is not None else None

    async def start(self, deadline_s: float = 30.0) -> None:
        """Bring the process up if it is not, and connect the device.

        Raises Unreachable, DeviceMissing, DeadlineMissed (then `kill`); may be called again after each.
        """
        if not self.alive:
            await self._open()
        await self.call(self.address.device, "connect", {}, deadline_s)

    async def call(self, device: str, method: str, args: Mapping[str, object], deadline_s: float) -> Any:
        """See `wire.Connection.call`; `device` must be this session's."""
        if self._connection is None:
            raise Unreachable(f"the session of {self.address} is not started; start it")
        return await self._connection.call(device, method, args, deadline_s)

    async def kill(self) -> None:
        """End the process at once, whatever it is doing. The hardware is left as it is."""
        connection, self._connection = self._connection, None
        child, self._child = self._child, None
        if child is not None:
            child.kill()
        if connection is not None:
            await connection.close()
        elif child is not None:
            child.socket.close()
        if child is not None:
            await child.reap()

    async def restart(self, deadline_s: float = 30.0) -> None:
        """`kill`, then `start`."""
        await self.kill()
        await self.start(deadline_s)

    async def _open(self) -> None:
        await self.kill()
        if self._sim_socket is not None:
            self._connection = await Connection.open_path(self._sim_socket)
            return
        self._child = Child(self._arguments)
        self._connection = await Connection.open_socket(self._child.socket)


def _check_library(address: str, scheme: str, kind: str) -> None:
    """Raises AddressInvalid for a kind that the scheme does not serve, and without the scheme's library."""
    name, served, module, package = _LIBRARIES[scheme]
    if kind not in served:
        raise AddressInvalid(f"{address}: astrod drives no {kind} through {name}; it drives {', '.join(served)}")
    if scheme == "alpaca" and parse(address).device.partition("/")[0] != TYPES[kind]:
        raise AddressInvalid(f"{address} is no {kind}; write alpaca://HOST:PORT/{TYPES[kind]}/NUMBER")
    if importlib.util.find_spec(module) is None:
        raise AddressInvalid(f"{address} needs {package}; install astrod[{scheme}], or use a sim:// address")


def open_session(
    address: str,
    kind: str,
    *,
    spool: Path,
    gate_path: Path,
    offset_us: int = 0,
    sim_socket: Path | None = None,
    deadlines_s: Mapping[str, float] | None = None,
) -> Session:
    """A session, not started. Raises AddressInvalid for a bad address, kind, or `sim://` without a socket.

    `spool` is where frames arrive, `gate_path` the safety epoch's page; `deadlines_s` replaces entries of
    `remote.DEADLINES_S`.
    """
    parsed = parse(address)
    if kind not in KINDS:
        raise AddressInvalid(f"{address}: there is no kind of device {kind!r}; there are {', '.join(KINDS)}")
    if parsed.scheme in _LIBRARIES:
        _check_library(address, parsed.scheme, kind)
    if parsed.scheme in FEEDS and kind not in FED:
        raise AddressInvalid(f"{address}: a feed is {', '.join(FED)} and can be no {kind}")
    if parsed.scheme == "mqtt" and importlib.util.find_spec("paho") is None:
        raise AddressInvalid(f"{address} needs paho-mqtt; install astrod[mqtt]")
    if parsed.scheme == "sim" and sim_socket is None:
        raise AddressInvalid(f"{address} needs the simulated observatory; start it, or write an indi:// address")
    arguments = ["--kind", kind, "--address", address, "--spool", str(spool), "--gate", str(gate_path)]
    arguments += [f"--offset-us={offset_us}"]
    socket_path = sim_socket if parsed.scheme == "sim" else None
    return Session(parsed, kind, arguments=arguments, sim_socket=socket_path, deadlines_s=deadlines_s)
