"""Whole nights on the simulated clock, at observatories of every shape, judged by the referee."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from astrod.domain.darkness import dark_time
from astrod.domain.identity import Night
from astrod.domain.instant import MINUTE_US, SECOND_US, iso
from astrod.domain.site import Darkness, Place
from astrod.rehearsal.sites import KnownSite, known
from tests.nights import pointings
from tests.nights.observatories import PLAIN, SECOND_RIG, Sketch, assert_in_order, share_observed

pytestmark = [pytest.mark.slow, pytest.mark.timeout(400)]

WINTER, SUMMER, TWO_YEARS_ON = "2026-12-14", "2026-06-21", "2028-12-14"
KIRUNA = KnownSite("kiruna", "Kiruna, Sweden", Place(67.84, 20.41, 420.0), 2.5)


def test_a_clear_night_is_observed(tmp_path: Path) -> None:
    told = Sketch(tmp_path).dark_for(110, SUMMER, 0.0).play(SUMMER)
    assert_in_order(told)
    assert share_observed(told) >= 0.85
    assert told["closures"] == []
    assert told["frames"]["kept"] >= 0.9 * told["frames"]["taken"] > 35


def test_a_cloudy_night_closes_loses_nothing_and_says_so(tmp_path: Path) -> None:
    told = Sketch(tmp_path, weather="cloudy").dark_for(200, SUMMER, 0.0).play(SUMMER)
    assert_in_order(told)
    assert told["dark_minutes"]["weather"] > 60.0
    assert told["closures"] or told["frames"]["taken"] == 0
    assert all("station" in why for why in told["closures"])


def test_a_mixed_night_uses_what_is_clear(tmp_path: Path) -> None:
    told = Sketch(tmp_path, weather="mixed", seed=11).dark_for(150, SUMMER).play(SUMMER)
    assert_in_order(told)
    assert told["frames"]["kept"] > 10
    assert told["dark_minutes"]["fault"] == 0.0


def test_the_twilight_is_used_to_point_and_to_focus(tmp_path: Path) -> None:
    dusk_us = dark_time(known("pujalt").place, Darkness(), Night.parse(pointings.DATE)).dusk_us
    Sketch(tmp_path).append(f"\n[darkness]\nnot_after = {iso(dusk_us + 12 * MINUTE_US)}\n")
    told = pointings.play(tmp_path)
    assert_in_order(told.summary)
    assert told.of("focused")[0]["at_us"] < dusk_us
    assert told.lights[0].began_us - dusk_us < 45 * SECOND_US
    assert len(told.of("focusing")) == 1, "and not again in the dark"


def played_in_a_process(folder: Path, seed: int, hash_seed: str) -> dict[str, Any]:
    """The same minutes, in a Python of its own with workers beside it."""
    ran = subprocess.run(
        [sys.executable, "-m", "tests.nights.observatories", str(folder), str(seed), "25"],
        env={**os.environ, "PYTHONHASHSEED": hash_seed},
        capture_output=True,
        text=True,
        timeout=300,
        check=True,
    )
    return dict(json.loads(ran.stdout))


def test_the_same_seed_is_the_same_night(tmp_path: Path) -> None:
    first = Sketch(tmp_path / "a").dark_for(25, WINTER).play(WINTER)
    busy = subprocess.Popen([sys.executable, "-c", "while True: sum(range(10**6))"])
    try:
        again = played_in_a_process(tmp_path / "b", 7, "12345")
    finally:
        busy.kill()
        busy.wait()
    assert_in_order(first)
    assert first["frames"]["taken"] > 5
    assert again["trace_sha256"] == first["trace_sha256"]
    del first["wall_s"], again["wall_s"]
    assert again == first


def test_another_seed_is_another_night(tmp_path: Path) -> None:
    first = Sketch(tmp_path / "a", seed=8).dark_for(15, WINTER).play(WINTER)
    other = Sketch(tmp_path / "b", seed=9).dark_for(15, WINTER).play(WINTER)
    assert first["trace_sha256"] != other["trace_sha256"]


def test_a_rig_without_a_roof(tmp_path: Path) -> None:
    sketch = Sketch(tmp_path).without("[roof]").replace('name = "pujalt"', 'name = "pujalt"\nroof = "none"')
    told = sketch.dark_for(30, WINTER).play(WINTER)
    assert_in_order(told)
    assert told["frames"]["kept"] >= 8


def test_a_portable_rig_without_roof_or_weather_station(tmp_path: Path) -> None:
    sketch = Sketch(tmp_path).without("[roof]").without("[[weather]]")
    sketch.replace('name = "pujalt"', 'name = "pujalt"\nroof = "none"\nweather = "none"')
    told = sketch.dark_for(20, WINTER).play(WINTER)
    assert_in_order(told)
    assert told["frames"]["kept"] >= 5


def test_a_camera_alone_has_neither_wheel_nor_focuser(tmp_path: Path) -> None:
    sketch = Sketch(tmp_path, wishes=PLAIN).without("[rig.train.focuser]").replace('wheel = "sim://wheel"\n', "")
    told = sketch.dark_for(30, WINTER).play(WINTER)
    assert_in_order(told)
    assert told["frames"]["kept"] >= 8


def test_one_shot_colour(tmp_path: Path) -> None:
    sketch = Sketch(tmp_path, wishes=PLAIN).replace('wheel = "sim://wheel"\n', "")
    sketch.replace("readout_s = 1.0", 'readout_s = 1.0\nbayer = "RGGB"')
    told = sketch.dark_for(30, WINTER).play(WINTER)
    assert_in_order(told)
    assert told["frames"]["kept"] >= 6


def test_an_altazimuth_mount(tmp_path: Path) -> None:
    told = (
        Sketch(tmp_path).replace("settle_s = 2.0", 'settle_s = 2.0\nkind = "altaz"').dark_for(30, WINTER).play(WINTER)
    )
    assert_in_order(told)
    assert told["frames"]["taken"] >= 8


def test_two_rigs_under_one_roof(tmp_path: Path) -> None:
    sketch = Sketch(tmp_path, wishes=PLAIN).replace('wheel = "sim://wheel"\n', "")
    sketch.replace("\n[night]", SECOND_RIG + "\n[night]")
    told = sketch.dark_for(30, WINTER).play(WINTER)
    assert_in_order(told)
    assert told["frames"]["kept"] >= 16
    assert share_observed(told) >= 0.5


def test_a_night_two_years_from_now_needs_no_network(tmp_path: Path) -> None:
    told = Sketch(tmp_path).dark_for(20, TWO_YEARS_ON).play(TWO_YEARS_ON)
    assert_in_order(told)
    assert told["frames"]["kept"] >= 4


def test_a_very_short_night_in_the_far_north(tmp_path: Path) -> None:
    told = Sketch(tmp_path, site=KIRUNA).play("2026-08-27")
    assert_in_order(told)
    assert 0.0 < sum(told["dark_minutes"].values()) < 120.0
    assert share_observed(told) > 0.7


def test_a_night_that_never_gets_dark_is_over_before_it_begins(tmp_path: Path) -> None:
    told = Sketch(tmp_path, site=KIRUNA).play("2026-06-21")
    assert told["frames"]["taken"] == 0
    assert sum(told["dark_minutes"].values()) == 0.0
    assert told["invariants_broken"] == []
