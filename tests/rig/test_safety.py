"""The safety loop, with fake devices on the simulated clock."""

import asyncio
from dataclasses import replace
from pathlib import Path

import pytest

from astrod.domain.instant import SECOND_US
from astrod.errors import GoSafe, RecoverDevice
from astrod.rig.safety.loop import CONTROL_SILENT_S
from astrod.rig.safety.memory import Memory
from astrod_drivers.errors import PermitRefused
from astrod_drivers.protocols import Permit
from tests.rig.devices import MIDNIGHT_US, NOON_US, SITE, Hut, in_hut

CLOSE_S = 120.0
LATE_US = MIDNIGHT_US + 6 * 3600 * SECOND_US
"""An hour before the sun is up at SITE."""


def is_closed(hut: Hut) -> bool:
    return hut.roof.aperture == "closed" and hut.mount.parked


async def closes(hut: Hut, within_s: float = CLOSE_S) -> None:
    """Wait until the hardware itself is closed and parked."""
    await hut.until(lambda _: is_closed(hut), within_s)


def test_a_clear_sky_is_trusted_only_after_its_time() -> None:
    async def story(hut: Hut) -> None:
        assert not (await hut.loop.report()).safe
        await hut.until(lambda report: report.safe, 60.0)
        assert hut.clock.monotonic_s() >= 30.0

    in_hut(story)


def test_unsafe_ends_the_epoch_first_then_parks_then_closes() -> None:
    async def story(hut: Hut) -> None:
        permit = await hut.open()
        hut.events.clear()
        hut.weather.wind_m_s = 20.0
        await hut.until(lambda report: not report.safe, 30.0)
        assert not hut.gate.allows(permit)
        assert "close" not in hut.events
        with pytest.raises(PermitRefused):
            await hut.mount.slew(10.0, 10.0, permit)
        await closes(hut)
        assert hut.events == ["stop", "park", "close"]

    in_hut(story)


def test_one_gust_is_no_storm() -> None:
    async def story(hut: Hut) -> None:
        await hut.open()
        hut.weather.wind_m_s = 20.0
        await hut.clock.sleep(4.0)
        hut.weather.wind_m_s = 2.0
        await hut.clock.sleep(120.0)
        assert (await hut.loop.report()).safe

    in_hut(story)


def test_the_roof_waits_for_a_stuck_mount_and_says_so_and_goes_on_when_it_is_freed() -> None:
    async def story(hut: Hut) -> None:
        await hut.open()
        hut.mount.stuck = True
        hut.weather.wind_m_s = 20.0
        report = await hut.until(lambda report: bool(report.troubles), 120.0)
        assert report.troubles[0].startswith("AST-120 main")
        assert hut.roof.aperture == "open"
        await hut.clock.sleep(600.0)
        assert hut.events.count("park") > 3
        assert hut.roof.aperture == "open"
        hut.mount.stuck = False
        await closes(hut, 180.0)
        await hut.until(lambda report: not report.troubles, 30.0)

    in_hut(story)


def test_a_jammed_roof_is_told_to_close_until_it_does() -> None:
    async def story(hut: Hut) -> None:
        await hut.open()
        hut.roof.jammed = True
        hut.weather.wind_m_s = 20.0
        report = await hut.until(lambda report: bool(report.troubles), 180.0)
        assert report.troubles[0].startswith("AST-110 roof")
        hut.roof.jammed = False
        await closes(hut, 180.0)
        assert hut.events.count("close") >= 2

    in_hut(story)


def test_a_roof_driver_that_hangs_holds_up_no_parking() -> None:
    async def story(hut: Hut) -> None:
        await hut.open()
        hut.roof.hangs = True
        hut.weather.wind_m_s = 20.0
        await hut.until(lambda _: hut.mount.parked, 60.0)
        await hut.clock.sleep(120.0)
        hut.roof.hangs = False
        await closes(hut, 180.0)

    in_hut(story)


@pytest.mark.parametrize("trouble", ["gone", "hangs"])
def test_a_silent_sensor_is_unsafe_when_its_last_word_is_stale(trouble: str) -> None:
    async def story(hut: Hut) -> None:
        await hut.open()
        setattr(hut.weather, trouble, True)
        lost_s = hut.clock.monotonic_s()
        await hut.clock.sleep(40.0)
        assert (await hut.loop.report()).safe
        report = await hut.until(lambda report: not report.safe, 60.0)
        assert hut.clock.monotonic_s() - lost_s <= SITE.weather[0].stale_s + 10.0
        assert "no reading since" in report.reasons[0]
        await closes(hut)

    in_hut(story)


