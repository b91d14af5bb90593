"""The roof's order of moves: its interlock, its second path, mounts that are stuck, covers, and power."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Any

import pytest

from astrod.daemon import closer_s
from astrod.domain.site import Outlet, RoofSetup, Site
from astrod.errors import RecoverDevice
from astrod.rig.safety.closing import COVER_S, SKY_S, closing_s, make_safe
from astrod.rig.safety.hardware import hardware_of
from astrod.rig.safety.roof import TAKEN_S, agreed
from astrod.runtime.clock import SimClock, VirtualLoop, run_virtual
from astrod_drivers.errors import PermitRefused
from astrod_drivers.protocols import Aperture, Permit
from tests.rig.devices import MIDNIGHT_US, SITE, Hut, in_hut

POWER = Outlet("sim://switch", "mount")
ROOF_POWER = Outlet("sim://switch", "roof")
Story = Callable[[Hut], Awaitable[None]]


def site(cover: str | None = None, mount: dict[str, Any] | None = None, **roof: Any) -> Site:
    """The hut's site with a roof, a mount and a cover of another kind."""
    rig = SITE.rigs[0]
    train = replace(rig.trains[0], cover=cover)
    changed = replace(rig, mount=replace(rig.mount, **(mount or {})), trains=(train,))
    return replace(SITE, rigs=(changed,), roof=RoofSetup("sim://roof", **{"open_s": 60.0, "close_s": 60.0} | roof))


SENSED = site(interlock="sensor", mount={"park_sensor": "sim://park"})


async def storm(hut: Hut) -> float:
    """Blow; returns when the site is unsafe, and at what time that was."""
    hut.weather.wind_m_s = 25.0
    await hut.until(lambda report: not report.safe, 30.0)
    return hut.clock.monotonic_s()


async def shut(hut: Hut, within_s: float = 150.0) -> None:
    await hut.until(lambda _: hut.roof.aperture == "closed", within_s)


def play(story: Story, where: Site) -> Hut:
    return in_hut(story, site=where)


# -- order and time ------------------------------------------------------------------------------------------


def test_the_roof_is_told_to_close_within_a_second_of_the_mounts_being_clear() -> None:
    async def story(hut: Hut) -> None:
        await hut.open()
        await storm(hut)
        await hut.until(lambda _: hut.mount.parked, 60.0)
        clear_s = hut.clock.monotonic_s()
        await shut(hut)
        assert hut.roof.told_s[-1] - clear_s < 1.0

    in_hut(story)


def test_a_roof_that_clears_the_mounts_waits_for_none_of_them() -> None:
    async def story(hut: Hut) -> None:
        hut.roof.clears_mounts = True
        await hut.open()
        hut.mount.hangs = True
        unsafe_s = await storm(hut)
        await shut(hut)
        assert hut.roof.told_s[-1] - unsafe_s < 1.0

    play(story, site(interlock="none"))


# -- covers --------------------------------------------------------------------------------------------------


def test_covers_close_at_once_and_the_roof_waits_for_none_that_is_jammed() -> None:
    async def story(hut: Hut) -> None:
        await hut.open()
        hut.cover.jammed = True
        unsafe_s = await storm(hut)
        await hut.until(lambda _: "close cover" in hut.events, 1.0)
        await shut(hut)
        assert hut.roof.told_s[-1] - unsafe_s < COVER_S
        report = await hut.until(lambda report: bool(report.troubles), 2 * COVER_S)
        assert report.troubles[0].startswith("AST-113 main main cover")

    play(story, site(cover="sim://cover"))


def test_under_a_mount_that_is_stuck_the_cover_closes() -> None:
    async def story(hut: Hut) -> None:
        await hut.open()
        hut.mount.stuck = True
        await storm(hut)
        await hut.until(lambda _: hut.cover.aperture == "closed", 5.0)
        await hut.clock.sleep(300.0)
        assert hut.roof.aperture == "open"

    play(story, site(cover="sim://cover"))


# -- mounts that are stuck -----------------------------------------------------------------------------------


def test_a_stuck_mount_has_its_power_cycled_once_its_time_is_over_and_then_the_roof_closes() -> None:
    async def story(hut: Hut) -> None:
        await hut.open()
        hut.mount.stuck = True
        unsafe_s = await storm(hut)
        await hut.until(lambda _: "mount off" in hut.events, 200.0)
        assert hut.clock.monotonic_s() - unsafe_s >= SITE.rigs[0].mount.park_s
        assert hut.events[hut.events.index("mount off") - 1] == "stop"  # never while it may move
        await shut(hut, 300.0)
        assert hut.events.count("mount off") == hut.events.count("mount on") == 1

    play(story, site(mount={"power": POWER}))


