"""The meridian flip: done, seen to be done, and what happens when it is not."""

import math

import pytest

from astrod.domain.site import MountSetup
from astrod.domain.sphere import hour_angle_deg
from astrod.errors import Replan
from astrod.rig.flipping import FlipFailed, Flipping, FlipRun, belongs_east_of_pier, wait_for_flip_s
from tests.rig.pointing_bench import LONGITUDE_DEG, Bench, Tells, at_bench

MOUNT = MountSetup("sim://mount", flip_after_deg=1.0, track_past_meridian_deg=5.0)
WEST_OF_PIER_DEG = 10.0


async def flip(bench: Bench, before_deg: float | None = WEST_OF_PIER_DEG, sees: bool = True) -> FlipRun:
    """Track a target two degrees past the meridian from the wrong side, then flip."""

    async def rotation() -> float | None:
        solution = bench.seen().solution
        return solution.rotation_deg if sees and solution else None

    ra_deg = bench.ra_at(2.0)
    assert hour_angle_deg(ra_deg, bench.clock.now_us(), LONGITUDE_DEG) == pytest.approx(2.0)
    bench.mount.side = "west"
    return await Flipping(bench.telescope, rotation, before_deg).run(ra_deg, 30.0, bench.permit)


@pytest.mark.parametrize(
    ("tells", "before_deg", "witness"),
    [
        ("truth", None, "pier side"),
        ("nothing", WEST_OF_PIER_DEG, "rotation"),
        ("lies", WEST_OF_PIER_DEG, "rotation"),
        ("nothing", None, "none"),
    ],
)
def test_a_flip_is_witnessed(tells: Tells, before_deg: float | None, witness: str) -> None:
    async def story(bench: Bench) -> FlipRun:
        bench.mount.tells = tells
        run = await flip(bench, before_deg)
        assert bench.mount.side == "east"
        return run

    assert at_bench(story) == FlipRun(1, witness)  # type: ignore[arg-type]


@pytest.mark.parametrize("tells", ["truth", "nothing"])
def test_a_flip_that_does_not_happen_is_tried_again_then_the_mount_stops_and_parks(tells: Tells) -> None:
    async def story(bench: Bench) -> None:
        bench.mount.flips, bench.mount.tells = False, tells
        with pytest.raises(FlipFailed, match="did not change sides in 2 tries"):
            await flip(bench)
        assert sum(event.startswith("slew") for event in bench.events) == 3  # to it, by way of the west, to it
        state = await bench.mount.read()
        assert state.parked
        assert not state.tracking

    at_bench(story)


def test_a_mount_that_flips_on_a_long_way_only_is_brought_over() -> None:
    async def story(bench: Bench) -> FlipRun:
        bench.mount.flips = False
        slew = bench.mount.slew

        async def slew_far(ra_deg: float, dec_deg: float, permit: object) -> None:
            bench.mount.flips = bench.mount.flips or hour_angle_deg(ra_deg, bench.clock.now_us(), LONGITUDE_DEG) > 20.0
            await slew(ra_deg, dec_deg, bench.permit)

        bench.mount.slew = slew_far  # type: ignore[method-assign, assignment]
        return await flip(bench)

    assert at_bench(story) == FlipRun(2, "pier side")


def test_a_mount_that_cannot_be_parked_is_stopped_at_least() -> None:
    async def story(bench: Bench) -> None:
        bench.mount.flips, bench.mount.stuck = False, True
        with pytest.raises(FlipFailed):
            await flip(bench)
        assert not bench.mount.tracking

    at_bench(story)


@pytest.mark.parametrize(
    ("hour_angle", "east"), [(-5.0, False), (0.9, False), (1.1, True), (60.0, True), (math.nan, True)]
)
def test_the_side_follows_the_hour_angle_and_unknown_means_flip(hour_angle: float, east: bool) -> None:
    assert belongs_east_of_pier(MOUNT, hour_angle) is east
    assert not belongs_east_of_pier(MountSetup("sim://mount", kind="altaz"), hour_angle)


def test_no_exposure_begins_that_would_cross_the_limit() -> None:
    assert wait_for_flip_s(MOUNT, -3.0, 600.0) == 0.0
    assert wait_for_flip_s(MOUNT, 0.5, 1200.0) == pytest.approx(0.5 * 239.345 + 1.0)
    assert wait_for_flip_s(MOUNT, 1.5, 3600.0) == 0.0  # past it the tube is on its way out
    with pytest.raises(Replan, match="shorter exposures would fit"):
        wait_for_flip_s(MOUNT, -3.0, 3600.0)
