"""A file in, a verdict out: read, measure and judge, in one synchronous call for a worker process.

This is all that `astrod judge` and the journey need of the eyes. Nothing is written, no configuration is
read.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from astrod.domain.exposure import Judgement, Measured, Strangeness
from astrod.domain.guiding import GuideStar
from astrod.errors import InputInvalid
from astrod.frames.image import read_image
from astrod.judge import Usual, judge, strangeness
from astrod.measure import Features
from astrod.measure.frame import measure_plane
from astrod.measure.guidestars import guide_stars
from astrod.measure.level import level
from astrod.measure.plane import plane
from astrod.measure.siblings import Sighting, Transparency, transparency


@dataclass(frozen=True, slots=True)
class Appraisal:
    """What is known of a frame. `features` are the numbers that the judge was given, by name.

    `transparency` is None where no frame before it shows the same stars; `usual` is what its camera's frames have
    taught with it, None where nobody asked.
    """

    measured: Measured
    judgement: Judgement
    features: Mapping[str, float]
    strangeness: Strangeness
    transparency: Transparency | None = None
    usual: Usual | None = None


@dataclass(slots=True)
class Series:
    """What frames appraised one after the other tell of one another, by camera (size and Bayer pattern) and filter:
    what is usual for the camera, and the clearest sight of the field so far.
    """

    usual: dict[tuple[object, ...], Usual] = field(default_factory=dict)
    clearest: dict[tuple[object, ...], Sighting] = field(default_factory=dict)


def appraise(
    path: Path,
    weights: Path | None = None,
    enabled: bool = True,
    usual: Usual | None = None,
    series: Series | None = None,
    anomaly_weights: Path | None = None,
) -> Appraisal:
    """Appraise a FITS (plain, gzipped, tile-compressed) or `.npy` frame; picklable either way.

    `weights` is the folder of the quality model in force and `anomaly_weights` that of the anomaly model, None for
    those shipped; where models are not `enabled`, classical means judge. `usual` is what frames of its camera have
    taught so far, and learns; `series` the frames before it, and takes this one up. Raises InputInvalid, naming the
    file, for what is no frame.
    """
    image = read_image(path)
    camera, exposure_s = (*image.pixels.shape, image.bayer), image.exposure_s
    field_of = (*camera, image.facts.get("FILTER"))
    seen = plane(image)
    del image  # fifty megabytes of a large frame that nobody reads again
    try:
        measured, evidence = measure_plane(seen)
    except InputInvalid as fault:
        raise InputInvalid(f"{path}: {fault}") from fault
    del seen
    transparent = None
    if series is not None:
        usual = series.usual.setdefault(camera, Usual())
        transparent = _transparency(series, field_of, evidence, exposure_s)
    scale_px = 2 if evidence.values["superpixel"] else 1
    strange = strangeness(evidence, scale_px, usual, anomaly_weights, enabled)
    judgement = judge(evidence, weights, enabled)
    return Appraisal(measured, judgement, dict(evidence.values), strange, transparent, usual)


def _transparency(
    series: Series, field_of: tuple[object, ...], evidence: Features, exposure_s: float | None
) -> Transparency | None:
    """Against the clearest frame of the field so far, which this one becomes where it is clearer or of another."""
    seen = Sighting(evidence.x, evidence.y, evidence.flux, exposure_s or 0.0)
    former = series.clearest.get(field_of)
    found = None if former is None else transparency(seen, former)
    if seen.exposure_s > 0.0 and (found is None or found.share > 1.0):
        series.clearest[field_of] = seen
    return found


def guide_stars_of(path: Path, saturation_adu: float) -> tuple[GuideStar, ...]:
    """The stars of a guide frame, brightest first. Raises InputInvalid for what is no frame."""
    return guide_stars(read_image(path).pixels, saturation_adu)


def appraise_calibration(path: Path, dark: bool) -> tuple[Measured, str | None]:
    """The level of a calibration frame, and why it is of no use, if it is of none. Raises InputInvalid for no frame."""
    return level(read_image(path), dark)


def report(path: Path, weights: Path | None = None, series: Series | None = None) -> dict[str, Any]:
    """The object that `astrod judge --json` prints for a file; values that the frame does not tell are None.

    Raises InputInvalid for what is no frame.
    """
    appraisal = appraise(path, weights, series=series)
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
        "anomaly": _strange(appraisal.strangeness),
        "transparency": _transparent(appraisal.transparency),
    }


def _strange(strange: Strangeness) -> dict[str, Any]:
    tiles = [{"x": tile.x, "y": tile.y, "side": tile.side, "score": round(tile.score, 4)} for tile in strange.tiles]
    return {"score": round(strange.score, 4), "flag": strange.flag, "tiles": tiles, "basis": strange.basis}


def _transparent(found: Transparency | None) -> dict[str, Any] | None:
    """One frame alone does not tell: thin cloud and a shorter exposure look alike."""
    return None if found is None else {"share": round(found.share, 3), "stars": found.stars}


def _rounded(value: float | None, digits: int) -> float | None:
    return None if value is None else round(value, digits)
