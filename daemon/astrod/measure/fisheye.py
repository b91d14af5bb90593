"""Where each pixel of an all-sky picture looks: a lens and its pointing, fitted to the stars that the picture shows.

A lens of any usual kind is r = f (t + k3 t³ + k5 t⁵), r the distance from the optical centre in pixels and t the angle
from the axis in radians: equidistant with k3 = k5 = 0, equisolid about -1/24, stereographic 1/12, orthographic -1/6.
Directions are apparent, that is with refraction: azimuth (north 0, east 90) and altitude, degrees. Pure.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import erfa
import numpy as np
from numpy.typing import NDArray
from scipy import optimize

from astrod.domain.instant import DAY_US, jd_utc
from astrod.errors import InputInvalid
from astrod.measure.brightstars import BrightStars

Floats = NDArray[np.float64]

KIND = "fisheye"

_MAKE_ONE = "make one with `astrod clouds --calibrate`"

_LOWEST_DEG = 12.0
_WIDEST = np.deg2rad(100.0)
_TURNS = 14
_ROUNDS_DEG = (3.0, 2.0, 1.2, 0.7, 0.45, 0.3)
_ACCEPT_DEG = 0.3
_LEAST_STARS = 12
_WORST_ARCMIN = 20.0
_LEAST_SHARE = 0.25
_NO_FIT = "no lens fits the stars; check site and time, or give a clearer, moonless picture"
_LEANS = (0.0, 0.07, 0.14)
"""By how much of the radius the zenith may lie beside the middle: tried in turn, the later ones in all directions."""
_ROUND = tuple(np.arange(8) * (np.pi / 4.0))


class Pointing(Protocol):
    """What says where pixels look: a `Fisheye` here, or an imported `platepar.Platepar`."""

    def horizontal(self, x: Floats, y: Floats) -> tuple[Floats, Floats]:
        """Azimuth and apparent altitude of pixels, degrees; NaN where the lens shows nothing."""


@dataclass(frozen=True, slots=True)
class Fisheye:
    """A fitted camera. `x`, `y` is the optical centre, pixels; `focal_px` pixels per radian on the axis.

    `turn` is the rotation from the camera (x right, y down, z along the axis) to east, north, up, as a rotation vector;
    `mirrored` pictures show the sky as from outside. `residual_arcmin` is the RMS distance of the `stars` matched.
    """

    x: float
    y: float
    focal_px: float
    k3: float
    k5: float
    turn: tuple[float, float, float]
    mirrored: bool
    residual_arcmin: float = 0.0
    stars: int = 0

    def horizontal(self, x: Floats, y: Floats) -> tuple[Floats, Floats]:
        """See `Pointing.horizontal`."""
        across, down = (x - self.x) / self.focal_px, (y - self.y) / self.focal_px * (-1.0 if self.mirrored else 1.0)
        radius = np.hypot(across, down)
        theta = _angle(radius, self.k3, self.k5)
        flat = np.sin(theta) / np.maximum(radius, 1e-12)
        camera = np.stack([across * flat, down * flat, np.cos(theta)], axis=-1)
        east, north, up = np.moveaxis(camera @ _matrix(self.turn).T, -1, 0)
        return np.rad2deg(np.arctan2(east, north)) % 360.0, np.rad2deg(np.arcsin(np.clip(up, -1.0, 1.0)))

    def pixels(self, azimuth_deg: Floats, altitude_deg: Floats) -> tuple[Floats, Floats]:
        """Where directions fall; NaN for those behind the lens."""
        return _seen(_parameters(self), self.mirrored, vectors(azimuth_deg, altitude_deg))

    def facts(self) -> dict[str, Any]:
        """As a calibration file holds it; `fisheye_of` reads it again."""
        return {
            "kind": KIND,
            "x": round(self.x, 4),
            "y": round(self.y, 4),
            "focal_px": round(self.focal_px, 5),
            "k3": round(self.k3, 8),
            "k5": round(self.k5, 8),
            "turn": [round(part, 9) for part in self.turn],
            "mirrored": self.mirrored,
            "residual_arcmin": round(self.residual_arcmin, 3),
            "stars": self.stars,
        }


def fisheye_of(facts: Mapping[str, Any]) -> Fisheye:
    """The camera of a calibration file's facts. Raises InputInvalid for what is none."""
    try:
        numbers = np.array([float(facts[name]) for name in ("x", "y", "focal_px", "k3", "k5")])
        turn = tuple(float(part) for part in facts["turn"])
        residual, stars = float(facts.get("residual_arcmin", 0.0)), int(facts.get("stars", 0))
        mirrored = bool(facts["mirrored"])
    except (KeyError, TypeError, ValueError) as fault:
        raise InputInvalid(
            f"not a fish-eye calibration ({fault!r}); make one with `astrod clouds --calibrate`"
        ) from fault
    if len(turn) != 3 or not np.isfinite([*numbers, *turn]).all() or numbers[2] <= 0.0:
        raise InputInvalid(f"not a fish-eye calibration: numbers are missing; {_MAKE_ONE}")
    return _camera(np.array([*numbers, *turn]), mirrored, residual, stars)


