"""What the safety loop says, in its report and in its refusals, and when: to the word, to the second."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace
from itertools import pairwise
from typing import Any, TypeVar

import pytest

from astrod.domain.instant import SECOND_US
from astrod.domain.safety import SafetyReport
from astrod.domain.site import Agreement, Site, TimeSetup, WeatherSetup
from astrod.errors import GoSafe, OutcomeUnknown, RecoverDevice
from astrod.rig.port import DirectSession, Port
from astrod.rig.safety.loop import CONTROL_SILENT_S
from astrod.runtime.clock import SimClock, VirtualLoop, run_virtual
from astrod_drivers.protocols import Permit
from tests.rig.devices import MIDNIGHT_US, NOON_US, SITE, Hut, in_hut

T = TypeVar("T")
STATION = SITE.weather[0]
MONITOR = WeatherSetup("monitor", "sim://monitor", stale_s=60.0, safe_after_s=30.0, kind="safety_monitor")
NO_ROOF = replace(SITE, roof=None)


async def permitted(hut: Hut) -> Permit:
    """Leave to open, as soon as it is given."""
    return Permit((await hut.until(lambda report: report.safe, 120.0)).epoch)


def second(action: Any, name: str = "second") -> WeatherSetup:
    return replace(STATION, name=name, address="sim://weather2", action=action)


def also(*sources: WeatherSetup, **changes: Any) -> Site:
    return replace(SITE, weather=(*SITE.weather, *sources), **changes)


# -- before the first look -----------------------------------------------------------------------------------


@pytest.mark.parametrize(("where", "roof"), [(SITE, "unknown"), (NO_ROOF, None)])
def test_before_it_has_looked_it_is_unsafe_and_nothing_may_slew(where: Site, roof: str | None) -> None:
    async def play(loop: VirtualLoop) -> None:
        hut = Hut(SimClock(loop, MIDNIGHT_US), where)
        assert await hut.loop.report() == SafetyReport(1, False, ("starting",), 1, MIDNIGHT_US, roof)
        assert not hut.gate.safe and hut.gate.slews_barred
        before = hut.gate.become_safe()
        hut.restart()
        assert not hut.gate.allows(Permit(before)) and hut.gate.epoch == before + 1

    run_virtual(play)


def test_a_roof_that_is_slow_to_answer_holds_up_the_first_word_for_its_time_only() -> None:
    async def story(hut: Hut) -> None:
        await hut.clock.sleep(4.9)
        assert (await hut.loop.report()).reasons == ("starting",)
        report = await hut.until(lambda report: report.reasons != ("starting",), 15.0)
        assert report.roof == "unknown" and report.parked == {"main": True}

    in_hut(story, fit=lambda hut: setattr(hut.roof, "hangs", True))


# -- versions and instants -----------------------------------------------------------------------------------


def test_each_change_has_the_next_version_and_whoever_waits_is_told() -> None:
    async def story(hut: Hut) -> None:
        first = await hut.loop.report()
        assert await hut.loop.changed(first.version + 1) == first  # another than the one known: at once
        waiting = asyncio.create_task(hut.loop.changed(first.version))
        await hut.clock.sleep(0.0)
        assert not waiting.done()
        assert (await waiting).version > first.version
        await hut.until(lambda report: report.safe, 60.0)
        settled = await hut.loop.report()
        await hut.clock.sleep(30.0)
        assert await hut.loop.report() is settled  # nothing changes, and nobody is told
        hut.weather.wind_m_s = 3.0
        changed = await hut.loop.changed(settled.version)
        assert changed.version == settled.version + 1
        assert (settled.weather, changed.weather) == (
            {"wind_m_s": 2.0, "temperature_c": 8.0},
            {"wind_m_s": 3.0, "temperature_c": 8.0},
        )

    in_hut(story)


def test_since_is_when_it_became_safe_or_unsafe_and_no_other_change() -> None:
    async def story(hut: Hut) -> None:
        safe = await hut.until(lambda report: report.safe, 60.0)
        assert abs(hut.clock.now_us() - safe.since_us) <= SECOND_US and safe.since_us > MIDNIGHT_US
        await hut.clock.sleep(20.0)
        hut.weather.wind_m_s = 3.0
        await hut.clock.sleep(10.0)
        assert (await hut.loop.report()).since_us == safe.since_us
        hut.weather.wind_m_s = 20.0
        unsafe = await hut.until(lambda report: not report.safe, 30.0)
        assert abs(hut.clock.now_us() - unsafe.since_us) <= SECOND_US
        assert unsafe.epoch == safe.epoch + 1 == hut.gate.epoch
        hut.weather.wind_m_s = 21.0
        await hut.clock.sleep(10.0)
        assert (await hut.loop.report()).since_us == unsafe.since_us

    in_hut(story)


def test_it_beats_at_each_second_and_sees_within_two_what_somebody_moves() -> None:
    async def story(hut: Hut) -> None:
        await hut.until(lambda report: report.safe, 60.0)
        for _ in range(40):
            await hut.clock.sleep(0.5)
            assert hut.clock.boottime_us() - hut.gate.safety_beat_us <= SECOND_US
        hut.mount.shove()
        report = await hut.until(lambda report: report.parked == {"main": False}, 2.25)
        assert report.roof == "closed"

    in_hut(story)


def test_nothing_may_slew_under_a_closed_roof_that_could_hit_it() -> None:
    async def story(hut: Hut) -> None:
        permit = await permitted(hut)
        assert hut.gate.allows(permit) and not hut.gate.allows_slew(permit)
        await hut.loop.open_roof(permit)
        assert hut.gate.allows_slew(permit)  # before whoever opened is told so

    async def clears(hut: Hut) -> None:
        permit = await permitted(hut)
        assert hut.gate.allows_slew(permit)

    in_hut(story)
    assert SITE.roof is not None
    in_hut(clears, site=replace(SITE, roof=replace(SITE.roof, interlock="none")))
    in_hut(clears, site=NO_ROOF)


# -- reasons -------------------------------------------------------------------------------------------------


def test_a_silent_control_is_unsafe_after_its_time_and_not_before() -> None:
    async def story(hut: Hut) -> None:
        await hut.open()
        hut.control_lives = False
        beat_us = hut.gate.control_beat_us
        report = await hut.until(lambda report: not report.safe, 30.0)
        silent_s = (hut.clock.boottime_us() - beat_us) / SECOND_US
        assert CONTROL_SILENT_S < silent_s <= CONTROL_SILENT_S + 1.5
        assert report.reasons == ("the control loop has been silent for more than 20 s",)

    in_hut(story)


def test_by_day_the_sun_is_a_reason_beside_the_others() -> None:
    async def story(hut: Hut) -> None:
        hut.weather.wind_m_s = 20.0
        await hut.clock.sleep(60.0)
        assert (await hut.loop.report()).reasons == ("station: wind_m_s 20 over 12", "the sun is up")

    in_hut(story, NOON_US)


def test_every_alarm_of_a_source_is_a_reason_in_the_order_of_their_names() -> None:
    async def story(hut: Hut) -> None:
        await hut.open()
        hut.weather.zones = {"rain": "alert", "hail": "alert", "wind": "warning", "dew": "ok"}
        hut.weather.overridden = True
        report = await hut.until(lambda report: not report.safe, 30.0)
        assert report.reasons == (
            "station: hail in alert",
            "station: rain in alert",
            "station: somebody overrides the station",
        )

    in_hut(story)


def test_a_monitor_that_says_unsafe_is_in_alert() -> None:
    async def story(hut: Hut) -> None:
        await hut.open()
        hut.monitor.safe = False
        report = await hut.until(lambda report: not report.safe, 30.0)
        assert report.reasons == ("monitor: the monitor in alert",)

    in_hut(story, site=also(MONITOR))


def test_a_mount_that_is_not_parked_without_a_roof_is_parked_before_the_site_is_safe_again() -> None:
    async def story(hut: Hut) -> None:
        permit = await permitted(hut)
        await hut.mount.unpark(permit)
        hut.mount.stuck = True
        hut.weather.wind_m_s = 20.0
        await hut.until(lambda report: not report.safe, 30.0)
        hut.weather.wind_m_s = 1.0
        await hut.clock.sleep(120.0)
        report = await hut.loop.report()
        assert report.reasons == ("the site is not closed and parked yet",)
        assert report.roof is None and report.parked == {"main": False}
        hut.mount.stuck = False
        await hut.until(lambda report: report.safe, 120.0)

    in_hut(story, site=NO_ROOF)


# -- troubles ------------------------------------------------------------------------------------------------


def test_troubles_are_told_by_code_with_all_that_stands_behind_each() -> None:
    async def story(hut: Hut) -> None:
        await hut.until(lambda report: report.safe, 60.0)
        hut.second_weather.wind_m_s = 20.0
        hut.clock.offset_us += 30 * SECOND_US
        await hut.clock.sleep(20.0)
        report = await hut.loop.report()
        assert report.safe
        assert report.no_slews == (
            "third: wind_m_s 20 over 12",
            "the clock was set by +30.0 s, and must hold for 10 min",
        )
        assert report.troubles == (
            "AST-102 second: wind_m_s 20 over 12; fourth: wind_m_s 20 over 12",
            "AST-150 third: wind_m_s 20 over 12; the clock was set by +30.0 s, and must hold for 10 min",
            "AST-152 by +30.0 s",
        )

    watched = (second("warn"), second("no_slews", "third"), second("warn", "fourth"))
    lax = TimeSetup(error_max_s=25.0)
    in_hut(story, site=also(*watched, time=lax), fit=_vouched)


def _vouched(hut: Hut) -> None:
    """The host's clock is as good as can be."""

    class Vouched:
        async def connect(self) -> None:
            """Always there."""

        async def disconnect(self) -> None:
            """Nothing to let go of."""

        async def read(self) -> Any:
            reading = await hut.weather.read()
            return replace(reading, values={"clock_error_s": 0.0})

    hut.devices["astrod://clock"] = Vouched()


