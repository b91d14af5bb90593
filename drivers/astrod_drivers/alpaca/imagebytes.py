"""Pixels of an Alpaca camera, straight from the network into a `.npy` file, a piece at a time and without numpy.

Alpaca sends x first: one column after the other. To NumPy that is a frame (rows, columns) in Fortran order, so the
bytes need not be turned round here. ImageBytes is the binary form (ASCOM Alpaca API Reference, chapter 8); servers
that do not have it send the same numbers as JSON, which is read up to JSON_LIMIT_PX.
"""

import http.client
import json
import re
import struct
from array import array
from collections.abc import Iterator
from dataclasses import dataclass
from typing import IO

from astrod_drivers.alpaca.link import check_status, raise_error
from astrod_drivers.errors import BadAnswer, CommandRefused, DriverError

CONTENT_TYPE = "application/imagebytes"
ACCEPT = f"{CONTENT_TYPE}, application/json;q=0.5"
JSON_LIMIT_PX = 16_000_000
PIECE = 1 << 16
_HEADER = struct.Struct("<11i")
_VERSION, _DATA_LIMIT = 1, 4096
_DTYPES = {1: "<i2", 2: "<i4", 3: "<f8", 4: "<f4", 5: "<u8", 6: "|u1", 7: "<i8", 8: "<u2", 9: "<u4"}
_ARRAY = re.compile(rb'"Value"\s*:\s*\[')
_COLUMN = re.compile(rb"[\s,]*(?:\[([^\[\]]*)\]|(\]))")
_PLANES = re.compile(rb"[\s,]*\[\s*\[")


@dataclass(frozen=True, slots=True)
class Size:
    """Columns and rows that the exposure was asked to have."""

    width: int
    height: int


def save(response: http.client.HTTPResponse, size: Size, file: IO[bytes], where: str) -> None:
    """Write the image that a response carries as `.npy`. Raises BadAnswer, and what the camera's error means."""
    if response.status != http.client.OK:
        check_status(where, response.status, response.read(_DATA_LIMIT))
    kind = response.headers.get("Content-Type", "").partition(";")[0].strip().lower()
    if kind == CONTENT_TYPE:
        _save_bytes(response, size, file, where)
    elif kind in ("application/json", "text/json"):
        _save_json(response, size, file, where)
    else:
        raise BadAnswer(f"{where}: an image as {kind[:40]!r}; is this an Alpaca camera?")


def _npy_header(dtype: str, size: Size) -> bytes:
    """The head of a `.npy` file, version 1.0 (NumPy's format specification)."""
    words = f"{{'descr': '{dtype}', 'fortran_order': True, 'shape': ({size.height}, {size.width}), }}"
    padded = words.ljust((10 + len(words)) // 64 * 64 + 64 - 11) + "\n"
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(padded)) + padded.encode("latin1")


# -- ImageBytes ------------------------------------------------------------------------------------------------


def _save_bytes(response: http.client.HTTPResponse, size: Size, file: IO[bytes], where: str) -> None:
    head = _exactly(response, _HEADER.size, where)
    version, error, _, _, start, _, sent_as, rank, width, height, planes = _HEADER.unpack(head)
    if version != _VERSION or not _HEADER.size <= start <= _DATA_LIMIT:
        raise BadAnswer(f"{where}: ImageBytes of version {version} with data at {start}; update the camera's driver")
    if error:
        raise_error(where, error, response.read(_DATA_LIMIT).decode("utf-8", "replace"), CommandRefused)
    if rank != 2 or planes not in (0, 1):
        raise BadAnswer(f"{where}: an image of {rank} dimensions; set the camera to raw or mono, not to colour planes")
    _check_size(size, width, height, where)
    dtype = _DTYPES.get(sent_as)
    if dtype is None:
        raise BadAnswer(f"{where}: pixels of unknown type {sent_as}; update the camera's driver")
    _exactly(response, start - _HEADER.size, where)
    file.write(_npy_header(dtype, size))
    left = size.width * size.height * int(dtype[2])
    while left:
        piece = _exactly(response, min(left, PIECE), where)
        file.write(piece)
        left -= len(piece)
    if response.read(1):
        raise BadAnswer(f"{where}: more pixels than {size.width} x {size.height}; take the frame again")


