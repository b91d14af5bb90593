"""A night of four minutes through Alpaca: the real daemon on our server over the simulated observatory.

The configuration is that of INDI but for the addresses; `test_twins` has such a night on alpaca-simulators.
"""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from astrod.archive.archive import Archive
from astrod_drivers.sim.scene import Optics, Sensor
from astrod_drivers.sim.setup import (
    CameraSetup,
    FocuserSetup,
    MountSetup,
    ObservatorySetup,
    RoofSetup,
    TrainSetup,
    WheelSetup,
)
from tests.contract.alpaca_bench import free_port
from tests.nights.test_rehearsal import NIGHT, Observatory

ROOT = Path(__file__).parents[2]
DEVICES = {
    "Dome Simulator": "dome/0",
    "Weather Simulator": "observingconditions/0",
    "Telescope Simulator": "telescope/0",
    "Filter Simulator": "filterwheel/0",
    "CCD Simulator": "camera/0",
    "Focuser Simulator": "focuser/0",
}
SETUP = ObservatorySetup(
    roof=RoofSetup(travel_s=5.0),
    mounts=(
        MountSetup(
            slew_deg_s=20.0,
            trains=(
                TrainSetup(
                    optics=Optics(aperture_mm=120.0, focal_length_mm=900.0),
                    camera=CameraSetup(sensor=Sensor(width_px=640, height_px=480)),
                    focuser=FocuserSetup(steps_s=4000.0),
                    wheel=WheelSetup(filters=("Luminance", "Red"), focus_shift_um=(0.0, 0.0)),
                ),
            ),
        ),
    ),
)

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]


class AlpacaObservatory(Observatory):
    """The same daemon and configuration, with an Alpaca server instead of an indiserver."""

    peer: subprocess.Popen[bytes]

    def start_server(self) -> None:
        self.port = free_port()
        self.peer = subprocess.Popen(self.command(), env={**os.environ, "PYTHONPATH": str(ROOT / "drivers")})

    def command(self) -> list[str]:
        setup = self.folder / "setup.json"
        setup.write_text(SETUP.to_json())
        ours = [sys.executable, "-m", "astrod_drivers.sim.alpaca", "--setup", str(setup), "--port", str(self.port)]
        return [*ours, f"--offset-s={self.offset_us / 1e6}"]

    def readdress(self) -> None:
        path = self.folder / "astrod.toml"
        text = path.read_text()
        for name, device in DEVICES.items():
            address = f"indi://localhost:{self.server.port}/{name}"
            assert address in text
            text = text.replace(address, f"alpaca://127.0.0.1:{self.port}/{device}")
        path.write_text(text)

    def end(self) -> None:
        super().end()
        self.peer.kill()
        self.peer.wait(10.0)


@pytest.fixture
def observatory(tmp_path: Path) -> Iterator[AlpacaObservatory]:
    there = AlpacaObservatory(tmp_path)
    try:
        yield there
    finally:
        there.end()


@pytest.mark.xdist_group("alpaca night")
def test_a_night_through_alpaca_observes_and_ends_closed_and_parked(observatory: AlpacaObservatory) -> None:
    observatory.until("exposures begin", lambda s: s["phase"] == "observing", 200.0)
    over = observatory.until("dawn", lambda s: s["phase"] == "asleep", 350.0)
    assert [d["detail"] for d in over["devices"] if d["name"] == "roof"] == ["closed"]
    assert over["frames"]["kept"] >= 3
    observatory.daemon.send_signal(signal.SIGTERM)
    assert observatory.daemon.wait(60) == 0, observatory.tail()
    archive = Archive.open(observatory.folder / "data" / "archive.db")
    try:
        taken = [row.taken for row in archive.frames(NIGHT) if row.taken is not None]
        assert len(taken) == over["frames"]["kept"]
        assert all((observatory.folder / "data" / one.path).stat().st_size > 0 for one in taken)
        summary = archive.summary(NIGHT)
    finally:
        archive.close()
    assert summary is not None
    assert summary["dark_minutes"]["unexplained"] == 0
