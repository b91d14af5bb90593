"""The simulated observatory as a whole: nights that repeat, frames that tell the truth."""

import hashlib
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from sim_bench import EVENING_US, SMALL, Bench

from astrod_drivers.errors import CommandRefused, DeviceMissing, DriverError, PermitRefused
from astrod_drivers.protocols import KINDS, Shot
from astrod_drivers.sim.observatory import Observatory
from astrod_drivers.sim.scene import Streak, Transient
from astrod_drivers.sim.setup import MountSetup, ObservatorySetup, PlantedStreak, PlantedTransient, TrainSetup

TARGET = (30.0, 35.0)


async def open_up(bench: Bench) -> None:
    """Roof open, mount on target, camera cold."""
    await bench.device("camera").cool(-10.0)
    await bench.device("roof").open(bench.permit)
    await bench.clock.sleep(30)
    await bench.device("mount").unpark(bench.permit)
    await bench.device("mount").slew(*TARGET, bench.permit)
    while (await bench.device("mount").read()).slewing:
        await bench.clock.sleep(1)
    await bench.clock.sleep(5)


async def take(bench: Bench, name: str, exposure_s: float = 30.0) -> Path:
    camera = bench.device("camera")
    await camera.expose(Shot(name, exposure_s), bench.permit)
    frame = await camera.fetch(name)
    assert frame.exposure_s == exposure_s
    return Path(frame.path)


async def some_frames(bench: Bench) -> list[str]:
    await open_up(bench)
    digests = []
    for k in range(4):
        await bench.device("wheel").select("LRGB"[k])
        await bench.clock.sleep(6)
        digests.append(hashlib.sha256((await take(bench, f"f{k}")).read_bytes()).hexdigest())
    await bench.device("mount").park()
    await bench.clock.sleep(60)
    return digests


async def test_the_same_night_twice_gives_the_same_frames(bench: Callable[..., Bench], tmp_path: Path) -> None:
    first, second = bench(spool=tmp_path), bench(spool=tmp_path)
    digests = await first.clock.play(some_frames(first))
    assert digests == await second.clock.play(some_frames(second))
    assert len(set(digests)) == 4
    other = bench(setup=replace(SMALL, seed=2), spool=tmp_path)
    assert not set(digests) & set(await other.clock.play(some_frames(other)))


async def test_devices_follow_their_protocols(bench: Callable[..., Bench]) -> None:
    made = bench()
    for name, kind in SMALL.names().items():
        device = made.device(name)
        for method in (m for m in vars(KINDS[kind]) if not m.startswith("_")):
            assert callable(getattr(device, method)), (name, method)
        await device.connect()
        await device.read()
        await device.disconnect()
    with pytest.raises(DeviceMissing, match="'camera'"):
        made.device("camra")


async def test_a_frame_that_went_as_foretold_is_rendered_once(bench: Callable[..., Bench]) -> None:
    made = bench()

    async def story() -> None:
        await open_up(made)
        await take(made, "steady")
        assert len(made.rendered) == 1
        await made.device("camera").expose(Shot("moved", 30.0), made.permit)
        await made.clock.sleep(10)
        await made.device("mount").abort()
        await made.device("camera").fetch("moved")
        assert len(made.rendered) == 3
        assert made.rendered[2] != made.rendered[1]

    await made.clock.play(story())
    assert sorted(p.name for p in made.observatory.spool.iterdir()) == ["moved.npy", "steady.npy"]


async def test_a_closed_roof_gives_a_dark_frame(bench: Callable[..., Bench]) -> None:
    made = bench()

    async def story() -> tuple[float, float]:
        await open_up(made)
        light = np.load(await take(made, "light"))
        await made.device("roof").close()
        await made.clock.sleep(30)
        assert (await made.device("roof").read()).aperture == "closed"
        dark = np.load(await take(made, "dark"))
        return float(np.median(light)), float(np.median(dark))

    light, dark = await made.clock.play(story())
    assert light > dark + 20
    assert dark == pytest.approx(SMALL.mounts[0].trains[0].camera.sensor.bias_adu, abs=8)


async def test_permits_guard_what_is_dangerous_and_nothing_else(bench: Callable[..., Bench]) -> None:
    made = bench()

    async def story() -> None:
        await open_up(made)
        old = made.permit
        await made.device("camera").expose(Shot("a", 60.0), old)
        made.gate.become_unsafe()
        for hazard in (
            made.device("roof").open(old),
            made.device("mount").unpark(old),
            made.device("mount").slew(*TARGET, old),
            made.device("camera").expose(Shot("b", 1.0), old),
        ):
            with pytest.raises(PermitRefused):
                await hazard
        await made.device("camera").abort()
        await made.device("mount").park()
        await made.device("roof").close()
        await made.clock.sleep(120)

    await made.clock.play(story())
    truth = made.observatory.truth()
    assert truth.aperture == "closed"
    assert truth.mounts["mount"].parked
    assert not truth.exposing["camera"]


async def test_one_exposure_at_a_time_and_an_abort_leaves_nothing(bench: Callable[..., Bench]) -> None:
    made = bench()

    async def story() -> None:
        camera = made.device("camera")
        await camera.expose(Shot("one", 10.0), made.permit)
        with pytest.raises(CommandRefused, match="another exposure"):
            await camera.expose(Shot("two", 1.0), made.permit)
        await made.clock.sleep(4)
        state = await camera.read()
        assert state.exposing
        assert state.remaining_s == pytest.approx(6.0)
        await camera.abort()
        assert not (await camera.read()).exposing
        with pytest.raises(CommandRefused, match="aborted"):
            await camera.fetch("one")
        await take(made, "three", 1.0)
        with pytest.raises(CommandRefused, match="used once"):
            await camera.expose(Shot("three", 1.0), made.permit)

    await made.clock.play(story())
    await made.observatory.close()
    assert [p.name for p in made.observatory.spool.iterdir()] == ["three.npy"]


