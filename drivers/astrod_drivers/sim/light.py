"""How bright the sky is: airglow, Moon, twilight, cloud, in V magnitudes per square arcsecond.

Sources: Krisciunas & Schaefer 1991 (PASP 103, 1033) for the dark sky and the Moon; Patat, Ugolnikov &
Postylyakov 2006 (A&A 455, 385) for twilight. Brightnesses add in nanolamberts (Garstang 1989).
"""

import math
from dataclasses import dataclass

from astrod_drivers.sim import ephemeris


def nanolamberts(mag_arcsec2: float) -> float:
    """Surface brightness V as nanolamberts (Krisciunas & Schaefer, equation 1)."""
    return 34.08 * math.exp(20.7233 - 0.92104 * mag_arcsec2)


def magnitudes(brightness_nl: float) -> float:
    """Nanolamberts as V magnitudes per square arcsecond."""
    return (20.7233 - math.log(brightness_nl / 34.08)) / 0.92104


@dataclass(frozen=True, slots=True)
class MoonLight:
    """The Moon as it lights the sky: phase angle (0 full, 180 new), altitude, distance from the field,
    degrees.
    """

    phase_deg: float = 180.0
    altitude_deg: float = -90.0
    separation_deg: float = 90.0


def _path(zenith_deg: float) -> float:
    """Airmass for scattered light (Krisciunas & Schaefer, equation 3)."""
    return float((1.0 - 0.96 * math.sin(math.radians(zenith_deg)) ** 2) ** -0.5)


def moonlight_nl(moon: MoonLight, altitude_deg: float, extinction: float) -> float:
    """What the Moon adds (Krisciunas & Schaefer, equations 15 to 21), nanolamberts."""
    if moon.altitude_deg <= 0.0:
        return 0.0
    illuminance = 10.0 ** (-0.4 * (3.84 + 0.026 * moon.phase_deg + 4e-9 * moon.phase_deg**4))
    apart = max(0.3, moon.separation_deg)
    rayleigh = 10.0**5.36 * (1.06 + math.cos(math.radians(apart)) ** 2)
    mie = 10.0 ** (6.15 - apart / 40.0) if apart > 10.0 else 6.2e7 / apart**2
    to_moon, to_field = _path(90.0 - moon.altitude_deg), _path(90.0 - altitude_deg)
    return float(
        (rayleigh + mie)
        * illuminance
        * 10.0 ** (-0.4 * extinction * to_moon)
        * (1.0 - 10.0 ** (-0.4 * extinction * to_field))
    )


def twilight_nl(sun_altitude_deg: float) -> float:
    """What the Sun adds at the zenith, nanolamberts.

    Patat's fit for V from 5 to 15 degrees below the horizon; it is carried on with its slope above, to a
    sky of V 3.5 by day, and fades to nothing at 18.
    """
    if sun_altitude_deg <= -18.0:
        return 0.0
    phi = -sun_altitude_deg - 5.0
    if phi < 0.0:
        return nanolamberts(max(3.5, 11.84 + 1.518 * phi))
    edge = min(phi, 10.0)
    mag = 11.84 + 1.518 * edge - 0.057 * edge**2 + 0.7 * (phi - edge)
    return nanolamberts(mag) * min(1.0, (18.0 + sun_altitude_deg) / 3.0)


def sky_mag_arcsec2(
    dark_mag: float, altitude_deg: float, sun_altitude_deg: float, moon: MoonLight, extinction: float = 0.2
) -> float:
    """The clear sky's V brightness at an altitude; `dark_mag` is the zenith's on a moonless night."""
    altitude_deg = max(1.0, altitude_deg)
    path = _path(90.0 - altitude_deg)
    dark = nanolamberts(dark_mag) * path * 10.0 ** (-0.4 * extinction * (path - 1.0))
    return magnitudes(dark + moonlight_nl(moon, altitude_deg, extinction) + twilight_nl(sun_altitude_deg))


def cloud_glow(transmission: float, town_light: float) -> float:
    """How much brighter a cloud makes the sky, as a factor: it scatters down the light of Moon, twilight
    and towns.

    `town_light` is the factor's excess under solid cloud (0.5 in a dark place, 3 and more near a town).
    """
    return 1.0 + town_light * (1.0 - transmission)


def airmass_extinction(altitude_deg: float, extinction: float) -> float:
    """Magnitudes that the clear air takes."""
    return extinction * ephemeris.airmass(altitude_deg)
