"""Flats and darks: what follows from a level, and runs in a twilight that fades, a panel that shines, and a cloud."""

import asyncio
import math
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from astrod.domain.sphere import altitude_azimuth_deg, equatorial_deg, sun_altitude_deg
from astrod.errors import RecoverDevice
from astrod.rig.darks import Darks, Seen, Surroundings, darkener, step
from astrod.rig.flats import Aim, Level, TwilightFlats, anti_sun, good, in_order, next_exposure
from astrod.rig.leases import Leases
from astrod.rig.panel import PanelFlats
from astrod.runtime.clock import SimClock
from astrod_drivers.protocols import CoverState, Permit
from tests.rig.devices import MIDNIGHT_US, FakeDevice
from tests.rig.test_climate import PUJALT, port_of, simulated

AIM = Aim(target_adu=26_000.0, saturation_adu=65_535.0, shortest_s=0.5, longest_s=20.0)
DUSK_US = MIDNIGHT_US - (7 * 60 + 20) * 60 * 1_000_000
PERMIT = Permit(1)


# -- one exposure after the other ----------------------------------------------------------------------------


@given(st.floats(10.0, 1e6), st.floats(0.5, 20.0))
def test_an_exposure_brings_the_target_or_says_why_not(rate: float, exposure_s: float) -> None:
    level = Level(min(65_535.0, rate * exposure_s), exposure_s, 0)
    advice, next_s = next_exposure([level], AIM, 0)
    assert AIM.shortest_s <= next_s <= AIM.longest_s
    if level.adu >= 0.95 * AIM.saturation_adu:
        return
    if advice == "expose":
        assert rate * next_s == pytest.approx(AIM.target_adu, rel=1e-6)
    else:
        assert (rate * AIM.shortest_s > AIM.target_adu) == (advice == "too_bright")


def test_fading_light_is_foretold() -> None:
    levels = [Level(20_000.0, 1.0, 0), Level(10_000.0, 1.0, 60_000_000)]
    _, still_s = next_exposure(levels, AIM, 60_000_000)
    _, later_s = next_exposure(levels, AIM, 120_000_000)
    assert later_s == pytest.approx(2.0 * still_s)


def test_a_saturated_frame_is_followed_by_a_much_shorter_one_or_none() -> None:
    assert next_exposure([Level(65_535.0, 8.0, 0)], AIM, 0) == ("expose", 2.0)
    assert next_exposure([Level(65_535.0, 1.0, 0)], AIM, 0)[0] == "too_bright"


def test_filters_come_dimmest_first_in_the_evening() -> None:
    assert in_order(["L", "B", "Ha", None, "R"], evening=True) == ["Ha", "B", "R", None, "L"]
    assert in_order(["Ha", "L", "R"], evening=False) == ["L", "R", "Ha"]


@given(st.integers(0, 365), st.integers(0, 23), st.floats(-60, 60), st.floats(-180, 180))
def test_the_spot_is_high_and_away_from_the_sun(day: int, hour: int, latitude_deg: float, longitude_deg: float) -> None:
    at_us = MIDNIGHT_US + (day * 24 + hour) * 3_600_000_000
    place = replace(PUJALT, latitude_deg=latitude_deg, longitude_deg=longitude_deg)
    altitude_deg, _ = altitude_azimuth_deg(*anti_sun(place, at_us), at_us, latitude_deg, longitude_deg)
    assert altitude_deg == pytest.approx(78.0, abs=1e-6)


@given(st.floats(-89, 89), st.floats(0, 359), st.floats(-89, 89))
def test_altitude_and_azimuth_come_back(altitude_deg: float, azimuth_deg: float, latitude_deg: float) -> None:
    there = equatorial_deg(altitude_deg, azimuth_deg, MIDNIGHT_US, latitude_deg, 1.4)
    back = altitude_azimuth_deg(*there, MIDNIGHT_US, latitude_deg, 1.4)
    assert back[0] == pytest.approx(altitude_deg, abs=1e-6)
    assert math.cos(math.radians(back[1] - azimuth_deg)) == pytest.approx(1.0, abs=1e-6)


# -- whole runs ----------------------------------------------------------------------------------------------


class FakeTrain:
    """What `Telescope.trains` holds, as far as flats and darks look."""

    def __init__(self, cover: Any = None, shutter: bool = False) -> None:
        self.cover = cover
        self.setup = type("Setup", (), {"camera": type("Camera", (), {"shutter": shutter})()})()


class FakeTelescope:
    """Does at once what it is told and remembers it."""

    def __init__(self, cover: Any = None, shutter: bool = False) -> None:
        self.leases, self.told, self.cold = Leases(), list[str](), True
        self.mount = type("Mount", (), {"name": "mount"})()
        self.trains = {"main": FakeTrain(cover, shutter)}
        self.filter: str | None = None

    async def unpark(self, permit: Permit) -> None:
        self.told.append("unpark")

    async def uncover(self, train: str, permit: Permit) -> None:
        self.told.append("uncover")

    async def slew(self, ra_deg: float, dec_deg: float, permit: Permit) -> None:
        self.told.append("slew")

    async def stand_still(self) -> None:
        self.told.append("stand still")

    async def select_filter(self, train: str, name: str | None) -> None:
        self.filter = name

    async def shut(self, cover: Any) -> None:
        self.told.append("shut")

    async def is_cold(self, train: str) -> bool:
        return self.cold


WIDTHS = {"L": 1.0, "R": 0.3, "Ha": 0.02}


