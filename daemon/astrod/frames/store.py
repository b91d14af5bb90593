"""Frames on disk: written whole or not at all, synced, and never touched again.

    ROOT/frames/2026-12-14/pujalt-20261214-00042_M31_L_300s.fits
    ROOT/frames/2026-12-14/darks/pujalt-20261214-00061_dark_300s.fits
    ROOT/quarantine/2026-12-14/pujalt-20261214-00043_M31_L_300s.fits

A frame is written under a name that begins with a dot and ends in `.part`, synced, renamed, and its folder
synced; so a name without them is a complete frame. All of this blocks: it belongs in a worker process. The
module itself is light (no numpy, no astropy until pixels are handled), so that the control process can scan.
"""

import errno
import hashlib
import os
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypeVar

from astrod.domain.calibration import FOLDERS
from astrod.domain.exposure import Intent, Taken
from astrod.domain.identity import ExposureId, Night
from astrod.errors import AstrodError, Bug, InputInvalid, TellOperator
from astrod.frames.header import FrameFacts, ascii_text, header_of
from astrod.runtime.durable import make_folder, sync_folder

if TYPE_CHECKING:
    from numpy import uint16
    from numpy.typing import NDArray

    Pixels = NDArray[uint16]

PixelFormat = Literal["npy", "fits"]
Result = TypeVar("Result")

_BLOCK = 2880
_CHUNK = 4 << 20
_ID_FIRST = re.compile(r"([a-z][a-z0-9_]{0,31}-\d{8}-\d{5})_")
_FULL = (errno.ENOSPC, errno.EDQUOT)
_REFUSING = (errno.EROFS, errno.EACCES, errno.EPERM)


@dataclass(frozen=True, slots=True)
class OnDisk:
    """A frame found on disk. `complete` False: shorter than its header says, so the disk itself lost data."""

    id: ExposureId
    path: str
    size_bytes: int
    complete: bool


