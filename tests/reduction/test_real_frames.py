"""Real frames of others, where they are kept beside the project: solved, measured, and what their headers hide."""

from pathlib import Path

import pytest

from astrod.measure.index import index_files
from astrod.reduction import INDEX_DIRS, Settings, reduce

FRAMES = Path(__file__).parents[3] / "shared" / "data" / "frames"
if not FRAMES.is_dir():
    FRAMES = Path(__file__).parents[4] / "shared" / "data" / "frames"
pytestmark = [
    pytest.mark.data,
    pytest.mark.skipif(not FRAMES.is_dir(), reason="the real frames are not beside the project"),
    pytest.mark.skipif(not index_files(INDEX_DIRS), reason="Debian's astrometry-data-tycho2 is not installed"),
]


@pytest.mark.parametrize(
    ("name", "place", "scale"),
    [
        ("hatp32/HATP-32171220013343.FITS.gz", (31.25, 46.74), 5.163),
        ("panoptes/pocs_tests_data_solved.fits.gz", (303.20, 46.02), 10.31),
        ("panoptes/tests_data_solved.fits.fz.gz", (303.20, 46.02), 10.31),
        ("seestar/Light_M_94_10.0s_IRCUT_20250326-212312.fit.gz", (192.77, 41.12), 2.376),
    ],
)
def test_a_frame_is_solved_and_its_zero_point_known(name: str, place: tuple[float, float], scale: float) -> None:
    (report,) = reduce([FRAMES / name], Settings(search=False))
    assert report["solved"]["ra_deg"] == pytest.approx(place[0], abs=0.03)
    assert report["solved"]["dec_deg"] == pytest.approx(place[1], abs=0.02)
    assert report["solved"]["scale_arcsec_px"] == pytest.approx(scale, rel=0.002)
    assert report["solved"]["residual_arcsec"] < 0.35 * scale
    assert report["zero_point"]["band"] == "VT"
    assert report["zero_point"]["stars"] >= 8
    assert report["sky"]["mag_arcsec2"] is None  # the pedestal is in it


def test_a_frame_with_too_few_clean_stars_has_no_zero_point() -> None:
    (report,) = reduce([FRAMES / "panoptes" / "tests_data_pole.fits.gz"], Settings(search=False))
    assert report["solved"] is not None
    assert report["zero_point"] is None
    assert "8 are needed" in report["zero_point_unknown"]


def test_a_dark_whose_header_says_little_serves_and_the_doubts_are_told() -> None:
    light = FRAMES / "panoptes" / "images_focus_SC3283_20160813T150006_20000-fine-initial.fits.gz"
    dark = FRAMES / "panoptes" / "images_focus_SC3283_20160813T150006_dark.fits.gz"
    first, second = reduce([light, dark], Settings(search=False))
    assert "dark" in first["calibration"]["used"]
    assert "dark: temperature is not told" in first["calibration"]["doubts"]
    assert second["served"] == 1
    assert first["solved"] is None
    assert any("tells no place and no scale" in remark for remark in first["remarks"])
