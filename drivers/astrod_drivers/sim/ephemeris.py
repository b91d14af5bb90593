"""Where things are: sidereal time, precession, horizon, Sun and Moon, by closed formulae in plain floats.

Angles in degrees, instants in UTC microseconds (UT1 is taken as UTC). Good to a hundredth of a degree for the
Sun, to half a degree for the Moon: this *is* the simulated sky's truth, so it need only agree with itself.
"""

import math
from functools import lru_cache

_J2000_JD = 2451545.0
_UNIX_EPOCH_JD = 2440587.5
_DAY_US = 86_400_000_000
_ARCSEC = math.pi / 648000.0

Vector = tuple[float, float, float]
Matrix = tuple[Vector, Vector, Vector]


def days_since_j2000(instant_us: int) -> float:
    """Days since noon of 1 January 2000."""
    return _UNIX_EPOCH_JD - _J2000_JD + instant_us / _DAY_US


def sidereal_deg(instant_us: int, longitude_deg: float) -> float:
    """Local mean sidereal time (IAU 1982)."""
    return (280.46061837 + 360.98564736629 * days_since_j2000(instant_us) + longitude_deg) % 360.0


@lru_cache(maxsize=8)
def _precession(day: int) -> Matrix:
    """From ICRS to the mean equinox of a day after J2000 (Capitaine et al. 2003, A&A 412, 567)."""
    t = day / 36525.0
    zeta = _ARCSEC * (2.650545 + t * (2306.083227 + t * (0.2988499 + t * 0.01801828)))
    z = _ARCSEC * (-2.650545 + t * (2306.077181 + t * (1.0927348 + t * 0.01826837)))
    theta = _ARCSEC * t * (2004.191903 + t * (-0.4294934 - t * 0.04182264))
    cz, sz, ct, st = math.cos(z), math.sin(z), math.cos(theta), math.sin(theta)
    ca, sa = math.cos(zeta), math.sin(zeta)
    return (
        (cz * ct * ca - sz * sa, -cz * ct * sa - sz * ca, -cz * st),
        (sz * ct * ca + cz * sa, -sz * ct * sa + cz * ca, -sz * st),
        (st * ca, -st * sa, ct),
    )


def precession(instant_us: int) -> Matrix:
    """The matrix that turns ICRS vectors to the mean equinox of date."""
    return _precession(round(days_since_j2000(instant_us)))


def _turn(matrix: Matrix, ra_deg: float, dec_deg: float) -> tuple[float, float]:
    ra, dec = math.radians(ra_deg), math.radians(dec_deg)
    x, y, z = math.cos(dec) * math.cos(ra), math.cos(dec) * math.sin(ra), math.sin(dec)
    u, v, w = (row[0] * x + row[1] * y + row[2] * z for row in matrix)
    return math.degrees(math.atan2(v, u)) % 360.0, math.degrees(math.asin(max(-1.0, min(1.0, w))))


def of_date(ra_deg: float, dec_deg: float, instant_us: int) -> tuple[float, float]:
    """ICRS coordinates turned to the mean equinox of date."""
    return _turn(precession(instant_us), ra_deg, dec_deg)


def icrs(ra_deg: float, dec_deg: float, instant_us: int) -> tuple[float, float]:
    """Coordinates of the mean equinox of date turned to ICRS."""
    a, b, c = precession(instant_us)
    return _turn(((a[0], b[0], c[0]), (a[1], b[1], c[1]), (a[2], b[2], c[2])), ra_deg, dec_deg)


def horizontal_deg(hour_angle_deg: float, dec_deg: float, latitude_deg: float) -> tuple[float, float]:
    """Altitude (no refraction) and azimuth (north 0, east 90) of an hour angle and a declination of date."""
    ha, dec, lat = math.radians(hour_angle_deg), math.radians(dec_deg), math.radians(latitude_deg)
    up = math.sin(dec) * math.sin(lat) + math.cos(dec) * math.cos(lat) * math.cos(ha)
    east = -math.cos(dec) * math.sin(ha)
    north = math.sin(dec) * math.cos(lat) - math.cos(dec) * math.sin(lat) * math.cos(ha)
    altitude = math.degrees(math.asin(max(-1.0, min(1.0, up))))
    return altitude, math.degrees(math.atan2(east, north)) % 360.0


def parallactic_deg(hour_angle_deg: float, dec_deg: float, latitude_deg: float) -> float:
    """The angle between north and up, by which the field of an alt-azimuth mount turns."""
    ha, dec, lat = math.radians(hour_angle_deg), math.radians(dec_deg), math.radians(latitude_deg)
    return math.degrees(
        math.atan2(
            math.sin(ha) * math.cos(lat),
            math.sin(lat) * math.cos(dec) - math.cos(lat) * math.sin(dec) * math.cos(ha),
        )
    )


