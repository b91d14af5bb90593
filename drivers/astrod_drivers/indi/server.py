"""An indiserver of our own: private home, a free port, drivers started, stopped and killed at will.

For rehearsals and tests. indiserver 1.9.9 can bind nothing but every interface; on a machine in a hostile
network run it in a network namespace or behind a firewall. All our clients use 127.0.0.1.
"""

import importlib.util
import os
import shutil
import signal
import socket
import subprocess
from pathlib import Path

from astrod_drivers.errors import Unreachable
from astrod_drivers.wallclock import WallClock

SIMULATORS = {
    "mount": ("indi_simulator_telescope", "Telescope Simulator"),
    "camera": ("indi_simulator_ccd", "CCD Simulator"),
    "focuser": ("indi_simulator_focus", "Focuser Simulator"),
    "wheel": ("indi_simulator_wheel", "Filter Simulator"),
    "rotator": ("indi_simulator_rotator", "Rotator Simulator"),
    "roof": ("indi_simulator_dome", "Dome Simulator"),
    "weather": ("indi_simulator_weather", "Weather Simulator"),
}
START_S = 10.0


def missing() -> str | None:
    """Why no indiserver can be started here, or None."""
    wanted = ["indiserver", *(program for program, _ in SIMULATORS.values())]
    absent = [program for program in wanted if shutil.which(program) is None]
    if importlib.util.find_spec("PyIndi") is None:
        absent.append("PyIndi (pip install astrod[indi])")
    return f"not installed: {', '.join(absent)} (Debian: apt install indi-bin)" if absent else None


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class IndiServer:
    """One indiserver. `start` may be called again after `stop` or `kill`, and keeps the port."""

    def __init__(self) -> None:
        self.port = _free_port()
        self._process: subprocess.Popen[bytes] | None = None
        self._fifo = Path()

    def start(self, drivers: list[str], home: Path, gsc_dir: Path | None = None) -> None:
        """Start with these driver programs; `gsc_dir` goes first on the PATH (the star catalogue program).

        Raises Unreachable when it does not listen within START_S.
        """
        home.mkdir(parents=True, exist_ok=True)
        self._fifo = home / "indi.fifo"
        self._fifo.unlink(missing_ok=True)
        os.mkfifo(self._fifo)
        path = os.environ.get("PATH", "/usr/bin:/bin")
        environment = {"HOME": str(home), "PATH": f"{gsc_dir}:{path}" if gsc_dir else path, "LC_ALL": "C"}
        command = [
            "indiserver",
            "-p",
            str(self.port),
            "-u",
            str(home / "indi.sock"),
            "-r",
            "100",
            "-m",
            "200",
        ]
        command += ["-f", str(self._fifo)]
        with (home / "indiserver.log").open("ab") as log:
            self._process = subprocess.Popen(
                [*command, *drivers],
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd=home,
                start_new_session=True,  # a ^C at the terminal is for the daemon, which closes the roof through it
            )
        self._wait_until_listening()

    def _wait_until_listening(self) -> None:
        clock = WallClock()
        deadline_s = clock.monotonic_s() + START_S
        while clock.monotonic_s() < deadline_s and self._process is not None and self._process.poll() is None:
            try:
                socket.create_connection(("127.0.0.1", self.port), timeout=1.0).close()
                return
            except OSError:
                clock.block(0.05)
        raise Unreachable(f"indiserver does not listen on {self.port}; read indiserver.log in its home")

    def address(self, device: str) -> str:
        """The address of a device on this server."""
        return f"indi://127.0.0.1:{self.port}/{device}"

    def fifo(self, command: str) -> None:
        """Have the server do `start PROGRAM` or `stop PROGRAM`."""
        with self._fifo.open("w") as pipe:
            pipe.write(command + "\n")

    def driver_pids(self, program: str) -> list[int]:
        """The processes of that driver program now."""
        if self._process is None:
            return []
        children = Path(f"/proc/{self._process.pid}/task/{self._process.pid}/children")
        pids = [int(word) for word in children.read_text().split()] if children.exists() else []
        return [pid for pid in pids if _program(pid) == program]

    def signal_driver(self, program: str, number: signal.Signals) -> None:
        """Send a signal to a driver: SIGSTOP makes it hang, SIGCONT wakes it."""
        for pid in self.driver_pids(program):
            os.kill(pid, number)

    def kill_driver(self, program: str) -> None:
        """kill -9 of a driver; the server starts it again, disconnected and with its state reset."""
        self.signal_driver(program, signal.SIGKILL)

    def kill(self) -> None:
        """kill -9 of the server; its drivers end with it."""
        self._end(signal.SIGKILL)

    def stop(self) -> None:
        """End the server."""
        self._end(signal.SIGTERM)

    def _end(self, number: signal.Signals) -> None:
        process, self._process = self._process, None
        if process is None:
            return
        process.send_signal(number)
        try:
            process.wait(5.0)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait(5.0)


def _program(pid: int) -> str:
    try:
        return Path(os.fsdecode(Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")[0])).name
    except OSError:
        return ""
