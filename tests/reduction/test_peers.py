"""The same frames given to others: ccdproc's calibration, source-extractor's photometry. Skipped where they are not."""

import math
import shutil
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from astropy.io import fits
from astropy.nddata import CCDData
from astropy.table import Table

from astrod.reduction import Settings, files_in, reduce
from tests.reduction.camera import Camera, session, stars_on


def reduced(folder: Path) -> tuple[dict[str, np.ndarray], Table, dict[str, Any]]:
    """A session reduced: the product's planes by name, the catalogue, and the report."""
    camera = Camera(rows=400, columns=500)
    dice = np.random.default_rng(8)
    x, y = dice.uniform(15, 485, 120), dice.uniform(15, 385, 120)
    raw = folder / "raw"
    raw.mkdir()
    session(raw, camera, stars_on(camera, x, y, 10.0 ** dice.uniform(3.5, 5.2, 120), 300.0))
    settings = Settings(out=folder / "out", index_dirs=(), search=False, cosmics=False)
    report = next(r for r in reduce(files_in([raw]), settings) if r["kind"] == "light")
    with fits.open(report["written"][0]) as hdus:
        planes = {name: np.asarray(hdus[index].data) for index, name in enumerate(("values", "sigma", "flags"))}
    return planes, Table.read(report["written"][1]), report


def test_ccdproc_calibrates_to_the_same_pixels_and_errors(tmp_path: Path) -> None:
    ccdproc = pytest.importorskip("ccdproc")
    planes, _table, report = reduced(tmp_path)
    raw = tmp_path / "raw"

    def read(name: str) -> list[CCDData]:
        return [CCDData(fits.getdata(path).astype(float), unit="adu") for path in sorted(raw.glob(f"{name}*.fits"))]

    def combined(frames: list[CCDData], **more: object) -> CCDData:
        return ccdproc.combine(
            frames, method="average", sigma_clip=True, sigma_clip_low_thresh=5, sigma_clip_high_thresh=5,
            sigma_clip_func=np.ma.median, sigma_clip_dev_func=lambda a, axis=None: 1.4826 * np.ma.median(
                np.abs(a - np.ma.median(a, axis=axis)), axis=axis), **more,
        )  # fmt: skip

    bias, dark = combined(read("bias")), combined(read("dark"))
    flats = [ccdproc.subtract_bias(flat, bias) for flat in read("flat")]
    flat = combined(flats, scale=lambda values: 1.0 / np.median(values))
    (light,) = read("light")
    detector = report["detector"]
    gain, read_noise = detector["gain_e_adu"], detector["read_noise_adu"] * detector["gain_e_adu"]
    done = ccdproc.subtract_bias(light, dark)  # a dark of the same exposure holds the bias
    done = ccdproc.create_deviation(
        done, gain=gain * done.unit**-1 * _electron(), readnoise=read_noise * _electron(), disregard_nan=True
    )
    done = ccdproc.flat_correct(done, flat, norm_value=float(np.median(flat.data)))
    good = (planes["flags"] == 0) & np.isfinite(done.uncertainty.array)
    ratio = planes["values"][good] - done.data[good]
    assert np.median(np.abs(ratio)) < 0.02 * np.median(planes["sigma"])
    assert np.mean(np.abs(ratio) > 0.5 * planes["sigma"][good]) < 0.002
    errors = planes["sigma"][good] / done.uncertainty.array[good]
    assert np.median(errors) == pytest.approx(1.0, abs=0.04)  # ours hold the masters' own


def _electron() -> object:
    from astropy import units

    return units.electron


@pytest.mark.skipif(shutil.which("source-extractor") is None, reason="source-extractor is not installed")
def test_source_extractor_sees_the_same_places_and_magnitudes(tmp_path: Path) -> None:
    planes, table, report = reduced(tmp_path)
    radius = 2.0 * max(1.5, 1.3 * report["fwhm_px"])
    image = tmp_path / "plain.fits"
    fits.PrimaryHDU(planes["values"]).writeto(image)
    (tmp_path / "wanted.param").write_text("X_IMAGE\nY_IMAGE\nFLUX_APER\nFLUXERR_APER\nFLAGS\n")
    (tmp_path / "filter.conv").write_text("CONV NORM\n1 2 1\n2 4 2\n1 2 1\n")
    words = {
        "CATALOG_NAME": tmp_path / "se.fits", "CATALOG_TYPE": "FITS_1.0", "PARAMETERS_NAME": tmp_path / "wanted.param",
        "FILTER_NAME": tmp_path / "filter.conv", "DETECT_THRESH": 3, "PHOT_APERTURES": radius, "BACK_SIZE": 64,
        "VERBOSE_TYPE": "QUIET", "GAIN": 1.6, "SATUR_LEVEL": 1e9,
    }  # fmt: skip
    command = ["source-extractor", str(image), "-c", "/dev/null"]
    for name, value in words.items():
        command += [f"-{name}", str(value)]
    subprocess.run(command, check=True, cwd=tmp_path, capture_output=True)
    theirs = Table.read(tmp_path / "se.fits")
    ours = table[(np.asarray(table["kind"]) == "star") & ~np.asarray(table["blended"])]
    away = np.hypot(
        np.asarray(ours["x"])[:, None] + 1.0 - np.asarray(theirs["X_IMAGE"]),
        np.asarray(ours["y"])[:, None] + 1.0 - np.asarray(theirs["Y_IMAGE"]),
    )
    nearest, near = away.argmin(axis=1), away.min(axis=1) < 1.0
    assert np.mean(near) > 0.97
    assert float(np.median(away.min(axis=1)[near])) < 0.1  # theirs are isophotal barycentres
    flux, other = np.asarray(ours["aperture_flux"])[near], np.asarray(theirs["FLUX_APER"])[nearest][near]
    bright = np.asarray(ours["signal"])[near] > 30.0
    ratio = -2.5 * np.log10(flux[bright] / other[bright])
    ratio -= np.median(ratio)  # the growth to a wide aperture
    assert 1.4826 * float(np.median(np.abs(ratio))) < 0.01
    assert math.isclose(float(np.median(planes["sigma"])), report["sky"]["noise_adu"], rel_tol=0.1)
