"""What the conductor tells, keeps and tends beside the roof: coolers, twilight, findings, the account, the trace."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace
from itertools import pairwise
from typing import Any

import pytest

from astrod.conductor import AGAIN_S, BARRED_S, FINISH_S, FOUND_S, REST_S, SAFETY_CODES, Conductor
from astrod.domain.darkness import DarkTime, dark_time
from astrod.domain.identity import Night, night_of
from astrod.domain.instant import DAY_US, MINUTE_US, SECOND_US
from astrod.domain.night import Hindered, LightChanged
from astrod.domain.safety import SafetyReport
from astrod.errors import AstrodError, RecoverDevice, Retry
from astrod.health import Health
from astrod.runtime.clock import Clock, SimClock, VirtualLoop, run_virtual
from astrod.runtime.trace import Trace
from astrod_drivers.protocols import Permit
from tests.rig.devices import MIDNIGHT_US, SITE
from tests.spine.test_conductor import EXPOSURE_S, FakeGuard, FakeObserver

NIGHT = night_of(MIDNIGHT_US, SITE.place.longitude_deg)
DARK = dark_time(SITE.place, SITE.darkness, NIGHT)


class Told(FakeGuard):
    """A guard that writes down when it was asked to open, and why it was asked to close."""

    def __init__(self, clock: Clock) -> None:
        super().__init__(clock)
        self.opened_s: list[float] = []
        self.permits: list[Permit] = []
        self.closed: list[tuple[float, str]] = []

    async def open_roof(self, permit: Permit) -> None:
        self.opened_s.append(self.clock.monotonic_s())
        self.permits.append(permit)
        await super().open_roof(permit)

    async def close_site(self, reason: str) -> None:
        self.closed.append((self.clock.monotonic_s(), reason))
        await super().close_site(reason)

    def speak(self, **facts: Any) -> None:
        """A new report, of the same epoch unless it says otherwise."""
        self.word = replace(self.word, version=self.word.version + 1, **facts)


class Watched(FakeObserver):
    """An observer that keeps the permits it was given, and can be slow to let go."""

    def __init__(self, clock: Clock) -> None:
        super().__init__(clock)
        self.permits: list[Permit] = []
        self.clings_s = self.settles_s = 0.0
        self.inside = self.most_inside = 0

    async def observe(self, permit: Permit) -> None:
        self.permits.append(permit)
        self.inside += 1
        self.most_inside = max(self.most_inside, self.inside)
        try:
            await super().observe(permit)
        finally:
            await self.clock.sleep(self.clings_s)
            self.inside -= 1

    async def settle(self) -> None:
        await self.clock.sleep(self.settles_s)


class Cooled:
    """A telescope as the conductor sees it: coolers and covers."""

    setup = SITE.rigs[0]

    def __init__(self, log: list[tuple[Any, ...]]) -> None:
        self.log = log
        self.fails: AstrodError | None = None

    async def cool(self, warm: bool, at_once: bool = False) -> None:
        self.log.append(("warm" if warm else "cool", at_once))
        if self.fails is not None:
            raise self.fails

    async def cover_up(self) -> None:
        self.log.append(("cover",))

    async def meet_cameras(self, within_s: float) -> None:
        self.log.append(("meet", within_s))


class House:
    """A conductor with all that it can be given."""

    def __init__(self, loop: VirtualLoop, start_us: int) -> None:
        self.clock = SimClock(loop, start_us)
        self.guard, self.observer = Told(self.clock), Watched(self.clock)
        self.log: list[tuple[Any, ...]] = []
        self.telescope = Cooled(self.log)
        self.trace = Trace(self.clock)
        self.health = Health(self.clock, self.trace)
        self.beats: list[float] = []
        self.accounts: list[float] = []
        self.account_fails = False
        self.conductor = Conductor(
            SITE,
            self.clock,
            self.guard,
            {"main": self.telescope},  # type: ignore[dict-item]
            {"main": self.observer},
            self.health,
            self.trace,
            lambda: self.beats.append(self.clock.monotonic_s()),
            self._begin,
            self._finish,
            self._account,
            self._under_roof,
            self._in_twilight,
        )

    async def _begin(self, night: Night, dark: DarkTime) -> None:
        self.log.append(("night", night, dark))

    async def _finish(self, night: Night) -> None:
        self.log.append(("finish", night))

    async def _account(self) -> None:
        self.accounts.append(self.clock.monotonic_s())
        if self.account_fails:
            raise Retry("the archive is busy")

    async def _under_roof(self) -> None:
        await self._aside("darks")

    async def _in_twilight(self, permit: Permit) -> None:
        await self._aside(f"flats in epoch {permit.epoch}")

    async def _aside(self, what: str) -> None:
        self.log.append((what, "begun"))
        try:
            await self.clock.sleep(1200.0)
        except asyncio.CancelledError:
            self.log.append((what, "left off"))
            raise
        self.log.append((what, "done"))

    async def until(self, done: Callable[[], bool], within_s: float = 600.0) -> None:
        """Wait until it is so."""
        async with asyncio.timeout(within_s):
            while not done():
                await self.clock.sleep(0.5)

    async def observing(self) -> None:
        await self.until(lambda: self.observer.running > 0)

    def notes(self, what: str) -> list[dict[str, Any]]:
        """The trace's notes of a kind, without their instants."""
        return [{k: v for k, v in note.items() if k != "at_us"} for note in self.trace.notes if note["what"] == what]

    @property
    def says(self) -> tuple[str, str]:
        """What the rig's time counts as now."""
        return self.observer.occupation.cause, self.observer.occupation.detail

    def finding(self, code: str) -> str | None:
        """The text of a finding that is there now."""
        return next((found.text for found in self.health.findings if found.code == code), None)


