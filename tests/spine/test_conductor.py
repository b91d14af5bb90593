"""The conductor with a fake guard and a fake observer: what pause, close, storm and silence lead to."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace

import pytest

from astrod.conductor import BARRED_S, Conductor
from astrod.domain.darkness import DarkTime
from astrod.domain.identity import Night
from astrod.domain.safety import SafetyReport
from astrod.errors import Bug, GoSafe, OutcomeUnknown, RecoverDevice
from astrod.health import Health
from astrod.occupation import Occupation
from astrod.runtime.clock import Clock, SimClock, VirtualLoop, run_virtual
from astrod.runtime.trace import Trace
from astrod_drivers.protocols import Permit
from tests.rig.devices import MIDNIGHT_US, SITE

EXPOSURE_S = 120.0


class FakeGuard:
    """Safety as the test wants it: opens in ten seconds, parks and closes in twenty."""

    def __init__(self, clock: Clock) -> None:
        self.clock = clock
        self.word = SafetyReport(1, True, (), 1, clock.now_us(), roof="closed")
        self.opens = self.closes = 0
        self.silent = False
        self.will_not_open: Exception | None = None
        self.will_not_close: Exception | None = None

    async def report(self) -> SafetyReport:
        return self.word

    async def changed(self, version: int) -> SafetyReport:
        if self.silent:
            raise OutcomeUnknown("safety", "no answer")
        for _ in range(10):
            if self.word.version != version or self.silent:
                break
            await self.clock.sleep(1.0)
        return self.word

    async def say(self, safe: bool) -> None:
        """Become safe or unsafe; both end the epoch."""
        word = self.word
        self.word = replace(
            word,
            version=word.version + 1,
            epoch=word.epoch + 1,
            safe=safe,
            reasons=() if safe else ("station: wind_m_s 20 over 12",),
        )

    async def open_roof(self, permit: Permit) -> None:
        self.opens += 1
        await self.clock.sleep(10.0)
        if self.will_not_open is not None:
            raise self.will_not_open
        if permit.epoch != self.word.epoch:
            raise GoSafe("the epoch is over")
        self.word = replace(self.word, roof="open")

    async def close_site(self, reason: str) -> None:
        self.closes += 1
        await self.clock.sleep(20.0)
        if self.will_not_close is not None:
            raise self.will_not_close
        self.word = replace(self.word, roof="closed")

    async def tell_place(self, rig: str, number: int, azimuth_deg: float | None, altitude_deg: float | None) -> None:
        raise AssertionError("this site never asks the sky")


class FakeObserver:
    """Takes exposures of two minutes; counts those that end, those cut short, and how many loops run at once."""

    def __init__(self, clock: Clock) -> None:
        self.clock = clock
        self.occupation = Occupation("main", clock)
        self.taken = self.cut = self.running = self.most_running = 0
        self.breaks = False
        self._winding_up = False

    async def observe(self, permit: Permit) -> None:
        self._winding_up = False
        self.running += 1
        self.most_running = max(self.most_running, self.running)
        try:
            while not self._winding_up:
                await self.clock.sleep(EXPOSURE_S)
                if self.breaks:
                    raise ZeroDivisionError("a bug of ours")
                self.taken += 1
        except asyncio.CancelledError:
            self.cut += 1
            raise
        finally:
            self.running -= 1

    def wind_up(self) -> None:
        self._winding_up = True

    def carry_on(self) -> None:
        self._winding_up = False

    async def settle(self) -> None:
        """Nothing is in flight."""


class Stage:
    """A conductor in the middle of a dark night, with all it needs."""

    def __init__(self, loop: VirtualLoop) -> None:
        self.clock = SimClock(loop, MIDNIGHT_US)
        self.guard = FakeGuard(self.clock)
        self.observer = FakeObserver(self.clock)
        trace = Trace(self.clock)
        self.health = Health(self.clock, trace)
        self.finished: list[Night] = []
        self.conductor = Conductor(
            SITE,
            self.clock,
            self.guard,
            {},
            {"main": self.observer},
            self.health,
            trace,
            lambda: None,
            self._begin,
            self._finish,
            self._account,
        )

    async def _begin(self, night: Night, dark: DarkTime) -> None:
        """Nothing to take up."""

    async def _finish(self, night: Night) -> None:
        self.finished.append(night)

    async def _account(self) -> None:
        """No archive here."""

    async def observing(self) -> None:
        """Wait until the rig observes."""
        async with asyncio.timeout(600.0):
            while not self.observer.running:
                await self.clock.sleep(1.0)


def on_stage(story: Callable[[Stage], Awaitable[None]]) -> None:
    """Play a story with the conductor running; raises what ends the conductor."""

    async def play(loop: VirtualLoop) -> None:
        stage = Stage(loop)
        running = asyncio.create_task(stage.conductor.run(lambda: None))

        async def tell() -> None:
            await story(stage)

        telling = asyncio.create_task(tell())
        await asyncio.wait({running, telling}, return_when=asyncio.FIRST_COMPLETED)
        if running.done():
            telling.cancel()
            running.result()
        running.cancel()
        await asyncio.wait({running})
        telling.result()

    run_virtual(play)


def test_a_safe_dark_night_is_opened_and_observed() -> None:
    async def story(stage: Stage) -> None:
        await stage.observing()
        assert stage.guard.opens == 1
        assert stage.conductor.state.phase == "observing"

    on_stage(story)


def test_a_pause_lets_the_exposure_end_and_leaves_the_roof_open() -> None:
    async def story(stage: Stage) -> None:
        await stage.observing()
        await stage.clock.sleep(30.0)
        stage.conductor.pause(True)
        await stage.clock.sleep(10.0)
        assert stage.observer.running == 1
        await stage.clock.sleep(EXPOSURE_S)
        assert (stage.observer.taken, stage.observer.cut, stage.observer.running) == (1, 0, 0)
        assert stage.guard.closes == 0
        assert stage.observer.occupation.detail == "the operator's pause"
        stage.conductor.pause(False)
        await stage.clock.sleep(10.0)
        assert stage.observer.running == 1

    on_stage(story)


def test_slews_that_are_forbidden_let_the_exposure_end_begin_nothing_and_go_on_by_themselves() -> None:
    async def story(stage: Stage) -> None:
        await stage.observing()
        word = stage.guard.word
        told = ("clock: clock_error_s is not measured",)
        troubles = ("AST-150 clock: clock_error_s is not measured",)
        stage.guard.word = replace(word, version=word.version + 1, no_slews=told, troubles=troubles)
        await stage.clock.sleep(2 * EXPOSURE_S)
        assert (stage.observer.taken, stage.observer.cut, stage.observer.running) == (1, 0, 0)
        assert stage.guard.closes == 0
        assert (stage.observer.occupation.cause, stage.observer.occupation.detail) == ("fault", told[0])
        assert [finding.code for finding in stage.health.findings] == ["AST-150"]
        stage.guard.word = replace(word, version=word.version + 2)
        await stage.clock.sleep(30.0)
        assert stage.observer.running == 1
        assert stage.health.findings == []

    on_stage(story)


def test_slews_forbidden_and_allowed_between_two_looks_leave_nothing_behind() -> None:
    async def story(stage: Stage) -> None:
        await stage.observing()
        for _ in range(5):
            for told in (("a source",), ()):
                word = stage.guard.word
                stage.guard.word = replace(word, version=word.version + 1, no_slews=told)
                await stage.clock.sleep(1.0)
        await stage.clock.sleep(2 * EXPOSURE_S)
        assert not stage.conductor.state.hindered
        assert stage.observer.running == 1

    on_stage(story)


def test_a_pause_taken_back_at_once_never_observes_twice_on_one_mount() -> None:
    async def story(stage: Stage) -> None:
        await stage.observing()
        for _ in range(3):
            stage.conductor.pause(True)
            await stage.clock.sleep(5.0)
            stage.conductor.pause(False)
            await stage.clock.sleep(5.0)
        await stage.clock.sleep(3 * EXPOSURE_S)
        assert stage.observer.most_running == 1
        assert stage.observer.cut == 0
        assert stage.observer.taken == 3

    on_stage(story)


@pytest.mark.parametrize("how", ["close", "storm", "stop"])
def test_closing_does_not_wait_for_an_exposure_that_a_pause_lets_end(how: str) -> None:
    async def story(stage: Stage) -> None:
        await stage.observing()
        stage.conductor.pause(True)
        await stage.clock.sleep(5.0)
        stopping = None
        if how == "close":
            stage.conductor.hold_closed(True)
        elif how == "storm":
            await stage.guard.say(False)
        else:
            stopping = asyncio.create_task(stage.conductor.stop())
        await stage.clock.sleep(30.0)
        assert (stage.observer.cut, stage.observer.running) == (1, 0)
        assert stage.guard.word.roof == "closed"
        if stopping is not None:
            await stopping
            assert len(stage.finished) == 1

    on_stage(story)


def test_a_storm_ends_the_exposure_and_a_clear_sky_begins_anew() -> None:
    async def story(stage: Stage) -> None:
        await stage.observing()
        await stage.guard.say(False)
        await stage.clock.sleep(60.0)
        assert (stage.observer.cut, stage.guard.closes, stage.conductor.state.phase) == (1, 1, "closed")
        assert stage.observer.occupation.cause == "weather"
        await stage.guard.say(True)
        await stage.observing()
        assert stage.guard.opens == 2

    on_stage(story)


def test_a_storm_while_it_opens_closes() -> None:
    async def story(stage: Stage) -> None:
        await stage.clock.sleep(5.0)
        assert stage.conductor.state.phase == "opening"
        await stage.guard.say(False)
        await stage.clock.sleep(60.0)
        assert (stage.guard.closes, stage.conductor.state.phase, stage.observer.taken) == (1, "closed", 0)

    on_stage(story)


def test_unsafe_and_safe_again_between_two_looks_still_closes_first() -> None:
    async def story(stage: Stage) -> None:
        await stage.observing()
        await stage.guard.say(False)
        await stage.guard.say(True)
        await stage.clock.sleep(60.0)
        assert stage.guard.closes == 1
        assert stage.observer.cut == 1
        await stage.observing()

    on_stage(story)


def test_a_safety_process_that_was_silent_is_heard_again() -> None:
    async def story(stage: Stage) -> None:
        await stage.observing()
        stage.guard.silent = True
        await stage.clock.sleep(60.0)
        assert stage.conductor.state.phase == "closed"
        assert [finding.code for finding in stage.health.findings] == ["AST-131"]
        stage.guard.silent = False
        await stage.clock.sleep(30.0)
        await stage.observing()
        assert stage.health.findings == []

    on_stage(story)


def test_a_roof_that_does_not_open_is_closed_and_tried_again_later() -> None:
    async def story(stage: Stage) -> None:
        stage.guard.will_not_open = RecoverDevice("roof", "jammed")
        await stage.clock.sleep(BARRED_S[0] + 5.0)  # ten seconds to fail, then the rest
        assert (stage.guard.opens, stage.guard.closes, stage.conductor.state.phase) == (1, 1, "closed")
        assert [finding.code for finding in stage.health.findings] == ["AST-111"]
        assert stage.observer.occupation.cause == "fault"
        await stage.clock.sleep(10.0)
        assert stage.guard.opens == 2
        await stage.clock.sleep(BARRED_S[1] - 10.0)
        assert stage.guard.opens == 2  # each rest is longer than the last
        stage.guard.will_not_open = None
        await stage.clock.sleep(30.0)
        await stage.observing()
        assert stage.health.findings == []

    on_stage(story)


def test_a_site_with_nothing_to_be_open_for_is_closed_until_there_is() -> None:
    async def story(stage: Stage) -> None:
        await stage.observing()
        stage.conductor.bar("no mount answers any more")
        stage.conductor.bar("no mount answers any more")
        await stage.clock.sleep(60.0)
        assert stage.conductor.state.phase == "closed"
        assert (stage.observer.occupation.cause, stage.guard.opens) == ("fault", 1)
        stage.conductor.bar(None)
        await stage.clock.sleep(30.0)
        await stage.observing()
        assert stage.guard.opens == 2

    on_stage(story)


def test_a_loop_that_breaks_ends_the_conductor_and_not_in_silence() -> None:
    async def story(stage: Stage) -> None:
        await stage.observing()
        stage.observer.breaks = True
        await stage.clock.sleep(10 * EXPOSURE_S)
        raise AssertionError("nobody noticed")

    with pytest.raises(ExceptionGroup) as ended:
        on_stage(story)
    assert ended.group_contains(Bug, match="a bug of ours")


def test_dawn_ends_the_night_closed_and_its_minutes_are_closed_too() -> None:
    async def story(stage: Stage) -> None:
        await stage.observing()
        await stage.clock.sleep(9 * 3600.0)
        assert stage.conductor.state.phase == "asleep"
        assert stage.guard.word.roof == "closed"
        assert stage.finished == [stage.conductor.night]

    on_stage(story)


def test_work_under_the_roof_is_left_off_when_the_sky_clears_and_never_done_against_a_hold() -> None:
    async def story(stage: Stage) -> None:
        log: list[str] = []

        async def darks() -> None:
            log.append("begun")
            try:
                await stage.clock.sleep(3600.0)
            except asyncio.CancelledError:
                log.append("left off")
                raise

        stage.conductor._on_closed = darks
        await stage.observing()
        assert log == []
        await stage.guard.say(safe=False)
        await stage.clock.sleep(60.0)
        assert log == ["begun"]
        await stage.guard.say(safe=True)
        await stage.observing()
        assert log == ["begun", "left off"]
        stage.conductor.hold_closed(True)
        await stage.clock.sleep(60.0)
        assert stage.conductor.state.phase == "closed"
        assert log == ["begun", "left off"]

    on_stage(story)


def test_stopping_waits_for_no_dark() -> None:
    async def story(stage: Stage) -> None:
        async def darks() -> None:
            await stage.clock.sleep(36_000.0)

        stage.conductor._on_closed = darks
        await stage.observing()
        await stage.guard.say(safe=False)
        await stage.clock.sleep(60.0)
        began_s = stage.clock.monotonic_s()
        await stage.conductor.stop()
        assert stage.clock.monotonic_s() - began_s < 120.0

    on_stage(story)


def test_coolers_are_off_though_the_roof_does_not_close() -> None:
    """A roof whose driver was gone for good kept the night, and the cooler, going into the day."""

    class Cooled:
        setup = SITE.rigs[0]
        warm: bool | None = None

        async def cool(self, warm: bool, at_once: bool = False) -> None:
            self.warm = warm

        async def cover_up(self) -> None:
            """It has no cover."""

    async def story(stage: Stage) -> None:
        telescope = Cooled()
        stage.conductor._telescopes = {"main": telescope}  # type: ignore[dict-item]
        await stage.observing()
        stage.guard.will_not_close = RecoverDevice("roof", "does not answer")
        stopping = asyncio.create_task(stage.conductor.stop())
        await stage.clock.sleep(120.0)
        assert telescope.warm is True
        assert stage.conductor.state.phase == "ending"
        stage.guard.will_not_close = None
        await stopping

    on_stage(story)
