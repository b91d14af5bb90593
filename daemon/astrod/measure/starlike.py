"""Which of the detected sources are stars, and how far their light reaches: what an ordinary frame is full of."""

import numpy as np
from numpy.typing import NDArray

from astrod.measure.sources import Sources

Floats = NDArray[np.float64]

_DETECTED_SIGMAS = 4.0
_LONGEST = 3.5
_LARGER_THAN_USUAL = 4.0
_SATURATED_LARGER = 40.0
_FEW = 5
_FEW_CORE_PX2 = 60.0
_BEYOND_ISOPHOTE = 1.8
"""Light falls from the isophote at four sigmas to a fifth of a sigma within so many times its radius (Moffat)."""


def starlike(listed: Sources, full: NDArray[np.bool_]) -> Floats:
    """Rows of x, y and the radius that a star's light fills, pixels of the plane, for sources no larger and no longer
    than the frame's others at their brightness, and for hot pixels. `full` marks saturated sources; they may be larger.
    """
    if len(listed) == 0:
        return np.zeros((0, 3))
    core = listed.area / (np.log(np.maximum(listed.signal, 1.1 * _DETECTED_SIGMAS) / _DETECTED_SIGMAS) + 0.5)
    usual = float(np.median(core)) if len(listed) >= _FEW else min(float(np.median(core)), _FEW_CORE_PX2)
    allowed = np.where(full, _SATURATED_LARGER, _LARGER_THAN_USUAL) * usual
    chosen = ((core <= allowed) & (listed.a <= _LONGEST * listed.b)) | listed.hot
    radius = _BEYOND_ISOPHOTE * np.sqrt(listed.area / np.pi) + 1.5
    return np.stack([listed.x, listed.y, radius], axis=1)[chosen]
