"""Temperatures and cuts from cameras that were left out. Needs the `train` extra; skipped without it."""

import numpy as np
import pytest

pytest.importorskip("torch", reason="the train extra is not installed")

from astrod_models.quality import OUTPUTS
from training.calibration import CLEAN_KEPT, FALSE_ALARMS, KEEP_FROM, Heard, setting

WIDTH = len(OUTPUTS)


def heard(seed: int, offset: float, bare: int = 20) -> Heard:
    """A camera whose logits are all shifted by `offset`: 400 samples and `bare` clean frames."""
    rng = np.random.default_rng(seed)
    targets = np.zeros((400 + bare, WIDTH))
    faults = rng.random((400, WIDTH - 1)) < 0.15
    targets[:400, :-1] = faults
    targets[:, -1] = ~targets[:, :3].any(axis=1)
    logits = 4.0 * (targets - 0.5) + rng.normal(0.0, 1.2, targets.shape) + offset
    clean = np.arange(400 + bare) >= 400
    return Heard(f"camera {seed}", logits, targets, clean)


def test_the_clean_frames_of_every_pool_are_kept() -> None:
    pool = [heard(1, 0.0), heard(2, -2.0), heard(3, 1.0)]
    found = setting(pool)
    kept = np.concatenate([found.probabilities(part.logits)[part.clean, -1] for part in pool]) >= found.cuts[-1]
    assert kept.mean() >= CLEAN_KEPT
    assert found.cuts[-1] <= KEEP_FROM


def test_few_frames_without_a_fault_reach_its_cut() -> None:
    pool = [heard(seed, offset) for seed, offset in ((1, 0.0), (2, -1.0), (3, 1.5))]
    found = setting(pool)
    for index in range(WIDTH - 1):
        shares = []
        for part in pool:
            said = found.probabilities(part.logits)[part.targets[:, index] == 0.0, index]
            shares.append(float((said >= found.cuts[index]).mean()))
        assert np.mean(shares) <= FALSE_ALARMS + 1e-9


def test_overconfident_logits_are_cooled() -> None:
    """Labels that follow the logits' third: a slope of about a third must come out."""
    rng = np.random.default_rng(5)
    logits = rng.normal(0.0, 6.0, (4000, WIDTH))
    targets = (rng.random(logits.shape) < 1.0 / (1.0 + np.exp(-logits / 3.0))).astype(float)
    found = setting([Heard("hot", logits, targets, np.zeros(4000, dtype=bool))])
    assert found.slope == pytest.approx(np.full(WIDTH, 1.0 / 3.0), abs=0.04)
    assert found.shift == pytest.approx(np.zeros(WIDTH), abs=0.15)


def test_a_pool_without_clean_frames_has_cuts_too() -> None:
    found = setting([heard(4, 0.0, bare=0)])
    assert bool(((found.cuts > 0.0) & (found.cuts < 1.0)).all())
