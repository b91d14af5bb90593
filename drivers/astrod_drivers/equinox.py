"""ICRS to the true equinox of date (JNow, the language of most mounts) and back, in plain Python.

Precession is IAU 2006 in Fukushima-Williams angles (Capitaine, Wallace & Chapront 2003; frame bias included),
nutation the thirteen largest terms of IAU 2000B, aberration that of a Keplerian Earth. Against ERFA the whole
is good to 0.1″ through 2000-2050 (tests/drivers/test_equinox.py). No numpy: driver hosts must stay small.
"""

import math

Vector = tuple[float, float, float]
Matrix = tuple[Vector, Vector, Vector]

ARCSEC = math.pi / 648_000
J2000_US = 946_728_000_000_000  # 2000-01-01T12:00 as microseconds since 1970
TT_MINUS_UTC_S = 69.184  # since 2017; ten seconds of error would move the equinox by 0.02 mas
CENTURY_US = 36_525 * 86_400 * 1_000_000
ABERRATION = 20.49552 * ARCSEC
OBLIQUITY_J2000 = 84_381.406 * ARCSEC

# multiples of l, l', F, D, Ω; longitude (sin, t·sin, cos), obliquity (cos, t·cos, sin), in 0.1 microarcsec
_NUTATION = (
    ((0, 0, 0, 0, 1), (-172064161, -174666, 33386), (92052331, 9086, 15377)),
    ((0, 0, 2, -2, 2), (-13170906, -1675, -13696), (5730336, -3015, -4587)),
    ((0, 0, 2, 0, 2), (-2276413, -234, 2796), (978459, -485, 1374)),
    ((0, 0, 0, 0, 2), (2074554, 207, -698), (-897492, 470, -291)),
    ((0, 1, 0, 0, 0), (1475877, -3633, 11817), (73871, -184, -1924)),
    ((0, 1, 2, -2, 2), (-516821, 1226, -524), (224386, -677, -174)),
    ((1, 0, 0, 0, 0), (711159, 73, -872), (-6750, 0, 358)),
    ((0, 0, 2, 0, 1), (-387298, -367, 380), (200728, 18, 318)),
    ((1, 0, 2, 0, 2), (-301461, -36, 816), (129025, -63, 367)),
    ((0, -1, 2, -2, 2), (215829, -494, 111), (-95929, 299, 132)),
    ((-1, 0, 0, 2, 0), (156994, 10, -168), (-1235, 0, 82)),
    ((0, 0, 2, -2, 1), (128227, 137, 181), (-68982, -9, 39)),
    ((-1, 0, 2, 0, 2), (123457, 11, 19), (-53311, 32, -4)),
)


def apparent_of(ra_deg: float, dec_deg: float, utc_us: int) -> tuple[float, float]:
    """The geocentric apparent place (true equinox of date, degrees) of an ICRS direction."""
    century = _century(utc_us)
    return _angles(_times(_to_date(century), _aberrated(_direction(ra_deg, dec_deg), _earth_velocity(century))))


def icrs_of(ra_deg: float, dec_deg: float, utc_us: int) -> tuple[float, float]:
    """The ICRS direction (degrees) whose apparent place is this; the inverse of `apparent_of`."""
    century = _century(utc_us)
    seen = _times(_transposed(_to_date(century)), _direction(ra_deg, dec_deg))
    velocity = _earth_velocity(century)
    true = seen
    for _ in range(3):  # aberration is 1e-4, so each turn gains four digits
        shifted = _aberrated(true, velocity)
        true = _unit((true[0] + seen[0] - shifted[0], true[1] + seen[1] - shifted[1], true[2] + seen[2] - shifted[2]))
    return _angles(true)


def _century(utc_us: int) -> float:
    """Julian centuries of TT since J2000."""
    return (utc_us - J2000_US + TT_MINUS_UTC_S * 1e6) / CENTURY_US


def _direction(ra_deg: float, dec_deg: float) -> Vector:
    ra, dec = math.radians(ra_deg), math.radians(dec_deg)
    return math.cos(ra) * math.cos(dec), math.sin(ra) * math.cos(dec), math.sin(dec)


def _angles(direction: Vector) -> tuple[float, float]:
    x, y, z = direction
    return math.degrees(math.atan2(y, x)) % 360.0, math.degrees(math.atan2(z, math.hypot(x, y)))


def _polynomial(t: float, *coefficients: float) -> float:
    """Arcseconds to radians, lowest power first."""
    total = 0.0
    for coefficient in reversed(coefficients):
        total = total * t + coefficient
    return total * ARCSEC


