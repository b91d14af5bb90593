"""Frames in, science out: calibrated pixels with errors, a solved field, a catalogue with magnitudes.

All that `astrod reduce` does but arguments and printing. A step that cannot be done is left out, and the report says
which and why; nothing is guessed to fill its place.
"""

import math
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from astrod import __version__
from astrod.domain.photometry import (
    MAGNITUDE_OF_RELATIVE,
    Unknown,
    ZeroPoint,
    band_for,
    colour_for,
    limiting_magnitude,
    sky_brightness,
)
from astrod.domain.plate import Expected, PlateSolution
from astrod.domain.setup import CALIBRATING, Setup, SetupKind
from astrod.errors import InputInvalid
from astrod.frames.image import Image
from astrod.frames.label import Label, read_label
from astrod.frames.product import Card, free_name, stem_of, write_calibrated, write_image, write_table
from astrod.library import Choice, Library, Pixels, load
from astrod.measure.calibrate import COSMIC, FLAGS, Calibrated, calibrate, counts_of, green_of, measured_errors
from astrod.measure.catalogue import Catalogue, Stars, StarsOf, catalogues
from astrod.measure.cosmics import SHARPEST_FWHM_PX, cosmic_rays
from astrod.measure.match import Spots
from astrod.measure.photometry import ARTEFACT, CLASSES, STAR, Found, Table, find_sources, measure_sources
from astrod.measure.solve import MOST_SPOTS, Solver, blind, near
from astrod.measure.sources import Sky, sky
from astrod.measure.wcs import Solved, Wcs, of_plate, refine
from astrod.measure.zeropoint import Matches, zero_point

Floats = NDArray[np.float64]
Float32 = NDArray[np.float32]

FITS_SUFFIXES = (".fits", ".fit", ".fts", ".fits.gz", ".fit.gz", ".fts.gz", ".fits.fz", ".fits.fz.gz", ".npy")
INDEX_DIRS = (Path("/usr/share/astrometry"), Path("/usr/local/astrometry/data"))
"""Where Debian's packages and astrometry.net itself put index files."""
CATALOGUES = Path("/var/lib/astrod/catalogue")
"""Where `astrod catalogue import` puts catalogues unless told otherwise."""

_PRODUCT = ".calibrated."
_AROUND_DEG = (0.3, 1.5, 6.0)
_PAIR_RADIUS_PX = 4.0
_HONEST = (0.9, 1.12)
"""Measured over modelled noise of the sky, within which the model is believed."""
_MOST_STARS = 4000
_SCALE_UNKNOWN = (3.0, 14.0)
"""Arcseconds per pixel, and how many times more or less, for a blind search when no header tells the scale."""


@dataclass(frozen=True, slots=True)
class Settings:
    """How to reduce. `kinds` are kinds given by the owner for some files, over what their headers say.

    `out` None: nothing is written. `place` and `scale_arcsec_px` replace what headers say. `search` also solves
    frames that are lost, which takes up to a minute each.
    """

    out: Path | None = None
    kinds: Mapping[Path, SetupKind] = field(default_factory=dict)
    catalogue: Path | None = None
    index_dirs: tuple[Path, ...] = INDEX_DIRS
    place: tuple[float, float] | None = None
    scale_arcsec_px: float | None = None
    linearity: tuple[float, ...] = ()
    search: bool = True
    cosmics: bool = True


def files_in(given: Sequence[Path]) -> list[Path]:
    """The files themselves; of folders, all frames in them, by name, but for what an earlier run made of them."""
    found: list[Path] = []
    for path in given:
        if path.is_dir():
            inside = (file for file in path.rglob("*") if file.name.casefold().endswith(FITS_SUFFIXES))
            found.extend(sorted(file for file in inside if not file.name.startswith(".") and _PRODUCT not in file.name))
        else:
            found.append(path)
    return list(dict.fromkeys(found))


