"""A watch tells of what it sees to whom it concerns, and what fails costs its pictures only."""

import asyncio
import json
from collections.abc import Awaitable, Callable
from pathlib import Path

from astrod.archive.archive import Archive
from astrod.config.settings import ModelSettings
from astrod.domain.cloudiness import BANDS, SECTORS, CloudMap
from astrod.domain.watching import Detection, SkyCover, SkySeen, WatchSetup
from astrod.errors import InputInvalid, RecoverDevice
from astrod.health import Health
from astrod.recording import Recording
from astrod.runtime.clock import SimClock, VirtualLoop, run_virtual
from astrod.runtime.offload import VirtualOffload
from astrod.runtime.trace import Trace
from astrod.watch.order import Order
from astrod.watch.source import Glance
from astrod.watch.watch import Watch
from tests.rig.devices import MIDNIGHT_US

SETUP = WatchSetup("roof", "sim://allsky", every_s=60.0, check_min=10.0)


class Pictures:
    """A source that gives a picture a minute, or fails while `silent`."""

    def __init__(self, clock: SimClock, folder: Path) -> None:
        self.clock, self.folder, self.silent = clock, folder, False

    async def next(self) -> Glance:
        await self.clock.sleep(60.0)
        if self.silent:
            raise RecoverDevice("roof", "the cable is out")
        path = self.folder / f"{self.clock.now_us()}.npy"
        path.write_bytes(b"pixels")
        return Glance(path, self.clock.now_us(), 10.0, ours=True)


class Roof:
    """A watch with a source, eyes that see what the test tells them, and what hears of it."""

    def __init__(self, loop: VirtualLoop, folder: Path) -> None:
        self.clock = SimClock(loop, MIDNIGHT_US)
        self.folder = folder
        self.archive = Archive.open(folder / "archive.db")
        offload = VirtualOffload(self.clock, 1)
        trace = Trace(self.clock)
        self.health = Health(self.clock, trace)
        self.source = Pictures(self.clock, folder)
        self.orders: list[Order] = []
        self.sees: Callable[[Order], SkySeen] = lambda order: SkySeen(order.glance.at_us)
        self.covers: list[SkyCover] = []
        self.sun_deg = -30.0
        self.watch = Watch(
            SETUP,
            self.source,
            self.see,
            folder,
            folder,
            ModelSettings(True, None),
            self.heard,
            lambda: self.sun_deg,
            offload,
            Recording(self.archive, offload),
            self.health,
            trace,
            self.clock,
        )

    def see(self, order: Order) -> SkySeen:
        self.orders.append(order)
        return self.sees(order)

    async def heard(self, watch: str, cover: SkyCover) -> None:
        assert watch == "roof"
        self.covers.append(cover)

    @property
    def codes(self) -> list[str]:
        return [finding.code for finding in self.health.findings]


def pictures(folder: Path) -> list[str]:
    """What lies in the folder of the source's."""
    return sorted(path.name for path in folder.glob("*.npy"))


def on_roof(folder: Path, story: Callable[[Roof], Awaitable[None]]) -> None:
    async def play(loop: VirtualLoop) -> None:
        roof = Roof(loop, folder)
        running = asyncio.create_task(roof.watch.run())
        try:
            await story(roof)
            assert not running.done(), running
        finally:
            running.cancel()
            await asyncio.wait({running})
            roof.archive.close()

    run_virtual(play)


def test_clouds_reach_the_schedule_and_the_file_that_safety_reads(tmp_path: Path) -> None:
    async def story(roof: Roof) -> None:
        roof.sees = lambda order: SkySeen(order.glance.at_us, SkyCover(order.glance.at_us, 40.0))
        await roof.clock.sleep(150.0)
        assert [cover.percent for cover in roof.covers] == [40.0, 40.0]
        told = json.loads((tmp_path / "watch-roof.json").read_text())
        assert told == {"at_us": roof.covers[-1].at_us, "cloud_percent": 40.0}
        assert roof.watch.cover == roof.covers[-1]
        assert pictures(tmp_path) == [], "those of ours go when they were looked at"

    on_roof(tmp_path, story)


