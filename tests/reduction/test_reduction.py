"""From raw frames to magnitudes, on frames whose truth is known: what is done, what is not, and how it is told."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from astropy import wcs
from astropy.io import fits
from astropy.table import Table

from astrod.cli.main import main
from astrod.measure.catalogue import import_table
from astrod.reduction import Settings, files_in, reduce
from tests.reduction.camera import WCS, Camera, save, session, stars_on

ZERO_POINT = 22.0


def field(camera: Camera, seed: int = 5, stars: int = 60) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Places of stars that keep apart, and their electrons."""
    dice = np.random.default_rng(seed)
    x, y = dice.uniform(8, camera.columns - 8, 4 * stars), dice.uniform(8, camera.rows - 8, 4 * stars)
    kept: list[int] = []
    for i in range(x.size):
        if all(np.hypot(x[i] - x[j], y[i] - y[j]) > 14.0 for j in kept):
            kept.append(i)
    chosen = np.array(kept[:stars])
    return x[chosen], y[chosen], 10.0 ** dice.uniform(3.6, 5.3, chosen.size)


def imported(folder: Path, camera: Camera, x: np.ndarray, y: np.ndarray, electrons: np.ndarray) -> Path:
    """A catalogue of those stars, of a band V."""
    ra, dec = WCS.sky(x, y)
    magnitude = ZERO_POINT - 2.5 * np.log10(electrons / camera.gain_e_adu)
    table = folder / "stars.csv"
    rows = [f"{a:.8f},{b:.8f},{m:.5f},{m + 0.7:.5f}" for a, b, m in zip(ra, dec, magnitude, strict=True)]
    table.write_text("\n".join(["ra,dec,Vmag,Bmag", *rows]))
    import_table(table, folder / "catalogue")
    return folder / "catalogue"


