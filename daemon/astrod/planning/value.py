"""What an exposure would bring: a closed formula, until a learned one has earned its place.

The value of an exposure is priority × exposure seconds × quality. Quality, 0..1, is the information that a
second of it holds against the same second at the zenith of a moonless night. For a faint source on a bright
sky that information is the squared signal-to-noise ratio per second, transmission² / (FWHM² × sky), with

* transmission 10^(-0.4 k (X - 1)), k the extinction in magnitudes per air mass;
* FWHM growing as X^0.6 (Kolmogorov turbulence; Fried 1966), so FWHM² as X^1.2;
* the sky by Krisciunas & Schaefer 1991 (PASP 103, 1033): a dark sky, plus moonlight scattered by distance
  from the Moon, its phase and its altitude. Narrow-band filters let in so little that it counts a quarter.

A night may end at any moment (cloud, wind, a fault), so what can be had now is worth more than the same
later: each hour of waiting costs two per cent (`timeline.HAZARD_PER_US`).
"""

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]

EXTINCTION_MAG = 0.16
_DARK_NANOLAMBERT = 79.0
_NARROW = ("ha", "h-alpha", "halpha", "hb", "oiii", "o3", "sii", "s2", "nii")
_NARROW_SHARE = 0.25


def airmass(altitude_deg: Array) -> Array:
    """Kasten & Young 1989, as `domain.sphere.airmass`, for arrays; infinite at and below the horizon."""
    up = np.maximum(altitude_deg, 0.0)
    mass = 1.0 / (np.sin(np.radians(up)) + 0.50572 * (up + 6.07995) ** -1.6364)
    return np.where(altitude_deg > 0.0, mass, np.inf)


def altitude_of_airmass_deg(limit: float) -> float:
    """The altitude above which the air mass is under a limit; 90 for limits of 1 and less."""
    low, high = 0.0, 90.0
    for _ in range(40):
        middle = (low + high) / 2
        above = float(airmass(np.array([middle]))[0]) > limit
        low, high = (middle, high) if above else (low, middle)
    return high


def moonlight_nanolambert(
    altitude_deg: Array, moon_deg: Array, moon_altitude_deg: Array, phase_angle_deg: Array
) -> Array:
    """Moonlight scattered into a direction, equation 15 of Krisciunas & Schaefer 1991, good to some 20 %.

    `moon_deg` is the distance from the Moon, `phase_angle_deg` 0 at full Moon. None while the Moon is down.
    """
    illuminance = 10.0 ** (-0.4 * (3.84 + 0.026 * np.abs(phase_angle_deg) + 4e-9 * phase_angle_deg**4))
    apart = np.maximum(moon_deg, 0.25)
    rayleigh = 10.0**5.36 * (1.06 + np.cos(np.radians(apart)) ** 2)
    mie = np.where(apart < 10.0, 6.2e7 / apart**2, 10.0 ** (6.15 - apart / 40.0))
    path = _scattering_path(altitude_deg)
    moon_path = _scattering_path(moon_altitude_deg)
    light = (
        (rayleigh + mie)
        * illuminance
        * 10.0 ** (-0.4 * EXTINCTION_MAG * moon_path)
        * (1.0 - 10.0 ** (-0.4 * EXTINCTION_MAG * path))
    )
    return np.where(moon_altitude_deg > 0.0, light, 0.0)


def _scattering_path(altitude_deg: Array) -> Array:
    """The optical path for scattered light, their equation 3."""
    zenith = np.radians(90.0 - np.maximum(altitude_deg, 0.0))
    return np.asarray((1.0 - 0.96 * np.sin(zenith) ** 2) ** -0.5)


def quality(altitude_deg: Array, moonlight: Array, narrow: bool | npt.NDArray[np.bool_] = False) -> Array:
    """Information per second against the zenith of a moonless night, 0..1; 0 below the horizon.

    `narrow`, a truth or an array of them, is for narrow-band filters.
    """
    mass = np.maximum(airmass(altitude_deg), 1.0)
    moon = moonlight * np.where(narrow, _NARROW_SHARE, 1.0)
    sky = (_DARK_NANOLAMBERT + moon) / _DARK_NANOLAMBERT
    thick = np.minimum(mass, 40.0)
    gain = 10.0 ** (-0.8 * EXTINCTION_MAG * (thick - 1.0)) * thick**-1.2 / sky
    return np.where(altitude_deg > 0.0, gain, 0.0)


def is_narrow(filter_name: str | None) -> bool:
    """Whether a filter is a narrow-band one, by its name."""
    return filter_name is not None and filter_name.casefold().replace(" ", "").startswith(_NARROW)