def test_stay_open_stays_open_over_a_mount_whose_power_did_not_help_and_calls_for_help() -> None:
    async def story(hut: Hut) -> None:
        await hut.open()
        hut.switch.welded = True  # it answers, and switches nothing
        hut.mount.stuck = True
        await storm(hut)
        await hut.clock.sleep(1500.0)
        assert hut.roof.aperture == "open"
        assert hut.events.count("mount off") == 1  # once in an episode
        report = await hut.loop.report()
        assert not report.safe
        assert any(text.startswith("AST-120 main mount is not parked") for text in report.troubles)

    play(story, site(mount={"power": POWER}))


@pytest.mark.parametrize("power", [None, POWER])
def test_close_anyway_closes_only_when_nothing_else_is_left(power: Outlet | None) -> None:
    async def story(hut: Hut) -> None:
        await hut.open()
        hut.roof.clears_mounts = True  # what the owner decided is not a wrong of ours
        hut.switch.welded = True
        hut.mount.stuck = True
        unsafe_s = await storm(hut)
        await shut(hut, 400.0)
        waited_s = hut.roof.told_s[-1] - unsafe_s
        assert waited_s >= (2 if power else 1) * SITE.rigs[0].mount.park_s
        report = await hut.until(lambda report: any(text.startswith("AST-122") for text in report.troubles), 60.0)
        assert any(text.endswith("; the roof closes all the same") for text in report.troubles)
        assert not report.safe

    play(story, site(on_stuck_mount="close_anyway", mount={"power": power}))


def test_close_anyway_gives_a_mount_that_is_merely_away_the_time_to_come_back() -> None:
    async def story(hut: Hut) -> None:
        await hut.open()
        hut.mount.gone = True
        await storm(hut)
        await hut.clock.sleep(40.0)
        hut.mount.gone = False
        await shut(hut)
        assert hut.mount.parked

    play(story, site(on_stuck_mount="close_anyway"))


def test_unsafe_stays_unsafe_until_the_site_is_closed_whatever_the_sky_does() -> None:
    async def story(hut: Hut) -> None:
        await hut.open()
        hut.mount.stuck = True
        await storm(hut)
        hut.weather.wind_m_s = 1.0
        await hut.clock.sleep(300.0)
        report = await hut.loop.report()
        assert report.reasons == ("the site is not closed and parked yet",)
        hut.mount.stuck = False
        await shut(hut)
        await hut.until(lambda report: report.safe, 30.0)

    in_hut(story)


def test_a_mount_that_hangs_is_tried_for_ever_and_the_roof_closes_once_it_answers() -> None:
    async def story(hut: Hut) -> None:
        await hut.open()
        hut.mount.hangs = True
        await storm(hut)
        await hut.until(lambda report: any(text.startswith("AST-120") for text in report.troubles), 60.0)
        await hut.clock.sleep(300.0)
        assert hut.roof.aperture == "open"
        hut.mount.hangs = False
        await shut(hut)
        assert hut.mount.parked

    in_hut(story)


# -- the interlock -------------------------------------------------------------------------------------------


def test_a_mount_that_says_parked_is_not_believed_against_its_park_sensor() -> None:
    async def story(hut: Hut) -> None:
        permit = await hut.open()
        assert hut.gate.allows(permit)
        hut.park_sensor.safe = False
        hut.mount.stuck = hut.mount.lies_parked = True
        await storm(hut)
        await hut.clock.sleep(300.0)
        assert hut.roof.aperture == "open"
        hut.mount.stuck = hut.mount.lies_parked = False
        await hut.until(lambda _: hut.mount.parked, 60.0)
        hut.park_sensor.safe = True
        await shut(hut)

    play(story, SENSED)


def test_the_park_sensor_clears_a_mount_whose_driver_hangs() -> None:
    async def story(hut: Hut) -> None:
        permit = Permit((await hut.until(lambda report: report.safe, 120.0)).epoch)
        await hut.loop.open_roof(permit)
        hut.mount.hangs = True
        unsafe_s = await storm(hut)
        await shut(hut)
        assert hut.roof.told_s[-1] - unsafe_s < 15.0  # the driver's deadline, not the mount's

    play(story, SENSED)


