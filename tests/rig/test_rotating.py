"""Turning the camera: whatever the optics and the rotator, it ends as asked or says that it does not."""

from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from astrod.domain.plan import Choice
from astrod.domain.plate import Sighting, turn_deg
from astrod.framing import FAILED_S, Framing, turn_for_flats
from astrod.health import Health
from astrod.occupation import Occupation
from astrod.rig.rotating import TURNS, Framed, Rotating, RotatorFailed
from astrod.runtime.trace import Trace
from tests.rig.pointing_bench import Bench
from tests.rig.pointing_bench import at_bench as at_plain_bench

WITHIN = 1.0
T = TypeVar("T")


def at_bench(story: Callable[[Bench], Awaitable[T]], **mount: Any) -> T:
    """At a rig whose camera hangs on a rotator."""
    return at_plain_bench(story, rotates=True, **mount)


class Eye:
    """Looks through the train, and counts how often."""

    def __init__(self, bench: Bench) -> None:
        self.bench, self.looks, self.blind = bench, 0, False

    async def __call__(self) -> Sighting:
        self.looks += 1
        return Sighting(None, 2) if self.blind else self.bench.seen()

    @property
    def shown_deg(self) -> float:
        """The position angle of a frame taken now."""
        solution = self.bench.seen().solution
        assert solution is not None
        return solution.rotation_deg


@given(
    wanted=st.floats(0.0, 359.99),
    start=st.floats(0.0, 359.99),
    sense=st.sampled_from((1.0, -1.0)),
    past=st.booleans(),
)
@settings(max_examples=60, deadline=None)
def test_whatever_the_angle_and_the_sense_the_camera_ends_as_asked(
    wanted: float, start: float, sense: float, past: bool
) -> None:
    async def story(bench: Bench) -> tuple[Framed, float, int]:
        bench.rotator.angle_deg, bench.rotator.sense = start, sense
        bench.mount.side = "east" if past else "west"
        eye = Eye(bench)
        framed = await Rotating(bench.telescope, "main").run(wanted, past, None, eye)
        return framed, eye.shown_deg, eye.looks

    framed, shown, looks = at_bench(story)
    assert framed.state == "framed"
    assert abs(turn_deg(shown, wanted)) <= WITHIN
    assert framed.turns <= 2 and looks <= 3


@pytest.mark.parametrize("sense", [1.0, -1.0])
def test_what_was_learned_before_the_meridian_turns_the_camera_right_after_it(sense: float) -> None:
    async def story(bench: Bench) -> tuple[float, float, int]:
        bench.rotator.sense = sense
        eye, rotating = Eye(bench), Rotating(bench.telescope, "main")
        await rotating.run(75.0, False, None, eye)
        looks = eye.looks
        before = bench.rotator.angle_deg
        bench.mount.side = "east"
        assert await rotating.ahead(75.0, past=True)
        assert eye.looks == looks
        return eye.shown_deg, abs(turn_deg(before, bench.rotator.angle_deg)), looks

    shown, turned, _ = at_bench(story)
    assert abs(turn_deg(shown, 75.0)) <= WITHIN
    assert turned == pytest.approx(180.0)


def test_a_rotator_that_counts_from_elsewhere_is_asked_anew() -> None:
    async def story(bench: Bench) -> bool:
        rotating = Rotating(bench.telescope, "main")
        await rotating.run(75.0, False, None, Eye(bench))
        rotating.forget()
        return await rotating.ahead(120.0, past=False)

    assert at_bench(story) is False


def test_a_rotator_that_does_not_arrive_is_stopped_and_told() -> None:
    async def story(bench: Bench) -> list[str]:
        bench.rotator.stuck = True
        with pytest.raises(RotatorFailed, match="not done within"):
            await Rotating(bench.telescope, "main").run(75.0, False, None, Eye(bench))
        return bench.events

    assert "rotator stopped" in at_bench(story)