def test_a_lost_heartbeat_of_control_closes() -> None:
    async def story(hut: Hut) -> None:
        await hut.open()
        hut.control_lives = False
        report = await hut.until(lambda report: not report.safe, CONTROL_SILENT_S + 5.0)
        assert "control loop" in report.reasons[0]
        await closes(hut)

    in_hut(story)


def test_an_opening_that_the_storm_interrupts_closes_again() -> None:
    async def story(hut: Hut) -> None:
        permit = Permit((await hut.until(lambda report: report.safe, 120.0)).epoch)
        hut.weather.wind_m_s = 20.0
        await hut.clock.sleep(4.0)
        opening = asyncio.create_task(hut.loop.open_roof(permit))
        with pytest.raises(GoSafe):
            await opening
        await closes(hut)
        assert hut.events[-1] == "close"

    in_hut(story)


def test_an_operator_who_closes_while_it_opens_is_obeyed() -> None:
    async def story(hut: Hut) -> None:
        permit = Permit((await hut.until(lambda report: report.safe, 120.0)).epoch)
        opening = asyncio.create_task(hut.loop.open_roof(permit))
        await hut.clock.sleep(5.0)
        assert hut.roof.aperture == "opening"
        await hut.loop.close_site("the operator's wish")
        with pytest.raises(GoSafe):
            await opening
        await hut.clock.sleep(60.0)
        assert is_closed(hut)

    in_hut(story)


def test_a_stale_permit_opens_nothing() -> None:
    async def story(hut: Hut) -> None:
        permit = await hut.open()
        hut.weather.wind_m_s = 20.0
        await closes(hut)
        hut.weather.wind_m_s = 2.0
        await hut.until(lambda report: report.safe, 120.0)
        hut.events.clear()
        with pytest.raises(GoSafe):
            await hut.loop.open_roof(permit)
        assert hut.events == []

    in_hut(story)


def test_the_roof_does_not_open_over_an_unparked_mount() -> None:
    async def story(hut: Hut) -> None:
        permit = Permit((await hut.until(lambda report: report.safe, 120.0)).epoch)
        hut.mount.stuck = True
        hut.mount.shove()
        with pytest.raises(RecoverDevice, match="not parked"):
            await hut.loop.open_roof(permit)
        assert "open" not in hut.events

    in_hut(story)


def test_by_day_nothing_opens_and_what_is_open_closes() -> None:
    async def story(hut: Hut) -> None:
        await hut.clock.sleep(120.0)
        report = await hut.loop.report()
        assert report.reasons == ("the sun is up",)

    in_hut(story, NOON_US)


def test_a_restart_with_remembered_readings_does_not_close_a_clear_sky(tmp_path: Path) -> None:
    async def story(hut: Hut) -> None:
        await hut.open()
        hut.events.clear()
        hut.restart()
        second = asyncio.create_task(hut.loop.run(lambda: None))
        await hut.until(lambda report: report.safe, 10.0)
        await hut.clock.sleep(60.0)
        assert hut.events == []
        second.cancel()
        await asyncio.wait({second})

    in_hut(story, memory=Memory(tmp_path / "safety.json"))


def test_a_site_without_roof_or_weather_is_safe_by_night_and_parks_by_day() -> None:
    async def story(hut: Hut) -> None:
        permit = Permit((await hut.until(lambda report: report.safe, 30.0)).epoch)
        await hut.loop.open_roof(permit)
        await hut.mount.unpark(permit)
        await hut.clock.sleep(2 * 3600.0)
        assert not (await hut.loop.report()).safe
        assert hut.mount.parked

    in_hut(story, LATE_US, site=replace(SITE, roof=None, weather=()))


def test_a_roof_that_was_left_open_over_a_mount_at_work_counts_as_opened() -> None:
    async def story(hut: Hut) -> None:
        permit = await hut.open()
        hut.events.clear()
        await hut.loop.open_roof(permit)
        assert hut.events == []
        assert hut.roof.aperture == "open"

    in_hut(story)
