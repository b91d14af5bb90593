"""The demonstration, `make run`: the real daemon, in real time, at a real place where it is dark now.

On INDI's own simulators behind a real indiserver where they are installed, else on the simulated observatory.
The daemon is a process of its own; what the terminal shows is `astrod status`, as anybody may call it beside.
"""

import argparse
import importlib.util
import logging
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from astrod.api.client import DaemonNotRunning, DaemonRefused, call
from astrod.api.schema import Status, read
from astrod.config.roots import DEMO_ROOT
from astrod.errors import TellOperator
from astrod.rehearsal.observatory import Play, write_indi, write_simulated
from astrod.rehearsal.sites import KnownSite, darkest
from astrod.rehearsal.targets import Wish
from astrod.runtime.clock import WallClock
from astrod_drivers.errors import Unreachable
from astrod_drivers.indi.server import SIMULATORS, IndiServer, missing
from astrod_drivers.sim.gsc import write_gsc

log = logging.getLogger(__name__)

EXPOSURE_S = 10.0
LOOK_S = 1.0
STOP_S = 400.0
FOLDER = DEMO_ROOT
_ASTROD = (sys.executable, "-m", "astrod.cli.main")


def without_indi() -> str | None:
    """Why INDI cannot be had here, or None."""
    if importlib.util.find_spec("PyIndi") is None:
        return "pyindi-client is not installed (its build needs libdbus-1-dev and libglib2.0-dev)"
    return missing()


@contextmanager
def _indi(folder: Path, site: KnownSite, spool: Path) -> Iterator[None]:
    """INDI's simulators, up while the block lasts, and the configuration that names them."""
    home = folder / "indi"
    gsc = write_gsc(folder / "gsc").parent
    server = IndiServer()
    server.start([program for program, _ in SIMULATORS.values()], home.resolve(), gsc.resolve())
    try:
        write_indi(folder, site, server.port, spool, [Wish("Luminance", EXPOSURE_S, 30), Wish("Red", EXPOSURE_S, 10)])
        yield
    finally:
        server.stop()


@contextmanager
def _simulated(folder: Path, site: KnownSite, spool: Path) -> Iterator[None]:
    wishes = [Wish("L", EXPOSURE_S, 30), Wish("R", EXPOSURE_S, 10)]
    write_simulated(folder, site, Play(), spool, hurry=True, wishes=wishes)
    yield


@contextmanager
def _daemon(folder: Path) -> Iterator["subprocess.Popen[bytes]"]:
    """The daemon, running `folder`'s configuration; closed and parked on the way out."""
    with (folder / "astrod.log").open("wb") as output:
        process = subprocess.Popen(
            [*_ASTROD, "--config", str(folder), "run"],
            stdout=output,
            stderr=output,
            start_new_session=True,
        )
    try:
        yield process
    finally:
        if process.poll() is None:
            print("\nclosing and parking…", flush=True)
            process.send_signal(signal.SIGTERM)
        try:
            process.wait(STOP_S)
        except subprocess.TimeoutExpired:
            process.kill()
            print(f"the daemon did not end; its log is {folder / 'astrod.log'}", flush=True)


def _asked(folder: Path) -> Status | None:
    """The daemon's status; None before it answers."""
    try:
        return read(Status, call(folder / "run" / "astrod.sock", "status", {}, 5.0))
    except (DaemonNotRunning, DaemonRefused) as fault:
        log.debug("no status yet: %s", fault)
        return None


class Teller:
    """A line for each event, where there is no terminal to show the live status on."""

    def __init__(self) -> None:
        self._told: set[str] = set()
        self._phase = ""

    def tell(self, status: Status) -> None:
        """Print what is new."""
        if status["phase"] != self._phase:
            self._phase = status["phase"]
            print(f"{status['time'][11:19]} {self._phase}", flush=True)
        for verdict in status["last_verdicts"]:
            if verdict["id"] not in self._told:
                self._told.add(verdict["id"])
                print(
                    f"{verdict['at'][11:19]} {verdict['id']} {verdict['target']} {verdict['decision']}"
                    f" quality {verdict['quality']:.0f}, {verdict['stars']} stars",
                    flush=True,
                )


def _spool() -> Path:
    """Frames wait in memory where there is some."""
    memory = Path("/dev/shm")
    return (memory if memory.is_dir() else FOLDER) / f"astrod-demo-{os.getuid()}"


def main(words: argparse.Namespace) -> int:
    """The verb `astrod demo`; returns the daemon's exit code."""
    clock = WallClock()
    site = darkest(clock.now_us())
    folder, spool = FOLDER, _spool()
    folder.mkdir(exist_ok=True)
    reason = "it was asked for" if words.simulated else without_indi()
    print(f"It is dark at {site.title}: observing there now.")
    if reason is not None:
        print(f"On the simulated rig, without INDI: {reason}.")
    hardware = _simulated if reason is not None else _indi
    print(f"Frames: {folder / 'data' / 'frames'}. Log: {folder / 'astrod.log'}. Beside this, try: astrod status")
    print("^C closes, parks and ends.", flush=True)
    try:
        with hardware(folder, site, spool), _daemon(folder) as process:
            watch(process, folder, clock, words.minutes)
        return process.returncode
    except Unreachable as fault:
        raise TellOperator(str(fault)) from fault
    finally:
        shutil.rmtree(spool, ignore_errors=True)


def watch(process: "subprocess.Popen[bytes]", folder: Path, clock: WallClock, minutes: float | None) -> None:
    """Show the daemon until it ends, until ^C, or for so many minutes: `astrod status --watch` on a terminal."""
    last_s = None if minutes is None else clock.monotonic_s() + 60.0 * minutes
    teller, live = Teller(), None
    try:
        while process.poll() is None and (last_s is None or clock.monotonic_s() < last_s):
            status = _asked(folder)
            if status is not None and sys.stdout.isatty():
                live = live or subprocess.Popen([*_ASTROD, "--config", str(folder), "status", "--watch"])
            elif status is not None:
                teller.tell(status)
            clock.block(LOOK_S)
    except KeyboardInterrupt:
        log.info("interrupted: closing")
    finally:
        if live is not None:
            live.terminate()
            live.wait()
