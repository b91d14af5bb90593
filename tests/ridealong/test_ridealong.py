"""Riding along beside a program that writes frames as such programs do: slowly, by renaming, cut short, odd."""

import asyncio
import json
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import psutil
import pytest

from astrod import ridealong
from astrod.domain.instant import parse_iso
from astrod.domain.ride import Place
from astrod.frames.logbook import Logbook
from astrod.ridealong import FOLDER_LANE, Ride, dark_place, place_of, started_us_of, would
from astrod.runtime.clock import SimClock, VirtualLoop, WallClock, run_virtual
from astrod.runtime.offload import VirtualOffload, WallOffload
from tests.ridealong.fitsfiles import CLEAR, fits_bytes, light, save

ROOT = Path(__file__).parents[2]
DATA = ROOT.parent / "shared" / "data" / "frames"
SHARP = light()
BLURRED = light(replace(CLEAR, defocus_um=220.0), at="2026-12-14T22:02:00")


class Told:
    """A listener that remembers."""

    def __init__(self) -> None:
        self.frames: list[dict[str, Any]] = []
        self.nights: list[dict[str, Any]] = []
        self.troubles: list[str] = []

    def frame(self, found: dict[str, Any]) -> None:
        self.frames.append(found)

    def night(self, told: dict[str, Any]) -> None:
        self.nights.append(told)

    def trouble(self, text: str) -> None:
        self.troubles.append(text)

    def by_name(self) -> dict[str, dict[str, Any]]:
        return {Path(found["file"]).name: found for found in self.frames}


def once(folder: Path, book: Path) -> tuple[Told, Ride]:
    """One pass over a folder on the simulated clock."""

    async def ride(loop: VirtualLoop) -> tuple[Told, Ride]:
        told, clock = Told(), SimClock(loop, parse_iso("2026-12-15T06:00:00"))
        riding = Ride(folder, Logbook(book, "tests"), told, clock, VirtualOffload(clock, seed=1))
        await riding.once()
        return told, riding

    return run_virtual(ride)  # type: ignore[no-any-return]


def test_each_file_is_judged_or_named_and_the_night_is_told(tmp_path: Path) -> None:
    folder = tmp_path / "night"
    save(folder / "a.fits", SHARP)
    save(folder / "b.fits", BLURRED)
    save(folder / "dark.fits", fits_bytes(CLEAR_DARK, IMAGETYP="Dark Frame"))
    save(folder / "half.fits", SHARP[:100_000])
    save(folder / "odd.fits", b"no fits at all")
    save(folder / "cube.fits", fits_bytes([CLEAR_DARK] * 3))
    save(folder / "c.xisf", b"XISF0100")
    told, riding = once(folder, tmp_path / "book.jsonl")
    found = told.by_name()
    assert list(found) == ["a.fits", "b.fits", "cube.fits", "dark.fits", "odd.fits", "half.fits"]
    assert found["a.fits"]["would"] == {"decision": "keep", "then": "none", "text": "keep; go on"}
    assert found["b.fits"]["would"]["then"] == "refocus_and_retake"
    assert found["dark.fits"]["sort"] == "calibration"
    assert "verdict" not in found["dark.fits"]
    for name in ("cube.fits", "half.fits", "odd.fits"):
        assert name in found[name]["error"]
    assert riding.failed
    night = next(one for one in told.nights if one["frames"]["judged"])
    assert night["frames"]["kept"] == 1
    assert night["rejected_by_cause"] == {"defocus": 1}
    assert night["unread"] == {".xisf": 1}


CLEAR_DARK = [[(7 * x + 13 * y) % 40 + 100 for x in range(64)] for y in range(48)]


def test_nothing_is_written_beside_the_frames_and_a_restart_says_it_again_without_judging(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "night"
    save(folder / "a.fits", SHARP)
    before = sorted(folder.rglob("*"))
    first, _ = once(folder, tmp_path / "book.jsonl")
    assert sorted(folder.rglob("*")) == before
    monkeypatch.setattr(ridealong, "judge_file", None)  # to judge again would fail
    again, _ = once(folder, tmp_path / "book.jsonl")
    assert again.frames == first.frames
    assert again.nights == first.nights


def die(path: Path) -> dict[str, Any]:
    """A frame that takes its worker with it."""
    if path.name.startswith("killer"):
        os.kill(os.getpid(), signal.SIGKILL)
    return {"file": str(path), "sort": "calibration"}


@asynccontextmanager
async def riding(folder: Path, book: Path) -> AsyncIterator[tuple[Told, Ride]]:
    """A ride in real time."""
    told, offload, stop = Told(), WallOffload(threads=(FOLDER_LANE,)), asyncio.Event()
    ride = Ride(folder, Logbook(book, "tests"), told, WallClock(), offload)
    task = asyncio.create_task(ride.go(stop))
    try:
        yield told, ride
    finally:
        stop.set()
        await task
        offload.close()


async def until(true: Callable[[], object]) -> None:
    async with asyncio.timeout(30):
        while not true():  # noqa: ASYNC110  nothing tells of it but what is looked at
            await asyncio.sleep(0.05)


async def test_a_frame_that_kills_its_worker_is_named_and_the_others_go_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ridealong, "judge_file", die)
    monkeypatch.setattr(ridealong, "REST_S", 0.2)
    save(tmp_path / "night" / "killer.fits", b"x")
    save(tmp_path / "night" / "later.fits", b"x")
    async with riding(tmp_path / "night", tmp_path / "book.jsonl") as (told, _):
        await until(lambda: len(told.frames) == 2)
    assert "ended its worker 2 times" in told.by_name()["killer.fits"]["error"]
    assert "error" not in told.by_name()["later.fits"]