def _to_date(t: float) -> Matrix:
    """Bias, precession and nutation: ICRS to the true equator and equinox of date."""
    gamma = _polynomial(t, -0.052928, 10.556378, 0.4932044, -0.00031238, -0.000002788, 0.0000000260)
    phi = _polynomial(t, 84381.412819, -46.811016, 0.0511268, 0.00053289, -0.000000440, -0.0000000176)
    psi = _polynomial(t, -0.041775, 5038.481484, 1.5584175, -0.00018522, -0.000026452, -0.0000000148)
    epsilon = _polynomial(t, 84381.406, -46.836769, -0.0001831, 0.00200340, -0.000000576, -0.0000000434)
    longitude, obliquity = _nutation(t)
    return _product(
        _about_x(-(epsilon + obliquity)),
        _product(_about_z(-(psi + longitude)), _product(_about_x(phi), _about_z(gamma))),
    )


def _nutation(t: float) -> tuple[float, float]:
    """Nutation in longitude and in obliquity, radians."""
    arguments = (
        _polynomial(t, 485868.249036, 1717915923.2178),
        _polynomial(t, 1287104.79305, 129596581.0481),
        _polynomial(t, 335779.526232, 1739527262.8478),
        _polynomial(t, 1072260.70369, 1602961601.2090),
        _polynomial(t, 450160.398036, -6962890.5431),
    )
    longitude = obliquity = 0.0
    for multiples, (in_sin, in_sin_t, in_cos), (ob_cos, ob_cos_t, ob_sin) in _NUTATION:
        angle = sum(multiple * argument for multiple, argument in zip(multiples, arguments, strict=True))
        longitude += (in_sin + in_sin_t * t) * math.sin(angle) + in_cos * math.cos(angle)
        obliquity += (ob_cos + ob_cos_t * t) * math.cos(angle) + ob_sin * math.sin(angle)
    return longitude * 1e-7 * ARCSEC, obliquity * 1e-7 * ARCSEC


def _earth_velocity(t: float) -> Vector:
    """The Earth's velocity over that of light, ICRS axes; Keplerian (elements of Simon et al. 1994)."""
    mean = math.radians(100.46645683 + 35999.37285 * t)
    perihelion = math.radians(102.93734808 + 0.32256 * t)
    eccentricity = 0.0167086342 - 0.00004203654 * t
    anomaly = mean - perihelion
    centre = (2 * eccentricity - eccentricity**3 / 4) * math.sin(anomaly)
    centre += 1.25 * eccentricity**2 * math.sin(2 * anomaly)
    along_x = -ABERRATION * (math.sin(mean + centre) + eccentricity * math.sin(perihelion))
    along_y = ABERRATION * (math.cos(mean + centre) + eccentricity * math.cos(perihelion))
    return along_x, along_y * math.cos(OBLIQUITY_J2000), along_y * math.sin(OBLIQUITY_J2000)


def _aberrated(direction: Vector, velocity: Vector) -> Vector:
    return _unit((direction[0] + velocity[0], direction[1] + velocity[1], direction[2] + velocity[2]))


def _unit(vector: Vector) -> Vector:
    length = math.hypot(*vector)
    return vector[0] / length, vector[1] / length, vector[2] / length


def _about_x(angle: float) -> Matrix:
    c, s = math.cos(angle), math.sin(angle)
    return (1.0, 0.0, 0.0), (0.0, c, s), (0.0, -s, c)


def _about_z(angle: float) -> Matrix:
    c, s = math.cos(angle), math.sin(angle)
    return (c, s, 0.0), (-s, c, 0.0), (0.0, 0.0, 1.0)


def _transposed(m: Matrix) -> Matrix:
    return (m[0][0], m[1][0], m[2][0]), (m[0][1], m[1][1], m[2][1]), (m[0][2], m[1][2], m[2][2])


def _times(m: Matrix, v: Vector) -> Vector:
    return (
        m[0][0] * v[0] + m[0][1] * v[1] + m[0][2] * v[2],
        m[1][0] * v[0] + m[1][1] * v[1] + m[1][2] * v[2],
        m[2][0] * v[0] + m[2][1] * v[1] + m[2][2] * v[2],
    )


def _product(a: Matrix, b: Matrix) -> Matrix:
    columns = _transposed(b)
    return _transposed((_times(a, columns[0]), _times(a, columns[1]), _times(a, columns[2])))
