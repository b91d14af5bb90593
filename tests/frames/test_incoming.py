"""Which files of another program have come to rest, and what was said of them before."""

import os
from pathlib import Path

import pytest

from astrod.errors import TellOperator
from astrod.frames.incoming import Arrival, Incoming
from astrod.frames.logbook import Logbook
from tests.ridealong.fitsfiles import save


def names(incoming: Incoming, now_s: float, since_ns: int = 0) -> list[str]:
    return [arrival.path.name for arrival in incoming.look(now_s, since_ns).arrivals]


def test_a_file_is_given_once_when_it_has_come_to_rest_and_again_when_it_changes(tmp_path: Path) -> None:
    incoming = Incoming(tmp_path, rest_s=2.0)
    path = save(tmp_path / "deep" / "a.fits", b"begun")
    assert names(incoming, 0.0) == []
    save(path, b"going on")
    assert names(incoming, 3.0) == []
    assert not incoming.look(4.9).resting
    assert names(incoming, 5.0) == ["a.fits"]
    assert names(incoming, 60.0) == []
    save(path, b"written anew")
    assert names(incoming, 61.0) == []
    assert names(incoming, 63.0) == ["a.fits"]


def test_a_rename_into_place_is_an_arrival(tmp_path: Path) -> None:
    incoming = Incoming(tmp_path, rest_s=2.0)
    draft = save(tmp_path / "a.fits.tmp", b"whole")
    assert incoming.look(0.0).resting
    draft.rename(tmp_path / "a.fits")
    assert names(incoming, 3.0) == []
    assert names(incoming, 5.0) == ["a.fits"]


def test_what_is_no_frame_is_left_alone_or_counted(tmp_path: Path) -> None:
    for name in ("a.txt", ".hidden.fits", "b.xisf", "c.XISF", "d.cr2", "e.fits.part"):
        save(tmp_path / name, b"something")
    (tmp_path / "dangling.fits").symlink_to(tmp_path / "nothing")
    (tmp_path / "loop").symlink_to(tmp_path)
    found = Incoming(tmp_path, rest_s=0.0).look(0.0)
    assert found.arrivals == ()
    assert found.unread == {".cr2": 1, ".xisf": 2}
    assert found.resting


def test_old_files_were_always_there_until_they_change(tmp_path: Path) -> None:
    incoming = Incoming(tmp_path, rest_s=1.0)
    path = save(tmp_path / "old.fits.gz", b"old")
    os.utime(path, ns=(10**18, 10**18))
    assert names(incoming, 0.0, since_ns=2 * 10**18) == []
    assert names(incoming, 5.0, since_ns=2 * 10**18) == []
    os.utime(save(tmp_path / "copied.fits", b"old"), ns=(10**18, 10**18))
    assert names(incoming, 5.5, since_ns=2 * 10**18) == []
    assert names(incoming, 7.0, since_ns=2 * 10**18) == ["copied.fits"], "new here, whatever its clock says"
    os.utime(path, ns=(3 * 10**18, 3 * 10**18))
    assert names(incoming, 8.0, since_ns=2 * 10**18) == []
    assert names(incoming, 10.0, since_ns=2 * 10**18) == ["old.fits.gz"]


def test_a_folder_that_is_gone_is_said_so(tmp_path: Path) -> None:
    with pytest.raises(TellOperator, match="is its disk there"):
        Incoming(tmp_path / "gone", rest_s=1.0).look(0.0)


ARRIVAL = Arrival(Path("/frames/a.fits"), (10, 20))


def test_the_logbook_outlives_its_reader_and_a_power_cut(tmp_path: Path) -> None:
    path = tmp_path / "cache" / "book.jsonl"
    Logbook(path, "one").say(ARRIVAL, {"file": "/frames/a.fits", "verdict": "keep"})
    with path.open("a") as file:
        file.write('{"by": "one", "file": "/frames/b.fits", "sta')
    known = Logbook(path, "one").known(ARRIVAL)
    assert known is not None
    assert known.found["verdict"] == "keep"
    assert Logbook(path, "one").known(Arrival(ARRIVAL.path, (11, 20))) is None
    assert Logbook(path, "another model").known(ARRIVAL) is None


def test_what_was_begun_and_not_ended_is_counted_over_restarts(tmp_path: Path) -> None:
    path = tmp_path / "book.jsonl"
    for times in range(1, 3):
        book = Logbook(path, "one")
        book.begin(ARRIVAL)
        assert book.attempts(ARRIVAL) == times
    Logbook(path, "one").put_off(ARRIVAL)
    assert Logbook(path, "one").attempts(ARRIVAL) == 0


def test_a_file_that_was_moved_is_known_and_one_that_was_copied_is_not(tmp_path: Path) -> None:
    book = Logbook(tmp_path / "book.jsonl", "one")
    there = Arrival(save(tmp_path / "a.fits", b"x"), (1, 2))
    book.say(there, {"file": str(there.path)})
    copy = Arrival(tmp_path / "sorted" / "a.fits", (1, 2))
    assert book.known(copy) is None
    there.path.unlink()
    known = book.known(copy)
    assert known is not None
    assert (known.found["file"], known.moved_from) == (str(copy.path), str(there.path))


def test_a_ride_goes_on_where_nothing_can_be_remembered(tmp_path: Path) -> None:
    (tmp_path / "cache").write_text("a file where the folder should be")
    book = Logbook(tmp_path / "cache" / "book.jsonl", "one")
    book.say(ARRIVAL, {"file": "/frames/a.fits"})
    assert book.known(ARRIVAL) is not None
