"""The line between control and safety, over a real socket pair: questions, answers and errors arrive as they left."""

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace

import pytest

from astrod.domain.safety import SafetyReport
from astrod.errors import GoSafe, OutcomeUnknown, RecoverDevice
from astrod.rig.safety.guard import Guard
from astrod.rig.safety.link import NAME, RemoteGuard
from astrod.rig.safety.process import Door
from astrod_drivers.protocols import Permit
from astrod_drivers.wire import Connection, Offer, Server

REPORT = SafetyReport(4, False, ("rain",), 7, 1, "open", {"main": True}, {"wind_m_s": 3.0}, ("AST-120 x",))


class AskingGuard:
    """Safety that wants to know where the main rig points, and what it was told."""

    def __init__(self) -> None:
        self.told: list[tuple[str, int, float | None, float | None]] = []
        self.hangs = False

    async def report(self) -> SafetyReport:
        return replace(REPORT, sights_wanted={"main": 3})

    async def changed(self, version: int) -> SafetyReport:
        if self.hangs:
            await asyncio.Event().wait()
        return await self.report()

    async def open_roof(self, permit: Permit) -> None:
        if self.hangs:
            await asyncio.Event().wait()
        raise GoSafe("it rains")

    async def close_site(self, reason: str) -> None:
        raise RecoverDevice("safety", f"AST-120 {reason}")

    async def tell_place(self, rig: str, number: int, azimuth_deg: float | None, altitude_deg: float | None) -> None:
        self.told.append((rig, number, azimuth_deg, altitude_deg))


@asynccontextmanager
async def line(guard: Guard) -> AsyncIterator[RemoteGuard]:
    ours, theirs = socket.socketpair()
    server = asyncio.create_task(Server({NAME: Offer(Guard, Door(guard))}).attend_socket(theirs))
    connection = await Connection.open_socket(ours)
    try:
        yield RemoteGuard(connection, open_s=0.2, close_s=5.0)
    finally:
        await connection.close()
        await asyncio.wait({server}, timeout=5.0)


async def test_what_safety_asks_of_the_sky_and_the_answers_cross_the_line() -> None:
    guard = AskingGuard()
    async with line(guard) as remote:
        assert await remote.report() == await guard.report()
        assert (await remote.changed(3)).sights_wanted == {"main": 3}
        await remote.tell_place("main", 3, 12.5, 41.0)
        await remote.tell_place("main", 4, None, None)
    assert guard.told == [("main", 3, 12.5, 41.0), ("main", 4, None, None)]


async def test_each_error_is_on_this_side_what_it_was_on_that() -> None:
    guard = AskingGuard()
    async with line(guard) as remote:
        with pytest.raises(GoSafe, match="it rains"):
            await remote.open_roof(Permit(7))
        with pytest.raises(RecoverDevice, match="AST-120 a whim"):
            await remote.close_site("a whim")
        guard.hangs = True
        with pytest.raises(OutcomeUnknown):
            await remote.open_roof(Permit(7))
        await remote.tell_place("main", 5, 1.0, 2.0)  # one call that hangs keeps no other
        assert guard.told[-1] == ("main", 5, 1.0, 2.0)
