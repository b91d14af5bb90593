"""How a frame was taken, as far as its header says, and which calibration frames may serve it.

`domain.calibration` plans what astrod itself takes; this judges frames of any origin, whose headers may say little.
What both headers state must agree; what one of them leaves out is a doubt, told and not held against it.
"""

from dataclasses import dataclass
from typing import Literal

from astrod.domain.calibration import DAY_FLAT_DARK, WITHIN_C, WITHIN_EXPOSURE, WITHIN_ROTATION_DEG

SetupKind = Literal["light", "bias", "dark", "flat", "flat_dark"]
CALIBRATING: tuple[SetupKind, ...] = ("bias", "dark", "flat", "flat_dark")

WITHIN_SETTING = 1e-3
"""Gain and offset are settings: equal but for rounding."""


@dataclass(frozen=True, slots=True)
class Setup:
    """What decides whether two frames go together; None is *not told*.

    `rows` and `columns` are of the whole stored array. `gain` and `offset` are the camera's settings, whatever their
    unit. `temperature_c` is the sensor's, `rotation_deg` the rotator's mechanical angle.
    """

    rows: int
    columns: int
    camera: str | None = None
    binning: str | None = None
    gain: float | None = None
    offset: float | None = None
    exposure_s: float | None = None
    temperature_c: float | None = None
    filter: str | None = None
    bayer: str | None = None
    readout: str | None = None
    telescope: str | None = None
    rotation_deg: float | None = None


@dataclass(frozen=True, slots=True)
class Fit:
    """How a calibration frame suits another frame: not at all, and why (`refused`), or with these `doubts`."""

    refused: str | None = None
    doubts: tuple[str, ...] = ()


def fits(kind: SetupKind, made: Setup, frame: Setup) -> Fit:
    """Whether calibration of a kind, made so, suits a frame; exposure is not asked here (see `dark_factor`).

    >>> fits("flat", Setup(10, 10, filter="V"), Setup(10, 10, filter="B")).refused
    "filter 'V', the frame's is 'B'"
    """
    if (made.rows, made.columns) != (frame.rows, frame.columns):
        size, wanted = f"{made.columns}×{made.rows}", f"{frame.columns}×{frame.rows}"
        return Fit(f"{size} pixels, the frame has {wanted}: another camera, binning or part of the sensor")
    doubts = []
    for name, differs in _compared(kind, made, frame):
        if differs is None:
            doubts.append(f"{name} is not told")
        elif differs:
            return Fit(differs)
    return Fit(doubts=tuple(doubts))


def _compared(kind: SetupKind, made: Setup, frame: Setup) -> list[tuple[str, str | None]]:
    """For each thing that must agree: its name, and how it differs; "" where it agrees, None where nobody knows."""
    words: list[tuple[str, str | None, str | None]] = [
        ("camera", _plain(made.camera), _plain(frame.camera)),
        ("binning", made.binning, frame.binning),
        ("readout mode", _plain(made.readout), _plain(frame.readout)),
    ]
    if kind == "flat":
        words.append(("filter", made.filter, frame.filter))
        words.append(("telescope", _plain(made.telescope), _plain(frame.telescope)))
    found = [(name, _different(name, a, b)) for name, a, b in words]
    if made.bayer is not None and frame.bayer is not None:
        found.append(("Bayer pattern", _different("Bayer pattern", made.bayer, frame.bayer)))
    for name, one, other in (("gain", made.gain, frame.gain), ("offset", made.offset, frame.offset)):
        if kind == "flat" and name == "offset":
            continue  # what is added is taken away from a flat before it serves
        found.append((name, _apart(name, one, other, WITHIN_SETTING, "")))
    if kind in ("dark", "flat_dark"):
        found.append(("temperature", _apart("temperature", made.temperature_c, frame.temperature_c, WITHIN_C, " °C")))
    if kind == "flat" and made.rotation_deg is not None and frame.rotation_deg is not None:
        turned_deg = abs((made.rotation_deg - frame.rotation_deg + 180.0) % 360.0 - 180.0)
        words_ = f"rotation {made.rotation_deg:g}°, the frame's is {frame.rotation_deg:g}°"
        found.append(("rotation", words_ if turned_deg > WITHIN_ROTATION_DEG else ""))
    # where neither says a thing (most headers have no readout mode) there is nothing to doubt
    silent = {"readout mode", "offset", "telescope"}
    return [(name, differs) for name, differs in found if not (differs is None and name in silent)]


def _different(name: str, made: str | None, frame: str | None) -> str | None:
    if made is None or frame is None:
        return "" if made is frame and name in ("readout mode", "filter") else None
    return "" if made == frame else f"{name} {made!r}, the frame's is {frame!r}"


def _apart(name: str, made: float | None, frame: float | None, within: float, unit: str) -> str | None:
    if made is None or frame is None:
        return None
    return "" if abs(made - frame) <= within else f"{name} {made:g}{unit}, the frame's is {frame:g}{unit}"


def _plain(text: str | None) -> str | None:
    """Camera names as drivers spell them differ in case and blanks."""
    return None if text is None else "".join(text.split()).casefold() or None


def dark_factor(dark_s: float | None, frame_s: float | None, with_bias: bool) -> float | str:
    """By how much a dark must be scaled to suit a frame's exposure; a text where that would not be right, saying why.

    A dark of the frame's own exposure is taken as it is, bias and all. Another one is scaled only once its bias is
    taken away, and only down: scaling up enlarges its noise, and what does not grow with time (amplifier glow) goes
    wrong with it.

    >>> dark_factor(300.0, 60.0, with_bias=True)
    0.2
    """
    if dark_s is None or frame_s is None:
        return "its exposure is not told" if dark_s is None else "the frame's exposure is not told"
    if abs(dark_s - frame_s) <= WITHIN_EXPOSURE * max(frame_s, dark_s):
        return 1.0
    if not with_bias:
        return f"{dark_s:g} s against {frame_s:g} s, and without a bias a dark cannot be scaled"
    if dark_s < frame_s:
        return f"{dark_s:g} s against {frame_s:g} s: a dark is not scaled up"
    return frame_s / dark_s


def serves_flat(dark_s: float | None, flat_s: float | None) -> bool:
    """Whether a dark is near enough in exposure to be taken from a flat of that exposure."""
    return dark_s is not None and flat_s is not None and abs(dark_s - flat_s) <= DAY_FLAT_DARK * max(flat_s, 1e-9)
