"""A soak's nights, played for real: the same wherever they are played, and told with all it takes to repeat them."""

from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from multiprocessing import get_context

import pytest

from astrod.rehearsal.lots import Lot, Shape, draw
from astrod.rehearsal.soak import Order, Played, culprits, play_lot, summed
from astrod.rehearsal.targets import Wish
from astrod_drivers.sim.faults import Fault

RAIN = Fault("rain", at="dusk+00:06:00", lasts_s=400.0)
SLOW = Fault("slow", "weather", at="dusk+00:03:00", lasts_s=30.0)


def short(*faults: Fault) -> Lot:
    """A quarter of an hour in the winter of Catalonia."""
    return replace(
        draw(1, 0),
        name="pujalt",
        place=replace(draw(1, 0).place, latitude_deg=41.72, longitude_deg=1.42),
        weather="clear",
        shape=Shape(cooler=False, wheel=False, focuser=False),
        wishes=(Wish(None, 60.0, 20),),
        hours=0.25,
        faults=faults,
    )


def _without_cost(played: Played) -> Played:
    return replace(played, cpu_s=0.0)


@pytest.mark.slow
def test_a_night_is_the_same_in_any_job_and_after_any_other() -> None:
    lot = short(SLOW, RAIN)
    here = play_lot(lot)
    play_lot(short())
    again = play_lot(lot)
    with ProcessPoolExecutor(1, get_context("spawn")) as pool:
        there = pool.submit(play_lot, lot).result()
    assert _without_cost(here) == _without_cost(again) == _without_cost(there)
    assert here.broken == ()
    assert [kind for kind, _ in here.fired] == ["slow", "rain"]
    assert here.frames > 2
    assert 0.0 < here.used_min <= here.usable_min


def test_a_daemon_that_ends_breaks_its_night_and_the_culprit_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    def play(*args: object, **named: object) -> object:
        faults = args[4]
        assert isinstance(faults, tuple)
        if RAIN in faults:
            raise ExceptionGroup("tasks", [ValueError("the roof is wet")])
        return {"invariants_broken": []}

    monkeypatch.setattr("astrod.rehearsal.soak.play_configured", play)
    lot = short(SLOW, RAIN)
    played = play_lot(lot)
    assert played.broken == ("the daemon ended: ValueError: the roof is wet",)
    assert culprits(lot, played.broken) == (RAIN,)


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
