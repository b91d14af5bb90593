"""Real frames of real cameras: what an owner would keep is kept. Skipped where the frames are not at hand."""

from pathlib import Path

import pytest

from astrod.appraise import appraise
from astrod.errors import InputInvalid

FRAMES = Path(__file__).resolve().parents[2].parent / "shared" / "data" / "frames"

pytestmark = [
    pytest.mark.data,
    pytest.mark.skipif(not FRAMES.is_dir(), reason=f"no real frames at {FRAMES}"),
]

GOOD = {
    "seestar": "*.fit.gz",
    "donuts": "*.fit.gz",
    "hatp32": "*.FITS.gz",
    "panoptes": "tests_data_*solved.fits*.gz",
}


@pytest.mark.parametrize("camera", GOOD)
def test_nine_of_ten_good_frames_are_kept(camera: str) -> None:
    verdicts = {path.name: appraise(path).judgement for path in sorted((FRAMES / camera).glob(GOOD[camera]))}
    rejected = {name: (said.cause, said.quality) for name, said in verdicts.items() if said.decision == "reject"}
    assert len(rejected) <= len(verdicts) / 10, rejected


@pytest.mark.parametrize(
    ("name", "fwhm_px", "slack"),
    [
        ("seestar/Light_M_94_10.0s_IRCUT_20250326-212046.fit.gz", 3.4, 0.6),
        ("hatp32/HATP-32171220014812.FITS.gz", 2.2, 0.5),
    ],
)
def test_sizes_are_those_seen_by_eye(name: str, fwhm_px: float, slack: float) -> None:
    assert appraise(FRAMES / name).measured.fwhm_px == pytest.approx(fwhm_px, abs=slack)


def test_a_dark_is_kept_in_doubt_at_most() -> None:
    """One frame without stars may be a clear, empty field; what was exposed with a shutter is the gate's to know."""
    dark = FRAMES / "panoptes" / "images_focus_SC3283_20160813T150006_dark.fits.gz"
    assert appraise(dark).judgement.quality < 70.0


def test_the_pole_turned_in_circles_is_trailing() -> None:
    said = appraise(FRAMES / "panoptes" / "tests_data_rotation.fits.gz").judgement
    assert said.decision == "reject"


def test_every_real_file_is_read_or_refused_by_name() -> None:
    for path in sorted(FRAMES.rglob("*.gz")):
        try:
            appraise(path)
        except InputInvalid as refusal:
            assert path.name in str(refusal)
