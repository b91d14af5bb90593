"""Reading frames: what is a frame, what is none, and what is said about it."""

import gzip
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from astropy.io import fits
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from astrod.errors import InputInvalid
from astrod.frames.image import bayer_of, read_image

RAMP = np.add.outer(np.arange(40), 3 * np.arange(50))


def written(path: Path, pixels: NDArray[Any], **keys: object) -> Path:
    hdu = fits.PrimaryHDU(pixels)
    for key, value in keys.items():
        hdu.header[key] = value
    hdu.writeto(path)
    return path


@pytest.mark.parametrize("kind", ["uint8", "int16", "uint16", "int32", "uint32", "float32", "float64", ">f8", ">u2"])
def test_any_number_type_gives_the_same_pixels(tmp_path: Path, kind: str) -> None:
    image = read_image(written(tmp_path / "a.fits", (RAMP % 200).astype(kind)))
    np.testing.assert_array_equal(image.pixels, RAMP % 200)
    assert image.pixels.dtype.newbyteorder("=") == image.pixels.dtype
    assert image.pixels.dtype in (np.uint16, np.float32)


def test_negative_values_survive(tmp_path: Path) -> None:
    image = read_image(written(tmp_path / "a.fits", (RAMP - 90).astype(np.int16)))
    assert image.pixels.min() == -90


def test_header_facts_are_plain_values(tmp_path: Path) -> None:
    path = written(
        tmp_path / "a.fits",
        RAMP.astype(np.uint16),
        EXPTIME=30,
        BAYERPAT="RGGB",
        SATURATE=60000,
        OBJECT=" M 1",
    )
    image = read_image(path)
    assert (image.exposure_s, image.bayer, image.saturation_adu) == (30.0, "RGGB", 60000.0)
    assert image.facts["OBJECT"] == "M 1"


@pytest.mark.parametrize(
    ("offsets", "pattern"), [((0, 0), "RGGB"), ((1, 0), "GRBG"), ((0, 1), "GBRG"), ((1, 1), "BGGR")]
)
def test_bayer_offsets_shift_the_pattern(offsets: tuple[int, int], pattern: str) -> None:
    assert bayer_of({"BAYERPAT": "RGGB", "XBAYROFF": offsets[0], "YBAYROFF": offsets[1]}) == pattern


def test_a_filter_named_like_a_pattern_is_one() -> None:
    assert bayer_of({"FILTER": "RGGB"}) == "RGGB"
    assert bayer_of({"FILTER": "R", "BAYERPAT": "TRUE"}) is None


def test_gzipped_compressed_and_npy_hold_the_same(tmp_path: Path) -> None:
    pixels = RAMP.astype(np.uint16)
    plain = written(tmp_path / "a.fits", pixels)
    gzipped = tmp_path / "no-suffix"
    gzipped.write_bytes(gzip.compress(plain.read_bytes()))
    packed = tmp_path / "a.fits.fz"
    fits.HDUList([fits.PrimaryHDU(), fits.CompImageHDU(pixels)]).writeto(packed)
    bare = tmp_path / "a.npy"
    np.save(bare, pixels)
    for path in (plain, gzipped, packed, bare):
        np.testing.assert_array_equal(read_image(path).pixels, pixels)


def test_the_first_image_with_data_is_taken(tmp_path: Path) -> None:
    path = tmp_path / "a.fits"
    fits.HDUList([fits.PrimaryHDU(), fits.ImageHDU(RAMP.astype(np.int16)), fits.ImageHDU(RAMP * 0)]).writeto(path)
    assert read_image(path).pixels.max() == RAMP.max()


def test_one_degenerate_axis_is_no_cube(tmp_path: Path) -> None:
    assert read_image(written(tmp_path / "a.fits", RAMP[None].astype(np.int16))).pixels.shape == RAMP.shape


def test_some_nan_are_masked(tmp_path: Path) -> None:
    pixels = RAMP.astype(np.float32)
    pixels[3, 4], pixels[5, 6] = np.nan, np.inf
    image = read_image(written(tmp_path / "a.fits", pixels))
    assert image.mask is not None
    assert image.mask.sum() == 2
    assert np.isfinite(image.pixels).all()


