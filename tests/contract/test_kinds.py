"""Rotator, cover, switch, dome and safety monitor: on the simulated observatory, and on two Alpaca servers.

INDI's are in test_indi_kinds.
"""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from tests.contract.alpaca_bench import AlpacaBench
from tests.contract.bench import SessionBench
from tests.contract.conftest import TOGETHER
from tests.contract.test_contract import SITE

from astrod_drivers.errors import CommandRefused, PermitRefused
from astrod_drivers.remote import (
    RemoteCover,
    RemoteMount,
    RemoteRoof,
    RemoteRotator,
    RemoteSafetyMonitor,
    RemoteSwitch,
)


@pytest.fixture(params=["sim_server", "alpaca_server", pytest.param("alpaca_simulators", marks=TOGETHER)])
async def bench(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[SessionBench]:
    served = request.getfixturevalue(request.param)
    bench: SessionBench
    if request.param == "sim_server":
        bench = SessionBench(served, lambda kind: f"sim://{kind}", served / "socket")
    else:
        bench = AlpacaBench(tmp_path, served)
    yield bench
    await bench.close()


async def test_rotator_turns(bench: SessionBench) -> None:
    rotator = await bench.device("rotator", RemoteRotator)
    here = (await bench.until(rotator.read, lambda state: not state.moving)).angle_deg
    await rotator.move((here + 40.0) % 360.0)
    state = await bench.until(rotator.read, lambda state: not state.moving and state.angle_deg != here)
    assert state.angle_deg == pytest.approx((here + 40.0) % 360.0, abs=0.2)
    await rotator.abort()  # standing still it is no error


async def test_cover_opens_with_a_permit_and_closes_without(bench: SessionBench) -> None:
    cover = await bench.device("cover", RemoteCover)
    await cover.open(bench.permit)
    assert (await cover.read()).aperture in ("opening", "open")
    await bench.until(cover.read, lambda state: state.aperture == "open")
    bench.gate.become_unsafe()
    await cover.close()
    assert (await cover.read()).aperture in ("closing", "closed")
    await bench.until(cover.read, lambda state: state.aperture == "closed")
    with pytest.raises(PermitRefused):
        await cover.open(bench.permit)


async def test_light_goes_on_and_off_where_there_is_one(bench: SessionBench) -> None:
    cover = await bench.device("cover", RemoteCover)
    if (await cover.read()).brightness is None:
        with pytest.raises(CommandRefused, match="no light"):
            await cover.light(10)
        return
    await cover.close()  # a panel sits on the inside of its cover
    await bench.until(cover.read, lambda state: state.aperture == "closed")
    await cover.light(60)
    await bench.until(cover.read, lambda state: state.brightness == 60)
    with pytest.raises(CommandRefused, match=r"0\.\."):
        await cover.light(100_000)
    await cover.light(0)
    await bench.until(cover.read, lambda state: state.brightness == 0)


async def test_outlets_are_switched_and_dimmed_by_name(bench: SessionBench) -> None:
    switch = await bench.device("switch", RemoteSwitch)
    state = await switch.read()
    dimmer = next(iter(state.level))
    plain = next(name for name in state.on if name not in state.level)
    await switch.set(plain, True)
    await bench.until(switch.read, lambda state: state.on[plain])
    await switch.set(plain, False)
    await bench.until(switch.read, lambda state: not state.on[plain])
    await switch.dim(dimmer, 70.0)
    assert (await switch.read()).level[dimmer] == pytest.approx(70.0)
    await switch.set(dimmer, False)
    assert not (await switch.read()).on[dimmer]
    await switch.set(dimmer, True)  # as bright as it was, not brighter
    state = await switch.read()
    assert state.on[dimmer]
    assert state.level[dimmer] == pytest.approx(70.0)
    with pytest.raises(CommandRefused, match="cannot be dimmed"):
        await switch.dim(plain, 10.0)
    with pytest.raises(CommandRefused, match=plain):
        await switch.set("no such outlet", True)


async def test_safety_monitor_says_safe_now(bench: SessionBench) -> None:
    monitor = await bench.device("safety_monitor", RemoteSafetyMonitor)
    before_us = bench.clock.now_us()
    reading = await monitor.read()
    assert isinstance(reading.safe, bool)
    assert before_us - 2_500_000 <= reading.measured_us <= bench.clock.now_us()


@pytest.mark.parametrize(
    ("server", "device"), [("alpaca_server", "dome/1"), pytest.param("alpaca_simulators", "dome/0", marks=TOGETHER)]
)
async def test_dome_turns_its_slit(request: pytest.FixtureRequest, tmp_path: Path, server: str, device: str) -> None:
    bench = AlpacaBench(tmp_path, request.getfixturevalue(server))
    session = bench.session_at(device, "roof")
    await session.start()
    dome = session.device_as(RemoteRoof)
    await dome.turn(200.0)
    await bench.until(dome.read, lambda state: state.azimuth_deg == pytest.approx(200.0, abs=1.0), 60.0)
    await bench.close()


async def test_mount_believes_what_it_was_told(bench: SessionBench) -> None:
    mount = await bench.device("mount", RemoteMount)
    now_us = bench.clock.now_us()
    await mount.set_site(SITE, now_us)
    belief = await mount.believes()
    assert belief.site == SITE
    assert belief.utc_us == pytest.approx(now_us, abs=3_000_000)
