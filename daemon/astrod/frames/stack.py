"""Stacks of video frames and single pictures, as they come from disk, reading only.

A `Stack` is what the meteor network's stations (RMS) keep of 256 frames: of each pixel its maximum, the number
of the frame in which that came, its mean and its spread. A single image, FITS, JPEG, PNG, TIFF or `.npy`, is
a stack of one frame that has a maximum only.
"""

import io
import warnings
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from astrod.errors import InputInvalid
from astrod.frames.content import read_content
from astrod.frames.picture import is_picture, read_picture

_GZIP_MAGIC = b"\x1f\x8b"
_NPY_MAGIC = b"\x93NUMPY"
_FITS_MAGIC = b"SIMPLE  ="
_HEAD = 32
_PLANES = ("MAXPIXEL", "MAXFRAME", "AVEPIXEL", "STDPIXEL")


@dataclass(frozen=True, slots=True, eq=False)
class Stack:
    """What is known of `count` frames: arrays of one shape (height, width), row 0 first in the file.

    `frame` counts from 0 within the stack; `first` is the number of its first frame in the video that it comes
    from. `mean`, `spread` and `frame` are None for a single image. `fps` is 0 where unknown. `rows_in_turn`: the
    file follows RMS's convention, whose times add row / rows to the frame number, since its sensors read
    row after row. `station` is the camera's code, empty where unknown.
    """

    maximum: NDArray[Any]
    frame: NDArray[Any] | None = None
    mean: NDArray[Any] | None = None
    spread: NDArray[Any] | None = None
    count: int = 1
    first: int = 0
    fps: float = 0.0
    rows_in_turn: bool = False
    station: str = ""

    def bare(self) -> "Stack":
        """The same without its planes, but for the shape: what is kept of a stack that has been looked at."""
        return replace(
            self, maximum=np.broadcast_to(np.uint8(0), self.maximum.shape), frame=None, mean=None, spread=None
        )


def read_stack(path: Path) -> Stack | None:
    """The stack or single image in a file; None where its content is neither (a video, perhaps).

    What it is is told by its content, not by its name. Colours are averaged. Raises InputInvalid for a
    file that cannot be read, or is cut short.
    """
    try:
        with path.open("rb") as opened:
            head = opened.read(_HEAD)
    except OSError as fault:
        raise InputInvalid(f"{path}: cannot be read: {fault.strerror or fault}") from fault
    if not head:
        raise InputInvalid(f"{path}: the file is empty; copy it again or remove it")
    if head.startswith((_GZIP_MAGIC, _FITS_MAGIC, _NPY_MAGIC)):
        return _checked(path, _numeric(path))
    if is_picture(head):
        return _checked(path, Stack(read_picture(path)))
    return None


def _numeric(path: Path) -> Stack:
    """A stack from FITS or `.npy`, plain or gzipped."""
    content = read_content(path)
    if content.startswith(_NPY_MAGIC):
        try:
            return Stack(grey(path, np.load(io.BytesIO(content), allow_pickle=False)))
        except (ValueError, EOFError, OSError) as fault:
            raise InputInvalid(f"{path}: .npy data cut short or not plain numbers: {fault}") from fault
    if not content.startswith(_FITS_MAGIC):
        raise InputInvalid(f"{path}: a gzip file that holds no FITS; unpack it first")
    return _fits(path, content)


def _fits(path: Path, content: bytes) -> Stack:
    """The four planes of an FF file where it has them, else the first image."""
    from astropy.io import fits  # costs 0.3 s: only those who read FITS pay it

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            with fits.open(io.BytesIO(content), memmap=False) as hdus:
                images = [hdu for hdu in hdus if hdu.is_image and hdu.header.get("NAXIS", 0) > 0]
                named = {str(hdu.name).upper(): hdu for hdu in images}
                if all(name in named for name in _PLANES):
                    return _four_planes(path, hdus[0].header, [np.asarray(named[name].data) for name in _PLANES])
                if images:
                    return Stack(grey(path, np.asarray(images[0].data)))
        except (OSError, ValueError, TypeError, IndexError, KeyError, EOFError, fits.VerifyError) as fault:
            raise InputInvalid(f"{path}: FITS data cut short or damaged ({fault}); copy it again") from fault
    raise InputInvalid(f"{path}: holds no image; give a picture or an FF stack, not a table or an empty header")


def _four_planes(path: Path, header: Any, planes: list[NDArray[Any]]) -> Stack:
    maximum, frame, mean, spread = (grey(path, plane) for plane in planes)
    if len({plane.shape for plane in (maximum, frame, mean, spread)}) != 1:
        raise InputInvalid(f"{path}: its four planes differ in size; copy it again")
    last = int(np.nanmax(frame)) + 1 if frame.size else 1
    count, fps = header.get("NFRAMES", 0), header.get("FPS", 0.0)
    return Stack(
        maximum,
        frame,
        mean,
        spread,
        count=max(int(count) if isinstance(count, (int, float)) else 0, last, 1),
        fps=float(fps) if isinstance(fps, (int, float)) and 0.0 < fps < 1e6 else 0.0,
        rows_in_turn=True,
        station=str(header.get("CAMNO", "")).strip(),
    )


def grey(path: Path, raw: NDArray[Any]) -> NDArray[Any]:
    """The 2-D array in `raw`, in native byte order: single planes taken out, three or four colours averaged.

    Raises InputInvalid for what is no picture.
    """
    shape = "×".join(str(axis) for axis in raw.shape)
    if raw.dtype.kind not in "uifb":
        raise InputInvalid(f"{path}: pixels of type {raw.dtype} are no brightness; give integers or floats")
    array = raw
    while array.ndim > 2 and 1 in array.shape:
        array = array.squeeze(array.shape.index(1))
    if array.ndim == 3 and array.shape[0] in (3, 4):
        array = array[:3].mean(axis=0, dtype=np.float32)
    elif array.ndim == 3 and array.shape[2] in (3, 4):
        array = array[:, :, :3].mean(axis=2, dtype=np.float32)
    if array.ndim != 2 or array.size == 0:
        raise InputInvalid(f"{path}: {raw.ndim}-D data ({shape}); give one picture, an FF stack or a video")
    if array.dtype.kind == "b":
        array = array.astype(np.uint8)
    return np.ascontiguousarray(array, dtype=array.dtype.newbyteorder("="))


def _checked(path: Path, stack: Stack) -> Stack:
    """The stack, where it has any pixel that is a number."""
    if stack.maximum.dtype.kind == "f" and not np.isfinite(stack.maximum).any():
        raise InputInvalid(f"{path}: every pixel is NaN or infinite; it shows nothing")
    return stack
