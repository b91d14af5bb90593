"""`astrod clouds` from files to answers: reading, calibrating, directions, maps, and every kind of bad input."""

import gzip
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from astropy.io import fits
from numpy.typing import NDArray
from PIL import Image

from astrod.cli import exits
from astrod.cli.main import main
from astrod.errors import InputInvalid
from astrod.measure.brightstars import bright_stars
from astrod.measure.fisheye import Fisheye, horizontal_of
from astrod.overcast import (
    Calibration,
    Moment,
    Survey,
    calibrate,
    cloud_map,
    directions,
    read_calibration,
    report,
    survey,
    survey_plane,
    write_calibration,
)

NIGHT = Moment(41.6, 2.1, 1_765_750_000_000_000)
CAMERA = Fisheye(322.0, 238.0, 142.0, -0.03, 0.0, (0.02, -0.03, 2.1), False)


def allsky(limit: float = 4.6, covered_below: float | None = None) -> NDArray[np.float32]:
    """A camera's picture of the real stars at NIGHT; covered where the azimuth is less than `covered_below`."""
    dice = np.random.default_rng(12)
    row, column = np.indices((480, 640), dtype=np.float64)
    azimuth, altitude = CAMERA.horizontal(column, row)
    lit = np.nan_to_num(altitude, nan=-90.0) > 0.0
    plane = np.where(lit, 60.0, 6.0) + dice.normal(0.0, 1.5, row.shape)
    catalogue = bright_stars().brighter(limit)
    az, alt = horizontal_of(catalogue.ra_deg, catalogue.dec_deg, NIGHT.at_us, NIGHT.latitude_deg, NIGHT.longitude_deg)
    x, y = CAMERA.pixels(az, alt)
    for px, py, up, magnitude in zip(x, y, alt, catalogue.magnitude, strict=True):
        if up > 2.0:
            near = (slice(max(0, int(py) - 5), int(py) + 6), slice(max(0, int(px) - 5), int(px) + 6))
            spot = np.exp(-0.5 * ((column[near] - px) ** 2 + (row[near] - py) ** 2) / 1.1**2)
            plane[near] += min(180.0, 9.0 * 10 ** (0.4 * (limit - magnitude))) * spot
    if covered_below is not None:
        cloud = lit & (azimuth < covered_below)
        wave = 110.0 + 18.0 * np.sin(column / 19.0) * np.cos(row / 14.0) + 12.0 * np.sin((column + row) / 9.0)
        plane = np.where(cloud, wave + dice.normal(0.0, 2.0, row.shape), plane)
    return np.clip(plane, 0, 255).astype(np.float32)


@pytest.fixture(scope="module")
def clear() -> Survey:
    return survey_plane(allsky())


@pytest.fixture(scope="module")
def half() -> Survey:
    return survey_plane(allsky(covered_below=180.0))


def test_a_clear_sky_is_clear_and_half_a_sky_is_half(clear: Survey, half: Survey) -> None:
    assert clear.verdict.fraction is not None
    assert half.verdict.fraction is not None
    assert clear.verdict.fraction < 0.2
    assert 0.25 < half.verdict.fraction < 0.75


def test_the_camera_is_calibrated_by_its_own_stars(clear: Survey, tmp_path: Path) -> None:
    camera = calibrate(clear, NIGHT)
    assert camera.residual_arcmin < 10.0
    x, y = np.array([200.0, 322.0, 450.0]), np.array([150.0, 240.0, 300.0])
    apart = np.array(camera.horizontal(x, y)) - np.array(CAMERA.horizontal(x, y))
    assert np.abs((apart + 180) % 360 - 180)[1].max() < 0.15
    path = tmp_path / "camera.json"
    write_calibration(path, camera, clear, NIGHT)
    again = read_calibration(path)
    assert np.allclose(again.pointing.horizontal(x, y), camera.horizontal(x, y), atol=1e-4)
    assert calibrate(clear, NIGHT, again).residual_arcmin < 10.0


def test_the_map_says_which_side_is_covered(half: Survey) -> None:
    found = cloud_map(half, Calibration(CAMERA, 640, 480), NIGHT.at_us)
    assert found is not None
    assert found.is_oriented
    east, west = found.chance(90.0, 45.0), found.chance(270.0, 45.0)
    assert east is not None
    assert west is not None
    assert east > 0.5 > west
    share = found.covered_share(above_deg=30.0)
    assert share is not None
    assert 0.25 < share < 0.75


def test_without_a_calibration_only_heights_are_known(half: Survey) -> None:
    found = cloud_map(half, None, NIGHT.at_us)
    assert found is not None
    assert not found.is_oriented
    assert found.chance(10.0, 45.0) == found.chance(190.0, 45.0)


def test_a_calibration_for_other_pictures_is_refused(clear: Survey) -> None:
    with pytest.raises(InputInvalid, match="640×480"):
        directions(clear, Calibration(CAMERA, 1280, 960))


