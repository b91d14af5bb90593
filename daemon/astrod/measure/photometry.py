"""Every source of a calibrated frame: where it is, how bright by aperture and by profile, with errors, and what it is.

With `sources`, the only doors to `sep`. Sources are found by their signal against each pixel's own error; what is
kept has five sigma by its profile, or is larger than a star.
"""

from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
import sep
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from astrod.errors import InputInvalid
from astrod.measure.calibrate import BAD, COSMIC, NO_VALUE, SATURATED
from astrod.measure.moments import shapes, stamps
from astrod.measure.psf import Fits, Psf, drawn, fit_shape, fit_stars

Floats = NDArray[np.float64]
Float32 = NDArray[np.float32]
Bools = NDArray[np.bool_]

CLASSES = ("star", "extended", "artefact", "unsure")
STAR, EXTENDED, ARTEFACT, UNSURE = range(4)

LEAST_SIGNAL = 5.0
_THRESHOLDS = (2.5, 5.0, 15.0, 60.0)
_SMALLEST_AREA_PX = 5
_APERTURE_FWHM = 1.3
"""Radius of the aperture: near the best signal of a Moffat profile, and wide enough for small errors of the place."""
_WIDE_FWHM = 3.0
_MOST_SOURCES = 20_000
_SHARP, _BROAD = 0.6, 1.35
_CLEAR_SIGNAL = 10.0
_SURE_SIGNAL = 20.0
_LONG = 3.0
_DRAWN_OUT = 1.6
_LEAST_TELLING, _UNTOLD_FAILING = 10, 0.02
_UNUSABLE = np.uint8(NO_VALUE | BAD | COSMIC)
_GUESSED_FWHM_PX = 3.0


@dataclass(frozen=True, slots=True, eq=False)
class Table:
    """Sources by falling flux, one entry each. Pixels count from 0, of the plane that was measured; fluxes are ADU.

    `profile` is by the stars' profile, brought to the scale of a wide aperture, its error holding how far the profile
    fails the frame's stars; `aperture` is within 1.3 FWHM, neighbours taken away by the profile, on the same scale.
    `flux` is the mean of the two by their errors: the aperture's for bright stars, the profile's for faint ones; of
    extended sources it is what is above the threshold. `fwhm`, `elongation` are the source's own,
    NaN where it is too faint. `kind` is a number of `CLASSES`. `flags` are the bits of the pixels in its core.
    """

    x: Floats
    y: Floats
    place_error: Floats
    flux: Floats
    flux_error: Floats
    profile: Floats
    profile_error: Floats
    aperture: Floats
    aperture_error: Floats
    peak: Floats
    fwhm: Floats
    elongation: Floats
    chi: Floats
    kind: NDArray[np.int8]
    flags: NDArray[np.uint8]
    blended: Bools

    def __len__(self) -> int:
        return int(self.x.size)

    @property
    def signal(self) -> Floats:
        """Flux over its error."""
        return self.flux / self.flux_error

    @property
    def saturated(self) -> Bools:
        """Sources with full pixels in their core: their fluxes are too small."""
        return np.asarray((self.flags & SATURATED) > 0)

    def of(self, chosen: NDArray[Any]) -> "Table":
        """The chosen entries."""
        return Table(*(getattr(self, entry.name)[chosen] for entry in fields(self)))


@dataclass(frozen=True, slots=True, eq=False)
class Found:
    """What a frame holds: its sources, its stars' profile (None where no star tells it), how sources were found and
    what a reader of the numbers must know.
    """

    table: Table
    psf: Psf | None
    threshold: float
    aperture_radius: float
    remarks: Sequence[str]


@dataclass(frozen=True, slots=True, eq=False)
class Finds:
    """What was detected, before it is measured: sep's list, the usual FWHM of what looks like stars, FWHM and
    elongation of each (NaN where too faint), the threshold in sigmas, and what is to be told.
    """

    listed: NDArray[Any]
    usual_fwhm: float
    size: Floats
    elongation: Floats
    threshold: float
    remarks: tuple[str, ...]

    @property
    def narrowest_fwhm(self) -> float:
        """Of the usual star across its shorter axis."""
        like = np.isfinite(self.size) & (np.abs(self.size - self.usual_fwhm) < 0.25 * self.usual_fwhm)
        return self.usual_fwhm / float(np.sqrt(np.median(self.elongation[like]) if bool(like.any()) else 1.0))


