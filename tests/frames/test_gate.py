"""The gate lets frames pass and nothing else."""

import dataclasses
import math

import numpy as np
import pytest

from astrod.domain.instant import SECOND_US
from astrod.frames.gate import Asked, digest, refusal
from tests.frames.exposures import noise

ASKED = Asked(
    width_px=64,
    height_px=48,
    exposure_s=300.0,
    asked_us=1000 * SECOND_US,
    arrived_us=1305 * SECOND_US,
    started_us=1001 * SECOND_US,
    roof_open=True,
    off_target_arcmin=0.4,
)


def sky() -> np.ndarray[tuple[int, int], np.dtype[np.uint16]]:
    return np.random.default_rng(3).normal(1000, 20, (48, 64)).astype(np.uint16)


def test_a_frame_of_the_sky_passes() -> None:
    assert refusal(sky(), ASKED, [digest(noise())]) is None


def test_what_is_not_configured_stops_nothing() -> None:
    assert refusal(sky(), dataclasses.replace(ASKED, roof_open=None, off_target_arcmin=None), []) is None


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"width_px": 65}, "64×48 pixels and 65×48 were asked for"),
        ({"roof_open": False}, "roof was not open"),
        ({"off_target_arcmin": 12.0}, "12.0' from the target"),
        ({"off_target_arcmin": math.nan}, "from the target"),
        ({"started_us": 990 * SECOND_US}, "before it was asked for"),
        ({"started_us": 1010 * SECOND_US}, "too late"),
        ({"saturation_adu": 900}, "saturated"),
    ],
)
def test_says_why_not(change: dict[str, float], words: str) -> None:
    reason = refusal(sky(), dataclasses.replace(ASKED, **change), [])  # type: ignore[arg-type]
    assert reason is not None and words in reason


def test_a_repeated_frame_is_told_by_its_pixels() -> None:
    pixels = sky()
    reason = refusal(pixels, ASKED, [digest(noise()), digest(pixels.copy())])
    assert reason is not None and "earlier frame" in reason


def test_one_value_or_a_broken_read_out_is_no_frame() -> None:
    assert "every pixel is 7" in str(refusal(np.full((48, 64), 7, np.uint16), ASKED, []))
    broken = sky()
    broken[30:] = 0
    assert "broke off" in str(refusal(broken, ASKED, []))


def test_black_is_right_for_a_bias_and_wrong_for_a_light() -> None:
    black = np.zeros((48, 64), np.uint16)
    black[:, 1] = 3
    assert "black" in str(refusal(black, ASKED, []))
    assert refusal(black, dataclasses.replace(ASKED, light=False, roof_open=False), []) is None