@pytest.mark.parametrize(("by_s", "told"), [(1.0, False), (-1.0, False), (1.25, True), (-1.25, True)])
def test_a_clock_that_is_set_by_more_than_a_second_is_told_of_for_half_an_hour(by_s: float, told: bool) -> None:
    async def story(hut: Hut) -> None:
        await hut.until(lambda report: report.safe, 60.0)
        hut.clock.offset_us += round(by_s * SECOND_US)
        set_s = hut.clock.monotonic_s()
        await hut.clock.sleep(2.0)
        assert (await hut.loop.report()).troubles == ((f"AST-152 by {by_s:+.1f} s",) if told else ())
        if told:
            await hut.until(lambda report: not report.troubles, 1900.0)
            assert 1800.0 <= hut.clock.monotonic_s() - set_s <= 1803.0

    in_hut(story, site=replace(SITE, weather=(replace(STATION, poll_s=30.0),)))


# -- refusals ------------------------------------------------------------------------------------------------


def test_an_opening_without_leave_says_all_that_forbids_it() -> None:
    async def story(hut: Hut) -> None:
        hut.weather.wind_m_s = 20.0
        await hut.clock.sleep(60.0)
        with pytest.raises(GoSafe) as refused:
            await hut.loop.open_roof(Permit(hut.gate.epoch))
        assert str(refused.value) == "the roof stays closed: station: wind_m_s 20 over 12; the sun is up"

    in_hut(story, NOON_US)


