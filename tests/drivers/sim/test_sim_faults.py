"""Faults of the simulated observatory: their words, and that each does what the catalogue says."""

import asyncio
import math
from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sim_bench import SMALL, Bench

from astrod_drivers.errors import BadAnswer, CommandRefused, DeviceMissing, Unreachable
from astrod_drivers.protocols import Shot
from astrod_drivers.sim.faults import CATALOGUE, Fault, from_toml
from astrod_drivers.sim.setup import ObservatorySetup

TARGET = (30.0, 35.0)


def with_faults(*faults: Fault) -> ObservatorySetup:
    return replace(SMALL, faults=faults)


async def hangs(bench: Bench, call: Any, seconds: float = 600.0) -> bool:
    """Whether a call is still not answered after so long of the bench's time."""
    task = asyncio.ensure_future(call)
    await bench.clock.sleep(seconds)
    hung = not task.done()
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    return hung


# -- the words ---------------------------------------------------------------------------------------------------


def test_a_file_of_faults_is_read() -> None:
    text = """
    [[fault]]
    kind = "crash"
    device = "camera"
    when = "exposing"
    nth = 3
    after_s = 20
    until = "restart"

    [[fault]]
    kind = "slow"
    device = "mount"
    at = "dusk+01:30:00"
    lasts_s = 600
    amount = 2
    """
    crash, slow = from_toml(text)
    assert crash == Fault("crash", "camera", when="exposing", nth=3, after_s=20.0, until="restart")
    assert slow.due_us({"dusk": 1_000_000}) == 1_000_000 + 5400 * 1_000_000
    assert (slow.ends, slow.size) == ("time", 2.0)
    assert ObservatorySetup.from_json(with_faults(crash, slow).to_json()).faults == (crash, slow)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ('[[fault]]\nkind = "hand"\ndevice = "camera"\nat = "dusk"', "'hang'"),
        ('[[fault]]\nkind = "hang"\ndevise = "camera"\nat = "dusk"', "'device'"),
        ('[[fault]]\nkind = "hang"\ndevice = "camera"\nwhen = "exposign"', "'exposing'"),
        ('[[fault]]\nkind = "hang"\ndevice = "camera"', "one of at, at_us and when"),
        ('[[fault]]\nkind = "hang"\ndevice = "camera"\nat = "dusk"\nwhen = "idle"', "one of at, at_us and when"),
        ('[[fault]]\nkind = "hang"\ndevice = "camera"\nat = "noonish"', "noonish"),
        ('[[fault]]\nkind = "hang"\nat = "dusk"', "name it"),
        ('[[fault]]\nkind = "hang"\ndevice = "camera"\nat = "dusk"\nmode = "aftr"', "'after'"),
        ('[[fault]]\nkind = "hang"\ndevice = "camera"\nat = "dusk"\namount = 1.0', "no amount"),
        ('[[fault]]\nkind = "hang"\ndevice = "camera"\nat = "dusk"\nlasts_s = 1.0\nuntil = "power"', "not both"),
        ('[[fault]]\nkind = "hang"\ndevice = "camera"\nat = "dusk"\nlasts_s = "long"', "lasts_s"),
        ('[[fault]]\nkind = "hang"\ndevice = "camera"\nat = "dusk"\nnth = 0', "nth is 1 or more"),
        ('[[fault]]\nkind = "hang"\ndevice = "camera"\nat = "dusk"\nwithin = true', "within is for a phase"),
        ("[fault]\nkind = 1", "two brackets"),
        ("[[fault]", "not TOML"),
        ("[[faults]]", "'fault'"),
        ("[[fault]]\nat = 'dusk'", "no kind"),
    ],
)
def test_a_wrong_file_says_what_is_wrong(text: str, says: str) -> None:
    with pytest.raises(ValueError, match=says):
        from_toml(text)


def test_a_device_that_is_not_there_is_named_with_the_nearest() -> None:
    with pytest.raises(ValueError, match="'camera'"):
        with_faults(Fault("hang", "camra", at="dusk"))


