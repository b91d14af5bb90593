"""The reasons of a verdict: measured ones name the numbers, and what the model leant on is what moves its answer."""

import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from astrod.appraise import appraise
from astrod.judge.why import why
from astrod_drivers.sim.render import render
from astrod_drivers.sim.scene import Optics, Scene, Sensor, trail
from astrod_models.quality import Answer

CLEAR = Scene(
    sensor=Sensor(width_px=968, height_px=548),
    optics=Optics(focal_length_mm=300.0, aperture_mm=75.0, obstruction=0.35),
)
PLACE = CLEAR.pointings[0]
SCENES = {
    "trailing": (
        replace(CLEAR, pointings=trail(PLACE.ra_deg, PLACE.dec_deg, 30.0, 40.0)),
        r"\dx longer than wide, all",
    ),
    "defocus": (replace(CLEAR, defocus_um=220.0), r"px wide and hollow"),
}


def saved(folder: Path, scene: Scene) -> Path:
    path = folder / "frame.npy"
    np.save(path, render(scene))
    return path


@pytest.mark.parametrize("fault", SCENES)
@pytest.mark.parametrize("enabled", [True, False])
def test_the_first_reason_is_the_fault_in_numbers(tmp_path: Path, fault: str, enabled: bool) -> None:
    scene, words = SCENES[fault]
    said = appraise(saved(tmp_path, scene), enabled=enabled).judgement
    assert said.cause == fault
    assert re.search(words, said.why[0]), said.why


def test_hot_pixels_are_counted_and_the_frame_kept(tmp_path: Path) -> None:
    frame = render(CLEAR)
    rng = np.random.default_rng(3)
    frame.ravel()[rng.choice(frame.size, frame.size // 100, replace=False)] = 60_000
    np.save(tmp_path / "hot.npy", frame)
    said = appraise(tmp_path / "hot.npy").judgement
    assert said.issues["pixels"] > 0.9
    hot = re.search(r"(\d+) hot pixels per megapixel", " ".join(said.why))
    assert hot is not None
    assert 6_000 < int(hot.group(1)) < 11_000  # of 10,000; some touch one another or a star


def test_a_clear_frame_is_described(tmp_path: Path) -> None:
    said = appraise(saved(tmp_path, CLEAR)).judgement
    assert re.match(r"\d+ stars, \d\.\d px wide, 1\.\d\dx longer than wide", said.why[0])


VALUES = {
    "log_stars": 1.5,
    "log_density": 2.0,
    "shaped": 1.0,
    "log_fwhm": 1.5,
    "superpixel": 0.0,
    "log_elongation": 0.9,
    "coherence": 0.7,
    "sky_spread": 0.1,
}


def answer(trailing: float, usable: float) -> Answer:
    return Answer({"clouds": 0.1, "trailing": trailing}, usable)


def test_the_input_that_moves_the_answer_most_is_named() -> None:
    without = {"tiles": answer(0.2, 0.7), "whole": answer(0.9, 0.1), "features": answer(0.6, 0.3)}
    reasons = why(answer(0.95, 0.05), "reject", "trailing", VALUES, without)
    assert reasons[0] == "stars 2.5x longer than wide, all in one direction"
    assert reasons[1] == "the stars' own looks decided: without them the model's trailing would be 20%, not 95%"


def test_inputs_that_agree_are_said_to() -> None:
    without = {"tiles": answer(0.9, 0.1), "whole": answer(0.93, 0.1)}
    assert "agree" in why(answer(0.95, 0.05), "reject", "trailing", VALUES, without)[-1]


def test_nothing_is_said_of_a_model_about_what_it_does_not_know() -> None:
    said = Answer({"clouds": 0.1, "trailing": 0.0, "seeing": 0.9}, 0.9)
    reasons = why(said, "keep", "seeing", VALUES | {"edge": 0.6}, {"tiles": answer(0.0, 0.1)})
    assert reasons == ("stars 2.8 px wide with wings and no edge, as seeing makes them",)