def test_an_opening_over_a_mount_that_cannot_be_parked_says_so() -> None:
    async def story(hut: Hut) -> None:
        permit = await permitted(hut)
        hut.mount.stuck = True
        hut.mount.shove()
        with pytest.raises(RecoverDevice) as refused:
            await hut.loop.open_roof(permit)
        assert str(refused.value) == "roof: stays closed: a mount is not parked under it, or not known to be"
        assert "open" not in hut.events and "park" in hut.events

    in_hut(story)


def test_a_roof_that_does_not_open_in_its_time_says_what_it_reads() -> None:
    async def story(hut: Hut) -> None:
        permit = await permitted(hut)
        hut.roof.jammed = True
        began_s = hut.clock.monotonic_s()
        with pytest.raises(OutcomeUnknown, match=r"^roof: open the roof: not done within 60 s; it reads closed$"):
            await hut.loop.open_roof(permit)
        assert 60.0 <= hut.clock.monotonic_s() - began_s <= 60.5

    in_hut(story)


@pytest.mark.parametrize("closed_before", [0, 1, 2])
def test_a_close_that_comes_while_it_opens_wins_however_often_it_was_closed_before(closed_before: int) -> None:
    async def story(hut: Hut) -> None:
        permit = await permitted(hut)
        for _ in range(closed_before):
            await hut.loop.close_site("a whim")
        opening = asyncio.create_task(hut.loop.open_roof(permit))
        await hut.clock.sleep(5.0)
        assert hut.roof.aperture == "opening"
        closing = asyncio.create_task(hut.loop.close_site("the operator's wish"))
        with pytest.raises(GoSafe) as refused:
            await opening
        assert str(refused.value) == "the roof closes again: it was told to close"
        await closing
        assert hut.roof.aperture == "closed"

    in_hut(story)