def find_sources(above: Float32, sigma: Float32, flags: NDArray[np.uint8]) -> Finds:
    """Detect all sources of a sky-subtracted frame. `sigma` is the error of each pixel, photons included.

    Raises InputInvalid where structure is so thick that nothing can be told apart.
    """
    listed, threshold = _listed(above, sigma, (flags & _UNUSABLE) > 0)
    remarks = []
    if threshold > _THRESHOLDS[0]:
        remarks.append(f"so much structure that only sources over {threshold:g} sigma were told apart")
    if len(listed) > _MOST_SOURCES:
        remarks.append(f"of {len(listed)} sources the brightest {_MOST_SOURCES} were measured")
        listed = listed[:_MOST_SOURCES]
    return Finds(listed, *_sizes(above, sigma, listed, flags), threshold, tuple(remarks))


def measure_sources(finds: Finds, above: Float32, sigma: Float32, flags: NDArray[np.uint8]) -> Found:
    """Measure what was found; `flags` may know more by now (cosmic rays) than when it was."""
    unusable = (flags & _UNUSABLE) > 0
    weights = np.square(np.float32(1.0) / sigma)
    weights[unusable | ((flags & SATURATED) > 0)] = 0.0
    psf = _profile(above, sigma, weights, finds, flags)
    remarks = list(finds.remarks)
    if psf is None and len(finds.listed):
        remarks.append("no star is clear enough to tell the profile: fluxes are by aperture")
    if psf is not None and psf.elongation > _DRAWN_OUT:
        remarks.append(f"stars are drawn out, {psf.elongation:.1f} to 1")
    table, radius = _measured(above, sigma, weights, unusable, flags, finds, psf)
    table = table.of(np.flatnonzero((table.signal >= LEAST_SIGNAL) & np.isfinite(table.flux)))
    return Found(table.of(np.argsort(-table.flux, kind="stable")), psf, finds.threshold, radius, tuple(remarks))


