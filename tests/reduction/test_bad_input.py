"""What is thrown at `astrod reduce` on real nights: never a crash, always an answer or a reason."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from astrod.frames.label import label_of, read_label
from astrod.reduction import Settings, reduce
from tests.reduction.camera import Camera, save, stars_on

ALONE = Settings(index_dirs=(), search=False)
KINDS = (
    "noise", "constant", "full", "nan", "negative", "one star", "crowded", "comet", "trailed", "tiny", "cube",
    "three planes", "huge values", "steps", "complex", "big-endian", "hot pixels", "zeros with one star",
)  # fmt: skip


def strange(kind: str, seed: int) -> NDArray[np.generic]:
    """A frame of that kind."""
    dice = np.random.default_rng(seed)
    rows, columns = int(dice.integers(40, 200)), int(dice.integers(40, 200))
    noise = dice.normal(500.0, 8.0, (rows, columns))
    y, x = np.mgrid[0:rows, 0:columns].astype(float)
    blob = np.exp(-0.5 * ((x - columns / 2.0) ** 2 + (y - rows / 2.0) ** 2) / 2.0**2)
    if kind == "constant":
        return np.full((rows, columns), 700, np.uint16)
    if kind == "full":
        return np.full((rows, columns), 65535, np.uint16)
    if kind == "nan":
        noise[dice.random(noise.shape) < dice.choice([0.1, 0.5, 1.0])] = np.nan
        return noise
    if kind == "negative":
        return (noise - 1000.0 + 300.0 * blob).astype(np.float32)
    if kind == "one star":
        return (noise + 4000.0 * blob).astype(np.uint16)
    if kind == "crowded":
        light = np.zeros_like(noise)
        for _star in range(rows * columns // 30):
            light[dice.integers(rows), dice.integers(columns)] += 10.0 ** dice.uniform(2.0, 4.5)
        return (noise + np.fft.ifft2(np.fft.fft2(light) * np.fft.fft2(np.fft.ifftshift(blob))).real).astype(np.float32)
    if kind == "comet":
        return (noise + 3e5 / (5.0 + np.hypot(x - columns / 2.0, y - rows / 2.0))).astype(np.float32)
    if kind == "trailed":
        for _star in range(12):
            row, column = int(dice.integers(rows)), int(dice.integers(columns - 20))
            noise[row, column : column + 20] += 900.0
        return noise.astype(np.float32)
    if kind == "tiny":
        return noise[:1, :1]
    if kind == "cube":
        return noise[None, None].astype(np.float32)
    if kind == "three planes":
        return np.stack([noise] * 3)
    if kind == "huge values":
        return noise * 1e36
    if kind == "steps":
        return (np.rint(noise / 100.0) * 100.0).astype(np.int32)
    if kind == "complex":
        return noise.astype(np.float64) * np.where(x > columns / 2.0, 1e-3, 1e3)
    if kind == "big-endian":
        return noise.astype(">f8")
    if kind == "hot pixels":
        noise[dice.random(noise.shape) < 0.01] = 20_000.0
        return noise.astype(np.uint16)
    if kind == "zeros with one star":
        return (1000.0 * blob).astype(np.uint16)
    return noise.astype(np.uint16)


@given(kind=st.sampled_from(KINDS), seed=st.integers(0, 1000))
@settings(max_examples=30, deadline=None)
def test_any_array_is_reduced_or_refused_with_a_reason(
    tmp_path_factory: pytest.TempPathFactory, kind: str, seed: int
) -> None:
    folder = tmp_path_factory.mktemp("strange")
    path = save(folder / "frame.fits", strange(kind, seed), IMAGETYP="LIGHT", EXPTIME=10.0)
    settings_ = Settings(out=folder / "out", index_dirs=(), search=False)
    (report,) = reduce([path], settings_)
    if "error" in report:
        assert len(report["error"]) > len(str(path)) + 10
        return
    assert report["calibration"]["missing"]
    assert report["zero_point"] is None and report["zero_point_unknown"]
    assert all(Path(name).is_file() for name in report["written"])


@given(keep=st.integers(0, 40_000))
@settings(max_examples=12, deadline=None)
def test_a_file_cut_short_is_refused(tmp_path_factory: pytest.TempPathFactory, keep: int) -> None:
    folder = tmp_path_factory.mktemp("cut")
    whole = save(folder / "whole.fits", strange("noise", 1), IMAGETYP="LIGHT").read_bytes()
    cut = folder / "cut.fits"
    cut.write_bytes(whole[: min(keep, len(whole) - 2881)])
    (report,) = reduce([cut], ALONE)
    assert str(cut) in report["error"]


def test_headers_that_cannot_be_are_not_believed() -> None:
    facts = {
        "EXPTIME": "long", "GAIN": float("inf"), "CCD-TEMP": 9999.0, "RA": "??", "DEC": 95.0, "XPIXSZ": -3.8,
        "FOCALLEN": 0.0, "BIASSEC": "[0:0,9:2]", "TRIMSEC": "[1:5000,1:5000]", "EGAIN": -1.0, "IMAGETYP": "",
    }  # fmt: skip
    label = label_of(Path("a.fits"), facts, (100, 120))
    assert label.kind is None
    assert (label.setup.exposure_s, label.setup.gain, label.setup.temperature_c) == (None, None, None)
    assert (label.ra_deg, label.scale_arcsec_px, label.overscan, label.image) == (None, None, None, None)
    assert label.sensor.gain_e_adu is None


@pytest.mark.parametrize(
    ("told", "kind"),
    [
        ("Light Frame", "light"), ("LIGHT", "light"), ("object", "light"), ("Bias Frame", "bias"), ("zero", "bias"),
        ("Dark Frame", "dark"), ("Flat Field", "flat"), ("SKYFLAT", "flat"), ("Dark Flat", "flat_dark"),
        ("FLATDARK", "flat_dark"), ("Master Dark", "dark"), ("3", "dark"), ("tricolour", None),
    ],
)  # fmt: skip
def test_kinds_as_programs_write_them(told: str, kind: str | None) -> None:
    assert label_of(Path("a.fits"), {"IMAGETYP": told}, (10, 10)).kind == kind


@pytest.mark.parametrize(
    ("facts", "place"),
    [
        ({"RA": 31.3, "DEC": 46.7}, (31.3, 46.7)),
        ({"OBJCTRA": "02 04 10.3", "OBJCTDEC": "-00 41 16"}, (31.042917, -0.687778)),
        ({"RA": "2:04:10.3", "DEC": "+46:41:16.2"}, (31.042917, 46.687833)),
        ({"RA": "31.5", "DEC": "-2.5"}, (31.5, -2.5)),
        ({"CRVAL1": 10.0, "CRVAL2": 20.0, "CTYPE1": "LINEAR", "RA": 1.0, "DEC": 2.0}, (1.0, 2.0)),
    ],
)
def test_places_as_programs_write_them(facts: dict[str, str | float], place: tuple[float, float]) -> None:
    label = label_of(Path("a.fits"), facts, (10, 10))
    assert (label.ra_deg, label.dec_deg) == pytest.approx(place, abs=1e-5)


def test_overscan_is_taken_off_and_cut_off(tmp_path: Path) -> None:
    camera = Camera()
    dice = np.random.default_rng(1)
    x, y = dice.uniform(20, 300, 30), dice.uniform(20, 220, 30)
    raw = camera.expose(stars_on(camera, x, y, np.full(30, 2e4), 200.0), 1.0, dice).astype(float)
    over = dice.normal(400.0, 3.0, (camera.rows, 20))
    drift = 30.0 * np.sin(np.arange(camera.rows) / 60.0)[:, None]
    frame = np.rint(np.hstack([raw, over]) + drift).astype(np.uint16)
    cards = {"BIASSEC": "[321:340,1:240]", "TRIMSEC": "[1:320,1:240]", "IMAGETYP": "LIGHT", "EXPTIME": 1.0}
    path = save(tmp_path / "over.fits", frame, **cards)
    (report,) = reduce([path], Settings(out=tmp_path / "out", index_dirs=(), search=False))
    assert report["sky"]["adu"] == pytest.approx(np.median(raw) - 400.0, abs=6.0)
    assert read_label(Path(report["written"][0])).setup.columns == 320


def test_a_dead_column_and_a_dust_mote_are_flagged_not_mended(tmp_path: Path) -> None:
    camera = Camera()
    dice = np.random.default_rng(1)
    for number in range(4):
        flat = camera.expose(30_000.0, 0.0, dice)
        flat[:, 100] = 410
        save(tmp_path / f"flat{number}.fits", flat, IMAGETYP="FLAT", FILTER="V", EXPTIME=1.0)
        save(tmp_path / f"bias{number}.fits", camera.expose(0.0, 0.0, dice), IMAGETYP="BIAS", EXPTIME=0.0)
    light = camera.expose(200.0, 1.0, dice)
    light[:, 100] = 402
    path = save(tmp_path / "light.fits", light, IMAGETYP="LIGHT", FILTER="V", EXPTIME=1.0)
    report = next(reduce([path, *sorted(tmp_path.glob("[fb]*.fits"))], ALONE))
    assert report["flagged"]["bad pixel"] == pytest.approx(camera.rows, abs=5)
