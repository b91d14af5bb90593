"""What must never happen, whatever storms, jams, losses, restarts and openings come in whatever order."""

import asyncio
from collections.abc import Coroutine
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from astrod.errors import AstrodError
from astrod_drivers.errors import DriverError, PermitRefused
from astrod_drivers.protocols import Permit
from tests.rig.devices import Hut, in_hut

ACTS = ("storm", "calm", "open", "close", "unpark", "jam roof", "stick mount", "lose sensor", "hang roof", "free all")
UNSAFE_LIMIT_S = 300.0
"""A sensor's age (60), parking (60) and closing (60) with the waits between, nothing being stuck."""


async def act(hut: Hut, what: str, permits: list[Permit], tasks: set[asyncio.Task[None]]) -> None:
    """Do one thing to the hut. Openings go on by themselves."""

    async def bold(deed: Coroutine[Any, Any, None]) -> None:
        try:
            await deed
        except (AstrodError, DriverError) as fault:
            hut.events.append(f"refused: {type(fault).__name__}")

    report = await hut.loop.report()
    if report.safe:
        permits.append(Permit(report.epoch))
    stale = permits[0] if permits else Permit(0)
    match what:
        case "storm":
            hut.weather.wind_m_s = 25.0
        case "calm":
            hut.weather.wind_m_s = 1.0
        case "open":
            tasks.add(asyncio.create_task(bold(hut.loop.open_roof(permits[-1] if permits else stale))))
        case "close":
            tasks.add(asyncio.create_task(bold(hut.loop.close_site("a whim"))))
        case "unpark":
            if hut.roof.aperture == "open":
                await bold(hut.mount.unpark(permits[-1] if permits else stale))
        case "jam roof":
            hut.roof.jammed = True
        case "stick mount":
            hut.mount.stuck = True
        case "lose sensor":
            hut.weather.gone = True
        case "hang roof":
            hut.roof.hangs = True
        case "free all":
            hut.roof.jammed = hut.roof.hangs = hut.mount.stuck = hut.weather.gone = False
    if permits and not hut.gate.allows(stale):  # an old epoch moves nothing
        with pytest.raises(PermitRefused):
            await hut.mount.unpark(stale)


@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.lists(st.tuples(st.sampled_from(ACTS), st.floats(0.0, 90.0)), max_size=12))
def test_whatever_happens_the_site_ends_closed_and_no_roof_moves_over_a_mount(deeds: list[tuple[str, float]]) -> None:
    async def story(hut: Hut) -> None:
        permits: list[Permit] = []
        tasks: set[asyncio.Task[None]] = set()
        await hut.open()
        for what, wait_s in deeds:
            await act(hut, what, permits, tasks)
            await hut.clock.sleep(wait_s)
        await act(hut, "free all", permits, tasks)
        hut.weather.wind_m_s = 25.0
        await hut.until(lambda _: hut.roof.aperture == "closed" and hut.mount.parked, UNSAFE_LIMIT_S)
        await hut.clock.sleep(300.0)
        assert hut.roof.aperture == "closed"
        assert hut.mount.parked
        for task in tasks:
            task.cancel()

    in_hut(story)
