"""What the archive promises, promise by promise."""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from astrod.archive.archive import PLANS_KEPT_DAYS, Archive
from astrod.archive.rows import Hold
from astrod.domain.calibration import needed_by
from astrod.domain.exposure import FrameKind, Intent, Judgement, Measured, Taken
from astrod.domain.identity import ExposureId, Night
from astrod.domain.instant import DAY_US
from astrod.domain.minutes import Interval
from astrod.domain.offsets import FocusPoint
from astrod.domain.plan import Plan, Slot
from astrod.errors import Bug

NIGHT = Night.parse("2026-12-14")
KEEP = Judgement(91.5, "keep", "none", {"clouds": 0.02, "streak": 0.5}, "quality-1")
SEEN = Measured(120, 900.5, 12.0, 2.6, 1.08, 3)


@pytest.fixture
def archive(tmp_path: Path) -> Iterator[Archive]:
    archive = Archive.open(tmp_path / "archive.db")
    yield archive
    archive.close()


def begin(archive: Archive, *, retake_of: str | None = None) -> Intent:
    return archive.begin_exposure(
        "pujalt",
        NIGHT,
        kind="light",
        rig="main",
        train="newton",
        exposure_s=60,
        at_us=5,
        ra_deg=10.5,
        dec_deg=41.25,
        target="M 31",
        request="M 31/1",
        filter="L",
        binning=2,
        retake_of=retake_of,
    )


def taken_of(intent: Intent) -> Taken:
    return Taken(intent.id, f"frames/{intent.id}.fits", "ab", 2880, 7, 60.0)


def test_a_frame_comes_back_as_it_went_in(archive: Archive) -> None:
    intent = begin(archive)
    archive.record_taken(taken_of(intent), 8)
    archive.record_judged(intent.id, SEEN, KEEP, 9)
    row = archive.frame(intent.id)
    assert row is not None
    assert (row.intent, row.taken, row.measured, row.judgement) == (intent, taken_of(intent), SEEN, KEEP)
    assert (row.outcome, row.ended_us, row.judged_us, row.kept) == ("taken", 8, 9, True)
    assert archive.frames(NIGHT) == [row] and archive.frames(NIGHT.next) == []


def test_another_verdict_on_a_frame_is_our_fault(archive: Archive) -> None:
    intent = begin(archive)
    archive.record_taken(taken_of(intent), 8)
    archive.record_judged(intent.id, SEEN, KEEP, 9)
    with pytest.raises(Bug, match="another quality, decision, cause, issues"):
        archive.record_judged(intent.id, SEEN, Judgement(3.0, "reject", "clouds", {}, "quality-1"), 10)
    assert archive.kept_counts() == {"M 31/1": 1}


def test_steps_out_of_order_are_our_fault(archive: Archive) -> None:
    intent = begin(archive)
    with pytest.raises(Bug):
        archive.record_judged(intent.id, SEEN, KEEP, 9)
    with pytest.raises(Bug, match="unfinished"):
        archive.end_exposure(intent.id, "taken", "", 9)
    with pytest.raises(Bug, match="never begun"):
        archive.end_exposure(ExposureId("pujalt", NIGHT, 77), "failed", "", 9)
    archive.record_taken(taken_of(intent), 9)
    with pytest.raises(Bug, match="recorded as taken"):
        archive.end_exposure(intent.id, "failed", "", 9)
    with pytest.raises(Bug, match="quarantine"):
        archive.quarantined(intent.id, "quarantine/x", "black", 9)


def test_quarantine_ends_an_exposure(archive: Archive) -> None:
    intent = begin(archive)
    for _ in range(2):
        archive.quarantined(intent.id, "quarantine/x.fits", "black", 9)
    row = archive.frame(intent.id)
    assert row is not None
    assert (row.outcome, row.reason, row.quarantine_path) == ("failed", "black", "quarantine/x.fits")
    assert archive.unfinished() == []
    with pytest.raises(Bug, match="in quarantine"):
        archive.record_taken(taken_of(intent), 10)


def test_what_a_camera_gives_without_light_is_that_of_its_newest_dark_else_bias(archive: Archive) -> None:
    def unlit(kind: FrameKind, exposure_s: float, adu: float, binning: int = 2) -> None:
        intent = archive.begin_exposure(
            "pujalt", NIGHT, kind=kind, rig="main", train="newton", exposure_s=exposure_s, at_us=5, binning=binning
        )
        archive.record_taken(taken_of(intent), 8)
        archive.record_judged(intent.id, Measured(0, adu, 3.0, None, None), KEEP, 9)

    (_, light, _) = needed_by(begin(archive))
    assert archive.dark_level(light) == (None, None)
    unlit("bias", 0.0, 500.0)
    unlit("bias", 0.0, 700.0, binning=1)
    assert archive.dark_level(light) == (500.0, 3.0)
    unlit("dark", 60.5, 504.0)
    unlit("dark", 300.0, 530.0)
    unlit("bias", 0.0, 501.0)
    assert archive.dark_level(light) == (504.0, 3.0)


def test_focus_points_come_back_in_order_each_train_its_own(archive: Archive) -> None:
    points = [FocusPoint("L", 5000, 4.5, 10), FocusPoint("R", 5012, None, 20)]
    for point in points:
        archive.record_focus("main", "newton", point)
    archive.record_focus("main", "finder", points[0])
    assert archive.focus_points("main", "newton") == points
    assert archive.focus_points("other", "newton") == []


