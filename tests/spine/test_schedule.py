"""The schedule's bookkeeping: what is wanted, under way, kept, to be taken again, given up."""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from astrod.archive.archive import Archive
from astrod.archive.rows import FrameRow
from astrod.domain.cloudiness import BANDS, SECTORS, CloudMap
from astrod.domain.darkness import dark_time
from astrod.domain.exposure import CONSEQUENCES, Cause, Intent, Judgement, Taken
from astrod.domain.identity import ExposureId, Night
from astrod.domain.plan import Plan, Slot
from astrod.domain.sphere import altitude_azimuth_deg
from astrod.domain.target import Request, Target
from astrod.domain.watching import SkyCover
from astrod.health import Health
from astrod.journey import Outcome
from astrod.recording import Recording
from astrod.runtime.clock import SimClock, VirtualLoop, run_virtual
from astrod.runtime.offload import VirtualOffload
from astrod.runtime.trace import Trace
from astrod.schedule import BAN_US, Schedule, remembered
from tests.rig.devices import MIDNIGHT_US, SITE

NIGHT = Night.parse("2026-12-14")
TARGET = Target("M 42", 83.82, -5.39, requests=(Request("M 42/1", "M 42", 60.0, 3),))
REQUEST = TARGET.requests[0].id
TWO = (
    TARGET,
    Target("M 45", 56.87, 24.12, requests=(Request("M 45/1", "M 45", 60.0, 3),)),
)


class Desk:
    """A schedule with an archive, on the simulated clock."""

    def __init__(self, loop: VirtualLoop, folder: Path, targets: tuple[Target, ...]) -> None:
        self.clock = SimClock(loop, MIDNIGHT_US)
        self.archive = Archive.open(folder / "archive.db")
        offload = VirtualOffload(self.clock, 1)
        trace = Trace(self.clock)
        self.schedule = Schedule(
            SITE, targets, offload, Recording(self.archive, offload), Health(self.clock, trace), trace, self.clock
        )
        self._count = 0

    def begin(self) -> Intent:
        """Begin the next exposure, as a rig does."""
        self._count += 1
        retake_of = self.schedule.retake_of(REQUEST)
        intent = Intent(
            ExposureId("pujalt", NIGHT, self._count),
            "light",
            "main",
            "main",
            60.0,
            TARGET.ra_deg,
            TARGET.dec_deg,
            target=TARGET.name,
            request=REQUEST,
            retake_of=retake_of,
        )
        self.schedule.begun(intent)
        return intent

    def judge(self, intent: Intent, cause: Cause) -> None:
        """The verdict on its frame arrives."""
        decision = CONSEQUENCES[cause][0]
        judgement = Judgement(50.0, decision, cause, {}, "test")
        consequence = CONSEQUENCES[cause][1] if decision == "reject" else "none"
        self.schedule.settled(Outcome(intent, judgement, None, consequence))

    @property
    def remaining(self) -> int:
        return self.schedule.remaining()[REQUEST]


def at_desk(folder: Path, story: Callable[[Desk], Awaitable[None]], targets: tuple[Target, ...] = (TARGET,)) -> None:
    """Play a story at a desk."""

    async def play(loop: VirtualLoop) -> None:
        desk = Desk(loop, folder, targets)
        try:
            await story(desk)
        finally:
            for task in asyncio.all_tasks() - {asyncio.current_task()}:
                task.cancel()
            desk.archive.close()

    run_virtual(play)


def test_what_is_under_way_is_not_wanted_again(tmp_path: Path) -> None:
    async def story(desk: Desk) -> None:
        assert desk.remaining == 3
        first, second = desk.begin(), desk.begin()
        assert desk.remaining == 1
        desk.judge(first, "none")
        assert (desk.remaining, desk.schedule.kept[REQUEST]) == (1, 1)
        desk.schedule.lost(second)
        assert desk.remaining == 2

    at_desk(tmp_path, story)


def test_a_frame_rejected_for_no_known_cause_is_taken_again_once(tmp_path: Path) -> None:
    async def story(desk: Desk) -> None:
        bad = desk.begin()
        desk.judge(bad, "unknown")
        assert desk.remaining == 3
        again = desk.begin()
        assert again.retake_of == str(bad.id)
        desk.judge(again, "unknown")
        assert desk.remaining == 2
        assert desk.begin().retake_of is None

    at_desk(tmp_path, story)


@pytest.mark.parametrize("cause", ["clouds", "defocus", "trailing"])
def test_a_known_cause_is_taken_again_until_it_is_good(tmp_path: Path, cause: Cause) -> None:
    async def story(desk: Desk) -> None:
        for _ in range(5):
            desk.judge(desk.begin(), cause)
            assert desk.remaining == 3
        desk.judge(desk.begin(), "none")
        assert desk.remaining == 2

    at_desk(tmp_path, story)


