"""What every driver of a kind does, whatever is behind it."""

import asyncio
import math

import pytest
from tests.contract.bench import Bench, IndiBench

from astrod_drivers.errors import CommandRefused, PermitRefused
from astrod_drivers.protocols import Camera, Mount, MountState, Permit, Shot, SiteFix

SITE = SiteFix(41.71, 1.89, 700.0)


def off_arcmin(state: MountState, ra_deg: float, dec_deg: float) -> float:
    east = (state.ra_deg - ra_deg + 180.0) % 360.0 - 180.0
    return 60.0 * math.hypot(east * math.cos(math.radians(dec_deg)), state.dec_deg - dec_deg)


async def ready_mount(bench: Bench) -> Mount:
    mount = await bench.mount()
    await mount.set_site(SITE, bench.clock.now_us())
    await bench.until(mount.read, lambda state: not state.slewing)
    if (await mount.read()).parked:
        await mount.unpark(bench.permit)
    await bench.until(mount.read, lambda state: not state.parked)
    if isinstance(bench, IndiBench):  # half a minute less to its home
        bench.set("Telescope Simulator", "TELESCOPE_PARK_OPTION.PARK_CURRENT=On")
    return mount


def in_the_east(bench: Bench) -> float:
    """The right ascension nearly six hours before the meridian: up if far north, and near a mount's home."""
    days = bench.clock.now_us() / 86_400e6 - 10_957.5
    return (280.4606 + 360.9856473 * days + SITE.longitude_deg + 85.0) % 360.0


# -- mount ---------------------------------------------------------------------------------------------------


async def test_slew_ends_tracking_on_target(bench: Bench) -> None:
    mount = await ready_mount(bench)
    ra_deg, dec_deg = in_the_east(bench), 80.0
    for within_arcmin in (15.0, 1.0):  # a simple mount does not allow for the sky's turning while it slews
        await mount.slew(ra_deg, dec_deg, bench.permit)
        state = await bench.until(mount.read, lambda state: not state.slewing)
        assert off_arcmin(state, ra_deg, dec_deg) < within_arcmin
    assert state.tracking
    assert not state.parked


async def test_tracking_goes_off_and_on(bench: Bench) -> None:
    mount = await ready_mount(bench)
    await mount.set_tracking(False)
    await bench.until(mount.read, lambda state: not state.tracking, 5.0)
    await mount.set_tracking(True)
    await bench.until(mount.read, lambda state: state.tracking, 5.0)


async def test_abort_stops_a_slew(bench: Bench) -> None:
    mount = await ready_mount(bench)
    ra_deg = in_the_east(bench)
    far_deg = 30.0 if (await mount.read()).dec_deg > 55.0 else 80.0
    await mount.slew(ra_deg, far_deg, bench.permit)
    await bench.until(mount.read, lambda state: state.slewing, 5.0)
    await mount.abort()
    stopped = await bench.until(mount.read, lambda state: not state.slewing, 5.0)
    assert off_arcmin(stopped, ra_deg, far_deg) > 60.0


async def test_a_sync_moves_what_the_mount_believes_and_nothing_else(bench: Bench) -> None:
    mount = await ready_mount(bench)
    ra_deg, dec_deg = in_the_east(bench), 80.0
    await mount.slew(ra_deg, dec_deg, bench.permit)
    await bench.until(mount.read, lambda state: not state.slewing)
    await mount.sync(ra_deg, dec_deg - 0.5)
    state = await bench.until(mount.read, lambda state: off_arcmin(state, ra_deg, dec_deg - 0.5) < 2.0)
    assert not state.slewing
    await mount.slew(ra_deg, dec_deg, bench.permit)  # half a degree now, and no sync any more
    state = await bench.until(mount.read, lambda state: not state.slewing)
    assert off_arcmin(state, ra_deg, dec_deg) < 15.0


async def test_the_mount_says_where_and_when_it_believes_to_be(bench: Bench) -> None:
    mount = await ready_mount(bench)
    belief = await mount.believes()
    assert belief.site is not None
    assert abs(belief.site.latitude_deg - SITE.latitude_deg) < 0.01
    assert abs(belief.site.longitude_deg - SITE.longitude_deg) < 0.01
    assert belief.utc_us is not None
    assert abs(belief.utc_us - bench.clock.now_us()) < 5e6


async def test_parked_mount_refuses_to_slew(bench: Bench) -> None:
    mount = await ready_mount(bench)
    await mount.park()
    await bench.until(mount.read, lambda state: state.parked)
    await mount.park()  # a second time is no error
    with pytest.raises(CommandRefused, match="park"):
        await mount.slew(10.0, 20.0, bench.permit)
    await mount.unpark(bench.permit)
    assert not (await bench.until(mount.read, lambda state: not state.parked)).slewing


