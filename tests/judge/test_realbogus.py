"""Real or bogus: what the model says of plain cases of any camera, who stands in for it, and the verb's object."""

import json
import math
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from numpy.typing import NDArray
from scipy import ndimage

from astrod.cli import exits
from astrod.cli.main import main
from astrod.errors import InputInvalid
from astrod.judge.realbogus import call, classical, model_fault, vetting
from astrod.vetting import report
from astrod_models.card import read_card, verified_weights, weights_folder
from astrod_models.realbogus import RealBogus

SIDE = 63
FIELD = ((12.0, 18.0, 5000.0), (50.0, 44.0, 900.0), (20.0, 52.0, 2500.0))


def star(flux: float, fwhm: float, x: float = 31.0, y: float = 31.0) -> NDArray[np.float64]:
    """A Moffat star of this flux."""
    rows, columns = np.mgrid[:SIDE, :SIDE]
    wide = fwhm / 2.0 / np.sqrt(2.0 ** (1.0 / 3.0) - 1.0)
    light = (1.0 + ((columns - x) ** 2 + (rows - y) ** 2) / wide**2) ** -3.0
    return np.asarray(flux * light / light.sum())


def exposures(fwhm: float, rng: np.random.Generator) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Science and reference of a quiet field, sky noise 1 and 0.4."""
    field = sum(star(flux, fwhm, x, y) for x, y, flux in FIELD)
    return field + rng.normal(size=(SIDE, SIDE)), field + 0.4 * rng.normal(size=(SIDE, SIDE))


def stacked(science: Any, reference: Any, difference: Any) -> NDArray[np.float32]:
    return np.stack([science, reference, difference], axis=2).astype(np.float32)


def transients(fwhm: float, count: int = 12) -> NDArray[np.float32]:
    """New stars of signal-to-noise 20 or so."""
    out = []
    for seed in range(count):
        science, reference = exposures(fwhm, np.random.default_rng(seed))
        science = science + star(20.0 * 1.6 * fwhm, fwhm, 31.0 + 0.03 * seed, 31.0 - 0.02 * seed)
        out.append(stacked(500.0 + 3.0 * science, 300.0 + 3.0 * reference, 3.0 * (science - reference)))
    return np.stack(out)


def bogus(kind: str, fwhm: float, count: int = 12) -> NDArray[np.float32]:
    """Artefacts at the middle."""
    out = []
    for seed in range(count):
        rng = np.random.default_rng(100 + seed)
        science, reference = exposures(fwhm, rng)
        if kind == "dipole":
            science, reference = science + star(6000.0, fwhm, 31.5, 31.0), reference + star(6000.0, fwhm, 30.7, 31.2)
        elif kind == "hot pixel":
            science[31, 31] += 40.0
        elif kind == "cosmic ray":
            science[np.arange(27, 36), np.arange(26, 35)] += rng.uniform(20.0, 80.0, 9)
        elif kind == "column":
            science[:, 31] += 12.0
        elif kind == "trail":
            rows, columns = np.mgrid[:SIDE, :SIDE] - 31.0
            science += 15.0 * np.exp(-0.5 * ((0.6 * rows - 0.8 * columns) * 2.355 / fwhm) ** 2)
        else:
            science += 4.0 * ndimage.gaussian_filter(rng.normal(size=(SIDE, SIDE)), 0.5)
        out.append(stacked(500.0 + 3.0 * science, 300.0 + 3.0 * reference, 3.0 * (science - reference)))
    return np.stack(out)


KINDS = ("dipole", "hot pixel", "cosmic ray", "column", "trail")


@pytest.fixture(scope="module")
def model() -> RealBogus:
    return RealBogus()


@pytest.mark.parametrize("fwhm", [2.0, 3.0, 5.0])
@pytest.mark.parametrize("kind", KINDS)
def test_new_stars_score_above_artefacts(model: RealBogus, fwhm: float, kind: str) -> None:
    real, other = model(transients(fwhm)).values, model(bogus(kind, fwhm)).values
    assert np.median(real) > 0.6
    assert np.median(other) < 0.3
    assert np.mean(real[:, None] > other[None, :]) > 0.97


@pytest.mark.parametrize("way", ["negated", "exchanged and negated", "exchanged"])
def test_a_transient_turned_round_is_no_brightening(model: RealBogus, way: str) -> None:
    science, reference, difference = np.moveaxis(transients(3.0), 3, 0)
    if way == "negated":
        turned = np.stack([science, reference, -difference], axis=3)
    elif way == "exchanged":
        turned = np.stack([reference, science, difference], axis=3)
    else:
        turned = np.stack([reference, science, -difference], axis=3)
    assert model(turned).values.max() < 0.2


def test_the_answer_does_not_depend_on_who_else_is_asked(model: RealBogus) -> None:
    together = np.concatenate([transients(3.0), bogus("dipole", 3.0)] * 6)
    alone = [model(together[index : index + 1]).values[0] for index in range(24)]
    np.testing.assert_allclose(model(together).values, alone * 6, atol=2e-5)
    np.testing.assert_array_equal(model(together).values, model(together).values)


@pytest.mark.parametrize("kind", ["float64", ">f4", "float16"])
def test_number_types_do_not_matter(model: RealBogus, kind: str) -> None:
    plain = transients(3.0)
    np.testing.assert_allclose(model(plain.astype(kind)).values, model(plain).values, atol=0.1)


def test_edges_and_a_masked_reference_are_judged(model: RealBogus) -> None:
    edged = transients(3.0)
    edged[:, :20] = np.nan
    assert np.median(model(edged).values) > 0.5
    blind = transients(3.0)
    blind[..., 1] = np.nan
    assert np.isfinite(model(blind).values).all()


def test_what_cannot_be_judged_is_nan_with_a_reason(model: RealBogus) -> None:
    triplets = transients(3.0, 3)
    triplets[1] = 7.0
    for scores in (model(triplets), classical(triplets)):
        assert np.isnan(scores.values).tolist() == [False, True, False]
        assert scores.reasons == (None, "the difference is empty, constant or masked", None)
        assert call(scores.values[1], 0.5) == "unknown"


def test_none_asked_none_answered(model: RealBogus) -> None:
    for score in (model, classical):
        assert score(np.zeros((0, 63, 63, 3))).values.shape == (0,)


@given(
    values=arrays.arrays(np.float64, (1, 21, 21, 3), elements=st.floats(), fill=st.floats()),
    noise=st.sampled_from([0.0, 1.0, 1e20]),
)
@settings(max_examples=20, deadline=None)
def test_any_array_gets_a_probability_or_a_reason(values: NDArray[np.float64], noise: float) -> None:
    values = values + noise * np.random.default_rng(0).normal(size=values.shape)
    scores = vetting()[0](values)
    told = np.isfinite(scores.values[0])
    assert told == (scores.reasons[0] is None)
    assert not told or 0.0 <= scores.values[0] <= 1.0


# -- the weights, and what stands in for them ------------------------------------------------------------------------


def test_the_shipped_weights_match_their_card_and_are_small() -> None:
    card = read_card("realbogus")
    assert len(verified_weights(card)) < 1_500_000
    assert card.facts["model"]["parameters"] < 200_000
    assert card.facts["limits"]


def test_the_card_beats_brightness_and_the_regression_on_cameras_it_never_saw() -> None:
    scores = read_card("realbogus").facts["scores"]
    for name in ("simulated observatory, never seen", "hatp32, real frames never seen"):
        assert scores[name]["auc"] > scores[name]["classical_auc"] > scores[name]["brightness_alone_auc"], name
        assert scores[name]["recall_at_5_percent"]["interval"][0] > 0.5


def test_the_card_beats_brightness_and_the_regression_on_alerts_it_never_saw() -> None:
    scores = read_card("realbogus").facts["scores"]
    held = scores["asteroids and likely bogus of equal magnitude"]
    assert held["auc"] > held["classical_auc"] > held["brightness_alone_auc"]
    assert held["auc_interval"][0] > 0.93
    assert held["recall_at_5_percent"]["interval"][0] > 0.7
    assert scores["asteroids and the same reversed"]["auc"] > 0.999


def test_altered_weights_are_refused_and_the_stand_in_says_so(tmp_path: Path) -> None:
    folder = tmp_path / "weights"
    shutil.copytree(weights_folder(), folder)
    content = bytearray((folder / "realbogus.onnx").read_bytes())
    content[len(content) // 2] ^= 1
    (folder / "realbogus.onnx").write_bytes(bytes(content))
    score, title, _real_from = vetting(folder)
    assert score is classical
    assert title.startswith("classical stand-in (realbogus.onnx does not match its card")
    assert model_fault(folder) is not None
    assert model_fault() is None


@pytest.mark.parametrize("kind", KINDS)
def test_the_stand_in_tells_new_stars_from_artefacts(kind: str) -> None:
    real, other = classical(transients(3.0)).values, classical(bogus(kind, 3.0)).values
    assert np.mean(real[:, None] > other[None, :]) > 0.8


# -- the file's report and the verb ----------------------------------------------------------------------------------


def test_the_report_has_one_score_for_each_in_order(tmp_path: Path) -> None:
    triplets = np.concatenate([transients(3.0, 2), bogus("trail", 3.0, 2), np.zeros((1, SIDE, SIDE, 3))])
    np.savez(tmp_path / "a.npz", triplets=triplets)
    found = report(tmp_path / "a.npz")
    assert (found["count"], found["real"], found["bogus"]) == (5, 2, 2)
    assert found["scores"][4] is None
    assert found["unjudged"] == [{"index": 4, "reason": "the difference is empty, constant or masked"}]
    assert min(found["scores"][:2]) > 0.5 > max(found["scores"][2:4])
    assert found["model"].startswith("realbogus ")


def test_a_file_of_cut_outs_too_small_is_refused_by_name(tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", np.zeros((2, 9, 9, 3)))
    with pytest.raises(InputInvalid, match=r"a\.npy: cut-outs of 9×9 pixels are too small"):
        report(tmp_path / "a.npy")


def test_the_verb_names_the_bad_file_and_judges_the_others(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    np.savez(tmp_path / "a.npz", triplets=transients(3.0, 2))
    (tmp_path / "b.npz").write_bytes(b"nothing")
    np.save(tmp_path / "c.npy", bogus("column", 3.0, 3))
    files = [str(tmp_path / name) for name in ("a.npz", "b.npz", "c.npy")]
    assert main(["realbogus", "--json", *files]) == exits.FAILED
    out, err = capsys.readouterr()
    rows = [json.loads(row) for row in out.splitlines()]
    assert [row["file"] for row in rows] == files
    assert rows[1] == {"file": files[1], "error": err.strip()}
    assert [len(row["scores"]) for row in (rows[0], rows[2])] == [2, 3]
    assert all(0.0 <= score <= 1.0 and not math.isnan(score) for score in rows[0]["scores"])
    assert main(["realbogus", files[0]]) == exits.DONE
    assert "2 candidates: 2 real, 0 bogus" in capsys.readouterr().out
