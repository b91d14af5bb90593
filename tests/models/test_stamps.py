"""Cut-outs in noise units: what must not matter does not, and whatever comes in, what goes out is finite."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from numpy.typing import NDArray

from astrod_models.stamps import CHANNELS, FEATURES, SIDE, features_of, stamps_of, view_of


def star(flux: float, fwhm: float = 3.0, x: float = 31.0, y: float = 31.0, side: int = SIDE) -> NDArray[np.float64]:
    rows, columns = np.mgrid[:side, :side]
    sigma = fwhm / 2.355
    light = np.exp(-0.5 * ((columns - x) ** 2 + (rows - y) ** 2) / sigma**2)
    return np.asarray(flux * light / light.sum())


def triplet(new: float = 300.0, old: float = 0.0, seed: int = 0) -> NDArray[np.float64]:
    """A candidate that is `new` brighter in science than `old` in the reference, noise 1, with two stars beside it."""
    rng = np.random.default_rng(seed)
    field = star(4000.0, x=12.0, y=18.0) + star(900.0, x=50.0, y=44.0)
    science = 100.0 + field + star(old + new) + rng.normal(size=(SIDE, SIDE))
    reference = 80.0 + field + star(old) + 0.4 * rng.normal(size=(SIDE, SIDE))
    return np.stack([science, reference, science - reference - 20.0], axis=2)


def named(values: NDArray[Any]) -> dict[str, float]:
    return dict(zip(FEATURES, features_of(stamps_of(values[None]))[0].tolist(), strict=True))


def test_a_new_star_measures_as_one() -> None:
    found = named(triplet())
    assert found["off_centre"] < 1.5
    assert found["sign"] == pytest.approx(1.0, abs=0.1)
    assert found["agreement"] > 0.95
    assert found["positive_near"] > 0.8
    assert found["width"] == pytest.approx(3.0 / 2.355, rel=0.2)


def test_the_sign_tells_a_fading_and_a_reversed_difference() -> None:
    science, reference, difference = np.moveaxis(triplet(new=300.0, old=100.0), 2, 0)
    fading = np.stack([reference, science, difference], axis=2)
    negated = np.stack([science, reference, -difference], axis=2)
    exchanged = np.stack([reference, science, -difference], axis=2)
    assert named(fading)["sign"] < -0.8
    assert named(negated)["sign"] < -0.8
    assert named(exchanged)["sign"] > 0.8
    assert named(exchanged)["peak"] < named(fading)["peak"]


@pytest.mark.parametrize("kind", ["float32", "float64", ">f8", ">f4"])
def test_units_sky_and_byte_order_do_not_matter(kind: str) -> None:
    plain = triplet()
    other = (plain * np.array([7.0, 7.0, 3.0]) + np.array([1000.0, 50.0, -4.0])).astype(kind)
    a, b = stamps_of(plain[None]), stamps_of(other[None])
    np.testing.assert_allclose(view_of(a), view_of(b), atol=0.01)
    unlike = ~np.isin(FEATURES, ["sign", "sign_unscaled", "noise_ratio"])
    np.testing.assert_allclose(features_of(a)[:, unlike], features_of(b)[:, unlike], atol=0.05)


def test_sixteen_bit_integers_are_judged_like_floats() -> None:
    plain = triplet() * 20.0 + 3000.0
    a, b = named(plain), named(plain.astype(np.uint16))
    assert a["signal"] == pytest.approx(b["signal"], abs=0.05)
    assert a["agreement"] == pytest.approx(b["agreement"], abs=0.02)


@pytest.mark.parametrize("places", [((-20, 4), (20, -4)), ((9, 12), (18, 24)), ((0, -13), (0, -26))])
def test_dots_in_a_row_are_noticed_and_other_stars_are_not(places: tuple[tuple[int, int], ...]) -> None:
    row, pair = triplet(), triplet()
    for dx, dy in places:
        row[..., 2] += star(300.0, x=31.0 + dx, y=31.0 + dy)
    assert named(row)["in_a_row"] > 0.75
    assert named(triplet())["in_a_row"] < 0.35
    pair[..., 2] += star(300.0, x=31.0 + places[0][0], y=31.0 + places[0][1])
    assert named(pair)["in_a_row"] < 0.35


def test_turning_the_cut_outs_changes_no_measurement() -> None:
    plain = triplet()
    for turn in range(4):
        other = np.rot90(plain, turn)
        np.testing.assert_allclose(features_of(stamps_of(plain[None])), features_of(stamps_of(other[None])), atol=0.02)


@pytest.mark.parametrize("filling", [np.nan, np.inf, 0.0, -5000.0])
def test_an_edge_without_values_is_told_from_sky(filling: float) -> None:
    values = triplet()
    values[:, 45:] = filling
    stamps = stamps_of(values[None])
    assert stamps.reasons == (None,)
    assert not stamps.valid[0, :, :, 46:].any()
    assert stamps.valid[0, :, :, :44].mean() > 0.99
    assert view_of(stamps)[0, CHANNELS.index("no value"), :, 50].all()
    assert stamps.noise[0, 0] == pytest.approx(1.0, rel=0.25)


def test_a_reference_of_another_flux_scale_is_brought_to_it() -> None:
    values = triplet()
    values[..., 1] *= 0.1
    assert named(values)["sign"] == pytest.approx(1.0, abs=0.25)


@pytest.mark.parametrize("side", [15, 16, 31, 62, 63, 64, 101])
def test_the_candidate_stays_in_the_middle_of_cut_outs_of_any_size(side: int) -> None:
    rng = np.random.default_rng(side)
    difference = star(500.0, x=side // 2, y=side // 2, side=side) + rng.normal(size=(side, side))
    values = np.stack([difference + 10.0, rng.normal(size=(side, side)), difference], axis=2)
    stamps = stamps_of(values[None])
    assert stamps.planes.shape == (1, 3, SIDE, SIDE)
    row, column = np.unravel_index(int(stamps.planes[0, 2].argmax()), (SIDE, SIDE))
    assert max(abs(row - SIDE // 2), abs(column - SIDE // 2)) <= 1


@pytest.mark.parametrize(
    ("spoil", "reason"),
    [
        (lambda values: values[..., 2].fill(0.0), "the difference is empty, constant or masked"),
        (lambda values: values[..., 2].fill(np.nan), "the difference is empty, constant or masked"),
        (lambda values: values[..., 0].fill(7.0), "the science cut-out is empty, constant or masked"),
        (lambda values: values[20:40, 20:40].fill(np.nan), "the difference has no values at its middle"),
    ],
)
def test_what_cannot_be_judged_says_why(spoil: Any, reason: str) -> None:
    values = triplet()
    spoil(values)
    assert stamps_of(values[None]).reasons == (reason,)


def test_a_masked_reference_is_judged_without_it() -> None:
    values = triplet()
    values[..., 1] = np.nan
    stamps = stamps_of(values[None])
    assert stamps.reasons == (None,)
    assert np.isfinite(features_of(stamps)).all()


@pytest.mark.parametrize(
    ("array", "said"),
    [
        (np.zeros((3, 63, 63)), "N×S×S×3"),
        (np.zeros((3, 14, 14, 3)), "too small"),
        (np.zeros((1, 63, 63, 3), dtype=complex), "real numbers"),
    ],
)
def test_arrays_that_are_no_triplets_are_refused(array: NDArray[Any], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        stamps_of(array)


VALUES = st.one_of(
    st.floats(width=32),
    st.floats(-10, 10, width=32),
    st.sampled_from([0.0, 65535.0, 3e38, -3e38, float("nan"), float("inf")]),
)


@given(
    values=arrays.arrays(np.float32, (2, 15, 15, 3), elements=VALUES, fill=VALUES),
    kind=st.sampled_from(["float16", "float32", "float64", ">f8"]),
    noisy=st.booleans(),
)
@settings(max_examples=60, deadline=None)
def test_whatever_comes_in_what_goes_out_is_finite(values: NDArray[Any], kind: str, noisy: bool) -> None:
    with np.errstate(over="ignore"):
        cast = values.astype(kind)
    if noisy:
        cast[0] += np.random.default_rng(0).normal(size=(15, 15, 3)).astype(kind)
    stamps = stamps_of(cast)
    assert len(stamps) == 2
    assert np.isfinite(view_of(stamps)).all()
    assert np.isfinite(features_of(stamps)).all()
