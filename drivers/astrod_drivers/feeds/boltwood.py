"""The one-line file of Boltwood's Cloud Sensor, which many other sensors and programs write too.

    2010-10-20 12:08:09.44 C K -44.6 19.7 31.5 3.7 49 8.7 0 0 0 00002 040471.50566 1 1 1 3 0 0

Date, time (local to whoever wrote it), unit of temperature (C, F), unit of wind (K km/h, M mph, m m/s), sky less
ambient temperature, ambient, sensor's own, wind, humidity, dew point, heater, rain and wet flag (0 dry, 1 in the last
minute, 2 now), seconds since the last valid data, the time again in days, then the conditions of cloud, wind, rain and
daylight (0 unknown, 1 good, 2 bad, 3 worse), and in the newer format the wish to close the roof and the alert.
Source: the keys to Clarity II's data file that its users publish; both formats are read, told by their length.
"""

from dataclasses import dataclass
from datetime import datetime, tzinfo

from astrod_drivers.errors import BadAnswer
from astrod_drivers.feeds.fields import possible
from astrod_drivers.protocols import Zone

OLD_FIELDS, NEW_FIELDS = 19, 21
WIND_M_S = {"K": 1.0 / 3.6, "M": 0.44704, "m": 1.0}
ZONES: dict[str, Zone] = {"0": "unknown", "1": "ok", "2": "warning", "3": "alert"}
FLAGS: dict[str, Zone] = {"0": "ok", "1": "warning", "2": "alert"}
SATURATED = 998.0
RAINING_MM_H = 1.0
"""A flag has no rate: rain now counts as this much, so that a limit on the rate sees it."""


@dataclass(frozen=True, slots=True)
class Line:
    """What the line says. `written_us` is its own time, `idle_s` how old its data were then."""

    written_us: int
    idle_s: float
    values: dict[str, float]
    zones: dict[str, Zone]


def parse(text: str, zone: tzinfo | None) -> Line:
    """The line's meaning; `zone` None is this machine's own. Raises BadAnswer, which says what is wrong with it."""
    words = text.split()
    if len(words) not in (OLD_FIELDS, NEW_FIELDS):
        raise BadAnswer(f"a Boltwood line has {OLD_FIELDS} or {NEW_FIELDS} fields, not {len(words)}: {text[:80]!r}")
    try:
        written = datetime.fromisoformat(f"{words[0]}T{words[1]}")
        fahrenheit, wind_unit = {"C": False, "F": True}[words[2]], WIND_M_S[words[3]]
        sky, ambient, _, wind, humidity, dew = (float(word) for word in words[4:10])
        idle_s = float(words[13])
    except (ValueError, KeyError) as fault:
        raise BadAnswer(f"this is no Boltwood line ({fault}): {text[:80]!r}") from fault
    if not 0.0 <= idle_s < 1e6:
        raise BadAnswer(f"its data are {words[13]} s old, which cannot be: {text[:80]!r}")
    local = written.replace(tzinfo=zone) if zone is not None else written.astimezone()
    values = _values(fahrenheit, wind_unit, (sky, ambient, wind, humidity, dew))
    return Line(round(local.timestamp() * 1e6), idle_s, values | _rain(words), _zones(words))


def _values(fahrenheit: bool, wind_unit: float, read: tuple[float, ...]) -> dict[str, float]:
    """In our units. Codes for wet, saturated and broken sensors are no values."""
    sky, ambient, wind, humidity, dew = read
    degree = 5.0 / 9.0 if fahrenheit else 1.0
    zero = 32.0 if fahrenheit else 0.0
    found = {"humidity_percent": humidity}
    if abs(ambient) < SATURATED:
        found["temperature_c"] = (ambient - zero) * degree
        found["dew_point_c"] = (dew - zero) * degree
        if abs(sky) < SATURATED:  # a difference: 1 F of it is 5/9 C, with no zero to shift
            found["sky_temperature_c"] = found["temperature_c"] + sky * degree
    if wind >= 0.0:
        found["wind_m_s"] = wind * wind_unit
    return {name: value for name, value in found.items() if possible(name, value)}


def _rain(words: list[str]) -> dict[str, float]:
    flags = (words[11], words[12])
    if any(flag not in FLAGS for flag in flags):
        return {}
    return {"rain_mm_h": RAINING_MM_H if "2" in flags else 0.0}


def _zones(words: list[str]) -> dict[str, Zone]:
    """The sensor's own opinions. A condition it does not know is told as unknown; daylight is no danger here."""
    zones = {"cloud_percent": ZONES.get(words[15], "unknown"), "rain_mm_h": ZONES.get(words[17], "unknown")}
    if "2" in (words[11], words[12]):
        zones["rain_mm_h"] = "alert"
    if ZONES.get(words[16], "unknown") != "unknown":  # without an anemometer it is 0 for ever
        zones["wind_m_s"] = ZONES[words[16]]
    if len(words) == NEW_FIELDS:
        zones["roof"] = "ok" if words[19] == "0" else "alert"
        zones["alert"] = "ok" if words[20] == "0" else "alert"
    return zones
