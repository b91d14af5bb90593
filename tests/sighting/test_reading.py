"""Stacks, pictures and video from disk: what is read is what was written, and what cannot be read says why."""

import gzip
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from astrod.errors import InputInvalid
from astrod.frames.clip import Stacker, stacks_of
from astrod.frames.stack import read_stack
from tests.sighting.blocks import METEOR, block_of, frames_of
from tests.sighting.files import write_ff, write_video


def test_an_ff_stack_is_read_with_its_planes(tmp_path: Path) -> None:
    video = frames_of(METEOR, count=64)
    stack = read_stack(write_ff(tmp_path / "FF_XX0001_20260101_000000_000_0000000.fits.gz", video))
    assert stack is not None and stack.frame is not None and stack.mean is not None
    assert np.array_equal(stack.maximum, video.max(axis=0))
    assert np.array_equal(stack.frame, video.argmax(axis=0))
    assert (stack.count, stack.fps, stack.station, stack.rows_in_turn) == (64, 25.0, "XX0001", True)


def test_a_stacker_keeps_what_the_whole_video_would() -> None:
    video = frames_of(METEOR, count=100, shape=(48, 64))
    one, two = Stacker((48, 64), 0, 25.0), Stacker((48, 64), 70, 25.0)
    for image in video[:70]:
        one.add(image)
    for image in video[70:]:
        two.add(image)
    one.join(two)
    stack, block = one.stack(), block_of(video)
    assert stack.count == 100
    assert np.array_equal(stack.maximum, block.maximum)
    assert np.array_equal(stack.frame, video.argmax(axis=0))
    assert stack.mean is not None and stack.spread is not None
    assert np.abs(stack.mean - block.mean).max() <= 0.501
    assert np.abs(stack.spread - np.sqrt(_variance(video))).max() < 0.01


def _variance(video: NDArray[np.uint8]) -> NDArray[np.float64]:
    top = video.max(axis=0).astype(np.float64)
    count = len(video) - 1
    mean = (video.sum(axis=0, dtype=np.float64) - top) / count
    return np.asarray(((video.astype(np.float64) ** 2).sum(axis=0) - top**2) / count - mean**2)


@pytest.mark.parametrize(
    ("count", "sizes"),
    [(1, [1]), (40, [40]), (100, [100]), (130, [130]), (170, [100, 70]), (230, [100, 130])],
)
def test_video_comes_in_blocks_and_a_short_rest_joins_the_last(tmp_path: Path, count: int, sizes: list[int]) -> None:
    path = write_video(tmp_path / "clip.mp4", frames_of(count=count, shape=(32, 48)))
    stacks = list(stacks_of(path, block_frames=100))
    assert [stack.count for stack in stacks] == sizes
    assert [stack.first for stack in stacks] == list(np.cumsum([0, *sizes[:-1]]))
    assert stacks[0].fps == 25.0


def test_a_video_that_breaks_off_yields_what_it_had(tmp_path: Path) -> None:
    path = write_video(tmp_path / "clip.avi", frames_of(count=90, shape=(64, 96)))
    content = path.read_bytes()
    path.write_bytes(content[: len(content) // 2])
    stacks = list(stacks_of(path))
    assert 20 < stacks[0].count < 80


@pytest.mark.parametrize("suffix", [".jpg", ".png", ".tif", ".bmp", ".webp"])
def test_pictures_of_all_kinds_are_read_in_grey(tmp_path: Path, suffix: str) -> None:
    grey = frames_of(METEOR, count=1)[0]
    path = tmp_path / f"sky{suffix}"
    Image.fromarray(np.stack([grey, grey, grey], axis=2)).save(path)
    stack = read_stack(path)
    assert stack is not None and stack.frame is None and stack.count == 1
    assert stack.maximum.shape == grey.shape
    assert abs(float(stack.maximum.mean()) - float(grey.mean())) < 1.0


def test_sixteen_bits_and_palettes_and_transparency_are_pictures_too(tmp_path: Path) -> None:
    deep = np.arange(64 * 64, dtype=np.uint16).reshape(64, 64) * 16
    Image.fromarray(deep).save(tmp_path / "deep.png")
    Image.fromarray((deep // 256).astype(np.uint8)).convert("P").save(tmp_path / "palette.png")
    Image.fromarray((deep // 256).astype(np.uint8)).convert("LA").save(tmp_path / "alpha.png")
    shapes = {path.name: read_stack(path) for path in tmp_path.iterdir()}
    assert all(stack is not None and stack.maximum.shape == (64, 64) for stack in shapes.values())
    kept = shapes["deep.png"]
    assert kept is not None and np.array_equal(kept.maximum, deep)


BROKEN = {
    "empty.fits": b"",
    "cut.fits": b"SIMPLE  =                    T" + b" " * 100,
    "cut.gz": gzip.compress(b"SIMPLE  = " + bytes(9000))[:40],
    "cut.png": b"\x89PNG\r\n\x1a\n" + b"\x00" * 20,
    "cut.jpg": b"\xff\xd8\xff\xe0" + b"\x00" * 30,
    "cut.npy": b"\x93NUMPY\x01\x00v\x00",
}


@pytest.mark.parametrize("name", BROKEN)
def test_what_is_cut_short_is_refused_and_named(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    path.write_bytes(BROKEN[name])
    with pytest.raises(InputInvalid, match=name):
        read_stack(path)


def test_what_is_nothing_at_all_is_refused_and_named(tmp_path: Path) -> None:
    path = tmp_path / "notes.txt"
    path.write_text("dear diary\n" * 50)
    assert read_stack(path) is None
    with pytest.raises(InputInvalid, match=r"notes\.txt"):
        list(stacks_of(path))
    with pytest.raises(InputInvalid, match="missing"):
        read_stack(tmp_path / "missing.fits")
