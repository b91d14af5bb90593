"""What the dice of a soak draw: the same for the same seed, everything in its turn, a configuration that holds."""

from collections import Counter
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from astrod.config.load import load
from astrod.daemon import resolve_name
from astrod.domain.darkness import dark_time
from astrod.domain.instant import HOUR_US
from astrod.domain.site import Darkness
from astrod.rehearsal.lots import _IN_TURN, FULL_PX, SMALL_PX, _card, _cells, cells, draw, kinds, write
from astrod.rehearsal.simulator import setup_of
from astrod_drivers.sim.faults import CATALOGUE, check

SEEDS = st.integers(0, 2**32 - 1)
NUMBERS = st.integers(0, 100_000)


@given(SEEDS, NUMBERS)
def test_a_lot_depends_on_its_seed_and_number_alone(seed: int, number: int) -> None:
    assert draw(seed, number) == draw(seed, number)


def test_lots_of_one_seed_differ() -> None:
    assert len({repr(draw(1, number)) for number in range(200)}) == 200


def test_every_kind_comes_in_every_phase_before_any_comes_again() -> None:
    dealt = [_card(7, number) for number in range(2 * len(cells()))]
    assert set(dealt[: len(cells())]) == set(dealt[len(cells()) :]) == set(cells())
    assert dealt[: len(cells())] != dealt[len(cells()) :]
    nights = [{(fault.kind, str(fault.when)) for fault in draw(7, number).faults} for number in range(12)]
    assert set.union(*nights) == set(dealt[: sum(map(len, nights))])


def test_a_thousand_nights_deal_each_cell_at_least_three_times() -> None:
    dealt = Counter(cell for number in range(1000) for cell in _cells(1, number))
    assert min(dealt[cell] for cell in cells()) >= 3


def test_nights_in_which_something_goes_wrong_are_dark_for_long_enough() -> None:
    for number in range(60):
        lot = draw(1, number)
        dark = dark_time(lot.place, Darkness(), lot.night)
        assert not lot.faults or dark.dawn_us - dark.dusk_us >= 0.8 * HOUR_US


def test_faults_come_in_the_order_of_the_night_and_only_the_last_is_for_good() -> None:
    lots = [draw(2, number) for number in range(200)]
    for lot in lots:
        phases = [_IN_TURN.index(fault.when) for fault in lot.faults if fault.when]
        assert phases == sorted(phases)
        assert all(fault.ends != "never" for fault in lot.faults[:-1])
        assert not lot.faults or lot.faults[-1].ends != "never" or phases.count(phases[-1]) == 1
    assert sum(not lot.recoverable for lot in lots) > 3


def test_a_roof_waits_where_something_is_to_go_wrong_while_the_mount_parks() -> None:
    shapes = [lot.shape for lot in (draw(2, n) for n in range(200)) if any(f.when == "parking" for f in lot.faults)]
    assert shapes
    assert not any(shape.clears for shape in shapes)


def test_a_third_of_the_nights_is_without_faults_and_all_are_when_none_are_wanted() -> None:
    assert [bool(draw(3, number).faults) for number in range(6)] == [False, True, True, False, True, True]
    assert not any(draw(3, number, faults=False).faults for number in range(30))


def test_one_night_in_fifty_is_full_size() -> None:
    assert [number for number in range(120) if not draw(1, number).small] == [49, 99]
    assert all(draw(1, number, full_size_every=0).small for number in range(120))


@pytest.mark.parametrize("number", range(0, 30, 3))
def test_a_lot_is_an_observatory_that_has_what_its_faults_need(number: int, tmp_path: Path) -> None:
    lot = draw(11, number + 1)
    write(lot, tmp_path, tmp_path)
    loaded = load(tmp_path, resolve_name)
    check(lot.faults, setup_of(loaded).names())  # raises for a device that is not there
    assert loaded.settings.simulator.width_px == (SMALL_PX if lot.small else FULL_PX)[0]
    assert (loaded.site.roof is not None) == lot.shape.roof
    assert len(loaded.site.rigs) == lot.shape.rigs


def test_both_hemispheres_high_latitudes_and_all_shapes_come() -> None:
    lots = [draw(5, number) for number in range(300)]
    latitudes = [lot.place.latitude_deg for lot in lots]
    assert min(latitudes) < -55 < 55 < max(latitudes)
    assert {lot.shape.kind for lot in lots} == {"equatorial", "altaz"}
    assert {lot.shape.rigs for lot in lots} == {1, 2}
    assert {lot.weather for lot in lots} == {"clear", "mixed", "cloudy"}
    for part in ("roof", "cooler", "wheel", "focuser"):
        assert {getattr(lot.shape, part) for lot in lots} == {True, False}


def test_faults_of_the_host_are_drawn_in_their_sizes() -> None:
    host = [fault for n in range(150) for fault in draw(1, n).faults if fault.entry.where == "host"]
    assert {fault.kind for fault in host} == {kind for kind in kinds() if CATALOGUE[kind].where == "host"}
    away_s = [fault.size for fault in host if fault.kind in ("daemon_crash", "power_cut")]
    assert 2.0 <= min(away_s) < 30.0 < 300.0 < max(away_s) <= 600.0
    steps_s = [fault.size for fault in host if fault.kind == "clock_step"]
    assert min(steps_s) < 0.0 < max(steps_s)
    assert all(0.5 <= abs(step_s) <= 40.0 for step_s in steps_s)
