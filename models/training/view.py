"""A raw frame in memory, as the measuring station takes it."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from astrod.measure.plane import plane
from training.dataset import Drawn


@dataclass(frozen=True, slots=True, eq=False)
class Raw:
    """Pixels and their Bayer pattern; nothing else is known, as with many cameras' headers."""

    pixels: NDArray[Any]
    bayer: str | None = None
    mask: NDArray[np.bool_] | None = None
    exposure_s: float | None = None
    saturation_adu: float | None = None

    def drawn(self, labels: Mapping[str, float]) -> Drawn:
        """The frame's plane with its labels."""
        return Drawn(plane(self), labels)
