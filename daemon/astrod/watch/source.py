"""Where a watch's pictures come from: a camera of ours, a file or folder of somebody else's, or a video.

A source waits until there is something new and gives it out as a `Glance`. It never takes another program's camera,
and never removes what is not its own.
"""

import asyncio
import itertools
import json
import logging
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from astrod.domain.instant import SECOND_US
from astrod.domain.watching import WatchSetup
from astrod.errors import Bug, RecoverDevice
from astrod.rig.port import Port
from astrod.runtime.clock import Clock
from astrod_drivers.protocols import Camera, Permit, Shot

log = logging.getLogger(__name__)

READ_OUT_S = 60.0
SETTLED_S = 2.0
"""A file that has not grown for so long is whole."""
LOOK_S = 5.0
PICTURES = (".jpg", ".jpeg", ".png", ".fits", ".fit", ".fts", ".fits.gz", ".fit.gz", ".npy")
_NO_PERMIT = Permit(-1)


@dataclass(frozen=True, slots=True)
class Glance:
    """A picture or stack to look at. `ours` says that the file is to be removed when it was looked at."""

    path: Path
    at_us: int
    exposure_s: float
    ours: bool


class SkySource(Protocol):
    """What a watch watches."""

    async def next(self) -> Glance:
        """Wait for something new. Raises RecoverDevice while nothing comes."""


class CameraSource:
    """A camera that astrod exposes itself, one exposure each `every_s`. It stands in the open and needs no permit."""

    def __init__(self, setup: WatchSetup, port: Port[Camera], clock: Clock) -> None:
        self._setup, self._port, self._clock = setup, port, clock
        self._numbers: Iterator[int] = itertools.count(1)
        self._due_us = 0

    async def next(self) -> Glance:
        """See `SkySource`. Raises RecoverDevice, OutcomeUnknown, Replan of the port."""
        while (rest_us := self._due_us - self._clock.now_us()) > 0:
            await self._clock.sleep(rest_us / SECOND_US)
        self._due_us = self._clock.now_us() + round(self._setup.every_s * SECOND_US)
        name = f"watch-{self._setup.name}-{self._clock.now_us()}-{next(self._numbers)}"
        shot = Shot(name, self._setup.exposure_s, sight=True)
        await self._port.call("expose", lambda camera: camera.expose(shot, _NO_PERMIT))
        await self._clock.sleep(self._setup.exposure_s)
        frame = await self._port.call("fetch", lambda camera: camera.fetch(name), READ_OUT_S)
        return Glance(frame.path, frame.started_us, frame.exposure_s, ours=True)


