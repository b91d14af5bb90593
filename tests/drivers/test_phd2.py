"""PHD2's client against a stand-in that speaks the published protocol, and its faults."""

import asyncio
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.drivers.phd2_standin import Phd2StandIn

from astrod_drivers.address import parse
from astrod_drivers.errors import (
    AddressInvalid,
    CommandRefused,
    DeadlineMissed,
    DriverError,
    PermitRefused,
    Unreachable,
)
from astrod_drivers.permit import EpochCell, EpochPage
from astrod_drivers.phd2.guider import Phd2Guider, Settle, settle_of
from astrod_drivers.protocols import GuiderState, Permit
from astrod_drivers.remote import RemoteGuider
from astrod_drivers.session import open_session
from astrod_drivers.wallclock import WallClock


class ShiftedClock(WallClock):
    """Real time with `later_s` added, so that silence need not be waited for."""

    later_s = 0.0

    def monotonic_s(self) -> float:
        return super().monotonic_s() + self.later_s


class Desk:
    """A PHD2, a client, an open safety epoch."""

    def __init__(self, phd2: Phd2StandIn) -> None:
        self.phd2 = phd2
        self.clock = ShiftedClock()
        self.gate = EpochCell()
        self.permit = Permit(self.gate.become_safe())
        self.guider = self.new_client()

    def new_client(self) -> Phd2Guider:
        return Phd2Guider("127.0.0.1", self.phd2.port, Settle(1.0, 0.1, 5.0), clock=self.clock, gate=self.gate)

    async def until(self, good: Callable[[GuiderState], bool], within_s: float = 5.0) -> GuiderState:
        deadline_s = self.clock.monotonic_s() + within_s
        while not good(state := await self.guider.read()):
            assert self.clock.monotonic_s() < deadline_s, state
            await asyncio.sleep(0.01)
        return state

    async def guide(self) -> GuiderState:
        await self.guider.connect()
        await self.guider.start(self.permit)
        return await self.until(lambda state: state.settled)


@pytest.fixture
async def desk() -> AsyncIterator[Desk]:
    async with Phd2StandIn().serving() as phd2:
        desk = Desk(phd2)
        yield desk
        await desk.guider.disconnect()


async def test_it_connects_the_gear_calibrates_guides_and_settles(desk: Desk) -> None:
    await desk.guider.connect()
    assert desk.phd2.connected
    await desk.guider.start(desk.permit)
    await desk.until(lambda state: state.calibrating)
    state = await desk.until(lambda state: state.settled and state.rms_ra_arcsec is not None)
    assert state.guiding and not state.star_lost and state.scale_arcsec_px == 2.0
    assert 0.05 < (state.rms_ra_arcsec or 0.0) < 3.0, "0.3 px at 2 arcseconds a pixel"
    assert desk.phd2.params["guide"] == [{"pixels": 1.0, "time": 0.1, "timeout": 5.0}, False]


async def test_a_dither_moves_and_settles_anew(desk: Desk) -> None:
    await desk.guide()
    await desk.guider.dither(4.0, desk.permit)
    assert not (await desk.guider.read()).settled
    await desk.until(lambda state: state.settled)
    assert desk.phd2.dithers == [4.0]


async def test_stop_stops_and_may_be_said_twice(desk: Desk) -> None:
    await desk.guide()
    await desk.guider.stop()
    await desk.until(lambda state: not state.guiding)
    await desk.guider.stop()
    with pytest.raises(CommandRefused, match="does not guide"):
        await desk.guider.dither(3.0, desk.permit)


async def test_guiding_that_was_under_way_is_found_again(desk: Desk) -> None:
    await desk.guide()
    await desk.guider.disconnect()
    desk.guider = desk.new_client()
    await desk.guider.connect()
    assert (await desk.guider.read()).guiding
    assert "stop_capture" not in desk.phd2.asked