def reduce(files: Sequence[Path], settings: Settings) -> Iterator[dict[str, Any]]:
    """Reduce frames: one report for each file, in order; `error` in it where a file could not be used.

    Calibration frames among the files, and those of `settings.kinds` that are not among them, serve the others. All
    labels are read first; reports of calibration frames come last of all, in their order, for only then is known
    whether they served: what stands after one waits with it.
    """
    labels = {path: _label(path, settings) for path in dict.fromkeys([*files, *settings.kinds])}
    calibrating: dict[SetupKind, list[Label]] = {kind: [] for kind in CALIBRATING}
    for label in labels.values():
        if isinstance(label, Label) and label.kind in calibrating:
            calibrating[label.kind].append(label)
    library = Library(calibrating, settings.linearity)
    bench = _Bench(settings, library)
    waiting: list[dict[str, Any]] = []
    for path in files:
        label = labels[path]
        if isinstance(label, str):
            found: dict[str, Any] = {"file": str(path), "error": label}
        elif label.kind in CALIBRATING:
            found = {"file": str(path), "kind": label.kind}
        else:
            found = bench.light(label)
        if waiting or found.get("kind") in CALIBRATING:
            waiting.append(found)
        else:
            yield found
    bench.keep_masters()
    for found in waiting:
        if found["file"] and found.get("kind") in CALIBRATING:
            path = Path(found["file"])
            found["served"] = library.serving.get(path, 0)
            if path in library.faults:
                found["error"] = f"{path}: {library.faults[path].removeprefix(f'{path}: ')}"
        yield found


def _label(path: Path, settings: Settings) -> Label | str:
    """The label, its kind as the owner says where he does; the reason where there is none."""
    try:
        label = read_label(path)
    except InputInvalid as fault:
        return str(fault)
    kind = settings.kinds.get(path)
    return label if kind is None else replace(label, kind=kind)


@dataclass(frozen=True, slots=True, eq=False)
class _Measured:
    """A calibrated frame, measured: its plane, the sky of that, the sources, and full pixels to one of the plane."""

    plane: Calibrated
    sky: Sky
    found: Found
    scale_px: int

    def full(self, values: Floats) -> Floats:
        """Pixels of the plane as pixels of the frame."""
        return values * self.scale_px + (self.scale_px - 1) / 2.0


@dataclass(frozen=True, slots=True, eq=False)
class _Field:
    """Where a frame looks, by which catalogue, and that catalogue's stars in it."""

    solved: Solved
    catalogue: Catalogue
    stars: Stars
    by: str


