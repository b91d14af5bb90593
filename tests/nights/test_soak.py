"""A soak's nights: the same wherever they are played, and told with all it takes to repeat them."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from astrod.errors import Bug
from astrod.rehearsal.lots import Lot, draw
from astrod.rehearsal.soak import Order, Played, culprits, play_lot, soak, summed
from astrod_drivers.sim.faults import Fault

RAIN = Fault("rain", at="dusk+00:06:00", lasts_s=400.0)
SLOW = Fault("slow", "weather", at="dusk+00:03:00", lasts_s=30.0)


@pytest.mark.slow
def test_the_nights_are_the_same_with_one_job_and_with_two() -> None:
    """One job plays the second night after the first, two play each in a process of its own."""
    order = Order(seed=1, full_size_every=0, hours=0.08)
    one, two = (soak(range(1, 3), order, jobs) for jobs in (1, 2))
    cost = {"wall_s": 0.0, "cpu_s": 0.0}
    assert {**one, **cost} == {**two, **cost}
    assert one["invariants_broken"] == 0
    assert one["faults_injected"] > 0
    assert len(one["traces_sha256"]) == 64


def test_a_daemon_that_ends_breaks_its_night_and_the_culprit_is_found() -> None:
    def play(lot: Lot, folder: Path, spool: Path) -> dict[str, Any]:
        if RAIN not in lot.faults:
            return {"invariants_broken": []}
        try:
            raise ValueError(f"{folder}/roof is wet")
        except ValueError as wet:
            raise ExceptionGroup("tasks", [Bug("a task failed")]) from wet

    def play_on(lot: Lot, folder: Path, spool: Path) -> dict[str, Any]:
        try:
            return play(lot, folder, spool)
        except ExceptionGroup as group:
            raise Bug("the night failed") from group.__cause__

    lot = replace(draw(1, 0), faults=(SLOW, RAIN))
    assert play_lot(lot, play=play).broken == ("the daemon ended: Bug: a task failed",)
    played = play_lot(lot, play=play_on)
    assert played.broken == ("the daemon ended: ValueError: …/roof is wet",)
    assert "raise ValueError" in played.excerpt[-1]
    assert culprits(lot, played.broken, play_on) == (RAIN,)


def test_the_culprit_is_found_by_what_was_broken_whichever_frame_it_was() -> None:
    def play(lot: Lot, folder: Path, spool: Path) -> dict[str, Any]:
        broken = f"2026-12-14T20:00:00.000Z anywhere-20261214-0000{len(lot.faults)} was kept although …"
        return {"invariants_broken": [broken] if RAIN in lot.faults else []}

    lot = replace(draw(1, 0), faults=(SLOW, RAIN))
    assert culprits(lot, play_lot(lot, play=play).broken, play) == (RAIN,)


def _played(number: int, sort: str, usable_min: float, used_min: float, *broken: str) -> Played:
    return Played(number, "a night", sort, broken, usable_min, used_min, 7, (("hang", "slewing"),), "ab", 2.0)


def test_sums_up() -> None:
    nights = [
        _played(0, "clear", 100.0, 97.0),
        _played(1, "recoverable", 100.0, 80.0),
        _played(2, "lasting", 200.0, 0.0, "2026-12-14T20:00:00.000Z the roof moved"),
    ]
    told = summed(nights, Order(seed=1), 12.0)
    assert told["observed_share"] == {"clear": 0.97, "recoverable": 0.8, "all": 0.4425}
    assert (told["nights"], told["frames"], told["faults_injected"], told["invariants_broken"]) == (3, 21, 3, 1)
    assert told["by_phase"]["hang"]["slewing"] == 3
    assert told["cells_empty"] == sum(len(row) for row in told["by_phase"].values()) - 1
    assert [failure["night"] for failure in told["failures"]] == [2]
