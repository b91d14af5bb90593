"""What an all-sky camera or its software wrote: JPEG, PNG or FITS of any depth, mono or colour, as one array.

All-sky cameras write what people look at: eight bits, stretched, with captions. Here nothing is assumed of the values
but that more is brighter; a file that is no picture is refused with `InputInvalid`.
"""

import gzip
import io
import warnings
import zlib
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from astrod.errors import InputInvalid

LARGEST_PX = 16_384 * 16_384
"""More pixels than this are refused: the machine's memory is for the night."""

_GZIP_MAGIC = b"\x1f\x8b"
_FITS_MAGIC = b"SIMPLE  ="


def read_allsky(path: Path) -> NDArray[np.float32]:
    """The pixels of a JPEG, PNG or FITS (plain, gzipped) file: (height, width), or (height, width, 3) in colour.

    Row 0 is the first in the file. Pixels without a value are NaN. Raises InputInvalid, naming the file, for what is
    no picture.
    """
    content = _content(path)
    pixels = _fits(path, content) if content.startswith(_FITS_MAGIC) else _coded(path, content)
    return _shaped(path, pixels)


def _content(path: Path) -> bytes:
    """The file's bytes, decompressed when gzipped."""
    try:
        content = path.read_bytes()
        if content.startswith(_GZIP_MAGIC):
            content = gzip.decompress(content)
    except (EOFError, zlib.error, gzip.BadGzipFile) as fault:
        raise InputInvalid(f"{path}: the gzip stream is cut short or damaged; copy the file again") from fault
    except OSError as fault:
        raise InputInvalid(f"{path}: cannot be read: {fault.strerror or fault}") from fault
    if not content:
        raise InputInvalid(f"{path}: the file is empty; copy it again or remove it")
    return content


def _coded(path: Path, content: bytes) -> NDArray[Any]:
    """A JPEG, PNG or whatever else Pillow knows; transparency and palettes are resolved."""
    from PIL import Image, UnidentifiedImageError

    Image.MAX_IMAGE_PIXELS = LARGEST_PX
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            with Image.open(io.BytesIO(content)) as image:
                if image.mode in ("L", "I", "F", "RGB") or image.mode.startswith("I;16"):
                    return np.asarray(image)
                return np.asarray(image.convert("L" if image.mode in ("1", "LA", "La") else "RGB"))
    except UnidentifiedImageError as fault:
        raise InputInvalid(f"{path}: neither FITS nor a picture that is known here; give JPEG, PNG or FITS") from fault
    except (OSError, ValueError, SyntaxError, EOFError, Image.DecompressionBombError) as fault:
        raise InputInvalid(f"{path}: the picture is cut short or damaged ({fault}); copy it again") from fault


def _fits(path: Path, content: bytes) -> NDArray[Any]:
    """Pixels of the first image HDU that has data."""
    from astropy.io import fits  # costs 0.3 s: only those who read FITS pay it

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            with fits.open(io.BytesIO(content), memmap=False) as hdus:
                for hdu in hdus:
                    if hdu.is_image and hdu.header.get("NAXIS", 0) > 0:
                        return np.asarray(hdu.data)
    except (OSError, ValueError, TypeError, IndexError, KeyError, EOFError, fits.VerifyError) as fault:
        raise InputInvalid(f"{path}: FITS data cut short or damaged ({fault}); copy it again") from fault
    raise InputInvalid(f"{path}: holds no image; give a picture, not a table or an empty header")


def _shaped(path: Path, raw: NDArray[Any]) -> NDArray[np.float32]:
    """Height, width and, in colour, three planes; FITS puts its planes first."""
    shape = "×".join(str(axis) for axis in raw.shape)
    if raw.dtype.kind not in "uifb":
        raise InputInvalid(f"{path}: pixels of type {raw.dtype} are no brightness; give integers or floats")
    array = raw
    while array.ndim > 2 and array.shape[0] == 1:
        array = array[0]
    if array.ndim == 3 and array.shape[0] == 3 and array.shape[2] != 3:
        array = np.moveaxis(array, 0, 2)
    if array.ndim != 2 and not (array.ndim == 3 and array.shape[2] == 3):
        raise InputInvalid(f"{path}: {shape} is no picture; give one plane or three colours")
    if array.size == 0:
        raise InputInvalid(f"{path}: {shape} pixels, none at all; give a picture")
    if array.shape[0] * array.shape[1] > LARGEST_PX:
        raise InputInvalid(f"{path}: {shape} pixels are too many; bin the picture first")
    with np.errstate(over="ignore"):  # a float64 beyond float32 becomes infinite, and so has no value
        values = np.array(array, dtype=np.float32, order="C")
    if array.dtype.kind == "f":
        values[~np.isfinite(values)] = np.nan
    return values
