"""The weather: clear nights stay clear, cloudy ones close the roof, and no instant depends on another."""

from dataclasses import replace
from datetime import UTC, datetime

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sim_bench import EVENING_US, JumpingClock

from astrod_drivers.sim import clouds, ephemeris, light
from astrod_drivers.sim.mains import Mains
from astrod_drivers.sim.scene import Cloud
from astrod_drivers.sim.setup import ObservatorySetup, Scenario
from astrod_drivers.sim.station import SimSafetyMonitor, SimWeather
from astrod_drivers.sim.weather import Climate, dew_point_c

NIGHT_US = [EVENING_US + minute * 60_000_000 for minute in range(-60, 660, 2)]


def climate(scenario: Scenario, seed: int) -> Climate:
    return Climate(ObservatorySetup(scenario=scenario, seed=seed))


@pytest.mark.parametrize("seed", range(8))
def test_scenarios_keep_their_promise(seed: int) -> None:
    clear = [climate("clear", seed).at(t) for t in NIGHT_US]
    assert max(c.cover for c in clear) < 0.1
    assert max(c.rain_mm_h for c in clear) == 0.0
    assert max(c.humidity_percent for c in clear) < 85.0
    assert max(c.gust_m_s for c in clear) < 12.0
    mixed = [climate("mixed", seed).at(t) for t in NIGHT_US]
    assert max(c.cover for c in mixed) > 0.2
    assert max(c.rain_mm_h for c in mixed) == 0.0
    assert np.mean([c.cover < 0.1 for c in mixed]) > 0.4
    cloudy = [climate("cloudy", seed).at(t) for t in NIGHT_US]
    shut = np.mean([c.rain_mm_h > 0.0 or c.cover > 0.9 for c in cloudy])
    assert 0.2 < shut < 0.75
    assert np.mean([c.rain_mm_h > 0.0 for c in cloudy]) > 0.2
    assert cloudy[0].cover < 0.9, "a cloudy night may begin with hope"


@given(seed=st.integers(0, 1000), t=st.integers(EVENING_US - 10**14, EVENING_US + 10**14))
@settings(max_examples=60, deadline=None)
def test_any_instant_can_be_asked_for_in_any_order(seed: int, t: int) -> None:
    ask = climate("cloudy", seed)
    first = ask.at(t)
    ask.at(t + 3_600_000_000)
    assert ask.at(t) == first == climate("cloudy", seed).at(t)
    assert first.dew_point_c <= first.temperature_c + 1e-9
    assert 0.0 <= first.cover <= 1.0
    assert first.gust_m_s >= first.wind_m_s > 0.0
    assert 0.5 < first.seeing_arcsec < 8.0
    step = ask.at(t + 1_000_000)
    assert abs(step.temperature_c - first.temperature_c) < 0.1 or abs(step.cover - first.cover) < 0.05


def test_nights_differ() -> None:
    starts = {climate("cloudy", 1).episodes(night)[0].start_h for night in range(20)}
    assert len(starts) == 20


async def test_the_station_measures_what_is() -> None:
    setup = ObservatorySetup(scenario="cloudy", seed=7)
    clock = JumpingClock(EVENING_US)
    station = SimWeather(Climate(setup), Mains(), setup.site, 21.3, 7, clock)
    monitor = SimSafetyMonitor(Climate(setup), clock)

    async def story() -> tuple[set[bool], int]:
        bits, different = set(), 0
        last = await station.read()
        for _ in range(72):
            await clock.sleep(600)
            reading, truth = await station.read(), Climate(setup).at(clock.now_us())
            assert clock.now_us() - 2_000_000 < reading.measured_us <= clock.now_us()
            assert reading.values["temperature_c"] == pytest.approx(truth.temperature_c, abs=0.3)
            assert reading.values["cloud_percent"] == pytest.approx(100 * truth.cover, abs=4)
            assert reading.values["rain_mm_h"] == pytest.approx(truth.rain_mm_h, abs=0.01)
            assert not reading.overridden
            bits.add((await monitor.read()).safe)
            different += reading.values != last.values
            last = reading
        return bits, different

    bits, different = await clock.play(story())
    assert bits == {True, False}
    assert different == 72, "a live sensor never freezes"


def test_dew_point_and_sky_brightness_have_known_values() -> None:
    assert dew_point_c(20.0, 50.0) == pytest.approx(9.27, abs=0.05)
    dark = light.sky_mag_arcsec2(21.5, 90.0, -30.0, light.MoonLight())
    assert dark == pytest.approx(21.5, abs=0.01)
    full = light.sky_mag_arcsec2(21.5, 60.0, -30.0, light.MoonLight(0.0, 45.0, 60.0))
    assert 17.5 < full < 19.0  # Krisciunas & Schaefer 1991, figure 2
    dusk = [light.sky_mag_arcsec2(21.5, 90.0, sun, light.MoonLight()) for sun in np.linspace(5.0, -20.0, 60)]
    assert dusk == sorted(dusk)


def test_sun_and_moon_are_where_astropy_says() -> None:
    coordinates = pytest.importorskip("astropy.coordinates")
    from astropy.time import Time
    from astropy.utils import iers

    iers.conf.auto_download = False
    iers.conf.auto_max_age = None
    for day in range(0, 400, 37):
        t = EVENING_US + day * 86_400_000_000
        moment = Time(datetime.fromtimestamp(t / 1e6, UTC).replace(tzinfo=None))
        for name, place, limit in (
            ("sun", ephemeris.sun_radec_deg(t), 0.03),
            ("moon", ephemeris.moon_radec_deg(t), 0.6),
        ):
            body = coordinates.get_body(name, moment)
            mine = ephemeris.icrs(*place, t)
            assert ephemeris.separation_deg(*mine, body.ra.deg, body.dec.deg) < limit


@pytest.mark.parametrize("cover", [0.05, 0.3, 0.6, 0.95])
def test_clouds_cover_what_they_should_and_drift(cover: float) -> None:
    random = np.random.default_rng(1)
    east, north = random.uniform(-3e5, 3e5, (2, 20_000))
    cloud = Cloud(cover=cover)
    taken = clouds.extinction_mag(cloud, east, north)
    assert (taken > 0).mean() == pytest.approx(cover, abs=0.03)
    later = clouds.extinction_mag(cloud, east + 8.0 * 100, north + 3.0 * 100, 100.0)
    assert later == pytest.approx(taken)
    whole = clouds.transmission(replace(cloud, cover=1.0), 60.0, 180.0, (0.8, 0.5), 60.0)
    assert 0.0 < whole.max() < 0.9
    assert clouds.transmission(None, 60.0, 180.0, (0.8, 0.5), 60.0).min() == 1.0
