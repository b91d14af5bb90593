"""What a FITS file says of itself before its pixels are read, and whether all of it is there."""

import gzip
from pathlib import Path

import numpy as np
import pytest
from astropy.io import fits
from hypothesis import given, settings
from hypothesis import strategies as st

from astrod.errors import InputInvalid
from astrod.frames.glance import glance
from tests.ridealong.fitsfiles import fits_bytes, save

PIXELS = np.arange(40 * 60, dtype=np.uint16).reshape(40, 60)
WHOLE = fits_bytes(PIXELS, IMAGETYP="Light Frame", OBJECT="M 31")
DATA_END = 2880 + PIXELS.nbytes if len(WHOLE) == 2880 + 5760 else 2880 * 2 + PIXELS.nbytes


def test_a_whole_file_lacks_nothing_and_tells_its_header(tmp_path: Path) -> None:
    seen = glance(save(tmp_path / "a.fits", WHOLE))
    assert seen.lacks is None
    assert seen.facts["OBJECT"] == "M 31"


@pytest.mark.parametrize("packed", [False, True])
@settings(max_examples=40)
@given(length=st.integers(0, DATA_END - 1))
def test_every_file_that_is_cut_short_lacks_something(
    tmp_path_factory: pytest.TempPathFactory, packed: bool, length: int
) -> None:
    whole = gzip.compress(WHOLE) if packed else WHOLE
    part = whole[: length * len(whole) // len(WHOLE)] if packed else whole[:length]
    path = save(tmp_path_factory.getbasetemp() / f"cut-{packed}.fits", part)
    assert glance(path).lacks


def test_padding_that_was_left_out_is_not_missed(tmp_path: Path) -> None:
    assert glance(save(tmp_path / "a.fits", WHOLE[:DATA_END])).lacks is None


def test_extensions_count_and_what_follows_them_does_not(tmp_path: Path) -> None:
    path = tmp_path / "two.fits"
    fits.HDUList([fits.PrimaryHDU(), fits.ImageHDU(PIXELS, name="SCI"), fits.CompImageHDU(PIXELS)]).writeto(path)
    whole = path.read_bytes()
    assert glance(path).lacks is None
    assert glance(save(path, whole + b"\0" * 500)).lacks is None
    assert "are there" in str(glance(save(path, whole[:-2880])).lacks)


@pytest.mark.parametrize(
    "content",
    [b"II*\0 a raw picture", b"x" * 10_000, b"SIMPLE  =" + b" " * 3_000_000],
    ids=["other format", "noise", "no end"],
)
def test_what_is_no_fits_file_is_named(tmp_path: Path, content: bytes) -> None:
    with pytest.raises(InputInvalid, match=r"odd\.fits"):
        glance(save(tmp_path / "odd.fits", content))


@settings(max_examples=60)
@given(content=st.binary(max_size=200), at=st.integers(0, 2879))
def test_no_damaged_header_does_more_than_name_itself(
    tmp_path_factory: pytest.TempPathFactory, content: bytes, at: int
) -> None:
    damaged = WHOLE[:at] + content + WHOLE[at + len(content) :]
    path = save(tmp_path_factory.getbasetemp() / "damaged.fits", damaged)
    try:
        glance(path)
    except InputInvalid as refusal:
        assert "damaged.fits" in str(refusal)


@pytest.mark.parametrize(
    ("cards", "sort"),
    [
        ({}, "light"),
        ({"IMAGETYP": "LIGHT"}, "light"),
        ({"IMAGETYP": "Dark Frame"}, "calibration"),
        ({"FRAME": "Bias"}, "calibration"),
        ({"IMAGETYP": "FLAT"}, "calibration"),
        ({"IMAGETYP": "DARKFLAT"}, "calibration"),
        ({"IMAGETYP": "Master Light"}, "stack"),
        ({"IMAGETYP": "Light", "STACKCNT": 20}, "stack"),
        ({"IMAGETYP": "Light", "STACKCNT": 1}, "light"),
        ({"IMAGETYP": "object"}, "light"),
    ],
)
def test_the_sort_is_the_headers_word(tmp_path: Path, cards: dict[str, object], sort: str) -> None:
    assert glance(save(tmp_path / "a.fits", fits_bytes(PIXELS, **cards))).sort == sort
