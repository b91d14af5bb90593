"""Nights lost at the meridian, to mounts that were believed, and to centring: FAILURES S13, 21, 25 to 28, 35."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

import pytest

from astrod.domain.focus import Sample
from astrod.domain.plan import Choice
from astrod.errors import Replan
from astrod.health import Health
from astrod.occupation import Occupation
from astrod.pointing import NO_FLIP_S, Pointing
from astrod.rig.flipping import FlipFailed, Flipping
from astrod.rig.focusing import Focusing
from astrod.runtime.trace import Trace
from astrod_drivers.protocols import Permit
from tests.rig.devices import SITE
from tests.rig.pointing_bench import Bench, at_bench


@dataclass
class Desk:
    """A bench with a `Pointing`, and what it says is wrong."""

    bench: Bench
    pointing: Pointing
    health: Health
    trace: Trace

    def target(self, hour_angle: float, exposure_s: float = 60.0, name: str = "it") -> Choice:
        """A target at that hour angle now."""
        return Choice("main", name, f"{name}/1", self.bench.ra_at(hour_angle), 30.0, exposure_s, "")

    async def point(self, choice: Choice) -> int:
        """Point there; how many slews it took."""
        before = len(self.slews())
        await self.pointing.point(choice, "main", self.bench.permit)
        return len(self.slews()) - before

    def slews(self) -> list[str]:
        return [event for event in self.bench.events if event.startswith("slew")]


def at_desk(story: Callable[[Desk], Awaitable[None]], **mount: Any) -> None:
    async def told(bench: Bench) -> None:
        trace = Trace(bench.clock)
        health = Health(bench.clock, trace)

        async def look(train: str, exposure_s: float, permit: Permit) -> Any:
            raise AssertionError("nothing to solve with: no exposure")

        occupation = Occupation("main", bench.clock)
        pointing = Pointing(SITE, bench.telescope, None, look, health, trace, bench.clock, occupation)
        await story(Desk(bench, pointing, health, trace))

    at_bench(told, **mount)


@pytest.mark.parametrize("tells", ["nothing", "lies", "truth"])
def test_s13_an_unknown_or_wrong_pier_side_never_means_that_no_flip_is_needed(tells: Any) -> None:
    async def story(desk: Desk) -> None:
        choice = desk.target(-0.5)
        assert await desk.point(choice) == 1
        desk.bench.mount.tells = tells
        await desk.bench.clock.sleep(2.0 * 240.0)  # two degrees of hour angle
        desk.bench.mount.flips = True
        if tells == "lies":  # it reads "west" after the flip: by that word it did not happen
            with pytest.raises(FlipFailed):
                await desk.point(choice)
        else:
            assert await desk.point(choice) == 1
        assert desk.bench.mount.side == "east"

    at_desk(story)


def test_21_after_an_interruption_the_target_is_pointed_at_anew() -> None:
    async def story(desk: Desk) -> None:
        choice = desk.target(-20.0)
        await desk.point(choice)
        desk.pointing.let_go()  # as each start of observing does, after weather, a pause, a lost device
        assert await desk.point(choice) == 1

    at_desk(story)


def test_25_a_flip_that_leaves_the_mount_on_its_side_ends_stopped_parked_and_told() -> None:
    async def story(desk: Desk) -> None:
        mount = desk.bench.mount
        mount.flips = False
        with pytest.raises(FlipFailed):
            await desk.point(desk.target(3.0))
        assert mount.parked
        assert not mount.tracking
        assert [finding.code for finding in desk.health.findings] == ["AST-142"]
        slews = len(desk.slews())
        with pytest.raises(FlipFailed, match="did not change sides lately"):
            await desk.point(desk.target(10.0, name="another"))
        assert len(desk.slews()) == slews  # not tried on each target in the west
        assert await desk.point(desk.target(-30.0, name="east")) == 1  # unparked again for what needs no flip
        assert not mount.parked
        await desk.bench.clock.sleep(NO_FLIP_S)
        mount.flips = True
        assert await desk.point(desk.target(5.0, name="later")) == 1
        assert desk.health.findings == []

    at_desk(story)


def test_26_a_mount_that_stopped_tracking_is_noticed_before_each_exposure() -> None:
    async def story(desk: Desk) -> None:
        choice = desk.target(-20.0)
        await desk.point(choice)
        desk.bench.mount.tracking = False
        assert await desk.point(choice) == 1
        assert desk.bench.mount.tracking

    at_desk(story)


def test_26_a_mount_that_says_it_tracks_is_believed_only_as_long_as_the_stars_agree() -> None:
    async def story(desk: Desk) -> None:
        choice = desk.target(-20.0)
        await desk.point(choice)
        desk.pointing.hear("it", 1.0)
        assert await desk.point(choice) == 0
        desk.pointing.hear("another", 60.0)  # a frame of the target before: says nothing of this one
        assert await desk.point(choice) == 0
        desk.pointing.hear("it", 16.0)
        assert await desk.point(choice) == 1

    at_desk(story)


def test_27_a_flip_waits_for_a_focus_run_and_a_focus_run_for_a_flip() -> None:
    async def story(bench: Bench) -> None:
        holders: list[dict[str, str]] = []

        async def measure() -> Sample:
            holders.append(dict(bench.telescope.leases.holders))
            await bench.clock.sleep(5.0)
            return Sample(2.0 + abs(bench.focuser.position - 1000) / 50.0, 30)

        async def rotation() -> float | None:
            return None

        focusing = asyncio.create_task(Focusing(bench.telescope, "main", measure).run())
        await bench.clock.sleep(1.0)
        ra_deg = bench.ra_at(3.0)
        flipping = asyncio.create_task(Flipping(bench.telescope, rotation, None).run(ra_deg, 30.0, bench.permit))
        await bench.clock.sleep(10.0)
        assert not any(event.startswith("slew") for event in bench.events)
        await focusing
        await flipping
        assert any(event.startswith("slew") for event in bench.events)
        assert all(held.get("mount") == "focus" for held in holders)

    at_bench(story)


def test_28_no_exposure_is_begun_that_cannot_end_before_the_limit() -> None:
    async def story(desk: Desk) -> None:
        choice = desk.target(0.2, exposure_s=1180.0)  # it would end at 5.1 degrees
        began_s = desk.bench.clock.monotonic_s()
        await desk.point(choice)
        waited_s = desk.bench.clock.monotonic_s() - began_s
        assert 180.0 < waited_s < 240.0  # until it can flip, and not a new target's time-out
        assert desk.bench.mount.side == "east"
        with pytest.raises(Replan, match="shorter exposures would fit"):
            await desk.point(desk.target(-10.0, exposure_s=3600.0))

    at_desk(story, flip_after_deg=1.0, track_past_meridian_deg=5.0)


def test_35_a_target_that_is_held_is_neither_slewed_to_nor_centred_for_each_frame() -> None:
    async def story(desk: Desk) -> None:
        choice = desk.target(-40.0)
        assert await desk.point(choice) == 1
        for _ in range(20):
            await desk.bench.clock.sleep(60.0)
            assert await desk.point(choice) == 0

    at_desk(story)