def in_house(
    story: Callable[[House], Awaitable[None]], start_us: int = MIDNIGHT_US, factory: Callable[..., Any] | None = None
) -> None:
    """Play a story with the conductor running; raises what ends the conductor. `factory` makes the loop's tasks."""

    async def play(loop: VirtualLoop) -> None:
        loop.set_task_factory(factory)
        house = House(loop, start_us)

        async def tell() -> None:
            await story(house)

        running, telling = asyncio.create_task(house.conductor.run(lambda: None)), asyncio.create_task(tell())
        await asyncio.wait({running, telling}, return_when=asyncio.FIRST_COMPLETED)
        for task in (running, telling):
            task.cancel()
        ended, told = await asyncio.gather(running, telling, return_exceptions=True)
        for outcome in (told, ended):
            if isinstance(outcome, Exception):
                raise outcome

    run_virtual(play)


# -- why it closes -------------------------------------------------------------------------------------------


def test_safety_is_told_why_the_site_closes() -> None:
    async def story(house: House) -> None:
        await house.observing()
        house.guard.speak(safe=False, epoch=2, reasons=("wind", "rain"))
        await house.until(lambda: house.conductor.state.phase == "closed")
        house.guard.speak(safe=True, epoch=3, reasons=())
        await house.observing()
        house.conductor.hold_closed(True)
        await house.until(lambda: house.conductor.state.phase == "closed")
        house.conductor.hold_closed(False)
        await house.observing()
        await house.conductor.stop()
        assert [reason for _, reason in house.guard.closed] == ["wind; rain", "the operator's wish", "the daemon stops"]

    in_house(story)


def test_at_dawn_the_night_is_over_its_telescopes_are_covered_then_warmed_and_only_then_is_it_finished() -> None:
    async def story(house: House) -> None:
        await house.observing()
        await house.until(lambda: ("finish", NIGHT) in house.log, 10 * 3600.0)
        assert [reason for _, reason in house.guard.closed] == ["the night is over"]
        assert house.log == [
            ("night", NIGHT, DARK),
            ("cool", False),
            ("darks", "begun"),
            ("darks", "done"),
            ("cover",),
            ("warm", False),
            ("finish", NIGHT),
        ]
        assert {"what": "night over", "night": str(NIGHT)} in house.notes("night over")
        assert house.conductor.state.phase == "asleep"
        assert house.says == ("idle", "waiting for dark")

    in_house(story, DARK.dawn_us - 10 * MINUTE_US)