class FrameStore:
    """The frames under one data root. One writer at a time; paths in and out of it are relative to `root`."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def keep(self, pixels_path: Path, fmt: PixelFormat, facts: FrameFacts) -> Taken:
        """Write the frame for good and say where it is; `pixels_path` is left as it is.

        When this exposure is on disk already, that frame is returned and nothing is written. Raises
        InputInvalid for pixels that are no frame, TellOperator when the disk is full, read-only or failing
        (nothing is lost: the raw pixels stay in the spool), Bug when another exposure holds this id.
        """
        there = self.find(facts.intent.id)
        if there is not None:
            return self._same_exposure(there, facts)
        pixels, row_order = read_pixels(pixels_path, fmt)
        content = fits_bytes(pixels, facts, row_order)
        path = self._home(facts.intent) / file_name(facts)
        sha256, size = _on_disk(path, lambda: write_whole(path, content))
        return Taken(facts.intent.id, self._relative(path), sha256, size, facts.started_us, facts.exposure_s)

    def find(self, exposure: ExposureId) -> Taken | None:
        """The frame of an exposure, read back from disk; None when there is none.

        Raises TellOperator for a frame that is cut short.
        """
        folder = self._folder("frames", exposure.night)
        found = sorted(folder.rglob(f"{exposure}_*.fits"))
        return _on_disk(found[0], lambda: self._read_back(found[0], exposure)) if found else None

    def quarantine(self, pixels_path: Path, fmt: PixelFormat, facts: FrameFacts, reason: str) -> str:
        """Move pixels that the gate refused aside, as FITS that says why; returns where.

        Pixels that cannot be read as a frame are moved as they are, with the reason in a `.txt` beside them.
        Once this returns, `pixels_path` is gone; called again then, it finds what it did the first time.
        Raises TellOperator as `keep` does.
        """
        folder = self._folder("quarantine", facts.intent.id.night)
        path = folder / file_name(facts)
        done = [p for p in (path, path.with_suffix(".raw")) if p.exists()]
        if done:  # a crash came between the writing and the removal, or after both
            pixels_path.unlink(missing_ok=True)
            return self._relative(done[0])
        try:
            pixels, row_order = read_pixels(pixels_path, fmt)
        except InputInvalid as fault:
            return self.set_aside(pixels_path, facts, f"{reason}\n{fault}")
        content = fits_bytes(pixels, facts, row_order, reason)
        _on_disk(path, lambda: write_whole(path, content))
        pixels_path.unlink(missing_ok=True)
        return self._relative(path)

    def set_aside(self, pixels_path: Path, facts: FrameFacts, reason: str) -> str:
        """Move pixels to quarantine as they are, with the reason in a `.txt` beside them; returns where.

        Raises TellOperator as `keep` does.
        """
        path = (self._folder("quarantine", facts.intent.id.night) / file_name(facts)).with_suffix(".raw")
        self._note(path.with_suffix(".txt"), f"{reason}\n")
        content = _chunks(pixels_path)
        _on_disk(path, lambda: write_whole(path, content))
        pixels_path.unlink(missing_ok=True)
        return self._relative(path)

    def _note(self, path: Path, text: str) -> None:
        if not path.exists():
            _on_disk(path, lambda: write_whole(path, iter([text.encode()])))

    def sweep(self) -> list[str]:
        """Remove what a crash left half written; returns the names. Call it before any `keep`."""
        halves = sorted(path for top in ("frames", "quarantine") for path in (self.root / top).rglob(".*.part"))
        for path in halves:
            _on_disk(path, path.unlink)
        return [self._relative(path) for path in halves]

    def scan(self, night: Night | None = None) -> list[OnDisk]:
        """The frames on disk, of one night or of all, in order; only file headers are read.

        Files whose names do not begin with an exposure id are not ours and are passed over.
        """
        pattern = f"{night}/**/*.fits" if night else "*/**/*.fits"
        return [
            OnDisk(exposure, self._relative(path), path.stat().st_size, _complete(path))
            for path in sorted((self.root / "frames").glob(pattern))
            if (exposure := _exposure_of(path)) is not None
        ]

    def _home(self, intent: Intent) -> Path:
        """Lights lie in their night's folder, calibration frames in one of their kind below it."""
        night = self._folder("frames", intent.id.night)
        return night / FOLDERS[intent.kind] if intent.kind in FOLDERS else night

    def _folder(self, top: str, night: Night) -> Path:
        return self.root / top / str(night)

    def _relative(self, path: Path) -> str:
        return path.relative_to(self.root).as_posix()

    def _same_exposure(self, there: Taken, facts: FrameFacts) -> Taken:
        if there.started_us != facts.started_us:
            raise Bug(
                f"{there.path} holds another exposure with the id {there.id}; the archive was rolled back. "
                "Both frames are safe: the new one is still in the spool"
            )
        return there

    def _read_back(self, path: Path, exposure: ExposureId) -> Taken:
        if not _complete(path):
            raise TellOperator(
                f"{path} is cut short although it was synced: check the disk with dmesg and smartctl, "
                "then move the file away"
            )
        header, _ = _header(path)
        return Taken(
            exposure,
            self._relative(path),
            sha256_of(path),
            path.stat().st_size,
            int(header["STARTUS"]),
            float(header["EXPTIME"]),
        )


# -- names ---------------------------------------------------------------------------------------------------


def file_name(facts: FrameFacts) -> str:
    """`EXPOSUREID_TARGET_FILTER_SECONDSs.fits`, safe on any file system; the kind stands in for no target."""
    intent = facts.intent
    seconds = f"{facts.exposure_s:.6f}".rstrip("0").rstrip(".")
    parts = (safe_part(intent.target or intent.kind), safe_part(facts.filter or intent.filter or ""))
    return "_".join([str(intent.id), *(part for part in parts if part), f"{seconds}s.fits"])


def safe_part(text: str) -> str:
    """Letters, digits, `+`, `-` and inner dots of `text`, 64 at most; all else becomes `-`."""
    return re.sub(r"[^A-Za-z0-9.+-]+", "-", ascii_text(text)).strip("-.")[:64]


