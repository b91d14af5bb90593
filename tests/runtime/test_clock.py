"""The virtual loop: time jumps, order holds, and a stuck night says so."""

import asyncio

import pytest

from astrod.errors import Bug
from astrod.runtime.clock import SimClock, VirtualLoop, WallClock, cpu_s, elapsed_s, run_virtual


def test_a_night_of_sleeps_takes_no_time() -> None:
    began_s = elapsed_s()

    async def night(loop: VirtualLoop) -> tuple[int, list[str]]:
        clock, heard = SimClock(loop, start_us=1_000_000), []

        async def sleeper(name: str, seconds: float) -> None:
            await clock.sleep(seconds)
            heard.append(name)

        async with asyncio.TaskGroup() as group:
            group.create_task(sleeper("late", 36_000.0))
            group.create_task(sleeper("early", 0.25))
        return clock.now_us(), heard

    assert run_virtual(night) == (1_000_000 + 36_000 * 1_000_000, ["early", "late"])
    assert elapsed_s() - began_s < 5.0


def test_timeouts_use_simulated_time() -> None:
    async def main(loop: VirtualLoop) -> float:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(100.0):
                await asyncio.sleep(1000.0)
        return loop.time()

    assert run_virtual(main) == pytest.approx(100.0)


def test_a_loop_in_which_all_wait_for_nothing_raises_instead_of_hanging() -> None:
    async def main(loop: VirtualLoop) -> None:
        await loop.create_future()

    with pytest.raises(Bug, match="stuck"):
        run_virtual(main)


async def test_the_wall_clock_has_its_offset_and_sleeps() -> None:
    plain, shifted = WallClock(), WallClock(offset_us=3_600_000_000)
    assert abs(shifted.now_us() - plain.now_us() - 3_600_000_000) < 1_000_000
    before_s = plain.monotonic_s()
    await plain.sleep(0.02)
    assert plain.monotonic_s() - before_s >= 0.02
    assert plain.boottime_us() > 0
    assert cpu_s() > 0.0
