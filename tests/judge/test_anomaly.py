"""What does not belong in a frame: planted things are noticed, ordinary frames are not, any array gets an answer."""

from dataclasses import replace
from functools import cache
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from astrod.appraise import Series, appraise
from astrod.judge.anomaly import LEARNED, Usual, score_of
from astrod_drivers.sim.render import render
from astrod_drivers.sim.scene import Optics, Scene, Sensor
from astrod_models.anomaly import (
    BINNINGS,
    STATISTICS,
    TILE_PX,
    Anomaly,
    Ordinary,
    Surprise,
    tiles_of,
)
from astrod_models.anomaly import (
    Scene as Seen,
)

CLEAR = Scene(
    sensor=Sensor(width_px=726, height_px=412),
    optics=Optics(focal_length_mm=300.0, aperture_mm=75.0, obstruction=0.35),
)


@cache
def frame(seed: int = 0) -> NDArray[np.float32]:
    return render(replace(CLEAR, seed=seed)).astype(np.float32)


def noise_of(values: NDArray[np.float32]) -> float:
    return float(1.4826 * np.median(np.abs(np.diff(values, axis=1))) / np.sqrt(2.0))


def with_banding(values: NDArray[np.float32]) -> NDArray[np.float32]:
    """A wave over the rows, as strong as the noise."""
    wave = np.sin(np.arange(values.shape[0]) * 2.0 * np.pi / 9.0) * 2.0 * noise_of(values)
    return (values + wave[:, None]).astype(np.float32)


def with_dead_quadrant(values: NDArray[np.float32]) -> NDArray[np.float32]:
    damaged = values.copy()
    damaged[:206, :363] = np.median(values) + 0.05 * (values[:206, :363] - np.median(values))
    return damaged


def with_lost_rows(values: NDArray[np.float32]) -> NDArray[np.float32]:
    damaged = values.copy()
    damaged[200:240] = values[200]
    return damaged


def saved(folder: Path, values: NDArray[np.float32], name: str = "frame") -> Path:
    path = folder / f"{name}.npy"
    np.save(path, values)
    return path


@pytest.mark.parametrize("seed", range(3))
def test_an_ordinary_frame_is_not_flagged(tmp_path: Path, seed: int) -> None:
    said = appraise(saved(tmp_path, frame(seed))).strangeness
    assert not said.flag
    assert said.tiles == ()
    assert said.basis == "frames in general"


@pytest.mark.parametrize("plant", [with_banding, with_dead_quadrant, with_lost_rows])
def test_planted_things_are_noticed(tmp_path: Path, plant: object) -> None:
    assert callable(plant)
    said = appraise(saved(tmp_path, plant(frame()))).strangeness
    assert said.flag
    assert said.score > 0.5
    assert said.tiles


def test_the_strangest_tile_is_where_the_thing_is(tmp_path: Path) -> None:
    tile = appraise(saved(tmp_path, with_lost_rows(frame()))).strangeness.tiles[0]
    assert tile.y < 240
    assert tile.y + tile.side > 200


def test_without_weights_the_sensors_own_failures_are_seen(tmp_path: Path) -> None:
    said = appraise(saved(tmp_path, with_dead_quadrant(frame())), anomaly_weights=tmp_path / "none").strangeness
    assert said.basis.startswith("classical stand-in (no card")
    assert said.flag
    assert not appraise(saved(tmp_path, frame()), anomaly_weights=tmp_path / "none").strangeness.flag


def test_a_series_learns_its_camera(tmp_path: Path) -> None:
    """Rows that are always lost are flagged at first, and not any more once twenty frames have shown them."""
    series, flags = Series(), []
    for seed in range(LEARNED + 4):
        path = saved(tmp_path, with_lost_rows(frame(seed % 4)))
        flags.append(appraise(path, series=series).strangeness.flag)
    assert flags[0]
    assert not any(flags[-4:])
    said = appraise(saved(tmp_path, with_dead_quadrant(with_lost_rows(frame(2)))), series=series).strangeness
    assert said.flag
    assert said.basis == "this camera's frames"