def test_a_mount_that_says_it_moves_is_believed_against_its_park_sensor() -> None:
    async def story(hut: Hut) -> None:
        await hut.open()
        hut.mount.tracking = True
        hut.mount.stuck = True
        await storm(hut)
        await hut.clock.sleep(300.0)
        assert hut.roof.aperture == "open"
        hut.mount.stuck = False
        await hut.until(lambda _: hut.mount.parked, 120.0)
        await hut.clock.sleep(60.0)
        assert hut.roof.aperture == "open"
        hut.mount.tracking = False
        await shut(hut)

    play(story, SENSED)


@pytest.mark.parametrize("trouble", ["gone", "hangs"])
def test_a_park_sensor_that_is_silent_clears_nothing(trouble: str) -> None:
    async def story(hut: Hut) -> None:
        permit = Permit((await hut.until(lambda report: report.safe, 120.0)).epoch)
        setattr(hut.park_sensor, trouble, True)
        with pytest.raises(RecoverDevice, match="not parked under it, or not known to be"):
            await hut.loop.open_roof(permit)
        assert "open" not in hut.events

    play(story, SENSED)


def test_a_switch_and_a_quantity_can_be_park_sensors_too() -> None:
    switched = site(interlock="sensor", mount={"park_sensor": "sim://switch#park", "park_sensor_kind": "switch"})
    measured = site(interlock="sensor", mount={"park_sensor": "sim://weather#park", "park_sensor_kind": "weather"})

    async def by_switch(hut: Hut) -> None:
        hut.switch.on["park"] = True
        permit = Permit((await hut.until(lambda report: report.safe, 120.0)).epoch)
        hut.switch.on["park"] = False
        with pytest.raises(RecoverDevice):
            await hut.loop.open_roof(permit)
        hut.switch.on["park"] = True
        await hut.loop.open_roof(permit)

    async def by_quantity(hut: Hut) -> None:
        hut.weather.more = {"park": 1.0}
        permit = Permit((await hut.until(lambda report: report.safe, 120.0)).epoch)
        for unparked in ({}, {"park": 0.5}):  # not measured is not parked
            hut.weather.more = unparked
            with pytest.raises(RecoverDevice):
                await hut.loop.open_roof(permit)
        hut.weather.more = {"park": 0.51}
        await hut.loop.open_roof(permit)

    async def never_parked(hut: Hut) -> None:
        await hut.clock.sleep(120.0)
        assert not (await hut.loop.report()).safe  # a site that may stand open is made safe before it is safe

    play(by_switch, switched)
    play(by_quantity, measured)
    play(never_parked, switched)


SOLVED = site(interlock="solve", mount={"park_place": (0.0, 41.7)})


async def astronomer(hut: Hut, place: Callable[[], tuple[float, float] | None], takes_s: float = 5.0) -> None:
    """Control's part: answers safety's questions by where the tube points, or that nothing is seen, for ever."""
    version = 0
    while True:
        report = await hut.loop.changed(version)
        version = report.version
        for rig, number in report.sights_wanted.items():
            await hut.clock.sleep(takes_s)
            hut.events.append("sight")
            await hut.loop.tell_place(rig, number, *(place() or (None, None)))


async def opened_under_the_sky(hut: Hut, place: Callable[[], tuple[float, float] | None]) -> "asyncio.Task[None]":
    """Open, with somebody there who solves; under a closed roof the mount's word is enough."""
    looking = asyncio.create_task(astronomer(hut, place))
    await hut.open()
    assert "sight" not in hut.events
    return looking


@pytest.mark.parametrize("cloudy", [False, True])
def test_a_roof_that_asks_the_sky_closes_once_the_tube_is_seen_at_its_place(cloudy: bool) -> None:
    seen: list[tuple[float, float] | None] = [None if cloudy else (1.0, 41.0)]

    async def story(hut: Hut) -> None:
        looking = await opened_under_the_sky(hut, lambda: seen[0])
        await storm(hut)
        if cloudy:
            await hut.until(lambda report: any("no plate solution says" in text for text in report.troubles), 120.0)
            await hut.clock.sleep(200.0)
            assert hut.mount.parked and hut.roof.aperture == "open"
            seen[0] = (1.0, 41.0)
        await hut.until(lambda _: "sight" in hut.events, 60.0)
        await shut(hut, 60.0)
        looking.cancel()

    play(story, SOLVED)