# --- directions -----------------------------------------------------------------------------------------------------


def vectors(azimuth_deg: Floats, altitude_deg: Floats) -> Floats:
    """Unit vectors (…, 3: east, north, up)."""
    azimuth, altitude = np.deg2rad(azimuth_deg), np.deg2rad(altitude_deg)
    level = np.cos(altitude)
    return np.stack([level * np.sin(azimuth), level * np.cos(azimuth), np.sin(altitude)], axis=-1)


def horizontal_of(
    ra_deg: Floats, dec_deg: Floats, instant_us: int, latitude_deg: float, longitude_deg: float
) -> tuple[Floats, Floats]:
    """Azimuth and apparent altitude of ICRS places, degrees; aberration (20″) is left out."""
    ra, dec = np.deg2rad(ra_deg), np.deg2rad(dec_deg)
    icrs = np.stack([np.cos(dec) * np.cos(ra), np.cos(dec) * np.sin(ra), np.sin(dec)], axis=-1)
    east, north, up = np.moveaxis(icrs @ _icrs_to_horizon(instant_us, latitude_deg, longitude_deg).T, -1, 0)
    altitude = np.rad2deg(np.arcsin(np.clip(up, -1.0, 1.0)))
    return np.rad2deg(np.arctan2(east, north)) % 360.0, altitude + refraction_deg(altitude)


def equatorial_of(
    azimuth_deg: Floats, altitude_deg: Floats, instant_us: int, latitude_deg: float, longitude_deg: float
) -> tuple[Floats, Floats]:
    """ICRS right ascension and declination, degrees, of azimuths and apparent altitudes; `horizontal_of` reversed."""
    true = altitude_deg
    for _ in range(4):  # refraction is a function of the true altitude
        true = altitude_deg - refraction_deg(true)
    icrs = vectors(azimuth_deg, true) @ _icrs_to_horizon(instant_us, latitude_deg, longitude_deg)
    x, y, z = np.moveaxis(icrs, -1, 0)
    return np.rad2deg(np.arctan2(y, x)) % 360.0, np.rad2deg(np.arcsin(np.clip(z, -1.0, 1.0)))


def refraction_deg(altitude_deg: Floats) -> Floats:
    """How far the air lifts a true altitude (Sæmundsson 1986, Sky & Telescope 72, 70; 1010 hPa, 10 °C)."""
    height = np.maximum(altitude_deg, -1.5)
    lift: Floats = 1.02 / 60.0 / np.tan(np.deg2rad(height + 10.3 / (height + 5.11)))
    return np.where(altitude_deg > -1.5, lift, 0.0)


def _icrs_to_horizon(instant_us: int, latitude_deg: float, longitude_deg: float) -> Floats:
    """The matrix from ICRS to east, north, up: precession and nutation IAU 2006/2000A, UT1 taken as UTC."""
    days, tt = jd_utc(instant_us), 69.184e6 / DAY_US
    turned = erfa.pnm06a(days, tt)
    sidereal = erfa.gst06a(days, 0.0, days, tt) + np.deg2rad(longitude_deg)
    latitude = np.deg2rad(latitude_deg)
    s, c, sl, cl = np.sin(sidereal), np.cos(sidereal), np.sin(latitude), np.cos(latitude)
    local = np.array([[-s, c, 0.0], [-sl * c, -sl * s, cl], [cl * c, cl * s, sl]])
    return np.asarray(local @ turned)


