"""A weather station, a sky-quality meter, or a safety monitor, through INDI.

The overall light of WEATHER_STATUS is not trusted: WEATHER_OVERRIDE turns it green whatever the weather. Each
parameter's own light counts, and the override is told. A reading is as old as the driver's last successful
update; what a client asks does not make it younger.
"""

import math

from astrod_drivers.errors import DeadlineMissed
from astrod_drivers.indi.device import IndiDevice
from astrod_drivers.indi.link import Link, Vector
from astrod_drivers.protocols import SafetyMonitor, SafetyReading, Weather, WeatherReading, Zone

PARAMETERS = "WEATHER_PARAMETERS"
SKY_QUALITY = "SKY_QUALITY"
REFRESH_S = 2.0
REFRESH_EVERY_S = 5.0  # some drivers ask a service on the network each time

NAMES = {
    "WEATHER_TEMPERATURE": "temperature_c",
    "WEATHER_HUMIDITY": "humidity_percent",
    "WEATHER_DEWPOINT": "dew_point_c",
    "WEATHER_DEW_POINT": "dew_point_c",
    "WEATHER_PRESSURE": "pressure_hpa",
    "WEATHER_BAROMETER": "pressure_hpa",
    "WEATHER_WIND_SPEED": "wind_m_s",
    "WEATHER_WIND_GUST": "gust_m_s",
    "WEATHER_RAIN_HOUR": "rain_mm_h",
    "WEATHER_RAIN_RATE": "rain_mm_h",
    "WEATHER_CLOUD_COVER": "cloud_percent",
    "WEATHER_CLOUDS": "cloud_percent",
    "WEATHER_SKY_TEMPERATURE": "sky_temperature_c",
    "WEATHER_SKY_TEMP": "sky_temperature_c",
    "WEATHER_SQM": "sky_brightness_mag",
    "WEATHER_SKY_BRIGHTNESS": "sky_brightness_mag",
    "SKY_BRIGHTNESS": "sky_brightness_mag",
    "SKY_TEMPERATURE": "temperature_c",  # of the meter itself, not of the sky
}
# drivers say the unit of a speed in the label only; INDI's custom is km/h
SPEED_UNITS_M_S = {"m/s": 1.0, "mps": 1.0, "mph": 0.44704, "kn": 0.514444, "knots": 0.514444, "kts": 0.514444}
KMH_M_S = 1 / 3.6
ZONES: dict[str, Zone] = {"Ok": "ok", "Busy": "warning", "Alert": "alert"}


class IndiWeather(IndiDevice, Weather):
    """See `protocols.Weather`. `zones` also has lights of parameters that have no canonical name."""

    kind = "weather"
    _measured_us = 0
    _seen_serial = 0
    _asked_s = -REFRESH_EVERY_S
    _parameters = PARAMETERS

    async def _prepare(self, link: Link) -> None:
        """A sky-quality meter is no weather station to INDI, and one to us."""
        self._parameters = SKY_QUALITY if SKY_QUALITY in link.vectors and PARAMETERS not in link.vectors else PARAMETERS
        await self._need(link, self._parameters)

    async def read(self) -> WeatherReading:
        link = await self._refreshed()
        parameters = self._vector(link, self._parameters)
        override = link.vectors.get("WEATHER_OVERRIDE")
        return WeatherReading(
            measured_us=self._measured(parameters),
            values=_values(parameters),
            zones=_zones(link.vectors.get("WEATHER_STATUS")),
            overridden=override is not None and override.on("OVERRIDE"),
        )

    def _measured(self, parameters: Vector) -> int:
        """When the driver last measured: an update in Alert says that it tried and failed."""
        if parameters.serial != self._seen_serial and parameters.state != "Alert":
            self._measured_us = parameters.arrived_us if parameters.update else self._measured_us
        self._seen_serial = parameters.serial
        return self._measured_us

    async def _refreshed(self) -> Link:
        """Ask for an update every REFRESH_EVERY_S. A driver that polls at its own pace keeps its last one."""
        link = await self._heard()
        rested = self.clock.monotonic_s() - self._asked_s >= REFRESH_EVERY_S
        if not rested or "WEATHER_REFRESH" not in link.vectors:
            return link
        self._asked_s = self.clock.monotonic_s()
        before = self._vector(link, self._parameters).serial
        heard_s = link.heard_s
        link.send_switch("WEATHER_REFRESH", "REFRESH")
        try:
            await link.until(lambda: _newer(link, self._parameters, before), REFRESH_S, "a weather update")
        except DeadlineMissed:
            if link.heard_s == heard_s:
                raise  # not a word from the driver: it hangs
        return self._live()


def _newer(link: Link, name: str, serial: int) -> bool | None:
    vector = link.vectors.get(name)
    return True if vector is None or vector.serial > serial else None


def _values(parameters: Vector) -> dict[str, float]:
    values = {}
    for element, name in NAMES.items():
        value = parameters.number(element)
        if value is not None and math.isfinite(value):
            values[name] = value * (_speed(parameters.labels[element]) if name.endswith("_m_s") else 1.0)
    return values


def _speed(label: str) -> float:
    """Metres per second in the unit that a label names, as in `Wind (kph)`."""
    unit = label.rpartition("(")[2].rstrip(") ").lower()
    return SPEED_UNITS_M_S.get(unit, KMH_M_S)


def _zones(status: Vector | None) -> dict[str, Zone]:
    if status is None:
        return {}
    return {NAMES.get(name, name.lower()): ZONES.get(str(light), "unknown") for name, light in status.values.items()}


class IndiSafetyMonitor(IndiWeather, SafetyMonitor):
    """See `protocols.SafetyMonitor`: safe when no light is red or dark and nobody overrides."""

    kind = "safety monitor"
    needs = ("WEATHER_STATUS", PARAMETERS)

    async def read(self) -> SafetyReading:  # type: ignore[override]
        reading = await super().read()
        good = all(zone in ("ok", "warning") for zone in reading.zones.values())
        return SafetyReading(reading.measured_us, good and bool(reading.zones) and not reading.overridden)