@pytest.fixture(scope="module")
def night(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """One session reduced: the report of the light, its products, and the truth."""
    folder = tmp_path_factory.mktemp("night")
    camera = Camera()
    x, y, electrons = field(camera)
    raw = folder / "raw"
    raw.mkdir()
    session(raw, camera, stars_on(camera, x, y, electrons, 300.0))
    catalogue = imported(folder, camera, x, y, electrons)
    settings = Settings(out=folder / "out", catalogue=catalogue, index_dirs=(), search=False)
    reports = list(reduce(files_in([raw]), settings))
    light = next(report for report in reports if report["kind"] == "light")
    return {"light": light, "reports": reports, "out": folder / "out", "truth": (x, y, electrons), "camera": camera}


def test_a_light_is_calibrated_solved_and_measured(night: dict[str, Any]) -> None:
    light = night["light"]
    assert set(light["calibration"]["used"]) == {"bias", "dark", "flat"}
    assert not light["calibration"]["missing"]
    assert light["errors"] == "modelled"
    assert light["detector"]["gain_e_adu"] == pytest.approx(1.6, rel=0.03)
    assert light["detector"]["read_noise_adu"] == pytest.approx(6.0 / 1.6, rel=0.05)
    assert light["solved"]["residual_arcsec"] < 0.4
    assert light["solved"]["ra_deg"] == pytest.approx(150.0, abs=1e-4)
    lost = 2.5 * np.log10(np.median(night["camera"].response))  # a flat brings the middle of the response to one
    assert light["zero_point"]["magnitude"] == pytest.approx(ZERO_POINT + lost, abs=0.01)
    assert light["zero_point"]["error"] < 0.01
    assert light["zero_point"]["band"] == "V"
    assert light["fwhm_px"] == pytest.approx(2.17, rel=0.05)


def test_the_calibrated_pixels_are_the_light_that_fell(night: dict[str, Any]) -> None:
    camera = night["camera"]
    x, y, electrons = night["truth"]
    truth = stars_on(camera, x, y, electrons, 300.0) / camera.gain_e_adu
    with fits.open(night["out"] / "light.calibrated.fits") as hdus:
        values, sigma, flags = (np.asarray(hdu.data) for hdu in hdus)
        assert hdus[0].header["CALSTAT"] == "BDF" or hdus[0].header["CALSTAT"] == "DF"
    good = flags == 0
    usual = float(np.median(values[good] / truth[good]))  # the flat's middle is one, the optics' is less
    pulls = ((values - usual * truth) / sigma)[good]
    assert 0.95 < float(np.std(pulls[np.abs(pulls) < 5.0])) < 1.08
    assert np.mean(np.abs(pulls) > 5.0) < 1e-3
    hot = camera.currents > 10.0
    assert np.mean((flags[hot] & 4) > 0) > 0.95


def test_the_catalogue_holds_the_stars_with_honest_errors(night: dict[str, Any]) -> None:
    table = Table.read(night["out"] / "light.catalogue.ecsv")
    x, y, electrons = night["truth"]
    away = np.hypot(np.asarray(table["x"])[:, None] - x, np.asarray(table["y"])[:, None] - y)
    nearest = away.argmin(axis=0)
    found = away.min(axis=0) < 1.0
    assert np.count_nonzero(found) >= 0.95 * x.size
    rows = table[nearest[found]]
    truth = ZERO_POINT - 2.5 * np.log10(electrons[found] / night["camera"].gain_e_adu)
    clean = (np.asarray(rows["flags"]) == 0) & (np.asarray(rows["kind"]) == "star")
    left = (np.asarray(rows["magnitude"]) - truth)[clean]
    pulls = (left - np.median(left)) / np.asarray(rows["magnitude_error"])[clean]
    assert 0.6 < 1.4826 * np.median(np.abs(pulls)) < 1.4
    off = (np.asarray(rows["x"]) - x[found])[clean] / np.asarray(rows["place_error"])[clean]
    assert 0.6 < 1.4826 * np.median(np.abs(off)) < 1.4


@pytest.mark.filterwarnings("ignore::astropy.wcs.FITSFixedWarning")
def test_astropy_reads_the_same_sky_from_the_header(night: dict[str, Any]) -> None:
    table = Table.read(night["out"] / "light.catalogue.ecsv")
    with fits.open(night["out"] / "light.calibrated.fits") as hdus:
        sky = wcs.WCS(hdus[0].header).pixel_to_world(np.asarray(table["x"]), np.asarray(table["y"]))
    assert np.abs(sky.ra.deg - table["ra"]).max() < 1e-6
    assert np.abs(sky.dec.deg - table["dec"]).max() < 1e-6


def test_calibration_frames_say_whom_they_served_and_masters_are_kept(night: dict[str, Any]) -> None:
    kinds = [report["kind"] for report in night["reports"]]
    assert kinds.count("bias") == kinds.count("dark") == kinds.count("flat") == 8
    assert all(report["served"] for report in night["reports"] if report["kind"] in ("dark", "flat"))
    masters = sorted(path.name for path in (night["out"] / "masters").iterdir())
    assert masters == ["bias-bias0.fits", "dark-dark0.fits", "flat-flat0.fits"]


def test_masters_serve_as_well_as_the_frames(night: dict[str, Any], tmp_path: Path) -> None:
    raw = Path(night["light"]["file"])
    masters = files_in([night["out"] / "masters"])
    found = next(reduce([raw], Settings(kinds={path: "dark" for path in masters if "dark" in path.name})))
    assert "dark" in found["calibration"]["used"]
    again = next(reduce([raw, *masters], Settings(index_dirs=(), search=False)))
    assert set(again["calibration"]["used"]) == {"bias", "dark", "flat"}
    assert again["sky"]["adu"] == pytest.approx(night["light"]["sky"]["adu"], rel=2e-3)


def test_what_was_calibrated_is_not_calibrated_again(night: dict[str, Any]) -> None:
    done = night["out"] / "light.calibrated.fits"
    masters = files_in([night["out"]])
    assert done not in masters  # a folder's frames are its raw ones
    report = next(reduce([done, *masters], Settings(index_dirs=(), search=False)))
    assert report["calibration"]["used"] == {}
    assert report["calibration"]["missing"] == ["calibration: its header says that it was calibrated before"]
    assert report["sky"]["adu"] == pytest.approx(night["light"]["sky"]["adu"], rel=1e-3)


def light_alone(folder: Path, **cards: object) -> Path:
    camera = Camera()
    x, y, electrons = field(camera)
    raw = camera.expose(stars_on(camera, x, y, electrons, 300.0), 30.0, np.random.default_rng(9))
    return save(folder / "alone.fits", raw, **cards)


def test_without_calibration_it_goes_on_and_says_so(tmp_path: Path) -> None:
    path = light_alone(tmp_path, IMAGETYP="LIGHT", EXPTIME=30.0)
    (report,) = reduce([path], Settings(index_dirs=(), search=False))
    assert report["calibration"]["used"] == {}
    assert any(words.startswith("bias and dark") for words in report["calibration"]["missing"])
    assert report["sources"] > 50
    assert report["zero_point"] is None
    assert report["zero_point_unknown"] == "the frame is not solved"
    assert report["sky"]["mag_arcsec2"] is None


@pytest.mark.parametrize(
    ("cards", "reason"),
    [
        ({"INSTRUME": "Test 2"}, "camera 'test2', the frame's is 'test1'"),
        ({"XBINNING": 2, "YBINNING": 2}, "binning '2x2', the frame's is '1x1'"),
        ({"GAIN": 200}, "gain 200, the frame's is 120"),
        ({"CCD_TEMP": 5.0}, "temperature 5 °C, the frame's is -10 °C"),
    ],
)
def test_calibration_of_another_kind_is_refused_with_the_reason(
    tmp_path: Path, cards: dict[str, object], reason: str
) -> None:
    common = {"INSTRUME": "Test 1", "XBINNING": 1, "YBINNING": 1, "GAIN": 120, "CCD_TEMP": -10.0, "EXPTIME": 30.0}
    path = light_alone(tmp_path, IMAGETYP="LIGHT", **common)
    dark = Camera().expose(0.0, 30.0, np.random.default_rng(2))
    other = save(tmp_path / "dark.fits", dark, IMAGETYP="DARK", **(common | cards))
    report, _dark = reduce([path, other], Settings(index_dirs=(), search=False))
    assert report["calibration"]["used"] == {}
    assert report["calibration"]["refused"] == [f"dark: {reason}"]


def test_calibration_of_another_size_is_refused(tmp_path: Path) -> None:
    path = light_alone(tmp_path, IMAGETYP="LIGHT", EXPTIME=30.0)
    dark = Camera(rows=120).expose(0.0, 30.0, np.random.default_rng(2))
    other = save(tmp_path / "dark.fits", dark, IMAGETYP="DARK", EXPTIME=30.0)
    report = next(reduce([path, other], Settings(index_dirs=(), search=False)))
    assert "320×120 pixels, the frame has 320×240" in report["calibration"]["refused"][0]


def test_a_longer_dark_is_scaled_where_there_is_a_bias(tmp_path: Path) -> None:
    camera = Camera()
    session(tmp_path, camera, np.full((camera.rows, camera.columns), 300.0), exposure_s=60.0)
    path = light_alone(tmp_path, IMAGETYP="LIGHT", EXPTIME=30.0, FILTER="V", GAIN=120)
    report = next(reduce([path, *files_in([tmp_path])], Settings(index_dirs=(), search=False)))
    assert "scaled by 0.5" in report["calibration"]["used"]["dark"]
    without = [file for file in files_in([tmp_path]) if "bias" not in file.name]
    report = next(reduce([path, *without], Settings(index_dirs=(), search=False)))
    assert "dark" not in report["calibration"]["used"]
    assert any("without a bias a dark cannot be scaled" in words for words in report["calibration"]["refused"])


def test_a_dark_that_saw_stars_is_of_no_use(tmp_path: Path) -> None:
    path = light_alone(tmp_path, IMAGETYP="LIGHT", EXPTIME=30.0)
    camera = Camera()
    x, y, electrons = field(camera)
    leaked = camera.expose(stars_on(camera, x, y, electrons, 20.0), 30.0, np.random.default_rng(2))
    other = save(tmp_path / "dark.fits", leaked, IMAGETYP="DARK", EXPTIME=30.0)
    report, dark = reduce([path, other], Settings(index_dirs=(), search=False))
    assert report["calibration"]["used"] == {}
    assert "stars are in it" in dark["error"]


def test_the_verb_names_what_it_cannot_read_and_does_the_rest(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = light_alone(tmp_path, IMAGETYP="LIGHT", EXPTIME=30.0)
    broken = tmp_path / "broken.fits"
    broken.write_bytes(path.read_bytes()[:5000])
    nothing = tmp_path / "nothing.fits"
    nothing.write_bytes(b"")
    code = main(["reduce", "--json", "--no-search", str(broken), str(nothing), str(path)])
    out = [json.loads(text) for text in capsys.readouterr().out.splitlines()]
    assert code == 1
    assert [Path(found["file"]).name for found in out] == ["broken.fits", "nothing.fits", "alone.fits"]
    assert "error" in out[0] and "error" in out[1] and "error" not in out[2]
