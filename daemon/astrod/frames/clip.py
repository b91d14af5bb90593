"""Video, file or stream, frame by frame into stacks, in memory that does not grow; the one door to PyAV."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from astrod.errors import InputInvalid
from astrod.frames.stack import Stack

BLOCK_FRAMES = 256
"""Frames of one stack, as RMS has them: ten seconds at 25 a second."""

_SHORT = 64
_TEXT_AS_VIDEO = ("tty", "bin", "xbin", "adf", "idf")
"""FFmpeg plays any text as a picture of a terminal."""


class Stacker:
    """What frames leave behind, one after the other: maximum, its frame, and sums.

    Means and spreads leave out each pixel's brightest frame, as RMS does, so that a short light does not
    raise them.
    """

    def __init__(self, shape: tuple[int, int], first: int, fps: float) -> None:
        """For frames of `shape`, the first of which has the number `first` in its video."""
        self.first = first
        self.count = 0
        self._fps = fps
        self._maximum = np.zeros(shape, dtype=np.uint8)
        self._frame = np.zeros(shape, dtype=np.uint16)
        self._total = np.zeros(shape, dtype=np.uint32)
        self._squares = np.zeros(shape, dtype=np.uint32)

    @property
    def shape(self) -> tuple[int, ...]:
        """(height, width) of the frames."""
        return self._maximum.shape

    def add(self, frame: NDArray[np.uint8]) -> None:
        """The next frame; at most 65,000 of them."""
        np.copyto(self._frame, self.count, where=frame > self._maximum)
        np.maximum(self._maximum, frame, out=self._maximum)
        self._total += frame
        self._squares += np.multiply(frame, frame, dtype=np.uint16)
        self.count += 1

    def join(self, later: "Stacker") -> None:
        """Take in the frames of another, which came right after."""
        brighter = later._maximum > self._maximum
        self._frame[brighter] = later._frame[brighter] + self.count
        np.maximum(self._maximum, later._maximum, out=self._maximum)
        self._total += later._total
        self._squares += later._squares
        self.count += later.count

    def stack(self) -> Stack:
        """What there is by now; a single image where it was one frame."""
        if self.count == 1:
            return Stack(self._maximum.copy(), first=self.first, fps=self._fps)
        others = np.float32(self.count - 1)
        top = self._maximum.astype(np.float32)
        mean = (self._total - top) / others
        variance = (self._squares - top * top) / others - mean * mean
        return Stack(
            self._maximum.copy(),
            self._frame.astype(np.int32),
            mean.astype(np.float32),
            np.sqrt(np.maximum(variance, 0.0)).astype(np.float32),
            count=self.count,
            first=self.first,
            fps=self._fps,
        )


def stacks_of(source: str | Path, block_frames: int = BLOCK_FRAMES) -> Iterator[Stack]:
    """Stacks of a video's frames, each of `block_frames`; a short rest at the end joins the stack before it.

    `source` is a file, a device (`/dev/video0`) or an address (`rtsp://…`). A video that breaks off yields what
    it had. Raises InputInvalid where there is no frame at all.
    """
    held: Stacker | None = None
    filling: Stacker | None = None
    for seen, (frame, fps) in enumerate(_frames(source)):
        if filling is None or filling.count == block_frames or frame.shape != filling.shape:
            if held is not None:
                yield held.stack()
            held, filling = filling, Stacker((frame.shape[0], frame.shape[1]), seen, fps)
        filling.add(frame)
    if filling is None:
        raise InputInvalid(f"{source}: no frame of video in it; give FITS, JPEG, PNG or a video that plays")
    if held is not None and held.shape == filling.shape and filling.count < _SHORT:
        held.join(filling)
        yield held.stack()
        return
    if held is not None:
        yield held.stack()
    yield filling.stack()


def _frames(source: str | Path) -> Iterator[tuple[NDArray[np.uint8], float]]:
    """Brightness of each frame, 8 bits, and the frames per second (0 where unknown)."""
    import av

    try:
        container = av.open(str(source), format="v4l2" if str(source).startswith("/dev/video") else None)
    except (av.error.FFmpegError, OSError, ValueError) as fault:
        raise InputInvalid(f"{source}: neither FITS, a picture nor a video ({fault})") from fault
    with container:
        if not container.streams.video or container.format.name in _TEXT_AS_VIDEO:
            raise InputInvalid(f"{source}: neither FITS, a picture nor a video; give one of these")
        stream = container.streams.video[0]
        fps = float(stream.average_rate or 0.0)
        stream.thread_type = "NONE"
        frames = container.decode(stream)
        while True:
            try:
                frame = next(frames, None)
            except (av.error.FFmpegError, OSError, ValueError):
                return  # cut short: what came before counts
            if frame is None:
                return
            yield _brightness(frame), fps


def _brightness(frame: Any) -> NDArray[np.uint8]:
    """The frame's luma as it is, where it is a plane of bytes; else converted."""
    name = frame.format.name
    if name.startswith(("yuv4", "yuvj4", "nv12", "nv21", "gray8", "gray")) and not name.endswith(("le", "be")):
        plane = frame.planes[0]
        rows = np.frombuffer(plane, dtype=np.uint8).reshape(-1, plane.line_size)
        return np.ascontiguousarray(rows[: frame.height, : frame.width])
    return np.asarray(frame.to_ndarray(format="gray"), dtype=np.uint8)