def test_from_the_moment_it_is_told_to_close_no_mount_slews() -> None:
    async def story(hut: Hut) -> None:
        permit = await hut.open()
        assert hut.gate.allows_slew(permit)
        closing = asyncio.create_task(hut.loop.close_site("the operator's wish"))
        for _ in range(3):  # tasks begin; no time passes
            await asyncio.sleep(0)
        assert not hut.gate.allows_slew(permit)
        await closing

    in_hut(story)


def test_a_close_that_comes_before_it_begins_to_open_wins() -> None:
    async def story(hut: Hut) -> None:
        permit = await permitted(hut)
        hut.mount.shove()  # so that opening begins with parking it
        opening = asyncio.create_task(hut.loop.open_roof(permit))
        await hut.clock.sleep(1.0)
        closing = asyncio.create_task(hut.loop.close_site("the operator's wish"))
        with pytest.raises(GoSafe) as refused:
            await opening
        assert str(refused.value) == "the roof stays closed: it was told to close meanwhile"
        await closing
        assert "open" not in hut.events

    in_hut(story)


def test_an_opening_that_the_storm_ends_says_why() -> None:
    async def story(hut: Hut) -> None:
        permit = await permitted(hut)
        opening = asyncio.create_task(hut.loop.open_roof(permit))
        await hut.clock.sleep(5.0)
        hut.weather.wind_m_s = 20.0
        with pytest.raises(GoSafe) as refused:
            await opening
        assert str(refused.value) == "the roof closes again: station: wind_m_s 20 over 12"

    in_hut(story)


def test_a_close_that_does_not_succeed_says_by_code_what_is_wrong_and_the_report_does_too() -> None:
    async def story(hut: Hut) -> None:
        await hut.open()
        hut.roof.jammed = True
        said = "AST-110 roof: close the roof: not done within 60 s; it reads open"
        with pytest.raises(RecoverDevice) as refused:
            await hut.loop.close_site("the operator's wish")
        assert str(refused.value) == f"safety: {said}"
        report = await hut.loop.report()
        assert report.troubles == (said,) and report.roof == "open" and report.parked == {"main": True}
        assert report.safe  # the sky is clear: whoever wanted it closed asks again
        hut.roof.jammed = False
        await hut.loop.close_site("the operator's wish")
        assert (await hut.loop.report()).troubles == ()

    in_hut(story)


