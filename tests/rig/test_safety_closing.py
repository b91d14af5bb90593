"""Closing itself, with two mounts under one roof: who is asked for the sky and when, and what is told of whom."""

import asyncio
import logging
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from astrod.domain.site import RoofSetup, Site
from astrod.errors import RecoverDevice
from astrod.rig.port import DirectSession, Port
from astrod.rig.safety.clearance import Clearance
from astrod.rig.safety.closing import SKY_S, Closing, make_safe
from astrod.rig.safety.hardware import Hardware
from astrod.rig.safety.roof import RoofPaths
from tests.rig.devices import SITE, FakeCover, FakeMount
from tests.rig.test_safety_parts import PARK_PLACE, Bench, Sky, on_bench, opened

FIRST, SECOND = "main", "second"


class Pair:
    """Two mounts under one roof, on a bench: the first is the hut's, the second another such."""

    def __init__(self, bench: Bench, **roof: Any) -> None:
        self.bench, hut = bench, bench.hut
        self.mounts = {FIRST: hut.mount, SECOND: FakeMount(bench.clock, hut.events, hut.gate)}
        hut.roof.mounts.append(self.mounts[SECOND])
        rig = SITE.rigs[0]
        mount = replace(rig.mount, park_place=PARK_PLACE)
        setup = RoofSetup("sim://roof", **{"interlock": "solve", "close_s": 60.0, **roof})
        rigs = tuple(replace(rig, name=name, mount=mount) for name in self.mounts)
        self.site: Site = replace(SITE, rigs=rigs, roof=setup)
        self.sky, self._keeping = Sky(), list[asyncio.Task[None]]()

    def _port(self, name: str, device: Any) -> Port[Any]:
        port: Port[Any] = Port(name, "any", "sim://it", DirectSession(device), self.bench.clock)
        self._keeping.append(asyncio.create_task(port.keep()))
        return port

    async def hardware(self, cover: FakeCover | None = None) -> Hardware:
        """What safety holds, connected."""
        mounts = {name: self._port(f"{name} mount", device) for name, device in self.mounts.items()}
        roof = self._port("roof", self.bench.hut.roof)
        covers = {} if cover is None else {FIRST: self._port("cover", cover)}
        for port in (*mounts.values(), roof, *covers.values()):
            assert await port.found(5.0)
        clearance = Clearance(self.site, mounts, {}, self.sky.where_is_it)
        paths = RoofPaths(self.bench.clock, self.site.roof or RoofSetup("sim://roof"), roof)
        return Hardware(mounts, clearance, paths, covers=covers)

    async def end(self) -> None:
        for task in self._keeping:
            task.cancel()
        await asyncio.wait(self._keeping)


def with_pair(story: Callable[[Pair], Any], **roof: Any) -> None:
    """Play a story with two mounts."""

    async def play(bench: Bench) -> None:
        pair = Pair(bench, **roof)
        try:
            await story(pair)
        finally:
            await pair.end()

    on_bench(play)


def test_under_a_closed_roof_mounts_are_parked_and_nobody_looks_for_the_sky() -> None:
    async def story(pair: Pair) -> None:
        closing = Closing(pair.bench.clock, pair.site, await pair.hardware())
        pair.mounts[FIRST].shove()
        assert await closing.make_safe() == ()
        assert pair.mounts[FIRST].parked
        assert pair.sky.asked == 0

    with_pair(story)


def test_under_a_closed_roof_the_mount_that_does_not_park_is_named_and_the_other_is_not() -> None:
    async def story(pair: Pair) -> None:
        closing = Closing(pair.bench.clock, pair.site, await pair.hardware())
        pair.mounts[SECOND].shove()
        pair.mounts[SECOND].stuck = True
        (found,) = await closing.make_safe()
        assert found.code == "AST-120"
        assert found.text.startswith("second mount is not parked (second mount: park: not done within 60 s")
        assert found.text.endswith("; the roof needs it parked and stays as it is")
        assert pair.sky.asked == 0

    with_pair(story)


def test_each_time_the_roof_stands_open_the_sky_is_asked_anew() -> None:
    async def story(pair: Pair) -> None:
        hardware = await pair.hardware()
        closing = Closing(pair.bench.clock, pair.site, hardware)
        pair.sky.seen = PARK_PLACE
        for times in (1, 2):
            assert hardware.roof is not None
            await opened(pair.bench, hardware.roof)
            assert await closing.make_safe() == ()
            assert pair.bench.hut.roof.aperture == "closed"
            assert pair.sky.asked == 2 * times, "one look for each mount, each time"

    with_pair(story)