def sun_radec_deg(instant_us: int) -> tuple[float, float]:
    """The Sun's place of date (Astronomical Almanac, low precision formulae, 0.01 degree)."""
    days = days_since_j2000(instant_us)
    anomaly = math.radians((357.529 + 0.98560028 * days) % 360.0)
    longitude = math.radians(280.459 + 0.98564736 * days + 1.915 * math.sin(anomaly) + 0.020 * math.sin(2 * anomaly))
    obliquity = math.radians(23.439 - 0.00000036 * days)
    ra = math.atan2(math.cos(obliquity) * math.sin(longitude), math.cos(longitude))
    return math.degrees(ra) % 360.0, math.degrees(math.asin(math.sin(obliquity) * math.sin(longitude)))


def moon_radec_deg(instant_us: int) -> tuple[float, float]:
    """The Moon's geocentric place of date (Astronomical Almanac, low precision formulae, 0.3 degree)."""
    t = days_since_j2000(instant_us) / 36525.0

    def wave(amplitude_deg: float, phase_deg: float, rate_deg: float) -> float:
        return amplitude_deg * math.sin(math.radians((phase_deg + rate_deg * t) % 360.0))

    longitude = 218.32 + 481267.881 * t
    longitude += wave(6.29, 135.0, 477198.87) - wave(1.27, 259.3, -413335.36) + wave(0.66, 235.7, 890534.22)
    longitude += wave(0.21, 269.9, 954397.74) - wave(0.19, 357.5, 35999.05) - wave(0.11, 186.5, 966404.03)
    latitude = wave(5.13, 93.3, 483202.02) + wave(0.28, 228.2, 960400.89)
    latitude -= wave(0.28, 318.3, 6003.15) + wave(0.17, 217.6, -407332.21)
    lon, lat, obliquity = math.radians(longitude), math.radians(latitude), math.radians(23.439)
    x = math.cos(lat) * math.cos(lon)
    y = math.cos(obliquity) * math.cos(lat) * math.sin(lon) - math.sin(obliquity) * math.sin(lat)
    z = math.sin(obliquity) * math.cos(lat) * math.sin(lon) + math.cos(obliquity) * math.sin(lat)
    return math.degrees(math.atan2(y, x)) % 360.0, math.degrees(math.asin(max(-1.0, min(1.0, z))))


def separation_deg(ra1_deg: float, dec1_deg: float, ra2_deg: float, dec2_deg: float) -> float:
    """Great-circle distance, stable for small and large angles (Vincenty)."""
    dra, d1, d2 = math.radians(ra2_deg - ra1_deg), math.radians(dec1_deg), math.radians(dec2_deg)
    across = math.hypot(
        math.cos(d2) * math.sin(dra),
        math.cos(d1) * math.sin(d2) - math.sin(d1) * math.cos(d2) * math.cos(dra),
    )
    along = math.sin(d1) * math.sin(d2) + math.cos(d1) * math.cos(d2) * math.cos(dra)
    return math.degrees(math.atan2(across, along))


def moon_phase_deg(instant_us: int) -> float:
    """The Moon's phase angle: 0 when full, 180 when new."""
    return 180.0 - separation_deg(*sun_radec_deg(instant_us), *moon_radec_deg(instant_us))


def altitude_deg(place_deg: tuple[float, float], instant_us: int, latitude_deg: float, longitude_deg: float) -> float:
    """Altitude, without refraction or parallax, of a place of date (right ascension, declination)."""
    hour_angle_deg = sidereal_deg(instant_us, longitude_deg) - place_deg[0]
    return horizontal_deg(hour_angle_deg, place_deg[1], latitude_deg)[0]


def airmass(altitude: float) -> float:
    """Relative air mass at an altitude in degrees (Kasten & Young 1989, Applied Optics 28, 4735).

    Below 0.5 degrees it stays at its value there, so light through the horizon is finite.
    """
    h = max(0.5, altitude)
    return float(1.0 / (math.sin(math.radians(h)) + 0.50572 * (h + 6.07995) ** -1.6364))


def equatorial_deg(altitude: float, azimuth_deg: float, latitude_deg: float) -> tuple[float, float]:
    """Hour angle (-180..180) and declination of an altitude and an azimuth; the inverse of
    `horizontal_deg`.
    """
    alt, az, lat = math.radians(altitude), math.radians(azimuth_deg), math.radians(latitude_deg)
    sin_dec = math.sin(alt) * math.sin(lat) + math.cos(alt) * math.cos(lat) * math.cos(az)
    y = -math.sin(az) * math.cos(alt)
    x = math.sin(alt) * math.cos(lat) - math.cos(alt) * math.sin(lat) * math.cos(az)
    return math.degrees(math.atan2(y, x)), math.degrees(math.asin(max(-1.0, min(1.0, sin_dec))))