def test_values_that_are_not_numbers_count_as_not_measured(archive: Archive) -> None:
    intent = begin(archive)
    archive.record_taken(taken_of(intent), 8)
    for _ in range(2):
        archive.record_judged(intent.id, Measured(0, float("nan"), 1.0, None, float("inf")), KEEP, 9)
    row = archive.frame(intent.id)
    assert row is not None and row.measured == Measured(0, None, 1.0, None, None)


def test_together_is_all_or_nothing(archive: Archive) -> None:
    with pytest.raises(RuntimeError, match="power"), archive.together():
        lost = begin(archive)
        archive.set_hold("pause", True, "anna", 1)
        raise RuntimeError("power")
    assert archive.frame(lost.id) is None and archive.holds() == ()
    assert begin(archive).id == lost.id  # nobody ever heard of the first


def test_counters_go_on_after_rows_are_deleted(tmp_path: Path) -> None:
    import sqlite3

    archive = Archive.open(tmp_path / "archive.db")
    begin(archive)
    begin(archive)
    archive.close()
    hand = sqlite3.connect(tmp_path / "archive.db")
    hand.execute("DELETE FROM exposures")
    hand.commit()
    hand.close()
    archive = Archive.open(tmp_path / "archive.db")
    assert begin(archive).id.counter == 3
    archive.skip_counters(ExposureId("pujalt", NIGHT, 40))
    archive.skip_counters(ExposureId("pujalt", NIGHT, 20))
    assert begin(archive).id.counter == 41
    archive.close()


def test_retakes_are_counted_and_followed(archive: Archive) -> None:
    first = begin(archive)
    second = begin(archive, retake_of=str(first.id))
    third = begin(archive, retake_of=str(second.id))
    assert (archive.retakes("M 31/1"), archive.retakes("M 31/1", NIGHT.next)) == (2, 0)
    assert [archive.retake_depth(one.id) for one in (first, second, third)] == [0, 1, 2]
    with pytest.raises(Bug, match="FOREIGN KEY"):
        begin(archive, retake_of="pujalt-20261214-09999")


def test_the_last_frames_come_in_order(archive: Archive) -> None:
    for _ in range(5):
        begin(archive)
    assert [row.id.counter for row in archive.frames(limit=2)] == [4, 5]


def test_nights_intervals_events_plans_and_holds(archive: Archive) -> None:
    archive.open_night(NIGHT, 1)
    assert archive.open_nights() == [NIGHT] and archive.summary(NIGHT) is None
    windy, clear = Interval("main", 20, 30, "weather", "wind 14 m/s"), Interval("main", 10, 20, "observed", "M 31")
    archive.record_interval(NIGHT, windy)
    archive.record_interval(NIGHT, clear)
    assert archive.intervals(NIGHT) == [clear, windy]
    archive.close_night(NIGHT, {"frames": {"kept": 3}}, 40)
    assert archive.summary(NIGHT) == {"frames": {"kept": 3}} and archive.open_nights() == []
    with pytest.raises(Bug, match="never opened"):
        archive.close_night(NIGHT.next, {}, 40)

    for at_us in (3, 1, 2):
        archive.record_event(at_us, "roof", "warning", f"at {at_us}", {"at": at_us})
    assert [event.at_us for event in archive.events(since_us=2)] == [2, 3]
    assert [event.data for event in archive.events(limit=1)] == [{"at": 3}]

    archive.set_hold("pause", True, "anna", 5)
    archive.set_hold("close", True, "ben", 6)
    archive.set_hold("close", False, "anna", 7)
    assert archive.holds() == (Hold("pause", "anna", 5),)


def test_plans_come_back_and_old_ones_go(archive: Archive) -> None:
    slot = Slot("main", "M 31", "M 31/1", 10, 20, 3, 1.5, "high and dark")
    plans = [Plan(made_us, "cp-sat", (slot,), {"M 42/1": "below 25°"}) for made_us in (1, 2, 3)]
    assert archive.latest_plan() is None
    for plan in plans:
        archive.save_plan(plan)
    archive.upkeep(now_us=(PLANS_KEPT_DAYS + 1) * DAY_US)
    assert archive.latest_plan() == plans[-1]
    assert archive.integrity() == []


def test_integrity_names_contradictions(tmp_path: Path) -> None:
    import sqlite3

    archive = Archive.open(tmp_path / "archive.db")
    intent = begin(archive)
    archive.record_taken(taken_of(intent), 8)
    archive.close()
    hand = sqlite3.connect(tmp_path / "archive.db")
    hand.execute("DELETE FROM taken")
    hand.execute("DELETE FROM counters")
    hand.commit()
    hand.close()
    archive = Archive.open(tmp_path / "archive.db")
    faults = archive.integrity()
    assert len(faults) == 2 and any("no frame is recorded" in fault for fault in faults)
    archive.close()


def test_keeps_its_process_small() -> None:
    """No numpy, no pandas, and under 32 MB (measured: 25)."""
    code = (
        "import sys, astrod.archive.archive\n"
        "print([m for m in ('numpy', 'pandas', 'astropy') if m in sys.modules])\n"
        "with open('/proc/self/status') as status:\n"
        "    print(next(line for line in status if line.startswith('VmRSS')).split()[1])\n"
        "import numpy; print(numpy.zeros(1).size)"
    )
    environment = {"PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True)
    loaded, resident_kb, numpy_works = done.stdout.split("\n")[:3]
    assert (loaded, numpy_works) == ("[]", "1")
    assert int(resident_kb) < 32_000
