"""From a JSON document to weather: which path holds which quantity, in which unit, and when it was measured.

An option `QUANTITY=PATH` or `QUANTITY=PATH:UNIT` maps a dotted path (`data.0.temp`; numbers index lists; an empty path
is the whole document) to a quantity of `protocols.WeatherReading`. `time=PATH` names the document's own time stamp:
seconds or milliseconds since 1970, or ISO 8601 (UTC where it names no zone).

What is missing, no number, not finite or outside what the quantity can be counts as not measured; it is never guessed.
"""

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

from astrod_drivers.address import Address
from astrod_drivers.errors import AddressInvalid, BadAnswer

POSSIBLE: Mapping[str, tuple[float, float]] = {
    "temperature_c": (-90.0, 70.0),
    "humidity_percent": (0.0, 105.0),
    "dew_point_c": (-100.0, 50.0),
    "pressure_hpa": (300.0, 1100.0),
    "wind_m_s": (0.0, 120.0),
    "gust_m_s": (0.0, 150.0),
    "rain_mm_h": (0.0, 1000.0),
    "cloud_percent": (0.0, 100.0),
    "sky_temperature_c": (-120.0, 70.0),
    "sky_brightness_mag": (-30.0, 25.0),
}
"""Each quantity with what it can be on Earth; a value outside is a broken sensor's."""
UNITS: Mapping[str, tuple[float, float]] = {
    "F": (5.0 / 9.0, -32.0 * 5.0 / 9.0),
    "K": (1.0, -273.15),
    "km/h": (1.0 / 3.6, 0.0),
    "mph": (0.44704, 0.0),
    "kn": (0.514444, 0.0),
    "inHg": (33.863886, 0.0),
    "Pa": (0.01, 0.0),
    "kPa": (10.0, 0.0),
    "in/h": (25.4, 0.0),
    "fraction": (100.0, 0.0),
}
"""Units other than the quantity's own: factor and offset to it."""
MILLISECONDS_FROM = 1e11


@dataclass(frozen=True, slots=True)
class Field:
    """Where a quantity is in the document; `factor` and `offset` bring it to its own unit."""

    quantity: str
    path: str
    factor: float = 1.0
    offset: float = 0.0


@dataclass(frozen=True, slots=True)
class Fields:
    """The mapping of one feed. `time` None: the document says nothing of when."""

    fields: tuple[Field, ...]
    time: str | None = None


def fields_of(address: Address) -> Fields:
    """The mapping in an address's options. Raises AddressInvalid where there is none, or a unit is unknown."""
    fields = tuple(_field(address, name, text) for name, text in address.options if name in POSSIBLE)
    if not fields:
        raise AddressInvalid(
            f"{address} maps no quantity; write for instance ?temperature_c=PATH&wind_m_s=PATH:km/h "
            f"(quantities: {', '.join(POSSIBLE)})"
        )
    return Fields(fields, address.option("time"))


def _field(address: Address, quantity: str, text: str) -> Field:
    path, _, unit = text.partition(":")
    if unit and unit not in UNITS:
        raise AddressInvalid(f"{address}: {unit!r} is no unit of {quantity}; there are {', '.join(UNITS)}")
    return Field(quantity, path, *UNITS.get(unit, (1.0, 0.0)))


def document(source: str, content: bytes) -> object:
    """The JSON in `content`. Raises BadAnswer, naming the source and what it sent instead."""
    try:
        return json.loads(content)
    except (ValueError, RecursionError) as fault:
        shown = content[:60].decode("utf-8", "replace")
        raise BadAnswer(f"{source} sent no JSON but {shown!r}; check the address") from fault


def at(found: object, path: str) -> object:
    """What stands at a dotted path; None where the path leads nowhere."""
    for step in path.split(".") if path else []:
        if isinstance(found, dict):
            found = found.get(step)
        elif isinstance(found, list) and step.isdecimal() and int(step) < len(found):
            found = found[int(step)]
        else:
            return None
    return found


def values(mapping: Fields, found: object) -> dict[str, float]:
    """The quantities that the document measures."""
    measured = {}
    for field in mapping.fields:
        number = at(found, field.path)
        if isinstance(number, bool) or not isinstance(number, int | float):
            continue
        value = float(number) * field.factor + field.offset
        if possible(field.quantity, value):
            measured[field.quantity] = value
    return measured


def possible(quantity: str, value: float) -> bool:
    """Whether a quantity can have that value; NaN and infinity never are one."""
    low, high = POSSIBLE[quantity]
    return math.isfinite(value) and low <= value <= high


def told_us(source: str, mapping: Fields, found: object) -> int | None:
    """The document's own time stamp, UTC microseconds; None where the mapping names none.

    Raises BadAnswer when it is named and not there: a feed that stops telling the time must not look fresh.
    """
    if mapping.time is None:
        return None
    stamp = at(found, mapping.time)
    if isinstance(stamp, int | float) and not isinstance(stamp, bool) and math.isfinite(stamp):
        seconds = stamp / 1e3 if abs(stamp) > MILLISECONDS_FROM else stamp
        return round(seconds * 1e6)
    try:
        instant = datetime.fromisoformat(str(stamp))
        return round((instant if instant.tzinfo else instant.replace(tzinfo=UTC)).timestamp() * 1e6)
    except (ValueError, OverflowError) as fault:
        raise BadAnswer(f"{source}: {mapping.time} is {str(stamp)[:40]!r}, which is no time") from fault
