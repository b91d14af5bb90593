"""What an all-sky camera or its software wrote: JPEG, PNG or FITS of any depth, mono or colour, as one plane.

All-sky cameras write what people look at: eight bits, stretched, with captions. Here nothing is assumed of the values
but that more is brighter; a file that is no picture is refused with `InputInvalid`.
"""

import io
import warnings
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from astrod.errors import InputInvalid
from astrod.frames.content import read_content
from astrod.frames.picture import is_picture, read_picture

LARGEST_PX = 16_384 * 16_384
"""More pixels than this are refused: the machine's memory is for the night."""

_FITS_MAGIC = b"SIMPLE  ="


def read_allsky(path: Path) -> NDArray[np.float32]:
    """The brightness in a picture or FITS (plain, gzipped) file: (height, width); colours are averaged.

    Row 0 is the first in the file. Pixels without a value are NaN. Raises InputInvalid, naming the file, for what is
    no picture.
    """
    content = read_content(path)
    if content.startswith(_FITS_MAGIC):
        return _shaped(path, _fits(path, content))
    if not is_picture(content[:16]):
        raise InputInvalid(f"{path}: neither FITS nor a picture that is known here; give JPEG, PNG or FITS")
    return _shaped(path, read_picture(path))


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
    """One plane; FITS puts its colours first."""
    shape = "×".join(str(axis) for axis in raw.shape)
    if raw.dtype.kind not in "uifb":
        raise InputInvalid(f"{path}: pixels of type {raw.dtype} are no brightness; give integers or floats")
    array = raw
    while array.ndim > 2 and array.shape[0] == 1:
        array = array[0]
    if array.size == 0:
        raise InputInvalid(f"{path}: {shape} pixels, none at all; give a picture")
    if array.size > 3 * LARGEST_PX:
        raise InputInvalid(f"{path}: {shape} pixels are too many; bin the picture first")
    with np.errstate(over="ignore", invalid="ignore"):  # a float64 beyond float32 becomes infinite: it has no value
        if array.ndim == 3 and 3 in (array.shape[0], array.shape[2]):
            array = array.mean(axis=0 if array.shape[0] == 3 else 2, dtype=np.float32)
        if array.ndim != 2:
            raise InputInvalid(f"{path}: {shape} is no picture; give one plane or three colours")
        values = np.array(array, dtype=np.float32, order="C")
    if array.dtype.kind == "f":
        values[~np.isfinite(values)] = np.nan
    return values