def test_an_evening_serves_every_filter_at_its_level() -> None:
    async def body(clock: SimClock) -> None:
        await clock.sleep((DUSK_US - clock.now_us()) / 1e6 % 86_400.0)
        telescope = FakeTelescope()
        kept: list[tuple[str | None, float]] = []

        async def take(name: str | None, exposure_s: float, keep: bool) -> float | None:
            await clock.sleep(exposure_s + 1.5)
            sun_deg = sun_altitude_deg(clock.now_us(), PUJALT.latitude_deg, PUJALT.longitude_deg)
            adu = min(65_535.0, 2e6 * WIDTHS[name or "L"] * 10.0 ** (0.55 * (sun_deg + 4.0)) * exposure_s)
            if keep and good(adu, AIM):
                kept.append((name, adu))
            return adu

        flats = TwilightFlats(telescope, "main", PUJALT, AIM, take, clock, evening=True)  # type: ignore[arg-type]
        counts = await flats.run(dict.fromkeys(WIDTHS, 5), PERMIT)
        assert counts == {"Ha": 5, "R": 5, "L": 5}
        assert [name for name, _ in kept] == ["Ha"] * 5 + ["R"] * 5 + ["L"] * 5
        assert all(adu == pytest.approx(AIM.target_adu, rel=0.25) for _, adu in kept)
        assert telescope.told[:2] == ["unpark", "uncover"]
        assert telescope.told[-1] == "stand still"

    simulated(body)


def test_too_late_an_evening_ends_by_itself() -> None:
    async def body(clock: SimClock) -> None:
        telescope = FakeTelescope()

        async def never(name: str | None, exposure_s: float, keep: bool) -> float | None:
            raise AssertionError("it is midnight")

        flats = TwilightFlats(telescope, "main", PUJALT, AIM, never, clock, evening=True)  # type: ignore[arg-type]
        assert await flats.run({"L": 3}, PERMIT) == {}
        assert telescope.told == []

    simulated(body)


class FakePanel(FakeDevice):
    """A cover with a light."""

    brightness = 0

    async def read(self) -> CoverState:
        return CoverState("closed", self.brightness)

    async def light(self, brightness: int) -> None:
        self.brightness = brightness


@pytest.mark.parametrize("gain", [0.5, 30.0, 300.0])
def test_a_panel_finds_its_level_whatever_its_strength_and_goes_dark(gain: float) -> None:
    async def body(clock: SimClock) -> None:
        panel = FakePanel(clock, [])
        telescope = FakeTelescope(await port_of(panel, "cover", clock))

        async def take(name: str | None, exposure_s: float, keep: bool) -> float | None:
            await clock.sleep(exposure_s)
            return min(65_535.0, gain * panel.brightness * WIDTHS[name or "L"] * exposure_s * 100.0)

        flats = PanelFlats(telescope, "main", AIM, take, clock)  # type: ignore[arg-type]
        assert await flats.run({"L": 4, "R": 4}) == {"L": 4, "R": 4}
        assert flats.state == "done"
        assert panel.brightness == 0
        panel.keeping.cancel()  # type: ignore[attr-defined]

    simulated(body)


# -- darks ---------------------------------------------------------------------------------------------------


def test_what_makes_it_dark() -> None:
    night, day = Surroundings("closed", -20.0), Surroundings("closed", 5.0)
    assert darkener(True, True, Surroundings("open", 5.0)) == "shutter"
    assert darkener(False, True, day) == "cover"
    assert darkener(False, False, night) == "roof"
    for around in (day, Surroundings("open", -20.0), Surroundings(None, -20.0), Surroundings("closing", -20.0)):
        assert darkener(False, False, around) is None


@given(st.booleans(), st.booleans(), st.booleans(), st.booleans())
def test_no_dark_is_exposed_in_light_or_warm_or_late(time_left: bool, wanted: bool, dark: bool, cold: bool) -> None:
    state = step(Seen(time_left, wanted, dark, cold))
    assert (state == "exposing") == (time_left and wanted and dark and cold)


def test_a_run_waits_for_dark_and_cold_and_gives_up_after_three_failures() -> None:
    async def body(clock: SimClock) -> None:
        from astrod.domain.calibration import Recipe

        telescope, sun_deg, fails = FakeTelescope(), 5.0, False
        taken: list[float] = []

        async def take(recipe: Recipe) -> bool:
            if fails:
                raise RecoverDevice("camera", "gone")
            await clock.sleep(recipe.exposure_s)
            taken.append(clock.monotonic_s())
            return True

        recipe = Recipe("dark", "main", "main", 60.0, temperature_c=-10.0)
        darks = Darks(telescope, "main", take, lambda: Surroundings("closed", sun_deg), clock)  # type: ignore[arg-type]
        end_us = clock.now_us() + 3600 * 1_000_000
        run = asyncio.create_task(darks.run([recipe] * 3, end_us))
        await clock.sleep(300.0)
        assert (darks.state, taken) == ("waiting", [])
        sun_deg, telescope.cold = -10.0, False
        await clock.sleep(300.0)
        assert (darks.state, taken) == ("cooling", [])
        telescope.cold = True
        assert await run == 3
        assert await darks.run([recipe] * 100, end_us) < 50  # the time is up first
        assert clock.now_us() <= end_us
        fails, later_us = True, clock.now_us() + 3600 * 1_000_000
        with pytest.raises(RecoverDevice):
            await darks.run([recipe], later_us)

    simulated(body)