def test_a_mount_that_lies_about_being_parked_is_found_out_by_the_sky() -> None:
    async def story(hut: Hut) -> None:
        looking = await opened_under_the_sky(hut, lambda: (0.0, 41.7) if hut.mount.parked else (182.0, 55.0))
        hut.mount.stuck = hut.mount.lies_parked = True
        await storm(hut)
        report = await hut.until(lambda report: any("the sky shows it" in text for text in report.troubles), 120.0)
        assert any("AST-120" in text and "azimuth 182°, altitude 55°" in text for text in report.troubles)
        await hut.clock.sleep(300.0)
        assert hut.roof.aperture == "open" and "close" not in hut.events
        hut.mount.stuck = hut.mount.lies_parked = False
        await shut(hut)
        looking.cancel()

    play(story, SOLVED)


def test_without_anybody_who_solves_a_roof_that_asks_the_sky_stays_open_and_says_so() -> None:
    async def story(hut: Hut) -> None:
        await hut.open()
        await storm(hut)
        await hut.until(lambda report: any("AST-120" in text for text in report.troubles), 300.0)
        assert hut.mount.parked and hut.roof.aperture == "open"

    play(story, SOLVED)


def test_without_anybody_who_solves_the_owners_wish_closes_it_all_the_same() -> None:
    async def story(hut: Hut) -> None:
        await hut.open()
        await storm(hut)
        await shut(hut, 400.0)
        assert hut.roof.aperture == "closed"

    play(story, site(interlock="solve", mount={"park_place": (0.0, 41.7)}, on_stuck_mount="close_anyway"))


def test_an_unparked_mount_opens_no_roof_whatever_the_sky_would_say() -> None:
    async def story(hut: Hut) -> None:
        permit = Permit((await hut.until(lambda report: report.safe, 120.0)).epoch)
        hut.mount.stuck = True
        hut.mount.shove()
        with pytest.raises(RecoverDevice):
            await hut.loop.open_roof(permit)
        assert "open" not in hut.events

    play(story, SOLVED)


def test_a_mount_that_is_not_parked_under_the_closed_roof_is_parked_before_it_opens() -> None:
    async def story(hut: Hut) -> None:
        permit = Permit((await hut.until(lambda report: report.safe, 120.0)).epoch)
        hut.mount.shove()
        await hut.loop.open_roof(permit)
        assert hut.events[-2:] == ["park", "open"] and hut.roof.aperture == "open"

    play(story, site())


def test_what_the_sky_said_counts_until_the_mount_leaves() -> None:
    async def story(hut: Hut) -> None:
        looking = await opened_under_the_sky(hut, lambda: (0.0, 41.7))
        await hut.mount.park()
        await storm(hut)
        await shut(hut)
        assert hut.events.count("sight") == 1
        hut.weather.wind_m_s = 1.0
        await hut.open()
        await storm(hut)
        await shut(hut)
        assert hut.events.count("sight") == 2
        looking.cancel()

    play(story, SOLVED)


def test_what_the_sky_said_last_time_does_not_clear_a_mount_that_goes_on_saying_parked() -> None:
    async def story(hut: Hut) -> None:
        looking = await opened_under_the_sky(hut, lambda: (0.0, 41.7) if hut.mount.parked else (182.0, 55.0))
        await storm(hut)
        await shut(hut)
        hut.weather.wind_m_s = 1.0
        hut.mount.lies_parked = hut.mount.stuck = True
        await hut.open()  # it leaves its place, and says parked all the same
        await storm(hut)
        await hut.clock.sleep(200.0)
        assert not hut.mount.parked and hut.roof.aperture == "open"
        hut.mount.lies_parked = hut.mount.stuck = False
        await shut(hut)
        looking.cancel()

    play(story, SOLVED)


def test_a_roof_stuck_half_way_is_told_again_though_there_is_no_sky_to_see() -> None:
    async def story(hut: Hut) -> None:
        looking = await opened_under_the_sky(hut, lambda: (0.0, 41.7) if hut.roof.aperture == "open" else None)
        hut.roof.travel_s = 1e6
        await storm(hut)
        await hut.until(lambda report: any("AST-110" in text for text in report.troubles), 200.0)
        hut.roof._done_s = hut.clock.monotonic_s() + 5.0
        told = len(hut.roof.told_s)
        await shut(hut)
        assert len(hut.roof.told_s) >= told
        looking.cancel()

    play(story, SOLVED)


