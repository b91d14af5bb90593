"""A FITS file's own word on itself, without its pixels: its header's facts, whether all of it is there, of what sort.

For files that another program writes: slowly, over a network, or never to their end. The structure is walked header
by header (FITS standard 4.0, section 3); what compresses the whole file (gzip) is unpacked on the way.
"""

import gzip
import re
import warnings
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Literal, cast

from astrod.errors import InputInvalid
from astrod.frames.image import Fact, header_facts

FrameSort = Literal["light", "calibration", "stack"]

_BLOCK = 2880
_HEADER_BLOCKS = 400
"""A header of more than 14,000 cards is none."""
_CHUNK = 1 << 20
_GZIP_MAGIC = b"\x1f\x8b"
_END = re.compile(rb"END {77}")
_SORT_KEYS = ("IMAGETYP", "FRAME", "FRAMETYP", "OBSTYPE", "PICTTYPE")
_CALIBRATION = re.compile(r"\b(dark|bias|zero|offset|flat|darkflat|flatdark|dark ?flat|arc|lamp)", re.IGNORECASE)
_STACKED = re.compile(r"master|stack|integration|combined|coadd", re.IGNORECASE)
_COUNT_KEYS = ("STACKCNT", "NCOMBINE", "SNAPSHOT")


@dataclass(frozen=True, slots=True)
class Glance:
    """`facts` are the headers' plain values; `lacks` says what of the file is not there, None when it is whole."""

    facts: Mapping[str, Fact]
    lacks: str | None = None

    @property
    def sort(self) -> FrameSort:
        """What the header says that the frame is; one that says nothing counts as a light frame."""
        said = " ".join(str(self.facts.get(key, "")) for key in _SORT_KEYS)
        if _STACKED.search(said) or any(_over_one(self.facts.get(key)) for key in _COUNT_KEYS):
            return "stack"
        return "calibration" if _CALIBRATION.search(said) else "light"


class _CutShortError(Exception):
    """The file ends before its structure does; the text says where."""


def glance(path: Path) -> Glance:
    """Look at a FITS file, plain or gzipped, and read all of it once where it is gzipped.

    Raises InputInvalid, naming the file, for what is no FITS file or cannot be read; a file that is still being
    written is no fault: `Glance.lacks` says so.
    """
    facts: dict[str, Fact] = {}
    try:
        with _opened(path) as stream:
            return Glance(facts, _walked(stream, facts))
    except _CutShortError as short:
        return Glance(facts, str(short))
    except (EOFError, zlib.error, gzip.BadGzipFile) as fault:
        return Glance(facts, f"the gzip stream is cut short or damaged ({fault})")
    except ValueError as fault:
        raise InputInvalid(f"{path}: {fault}") from fault
    except OSError as fault:
        raise InputInvalid(f"{path}: cannot be read: {fault.strerror or fault}") from fault


def _opened(path: Path) -> BinaryIO:
    plain = path.open("rb")
    magic = plain.read(2)
    plain.seek(0)
    if magic != _GZIP_MAGIC:
        return plain
    plain.close()
    return cast(BinaryIO, gzip.open(path))


def _walked(stream: BinaryIO, facts: dict[str, Fact]) -> str | None:
    """Walk through all header and data units, gathering facts. Raises _CutShortError, ValueError for no FITS."""
    first = True
    while True:
        text = _header(stream, first)
        if text is None:
            return None
        found = _parsed(text)
        facts.update({key: value for key, value in found.items() if first or key not in ("SIMPLE", "EXTEND")})
        _pass_data(stream, _data_bytes(found))
        first = False


def _header(stream: BinaryIO, first: bool) -> bytes | None:
    """The next header's bytes; None after the last one. What follows it and is no extension counts as no part."""
    block = stream.read(_BLOCK)
    if not first and not block.startswith(b"XTENSION"):
        return None
    if not block:
        raise _CutShortError("the file is empty")
    if first and not block.startswith(b"SIMPLE"[: len(block)]):
        raise ValueError("not a FITS file (no SIMPLE keyword at its start)")
    header = b""
    for _ in range(_HEADER_BLOCKS):
        if len(block) < _BLOCK:
            raise _CutShortError("a header is cut short")
        header += block
        if any(_END.match(block, at) for at in range(0, _BLOCK, 80)):
            return header
        block = stream.read(_BLOCK)
    raise ValueError(f"its header has no END within {_HEADER_BLOCKS * _BLOCK} bytes")


def _parsed(text: bytes) -> dict[str, Fact]:
    from astropy.io import fits  # costs 0.3 s: only those who read FITS pay it

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            return header_facts(fits.Header.fromstring(text))
        except (ValueError, TypeError, KeyError, fits.VerifyError) as fault:
            raise ValueError(f"a header that cannot be read ({fault})") from fault


def _data_bytes(facts: Mapping[str, Fact]) -> int:
    """Bytes of the data that follow a header, without their padding (FITS 4.0, equation 2)."""
    axes = _whole(facts, "NAXIS", 0)
    if not 0 <= axes <= 999:
        raise ValueError(f"NAXIS is {axes}")
    if axes == 0:
        return 0
    pixels = 1
    for axis in range(1, axes + 1):
        pixels *= max(0, _whole(facts, f"NAXIS{axis}", -1))
    each = abs(_whole(facts, "BITPIX", 0)) // 8
    return each * _whole(facts, "GCOUNT", 1) * (_whole(facts, "PCOUNT", 0) + pixels)


def _whole(facts: Mapping[str, Fact], key: str, default: int) -> int:
    value = facts.get(key, default)
    return value if isinstance(value, int) else default


def _pass_data(stream: BinaryIO, size: int) -> None:
    """Read over a unit's data and their padding, which some programs leave out at the end of a file."""
    padded = -(-size // _BLOCK) * _BLOCK
    passed = 0
    while passed < padded:
        chunk = len(stream.read(min(_CHUNK, padded - passed)))
        if not chunk:
            break
        passed += chunk
    if passed < size:
        raise _CutShortError(f"{passed} of {size} bytes of its data are there")


def _over_one(value: Fact | None) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and value > 1