class _Bench:
    """Reduces one light after another with one library and the catalogues at hand."""

    def __init__(self, settings: Settings, library: Library) -> None:
        self._settings, self._library = settings, library
        self._catalogues = catalogues(settings.catalogue, settings.index_dirs)
        self._written: list[Path] = []

    def light(self, label: Label) -> dict[str, Any]:
        """The report of one light; products are written on the way."""
        report: dict[str, Any] = {"file": str(label.path), "kind": "light"}
        try:
            pixels = load(label)
            choice = self._library.choose(label, pixels)
            found = calibrate(pixels.values, pixels.mask, choice.recipe, choice.detector, not pixels.levelled)
            remarks = _remarks(label, choice)
            measured, found = self._measure(found, pixels, choice, remarks)
        except InputInvalid as fault:
            return report | {"error": str(fault) if str(label.path) in str(fault) else f"{label.path}: {fault}"}
        shape = found.values.shape[0], found.values.shape[1]
        field_ = self._solve(label, pixels.image, measured, shape, remarks)
        point = self._zero_point(label, measured, field_, pixels.greens is not None)
        report |= _calibration_report(label, choice, found)
        report |= _measured_report(measured)
        report["solved"] = None if field_ is None else _solved_report(field_, shape)
        report |= _brightness_report(label, measured, field_, point, choice, pixels)
        report["remarks"] = remarks
        report["written"] = self._write(label, pixels, found, measured, field_, point, report)
        return report

    # -- measure ---------------------------------------------------------------------------------------------

    def _measure(
        self, found: Calibrated, pixels: Pixels, choice: Choice, remarks: list[str]
    ) -> tuple[_Measured, Calibrated]:
        """Sky, errors, sources; cosmic rays are flagged in the frame itself, too."""
        greens, detector = pixels.greens, choice.detector
        plane = found if greens is None else green_of(found, greens)
        mask = (plane.flags & 1) > 0
        seen = sky(plane.values, mask if bool(mask.any()) else None)
        scale_px = 1 if greens is None else 2
        gain = None if detector.gain_e_adu is None else detector.gain_e_adu * scale_px  # two greens were averaged
        believed = plane.modelled and _honest(plane, seen, remarks)
        if not believed:
            flat = choice.recipe.flat if greens is None else None
            sigma = measured_errors(seen.above, seen.noise, gain, flat)
            plane = Calibrated(plane.values, sigma, plane.flags, False, plane.counts)
            full = found.values - np.float32(seen.level)
            noise = seen.noise * (1.0 if greens is None else math.sqrt(2.0))
            own = measured_errors(full, noise, detector.gain_e_adu, choice.recipe.flat)
            found = Calibrated(found.values, own, found.flags, False, found.counts)
        finds = find_sources(seen.above, plane.sigma, plane.flags)
        if self._settings.cosmics:
            if finds.narrowest_fwhm >= SHARPEST_FWHM_PX:
                self._flag_cosmics(found, plane, seen, gain, greens is not None, pixels)
            else:
                remarks.append(
                    f"cosmic rays were not looked for: stars of {finds.narrowest_fwhm:.1f} px are as sharp as they are"
                )
        sources = measure_sources(finds, seen.above, plane.sigma, plane.flags)
        remarks.extend(sources.remarks)
        found = Calibrated(found.values, found.sigma, found.flags, found.modelled, counts_of(found.flags))
        return _Measured(plane, seen, sources, scale_px), found

    def _flag_cosmics(
        self, found: Calibrated, plane: Calibrated, seen: Sky, gain: float | None, bayer: bool, pixels: Pixels
    ) -> None:
        """Flag what cosmic rays hit: on a Bayer frame in the greens, on which stars are measured."""
        hit = cosmic_rays(seen.above, seen.noise, gain, plane.flags > 0, bayer=False)
        plane.flags[hit] |= COSMIC
        if not bayer or pixels.greens is None:
            return
        for top, left in pixels.greens:
            part = found.flags[top : 2 * hit.shape[0] : 2, left : 2 * hit.shape[1] : 2]
            part[hit] |= COSMIC

    # -- solve -----------------------------------------------------------------------------------------------

    def _solve(
        self, label: Label, image: Image, measured: _Measured, shape: tuple[int, int], remarks: list[str]
    ) -> _Field | None:
        """Where the frame looks; None, with a remark, where nobody can tell."""
        table = measured.found.table
        good = np.flatnonzero(table.kind != ARTEFACT)
        spots = _spots(measured, table, good, shape)
        if not self._catalogues:
            remarks.append("not solved: no catalogue and no index files; apt-get install astrometry-data-tycho2")
            return None
        if len(spots) < 5:
            remarks.append(f"not solved: {len(spots)} stars are too few")
            return None
        found = self._plate(label, image, spots, remarks)
        if found is None:
            return None
        plate, catalogue = found
        start = of_plate(plate, *shape)
        stars = self._stars(catalogue, start, shape, len(table), _year(label.date))
        x, y = measured.full(table.x[good]), measured.full(table.y[good])
        radius = _PAIR_RADIUS_PX * max(1.0, 0.25 * (measured.found.psf.fwhm_px if measured.found.psf else 4.0))
        radius = max(radius * measured.scale_px, 4.0 * plate.residual_arcsec / plate.scale_arcsec_px)
        solved = refine(start, x, y, stars.ra_deg, stars.dec_deg, radius)
        if solved is None:
            remarks.append("not solved: the plate solution does not bring enough stars together")
            return None
        solved = replace(solved, sources=good[solved.sources])
        return _Field(solved, catalogue, stars, plate.by)

    def _plate(
        self, label: Label, image: Image, spots: Spots, remarks: list[str]
    ) -> tuple[PlateSolution, Catalogue] | None:
        place = self._settings.place or (
            (label.ra_deg, label.dec_deg) if label.ra_deg is not None and label.dec_deg is not None else None
        )
        scale = self._settings.scale_arcsec_px or label.scale_arcsec_px
        year = _year(label.date)
        if place is not None and scale is not None:
            for catalogue in self._catalogues:
                solver = Solver(StarsOf(catalogue, year), self._settings.index_dirs)
                for within_deg in _AROUND_DEG:
                    found = near(spots, Expected(*place, scale, within_deg), solver)
                    if found is not None:
                        return found, catalogue
        lacking = [name for name, value in (("place", place), ("scale", scale)) if value is None]
        why = f"its header tells no {' and no '.join(lacking)}" if lacking else "it is not where its header says"
        if not self._settings.search:
            remarks.append(f"not solved: {why}, and no search was asked for")
            return None
        expected = Expected(*(place or (0.0, 0.0)), scale or _SCALE_UNKNOWN[0], 180.0)
        if scale is None:
            expected = replace(expected, scale_error=_SCALE_UNKNOWN[1])
        solver = Solver(None, self._settings.index_dirs)
        found = blind(image, spots, expected, solver)
        if found is None:
            remarks.append(f"not solved: {why}, and a blind search found nothing")
            return None
        return found, self._catalogues[0]

    def _stars(self, catalogue: Catalogue, wcs: Wcs, shape: tuple[int, int], sources: int, year: float | None) -> Stars:
        """A catalogue's stars in the field and a little around it."""
        radius_deg = 0.55 * math.hypot(*shape) * wcs.scale_arcsec_px / 3600.0
        return catalogue.near(wcs.ra_deg, wcs.dec_deg, radius_deg, max(100, min(_MOST_STARS, 4 * sources)), year)

    # -- brightness ------------------------------------------------------------------------------------------

    def _zero_point(self, label: Label, measured: _Measured, field_: _Field | None, green: bool) -> ZeroPoint | Unknown:
        """By the first catalogue that has enough stars: the nearest band first."""
        if field_ is None:
            return Unknown("the frame is not solved")
        reasons = []
        for catalogue in self._catalogues:
            band = band_for(label.setup.filter, catalogue.bands, green)
            pair = colour_for(catalogue.bands)
            field_there = field_ if catalogue is field_.catalogue else self._again(field_, measured, catalogue, label)
            found = zero_point(
                _matches(measured.found.table, field_there, band, pair),
                band,
                catalogue.name,
                None if pair is None else "-".join(pair),
            )
            if isinstance(found, ZeroPoint):
                return found
            reasons.append(found.reason)
        return Unknown("; ".join(reasons))

    def _again(self, field_: _Field, measured: _Measured, catalogue: Catalogue, label: Label) -> _Field:
        """The same field with another catalogue's stars."""
        table, wcs = measured.found.table, field_.solved.wcs
        shape = measured.plane.values.shape[0] * measured.scale_px, measured.plane.values.shape[1] * measured.scale_px
        stars = self._stars(catalogue, wcs, shape, len(table), _year(label.date))
        solved = refine(wcs, measured.full(table.x), measured.full(table.y), stars.ra_deg, stars.dec_deg, 3.0)
        if solved is None:
            none = np.empty(0, np.intp)
            solved = Solved(wcs, none, none, np.empty(0), np.empty(0))
        return _Field(solved, catalogue, stars, field_.by)

    # -- products --------------------------------------------------------------------------------------------

    def _write(
        self,
        label: Label,
        pixels: Pixels,
        found: Calibrated,
        measured: _Measured,
        field_: _Field | None,
        point: ZeroPoint | Unknown,
        report: Mapping[str, Any],
    ) -> list[str]:
        out = self._settings.out
        if out is None:
            return []
        frame = free_name(out, stem_of(label.path), f"{_PRODUCT}fits", self._written)
        listed = frame.with_name(frame.name.replace(f"{_PRODUCT}fits", ".catalogue.ecsv"))
        shape = found.values.shape[0], found.values.shape[1]
        cards = [*_cards(report, point), *(() if field_ is None else field_.solved.wcs.cards(*shape))]
        history = [f"{kind}: {words}" for kind, words in report["calibration"]["used"].items()]
        history += [f"not done: {words}" for words in report["calibration"]["missing"]]
        write_calibrated(frame, found.values, found.sigma, found.flags, pixels.image.facts, cards, history, FLAGS)
        write_table(listed, _columns(measured, field_, point), _table_facts(label, report))
        self._written += [frame, listed]
        return [str(frame), str(listed)]

    def keep_masters(self) -> None:
        """Write the masters made beside the products, if anything is written at all."""
        out = self._settings.out
        if out is None:
            return
        made: list[Path] = []
        for kind, paths, master in self._library.masters():
            if len(paths) == 1:
                continue  # a single file is its own master
            path = free_name(out / "masters", f"{kind}-{stem_of(paths[0])}", ".fits", made)
            cards: list[Card] = [
                ("IMAGETYP", f"Master {kind.replace('_', ' ').title()}", "kind of frame"),
                ("NCOMBINE", master.frames, "frames combined"),
                ("MASTERER", master.sigma, "random error of a pixel"),
                ("SWCREATE", f"astrod {__version__}", "software that wrote this file"),
                *_setup_cards(self._library.setup_of(paths[0])),
            ]
            write_image(path, master.values, cards, [f"of {source.name}" for source in paths])
            made.append(path)