def test_while_the_site_is_closed_under_a_safe_sky_no_mount_is_unparked() -> None:
    async def story(hut: Hut) -> None:
        permit = await hut.open()
        closing = asyncio.create_task(hut.loop.close_site("a whim"))
        await hut.clock.sleep(5.0)
        assert (await hut.loop.report()).safe
        with pytest.raises(PermitRefused):
            await hut.mount.unpark(permit)
        await closing
        hut.events.clear()
        await hut.open()
        assert hut.events == ["open", "unpark"]

    in_hut(story)


@pytest.mark.parametrize("sees", [True, False])
def test_covers_stay_open_until_the_sky_was_asked_and_no_longer_than_bounded(sees: bool) -> None:
    async def story(hut: Hut) -> None:
        await hut.open()
        unsafe_s = await storm(hut)
        if sees:
            looking = asyncio.create_task(astronomer(hut, lambda: (0.0, 41.7)))
            await shut(hut)
            assert hut.events.index("sight") < hut.events.index("close cover")
            looking.cancel()
        await hut.until(lambda _: "close cover" in hut.events, 120.0)
        assert hut.clock.monotonic_s() - unsafe_s < SKY_S + 5.0

    play(story, site(cover="sim://cover", interlock="solve", mount={"park_place": (0.0, 41.7)}))


# -- the closer, which has no loop ----------------------------------------------------------------------------


def closed_alone(where: Site, breaks: Callable[[Hut], None]) -> tuple[Hut, float, str]:
    """The closer at an open roof and an unparked mount, something broken; how long it took, and what it said."""
    outcome: list[tuple[Hut, float, str]] = []

    async def story(loop: VirtualLoop) -> None:
        hut = Hut(SimClock(loop, MIDNIGHT_US), where)
        hardware = hardware_of(where, hut.clock, hut.port, sources=False)
        keeping = [asyncio.create_task(port.keep()) for port in hardware.ports]
        hut.roof.move("open")
        await hut.clock.sleep(30.0)
        hut.mount.shove()
        breaks(hut)
        began_s, said = hut.clock.monotonic_s(), ""
        try:
            await make_safe(hut.clock, where, hardware)
        except RecoverDevice as fault:
            said = str(fault)
        outcome.append((hut, hut.clock.monotonic_s() - began_s, said))
        for task in keeping:
            task.cancel()
        await asyncio.wait(keeping)

    run_virtual(story)
    return outcome[0]


def sticks(hut: Hut) -> None:
    hut.mount.stuck = True


def sticks_and_is_deaf(hut: Hut) -> None:
    hut.mount.stuck = hut.roof.deaf = True


FULL = {"mount": {"power": POWER}, "second_path": "sim://roof2", "power": ROOF_POWER}


def test_the_closer_cycles_the_power_of_a_stuck_mount_and_then_closes() -> None:
    hut, took_s, said = closed_alone(site(mount={"power": POWER}), sticks)
    assert said == "" and hut.mount.parked and hut.roof.aperture == "closed"
    assert "mount off" in hut.events and took_s < closing_s(hut.site)


def test_the_closer_has_time_for_everything_a_site_has() -> None:
    hut, took_s, said = closed_alone(site(**FULL), sticks_and_is_deaf)
    assert said == "" and hut.roof.aperture == "closed"
    assert {"mount off", "second path"} <= set(hut.events) and took_s < closing_s(hut.site)


@pytest.mark.parametrize(("wish", "ends"), [("stay_open", "open"), ("close_anyway", "closed")])
def test_the_closer_does_what_the_owner_wants_over_a_mount_that_never_parks(wish: str, ends: str) -> None:
    where = site(on_stuck_mount=wish)
    hut, took_s, said = closed_alone(where, sticks)
    assert ("AST-120" in said) is (ends == "open") and ("AST-122" in said) is (ends == "closed")
    assert hut.roof.aperture == ends
    assert took_s < closer_s(where)


def test_what_comes_late_is_closed_all_the_same() -> None:
    async def back(hut: Hut) -> None:
        await hut.clock.sleep(60.0)
        hut.mount.gone = False

    def leaves(hut: Hut) -> None:
        hut.mount.gone = True
        returning.append(asyncio.ensure_future(back(hut)))

    returning: list[asyncio.Future[None]] = []
    hut, _, said = closed_alone(site(), leaves)
    assert said == "" and hut.mount.parked and hut.roof.aperture == "closed"


