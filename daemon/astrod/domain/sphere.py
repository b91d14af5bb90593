"""Directions on the sphere and the two lights that rule the night, by closed formulae.

Good to a few hundredths of a degree: enough for safety limits, which must not wait for astropy. Plans and
headers use `planning.sky` and `measure`, which are exact.
"""

import math

from astrod.domain.instant import jd_utc

_J2000 = 2451545.0


def _rad(angle_deg: float) -> float:
    return math.radians(angle_deg)


def separation_deg(lon1_deg: float, lat1_deg: float, lon2_deg: float, lat2_deg: float) -> float:
    """Great-circle distance, by Vincenty's formula, which is stable at 0 and at 180 degrees."""
    l1, b1, l2, b2 = map(_rad, (lon1_deg, lat1_deg, lon2_deg, lat2_deg))
    dl = l2 - l1
    across = math.hypot(
        math.cos(b2) * math.sin(dl), math.cos(b1) * math.sin(b2) - math.sin(b1) * math.cos(b2) * math.cos(dl)
    )
    along = math.sin(b1) * math.sin(b2) + math.cos(b1) * math.cos(b2) * math.cos(dl)
    return math.degrees(math.atan2(across, along))


def sidereal_deg(instant_us: int, longitude_deg: float) -> float:
    """Local mean sidereal time, degrees (IAU 1982, UT1 taken as UTC: error under 15 arcseconds)."""
    days = jd_utc(instant_us) - _J2000
    return (280.46061837 + 360.98564736629 * days + longitude_deg) % 360.0


def hour_angle_deg(ra_deg: float, instant_us: int, longitude_deg: float) -> float:
    """Hour angle of a J2000 right ascension, -180..180, positive west of the meridian; good to half a degree."""
    return (sidereal_deg(instant_us, longitude_deg) - ra_deg + 180.0) % 360.0 - 180.0


def altitude_azimuth_deg(
    ra_deg: float, dec_deg: float, instant_us: int, latitude_deg: float, longitude_deg: float
) -> tuple[float, float]:
    """Altitude without refraction and azimuth (north 0, east 90) of equatorial coordinates of date."""
    hour_angle = _rad(sidereal_deg(instant_us, longitude_deg) - ra_deg)
    dec, lat = _rad(dec_deg), _rad(latitude_deg)
    sin_alt = math.sin(dec) * math.sin(lat) + math.cos(dec) * math.cos(lat) * math.cos(hour_angle)
    altitude = math.asin(max(-1.0, min(1.0, sin_alt)))
    azimuth = math.atan2(
        -math.cos(dec) * math.sin(hour_angle),
        math.sin(dec) * math.cos(lat) - math.cos(dec) * math.sin(lat) * math.cos(hour_angle),
    )
    return math.degrees(altitude), math.degrees(azimuth) % 360.0


def equatorial_deg(
    altitude_deg: float, azimuth_deg: float, instant_us: int, latitude_deg: float, longitude_deg: float
) -> tuple[float, float]:
    """Right ascension and declination of date of an altitude and azimuth; `altitude_azimuth_deg` turned round."""
    alt, azimuth, lat = _rad(altitude_deg), _rad(azimuth_deg), _rad(latitude_deg)
    sin_dec = math.sin(alt) * math.sin(lat) + math.cos(alt) * math.cos(lat) * math.cos(azimuth)
    hour_angle = math.atan2(
        -math.cos(alt) * math.sin(azimuth),
        math.sin(alt) * math.cos(lat) - math.cos(alt) * math.sin(lat) * math.cos(azimuth),
    )
    ra_deg = sidereal_deg(instant_us, longitude_deg) - math.degrees(hour_angle)
    return ra_deg % 360.0, math.degrees(math.asin(max(-1.0, min(1.0, sin_dec))))


def sun_radec_deg(instant_us: int) -> tuple[float, float]:
    """The Sun's apparent place of date (Astronomical Almanac, low precision: 0.01 degree, 1950-2050)."""
    days = jd_utc(instant_us) - _J2000
    anomaly = _rad((357.529 + 0.98560028 * days) % 360.0)
    longitude = _rad(280.459 + 0.98564736 * days + 1.915 * math.sin(anomaly) + 0.020 * math.sin(2 * anomaly))
    obliquity = _rad(23.439 - 0.00000036 * days)
    ra = math.atan2(math.cos(obliquity) * math.sin(longitude), math.cos(longitude))
    return math.degrees(ra) % 360.0, math.degrees(math.asin(math.sin(obliquity) * math.sin(longitude)))


def sun_altitude_deg(instant_us: int, latitude_deg: float, longitude_deg: float) -> float:
    """The Sun's altitude, without refraction."""
    ra, dec = sun_radec_deg(instant_us)
    return altitude_azimuth_deg(ra, dec, instant_us, latitude_deg, longitude_deg)[0]


def airmass(altitude_deg: float) -> float:
    """Relative air mass by Kasten & Young 1989 (Applied Optics 28, 4735); infinite below the horizon."""
    if altitude_deg <= 0.0:
        return math.inf
    return 1.0 / (math.sin(_rad(altitude_deg)) + 0.50572 * math.pow(altitude_deg + 6.07995, -1.6364))
