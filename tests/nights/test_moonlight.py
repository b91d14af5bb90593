"""Nights under the full Moon, on a mount whose field turns."""

from pathlib import Path

import pytest

from astrod.rehearsal.targets import Wish
from tests.nights.observatories import Sketch, assert_in_order

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]

FULL_MOON = "2026-12-23"
LONG = (Wish(None, 480.0, 40),)


def sketched(folder: Path, minutes: float) -> Sketch:
    """Eight-minute exposures through clear glass: they would be full of sky in four."""
    sketch = Sketch(folder, wishes=LONG).dark_for(minutes, FULL_MOON)
    sketch.replace("focus_at_start = true", "focus_at_start = false")
    return sketch.replace("settle_s = 2.0", 'settle_s = 2.0\nkind = "altaz"')


def test_long_exposures_are_shortened_under_the_moon_and_the_night_is_used(tmp_path: Path) -> None:
    told = sketched(tmp_path, 20.0).play(FULL_MOON)
    assert_in_order(told)
    frames = told["frames"]
    assert frames["kept"] == frames["taken"] > 3, "none is full, none trails"
    assert told["dark_minutes"]["observed"] > 13.0, "opening, the first slew and the last minutes are lost, and no more"


def test_a_request_that_allows_nothing_shorter_is_not_exposed_in_vain(tmp_path: Path) -> None:
    sketch = sketched(tmp_path, 11.0)
    wanted = tmp_path / "targets.d" / "rehearsal.toml"
    wanted.write_text(wanted.read_text().replace("exposure_s = 480.0", "exposure_s = 480.0\nexposure_min_s = 480.0"))
    told = sketch.play(FULL_MOON)
    assert_in_order(told)
    assert told["frames"]["taken"] == 0
    assert not list((tmp_path / "data").rglob("quarantine/*.fits"))