async def test_where_a_mount_stands_can_become_its_park_place(bench: Bench) -> None:
    mount = await ready_mount(bench)
    ra_deg, dec_deg = in_the_east(bench), 75.0
    await mount.slew(ra_deg, dec_deg, bench.permit)
    await bench.until(mount.read, lambda state: not state.slewing)
    await mount.set_tracking(False)
    await mount.set_park()
    chosen, chosen_us = await mount.read(), bench.clock.now_us()
    await mount.set_tracking(True)
    await mount.slew(in_the_east(bench), 83.0, bench.permit)
    await bench.until(mount.read, lambda state: not state.slewing)
    await mount.park()
    parked = await bench.until(mount.read, lambda state: state.parked)
    turned_deg = (bench.clock.now_us() - chosen_us) / 86_164.1e6 * 360.0  # it stands, and the sky turns past it
    assert off_arcmin(parked, chosen.ra_deg + turned_deg, chosen.dec_deg) < 20.0
    with pytest.raises(CommandRefused):
        await mount.set_park()
    await mount.unpark(bench.permit)


async def test_a_mount_that_must_not_move_leaves_its_place_in_no_way(bench: Bench) -> None:
    """Under a closed roof, or by a clock that may be wrong, in a safe epoch; parking and stopping need no leave."""
    mount = await ready_mount(bench)
    before = await mount.read()
    bench.gate.bar_slews(True)
    try:
        with pytest.raises(PermitRefused):
            await mount.slew(before.ra_deg, before.dec_deg - 20.0, bench.permit)
        await mount.abort()
        await mount.park()
        await bench.until(mount.read, lambda state: state.parked)
        with pytest.raises(PermitRefused):
            await mount.unpark(bench.permit)
        assert (await mount.read()).parked
    finally:
        bench.gate.bar_slews(False)
    await mount.unpark(bench.permit)


async def test_hazards_of_the_mount_ask_the_gate(bench: Bench) -> None:
    mount = await ready_mount(bench)
    before = await mount.read()
    bench.gate.become_unsafe()
    with pytest.raises(PermitRefused):
        await mount.slew(before.ra_deg, before.dec_deg - 20.0, bench.permit)
    with pytest.raises(PermitRefused):
        await mount.unpark(bench.permit)
    after = await mount.read()
    assert not after.slewing
    await mount.abort()  # toward safety nobody asks


# -- camera --------------------------------------------------------------------------------------------------


async def exposed(bench: Bench, camera: Camera, name: str, exposure_s: float = 0.3) -> None:
    await camera.expose(Shot(name, exposure_s), bench.permit)


async def test_exposure_becomes_a_file(bench: Bench) -> None:
    camera = await bench.camera()
    info = await camera.describe()
    assert info.width_px > 0
    assert info.height_px > 0
    assert info.pixel_um > 0.0
    before_us = bench.clock.now_us()
    await exposed(bench, camera, "c1")
    frame = await camera.fetch("c1")
    assert frame.exposure_id == "c1"
    assert frame.exposure_s == 0.3
    assert frame.path.stat().st_size > info.width_px * info.height_px * info.bit_depth // 8
    assert before_us <= frame.started_us <= bench.clock.now_us() - 300_000 + frame.started_error_us
    assert 0 <= frame.started_error_us < 500_000
    assert not (await camera.read()).exposing
    await exposed(bench, camera, "c2")
    assert (await camera.fetch("c2")).path != frame.path


async def test_one_exposure_at_a_time(bench: Bench) -> None:
    camera = await bench.camera()
    await exposed(bench, camera, "d1", 1.0)
    state = await camera.read()
    assert state.exposing
    assert 0.0 <= state.remaining_s <= 1.0
    with pytest.raises(CommandRefused, match="expos"):
        await exposed(bench, camera, "d2")
    assert (await camera.fetch("d1")).exposure_id == "d1"


async def test_aborted_exposure_is_lost_and_the_next_one_good(bench: Bench) -> None:
    camera = await bench.camera()
    await exposed(bench, camera, "e1", 20.0)
    fetching = asyncio.create_task(camera.fetch("e1"))
    await bench.clock.sleep(0.3)
    await camera.abort()
    with pytest.raises(CommandRefused):
        await fetching
    await bench.until(camera.read, lambda state: not state.exposing, 5.0)
    await camera.abort()  # with nothing under way it is no error
    await exposed(bench, camera, "e2")
    assert (await camera.fetch("e2")).exposure_id == "e2"
    with pytest.raises(CommandRefused):
        await camera.fetch("e1")


async def test_unknown_exposure_cannot_be_fetched(bench: Bench) -> None:
    camera = await bench.camera()
    with pytest.raises(CommandRefused):
        await camera.fetch("never-taken")


async def test_dark_and_binned(bench: Bench) -> None:
    camera = await bench.camera()
    await camera.expose(Shot("f1", 0.2, light=False, binning=2), bench.permit)
    binned = (await camera.fetch("f1")).path.stat().st_size
    await camera.expose(Shot("f2", 0.2), bench.permit)
    assert (await camera.fetch("f2")).path.stat().st_size > 3 * binned


