"""A watched night: clouds are told of and send the telescope elsewhere, meteors are kept, and none means none."""

import json
import math
from pathlib import Path

import pytest

from astrod.measure.fisheye import Fisheye
from astrod_drivers.sim.fisheye import Lens
from tests.nights import pointings
from tests.nights.observatories import Sketch, assert_in_order

pytestmark = [pytest.mark.slow, pytest.mark.timeout(400)]

WATCH = """
[[watch]]
name = "roof"
source = "sim://allsky"
calibration = "roof.json"
every_s = 15
exposure_s = 10
check_min = 6

[[weather]]
name = "sky"
address = "astrod://watch/roof"
stale_s = 120
limits = [ { name = "cloud_percent", high = 99.0 } ]
action = "warn"
"""


def write_lens(path: Path) -> None:
    """The calibration of the simulated lens: north up, east to the left, equidistant."""
    lens = Lens()
    camera = Fisheye(lens.x_px, lens.y_px, lens.radius_px / (math.pi / 2), 0.0, 0.0, (0.0, 0.0, math.pi), False)
    facts = camera.facts() | {"width": lens.width_px, "height": lens.height_px}
    path.write_text(json.dumps(facts))


def test_a_watched_night_keeps_its_meteors_and_tells_safety_of_clouds(tmp_path: Path) -> None:
    sketch = Sketch(tmp_path).dark_for(10.0, pointings.DATE, 60.0)
    sketch.replace("pixel_um = 11.6", "pixel_um = 11.6\nmeteors_per_hour = 240").append(WATCH)
    write_lens(tmp_path / "roof.json")
    told = pointings.play(tmp_path)
    assert_in_order(told.summary)
    assert told.summary["frames"]["kept"] >= 2, "nothing waits for a watch"
    found = told.of("detection")
    assert found and all(note["kind"] == "meteor" for note in found)
    assert 1 <= told.summary["detections"]["meteor"] <= len(found), "those of the dark"
    pictures = sorted((tmp_path / "data" / "detections").iterdir())
    assert pictures and all(picture.suffix == ".jpg" for picture in pictures)
    said = json.loads((tmp_path / "run" / "watch-roof.json").read_text())
    assert 0.0 <= said["cloud_percent"] <= 60.0
    codes = {note["code"] for note in told.of("trouble")}
    assert "AST-412" not in codes, "our own meteors are found"
