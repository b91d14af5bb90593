"""One night at two observatories that differ in their addresses alone: indiserver and alpaca-simulators.

Both run at once, on a wall clock shifted into the night, with the same targets; a wind closes both, and goes again.
"""

import os
import subprocess
import sys
import time
import urllib.parse
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Protocol

import pytest

from astrod.api.client import DaemonNotRunning, call
from astrod.archive.archive import Archive
from astrod.domain.darkness import dark_time
from astrod.domain.identity import Night
from astrod.domain.instant import HOUR_US, SECOND_US, iso
from astrod.domain.site import Darkness
from astrod.rehearsal.observatory import write_indi
from astrod.rehearsal.sites import known
from astrod.rehearsal.targets import Wish
from astrod.runtime.clock import WallClock
from astrod_drivers.indi.server import SIMULATORS, IndiServer, missing
from astrod_drivers.sim.gsc import write_gsc
from tests.contract.alpaca_bench import SIMULATORS_PYTHON, free_port, running
from tests.nights.test_rehearsal import RUNNER

pytestmark = [
    pytest.mark.indi,
    pytest.mark.slow,
    pytest.mark.timeout(480),
    pytest.mark.xdist_group("twins"),
    pytest.mark.skipif(missing() is not None, reason=f"indiserver: {missing()}"),
    pytest.mark.skipif(not SIMULATORS_PYTHON.exists(), reason="alpaca-simulators is not installed (make test)"),
]

ROOT = Path(__file__).parents[2]
NIGHT = Night.parse("2026-12-14")
LASTS_US = 200 * SECOND_US
TARGETS = """
[[target]]
name = "M 31"
[[target.exposures]]
filter = "Luminance"
exposure_s = 3.0
count = 5
[[target.exposures]]
filter = "Red"
exposure_s = 3.0
count = 3

[[target]]
name = "M 45"
[[target.exposures]]
filter = "Luminance"
exposure_s = 3.0
count = 4
"""
ALPACA = {
    "Telescope Simulator": "telescope/0",
    "CCD Simulator": "camera/0",
    "Focuser Simulator": "focuser/0",
    "Filter Simulator": "filterwheel/0",
    "Dome Simulator": "dome/0",
    "Weather Simulator": "observingconditions/0",
}


class Wind(Protocol):
    """Lets the wind blow at a place."""

    def __call__(self, speed_m_s: float) -> None: ...


class Twin:
    """A daemon at its observatory."""

    def __init__(self, folder: Path, port: int, wind: Wind, alpaca: bool) -> None:
        self.folder, self.wind = folder, wind
        site = known("pujalt")
        dusk_us = dark_time(site.place, Darkness(), NIGHT).dusk_us + HOUR_US
        offset_us = dusk_us - 25 * SECOND_US - WallClock().now_us()
        window = f"\n[darkness]\nnot_before = {iso(dusk_us)}\nnot_after = {iso(dusk_us + LASTS_US)}\n"
        write_indi(folder, site, port, folder / "spool", [Wish("Red", 1.0, 1)], more=window, shifted=True)
        (folder / "targets.d" / "rehearsal.toml").write_text(TARGETS)
        if alpaca:
            self._readdress(port)
        with (folder / "daemon.log").open("wb") as log:
            command = [sys.executable, "-c", RUNNER, str(folder), str(offset_us)]
            self.daemon = subprocess.Popen(command, stdout=log, stderr=log, env=dict(os.environ))

    def _readdress(self, port: int) -> None:
        """The same file with other addresses."""
        file = self.folder / "astrod.toml"
        text = file.read_text()
        for indi, alpaca in ALPACA.items():
            text = text.replace(f"indi://localhost:{port}/{indi}", f"alpaca://127.0.0.1:{port}/{alpaca}")
        assert "indi://" not in text
        file.write_text(text)

    def status(self) -> dict[str, Any]:
        """The daemon's status, {} before it answers."""
        assert self.daemon.poll() is None, f"the daemon of {self.folder.name} ended\n{self.tail()}"
        try:
            return call(self.folder / "run" / "astrod.sock", "status", {}, 5.0)
        except DaemonNotRunning:
            return {}

    def tail(self) -> str:
        return (self.folder / "daemon.log").read_text(errors="replace")[-5000:]

    def end(self) -> None:
        """Stop it in order; a daemon that does not is killed."""
        self.daemon.terminate()
        try:
            self.daemon.wait(60)
        except subprocess.TimeoutExpired:
            self.daemon.kill()
            self.daemon.wait(10)
            raise

    def outcome(self) -> tuple[dict[str, int], dict[str, Any]]:
        """Frames kept of each request, and the night's summary."""
        archive = Archive.open(self.folder / "data" / "archive.db")
        try:
            summary = archive.summary(NIGHT)
            assert summary is not None, self.tail()
            return dict(archive.kept_counts()), summary
        finally:
            archive.close()