# --- lens -----------------------------------------------------------------------------------------------------------


def _angle(radius: Floats, k3: float, k5: float) -> Floats:
    """The angle from the axis for r / f, by Newton; NaN beyond what the lens can show."""
    theta = np.minimum(radius, _WIDEST)
    for _ in range(12):
        square = theta * theta
        slope = 1.0 + 3.0 * k3 * square + 5.0 * k5 * square * square
        theta = np.clip(theta - (_radius(theta, k3, k5) - radius) / np.maximum(slope, 0.1), 0.0, 1.2 * _WIDEST)
    return np.where((np.abs(_radius(theta, k3, k5) - radius) < 1e-6) & (theta <= _WIDEST), theta, np.nan)


def _radius(theta: Floats, k3: float, k5: float) -> Floats:
    square = theta * theta
    return theta * (1.0 + square * (k3 + k5 * square))


def _matrix(turn: tuple[float, float, float] | Floats) -> Floats:
    """Camera to sky, by Rodrigues' formula."""
    vector = np.asarray(turn, dtype=np.float64)
    angle = float(np.linalg.norm(vector))
    if angle < 1e-12:
        return np.eye(3)
    x, y, z = vector / angle
    cross = np.array([[0.0, -z, y], [z, 0.0, -x], [-y, x, 0.0]])
    turned: Floats = np.eye(3) + np.sin(angle) * cross + (1.0 - np.cos(angle)) * (cross @ cross)
    return turned


def _vector(matrix: Floats) -> Floats:
    """`_matrix` turned round, by the quaternion of the rotation."""
    four = np.array(
        [
            [matrix[0, 0] - matrix[1, 1] - matrix[2, 2], 0.0, 0.0, 0.0],
            [matrix[0, 1] + matrix[1, 0], matrix[1, 1] - matrix[0, 0] - matrix[2, 2], 0.0, 0.0],
            [matrix[0, 2] + matrix[2, 0], matrix[1, 2] + matrix[2, 1], matrix[2, 2] - matrix[0, 0] - matrix[1, 1], 0.0],
            [matrix[2, 1] - matrix[1, 2], matrix[0, 2] - matrix[2, 0], matrix[1, 0] - matrix[0, 1], np.trace(matrix)],
        ]
    )
    x, y, z, w = np.linalg.eigh(four / 3.0)[1][:, -1]  # the lower triangle is all that eigh reads
    if w < 0:
        x, y, z, w = -x, -y, -z, -w
    flat = float(np.hypot(np.hypot(x, y), z))
    if flat < 1e-12:
        return np.zeros(3)
    return np.array([x, y, z]) * float(2.0 * np.arctan2(flat, w) / flat)


def _camera(parameters: Floats, mirrored: bool, residual_arcmin: float = 0.0, stars: int = 0) -> Fisheye:
    """The camera of eight numbers: centre, focal length, k3, k5, turn."""
    x, y, focal_px, k3, k5, *turn = parameters.tolist()
    return Fisheye(x, y, focal_px, k3, k5, (turn[0], turn[1], turn[2]), mirrored, residual_arcmin, stars)


def _parameters(camera: Fisheye) -> Floats:
    """`_camera` reversed."""
    return np.array([camera.x, camera.y, camera.focal_px, camera.k3, camera.k5, *camera.turn])


def _seen(parameters: Floats, mirrored: bool, sky: Floats) -> tuple[Floats, Floats]:
    """Pixels of unit vectors."""
    camera = sky @ _matrix(parameters[5:8])
    theta = np.arccos(np.clip(camera[..., 2], -1.0, 1.0))
    flat = np.maximum(np.hypot(camera[..., 0], camera[..., 1]), 1e-12)
    radius = np.where(theta <= _WIDEST, parameters[2] * _radius(theta, parameters[3], parameters[4]), np.nan)
    down = -camera[..., 1] if mirrored else camera[..., 1]
    return parameters[0] + radius * camera[..., 0] / flat, parameters[1] + radius * down / flat


# --- fit ------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, eq=False)
class Seen:
    """The stars of a picture: pixels and brightness in any unit, brightest first; and the sky over it.

    `azimuth_deg`, `altitude_deg` are the catalogue's stars above the horizon, brightest first.
    """

    x: Floats
    y: Floats
    azimuth_deg: Floats
    altitude_deg: Floats


