"""Measuring: against truth on simple skies, on odd frames, and the same each time."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from astrod.errors import InputInvalid
from astrod.measure import measure
from astrod_models.quality import FEATURES


@dataclass(frozen=True, slots=True, eq=False)
class Raw:
    """A frame in memory, as the measuring station takes it."""

    pixels: NDArray[Any]
    bayer: str | None = None
    mask: NDArray[np.bool_] | None = None
    exposure_s: float | None = 30.0
    saturation_adu: float | None = None


def field(
    fwhm_px: float = 3.0,
    stretch: float = 1.0,
    stars: int = 80,
    noise: float = 10.0,
    seed: int = 1,
    shape: tuple[int, int] = (512, 640),
    donut_px: float = 0.0,
) -> NDArray[np.float32]:
    """Gaussian stars (or rings of diameter `donut_px`) over a flat sky of 500 ADU."""
    rng = np.random.default_rng(seed)
    frame = rng.normal(500.0, noise, shape)
    reach = int(3 * fwhm_px * stretch + donut_px) + 6
    for _star in range(stars):
        x, y = rng.uniform(reach, shape[1] - reach), rng.uniform(reach, shape[0] - reach)
        flux = noise * 10.0 ** rng.uniform(2.0, 3.5) * (1.0 + fwhm_px + donut_px)
        left, top = int(x) - reach, int(y) - reach
        frame[top : top + 2 * reach, left : left + 2 * reach] += flux * _star_shape(
            x - left, y - top, 2 * reach, fwhm_px, stretch, donut_px
        )
    return frame.astype(np.float32)


def _star_shape(x: float, y: float, side: int, fwhm_px: float, stretch: float, donut_px: float) -> NDArray[np.float64]:
    fine = 5
    axis = (np.arange(side * fine) + 0.5) / fine - 0.5
    u, v = (axis[None, :] - x) / np.sqrt(stretch), (axis[:, None] - y) * np.sqrt(stretch)
    radius, sigma = np.hypot(u, v), fwhm_px / 2.3548
    shape = np.exp(-0.5 * ((radius - 0.4 * donut_px) / sigma) ** 2)
    pixels = shape.reshape(side, fine, side, fine).mean(axis=(1, 3))
    return np.asarray(pixels / pixels.sum())


def bayered(green: NDArray[np.float32], pattern: str) -> NDArray[np.uint16]:
    """A full-size frame whose red pixels see half and whose blue pixels see a third of the light."""
    share = {"R": 0.5, "G": 1.0, "B": 0.35}
    frame = green.copy()
    for place, colour in enumerate(pattern):
        frame[place // 2 :: 2, place % 2 :: 2] *= share[colour]
    return np.clip(np.rint(frame), 0, 65535).astype(np.uint16)


@pytest.mark.parametrize("fwhm_px", [1.2, 1.8, 3.0, 5.0, 9.0])
def test_fwhm_is_true_from_undersampled_to_wide(fwhm_px: float) -> None:
    measured, _ = measure(Raw(field(fwhm_px)))
    with_pixel = np.hypot(fwhm_px, 2.3548 / np.sqrt(12.0))
    # the pixel's own width is part of what is measured
    assert measured.fwhm_px == pytest.approx(with_pixel, rel=0.06)
    assert measured.elongation is not None
    assert measured.elongation < 1.15


@pytest.mark.parametrize("stretch", [1.0, 1.3, 1.8, 2.5])
def test_elongation_is_true(stretch: float) -> None:
    measured, evidence = measure(Raw(field(4.0, stretch)))
    assert measured.elongation == pytest.approx(stretch, rel=0.06)
    assert (evidence.values["coherence"] > 0.2) == (stretch >= 1.3)


def test_counts_background_and_noise() -> None:
    measured, _ = measure(Raw(field(stars=60)))
    assert 50 <= measured.stars <= 62
    assert measured.background == pytest.approx(500.0, abs=2.0)
    assert measured.noise == pytest.approx(10.0, rel=0.1)


def test_a_donut_is_hollow_and_wide() -> None:
    ring, _ = measure(Raw(field(2.5, donut_px=24.0, stars=30)))
    sharp, _ = measure(Raw(field(2.5, stars=30)))
    assert ring.fwhm_px is not None
    assert sharp.fwhm_px is not None
    assert ring.fwhm_px > 5.0 * sharp.fwhm_px
    assert measure(Raw(field(2.5, donut_px=24.0, stars=30)))[1].values["hollow"] < 0.8


@pytest.mark.parametrize("pattern", ["RGGB", "BGGR", "GRBG", "GBRG"])
@pytest.mark.parametrize("declared", [True, False])
def test_bayer_is_measured_in_full_pixels(pattern: str, declared: bool) -> None:
    frame = bayered(field(4.0, seed=3), pattern)
    measured, evidence = measure(Raw(frame, pattern if declared else None))
    assert evidence.values["superpixel"] == 1.0
    assert measured.fwhm_px == pytest.approx(4.3, rel=0.12)
    assert measured.background == pytest.approx(500.0, rel=0.01)  # the greens, not the reds


def test_mono_is_not_taken_for_bayer() -> None:
    assert measure(Raw(field(2.0, stars=300)))[1].values["superpixel"] == 0.0


def test_saturated_stars_are_counted_and_not_measured() -> None:
    frame = np.minimum(field(3.0) * 1.0, 900.0)
    measured, _ = measure(Raw(frame))
    assert measured.saturated > 5


def test_masked_pixels_count_for_nothing() -> None:
    frame = field()
    mask = np.zeros(frame.shape, dtype=bool)
    mask[100:160] = True
    frame[mask] = 500.0
    measured, _ = measure(Raw(frame, mask=mask))
    assert measured.background == pytest.approx(500.0, abs=2.0)


def test_an_empty_sky_tells_no_size() -> None:
    measured, evidence = measure(Raw(field(stars=0)))
    assert (measured.stars, measured.fwhm_px, measured.elongation) == (0, None, None)
    assert set(evidence.values) == set(FEATURES)


def test_hot_pixels_are_no_stars() -> None:
    frame = field(stars=0)
    spots = np.random.default_rng(2).integers(0, frame.size, 200)
    frame.ravel()[spots] += 800.0
    measured, evidence = measure(Raw(frame))
    assert measured.stars < 10
    assert evidence.values["log_hot"] > 1.0


@pytest.mark.parametrize("shape", [(16, 16), (17, 300), (300, 17), (63, 65)])
def test_small_frames_are_measured(shape: tuple[int, int]) -> None:
    rng = np.random.default_rng(0)
    _, evidence = measure(Raw(rng.normal(100.0, 5.0, shape).astype(np.float32)))
    assert np.isfinite(list(evidence.values.values())).all()


@pytest.mark.parametrize("scale", [1e-4, 1e6])
def test_any_unit_of_brightness_gives_the_same_features(scale: float) -> None:
    one, _ = measure(Raw(field()))
    other, _ = measure(Raw(field() * np.float32(scale)))
    assert other.stars == one.stars
    assert other.fwhm_px == pytest.approx(one.fwhm_px, rel=1e-3)


def test_a_frame_without_noise_is_refused() -> None:
    flat = np.full((64, 64), 7.0, dtype=np.float32)
    with pytest.raises(InputInvalid, match="no noise"):
        measure(Raw(flat))


def test_structure_everywhere_is_measured_or_refused() -> None:
    stripes = np.tile([0.0, 65535.0], (400, 200)).astype(np.float32)
    stripes += np.random.default_rng(0).normal(0, 1, stripes.shape).astype(np.float32)
    measured, _ = measure(Raw(stripes))
    assert measured.noise is not None


def test_the_same_frame_gives_the_same_numbers() -> None:
    first, second = measure(Raw(field(seed=9))), measure(Raw(field(seed=9)))
    assert first[0] == second[0]
    assert first[1].values == second[1].values


def strange(kind: str, rows: int, columns: int, seed: int) -> NDArray[np.float32]:
    """Frames that no sky would give."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[0:rows, 0:columns]
    frames = {
        "two levels": (rng.random((rows, columns)) < 0.3) * 1.0,
        "one hot pixel": np.where((x == 3) & (y == 3), 60000.0, 7.0),
        "checks": ((x + y) % 2) * 40000.0,
        "slope": 1.0 * x - 3.0 * y,
        "huge": rng.normal(0.0, 1e30, (rows, columns)),
        "tiny": rng.normal(1.0, 1e-30, (rows, columns)),
        "saturated": np.minimum(rng.normal(65535.0, 300.0, (rows, columns)), 65535.0),
        "negative": rng.normal(-5000.0, 3.0, (rows, columns)),
        "disc": np.where(np.hypot(x - columns / 2, y - rows / 2) < rows / 3, 60000.0, 10.0),
        "bright noise": rng.exponential(100.0, (rows, columns)),
    }
    return np.asarray(frames[kind], dtype=np.float32)