def test_float64_beyond_float32_is_masked(tmp_path: Path) -> None:
    pixels = RAMP.astype(np.float64)
    pixels[0, 0] = 1e300
    image = read_image(written(tmp_path / "a.fits", pixels))
    assert image.mask is not None
    assert image.mask[0, 0]


def cube(path: Path) -> None:
    written(path, np.stack([RAMP, RAMP, RAMP]).astype(np.uint16))


def table_only(path: Path) -> None:
    column = fits.Column(name="a", format="J", array=np.arange(3))
    fits.HDUList([fits.PrimaryHDU(), fits.BinTableHDU.from_columns([column])]).writeto(path)


def cut_short(path: Path) -> None:
    written(path, np.tile(RAMP, (8, 8)).astype(np.uint16))
    path.write_bytes(path.read_bytes()[:20000])


def cut_header(path: Path) -> None:
    written(path, RAMP.astype(np.uint16))
    path.write_bytes(path.read_bytes()[:1000])


def cut_gzip(path: Path) -> None:
    written(path, RAMP.astype(np.uint16))
    packed = gzip.compress(path.read_bytes())
    path.write_bytes(packed[: len(packed) // 2])


def cut_npy(path: Path) -> None:
    with path.open("wb") as file:
        np.save(file, RAMP)
    path.write_bytes(path.read_bytes()[:-100])


def all_nan(path: Path) -> None:
    written(path, np.full((40, 40), np.nan, dtype=np.float32))


def nan_ridden(path: Path) -> None:
    pixels = np.tile(RAMP, (2, 2)).astype(np.float32)
    pixels.ravel()[::3] = np.nan
    written(path, pixels)


BAD = {
    "cube": (cube, "3-D"),
    "table": (table_only, "no image"),
    "cut short": (cut_short, "cut short"),
    "cut in the header": (cut_header, "cut short|no image"),
    "cut gzip": (cut_gzip, "gzip stream is cut short"),
    "cut npy": (cut_npy, "cut short"),
    "all NaN": (all_nan, "NaN"),
    "a third NaN": (nan_ridden, "33%"),
    "constant": (
        lambda path: written(path, np.full((40, 40), 65535, dtype=np.uint16)),
        "every pixel is 65535",
    ),
    "one pixel": (lambda path: written(path, np.ones((1, 1), dtype=np.uint16)), "too few"),
    "one-dimensional": (lambda path: written(path, np.arange(100, dtype=np.int16)), "1-D"),
    "empty": (lambda path: path.write_bytes(b""), "empty"),
    "text": (lambda path: path.write_text("a note, no frame"), "not a FITS"),
    "complex npy": (lambda path: np.save(path.open("wb"), RAMP * 1j), "complex"),
}


@pytest.mark.parametrize("case", BAD, ids=str)
@pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore::pytest.PytestUnraisableExceptionWarning")
def test_what_is_no_frame_is_refused_by_name(tmp_path: Path, case: str) -> None:
    path = tmp_path / "bad.fits"
    make, says = BAD[case]
    make(path)
    with pytest.raises(InputInvalid, match=says) as refusal:
        read_image(path)
    assert str(path) in str(refusal.value)


def test_a_missing_file_and_a_folder_are_refused(tmp_path: Path) -> None:
    for path in (tmp_path / "none.fits", tmp_path):
        with pytest.raises(InputInvalid, match="cannot be read"):
            read_image(path)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_damage_never_gets_past_the_door(tmp_path: Path, data: st.DataObject) -> None:
    """Whatever bytes are changed or lost: an image or InputInvalid, nothing else."""
    path = tmp_path / "a.fits"
    if not path.exists():
        written(path, RAMP.astype(np.int16))
        (tmp_path / "whole").write_bytes(path.read_bytes())
    content = bytearray((tmp_path / "whole").read_bytes())
    for place in data.draw(st.lists(st.integers(0, 480), max_size=4)):
        content[place] = data.draw(st.integers(0, 255))
    path.write_bytes(bytes(content[: data.draw(st.integers(0, len(content)))]))
    try:
        image = read_image(path)
    except InputInvalid as refusal:
        assert "a.fits" in str(refusal)
    else:
        assert image.pixels.ndim == 2