def test_a_mount_that_gets_stuck_later_has_a_time_of_its_own() -> None:
    async def story(pair: Pair) -> None:
        hardware = await pair.hardware()
        assert hardware.roof is not None
        await opened(pair.bench, hardware.roof)
        closing = Closing(pair.bench.clock, pair.site, hardware)
        pair.bench.hut.roof.clears_mounts = True  # it is the owner's wish that it closes over them
        clock = pair.bench.clock
        pair.mounts[FIRST].shove()
        pair.mounts[FIRST].gone = True
        await closing.make_safe()
        await clock.sleep(40.0)
        pair.mounts[SECOND].shove()
        pair.mounts[SECOND].gone = True
        await closing.make_safe()
        await clock.sleep(30.0)
        waiting = await closing.make_safe()
        assert [problem.code for problem in waiting] == ["AST-120"] * 2
        assert pair.bench.hut.roof.aperture == "open", "the first has had its minute, the second has not"
        await clock.sleep(40.0)
        over = await closing.make_safe()
        assert [problem.code for problem in over] == ["AST-122"] * 2
        assert [problem.text.split(" (")[0] for problem in over] == [
            "main mount is not parked",
            "second mount is not parked",
        ]
        assert all(problem.text.endswith("; the roof closes all the same") for problem in over)
        assert pair.bench.hut.roof.aperture == "closed"

    with_pair(story, interlock="mount", on_stuck_mount="close_anyway")


def test_a_roof_that_needs_no_mount_parked_closes_and_tells_of_the_one_that_is_not() -> None:
    async def story(pair: Pair) -> None:
        hardware = await pair.hardware()
        assert hardware.roof is not None
        await opened(pair.bench, hardware.roof)
        pair.bench.hut.roof.clears_mounts = True
        pair.mounts[FIRST].shove()
        pair.mounts[FIRST].stuck = True
        (found,) = await Closing(pair.bench.clock, pair.site, hardware).make_safe()
        assert found.code == "AST-120"
        assert found.text.startswith("main mount is not parked (main mount: park: not done within 60 s")
        assert pair.bench.hut.roof.aperture == "closed"

    with_pair(story, interlock="none")


def test_covers_wait_for_the_sky_and_no_longer_than_their_time() -> None:
    async def story(pair: Pair) -> None:
        cover = FakeCover(pair.bench.clock, pair.bench.hut.events)
        cover.aperture = "open"
        hardware = await pair.hardware(cover)
        assert hardware.roof is not None
        await opened(pair.bench, hardware.roof)
        never = asyncio.Event()

        async def silent(_rig: str) -> tuple[float, float] | None:
            await never.wait()
            return None

        hardware.clearance._where_is_it = silent
        making = asyncio.create_task(Closing(pair.bench.clock, pair.site, hardware).make_safe())
        await pair.bench.clock.sleep(SKY_S - 1.0)
        assert "close cover" not in pair.bench.hut.events
        await pair.bench.clock.sleep(2.0)
        assert "close cover" in pair.bench.hut.events
        making.cancel()
        await asyncio.wait({making})

    with_pair(story)


def test_a_mount_that_stays_unparked_is_logged_once_for_each_reason(caplog: pytest.LogCaptureFixture) -> None:
    async def story(pair: Pair) -> None:
        closing = Closing(pair.bench.clock, pair.site, await pair.hardware())
        pair.mounts[FIRST].shove()
        pair.mounts[FIRST].gone = True
        with caplog.at_level(logging.ERROR, logger="astrod.rig.safety.closing"):
            for _ in range(3):
                await closing.make_safe()
            told = [record.message for record in caplog.records]
            assert len(told) == 1 and told[0].startswith("rig main is not parked: ")
            pair.mounts[FIRST].gone = False
            await pair.bench.clock.sleep(120.0)  # its port connects again
            assert await closing.make_safe() == ()
            pair.mounts[FIRST].shove()
            pair.mounts[FIRST].gone = True
            await closing.make_safe()
        assert len(caplog.records) == 2, "it was parked in between: this is news"

    with_pair(story)


def test_the_closer_tries_until_its_time_is_over_and_says_what_is_left() -> None:
    async def story(pair: Pair) -> None:
        hardware = await pair.hardware()
        pair.mounts[FIRST].shove()
        pair.mounts[FIRST].gone = True
        with pytest.raises(RecoverDevice, match=r"^safety: AST-120 main mount is not parked"):
            await make_safe(pair.bench.clock, pair.site, hardware)

    with_pair(story)