def test_a_daemon_that_stops_warms_at_once_and_takes_no_darks() -> None:
    async def story(house: House) -> None:
        await house.observing()
        await house.conductor.stop()
        assert house.log[1:] == [("cool", False), ("cover",), ("warm", True), ("finish", NIGHT)]

    in_house(story)


def test_a_conductor_that_sleeps_stops_at_once() -> None:
    async def story(house: House) -> None:
        await house.clock.sleep(10.0)
        began_s = house.clock.monotonic_s()
        await house.conductor.stop()
        assert house.clock.monotonic_s() - began_s < 1.0
        assert house.guard.closed == []

    in_house(story, MIDNIGHT_US + 12 * 3600 * SECOND_US)


# -- coolers -------------------------------------------------------------------------------------------------


def test_a_cooler_that_fails_is_a_finding_of_its_rig_until_it_obeys() -> None:
    async def story(house: House) -> None:
        house.telescope.fails = RecoverDevice("camera", "does not answer")
        await house.observing()
        (found,) = house.health.findings
        assert (found.code, found.text) == ("AST-203", "rig main: camera: does not answer")
        assert house.notes("trouble")[0]["subject"] == "main"
        house.telescope.fails = None
        await house.conductor.stop()
        assert house.health.findings == []

    in_house(story)


# -- a roof that does not obey -------------------------------------------------------------------------------


def test_each_failed_opening_is_followed_by_a_longer_rest_and_the_last_rest_is_repeated() -> None:
    async def story(house: House) -> None:
        house.guard.will_not_open = RecoverDevice("roof", "jammed")
        await house.until(lambda: len(house.guard.opened_s) == 7, 3600.0)
        opened_s = house.guard.opened_s
        rests_s = [round(b - a) - 10 for a, b in pairwise(opened_s)]
        assert rests_s == [*BARRED_S, BARRED_S[-1], BARRED_S[-1]]
        assert house.finding("AST-111") == "roof: jammed"
        assert {"what": "work failed", "work": "open", "why": "roof: jammed"} in house.notes("work failed")
        house.guard.will_not_open = None
        await house.observing()
        assert house.finding("AST-111") is None
        assert {"what": "work done", "work": "open"} in house.notes("work done")
        house.guard.will_not_open = RecoverDevice("roof", "jammed")
        house.guard.speak(safe=False, epoch=2, reasons=("wind",))
        await house.until(lambda: house.conductor.state.phase == "closed")
        house.guard.speak(safe=True, epoch=3, reasons=())
        count = len(house.guard.opened_s)
        await house.until(lambda: len(house.guard.opened_s) == count + 2)
        assert round(house.guard.opened_s[-1] - house.guard.opened_s[-2]) - 10 == BARRED_S[0]  # it had opened since

    in_house(story)


def test_a_closing_that_fails_is_told_and_tried_again_after_its_rest() -> None:
    async def story(house: House) -> None:
        await house.observing()
        house.guard.will_not_close = RecoverDevice("safety", "AST-110 jammed")
        house.guard.speak(safe=False, epoch=2, reasons=("wind",))
        await house.until(lambda: len(house.guard.closed) == 3)
        (first_s, _), (second_s, _), (third_s, _) = house.guard.closed
        assert second_s - first_s == pytest.approx(20.0 + AGAIN_S, abs=0.1) == third_s - second_s
        assert house.finding("AST-110") == "safety: AST-110 jammed"
        assert [note["subject"] for note in house.notes("trouble") if note["code"] == "AST-110"] == ["site"]
        house.guard.will_not_close = None
        await house.until(lambda: house.conductor.state.phase == "closed")
        assert house.finding("AST-110") is None
        assert {"what": "work failed", "work": "close", "why": "safety: AST-110 jammed"} in house.notes("work failed")

    in_house(story)


def test_an_end_that_fails_warms_the_coolers_all_the_same_and_is_mended_by_one_that_does_not() -> None:
    async def story(house: House) -> None:
        await house.observing()
        house.guard.will_not_close = RecoverDevice("safety", "AST-110 jammed")
        stopping = asyncio.create_task(house.conductor.stop())
        await house.until(lambda: len(house.guard.closed) == 2)
        assert house.log[-1] == ("warm", True) and ("cover",) not in house.log
        assert house.finding("AST-110") == "safety: AST-110 jammed"
        house.guard.will_not_close = None
        await stopping
        assert house.finding("AST-110") is None
        assert house.log[-3:] == [("cover",), ("warm", True), ("finish", NIGHT)]

    in_house(story)


