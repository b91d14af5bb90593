"""Benches whose devices are behind an Alpaca server: our own, and the package alpaca-simulators."""

import json
import socket
import subprocess
import time
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from tests.contract.bench import SessionBench

from astrod_drivers.session import Session, open_session

SIMULATORS_PYTHON = Path(__file__).parents[2] / ".venv-alpaca" / "bin" / "python"
ALPACA_TYPES = {
    "mount": "telescope/0",
    "camera": "camera/0",
    "focuser": "focuser/0",
    "wheel": "filterwheel/0",
    "rotator": "rotator/0",
    "roof": "dome/0",
    "cover": "covercalibrator/0",
    "switch": "switch/0",
    "weather": "observingconditions/0",
    "safety_monitor": "safetymonitor/0",
}


class AlpacaBench(SessionBench):
    """Devices of one Alpaca server, each behind its host process."""

    def __init__(self, folder: Path, port: int) -> None:
        super().__init__(folder, lambda kind: f"alpaca://127.0.0.1:{port}/{ALPACA_TYPES[kind]}")
        self.port = port

    def session_at(self, device: str, kind: str) -> Session:
        """A session to that device (`dome/1`), not started; it ends with the bench."""
        address = f"alpaca://127.0.0.1:{self.port}/{device}"
        session = open_session(address, kind, spool=self.spool, gate_path=self.gate.path)
        self.sessions[address] = session
        return session

    def misbehave(self, *plan: Mapping[str, object]) -> None:
        """Have our own server misbehave (`astrod_drivers.sim.alpaca.bad`); without a plan it behaves again."""
        request = urllib.request.Request(
            f"http://127.0.0.1:{self.port}/simulator/bad", json.dumps(plan).encode(), method="PUT"
        )
        with urllib.request.urlopen(request, timeout=5.0) as response:
            assert response.status == 200


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextmanager
def running(command: list[str], port: int, within_s: float = 30.0, **popen: object) -> Iterator[int]:
    """A server process that listens on that port of loopback; it ends with the block."""
    process = subprocess.Popen(command, **popen)  # type: ignore[call-overload]
    try:
        deadline = time.monotonic() + within_s
        while not _listens(port):
            assert process.poll() is None, f"{command} ended"
            assert time.monotonic() < deadline, f"{command} does not listen"
            time.sleep(0.05)
        yield port
    finally:
        process.kill()  # neither keeps anything, and one waits long for idle connections
        process.wait(10.0)


def _listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0