def test_a_camera_that_slips_on_its_rotator_is_given_up_after_its_turns() -> None:
    async def story(bench: Bench) -> Framed:
        bench.rotator.sense = 0.0  # the motor turns, and the field does not
        return await Rotating(bench.telescope, "main").run(75.0, False, None, Eye(bench))

    framed = at_bench(story)
    assert (framed.state, framed.turns) == ("off", TURNS)
    assert framed.off_deg == pytest.approx(65.0)


def framing(bench: Bench) -> tuple[Framing, Health]:
    trace = Trace(bench.clock)
    health = Health(bench.clock, trace)
    return Framing(bench.telescope, health, trace, bench.clock, Occupation("main", bench.clock)), health


def choice(bench: Bench, name: str = "it", angle_deg: float | None = 75.0) -> Choice:
    return Choice("main", name, f"{name}/1", bench.ra_at(-30.0), 30.0, 60.0, "", position_angle_deg=angle_deg)


def codes(health: Health) -> list[str]:
    return [finding.code for finding in health.findings]


def test_a_target_is_framed_once_and_again_past_the_meridian() -> None:
    async def story(bench: Bench) -> None:
        frames, health = framing(bench)
        eye = Eye(bench)
        assert frames.is_framed(choice(bench, angle_deg=None), "main", past=False)
        assert not frames.is_framed(choice(bench), "main", past=False)
        assert await frames.frame(choice(bench), "main", False, None, eye) is not None
        assert frames.is_framed(choice(bench), "main", past=False)
        assert not frames.is_framed(choice(bench), "main", past=True)
        assert not frames.is_framed(choice(bench, "other", 12.0), "main", past=False)
        looks = eye.looks
        await frames.ahead(choice(bench, "other", 12.0), "main", past=False)
        seen = bench.seen().solution
        assert await frames.frame(choice(bench, "other", 12.0), "main", False, seen, eye) is None  # nothing to turn
        assert eye.looks == looks
        assert codes(health) == []

    at_bench(story)


def test_a_stuck_rotator_costs_the_angle_and_not_the_target() -> None:
    async def story(bench: Bench) -> None:
        frames, health = framing(bench)
        bench.rotator.stuck = True
        assert await frames.frame(choice(bench), "main", False, None, Eye(bench)) is None
        assert codes(health) == ["AST-143"]
        moves = bench.rotator.moves
        assert frames.is_framed(choice(bench), "main", past=False)  # it is left alone for a while
        await frames.ahead(choice(bench), "main", past=False)
        assert bench.rotator.moves == moves
        await bench.clock.sleep(FAILED_S + 1.0)
        bench.rotator.stuck = False
        assert not frames.is_framed(choice(bench), "main", past=False)
        assert await frames.frame(choice(bench), "main", False, None, Eye(bench)) is not None
        assert codes(health) == []

    at_bench(story)


def test_frames_that_cannot_be_solved_leave_the_camera_as_it_stands() -> None:
    async def story(bench: Bench) -> None:
        frames, health = framing(bench)
        eye = Eye(bench)
        eye.blind = True
        assert await frames.frame(choice(bench), "main", False, None, eye) is None
        assert codes(health) == ["AST-143"]
        assert eye.looks == 1 and bench.rotator.moves == 0
        assert frames.is_framed(choice(bench), "main", past=False)

    at_bench(story)


def test_the_field_of_an_alt_azimuth_is_left_to_its_rotators_driver() -> None:
    async def story(bench: Bench) -> None:
        frames, _ = framing(bench)
        assert frames.is_framed(choice(bench), "main", past=False)

    at_bench(story, kind="altaz")


def test_flats_are_taken_at_the_angle_of_their_lights() -> None:
    async def story(bench: Bench) -> None:
        assert await turn_for_flats(bench.telescope, "main", None)
        assert bench.rotator.moves == 0
        assert await turn_for_flats(bench.telescope, "main", 212.0)
        assert bench.rotator.angle_deg == 212.0
        bench.rotator.stuck = True
        assert not await turn_for_flats(bench.telescope, "main", 20.0)

    at_bench(story)