def test_a_retake_that_is_lost_still_waits(tmp_path: Path) -> None:
    async def story(desk: Desk) -> None:
        bad = desk.begin()
        desk.judge(bad, "clouds")
        desk.schedule.lost(desk.begin())
        assert desk.begin().retake_of == str(bad.id)

    at_desk(tmp_path, story)


def test_two_rigs_that_make_up_for_the_same_frame_do_no_harm(tmp_path: Path) -> None:
    async def story(desk: Desk) -> None:
        desk.judge(desk.begin(), "clouds")
        asked = desk.schedule.retake_of(REQUEST)
        for rig, number in (("east", 8), ("west", 9)):  # both asked before either began
            exposure = ExposureId("pujalt", NIGHT, number)
            desk.schedule.begun(Intent(exposure, "light", rig, rig, 60.0, 1.0, 1.0, request=REQUEST, retake_of=asked))
        assert desk.schedule.retake_of(REQUEST) is None
        assert desk.remaining == 1

    at_desk(tmp_path, story)


def test_never_more_than_was_asked_for(tmp_path: Path) -> None:
    async def story(desk: Desk) -> None:
        for _ in range(5):
            desk.judge(desk.begin(), "none")
        assert desk.remaining == 0
        assert desk.schedule.tally() == {"done": 1, "partial": 0, "untouched": 0}

    at_desk(tmp_path, story)


def test_a_refused_target_is_left_alone_for_a_while(tmp_path: Path) -> None:
    async def story(desk: Desk) -> None:
        await desk.schedule.begin_night(dark_time(SITE.place, SITE.darkness, NIGHT))
        await desk.clock.sleep(60.0)
        choice = desk.schedule.choose("main")
        assert choice is not None
        assert choice.target == "M 42"
        desk.schedule.refuse("second", "M 42", "its mount refuses")
        assert desk.schedule.choose("main") is not None, "what one mount refuses another may reach"
        desk.schedule.refuse("main", "M 42", "the mount reports another place")
        assert desk.schedule.choose("main") is None
        await desk.clock.sleep(BAN_US / 1e6 + 60.0)
        assert desk.schedule.choose("main") is not None

    at_desk(tmp_path, story)


def test_without_a_plan_it_waits_and_says_so(tmp_path: Path) -> None:
    async def story(desk: Desk) -> None:
        assert desk.schedule.choose("main") is None
        assert desk.schedule.idle_because == "no plan yet"

    at_desk(tmp_path, story)


def test_after_a_restart_the_former_plan_serves_until_there_is_a_new_one(tmp_path: Path) -> None:
    async def story(desk: Desk) -> None:
        made_us, end_us = MIDNIGHT_US - 60_000_000, MIDNIGHT_US + 3600_000_000
        slot = Slot("main", TARGET.name, REQUEST, made_us, end_us, 3, 1.0, "high in the south")
        desk.archive.save_plan(Plan(made_us, "dispatch", (slot,)))
        await desk.schedule.begin_night(dark_time(SITE.place, SITE.darkness, NIGHT))
        assert desk.schedule.outlook is None
        choice = desk.schedule.choose("main")
        assert choice is not None
        assert (choice.target, choice.request, choice.exposure_s) == (TARGET.name, REQUEST, 60.0)
        assert desk.schedule.choose("second") is None
        desk.schedule.refuse("main", TARGET.name, "it is behind the dome")
        assert desk.schedule.choose("main") is None

    at_desk(tmp_path, story)


@pytest.mark.parametrize("age_us", [36 * 3600_000_000, 3540_000_000])
def test_a_plan_of_another_night_or_of_an_hour_that_is_over_serves_no_more(tmp_path: Path, age_us: int) -> None:
    async def story(desk: Desk) -> None:
        slot = Slot("main", TARGET.name, REQUEST, MIDNIGHT_US - age_us, MIDNIGHT_US + 30_000_000, 3, 1.0, "")
        desk.archive.save_plan(Plan(MIDNIGHT_US - age_us, "dispatch", (slot,)))
        await desk.schedule.begin_night(dark_time(SITE.place, SITE.darkness, NIGHT))
        assert desk.schedule.choose("main") is None

    at_desk(tmp_path, story)