# -- what the bench needs ------------------------------------------------------------------------------------


def _remarks(label: Label, choice: Choice) -> list[str]:
    remarks = []
    if label.kind is None:
        remarks.append("the header tells no kind of frame: taken for a light")
    if choice.detector.gain_e_adu is None:
        remarks.append(
            "gain unknown: errors count the sky's noise, not the photons of the sources, so bright ones are too sure"
        )
    return remarks


def _honest(plane: Calibrated, seen: Sky, remarks: list[str]) -> bool:
    """Whether the modelled errors are those that the sky shows."""
    step = max(1, int(math.sqrt(plane.sigma.size / 100_000)))
    modelled = float(np.median(plane.sigma[::step, ::step]))
    ratio = seen.noise / max(modelled, 1e-12)
    if _HONEST[0] <= ratio <= _HONEST[1]:
        return True
    remarks.append(f"the sky's noise is {ratio:.2f} times what gain and read noise say: errors go by what is measured")
    return False


def _spots(measured: _Measured, table: Table, good: NDArray[np.intp], shape: tuple[int, int]) -> Spots:
    """The brightest sources that are no artefacts, as solving wants them."""
    chosen = good[:MOST_SPOTS]
    rows, columns = shape
    return Spots(
        measured.full(table.x[chosen]) - (columns - 1) / 2.0,
        measured.full(table.y[chosen]) - (rows - 1) / 2.0,
        columns,
        rows,
    )