def test_a_time_needs_its_anchor(bench: Callable[..., Bench]) -> None:
    made = bench(setup=with_faults(Fault("hang", "camera", at="dusk")))
    with pytest.raises(ValueError, match="dusk is not known"):
        made.observatory.play_faults({})


def test_every_kind_says_what_it_does_in_whole_sentences() -> None:
    for kind, entry in CATALOGUE.items():
        assert entry.does[0].isupper(), kind
        assert entry.does.endswith("."), kind


# -- calls -------------------------------------------------------------------------------------------------------


async def test_a_hang_ends_when_the_session_is_started_again(bench: Callable[..., Bench]) -> None:
    made = bench(setup=with_faults(Fault("hang", "mount", at="start+00:01:00")))

    async def story() -> None:
        made.observatory.play_faults({})
        mount = made.device("mount")
        await mount.connect()
        await made.clock.sleep(59.0)
        await mount.read()
        await made.clock.sleep(2.0)
        assert await hangs(made, mount.read())
        assert await hangs(made, mount.connect())
        again = made.device("mount")
        await again.connect()
        await again.read()
        await mount.read()

    await made.clock.play(story())
    (fired,) = made.observatory.faults.fired
    assert fired.ended_us is not None


async def test_a_hang_after_the_command_has_carried_it_out(bench: Callable[..., Bench]) -> None:
    made = bench(setup=with_faults(Fault("hang", "roof", at="start", mode="after")))

    async def story() -> None:
        made.observatory.play_faults({})
        roof = made.device("roof")
        assert await hangs(made, roof.open(made.permit), 60.0)
        assert made.observatory.truth().aperture == "open"

    await made.clock.play(story())


async def test_slow_calls_take_their_time_and_are_quick_again_when_it_is_over(bench: Callable[..., Bench]) -> None:
    made = bench(setup=with_faults(Fault("slow", "mount", at="start", amount=4.0, lasts_s=30.0)))

    async def story() -> None:
        made.observatory.play_faults({})
        mount = made.device("mount")
        await mount.read()
        assert made.clock.monotonic_s() == 4.0
        await made.clock.sleep(30.0)
        await mount.read()
        assert made.clock.monotonic_s() == 34.0

    await made.clock.play(story())


async def test_a_dropped_connection_is_lost_until_connected_anew(bench: Callable[..., Bench]) -> None:
    made = bench(setup=with_faults(Fault("drop", "camera", when="exposing", after_s=5.0)))

    async def story() -> None:
        made.observatory.play_faults({})
        camera = made.device("camera")
        await camera.connect()
        await camera.expose(Shot("one", 10.0), made.permit)
        with pytest.raises(Unreachable, match="lost"):
            await camera.fetch("one")
        assert made.clock.monotonic_s() == 5.0
        with pytest.raises(Unreachable):
            await camera.read()
        await camera.disconnect()
        assert camera.alive
        await camera.connect()
        assert (await camera.fetch("one")).path.exists()

    await made.clock.play(story())


async def test_a_fault_within_a_phase_waits_for_one_that_lasts(bench: Callable[..., Bench]) -> None:
    made = bench(setup=with_faults(Fault("drop", "camera", when="exposing", after_s=15.0, within=True)))

    async def story() -> None:
        start_us = made.clock.now_us()
        made.observatory.play_faults({})
        camera = made.device("camera")
        await camera.connect()
        for number, exposure_s in enumerate((10.0, 20.0)):
            await camera.expose(Shot(f"frame{number}", exposure_s), made.permit)
            await made.clock.sleep(30.0)
        (dropped,) = made.observatory.faults.fired
        assert (dropped.phase, dropped.since_us - start_us) == ("exposing", 45_000_000)

    await made.clock.play(story())


