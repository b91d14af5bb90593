"""Rotator, cover with its panel, dome, power switch and UPS of the simulated observatory."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from sim_bench import SMALL, Bench

from astrod_drivers.errors import CommandRefused, PermitRefused, Unreachable
from astrod_drivers.protocols import Permit, Shot
from astrod_drivers.sim.faults import Fault
from astrod_drivers.sim.mains import Mains
from astrod_drivers.sim.setup import CoverSetup, ObservatorySetup, Outlet, RoofSetup, RotatorSetup, SwitchSetup

TARGET = (30.0, 35.0)
MINUTE_US = 60_000_000
OUTLETS = (Outlet("rig", ("mount", "camera", "wheel")), Outlet("dome", ("roof",)), Outlet("dew", dims=True))
FULL = replace(
    SMALL,
    roof=RoofSetup(kind="dome"),
    switch=SwitchSetup(outlets=OUTLETS),
    mounts=(
        replace(
            SMALL.mounts[0],
            trains=(replace(SMALL.mounts[0].trains[0], rotator=RotatorSetup(), cover=CoverSetup()),),
        ),
    ),
)


async def median(bench: Bench, name: str, exposure_s: float = 20.0) -> float:
    camera = bench.device("camera")
    await camera.expose(Shot(name, exposure_s), bench.permit)
    return float(np.median(np.load((await camera.fetch(name)).path)))


async def look(bench: Bench) -> Any:
    """Mount on target, dome and cover open, slit still north."""
    await bench.device("roof").open(bench.permit)
    await bench.device("cover").open(bench.permit)
    await bench.device("mount").unpark(bench.permit)
    await bench.device("mount").slew(*TARGET, bench.permit)
    await bench.clock.sleep(120.0)
    return bench.observatory.truth()


def test_the_setup_travels_and_names_an_outlet_that_powers_nothing() -> None:
    assert ObservatorySetup.from_json(FULL.to_json()) == FULL
    with pytest.raises(ValueError, match="'camera'"):
        replace(FULL, switch=SwitchSetup(outlets=(Outlet("one", ("camra",)),)))


async def test_a_dome_lets_light_in_where_its_slit_looks(bench: Callable[..., Bench]) -> None:
    made = bench(setup=FULL)

    async def story() -> None:
        truth = await look(made)
        assert truth.aperture == "open"
        assert truth.free["mount"] == 0.0
        dark = await median(made, "dark")
        azimuth_deg = truth.mounts["mount"].azimuth_deg
        roof = made.device("roof")
        await roof.turn(azimuth_deg)
        await made.clock.sleep(1.0)
        assert (await roof.read()).azimuth_deg != pytest.approx(azimuth_deg, abs=1.0)
        await made.clock.sleep(60.0)
        assert (await roof.read()).azimuth_deg == pytest.approx(azimuth_deg, abs=0.01)
        assert made.observatory.truth().free["mount"] == 1.0
        assert await median(made, "light") > dark + 20.0
        await roof.turn(0.0)
        await made.clock.sleep(2.0)
        await roof.abort()
        assert 0.0 < (await roof.read()).azimuth_deg < 360.0
        with pytest.raises(CommandRefused, match="azimuth"):
            await roof.turn(400.0)

    await made.clock.play(story())


async def test_a_cover_shuts_the_sky_out_and_its_panel_lights_it_by_the_filter(bench: Callable[..., Bench]) -> None:
    made = bench(setup=replace(FULL, roof=None, switch=None))
    bias = SMALL.mounts[0].trains[0].camera.sensor.bias_adu

    async def story() -> None:
        cover, wheel = made.device("cover"), made.device("wheel")
        with pytest.raises(PermitRefused):
            await cover.open(Permit(made.gate.epoch - 1))
        assert (await cover.read()).aperture == "closed"
        assert await median(made, "dark", 1.0) == pytest.approx(bias, abs=8)
        await cover.light(50)
        assert (await cover.read()).brightness == 50
        clear = await median(made, "clear", 1.0) - bias
        await wheel.select("R")
        await made.clock.sleep(10.0)
        red = await median(made, "red", 1.0) - bias
        assert clear > 500.0
        assert red == pytest.approx(clear / 3.0, rel=0.05)
        await cover.light(25)
        assert await median(made, "dim", 1.0) - bias == pytest.approx(red / 2.0, rel=0.05)
        await cover.open(made.permit)
        await made.clock.sleep(10.0)
        assert (await cover.read()).brightness == 0
        assert made.observatory.truth().uncovered["camera"] == 1.0
        with pytest.raises(CommandRefused, match=r"0\.\.100"):
            await cover.light(101)

    await made.clock.play(story())


async def test_a_rotator_turns_the_frame_the_short_way(bench: Callable[..., Bench]) -> None:
    made = bench(setup=FULL)

    async def story() -> None:
        rotator = made.device("rotator")
        await look(made)
        await median(made, "before", 1.0)
        await rotator.move(350.0)
        assert (await rotator.read()).moving
        await made.clock.sleep(4.0)
        state = await rotator.read()
        assert (state.angle_deg, state.moving) == (350.0, False)
        await median(made, "after", 1.0)
        before, after = (scene.pointings[0].rotation_deg for scene in (made.rendered[0], made.rendered[-1]))
        assert (after - before) % 360.0 == pytest.approx(350.0)
        await rotator.move(90.0)
        await made.clock.sleep(2.0)
        await rotator.abort()
        assert (await rotator.read()).angle_deg == pytest.approx(358.0)
        with pytest.raises(CommandRefused, match=r"0\.\.360"):
            await rotator.move(-1.0)

    await made.clock.play(story())


async def test_power_off_is_dead_and_power_on_has_forgotten(bench: Callable[..., Bench]) -> None:
    made = bench(setup=replace(FULL, faults=(Fault("vanish", "camera", when="exposing", after_s=1.0),)))

    async def story() -> None:
        made.observatory.play_faults({})
        await look(made)
        camera, mount, switch = (made.device(name) for name in ("camera", "mount", "switch"))
        await made.device("wheel").select("G")
        await camera.cool(-5.0)
        await camera.expose(Shot("lost", 60.0), made.permit)
        await made.clock.sleep(5.0)
        await switch.set("rig", False)
        assert (await switch.read()).on == {"rig": False, "dome": True, "dew": True}
        truth = made.observatory.truth()
        assert not truth.mounts["mount"].tracking
        assert not truth.exposing["camera"]
        for device in (camera, mount, made.device("camera")):
            with pytest.raises(Unreachable):
                await device.connect()
        await switch.set("rig", True)
        await made.clock.sleep(2.0)
        with pytest.raises(Unreachable):
            await camera.connect()
        await made.clock.sleep(10.0)
        await camera.connect()
        await mount.connect()
        assert not (await camera.read()).cooler_on
        assert not (await mount.read()).parked
        wheel = made.device("wheel")
        await wheel.connect()
        assert (await wheel.read()).filter == "L"

    await made.clock.play(story())


async def test_power_that_goes_again_while_a_device_boots_leaves_it_dead(bench: Callable[..., Bench]) -> None:
    made = bench(setup=FULL)

    async def story() -> None:
        switch = made.device("switch")
        for on in (False, True, False):
            await switch.set("rig", on)
        await made.clock.sleep(60.0)
        with pytest.raises(Unreachable):
            await made.device("mount").connect()

    await made.clock.play(story())


async def test_a_roof_without_power_stops_half_way(bench: Callable[..., Bench]) -> None:
    made = bench(setup=FULL)

    async def story() -> None:
        await made.device("roof").open(made.permit)
        await made.clock.sleep(10.0)
        await made.device("switch").set("dome", False)
        await made.clock.sleep(100.0)
        assert made.observatory.truth().roof_open == pytest.approx(10.0 / 25.0)

    await made.clock.play(story())


async def test_outlets_are_switched_and_dimmed_by_name(bench: Callable[..., Bench]) -> None:
    made = bench(setup=FULL)

    async def story() -> None:
        switch = made.device("switch")
        await switch.dim("dew", 40.0)
        assert (await switch.read()).level == {"dew": 40.0}
        for wrong in (switch.dim("rig", 1.0), switch.dim("dew", 101.0), switch.set("moon", True)):
            with pytest.raises(CommandRefused):
                await wrong

    await made.clock.play(story())


async def test_the_station_tells_of_mains_that_are_off_and_of_the_battery(bench: Callable[..., Bench]) -> None:
    made = bench(setup=replace(FULL, faults=(Fault("mains_off", at="start+00:10:00", lasts_s=900.0, amount=30.0),)))

    async def story() -> None:
        made.observatory.play_faults({})
        seen = []
        for minutes in (5.0, 15.0, 30.0, 60.0, 130.0):
            await made.clock.sleep(minutes * 60.0 - made.clock.monotonic_s())
            values = (await made.device("weather").read()).values
            assert values["mains"] == float(made.observatory.truth().mains)
            seen.append((values["mains"], values["battery_percent"]))
        assert seen == [
            (1.0, 100.0),
            (0.0, pytest.approx(83.3, abs=0.5)),
            (1.0, pytest.approx(50.0 + 100.0 * 5.0 / 240.0, abs=0.5)),
            (1.0, pytest.approx(50.0 + 100.0 * 35.0 / 240.0, abs=0.5)),
            (1.0, pytest.approx(50.0 + 100.0 * 105.0 / 240.0, abs=0.5)),
        ]

    await made.clock.play(story())


def test_a_battery_never_leaves_its_bounds() -> None:
    mains = Mains()
    mains.fail(10.0, MINUTE_US).until_us = 21 * MINUTE_US
    mains.fail(10.0, 11 * MINUTE_US).until_us = 15 * MINUTE_US
    assert mains.battery_percent(0) == 100.0
    assert mains.battery_percent(21 * MINUTE_US) == 0.0
    assert mains.battery_percent(141 * MINUTE_US) == pytest.approx(50.0)
    assert mains.battery_percent(1000 * MINUTE_US) == 100.0
