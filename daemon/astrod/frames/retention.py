"""What may be deleted, and whether the night's frames will fit on the disk.

Kept raw frames are never deleted unless the owner said after how many nights. Ages are counted in nights, by
the name of the folder or of the exposure, never by a file's time, which a copy or a wrong clock changes.
"""

import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from pathlib import Path

from astrod.domain.identity import Night
from astrod.errors import TellOperator

_DAY_IN_NAME = re.compile(r"^[a-z][a-z0-9_]{0,31}-(\d{4})(\d{2})(\d{2})-\d{5}")


@dataclass(frozen=True, slots=True)
class Retention:
    """After how many nights each kind of file goes; None keeps it for ever. `raw_nights` is the owner's."""

    spool_nights: int | None = 3
    quarantine_nights: int | None = 30
    raw_nights: int | None = None

    def __post_init__(self) -> None:
        for name in ("spool_nights", "quarantine_nights", "raw_nights"):
            nights = getattr(self, name)
            if nights is not None and nights < 1:
                raise ValueError(f"{name} {nights} must be 1 or more; leave it out to keep for ever")


def expired(root: Path, tonight: Night, rules: Retention) -> list[Path]:
    """The files under the data root that the rules let go, oldest first. Touches nothing."""
    tops = (
        ("spool", rules.spool_nights),
        ("quarantine", rules.quarantine_nights),
        ("frames", rules.raw_nights),
    )
    found = [
        (night, path)
        for top, nights in tops
        if nights is not None
        for night, path in _dated(root / top)
        if (tonight.date - night).days > nights
    ]
    return [path for _, path in sorted(found)]


def _dated(folder: Path) -> Iterator[tuple[date, Path]]:
    """Files that tell their night, in a folder and its folders by night; others are passed over."""
    for path in sorted(folder.glob("**/*")):
        if path.is_file() and not path.is_symlink():
            night = _night_of(path)
            if night is not None:
                yield night, path


def _night_of(path: Path) -> date | None:
    try:
        match = _DAY_IN_NAME.match(path.name)
        return date(*map(int, match.groups())) if match else date.fromisoformat(path.parent.name)
    except ValueError:
        return None


def remove(paths: list[Path]) -> int:
    """Delete files, and folders that this empties; returns the bytes freed. Raises TellOperator."""
    freed = 0
    for path in paths:
        try:
            size = path.stat().st_size
            path.unlink()
        except FileNotFoundError:
            continue
        except OSError as fault:
            raise TellOperator(f"{path} cannot be deleted ({fault.strerror}); make its folder writable") from fault
        freed += size
        _drop_if_empty(path.parent)
    return freed


def _drop_if_empty(folder: Path) -> None:
    if re.fullmatch(r"\d{4}-\d{2}-\d{2}", folder.name) and not any(folder.iterdir()):
        folder.rmdir()


# -- the night's disk budget ---------------------------------------------------------------------------------


def free_bytes(folder: Path) -> int:
    """What an unprivileged process may still write there; the folder, or the nearest above it, must exist."""
    while not folder.exists():
        folder = folder.parent
    disk = os.statvfs(folder)
    return disk.f_bavail * disk.f_frsize


def frame_bytes(width_px: int, height_px: int) -> int:
    """The size of a 16-bit frame as FITS, with a generous header."""
    return -(-width_px * height_px * 2 // 2880) * 2880 + 4 * 2880


def budget(free: int, expected_frames: int, bytes_each: int, reserve: int = 1 << 30) -> str | None:
    """Whether the night's frames fit in `free` bytes with `reserve` left for the archive and the log.

    None when they do, else in words how many will.
    """
    need = expected_frames * bytes_each
    if free - reserve >= need:
        return None
    spare = max(0, free - reserve)
    return (
        f"{expected_frames} frames need {need / 1e9:.1f} GB, {spare / 1e9:.1f} GB are free: "
        f"{spare // bytes_each} will fit"
    )