def test_what_safety_says_of_the_roof_is_not_mended_by_a_closing_that_succeeds() -> None:
    async def story(house: House) -> None:
        await house.observing()
        house.guard.speak(safe=False, epoch=2, reasons=("wind",), troubles=("AST-110 roof: jammed",))
        await house.until(lambda: house.conductor.state.phase == "closed")
        assert house.finding("AST-110") == "roof: jammed"

    in_house(story)


# -- twilight and darks --------------------------------------------------------------------------------------


def test_the_twilight_is_used_under_an_open_roof_and_left_off_at_dusk() -> None:
    async def story(house: House) -> None:
        await house.until(lambda: house.conductor.state.phase == "open")
        assert house.log[-1] == ("flats in epoch 1", "begun")
        assert house.says[0] == "idle"
        await house.observing()
        assert house.log[-1] == ("flats in epoch 1", "left off")
        assert house.observer.permits == [Permit(1)] == house.guard.permits

    in_house(story, DARK.dusk_us - 10 * MINUTE_US)


@pytest.mark.parametrize("how", ["paused", "held", "stopping"])
def test_the_twilight_is_not_used_against_the_operators_wish(how: str) -> None:
    async def story(house: House) -> None:
        await house.until(lambda: house.conductor.state.phase == "opening")
        if how == "paused":
            house.conductor.pause(True)
        elif how == "held":
            house.conductor.hold_closed(True)
        else:
            await house.conductor.stop()
        await house.clock.sleep(120.0)
        assert not [entry for entry in house.log if str(entry[0]).startswith("flats")]
        assert not [entry for entry in house.log if entry[0] == "darks"]

    in_house(story, DARK.dusk_us - 10 * MINUTE_US)


def test_darks_are_not_taken_against_a_pause() -> None:
    async def story(house: House) -> None:
        house.guard.speak(safe=False, reasons=("wind",))
        house.conductor.pause(True)
        await house.clock.sleep(120.0)
        assert house.conductor.state.phase == "closed"
        assert not [entry for entry in house.log if entry[0] == "darks"]

    in_house(story)


# -- what the rig's time counts as ---------------------------------------------------------------------------


def test_the_account_says_why_a_rig_does_not_observe() -> None:
    async def story(house: House) -> None:
        await house.clock.sleep(5.0)
        assert house.says == ("overhead", "opening")
        await house.observing()
        house.conductor.bar("no mount answers any more")
        await house.clock.sleep(5.0)
        assert house.says == ("fault", "no mount answers any more")
        await house.until(lambda: house.conductor.state.phase == "closed")
        house.conductor.bar(None)
        await house.observing()
        house.conductor.hold_closed(True)
        await house.clock.sleep(5.0)
        assert house.says == ("idle", "the operator's pause")
        await house.until(lambda: house.conductor.state.phase == "closed")
        house.conductor.hold_closed(False)
        await house.observing()
        house.guard.speak(safe=False, epoch=2, reasons=("wind", "rain"))
        await house.clock.sleep(5.0)
        assert house.says == ("weather", "wind; rain")
        house.guard.speak(reasons=("station: no reading since 01:00:00",))
        await house.clock.sleep(1.0)
        house.guard.speak(safe=True, epoch=3, reasons=())
        await house.until(lambda: house.conductor.state.phase == "opening")
        house.guard.speak(safe=False, epoch=4, reasons=("station: no reading since 01:00:00",))
        await house.clock.sleep(5.0)
        assert house.says == ("fault", "station: no reading since 01:00:00")

    in_house(story)


def test_the_account_says_that_the_roof_did_not_open_and_that_nothing_may_slew() -> None:
    async def story(house: House) -> None:
        house.guard.will_not_open = RecoverDevice("roof", "jammed")
        await house.until(lambda: bool(house.notes("work failed")))
        await house.clock.sleep(1.0)
        assert house.says == ("fault", "the roof did not open")
        house.guard.will_not_open = None
        await house.observing()
        house.guard.speak(no_slews=("clock", "mast"))
        await house.clock.sleep(EXPOSURE_S + 5.0)
        assert house.says == ("fault", "clock; mast")
        assert house.notes("slews")[-1] == {"what": "slews", "barred": True, "reasons": ["clock", "mast"]}

    in_house(story)


