"""No network, no home, years from now: astropy still answers."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from astrod.domain.instant import parse_iso
from astrod.domain.sphere import altitude_azimuth_deg, sun_altitude_deg

NIGHT_IN_2028 = """
import socket, warnings
def refuse(*where, **more):
    raise AssertionError(f"reached out to {where}")
socket.socket.connect = socket.getaddrinfo = socket.create_connection = refuse
warnings.simplefilter("error")
from astrod.domain.instant import parse_iso
from astrod.domain.site import Place
from astrod.frames.header import sky_of
from astrod.runtime.offline import go_offline
go_offline()
go_offline()
sky = sky_of(Place(41.7, 1.4, 765.0), parse_iso("2028-12-14T22:00:00"), (83.822, -5.391))
print(sky.alt_deg, sky.sun_alt_deg)
"""


def run(command: list[str], environment: dict[str, str]) -> str:
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=100, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def environment() -> dict[str, str]:
    paths = os.pathsep.join(path for path in sys.path if path)
    return {"PYTHONPATH": paths, "PATH": os.environ["PATH"]}


def assert_sky(answer: str) -> None:
    """Against the domain's closed formulae; half a degree allows for 29 years of precession."""
    instant_us = parse_iso("2028-12-14T22:00:00")
    target_deg, _ = altitude_azimuth_deg(83.822, -5.391, instant_us, 41.7, 1.4)
    sun_deg = sun_altitude_deg(instant_us, 41.7, 1.4)
    assert [float(word) for word in answer.split()] == pytest.approx([target_deg, sun_deg], abs=0.5)


@pytest.mark.parametrize("today", [None, "2028-12-14 22:00:00", "2033-06-01 00:00:00"])
def test_a_night_years_from_now_needs_no_network(today: str | None) -> None:
    command = [sys.executable, "-c", NIGHT_IN_2028]
    if today is not None:
        faketime = shutil.which("faketime")
        if faketime is None:
            pytest.skip("needs Debian's faketime")
        command = [faketime, today, *command]
    assert_sky(run(command, environment()))


def test_needs_no_home(tmp_path: Path) -> None:
    setpriv = shutil.which("setpriv")
    if setpriv is None or os.geteuid() != 0:
        pytest.skip("only root can become a user who has no home")
    nobody = [setpriv, "--reuid=54321", "--regid=54321", "--clear-groups"]
    home = "import os; print(os.environ.get('HOME'))"
    reaches = subprocess.run([*nobody, sys.executable, "-c", home], env=environment(), capture_output=True, check=False)
    if reaches.returncode != 0:
        pytest.skip("this interpreter lies in a folder that others cannot read")
    assert_sky(run([*nobody, sys.executable, "-c", NIGHT_IN_2028], environment()))
