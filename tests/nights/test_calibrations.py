"""Darks and biases on simulated nights: after dawn and in bad weather, on disk, in the archive and in the ledger."""

from pathlib import Path
from typing import Any

import pytest
from astropy.io import fits

from astrod.archive.archive import Archive
from astrod.archive.rows import FrameRow
from astrod.domain.exposure import SHUT
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


@pytest.mark.xdist_group("nights 1")
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
