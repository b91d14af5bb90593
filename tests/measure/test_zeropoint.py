"""Zero points: known where stars tell, unknown with a reason where they do not."""

import numpy as np
import pytest

from astrod.domain.photometry import Unknown, ZeroPoint, band_for, magnitude_of
from astrod.measure.zeropoint import Matches, zero_point


def matches(stars: int, scatter: float = 0.02, term: float = 0.0, outliers: int = 0, seed: int = 1) -> Matches:
    """Stars of a frame whose zero point is 24, at colour 1."""
    dice = np.random.default_rng(seed)
    magnitude, colour = dice.uniform(9.0, 14.0, stars), dice.uniform(0.2, 1.8, stars)
    flux = 10.0 ** (0.4 * (24.0 - magnitude + term * (colour - 1.0) + dice.normal(0.0, scatter, stars)))
    flux[:outliers] *= 0.3
    return Matches(flux, 0.003 * flux, magnitude, colour, np.ones(stars, dtype=bool))


@pytest.mark.parametrize("stars", [8, 30, 500])
def test_it_is_found_and_its_error_is_honest(stars: int) -> None:
    off = []
    for seed in range(40):
        found = zero_point(matches(stars, seed=seed), "V", "test")
        assert isinstance(found, ZeroPoint)
        off.append((found.magnitude - 24.0) / found.error_mag)
    assert 0.7 < float(np.sqrt(np.mean(np.square(off)))) < 1.7  # with eight stars the scatter itself is hardly known


def test_variable_stars_and_false_matches_do_not_move_it() -> None:
    found = zero_point(matches(60, outliers=10), "V", "test")
    assert isinstance(found, ZeroPoint)
    assert found.magnitude == pytest.approx(24.0, abs=0.01)
    assert found.stars <= 50


def test_a_colour_term_is_found_where_colours_span_enough() -> None:
    found = zero_point(matches(200, term=0.15), "G", "test", "BP-RP")
    assert isinstance(found, ZeroPoint)
    assert found.colour == "BP-RP"
    assert found.colour_term == pytest.approx(0.15, abs=0.02)
    assert found.magnitude + found.colour_term * (1.0 - found.colour_at) == pytest.approx(24.0, abs=0.01)
    plain = zero_point(matches(200), "G", "test", "BP-RP")
    assert isinstance(plain, ZeroPoint)
    assert plain.colour is None


@pytest.mark.parametrize(
    ("told", "says"),
    [
        (matches(7), "7 usable stars of test, 8 are needed"),
        (matches(0), "no star of test is in the field"),
        (matches(40, scatter=1.5), "scatter by"),
    ],
)
def test_it_is_unknown_with_a_reason(told: Matches, says: str) -> None:
    found = zero_point(told, "V", "test")
    assert isinstance(found, Unknown)
    assert says in found.reason


def test_saturated_stars_do_not_count() -> None:
    told = matches(20)
    told.usable[:15] = False
    found = zero_point(told, "V", "test")
    assert isinstance(found, Unknown)
    assert "15 saturated or not clean" in found.reason


@pytest.mark.parametrize(
    ("name", "bands", "green", "band"),
    [
        ("V", ("B", "V", "g"), False, "V"),
        ("G", ("G", "BP", "RP"), False, "G"),
        ("G", ("g", "r", "i", "z"), False, "g"),
        ("L", ("g", "r", "i", "z"), False, "r"),
        ("IRCUT", ("G", "BP", "RP"), True, "BP"),
        ("Ha", ("g", "r", "i", "z"), False, "r"),
        ("SDSS i'", ("g", "r", "i", "z"), False, "i"),
        (None, ("VT",), False, "VT"),
    ],
)
def test_the_band_is_the_nearest_to_the_filter(
    name: str | None, bands: tuple[str, ...], green: bool, band: str
) -> None:
    assert band_for(name, bands, green) == band


def test_no_flux_has_no_magnitude() -> None:
    assert np.isnan(magnitude_of(-3.0, ZeroPoint(24.0, 0.01, 0.02, 9, "V", "test")))
