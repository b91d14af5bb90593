"""kill -9 in mid exposure, in real time, on simulated devices that outlive the daemon as hardware does."""

import asyncio
import hashlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from astropy.io import fits

from astrod.api.client import DaemonNotRunning, call
from astrod.archive.archive import Archive
from astrod.archive.rows import FrameRow
from astrod.domain.darkness import dark_time
from astrod.domain.identity import Night
from astrod.domain.instant import HOUR_US
from astrod.domain.site import Darkness
from astrod.rehearsal.night import SMALL
from astrod.rehearsal.observatory import Play, write_simulated
from astrod.rehearsal.sites import known
from astrod.rehearsal.targets import Wish
from astrod.runtime.clock import WallClock
from astrod_drivers.session import open_session

pytestmark = [pytest.mark.slow, pytest.mark.timeout(240), pytest.mark.xdist_group("kill")]

NIGHT = Night.parse("2026-12-14")
RUNNER = """
import sys
from dataclasses import replace
from pathlib import Path
from astrod.config.load import load
from astrod.daemon import resolve_name
from astrod.rehearsal import simulator

as_configured = simulator.setup_of

def in_a_hurry(loaded):
    setup = as_configured(loaded)
    mounts = tuple(replace(mount, slew_deg_s=40.0) for mount in setup.mounts)
    return replace(setup, mounts=mounts, roof=replace(setup.roof, travel_s=4.0))

simulator.setup_of = in_a_hurry
sys.exit(simulator.run(load(Path(sys.argv[1]), resolve_name), int(sys.argv[2])))
"""
"""The daemon, with a quick mount and a quick roof for a simulated observatory."""


class Dark:
    """An observatory in the middle of a clear night, and its daemon, which may be killed and started again."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        site = known("pujalt")
        self.offset_us = dark_time(site.place, Darkness(), NIGHT).dusk_us + 2 * HOUR_US - WallClock().now_us()
        play = Play(3, "clear", *SMALL)
        write_simulated(folder, site, play, folder / "spool", hurry=True, wishes=[Wish("L", 3.0, 500)])
        self._log = (folder / "daemon.log").open("ab")
        self.daemon = self.start()

    def start(self) -> "subprocess.Popen[bytes]":
        """Start the daemon."""
        self.daemon = subprocess.Popen(
            [sys.executable, "-c", RUNNER, str(self.folder), str(self.offset_us)], stdout=self._log, stderr=self._log
        )
        return self.daemon

    def status(self) -> dict[str, Any]:
        """The daemon's status, {} while it does not answer."""
        try:
            return call(self.folder / "run" / "astrod.sock", "status", {}, 5.0)
        except DaemonNotRunning:
            return {}

    def until(self, done: Callable[[dict[str, Any]], bool], within_s: float) -> dict[str, Any]:
        """Wait until the status says so."""
        deadline_s = time.monotonic() + within_s
        while not ((told := self.status()) and done(told)):
            assert self.daemon.poll() is None, f"the daemon ended with {self.daemon.returncode}\n{self.tail()}"
            assert time.monotonic() < deadline_s, f"not within {within_s:g} s: {told}\n{self.tail()}"
            time.sleep(0.3)
        return told

    def tail(self) -> str:
        """The end of the daemon's log."""
        return (self.folder / "daemon.log").read_text()[-4000:]

    def frames(self) -> list[FrameRow]:
        """What the archive says; only while no daemon runs."""
        archive = Archive.open(self.folder / "data" / "archive.db")
        try:
            return archive.frames(NIGHT)
        finally:
            archive.close()

    def hardware(self) -> tuple[str, bool]:
        """What roof and mount themselves say: aperture, parked."""
        return asyncio.run(self._hardware())

    async def _hardware(self) -> tuple[str, bool]:
        run = self.folder / "run"
        paths: dict[str, Any] = {"spool": run, "gate_path": run / "epoch", "sim_socket": run / "sim.sock"}
        roof, mount = (open_session(f"sim://{kind}", kind, **paths) for kind in ("roof", "mount"))
        try:
            for session in (roof, mount):
                await session.start(10.0)
            device: Any = roof.device
            aperture = (await device.read()).aperture
            device = mount.device
            return aperture, (await device.read()).parked
        finally:
            for session in (roof, mount):
                await session.kill()

    def processes(self) -> list[int]:
        """All that runs for this folder: the simulated observatory, safety, the daemon."""
        mine = []
        for entry in Path("/proc").glob("[0-9]*"):
            try:
                words = (entry / "cmdline").read_bytes()
            except OSError:  # it ended while we looked
                continue
            if str(self.folder).encode() in words and int(entry.name) != os.getpid():
                mine.append(int(entry.name))
        return mine

    def clear_away(self) -> None:
        """End whatever is left."""
        for pid in self.processes():
            os.kill(pid, signal.SIGKILL)
        self.daemon.wait(10.0)
        self._log.close()


