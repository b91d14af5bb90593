"""Mount, focuser, wheel, roof: motion as a function of time, with the errors of real hardware."""

import math
from collections.abc import Callable
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sim_bench import EVENING_US, SMALL, Bench, JumpingClock

from astrod_drivers.errors import CommandRefused
from astrod_drivers.permit import EpochCell
from astrod_drivers.protocols import Permit, SiteFix
from astrod_drivers.sim import ephemeris
from astrod_drivers.sim.mount import SimMount
from astrod_drivers.sim.setup import MountSetup, ObservatorySetup

SITE = ObservatorySetup().site
PERFECT = MountSetup(pointing_arcmin=0.0, repeat_arcsec=0.0, polar_error_arcmin=0.0, periodic_arcsec=0.0)


def mount_of(setup: MountSetup = PERFECT, seed: int = 1) -> tuple[SimMount, JumpingClock, Permit]:
    clock, gate = JumpingClock(), EpochCell()
    return SimMount(setup, SITE, seed, clock, gate), clock, Permit(gate.become_safe())


def place_at(hour_angle_deg: float, dec_deg: float) -> tuple[float, float]:
    """ICRS of an hour angle and declination now."""
    sidereal_deg = ephemeris.sidereal_deg(EVENING_US, SITE.longitude_deg)
    return ephemeris.icrs((sidereal_deg - hour_angle_deg) % 360.0, dec_deg, EVENING_US)


async def arrived(mount: SimMount, clock: JumpingClock) -> float:
    """Wait for the end of the slew; how long it took."""
    start_s = clock.monotonic_s()
    while (await mount.read()).slewing:
        await clock.sleep(0.5)
    return clock.monotonic_s() - start_s


@pytest.mark.parametrize("kind", ["equatorial", "altaz"])
@given(hour_angle_deg=st.floats(-80.0, 80.0), dec_deg=st.floats(0.0, 80.0))
@settings(max_examples=30, deadline=None)
async def test_a_slew_ends_on_target_and_tracks(kind: str, hour_angle_deg: float, dec_deg: float) -> None:
    mount, clock, permit = mount_of(replace(PERFECT, kind=kind))  # type: ignore[arg-type]
    target = place_at(hour_angle_deg, dec_deg)

    async def story() -> None:
        await mount.unpark(permit)
        await mount.slew(*target, permit)
        assert (await mount.read()).slewing
        assert await arrived(mount, clock) < 120
        for wait_s in (10, 600):
            await clock.sleep(wait_s)
            state, truth = await mount.read(), mount.truth(clock.now_us())
            if not state.tracking:
                assert abs(hour_angle_deg) > 60 or -4 < hour_angle_deg < 8  # a limit was reached
                return
            assert ephemeris.separation_deg(state.ra_deg, state.dec_deg, *target) < 1e-6
            assert ephemeris.separation_deg(truth.ra_deg, truth.dec_deg, *target) < 1e-6

    await clock.play(story())


async def test_pointing_errors_are_minutes_of_arc_and_repeat() -> None:
    target = place_at(-30.0, 45.0)
    errors = []
    for _ in range(2):
        mount, clock, permit = mount_of(MountSetup(), seed=5)

        async def story(mount: SimMount = mount, clock: JumpingClock = clock, permit: Permit = permit) -> float:
            await mount.unpark(permit)
            await mount.slew(*target, permit)
            await arrived(mount, clock)
            await clock.sleep(10)
            state, truth = await mount.read(), mount.truth(clock.now_us())
            assert ephemeris.separation_deg(state.ra_deg, state.dec_deg, *target) < 1e-6
            return ephemeris.separation_deg(truth.ra_deg, truth.dec_deg, *target) * 60.0

        errors.append(await clock.play(story()))
    assert errors[0] == errors[1]
    assert 0.3 < errors[0] < 15.0


async def test_tracking_wanders_with_the_worm() -> None:
    mount, clock, permit = mount_of(replace(PERFECT, periodic_arcsec=2.0))

    async def story() -> list[float]:
        await mount.unpark(permit)
        await mount.slew(*place_at(-60.0, 0.5), permit)
        await arrived(mount, clock)
        await clock.sleep(10)
        seen = []
        for _ in range(97):
            seen.append(mount.truth(clock.now_us()).ra_deg * 3600.0)
            await clock.sleep(10)
        return seen

    seen = await clock.play(story())
    swing = (max(seen) - min(seen)) * math.cos(math.radians(0.5))
    assert 3.5 < swing < 5.2
    assert seen[0] == pytest.approx(seen[48], abs=0.05)  # 480 s later the worm has turned once


async def test_the_meridian_limit_stops_tracking_and_a_slew_flips() -> None:
    mount, clock, permit = mount_of()
    target = place_at(-2.0, 40.0)

    async def story() -> None:
        await mount.unpark(permit)
        await mount.slew(*target, permit)
        await arrived(mount, clock)
        assert (await mount.read()).pier_side == "west"
        before = mount.truth(clock.now_us()).rotation_deg
        await clock.sleep(20 * 60)
        past = await mount.read()
        assert past.tracking
        assert past.pier_side == "west"
        await clock.sleep(30 * 60)
        assert not (await mount.read()).tracking
        await mount.slew(*target, permit)
        assert await arrived(mount, clock) > 30
        flipped = await mount.read()
        assert flipped.tracking
        assert flipped.pier_side == "east"
        assert abs(mount.truth(clock.now_us()).rotation_deg - before) == pytest.approx(180.0)

    await clock.play(story())


