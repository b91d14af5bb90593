"""RMS's plate parameters (`platepar_cmn2010.cal`, JSON): where the pixels of a meteor camera look.

The format is the Global Meteor Network's (Vida et al. 2021, MNRAS 506, 5046; github.com/CroatianMeteorNetwork/RMS). The
camera stands still, so the file's right ascension and declination of the middle, at its own instant, are a direction
over the ground. Read only; what astrod fits itself is a `fisheye.Fisheye`. Pure.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from astrod.errors import InputInvalid
from astrod.measure.fisheye import refraction_deg

Floats = NDArray[np.float64]

_POLYNOMIALS = {"poly3+radial": 12, "poly3+radial3": 13, "poly3+radial5": 14}
_POWERS = {
    "radial3-all": (2, 3),
    "radial4-all": (2, 3, 4),
    "radial5-all": (2, 3, 4, 5),
    "radial3-odd": (3,),
    "radial5-odd": (3, 5),
    "radial7-odd": (3, 5, 7),
    "radial9-odd": (3, 5, 7, 9),
}
_AGAIN = "give the platepar_cmn2010.cal that RMS wrote"


@dataclass(frozen=True, slots=True)
class Platepar:
    """A camera as RMS calibrated it. Angles in degrees, `scale_px_deg` pixels per degree, the middle's place of date.

    `sidereal_deg` is Greenwich's at the file's instant. `bends_x`, `bends_y` are the forward distortion's numbers.
    """

    width: int
    height: int
    latitude_deg: float
    longitude_deg: float
    sidereal_deg: float
    ra_deg: float
    dec_deg: float
    angle_deg: float
    scale_px_deg: float
    kind: str
    bends_x: tuple[float, ...]
    bends_y: tuple[float, ...]
    has_refraction: bool
    has_equal_aspect: bool
    has_forced_centre: bool
    has_asymmetry: bool
    station: str = ""

    def horizontal(self, x: Floats, y: Floats) -> tuple[Floats, Floats]:
        """Azimuth (north 0, east 90) and apparent altitude of pixels, degrees."""
        across, down = self._undistorted(np.asarray(x, dtype=np.float64), np.asarray(y, dtype=np.float64))
        radius = np.deg2rad(np.hypot(across, down))
        theta = np.deg2rad(90.0 - self.angle_deg) + np.arctan2(down, across)
        hour_deg, dec_deg = self._middle()
        dec0 = np.deg2rad(dec_deg)
        dec = np.arcsin(np.clip(np.sin(dec0) * np.cos(radius) + np.cos(dec0) * np.sin(radius) * np.cos(theta), -1, 1))
        # RMS subtracts this angle from the right ascension, so it is added to the hour angle
        turn = np.arctan2(np.sin(theta) * np.sin(radius) * np.cos(dec0), np.cos(radius) - np.sin(dec) * np.sin(dec0))
        return _horizontal(np.deg2rad(hour_deg) + turn, dec, np.deg2rad(self.latitude_deg))

    def _middle(self) -> tuple[float, float]:
        """Hour angle and declination of the middle of the picture, lifted by refraction where the file says so."""
        hour_deg = self.sidereal_deg + self.longitude_deg - self.ra_deg
        if not self.has_refraction:
            return hour_deg, self.dec_deg
        latitude = np.deg2rad(self.latitude_deg)
        azimuth, altitude = _horizontal(np.deg2rad(hour_deg), np.deg2rad(self.dec_deg), latitude)
        lifted = np.deg2rad(altitude + refraction_deg(np.asarray(altitude)))
        around = np.deg2rad(azimuth)
        dec = np.arcsin(np.sin(lifted) * np.sin(latitude) + np.cos(lifted) * np.cos(latitude) * np.cos(around))
        hour = np.arctan2(
            -np.cos(lifted) * np.sin(around),
            np.sin(lifted) * np.cos(latitude) - np.cos(lifted) * np.sin(latitude) * np.cos(around),
        )
        return float(np.rad2deg(hour)), float(np.rad2deg(dec))

    def _undistorted(self, x: Floats, y: Floats) -> tuple[Floats, Floats]:
        """Degrees right and down of the middle on an equidistant plate."""
        across, down = x - self.width / 2.0, y - self.height / 2.0
        bend = self._polynomial if self.kind in _POLYNOMIALS else self._radial
        more_across, more_down = bend(across, down)
        return (across + more_across) / self.scale_px_deg, (down + more_down) / self.scale_px_deg

    def _polynomial(self, x: Floats, y: Floats) -> tuple[Floats, Floats]:
        """Third order in both axes, with radial terms of the first, third and fifth power."""
        a, b = self.bends_x, self.bends_y
        r = np.hypot(x - a[0], y - b[0])
        terms = (np.ones_like(x), x, y, x * x, x * y, y * y, x**3, x * x * y, x * y * y, y**3)
        dx = sum(number * term for number, term in zip(a, terms, strict=False)) + a[10] * x * r + a[11] * y * r
        dy = sum(number * term for number, term in zip(b, terms, strict=False)) + b[10] * y * r + b[11] * x * r
        for index, power in ((12, 3), (13, 5)):
            if _POLYNOMIALS[self.kind] > index:
                dx, dy = dx + a[index] * x * r**power, dy + b[index] * y * r**power
        return np.asarray(dx), np.asarray(dy)

    def _radial(self, x: Floats, y: Floats) -> tuple[Floats, Floats]:
        """Powers of the radius in units of half the width, with centre, aspect and asymmetry where they are fitted."""
        numbers = list(self.bends_x)
        half_x, half_y = self.width / 2.0, self.height / 2.0
        x0, y0 = 0.5, 0.5
        if not self.has_forced_centre:
            x0 = (numbers[0] * half_x + half_x) % self.width - half_x
            y0 = (numbers[1] * half_y + half_y) % self.height - half_y
            numbers = numbers[2:]
        aspect = 0.0 if self.has_equal_aspect else numbers.pop(0)
        lean, towards = (numbers.pop(0), 2.0 * np.pi * numbers.pop(0)) if self.has_asymmetry else (0.0, 0.0)
        u, v = x - x0, y - y0
        r = np.hypot(u, (1.0 + aspect) * v) + lean * ((1.0 + aspect) * v * np.cos(towards) - u * np.sin(towards))
        r = r / half_x
        grown = sum(number * r ** (power - 1) for number, power in zip(numbers, _POWERS[self.kind], strict=False))
        dx = u * grown - x0
        dy = v * grown * (1.0 + aspect) - y0 * (1.0 + aspect) + y * aspect
        return np.asarray(dx), np.asarray(dy)


def _horizontal(hour: Any, dec: Any, latitude: float) -> tuple[Any, Any]:
    """Azimuth and altitude, degrees, of hour angles and declinations in radians."""
    up = np.sin(dec) * np.sin(latitude) + np.cos(dec) * np.cos(latitude) * np.cos(hour)
    east = -np.cos(dec) * np.sin(hour)
    north = np.sin(dec) * np.cos(latitude) - np.cos(dec) * np.sin(latitude) * np.cos(hour)
    return np.rad2deg(np.arctan2(east, north)) % 360.0, np.rad2deg(np.arcsin(np.clip(up, -1.0, 1.0)))


def platepar_of(facts: Mapping[str, Any]) -> Platepar:
    """The camera of a platepar's JSON object. Raises InputInvalid for what is none, or of a kind that is not known."""
    kind = str(facts.get("distortion_type", "poly3+radial"))
    if kind not in _POLYNOMIALS and kind not in _POWERS:
        raise InputInvalid(f"platepar of the unknown distortion {kind!r}; {_AGAIN}, or calibrate with astrod")
    try:
        found = Platepar(
            width=int(facts["X_res"]),
            height=int(facts["Y_res"]),
            latitude_deg=float(facts["lat"]),
            longitude_deg=float(facts["lon"]),
            sidereal_deg=float(facts["Ho"]),
            ra_deg=float(facts["RA_d"]),
            dec_deg=float(facts["dec_d"]),
            angle_deg=float(facts["pos_angle_ref"]),
            scale_px_deg=float(facts["F_scale"]),
            kind=kind,
            bends_x=tuple(float(number) for number in facts["x_poly_fwd"]),
            bends_y=tuple(float(number) for number in facts["y_poly_fwd"]),
            has_refraction=bool(facts.get("refraction", False)),
            has_equal_aspect=bool(facts.get("equal_aspect", True)),
            has_forced_centre=bool(facts.get("force_distortion_centre", False)),
            has_asymmetry=bool(facts.get("asymmetry_corr", False)),
            station=str(facts.get("station_code", "")),
        )
    except (KeyError, TypeError, ValueError) as fault:
        raise InputInvalid(f"not a platepar of RMS, or an old one ({fault!r}); {_AGAIN}") from fault
    _checked(found)
    return found


def _checked(found: Platepar) -> None:
    """Raise InputInvalid where numbers are missing or impossible."""
    if found.kind in _POLYNOMIALS:
        least = _POLYNOMIALS[found.kind]
        is_whole = len(found.bends_x) >= least and len(found.bends_y) >= least
    else:
        extra = 2 * (not found.has_forced_centre) + (not found.has_equal_aspect) + 2 * found.has_asymmetry
        is_whole = len(found.bends_x) >= extra + len(_POWERS[found.kind])
    numbers = (found.latitude_deg, found.longitude_deg, found.sidereal_deg, found.ra_deg, found.dec_deg)
    is_finite = all(map(np.isfinite, (*numbers, *found.bends_x, *found.bends_y, found.angle_deg)))
    if not (is_whole and is_finite and found.scale_px_deg > 0.0 and found.width > 0 and found.height > 0):
        raise InputInvalid(f"platepar with missing or impossible numbers; {_AGAIN}")
