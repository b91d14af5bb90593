"""Whole short nights: a mount that points wrong, one that flips, one that does not, one that lies about it."""

from pathlib import Path

import pytest

from astrod.domain.instant import MINUTE_US
from astrod_drivers.sim.faults import Fault
from tests.nights.observatories import assert_in_order
from tests.nights.pointings import Place, begin_us, play, sketch

pytestmark = [pytest.mark.slow, pytest.mark.timeout(400)]

TOLERANCE_ARCSEC = 82.0
"""A twentieth of the simulated field's shorter side."""
CROSSING = Place("Crossing", -2.5, 55.0)
EAST = Place("East", -50.0, 50.0)


def test_with_pointing_errors_of_half_a_degree_every_light_frame_is_on_target(tmp_path: Path) -> None:
    sketch(tmp_path, 14.0, (Place("First", -40.0, 20.0),), pointing_arcmin=25.0)
    told = play(tmp_path)
    assert_in_order(told.summary)
    assert len(told.lights) >= 7
    assert max(light.off_arcsec for light in told.lights) <= TOLERANCE_ARCSEC
    assert all(note["state"] == "centred" for note in told.of("centred"))


def test_a_flip_is_done_seen_and_centred_and_nothing_is_exposed_past_the_limit(tmp_path: Path) -> None:
    sketch(tmp_path, 22.0, (CROSSING,), pointing_arcmin=15.0)
    told = play(tmp_path)
    assert_in_order(told.summary)
    assert told.count("flip") == 1
    assert {light.pier_side for light in told.lights} == {"east", "west"}
    assert max(light.off_arcsec for light in told.lights) <= TOLERANCE_ARCSEC
    assert told.summary["frames"]["kept"] >= 12


def test_a_mount_that_does_not_flip_is_stopped_and_the_night_goes_on_in_the_east(tmp_path: Path) -> None:
    sketch(tmp_path, 26.0, (CROSSING, EAST))
    told = play(tmp_path, (Fault("flip_fails", "mount", at_us=begin_us() + 2 * MINUTE_US, until="never"),))
    assert_in_order(told.summary)
    assert told.count("flip failed") == 1
    assert "AST-142" in told.findings
    last = {light.target: light.began_us for light in told.lights}
    assert set(last) == {"Crossing", "East"}
    assert last["East"] > last["Crossing"]
    assert told.lights[-1].target == "East"


def test_a_mount_that_lies_about_its_side_is_believed_by_its_field(tmp_path: Path) -> None:
    sketch(tmp_path, 20.0, (CROSSING,))
    told = play(tmp_path, (Fault("pier_lies", "mount", at_us=begin_us() - 30 * MINUTE_US, until="never"),))
    assert_in_order(told.summary)
    assert told.count("flip failed") == 0
    assert {light.pier_side for light in told.lights} == {"east", "west"}  # by the truth
    assert told.summary["frames"]["kept"] >= 10


def test_a_mount_that_drifts_and_says_that_it_is_on_target_is_caught_by_the_stars(tmp_path: Path) -> None:
    sketch(tmp_path, 16.0, (EAST,), exposure_s=20.0)
    told = play(tmp_path, (Fault("drifts", "mount", at_us=begin_us() + 3 * MINUTE_US, amount=30.0, until="never"),))
    assert_in_order(told.summary)
    assert told.count("drifted") >= 1
    assert max(light.off_arcsec for light in told.lights if light.kept) < 3.0 * TOLERANCE_ARCSEC


def test_a_mount_that_refuses_every_target_is_told_of_as_a_fault_and_goes_on_when_it_gives_in(tmp_path: Path) -> None:
    sketch(tmp_path, 22.0, (CROSSING, EAST, Place("North", -20.0, 60.0), Place("South", -20.0, 30.0)))
    told = play(tmp_path, (Fault("refuse", "mount", at_us=begin_us() + MINUTE_US, lasts_s=500.0),))
    assert_in_order(told.summary)
    assert told.count("replan") < 20, "three targets refused at once, then one a minute"
    assert "AST-123" in {note["code"] for note in told.of("trouble")}
    assert "AST-123" in {note["code"] for note in told.of("mended")}
    assert told.summary["dark_minutes"]["fault"] > 3.0
    assert told.lights[-1].began_us > begin_us() + 10 * MINUTE_US
