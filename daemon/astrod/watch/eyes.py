"""What a worker does with a watch's picture: clouds, meteors, and the meteor of our own that must be found."""

import math
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from astrod.domain.watching import OVERHEAD_DEG, CloudCell, Detection, SkyCover, SkySeen
from astrod.watch.watch import Order

TRIED_SNR = 8.0
"""How far our own meteor stands above the noise: one that a careful person would just see at once."""
TRIED_PX = 60.0
FOUND_WITHIN_PX = 25.0
KEPT = ("meteor",)
"""What of all that crosses the sky goes into the archive."""


def look_at(order: Order) -> SkySeen:
    """Look at a glance. Raises InputInvalid, naming the file, for what is no picture."""
    from astrod.frames.stack import read_stack  # in the worker only: the control process stays small
    from astrod.errors import InputInvalid

    stack = read_stack(order.glance.path)
    if stack is None:
        raise InputInvalid(f"{order.glance.path}: neither a picture nor an FF stack")
    plane = stack.mean if stack.mean is not None else stack.maximum
    cover = _cover(order, np.asarray(plane, dtype=np.float32)) if order.setup.clouds else None
    if not order.setup.meteors:
        return SkySeen(order.glance.at_us, cover)
    return replace(_crossings(order, stack), cover=cover)
