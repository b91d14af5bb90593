"""Judging: what the model says of simulated frames, what stands in for it, and what follows from the
scores.
"""

import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from astrod.appraise import appraise, report
from astrod.domain.exposure import CONSEQUENCES
from astrod.errors import InputInvalid
from astrod.judge import verdict
from astrod.judge.classical import ISSUES
from astrod_drivers.sim.render import render
from astrod_drivers.sim.scene import FILTERS, Cloud, Optics, Pointing, Scene, Sensor, Streak, trail
from astrod_models.card import weights_folder
from astrod_models.quality import Answer
from tests.models.candidates import twin

SMALL = Sensor(width_px=968, height_px=548)
CLEAR = Scene(sensor=SMALL, optics=Optics(focal_length_mm=300.0, aperture_mm=75.0, obstruction=0.35))
PLACE = CLEAR.pointings[0]


def saved(folder: Path, scene: Scene) -> Path:
    path = folder / "frame.npy"
    np.save(path, render(scene))
    return path


@pytest.mark.parametrize("seed", range(4))
def test_a_clear_frame_is_kept(tmp_path: Path, seed: int) -> None:
    said = appraise(saved(tmp_path, replace(CLEAR, seed=seed, exposure_s=20.0 * (1 + seed)))).judgement
    assert (said.decision, said.cause) == ("keep", "none")
    assert said.quality > 60.0


SMALL_NIGHT = Scene(sensor=Sensor(width_px=484, height_px=274, pixel_um=11.6), exposure_s=120.0)
"""A rehearsed night on the small sensor: pixels of six arcseconds, stars of one pixel."""

CROWDED = {"Carina": (161.26, -59.87), "Scutum": (279.9, -8.0), "Cygnus": (305.0, 40.0)}
EMPTY = {"Coma": (192.9, 27.1), "Sculptor": (12.9, -27.1)}


@pytest.mark.parametrize("field", CROWDED)
def test_stars_that_touch_in_a_crowded_field_are_not_trails(tmp_path: Path, field: str) -> None:
    scene = replace(SMALL_NIGHT, pointings=(Pointing(0.0, *CROWDED[field]),), filter=FILTERS["G"])
    said = appraise(saved(tmp_path, scene)).judgement
    assert said.decision == "keep"


@pytest.mark.parametrize("field", EMPTY)
@pytest.mark.parametrize("filtered", ["Ha", "L"])
def test_a_clear_field_with_hardly_a_star_is_not_clouded(tmp_path: Path, field: str, filtered: str) -> None:
    place = Pointing(0.0, *EMPTY[field])
    scene = replace(SMALL_NIGHT, pointings=(place,), filter=FILTERS[filtered], exposure_s=5.0)
    said = appraise(saved(tmp_path, scene))
    assert said.judgement.decision == "keep", said


FAULTY = {
    "clouds": replace(CLEAR, cloud=Cloud(cover=1.0, thickness_mag=7.0)),
    "defocus": replace(CLEAR, defocus_um=220.0),
    "trailing": replace(CLEAR, pointings=trail(PLACE.ra_deg, PLACE.dec_deg, 30.0, 40.0)),
}


@pytest.mark.parametrize("fault", FAULTY)
@pytest.mark.parametrize("seed", range(2))
def test_a_faulty_frame_is_rejected_for_its_fault(tmp_path: Path, fault: str, seed: int) -> None:
    said = appraise(saved(tmp_path, replace(FAULTY[fault], seed=seed))).judgement
    assert said.decision == "reject"
    assert said.cause == fault
    assert said.issues[fault] == max(said.issues.values())


def test_a_streak_is_seen_and_the_frame_kept(tmp_path: Path) -> None:
    said = appraise(saved(tmp_path, replace(CLEAR, events=(Streak(mag=3.0),)))).judgement
    assert (said.decision, said.cause) == ("keep", "streak")
    assert said.issues["streak"] > 0.5


@pytest.mark.parametrize("bayer", ["RGGB", "GRBG"])
def test_bayer_frames_are_judged_alike(tmp_path: Path, bayer: str) -> None:
    scene = replace(CLEAR, sensor=replace(SMALL, bayer=bayer))
    assert appraise(saved(tmp_path, scene)).judgement.decision == "keep"
    scene = replace(FAULTY["defocus"], sensor=replace(SMALL, bayer=bayer))
    assert appraise(saved(tmp_path, scene)).judgement.decision == "reject"


