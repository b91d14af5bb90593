"""How others lost nights, and what happens here: the rows of FAILURES.md that are safety's, by their numbers.

The table of rows, tests and results is `safety.md` beside this file.
"""

import asyncio
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from astrod.domain.instant import HOUR_US, SECOND_US
from astrod.domain.night import Held, LightChanged, NightState, SafetyChanged, step
from astrod.domain.safety import ClockQuality, SafetyReport
from astrod.domain.site import Limit, Site, TimeSetup, WeatherSetup
from astrod.errors import GoSafe
from astrod.rig.port import DirectSession, Port
from astrod.rig.safety.loop import CONTROL_SILENT_S
from astrod.rig.safety.memory import Memory
from astrod.rig.safety.sources import own_source
from astrod.rig.standing import Standing
from astrod.runtime.timekeeping import Word, weighed
from astrod_drivers.errors import PermitRefused
from astrod_drivers.protocols import MountBelief, Permit, SiteFix
from tests.rig.devices import SITE, Hut, in_hut

STATION = SITE.weather[0]


def closed(hut: Hut) -> bool:
    return hut.roof.aperture == "closed" and hut.mount.parked


async def closes(hut: Hut, within_s: float = 120.0) -> None:
    await hut.until(lambda _: closed(hut), within_s)


async def unsafe(hut: Hut, within_s: float) -> SafetyReport:
    return await hut.until(lambda report: not report.safe, within_s)


# -- section 1: holes in the safety code of others -----------------------------------------------------------


def test_s1_dead_weather_sensor_is_unsafe_whatever_its_light_says() -> None:
    async def story(hut: Hut) -> None:
        hut.weather.zones = {"wind_m_s": "ok"}
        await hut.open()
        hut.weather.stale = True  # the driver answers on, with the values and the green light of its last success
        report = await unsafe(hut, STATION.stale_s + 12.0)
        assert "no reading since" in report.reasons[0]
        await closes(hut)

    in_hut(story)


def test_s2_a_source_that_goes_offline_is_not_ignored_for_the_ones_that_are_left() -> None:
    site = replace(SITE, weather=(STATION, replace(STATION, name="other", address="sim://weather2")))

    async def story(hut: Hut) -> None:
        await hut.open()
        hut.second_weather.gone = True
        report = await unsafe(hut, STATION.stale_s + 12.0)
        assert report.reasons[0].startswith("other: no reading since")
        await closes(hut)
        await hut.clock.sleep(600.0)
        assert not (await hut.loop.report()).safe

    in_hut(story, site=site)


def test_s3_silence_is_enough_no_transition_to_alert_is_needed() -> None:
    async def story(hut: Hut) -> None:
        hut.weather.zones = {"wind_m_s": "ok"}
        await hut.open()
        hut.weather.hangs = True
        await unsafe(hut, STATION.stale_s + 12.0)
        await closes(hut)

    in_hut(story)


def test_s4_a_safety_monitor_that_disconnects_while_it_says_safe_is_unsafe_and_asked_for_ever() -> None:
    monitor = WeatherSetup("monitor", "sim://monitor", stale_s=60.0, safe_after_s=30.0, kind="safety_monitor")

    async def story(hut: Hut) -> None:
        await hut.open()
        hut.monitor.gone = True
        await unsafe(hut, 75.0)
        await closes(hut)
        await hut.clock.sleep(3600.0)  # no retry is the last one
        hut.monitor.gone = False
        await hut.until(lambda report: report.safe, 90.0)

    in_hut(story, site=replace(SITE, weather=(monitor,)))


def test_s6_a_mount_in_error_is_parked_again_and_again_and_somebody_is_called() -> None:
    async def story(hut: Hut) -> None:
        await hut.open()
        hut.mount.gone = True
        hut.weather.wind_m_s = 25.0
        report = await hut.until(lambda report: bool(report.troubles), 60.0)
        assert report.troubles[0].startswith("AST-120")
        hut.mount.gone = False
        await closes(hut, 150.0)

    in_hut(story)