async def test_a_crash_in_mid_exposure_loses_frame_cooler_and_session(bench: Callable[..., Bench]) -> None:
    made = bench(setup=with_faults(Fault("crash", "camera", when="exposing", nth=2, after_s=5.0)))

    async def story() -> None:
        made.observatory.play_faults({})
        camera = made.device("camera")
        await camera.connect()
        await camera.cool(0.0)
        await camera.expose(Shot("one", 10.0), made.permit)
        await camera.fetch("one")
        await camera.expose(Shot("two", 10.0), made.permit)
        with pytest.raises(Unreachable):
            await camera.fetch("two")
        assert not made.observatory.truth().exposing["camera"]
        assert not camera.alive
        with pytest.raises(Unreachable, match="start its session again"):
            await camera.connect()
        again = made.device("camera")
        await again.connect()
        assert again.alive
        assert not (await again.read()).cooler_on
        with pytest.raises(CommandRefused):
            await again.fetch("two")

    await made.clock.play(story())


@pytest.mark.parametrize("mends", ["reconnect", "restart", "power"])
async def test_what_mends_a_fault_is_as_asked(bench: Callable[..., Bench], mends: Any) -> None:
    made = bench(setup=with_faults(Fault("slow", "mount", at="start", until=mends)))

    async def story() -> None:
        mount = made.device("mount")
        await mount.connect()
        made.observatory.play_faults({})
        faults = made.observatory.faults
        for how, mended in (("reconnect", mount), ("restart", made.device("mount"))):
            assert faults.active("mount")
            await mended.connect()
            if how == mends:
                assert not faults.active("mount")
                return
        faults.mended("mount", "power")
        assert not faults.active("mount")

    await made.clock.play(story())


async def test_phases_are_seen_and_counted(bench: Callable[..., Bench]) -> None:
    phases = ("cooling", "opening", "slewing", "focusing", "exposing", "reading_out", "idle", "parking", "closing")
    faults = [Fault("slow", "weather", when=phase, lasts_s=1.0) for phase in phases]
    made = bench(setup=with_faults(*faults))

    async def story() -> None:
        made.observatory.play_faults({})
        roof, mount, camera = (made.device(name) for name in ("roof", "mount", "camera"))
        await camera.cool(-5.0)
        await made.clock.sleep(600.0)
        await roof.open(made.permit)
        await made.clock.sleep(30.0)
        await mount.unpark(made.permit)
        await mount.slew(*TARGET, made.permit)
        await made.clock.sleep(120.0)
        focuser = made.device("focuser")
        await focuser.move((await focuser.read()).position + 400)
        await made.clock.sleep(5.0)
        await camera.expose(Shot("one", 10.0), made.permit)
        await camera.fetch("one")
        await made.clock.sleep(120.0)
        await mount.park()
        await made.clock.sleep(120.0)
        await roof.close()
        await made.clock.sleep(60.0)
        assert {running.phase for running in made.observatory.faults.fired} >= set(phases) - {"cooling"}

    await made.clock.play(story())
    assert sorted(str(r.fault.when) for r in made.observatory.faults.fired) == sorted(phases)


async def test_faults_can_be_cleared(bench: Callable[..., Bench]) -> None:
    made = bench(setup=with_faults(Fault("slow", "mount", at="start"), Fault("slow", "roof", when="opening")))

    async def story() -> None:
        made.observatory.play_faults({})
        assert made.observatory.faults.clear("mount") == 1
        assert made.observatory.faults.clear() == 1
        await made.device("roof").open(made.permit)
        assert len(made.observatory.faults.fired) == 1

    await made.clock.play(story())


async def test_a_device_that_vanished_is_missing_until_its_power_was_cycled(bench: Callable[..., Bench]) -> None:
    made = bench(setup=with_faults(Fault("vanish", "camera", at="start")))

    async def story() -> None:
        made.observatory.play_faults({})
        for call in (made.device("camera").connect(), made.device("camera").read()):
            with pytest.raises(DeviceMissing, match="camera"):
                await call
        made.observatory.faults.mended("camera", "power")
        await made.device("camera").connect()

    await made.clock.play(story())