async def test_exposures_ask_the_gate(bench: Bench) -> None:
    camera = await bench.camera()
    stale = Permit(bench.permit.epoch - 1)
    with pytest.raises(PermitRefused):
        await camera.expose(Shot("g1", 0.2), stale)
    bench.gate.become_unsafe()
    with pytest.raises(PermitRefused):
        await camera.expose(Shot("g2", 0.2), bench.permit)
    assert not (await camera.read()).exposing
    await camera.expose(Shot("g3", 0.2, light=False), bench.permit)  # a closed shutter sees no unsafe sky
    assert (await camera.fetch("g3")).exposure_id == "g3"
    await camera.expose(Shot("g4", 0.2, sight=True), bench.permit)  # safety itself wants to see where the tube points
    assert (await camera.fetch("g4")).exposure_id == "g4"


async def test_cooler_goes_on_and_off(bench: Bench) -> None:
    camera = await bench.camera()
    assert (await camera.describe()).cooled
    await camera.cool(-5.0)
    await bench.until(camera.read, lambda state: state.cooler_on, 5.0)
    await camera.cool(None)
    await bench.until(camera.read, lambda state: not state.cooler_on, 5.0)


# -- focuser, filter wheel -----------------------------------------------------------------------------------


async def test_focuser_arrives(bench: Bench) -> None:
    focuser = await bench.focuser()
    start = await focuser.read()
    target = start.position - 500 if start.position > 500 else start.position + 500
    await focuser.move(target)
    assert (await bench.until(focuser.read, lambda state: not state.moving)).position == target


@pytest.mark.parametrize("beyond", [-1, +1])
async def test_focuser_refuses_what_it_cannot_reach(bench: Bench, beyond: int) -> None:
    focuser = await bench.focuser()
    state = await focuser.read()
    with pytest.raises(CommandRefused, match=r"0\.\."):
        await focuser.move(-1 if beyond < 0 else state.max_position + 1)
    assert (await focuser.read()).position == state.position


async def test_wheel_turns_to_a_name(bench: Bench) -> None:
    wheel = await bench.wheel()
    state = await bench.until(wheel.read, lambda state: not state.moving)
    assert state.filter in state.filters
    wanted = next(name for name in state.filters if name != state.filter)
    await wheel.select(wanted)
    assert (await bench.until(wheel.read, lambda state: not state.moving)).filter == wanted
    with pytest.raises(CommandRefused, match=wanted):
        await wheel.select("no such filter")


# -- roof, weather -------------------------------------------------------------------------------------------


async def test_roof_opens_and_closes(bench: Bench) -> None:
    roof = await bench.roof()
    if (await roof.read()).aperture != "closed":
        await roof.close()
        await bench.until(roof.read, lambda state: state.aperture == "closed")
    await roof.open(bench.permit)
    assert (await roof.read()).aperture in ("opening", "open")
    await bench.until(roof.read, lambda state: state.aperture == "open")
    await roof.close()
    assert (await roof.read()).aperture in ("closing", "closed")
    await bench.until(roof.read, lambda state: state.aperture == "closed")


async def test_roof_asks_the_gate_to_open_and_nobody_to_close(bench: Bench) -> None:
    roof = await bench.roof()
    bench.gate.become_unsafe()
    with pytest.raises(PermitRefused):
        await roof.open(bench.permit)
    await roof.close()
    assert (await roof.read()).aperture in ("closing", "closed")


async def test_roof_stopped_half_way_is_not_closed(bench: Bench) -> None:
    roof = await bench.roof()
    await bench.until(roof.read, lambda state: state.aperture == "closed")
    await roof.open(bench.permit)
    await bench.clock.sleep(0.5)
    await roof.abort()
    assert (await bench.until(roof.read, lambda state: state.aperture != "opening", 5.0)).aperture != "closed"
    await roof.close()
    assert (await roof.read()).aperture in ("closing", "closed")


async def test_weather_says_when_it_measured(bench: Bench) -> None:
    weather = await bench.weather()
    reading = await bench.until(weather.read, lambda reading: reading.measured_us > 0, 10.0)
    assert not reading.overridden
    assert reading.measured_us <= bench.clock.now_us()
    assert {"temperature_c", "wind_m_s"} <= reading.values.keys()
    assert (await weather.read()).measured_us >= reading.measured_us


# -- any device ----------------------------------------------------------------------------------------------


async def test_connecting_and_letting_go_twice_is_harmless(bench: Bench) -> None:
    wheel = await bench.wheel()
    await wheel.connect()
    before = await wheel.read()
    await wheel.disconnect()
    await wheel.disconnect()
    await wheel.connect()
    assert (await wheel.read()).filters == before.filters
