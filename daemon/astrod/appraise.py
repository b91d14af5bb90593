"""A file in, a verdict out: read, measure and judge, in one synchronous call for a worker process.

This is all that `astrod judge` and the journey need of the eyes. Nothing is written, no configuration is
read.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from astrod.domain.exposure import Judgement, Measured
from astrod.domain.guiding import GuideStar
from astrod.errors import InputInvalid
from astrod.frames.image import read_image
from astrod.judge import judge
from astrod.measure import measure
from astrod.measure.guidestars import guide_stars
from astrod.measure.level import level


@dataclass(frozen=True, slots=True)
class Appraisal:
    """What is known of a frame. `features` are the numbers that the judge was given, by name."""

    measured: Measured
    judgement: Judgement
    features: Mapping[str, float]


def appraise(path: Path, weights: Path | None = None, enabled: bool = True) -> Appraisal:
    """Appraise a FITS (plain, gzipped, tile-compressed) or `.npy` frame; picklable either way.

    `weights` is the folder of the model in force, None for the one shipped; where models are not `enabled`,
    classical means judge. Raises InputInvalid, naming the file, for what is no frame.
    """
    image = read_image(path)
    try:
        measured, evidence = measure(image)
    except InputInvalid as fault:
        raise InputInvalid(f"{path}: {fault}") from fault
    return Appraisal(measured, judge(evidence, weights, enabled), dict(evidence.values))


def guide_stars_of(path: Path, saturation_adu: float) -> tuple[GuideStar, ...]:
    """The stars of a guide frame, brightest first. Raises InputInvalid for what is no frame."""
    return guide_stars(read_image(path).pixels, saturation_adu)


def appraise_calibration(path: Path, dark: bool) -> tuple[Measured, str | None]:
    """The level of a calibration frame, and why it is of no use, if it is of none. Raises InputInvalid for no frame."""
    return level(read_image(path), dark)


def report(path: Path, weights: Path | None = None) -> dict[str, Any]:
    """The object that `astrod judge --json` prints for a file; values that the frame does not tell are
    None.
    """
    appraisal = appraise(path, weights)
    measured, judgement = appraisal.measured, appraisal.judgement
    return {
        "file": str(path),
        "quality": round(judgement.quality, 1),
        "verdict": judgement.decision,
        "cause": judgement.cause,
        "issues": {name: round(value, 4) for name, value in judgement.issues.items()},
        "measured": {
            "stars": measured.stars,
            "fwhm_px": _rounded(measured.fwhm_px, 3),
            "elongation": _rounded(measured.elongation, 3),
            "background": _rounded(measured.background, 2),
        },
        "model": judgement.model,
        "why": list(judgement.why),
        "transparency": None,
    }


def _rounded(value: float | None, digits: int) -> float | None:
    return None if value is None else round(value, digits)
