"""The focus curve, which outliers and galaxies cannot bend, and when a run is due."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from astrod.domain.focus import FocusMemory, RefocusRule, Sample, focus_curve

STEP = 50
MINUTE_US = 60_000_000


def curve(best: float, seeing: float = 2.5, slope: float = 1.2) -> list[tuple[int, float]]:
    return [(k * STEP, (seeing**2 + (slope * (k - best)) ** 2) ** 0.5) for k in range(-4, 5)]


@given(best=st.floats(-2.0, 2.0), which=st.integers(0, 8), factor=st.sampled_from([0.35, 0.5, 2.0, 4.0]))
def test_one_wild_point_does_not_move_the_focus(best: float, which: int, factor: float) -> None:
    points = curve(best)
    points[which] = (points[which][0], points[which][1] * factor)
    found = focus_curve(points)
    assert found is not None
    assert found.position == pytest.approx(best * STEP, abs=0.4 * STEP)


def test_noise_measured_as_stars_is_no_curve() -> None:
    assert focus_curve([(x, 1.0) for x in range(0, 350, 50)]) is None  # flat: a galaxy's knots, hot pixels
    assert focus_curve([(0, 3.0), (50, 0.9), (100, 3.1), (150, 0.9), (200, 2.9), (250, 0.8), (300, 3.0)]) is None


def test_a_fit_that_promises_stars_narrower_than_any_seen_is_not_believed() -> None:
    points = [(0, 6.0), (50, 5.0), (100, 3.9), (150, 2.5), (350, 2.4), (400, 4.0), (450, 5.1), (500, 6.1)]
    found = focus_curve(points)
    assert found is None or found.fwhm_px > 1.5  # the parabola alone says half a pixel


@pytest.mark.parametrize(
    ("sample", "credible"),
    [
        (Sample(2.5, 30), True),
        (Sample(0.5, 30), False),
        (Sample(2.5, 4), False),
        (Sample(None, 30), False),
        (Sample(float("nan"), 30), False),
        (Sample(90.0, 30), False),
    ],
)
def test_what_cannot_be_stars_is_not_believed(sample: Sample, credible: bool) -> None:
    assert sample.credible is credible


def test_a_run_is_due_at_the_start_by_time_by_temperature_and_by_filter() -> None:
    memory, rule = FocusMemory(), RefocusRule(every_min=120.0, temperature_c=2.0, each_filter=True)
    assert memory.due(rule, 0, 10.0, "L") is not None
    assert memory.due(RefocusRule(at_start=False), 0, 10.0, "L") is None
    memory.focused(0, 10.0, "L")
    assert memory.due(rule, 60 * MINUTE_US, 9.0, "L") is None
    assert memory.due(rule, 60 * MINUTE_US, None, "L") is None
    assert "120 minutes" in (memory.due(rule, 120 * MINUTE_US, 9.0, "L") or "")
    assert "-2.5" in (memory.due(rule, 60 * MINUTE_US, 7.5, "L") or "")
    assert "filter R" in (memory.due(rule, 60 * MINUTE_US, 9.0, "R") or "")
    never = RefocusRule(every_min=0.0, temperature_c=0.0, fwhm_percent=0.0)
    assert memory.due(never, 9000 * MINUTE_US, -20.0, "R") is None


def test_stars_that_grow_are_noticed_in_their_own_filter_and_one_bad_frame_is_not() -> None:
    memory, rule = FocusMemory(), RefocusRule(fwhm_percent=25.0)
    memory.focused(0, 10.0, "L")
    for width in (2.0, 2.1, 2.0, 2.9, 2.1, 2.0):
        memory.seen("L", width)
    for _ in range(6):
        memory.seen("B", 3.0)
    assert memory.due(rule, MINUTE_US, 10.0, "L") is None
    assert memory.due(rule, MINUTE_US, 10.0, "B") is None
    for width in (2.6, 2.7, 2.6):
        memory.seen("L", width)
    assert "grew by 30 %" in (memory.due(rule, MINUTE_US, 10.0, "L") or "")
    memory.focused(MINUTE_US, 10.0, "L")
    assert memory.due(rule, MINUTE_US, 10.0, "L") is None  # worse seeing costs one run, not one after each frame


@given(st.lists(st.tuples(st.integers(0, 50_000), st.floats(0.8, 60.0)), max_size=9, unique_by=lambda point: point[0]))
def test_any_points_have_a_curve_within_them_or_none(points: list[tuple[int, float]]) -> None:
    """None at all, too: a focuser that reads nonsense lets no position of the sweep be reached."""
    curve = focus_curve(points)
    if curve is not None:
        assert min(x for x, _ in curve.points) <= curve.position <= max(x for x, _ in curve.points)
        assert set(curve.points) <= set(points)
    assert focus_curve(points[:3]) is None


def test_a_clean_curve_whose_best_lies_between_two_wide_steps() -> None:
    """Measured on a tube so far out of focus that each step of the sweep was six pixels of FWHM."""
    widths = 20.6, 14.5, 8.3, 2.66, 4.26, 10.2, 16.4, 22.5
    curve = focus_curve([(24823 + 60 * step, width) for step, width in enumerate(widths)])
    assert curve is not None
    assert curve.position == pytest.approx(25024, abs=4)
    assert curve.fwhm_px < 2.66
    ragged = [width * (1.25 if step % 2 else 0.8) for step, width in enumerate(widths)]
    assert focus_curve([(24823 + 60 * step, width) for step, width in enumerate(ragged)]) is None


def test_points_close_to_one_curve_are_none_of_them_wild() -> None:
    """Stars smaller than two pixels look a little wider than the curve at the best place, and are no outliers."""
    narrow = [(-198, 5.08), (-138, 3.54), (-78, 2.13), (-18, 1.28), (42, 1.55), (102, 2.67), (162, 4.14), (222, 5.67)]
    found = focus_curve(narrow)
    assert found is not None
    assert found.position == pytest.approx(0.0, abs=10.0)
    assert len(found.points) == len(narrow)
