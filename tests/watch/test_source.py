"""Where pictures come from: a camera of ours, another program's picture or folder."""

import asyncio
import os
from collections.abc import Awaitable, Callable
from pathlib import Path

import numpy as np
import pytest

from astrod.domain.watching import WatchSetup
from astrod.errors import AstrodError, RecoverDevice
from astrod.rig.port import DirectSession, Port
from astrod.runtime.clock import SimClock, VirtualLoop, WallClock, run_virtual
from astrod.watch.source import CameraSource, FolderSource, PictureSource
from astrod_drivers.sim.allsky import SimAllSky
from astrod_drivers.sim.setup import ObservatorySetup
from astrod_drivers.sim.weather import Climate
from tests.rig.devices import MIDNIGHT_US


def on_clock(story: Callable[[SimClock], Awaitable[None]]) -> None:
    async def play(loop: VirtualLoop) -> None:
        await story(SimClock(loop, MIDNIGHT_US))

    run_virtual(play)


def test_a_camera_of_ours_is_exposed_once_a_minute_without_anybodys_leave(tmp_path: Path) -> None:
    async def story(clock: SimClock) -> None:
        setup = ObservatorySetup(allsky="allsky", meteors_per_hour=100.0)
        device = SimAllSky(setup, Climate(setup), clock, tmp_path)
        port = Port("watch roof", "camera", "sim://allsky", DirectSession(device), clock)
        keeping = asyncio.create_task(port.keep())
        await port.found(5.0)
        source = CameraSource(WatchSetup("roof", "sim://allsky", every_s=60.0, exposure_s=10.0), port, clock)
        first, second = await source.next(), await source.next()
        assert second.at_us - first.at_us == pytest.approx(60e6, abs=1e6)
        assert first.ours and first.exposure_s == 10.0
        picture = np.load(first.path)
        assert picture.shape == (480, 480) and picture.dtype == np.uint16
        keeping.cancel()
        with pytest.raises(asyncio.CancelledError):
            await keeping

    on_clock(story)


def test_a_picture_is_looked_at_when_it_has_changed_and_settled(tmp_path: Path) -> None:
    async def story() -> None:
        path = tmp_path / "image.jpg"
        source = PictureSource(WatchSetup("roof", f"picture://{path}", every_s=5.0), WallClock())
        path.write_bytes(b"one")
        os.utime(path, ns=(10**18, 10**18))
        async with asyncio.timeout(10.0):
            seen = await source.next()
        assert (seen.path, seen.at_us, seen.ours) == (path, 10**15, False)
        waiting = asyncio.create_task(source.next())
        await asyncio.sleep(0.2)
        assert not waiting.done(), "nothing new yet"
        path.write_bytes(b"another")
        async with asyncio.timeout(15.0):
            assert (await waiting).at_us != 10**15
        assert path.exists(), "it is not ours to remove"

    asyncio.run(story())


def test_a_picture_that_nobody_writes_any_more_is_told_of() -> None:
    async def story(clock: SimClock) -> None:
        source = PictureSource(WatchSetup("roof", "picture:///nowhere/image.jpg"), clock)
        with pytest.raises(RecoverDevice, match=r"/nowhere/image.jpg has not changed for 240 s; is its program on"):
            await source.next()

    on_clock(story)


def test_of_a_folder_the_newest_of_a_backlog_and_then_all_that_comes(tmp_path: Path) -> None:
    async def story() -> None:
        for number in range(6):
            path = tmp_path / f"FF_{number}.fits"
            path.write_bytes(b"x")
            os.utime(path, (1000 + number, 1000 + number))
        (tmp_path / "notes.txt").write_text("not a picture")
        source = FolderSource(WatchSetup("roof", f"folder://{tmp_path}"), WallClock())
        seen = [(await source.next()).path.name for _ in range(3)]
        assert seen == ["FF_3.fits", "FF_4.fits", "FF_5.fits"]
        late = tmp_path / "night" / "FF_7.fits.gz"
        late.parent.mkdir()
        late.write_bytes(b"x")
        async with asyncio.timeout(20.0):
            assert (await source.next()).path == late

    asyncio.run(story())


def test_a_folder_that_is_not_there_says_so(tmp_path: Path) -> None:
    async def story() -> None:
        source = FolderSource(WatchSetup("roof", f"folder://{tmp_path}/gone"), WallClock())
        with pytest.raises(AstrodError, match="is its disk mounted"):
            await source.next()

    asyncio.run(story())