@pytest.fixture
def night(tmp_path: Path) -> Iterator[Dark]:
    night = Dark(tmp_path)
    yield night
    night.clear_away()


def assert_whole(night: Dark, rows: list[FrameRow]) -> None:
    """Every frame that is recorded is on disk, whole, readable, and there once."""
    root = night.folder / "data"
    taken = [row.taken for row in rows if row.taken is not None]
    assert len({frame.path for frame in taken}) == len(taken)
    for frame in taken:
        path = root / frame.path
        assert hashlib.sha256(path.read_bytes()).hexdigest() == frame.sha256
        with fits.open(path) as hdus:
            assert hdus[0].data.shape == (SMALL[1], SMALL[0])
    on_disk = [str(path.relative_to(root)) for path in (root / "frames").rglob("*.fits")]
    assert sorted(on_disk) == sorted(frame.path for frame in taken)
    digests = [frame.sha256 for frame in taken]
    assert len(set(digests)) == len(digests)


def test_a_daemon_killed_in_mid_exposure_goes_on_where_it_was(night: Dark) -> None:
    night.until(lambda told: told["frames"]["kept"] >= 2 and told["exposing"], 90.0)
    night.daemon.kill()
    night.daemon.wait(10.0)
    safety = int((night.folder / "run" / "safety.pid").read_text())
    os.kill(safety, 0)  # raises when safety died with control
    before = night.frames()
    assert_whole(night, [row for row in before if row.judgement is not None])
    assert night.hardware() == ("open", False)

    night.start()
    already = sum(1 for row in before if row.taken is not None)
    night.until(lambda told: told["frames"]["kept"] >= already + 2, 60.0)
    night.daemon.send_signal(signal.SIGTERM)
    assert night.daemon.wait(90.0) == 0, night.tail()
    assert night.hardware() == ("closed", True)

    after = night.frames()
    assert_whole(night, after)
    counters = [row.intent.id.counter for row in after]
    assert counters == list(range(1, len(counters) + 1))
    kept = {row.intent.id for row in before if row.kept}
    assert kept <= {row.intent.id for row in after if row.kept}
    assert {row.outcome for row in after} <= {"taken", "interrupted", "aborted", "seen"}
    assert "interrupted" in {row.outcome for row in after}


def test_a_site_that_control_has_left_is_closed_by_safety_alone(night: Dark) -> None:
    night.until(lambda told: told["frames"]["kept"] >= 1, 90.0)
    night.daemon.kill()
    night.daemon.wait(10.0)
    safety = int((night.folder / "run" / "safety.pid").read_text())
    deadline_s = time.monotonic() + 100.0
    while night.hardware() != ("closed", True):
        assert time.monotonic() < deadline_s, night.tail()
        time.sleep(1.0)
    while safety in night.processes():
        assert time.monotonic() < deadline_s, "safety does not end although all is safe"
        time.sleep(0.5)