KINDS = (
    "two levels",
    "one hot pixel",
    "checks",
    "slope",
    "huge",
    "tiny",
    "saturated",
    "negative",
    "disc",
    "bright noise",
)


@settings(max_examples=120, deadline=None)
@given(st.sampled_from(KINDS), st.integers(16, 150), st.integers(16, 150), st.integers(0, 9))
def test_strange_frames_are_measured_or_refused(kind: str, rows: int, columns: int, seed: int) -> None:
    """Never a crash, a warning or a number that is none."""
    try:
        measured, evidence = measure(Raw(strange(kind, rows, columns, seed)))
    except InputInvalid as refusal:
        assert "frame" in str(refusal) or "structure" in str(refusal)
    else:
        assert measured.stars >= 0
        assert np.isfinite(list(evidence.values.values())).all()


def test_a_faint_trail_stands_out_of_all_other_lines() -> None:
    quiet = field(stars=60)
    y, x = np.mgrid[0 : quiet.shape[0], 0 : quiet.shape[1]]
    trail = 8.0 * np.exp(-0.5 * ((0.6 * x - 0.8 * y + 40.0) / 1.5) ** 2)  # 0.8 of the noise, invisible to the eye
    without = measure(Raw(quiet))[1].values["log_line"]
    assert measure(Raw(quiet + trail.astype(np.float32)))[1].values["log_line"] > without + 0.15