def _exposure_of(path: Path) -> ExposureId | None:
    """The id at the start of a file name; a site's name may hold `_` itself, so its shape decides."""
    match = _ID_FIRST.match(path.name)
    return ExposureId.parse(match[1]) if match else None


# -- pixels --------------------------------------------------------------------------------------------------


def read_pixels(path: Path, fmt: PixelFormat) -> "tuple[Pixels, str | None]":
    """The raw pixels as unsigned 16 bit, first row first, and the row order their file states, if it does.

    Raises InputInvalid for a file that holds no 2-D frame of counts between 0 and 65535.
    """
    array, row_order = _npy(path) if fmt == "npy" else _fits(path)
    return _counts(path, array), row_order


def _npy(path: Path) -> "tuple[NDArray[Any], None]":
    import numpy as np

    try:
        return np.load(path, mmap_mode=None, allow_pickle=False), None
    except (OSError, ValueError, EOFError) as fault:
        raise InputInvalid(f"{path}: no array can be read from it ({fault}); take the frame again") from fault


def _fits(path: Path) -> "tuple[NDArray[Any], str | None]":
    import warnings

    from astropy.io import fits

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")  # astropy only warns of a file that is cut short
            with path.open("rb") as file, fits.open(file, memmap=False) as hdus:
                array, order = hdus[0].data, hdus[0].header.get("ROWORDER")
    except (OSError, ValueError, TypeError, KeyError, IndexError, EOFError, Warning) as fault:
        raise InputInvalid(f"{path}: no FITS image can be read from it ({fault}); take the frame again") from fault
    if array is None:
        raise InputInvalid(f"{path}: its primary array is empty; take the frame again")
    return array, order if order in ("TOP-DOWN", "BOTTOM-UP") else None


def _counts(path: Path, array: "NDArray[Any]") -> "Pixels":
    import numpy as np

    if array.ndim != 2 or array.size == 0:
        raise InputInvalid(f"{path}: an array of shape {array.shape} is no frame; a frame has rows and columns")
    if array.dtype == np.uint16:
        return np.ascontiguousarray(array)  # Alpaca's frames come column by column
    if array.dtype.kind not in "iuf":
        raise InputInvalid(f"{path}: pixels of type {array.dtype} are no counts")
    low, high = array.min(), array.max()
    whole = array.dtype.kind != "f" or bool(np.all(array == np.floor(array)))  # NaN is not equal to itself
    if not (low >= 0 and high <= 65535 and whole):
        raise InputInvalid(f"{path}: values {low}..{high} are no 16-bit counts; set the camera to 16 bit")
    return array.astype(np.uint16, order="C")


def fits_bytes(
    pixels: "Pixels", facts: FrameFacts, row_order: str | None, reason: str | None = None
) -> Iterator[bytes]:
    """The FITS file in pieces: header, pixels as big-endian 16 bit with BZERO 32768, padding; with checksums.

    `row_order` is what the camera's file says; the facts' own goes before it. `reason` is why the frame is in
    quarantine.
    """
    import dataclasses

    import numpy as np
    from astropy.io import fits

    told = dataclasses.replace(facts, row_order=facts.row_order or row_order)
    stored = (pixels ^ np.uint16(0x8000)).view(np.int16).astype(">i2")
    header = fits.Header(header_of(told, (pixels.shape[0], pixels.shape[1])))
    if reason is not None:
        header.append(("REJECTED", ascii_text(reason)[:60], ""), end=True)
    hdu = fits.PrimaryHDU(stored, header)
    hdu.header.set("BSCALE", 1, "physical = BSCALE x stored + BZERO", after="NAXIS2")
    hdu.header.set("BZERO", 32768, "unsigned 16 bit", after="BSCALE")
    # astropy would date these comments by the wall clock, and the same frame must give the same file
    hdu.add_datasum(when="data unit checksum")
    hdu.add_checksum(when="HDU checksum", override_datasum=False)
    return _pieces(hdu.header.tostring().encode("ascii"), stored)