def test_the_same_frame_gets_the_same_verdict(tmp_path: Path) -> None:
    path = saved(tmp_path, CLEAR)
    assert report(path) == report(path)


def test_the_report_has_the_promised_keys(tmp_path: Path) -> None:
    said = report(saved(tmp_path, CLEAR))
    assert {"file", "quality", "verdict", "issues", "measured", "model", "why", "transparency"} <= set(said)
    assert set(said["issues"]) == set(ISSUES)
    assert set(said["measured"]) == {"stars", "fwhm_px", "elongation", "background"}
    assert said["model"].startswith("quality ")


def test_altered_weights_are_refused_and_the_stand_in_says_so(tmp_path: Path) -> None:
    folder = tmp_path / "weights"
    shutil.copytree(weights_folder(), folder)
    path = saved(tmp_path, CLEAR)
    assert appraise(path, folder).judgement.model.startswith("quality ")
    altered = tmp_path / "altered"
    shutil.copytree(folder, altered)
    content = bytearray((altered / "quality.onnx").read_bytes())
    content[len(content) // 2] ^= 1
    (altered / "quality.onnx").write_bytes(bytes(content))
    said = appraise(path, altered).judgement
    assert said.model.startswith("classical stand-in (quality.onnx does not match its card")
    assert said.decision == "keep"


@pytest.mark.parametrize(
    ("said", "instead"),
    [('"streak", "usable"]', '"usable"]'), ('    "log_stars",', "")],
    ids=["answers", "measurements"],
)
def test_a_card_that_promises_what_its_file_does_not_take_is_found_out(tmp_path: Path, said: str, instead: str) -> None:
    card = twin(tmp_path / "weights").with_suffix(".toml")
    assert said in card.read_text()
    card.write_text(card.read_text().replace(said, instead))
    judged = appraise(saved(tmp_path, CLEAR), tmp_path / "weights").judgement
    assert judged.model.startswith("classical stand-in (quality 9 ")
    assert judged.decision == "keep"


@pytest.mark.parametrize("fault", FAULTY)
def test_the_stand_in_rejects_plain_faults(tmp_path: Path, fault: str) -> None:
    said = appraise(saved(tmp_path, FAULTY[fault]), tmp_path / "none").judgement
    assert said.model.startswith("classical stand-in (no card")
    assert said.decision == "reject"


def test_what_is_no_frame_is_named(tmp_path: Path) -> None:
    path = tmp_path / "bad.npy"
    path.write_bytes(b"nothing")
    with pytest.raises(InputInvalid, match=r"bad\.npy"):
        report(path)


@given(
    usable=st.floats(0.0, 1.0),
    issues=st.tuples(*[st.floats(0.0, 1.0)] * len(ISSUES)),
    keep_from=st.floats(0.05, 0.95),
)
def test_decision_and_cause_always_agree_with_the_table(
    usable: float, issues: tuple[float, ...], keep_from: float
) -> None:
    said = verdict(Answer(dict(zip(ISSUES, issues, strict=True)), usable), "any", {"usable": keep_from})
    assert CONSEQUENCES[said.cause][0] == said.decision
    assert (said.decision == "keep") == (usable >= keep_from)
    assert 0.0 <= said.quality <= 100.0


def test_a_streak_never_rejects() -> None:
    said = verdict(Answer(dict.fromkeys(ISSUES, 0.1) | {"streak": 1.0}, 0.2), "any")
    assert (said.decision, said.cause) == ("reject", "unknown")


@pytest.mark.parametrize("harmless", ["seeing", "pixels", "glare", "leak"])
def test_what_spoils_no_frame_is_noted_and_never_rejects(harmless: str) -> None:
    noted = verdict(Answer(dict.fromkeys(ISSUES, 0.1) | {harmless: 1.0}, 0.8), "any")
    assert (noted.decision, noted.cause) == ("keep", harmless)
    rejected = verdict(Answer(dict.fromkeys(ISSUES, 0.1) | {harmless: 1.0}, 0.2), "any")
    assert (rejected.decision, rejected.cause) == ("reject", "unknown")
