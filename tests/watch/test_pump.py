"""Video through a process of its own: stacks that are whole, their times, and an end that is told."""

import asyncio
from pathlib import Path

import av
import numpy as np
import pytest

from astrod.domain.watching import WatchSetup
from astrod.errors import RecoverDevice
from astrod.frames.stack import read_stack
from astrod.runtime.clock import WallClock
from astrod.watch.pump import pump
from astrod.watch.source import StreamSource

FRAMES, FPS = 300, 25


@pytest.fixture(scope="module")
def video(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Twelve seconds of noise in which a light crosses from frame 40 to frame 60."""
    path = tmp_path_factory.mktemp("video") / "night.mp4"
    random = np.random.default_rng(1)
    with av.open(str(path), "w") as container:
        stream = container.add_stream("mpeg4", rate=FPS)
        stream.width, stream.height, stream.pix_fmt = 160, 120, "yuv420p"
        stream.bit_rate = 4_000_000
        for number in range(FRAMES):
            picture = random.normal(30.0, 3.0, (120, 160))
            if 40 <= number < 60:
                at = 20 + 5 * (number - 40)
                picture[58:62, at : at + 4] = 240.0
            grey = np.clip(picture, 0, 255).astype(np.uint8)
            frame = av.VideoFrame.from_ndarray(np.repeat(grey[:, :, None], 3, axis=2), format="rgb24")
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


def test_a_stack_is_written_as_rms_writes_it_with_the_time_of_its_first_frame(video: Path, tmp_path: Path) -> None:
    (told,) = pump(str(video), tmp_path, WallClock())  # the short rest joins the one before it
    assert told["at_us"] == video.stat().st_mtime_ns // 1000
    assert told["exposure_s"] == pytest.approx(FRAMES / FPS)
    stack = read_stack(Path(str(told["path"])))
    assert stack is not None and stack.count == FRAMES and stack.fps == FPS
    assert stack.frame is not None and stack.mean is not None
    assert stack.maximum[60, 72] > 180 and abs(int(stack.frame[60, 72]) - 50) <= 1
    assert stack.mean[60, 72] < 60
    assert sorted(path.suffix for path in tmp_path.iterdir()) == [".fits"]


def test_a_watch_of_a_video_gets_its_stacks_and_hears_of_its_end(video: Path, tmp_path: Path) -> None:
    async def story() -> None:
        source = StreamSource(WatchSetup("roof", f"video://{video}"), tmp_path, WallClock())
        glance = await source.next()
        assert glance.ours and glance.path.parent == tmp_path
        with pytest.raises(RecoverDevice, match="it was played to its end"):
            await source.next()

    asyncio.run(story())


def test_what_is_no_video_is_told_in_the_pumps_own_words(tmp_path: Path) -> None:
    async def story() -> None:
        path = tmp_path / "notes.mp4"
        path.write_text("not a video")
        source = StreamSource(WatchSetup("roof", f"video://{path}"), tmp_path, WallClock())
        with pytest.raises(RecoverDevice, match=r"notes\.mp4"):
            await source.next()

    asyncio.run(story())
