"""The door to SQLite: strangers, newer files, damage, full disks, second writers."""

import os
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

from astrod.archive.archive import Archive
from astrod.archive.database import Database, in_words
from astrod.archive.schema import ARCHIVE, ARCHIVE_APPLICATION
from astrod.domain.identity import Night
from astrod.errors import Bug, Retry, TellOperator


def hand_edit(path: Path, *statements: str) -> None:
    connection = sqlite3.connect(path)
    for statement in statements:
        connection.execute(statement)
    connection.commit()
    connection.close()


def test_a_newer_file_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "archive.db"
    Archive.open(path).close()
    hand_edit(path, "PRAGMA user_version = 99")
    before = path.read_bytes()
    with pytest.raises(TellOperator, match="newer astrod"):
        Archive.open(path)
    assert path.read_bytes() == before


def test_a_strangers_database_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "archive.db"
    hand_edit(path, "CREATE TABLE photos (name)")
    before = path.read_bytes()
    with pytest.raises(TellOperator, match="no database of astrod's"):
        Archive.open(path)
    assert path.read_bytes() == before


def test_damage_is_told_with_what_to_do_and_nothing_moves(tmp_path: Path) -> None:
    path = tmp_path / "archive.db"
    path.write_bytes(b"this is no database, " * 500)
    before = path.read_bytes()
    with pytest.raises(TellOperator, match="recover"):
        Archive.open(path)
    assert path.read_bytes() == before


def test_damaged_pages_are_found(tmp_path: Path) -> None:
    path = tmp_path / "archive.db"
    archive = Archive.open(path)
    for number in range(400):
        archive.record_event(number, "test", "info", "x" * 100)
    archive.checkpoint()
    archive.close()
    content = bytearray(path.read_bytes())
    content[-9000:-3000] = b"\xa5" * 6000  # events, written last; the tables that opening reads lie before them
    path.write_bytes(content)
    archive = Archive.open(path)
    assert archive.integrity() != []
    archive.close()


def test_migrations_apply_once_and_only_whole(tmp_path: Path) -> None:
    path = tmp_path / "archive.db"
    first = (("CREATE TABLE a (x)",),)
    Database(path, first, 1).close()
    broken = (*first, ("CREATE TABLE b (x)", "CREATE TABLE a (x)"))
    with pytest.raises(Bug, match="already exists"):
        Database(path, broken, 1)
    database = Database(path, (*first, ("CREATE TABLE b (x)",)), 1)
    assert database.pragma("user_version") == 2
    assert [row["name"] for row in database.rows("SELECT name FROM sqlite_master ORDER BY name")] == [
        "a",
        "b",
    ]
    database.close()


def test_settings_are_those_that_outlast_a_power_cut(tmp_path: Path) -> None:
    database = Database(tmp_path / "archive.db", ARCHIVE, ARCHIVE_APPLICATION)
    settings = [database.pragma(name) for name in ("journal_mode", "synchronous", "foreign_keys", "busy_timeout")]
    assert settings == ["wal", 2, 1, 5000]
    database.close()


def test_a_second_process_is_kept_out_and_let_in_afterwards(tmp_path: Path) -> None:
    path = tmp_path / "archive.db"
    archive = Archive.open(path)
    code = f"from pathlib import Path\nfrom astrod.archive.archive import Archive\nArchive.open(Path({str(path)!r}))"
    environment = {"PYTHONPATH": os.pathsep.join(p for p in sys.path if p)}
    command = [sys.executable, "-c", code]
    refused = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert "in use by another astrod" in refused.stderr
    archive.close()
    assert subprocess.run(command, env=environment, capture_output=True, check=False).returncode == 0


def test_a_busy_file_asks_for_another_try(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("astrod.archive.database.BUSY_MS", 50)
    path = tmp_path / "archive.db"
    archive = Archive.open(path)
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    with pytest.raises(Retry, match="busy"):
        archive.set_hold("pause", True, "anna", 1)
    other.execute("ROLLBACK")
    other.close()
    archive.set_hold("pause", True, "anna", 1)
    assert len(archive.holds()) == 1
    archive.close()


def test_a_full_disk_keeps_what_was_recorded(tmp_path: Path) -> None:
    disk = tmp_path / "disk"
    disk.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=600k", "tmpfs", str(disk)]
    if os.geteuid() != 0 or subprocess.run(mount, capture_output=True, check=False).returncode != 0:
        pytest.skip("only root can mount a small disk")
    try:
        archive, recorded = Archive.open(disk / "archive.db"), 0
        with pytest.raises(TellOperator, match=r"disk is full|disk fails"):
            while True:
                archive.record_event(recorded, "test", "info", "x" * 2000)
                recorded += 1
        assert recorded > 10
        assert [event.at_us for event in archive.events()] == list(range(recorded))
        archive.close()
        subprocess.run(["mount", "-o", "remount,size=2m", str(disk)], check=True)
        archive = Archive.open(disk / "archive.db")
        assert len(archive.events()) == recorded and archive.integrity() == []
        night = Night.parse("2026-12-14")
        archive.open_night(night, 1)
        assert archive.open_nights() == [night]
        archive.close()
    finally:
        subprocess.run(["umount", str(disk)], check=True)


def test_a_read_only_disk_is_named(tmp_path: Path) -> None:
    disk = tmp_path / "disk"
    disk.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "ro", "tmpfs", str(disk)]
    if os.geteuid() != 0 or subprocess.run(mount, capture_output=True, check=False).returncode != 0:
        pytest.skip("only root can mount a read-only disk")
    try:
        with pytest.raises(TellOperator, match="make its folder writable"):
            Archive.open(disk / "archive.db")
    finally:
        subprocess.run(["umount", str(disk)], check=True)


def test_every_other_error_is_ours() -> None:
    with pytest.raises(sqlite3.OperationalError) as caught:
        sqlite3.connect(":memory:").execute("SELECT nothing FROM nowhere")
    assert isinstance(in_words(Path("archive.db"), caught.value), Bug)


def test_use_after_close_is_ours(tmp_path: Path) -> None:
    archive = Archive.open(tmp_path / "archive.db")
    archive.close()
    archive.close()
    with pytest.raises(Bug, match="closed"):
        archive.frames()