def test_s8_mains_that_fail_park_and_close() -> None:
    ups = WeatherSetup("ups", "nut://localhost/apc", (Limit("mains", low=1.0),), stale_s=60.0, safe_after_s=30.0)

    def fit(hut: Hut) -> None:
        hut.devices["nut://localhost/apc"] = hut.second_weather
        hut.second_weather.more = {"mains": 1.0}

    async def story(hut: Hut) -> None:
        await hut.open()
        hut.second_weather.more = {"mains": 0.0}
        report = await unsafe(hut, 30.0)
        assert report.reasons[0] == "ups: mains 0 under 1"
        await closes(hut)

    in_hut(story, site=replace(SITE, weather=(STATION, ups)), fit=fit)


def test_s9_a_control_loop_that_ended_leaves_no_mount_where_it_is() -> None:
    async def story(hut: Hut) -> None:
        await hut.open()
        hut.control_lives = False
        await unsafe(hut, CONTROL_SILENT_S + 2.0)
        await closes(hut)

    in_hut(story)


def test_s11_after_a_restart_of_control_the_night_goes_on_without_a_hand() -> None:
    async def story(hut: Hut) -> None:
        await hut.open()
        hut.control_lives = False
        await closes(hut, 150.0)
        hut.control_lives = True
        await hut.open()
        assert hut.roof.aperture == "open"

    in_hut(story)


def test_s11_after_a_restart_of_safety_a_clear_sky_needs_no_new_wait(tmp_path: Any) -> None:
    async def story(hut: Hut) -> None:
        await hut.open()
        hut.restart()
        second = asyncio.create_task(hut.loop.run(lambda: None))
        await hut.until(lambda report: report.safe, 10.0)
        assert hut.roof.aperture == "open"
        second.cancel()
        await asyncio.wait({second})

    in_hut(story, memory=Memory(tmp_path / "safety.json"))


# -- section 2b: safety, weather, dome -----------------------------------------------------------------------


def test_row_16_bad_weather_stops_whatever_is_under_way_and_starts_nothing() -> None:
    async def story(hut: Hut) -> None:
        permit = await hut.open()
        hut.weather.wind_m_s = 25.0
        await unsafe(hut, 30.0)
        for hazardous in (hut.mount.slew(1.0, 1.0, permit), hut.mount.unpark(permit), hut.roof.open(permit)):
            with pytest.raises(PermitRefused):
                await hazardous
        await closes(hut)
        events = list(hut.events)
        hut.restart()  # a daemon that starts in bad weather initialises nothing that moves
        starting = asyncio.create_task(hut.loop.run(lambda: None))
        await hut.clock.sleep(120.0)
        assert hut.events == events
        starting.cancel()
        await asyncio.wait({starting})

    in_hut(story)


def test_row_17_parking_waits_for_no_call_that_holds_the_mount() -> None:
    async def story(hut: Hut) -> None:
        permit = await hut.open()
        never = asyncio.Event()

        class Slow:
            """Control's own session to the same mount, in a slew that never returns."""

            def __getattr__(self, name: str) -> Any:
                return (lambda *_: never.wait()) if name == "slew" else getattr(hut.mount, name)

        port: Port[Any] = Port("main mount", "mount", "sim://mount", DirectSession(Slow()), hut.clock)
        keeping = asyncio.create_task(port.keep())
        await port.found(5.0)
        slewing = asyncio.create_task(port.call("slew", lambda m: m.slew(1.0, 1.0, permit), deadline_s=600.0))
        hut.weather.wind_m_s = 25.0
        await closes(hut)
        assert not slewing.done()
        slewing.cancel()
        keeping.cancel()
        await asyncio.wait({slewing, keeping})

    in_hut(story)


def test_row_18_one_hiccup_after_a_restart_parks_nothing(tmp_path: Any) -> None:
    async def story(hut: Hut) -> None:
        await hut.open()
        hut.events.clear()
        hut.restart()
        second = asyncio.create_task(hut.loop.run(lambda: None))
        hut.weather.gone = True
        await hut.clock.sleep(12.0)
        hut.weather.gone = False
        await hut.clock.sleep(60.0)
        assert hut.events == []
        second.cancel()
        await asyncio.wait({second})

    in_hut(story, memory=Memory(tmp_path / "safety.json"))


