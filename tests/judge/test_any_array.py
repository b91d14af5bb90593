"""Any array gets a verdict with a reason, or an error that names the file and says what is wrong; never a crash."""

import json
import math
import tempfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from astrod.appraise import Series, report
from astrod.errors import InputInvalid
from astrod.judge.classical import ISSUES

TYPES = ("u1", "<u2", ">u2", "<i2", ">i4", "<f4", ">f4", "<f8", ">f8", "?")
FILLS = (
    "noise",
    "stars",
    "constant",
    "zero",
    "saturated",
    "nan",
    "some nan",
    "inf",
    "negative",
    "huge",
    "ramp",
    "checked",
)
SHAPES = ((1, 1), (1, 400), (15, 15), (16, 16), (17, 33), (64, 64), (90, 301), (3, 60, 60), (1, 70, 70), (2, 2, 40, 40))


def array(fill: str, kind: str, shape: tuple[int, ...], seed: int) -> NDArray[np.generic]:
    rng = np.random.default_rng(seed)
    values = rng.normal(100.0, 7.0, shape)
    flat = values.reshape(-1)
    if fill == "stars":
        flat[rng.integers(0, flat.size, 1 + flat.size // 300)] += 5000.0
    elif fill == "some nan":
        flat[rng.integers(0, flat.size, 1 + flat.size // 20)] = np.nan
    elif fill == "negative":
        values -= 1e4
    elif fill == "huge":
        values *= 1e36
    elif fill == "ramp":
        values = np.arange(flat.size, dtype=np.float64).reshape(shape)
    elif fill == "checked":
        values = (np.indices(shape).sum(axis=0) % 2) * 1000.0
    elif fill in ("constant", "zero", "saturated", "nan", "inf"):
        values = np.full(
            shape, {"constant": 7.0, "zero": 0.0, "saturated": 65535.0, "nan": np.nan, "inf": np.inf}[fill]
        )
    with np.errstate(invalid="ignore", over="ignore"):
        return values.astype(kind)


def said_of(values: NDArray[np.generic]) -> dict[str, object] | None:
    """The report; None where the array is refused by name."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "any.npy"
        np.save(path, values)
        try:
            return report(path, series=Series())
        except InputInvalid as refused:
            assert "any.npy" in str(refused)
            return None


@given(fill=st.sampled_from(FILLS), kind=st.sampled_from(TYPES), shape=st.sampled_from(SHAPES), seed=st.integers(0, 99))
@settings(max_examples=120, deadline=None)
def test_any_array_is_judged_or_refused_by_name(fill: str, kind: str, shape: tuple[int, ...], seed: int) -> None:
    said = said_of(array(fill, kind, shape, seed))
    if said is None:
        return
    assert said["verdict"] in ("keep", "reject")
    assert said["why"]
    issues = said["issues"]
    assert isinstance(issues, dict)
    assert set(issues) == set(ISSUES)
    assert all(math.isfinite(value) and 0.0 <= value <= 1.0 for value in issues.values())
    json.dumps(said, allow_nan=False)


@pytest.mark.parametrize("kind", ["<u2", ">i4", "<f4", ">f8"])
def test_a_plain_sky_is_judged_whatever_its_type(kind: str) -> None:
    assert said_of(array("noise", kind, (90, 301), 1)) is not None