class PictureSource:
    """A picture that another program writes over and over: looked at again whenever it has changed and settled."""

    def __init__(self, setup: WatchSetup, clock: Clock) -> None:
        self._path = Path(setup.source.removeprefix("picture://"))
        self._setup, self._clock = setup, clock
        self._seen: tuple[int, int] | None = None

    async def next(self) -> Glance:
        """See `SkySource`. The picture's time is that of its file."""
        patience_s = max(4.0 * self._setup.every_s, 120.0)
        began_s = self._clock.monotonic_s()
        while self._clock.monotonic_s() - began_s < patience_s:
            found = await self._changed()
            if found is not None:
                self._seen = found
                return Glance(self._path, found[0] // 1000, self._setup.exposure_s, ours=False)
            await self._clock.sleep(min(LOOK_S, self._setup.every_s))
        raise RecoverDevice(
            self._setup.name, f"{self._path} has not changed for {patience_s:.0f} s; is its program on?"
        )

    async def _changed(self) -> tuple[int, int] | None:
        now = _stamp(self._path)
        if now is None or now == self._seen:
            return None
        await self._clock.sleep(SETTLED_S)
        return now if _stamp(self._path) == now else None


class FolderSource:
    """A folder that another program fills: every new picture or stack in it, oldest first, the last of a backlog."""

    BACKLOG = 3
    """So many of the files that are there already are looked at: what is older is history."""

    def __init__(self, setup: WatchSetup, clock: Clock) -> None:
        self._folder = Path(setup.source.removeprefix("folder://"))
        self._setup, self._clock = setup, clock
        self._done: set[Path] | None = None
        self._waiting: list[tuple[int, Path]] = []

    async def next(self) -> Glance:
        """See `SkySource`. A file's time is that of its last change."""
        patience_s = max(4.0 * self._setup.every_s, 600.0)
        began_s = self._clock.monotonic_s()
        while not self._waiting:
            if self._clock.monotonic_s() - began_s > patience_s:
                raise RecoverDevice(self._setup.name, f"nothing new in {self._folder} for {patience_s:.0f} s")
            await self._look()
            if not self._waiting:
                await self._clock.sleep(LOOK_S)
        changed_ns, path = self._waiting.pop(0)
        return Glance(path, changed_ns // 1000, self._setup.exposure_s, ours=False)

    async def _look(self) -> None:
        found = await asyncio.to_thread(self._files)  # a card or a share may be slow
        if self._done is None:
            self._done = set(sorted(found, key=lambda path: found[path][0])[: -self.BACKLOG])
        fresh = {path: stamp for path, stamp in found.items() if path not in self._done}
        if not fresh:
            return
        await self._clock.sleep(SETTLED_S)
        whole = sorted((stamp[0], path) for path, stamp in fresh.items() if _stamp(path) == stamp)
        self._waiting += whole
        self._done |= {path for _, path in whole}

    def _files(self) -> dict[Path, tuple[int, int]]:
        """Each picture with its stamp. Raises RecoverDevice for a folder that is not there."""
        if not self._folder.is_dir():
            raise RecoverDevice(self._setup.name, f"there is no folder {self._folder}; is its disk mounted?")
        paths = [path for path in self._folder.rglob("*") if path.name.lower().endswith(PICTURES)]
        return {path: stamp for path in paths if (stamp := _stamp(path)) is not None}


class StreamSource:
    """A video file or a live stream, through a pump of its own (`watch.pump`), started again when it ends or hangs."""

    def __init__(self, setup: WatchSetup, spool: Path, clock: Clock) -> None:
        scheme, _, rest = setup.source.partition("://")
        self._name = setup.name
        self._address = setup.source if scheme == "rtsp" else rest
        self._is_file = scheme == "video"
        self._spool, self._clock = spool, clock
        self._pump: asyncio.subprocess.Process | None = None
        self._stack_s = 60.0

    async def next(self) -> Glance:
        """See `SkySource`. Raises RecoverDevice when the pump ended, or brings nothing for a minute."""
        pump = self._pump or await self._start()
        if pump.stdout is None:
            raise Bug("the pump was started without a pipe")
        try:
            async with asyncio.timeout(self._stack_s):
                line = await pump.stdout.readline()
        except TimeoutError as fault:
            await self._end()
            raise RecoverDevice(self._name, f"{self._address} brings no frames for {self._stack_s:.0f} s") from fault
        if not line:
            said = await self._end()
            why = said or ("it was played to its end" if self._is_file else "the stream ended")
            raise RecoverDevice(self._name, f"{self._address}: {why}")
        told = json.loads(line)
        return Glance(Path(told["path"]), told["at_us"], told["exposure_s"], ours=True)

    async def _start(self) -> asyncio.subprocess.Process:
        words = ("-m", "astrod.watch.pump", self._address, "--spool", str(self._spool))
        self._pump = await asyncio.create_subprocess_exec(
            sys.executable, *words, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
        )
        return self._pump

    async def _end(self) -> str:
        """Kill what is left of the pump; returns its last words."""
        pump, self._pump = self._pump, None
        if pump is None or pump.stderr is None:
            return ""
        if pump.returncode is None:
            pump.kill()
        said = await pump.stderr.read()
        await pump.wait()
        lines = said.decode(errors="replace").strip().splitlines()
        return lines[-1] if lines else ""


def source_of(setup: WatchSetup, camera: Port[Camera] | None, spool: Path, clock: Clock) -> SkySource:
    """The source that a watch's address names; `camera` is its port where it is one of ours."""
    match setup.kind:
        case "picture":
            return PictureSource(setup, clock)
        case "folder":
            return FolderSource(setup, clock)
        case "video":
            return StreamSource(setup, spool, clock)
        case "camera":
            if camera is None:
                raise Bug(f"watch {setup.name}: no port to its camera")
            return CameraSource(setup, camera, clock)


def _stamp(path: Path) -> tuple[int, int] | None:
    """When a file was changed, nanoseconds, and its size; None where there is none, or it is empty."""
    try:
        status = path.stat()
    except OSError:
        return None
    return (status.st_mtime_ns, status.st_size) if status.st_size else None