def test_a_rig_that_observes_says_itself_what_it_does_until_its_exposure_is_over() -> None:
    async def story(house: House) -> None:
        await house.observing()
        house.observer.occupation.enter("observed", "M31")
        noted = len(house.notes("night"))
        house.conductor.send(Hindered(False))
        await house.clock.sleep(0.5)
        assert (house.says, len(house.notes("night"))) == (("observed", "M31"), noted)
        house.conductor.pause(True)
        await house.clock.sleep(0.5)
        assert (house.says, house.conductor.state.phase) == (("observed", "M31"), "open")
        await house.clock.sleep(EXPOSURE_S + 5.0)
        assert house.says == ("idle", "the operator's pause")

    in_house(story)


def test_nobody_need_say_why_nothing_may_slew() -> None:
    async def story(house: House) -> None:
        await house.observing()
        house.conductor.send(Hindered(True))
        await house.clock.sleep(EXPOSURE_S + 5.0)
        assert house.says == ("fault", "nothing may slew")

    in_house(story)


def test_closing_and_ending_cost_time_of_their_own() -> None:
    async def story(house: House) -> None:
        await house.observing()
        house.conductor.hold_closed(True)
        house.conductor.hold_closed(False)
        await house.clock.sleep(0.5)
        assert (house.conductor.state.phase, house.says) == ("closing", ("overhead", "closing"))
        await house.observing()
        stopping = asyncio.create_task(house.conductor.stop())
        await house.clock.sleep(0.5)
        assert (house.conductor.state.phase, house.says) == ("ending", ("overhead", "ending"))
        await stopping

    in_house(story)


def test_a_roof_that_reads_closed_in_the_twilight_is_opened_again() -> None:
    async def story(house: House) -> None:
        await house.until(lambda: house.conductor.state.phase == "open")
        house.guard.speak(roof="closed")
        await house.clock.sleep(2.0)
        assert [note["code"] for note in house.notes("trouble")] == ["AST-112"]

    in_house(story, DARK.dusk_us - 5 * MINUTE_US)


def test_until_safety_has_spoken_nothing_is_safe() -> None:
    async def play(loop: VirtualLoop) -> SafetyReport:
        return House(loop, MIDNIGHT_US).conductor.safety

    word = run_virtual(play)
    assert word == SafetyReport(0, False, ("safety has not spoken yet",), 0, MIDNIGHT_US)


def test_the_minutes_are_brought_in_each_minute_also_after_an_archive_that_was_busy() -> None:
    async def story(house: House) -> None:
        house.account_fails = True
        await house.clock.sleep(121.0)
        house.account_fails = False
        await house.clock.sleep(60.0)
        assert [round(at_s) for at_s in house.accounts] == [60, 120, 180]
        assert [round(at_s) for at_s in house.beats[:180]] == list(range(180))

    in_house(story)


# -- what safety says ----------------------------------------------------------------------------------------


def test_safetys_word_is_noted_with_its_reasons_and_epoch() -> None:
    async def story(house: House) -> None:
        await house.observing()
        house.guard.speak(safe=False, epoch=2, reasons=("wind",))
        await house.clock.sleep(5.0)
        assert house.notes("safety") == [
            {"what": "safety", "safe": True, "reasons": [], "epoch": 1},
            {"what": "safety", "safe": False, "reasons": ["wind"], "epoch": 2},
        ]
        assert house.notes("night")[-1] == {
            "what": "night",
            "phase": "closing",
            "message": "SafetyChanged(safe=False)",
            "effects": ["suspend", "close"],
        }
        assert house.conductor.safety == house.guard.word

    in_house(story)