@pytest.fixture
def indi(tmp_path: Path) -> Iterator[Twin]:
    folder = tmp_path / "indi"
    folder.mkdir()
    server = IndiServer()
    server.start([program for program, _ in SIMULATORS.values()], folder / "home", write_gsc(folder / "gsc").parent)

    def wind(speed_m_s: float) -> None:
        station = ("indi_setprop", "-p", str(server.port))
        subprocess.run([*station, f"Weather Simulator.WEATHER_CONTROL.Wind={speed_m_s}"], check=True, timeout=10)
        subprocess.run([*station, "Weather Simulator.WEATHER_REFRESH.REFRESH=On"], check=True, timeout=10)

    try:
        yield Twin(folder, server.port, wind, alpaca=False)
    finally:
        server.stop()


@pytest.fixture
def alpaca(tmp_path: Path) -> Iterator[Twin]:
    folder, port = tmp_path / "alpaca", free_port()
    folder.mkdir()

    def wind(speed_m_s: float) -> None:
        body = urllib.parse.urlencode({"WindSpeed": speed_m_s / 3.6, "ClientTransactionID": 1}).encode()
        url = f"http://127.0.0.1:{port}/api/v1/observingconditions/0/windspeed"
        with urllib.request.urlopen(urllib.request.Request(url, body, method="PUT"), timeout=10) as answer:
            assert answer.status == 200

    script = ROOT / "tests" / "contract" / "alpaca_simulators_offline.py"
    paths = {**os.environ, "PYTHONPATH": str(ROOT / "drivers")}
    with (folder / "server.log").open("wb") as log:
        command = [str(SIMULATORS_PYTHON), str(script), str(port)]
        with running(command, port, cwd=folder, env=paths, stdout=log, stderr=log):
            yield Twin(folder, port, wind, alpaca=True)


def until(twins: tuple[Twin, ...], what: str, done: Any, within_s: float) -> None:
    """Wait until it is so at both."""
    deadline_s = time.monotonic() + within_s
    waiting = set(twins)
    while waiting:
        waiting = {twin for twin in waiting if not ((status := twin.status()) and done(status))}
        late = time.monotonic() > deadline_s
        assert not (waiting and late), [f"{t.folder.name}: not {what}\n{t.status()}\n{t.tail()}" for t in waiting]
        time.sleep(0.3)


def test_the_same_night_on_indi_and_on_alpaca(indi: Twin, alpaca: Twin) -> None:
    twins = (indi, alpaca)
    until(twins, "observing", lambda s: s["phase"] == "observing" and s["frames"]["kept"] >= 2, 120.0)
    for twin in twins:
        twin.wind(72.0)
    until(twins, "closed for wind", lambda s: s["phase"] == "closed" and not s["safety"]["safe"], 60.0)
    for twin in twins:
        twin.wind(7.0)
    until(twins, "observing again", lambda s: s["phase"] == "observing", 90.0)
    until(twins, "dawn", lambda s: s["phase"] == "asleep", 240.0)
    for twin in twins:
        twin.end()
    (indi_kept, indi_night), (alpaca_kept, alpaca_night) = indi.outcome(), alpaca.outcome()
    assert indi_kept == alpaca_kept
    assert indi_night["requests"] == alpaca_night["requests"] == {"done": 3, "partial": 0, "untouched": 0}
    assert abs(indi_night["frames"]["taken"] - alpaca_night["frames"]["taken"]) <= 1
    assert len(indi_night["closures"]) == len(alpaca_night["closures"]) == 1
    for closures in (indi_night["closures"], alpaca_night["closures"]):
        assert "wind_m_s" in closures[0]
