"""The weather of a site as a function of time: nothing is stored, any instant can be asked for in any
order.

Wandering quantities are smooth noise whose knots are drawn from (seed, quantity, knot number). Cloud and
rain come in episodes, drawn once for each night: a clear night has none, a mixed one a few banks of cloud,
a cloudy one an overcast with rain that covers a good part of the dark hours.
"""

import math
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Literal, get_args

import numpy as np

from astrod_drivers.sim.scene import Cloud
from astrod_drivers.sim.setup import ObservatorySetup

_HOUR_US = 3_600_000_000
_DAY_US = 24 * _HOUR_US
_AIR, _HUMIDITY, _WIND, _GUST, _PRESSURE, _SEEING, _HAZE, _EPISODES, _LAYER = range(20, 29)


@lru_cache(maxsize=4096)
def _knot(seed: int, stream: int, knot: int) -> float:
    """A standard normal number that belongs to one knot."""
    sequence = np.random.SeedSequence((abs(seed), stream, abs(knot), knot < 0))
    return float(np.random.Generator(np.random.PCG64(sequence)).standard_normal())


def wander(seed: int, stream: int, instant_us: int, period_us: int) -> float:
    """Smooth noise of about unit RMS that changes over `period_us`; the same for the same arguments,
    always.
    """
    knot, rest = divmod(instant_us, period_us)
    x = rest / period_us
    blend = x * x * (3.0 - 2.0 * x)
    return (_knot(seed, stream, knot) * (1.0 - blend) + _knot(seed, stream, knot + 1) * blend) / 0.86


@dataclass(frozen=True, slots=True)
class Episode:
    """A spell of cloud: hours after local midnight, cover at its height, thickness, and rain."""

    start_h: float
    end_h: float
    cover: float
    thickness_mag: float
    rain_mm_h: float = 0.0

    def strength(self, hour: float) -> float:
        """0 outside, 1 in the middle, with half an hour or a third of its length to build up."""
        edge = min(0.5, (self.end_h - self.start_h) / 3.0)
        return max(0.0, min(1.0, (hour - self.start_h) / edge, (self.end_h - hour) / edge))


@dataclass(frozen=True, slots=True)
class Conditions:
    """The weather at an instant. `cover` is the share of the sky under cloud."""

    temperature_c: float
    humidity_percent: float
    dew_point_c: float
    pressure_hpa: float
    wind_m_s: float
    gust_m_s: float
    rain_mm_h: float
    cover: float
    thickness_mag: float
    seeing_arcsec: float


Quantity = Literal["rain", "wind", "cloud"]
QUANTITIES: tuple[Quantity, ...] = get_args(Quantity)


@dataclass(eq=False)
class Spell:
    """Weather that was ordered: rain (mm/h), wind (m/s) or cloud (percent of the sky), while it lasts."""

    quantity: Quantity
    amount: float
    since_us: int
    until_us: int | None = None

    def upon(self, sky: Conditions, instant_us: int) -> Conditions:
        """The weather with this upon it."""
        if instant_us < self.since_us or (self.until_us is not None and instant_us >= self.until_us):
            return sky
        if self.quantity == "wind":
            wind_m_s = max(sky.wind_m_s, self.amount)
            return replace(sky, wind_m_s=wind_m_s, gust_m_s=max(sky.gust_m_s, 1.25 * wind_m_s))
        if self.quantity == "cloud":
            return replace(sky, cover=max(sky.cover, self.amount / 100.0), thickness_mag=max(sky.thickness_mag, 3.0))
        humidity = max(sky.humidity_percent, 97.0)
        return replace(
            sky,
            rain_mm_h=max(sky.rain_mm_h, self.amount),
            cover=1.0,
            thickness_mag=max(sky.thickness_mag, 5.0),
            humidity_percent=humidity,
            dew_point_c=dew_point_c(sky.temperature_c, humidity),
        )


def dew_point_c(temperature_c: float, humidity_percent: float) -> float:
    """Magnus' formula with the constants of Alduchov & Eskridge 1996 (J. Appl. Meteor. 35, 601)."""
    gamma = math.log(max(1.0, humidity_percent) / 100.0) + 17.625 * temperature_c / (243.04 + temperature_c)
    return 243.04 * gamma / (17.625 - gamma)