def test_meteors_are_kept_and_those_of_our_own_are_not(tmp_path: Path) -> None:
    async def story(roof: Roof) -> None:
        def sees(order: Order) -> SkySeen:
            points = ((0.0, 10.0, 20.0), (10.0, 40.0, 60.0))
            found = Detection(
                "roof", order.glance.at_us, "meteor", 0.97, points, (10.0, 50.0), (20.0, 40.0), "m 1", "a.jpg"
            )
            own = Detection("roof", order.glance.at_us, "meteor", 0.9, points, injected=True)
            return SkySeen(order.glance.at_us, detections=(found, own))

        roof.sees = sees
        await roof.clock.sleep(90.0)
        (kept,) = roof.archive.detections(MIDNIGHT_US, MIDNIGHT_US + 3600_000_000)
        assert kept == sees(roof.orders[0]).detections[0]
        assert kept.length_px == 50.0

    on_roof(tmp_path, story)


def test_a_meteor_of_our_own_is_laid_in_as_often_as_asked_and_two_misses_are_told_until_one_is_found(
    tmp_path: Path,
) -> None:
    async def story(roof: Roof) -> None:
        finds = False
        roof.sees = lambda order: SkySeen(order.glance.at_us, check=finds if order.inject else None)
        await roof.clock.sleep(9.5 * 60.0)
        assert not any(order.inject for order in roof.orders)
        await roof.clock.sleep(120.0)
        assert [order.inject for order in roof.orders].count(True) == 1
        assert roof.codes == [], "chance may hide one"
        await roof.clock.sleep(600.0)
        assert roof.codes == ["AST-412"]
        finds = True
        await roof.clock.sleep(600.0)
        assert [order.inject for order in roof.orders].count(True) == 3
        assert roof.codes == []

    on_roof(tmp_path, story)


def test_a_source_that_is_silent_and_pictures_that_are_none_cost_nothing_else(tmp_path: Path) -> None:
    async def story(roof: Roof) -> None:
        def spoilt(order: Order) -> SkySeen:
            raise InputInvalid("cut short")

        roof.sees = spoilt
        await roof.clock.sleep(150.0)
        assert len(roof.orders) == 2 and roof.codes == []
        roof.source.silent = True
        await roof.clock.sleep(120.0)
        assert roof.codes == ["AST-411"]
        assert "the cable is out" in roof.health.findings[0].text
        roof.source.silent = False
        await roof.clock.sleep(180.0)
        assert roof.codes == []

    on_roof(tmp_path, story)


def test_by_day_nothing_is_looked_at_and_silence_is_no_trouble(tmp_path: Path) -> None:
    async def story(roof: Roof) -> None:
        roof.source.silent = True
        await roof.clock.sleep(100.0)
        assert roof.codes == ["AST-411"]
        roof.sun_deg = 10.0
        await roof.clock.sleep(200.0)
        looked = len(roof.orders)
        await roof.clock.sleep(3600.0)
        assert roof.codes == [] and len(roof.orders) == looked

    on_roof(tmp_path, story)


def test_clouds_are_known_by_direction_only_where_the_camera_is_calibrated() -> None:
    chances = tuple(tuple(0.9 if 4 <= sector < 12 else 0.1 for sector in range(SECTORS)) for _ in range(BANDS))
    cover = SkyCover(0, 40.0, CloudMap(0, chances, is_oriented=True))
    assert (cover.towards(90.0, 50.0), cover.towards(270.0, 50.0)) == (0.9, 0.1)
    assert SkyCover(0, 40.0, CloudMap(0, chances, is_oriented=False)).towards(90.0, 50.0) is None
    assert SkyCover(0, 50.0).towards(100.0, 60.0) is None