def seen_at(stars: Floats, catalogue: BrightStars, instant_us: int, latitude_deg: float, longitude_deg: float) -> Seen:
    """The stars (n, 2 or more: x, y, …; brightest first) of a picture taken then and there."""
    azimuth, altitude = horizontal_of(catalogue.ra_deg, catalogue.dec_deg, instant_us, latitude_deg, longitude_deg)
    up = altitude > _LOWEST_DEG
    return Seen(stars[:, 0], stars[:, 1], azimuth[up], altitude[up])


def fit(seen: Seen, x: float, y: float, radius: float) -> Fisheye:
    """The camera whose sky circle is about at (`x`, `y`) with `radius` pixels to the horizon; north may be anywhere.

    The axis must lie within some 15 degrees of the zenith. Raises InputInvalid, saying why, where no lens fits.
    """
    if seen.x.size < _LEAST_STARS:
        raise InputInvalid(f"{seen.x.size} stars are too few to calibrate by; take a clear, moonless picture")
    for lean in _LEANS:
        shifts = [
            (lean * radius * np.cos(angle), lean * radius * np.sin(angle)) for angle in _ROUND[: 8 if lean else 1]
        ]
        starts = [start for dx, dy in shifts for start in _starts(seen, x + dx, y + dy, radius)]
        best = sorted(starts, key=lambda scored: -scored[0])
        fitted = [refined(seen, start) for start in _diverse([camera for _, camera in best])]
        found = _best(seen, [camera for camera in fitted if camera is not None])
        if found is not None:
            return found
    raise InputInvalid(_NO_FIT)


def refit(seen: Seen, camera: Fisheye) -> Fisheye:
    """A camera that was nearly right, fitted again. Raises InputInvalid where the stars no longer agree."""
    found = refined(seen, camera, _ROUNDS_DEG[1:])
    best = _best(seen, [found] if found else [])
    if best is None:
        raise InputInvalid(_NO_FIT)
    return best


def like(pointing: Pointing, width: int, height: int) -> Fisheye:
    """The camera that comes nearest to another calibration over its picture, so that it can be fitted again by stars.

    `residual_arcmin` says how near; `stars` is 0. Raises InputInvalid where it looks below the horizon everywhere.
    """
    x, y = (part.ravel() for part in np.meshgrid(np.linspace(0, width - 1, 17), np.linspace(0, height - 1, 13)))
    azimuth, altitude = pointing.horizontal(x, y)
    up = np.isfinite(altitude) & (altitude > 0.0)
    if up.sum() < 20:
        raise InputInvalid("the calibration looks below the horizon; it is for another camera")
    x, y, sky = x[up], y[up], vectors(azimuth[up], altitude[up])
    middle_x, middle_y = (width - 1) / 2.0, (height - 1) / 2.0
    ahead, beside = vectors(*pointing.horizontal(np.array([middle_x, middle_x + 5.0]), np.array([middle_y, middle_y])))
    focal = 5.0 / max(1e-6, float(np.arccos(np.clip(ahead @ beside, -1.0, 1.0))))
    starts = [
        _turned_to(Fisheye(middle_x, middle_y, focal, 0.0, 0.0, (0.0, 0.0, 0.0), m), x, y, sky) for m in (False, True)
    ]
    start = min(starts, key=lambda camera: float(np.nan_to_num(_off(camera, x, y, sky), nan=1e4).mean()))
    for bent in (False, True, True):
        start = _fitted(start, x, y, sky, free=True, bent=bent)
    residual = float(np.sqrt(np.mean(_off(start, x, y, sky) ** 2)))
    return _camera(_parameters(start), start.mirrored, residual)


def _turned_to(camera: Fisheye, x: Floats, y: Floats, sky: Floats) -> Fisheye:
    """The camera turned so that its pixels look as nearly as can be where they should (Kabsch 1976)."""
    seen = vectors(*camera.horizontal(x, y))
    known = np.isfinite(seen).all(axis=1)
    left, _, right = np.linalg.svd(seen[known].T @ sky[known])
    handed = np.diag([1.0, 1.0, np.sign(np.linalg.det(left @ right))])
    parameters = _parameters(camera)
    parameters[5:8] = _vector((left @ handed @ right).T @ _matrix(camera.turn))
    return _camera(parameters, camera.mirrored)


