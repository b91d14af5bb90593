"""A picture of the whole sky in, a map of its clouds out: find the sky's circle, ask the model, give cells directions.

This is all that `astrod clouds` and a watch of the sky need. No configuration is read; only calibrations are written.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from astrod.domain.cloudiness import BANDS, SECTORS, CloudMap
from astrod.domain.sphere import sun_altitude_deg
from astrod.errors import InputInvalid
from astrod.frames.allsky import read_allsky
from astrod.judge.cloud import Verdict, judge
from astrod.measure.brightstars import bright_stars
from astrod.measure.fisheye import KIND, Fisheye, Pointing, fisheye_of, fit, like, refit, seen_at
from astrod.measure.horizon import Horizon, find_horizon, grey
from astrod.measure.platepar import Platepar, platepar_of
from astrod_models.cloud import GRID, Raster, prepare

Floats = NDArray[np.float64]

DAY_FROM_DEG = -6.0
"""With the Sun higher than this it is no night, whatever the picture looks like."""


@dataclass(frozen=True, slots=True)
class Moment:
    """Where and when a picture was taken: degrees, east positive, and UTC microseconds."""

    latitude_deg: float
    longitude_deg: float
    at_us: int

    @property
    def is_day(self) -> bool:
        """Whether the Sun was up, or nearly."""
        return sun_altitude_deg(self.at_us, self.latitude_deg, self.longitude_deg) > DAY_FROM_DEG


@dataclass(frozen=True, slots=True, eq=False)
class Survey:
    """What a picture says of the sky. `horizon` is None where it shows no circle: all of it is taken for sky.

    `width`, `height` are the picture's, pixels.
    """

    verdict: Verdict
    raster: Raster
    horizon: Horizon | None
    width: int
    height: int


def survey(path: Path, weights: Path | None = None, moment: Moment | None = None) -> Survey:
    """Survey a JPEG, PNG or FITS picture. Raises InputInvalid, naming the file, for what is no picture.

    `weights` is the folder of the model in force, None for the one shipped; with a `moment` the Sun says whether it is
    night.
    """
    return survey_plane(grey(read_allsky(path)), weights, moment)


def survey_plane(
    plane: NDArray[np.float32], weights: Path | None = None, moment: Moment | None = None, enabled: bool = True
) -> Survey:
    """Survey a grey picture in memory (NaN where there is no value); classical means where models are not `enabled`."""
    horizon = find_horizon(plane)
    raster = prepare(plane, None if horizon is None else (horizon.x, horizon.y, horizon.radius))
    verdict = judge(raster, horizon is not None, weights, moment.is_day if moment else None, enabled)
    return Survey(verdict, raster, horizon, plane.shape[1], plane.shape[0])


# --- directions -----------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Calibration:
    """Where the pixels of a camera look, and the size of the pictures it is for."""

    pointing: Pointing
    width: int
    height: int


def read_calibration(path: Path) -> Calibration:
    """A calibration that `write_calibration` wrote, or a platepar of RMS. Raises InputInvalid, naming the file."""
    try:
        facts = json.loads(path.read_text(encoding="utf-8"))
    except OSError as fault:
        raise InputInvalid(f"{path}: cannot be read: {fault.strerror or fault}") from fault
    except (UnicodeDecodeError, json.JSONDecodeError) as fault:
        raise InputInvalid(f"{path}: not JSON ({fault}); give a calibration of astrod or RMS's platepar") from fault
    if not isinstance(facts, dict):
        raise InputInvalid(f"{path}: not a calibration; give one of astrod's or RMS's platepar")
    try:
        return _calibration(facts)
    except InputInvalid as fault:
        raise InputInvalid(f"{path}: {fault}") from fault


def _calibration(facts: Mapping[str, Any]) -> Calibration:
    if facts.get("kind") != KIND:
        platepar: Platepar = platepar_of(facts)
        return Calibration(platepar, platepar.width, platepar.height)
    try:
        width, height = int(facts["width"]), int(facts["height"])
    except (KeyError, TypeError, ValueError) as fault:
        raise InputInvalid(f"the picture's size is missing ({fault!r}); calibrate again") from fault
    return Calibration(fisheye_of(facts), width, height)


def write_calibration(path: Path, camera: Fisheye, seen: Survey, moment: Moment) -> None:
    """Write a calibration as JSON. Raises InputInvalid where the file cannot be written."""
    facts = camera.facts() | {
        "width": seen.width,
        "height": seen.height,
        "latitude_deg": moment.latitude_deg,
        "longitude_deg": moment.longitude_deg,
        "at_us": moment.at_us,
    }
    try:
        path.write_text(json.dumps(facts, indent=2) + "\n", encoding="utf-8")
    except OSError as fault:
        raise InputInvalid(f"{path}: cannot be written: {fault.strerror or fault}") from fault


def calibrate(seen: Survey, moment: Moment, before: Calibration | None = None) -> Fisheye:
    """The camera of a picture by its stars, from scratch or from how it was `before`, by astrod or by RMS.

    Raises InputInvalid where the stars are too few or fit no lens, and for pictures without a circle of sky.
    """
    stars = seen_at(seen.raster.stars, bright_stars(), moment.at_us, moment.latitude_deg, moment.longitude_deg)
    if before is not None:
        _refuse_other_size(seen, before)
        known = before.pointing
        return refit(stars, known if isinstance(known, Fisheye) else like(known, before.width, before.height))
    if seen.horizon is None:
        raise InputInvalid("no circle of sky in the picture: such a camera needs a calibration to begin with, as RMS's")
    return fit(stars, seen.horizon.x, seen.horizon.y, seen.horizon.radius)


def directions(seen: Survey, calibration: Calibration) -> tuple[Floats, Floats]:
    """Azimuth and apparent altitude, degrees, of the cells of the map (48, 48). Raises InputInvalid: other pictures."""
    _refuse_other_size(seen, calibration)
    x, y = centres(seen.raster)
    return calibration.pointing.horizontal(x, y)


def _refuse_other_size(seen: Survey, calibration: Calibration) -> None:
    if (calibration.width, calibration.height) != (seen.width, seen.height):
        raise InputInvalid(
            f"the calibration is for pictures of {calibration.width}×{calibration.height}, this one has "
            f"{seen.width}×{seen.height}; calibrate again"
        )


def centres(raster: Raster) -> tuple[Floats, Floats]:
    """Pixels of the middles of the map's cells."""
    steps = np.arange(GRID) * raster.step
    x, y = np.meshgrid(raster.x0 + steps, raster.y0 + steps)
    return x, y