def _pieces(header: bytes, stored: "NDArray[Any]") -> Iterator[bytes]:
    yield header
    view = stored.data.cast("B")
    for start in range(0, len(view), _CHUNK):
        yield bytes(view[start : start + _CHUNK])
    yield bytes(-len(view) % _BLOCK)


# -- disk ----------------------------------------------------------------------------------------------------


def write_whole(path: Path, content: Iterator[bytes]) -> tuple[str, int]:
    """Write `content` to `path`, complete or not at all, and sync it; returns its sha256 and size.

    Raises FileExistsError rather than overwrite, OSError as the disk gives it; then no partial file is left.
    """
    if path.exists():
        raise FileExistsError(errno.EEXIST, "a frame is never overwritten", str(path))
    make_folder(path.parent)
    half = path.with_name(f".{path.name}.part")
    try:
        digest, size = _write_synced(half, content)
        half.rename(path)
    except BaseException:  # whatever ends the write, a half frame must not stay; the error goes on
        half.unlink(missing_ok=True)
        raise
    sync_folder(path.parent)
    return digest, size


def _write_synced(path: Path, content: Iterator[bytes]) -> tuple[str, int]:
    digest, size = hashlib.sha256(), 0
    with path.open("wb", buffering=0) as file:
        for piece in content:
            digest.update(piece)
            size += len(piece)
            _write_all(file.fileno(), piece)
        os.fsync(file.fileno())
    return digest.hexdigest(), size


def _write_all(handle: int, piece: bytes) -> None:
    rest = memoryview(piece)
    while rest:
        rest = rest[os.write(handle, rest) :]


def _on_disk(path: Path, work: Callable[[], Result]) -> Result:
    """Do `work`, its OSError said in words that tell the owner what to do."""
    try:
        return work()
    except OSError as fault:
        raise _in_words(path, fault) from fault


def _in_words(path: Path, fault: OSError) -> AstrodError:
    safe = "nothing is lost: the raw pixels stay in the spool"
    if isinstance(fault, FileExistsError):
        return Bug(f"{path} is there already and a frame is never overwritten; {safe}")
    if fault.errno in _FULL:
        return TellOperator(f"{path}: the disk is full; free some space on it ({safe})")
    if fault.errno in _REFUSING:
        return TellOperator(
            f"{path}: the disk refuses writing ({fault.strerror}); check that it is mounted read-write "
            f"and that astrod owns the folder ({safe})"
        )
    return TellOperator(f"{path}: the disk fails ({fault.strerror}); check it with dmesg and smartctl ({safe})")


def sha256_of(path: Path) -> str:
    """The digest of a file. Raises OSError."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _chunks(path: Path) -> Iterator[bytes]:
    with path.open("rb") as file:
        while piece := file.read(_CHUNK):
            yield piece


# -- reading headers without astropy -------------------------------------------------------------------------


def _header(path: Path) -> tuple[dict[str, str], int]:
    """The plain values of a FITS header we wrote, as text, and its length in bytes; empty without an end."""
    values: dict[str, str] = {}
    with path.open("rb") as file:
        while block := file.read(_BLOCK):
            for start in range(0, len(block), 80):
                card = block[start : start + 80].decode("ascii", "replace")
                if card.rstrip() == "END":
                    return values, file.tell()
                if card[8:10] == "= ":
                    values[card[:8].rstrip()] = card[10:].split(" / ")[0].strip()
    return {}, 0


def _complete(path: Path) -> bool:
    """Whether the file is as long as its header says."""
    values, header_bytes = _header(path)
    try:
        pixels = int(values["NAXIS1"]) * int(values["NAXIS2"])
        data_bytes = pixels * abs(int(values["BITPIX"])) // 8
    except (KeyError, ValueError):
        return False
    return path.stat().st_size == header_bytes + -(-data_bytes // _BLOCK) * _BLOCK
