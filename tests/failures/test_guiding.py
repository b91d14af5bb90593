"""Nights that others lost to their guider, by the rows of the list."""

import asyncio
import random
from pathlib import Path
from typing import Any

import pytest

from astrod.domain.guiding import GuideStar
from astrod.domain.site import GuiderSetup
from astrod.errors import AstrodError, OutcomeUnknown, RecoverDevice
from astrod.rig.guiding import Guiding
from astrod.rig.port import Port
from astrod.runtime.clock import WallClock
from astrod_drivers.permit import EpochPage
from astrod_drivers.protocols import Permit
from astrod_drivers.session import open_session
from tests.drivers.phd2_standin import Phd2StandIn
from tests.rig.guide_bench import PLACE, SETUP, GuideBench, at_bench


async def with_phd2(folder: Path, story: Any) -> None:
    """A stand-in for PHD2, its client in a child as in the daemon, and the rig's guiding on top."""
    page, clock = EpochPage(folder / "epoch"), WallClock()
    permit = Permit(page.become_safe())
    setup = GuiderSetup(address="phd2://127.0.0.1", settle_within_s=20.0, lost_s=5.0)
    async with Phd2StandIn().serving() as phd2:
        address = f"phd2://127.0.0.1:{phd2.port}?settle_px=1&settle_s=0.1&settle_within_s=5"
        session = open_session(address, "guider", spool=folder, gate_path=page.path)
        port: Port[Any] = Port("guider", "guider", address, session, clock)  # type: ignore[arg-type]
        keeping = asyncio.create_task(port.keep())
        try:
            assert await port.found(20.0)
            await story(phd2, port, Guiding(port, setup, clock), permit)
        finally:
            keeping.cancel()
            await asyncio.wait({keeping})
            await session.kill()
            page.close()


async def test_13_a_phd2_that_stops_answering_costs_its_session_and_is_found_again(tmp_path: Path) -> None:
    async def story(phd2: Phd2StandIn, port: Port[Any], guiding: Guiding, permit: Permit) -> None:
        assert (await guiding.begin(permit)).settled
        phd2.hangs = True
        with pytest.raises(OutcomeUnknown):
            await guiding.dither(3.0, permit)
        assert not port.up
        phd2.hangs = False
        assert await port.found(20.0), "the session was killed and begun anew"
        assert (await guiding.begin(permit)).settled

    await with_phd2(tmp_path, story)


async def test_29_gear_that_vanishes_from_the_guider_is_noticed_and_connected_again(tmp_path: Path) -> None:
    async def story(phd2: Phd2StandIn, port: Port[Any], guiding: Guiding, permit: Permit) -> None:
        await guiding.begin(permit)
        phd2.connected = False
        phd2.say("ConfigurationChange")
        await asyncio.sleep(0.1)
        with pytest.raises(RecoverDevice, match="camera or mount"):
            await guiding.read()
        assert await port.found(20.0)
        assert phd2.connected

    await with_phd2(tmp_path, story)


async def test_29_a_guider_that_repeats_its_last_values_is_frozen(tmp_path: Path) -> None:
    async def story(phd2: Phd2StandIn, port: Port[Any], guiding: Guiding, permit: Permit) -> None:
        await guiding.begin(permit)
        phd2.repeats = True
        await asyncio.sleep(0.6)
        with pytest.raises(RecoverDevice, match="repeats one guide step"):
            await guiding.read()

    await with_phd2(tmp_path, story)


def test_29_a_guide_camera_that_repeats_its_frame_ends_our_own_guiding(tmp_path: Path) -> None:
    async def story(bench: GuideBench) -> None:
        await bench.slew()
        await bench.guiding.begin(bench.permit)
        last: list[tuple[GuideStar, ...]] = []
        see = bench.auto._see

        async def stuck(path: Path) -> tuple[GuideStar, ...]:
            last.append(await see(path))
            return last[0]

        bench.auto._see = stuck
        state = await bench.until(lambda state: not state.guiding, 60.0)
        assert "same guide frame" in state.trouble

    at_bench(story, tmp_path)


def test_27_no_guiding_goes_on_in_a_flip(tmp_path: Path) -> None:
    async def story(bench: GuideBench) -> None:
        telescope = bench.telescope(bench.guiding)
        await bench.slew()
        await bench.guiding.begin(bench.permit)
        began = bench.frames
        flip = asyncio.create_task(telescope.slew(PLACE[0] + 70.0, PLACE[1], bench.permit))
        await bench.clock.sleep(5.0)
        assert (await telescope.read_mount()).slewing and not (await bench.auto.read()).guiding
        await flip
        assert bench.frames <= began + 1
        assert (await bench.guiding.begin(bench.permit)).settled, "and on the other side it begins anew"

    at_bench(story, tmp_path)


@pytest.mark.parametrize("seed", [1, 2])
def test_36_whatever_interrupts_it_guiding_is_never_stuck(tmp_path: Path, seed: int) -> None:
    """Starts, stops, dithers and cancellations at random moments: afterwards it stops at once, and starts again."""

    async def story(bench: GuideBench) -> None:
        await bench.slew()
        await bench.guiding.begin(bench.permit)
        drawn = random.Random(seed)
        for _ in range(12):
            begins = drawn.random() < 0.5
            what = bench.guiding.begin(bench.permit) if begins else bench.guiding.dither(3.0, bench.permit)
            task = asyncio.create_task(what)
            await bench.clock.sleep(drawn.uniform(0.0, 12.0))
            task.cancel()
            await asyncio.wait({task})
            if not task.cancelled() and task.exception() is not None:
                assert isinstance(task.exception(), AstrodError)
            if drawn.random() < 0.4:
                await bench.guiding.stop()
        await bench.guiding.stop()
        frames = bench.frames
        await bench.clock.sleep(20.0)
        assert bench.frames == frames
        assert (await bench.guiding.begin(bench.permit)).settled

    at_bench(story, tmp_path, SETUP)