# -- the numbers alone ---------------------------------------------------------------------------------------

PLAIN = Ordinary({b: np.zeros(len(STATISTICS)) for b in BINNINGS}, {b: np.eye(len(STATISTICS)) for b in BINNINGS}, 2.0)


def surprise(level: float, rng: np.random.Generator) -> Surprise:
    """One tile whose statistics lie about `level` from the ordinary."""
    numbers = rng.normal(level, 0.1, (1, len(STATISTICS)))
    zero = np.zeros(1, dtype=np.int64)
    return Surprise(zero + 2, zero, zero, zero + 128, numbers, PLAIN.distance(2, numbers))


def test_a_camera_is_learning_until_it_has_seen_enough() -> None:
    rng, usual = np.random.default_rng(1), Usual()
    for number in range(LEARNED):
        assert not usual.learned
        assert usual.limit == 1.0
        seen = surprise(1.0, rng)
        usual.learn(seen, float(usual.surprises(seen, PLAIN).max()))
        assert len(usual.largest) == number + 1
    assert usual.learned
    assert usual.surprises(surprise(1.0, rng), PLAIN)[0] < 0.5 * surprise(1.0, rng).largest


def test_about_one_ordinary_frame_in_fifty_is_over_the_learned_limit() -> None:
    rng = np.random.default_rng(2)
    usual = Usual(largest=rng.gumbel(0.5, 0.05, 200).tolist())
    assert float(np.mean(rng.gumbel(0.5, 0.05, 20_000) > usual.limit)) == pytest.approx(0.02, abs=0.015)


def test_what_was_taught_survives_packing() -> None:
    rng, usual = np.random.default_rng(3), Usual()
    for _ in range(5):
        usual.learn(surprise(1.0, rng), 0.4)
    again = Usual.unpacked(usual.packed())
    assert again.largest == usual.largest
    assert again.places.keys() == usual.places.keys()
    seen = surprise(2.0, rng)
    assert again.surprises(seen, PLAIN) == pytest.approx(usual.surprises(seen, PLAIN), rel=1e-5)
    assert Usual.unpacked(b"").largest == []


def test_scores_keep_their_order_and_the_limit_is_a_half() -> None:
    scores = [score_of(value) for value in (0.0, 0.5, 1.0, 3.0, 1e3)]
    assert scores == sorted(scores)
    assert scores[2] == 0.5
    assert scores[-1] < 1.0


@given(
    rows=st.integers(1, 300),
    columns=st.integers(1, 300),
    fill=st.sampled_from(["noise", "zero", "huge", "nan", "inf"]),
    stars=st.integers(0, 30),
    seed=st.integers(0, 99),
)
@settings(max_examples=25, deadline=None)
def test_any_plane_gets_finite_surprises_and_is_seen_whole(
    rows: int, columns: int, fill: str, stars: int, seed: int
) -> None:
    rng = np.random.default_rng(seed)
    above = rng.normal(0.0, 1.0, (rows, columns)).astype(np.float32)
    if fill != "noise":
        above[:] = {"zero": 0.0, "huge": 1e30, "nan": np.nan, "inf": np.inf}[fill]
    known = rng.uniform(-20.0, 400.0, (stars, 3))
    scene = Seen(above, known)
    said = MODEL(scene)
    assert np.isfinite(said.surprise).all()
    if stars == 0 and fill == "noise" and min(rows, columns) >= 2:
        for tiles in tiles_of(scene):
            if min(rows, columns) * 4 < tiles.binning * TILE_PX:
                continue  # so small that the tile is empty for the most part, and says nothing
            covered = np.zeros((-(-rows // tiles.binning), -(-columns // tiles.binning)), dtype=bool)
            for x, y in zip(tiles.x // tiles.binning, tiles.y // tiles.binning, strict=True):
                covered[y : y + TILE_PX, x : x + TILE_PX] = True
            assert covered[: rows // tiles.binning, : columns // tiles.binning].all()


MODEL = Anomaly()