def row(number: int, cause: Cause | None, retake_of: str | None = None, aside: bool = False) -> FrameRow:
    """An exposure as the archive has it; without a cause and not aside it brought no frame."""
    exposure = ExposureId("pujalt", NIGHT, number)
    intent = Intent(exposure, "light", "main", "main", 60.0, 1.0, 2.0, request=REQUEST, retake_of=retake_of)
    if aside:
        return FrameRow(intent, number, "failed", quarantine_path="quarantine/x.fits")
    if cause is None:
        return FrameRow(intent, number, "interrupted")
    judgement = Judgement(50.0, CONSEQUENCES[cause][0], cause, {}, "test")
    return FrameRow(intent, number, "taken", taken=Taken(exposure, "x", "y", 1, 1, 60.0), judgement=judgement)


def test_a_restart_remembers_what_waits_to_be_taken_again_and_what_was_given_up() -> None:
    first, second, third = (str(ExposureId("pujalt", NIGHT, number)) for number in (1, 2, 3))
    assert remembered([row(1, "clouds"), row(2, "none")], 1) == ({REQUEST: deque([first])}, {}, {})
    assert remembered([row(1, "clouds"), row(2, "none", first)], 1) == ({}, {second: 1}, {})
    lost = [row(1, "unknown"), row(2, None, first)]
    assert remembered(lost, 1) == ({REQUEST: deque([first])}, {}, {})
    again = [row(1, "unknown"), row(2, "unknown", first), row(3, "none")]
    assert remembered(again, 1) == ({}, {second: 1}, {REQUEST: 1})
    assert remembered(again, 2) == ({REQUEST: deque([second])}, {second: 1}, {})
    assert remembered([row(3, None, aside=True)], 1) == ({REQUEST: deque([third])}, {}, {})


def test_plans_reckon_with_how_long_exposures_are_and_choices_keep_what_was_asked(tmp_path: Path) -> None:
    async def story(desk: Desk) -> None:
        await desk.schedule.begin_night(dark_time(SITE.place, SITE.darkness, NIGHT))
        await desk.clock.sleep(60.0)
        desk.schedule.lasts(REQUEST, 30.0)
        await desk.schedule.replan("the sky is bright")
        slot = desk.schedule.plan.slots[0]
        assert (slot.end_us - slot.start_us) / 1e6 < 3 * 60.0
        choice = desk.schedule.choose("main")
        assert choice is not None and choice.exposure_s == 60.0

    at_desk(tmp_path, story)


def test_a_request_is_left_alone_while_it_is_refused(tmp_path: Path) -> None:
    async def story(desk: Desk) -> None:
        await desk.schedule.begin_night(dark_time(SITE.place, SITE.darkness, NIGHT))
        await desk.clock.sleep(60.0)
        desk.schedule.refuse("main", REQUEST, "the sky is too bright for it")
        assert desk.schedule.choose("main") is None
        await desk.clock.sleep(BAN_US / 1e6 + 1.0)
        assert desk.schedule.choose("main") is not None

    at_desk(tmp_path, story)


def test_what_is_left_of_the_night_ends_just_before_dawn(tmp_path: Path) -> None:
    async def story(desk: Desk) -> None:
        dark = dark_time(SITE.place, SITE.darkness, NIGHT)
        await desk.schedule.begin_night(dark)
        assert desk.schedule.left_s == pytest.approx((dark.dawn_us - desk.clock.now_us()) / 1e6 - 10.0)

    at_desk(tmp_path, story)


def test_a_target_behind_a_cloud_waits_while_another_stands_free_and_not_where_all_are_covered(tmp_path: Path) -> None:
    async def story(desk: Desk) -> None:
        await desk.schedule.begin_night(dark_time(SITE.place, SITE.darkness, NIGHT))
        await desk.clock.sleep(60.0)

        def chosen() -> str | None:
            choice = desk.schedule.choose("main")
            return None if choice is None else choice.target

        async def cloud(*names: str) -> None:
            now_us = desk.clock.now_us()
            chances = [[0.1] * SECTORS for _ in range(BANDS)]
            for target in TWO:
                altitude_deg, azimuth_deg = altitude_azimuth_deg(
                    target.ra_deg, target.dec_deg, now_us, SITE.place.latitude_deg, SITE.place.longitude_deg
                )
                band, sector = int(altitude_deg * BANDS / 90.0), int(azimuth_deg * SECTORS / 360.0)
                chances[band][sector] = 0.95 if target.name in names else 0.1
            clouds = CloudMap(now_us, tuple(map(tuple, chances)), is_oriented=True)
            await desk.schedule.covered("roof", SkyCover(now_us, 50.0, clouds))

        first = chosen()
        assert first is not None
        other = next(target.name for target in TWO if target.name != first)
        await cloud(first)
        assert chosen() == other
        await cloud(first, other)
        assert chosen() == first, "frames are the judges where everything seems covered"

    at_desk(tmp_path, story, TWO)