async def test_a_device_that_refuses_can_still_be_read(bench: Callable[..., Bench]) -> None:
    made = bench(setup=with_faults(Fault("refuse", "mount", at="start", lasts_s=10.0)))

    async def story() -> None:
        made.observatory.play_faults({})
        mount = made.device("mount")
        await mount.connect()
        assert (await mount.read()).parked
        with pytest.raises(CommandRefused, match="unpark"):
            await mount.unpark(made.permit)
        assert made.observatory.truth().mounts["mount"].parked
        await made.clock.sleep(11.0)
        await mount.unpark(made.permit)

    await made.clock.play(story())


@pytest.mark.parametrize("device", ["mount", "camera", "focuser", "weather"])
async def test_nonsense_is_told_as_a_driver_host_would_hand_it_on(bench: Callable[..., Bench], device: str) -> None:
    faults = [Fault("wrong", device, at=f"start+00:00:0{k}", lasts_s=0.5, mode=m) for k, m in ((1, "nan"), (3, "type"))]
    made = bench(setup=with_faults(*faults, Fault("wrong", device, at="start+00:00:05", lasts_s=1.0, mode="range")))

    async def story() -> None:
        made.observatory.play_faults({})
        read = made.device(device).read
        right = await read()
        for _ in range(2):
            await made.clock.sleep(1.25)
            with pytest.raises(BadAnswer):
                await read()
            await made.clock.sleep(0.75)
            assert type(await read()) is type(right)
        await made.clock.sleep(1.5)
        assert any(abs(number) == 1e6 for number in numbers(await read()))
        assert not any(abs(number) == 1e6 for number in numbers(right))

    await made.clock.play(story())


def numbers(state: Any) -> list[float]:
    """Every number in an answer but its time."""
    values = [value for name, value in asdict(state).items() if name != "measured_us"]
    values += [item for value in values if isinstance(value, dict) for item in value.values()]
    return [float(value) for value in values if isinstance(value, int | float)]


# -- readings and the sky ----------------------------------------------------------------------------------------


async def test_stale_weather_has_its_old_time_and_frozen_weather_a_new_one(bench: Callable[..., Bench]) -> None:
    made = bench(
        setup=with_faults(Fault("stale", "weather", at="start"), Fault("frozen", "safety_monitor", at="start"))
    )

    async def story() -> None:
        made.observatory.play_faults({})
        weather, monitor = made.device("weather"), made.device("safety_monitor")
        first, safe = await weather.read(), await monitor.read()
        made.observatory.climate.begin("rain", 3.0, made.clock.now_us())
        await made.clock.sleep(600.0)
        assert await weather.read() == first
        later = await monitor.read()
        assert later.safe is safe.safe is True
        assert later.measured_us == safe.measured_us + 600_000_000
        made.observatory.faults.clear()
        assert (await weather.read()).values["rain_mm_h"] == 3.0
        assert not (await monitor.read()).safe

    await made.clock.play(story())


@pytest.mark.parametrize(
    ("kind", "quantity", "least"), [("rain", "rain_mm_h", 4.0), ("wind", "gust_m_s", 4.0), ("cloud", "cover", 0.04)]
)
async def test_weather_that_is_ordered_is_true(
    bench: Callable[..., Bench], kind: str, quantity: str, least: float
) -> None:
    made = bench(setup=with_faults(Fault(kind, at="start+00:01:00", lasts_s=60.0, amount=4.0)))

    async def story() -> list[float]:
        made.observatory.play_faults({})
        seen = []
        for _ in range(3):
            seen.append(getattr(made.observatory.truth().weather, quantity))
            await made.clock.sleep(61.0)
        return seen

    before, during, after = await made.clock.play(story())
    assert during >= least
    assert before < during > after


# -- frames ------------------------------------------------------------------------------------------------------


