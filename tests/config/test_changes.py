"""What a reload changes."""

from pathlib import Path

import pytest

from astrod.config.changes import Change, changes, needs
from astrod.config.load import load
from tests.config.observatory import GOOD, TARGETS, lay


@pytest.mark.parametrize(
    ("old", "new", "found"),
    [
        ("high = 12", "high = 11", [Change("weather.station.limits.wind_m_s.high", "restart")]),
        ("sim://camera", "sim://camera2", [Change("rig.main.train.main.camera.address", "restart")]),
        ("latitude_deg = 41.7", "latitude_deg = 41.8", [Change("site.latitude_deg", "restart")]),
        ('wheel = "sim://wheel"\n', "", [Change("rig.main.train.main.wheel", "restart")]),
        (
            '[rig.train.camera]\naddress = "sim://camera"\n',
            '[rig.train.camera]\naddress = "sim://camera"\n[rig.train.focuser]\naddress = "sim://focuser"\n',
            [Change("rig.main.train.main.focuser", "restart")],
        ),
        ('  { name = "rain_mm_h", high = 0.0 },\n', "", [Change("weather.station.limits.rain_mm_h", "restart")]),
        ("height_m = 760", "height_m = 760.0  # the same", []),
    ],
)
def test_a_change_is_named_with_what_it_takes(tmp_path: Path, old: str, new: str, found: list[Change]) -> None:
    assert old in GOOD
    before = load(lay(tmp_path))
    after = load(lay(tmp_path, GOOD.replace(old, new)))
    assert list(changes(before, after)) == found
    assert needs(changes(before, after)) == (found[0].when if found else "live")


def test_targets_come_and_go_live(tmp_path: Path) -> None:
    before = load(lay(tmp_path, targets_a=TARGETS))
    more = TARGETS.replace("M 31", "M 110") + TARGETS.replace("count = 40", "count = 50")
    after = load(lay(tmp_path, targets_a=more))
    assert changes(before, after) == (
        Change("target.M 31.exposures.1.count", "live"),
        Change("target.M 110", "live"),
    )


def test_the_most_that_any_change_asks_for(tmp_path: Path) -> None:
    before = load(lay(tmp_path))
    text = GOOD.replace("high = 12", "high = 11").replace("sim://roof", "sim://dome").replace("41.7", "41.8")
    assert needs(changes(before, load(lay(tmp_path, text)))) == "restart"
