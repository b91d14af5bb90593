"""A bench: one observatory's devices, whatever is behind them, for the contract suite."""

import shutil
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TypeVar

from tests.indiserver import SIMULATORS, IndiServer

from astrod_drivers.permit import EpochPage
from astrod_drivers.protocols import Camera, Clock, Device, FilterWheel, Focuser, Mount, Permit, Roof, Weather
from astrod_drivers.remote import (
    Remote,
    RemoteCamera,
    RemoteFocuser,
    RemoteMount,
    RemoteRoof,
    RemoteWeather,
    RemoteWheel,
)
from astrod_drivers.session import Session, open_session
from astrod_drivers.wallclock import WallClock

T = TypeVar("T")
R = TypeVar("R", bound=Remote)


class Bench:
    """Connected devices by kind, a safety epoch that is open, and a clock to wait by."""

    clock: Clock = WallClock()

    def __init__(self, folder: Path) -> None:
        self.spool = folder / "spool"
        self.spool.mkdir()
        self.gate = EpochPage(folder / "epoch")
        self.permit = Permit(self.gate.become_safe())

    async def mount(self) -> Mount:
        raise NotImplementedError

    async def camera(self) -> Camera:
        raise NotImplementedError

    async def focuser(self) -> Focuser:
        raise NotImplementedError

    async def wheel(self) -> FilterWheel:
        raise NotImplementedError

    async def roof(self) -> Roof:
        raise NotImplementedError

    async def weather(self) -> Weather:
        raise NotImplementedError

    async def close(self) -> None:
        """Let go of everything."""
        self.gate.close()
        shutil.rmtree(self.spool)

    async def until(
        self, read: Callable[[], Awaitable[T]], good: Callable[[T], bool], deadline_s: float = 30.0
    ) -> T:
        """The first reading that is good; fails when there is none in time."""
        deadline = self.clock.monotonic_s() + deadline_s
        while not good(state := await read()):
            assert self.clock.monotonic_s() < deadline, f"still {state} after {deadline_s} s"
            await self.clock.sleep(0.1)
        return state


class SessionBench(Bench):
    """Devices behind sessions: `address(kind)` says where each is."""

    def __init__(self, folder: Path, address: Callable[[str], str], sim_socket: Path | None = None) -> None:
        super().__init__(folder)
        self._address = address
        self._sim_socket = sim_socket
        self.sessions: dict[str, Session] = {}

    def session(self, kind: str) -> Session:
        """The session of that kind, not started."""
        if kind not in self.sessions:
            self.sessions[kind] = open_session(
                self._address(kind),
                kind,
                spool=self.spool,
                gate_path=self.gate.path,
                sim_socket=self._sim_socket,
                deadlines_s={"fetch": 20.0},
            )
        return self.sessions[kind]

    async def device(self, kind: str, proxy: type[R]) -> R:
        """The started device of that kind."""
        session = self.session(kind)
        await session.start(30.0)
        return session.device_as(proxy)

    async def mount(self) -> Mount:
        return await self.device("mount", RemoteMount)

    async def camera(self) -> Camera:
        return await self.device("camera", RemoteCamera)

    async def focuser(self) -> Focuser:
        return await self.device("focuser", RemoteFocuser)

    async def wheel(self) -> FilterWheel:
        return await self.device("wheel", RemoteWheel)

    async def roof(self) -> Roof:
        return await self.device("roof", RemoteRoof)

    async def weather(self) -> Weather:
        return await self.device("weather", RemoteWeather)

    async def close(self) -> None:
        for session in self.sessions.values():
            await session.kill()
        await super().close()


class IndiBench(SessionBench):
    """A real indiserver with Debian's simulators, each behind its host process."""

    def __init__(self, folder: Path, server: IndiServer) -> None:
        super().__init__(folder, lambda kind: server.address(SIMULATORS[kind][1]))
        self.server = server


async def connected(device: Device) -> None:
    """Connecting again is harmless, so every test may begin with it."""
    await device.connect()
