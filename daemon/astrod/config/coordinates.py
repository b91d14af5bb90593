"""ICRS coordinates as people write them."""

import re

_NUMBER = r"(\d+(?:\.\d*)?)"
_DEGREES = re.compile(rf"^{_NUMBER}\s*,?\s+([+-]?){_NUMBER}$")
_SEXAGESIMAL = re.compile(
    rf"^(\d+)(?:h\s*|:|\s+)(\d+)(?:m\s*|:|\s+|)(?:{_NUMBER}s?)?\s*,?\s*"
    rf"([+-])\s*(\d+)(?:[d°]\s*|:|\s+)(\d+)(?:[m'′]\s*|:|\s+|)(?:{_NUMBER}[s\"″]?)?$"
)
FORM = '"00h42m44s +41d16m08s", "00:42:44 +41:16:08" or degrees "10.6847 +41.2687"'


def parse(text: str) -> tuple[float, float]:
    """Right ascension and declination, degrees, of a text such as `00h42m44s +41d16m`. Raises ValueError."""
    plain = text.strip().replace("−", "-")
    match = _DEGREES.match(plain)
    if match:
        ra_deg, sign, dec_deg = float(match[1]), match[2], float(match[3])
    else:
        match = _SEXAGESIMAL.match(plain)
        if match is None:
            raise ValueError(f"is no pair of coordinates; write {FORM}")
        ra_deg, sign = 15.0 * _sixty(*match.group(1, 2, 3)), match[4]
        dec_deg = _sixty(*match.group(5, 6, 7))
    if not 0.0 <= ra_deg < 360.0 or dec_deg > 90.0:
        raise ValueError("is not on the sky; right ascension is 0h..24h, declination -90..90 degrees")
    return ra_deg, -dec_deg if sign == "-" else dec_deg


def _sixty(whole: str, minutes: str, seconds: str | None) -> float:
    minute, second = int(minutes), float(seconds or 0.0)
    if minute >= 60 or second >= 60.0:
        raise ValueError("has 60 or more minutes or seconds")
    return int(whole) + minute / 60.0 + second / 3600.0