def _best(seen: Seen, fitted: list[Fisheye]) -> Fisheye | None:
    """The camera that matches most stars, if it matches a share of them that no wrong one does."""
    if not fitted:
        return None
    best = max(fitted, key=lambda camera: camera.stars - 0.2 * camera.residual_arcmin)
    enough = max(_LEAST_STARS, _LEAST_SHARE * min(seen.x.size, seen.azimuth_deg.size))
    return best if best.stars >= enough and best.residual_arcmin <= _WORST_ARCMIN else None


def _most(seen: Seen) -> int:
    """How many of the brightest stars of picture and catalogue are compared."""
    return int(min(seen.x.size, seen.azimuth_deg.size, 400))


def _starts(seen: Seen, x: float, y: float, radius: float) -> list[tuple[float, Fisheye]]:
    """Likely orientations for lenses of several scales and kinds, by the brightest stars; how likely, first."""
    bright_x, bright_y = seen.x[:60] - x, seen.y[:60] - y
    sky = vectors(seen.azimuth_deg[:50], seen.altitude_deg[:50])
    zenith = np.deg2rad(90.0 - seen.altitude_deg[:50])
    found: list[tuple[float, Fisheye]] = []
    for edge_deg in np.arange(74.0, 101.0, 3.0):
        for k3 in (-0.09, -0.04, 0.0, 0.08):
            focal = radius / float(_radius(np.array(np.deg2rad(edge_deg)), k3, 0.0))
            theta = _angle(np.hypot(bright_x, bright_y) / focal, k3, 0.0)
            for mirrored in (False, True):
                phase = np.arctan2(bright_x, -bright_y if mirrored else bright_y)
                for roll in _rolls(theta, phase, zenith, np.deg2rad(seen.azimuth_deg[:50])):
                    camera = _upright(x, y, focal, k3, roll, mirrored)
                    found.append((_agreement(camera, sky, bright_x + x, bright_y + y), camera))
    found.sort(key=lambda item: -item[0])
    return found[: 3 * _TURNS]


def _diverse(cameras: list[Fisheye]) -> list[Fisheye]:
    """The first of each kind: what differs by little more than the scale leads to the same fit."""
    chosen: dict[tuple[bool, int, int], Fisheye] = {}
    for camera in cameras:
        chosen.setdefault((camera.mirrored, round(camera.turn[2] / 0.1), round(camera.focal_px / 12.0)), camera)
        if len(chosen) == _TURNS:
            break
    return list(chosen.values())


def _rolls(theta: Floats, phase: Floats, zenith: Floats, azimuth: Floats) -> list[float]:
    """The turns about the zenith that bring the most stars of one zenith distance together."""
    close = np.abs(theta[:, None] - zenith[None, :])
    weight = np.where(close < np.deg2rad(4.0), np.minimum(1.0, np.sin(zenith)[None, :]), 0.0)
    turn = (azimuth[None, :] - phase[:, None]) % (2.0 * np.pi)
    count = np.bincount((turn / (2.0 * np.pi) * 180).astype(np.int64).ravel() % 180, weight.ravel(), minlength=180)
    smooth = count + 0.7 * (np.roll(count, 1) + np.roll(count, -1))
    return [float((index + 0.5) * 2.0 * np.pi / 180) for index in np.argsort(-smooth)[:2]]


def _upright(x: float, y: float, focal: float, k3: float, roll: float, mirrored: bool) -> Fisheye:
    """A camera that looks at the zenith; `roll` is what to add to a star's phase for its azimuth."""
    # a star at phase p (from the camera's +y towards +x) stands at azimuth p + roll: y goes to north turned by roll
    s, c = np.sin(roll), np.cos(roll)
    matrix = np.array([[c, s, 0.0], [-s, c, 0.0], [0.0, 0.0, 1.0]])
    turn = _vector(matrix)
    return Fisheye(x, y, focal, k3, 0.0, (float(turn[0]), float(turn[1]), float(turn[2])), mirrored)