async def test_frames_written_in_halves_renamed_and_moved_are_judged_once_each(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ridealong, "REST_S", 0.3)
    monkeypatch.setattr(ridealong, "LOOK_EVERY_S", 0.1)
    folder = tmp_path / "night"
    folder.mkdir()
    async with riding(folder, tmp_path / "book.jsonl") as (told, _):
        save(folder / "slow.fits", SHARP[:50_000])
        save(folder / "draft.tmp", BLURRED).rename(folder / "renamed.fits")
        await until(lambda: told.frames)
        assert list(told.by_name()) == ["renamed.fits"], "half a file is waited for"
        with (folder / "slow.fits").open("ab") as file:
            file.write(SHARP[50_000:])
        await until(lambda: len(told.frames) == 2)
        (folder / "rejected").mkdir()
        (folder / "renamed.fits").rename(folder / "rejected" / "renamed.fits")
        await asyncio.sleep(1.0)
    assert [Path(found["file"]).name for found in told.frames] == ["renamed.fits", "slow.fits"]
    assert told.nights[-1]["frames"]["judged"] == 2
    assert not told.troubles


def test_the_night_is_told_at_dawn_by_the_site_in_the_headers(tmp_path: Path) -> None:
    folder = tmp_path / "night"
    save(folder / "a.fits", light(at="2026-12-15T05:30:00", SITELAT="41 43 00", SITELONG="1 26 00"))

    async def ride(loop: VirtualLoop) -> list[tuple[str, int]]:
        clock = SimClock(loop, parse_iso("2026-12-15T05:31:30"))
        told, stop = Told(), asyncio.Event()
        riding = Ride(folder, Logbook(tmp_path / "book.jsonl", "tests"), told, clock, VirtualOffload(clock, seed=1))
        task = asyncio.create_task(riding.go(stop))
        await clock.sleep(1200.0)
        counts = [("before dawn", len(told.nights))]
        await clock.sleep(3600.0)
        counts.append(("after", len(told.nights)))
        stop.set()
        await task
        return [*counts, ("at the end", len(told.nights))]

    os.utime(folder / "a.fits", ns=(parse_iso("2026-12-15T05:31:05") * 1000,) * 2)
    assert run_virtual(ride) == [("before dawn", 0), ("after", 1), ("at the end", 1)]


async def test_a_folder_that_goes_away_is_said_once_and_waited_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ridealong, "LOOK_EVERY_S", 0.05)
    monkeypatch.setattr(ridealong, "REST_S", 0.1)
    monkeypatch.setattr(ridealong, "judge_file", die)
    folder = tmp_path / "share"
    async with riding(folder, tmp_path / "book.jsonl") as (told, _):
        await until(lambda: told.troubles)
        await asyncio.sleep(0.3)
        assert len(told.troubles) == 1
        save(folder / "a.fits", b"x")
        await until(lambda: told.frames)


def run(*args: str, cache: Path) -> subprocess.CompletedProcess[str]:
    path = os.pathsep.join(str(ROOT / part) for part in ("daemon", "drivers", "models"))
    return subprocess.run(
        [sys.executable, "-m", "astrod.cli.main", "ride-along", *args],
        env={**os.environ, "PYTHONPATH": path, "XDG_CACHE_HOME": str(cache)},
        capture_output=True,
        text=True,
        timeout=60,
    )


def test_the_verb_prints_an_object_for_each_file_and_writes_the_report(tmp_path: Path) -> None:
    folder = tmp_path / "night"
    save(folder / "a.fits", SHARP)
    save(folder / "b.fits", SHARP[:9000])
    save(Path(os.fsdecode(os.fsencode(folder) + b"/\xff.fits")), b"no frame")
    report = tmp_path / "morning.txt"
    ran = run(str(folder), "--once", "--json", "--report", str(report), cache=tmp_path)
    lines = [json.loads(line) for line in ran.stdout.splitlines()]
    assert ran.returncode == 1
    assert "b.fits: cut short" in ran.stderr
    names = [Path(one["file"]).name for one in lines if "file" in one]
    assert names == ["a.fits", os.fsdecode(b"\xff.fits"), "b.fits"]
    assert "Night of 2026-12-14" in report.read_text()
    assert json.loads(report.with_suffix(".json").read_text())["nights"] == [
        one["summary"] for one in lines if "summary" in one
    ]
    assert run(str(tmp_path / "none"), cache=tmp_path).returncode == 1


