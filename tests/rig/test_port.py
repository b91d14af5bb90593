"""A port: calls that cannot hang, losses that are noticed, devices that are put back as they were."""

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from astrod.errors import GoSafe, OutcomeUnknown, RecoverDevice, Replan
from astrod.rig.port import Port
from astrod.runtime.clock import SimClock, VirtualLoop, run_virtual
from astrod_drivers.permit import EpochCell
from astrod_drivers.protocols import Permit
from tests.rig.devices import MIDNIGHT_US, FakeMount, KillableSession

Story = Callable[[Port[FakeMount], KillableSession[FakeMount], SimClock], Awaitable[None]]


def at_port(story: Story) -> None:
    """Play a story at a port that is being kept."""

    async def play(loop: VirtualLoop) -> None:
        clock = SimClock(loop, MIDNIGHT_US)
        session = KillableSession(FakeMount(clock, [], EpochCell()))
        port: Port[FakeMount] = Port("mount", "mount", "sim://mount", session, clock)
        keeping = asyncio.create_task(port.keep())
        try:
            await story(port, session, clock)
        finally:
            keeping.cancel()
            await asyncio.wait({keeping})

    run_virtual(play)


def test_a_call_before_the_device_is_there_says_so() -> None:
    async def story(port: Port[FakeMount], session: KillableSession[FakeMount], clock: SimClock) -> None:
        with pytest.raises(RecoverDevice, match="not connected yet"):
            await port.call("read", lambda mount: mount.read())
        assert await port.found(5.0)
        assert not (await port.call("read", lambda mount: mount.read())).slewing

    at_port(story)


def test_a_missed_deadline_leaves_the_outcome_unknown_and_costs_the_session_alone() -> None:
    async def story(port: Port[FakeMount], session: KillableSession[FakeMount], clock: SimClock) -> None:
        assert await port.found(5.0)
        session.device.hangs = True
        asked_s = clock.monotonic_s()
        with pytest.raises(OutcomeUnknown):
            await port.call("park", lambda mount: mount.park(), deadline_s=3.0)
        assert clock.monotonic_s() - asked_s == pytest.approx(3.0, abs=0.01)
        assert session.kills == 1
        assert await port.found(30.0)
        assert session.starts == 2

    at_port(story)


def test_what_a_device_forgets_is_put_back_at_each_connection() -> None:
    async def story(port: Port[FakeMount], session: KillableSession[FakeMount], clock: SimClock) -> None:
        told: list[int] = []

        async def restore(mount: FakeMount) -> None:
            told.append(clock.now_us())

        port.on_connect(restore)
        assert await port.found(5.0)
        session.device.gone = True
        with pytest.raises(RecoverDevice):
            await port.call("read", lambda mount: mount.read())
        assert not port.up
        await clock.sleep(100.0)
        assert not port.up
        session.device.gone = False
        assert await port.found(30.0)
        assert len(told) == 2

    at_port(story)


def test_an_idle_device_that_vanishes_is_noticed() -> None:
    async def story(port: Port[FakeMount], session: KillableSession[FakeMount], clock: SimClock) -> None:
        assert await port.found(5.0)
        session.device.gone = True
        await clock.sleep(120.0)
        assert not port.up

    at_port(story)


def test_refusals_are_not_losses() -> None:
    async def story(port: Port[FakeMount], session: KillableSession[FakeMount], clock: SimClock) -> None:
        assert await port.found(5.0)
        with pytest.raises(GoSafe):
            await port.call("unpark", lambda mount: mount.unpark(Permit(99)))
        permit = Permit(session.device.gate.become_safe())
        with pytest.raises(Replan):
            await port.call("slew", lambda mount: mount.slew(1.0, 2.0, permit))
        assert port.up
        assert session.kills == 0

    at_port(story)
