"""The level of a calibration frame: its median and its noise, and whether it can be what it is meant to be."""

import numpy as np

from astrod.domain.exposure import Measured
from astrod.measure.plane import Frame

FULL_ADU = 65535.0
LIGHT_LEAK = 0.25
"""A dark whose median is over this share of full scale has seen light."""
FLAT_RANGE = (0.05, 0.9)
"""A flat's median as a share of full scale: below it noise rules, above it pixels saturate."""
EVERY = 4
SIGMA_OF_MAD = 1.4826


def level(frame: Frame, dark: bool) -> tuple[Measured, str | None]:
    """Median and noise (by the median absolute deviation) in ADU of every fourth pixel, and what is wrong, if anything.

    Whether a flat has its owner's level is not asked here: only whether it holds any light, and not too much.
    """
    pixels = np.asarray(frame.pixels[::EVERY, ::EVERY], dtype=np.float32)
    median = float(np.median(pixels))
    noise = SIGMA_OF_MAD * float(np.median(np.abs(pixels - median)))
    full = float(frame.saturation_adu or FULL_ADU)
    saturated = int(np.count_nonzero(pixels >= full))
    measured = Measured(0, median, noise, None, None, saturated)
    share = median / full
    if dark:
        return measured, f"its median is {share:.0%} of full scale: light got in" if share > LIGHT_LEAK else None
    low, high = FLAT_RANGE
    wrong = not low <= share <= high
    return measured, f"its median is {share:.0%} of full scale, outside {low:.0%}..{high:.0%}" if wrong else None