def test_row_18_a_frozen_value_is_not_trusted_for_ever() -> None:
    frozen = replace(STATION, frozen_s=300.0)

    async def story(hut: Hut) -> None:
        for wind_m_s in range(1, 9):
            hut.weather.wind_m_s = float(wind_m_s)
            await hut.clock.sleep(10.0)
        await hut.open()
        report = await unsafe(hut, 330.0)
        assert "the same values for more than 300 s" in report.reasons[0]

    in_hut(story, site=replace(SITE, weather=(frozen,)))


def test_row_18_safe_again_is_reached_when_the_weather_is() -> None:
    """The back-off of others was dead code: once unsafe, for ever."""

    async def story(hut: Hut) -> None:
        await hut.open()
        for _ in range(3):
            hut.weather.wind_m_s = 25.0
            await closes(hut)
            hut.weather.wind_m_s = 1.0
            stopped_s = hut.clock.monotonic_s()
            await hut.until(lambda report: report.safe, 60.0)
            assert hut.clock.monotonic_s() - stopped_s >= STATION.safe_after_s
            await hut.open()

    in_hut(story)


def test_row_19_no_mount_unparks_or_slews_under_a_closed_roof_though_the_sky_is_safe() -> None:
    async def story(hut: Hut) -> None:
        permit = Permit((await hut.until(lambda report: report.safe, 120.0)).epoch)
        with pytest.raises(PermitRefused):
            await hut.mount.unpark(permit)
        hut.mount.shove()
        with pytest.raises(PermitRefused):
            await hut.mount.slew(1.0, 1.0, permit)
        await hut.mount.park()
        await hut.until(lambda _: hut.mount.parked, 30.0)
        await hut.loop.open_roof(permit)
        await hut.mount.unpark(permit)
        await hut.mount.slew(1.0, 1.0, permit)

    in_hut(story)


def test_row_20_the_roof_never_moves_before_the_mount_is_parked() -> None:
    async def story(hut: Hut) -> None:
        await hut.open()
        hut.events.clear()
        hut.weather.wind_m_s = 25.0
        await hut.until(lambda _: "park" in hut.events, 30.0)
        while not hut.mount.parked:
            assert hut.roof.aperture == "open"
            await hut.clock.sleep(0.1)
        await closes(hut)
        assert hut.events == ["stop", "park", "close"]

    in_hut(story)


def test_row_21_safety_interrupts_running_work_and_asks_nobody() -> None:
    async def story(hut: Hut) -> None:
        permit = await hut.open()
        hut.weather.wind_m_s = 25.0
        await hut.clock.sleep(2 * STATION.poll_s + 0.5)
        assert not hut.gate.allows(permit)  # nobody was told, nobody was waited for

    in_hut(story)


def test_row_22_a_late_heartbeat_closes_nothing_and_rain_is_never_overheard() -> None:
    rain = replace(STATION, limits=(Limit("rain_mm_h", high=0.0),))

    async def story(hut: Hut) -> None:
        hut.weather.more = {"rain_mm_h": 0.0}
        await hut.open()
        for _ in range(4):
            hut.control_lives = False
            await hut.clock.sleep(CONTROL_SILENT_S - 4.0)
            hut.control_lives = True
            await hut.clock.sleep(2.0)
        assert (await hut.loop.report()).safe
        hut.weather.more = {"rain_mm_h": 0.2}
        report = await unsafe(hut, 3 * STATION.poll_s)
        assert report.reasons[0] == "station: rain_mm_h 0.2 over 0"
        await closes(hut)

    def fit(hut: Hut) -> None:
        hut.weather.more = {"rain_mm_h": 0.0}

    in_hut(story, site=replace(SITE, weather=(rain,)), fit=fit)


def test_row_23_an_operators_close_is_not_lifted_by_a_safe_sky_and_a_stop_always_says_why() -> None:
    state, effects = step(NightState("observing", "dark", safe=True), Held(True))
    assert state.phase == "closing" and "close" in effects
    state = replace(state, phase="closed")
    for message in (SafetyChanged(False), SafetyChanged(True), LightChanged("twilight"), LightChanged("dark")):
        state, effects = step(state, message)
        assert state.phase == "closed" and "open" not in effects

    async def story(hut: Hut) -> None:
        await hut.open()
        for trouble in ("weather", "control_lives"):
            if trouble == "weather":
                hut.weather.wind_m_s = 25.0
            else:
                hut.control_lives = False
            report = await unsafe(hut, 60.0)
            assert report.reasons and all(report.reasons)
            hut.weather.wind_m_s, hut.control_lives = 1.0, True
            await hut.until(lambda report: report.safe, 200.0)

    in_hut(story)


