"""A file's bytes, unpacked where it is gzipped."""

import gzip
import io
import zlib
from pathlib import Path

from astrod.errors import InputInvalid

_GZIP_MAGIC = b"\x1f\x8b"
_MOST_BYTES = 4 << 30
"""No more is unpacked: a few kilobytes of zeros can claim to be anything."""


def read_content(path: Path) -> bytes:
    """The bytes. Raises InputInvalid, naming the file, where it cannot be read, is cut short, or is empty."""
    try:
        content = path.read_bytes()
        if content.startswith(_GZIP_MAGIC):
            with gzip.GzipFile(fileobj=io.BytesIO(content)) as unpacked:
                content = unpacked.read(_MOST_BYTES)
    except (EOFError, zlib.error, gzip.BadGzipFile) as fault:
        raise InputInvalid(f"{path}: the gzip stream is cut short or damaged; copy the file again") from fault
    except OSError as fault:
        raise InputInvalid(f"{path}: cannot be read: {fault.strerror or fault}") from fault
    if not content:
        raise InputInvalid(f"{path}: the file is empty; copy it again or remove it")
    return content
