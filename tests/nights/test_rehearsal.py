"""A rehearsal: the real daemon on a real indiserver, a night of four minutes from dusk to dawn, one weather close.

The wall clock is shifted so that it is night at Pujalt, and the operator narrows the night to four minutes.
"""

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
from astrod.domain.darkness import dark_time
from astrod.domain.identity import Night
from astrod.domain.instant import HOUR_US, MINUTE_US, SECOND_US, iso
from astrod.domain.site import Darkness
from astrod.rehearsal.observatory import write_indi
from astrod.rehearsal.sites import known
from astrod.rehearsal.targets import Wish
from astrod.runtime.clock import WallClock
from astrod_drivers.indi.server import SIMULATORS, IndiServer, missing
from astrod_drivers.sim.gsc import write_gsc

pytestmark = [
    pytest.mark.indi,
    pytest.mark.slow,
    pytest.mark.timeout(420),
    pytest.mark.skipif(missing() is not None, reason=f"indiserver: {missing()}"),
]

NIGHT = Night.parse("2026-12-14")
LASTS_US = 4 * MINUTE_US
RUNNER = "import sys; from pathlib import Path; from astrod.config.load import load; from astrod.daemon import *\n"
RUNNER += "from astrod.rehearsal.simulator import run\n"
RUNNER += "sys.exit(run(load(Path(sys.argv[1]), resolve_name), int(sys.argv[2])))"


class Observatory:
    """indiserver and the daemon, as an owner would have them, and what can be asked of both."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.server = IndiServer()
        site = known("pujalt")
        dusk_us = dark_time(site.place, Darkness(), NIGHT).dusk_us + HOUR_US
        self.offset_us = dusk_us - 25 * SECOND_US - WallClock().now_us()
        self.start_server()
        window = f'\n[darkness]\nnot_before = "{iso(dusk_us)}"\nnot_after = "{iso(dusk_us + LASTS_US)}"\n'
        window = window.replace('"', "")
        write_indi(
            folder, site, self.server.port, folder / "spool", [Wish("Luminance", 5.0, 40)], more=window, shifted=True
        )
        self.readdress()
        self.log = (folder / "daemon.log").open("wb")
        self.daemon = subprocess.Popen(
            [sys.executable, "-c", RUNNER, str(folder), str(self.offset_us)], stdout=self.log, stderr=self.log
        )

    def start_server(self) -> None:
        """Start indiserver, also again after it was killed."""
        gsc = write_gsc(self.folder / "gsc").parent
        self.server.start([program for program, _ in SIMULATORS.values()], self.folder / "home", gsc)

    def readdress(self) -> None:
        """Where a kind of observatory writes other addresses into the configuration."""

    def status(self) -> dict[str, Any]:
        """The daemon's status, {} before it answers."""
        try:
            return call(self.folder / "run" / "astrod.sock", "status", {}, 5.0)
        except DaemonNotRunning:
            return {}

    def until(self, what: str, done: Callable[[dict[str, Any]], bool], within_s: float) -> dict[str, Any]:
        """Wait until the status satisfies `done`; fails with the log's end otherwise."""
        deadline_s = time.monotonic() + within_s
        status: dict[str, Any] = {}
        while time.monotonic() < deadline_s:
            status = self.status()
            if status and done(status):
                return status
            assert self.daemon.poll() is None, f"the daemon ended before: {what}\n{self.tail()}"
            time.sleep(0.5)
        raise AssertionError(f"not within {within_s:g} s: {what}\n{status}\n{self.tail()}")

    def tail(self) -> str:
        """The end of the daemon's log."""
        return (self.folder / "daemon.log").read_text(errors="replace")[-4000:]

    def wind(self, speed_m_s: float) -> None:
        """Set the wind of INDI's weather simulator, and have it look at once."""
        station = ("indi_setprop", "-p", str(self.server.port))
        subprocess.run([*station, f"Weather Simulator.WEATHER_CONTROL.Wind={speed_m_s}"], check=True, timeout=10)
        subprocess.run([*station, "Weather Simulator.WEATHER_REFRESH.REFRESH=On"], check=True, timeout=10)

    def end(self) -> None:
        """End what is still there."""
        if self.daemon.poll() is None:
            self.daemon.kill()
            self.daemon.wait(10)
            self._end_safety()
        self.log.close()
        self.server.stop()

    def _end_safety(self) -> None:
        """A daemon that was killed leaves its safety process, which tries to close the site for ever."""
        pid = self.folder / "run" / "safety.pid"
        if pid.exists() and pid.read_text().strip():
            os.kill(int(pid.read_text()), signal.SIGKILL)


