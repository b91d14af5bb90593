"""When a candidate may be promoted, what is drift, and who is right."""

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from astrod.domain.exposure import Judgement, Thumb
from astrod.domain.identity import ExposureId
from astrod.learning.drift import FRAMES, LEVELS, Shown, drifts, psi, reference_of
from astrod.learning.evaluation import Share, Tried, auc, evaluated
from astrod.learning.promotion import Compared, Rule, standing
from astrod.learning.thumbs import Labelled, training_set

RULE = Rule(frames=20, thumbs=2, kept_percent=95.0)
ALIKE = [Compared("keep", "keep")] * 18 + [
    Compared("keep", "keep", thumb=True),
    Compared("reject", "reject", thumb=False),
]


def test_a_candidate_that_does_as_well_passes() -> None:
    found = standing(RULE, ALIKE)
    assert found.passes
    assert (found.frames, found.alike, found.thumbs, found.good, found.good_kept) == (20, 20, 2, 19, 19)


@pytest.mark.parametrize(
    ("pairs", "lack"),
    [
        (ALIKE[1:], "19 of 20 frames"),
        ([*ALIKE[:19], Compared("reject", "reject")], "1 of 2 of them have a thumb"),
        ([*ALIKE[:19], Compared("reject", "keep", thumb=False)], "agrees with 1 of 2 thumbs"),
        ([Compared("keep", "reject"), *ALIKE], "keeps 19 of 20"),
    ],
)
def test_what_a_candidate_lacks_is_said(pairs: list[Compared], lack: str) -> None:
    found = standing(Rule(20, 2, 97.0), pairs)
    assert not found.passes
    assert lack in "; ".join(found.lacks)


def test_a_frame_that_was_rejected_and_thumbed_up_is_good_and_one_kept_and_thumbed_down_is_not() -> None:
    found = standing(RULE, [Compared("reject", "keep", thumb=True), Compared("keep", "reject", thumb=False)])
    assert (found.good, found.good_kept, found.now_right, found.shadow_right) == (1, 1, 0, 2)


DECISIONS = st.sampled_from(["keep", "reject"])
PAIRS = st.lists(st.builds(Compared, DECISIONS, DECISIONS, st.sampled_from([None, True, False])), max_size=60)


@given(PAIRS)
def test_no_candidate_passes_that_is_worse_or_unknown(pairs: list[Compared]) -> None:
    found = standing(RULE, pairs)
    if found.passes:
        assert len(pairs) >= RULE.frames
        assert found.shadow_right >= found.now_right
        assert found.good_kept >= 0.95 * found.good
    assert found.alike <= found.frames
    assert found.good_kept <= found.good


def normal_quantiles(middle: float, spread: float) -> list[float]:
    from statistics import NormalDist

    return [NormalDist(middle, spread).inv_cdf(level) for level in LEVELS]


CARD = {
    "reference": {
        "samples": 1000,
        "levels": list(LEVELS),
        "features": {"log_fwhm": normal_quantiles(1.5, 0.4), "log_size": [1.0] * len(LEVELS)},
        "scores": {"usable": [0.5, 0.6, 0.8, 0.85, 0.9, 0.95, 0.97, 0.98, 0.99, 0.995, 0.999]},
    }
}
REFERENCE = reference_of(CARD)


def shown(count: int, middle: float, spread: float, score: float = 95.0, seed: int = 1) -> list[Shown]:
    rng = random.Random(seed)
    return [
        Shown({"log_fwhm": rng.gauss(middle, spread), "log_size": 1.0}, True, min(100.0, rng.gauss(score, 3.0)))
        for _ in range(count)
    ]


def test_frames_like_those_of_the_card_are_no_drift_and_a_narrow_site_is_none_either() -> None:
    assert REFERENCE is not None
    for frames in (shown(400, 1.5, 0.4), shown(400, 1.9, 0.05)):
        assert not [drift for drift in drifts(REFERENCE, frames) if drift.is_drift]


def test_frames_outside_the_card_are_drift_and_so_is_a_model_that_became_unsure() -> None:
    assert REFERENCE is not None
    wide = drifts(REFERENCE, shown(400, 2.9, 0.2))
    assert [drift.name for drift in wide if drift.is_drift] == ["log_fwhm"]
    assert "log_fwhm" in str(wide[0])
    unsure = drifts(REFERENCE, shown(400, 1.5, 0.4, score=70.0))
    assert [drift.name for drift in unsure if drift.is_drift] == ["score of kept frames"]


def test_of_few_frames_nothing_is_said() -> None:
    assert REFERENCE is not None
    assert drifts(REFERENCE, shown(FRAMES - 1, 9.0, 0.1)) == []


@pytest.mark.parametrize(
    "facts", [{}, {"reference": 3}, {"reference": {"levels": [0.5]}}, {"reference": {"levels": list(LEVELS)}}]
)
def test_a_card_without_a_sound_reference_has_none(facts: dict[str, object]) -> None:
    assert reference_of(facts) is None


@given(st.lists(st.floats(-5, 5), min_size=1, max_size=300))
def test_the_index_is_never_negative_and_never_fails(values: list[float]) -> None:
    assert psi(normal_quantiles(0.0, 1.0), values) >= -1e-9
    assert psi([1.0] * len(LEVELS), values) == 0.0


def test_the_index_is_small_for_the_same_and_great_for_another() -> None:
    rng = random.Random(3)
    same = [rng.gauss(0, 1) for _ in range(2000)]
    assert psi(normal_quantiles(0.0, 1.0), same) < 0.02
    assert psi(normal_quantiles(0.0, 1.0), [value + 1.5 for value in same]) > 0.5


@given(st.lists(st.integers(0, 8)), st.lists(st.integers(0, 8)))
def test_the_auc_is_the_share_of_pairs_in_order(good: list[int], bad: list[int]) -> None:
    found = auc([float(value) for value in good], [float(value) for value in bad])
    if not good or not bad:
        assert found is None
    else:
        wins = sum((g > b) + 0.5 * (g == b) for g in good for b in bad)
        assert found == pytest.approx(wins / (len(good) * len(bad)))


def test_who_is_right_is_counted_with_intervals() -> None:
    tried = [Tried(True, True, 90.0, False, 40.0)] * 9 + [
        Tried(False, False, 10.0, True, 60.0),
        Tried(None, True, 50.0, True, 50.0),
    ]
    model, stand_in = evaluated(tried)
    assert (model.good_kept, model.bad_refused, model.auc) == (Share(9, 9), Share(1, 1), 1.0)
    assert (stand_in.good_kept, stand_in.bad_refused, stand_in.auc) == (Share(0, 9), Share(0, 1), 0.0)
    assert model.good_kept.interval == pytest.approx((0.7008, 1.0), abs=1e-3)


def test_thumbs_become_a_training_set() -> None:
    exposure = ExposureId.parse("pujalt-20261214-00042")
    row = Labelled(
        "/data/frames/a.fits",
        Thumb(exposure, up=False, cause="clouds", who="ana", at_us=5),
        Judgement(80.0, "keep", "none", {}, "quality 2"),
        {"log_stars": 1.5},
    )
    assert list(training_set([row])) == [
        {
            "id": "pujalt-20261214-00042",
            "file": "/data/frames/a.fits",
            "usable": False,
            "cause": "clouds",
            "said": {"decision": "keep", "cause": "none", "quality": 80.0, "model": "quality 2"},
            "features": {"log_stars": 1.5},
        }
    ]
