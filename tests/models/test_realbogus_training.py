"""What the real-or-bogus network learns from: candidates labelled by their making, alerts parted without leaks."""

from collections import Counter
from dataclasses import replace

import numpy as np
import pytest

from astrod_models.stamps import FEATURES, features_of, stamps_of
from training.realbogus_alerts import Alerts, as_they_are, examples, learnable, turned_asteroids, zoomed
from training.realbogus_examples import ALL_KINDS, prepared
from training.realbogus_pairs import KINDS, draw, peaks
from training.realbogus_sky import GRID, Psf, add

SIDE = 63


def star(flux: float, x: float, y: float, fwhm: float = 2.5) -> np.ndarray:
    image = np.zeros((GRID, GRID))
    add(image, Psf(fwhm, 3.0, 1.0, 0.0), x, y, flux)
    return image


def alerts(count: int = 6) -> Alerts:
    """Alerts of a star beside the candidate: real, fading, bogus, and again; 1° apart."""
    rng = np.random.default_rng(0)
    triplets = []
    for index in range(count):
        new = star(300.0, 31, 31)[:SIDE, :SIDE] * (1.0 if index % 3 < 2 else 0.0)
        old = star(3000.0, 48, 20)[:SIDE, :SIDE] + rng.normal(size=(SIDE, SIDE))
        science = old + rng.normal(size=(SIDE, SIDE)) + (new if index % 3 == 0 else 0.0)
        reference = old + (new if index % 3 == 1 else 0.0)
        difference = (science - reference) * (-1.0 if index % 3 == 1 else 1.0)
        triplets.append(np.stack([science, reference, difference], axis=2))
    place = np.arange(count)
    return Alerts(
        triplets=np.stack(triplets).astype(np.float32),
        label=np.array(["real", "real", "bogus"] * (count // 3)),
        asteroid=place % 3 == 0,
        positive=place % 3 != 1,
        magnitude=np.full(count, 18.0),
        signal=np.full(count, 20.0),
        fold=place // 3,
        ra_deg=place.astype(float),
        dec_deg=np.zeros(count),
        name=np.array([f"object {index}" for index in place]),
    )


def test_candidates_of_a_pair_are_labelled_by_their_making() -> None:
    drawn = [one for seed in range(8) for one in draw(np.random.default_rng([7, seed]), "seen")]
    kinds = Counter(one.kind for one in drawn)
    assert set(kinds) <= set(KINDS)
    assert all(one.real == (one.kind == "transient") for one in drawn)
    assert kinds["transient"] >= 10
    assert kinds["cosmic ray"] and kinds["reversed"] and kinds["turned"]
    assert all(one.triplet.shape == (SIDE, SIDE, 3) for one in drawn)


def test_a_transient_stands_in_the_middle_and_is_positive() -> None:
    drawn = [one for seed in range(8) for one in draw(np.random.default_rng([7, seed]), "seen") if one.real]
    measured = features_of(stamps_of(np.stack([one.triplet for one in drawn])))
    assert np.median(measured[:, FEATURES.index("off_centre")]) < 2.0
    assert (measured[:, FEATURES.index("peak")] > 0.0).mean() > 0.97


def test_the_same_seed_draws_the_same() -> None:
    one, again = (list(draw(np.random.default_rng([3, 1]), "unseen")) for _ in range(2))
    assert len(one) == len(again) > 0
    for a, b in zip(one, again, strict=True):
        np.testing.assert_array_equal(a.triplet, b.triplet)
        assert (a.kind, a.real) == (b.kind, b.real)


def test_families_kept_back_have_other_widths() -> None:
    from training.realbogus_sky import psf_of

    rng = np.random.default_rng(0)
    seen = np.array([psf_of(rng, "seen").fwhm for _ in range(300)])
    unseen = np.array([psf_of(rng, "unseen").fwhm for _ in range(300)])
    assert not ((seen > unseen.min()) & (seen < 4.4)).any()
    assert seen.max() < unseen.max()


def test_a_star_has_its_flux_and_its_place() -> None:
    for fwhm in (1.4, 3.0, 6.0):
        image = star(1000.0, 80.3, 70.8, fwhm)
        rows, columns = np.mgrid[:GRID, :GRID]
        assert image.sum() == pytest.approx(1000.0, rel=0.08)
        assert (image * columns).sum() / image.sum() == pytest.approx(80.3, abs=0.1)
        assert (image * rows).sum() / image.sum() == pytest.approx(70.8, abs=0.1)


def test_peaks_finds_what_is_there_and_little_else() -> None:
    image = star(200.0, 40, 50) + star(100.0, 100, 90) + np.random.default_rng(0).normal(size=(GRID, GRID))
    found = peaks(image, 2.5, 6.0)
    assert [(abs(x - u) <= 1, abs(y - v) <= 1) for (x, y, _), (u, v) in zip(found, [(40, 50), (100, 90)], strict=True)]


def test_nothing_of_the_same_object_place_or_night_is_learned_from() -> None:
    sky = alerts()
    test = sky.fold == 1
    assert learnable(sky, test).tolist() == [True, True, True, False, False, False]
    near = replace(sky, ra_deg=np.array([3.0 - 0.02, 1.0, 2.0, 3.0, 4.0, 5.0]))
    assert learnable(near, test)[0] == np.False_
    across = replace(sky, ra_deg=np.array([0.0, 1.0, 2.0, 359.98, 4.0, 5.0]))
    assert learnable(across, test)[0] == np.False_
    same = replace(sky, name=np.array(["object 4", "b", "c", "d", "object 4", "f"]))
    assert learnable(same, test)[0] == np.False_


def test_an_alert_is_real_only_where_it_brightened() -> None:
    sky = alerts()
    assert [one.real for _source, one in as_they_are(sky)] == [True, False, False] * 2
    reversed_ones = list(turned_asteroids(sky))
    assert len(reversed_ones) == 3 * sky.asteroid.sum()
    assert not any(one.real for _source, one in reversed_ones)


def test_lessons_of_alerts_carry_their_source_and_their_label() -> None:
    sky = alerts()
    lessons = prepared(examples(sky, 5))
    assert set(lessons.source.tolist()) <= set(range(6))
    bogus = lessons.kind == ALL_KINDS.index("alert bogus")
    assert bogus.any() and not lessons.real[bogus].any()
    alert = lessons.kind == ALL_KINDS.index("alert")
    assert lessons.real[alert].all()
    sign = lessons.features[:, FEATURES.index("sign")]
    assert np.median(sign[alert]) > 0.5  # a fading is learned from with its images exchanged


@pytest.mark.parametrize("factor", [0.6, 1.0, 1.7])
def test_zooming_keeps_the_candidate_in_the_middle(factor: float) -> None:
    triplet = np.repeat(star(500.0, 31, 31)[:SIDE, :SIDE, None], 3, axis=2).astype(np.float32)
    out = zoomed(triplet, factor)
    row, column = np.unravel_index(int(np.nanargmax(out[..., 0])), (SIDE, SIDE))
    assert max(abs(row - 31), abs(column - 31)) <= 1
    assert np.isnan(out[0, 0, 0]) == (factor < 1.0)