def _agreement(camera: Fisheye, sky: Floats, x: Floats, y: Floats) -> float:
    """How near the brightest stars of the sky are to bright ones of the picture."""
    at_x, at_y = _seen(_parameters(camera), camera.mirrored, sky)
    distance = np.hypot(at_x[:, None] - x[None, :], at_y[:, None] - y[None, :]) / camera.focal_px
    nearest = np.nan_to_num(distance, nan=9.0).min(axis=1)
    weight = 1.0 / (1.0 + 0.04 * np.arange(nearest.size))
    return float((weight * np.exp(-0.5 * (nearest / np.deg2rad(2.0)) ** 2)).sum())


def refined(seen: Seen, start: Fisheye, rounds_deg: tuple[float, ...] = _ROUNDS_DEG) -> Fisheye | None:
    """Match and fit by turns, with ever more stars and ever less distance; None where nothing holds together."""
    camera, count = start, 40
    most = _most(seen)
    for index, within_deg in enumerate(rounds_deg):
        used = int(min(most, count * (1.6**index)))
        pairs = _pairs(seen, camera, used, within_deg)
        if pairs is None:
            return None
        camera = _fitted(camera, *pairs, free=index >= 1, bent=index >= 3)
    pairs = _pairs(seen, camera, most, _ACCEPT_DEG)
    if pairs is None:
        return None
    camera = _fitted(camera, *pairs, free=True, bent=True)
    off = _off(camera, *pairs)
    residual = float(np.sqrt(np.mean(off**2)))
    return _camera(_parameters(camera), camera.mirrored, residual, int(off.size))


def _pairs(seen: Seen, camera: Fisheye, used: int, within_deg: float) -> tuple[Floats, Floats, Floats] | None:
    """x, y of picture stars and the directions of the catalogue's that are each other's nearest; None: too few."""
    sky = vectors(seen.azimuth_deg[:used], seen.altitude_deg[:used])
    x, y = seen.x[: 2 * used], seen.y[: 2 * used]
    at_x, at_y = _seen(_parameters(camera), camera.mirrored, sky)
    distance = np.nan_to_num(np.hypot(at_x[:, None] - x[None, :], at_y[:, None] - y[None, :]), nan=1e9)
    nearest, back = distance.argmin(axis=1), distance.argmin(axis=0)
    rows = np.arange(sky.shape[0])
    mutual = (back[nearest] == rows) & (distance[rows, nearest] < np.deg2rad(within_deg) * camera.focal_px)
    if mutual.sum() < 8:
        return None
    return x[nearest[mutual]], y[nearest[mutual]], sky[mutual]


def _fitted(camera: Fisheye, x: Floats, y: Floats, sky: Floats, free: bool, bent: bool) -> Fisheye:
    """Least squares with few outliers' say: the pointing; `free`: scale and k3 too; `bent`: k5 and the centre too."""
    start = _parameters(camera)
    # a shift of the centre and a tilt are nearly the same: the centre waits for more stars
    moving = np.array([bent, bent, free, free, bent, True, True, True])
    scale = np.array([10.0, 10.0, 0.02 * camera.focal_px, 0.02, 0.01, 0.02, 0.02, 0.02])[moving]

    def off(step: Floats) -> Floats:
        parameters = start.copy()
        parameters[moving] += step * scale
        at_x, at_y = _seen(parameters, camera.mirrored, sky)
        away: Floats = np.nan_to_num(np.concatenate([at_x - x, at_y - y]), nan=100.0) / camera.focal_px
        return away

    loose = np.deg2rad(0.1 if bent else 0.6)
    found = optimize.least_squares(off, np.zeros(int(moving.sum())), loss="soft_l1", f_scale=loose, max_nfev=30)
    parameters = start.copy()
    parameters[moving] += found.x * scale
    return _camera(parameters, camera.mirrored)


def _off(camera: Fisheye, x: Floats, y: Floats, sky: Floats) -> Floats:
    """Distances on the sky, arcminutes, between where pixels look and where the stars are."""
    azimuth, altitude = camera.horizontal(x, y)
    cross = np.linalg.norm(vectors(azimuth, altitude) - sky, axis=-1)
    distance: Floats = np.rad2deg(2.0 * np.arcsin(np.clip(cross / 2.0, 0.0, 1.0))) * 60.0
    return distance