@pytest.mark.parametrize(
    ("text", "word"),
    [("{", "not JSON"), ("[1]", "not a calibration"), ('{"kind": "fisheye"}', "size"), ("{}", "platepar")],
)
def test_a_bad_calibration_is_named(tmp_path: Path, text: str, word: str) -> None:
    path = tmp_path / "calibration.json"
    path.write_text(text)
    with pytest.raises(InputInvalid, match=word) as caught:
        read_calibration(path)
    assert str(path) in str(caught.value)


def test_the_verb_prints_one_object_a_file_in_order(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    Image.fromarray(allsky().astype(np.uint8)).save(tmp_path / "a.jpg")
    (tmp_path / "b.jpg").write_bytes(b"nothing")
    fits.PrimaryHDU(allsky(covered_below=180.0).astype(np.uint16) * 40).writeto(tmp_path / "c.fits")
    (tmp_path / "cal.json").write_text(json.dumps(CAMERA.facts() | {"width": 640, "height": 480}))
    files = [str(tmp_path / name) for name in ("a.jpg", "b.jpg", "c.fits")]
    assert main(["clouds", "--json", "--calibration", str(tmp_path / "cal.json"), *files]) == exits.FAILED
    out, err = capsys.readouterr()
    first, second, third = map(json.loads, out.splitlines())
    assert [found["file"] for found in (first, second, third)] == files
    assert "error" in second
    assert "b.jpg" in err
    for found in (first, third):
        assert 0.0 <= found["cloud_fraction"] <= 1.0
        assert found["dark"] is True
        assert found["why"]
        rows = found["grid"]["p"]
        assert len(rows) == len(rows[0])
        assert {type(cell) for row in rows for cell in row} == {float, type(None)}
        assert found["horizon"]["radius"] > 150
        assert {"az_deg", "alt_deg", "p"} == set(found["sky"][0])
    assert third["cloud_fraction"] > first["cloud_fraction"]


def test_the_verb_calibrates(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    Image.fromarray(allsky().astype(np.uint8)).save(tmp_path / "a.png")
    where = ["--site", "41.6,2.1", "--time", "2025-12-14T22:06:40"]
    assert main(["clouds", "--calibrate", str(tmp_path / "c.json"), *where, str(tmp_path / "a.png")]) == exits.DONE
    assert "′ from their places" in capsys.readouterr().out
    assert read_calibration(tmp_path / "c.json").width == 640
    assert main(["clouds", "--calibrate", str(tmp_path / "d.json"), str(tmp_path / "a.png")]) == exits.FAILED
    assert "--site" in capsys.readouterr().err


@pytest.mark.parametrize("wrong", [["--site", "north"], ["--site", "95,0"], ["--time", "tonight"]])
def test_a_wrong_place_or_time_is_wrong_usage(wrong: list[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        main(["clouds", "a.jpg", *wrong])
    assert caught.value.code == exits.USAGE


def colour(plane: NDArray[Any]) -> NDArray[Any]:
    return np.stack([plane, plane * 0.8, plane * 0.6])


STRANGE: dict[str, Callable[[], NDArray[Any]]] = {
    "one pixel": lambda: np.full((1, 1), 3, dtype=np.uint8),
    "constant": lambda: np.full((64, 80), 9.0),
    "saturated": lambda: np.full((300, 400), 65535, dtype=np.uint16),
    "nothing": lambda: np.full((64, 64), np.nan),
    "mostly nothing": lambda: np.where(allsky() > 100, allsky(), np.nan),
    "negative": lambda: allsky() - 5000.0,
    "double": lambda: allsky().astype(">f8") * 1e30,
    "beyond single": lambda: np.full((50, 50), 1e300),
    "three planes": lambda: colour(allsky()),
    "a line": lambda: np.arange(5000, dtype=np.float32)[None, :],
    "noise": lambda: np.random.default_rng(1).normal(size=(33, 47)),
}


@pytest.mark.parametrize("kind", STRANGE)
def test_strange_pictures_get_an_answer_with_a_reason(tmp_path: Path, kind: str) -> None:
    stream = tmp_path / "a.fits"
    fits.PrimaryHDU(STRANGE[kind]()).writeto(stream)
    path = tmp_path / "a.fits.gz"
    path.write_bytes(gzip.compress(stream.read_bytes(), 1))
    found = report(path)
    assert found["why"]
    assert (found["cloud_fraction"] is None) == (found["grid"]["p"] is None)
    json.dumps(found, allow_nan=False)


def test_by_day_there_is_no_map(tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    Image.fromarray(allsky().astype(np.uint8)).save(path)
    noon = Moment(41.6, 2.1, NIGHT.at_us - 10 * 3_600_000_000)
    assert noon.is_day
    assert survey(path, moment=noon).verdict.fraction is None
    assert not survey(path, moment=noon).verdict.is_dark
