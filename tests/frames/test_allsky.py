"""Pictures of every form come out as one array; what is none is refused with its name."""

import gzip
import io
from pathlib import Path

import numpy as np
import pytest
from astropy.io import fits
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image

from astrod.errors import InputInvalid
from astrod.frames.allsky import read_allsky

RAMP = np.arange(12 * 16).reshape(12, 16)


def saved(path: Path, array: NDArray[np.generic]) -> Path:
    if path.suffix == ".fits":
        fits.PrimaryHDU(array).writeto(path)
    else:
        Image.fromarray(array).save(path)
    return path


@pytest.mark.parametrize(
    ("name", "array"),
    [
        ("grey.png", RAMP.astype(np.uint8)),
        ("deep.png", (RAMP * 300).astype(np.uint16)),
        ("int.fits", RAMP.astype(np.int16)),
        ("unsigned.fits", (RAMP * 300).astype(np.uint16)),
        ("double.fits", RAMP.astype(">f8")),
        ("negative.fits", (RAMP - 100).astype(np.float32)),
    ],
)
def test_one_plane_keeps_its_values(tmp_path: Path, name: str, array: NDArray[np.generic]) -> None:
    found = read_allsky(saved(tmp_path / name, array))
    assert found.dtype == np.float32
    assert np.array_equal(found, array.astype(np.float32))


def test_colours_are_averaged_whatever_the_format(tmp_path: Path) -> None:
    colour = np.stack([RAMP, RAMP // 2, RAMP // 3], axis=2).astype(np.uint8)
    grey = colour.mean(axis=2, dtype=np.float32)
    assert np.allclose(read_allsky(saved(tmp_path / "a.png", colour)), grey, atol=1e-3)
    planes = read_allsky(saved(tmp_path / "a.fits", np.moveaxis(colour, 2, 0)))
    assert np.allclose(planes, grey, atol=1e-3)
    assert read_allsky(saved(tmp_path / "a.jpg", colour)).shape == (12, 16)


@pytest.mark.parametrize("mode", ["1", "LA", "P", "RGBA", "CMYK", "YCbCr", "I;16", "F", "I"])
def test_every_mode_of_a_picture_is_read(tmp_path: Path, mode: str) -> None:
    image = Image.fromarray((RAMP + 20).astype(np.uint8))
    path = tmp_path / "picture.tif"
    (image.convert("I").convert(mode) if mode == "I;16" else image.convert(mode)).save(path)
    found = read_allsky(path)
    assert found.shape[:2] == (12, 16)
    assert found.max() > found.min()


def test_gzip_and_missing_values(tmp_path: Path) -> None:
    array = RAMP.astype(np.float64)
    array[0, 0], array[0, 1], array[0, 2] = np.nan, np.inf, 1e300
    stream = io.BytesIO()
    fits.PrimaryHDU(array).writeto(stream)
    path = tmp_path / "a.fits.gz"
    path.write_bytes(gzip.compress(stream.getvalue()))
    found = read_allsky(path)
    assert np.isnan(found[0, :3]).all()
    assert np.isfinite(found[1:]).all()


@pytest.mark.parametrize(
    ("content", "word"),
    [
        (b"", "empty"),
        (b"hello", "neither FITS nor a picture"),
        (gzip.compress(b"x" * 4000, mtime=0)[:30], "gzip"),
        (b"SIMPLE  =                    T", "FITS"),
        (b"\x89PNG\r\n\x1a\n" + b"\0" * 50, "picture"),
        (b"\xff\xd8\xff\xe0\x00\x10JFIF", "picture"),
    ],
)
def test_what_is_no_picture_is_named(tmp_path: Path, content: bytes, word: str) -> None:
    path = tmp_path / "thing"
    path.write_bytes(content)
    with pytest.raises(InputInvalid, match=word) as caught:
        read_allsky(path)
    assert str(path) in str(caught.value)


def test_a_cube_a_table_and_nothing_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InputInvalid, match="no picture"):
        read_allsky(saved(tmp_path / "cube.fits", np.zeros((5, 8, 8), dtype=np.float32)))
    fits.BinTableHDU.from_columns([fits.Column("a", "E", array=np.zeros(3))]).writeto(tmp_path / "table.fits")
    with pytest.raises(InputInvalid, match="no image"):
        read_allsky(tmp_path / "table.fits")
    with pytest.raises(InputInvalid, match="cannot be read"):
        read_allsky(tmp_path / "absent.jpg")


@given(cut=st.integers(0, 3000), kind=st.sampled_from(["JPEG", "PNG", "FITS"]))
def test_a_file_cut_anywhere_is_read_or_refused(tmp_path_factory: pytest.TempPathFactory, cut: int, kind: str) -> None:
    stream = io.BytesIO()
    if kind == "FITS":
        fits.PrimaryHDU(RAMP.astype(np.int16)).writeto(stream)
    else:
        Image.fromarray(np.random.default_rng(1).integers(0, 255, (40, 40)).astype(np.uint8)).save(stream, kind)
    path = tmp_path_factory.mktemp("cut") / "a"
    path.write_bytes(stream.getvalue()[:cut])
    try:
        assert read_allsky(path).ndim in (2, 3)
    except InputInvalid as refused:
        assert str(path) in str(refused)