_DATE = re.compile(r"^(\d{4})-(\d{2})")


def _year(date: str | None) -> float | None:
    """The year of a date as FITS writes it, to a month: enough for proper motions."""
    match = _DATE.match(date or "")
    if match is None or not 1900 <= int(match.group(1)) <= 2200:
        return None
    return int(match.group(1)) + (int(match.group(2)) - 0.5) / 12.0


def _matches(table: Table, field_: _Field, band: str, pair: tuple[str, str] | None) -> Matches:
    """The matched stars' fluxes, magnitudes and colours, and which are clean."""
    sources, stars = field_.solved.sources, field_.solved.stars
    magnitudes = field_.stars.magnitudes
    colour = np.full(sources.size, np.nan)
    if pair is not None:
        colour = (magnitudes[pair[0]][stars] - magnitudes[pair[1]][stars]).astype(np.float64)
    return Matches(
        flux=table.flux[sources],
        flux_error=table.flux_error[sources],
        magnitude=magnitudes[band][stars].astype(np.float64),
        colour=colour,
        usable=(table.kind[sources] == STAR) & (table.flags[sources] == 0),
    )


# -- reports -------------------------------------------------------------------------------------------------


def _calibration_report(label: Label, choice: Choice, found: Calibrated) -> dict[str, Any]:
    detector = choice.detector
    return {
        "filter": label.setup.filter,
        "exposure_s": label.setup.exposure_s,
        "calibration": {
            "used": dict(choice.used),
            "missing": list(choice.missing),
            "refused": list(choice.refused),
            "doubts": list(choice.doubts),
        },
        "detector": {
            "gain_e_adu": _rounded(detector.gain_e_adu, 4),
            "read_noise_adu": _rounded(detector.read_noise_adu, 3),
            "saturation_adu": _rounded(detector.saturation_adu, 1),
            "by": detector.by,
        },
        "errors": "modelled" if found.modelled else "measured",
        "flagged": dict(found.counts),
    }


