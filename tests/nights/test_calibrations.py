"""Darks and biases on simulated nights: after dawn and in bad weather, on disk, in the archive and in the ledger."""

import re
import shutil
from pathlib import Path
from typing import Any

import pytest
from astropy.io import fits

from astrod.archive.archive import Archive
from astrod.archive.rows import FrameRow
from astrod.domain.darkness import dark_time
from astrod.domain.exposure import SHUT
from astrod.domain.identity import Night
from astrod.domain.site import Darkness
from astrod.rehearsal.sites import known
from tests.nights.observatories import Sketch, assert_in_order

pytestmark = [pytest.mark.timeout(200)]
WINTER = "2026-12-14"
LEDGER = "\n[calibration]\ndarks = 3\nbiases = 2\nflats = 0\n"


def played(folder: Path, weather: Any = "clear", minutes: float = 20.0) -> tuple[dict[str, Any], list[FrameRow]]:
    sketch = Sketch(folder, weather=weather).replace("readout_s = 1.0", "readout_s = 1.0\nshutter = true")
    told = sketch.append(LEDGER).dark_for(minutes, WINTER).play(WINTER)
    archive = Archive.open(folder / "data" / "archive.db")
    try:
        return told, archive.frames()
    finally:
        archive.close()


def test_after_dawn_the_darks_of_the_night_are_taken(tmp_path: Path) -> None:
    """FAILURES 48: at the exposure times that the lights really had."""
    told, rows = played(tmp_path)
    assert_in_order(told)
    lights = [row for row in rows if row.intent.kind == "light" and row.taken is not None]
    darks = [row for row in rows if row.intent.kind in SHUT]
    assert lights
    assert {row.intent.exposure_s for row in darks if row.intent.kind == "dark"} == {
        row.intent.exposure_s for row in lights
    }
    assert all(row.kept for row in darks)
    assert min(row.begun_us for row in darks) > max(row.begun_us for row in lights)
    assert told["calibrations"]["missing"] == []
    assert told["calibrations"]["complete"] == told["calibrations"]["sets"] > 1
    for row in darks:
        assert row.taken is not None
        path = tmp_path / "data" / row.taken.path
        assert path.parent.name in ("darks", "biases")
        header = fits.getheader(path)
        assert header["IMAGETYP"] in ("Dark Frame", "Bias Frame")
        assert header["CCD-TEMP"] == pytest.approx(-10.0, abs=1.0)


def test_under_a_closed_sky_the_darks_of_earlier_nights_are_taken(tmp_path: Path) -> None:
    """The lights are of a clear night; the next one is too windy for its limits, and stays closed."""
    clear = Sketch(tmp_path).replace("readout_s = 1.0", "readout_s = 1.0\nshutter = true").dark_for(10.0, WINTER)
    assert_in_order(clear.play(WINTER))
    shutil.rmtree(tmp_path / "data" / "frames")  # the referee judges one night's disk
    config = tmp_path / "astrod.toml"
    text = config.read_text().replace("high = 15.0, margin = 2.0", "high = 0.01").replace("2026-12-14T", "2026-12-15T")
    config.write_text(re.sub(r"not_before = .*\n", "", text) + LEDGER)
    told = clear.play("2026-12-15")
    assert_in_order(told)
    archive = Archive.open(tmp_path / "data" / "archive.db")
    rows = [row for row in archive.frames() if row.intent.kind in SHUT and row.taken is not None]
    archive.close()
    dark = dark_time(known("pujalt").place, Darkness(), Night.parse("2026-12-15"))
    assert len(rows) == 5
    assert all(row.begun_us < dark.dusk_us + 3_600_000_000 for row in rows)  # hours before dawn
    assert told["calibrations"]["missing"] == []


def test_a_dome_a_cover_a_heater_and_a_ramp_serve_a_night(tmp_path: Path) -> None:
    """The camera has no shutter: its cover makes it dark. The slit follows, or no light frame would hold a star."""
    sketch = Sketch(tmp_path).replace('wheel = "sim://wheel"', 'wheel = "sim://wheel"\ncover = "sim://cover"')
    sketch.replace("readout_s = 1.0", "readout_s = 1.0\nramp_c_min = 6.0")
    sketch.replace('address = "sim://roof"', 'address = "sim://roof"\nslit_within_deg = 5.0')
    sketch.append('\n[[rig.heater]]\nswitch = "sim://switch"\noutlet = "Dew"\n')
    told = sketch.append("\n[calibration]\ndarks = 2\nbiases = 1\nflats = 0\n").dark_for(20.0, WINTER).play(WINTER)
    assert_in_order(told)
    assert told["frames"]["kept"] > 0
    assert told["calibrations"]["missing"] == []
