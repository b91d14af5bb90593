"""Reading candidates' cut-outs: any number type and order, in batches, and what is said of files that hold none."""

import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from astrod.errors import InputInvalid
from astrod.frames.triplets import triplet_batches

RAMP = np.arange(7 * 15 * 15 * 3).reshape(7, 15, 15, 3)


def read(path: Path, batch: int = 512) -> NDArray[Any]:
    return np.concatenate(list(triplet_batches(path, batch)))


@pytest.mark.parametrize("kind", ["float16", "float32", "float64", ">f8", ">i2", "uint16", "int64"])
@pytest.mark.parametrize("batch", [1, 3, 7, 512])
def test_any_number_type_comes_back_in_order(tmp_path: Path, kind: str, batch: int) -> None:
    array = (RAMP % 1000).astype(kind)
    np.savez_compressed(tmp_path / "a.npz", triplets=array, candid=np.arange(7))
    np.save(tmp_path / "a.npy", array)
    for name in ("a.npz", "a.npy"):
        batches = list(triplet_batches(tmp_path / name, batch))
        assert max(len(part) for part in batches) <= batch
        np.testing.assert_array_equal(np.concatenate(batches), array)


@pytest.mark.parametrize("batch", [2, 512])
def test_column_order_is_understood(tmp_path: Path, batch: int) -> None:
    np.savez(tmp_path / "a.npz", triplets=np.asfortranarray(RAMP.astype(np.float32)))
    np.testing.assert_array_equal(read(tmp_path / "a.npz", batch), RAMP)


@pytest.mark.parametrize("order", ["C", "F"])
def test_no_triplets_are_one_empty_batch(tmp_path: Path, order: Any) -> None:
    np.save(tmp_path / "a.npy", np.zeros((0, 63, 63, 3), order=order))
    assert [part.shape for part in triplet_batches(tmp_path / "a.npy")] == [(0, 63, 63, 3)]


def test_reading_takes_no_more_memory_than_a_batch(tmp_path: Path) -> None:
    """The file is read as it is asked for: the first batch of one whose rest is cut off is still had."""
    np.save(tmp_path / "a.npy", RAMP)
    content = (tmp_path / "a.npy").read_bytes()
    (tmp_path / "a.npy").write_bytes(content[: len(content) // 2])
    batches = triplet_batches(tmp_path / "a.npy", 2)
    np.testing.assert_array_equal(next(batches), RAMP[:2])
    with pytest.raises(InputInvalid, match=r"cut short after 3 of 7"):
        list(batches)


@pytest.mark.parametrize(
    ("array", "said"),
    [
        (np.zeros((5, 63, 63)), "triplets are N×S×S×3"),
        (np.zeros((5, 3, 63, 63)), "triplets are N×S×S×3"),
        (np.zeros((5, 63, 61, 3)), "triplets are N×S×S×3"),
        (np.float64(3.0), "a single number"),
        (np.zeros((2, 63, 63, 3), dtype=complex), "complex128"),
        (np.full((2, 15, 15, 3), "star"), "are no brightness"),
        (np.full((2, 15, 15, 3), None), "are no brightness"),
    ],
)
def test_other_arrays_are_refused(tmp_path: Path, array: Any, said: str) -> None:
    np.save(tmp_path / "a.npy", array)
    with pytest.raises(InputInvalid, match=said):
        read(tmp_path / "a.npy")


def test_an_archive_without_triplets_says_what_it_holds(tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", science=RAMP, candid=RAMP)
    with pytest.raises(InputInvalid, match=r"a\.npz: holds candid, science, but no array called triplets"):
        read(tmp_path / "a.npz")


def test_what_is_no_array_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.npz"
    with pytest.raises(InputInvalid, match="cannot be read"):
        read(path)
    with pytest.raises(InputInvalid, match="cannot be read"):
        read(tmp_path)
    for content in (b"", b"SIMPLE  =", b"PK\x03\x04 and nothing more", b"\x93NUMPY\x09\x09 nor here"):
        path.write_bytes(content)
        with pytest.raises(InputInvalid, match=r"a\.npz"):
            read(path)
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("triplets.npy", "text")
    with pytest.raises(InputInvalid, match=r"a\.npz"):
        read(path)


@given(at=st.integers(0, 10**6), to=st.integers(0, 255), cut=st.booleans())
@settings(max_examples=80, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_a_damaged_file_is_read_or_refused_never_worse(tmp_path: Path, at: int, to: int, cut: bool) -> None:
    path = tmp_path / "a.npz"
    np.savez_compressed(path, triplets=RAMP[:2])
    content = bytearray(path.read_bytes())
    where = at % len(content)
    content[where] = to
    path.write_bytes(content[:where] if cut else content)
    try:
        assert read(path).shape[3] == 3
    except InputInvalid as fault:
        assert str(path) in str(fault)
