"""The gate lets frames pass and nothing else."""

import dataclasses
import math
from typing import Any

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


COLD: dict[str, Any] = {"target_c": -10.0, "before_c": -9.8, "after_c": -10.1}
COOLED: dict[str, Any] = {"cooled_before": True, "cooled_after": True}


@pytest.mark.parametrize(
    ("change", "culprit", "words"),
    [
        ({"width_px": 65}, "camera", "64×48 pixels and 65×48 were asked for"),
        ({"roof_open": False}, "roof", "roof was not open"),
        ({"off_target_arcmin": 12.0}, "mount", "12.0' from the target"),
        ({"off_target_arcmin": math.nan}, "mount", "from the target"),
        ({"tracked": False}, "mount", "did not track"),
        ({"filter_asked": "L", "filter_seen": "Ha"}, "wheel", "the filter was Ha"),
        ({"started_us": 990 * SECOND_US}, "camera", "before it was asked for"),
        ({"started_us": 1010 * SECOND_US}, "camera", "too late"),
        ({"saturation_adu": 900}, "light", "saturated"),
        ({**COLD, **COOLED, "after_c": -6.9}, "cooler", "drifted to -6.9 C"),
        ({**COLD, **COOLED, "after_c": math.nan}, "cooler", "drifted"),
        ({**COLD, **COOLED, "cooled_after": False}, "cooler", "went off"),
    ],
)
def test_says_why_not_and_who_is_to_blame(change: dict[str, Any], culprit: str, words: str) -> None:
    refused = refusal(sky(), dataclasses.replace(ASKED, **change), [])
    assert refused is not None
    assert refused.culprit == culprit
    assert words in refused.reason


@pytest.mark.parametrize(
    "change",
    [
        {**COLD, **COOLED},
        {"target_c": -10.0, "before_c": 2.0, "after_c": 2.5},  # it never became cold, and was let observe
        {**COLD, "before_c": None},  # a camera that does not tell
        {"filter_asked": "L", "filter_seen": None},  # a wheel that does not tell
        {"light": False, "roof_open": False, "tracked": False, "off_target_arcmin": 900.0},  # a dark
    ],
)
def test_what_nobody_knows_or_what_does_not_matter_stops_nothing(change: dict[str, Any]) -> None:
    assert refusal(sky(), dataclasses.replace(ASKED, **change), []) is None


def test_a_dark_that_saw_light_is_refused() -> None:
    bright = np.full((48, 64), 65000, np.uint16)
    bright[0, :32] = 64000
    dark = dataclasses.replace(ASKED, light=False, saturation_adu=60000)
    refused = refusal(bright + np.arange(64, dtype=np.uint16), dark, [])
    assert refused is not None and "stood open in the light" in refused.reason


def test_a_repeated_frame_is_told_by_its_pixels() -> None:
    pixels = sky()
    refused = refusal(pixels, ASKED, [digest(noise()), digest(pixels.copy())])
    assert refused is not None and "earlier frame" in refused.reason
    assert refused.culprit == "camera"


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


DARK: dict[str, Any] = {"dark_adu": 500.0, "dark_noise_adu": 6.0}


def closed(level: float = 500.0, seed: int = 5) -> np.ndarray[tuple[int, int], np.dtype[np.uint16]]:
    """What a camera gives that sees nothing: its bias level, noise, hot pixels, and a cosmic ray."""
    random = np.random.default_rng(seed)
    pixels = random.normal(level, 6.0, (48, 64))
    pixels[random.integers(0, 48, 20), random.integers(0, 64, 20)] += 3000.0
    pixels[20, 30:36] += 900.0
    return pixels.astype(np.uint16)


def starry(level: float = 500.0) -> np.ndarray[tuple[int, int], np.dtype[np.uint16]]:
    """The darkest sky behind a narrow filter: the same level, and stars."""
    pixels = closed(level).astype(float)
    y, x = np.mgrid[:48, :64]
    random = np.random.default_rng(9)
    for _ in range(40):
        pixels += 800.0 * np.exp(-((x - random.uniform(0, 64)) ** 2 + (y - random.uniform(0, 48)) ** 2) / 5.0)
    return pixels.astype(np.uint16)


def test_black_is_black_at_the_bias_level_too() -> None:
    asked = dataclasses.replace(ASKED, exposure_s=30.0, arrived_us=1035 * SECOND_US, **DARK)
    refused = refusal(closed(), asked, [])
    assert refused is not None and "black" in refused.reason and refused.culprit == "camera"
    assert refusal(closed(), dataclasses.replace(asked, light=False, roof_open=False), []) is None


def test_a_dark_sky_with_stars_clouds_and_what_was_never_darkened_are_not_black() -> None:
    asked = dataclasses.replace(ASKED, exposure_s=30.0, arrived_us=1035 * SECOND_US, **DARK)
    assert refusal(starry(), asked, []) is None
    assert refusal(closed(level=520.0), asked, []) is None  # clouds are lit by the ground
    assert refusal(closed(), dataclasses.replace(asked, dark_adu=None, dark_noise_adu=None), []) is None


def test_a_frame_full_of_sky_is_told_from_a_read_out_that_broke_off() -> None:
    bright = sky()
    bright[:40] = 65535  # most rows hold one value: that of a full pixel
    found = refusal(bright, ASKED, [])
    assert found is not None and found.full and found.culprit == "light"
    whole = refusal(np.full((48, 64), 65535, np.uint16), ASKED, [])
    assert whole is not None and whole.full and "too bright" in whole.reason
    dark = refusal(np.full((48, 64), 65535, np.uint16), dataclasses.replace(ASKED, light=False), [])
    assert dark is not None and not dark.full
