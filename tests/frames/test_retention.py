"""Only what may go goes."""

from pathlib import Path

import pytest

from astrod.domain.identity import Night
from astrod.errors import TellOperator
from astrod.frames.retention import Retention, budget, expired, frame_bytes, free_bytes, remove

TONIGHT = Night.parse("2026-12-14")


def lay(root: Path, *names: str) -> None:
    for name in names:
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"pixels")


def names(root: Path, paths: list[Path]) -> list[str]:
    return [path.relative_to(root).as_posix() for path in paths]


def test_raws_stay_for_ever_unless_the_owner_says(tmp_path: Path) -> None:
    lay(tmp_path, "frames/2001-01-01/s-20010101-00001_M31_1s.fits")
    assert expired(tmp_path, TONIGHT, Retention()) == []
    assert len(expired(tmp_path, TONIGHT, Retention(raw_nights=100))) == 1


def test_ages_are_counted_in_nights_and_the_oldest_goes_first(tmp_path: Path) -> None:
    lay(
        tmp_path,
        "quarantine/2026-12-01/s-20261201-00002_M31_1s.fits",
        "quarantine/2026-11-01/s-20261101-00001_M31_1s.raw",
        "quarantine/2026-11-01/s-20261101-00001_M31_1s.txt",
        "spool/s-20261214-00009.npy",
        "spool/s-20261201-00009.npy",
        "spool/no exposure",
        "quarantine/notes/read me",
    )
    gone = names(tmp_path, expired(tmp_path, TONIGHT, Retention()))
    assert gone == [
        "quarantine/2026-11-01/s-20261101-00001_M31_1s.raw",
        "quarantine/2026-11-01/s-20261101-00001_M31_1s.txt",
        "spool/s-20261201-00009.npy",
    ]


def test_removing_counts_bytes_and_clears_empty_nights(tmp_path: Path) -> None:
    lay(tmp_path, "quarantine/2026-09-01/a.jpg", "quarantine/2026-09-02/a.jpg", "quarantine/2026-09-02/b.jpg")
    gone = [tmp_path / "quarantine/2026-09-01/a.jpg", tmp_path / "quarantine/2026-09-02/a.jpg"]
    assert remove(gone) == 12
    assert remove(gone) == 0
    assert names(tmp_path, sorted((tmp_path / "quarantine").iterdir())) == ["quarantine/2026-09-02"]


def test_a_folder_in_place_of_a_file_is_reported(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    with pytest.raises(TellOperator, match="cannot be deleted"):
        remove([tmp_path / "folder"])


def test_nights_must_be_positive() -> None:
    with pytest.raises(ValueError, match="raw_nights 0"):
        Retention(raw_nights=0)


def test_budget_speaks_up_before_the_disk_is_full() -> None:
    each = frame_bytes(6248, 4176)
    assert 52_000_000 < each < 52_300_000
    assert budget(free=20 << 30, expected_frames=300, bytes_each=each) is None
    short = budget(free=14 << 30, expected_frames=300, bytes_each=each)
    assert short is not None and "300 frames need 15.7 GB" in short
    dire = budget(free=1 << 20, expected_frames=300, bytes_each=each)
    assert dire is not None and ": 0 will fit" in dire


def test_free_space_is_that_of_the_nearest_folder(tmp_path: Path) -> None:
    assert free_bytes(tmp_path / "not" / "yet") > 0
