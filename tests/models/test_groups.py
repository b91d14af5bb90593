"""Samples with too few stars: kept for learning, left out of scores."""

import numpy as np

from training.groups import BARE_EXTRA, Group, clear, favoured, told


def samples() -> Group:
    """Three: clear with many stars, clear and bare, clouded and bare."""
    targets = np.array([[0, 0, 0, 0, 1], [0, 0, 0, 0, 1], [1, 0, 0, 0, 0]], dtype=np.float32)
    return Group(
        tiles=np.zeros((3, 1, 2, 2), dtype=np.float16),
        whole=np.zeros((3, 1, 2, 2), dtype=np.float16),
        features=np.arange(3, dtype=np.float32)[:, None],
        targets=targets,
        baseline=np.array([[200, 2, 1], [1, 0, 0], [0, 0, 0]], dtype=np.float32),
    )


def test_scores_leave_out_clear_frames_that_no_one_could_tell() -> None:
    assert told(samples()).features[:, 0].tolist() == [0.0, 2.0]


def test_learning_leans_towards_keeping_a_bare_frame() -> None:
    assert favoured(samples()).features[:, 0].tolist() == [0.0, 1.0, 2.0] + [1.0] * BARE_EXTRA


def test_clear_frames_are_known_by_their_label() -> None:
    assert clear(samples()).tolist() == [0, 1]