def test_under_an_unsafe_sky_a_roof_that_jams_is_tried_again_after_its_rest() -> None:
    async def story(hut: Hut) -> None:
        await hut.open()
        hut.roof.jammed = True
        hut.events.clear()
        hut.roof.told_s.clear()
        hut.weather.wind_m_s = 20.0
        await hut.until(lambda _: len(hut.roof.told_s) == 3, 400.0)
        gaps_s = [later - before for before, later in pairwise(hut.roof.told_s)]
        assert all(70.0 <= gap_s <= 75.0 for gap_s in gaps_s), gaps_s  # its time, the rest, and a tick

    in_hut(story)


# -- how it asks ---------------------------------------------------------------------------------------------


class Asked(Port[Any]):
    """A port that writes down what it was asked, and within which time."""

    asked: list[tuple[str, str, float]]

    async def call(self, what: str, action: Callable[[Any], Awaitable[T]], deadline_s: float = 10.0) -> T:
        self.asked.append((self.name, what, deadline_s))
        return await super().call(what, action, deadline_s)


@pytest.mark.parametrize(("poll_s", "deadline_s"), [(1.0, 2.0), (2.5, 2.5), (8.0, 8.0)])
def test_a_source_has_until_its_next_poll_to_answer_and_two_seconds_at_least(poll_s: float, deadline_s: float) -> None:
    asked: list[tuple[str, str, float]] = []

    def listen(hut: Hut) -> None:
        def port(name: str, kind: str, address: str) -> Port[Any]:
            made = Asked(name, kind, address, DirectSession(hut.devices[address]), hut.clock)
            made.asked = asked
            return made

        hut.__dict__["port"] = port

    async def story(hut: Hut) -> None:
        await hut.clock.sleep(100.0)
        mine = [(what, within_s) for name, what, within_s in asked if name == "station"]
        assert set(mine) == {("read", deadline_s)}
        assert abs(len(mine) - 100.0 / poll_s) <= 2

    in_hut(story, site=replace(SITE, weather=(replace(STATION, poll_s=poll_s),)), fit=listen)


@pytest.mark.parametrize("told", [(None, None), (10.0, None), (None, 10.0)])
def test_half_a_place_is_the_skys_silence(told: tuple[float | None, float | None]) -> None:
    rig, roof = SITE.rigs[0], SITE.roof
    assert roof is not None
    solved = replace(rig, mount=replace(rig.mount, park_place=(0.0, 10.0)))

    async def story(hut: Hut) -> None:
        await hut.open()
        hut.weather.wind_m_s = 20.0
        report = await hut.until(lambda report: bool(report.sights_wanted), 60.0)
        await hut.loop.tell_place("main", report.sights_wanted["main"], *told)
        assert not (await hut.loop.report()).sights_wanted
        await hut.clock.sleep(30.0)
        assert hut.roof.aperture == "open"

    in_hut(story, site=replace(SITE, rigs=(solved,), roof=replace(roof, interlock="solve")))


def test_each_task_has_a_name_by_which_a_person_finds_it_in_a_traceback() -> None:
    async def story(hut: Hut) -> None:
        await hut.open()
        hut.mount.stuck = True
        hut.weather.wind_m_s = 20.0
        await hut.until(lambda report: not report.safe, 30.0)
        names = {task.get_name() for task in asyncio.all_tasks()}
        assert names >= {
            *("keep roof", "keep main mount", "keep station", "poll station", "poll second"),
            *("compare temperature_c", "watch roof and mounts", "make the site safe"),
        }

    agree = Agreement("temperature_c", within=5.0, safe_after_s=30.0)
    in_hut(story, site=also(second("warn"), agreements=(agree,)))
