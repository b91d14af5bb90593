"""Stars to guide by: the brightest ones that are not saturated, not hot pixels, and not at the edge."""

import numpy as np
from numpy.typing import NDArray

from astrod.domain.guiding import GuideStar
from astrod.errors import InputInvalid
from astrod.measure.sources import sky, sources

MOST = 12
EDGE_PX = 12
SATURATED_SHARE = 0.92


def guide_stars(pixels: NDArray[np.uint16 | np.float32], saturation_adu: float) -> tuple[GuideStar, ...]:
    """Up to MOST stars by falling flux; positions in pixels, 0 the centre of the first. None where there are none."""
    try:
        found = sky(np.ascontiguousarray(pixels, dtype=np.float32), None)
        seen = sources(found, None)
    except InputInvalid:
        return ()  # a frame without any structure: no star
    height, width = pixels.shape
    inside = (seen.x > EDGE_PX) & (seen.y > EDGE_PX) & (seen.x < width - EDGE_PX) & (seen.y < height - EDGE_PX)
    good = inside & ~seen.hot & (seen.peak + found.level < SATURATED_SHARE * saturation_adu) & (seen.signal > 6.0)
    chosen = np.flatnonzero(good)[:MOST]
    return tuple(GuideStar(float(seen.x[k]), float(seen.y[k]), float(seen.flux[k])) for k in chosen)
