"""FTPdetectinfo: the text form in which the Global Meteor Network passes on its detections (RMS's FTPdetectinfo.py).

Without a plate solution the angles are written as zeros and the magnitude as 0.00, as RMS does before its calibration.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from astrod.errors import InputInvalid

_RULE = "-------------------------------------------------------"
_LONG_RULE = "-----------------------------------------------------"


@dataclass(frozen=True, slots=True)
class Detection:
    """One meteor: the stack's file name, the station, and its points (frame, column, row, intensity)."""

    name: str
    station: str
    fps: float
    angle_deg: float
    px_per_frame: float
    points: tuple[tuple[float, float, float, float], ...]


def write_detectinfo(path: Path, detections: Sequence[Detection], processed: str) -> None:
    """Write all detections; `processed` is the line that says by what and when. Raises InputInvalid."""
    head = [
        f"Meteor Count = {len(detections):06d}",
        _LONG_RULE,
        processed,
        _LONG_RULE,
        "FF  folder = .",
        "CAL folder = .",
        _LONG_RULE,
        "FF  file processed",
        "CAL file processed",
        "Cam# Meteor# #Segments fps hnr mle bin Pix/fm Rho Phi",
        "Per segment:  Frame# Col Row RA Dec Azim Elev Inten Mag",
    ]
    numbers: dict[str, int] = {}
    body: list[str] = []
    for detection in detections:
        numbers[detection.name] = numbers.get(detection.name, 0) + 1
        body += _lines(detection, numbers[detection.name])
    try:
        path.write_text("\n".join([*head, *body]) + "\n", encoding="ascii", errors="replace")
    except OSError as fault:
        raise InputInvalid(f"{path}: cannot be written: {fault.strerror or fault}") from fault


def _lines(detection: Detection, number: int) -> list[str]:
    rho, phi = hough_form(detection)
    yield_head = (
        f"{detection.station} {number:04d} {len(detection.points):04d} {detection.fps:07.2f} 000.0 000.0  00.0 "
        f"{detection.px_per_frame:05.1f} {rho:06.1f} {phi:06.1f}"
    )
    points = [
        f"{frame:08.4f} {column:07.2f} {row:07.2f} 000.0000 +00.0000 000.0000 +00.0000 {round(light):06d} 0.00"
        for frame, column, row, light in detection.points
    ]
    return [_RULE, detection.name, "Not calibrated", yield_head, *points]


def hough_form(detection: Detection) -> tuple[float, float]:
    """The line's distance from the first pixel, and the angle of its normal in degrees, from the track's ends."""
    x, y = (np.array([point[axis] for point in detection.points]) for axis in (1, 2))
    normal = np.deg2rad(detection.angle_deg + 90.0)
    rho = float(x.mean() * np.cos(normal) + y.mean() * np.sin(normal))
    phi = float(np.rad2deg(normal))
    if rho < 0.0:
        rho, phi = -rho, phi + 180.0
    return rho, (phi + 180.0) % 360.0 - 180.0
