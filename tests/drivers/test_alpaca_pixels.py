"""Pixels through an Alpaca camera: the right way round, of the right type, whole."""

import json
import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from tests.drivers.test_alpaca_door import GOOD, Mouth, answer, driver, http

from astrod.frames.store import read_pixels
from astrod_drivers.errors import BadAnswer, CommandRefused
from astrod_drivers.protocols import Permit, Shot

ROWS = np.arange(24, dtype=np.uint16).reshape(4, 6) * 2700  # 6 wide, 4 high: no symmetry hides a turned axis
TYPES = {1: "<i2", 2: "<i4", 3: "<f8", 4: "<f4", 5: "<u8", 6: "|u1", 7: "<i8", 8: "<u2", 9: "<u4"}


def image_bytes(rows: NDArray[Any], sent_as: int = 8, **changes: int) -> bytes:
    """The image as the API Reference has it, with fields of its metadata changed."""
    fields = {
        "version": 1, "error": 0, "client": 1, "server": 2, "start": 44, "type": 2, "sent_as": sent_as,
        "rank": 2, "width": rows.shape[1], "height": rows.shape[0], "planes": 0,
    }  # fmt: skip
    fields.update(changes)
    pixels = rows.T.astype(TYPES[sent_as]).tobytes(order="C")
    return struct.pack("<11i", *fields.values()) + b"\0" * (fields["start"] - 44) + pixels


async def fetched(reply: bytes, spool: Path, exposure_s: float = 0.0) -> Path:
    """The file that the camera driver makes of a server's reply to `imagearray`."""

    def say(path: str) -> bytes:
        member = path.rpartition("/")[2]
        return reply if member == "imagearray" else answer(GOOD.get(member))

    async with Mouth(say) as mouth:
        camera = driver("camera", mouth.port, spool)
        await camera.connect()
        await camera.expose(Shot("e", exposure_s), Permit(1))
        return Path((await camera.fetch("e")).path)


@pytest.mark.parametrize("sent_as", TYPES)
async def test_every_type_arrives_the_right_way_round(sent_as: int, tmp_path: Path) -> None:
    rows = ROWS // 600 if sent_as == 6 else ROWS // 2  # within a byte, within a signed word
    path = await fetched(http(image_bytes(rows, sent_as), kind="application/imagebytes"), tmp_path)
    assert np.load(path).dtype == np.dtype(TYPES[sent_as])
    pixels, row_order = read_pixels(path, "npy")  # as the store reads it
    assert pixels.dtype == np.uint16
    assert pixels.flags.c_contiguous  # row by row, as it is digested and written
    assert np.array_equal(pixels, rows)
    assert row_order is None


async def test_json_arrives_the_right_way_round(tmp_path: Path) -> None:
    for indent in (None, 1):
        body = json.dumps({"Type": 2, "Rank": 2, "Value": ROWS.T.tolist(), "ErrorNumber": 0}, indent=indent).encode()
        assert np.array_equal(np.load(await fetched(http(body), tmp_path)), ROWS)


async def test_data_may_start_later(tmp_path: Path) -> None:
    reply = http(image_bytes(ROWS, start=64), kind="application/imagebytes; charset=binary")
    assert np.array_equal(np.load(await fetched(reply, tmp_path)), ROWS)


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"version": 2}, "version 2"),
        ({"start": 43}, "data at 43"),
        ({"rank": 3, "planes": 3}, "3 dimensions"),
        ({"width": 4, "height": 6}, "4 x 6, not the 6 x 4"),
        ({"width": 3}, "3 x 4, not the 6 x 4"),
        ({"sent_as": 77}, "unknown type 77"),
    ],
)
async def test_metadata_that_cannot_be(changes: dict[str, int], says: str, tmp_path: Path) -> None:
    fields = struct.unpack("<11i", image_bytes(ROWS)[:44])
    names = ("version", "error", "client", "server", "start", "type", "sent_as", "rank", "width", "height", "planes")
    head = struct.pack("<11i", *(changes.get(name, value) for name, value in zip(names, fields, strict=True)))
    with pytest.raises(BadAnswer, match=says):
        await fetched(http(head + image_bytes(ROWS)[44:], kind="application/imagebytes"), tmp_path)


async def test_the_cameras_own_error_is_told(tmp_path: Path) -> None:
    head = struct.pack("<11i", 1, 0x40B, 1, 2, 44, 0, 0, 0, 0, 0, 0)
    with pytest.raises(CommandRefused, match="no image yet"):
        await fetched(http(head + b"no image yet", kind="application/imagebytes"), tmp_path)
    body = json.dumps({"ErrorNumber": 0x40B, "ErrorMessage": "no image yet"}).encode()
    with pytest.raises(CommandRefused, match="no image yet"):
        await fetched(http(body), tmp_path)


@given(st.integers(0, 44 + 47))
async def test_an_image_cut_anywhere_is_refused(tmp_path_factory: pytest.TempPathFactory, length: int) -> None:
    spool = tmp_path_factory.mktemp("cut")
    with pytest.raises(BadAnswer, match="cut short"):
        await fetched(http(image_bytes(ROWS)[:length], kind="application/imagebytes"), spool)
    assert list(spool.iterdir()) == []


async def test_more_pixels_than_asked_for_are_refused(tmp_path: Path) -> None:
    with pytest.raises(BadAnswer, match="more pixels"):
        await fetched(http(image_bytes(ROWS) + b"\0", kind="application/imagebytes"), tmp_path)


@pytest.mark.parametrize(
    ("value", "says"),
    [
        ([[[1, 2, 3]] * 4] * 6, "3 dimensions"),
        ([[1.5] * 4] * 6, "whole numbers"),
        ([[1] * 4] * 5, "5 x 4"),
        ([[1] * 4] * 5 + [[1] * 3], "a column of 3"),
        ([], "0 x 4"),
        ("pixels", "without an image"),
    ],
)
async def test_json_that_is_no_image(value: object, says: str, tmp_path: Path) -> None:
    with pytest.raises(BadAnswer, match=says):
        await fetched(http(json.dumps({"Value": value, "ErrorNumber": 0}).encode()), tmp_path)
