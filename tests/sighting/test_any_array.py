"""Any array at all: an answer with a reason, never a crash."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from astrod.judge.meteor import sight
from astrod.judge.meteor_track import bright_pixels, way_through
from astrod_models.meteor import CELL_PX, CHANNELS, Block, view_of

KINDS_OF_NUMBER = ("u1", "u2", "i2", "f4", "f8", ">u2", ">f4", ">f8", "?")


@st.composite
def arrays(draw: st.DrawFn) -> NDArray[np.generic]:
    """Odd shapes, odd types, and values that cameras do not mean."""
    height, width = draw(st.integers(1, 90)), draw(st.integers(1, 90))
    rng = np.random.default_rng(draw(st.integers(0, 1000)))
    kind = draw(st.sampled_from(["noise", "constant", "white", "negative", "huge", "step"]))
    values = {
        "noise": rng.normal(100.0, 5.0, (height, width)),
        "constant": np.full((height, width), 7.0),
        "white": np.full((height, width), 255.0),
        "negative": rng.normal(-50.0, 20.0, (height, width)),
        "huge": rng.normal(0.0, 1e30, (height, width)),
        "step": np.where(np.arange(width) > width // 2, 200.0, 3.0) + np.zeros((height, 1)),
    }[kind]
    number = np.dtype(draw(st.sampled_from(KINDS_OF_NUMBER)))
    if number.kind == "f" and draw(st.booleans()):
        values[rng.random(values.shape) < draw(st.sampled_from([0.01, 0.5, 1.0]))] = draw(
            st.sampled_from([np.nan, np.inf, -np.inf])
        )
    if number.kind == "f":
        return values.astype(number)
    high = 1 if number.kind == "b" else np.iinfo(number).max
    return np.clip(np.nan_to_num(values), 0, high).astype(number)


@given(arrays(), st.booleans())
@settings(max_examples=40)
def test_any_array_gets_an_answer_with_a_reason(pixels: NDArray[np.generic], timed: bool) -> None:
    block = Block(pixels)
    if timed:
        rng = np.random.default_rng(0)
        frame = rng.integers(0, 256, pixels.shape)
        block = Block(pixels, frame, pixels, pixels, 256)
    view = view_of(block)
    assert np.isfinite(view.channels).all() and np.isfinite(view.excess).all()
    assert view.channels.shape[0] == len(CHANNELS)
    assert all(axis % CELL_PX == 0 for axis in view.channels.shape[1:])
    found = sight(block)
    assert 0.0 <= found.score <= 1.0 and found.why and found.model


@given(st.floats(0.2, 50.0), st.floats(-1000.0, 1000.0), st.sampled_from(["f4", "f8", ">f4"]))
@settings(max_examples=15)
def test_gain_offset_and_number_format_change_nothing(gain: float, offset: float, number: str) -> None:
    rng = np.random.default_rng(5)
    sky = rng.normal(200.0, 4.0, (64, 96))
    sky[20:22, 10:70] += 40.0
    plain, other = view_of(Block(sky)), view_of(Block((gain * sky + offset).astype(number)))
    assert np.abs(plain.channels - other.channels).max() < 0.02


@pytest.mark.parametrize("shape", [(5000, 300), (300, 5000), (2049, 2049)])
def test_large_images_are_binned_and_places_are_the_images_own(shape: tuple[int, int]) -> None:
    rng = np.random.default_rng(2)
    pixels = rng.normal(100.0, 3.0, shape).astype(np.float32)
    height, width = shape
    middle_x, middle_y = width // 2, height // 2
    for step in range(-60, 61):
        pixels[middle_y + step - 2 : middle_y + step + 3, middle_x + step - 2 : middle_x + step + 3] += 60.0
    view = view_of(Block(pixels))
    assert max(view.excess.shape) <= 2048 and view.factor == (3 if 5000 in shape else 2)
    region = np.zeros(view.excess.shape, dtype=bool)
    at_y, at_x = middle_y // view.factor, middle_x // view.factor
    region[at_y - 35 : at_y + 36, at_x - 35 : at_x + 36] = True
    way = way_through(bright_pixels(view), region)
    assert way is not None
    assert abs(way.x.mean() * view.factor - middle_x) < 9.0 and abs(way.y.mean() * view.factor - middle_y) < 9.0
