"""The shape of a star on one frame, and the brightness of every star by that shape.

An elliptical Moffat profile (1969, A&A 3, 455), integrated over pixels, is fitted to bright stars that stand alone;
then each star's flux and place follow by weighted least squares, its neighbours taken away (Stetson 1987, PASP 99,
191, is where this comes from). Errors are those of the fit, from the errors of the pixels.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import least_squares
from scipy.spatial import cKDTree

Floats = NDArray[np.float64]
Float32 = NDArray[np.float32]

_NODES = (
    (1.8, (-0.5 * 0.6**0.5, 0.0, 0.5 * 0.6**0.5), (5.0 / 18.0, 8.0 / 18.0, 5.0 / 18.0)),
    (5.0, (-0.5 / 3.0**0.5, 0.5 / 3.0**0.5), (0.5, 0.5)),
    (float("inf"), (0.0,), (1.0,)),
)
"""Gauss's nodes and weights within a pixel, for profiles up to an FWHM: the wider, the less it bends in a pixel."""
_MODEL_ERROR = 0.03
_CHUNK = 256
_MOST_FITTED = 30
_ROUNDS = 3
_LOWEST, _HIGHEST = (-0.5, -1.5, -1.5, -1.2), (4.1, 1.5, 1.5, 3.0)
"""Bounds of a profile's numbers: log FWHM, two of ellipticity, log (beta - 1)."""
_FARTHEST_PX = 1.5
_TOGETHER_ROUNDS, _AGREED_SIGMAS = 6, 0.1


@dataclass(frozen=True, slots=True)
class Psf:
    """A Moffat profile (1 + d²)^-beta, d² = xx·dx² + yy·dy² + 2·xy·dx·dy, of volume one. `stars` it was fitted to."""

    xx: float
    yy: float
    xy: float
    beta: float
    stars: int

    @property
    def fwhm_px(self) -> float:
        """Of the circle with the ellipse's area."""
        return float(2.0 * np.sqrt((2.0 ** (1.0 / self.beta) - 1.0) / np.sqrt(self._determinant)))

    @property
    def elongation(self) -> float:
        """Longer over shorter axis."""
        half, spread = 0.5 * (self.xx + self.yy), float(np.hypot(0.5 * (self.xx - self.yy), self.xy))
        return float(np.sqrt((half + spread) / max(half - spread, 1e-12)))

    @property
    def noise_pixels(self) -> float:
        """The equivalent area 1/Σp², which decides how much sky noise a fitted star has."""
        half = int(np.ceil(4.0 * self.fwhm_px))
        grid = np.arange(-half, half + 1, dtype=np.float64)
        values = self.values(grid[None, None, :], grid[None, :, None])
        return float(1.0 / np.sum(values**2))

    def share_within(self, radius_px: float) -> float:
        """The share of a star's light within a circle, by a raster of a tenth of a pixel at least."""
        step = min(0.1, radius_px / 30.0)
        grid = np.arange(-radius_px, radius_px + step, step) + 0.5 * step
        x, y = grid[None, :], grid[:, None]
        inside = x**2 + y**2 <= radius_px**2
        norm = (self.beta - 1.0) * float(np.sqrt(self._determinant)) / np.pi
        values = (1.0 + self.xx * x**2 + self.yy * y**2 + 2.0 * self.xy * x * y) ** -self.beta
        return float(norm * step**2 * np.sum(values[inside]))

    @property
    def half_px(self) -> int:
        """Half the side of the cut-outs that stars are fitted on."""
        return int(np.clip(np.ceil(1.7 * self.fwhm_px * np.sqrt(self.elongation)), 3, 24))

    @property
    def _determinant(self) -> float:
        return max(self.xx * self.yy - self.xy**2, 1e-12)

    def values(self, dx: Floats, dy: Floats) -> Floats:
        """The share of a star's light in pixels at these distances from its middle."""
        return self.slopes(dx, dy)[0]

    def slopes(self, dx: Floats, dy: Floats) -> tuple[Floats, Floats, Floats]:
        """The values, and how they change as the star moves to the right and down."""
        norm = (self.beta - 1.0) * float(np.sqrt(self._determinant)) / np.pi
        shape = np.broadcast_shapes(dx.shape, dy.shape)
        total, right, down = np.zeros(shape), np.zeros(shape), np.zeros(shape)
        _, nodes, weights = next(entry for entry in _NODES if self.fwhm_px <= entry[0])
        for v, share_v in zip(nodes, weights, strict=True):
            for u, share_u in zip(nodes, weights, strict=True):
                x, y = dx + u, dy + v
                along, across = self.xx * x + self.xy * y, self.xy * x + self.yy * y
                base = 1.0 + (along * x + across * y)
                value = (norm * share_u * share_v) * np.exp(-self.beta * np.log(base))
                total += value
                value *= (2.0 * self.beta) / base
                right += value * along
                down += value * across
        return total, right, down


