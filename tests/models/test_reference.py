"""A card's reference: written by the training side, read by the daemon's."""

import shutil
from dataclasses import fields
from pathlib import Path

import numpy as np

from astrod.learning.drift import LEVELS, reference_of
from astrod_models.card import read_card, verified_weights, weights_folder
from training.groups import Group
from training.reference import add_reference, read_samples


def test_what_training_writes_is_what_the_daemon_reads_and_the_rest_of_the_card_stays(tmp_path: Path) -> None:
    folder = tmp_path / "weights"
    shutil.copytree(weights_folder(), folder)
    card = folder / "quality.toml"
    before = {key: value for key, value in read_card("quality", folder).facts.items() if key != "reference"}
    rng = np.random.default_rng(1)
    for middle in (0.0, 5.0):
        features = {"log_fwhm": rng.normal(middle, 1.0, 2000), "superpixel": np.zeros(2000, dtype=np.float32)}
        add_reference(card, 2000, features, {"usable": np.linspace(0.0, 1.0, 1001)})
        read = read_card("quality", folder)
        assert {key: value for key, value in read.facts.items() if key != "reference"} == before
        assert verified_weights(read)
        reference = reference_of(read.facts)
        assert reference is not None
        assert reference.samples == 2000
        assert abs(reference.features["log_fwhm"][LEVELS.index(0.5)] - middle) < 0.2
        assert reference.features["superpixel"] == (0.0,) * len(LEVELS)
        assert np.allclose(reference.scores["usable"], LEVELS, atol=2e-3)
    assert card.read_text().count("[reference]") == 1


def test_samples_that_a_training_has_drawn_are_taken_in_equal_parts(tmp_path: Path) -> None:
    files = []
    for index in range(2):
        arrays = {item.name: np.full((100, 3), index, dtype=np.float32) for item in fields(Group)}
        np.savez(tmp_path / f"{index}.npz", **arrays)
        files.append(tmp_path / f"{index}.npz")
    taken = read_samples(files, 20)
    assert taken.features[:, 0].tolist() == [0.0] * 10 + [1.0] * 10