async def test_no_permit_no_guiding(desk: Desk) -> None:
    await desk.guide()
    desk.gate.become_unsafe()
    for command in (desk.guider.start(desk.permit), desk.guider.dither(3.0, desk.permit)):
        with pytest.raises(PermitRefused):
            await command
    await desk.guider.stop()


async def test_a_lost_star_is_no_fault_and_comes_back(desk: Desk) -> None:
    await desk.guide()
    desk.phd2.star_lost = True
    state = await desk.until(lambda state: state.star_lost)
    assert state.guiding and not state.settled
    for _ in range(5):  # half a minute of it, a guide exposure now and then
        desk.clock.later_s += 6.0
        await asyncio.sleep(0.15)
        assert (await desk.guider.read()).star_lost
    desk.phd2.star_lost = False
    await desk.until(lambda state: not state.star_lost and state.guiding)


async def test_a_failed_calibration_says_why(desk: Desk) -> None:
    desk.phd2.calibration_fails = True
    await desk.guider.connect()
    await desk.guider.start(desk.permit)
    state = await desk.until(lambda state: bool(state.trouble))
    assert not state.guiding and "did not move enough" in state.trouble


async def test_guiding_that_does_not_settle_says_so(desk: Desk) -> None:
    desk.phd2.never_settles = True
    await desk.guider.connect()
    await desk.guider.start(desk.permit)
    state = await desk.until(lambda state: bool(state.trouble))
    assert state.guiding and not state.settled and "settle" in state.trouble


async def test_silence_while_guiding_is_a_frozen_guider(desk: Desk) -> None:
    await desk.guide()
    desk.phd2.silent = True
    await asyncio.sleep(0.1)
    desk.clock.later_s += 9.0
    assert (await desk.guider.read()).guiding, "a short silence is none"
    desk.clock.later_s += 3.0
    with pytest.raises(Unreachable, match="silent"):
        await desk.guider.read()


async def test_silence_while_stopped_is_none(desk: Desk) -> None:
    await desk.guider.connect()
    desk.clock.later_s += 3600.0
    assert not (await desk.guider.read()).guiding


async def test_one_step_over_and_over_is_a_frozen_guider(desk: Desk) -> None:
    await desk.guide()
    desk.phd2.repeats = True
    with pytest.raises(Unreachable, match="repeats"):
        await desk.until(lambda state: False)


async def test_a_phd2_that_answers_nothing_misses_its_deadline(desk: Desk) -> None:
    await desk.guide()
    desk.phd2.hangs = True
    with pytest.raises(DeadlineMissed, match="dither"):
        await desk.guider.dither(3.0, desk.permit)


async def test_gear_that_vanishes_is_noticed_and_connected_again(desk: Desk) -> None:
    await desk.guide()
    desk.phd2.connected = False
    desk.phd2.say("ConfigurationChange")
    await asyncio.sleep(0.05)
    with pytest.raises(Unreachable, match="camera or mount"):
        await desk.guider.read()
    await desk.guider.connect()
    assert desk.phd2.connected
    await desk.guider.read()


async def test_gear_that_cannot_be_connected_names_the_remedy(desk: Desk) -> None:
    desk.phd2.gear_refuses = True
    with pytest.raises(Unreachable, match="profile"):
        await desk.guider.connect()


async def test_a_lost_connection_is_told_and_mended(desk: Desk) -> None:
    await desk.guide()
    await desk.phd2.drop()
    await asyncio.sleep(0.05)
    with pytest.raises(Unreachable):
        await desk.guider.read()
    await desk.guider.connect()
    assert (await desk.guider.read()).guiding


async def test_nobody_there_names_the_remedy() -> None:
    gate = EpochCell()
    guider = Phd2Guider("127.0.0.1", 21_899, Settle(), clock=WallClock(), gate=gate)
    with pytest.raises(Unreachable, match="start it"):
        await guider.connect()