@pytest.mark.parametrize("code", SAFETY_CODES)
def test_each_trouble_of_safety_is_a_finding_as_long_as_safety_says_so(code: str) -> None:
    async def story(house: House) -> None:
        await house.observing()
        house.guard.speak(troubles=(f"{code} the particulars, in words",))
        await house.clock.sleep(2.0)
        assert house.finding(code) == "the particulars, in words"
        house.guard.speak(troubles=())
        await house.clock.sleep(2.0)
        assert house.health.findings == []

    in_house(story)


def test_a_sensor_that_was_silent_all_day_is_a_finding_as_the_evening_begins() -> None:
    async def story(house: House) -> None:
        await house.clock.sleep(2.0)
        house.guard.speak(safe=False, epoch=2, reasons=("mast: no reading since noon",))
        await house.clock.sleep(2.0)
        assert house.finding("AST-101") is None
        await house.until(lambda: house.conductor.state.light != "day", within_s=14 * 3600.0)
        await house.clock.sleep(2.0)
        assert house.finding("AST-101") == "mast: no reading since noon"

    in_house(story, MIDNIGHT_US + 12 * 3600 * SECOND_US)


def test_sensors_that_are_silent_are_a_finding_by_night_only() -> None:
    async def story(house: House) -> None:
        await house.clock.sleep(2.0)
        silent = ("mast: no reading since 01:00:00", "wind", "hut: no reading yet")
        house.guard.speak(safe=False, epoch=2, reasons=silent)
        await house.clock.sleep(2.0)
        wanted = None if house.conductor.state.light == "day" else f"{silent[0]}; {silent[2]}"
        assert house.finding("AST-101") == wanted
        house.guard.speak(reasons=("wind",))
        await house.clock.sleep(2.0)
        assert house.finding("AST-101") is None

    in_house(story)
    in_house(story, MIDNIGHT_US + 12 * 3600 * SECOND_US)


def test_a_safety_that_does_not_answer_is_unsafe_and_its_error_is_told() -> None:
    async def story(house: House) -> None:
        await house.observing()
        house.guard.silent = True
        await house.until(lambda: house.conductor.state.phase == "closed")
        assert house.finding("AST-131") == "safety does not answer: safety: no answer"

    in_house(story)


def test_a_roof_that_falls_shut_in_mid_work_is_closed_in_order_and_opened_again() -> None:
    async def story(house: House) -> None:
        await house.observing()
        house.guard.speak(roof="closed")
        await house.until(lambda: house.conductor.state.phase == "closing")
        assert house.finding("AST-112") == "the roof reads closed in mid work; parking, then opening again"
        await house.observing()
        house.guard.speak(roof="open")
        await house.clock.sleep(2.0)
        assert (house.observer.cut, len(house.guard.closed), len(house.guard.opened_s)) == (1, 1, 2)
        assert house.finding("AST-112") is None

    in_house(story)


# -- rigs ----------------------------------------------------------------------------------------------------


def test_a_rig_rests_once_its_exposure_has_ended() -> None:
    async def story(house: House) -> None:
        assert house.conductor.rests("main")
        await house.observing()
        assert not house.conductor.rests("main")
        house.conductor.pause(True)
        await house.clock.sleep(5.0)
        assert not house.conductor.rests("main")
        await house.clock.sleep(EXPOSURE_S)
        assert house.conductor.rests("main")

    in_house(story)


def test_a_rig_that_does_not_let_go_holds_up_the_night_for_its_time_only() -> None:
    async def story(house: House) -> None:
        await house.observing()
        house.observer.clings_s = 2 * REST_S
        began_s = house.clock.monotonic_s()
        stopping = asyncio.create_task(house.conductor.stop())
        await house.until(lambda: bool(house.guard.closed))
        assert house.guard.closed[0][0] - began_s == pytest.approx(REST_S, abs=1.0)
        await stopping

    in_house(story)


def test_a_rig_that_lets_go_late_is_never_observed_with_by_two_at_once() -> None:
    async def story(house: House) -> None:
        await house.observing()
        house.observer.clings_s = 2 * REST_S
        house.guard.speak(safe=False, epoch=2, reasons=("wind",))
        await house.clock.sleep(5.0)
        house.guard.speak(safe=True, epoch=3, reasons=())
        await house.until(lambda: house.conductor.state.phase == "observing")
        assert house.observer.inside == 1
        await house.observing()
        assert house.observer.most_inside == 1
        assert house.observer.permits == [Permit(1), Permit(3)]

    in_house(story)


