"""The circle of a fish-eye is found, full, cut or bitten into; a picture without one has none."""

import numpy as np
import pytest
from numpy.typing import NDArray

from astrod.measure.horizon import find_horizon, grey


def fisheye(
    shape: tuple[int, int], x: float, y: float, radius: float, low: float = 8.0, soft: float = 0.02
) -> NDArray[np.float32]:
    """A noisy disc of uneven brightness on a dark surround."""
    row, column = np.indices(shape, dtype=np.float64)
    distance = np.hypot(column - x, row - y) / radius
    light = 60.0 + 30.0 * np.cos(column / 90.0) + 15.0 * np.sin(row / 50.0)
    edge = np.clip((1.0 - distance) / soft + 0.5, 0.0, 1.0)
    noise = np.random.default_rng(3).normal(0.0, 3.0, shape)
    return (low + light * edge + noise).astype(np.float32)


@pytest.mark.parametrize(
    ("shape", "x", "y", "radius"),
    [
        ((480, 640), 320.0, 240.0, 225.0),
        ((480, 640), 300.0, 260.0, 215.0),
        ((480, 640), 320.0, 240.0, 300.0),
        ((1040, 1392), 690.0, 520.0, 560.0),
        ((240, 240), 118.0, 121.0, 110.0),
        ((2000, 2100), 1050.0, 1000.0, 900.0),
    ],
)
def test_circles_are_found(shape: tuple[int, int], x: float, y: float, radius: float) -> None:
    found = find_horizon(fisheye(shape, x, y, radius))
    assert found is not None
    assert max(abs(found.x - x), abs(found.y - y), abs(found.radius - radius)) < 0.03 * radius


def test_trees_hot_pixels_captions_and_gaps_do_not_hide_it() -> None:
    picture = fisheye((480, 640), 320.0, 240.0, 225.0)
    row, column = np.indices(picture.shape)
    angle = np.arctan2(row - 240, column - 320)
    trees = (np.hypot(row - 240, column - 320) > 225 * (0.85 + 0.1 * np.sin(13 * angle))) & (angle > 1.0)
    picture[trees] = 8.0
    picture[::37, ::41] = 250.0
    picture[5:25, 5:160] = 220.0
    picture[100:110, :40] = np.nan
    found = find_horizon(picture)
    assert found is not None
    assert abs(found.radius - 225.0) < 10.0


def test_pictures_without_a_circle_have_none() -> None:
    dice = np.random.default_rng(5)
    row, column = np.indices((360, 640), dtype=np.float32)
    noise = dice.normal(0.0, 2.0, (360, 640)).astype(np.float32)
    vignetted = 90.0 - 36.0 * (np.hypot(row - 180, column - 320) / 367.0) ** 2
    for flat in (50.0 + noise, 20.0 + column / 9.0 + noise, vignetted + noise, np.full((360, 640), 7.0)):
        assert find_horizon(np.asarray(flat, dtype=np.float32)) is None


@pytest.mark.parametrize("shape", [(1, 1), (3, 700), (23, 23), (24, 24)])
def test_tiny_pictures_have_none(shape: tuple[int, int]) -> None:
    assert find_horizon(np.random.default_rng(1).normal(size=shape).astype(np.float32)) is None


def test_grey_takes_colour_and_drops_what_is_no_number() -> None:
    colour = np.full((4, 5, 3), 3.0, dtype=np.float32)
    colour[1, 1, 2] = np.inf
    plane = grey(colour)
    assert plane.shape == (4, 5)
    assert np.isnan(plane[1, 1])
    assert float(np.nanmax(plane)) == 3.0
