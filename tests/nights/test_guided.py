"""Nights guided and dithered, on the simulated clock."""

from pathlib import Path
from typing import Any

import pytest
from astropy.io import fits

from astrod.archive.archive import Archive
from tests.nights.observatories import PLAIN, Sketch, assert_in_order

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]

NIGHT = "2026-12-14"
SIMULATED = """[rig.train.guider]
address = "sim://guider"

[night]
dither_px = 6.0
dither_every = 2
"""
OWN = """[rig.train.guider]
camera = "sim://guide_camera"
focal_length_mm = 200.0

[night]
dither_px = 6.0
"""


def headers_of(folder: Path) -> list[dict[str, Any]]:
    """The headers of the night's light frames, in their order."""
    found = [dict(fits.getheader(path)) for path in sorted((folder / "data").rglob("*.fits*"))]
    return [header for header in found if header.get("PURPOSE") == "light"]


def sketched(folder: Path, guider: str, minutes: float) -> Sketch:
    sketch = Sketch(folder, wishes=PLAIN).replace("[night]\n", guider).dark_for(minutes, NIGHT)
    return sketch.replace("focus_at_start = true", "focus_at_start = false")


def test_every_exposure_of_a_guided_night_was_guided(tmp_path: Path) -> None:
    told = sketched(tmp_path, SIMULATED, 40).play(NIGHT)
    assert_in_order(told)
    headers = headers_of(tmp_path)
    assert told["frames"]["taken"] == len(headers) >= 12
    assert all(0.2 < header["GUIDERMS"] < 2.0 for header in headers)
    archive = Archive.open(tmp_path / "data" / "archive.db")
    guided = [row.guided_arcsec for row in archive.frames() if row.taken is not None and row.intent.kind == "light"]
    archive.close()
    assert guided == [(header["GUIDERA"], header["GUIDEDEC"]) for header in headers]
    assert told["dark_minutes"]["observed"] > 26.0, "settling and dithering cost little"
    assert told["dark_minutes"]["fault"] == 0.0


def test_a_night_guided_by_ourselves(tmp_path: Path) -> None:
    told = sketched(tmp_path, OWN, 16).play(NIGHT)
    assert_in_order(told)
    headers = headers_of(tmp_path)
    assert len(headers) >= 4
    assert all(0.05 < header["GUIDERMS"] < 3.0 for header in headers)
    assert (tmp_path / "data" / "guiding-main.json").exists()


def test_dithers_without_a_guider_are_small_slews(tmp_path: Path) -> None:
    told = sketched(tmp_path, "[night]\ndither_px = 8.0\n", 20).play(NIGHT)
    assert_in_order(told)
    headers = headers_of(tmp_path)
    places = {(round(header["RA"], 4), round(header["DEC"], 4)) for header in headers}
    assert len(headers) >= 6 and len(places) >= len(headers) - 1
    assert all("GUIDERMS" not in header for header in headers)
