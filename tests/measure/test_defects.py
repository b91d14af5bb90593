"""Hot pixels, bad lines and the fall of a star's light, against what was planted."""

import numpy as np
import pytest
from numpy.typing import NDArray

from astrod.measure.defects import defects
from astrod.measure.frame import measure_plane
from astrod.measure.plane import Plane

Field = NDArray[np.float32]


def sky(shape: tuple[int, int] = (400, 500), seed: int = 0) -> Field:
    return np.random.default_rng(seed).normal(0.0, 5.0, shape).astype(np.float32)


def stars(kernel: Field, count: int = 60, seed: int = 1) -> Field:
    """A field of equal kernels at random places, brighter and fainter."""
    rng = np.random.default_rng(seed)
    field = sky(seed=seed) + 1000.0
    half = kernel.shape[0] // 2
    for row, column in zip(rng.integers(half, 400 - half, count), rng.integers(half, 500 - half, count), strict=True):
        place = slice(row - half, row + half + 1), slice(column - half, column + half + 1)
        field[place] += kernel * np.float32(rng.uniform(1.0, 8.0) * 400.0 / kernel.max())
    return field.astype(np.float32)


def radius(half: int) -> Field:
    axis = np.arange(-half, half + 1, dtype=np.float32)
    return np.hypot(axis[None], axis[:, None])


def test_planted_hot_pixels_are_counted() -> None:
    field = sky()
    field[5:395:10, 5:495:10] += 200.0
    assert defects(field, 5.0).hot_per_mpx == pytest.approx(39 * 49 / field.size * 1e6, rel=0.01)


def test_the_narrowest_stars_are_not_hot() -> None:
    field = sky()
    rows, columns = np.mgrid[20:380:20, 20:480:20]
    for down, right, share in ((0, 0, 1.0), (1, 0, 0.25), (-1, 0, 0.25), (0, 1, 0.25), (0, -1, 0.25)):
        field[rows + down, columns + right] += 400.0 * share
    assert defects(field, 5.0).hot_per_mpx == 0.0


@pytest.mark.parametrize("turned", [False, True])
def test_lines_out_of_level_are_counted(turned: bool) -> None:
    field = sky()
    field[:, [40, 130, 131, 333]] += 8.0
    field = np.ascontiguousarray(field.T) if turned else field
    assert defects(field, 5.0).lines == 4


def test_a_plain_sky_has_no_defects() -> None:
    found = defects(sky(seed=7), 5.0)
    assert (found.hot_per_mpx, found.lines) == (0.0, 0)


@pytest.mark.parametrize("shape", [(1, 1), (2, 3), (1, 300), (9, 9)])
def test_any_shape_is_counted(shape: tuple[int, int]) -> None:
    assert defects(np.zeros(shape, dtype=np.float32), 1.0).lines == 0


def values_of(kernel: Field) -> dict[str, float]:
    _measured, features = measure_plane(Plane(stars(kernel), None, 1, None))
    return dict(features.values)


def test_a_gaussian_falls_as_a_gaussian() -> None:
    said = values_of(np.exp(-0.5 * (radius(20) / 2.5) ** 2))
    assert said["core"] == pytest.approx(0.50, abs=0.04)
    assert said["edge"] == pytest.approx(0.86, abs=0.12)


def test_wings_a_disc_and_a_halo_are_told_apart() -> None:
    """Equal cores of some six pixels: seeing has wings, defocus an edge, dew a halo."""
    wings = values_of((1.0 + (radius(24) / 4.0) ** 2) ** -2.5)
    disc = values_of(0.5 - 0.5 * np.tanh((radius(24) - 5.0) / 0.6))
    core = np.exp(-0.5 * (radius(24) / 1.5) ** 2)
    dewed = values_of(core / core.sum() + np.exp(-radius(24) / 5.0) / np.exp(-radius(24) / 5.0).sum())
    assert wings["edge"] < 0.7 < 1.05 < disc["edge"]
    assert dewed["halo"] > values_of(core)["halo"] + 1.0
