"""A weather station (Alpaca: observingconditions) and a safety monitor.

Each sensor says how long ago it measured, and a reading is as old as its oldest sensor: one that died an hour ago must
not look young because the others live. A station that does not say is believed to have measured when a value last
changed. What a sensor does not answer was not measured.
"""

import logging
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from alpaca.observingconditions import ObservingConditions
from alpaca.safetymonitor import SafetyMonitor as AlpycaSafetyMonitor

from astrod_drivers.alpaca.device import AlpacaDevice
from astrod_drivers.alpaca.values import flag, number, optional
from astrod_drivers.errors import BadAnswer, Unreachable
from astrod_drivers.protocols import SafetyMonitor, SafetyReading, Weather, WeatherReading

SENSORS: dict[str, tuple[str, float, float]] = {
    "Temperature": ("temperature_c", -100.0, 80.0),
    "Humidity": ("humidity_percent", 0.0, 100.0),
    "DewPoint": ("dew_point_c", -120.0, 80.0),
    "Pressure": ("pressure_hpa", 300.0, 1200.0),
    "WindSpeed": ("wind_m_s", 0.0, 150.0),
    "WindGust": ("gust_m_s", 0.0, 150.0),
    "RainRate": ("rain_mm_h", 0.0, 2000.0),
    "CloudCover": ("cloud_percent", 0.0, 100.0),
    "SkyTemperature": ("sky_temperature_c", -200.0, 80.0),
    "SkyQuality": ("sky_brightness_mag", 0.0, 30.0),
}
"""Alpaca's name, ours, and the bounds of what can be. Alpaca's units are ours: m/s, mm/h, hPa, mag/arcsec²."""
LONGEST_S = 86_400.0 * 365
AGE_EVERY_S = 5.0
ABSENT_S = 60.0
"""A sensor that the station has not is not asked for again so soon."""
JITTER_US = 500_000  # ages are told by the second or so, and take their time to arrive
log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Age:
    """When a sensor measured (None: it does not say), and when it is to be asked again."""

    measured_us: int | None
    due_s: float


class AlpacaWeather(AlpacaDevice, Weather):
    """See `protocols.Weather`."""

    kind = "weather station"
    model = ObservingConditions
    _values: dict[str, float] | None = None
    _changed_us = 0
    _measured_us = 0
    _failing: frozenset[str] = frozenset()

    def _survey(self, device: Any) -> None:
        self._ages: dict[str, Age] = {}
        self._absent_until_s: dict[str, float] = {}

    async def read(self) -> WeatherReading:
        return await self._read_state(self._reading)

    def _reading(self, device: Any) -> WeatherReading:
        asked_us, asked_s = self.clock.now_us(), self.clock.monotonic_s()
        values: dict[str, float] = {}
        measured: list[int] = []
        faults: dict[str, Exception] = {}
        for sensor, (name, low, high) in SENSORS.items():
            if asked_s < self._absent_until_s.get(sensor, asked_s):
                continue
            try:
                found = optional(_asker(device, sensor, low, high))
                if found is None:
                    self._absent_until_s[sensor] = asked_s + ABSENT_S
                    continue
                measured += self._measured(device, sensor)
                values[name] = found
            except (BadAnswer, Unreachable) as fault:
                faults[sensor] = fault
        if not values:
            raise next(iter(faults.values())) if faults else Unreachable(f"{self.address} has no sensors; check them")
        self._tell(faults)
        if values != self._values:
            self._values, self._changed_us = values, asked_us
        measured_us = min(measured) if measured else self._changed_us
        if abs(measured_us - self._measured_us) > JITTER_US:  # else it is the same measurement
            self._measured_us = measured_us
        return WeatherReading(self._measured_us, values)

    def _measured(self, device: Any, sensor: str) -> list[int]:
        """When that sensor measured, as it said within AGE_EVERY_S; nothing when it does not say."""
        now_s = self.clock.monotonic_s()
        age = self._ages.get(sensor)
        if age is None or now_s >= age.due_s:
            measured_us = _measured_us(device, sensor, self.clock.now_us())
            # the first time they fall due one after the other, so that no reading asks for all
            share = 1.0 if age is not None else (len(self._ages) % len(SENSORS) + 1) / len(SENSORS)
            age = self._ages[sensor] = Age(measured_us, now_s + AGE_EVERY_S * share)
        return [] if age.measured_us is None else [age.measured_us]

    def _tell(self, faults: dict[str, Exception]) -> None:
        """Log which sensors fail, once for each time that it changes."""
        if faults.keys() != self._failing:
            self._failing = frozenset(faults)
            for sensor, reason in faults.items():
                log.warning("%s is not measured: %s", sensor, reason)


def _asker(device: Any, sensor: str, low: float, high: float) -> Callable[[], float]:
    return lambda: number(getattr(device, sensor), sensor, low, high)


def _measured_us(device: Any, sensor: str, now_us: int) -> int | None:
    """When that sensor measured, by its own word; None when it does not say."""
    age_s = optional(lambda: number(device.TimeSinceLastUpdate(sensor), "TimeSinceLastUpdate", -LONGEST_S, LONGEST_S))
    if age_s is None:
        return None
    if age_s < 0.0:
        raise BadAnswer(f"{sensor} was never measured")
    return now_us - round(age_s * 1e6)


class AlpacaSafetyMonitor(AlpacaDevice, SafetyMonitor):
    """See `protocols.SafetyMonitor`. The interface has no time of measurement: it is the time of the answer."""

    kind = "safety monitor"
    model = AlpycaSafetyMonitor

    async def read(self) -> SafetyReading:
        return await self._read(lambda device: SafetyReading(self.clock.now_us(), flag(device.IsSafe, "IsSafe")))