def test_frames_that_are_not_judged_in_their_time_do_not_hold_up_the_nights_end() -> None:
    async def story(house: House) -> None:
        await house.observing()
        house.observer.settles_s = 2 * FINISH_S
        began_s = house.clock.monotonic_s()
        await house.conductor.stop()
        assert house.clock.monotonic_s() - began_s == pytest.approx(20.0 + FINISH_S, abs=2.0)
        assert house.log[-1] == ("finish", NIGHT)

    in_house(story)


def test_the_next_night_begins_at_noon() -> None:
    async def story(house: House) -> None:
        await house.until(lambda: len([entry for entry in house.log if entry[0] == "night"]) == 2, 14 * 3600.0)
        following = night_of(MIDNIGHT_US + DAY_US, SITE.place.longitude_deg)
        assert house.log == [
            ("night", NIGHT, DARK),
            ("meet", FOUND_S),
            ("warm", False),  # what a former run may have left cold
            ("night", following, dark_time(SITE.place, SITE.darkness, following)),
        ]
        assert (house.conductor.night, house.conductor.dark) == house.log[-1][1:]

    in_house(story, MIDNIGHT_US + 11 * 3600 * SECOND_US)


def test_light_that_comes_back_ends_the_exposure_at_once() -> None:
    """A clock that is set back in the night: no pause that lets an exposure end."""

    async def story(house: House) -> None:
        await house.observing()
        house.conductor.send(LightChanged("twilight"))
        await house.clock.sleep(1.0)
        assert (house.observer.cut, house.observer.taken, house.observer.running) == (1, 0, 0)
        assert house.conductor.state.phase == "open"

    in_house(story)


def test_each_task_has_a_name_by_which_a_person_finds_it_in_a_traceback() -> None:
    tasks: list[asyncio.Task[Any]] = []

    def kept(loop: asyncio.AbstractEventLoop, body: Any, **more: Any) -> "asyncio.Task[Any]":
        tasks.append(asyncio.Task(body, loop=loop, **more))
        return tasks[-1]

    async def story(house: House) -> None:
        await house.observing()
        house.guard.will_not_open = RecoverDevice("roof", "jammed")
        house.guard.speak(safe=False, epoch=2, reasons=("wind",))
        await house.until(lambda: house.conductor.state.phase == "closed")
        house.guard.speak(safe=True, epoch=3, reasons=())
        await house.until(lambda: bool(house.notes("work failed")))
        await house.conductor.stop()

    in_house(story, DARK.dusk_us - 5 * MINUTE_US, kept)
    assert {task.get_name() for task in tasks if not task.get_name().startswith("Task-")} == {
        "watch the light",
        "watch safety",
        "heartbeat",
        "account",
        "warm up what was left cold",
        "cool",
        "open",
        "use the twilight",
        "observe with main",
        "close",
        "work under the roof",
        "lift the bar",
        "end",
        "finish the night",
    }


def test_a_pause_that_is_taken_back_lets_the_exposure_under_way_go_on() -> None:
    async def story(house: House) -> None:
        await house.observing()
        house.conductor.pause(True)
        await house.clock.sleep(5.0)
        house.conductor.pause(False)
        await house.clock.sleep(3 * EXPOSURE_S)
        assert house.observer.permits == [Permit(1)]  # the same observing, and not another after it
        assert (house.observer.taken, house.observer.cut) == (3, 0)

    in_house(story)


def test_unsafe_without_a_reason_is_told_as_such() -> None:
    async def story(house: House) -> None:
        await house.observing()
        house.guard.speak(safe=False, epoch=2, reasons=())
        await house.clock.sleep(5.0)
        assert house.says == ("weather", "unsafe")

    in_house(story)


def test_before_safety_has_spoken_nothing_is_safe() -> None:
    async def play(loop: VirtualLoop) -> None:
        house = House(loop, MIDNIGHT_US)
        assert house.conductor.safety == SafetyReport(0, False, ("safety has not spoken yet",), 0, MIDNIGHT_US)
        assert (house.conductor.night, house.conductor.dark) == (NIGHT, DARK)

    run_virtual(play)