async def test_park_abort_and_refusals() -> None:
    mount, clock, permit = mount_of()

    async def story() -> None:
        with pytest.raises(CommandRefused, match="parked"):
            await mount.slew(*place_at(0.0, 40.0), permit)
        with pytest.raises(CommandRefused, match="parked"):
            await mount.set_tracking(True)
        await mount.unpark(permit)
        with pytest.raises(CommandRefused, match="degrees up"):
            await mount.slew(*place_at(150.0, 0.0), permit)
        with pytest.raises(CommandRefused, match="no such place"):
            await mount.slew(10.0, 95.0, permit)
        await mount.slew(*place_at(-40.0, 20.0), permit)
        await clock.sleep(5)
        await mount.abort()
        state = await mount.read()
        assert not state.slewing
        assert not state.tracking
        await mount.set_tracking(True)
        assert (await mount.read()).tracking
        await mount.park()
        assert not (await mount.read()).parked
        await arrived(mount, clock)
        assert (await mount.read()).parked

    await clock.play(story())


async def test_a_wrong_site_or_clock_points_wrong() -> None:
    mount, clock, permit = mount_of()

    async def story() -> float:
        await mount.set_site(SITE, clock.now_us() + 60_000_000)
        await mount.unpark(permit)
        target = place_at(-30.0, 0.0)
        await mount.slew(*target, permit)
        await arrived(mount, clock)
        await clock.sleep(10)
        truth = mount.truth(clock.now_us())
        return ephemeris.separation_deg(truth.ra_deg, truth.dec_deg, *target)

    assert await clock.play(story()) == pytest.approx(0.25, abs=0.01)  # a minute of time
    await mount.set_site(SiteFix(0.0, 0.0, 0.0), clock.now_us())


async def test_the_focuser_drifts_and_has_play(bench: Callable[..., Bench]) -> None:
    made = bench()
    focuser = made.bare("focuser")

    async def moved(position: int) -> None:
        await focuser.move(position)
        assert (await focuser.read()).moving
        while (await focuser.read()).moving:
            await made.clock.sleep(0.5)
        assert (await focuser.read()).position == position

    async def story() -> None:
        start = (await focuser.read()).position
        await moved(start - 500)
        from_above = focuser.defocus_um(made.clock.now_us(), 0.0)
        await moved(start - 1000)
        await moved(start - 500)
        from_below = focuser.defocus_um(made.clock.now_us(), 0.0)
        assert from_above - from_below == pytest.approx(20 * 2.0, abs=2.0)
        with pytest.raises(CommandRefused, match="outside"):
            await focuser.move(60_000)
        await focuser.move(0)
        await made.clock.sleep(1.0)
        await focuser.abort()
        assert 0 < (await focuser.read()).position < start

    await made.clock.play(story())
    evening, morning = focuser.best(EVENING_US, 0.0), focuser.best(EVENING_US + 10 * 3_600_000_000, 0.0)
    assert abs(evening - morning) > 10
    assert focuser.best(EVENING_US, 10.0) == evening + 5


async def test_the_wheel_turns_the_short_way(bench: Callable[..., Bench]) -> None:
    made = bench()
    wheel = made.device("wheel")

    async def story() -> None:
        await wheel.select("Ha")  # the last of five: one step back
        assert (await wheel.read()).filter is None
        await made.clock.sleep(1.3)
        assert (await wheel.read()).filter == "Ha"
        await wheel.select("Ha")
        assert not (await wheel.read()).moving
        with pytest.raises(CommandRefused, match="L, R, G, B, Ha"):
            await wheel.select("V")

    await made.clock.play(story())


async def test_the_roof_travels_and_can_be_stopped(bench: Callable[..., Bench]) -> None:
    made = bench()
    roof, permit = made.device("roof"), made.permit

    async def story() -> list[str]:
        seen = [(await roof.read()).aperture]
        await roof.open(permit)
        for _ in range(2):
            await made.clock.sleep(10)
            seen.append((await roof.read()).aperture)
        await roof.abort()
        seen.append((await roof.read()).aperture)
        await roof.close()
        seen.append((await roof.read()).aperture)
        await made.clock.sleep(19)
        seen.append((await roof.read()).aperture)
        await made.clock.sleep(2)
        seen.append((await roof.read()).aperture)
        return seen

    assert await made.clock.play(story()) == [
        "closed", "opening", "opening", "unknown", "closing", "closing", "closed"
    ]  # fmt: skip


def test_two_mounts_of_a_site_err_each_in_its_own_way(bench: Callable[..., Bench]) -> None:
    mounts = (SMALL.mounts[0], MountSetup("mount2", trains=()))
    made = bench(setup=replace(SMALL, mounts=mounts))
    truth = made.observatory.truth().mounts
    assert truth["mount"].dec_deg != truth["mount2"].dec_deg or truth["mount"].ra_deg != truth["mount2"].ra_deg
