"""The line between the control process and the safety process: the drivers' wire, over a socket pair.

Control starts the safety process and talks to it as to a `Guard`. When control dies the line breaks, its
heartbeat goes stale, and safety closes the site by itself.
"""

import asyncio
import signal
import socket
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from astrod.domain.safety import SafetyReport
from astrod.errors import AstrodError, GoSafe, OutcomeUnknown, RecoverDevice
from astrod_drivers.errors import DeadlineMissed, DriverError, PermitRefused
from astrod_drivers.protocols import Permit
from astrod_drivers.wire import Connection, decode

NAME = "guard"
CHANGE_S = 20.0
STOP_S = 5.0
TELL_S = 5.0


class RemoteGuard:
    """`Guard`, through the line. `close_s` bounds parking plus closing, `open_s` opening."""

    def __init__(self, connection: Connection, open_s: float, close_s: float) -> None:
        self._connection = connection
        self._open_s, self._close_s = open_s, close_s

    async def _call(self, method: str, args: dict[str, object], deadline_s: float) -> Any:
        try:
            return await self._connection.call(NAME, method, args, deadline_s)
        except PermitRefused as fault:
            raise GoSafe(str(fault)) from fault
        except DeadlineMissed as fault:
            raise OutcomeUnknown("safety", str(fault)) from fault
        except DriverError as fault:
            raise RecoverDevice("safety", str(fault)) from fault

    async def report(self) -> SafetyReport:
        """See `Guard`."""
        return self._understood(await self._call("report", {}, 5.0))

    async def changed(self, version: int) -> SafetyReport:
        """See `Guard`."""
        return self._understood(await self._call("changed", {"version": version}, CHANGE_S))

    async def open_roof(self, permit: Permit) -> None:
        """See `Guard`."""
        await self._call("open_roof", {"permit": permit}, self._open_s)

    async def close_site(self, reason: str) -> None:
        """See `Guard`."""
        await self._call("close_site", {"reason": reason}, self._close_s)

    async def tell_place(self, rig: str, number: int, azimuth_deg: float | None, altitude_deg: float | None) -> None:
        """See `Guard`."""
        place = {"azimuth_deg": azimuth_deg, "altitude_deg": altitude_deg}
        await self._call("tell_place", {"rig": rig, "number": number, **place}, TELL_S)

    def _understood(self, answer: object) -> SafetyReport:
        report = decode(SafetyReport, answer)
        if not isinstance(report, SafetyReport):
            raise RecoverDevice("safety", f"answered {answer!r}")
        return report


class SafetyProcess:
    """The child process, from control's side."""

    def __init__(self, process: asyncio.subprocess.Process, connection: Connection) -> None:
        self._process = process
        self.connection = connection

    @classmethod
    async def start(cls, arguments: Sequence[str]) -> "SafetyProcess":
        """Start `python -m astrod.rig.safety.process` with these arguments and a line to it."""
        ours, theirs = socket.socketpair()
        with theirs:
            process = await asyncio.create_subprocess_exec(
                sys.executable,
                "-m",
                "astrod.rig.safety.process",
                "--fd",
                str(theirs.fileno()),
                *arguments,
                pass_fds=(theirs.fileno(),),
                start_new_session=True,  # a ^C at the terminal must not end it before the roof is closed
            )
        return cls(process, await Connection.open_socket(ours))

    @property
    def pid(self) -> int:
        return self._process.pid

    async def ended(self) -> int:
        """Wait for its end; returns its exit status."""
        return await self._process.wait()

    async def stop(self) -> None:
        """End it in order; killed when it does not end within STOP_S."""
        if self._process.returncode is None:
            self._process.send_signal(signal.SIGTERM)
            try:
                async with asyncio.timeout(STOP_S):
                    await self._process.wait()
            except TimeoutError:
                self._process.kill()
                await self._process.wait()
        await self.connection.close()


def translated(fault: AstrodError) -> DriverError:
    """The daemon's error in the words of the wire."""
    kinds: list[tuple[type[AstrodError], type[DriverError]]] = [
        (GoSafe, PermitRefused),
        (OutcomeUnknown, DeadlineMissed),
    ]
    for ours, theirs in kinds:
        if isinstance(fault, ours):
            return theirs(str(fault))
    return DriverError(str(fault))


def arguments(
    site_file: Path,
    page: Path,
    memory: Path,
    statement: Path,
    pid_file: Path,
    spool: Path,
    sim_socket: Path | None,
    offset_us: int,
) -> list[str]:
    """The command line of the safety process, but for its end of the line."""
    words = [
        *("--site", str(site_file), "--page", str(page), "--memory", str(memory), "--statement", str(statement)),
        *("--pid-file", str(pid_file), "--spool", str(spool), "--offset-us", str(offset_us)),
    ]
    return words + (["--sim-socket", str(sim_socket)] if sim_socket else [])