async def frames(bench: Bench, number: int = 2) -> list[Path]:
    camera = bench.device("camera")
    paths = []
    for k in range(number):
        await camera.expose(Shot(f"f{k}", 2.0, light=False), bench.permit)
        paths.append((await camera.fetch(f"f{k}")).path)
    return paths


async def spoiled(bench: Bench) -> list[Any]:
    bench.observatory.play_faults({})
    return [np.load(path) for path in await frames(bench)]


async def test_frames_are_spoiled_as_asked(bench: Callable[..., Bench], tmp_path: Path) -> None:
    async def with_one(kind: str, **more: Any) -> list[Any]:
        (tmp_path / kind).mkdir()
        made = bench(setup=with_faults(Fault(kind, "camera", at="start", **more)), spool=tmp_path / kind)
        found: list[Any] = await made.clock.play(spoiled(made))
        return found

    right = await with_one("cooler_resets")
    assert not np.array_equal(right[0], right[1])
    assert not any(frame.any() for frame in await with_one("black"))
    assert all((frame == 700).all() for frame in await with_one("constant", amount=700.0))
    same = await with_one("repeat")
    assert np.array_equal(same[0], same[1])
    assert (await with_one("crop"))[0].shape == (right[0].shape[0] // 2, right[0].shape[1])
    with pytest.raises(ValueError, match="array"):
        await with_one("torn")


async def test_a_late_image_comes_later_or_never(bench: Callable[..., Bench]) -> None:
    made = bench(setup=with_faults(Fault("late", "camera", when="exposing", amount=30.0, lasts_s=10.0)))

    async def story() -> None:
        made.observatory.play_faults({})
        await frames(made, 1)
        assert made.clock.monotonic_s() == pytest.approx(2.0 + 0.8 + 30.0, abs=0.01)
        made.observatory.faults.plan((Fault("late", "camera", at="start"),), {})
        await made.device("camera").expose(Shot("never", 1.0), made.permit)
        assert await hangs(made, made.device("camera").fetch("never"))
        assert not (await made.device("camera").read()).exposing

    await made.clock.play(story())


# -- the mount ---------------------------------------------------------------------------------------------------


async def on_target(bench: Bench, ra_deg: float = TARGET[0]) -> Any:
    mount = bench.device("mount")
    await mount.unpark(bench.permit)
    await mount.slew(ra_deg, TARGET[1], bench.permit)
    while (await mount.read()).slewing:
        await bench.clock.sleep(1.0)
    return mount


def off_arcsec(bench: Bench) -> float:
    """How far the tube is in right ascension from where it should be, in arcseconds of the sky."""
    truth = bench.observatory.truth().mounts["mount"]
    return abs((truth.ra_deg - TARGET[0] + 180.0) % 360.0 - 180.0) * math.cos(math.radians(truth.dec_deg)) * 3600.0


@pytest.mark.parametrize(
    ("kind", "amount", "arcsec"),
    [("tracking_stops", None, 600 * 15.04), ("drifts", 60.0, 600.0), ("slips", 30.0, 1800.0)],
)
async def test_a_mount_that_runs_off_reports_that_it_is_on_target(
    bench: Callable[..., Bench], kind: str, amount: float | None, arcsec: float
) -> None:
    made = bench(setup=with_faults(Fault(kind, "mount", at="start+00:05:00", amount=amount)))

    async def story() -> None:
        made.observatory.play_faults({})
        mount = await on_target(made)
        await made.clock.sleep(299.0 - made.clock.monotonic_s())
        before = off_arcsec(made)
        assert before < 600.0
        await made.clock.sleep(601.0)
        state = await mount.read()
        assert state.tracking
        assert state.ra_deg == pytest.approx(TARGET[0], abs=0.01)
        east = math.cos(math.radians(TARGET[1]))
        assert abs(off_arcsec(made) - before) == pytest.approx(arcsec * east, rel=0.15, abs=100.0)
        assert off_arcsec(made) > 400.0
        made.observatory.faults.clear()
        await mount.slew(*TARGET, made.permit)
        await made.clock.sleep(60.0)
        assert (off_arcsec(made) < 600.0) is (kind != "slips")

    await made.clock.play(story())


async def test_a_flip_that_fails_ends_on_the_same_side(bench: Callable[..., Bench]) -> None:
    made = bench(setup=with_faults(Fault("flip_fails", "mount", when="slewing")))

    async def story() -> None:
        mount = await on_target(made)
        before = (await mount.read()).pier_side
        made.observatory.play_faults({})
        await mount.slew(TARGET[0], TARGET[1], made.permit)
        await made.clock.sleep(10.0)
        await made.clock.sleep(4 * 3600.0)
        await mount.slew(TARGET[0], TARGET[1], made.permit)
        await made.clock.sleep(60.0)
        state, truth = await mount.read(), made.observatory.truth().mounts["mount"]
        assert state.tracking
        assert not state.slewing
        assert state.pier_side == truth.pier_side == before
        assert off_arcsec(made) < 900.0
        made.observatory.faults.clear()
        await mount.slew(TARGET[0], TARGET[1], made.permit)
        assert made.observatory.phase(made.clock.now_us()) == "flipping"
        await made.clock.sleep(120.0)
        assert (await mount.read()).pier_side != before

    await made.clock.play(story())


async def test_a_mount_lies_of_its_side_of_the_pier(bench: Callable[..., Bench]) -> None:
    made = bench(setup=with_faults(Fault("pier_lies", "mount", at="start")))

    async def story() -> None:
        made.observatory.play_faults({})
        mount = await on_target(made)
        assert {(await mount.read()).pier_side, made.observatory.truth().mounts["mount"].pier_side} == {"east", "west"}

    await made.clock.play(story())


@pytest.mark.parametrize("kind", ["park_fails", "park_lies"])
async def test_a_mount_that_does_not_park(bench: Callable[..., Bench], kind: str) -> None:
    made = bench(setup=with_faults(Fault(kind, "mount", at="start")))

    async def story() -> None:
        made.observatory.play_faults({})
        mount = await on_target(made)
        await mount.park()
        await made.clock.sleep(180.0)
        assert not made.observatory.truth().mounts["mount"].parked
        assert (await mount.read()).parked is (kind == "park_lies")
        made.observatory.faults.clear()
        assert not (await mount.read()).parked
        await mount.park()
        await made.clock.sleep(180.0)
        assert made.observatory.truth().mounts["mount"].parked

    await made.clock.play(story())


# -- the roof and what hangs behind the mount ----------------------------------------------------------------------


@pytest.mark.parametrize("start", [0.0, 1.0])
async def test_a_roof_that_sticks_half_way(bench: Callable[..., Bench], start: float) -> None:
    made = bench(setup=with_faults(Fault("roof_sticks", "roof", at="start+00:01:00", amount=0.4)))

    async def story() -> None:
        made.observatory.play_faults({})
        roof = made.device("roof")
        if start:
            await roof.open(made.permit)
        await made.clock.sleep(61.0)
        await (roof.close() if start else roof.open(made.permit))
        await made.clock.sleep(600.0)
        truth = made.observatory.truth()
        assert truth.roof_open == pytest.approx(0.4)
        assert truth.aperture == "unknown"
        assert (await roof.read()).aperture == ("closing" if start else "opening")
        await (roof.close() if start else roof.open(made.permit))
        await made.clock.sleep(60.0)
        assert made.observatory.truth().roof_open == pytest.approx(0.4)
        made.observatory.faults.clear()
        await made.clock.sleep(60.0)
        assert made.observatory.truth().roof_open == pytest.approx(0.4)
        await roof.close()
        await made.clock.sleep(60.0)
        assert made.observatory.truth().aperture == (await roof.read()).aperture == "closed"

    await made.clock.play(story())


async def test_a_roof_that_sticks_while_it_moves(bench: Callable[..., Bench]) -> None:
    made = bench(setup=with_faults(Fault("roof_sticks", "roof", when="opening", after_s=5.0, amount=0.5)))

    async def story() -> None:
        made.observatory.play_faults({})
        roof = made.device("roof")
        await roof.open(made.permit)
        await made.clock.sleep(100.0)
        assert made.observatory.truth().roof_open == pytest.approx(0.5)
        await roof.abort()
        assert (await roof.read()).aperture == "unknown"

    await made.clock.play(story())


async def test_a_roof_that_lies_stays_where_it_is(bench: Callable[..., Bench]) -> None:
    made = bench(setup=with_faults(Fault("roof_lies", "roof", at="start+00:01:00")))

    async def story() -> None:
        made.observatory.play_faults({})
        roof = made.device("roof")
        await roof.open(made.permit)
        await made.clock.sleep(61.0)
        assert (await roof.read()).aperture == "open"
        await roof.close()
        await made.clock.sleep(60.0)
        assert (await roof.read()).aperture == "closed"
        assert made.observatory.truth().aperture == "open"
        made.observatory.faults.clear()
        assert (await roof.read()).aperture == "open"
        await roof.close()
        await made.clock.sleep(60.0)
        assert made.observatory.truth().aperture == "closed"

    await made.clock.play(story())


async def test_a_cooler_that_resets_warms_up_until_told_again(bench: Callable[..., Bench]) -> None:
    made = bench(setup=with_faults(Fault("cooler_resets", "camera", at="start+00:10:00")))

    async def story() -> None:
        made.observatory.play_faults({})
        camera = made.device("camera")
        await camera.cool(-10.0)
        await made.clock.sleep(599.0)
        assert (await camera.read()).temperature_c == -10.0
        await made.clock.sleep(120.0)
        state = await camera.read()
        assert not state.cooler_on
        assert state.temperature_c > -1.0
        await camera.cool(-10.0)
        await made.clock.sleep(300.0)
        assert (await camera.read()).temperature_c == -10.0

    await made.clock.play(story())


@pytest.mark.parametrize("mode", ["moving", "silent"])
async def test_a_wheel_that_sticks_says_so_or_not(bench: Callable[..., Bench], mode: str) -> None:
    made = bench(setup=with_faults(Fault("filter_sticks", "wheel", at="start", mode=mode)))

    async def story() -> None:
        made.observatory.play_faults({})
        wheel = made.device("wheel")
        await wheel.select("B")
        await made.clock.sleep(60.0)
        state = await wheel.read()
        assert (state.filter, state.moving) == (("B", False) if mode == "silent" else (None, True))
        assert made.bare("wheel").filter_at(made.clock.now_us())[0] == "L"
        made.observatory.faults.clear()
        await wheel.select("B")
        await made.clock.sleep(60.0)
        assert made.bare("wheel").filter_at(made.clock.now_us())[0] == "B"

    await made.clock.play(story())


async def test_a_focuser_that_slips_is_out_of_focus_where_it_stands(bench: Callable[..., Bench]) -> None:
    made = bench(setup=with_faults(Fault("focuser_slips", "focuser", at="start+00:00:10", amount=200.0)))

    async def story() -> None:
        made.observatory.play_faults({})
        before, at = made.observatory.truth().focus_error_um["camera"], await made.device("focuser").read()
        await made.clock.sleep(11.0)
        after = made.observatory.truth().focus_error_um["camera"]
        assert after - before == pytest.approx(200.0 * 2.0, abs=1.0)
        assert (await made.device("focuser").read()).position == at.position

    await made.clock.play(story())


def test_no_kind_is_without_a_test() -> None:
    tests = [*Path(__file__).parent.glob("test_*.py"), *Path(__file__).parents[2].glob("nights/test_faults.py")]
    text = "".join(test.read_text(encoding="utf-8") for test in tests)
    assert [kind for kind in CATALOGUE if f'"{kind}"' not in text] == []
