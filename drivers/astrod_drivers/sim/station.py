"""The simulated weather station, and a safety monitor that looks at the same sky."""

import math

import numpy as np

from astrod_drivers.protocols import Clock, SafetyReading, SiteFix, WeatherReading
from astrod_drivers.sim import ephemeris, light
from astrod_drivers.sim.mains import Mains
from astrod_drivers.sim.weather import Climate

_EVERY_US = 2_000_000


class SimWeather:
    """Implements `protocols.Weather`: a new measurement every two seconds, with each sensor's noise."""

    def __init__(
        self, climate: Climate, mains: Mains, site: SiteFix, dark_sky_mag: float, seed: int, clock: Clock
    ) -> None:
        self._climate = climate
        self._mains = mains
        self._site = site
        self._dark_sky_mag = dark_sky_mag
        self._seed = seed
        self._clock = clock

    async def connect(self) -> None:
        """Always there."""

    async def disconnect(self) -> None:
        """The station goes on measuring."""

    async def read(self) -> WeatherReading:
        """See `protocols.Weather.read`."""
        measured_us = self._clock.now_us() // _EVERY_US * _EVERY_US
        sky = self._climate.at(measured_us)
        sequence = np.random.SeedSequence((abs(self._seed), 0x57A7, measured_us // _EVERY_US))
        noise = np.random.Generator(np.random.PCG64(sequence)).standard_normal(8).tolist()
        clear_sky_c = sky.temperature_c - 32.0 + 0.12 * sky.humidity_percent
        values = {
            "temperature_c": sky.temperature_c + 0.05 * noise[0],
            "humidity_percent": min(100.0, sky.humidity_percent + 0.3 * noise[1]),
            "dew_point_c": sky.dew_point_c + 0.1 * noise[2],
            "pressure_hpa": sky.pressure_hpa + 0.05 * noise[3],
            "wind_m_s": max(0.0, sky.wind_m_s + 0.2 * noise[4]),
            "gust_m_s": max(0.0, sky.gust_m_s + 0.2 * noise[5]),
            "rain_mm_h": sky.rain_mm_h,
            "cloud_percent": min(100.0, max(0.0, 100.0 * sky.cover + 0.8 * noise[6])),
            "sky_temperature_c": clear_sky_c + (sky.temperature_c - 3.0 - clear_sky_c) * sky.cover + 0.2 * noise[7],
            "sky_brightness_mag": self._zenith_mag(measured_us, sky.cover),
            "mains": 1.0 if self._mains.on(measured_us) else 0.0,
            "battery_percent": self._mains.battery_percent(measured_us),
        }
        return WeatherReading(measured_us, {name: round(value, 2) for name, value in values.items()})

    def _zenith_mag(self, instant_us: int, cover: float) -> float:
        sun_deg, moon = lights(self._site, instant_us, 90.0, 0.0)
        mag = light.sky_mag_arcsec2(self._dark_sky_mag, 90.0, sun_deg, moon)
        return mag - 2.5 * math.log10(1.0 + cover)


class SimSafetyMonitor:
    """Implements `protocols.SafetyMonitor`: unsafe in rain, under an overcast, in a strong wind."""

    def __init__(self, climate: Climate, clock: Clock) -> None:
        self._climate = climate
        self._clock = clock

    async def connect(self) -> None:
        """Always there."""

    async def disconnect(self) -> None:
        """The monitor goes on watching."""

    async def read(self) -> SafetyReading:
        """See `protocols.SafetyMonitor.read`."""
        measured_us = self._clock.now_us() // _EVERY_US * _EVERY_US
        sky = self._climate.at(measured_us)
        return SafetyReading(measured_us, sky.rain_mm_h == 0.0 and sky.cover < 0.9 and sky.gust_m_s < 20.0)


def lights(site: SiteFix, instant_us: int, altitude_deg: float, azimuth_deg: float) -> tuple[float, light.MoonLight]:
    """The Sun's altitude, and the Moon as it lights the sky at an altitude and azimuth."""
    at = instant_us, site.latitude_deg, site.longitude_deg
    sun_deg = ephemeris.altitude_deg(ephemeris.sun_radec_deg(instant_us), *at)
    moon_place = ephemeris.moon_radec_deg(instant_us)
    hour_angle_deg = ephemeris.sidereal_deg(instant_us, site.longitude_deg) - moon_place[0]
    moon_alt_deg, moon_az_deg = ephemeris.horizontal_deg(hour_angle_deg, moon_place[1], site.latitude_deg)
    apart_deg = ephemeris.separation_deg(moon_az_deg, moon_alt_deg, azimuth_deg, altitude_deg)
    return sun_deg, light.MoonLight(ephemeris.moon_phase_deg(instant_us), moon_alt_deg, apart_deg)