# -- paths to the roof ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("second_path", ["sim://roof2", "sim://switch#relay"])
@pytest.mark.parametrize("trouble", ["hangs", "gone"])
def test_a_roof_whose_driver_hangs_closes_by_its_second_path(second_path: str, trouble: str) -> None:
    async def story(hut: Hut) -> None:
        await hut.open()
        setattr(hut.roof, trouble, True)
        await storm(hut)
        await hut.until(lambda _: hut.mount.parked, 60.0)
        clear_s = hut.clock.monotonic_s()
        await shut(hut)
        assert hut.roof.told_s[-1] - clear_s < TAKEN_S + 12.0  # a read that hangs has its own deadline
        if second_path == "sim://roof2":
            report = await hut.until(lambda report: report.roof == "closed", 60.0)
            assert any(text.startswith("AST-114 closed by roof, second path") for text in report.troubles)
        else:  # a relay cannot tell whether the roof moved: then it has not closed
            report = await hut.until(lambda report: bool(report.troubles), 120.0)
            assert any("AST-110" in text and "second path" in text for text in report.troubles)

    play(story, site(second_path=second_path))


def test_the_second_path_has_a_time_of_its_own() -> None:
    async def story(hut: Hut) -> None:
        await hut.open()
        hut.roof.deaf = True  # takes the command, and does nothing: the first path uses up all its time
        await storm(hut)
        await hut.until(lambda _: "second path" in hut.events, 120.0)
        second_s = hut.clock.monotonic_s()
        await shut(hut, 60.0)
        assert hut.clock.monotonic_s() - second_s <= 25.0

    play(story, site(second_path="sim://roof2"))


def test_two_drivers_that_contradict_each_other_leave_the_roof_unknown_and_so_not_closed() -> None:
    async def story(hut: Hut) -> None:
        await hut.open()
        hut.roof.jammed = True
        hut.second_roof.lies = "closed"
        await storm(hut)
        await hut.until(lambda report: any(text.startswith("AST-110") for text in report.troubles), 300.0)
        assert (await hut.loop.report()).roof == "unknown"

    play(story, site(second_path="sim://roof2"))


@pytest.mark.parametrize(
    ("first", "second", "seen"),
    [
        ("open", None, "open"),
        (None, "closed", "closed"),
        (None, None, "unknown"),
        ("closed", "closed", "closed"),
        ("closed", "open", "unknown"),
        ("open", "closing", "closing"),
        ("opening", "closed", "opening"),
        ("unknown", "closed", "unknown"),
    ],
)
def test_what_two_drivers_of_one_roof_amount_to(first: Aperture | None, second: Aperture | None, seen: str) -> None:
    assert agreed(first, second) == seen


def test_a_jammed_drive_has_its_power_cycled_and_never_while_the_roof_moves() -> None:
    async def story(hut: Hut) -> None:
        await hut.open()
        hut.roof.jammed = True
        await storm(hut)
        await hut.until(lambda _: "roof off" in hut.events, 200.0)
        assert hut.roof.aperture == "open"
        await shut(hut, 200.0)
        assert hut.events[hut.events.index("roof off") + 1] == "roof on"

    play(story, site(power=ROOF_POWER))


def test_the_power_of_a_roof_that_still_moves_is_left_alone() -> None:
    async def story(hut: Hut) -> None:
        await hut.open()
        hut.roof.travel_s = 200.0  # slower than it may be
        await storm(hut)
        await shut(hut, 400.0)
        assert "roof off" not in hut.events

    play(story, site(power=ROOF_POWER))


# -- nobody waits for anybody --------------------------------------------------------------------------------


@pytest.mark.parametrize("hung", ["roof", "mount", "cover", "switch", "park_sensor", "second_weather"])
def test_whatever_hangs_the_first_command_toward_safety_leaves_within_a_second(hung: str) -> None:
    """Of the reading that is unsafe; the epoch ends before any command, and that needs no device."""
    where = site(cover="sim://cover", mount={"power": POWER}, second_path="sim://roof2", power=ROOF_POWER)
    where = replace(where, weather=(*SITE.weather, replace(SITE.weather[0], name="other", address="sim://weather2")))

    async def story(hut: Hut) -> None:
        permit = await hut.open()
        getattr(hut, hung).hangs = True
        await hut.clock.sleep(20.0)  # whoever waits for it waits by now
        hut.events.clear()
        hut.weather.wind_m_s = 25.0
        await hut.clock.sleep(2 * SITE.weather[0].poll_s + 1.0)
        assert not hut.gate.allows(permit)
        assert hut.events[:1] and hut.events[0] in ("stop", "park", "close cover")

    in_hut(story, site=where)