def _exactly(response: http.client.HTTPResponse, count: int, where: str) -> bytes:
    got = response.read(count)
    if len(got) != count:
        raise BadAnswer(f"{where}: the image was cut short; is the network good?")
    return got


def _check_size(size: Size, width: int, height: int, where: str) -> None:
    if (width, height) != (size.width, size.height):
        text = f"an image of {width} x {height}, not the {size.width} x {size.height} that was asked for"
        raise BadAnswer(f"{where}: {text}; take the frame again")


# -- JSON ------------------------------------------------------------------------------------------------------


def _save_json(response: http.client.HTTPResponse, size: Size, file: IO[bytes], where: str) -> None:
    if size.width * size.height > JSON_LIMIT_PX:
        raise BadAnswer(f"{where}: the server has no ImageBytes, and JSON is too slow for this camera; update it")
    columns = 0
    for column in _columns(response, size, where):
        if not columns:
            file.write(_npy_header("<i4", size))
        file.write(_column(column, size, where))
        columns += 1
    _check_size(size, columns, size.height, where)


def _columns(response: http.client.HTTPResponse, size: Size, where: str) -> Iterator[bytes]:
    """The text of each column of the `Value`, as it arrives."""
    held = _until_array(response, where)
    while True:
        at = 0
        while found := _COLUMN.match(held, at):
            if found[2]:
                _drain(response)
                return
            yield found[1]
            at = found.end()
        held = held[at:]
        if _PLANES.match(held):
            raise BadAnswer(f"{where}: an image of 3 dimensions; set the camera to raw or mono, not to colour planes")
        if len(held) > 24 * size.height + PIECE:
            raise BadAnswer(f"{where}: a column longer than the {size.height} pixels asked for; take the frame again")
        piece = response.read(PIECE)
        if not piece:
            raise BadAnswer(f"{where}: the image was cut short; is the network good?")
        held += piece


def _until_array(response: http.client.HTTPResponse, where: str) -> bytes:
    """The text from the first column on. Raises what the answer says when there is none."""
    held = b""
    while piece := response.read(PIECE):
        held += piece
        if begun := _ARRAY.search(held):
            return held[begun.end() :]
        if len(held) > PIECE:
            raise BadAnswer(f"{where}: no image in the answer but {held[:60]!r}; is this an Alpaca camera?")
    raise _without_image(held, where)


def _drain(response: http.client.HTTPResponse) -> None:
    """Read what follows the image, within bounds."""
    for _ in range(16):
        if not response.read(PIECE):
            return


def _column(text: bytes, size: Size, where: str) -> bytes:
    try:
        numbers = array("i", map(int, text.split(b",")))
    except (ValueError, OverflowError) as fault:
        raise BadAnswer(f"{where}: pixels that are no whole numbers ({fault}); set the camera to 16 bit") from fault
    if len(numbers) != size.height:
        raise BadAnswer(f"{where}: a column of {len(numbers)} pixels, not {size.height}; take the frame again")
    return numbers.tobytes()


def _without_image(body: bytes, where: str) -> DriverError:
    """What an answer without pixels means: the camera's error, or nonsense."""
    try:
        fields = json.loads(body)
        raise_error(where, fields.get("ErrorNumber", 0), fields.get("ErrorMessage", ""), CommandRefused)
    except (ValueError, AttributeError, RecursionError):
        return BadAnswer(f"{where}: no image but {body[:60]!r}; is this an Alpaca camera?")
    except DriverError as fault:
        return fault
    return BadAnswer(f"{where}: an answer without an image; take the frame again")