def test_row_24_nothing_opens_without_safetys_leave_of_this_very_epoch() -> None:
    async def story(hut: Hut) -> None:
        permit = await hut.open()
        hut.weather.wind_m_s = 25.0
        await closes(hut)
        hut.weather.wind_m_s = 1.0
        await hut.until(lambda report: report.safe, 90.0)
        hut.events.clear()
        for stale in (permit, Permit(0), Permit(permit.epoch + 100)):
            with pytest.raises(GoSafe):
                await hut.loop.open_roof(stale)
        assert hut.events == []

    in_hut(story)


# -- section 2e: clocks --------------------------------------------------------------------------------------


def _clocked(quality: Callable[[], ClockQuality]) -> Callable[[Hut], None]:
    def fit(hut: Hut) -> None:
        hut.devices["astrod://clock"] = own_source("astrod://clock", hut.clock, quality, lambda: 0, Path())

    return fit


CLOCKED: Site = replace(SITE, time=TimeSetup(error_max_s=15.0))


def test_row_39_without_time_sync_nothing_slews_and_it_is_said() -> None:
    async def story(hut: Hut) -> None:
        report = await hut.until(lambda report: report.safe, 120.0)
        assert report.no_slews == ("clock: clock_error_s is not measured",)
        assert report.troubles[0].startswith("AST-150 clock")
        permit = Permit(report.epoch)
        await hut.loop.open_roof(permit)
        with pytest.raises(PermitRefused):
            await hut.mount.slew(1.0, 1.0, permit)

    in_hut(story, site=CLOCKED, fit=_clocked(lambda: weighed([])))


def test_row_40_a_host_that_is_an_hour_off_contradicts_its_other_sources_and_nothing_slews() -> None:
    words = [Word("host clock, NTP", 0, 5_000)]

    async def story(hut: Hut) -> None:
        await hut.open()
        assert not (await hut.loop.report()).no_slews
        words.append(Word("as ana stated", HOUR_US, 2 * SECOND_US))
        report = await hut.until(lambda report: bool(report.no_slews), 30.0)
        assert report.safe

    in_hut(story, site=CLOCKED, fit=_clocked(lambda: weighed(words)))


def test_row_40_a_mount_on_summer_time_does_not_slew_and_is_told_why() -> None:
    async def story(hut: Hut) -> None:
        found: list[tuple[str, ...]] = []
        standing = Standing(replace(SITE, time=TimeSetup(mount_master="mount")), hut.clock, found.append)
        assert standing.wrong is None
        hut.mount.belief = MountBelief(SiteFix(41.72, 1.42, 760.0), hut.clock.now_us() + HOUR_US)
        await standing.settle(hut.mount)
        assert "summer time" in found[0][0]
        assert standing.wrong == found[0][0]
        hut.mount.belief = MountBelief(SiteFix(41.72, 1.42, 760.0), hut.clock.now_us())
        await standing.settle(hut.mount)
        assert standing.wrong is None

    in_hut(story)


def test_row_40_a_mount_that_does_not_take_what_it_is_told_does_not_slew() -> None:
    async def story(hut: Hut) -> None:
        standing = Standing(SITE, hut.clock, lambda found: None)
        await standing.settle(hut.mount)
        assert standing.wrong is None
        hut.mount.belief = MountBelief(SiteFix(41.72, -1.42, 760.0), hut.clock.now_us())
        hut.mount.deaf = True
        await standing.settle(hut.mount)
        assert standing.wrong is not None and "sign" in standing.wrong
        hut.mount.gone = True
        with pytest.raises(Exception, match="gone"):
            await standing.settle(hut.mount)
        assert standing.wrong is not None  # not known is not right

    in_hut(story)


def test_row_40_the_age_of_a_reading_does_not_depend_on_how_the_clock_is_set() -> None:
    async def story(hut: Hut) -> None:
        await hut.open()
        for by_us in (HOUR_US, -2 * HOUR_US):
            hut.clock.offset_us += by_us
            await hut.clock.sleep(120.0)
            assert (await hut.loop.report()).safe

    in_hut(story)