def cloud_map(seen: Survey, calibration: Calibration | None, at_us: int) -> CloudMap | None:
    """The map as planner and safety take it; None where the picture shows no night sky, or no one knows where it looks.

    Without a calibration a fish-eye is taken to look at the zenith, equidistant down to the horizon, turned anyhow.
    """
    chance = seen.verdict.chance
    if chance is None or (calibration is None and seen.horizon is None):
        return None
    if calibration is not None:
        azimuth, altitude = directions(seen, calibration)
    else:
        x, y = centres(seen.raster)
        assert seen.horizon is not None
        altitude = 90.0 * (1.0 - np.hypot(x - seen.horizon.x, y - seen.horizon.y) / seen.horizon.radius)
        azimuth = np.zeros_like(altitude)
    known = np.isfinite(chance) & np.isfinite(altitude) & (altitude >= 0.0)
    band = np.minimum((altitude[known] * BANDS / 90.0).astype(np.int64), BANDS - 1)
    sector = (azimuth[known] * SECTORS / 360.0).astype(np.int64) % SECTORS
    if calibration is None:
        return CloudMap(at_us, tuple((mean,) * SECTORS for mean in _means(band, chance[known], BANDS)), False)
    means = _means(band * SECTORS + sector, chance[known], BANDS * SECTORS)
    rows = tuple(tuple(means[start : start + SECTORS]) for start in range(0, len(means), SECTORS))
    return CloudMap(at_us, _filled(rows), True)


def _means(index: NDArray[np.int64], values: Floats, count: int) -> list[float | None]:
    """The mean of the values of each index; None where there are none."""
    numbers = np.bincount(index, minlength=count)
    sums = np.bincount(index, values, minlength=count)
    return [min(1.0, float(total / number)) if number else None for total, number in zip(sums, numbers, strict=True)]


def _filled(rows: tuple[tuple[float | None, ...], ...]) -> tuple[tuple[float | None, ...], ...]:
    """Near the zenith sectors are smaller than the map's cells: those that none falls into take their band's mean."""
    filled: list[tuple[float | None, ...]] = []
    for band, row in enumerate(rows):
        known = [chance for chance in row if chance is not None]
        if band >= BANDS - 3 and len(known) >= SECTORS // 4:
            mean = sum(known) / len(known)
            filled.append(tuple(mean if chance is None else chance for chance in row))
        else:
            filled.append(row)
    return tuple(filled)


# --- report ---------------------------------------------------------------------------------------------------------


def report(path: Path, calibration: Calibration | None = None, moment: Moment | None = None) -> dict[str, Any]:
    """The object that `astrod clouds --json` prints for a file. Raises InputInvalid, naming it, for what is none."""
    seen = survey(path, moment=moment)
    verdict, raster, horizon = seen.verdict, seen.raster, seen.horizon
    sky = None
    if calibration is not None:
        try:
            sky = _entries(seen, calibration)
        except InputInvalid as fault:
            raise InputInvalid(f"{path}: {fault}") from fault
    return {
        "file": str(path),
        "cloud_fraction": None if verdict.fraction is None else round(verdict.fraction, 4),
        "dark": verdict.is_dark,
        "wet": verdict.is_wet,
        "horizon": None if horizon is None else _circle(horizon),
        "grid": {
            "x0": round(raster.x0, 3),
            "y0": round(raster.y0, 3),
            "step": round(raster.step, 4),
            "p": None
            if verdict.chance is None
            else [[_chance(cell) for cell in row] for row in verdict.chance.tolist()],
        },
        "sky": sky,
        "stars": int(raster.stars.shape[0]),
        "states": dict(verdict.states),
        "why": list(verdict.why),
        "model": verdict.model,
    }


def _entries(seen: Survey, calibration: Calibration) -> list[dict[str, float | None]] | None:
    """Each cell of the map by its direction, those below the horizon left out; None where there is no map."""
    azimuth, altitude = directions(seen, calibration)
    if seen.verdict.chance is None:
        return None
    shown = seen.raster.seen & np.isfinite(altitude) & (altitude >= 0.0)
    cells = zip(azimuth[shown].tolist(), altitude[shown].tolist(), seen.verdict.chance[shown].tolist(), strict=True)
    return [{"az_deg": round(az, 2), "alt_deg": round(alt, 2), "p": _chance(chance)} for az, alt, chance in cells]


def _circle(horizon: Horizon) -> dict[str, float]:
    return {"x": round(horizon.x, 1), "y": round(horizon.y, 1), "radius": round(horizon.radius, 1)}


def _chance(value: float) -> float | None:
    """A probability to three digits; None for a cell that shows no sky."""
    return None if value != value else round(value, 3)