class Climate:
    """The weather of one observatory."""

    def __init__(self, setup: ObservatorySetup) -> None:
        self._setup = setup
        self._seed = setup.seed
        self._spells: list[Spell] = []

    def begin(self, quantity: Quantity, amount: float, instant_us: int) -> "Spell":
        """Have that much rain, wind or cloud from now on, or more where there is more."""
        spell = Spell(quantity, amount, instant_us)
        self._spells.append(spell)
        return spell

    def _solar_hour(self, instant_us: int) -> tuple[int, float]:
        """The night's number and the hours after its local midnight, -12 to 12."""
        local_us = instant_us + round(self._setup.longitude_deg / 15.0 * _HOUR_US) - _DAY_US // 2
        night, rest_us = divmod(local_us, _DAY_US)
        return night, rest_us / _HOUR_US - 12.0

    def at(self, instant_us: int) -> Conditions:
        """The weather at an instant."""
        night, hour = self._solar_hour(instant_us)
        cover, thickness_mag, rain_mm_h = self._cloud_and_rain(night, hour, instant_us)
        temperature_c = self._temperature_c(instant_us, hour, cover)
        humidity = 52.0 + 9.0 * self._wander(_HUMIDITY, instant_us, 3.0) - 1.2 * (temperature_c - self._setup.evening_c)
        humidity = min(98.5, max(12.0, min(humidity, 78.0) + 12.0 * cover + (25.0 if rain_mm_h > 0.0 else 0.0)))
        wind_m_s = max(0.1, 2.6 + 1.1 * self._wander(_WIND, instant_us, 1.5) + 2.0 * cover + 2.5 * (rain_mm_h > 0.0))
        gust_m_s = wind_m_s * (1.25 + 0.15 * abs(self._wander(_GUST, instant_us, 0.05)))
        natural = Conditions(
            temperature_c,
            humidity,
            dew_point_c(temperature_c, humidity),
            1013.0 * math.exp(-self._setup.height_m / 8430.0) + 4.0 * self._wander(_PRESSURE, instant_us, 9.0),
            wind_m_s,
            gust_m_s,
            rain_mm_h,
            cover,
            thickness_mag,
            self._seeing_arcsec(instant_us, wind_m_s),
        )
        for spell in self._spells:
            natural = spell.upon(natural, instant_us)
        return natural

    def cloud(self, instant_us: int) -> Cloud:
        """The layer of cloud over the site, as it stands and drifts at an instant."""
        conditions = self.at(instant_us)
        night, hour = self._solar_hour(instant_us)
        east_m_s, north_m_s = self._drift_m_s(night)
        blown_s = hour * 3600.0
        return Cloud(
            cover=conditions.cover,
            thickness_mag=conditions.thickness_mag,
            height_m=2500.0 + 500.0 * _knot(self._seed, _LAYER, 3 * night),
            offset_m=(east_m_s * blown_s, north_m_s * blown_s),
            drift_m_s=(east_m_s, north_m_s),
            seed=self._seed,
        )

    def _drift_m_s(self, night: int) -> tuple[float, float]:
        angle = _knot(self._seed, _LAYER, 3 * night + 1) * 2.0
        speed = 7.0 + 2.0 * abs(_knot(self._seed, _LAYER, 3 * night + 2))
        return speed * math.cos(angle), speed * math.sin(angle)

    def _wander(self, stream: int, instant_us: int, hours: float) -> float:
        return wander(self._seed, stream, instant_us, round(hours * _HOUR_US))

    def _temperature_c(self, instant_us: int, hour: float, cover: float) -> float:
        """Warmest at 15 h, coldest before dawn; cloud keeps the night warm."""
        daily = 4.5 * math.cos(math.radians((hour - 3.0) * 15.0 + 180.0))
        evening = 4.5 * math.cos(math.radians((-5.0 - 3.0) * 15.0 + 180.0))
        return self._setup.evening_c + daily - evening + 0.7 * self._wander(_AIR, instant_us, 1.2) + 1.5 * cover

    def _seeing_arcsec(self, instant_us: int, wind_m_s: float) -> float:
        slow = 0.18 * self._wander(_SEEING, instant_us, 2.0) + 0.08 * self._wander(_SEEING + 100, instant_us, 0.15)
        return self._setup.seeing_arcsec * math.exp(slow) * (1.0 + 0.02 * max(0.0, wind_m_s - 4.0))

    def _cloud_and_rain(self, night: int, hour: float, instant_us: int) -> tuple[float, float, float]:
        """Cover, thickness (magnitudes) and rain (mm/h)."""
        haze = self._wander(_HAZE, instant_us, 1.0)
        cover = max(0.0, 0.004 + 0.006 * haze)
        thickness_mag, rain_mm_h = 0.25, 0.0
        for episode in self.episodes(night):
            strength = episode.strength(hour)
            if strength > 0.0:
                cover = max(cover, episode.cover * strength * (1.0 - 0.06 * abs(haze)))
                thickness_mag = max(thickness_mag, episode.thickness_mag * (0.4 + 0.6 * strength))
                rain_mm_h = max(rain_mm_h, episode.rain_mm_h * max(0.0, strength - 0.6) / 0.4)
        return min(1.0, cover), thickness_mag, rain_mm_h

    def episodes(self, night: int) -> tuple[Episode, ...]:
        """The night's spells of cloud; nights are numbered by `_solar_hour`."""
        return _episodes(self._setup.scenario, self._seed, night)


@lru_cache(maxsize=64)
def _episodes(scenario: str, seed: int, night: int) -> tuple[Episode, ...]:
    sequence = np.random.SeedSequence((abs(seed), _EPISODES, abs(night)))
    random = np.random.Generator(np.random.PCG64(sequence))
    if scenario == "clear":
        return ()
    banks = tuple(_bank(random) for _ in range(int(random.integers(2, 5))))
    if scenario == "mixed":
        return banks
    start_h = float(random.uniform(-4.0, -1.0))
    overcast = Episode(
        start_h,
        start_h + float(random.uniform(4.0, 6.0)),
        1.0,
        float(random.uniform(4.0, 6.0)),
        float(random.uniform(0.5, 4.0)),
    )
    return overcast, *banks


def _bank(random: np.random.Generator) -> Episode:
    """A bank of broken cloud that passes within an hour or so."""
    start_h = float(random.uniform(-6.0, 5.0))
    return Episode(
        start_h,
        start_h + float(random.uniform(0.4, 1.3)),
        float(random.uniform(0.3, 0.8)),
        float(random.uniform(0.6, 2.5)),
    )