def _measured_report(measured: _Measured) -> dict[str, Any]:
    table, psf = measured.found.table, measured.found.psf
    counts = np.bincount(table.kind, minlength=len(CLASSES))
    return {
        "sources": len(table),
        "classes": {name: int(count) for name, count in zip(CLASSES, counts, strict=True)},
        "saturated": int(np.count_nonzero(table.saturated)),
        "blended": int(np.count_nonzero(table.blended)),
        "fwhm_px": None if psf is None else _rounded(psf.fwhm_px * measured.scale_px, 3),
        "elongation": None if psf is None else _rounded(psf.elongation, 3),
        "plane": "the mean of the two greens" if measured.scale_px == 2 else "as stored",
    }


def _solved_report(field_: _Field, shape: tuple[int, int]) -> dict[str, Any]:
    wcs = field_.solved.wcs
    middle_x, middle_y = np.array([(shape[1] - 1) / 2.0]), np.array([(shape[0] - 1) / 2.0])
    ra, dec = wcs.sky(middle_x, middle_y)
    _, up = wcs.sky(middle_x, middle_y - 1.0)
    east, _ = wcs.sky(middle_x, middle_y - 1.0)
    across = ((east[0] - ra[0] + 180.0) % 360.0 - 180.0) * math.cos(math.radians(dec[0]))
    a, b, c, d = wcs.cd
    return {
        "ra_deg": _rounded(float(ra[0]), 6),
        "dec_deg": _rounded(float(dec[0]), 6),
        "scale_arcsec_px": _rounded(wcs.scale_arcsec_px, 5),
        "rotation_deg": _rounded(math.degrees(math.atan2(across, up[0] - dec[0])) % 360.0, 3),
        "parity": "direct" if a * d - b * c > 0.0 else "mirrored",
        "distortion_order": wcs.order,
        "stars": wcs.stars,
        "residual_arcsec": _rounded(wcs.residual_arcsec, 3),
        "catalogue": field_.catalogue.name,
        "by": field_.by,
    }


