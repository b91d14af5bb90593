"""Faults of the simulated observatory: their words, and that each does what the catalogue says."""

import asyncio
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from sim_bench import SMALL, Bench

from astrod_drivers.errors import CommandRefused, Unreachable
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