def test_the_verb_ends_on_ctrl_c_with_the_summary_and_leaves_no_worker(tmp_path: Path) -> None:
    folder = tmp_path / "night"
    save(folder / "a.fits", SHARP)
    path = os.pathsep.join(str(ROOT / part) for part in ("daemon", "drivers", "models"))
    ride = subprocess.Popen(
        [sys.executable, "-m", "astrod.cli.main", "ride-along", str(folder)],
        env={**os.environ, "PYTHONPATH": path, "XDG_CACHE_HOME": str(tmp_path)},
        stdout=subprocess.PIPE,
        text=True,
    )
    assert ride.stdout is not None
    assert "riding along" in ride.stdout.readline()
    assert "a.fits" in ride.stdout.readline()
    children = psutil.Process(ride.pid).children(recursive=True)
    ride.send_signal(signal.SIGINT)
    told, _ = ride.communicate(timeout=30)
    assert ride.returncode == 0
    assert "1 judged, 1 kept" in told
    assert not psutil.wait_procs(children, timeout=5)[1]


@pytest.mark.data
@pytest.mark.skipif(not DATA.is_dir(), reason=f"no real frames at {DATA}")
def test_a_night_of_a_real_camera_is_kept_and_told(tmp_path: Path) -> None:
    folder = tmp_path / "night"
    folder.mkdir()
    for path in sorted((DATA / "hatp32").glob("*.gz"))[:6]:
        save(folder / path.name, path.read_bytes())
    told, riding = once(folder, tmp_path / "book.jsonl")
    assert not riding.failed
    assert [night["frames"]["judged"] for night in told.nights] == [6], "one night, though its longitude is to the west"
    assert told.nights[0]["frames"]["kept"] == 6
    assert told.nights[0]["fields"][0]["target"] == "HATP-32"


@pytest.mark.parametrize(
    ("facts", "place"),
    [
        ({"SITELAT": "28 45 37", "SITELONG": "-17 52 45"}, (28.7603, -17.8792)),
        ({"SITELAT": 32.9, "SITELONG": 280.2}, (32.9, -79.8)),
        ({"LAT-OBS": "-31:16:24", "LONG-OBS": "+149:03:52"}, (-31.2733, 149.0644)),
        ({"SITELAT": 0.0, "SITELONG": 0.0}, None),
        ({"SITELAT": "north", "SITELONG": 3.0}, None),
        ({"SITELAT": 41.7}, None),
        ({"SITELAT": 141.7, "SITELONG": 3.0}, None),
    ],
)
def test_places_are_read_as_programs_write_them(facts: dict[str, Any], place: tuple[float, float] | None) -> None:
    found = place_of(facts)
    assert (found is None) == (place is None)
    if found is not None and place is not None:
        assert (found.latitude_deg, found.longitude_deg) == pytest.approx(place, abs=1e-3)


def test_a_place_in_daylight_is_mirrored_or_not_believed() -> None:
    night_us = parse_iso("2017-12-20T04:18:00")
    assert dark_place(Place(31.68, 110.88), night_us) == Place(31.68, -110.88)
    assert dark_place(Place(31.68, -110.88), night_us) == Place(31.68, -110.88)
    assert dark_place(Place(31.68, 0.5), parse_iso("2017-12-20T12:00:00")) is None


@pytest.mark.parametrize(
    ("facts", "instant"),
    [
        ({"DATE-OBS": "2026-12-14T22:00:00.5"}, "2026-12-14T22:00:00.500"),
        ({"DATE-OBS": "2017-12-19T21:18:12-0700"}, "2017-12-20T04:18:12"),
        ({"DATE-OBS": "2016-09-09", "TIME-OBS": "08:14:34"}, "2016-09-09T08:14:34"),
        ({"DATE-OBS": "2016-09-09"}, None),
        ({"DATE-OBS": "09/09/98"}, None),
        ({}, None),
    ],
)
def test_instants_are_read_as_programs_write_them(facts: dict[str, Any], instant: str | None) -> None:
    assert started_us_of(facts) == (parse_iso(instant) if instant else None)


def test_what_astrod_would_do_follows_the_table() -> None:
    assert would({"verdict": "reject", "cause": "clouds"})["then"] == "pause_for_cloud"
    assert would({"verdict": "reject", "cause": "unknown"})["text"] == "reject; take it again once"
    assert would({"verdict": "keep", "cause": "streak"})["then"] == "none"
