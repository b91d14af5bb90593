"""A bench: one observatory's devices, whatever is behind them, for the contract suite."""

import asyncio
import subprocess
from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, TypeVar, cast

from astrod_drivers.indi.server import SIMULATORS, IndiServer
from astrod_drivers.permit import EpochPage
from astrod_drivers.protocols import Camera, Clock, FilterWheel, Focuser, Mount, Permit, Roof, Weather
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
from astrod_drivers.sim.observatory import Observatory
from astrod_drivers.sim.render import save
from astrod_drivers.sim.scene import Scene, Sensor
from astrod_drivers.sim.setup import (
    CameraSetup,
    CoverSetup,
    FocuserSetup,
    MountSetup,
    ObservatorySetup,
    Outlet,
    RoofSetup,
    RotatorSetup,
    SwitchSetup,
    TrainSetup,
    WheelSetup,
)
from astrod_drivers.wallclock import WallClock

T = TypeVar("T")
R = TypeVar("R", bound=Remote)


class Bench(ABC):
    """Connected devices by kind, a safety epoch that is open, and a clock to wait by."""

    clock: Clock = WallClock()

    def __init__(self, folder: Path) -> None:
        self.spool = folder / "spool"
        self.spool.mkdir(exist_ok=True)
        self.gate = EpochPage(folder / "epoch")
        self.permit = Permit(self.gate.become_safe())

    @abstractmethod
    async def mount(self) -> Mount: ...

    @abstractmethod
    async def camera(self) -> Camera: ...

    @abstractmethod
    async def focuser(self) -> Focuser: ...

    @abstractmethod
    async def wheel(self) -> FilterWheel: ...

    @abstractmethod
    async def roof(self) -> Roof: ...

    @abstractmethod
    async def weather(self) -> Weather: ...

    async def close(self) -> None:
        """Let go of everything."""
        self.gate.close()

    async def until(self, read: Callable[[], Awaitable[T]], good: Callable[[T], bool], deadline_s: float = 30.0) -> T:
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

    def set(self, device: str, setting: str) -> None:
        """Work the simulator's own knobs: `PROPERTY.ELEMENT=VALUE`."""
        command = ["indi_setprop", "-h", "127.0.0.1", "-p", str(self.server.port), f"{device}.{setting}"]
        subprocess.run(command, check=True, timeout=10.0, capture_output=True)

    def get(self, name: str) -> str:
        """What `indi_getprop` says of `DEVICE.PROPERTY.ELEMENT`."""
        command = ["indi_getprop", "-h", "127.0.0.1", "-p", str(self.server.port), name]
        return subprocess.run(command, check=True, timeout=10.0, capture_output=True, text=True).stdout


class SimBench(Bench):
    """The simulated observatory, in this process and in real time."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.observatory = Observatory(QUICK, self.clock, self.gate, self.spool, rendered)

    async def device(self, kind: str) -> Any:
        """The connected device of that kind; its name is its kind."""
        device = self.observatory.device(kind)
        await device.connect()
        return device

    async def mount(self) -> Mount:
        return cast(Mount, await self.device("mount"))

    async def camera(self) -> Camera:
        return cast(Camera, await self.device("camera"))

    async def focuser(self) -> Focuser:
        return cast(Focuser, await self.device("focuser"))

    async def wheel(self) -> FilterWheel:
        return cast(FilterWheel, await self.device("wheel"))

    async def roof(self) -> Roof:
        return cast(Roof, await self.device("roof"))

    async def weather(self) -> Weather:
        return cast(Weather, await self.device("weather"))

    async def close(self) -> None:
        await self.observatory.close()
        await super().close()


async def rendered(scene: Scene, path: Path) -> None:
    """The frame of a scene, off the loop."""
    await asyncio.to_thread(save, scene, path)


QUICK = ObservatorySetup(
    roof=RoofSetup(travel_s=2.0),
    switch=SwitchSetup(outlets=(Outlet("Flat lamp"), Outlet("Dew heater", dims=True))),
    mounts=(
        MountSetup(
            slew_deg_s=90.0,
            settle_s=0.2,
            trains=(
                TrainSetup(
                    camera=CameraSetup(sensor=Sensor(width_px=484, height_px=274), readout_s=0.2),
                    focuser=FocuserSetup(steps_s=2000.0),
                    wheel=WheelSetup(step_s=0.2),
                    rotator=RotatorSetup(rate_deg_s=80.0),
                    cover=CoverSetup(starts_open=True, travel_s=1.0),
                ),
            ),
        ),
    ),
)
DOME = ObservatorySetup(
    mounts=(), weather=None, safety_monitor=None, roof=RoofSetup("dome", travel_s=2.0, kind="dome", turn_deg_s=60.0)
)
