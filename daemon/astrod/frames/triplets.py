"""Cut-outs of candidates as they come from disk: the array `triplets` of an `.npz` file, or an `.npy` file.

They are read a batch at a time, straight from the file, so that a night's worth of candidates needs no memory.
"""

import math
import warnings
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tokenize import TokenError
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from astrod.errors import InputInvalid

ARRAY = "triplets"
BATCH = 512

_NPY_MAGIC = b"\x93NUMPY"
_ZIP_MAGIC = b"PK"
_SHAPE = "N×S×S×3: science, reference, difference"


@dataclass(frozen=True, slots=True)
class _Layout:
    """How an array lies in its file."""

    shape: tuple[int, ...]
    by_columns: bool
    dtype: np.dtype[Any]


def triplet_batches(path: Path, batch: int = BATCH) -> Iterator[NDArray[Any]]:
    """Arrays (up to `batch`, S, S, 3) of the file's own type, in order; at least one, which may be empty.

    Raises InputInvalid, naming the file, for what holds no triplets, and where it is cut short.
    """
    with _opened(path) as stream:
        try:
            layout = _layout(stream)
            _check(path, layout)
            yield from _whole(path, stream, layout, batch) if layout.by_columns else _rows(path, stream, layout, batch)
        except (ValueError, EOFError, OSError, zipfile.BadZipFile, zlib.error, NotImplementedError) as fault:
            raise InputInvalid(f"{path}: damaged or cut short ({fault}); copy the file again") from fault


@contextmanager
def _opened(path: Path) -> Iterator[IO[bytes]]:
    """The `.npy` stream in the file, whichever of the two it is."""
    try:
        with path.open("rb") as file:
            start = file.read(len(_NPY_MAGIC))
            file.seek(0)
            if start == _NPY_MAGIC:
                yield file
            elif start.startswith(_ZIP_MAGIC):
                with zipfile.ZipFile(file) as archive, archive.open(_member(path, archive)) as member:
                    yield member
            else:
                raise InputInvalid(f"{path}: neither .npz nor .npy; save cut-outs with numpy.savez(triplets=…)")
    except (zipfile.BadZipFile, RuntimeError) as fault:  # RuntimeError: the archive is encrypted
        raise InputInvalid(f"{path}: the archive is damaged or locked ({fault}); copy the file again") from fault
    except OSError as fault:
        raise InputInvalid(f"{path}: cannot be read: {fault.strerror or fault}") from fault


def _member(path: Path, archive: zipfile.ZipFile) -> str:
    name = f"{ARRAY}.npy"
    if name not in archive.namelist():
        held = ", ".join(sorted(Path(member).stem for member in archive.namelist())) or "nothing"
        raise InputInvalid(f"{path}: holds {held}, but no array called {ARRAY} ({_SHAPE})")
    return name


def _layout(stream: IO[bytes]) -> _Layout:
    """What the array's header says. Raises ValueError where it makes no sense."""
    version = np.lib.format.read_magic(stream)
    header = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # NumPy warns of headers that Python 2 wrote
        try:
            return _Layout(*header(stream))
        except (SyntaxError, TokenError, TypeError) as fault:  # NumPy reads it as Python source
            raise ValueError(f"the array's header makes no sense: {fault}") from fault


def _check(path: Path, layout: _Layout) -> None:
    shape = "×".join(map(str, layout.shape)) or "a single number"
    if len(layout.shape) != 4 or layout.shape[3] != 3 or layout.shape[1] != layout.shape[2]:
        raise InputInvalid(f"{path}: the array is {shape}; triplets are {_SHAPE}")
    if layout.dtype.kind not in "fiub":
        raise InputInvalid(f"{path}: pixels of type {layout.dtype} are no brightness; give integers or floats")


def _rows(path: Path, stream: IO[bytes], layout: _Layout, batch: int) -> Iterator[NDArray[Any]]:
    """One batch after the other, as they lie in the file."""
    count, *rest = layout.shape
    size = math.prod(rest) * layout.dtype.itemsize
    for first in range(0, max(count, 1), batch):
        wanted = min(batch, count - first)
        content = stream.read(wanted * size)
        if len(content) < wanted * size:
            raise InputInvalid(
                f"{path}: cut short after {first + len(content) // size} of {count} triplets; copy it again"
            )
        yield np.frombuffer(content, dtype=layout.dtype).reshape(wanted, *rest)


def _whole(path: Path, stream: IO[bytes], layout: _Layout, batch: int) -> Iterator[NDArray[Any]]:
    """An array in column order cannot be read in parts."""
    content = stream.read()
    if len(content) < math.prod(layout.shape) * layout.dtype.itemsize:
        raise InputInvalid(f"{path}: cut short; copy it again")
    flat = np.frombuffer(content, dtype=layout.dtype, count=math.prod(layout.shape))
    array = flat.reshape(layout.shape, order="F")
    for first in range(0, max(len(array), 1), batch):
        yield array[first : first + batch]
