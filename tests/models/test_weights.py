"""Cards and weights: found, checked, refused; and silence on the network."""

import os
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import numpy as np
import pytest

from astrod_models.card import WeightsRefusedError, read_card, verified_weights, weights_folder
from astrod_models.quality import FEATURES, TILE_PX, TILES, WHOLE_PX, Quality, View, prepare
from astrod_models.session import open_session


def view(shape: tuple[int, int] = (300, 400), sources: int = 20, seed: int = 0) -> View:
    rng = np.random.default_rng(seed)
    above = rng.normal(0.0, 1.0, shape).astype(np.float32)
    x, y = rng.uniform(0, shape[1], sources), rng.uniform(0, shape[0], sources)
    return View(above, np.zeros((5, 6)), x, y, dict.fromkeys(FEATURES, 0.5))


@pytest.fixture
def weights(tmp_path: Path) -> Path:
    folder = tmp_path / "weights"
    shutil.copytree(weights_folder(), folder)
    return folder


def test_the_shipped_weights_match_their_card() -> None:
    card = read_card("quality")
    assert len(verified_weights(card)) < 2_000_000
    assert card.title == f"quality {card.version}"


def test_the_card_says_what_the_model_is_worth() -> None:
    facts = read_card("quality").facts
    assert facts["limits"]
    assert sum(facts["trained_on"].values()) > 5000
    assert any("left out" in name for name in facts["scores"])


@pytest.mark.parametrize("section", ["kept back", "observatory, never seen", "left out"])
def test_the_model_beats_the_cuts_on_what_it_never_saw(section: str) -> None:
    """The card's own figures: usable frames are told from faulty ones better than by any three cuts."""
    scores = {name: score for name, score in read_card("quality").facts["scores"].items() if section in name}
    assert scores
    for name, score in scores.items():
        assert score["usable"]["auc"] > score["usable"]["baseline_auc"], name


def test_altered_weights_are_refused(weights: Path) -> None:
    path = weights / "quality.onnx"
    path.write_bytes(path.read_bytes() + b"\0")
    with pytest.raises(WeightsRefusedError, match="does not match its card"):
        open_session("quality", weights)


def test_missing_parts_are_refused_by_name(weights: Path) -> None:
    with pytest.raises(WeightsRefusedError, match=r"no card nothing\.toml"):
        open_session("nothing", weights)
    (weights / "quality.onnx").unlink()
    with pytest.raises(WeightsRefusedError, match="cannot be read"):
        open_session("quality", weights)


def test_a_damaged_card_is_refused(weights: Path) -> None:
    (weights / "quality.toml").write_text("[model\n", encoding="utf-8")
    with pytest.raises(WeightsRefusedError, match="damaged"):
        read_card("quality", weights)


def test_another_model_under_the_same_card_is_refused(weights: Path) -> None:
    """The digest is right, the ports are not."""
    card = weights / "quality.toml"
    card.write_text(card.read_text(encoding="utf-8").replace('"tiles", "whole"', '"whole"'), encoding="utf-8")
    with pytest.raises(WeightsRefusedError, match="ports"):
        open_session("quality", weights)


def test_answers_are_probabilities_and_repeat() -> None:
    model = Quality()
    answers = [model(view()) for _ in range(3)]
    assert answers[0] == answers[1] == answers[2]
    assert all(0.0 <= value <= 1.0 for value in (*answers[0].issues.values(), answers[0].usable))


@pytest.mark.parametrize("shape", [(16, 16), (130, 90), (129, 4000), (1096, 1936)])
@pytest.mark.parametrize("sources", [0, 1, 400])
def test_any_frame_becomes_the_same_inputs(shape: tuple[int, int], sources: int) -> None:
    tiles, whole, features = prepare(view(shape, sources))
    assert tiles.shape == (TILES, TILE_PX, TILE_PX)
    assert whole.shape == (3, WHOLE_PX, WHOLE_PX)
    assert features.shape == (len(FEATURES),)
    assert all(np.isfinite(part).all() for part in (tiles, whole, features))


def test_extreme_brightness_stays_finite() -> None:
    seen = view()
    seen.above[10:20, 10:20] = np.float32(3e38)
    answer = Quality()(seen)
    assert np.isfinite(answer.usable)


def test_telemetry_is_off_before_onnxruntime_is_imported() -> None:
    program = (
        "import os, sys; import astrod_models; "
        "assert os.environ['ORT_DISABLE_TELEMETRY'] == '1' and 'onnxruntime' not in sys.modules; "
        "import astrod_models.quality; assert 'onnxruntime' not in sys.modules"
    )
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    environment.pop("ORT_DISABLE_TELEMETRY", None)
    subprocess.run([sys.executable, "-c", program], check=True, env=environment)


def test_the_card_is_plain_toml() -> None:
    text = (weights_folder() / "quality.toml").read_text(encoding="utf-8")
    assert tomllib.loads(text)["model"]["name"] == "quality"
