"""What is said of a picture of the sky: a map, or why there is none."""

import shutil
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from astrod.judge.cloud import TITLE, classical, judge, model_fault
from astrod_models.card import weights_folder
from astrod_models.cloud import Raster, prepare
from training.brightstars import stars
from training.cloudsky import draw


def raster(index: int) -> tuple[Raster, float | None]:
    """A simulated picture's raster and the covered share of it, None where it is no night sky."""
    drawn = draw(np.random.default_rng([4, index]), stars())
    share = float(drawn.covered[drawn.known].mean()) if drawn.known.any() else None
    return prepare(drawn.picture, drawn.circle), share


@pytest.fixture(scope="module")
def pictures() -> list[tuple[Raster, float | None]]:
    return [raster(index) for index in range(18)]


def agreement(said: list[float], truth: list[float]) -> float:
    return float(np.corrcoef(said, truth)[0, 1])


def test_the_covered_share_follows_the_truth(pictures: list[tuple[Raster, float | None]]) -> None:
    said, truth = [], []
    for shown, share in pictures:
        fraction = judge(shown, True).fraction
        if share is not None and fraction is not None:
            said.append(fraction)
            truth.append(share)
    assert len(said) >= 12
    assert agreement(said, truth) > 0.75


def test_the_stand_in_is_used_and_named_when_the_weights_are_altered(
    tmp_path: Path, pictures: list[tuple[Raster, float | None]]
) -> None:
    folder = tmp_path / "weights"
    shutil.copytree(weights_folder(), folder)
    (folder / "cloud.onnx").write_bytes(b"nothing")
    assert "does not match its card" in str(model_fault(folder))
    verdict = judge(pictures[0][0], True, folder)
    assert verdict.model.startswith(TITLE)
    assert model_fault() is None


def test_the_stand_in_tells_stars_from_none(pictures: list[tuple[Raster, float | None]]) -> None:
    """Over the simulated pictures it is worth something, if less than the model."""
    pairs = [
        (float(classical(shown).cloud[shown.seen].mean()), share) for shown, share in pictures if share is not None
    ]
    assert agreement([said for said, _ in pairs], [share for _, share in pairs]) > 0.4


def blank(value: float) -> NDArray[np.float32]:
    return np.full((300, 300), value, dtype=np.float32)


@pytest.mark.parametrize(
    ("plane", "word"),
    [
        (blank(0.0), "one value"),
        (blank(65535.0), "one value"),
        (blank(float("nan")), "no pixel"),
        (np.array([[7.0]], dtype=np.float32), "one value"),
    ],
)
def test_a_picture_that_tells_nothing_gets_a_reason_and_no_map(plane: NDArray[np.float32], word: str) -> None:
    verdict = judge(prepare(plane, None), False)
    assert verdict.chance is None
    assert verdict.fraction is None
    assert word in verdict.why[0]


def test_the_sun_overrules_the_pixels(pictures: list[tuple[Raster, float | None]]) -> None:
    shown = next(shown for shown, share in pictures if share is not None)
    by_day = judge(shown, True, is_day=True)
    assert not by_day.is_dark
    assert by_day.fraction is None
    assert "daylight" in by_day.why[0]
