"""A short night whose target asks for a position angle, on both sides of the meridian."""

from pathlib import Path

import pytest
from astropy.io import fits

from astrod.domain.plate import turn_deg
from tests.nights.observatories import assert_in_order
from tests.nights.pointings import Place, play, sketch

pytestmark = [pytest.mark.slow, pytest.mark.timeout(400), pytest.mark.xdist_group("pointing")]

WANTED_DEG = 75.0


def test_every_frame_stands_at_the_angle_asked_for_and_the_camera_turns_by_half_with_the_flip(tmp_path: Path) -> None:
    drawn = sketch(tmp_path, 20.0, (Place("Crossing", -2.5, 55.0),), pointing_arcmin=15.0)
    drawn.replace("[rig.train.camera]", 'rotator = "sim://rotator"\n\n[rig.train.camera]')
    targets = tmp_path / "targets.d" / "rehearsal.toml"
    targets.write_text(targets.read_text().replace("dec_deg", f"position_angle_deg = {WANTED_DEG}\ndec_deg"))
    told = play(tmp_path)
    assert_in_order(told.summary)
    assert told.count("flip") == 1 and told.count("flip failed") == 0
    assert {light.pier_side for light in told.lights} == {"east", "west"}
    assert told.summary["frames"]["kept"] >= 9
    assert max(abs(turn_deg(light.rotation_deg, WANTED_DEG)) for light in told.lights) <= 1.0  # by the truth
    assert "AST-143" not in told.findings
    framed = told.of("framed")
    assert [note["state"] for note in framed] == ["framed"] * len(framed)
    assert framed[-1]["turns"] == 0  # what was learned before the flip turned the camera right after it
    lights = [header for path in sorted((tmp_path / "data").rglob("*.fits*")) if (header := fits.getheader(path))]
    angles = {round(header["ROTATANG"]) for header in lights if header["PURPOSE"] == "light"}
    assert len(angles) == 2
    assert abs(max(angles) - min(angles)) == 180