def _brightness_report(
    label: Label,
    measured: _Measured,
    field_: _Field | None,
    point: ZeroPoint | Unknown,
    choice: Choice,
    pixels: Pixels,
) -> dict[str, Any]:
    """Zero point, sky and limit; null with a reason where the frame does not tell."""
    seen, psf = measured.sky, measured.found.psf
    free = choice.recipe.pedestal is not None or pixels.levelled or label.calibrated
    report: dict[str, Any] = {
        "sky": {"adu": _rounded(seen.level, 3), "noise_adu": _rounded(seen.noise, 3), "mag_arcsec2": None},
        "zero_point": None,
        "limiting_magnitude": None,
    }
    if isinstance(point, Unknown):
        return report | {"zero_point_unknown": point.reason}
    report["zero_point"] = {
        "magnitude": _rounded(point.magnitude, 4),
        "error": _rounded(point.error_mag, 4),
        "scatter": _rounded(point.scatter_mag, 4),
        "stars": point.stars,
        "band": point.band,
        "catalogue": point.catalogue,
        "colour": point.colour,
        "colour_term": _rounded(point.colour_term, 4) if point.colour else None,
    }
    if field_ is not None and free and seen.level > 0.0:
        scale = field_.solved.wcs.scale_arcsec_px * measured.scale_px
        report["sky"]["mag_arcsec2"] = _rounded(sky_brightness(seen.level, scale, point), 3)
    elif not free:
        report["sky"]["unknown"] = "the pedestal is in it: give a bias or dark"
    if psf is not None:
        report["limiting_magnitude"] = _rounded(limiting_magnitude(seen.noise, psf.noise_pixels, point), 3)
    return report


def _rounded(value: float | None, digits: int) -> float | None:
    return None if value is None or not math.isfinite(value) else round(float(value), digits)


# -- products ------------------------------------------------------------------------------------------------


def _cards(report: Mapping[str, Any], point: ZeroPoint | Unknown) -> list[Card]:
    """What the calibrated frame's header says beyond the raw one's."""
    used, detector = report["calibration"]["used"], report["detector"]
    cards: list[Card] = [
        ("ASTRODCL", True, "calibrated by astrod"),
        ("BUNIT", "adu", "unit of values and errors"),
        ("CALSTAT", "".join(letter for kind, letter in _LETTERS if kind in used), "B bias, D dark, F flat"),
        ("SWCREATE", f"astrod {__version__}", "software that wrote this file"),
        ("SKYADU", report["sky"]["adu"], "[adu] sky of a pixel"),
        ("SKYNOISE", report["sky"]["noise_adu"], "[adu] its noise"),
        ("NSOURCES", report["sources"], "sources in the catalogue"),
        ("ERRORS", report["errors"], "how ERR was had"),
    ]
    for name, value, comment in (
        ("GAINUSED", detector["gain_e_adu"], "[e-/adu] gain that errors go by"),
        ("RONUSED", detector["read_noise_adu"], "[adu] read noise that errors go by"),
        ("FWHMPX", report["fwhm_px"], "[px] FWHM of the stars"),
        ("MAGLIM", report["limiting_magnitude"], "[mag] point source of five sigma"),
        ("SKYMAG", report["sky"]["mag_arcsec2"], "[mag/arcsec2] sky brightness"),
    ):
        if value is not None:
            cards.append((name, value, comment))
    if isinstance(point, ZeroPoint):
        cards += [
            ("MAGZERO", point.magnitude, f"[mag] of 1 adu, {point.band} of {point.catalogue}"),
            ("MAGZERR", point.error_mag, "[mag] its error"),
            ("MAGZNUM", point.stars, "stars it rests on"),
        ]
    return cards


_LETTERS = (("bias", "B"), ("dark", "D"), ("flat", "F"))


def _setup_cards(setup: Setup) -> Iterator[Card]:
    for name, value, comment in (
        ("INSTRUME", setup.camera, "camera"),
        ("EXPTIME", setup.exposure_s, "[s] exposure"),
        ("GAIN", setup.gain, "camera's gain setting"),
        ("OFFSET", setup.offset, "camera's offset setting"),
        ("CCD-TEMP", setup.temperature_c, "[degC] sensor temperature"),
        ("FILTER", setup.filter, "filter"),
        ("BAYERPAT", setup.bayer, "colours of the first 2x2 pixels"),
        ("READOUTM", setup.readout, "readout mode"),
        ("TELESCOP", setup.telescope, "telescope"),
        ("ROTATANG", setup.rotation_deg, "[deg] rotator, mechanical angle"),
    ):
        if value is not None:
            yield name, value, comment
    if setup.binning is not None:
        x, _, y = setup.binning.partition("x")
        yield "XBINNING", int(float(x)), "binning along rows"
        yield "YBINNING", int(float(y)), "binning along columns"


