"""Stars for INDI's simulators: the answer's shape, its speed, and the real CCD simulator drawing them."""

import os
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from astrod_drivers.sim import gsc
from astrod_drivers.sim.catalogue import stars_in_cone
from astrod_drivers.sim.render import render
from astrod_drivers.sim.scene import Scene, Sensor, Streak

ASKED = ["-c", "83.820000", "+22.010000", "-r", "30.0", "-m", "0", "12.50", "-n", "3000"]


def test_it_prints_twelve_columns(capsys: pytest.CaptureFixture[str]) -> None:
    assert gsc.main(ASKED) == 0
    rows = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert {len(row) for row in rows} == {12}
    assert len(rows) == len(stars_in_cone(83.82, 22.01, 0.5, 12.5))
    magnitudes = [float(row[4]) for row in rows]
    assert magnitudes == sorted(magnitudes)
    assert max(float(row[10]) for row in rows) <= 30.0
    assert gsc.main([*ASKED[:-1], "5"]) == 0
    assert len(capsys.readouterr().out.splitlines()) == 5


def test_wrong_usage_is_refused() -> None:
    with pytest.raises(SystemExit):
        gsc.main(["-c", "10", "95"])


def test_the_script_runs_alone_and_quickly(tmp_path: Path) -> None:
    script = gsc.write_gsc(tmp_path / "a folder")
    bare = {"PATH": "/usr/bin:/bin"}
    took = []
    for _ in range(3):
        before = os.times()
        done = subprocess.run([script, *ASKED], env=bare, capture_output=True, text=True, check=True)
        after = os.times()
        took.append(after.children_user + after.children_system - before.children_user - before.children_system)
    assert len(done.stdout.splitlines()) > 20
    assert min(took) < 0.4


def test_fits_for_the_ccd_simulators_directory(tmp_path: Path) -> None:
    fits = pytest.importorskip("astropy.io.fits")
    small = Scene(sensor=Sensor(width_px=160, height_px=120))
    scenes = [small, Scene(sensor=small.sensor, seed=2, events=(Streak(),))]
    paths = gsc.write_fits_night(tmp_path / "night", scenes)
    assert paths == sorted(paths)
    for path, scene in zip(paths, scenes, strict=True):
        assert np.array_equal(fits.getdata(path), render(scene))


@pytest.fixture
def indi(tmp_path: Path) -> Iterator[tuple[str, Path]]:
    """An indiserver with telescope and CCD, asking our gsc; its port and the folder for its files."""
    if shutil.which("indiserver") is None or shutil.which("indi_simulator_ccd") is None:
        pytest.skip("needs indiserver and its simulators: apt-get install indi-bin")
    script = gsc.write_gsc(tmp_path / "bin")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = str(probe.getsockname()[1])
    where = {**os.environ, "HOME": str(tmp_path), "PATH": f"{script.parent}:{os.environ['PATH']}"}
    drivers = ["indi_simulator_telescope", "indi_simulator_ccd"]
    command = ["indiserver", "-p", port, *drivers]
    server = subprocess.Popen(command, env=where, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    yield port, tmp_path
    server.terminate()
    server.wait(10)


def told(port: str, text: str) -> None:
    """Set a property; wait until it is there."""
    for _ in range(50):
        done = subprocess.run(["indi_setprop", "-p", port, text], capture_output=True, check=False)
        if done.returncode == 0:
            return
        time.sleep(0.2)
    raise AssertionError(f"{text}: {done.stderr.decode()}")


@pytest.mark.indi
def test_the_real_ccd_simulator_draws_our_sky(indi: tuple[str, Path]) -> None:
    sep, fits = pytest.importorskip("sep"), pytest.importorskip("astropy.io.fits")
    port, folder = indi
    scope, ccd = "Telescope Simulator", "CCD Simulator"
    for device in (scope, ccd):
        told(port, f"{device}.CONNECTION.CONNECT=On")
    told(port, f"{scope}.TELESCOPE_INFO.TELESCOPE_APERTURE;TELESCOPE_FOCAL_LENGTH=80;400")
    told(port, f"{scope}.ON_COORD_SET.SYNC=On")
    told(port, f"{scope}.TELESCOPE_PARK.UNPARK=On")
    told(port, f"{scope}.EQUATORIAL_EOD_COORD.RA;DEC=5.6;22.0")
    told(port, f"{ccd}.UPLOAD_MODE.UPLOAD_LOCAL=On")
    told(port, f"{ccd}.UPLOAD_SETTINGS.UPLOAD_DIR;UPLOAD_PREFIX={folder};frame")
    time.sleep(1.5)  # the CCD hears of the telescope's place by snooping
    told(port, f"{ccd}.CCD_EXPOSURE.CCD_EXPOSURE_VALUE=2")
    frame = folder / "frame.fits"
    for _ in range(100):
        if frame.exists() and frame.stat().st_size > 2_600_000:
            break
        time.sleep(0.2)
    pixels = fits.getdata(frame).astype(np.float32)
    background = sep.Background(pixels)
    found = sep.extract(pixels - background, 6.0, err=background.globalrms)
    assert len(found) > 50
