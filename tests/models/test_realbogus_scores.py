"""The real-or-bogus figures. Needs the `train` extra; skipped without it."""

import tomllib

import numpy as np
import pytest

pytest.importorskip("torch", reason="the train extra is not installed")

from training.realbogus_examples import Examples
from training.realbogus_scores import alike, figures, regression, section, temperature


def test_pairs_are_alike_and_used_once() -> None:
    magnitude = np.array([18.0, 18.1, 20.0, 18.2, 18.3, 15.0])
    real = np.array([True, True, True, False, False, False])
    ours, theirs = alike(magnitude, real, ~real)
    assert sorted(ours.tolist()) == [0, 1]
    assert theirs.tolist() == [3, 4]


def test_recall_counts_at_few_false_alarms() -> None:
    real = np.arange(300) < 100
    values = np.where(real, 1.0, 0.0) * 10.0 + np.arange(300) * 1e-3
    values[:10] = -5.0
    found = figures("test", values, -values, values, real)
    assert [(recall.hits, recall.false_alarms) for recall in found.recalls] == [(90, 2), (90, 10)]
    assert found.area == pytest.approx(0.9)
    assert found.classical == pytest.approx(0.1)
    assert found.interval[0] < 0.9 < found.interval[1]


def test_a_section_is_toml_with_counts_and_intervals() -> None:
    real = np.arange(40) < 20
    text = section(figures("a, b", real.astype(float), real.astype(float), None, real))
    told = tomllib.loads(text)["scores"]["a, b"]
    assert (told["real"], told["bogus"], told["auc"]) == (20, 20, 1.0)
    assert told["recall_at_5_percent"]["hits"] == 20
    assert told["recall_at_5_percent"]["interval"][0] < 0.9
    assert "brightness_alone_auc" not in told


def test_the_regression_finds_what_tells() -> None:
    rng = np.random.default_rng(0)
    real = rng.random(400) < 0.5
    features = rng.normal(size=(400, 26)).astype(np.float32)
    features[:, 3] += 3.0 * real
    nothing = np.zeros(400)
    examples = Examples(
        nothing.astype(np.float16),
        features,
        real,
        nothing.astype(np.int16),
        nothing.astype(np.float32),
        nothing.astype(int),
    )
    found = regression(examples, np.full(400, 1.0 / 400))
    assert int(np.argmax(np.abs(found.weights))) == 3
    assert (found(examples) > 0.0)[real].mean() > 0.85


def test_the_temperature_brings_overconfidence_down() -> None:
    rng = np.random.default_rng(0)
    real = rng.random(2000) < 0.3
    true = np.where(real, 1.0, -1.0) + rng.normal(size=2000)
    slope, shift = temperature(5.0 * true + 2.0, real)
    assert 0.3 < slope < 0.55
    assert -1.5 < shift < -0.2
