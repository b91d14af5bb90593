"""What is made of frames, on disk: calibrated FITS with its errors and flags, and tables as ECSV.

Written beside and moved into place, so that a name never stands for half a file. Raw frames are never written over.
"""

import os
import warnings
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from astrod.errors import InputInvalid
from astrod.frames.image import Fact

Card = tuple[str, str | int | float | bool, str]

_NOT_KEPT = ("SIMPLE", "BITPIX", "NAXIS", "EXTEND", "BZERO", "BSCALE", "CHECKSUM", "DATASUM", "END", "BLANK", "PCOUNT")
_NOT_KEPT_WHOLE = (
    "GCOUNT",
    "XTENSION",
    "TFIELDS",
    "BIASSEC",
    "TRIMSEC",
    "DATASEC",
    "WCSGUESS",
    "EXTNAME",
    "LTV1",
    "LTV2",
)
_WCS = ("WCSAXES", "CTYPE", "CRVAL", "CRPIX", "CUNIT", "CDELT", "CROTA", "CD1_", "CD2_", "PC1_", "PC2_", "A_", "B_")
_WCS_MORE = ("AP_", "BP_", "LONPOLE", "LATPOLE", "PV1_", "PV2_", "RADESYS", "RADECSYS", "EQUINOX", "PC001", "PC002")


def write_calibrated(
    path: Path,
    values: NDArray[np.float32],
    sigma: NDArray[np.float32],
    flags: NDArray[np.uint8],
    facts: Mapping[str, Fact],
    cards: Sequence[Card],
    history: Sequence[str],
    flag_names: Mapping[int, str],
) -> None:
    """A calibrated frame: the values first, then ERR (their standard errors) and MASK (bits; 0 is good).

    The raw header's `facts` are kept but what describes the stored array, and its WCS where `cards` bring one. Raises
    InputInvalid where it cannot be written.
    """
    from astropy.io import fits

    solved = any(name == "CTYPE1" for name, _value, _comment in cards)
    header = fits.Header()
    for name, value in facts.items():
        if _kept(name, solved):
            _set(header, name, value, "")
    for name, value, comment in cards:
        _set(header, name, value, comment)
    for line in history:
        header.add_history(line.encode("ascii", "replace").decode())
    masks = fits.Header()
    for bit, name in flag_names.items():
        masks[f"FLAG{bit}"] = name
    hdus = fits.HDUList(
        [
            fits.PrimaryHDU(values, header),
            fits.ImageHDU(sigma, name="ERR"),
            fits.ImageHDU(flags, masks, name="MASK"),
        ]
    )
    _written(path, lambda draft: hdus.writeto(draft, overwrite=True, output_verify="silentfix"))


def write_image(path: Path, values: NDArray[np.float32], cards: Sequence[Card], history: Sequence[str]) -> None:
    """A single image, as masters are. Raises InputInvalid where it cannot be written."""
    from astropy.io import fits

    header = fits.Header()
    for name, value, comment in cards:
        _set(header, name, value, comment)
    for line in history:
        header.add_history(line.encode("ascii", "replace").decode())
    _written(path, lambda draft: fits.PrimaryHDU(values, header).writeto(draft, overwrite=True))


def write_table(
    path: Path, columns: Mapping[str, tuple[NDArray[Any], str | None, str, str]], facts: Mapping[str, Any]
) -> None:
    """A table as ECSV: for each column its values, unit, format and description; `facts` of the whole go above it.

    Raises InputInvalid where it cannot be written.
    """
    from astropy.table import Column, Table

    table = Table(
        [
            Column(values, name=name, unit=unit, description=text)
            for name, (values, unit, _form, text) in columns.items()
        ],
        meta=dict(facts),
    )
    formats = {name: form for name, (_values, _unit, form, _text) in columns.items() if form}
    _written(path, lambda draft: table.write(draft, format="ascii.ecsv", overwrite=True, formats=formats))


def free_name(folder: Path, stem: str, suffix: str, taken: Iterable[Path]) -> Path:
    """`stem` with `suffix` in a folder, numbered where a file of this run has that name already."""
    used = set(taken)
    path, number = folder / f"{stem}{suffix}", 2
    while path in used:
        path, number = folder / f"{stem}-{number}{suffix}", number + 1
    return path


def stem_of(path: Path) -> str:
    """A frame's name without what says how it is stored: `a.fits.gz`, `a.fit`, `a.fits.fz` are all `a`."""
    name = path.name
    for suffix in (".gz", ".fz", ".fits", ".fit", ".fts", ".npy"):
        if name.casefold().endswith(suffix) and len(name) > len(suffix):
            name = name[: -len(suffix)]
    return name


def _kept(name: str, solved: bool) -> bool:
    if name.startswith(_NOT_KEPT) or name in _NOT_KEPT_WHOLE or name.startswith(("_", "TTYPE", "TFORM")):
        return False
    return not (solved and name.startswith((*_WCS, *_WCS_MORE)))


def _set(header: Any, name: str, value: Any, comment: str) -> None:
    if isinstance(value, float) and not np.isfinite(value):
        return
    if isinstance(value, str):
        value = value.encode("ascii", "replace").decode()
    if isinstance(value, np.generic):
        value = value.item()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # long names become HIERARCH, long comments are cut
        header[name] = (value, comment)


def _written(path: Path, write: Any) -> None:
    draft = path.with_name(f".{path.name}.{os.getpid()}.new")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            write(draft)
        draft.replace(path)
    except OSError as fault:
        draft.unlink(missing_ok=True)
        raise InputInvalid(f"{path}: cannot be written: {fault.strerror or fault}") from fault