@dataclass(frozen=True, slots=True, eq=False)
class Cuts:
    """Cut-outs around stars: `values` and `weights` (1/σ², 0 where a pixel does not count), and their whole-pixel
    middles.
    """

    values: Floats
    weights: Floats
    columns: NDArray[np.int64]
    rows: NDArray[np.int64]

    @property
    def half(self) -> int:
        return int(self.values.shape[1] // 2)


@dataclass(frozen=True, slots=True, eq=False)
class Fits:
    """One entry per star: flux with error, ADU; place with error, pixels; `chi` is √(χ²/ν) of the fit; `good` False
    where no fit was had, and then the flux is NaN.
    """

    flux: Floats
    flux_error: Floats
    x: Floats
    y: Floats
    place_error: Floats
    chi: Floats
    good: NDArray[np.bool_]


def cuts(above: Float32, weights: Float32, x: Floats, y: Floats, half: int) -> Cuts:
    """Cut-outs of side 2·half+1; beyond the frame's edge their weight is zero."""
    columns = np.clip(np.rint(x), 0, above.shape[1] - 1).astype(np.int64)
    rows = np.clip(np.rint(y), 0, above.shape[0] - 1).astype(np.int64)
    reach = np.arange(-half, half + 1)
    down, across = rows[:, None, None] + reach[None, :, None], columns[:, None, None] + reach[None, None, :]
    inside = (down >= 0) & (down < above.shape[0]) & (across >= 0) & (across < above.shape[1])
    down, across = np.clip(down, 0, above.shape[0] - 1), np.clip(across, 0, above.shape[1] - 1)
    weight = np.where(inside, weights[down, across], 0.0).astype(np.float64)
    return Cuts(above[down, across].astype(np.float64), weight, columns, rows)


def fit_shape(above: Float32, weights: Float32, x: Floats, y: Floats, fwhm_px: float) -> Psf | None:
    """The profile of stars that stand alone, the brightest first; `fwhm_px` is about what it is. None where none fits.

    A fault of the profile is allowed for, so that the brightest stars do not rule alone.
    """
    x, y = x[:_MOST_FITTED], y[:_MOST_FITTED]
    if x.size == 0:
        return None
    cut = cuts(above, weights, x, y, int(np.clip(np.ceil(2.0 * fwhm_px), 4, 24)))
    variance = np.where(cut.weights > 0.0, 1.0 / np.maximum(cut.weights, 1e-30), np.inf)
    softened = 1.0 / (variance + (_MODEL_ERROR * np.maximum(cut.values, 0.0)) ** 2)
    cut = Cuts(cut.values, softened, cut.columns, cut.rows)
    places = [np.clip(x - cut.columns, -1.0, 1.0), np.clip(y - cut.rows, -1.0, 1.0)]
    words = np.array([np.log(fwhm_px), 0.0, 0.0, np.log(2.5)])
    for _round in range(4):  # shape and places in turn: each settles while the other stands still
        words = _best_words(words, cut, places)
        shape = _of_words(words, x.size)
        flux, _variance, model = _solved(shape, cut, places, rounds=2)
        chi = np.mean((cut.values - flux[:, None, None] * model) ** 2 * cut.weights, axis=(1, 2))
        calm = (chi <= 9.0 * np.median(chi)) & (flux > 0.0)
        if not bool(calm.any()):
            return None
        cut = Cuts(cut.values[calm], cut.weights[calm], cut.columns[calm], cut.rows[calm])
        places = [place[calm] for place in places]
    shape = _of_words(words, cut.columns.size)
    return shape if np.isfinite(shape.fwhm_px) and 0.6 < shape.fwhm_px < 60.0 else None


def _best_words(words: Floats, cut: Cuts, places: list[Floats]) -> Floats:
    """The profile that leaves least of stars at fixed places, their fluxes solved for along the way."""
    grid = np.arange(-cut.half, cut.half + 1, dtype=np.float64)
    dx, dy = grid[None, None, :] - places[0][:, None, None], grid[None, :, None] - places[1][:, None, None]
    root = np.sqrt(cut.weights)
    seen = cut.values * root

    def left_over(tried: Floats) -> Floats:
        model = _of_words(tried, 1).values(dx, dy) * root
        flux = np.sum(model * seen, axis=(1, 2)) / np.maximum(np.sum(model * model, axis=(1, 2)), 1e-30)
        return np.asarray((seen - flux[:, None, None] * model).ravel())

    found = least_squares(left_over, words, bounds=(_LOWEST, _HIGHEST), diff_step=1e-3, max_nfev=12)
    return np.asarray(np.clip(found.x, np.array(_LOWEST) + 1e-3, np.array(_HIGHEST) - 1e-3))


def _of_words(words: Floats, stars: int) -> Psf:
    """A profile from its numbers; see `_LOWEST`."""
    beta = 1.0 + float(np.exp(words[3]))
    size, stretch = np.hypot(words[1], words[2]), np.tanh(np.hypot(words[1], words[2]))
    e1, e2 = (words[1:3] / size * stretch) if size > 1e-9 else (0.0, 0.0)
    scale = 4.0 * (2.0 ** (1.0 / beta) - 1.0) / float(np.exp(2.0 * words[0]))
    round_off = 1.0 / np.sqrt(max(1.0 - e1**2 - e2**2, 1e-6))
    return Psf(scale * (1.0 - e1) * round_off, scale * (1.0 + e1) * round_off, -scale * e2 * round_off, beta, stars)


def _solved(psf: Psf, cut: Cuts, places: list[Floats], rounds: int = _ROUNDS) -> tuple[Floats, Floats, Floats]:
    """Fluxes, their variances and the models of volume one, with the places bettered in `places` as it goes."""
    half = cut.half
    grid = np.arange(-half, half + 1, dtype=np.float64)
    model = np.empty_like(cut.values)
    flux = variance = np.zeros(cut.columns.size)
    for _round in range(rounds):
        dx = grid[None, None, :] - places[0][:, None, None]
        dy = grid[None, :, None] - places[1][:, None, None]
        model, slope_x, slope_y = psf.slopes(dx, dy)
        flux, variance, move_x, move_y = _linear_fit(cut, model, slope_x, slope_y)
        places[0] = np.clip(places[0] + move_x, -_FARTHEST_PX, _FARTHEST_PX)
        places[1] = np.clip(places[1] + move_y, -_FARTHEST_PX, _FARTHEST_PX)
    return flux, variance, model


def _linear_fit(cut: Cuts, model: Floats, slope_x: Floats, slope_y: Floats) -> tuple[Floats, Floats, Floats, Floats]:
    """Least squares of flux and of flux times shift, star by star, at once."""
    basis = np.stack([model, slope_x, slope_y], axis=1).reshape(cut.columns.size, 3, -1)
    weight = cut.weights.reshape(cut.columns.size, 1, -1)
    weighted = basis * weight
    normal = weighted @ basis.swapaxes(1, 2)
    right = (weighted @ cut.values.reshape(cut.columns.size, -1, 1))[:, :, 0]
    trace = np.einsum("kii->k", normal)
    normal = normal + (1e-9 * trace + 1e-30)[:, None, None] * np.eye(3)
    answer = np.linalg.solve(normal, right[:, :, None])[:, :, 0]
    variance = 1.0 / np.maximum(normal[:, 0, 0], 1e-30)
    flux = answer[:, 0]
    safe = np.where(np.abs(flux) > 1e-12, flux, 1e-12)
    move_x, move_y = (np.clip(answer[:, k] / safe, -0.5, 0.5) for k in (1, 2))
    sure = flux > 3.0 * np.sqrt(variance)  # what is not seen keeps its place
    return flux, variance, np.where(sure, move_x, 0.0), np.where(sure, move_y, 0.0)


def fit_stars(above: Float32, weights: Float32, x: Floats, y: Floats, psf: Psf) -> Fits:
    """Flux and place of each star by the profile; stars that stand together are fitted again and again, each without
    what the others were found to be, until they agree.
    """
    found = _Fitting(x.astype(np.float64), y.astype(np.float64))
    _fit(found, np.arange(x.size), above, weights, psf, None)
    together = _together(found, psf)
    for _round in range(_TOGETHER_ROUNDS if together.size else 0):
        before = found.flux[together].copy()
        _fit(found, together, above, weights, psf, drawn(above.shape, psf, *found.of(together)))
        if np.max(np.abs(found.flux[together] - before) * np.sqrt(1.0 / found.variance[together])) < _AGREED_SIGMAS:
            break
    error = np.sqrt(found.variance)
    good = np.isfinite(error) & (error > 0.0) & np.isfinite(found.flux) & (found.variance < 1e29)
    # the place of a star is as sure as its flux: σ = 0.6·FWHM·σ(flux)/flux for a Gaussian and near to it for a Moffat
    place_error = 0.6 * psf.fwhm_px * error / np.maximum(np.abs(found.flux), 1e-12)
    return Fits(np.where(good, found.flux, np.nan), error, found.x, found.y, place_error, found.chi, good)


class _Fitting:
    """The stars' numbers as they are bettered; see `Fits`. Cut-outs stay about the first places."""

    def __init__(self, x: Floats, y: Floats) -> None:
        self.first_x, self.first_y = x, y
        self.x, self.y = x.copy(), y.copy()
        self.flux, self.variance = np.zeros(x.size), np.full(x.size, np.inf)
        self.chi = np.full(x.size, np.nan)

    def of(self, chosen: NDArray[np.intp]) -> tuple[Floats, Floats, Floats]:
        """Places and fluxes of the chosen."""
        return self.x[chosen], self.y[chosen], self.flux[chosen]


def _fit(
    found: _Fitting, chosen: NDArray[np.intp], above: Float32, weights: Float32, psf: Psf, others: Float32 | None
) -> None:
    """Fit the chosen stars; `others` is a drawing of them all, to be taken away but for each star itself."""
    for start in range(0, chosen.size, _CHUNK):
        part = chosen[start : start + _CHUNK]
        cut = cuts(above, weights, found.first_x[part], found.first_y[part], psf.half_px)
        if others is not None:
            drawn = cuts(others, weights, found.first_x[part], found.first_y[part], psf.half_px).values
            own = _own(psf, cut, found.flux[part], found.x[part], found.y[part])
            cut = Cuts(cut.values - drawn + own, cut.weights, cut.columns, cut.rows)
        places = [found.x[part] - cut.columns, found.y[part] - cut.rows]
        flux, variance, model = _solved(psf, cut, places)
        found.flux[part], found.variance[part] = flux, variance
        found.x[part], found.y[part] = places[0] + cut.columns, places[1] + cut.rows
        left = cut.values - flux[:, None, None] * model
        freedom = np.maximum((cut.weights > 0.0).sum(axis=(1, 2)) - 3, 1)
        found.chi[part] = np.sqrt((left**2 * cut.weights).sum(axis=(1, 2)) / freedom)


def _together(found: _Fitting, psf: Psf) -> NDArray[np.intp]:
    """Stars with another one near enough to matter."""
    if found.x.size < 2:
        return np.empty(0, np.intp)
    places = np.stack([found.x, found.y], axis=1)
    distance, _ = cKDTree(places).query(places, k=2)
    return np.flatnonzero(distance[:, 1] < 3.0 * psf.half_px)


def _own(psf: Psf, cut: Cuts, flux: Floats, x: Floats, y: Floats) -> Floats:
    """What each star itself put into the drawing of all."""
    grid = np.arange(-cut.half, cut.half + 1, dtype=np.float64)
    dx = grid[None, None, :] - (x - cut.columns)[:, None, None]
    dy = grid[None, :, None] - (y - cut.rows)[:, None, None]
    return np.maximum(flux, 0.0)[:, None, None] * psf.values(dx, dy)


def drawn(shape: tuple[int, ...], psf: Psf, x: Floats, y: Floats, flux: Floats) -> Float32:
    """Stars of no less than no flux, drawn by the profile; those without a flux (NaN) are left out."""
    canvas = np.zeros(shape, np.float32)
    half = 2 * psf.half_px
    reach = np.arange(-half, half + 1)
    flux = np.maximum(np.nan_to_num(flux), 0.0)
    for start in range(0, x.size, _CHUNK):
        part = slice(start, start + _CHUNK)
        columns, rows = np.rint(x[part]).astype(np.int64), np.rint(y[part]).astype(np.int64)
        dx = reach[None, None, :] - (x[part] - columns)[:, None, None]
        dy = reach[None, :, None] - (y[part] - rows)[:, None, None]
        light = flux[part][:, None, None] * psf.values(dx, dy)
        down, across = rows[:, None, None] + reach[None, :, None], columns[:, None, None] + reach[None, None, :]
        inside = (down >= 0) & (down < shape[0]) & (across >= 0) & (across < shape[1])
        down, across = np.broadcast_to(down, light.shape)[inside], np.broadcast_to(across, light.shape)[inside]
        np.add.at(canvas, (down, across), light[inside].astype(np.float32))
    return canvas