@pytest.mark.parametrize(
    "line",
    [
        b"HTTP/1.1 400 Bad Request\r\n",
        b"<html>\r\n",
        b"[1, 2]\r\n",
        b'{"Event": "GuideStep"\r\n',
        b"\xff\xfe\r\n",
        b"x" * 300_000,
    ],
)
async def test_what_is_no_phd2_is_let_go(desk: Desk, line: bytes) -> None:
    await desk.guider.connect()
    desk.phd2.send_raw(line)
    with pytest.raises(Unreachable, match="sent what is no event"):
        await desk.until(lambda state: False)


async def test_steps_that_are_no_numbers_do_not_count_as_life(desk: Desk) -> None:
    await desk.guide()
    desk.phd2.silent = True
    await asyncio.sleep(0.1)
    desk.clock.later_s += 12.0
    desk.phd2.send_raw(b'{"Event": "GuideStep", "RADistanceRaw": NaN, "DECDistanceRaw": "far"}\r\n')
    await asyncio.sleep(0.05)
    with pytest.raises(Unreachable, match="silent"):
        await desk.guider.read()


_json = st.recursive(
    st.none() | st.booleans() | st.floats() | st.integers() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=6), inner, max_size=3),
    max_leaves=6,
)
_names = st.sampled_from(
    ["GuideStep", "AppState", "SettleDone", "StarLost", "CalibrationFailed", "Alert", "Calibrating", "Nonsense"]
)
_keys = st.sampled_from(["RADistanceRaw", "DECDistanceRaw", "State", "Status", "Error", "Reason", "Msg", "Type", "id"])


@settings(max_examples=60, deadline=None)
@given(events=st.lists(st.tuples(_names | _json, st.dictionaries(_keys, _json, max_size=4)), max_size=6))
def test_whatever_it_says_only_our_errors_come_out(events: list[tuple[object, dict[str, object]]]) -> None:
    async def story() -> None:
        async with Phd2StandIn().serving() as phd2:
            desk = Desk(phd2)
            await desk.guider.connect()
            for name, values in events:
                phd2.send({"Event": name, **values})
            await asyncio.sleep(0.002)
            try:
                await desk.guider.read()
            except DriverError:
                await desk.guider.connect()
            await desk.guider.disconnect()

    asyncio.run(story())


async def test_in_a_child_of_its_own(tmp_path: Path) -> None:
    page = EpochPage(tmp_path / "epoch")
    permit = Permit(page.become_safe())
    async with Phd2StandIn().serving() as phd2:
        address = f"phd2://127.0.0.1:{phd2.port}?settle_px=1&settle_s=0.1&settle_within_s=5"
        session = open_session(address, "guider", spool=tmp_path, gate_path=page.path)
        try:
            await session.start()
            guider = session.device_as(RemoteGuider)
            await guider.start(permit)
            for _ in range(200):
                if (state := await guider.read()).settled:
                    break
                await asyncio.sleep(0.02)
            assert state.settled and state.scale_arcsec_px == 2.0
            page.become_unsafe()
            with pytest.raises(PermitRefused):
                await guider.dither(2.0, permit)
        finally:
            await session.kill()
    page.close()


def test_addresses() -> None:
    assert (parse("phd2://obs").host, parse("phd2://obs").port) == ("obs", 4400)
    assert str(parse("phd2://obs:4401?settle_px=2")) == "phd2://obs:4401"
    assert settle_of("phd2://obs?settle_px=2&settle_s=5") == Settle(2.0, 5.0)
    for wrong in ("phd2://", "phd2://obs/Camera", "phd2://obs:99999"):
        with pytest.raises(AddressInvalid):
            parse(wrong)
    for wrong in (
        "phd2://obs?pixels=2",
        "phd2://obs?settle_px=two",
        "phd2://obs?settle_px=-1",
        "phd2://o?settle_s=nan",
    ):
        with pytest.raises(AddressInvalid):
            settle_of(wrong)
