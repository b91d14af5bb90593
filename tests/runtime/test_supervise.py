"""Supervision: order by readiness, an unexpected end ends all, the way out is bounded."""

import asyncio

import pytest

from astrod.runtime.supervise import Ready, Service, ServiceEnded, supervise


def forever(name: str, heard: list[str]) -> Service:
    async def run(ready: Ready) -> None:
        heard.append(f"{name} starts")
        ready()
        try:
            await asyncio.Event().wait()
        finally:
            heard.append(f"{name} ends")

    return Service(name, run)


async def test_services_start_in_order_and_end_in_reverse() -> None:
    heard: list[str] = []
    up = asyncio.Event()
    task = asyncio.create_task(supervise([forever("a", heard), forever("b", heard)], on_ready=up.set))
    async with asyncio.timeout(5.0):
        await up.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert heard == ["a starts", "b starts", "b ends", "a ends"]


async def test_a_service_that_ends_by_itself_ends_them_all() -> None:
    heard: list[str] = []

    async def short(ready: Ready) -> None:
        ready()

    with pytest.raises(ServiceEnded, match="short ended by itself"):
        await supervise([forever("a", heard), Service("short", short)], on_ready=lambda: None)
    assert heard == ["a starts", "a ends"]


async def test_a_failure_comes_out_as_it_is() -> None:
    async def failing(ready: Ready) -> None:
        ready()
        await asyncio.sleep(0)
        raise ZeroDivisionError("by design")

    with pytest.raises(ZeroDivisionError):
        await supervise([Service("failing", failing)], on_ready=lambda: None)


async def test_a_service_that_never_gets_ready_is_named() -> None:
    async def slow(ready: Ready) -> None:
        await asyncio.Event().wait()

    with pytest.raises(ServiceEnded, match="slow was not ready"):
        await supervise([Service("slow", slow, ready_within_s=0.05)], on_ready=lambda: None)


async def test_one_that_will_not_end_is_left_behind_in_time(caplog: pytest.LogCaptureFixture) -> None:
    stubborn_may_end = asyncio.Event()

    async def stubborn(ready: Ready) -> None:
        ready()
        while not stubborn_may_end.is_set():
            try:
                await stubborn_may_end.wait()
            except asyncio.CancelledError:
                continue

    task = asyncio.create_task(supervise([Service("stubborn", stubborn)], lambda: None, grace_s=0.05))
    await asyncio.sleep(0.05)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert "stubborn did not end" in caplog.text
    stubborn_may_end.set()
