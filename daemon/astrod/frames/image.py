"""Pixels as they come from disk: FITS (plain, gzipped, tile-compressed) and NumPy's `.npy`, reading only.

A file that cannot be judged is refused with `InputInvalid`, which names the file, what is wrong with it and
what to do. NaN and infinite pixels are masked; a frame with more than a fifth of them is refused.
Three-dimensional data are refused as well (a single degenerate plane is not): which plane of a cube the
owner means is unknown.
"""

import io
import re
import warnings
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from astrod.errors import InputInvalid
from astrod.frames.content import read_content

Fact = str | int | float | bool

SMALLEST_PX = 16
"""Frames narrower than this hold too little sky for any statement."""

MOST_MASKED = 0.2
"""Largest share of NaN or infinite pixels that a frame may have and still be judged."""

_NPY_MAGIC = b"\x93NUMPY"
_FITS_MAGIC = b"SIMPLE  ="
_BAYER = re.compile(r"^(RGGB|BGGR|GRBG|GBRG)$")
_SATURATION_KEYS = ("SATURATE", "SATLEVEL", "DATAMAX")


@dataclass(frozen=True, slots=True, eq=False)
class Image:
    """A frame in memory.

    `pixels` is 2-D, row 0 first in the file, native byte order, uint16 where the values fit, else float32;
    masked pixels hold the median of the others. `mask` is True at pixels that carry no value, None when all
    do. `bayer` is the pattern at pixel (0, 0), None for mono or unknown. `saturation_adu` is what the header
    says. `facts` are the header's plain values by keyword; empty for `.npy`.
    """

    path: Path
    pixels: NDArray[Any]
    mask: NDArray[np.bool_] | None = None
    bayer: str | None = None
    exposure_s: float | None = None
    saturation_adu: float | None = None
    facts: Mapping[str, Fact] = field(default_factory=dict)


def read_image(path: Path) -> Image:
    """The frame in a FITS or `.npy` file; which of the two is told by content, not by name.

    Raises InputInvalid for whatever is no frame: see the module's notes.
    """
    content = read_content(path)
    if content.startswith(_NPY_MAGIC):
        return _image(path, _npy(path, content), {})
    if content.startswith(_FITS_MAGIC):
        pixels, facts = _fits(path, content)
        return _image(path, pixels, facts)
    raise InputInvalid(f"{path}: not a FITS file (no SIMPLE keyword at its start) nor .npy; give a raw frame")


def _npy(path: Path, content: bytes) -> NDArray[Any]:
    try:
        array = np.load(io.BytesIO(content), allow_pickle=False)
    except (ValueError, EOFError, OSError) as fault:
        raise InputInvalid(f"{path}: .npy data cut short or not plain numbers: {fault}") from fault
    return np.asarray(array)


def _fits(path: Path, content: bytes) -> tuple[NDArray[Any], dict[str, Fact]]:
    """Pixels and header facts of the first image HDU that has data."""
    from astropy.io import fits  # costs 0.3 s: only those who read FITS pay it

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            with fits.open(io.BytesIO(content), memmap=False) as hdus:
                for hdu in hdus:
                    if hdu.is_image and hdu.header.get("NAXIS", 0) > 0:
                        return np.asarray(hdu.data), header_facts(hdus[0].header) | header_facts(hdu.header)
        except (OSError, ValueError, TypeError, IndexError, KeyError, EOFError, fits.VerifyError) as fault:
            raise InputInvalid(f"{path}: FITS data cut short or damaged ({fault}); copy it again") from fault
    raise InputInvalid(f"{path}: holds no image; give a frame, not a table or an empty header")


def header_facts(header: Any) -> dict[str, Fact]:
    """The header's values that are plain; comments, history and undefined values are left out."""
    facts: dict[str, Fact] = {}
    for card in header.cards:
        name, value = str(card.keyword), card.value
        if name and name not in ("COMMENT", "HISTORY") and isinstance(value, (str, int, float, bool)):
            facts[name] = value.strip() if isinstance(value, str) else value
    return facts


def _image(path: Path, raw: NDArray[Any], facts: dict[str, Fact]) -> Image:
    array = _plane(path, raw)
    pixels, mask = _values(path, array)
    if pixels.min() == pixels.max():
        raise InputInvalid(f"{path}: every pixel is {pixels.flat[0]:g}; a shutter or a cable, not a sky")
    return Image(
        path=path,
        pixels=pixels,
        mask=mask,
        bayer=bayer_of(facts),
        exposure_s=_number(facts, ("EXPTIME", "EXPOSURE")),
        saturation_adu=_number(facts, _SATURATION_KEYS),
        facts=facts,
    )


def _plane(path: Path, raw: NDArray[Any]) -> NDArray[Any]:
    """The 2-D array in `raw`, degenerate axes dropped."""
    if raw.dtype.kind not in "uifb":
        raise InputInvalid(f"{path}: pixels of type {raw.dtype} are no brightness; give integers or floats")
    array = raw
    while array.ndim > 2 and array.shape[0] == 1:
        array = array[0]
    shape = "×".join(str(axis) for axis in raw.shape)
    if array.ndim != 2:
        raise InputInvalid(f"{path}: {raw.ndim}-D data ({shape}); give single 2-D frames, mono or raw Bayer")
    if min(array.shape) < SMALLEST_PX:
        raise InputInvalid(f"{path}: {shape} pixels are too few; {SMALLEST_PX}×{SMALLEST_PX} at least")
    return array


def _values(path: Path, array: NDArray[Any]) -> tuple[NDArray[Any], NDArray[np.bool_] | None]:
    """Native uint16 or float32 values, and the mask of those that are none."""
    if array.dtype.kind != "f":
        low, high = int(array.min()), int(array.max())
        fits_16_bits = low >= 0 and high <= 65535
        return np.ascontiguousarray(array, dtype=np.uint16 if fits_16_bits else np.float32), None
    with np.errstate(over="ignore"):  # a float64 beyond float32 becomes infinite, and so masked
        values = np.ascontiguousarray(array, dtype=np.float32)
    mask = ~np.isfinite(values)
    share = float(mask.mean())
    if share > MOST_MASKED:
        raise InputInvalid(f"{path}: {share:.0%} of the pixels are NaN or infinite; it holds too little sky")
    if share == 0.0:
        return values, None
    values[mask] = np.median(values[~mask])
    return values, mask


def bayer_of(facts: Mapping[str, Fact]) -> str | None:
    """The Bayer pattern at pixel (0, 0) as the header tells it, XBAYROFF and YBAYROFF applied; None: none
    told.
    """
    for key in ("BAYERPAT", "COLORTYP", "CFA-PAT", "FILTER"):
        pattern = str(facts.get(key, "")).strip().upper()
        if _BAYER.match(pattern):
            return _shifted(pattern, _offset(facts, "XBAYROFF"), _offset(facts, "YBAYROFF"))
    return None


def _shifted(pattern: str, right: int, up: int) -> str:
    """The pattern as seen after moving `right` columns and `up` rows."""
    rows = (pattern[:2], pattern[2:])
    return "".join(rows[(up + y) % 2][(right + x) % 2] for y in (0, 1) for x in (0, 1))


def _offset(facts: Mapping[str, Fact], key: str) -> int:
    value = facts.get(key, 0)
    return int(value) if isinstance(value, (int, float)) else 0


def _number(facts: Mapping[str, Fact], keys: tuple[str, ...]) -> float | None:
    """The first positive number under `keys`."""
    for key in keys:
        value = facts.get(key)
        if isinstance(value, (int, float)) and not isinstance(value, bool) and 0.0 < value < np.inf:
            return float(value)
    return None