@pytest.fixture
def observatory(tmp_path: Path) -> Iterator[Observatory]:
    there = Observatory(tmp_path)
    try:
        yield there
    finally:
        there.end()


@pytest.mark.xdist_group("rehearsal")
def test_a_night_on_real_indi_closes_for_wind_goes_on_and_ends_at_dawn(observatory: Observatory) -> None:
    observatory.until("exposures begin", lambda s: s["phase"] == "observing", 120.0)
    observatory.until("three frames", lambda s: s["frames"]["kept"] >= 3, 120.0)
    observatory.wind(25.0)
    closed = observatory.until("closed for wind", lambda s: s["phase"] == "closed", 60.0)
    assert not closed["safety"]["safe"]
    assert any("wind_m_s" in reason for reason in closed["safety"]["reasons"])
    assert [d["detail"] for d in closed["devices"] if d["name"] == "roof"] == ["closed"]
    observatory.wind(2.0)
    observatory.until("observing again", lambda s: s["phase"] == "observing", 90.0)
    before = observatory.until("a frame under way", lambda s: bool(s["exposing"]), 90.0)["frames"]["kept"]
    observatory.server.kill_driver("indi_simulator_ccd")
    observatory.until("frames again after the camera's driver died", lambda s: s["frames"]["kept"] > before + 2, 90.0)
    over = observatory.until("dawn", lambda s: s["phase"] == "asleep", 300.0)
    assert over["frames"]["kept"] >= 6
    assert [d["detail"] for d in over["devices"] if d["name"] == "roof"] == ["closed"]
    observatory.daemon.send_signal(signal.SIGTERM)
    assert observatory.daemon.wait(60) == 0, observatory.tail()
    check_records(observatory.folder / "data")


@pytest.mark.xdist_group("server dies")
def test_an_indiserver_that_dies_in_mid_exposure_is_waited_for_and_the_night_goes_on(observatory: Observatory) -> None:
    observatory.until("a frame under way", lambda s: s["frames"]["kept"] >= 1 and bool(s["exposing"]), 150.0)
    observatory.server.kill()
    observatory.until("it says so", lambda s: any(f["code"] == "AST-201" for f in s["health"]), 60.0)
    observatory.until("and of each device", lambda s: {d["state"] for d in s["devices"][:4]} == {"lost"}, 30.0)
    observatory.start_server()
    again = observatory.until("frames again", lambda s: s["frames"]["kept"] >= 3, 200.0)
    assert not [f for f in again["health"] if f["code"] == "AST-201"]
    observatory.daemon.send_signal(signal.SIGTERM)
    assert observatory.daemon.wait(120) == 0, observatory.tail()
    roof = subprocess.run(
        ["indi_getprop", "-1", "-p", str(observatory.server.port), "Dome Simulator.DOME_SHUTTER.SHUTTER_CLOSE"],
        capture_output=True,
        text=True,
        check=True,
        timeout=10,
    )
    assert roof.stdout.strip() == "On"


def check_records(data: Path) -> None:
    """Every frame recorded is on disk and whole, none twice; every dark minute has its cause."""
    archive = Archive.open(data / "archive.db")
    try:
        rows = [row for row in archive.frames(NIGHT) if row.taken is not None]
        assert len({row.taken.path for row in rows if row.taken}) == len(rows) >= 6
        for row in rows:
            assert row.taken is not None
            with fits.open(data / row.taken.path, checksum=True) as file:
                assert file[0].header["EXPID"] == str(row.id)
                assert file[0].data.shape == (1024, 1280)
        summary = archive.summary(NIGHT)
        assert summary is not None
        assert summary["dark_minutes"]["unexplained"] == 0
        assert summary["dark_minutes"]["weather"] > 0
        assert sum(summary["dark_minutes"].values()) == pytest.approx(4.0, abs=0.01)
    finally:
        archive.close()