def _listed(above: Float32, sigma: Float32, unusable: Bools) -> tuple[NDArray[Any], float]:
    """sep's list by falling flux, and the threshold that its buffers bore."""
    sep.set_extract_pixstack(int(np.clip(above.size // 2, 50_000, 6_000_000)))
    for threshold in _THRESHOLDS:
        try:
            table: NDArray[Any] = sep.extract(
                above,
                threshold,
                err=sigma,
                mask=unusable if bool(unusable.any()) else None,
                minarea=_SMALLEST_AREA_PX,
                deblend_cont=0.005 if threshold < _THRESHOLDS[2] else 1.0,
            )
        except Exception as fault:  # noqa: BLE001  sep raises bare Exception when a buffer is full
            full = fault
            continue
        return table[np.argsort(-table["flux"], kind="stable")], threshold
    raise InputInvalid(f"too much structure to tell sources apart ({full}); give a raw, unstacked frame")


def _sizes(
    above: Float32, sigma: Float32, listed: NDArray[Any], flags: NDArray[np.uint8]
) -> tuple[float, Floats, Floats]:
    """The usual FWHM of what looks like stars, and FWHM and elongation of each source (NaN where too faint)."""
    count = len(listed)
    fwhm, elongation = np.full(count, np.nan), np.full(count, np.nan)
    if count == 0:
        return _GUESSED_FWHM_PX, fwhm, elongation
    column, row = _pixels(listed, above.shape)
    signal = listed["peak"] / sigma[row, column]
    clear = np.flatnonzero(signal >= _CLEAR_SIGNAL)[:3000]
    if clear.size == 0:
        clear = np.argsort(-signal, kind="stable")[:20]
    isophotal = np.sqrt(np.maximum(listed["a"] * listed["b"], 0.1))
    half = int(np.clip(np.ceil(3.5 * float(np.median(isophotal[clear]))), 5, 24))
    for start in range(0, clear.size, 500):
        part = clear[start : start + 500]
        cut, _columns, _rows = stamps(above, listed["x"][part], listed["y"][part], half)
        shape = shapes(cut, np.clip(isophotal[part].astype(np.float64), 0.5, half / 2.5))
        fwhm[part] = np.where(shape.good, shape.fwhm, np.nan)
        elongation[part] = np.where(shape.good, shape.major / shape.minor, np.nan)
    fit = np.isfinite(fwhm) & ((flags[row, column] & SATURATED) == 0)
    # hot pixels are sharper than any star: where both are many, stars are what is broader
    sharp = fit & (fwhm < 1.0)
    stars = fit & ~sharp if np.count_nonzero(fit & ~sharp) >= 3 else fit
    usual = float(np.median(fwhm[stars])) if bool(stars.any()) else 2.3548 * float(np.median(isophotal))
    return float(np.clip(usual, 1.0, 40.0)), fwhm, elongation


def _pixels(listed: NDArray[Any], shape: tuple[int, ...]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    column = np.clip(np.rint(listed["x"]), 0, shape[1] - 1).astype(np.int64)
    row = np.clip(np.rint(listed["y"]), 0, shape[0] - 1).astype(np.int64)
    return column, row


def _profile(
    above: Float32,
    sigma: Float32,
    weights: Float32,
    finds: Finds,
    flags: NDArray[np.uint8],
) -> Psf | None:
    """The profile, of clear stars of the usual size that stand alone; of any clear ones where there are no such."""
    listed, usual, size, elongation = finds.listed, finds.usual_fwhm, finds.size, finds.elongation
    if len(listed) == 0:
        return None
    column, row = _pixels(listed, above.shape)
    signal = listed["peak"] / sigma[row, column]
    places = np.stack([listed["x"], listed["y"]], axis=1)
    edge = 2.0 * usual + 2.0
    inside = (listed["x"] > edge) & (listed["x"] < above.shape[1] - edge)
    inside &= (listed["y"] > edge) & (listed["y"] < above.shape[0] - edge)
    good = inside & _unflagged(flags, listed, max(1, round(usual))) & (signal >= _CLEAR_SIGNAL)
    good &= np.isfinite(size) & (size > 0.75 * usual) & (size < 1.25 * usual)
    if bool(good.any()):
        good &= elongation < 1.4 * float(np.median(elongation[good])) + 0.1
    distance, nearest = cKDTree(places).query(places, k=2) if len(listed) > 1 else (np.full((1, 2), np.inf), None)
    if nearest is not None:
        rival = listed["flux"][np.clip(nearest[:, 1], 0, len(listed) - 1)]
        alone = (distance[:, 1] > 4.0 * usual) | (rival < 0.02 * listed["flux"])
    else:
        alone = np.ones(1, dtype=bool)
    chosen = np.flatnonzero(good & alone)
    if chosen.size < 5:
        chosen = np.flatnonzero(good)
    chosen = chosen[np.argsort(-signal[chosen], kind="stable")]
    return fit_shape(above, weights, listed["x"][chosen], listed["y"][chosen], usual)


def _unflagged(flags: NDArray[np.uint8], listed: NDArray[Any], reach: int) -> Bools:
    return np.asarray(_core_flags(flags, listed["x"], listed["y"], reach) == 0)


def _core_flags(flags: NDArray[np.uint8], x: Floats, y: Floats, reach: int) -> NDArray[np.uint8]:
    """All bits set within so many pixels of each place."""
    if len(x) == 0:
        return np.zeros(0, np.uint8)
    grid = np.arange(-reach, reach + 1)
    rows = np.clip(np.rint(y).astype(np.int64)[:, None, None] + grid[None, :, None], 0, flags.shape[0] - 1)
    columns = np.clip(np.rint(x).astype(np.int64)[:, None, None] + grid[None, None, :], 0, flags.shape[1] - 1)
    cut = flags[rows, columns].reshape(len(x), -1)
    return np.asarray(np.bitwise_or.reduce(cut, axis=1))


def _measured(
    above: Float32,
    sigma: Float32,
    weights: Float32,
    unusable: Bools,
    flags: NDArray[np.uint8],
    finds: Finds,
    psf: Psf | None,
) -> tuple[Table, float]:
    listed, usual, size, elongation = finds.listed, finds.usual_fwhm, finds.size, finds.elongation
    x, y = listed["x"].astype(np.float64), listed["y"].astype(np.float64)
    fwhm = max(psf.fwhm_px, usual) if psf is not None else usual
    fits = fit_stars(above, weights, x, y, psf) if psf is not None and len(listed) else None
    if fits is not None:
        held = fits.good & (np.hypot(fits.x - x, fits.y - y) < max(1.5, 0.7 * fwhm))
        x, y = np.where(held, fits.x, x), np.where(held, fits.y, y)
    mask = unusable if bool(unusable.any()) else None
    radius = max(_APERTURE_FWHM * fwhm, 1.5)
    alone = above if fits is None or psf is None else above - drawn(above.shape, psf, fits.x, fits.y, fits.flux)
    narrow, narrow_error = _circle(above, sigma, alone, mask, x, y, radius, psf, fits)
    wide, wide_error = _circle(above, sigma, alone, mask, x, y, max(_WIDE_FWHM * fwhm, 3.0), psf, fits)
    core = _core_flags(flags, x, y, max(1, round(0.5 * fwhm)))
    kind = _kinds(listed, fits, narrow, narrow_error, size, elongation, usual, core)
    standard = _standard(fits, wide, wide_error, kind, core, listed)
    grown = _growth(narrow, wide, wide_error, standard)
    aperture, aperture_error = narrow * grown, narrow_error * grown
    blended = np.asarray((listed["flag"] & sep.OBJ_MERGED) > 0)
    profile, profile_error, chi = (np.full(len(listed), np.nan) for _ in range(3))
    flux, error = aperture.copy(), aperture_error.copy()
    if fits is not None:
        scale = _scale(fits, wide, standard)
        failing = _failing(fits, scale, aperture, aperture_error, standard)
        profile, chi = fits.flux * scale, fits.chi
        profile_error = np.hypot(fits.flux_error * scale, failing * profile)
        flux, error = _mean_of(profile, profile_error, aperture, aperture_error, fits.good)
        place_error = np.hypot(fits.place_error, 0.5 * failing * fwhm)
    else:
        place_error = 0.6 * fwhm * error / np.maximum(np.abs(flux), 1e-12)
    broad = np.flatnonzero(kind == EXTENDED)
    if broad.size:
        column, row = _pixels(listed[broad], above.shape)
        flux[broad] = listed["flux"][broad]
        error[broad] = np.sqrt(listed["npix"][broad]) * sigma[row, column]
    return (
        Table(
            x=x,
            y=y,
            place_error=place_error,
            flux=flux,
            flux_error=np.maximum(error, 1e-12),
            profile=profile,
            profile_error=profile_error,
            aperture=aperture,
            aperture_error=aperture_error,
            peak=listed["peak"].astype(np.float64),
            fwhm=size,
            elongation=elongation,
            chi=chi,
            kind=kind,
            flags=core,
            blended=blended,
        ),
        radius,
    )


def _circle(
    above: Float32,
    sigma: Float32,
    alone: Float32,
    mask: Bools | None,
    x: Floats,
    y: Floats,
    radius: float,
    psf: Psf | None,
    fits: Fits | None,
) -> tuple[Floats, Floats]:
    """The light within a radius and its error, neighbours taken away: what the profiles of all leave (`alone`), and
    each star's own profile put back.
    """
    if x.size == 0:
        return np.empty(0), np.empty(0)
    total, error, _flag = sep.sum_circle(alone, x, y, radius, err=sigma, mask=mask, subpix=5)
    if psf is None or fits is None:
        return np.asarray(total, np.float64), np.asarray(error, np.float64)
    own = np.maximum(np.nan_to_num(fits.flux), 0.0) * psf.share_within(radius)
    return np.asarray(total + own, np.float64), np.asarray(error, np.float64)


def _kinds(
    listed: NDArray[Any],
    fits: Fits | None,
    narrow: Floats,
    narrow_error: Floats,
    size: Floats,
    elongation: Floats,
    fwhm: float,
    core: NDArray[np.uint8],
) -> NDArray[np.int8]:
    """What each source is, by its size against the stars': a classifier for the clear cases, `unsure` for the rest."""
    kind = np.full(len(listed), UNSURE, np.int8)
    if len(listed) == 0:
        return kind
    with np.errstate(invalid="ignore"):
        whole = (listed["flag"] & sep.OBJ_MERGED) == 0
        clear = np.isfinite(size) & (narrow > _CLEAR_SIGNAL * narrow_error)
        kind[clear & (size < _BROAD * fwhm)] = STAR
        wide = clear & (size >= _BROAD * fwhm) & (narrow > _SURE_SIGNAL * narrow_error)
        kind[wide & whole] = EXTENDED
        kind[np.isfinite(size) & (size < _SHARP * fwhm)] = ARTEFACT
        usual = float(np.median(elongation[kind == STAR])) if bool((kind == STAR).any()) else 1.0
        long = (listed["a"] > 2.0 * _LONG * listed["b"] * usual) & (listed["a"] > 2.0 * fwhm)
        kind[long] = ARTEFACT
    isophotal = 2.3548 * np.sqrt(np.maximum(listed["a"] * listed["b"], 0.0))
    bright = narrow > 30.0 * narrow_error
    kind[~np.isfinite(size) & bright & whole & (isophotal > 3.0 * fwhm) & ~long] = EXTENDED
    full = (core & SATURATED) > 0
    kind[full & (kind != ARTEFACT)] = STAR  # broad because it is full
    kind[(core & _UNUSABLE) > 0] = np.where((kind == STAR), UNSURE, kind)[(core & _UNUSABLE) > 0]
    if fits is not None:
        kind[~fits.good & (kind == STAR)] = UNSURE
    return kind


def _standard(
    fits: Fits | None,
    wide: Floats,
    wide_error: Floats,
    kind: NDArray[np.int8],
    core: NDArray[np.uint8],
    listed: NDArray[Any],
) -> NDArray[np.intp]:
    """Stars that tell how aperture and profile compare: clear, clean, and not torn from a neighbour."""
    good = (kind == STAR) & (core == 0) & (wide > 20.0 * wide_error) & ((listed["flag"] & sep.OBJ_MERGED) == 0)
    if fits is not None:
        good &= fits.good & (fits.flux > 0.0)
    return np.flatnonzero(good)[:300]


def _growth(narrow: Floats, wide: Floats, wide_error: Floats, standard: NDArray[np.intp]) -> float:
    """What brings the narrow aperture to the wide one."""
    usable = standard[narrow[standard] > 0.0]
    return float(np.clip(np.median(wide[usable] / narrow[usable]), 1.0, 2.5)) if usable.size else 1.0


def _scale(fits: Fits, wide: Floats, standard: NDArray[np.intp]) -> float:
    """What brings the profile's flux to the wide aperture."""
    if standard.size == 0:
        return 1.0
    return float(np.clip(np.median(wide[standard] / fits.flux[standard]), 0.5, 2.0))


def _mean_of(
    profile: Floats, profile_error: Floats, aperture: Floats, aperture_error: Floats, good: Bools
) -> tuple[Floats, Floats]:
    """The mean by the errors, and the smaller of them: both are of the same pixels, so their mean is hardly surer."""
    one = np.where(good, 1.0 / np.maximum(profile_error, 1e-12) ** 2, 0.0)
    told = np.isfinite(aperture_error) & (aperture_error > 0.0)
    other = np.where(told, 1.0 / np.maximum(aperture_error, 1e-12) ** 2, 0.0)
    total = np.maximum(one + other, 1e-30)
    flux = (one * np.where(good, profile, 0.0) + other * np.nan_to_num(aperture)) / total
    return flux, np.sqrt(1.0 / np.maximum(np.maximum(one, other), 1e-30))


def _failing(fits: Fits, scale: float, aperture: Floats, aperture_error: Floats, standard: NDArray[np.intp]) -> float:
    """By what share of the flux the profile fails: how far it and the aperture differ on clear stars that stand alone,
    beyond what noise explains; a few percent where no stars tell.
    """
    if standard.size < _LEAST_TELLING:
        return _UNTOLD_FAILING
    ratio = fits.flux[standard] * scale / aperture[standard] - 1.0
    noise = aperture_error[standard] / np.maximum(aperture[standard], 1e-12)
    bright = noise <= np.median(noise)
    spread = 1.4826 * float(np.median(np.abs(ratio[bright] - np.median(ratio[bright]))))
    return float(np.sqrt(max(0.0, spread**2 - float(np.median(noise[bright])) ** 2)))