Column = tuple[NDArray[Any], str | None, str, str]


def _columns(measured: _Measured, field_: _Field | None, point: ZeroPoint | Unknown) -> dict[str, Column]:
    """The catalogue's columns, by falling flux."""
    table = measured.found.table
    x, y = measured.full(table.x), measured.full(table.y)
    place = table.place_error * measured.scale_px
    columns: dict[str, Column] = {
        "number": (np.arange(1, len(table) + 1), None, "", "by falling flux"),
        "x": (x, "pix", ".4f", "from 0, the centre of the first pixel"),
        "y": (y, "pix", ".4f", "from 0, the centre of the first row stored"),
        "place_error": (place, "pix", ".4f", "standard error along each axis"),
    }
    if field_ is not None:
        wcs = field_.solved.wcs
        ra, dec = wcs.sky(x, y)
        columns["ra"] = ra, "deg", ".7f", "right ascension, ICRS"
        columns["dec"] = dec, "deg", ".7f", "declination, ICRS"
        columns["radec_error"] = (
            place * wcs.scale_arcsec_px,
            "arcsec",
            ".4f",
            "standard error, without the solution's",
        )
    columns |= {
        "flux": (
            table.flux,
            "adu",
            ".6g",
            "mean of profile and aperture; of extended sources above the threshold",
        ),
        "flux_error": (table.flux_error, "adu", ".4g", "standard error"),
        "profile_flux": (table.profile, "adu", ".6g", "by the stars' profile"),
        "profile_error": (table.profile_error, "adu", ".4g", "standard error, with the profile's own failing"),
        "aperture_flux": (table.aperture, "adu", ".6g", "within 1.3 FWHM, brought to a wide aperture for stars"),
        "aperture_error": (table.aperture_error, "adu", ".4g", "standard error"),
        "signal": (table.signal, None, ".2f", "flux over its error"),
    }
    with np.errstate(invalid="ignore", divide="ignore"):
        zero = point.magnitude if isinstance(point, ZeroPoint) else 0.0
        magnitude = zero - 2.5 * np.log10(np.where(table.flux > 0.0, table.flux, np.nan))
    error = MAGNITUDE_OF_RELATIVE * table.flux_error / np.abs(table.flux)
    name, text = (
        ("magnitude", f"{point.band} of {point.catalogue}, of a star of middle colour")
        if isinstance(point, ZeroPoint)
        else ("instrumental_magnitude", "-2.5 log10(flux): the zero point is unknown")
    )
    columns[name] = magnitude, "mag", ".4f", text
    columns["magnitude_error"] = error, "mag", ".4f", "standard error, the zero point's not in it"
    columns |= {
        "fwhm": (table.fwhm * measured.scale_px, "pix", ".3f", "its own"),
        "elongation": (table.elongation, None, ".3f", "longer over shorter axis"),
        "chi": (table.chi, None, ".3f", "root of the reduced chi square of the profile's fit"),
        "kind": (
            np.array(CLASSES)[table.kind] if len(table) else np.empty(0, "U8"),
            None,
            "",
            "what it is by its size",
        ),
        "flags": (table.flags, None, "", "bits of the pixels in its core, as in MASK"),
        "blended": (table.blended, None, "", "was torn from a neighbour"),
    }
    return columns


def _table_facts(label: Label, report: Mapping[str, Any]) -> dict[str, Any]:
    """What stands above the catalogue."""
    facts = {key: report[key] for key in ("filter", "exposure_s", "solved", "zero_point", "limiting_magnitude", "sky")}
    return {"frame": label.path.name, "date_obs": label.date, "target": label.target, "flags": FLAGS, **facts}