async def test_a_frame_can_be_fetched_until_its_file_is_taken(bench: Callable[..., Bench]) -> None:
    made = bench()

    async def story() -> None:
        path = await take(made, "one", 1.0)
        assert (await made.device("camera").fetch("one")).path == path
        path.unlink()
        with pytest.raises(CommandRefused, match="fetched before"):
            await made.device("camera").fetch("one")

    await made.clock.play(story())


async def test_the_cooler_ramps_and_reaches_only_so_far(bench: Callable[..., Bench]) -> None:
    made = bench()

    async def story() -> None:
        camera = made.device("camera")
        warm = await camera.read()
        assert not warm.cooler_on
        await camera.cool(-10.0)
        await made.clock.sleep(30)
        ramping = await camera.read()
        assert -10.0 < ramping.temperature_c < warm.temperature_c - 2.0
        await made.clock.sleep(300)
        cold = await camera.read()
        assert cold.temperature_c == -10.0
        assert 0.0 < cold.cooler_power_percent < 100.0
        await camera.cool(-55.0)
        await made.clock.sleep(1200)
        assert (await camera.read()).temperature_c > -40.0
        assert (await camera.read()).cooler_power_percent == 100.0
        await camera.cool(None)
        await made.clock.sleep(1200)
        assert (await camera.read()).temperature_c > 0.0

    await made.clock.play(story())


async def test_planted_events_appear_where_and_when_they_should(bench: Callable[..., Bench]) -> None:
    nova = PlantedTransient(EVENING_US + 200_000_000, Transient(TARGET[0], TARGET[1], 7.0))
    streak = PlantedStreak(EVENING_US + 75_000_000, Streak(mag=2.0))
    made = bench(setup=replace(SMALL, transients=(nova,), streaks=(streak,), satellites_per_hour=0.0))

    async def story() -> list[int]:
        await open_up(made)
        await made.clock.sleep(70.0 - made.clock.monotonic_s())
        await take(made, "streaked")
        await take(made, "plain")
        await made.clock.sleep(201.0 - made.clock.monotonic_s())
        await take(made, "nova")
        return [len(scene.events) for scene in made.rendered]

    assert await made.clock.play(story()) == [1, 0, 1]


async def test_several_trains_and_rigs_under_one_roof(bench: Callable[..., Bench]) -> None:
    small = SMALL.mounts[0].trains[0]
    guide = replace(small, camera=replace(small.camera, name="camera2"), focuser=None, wheel=None)
    mounts = (
        replace(SMALL.mounts[0], trains=(small, guide)),
        MountSetup("mount2", "altaz", (replace(guide, camera=replace(small.camera, name="camera3")),)),
    )
    made = bench(setup=replace(SMALL, mounts=mounts, roof=None))
    assert isinstance(made.observatory, Observatory)
    truth = made.observatory.truth()
    assert truth.aperture == "open"
    assert list(truth.mounts) == ["mount", "mount2"]
    assert list(truth.exposing) == ["camera", "camera2", "camera3"]
    assert truth.mounts["mount2"].pier_side is None

    async def story() -> None:
        mount = made.device("mount2")
        await mount.unpark(made.permit)
        await mount.slew(*TARGET, made.permit)
        await made.clock.sleep(120)
        assert (await mount.read()).tracking
        await made.device("camera3").expose(Shot("turning", 600.0), made.permit)
        await made.device("camera3").fetch("turning")

    await made.clock.play(story())
    turned = {round(p.rotation_deg, 2) for p in made.rendered[-1].pointings}
    assert len(turned) > 5


def test_a_setup_travels_as_json_and_names_what_is_wrong() -> None:
    setup = ObservatorySetup(seed=9, scenario="cloudy", mounts=(MountSetup(trains=(TrainSetup(wheel=None),)),))
    assert ObservatorySetup.from_json(setup.to_json()) == setup
    assert ObservatorySetup.from_json("{}") == ObservatorySetup()
    for text in ('{"seeed": 1}', '{"scenario": "sunny"}', "{", '{"seed": "x"}'):
        with pytest.raises(ValueError, match="setup"):
            ObservatorySetup.from_json(text)
    with pytest.raises(ValueError, match="'mount'"):
        ObservatorySetup(mounts=(MountSetup(), MountSetup()))


async def test_fetched_frames_stay_and_forgotten_ones_go(bench: Callable[..., Bench]) -> None:
    made = bench()

    async def story() -> None:
        for k in range(6):
            await take(made, f"kept{k}", 1.0)
        for k in range(6):
            await made.device("camera").expose(Shot(f"left{k}", 1.0), made.permit)
            await made.clock.sleep(3)

    await made.clock.play(story())
    assert len(list(made.observatory.spool.glob("kept*.npy"))) == 6
    assert len(list(made.observatory.spool.glob("left*.npy"))) == 3
    await made.observatory.close()
    assert sorted(p.name for p in made.observatory.spool.iterdir()) == [f"kept{k}.npy" for k in range(6)]


async def test_a_full_disk_is_told_to_who_fetches(bench: Callable[..., Bench], tmp_path: Path) -> None:
    made = bench(spool=tmp_path / "not there")

    async def story() -> None:
        await made.device("camera").expose(Shot("lost", 1.0), made.permit)
        with pytest.raises(DriverError, match="spool"):
            await made.device("camera").fetch("lost")

    await made.clock.play(story())
