"""Which way the stars went, and what brings them back."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from astrod.domain.guiding import (
    Calibration,
    DecSteering,
    GuideStar,
    RaSteering,
    Residual,
    Settling,
    Tuning,
    rms,
    shift_of,
)

FIELD = tuple(
    GuideStar(x, y, flux) for x, y, flux in [(40, 50, 9000), (120, 90, 6000), (200, 30, 4000), (90, 190, 2500)]
)
CALIBRATION = Calibration(west=(-0.6, -0.5), north=(-0.55, 0.66), dec_deg=0.0, pier_side="east")


def moved(dx: float, dy: float, dimmed: float = 1.0) -> tuple[GuideStar, ...]:
    return tuple(GuideStar(s.x + dx, s.y + dy, s.flux * dimmed) for s in FIELD)


@given(st.floats(-30, 30), st.floats(-30, 30))
def test_a_field_is_followed_anywhere(dx: float, dy: float) -> None:
    shift = shift_of(FIELD, moved(dx, dy))
    assert shift is not None and shift.stars == 4
    assert math.dist((shift.dx, shift.dy), (dx, dy)) < 1e-6


def test_strangers_and_missing_stars_do_not_mislead() -> None:
    stars = (*moved(3.0, -2.0)[:3], GuideStar(10.0, 200.0, 8000.0), GuideStar(150.0, 150.0, 3000.0))
    shift = shift_of(FIELD, stars, near=(0.0, 0.0))
    assert shift is not None and (shift.dx, shift.dy, shift.stars) == (pytest.approx(3.0), pytest.approx(-2.0), 3)


def test_a_hot_pixel_in_place_of_the_field_is_no_star() -> None:
    assert shift_of(FIELD, ()) is None
    assert shift_of(FIELD, (GuideStar(40.0, 50.0, 9000.0),)) is None, "one of four is not enough"
    assert shift_of(FIELD[:1], (GuideStar(41.0, 50.0, 90_000.0),)) is None, "ten times as bright is another star"


def test_thin_cloud_dims_all_and_loses_none() -> None:
    shift = shift_of(FIELD, moved(1.0, 1.0, dimmed=0.5), near=(0.0, 0.0))
    assert shift is not None and shift.stars == 4


@given(st.floats(-20, 20), st.floats(-20, 20))
def test_a_shift_split_along_the_axes_and_pulsed_back_is_no_shift(dx: float, dy: float) -> None:
    west_s, north_s = CALIBRATION.pulse_s(*CALIBRATION.axes_px(dx, dy))
    x = west_s * CALIBRATION.west[0] + north_s * CALIBRATION.north[0]
    y = west_s * CALIBRATION.west[1] + north_s * CALIBRATION.north[1]
    assert (x, y) == (pytest.approx(dx, abs=1e-9), pytest.approx(dy, abs=1e-9))


def test_right_ascension_slows_towards_the_pole() -> None:
    high = CALIBRATION.at(60.0)
    assert math.hypot(*high.west) == pytest.approx(0.5 * math.hypot(*CALIBRATION.west))
    assert high.north == CALIBRATION.north
    assert high.at(0.0).west == pytest.approx(CALIBRATION.west)


def test_a_calibration_that_cannot_be_is_refused() -> None:
    assert CALIBRATION.trouble() is None
    assert "did not move" in (Calibration((0.0, 0.0), (1.0, 0.0), 0.0, "east").trouble() or "")
    assert "axes stand at" in (Calibration((1.0, 0.0), (0.9, 0.3), 0.0, "east").trouble() or "")
    assert "no number" in (Calibration((math.nan, 0.0), (0.0, 1.0), 0.0, "east").trouble() or "")


def test_seeing_is_left_alone_and_the_rest_taken_back_in_part() -> None:
    tuning = Tuning(aggression=0.7, hysteresis=0.1, min_move_px=0.2)
    _, nothing = RaSteering(1.0).step(0.1, tuning)
    assert nothing == 0.0
    state, first = RaSteering().step(1.0, tuning)
    assert first == pytest.approx(0.63)
    _, second = state.step(1.0, tuning)
    assert second == pytest.approx(0.7 * (0.9 + 0.1 * 0.63))


@given(st.lists(st.floats(-5, 5), max_size=30))
def test_no_correction_is_larger_than_its_error_or_pushes_on(errors: list[float]) -> None:
    ra, dec, tuning = RaSteering(), DecSteering(), Tuning(hysteresis=0.0)
    for error in errors:
        ra, by_ra = ra.step(error, tuning)
        dec, by_dec = dec.step(error, tuning, "both")
        for correction in (by_ra, by_dec):
            assert correction == 0.0 or (correction * error > 0.0 and abs(correction) <= abs(error))


def test_declination_turns_round_for_a_trend_not_for_a_gust() -> None:
    tuning = Tuning(min_move_px=0.1)
    dec, pushed = DecSteering().step(1.0, tuning, "both")
    assert pushed > 0.0
    dec, gust = dec.step(-1.0, tuning, "both")
    assert gust == 0.0
    dec, back = dec.step(1.0, tuning, "both")
    assert back > 0.0
    answers = []
    for _ in range(3):
        dec, answer = dec.step(-1.0, tuning, "both")
        answers.append(answer)
    assert answers[:2] == [0.0, 0.0] and answers[2] < 0.0
    _, at_once = DecSteering(1).step(-4.0, tuning, "both")
    assert at_once < 0.0


@pytest.mark.parametrize(("mode", "north", "south"), [("both", 1, 1), ("north", 1, 0), ("south", 0, 1), ("off", 0, 0)])
def test_declination_goes_only_where_it_may(mode: str, north: int, south: int) -> None:
    tuning = Tuning()
    _, to_south = DecSteering().step(2.0, tuning, mode)  # type: ignore[arg-type]
    _, to_north = DecSteering().step(-2.0, tuning, mode)  # type: ignore[arg-type]
    assert (to_north < 0.0, to_south > 0.0) == (bool(north), bool(south))


def test_settled_is_within_for_long_enough() -> None:
    settling = Settling()
    for now_s, error_px in ((0.0, 0.5), (4.0, 0.9), (5.0, 3.0), (6.0, 0.5), (13.0, 0.5)):
        settling = settling.step(now_s, error_px, 1.0, 8.0)
        assert not settling.done
    assert settling.step(14.0, 0.5, 1.0, 8.0).done


def test_rms_by_axis() -> None:
    assert rms([]) is None
    assert rms([Residual(0.0, 3.0, 1.0), Residual(1.0, -4.0, -1.0)]) == (pytest.approx(math.sqrt(12.5)), 1.0)
