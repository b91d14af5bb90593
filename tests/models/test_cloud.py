"""The cloud model: any picture becomes one raster, what it sees is relative, its answers are what the card says."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.typing import NDArray

from astrod_models.card import read_card, verified_weights
from astrod_models.cloud import CHANNELS, FACTS, GRID, NAME, RASTER, STATES, Cloud, prepare

Single = NDArray[np.float32]


def sky(size: int = 400, stars: int = 150, seed: int = 2) -> Single:
    """A noisy sky with a gradient and stars."""
    dice = np.random.default_rng(seed)
    row, column = np.indices((size, size), dtype=np.float32)
    plane = 100.0 + 0.05 * column + dice.normal(0.0, 2.0, (size, size)).astype(np.float32)
    for x, y in dice.uniform(10, size - 10, (stars, 2)):
        plane += 60.0 * np.exp(-0.5 * ((column - x) ** 2 + (row - y) ** 2) / 1.2**2)
    return plane.astype(np.float32)


def channel(raster: Single, name: str) -> Single:
    return raster[CHANNELS.index(name)]


@pytest.mark.parametrize("shape", [(1, 1), (1, 900), (7, 5), (192, 192), (250, 333), (1100, 1500), (4200, 3000)])
@pytest.mark.parametrize("with_circle", [False, True])
def test_any_picture_becomes_the_same_raster(shape: tuple[int, int], with_circle: bool) -> None:
    plane = np.random.default_rng(1).normal(50.0, 3.0, shape).astype(np.float32)
    circle = (shape[1] / 2.0, shape[0] / 2.0, 0.45 * max(shape)) if with_circle else None
    raster = prepare(plane, circle)
    assert raster.channels.shape == (len(CHANNELS), RASTER, RASTER)
    assert raster.facts.shape == (len(FACTS),)
    assert raster.seen.shape == (GRID, GRID)
    assert np.isfinite(raster.channels).all()
    assert np.isfinite(raster.facts).all()


wild = st.one_of(
    st.floats(-1e6, 1e6, width=32),
    st.sampled_from([float("nan"), 0.0, 65535.0, -1.0, 3.0e38, -3.0e38]),
)


@settings(max_examples=40)
@given(
    plane=arrays(np.float32, st.tuples(st.integers(1, 40), st.integers(1, 40)), elements=wild, fill=wild),
    circle=st.one_of(st.none(), st.tuples(st.floats(-50, 90), st.floats(-50, 90), st.floats(0.5, 200.0))),
)
def test_no_array_is_too_strange(plane: Single, circle: tuple[float, float, float] | None) -> None:
    raster = prepare(plane, circle)
    assert np.isfinite(raster.channels).all()
    assert np.isfinite(raster.facts).all()
    assert np.abs(raster.channels).max() <= 6.0


def test_brightness_scale_and_offset_do_not_matter() -> None:
    plane = sky()
    first, second = prepare(plane, None), prepare(plane * 7.0 + 900.0, None)
    for name in ("spread", "band_noise", "peak", "density"):
        assert np.abs(channel(first.channels, name) - channel(second.channels, name)).max() < 0.05, name
    assert len(first.stars) == len(second.stars)


def test_stars_are_found_where_they_are() -> None:
    dice = np.random.default_rng(6)
    places = np.stack([dice.uniform(20, 580, 40), dice.uniform(20, 380, 40)], axis=1)
    row, column = np.indices((400, 600), dtype=np.float32)
    plane = dice.normal(0.0, 1.0, (400, 600)).astype(np.float32)
    for x, y in places:
        plane += 50.0 * np.exp(-0.5 * ((column - x) ** 2 + (row - y) ** 2) / 1.3**2)
    stars = prepare(plane, None).stars
    nearest = np.hypot(*(places[:, None, :] - stars[None, :, :2]).transpose(2, 0, 1)).min(axis=1)
    assert np.median(nearest) < 0.4
    assert (nearest < 1.0).mean() > 0.9
    assert len(stars) < 60


def test_cells_know_their_pixels() -> None:
    """A bright block ends up in the cells that the raster says cover it."""
    plane = sky(480, stars=0)
    plane[100:140, 300:340] += 300.0
    raster = prepare(plane, None)
    level = channel(raster.channels, "contrast").reshape(GRID, 4, GRID, 4).mean(axis=(1, 3))
    row, column = np.unravel_index(int(np.argmax(level)), level.shape)
    assert 300 <= raster.x0 + column * raster.step <= 340
    assert 100 <= raster.y0 + row * raster.step <= 140


def test_a_large_picture_is_binned_first() -> None:
    plane = np.broadcast_to(np.float32(5.0), (5000, 6000))
    raster = prepare(np.array(plane), (3000.0, 2500.0, 2400.0))
    assert raster.flat
    assert raster.step == pytest.approx(4800.0 / GRID)


def test_the_shipped_weights_match_their_card_and_are_small() -> None:
    card = read_card(NAME)
    assert len(verified_weights(card)) < 1_500_000
    assert card.facts["model"]["parameters"] < 200_000


def test_the_model_beats_every_baseline_on_families_it_never_saw() -> None:
    scores = read_card(NAME).facts["scores"]["families never seen"]
    for baseline in ("stars alone", "sky level alone", "stand-in", "chance"):
        assert scores["cells_auc"] > scores[baseline]["cells_auc"] + 0.02, baseline
        assert scores["fraction_near"] > scores[baseline]["fraction_near"], baseline
    assert scores["calibration_error"] < 0.1


def test_answers_are_probabilities_and_repeat() -> None:
    model, raster = Cloud(), prepare(sky(), None)
    first, second = model(raster), model(raster)
    assert np.array_equal(first.cloud, second.cloud)
    assert first.cloud.shape == first.sky.shape == (GRID, GRID)
    assert set(first.states) == set(STATES)
    for values in (first.cloud, first.sky, np.array(list(first.states.values()))):
        assert values.min() >= 0.0
        assert values.max() <= 1.0


def test_stars_mean_clear_and_their_absence_on_one_side_means_cloud() -> None:
    model = Cloud()
    clear = sky(stars=400)
    assert float(model(prepare(clear, None)).cloud.mean()) < 0.3
    dice = np.random.default_rng(5)
    half = clear.copy()
    row, column = np.indices((400, 200), dtype=np.float32)
    cloud = 150.0 + 30.0 * np.sin(row / 23.0 + np.cos(column / 17.0)) + 20.0 * np.sin(column / 11.0)
    half[:, 200:] = cloud + dice.normal(0.0, 2.2, (400, 200))
    said = model(prepare(half, None)).cloud
    assert float(said[:, 28:].mean()) > float(said[:, :20].mean()) + 0.4
