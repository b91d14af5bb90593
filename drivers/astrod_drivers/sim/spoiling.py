"""Frames that a faulty camera hands out: black, constant, the same again, cut short."""

from pathlib import Path

import numpy as np

from astrod_drivers.protocols import RawFrame
from astrod_drivers.sim.injector import Running

KINDS = frozenset({"black", "constant", "repeat", "crop", "torn"})


def spoil(running: Running, frame: RawFrame) -> None:
    """Change the frame's file as the fault would have it. Raises OSError."""
    if running.fault.kind == "torn":
        _tear(frame.path)
        return
    pixels = np.load(frame.path)
    match running.fault.kind:
        case "black":
            pixels = np.zeros_like(pixels)
        case "constant":
            pixels = np.full_like(pixels, round(running.fault.size))
        case "repeat":
            pixels = running.memory.setdefault("pixels", pixels)
        case "crop":
            pixels = pixels[: pixels.shape[0] // 2]
    np.save(frame.path, pixels)


def _tear(path: Path) -> None:
    content = path.read_bytes()
    path.write_bytes(content[: len(content) // 2])
