"""Transparency from frames of one field: stars that are matched although the field has moved."""

import numpy as np
import pytest

from astrod.measure.siblings import Sighting, transparency


def sighting(
    seed: int = 0, dimmed: float = 1.0, shift: tuple[float, float] = (0.0, 0.0), seconds: float = 60.0
) -> Sighting:
    rng = np.random.default_rng(seed)
    x, y = rng.uniform(0, 1000, 80), rng.uniform(0, 800, 80)
    flux = np.sort(rng.pareto(1.0, 80) + 1.0)[::-1] * 1000.0
    jitter = np.random.default_rng(seed + 50)
    measured = flux * dimmed * seconds / 60.0 * jitter.normal(1.0, 0.03, 80)
    x, y = x + shift[0] + jitter.normal(0, 0.3, 80), y + shift[1] + jitter.normal(0, 0.3, 80)
    return Sighting(x, y, measured, seconds)


@pytest.mark.parametrize("dimmed", [1.0, 0.7, 0.2])
@pytest.mark.parametrize("shift", [(0.0, 0.0), (35.0, -80.0)])
def test_dimmed_stars_tell_how_much(dimmed: float, shift: tuple[float, float]) -> None:
    found = transparency(sighting(dimmed=dimmed, shift=shift), sighting())
    assert found is not None
    assert found.share == pytest.approx(dimmed, rel=0.03)
    assert found.stars > 60


def test_a_shorter_exposure_is_no_cloud() -> None:
    found = transparency(sighting(seconds=15.0), sighting())
    assert found is not None
    assert found.share == pytest.approx(1.0, rel=0.03)


def test_another_field_says_nothing() -> None:
    assert transparency(sighting(seed=1), sighting(seed=2)) is None


def test_unknown_exposures_and_bare_frames_say_nothing() -> None:
    assert transparency(sighting(seconds=0.0), sighting()) is None
    none = np.zeros(0)
    assert transparency(Sighting(none, none, none, 60.0), sighting()) is None
