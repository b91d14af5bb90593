"""A frame as an Alpaca server sends it: ImageBytes, or the same numbers as JSON. Both have x first."""

import json
import struct
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

CONTENT_TYPE = "application/imagebytes"
_HEADER = struct.Struct("<11i")
_INT32, _UINT16 = 2, 8


def window(path: Path, place: tuple[int, int, int, int]) -> NDArray[np.uint16]:
    """The wanted part of a frame, x first."""
    x, y, width, height = place
    rows: NDArray[np.uint16] = np.load(path)
    return np.ascontiguousarray(rows[y : y + height, x : x + width].T)


def image_bytes(columns: NDArray[np.uint16], client_number: int, server_number: int) -> bytes:
    """The binary form: 44 bytes of metadata, then the pixels as unsigned 16 bit, little endian."""
    width, height = columns.shape
    head = (1, 0, client_number, server_number, _HEADER.size, _INT32, _UINT16, 2, width, height, 0)
    return _HEADER.pack(*head) + columns.astype("<u2").tobytes()


def failure_bytes(number: int, text: str, client_number: int, server_number: int) -> bytes:
    """The binary form of an error: its text stands where the pixels would."""
    head = (1, number, client_number, server_number, _HEADER.size, 0, 0, 0, 0, 0, 0)
    return _HEADER.pack(*head) + text.encode()


def image_json(columns: NDArray[np.uint16], envelope: dict[str, Any]) -> bytes:
    """The JSON form."""
    return json.dumps({"Type": _INT32, "Rank": 2, **envelope, "Value": columns.tolist()}).encode()
