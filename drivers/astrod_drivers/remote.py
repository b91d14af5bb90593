"""Devices in another process, as if they were here: one proxy for each protocol, one line for each method.

Each call has a deadline, after which DeadlineMissed says that the outcome is unknown. A command returns when
it is accepted, so seconds are enough; `connect` may have to start a driver, `fetch` waits for pixels.
"""

from collections.abc import Mapping
from typing import Any, Protocol

from astrod_drivers.protocols import (
    Camera,
    CameraInfo,
    CameraState,
    Compass,
    Cover,
    CoverState,
    Device,
    FilterWheel,
    Focuser,
    FocuserState,
    Guider,
    GuiderState,
    Mount,
    MountBelief,
    MountState,
    Permit,
    RawFrame,
    Roof,
    RoofState,
    Rotator,
    RotatorState,
    SafetyMonitor,
    SafetyReading,
    Shot,
    SiteFix,
    Switch,
    SwitchState,
    Weather,
    WeatherReading,
    WheelState,
)
from astrod_drivers.wire import decode

DEADLINES_S: Mapping[str, float] = {
    "connect": 30.0,
    "disconnect": 5.0,
    "read": 3.0,
    "describe": 5.0,
    "set_site": 10.0,
    "unpark": 10.0,
    "slew": 10.0,
    "set_tracking": 10.0,
    "believes": 5.0,
    "sync": 10.0,
    "pulse": 5.0,
    "abort": 5.0,
    "park": 10.0,
    "set_park": 15.0,
    "cool": 10.0,
    "expose": 10.0,
    "fetch": 120.0,
    "move": 10.0,
    "select": 10.0,
    "open": 10.0,
    "close": 10.0,
    "light": 10.0,
    "set": 10.0,
    "dim": 10.0,
    "turn": 10.0,
    "start": 10.0,
    "dither": 10.0,
    "stop": 15.0,
}


class Caller(Protocol):
    """Whoever carries calls to the other process: a `session.Session`, or a bare `wire.Connection`."""

    async def call(self, device: str, method: str, args: Mapping[str, object], deadline_s: float) -> Any: ...


class Remote(Device):
    """What all proxies share. `deadlines_s` replaces entries of DEADLINES_S, by method."""

    def __init__(self, caller: Caller, name: str, deadlines_s: Mapping[str, float] | None = None) -> None:
        self._caller = caller
        self._name = name
        self.deadlines_s = {**DEADLINES_S, **(deadlines_s or {})}

    async def _call(self, method: str, **args: object) -> Any:
        return await self._caller.call(self._name, method, args, self.deadlines_s[method])

    async def connect(self) -> None:
        await self._call("connect")

    async def disconnect(self) -> None:
        await self._call("disconnect")


class RemoteMount(Remote, Mount):
    """A mount elsewhere."""

    async def set_site(self, site: SiteFix, utc_us: int) -> None:
        await self._call("set_site", site=site, utc_us=utc_us)

    async def read(self) -> MountState:
        return decode(MountState, await self._call("read"))

    async def unpark(self, permit: Permit) -> None:
        await self._call("unpark", permit=permit)

    async def slew(self, ra_deg: float, dec_deg: float, permit: Permit) -> None:
        await self._call("slew", ra_deg=ra_deg, dec_deg=dec_deg, permit=permit)

    async def believes(self) -> MountBelief:
        return decode(MountBelief, await self._call("believes"))

    async def sync(self, ra_deg: float, dec_deg: float) -> None:
        await self._call("sync", ra_deg=ra_deg, dec_deg=dec_deg)

    async def pulse(self, towards: Compass, duration_s: float) -> None:
        await self._call("pulse", towards=towards, duration_s=duration_s)

    async def set_tracking(self, on: bool) -> None:
        await self._call("set_tracking", on=on)

    async def abort(self) -> None:
        await self._call("abort")

    async def park(self) -> None:
        await self._call("park")

    async def set_park(self) -> None:
        await self._call("set_park")


class RemoteCamera(Remote, Camera):
    """A camera elsewhere."""

    async def describe(self) -> CameraInfo:
        return decode(CameraInfo, await self._call("describe"))

    async def read(self) -> CameraState:
        return decode(CameraState, await self._call("read"))

    async def cool(self, target_c: float | None) -> None:
        await self._call("cool", target_c=target_c)

    async def expose(self, shot: Shot, permit: Permit) -> None:
        await self._call("expose", shot=shot, permit=permit)

    async def fetch(self, exposure_id: str) -> RawFrame:
        return decode(RawFrame, await self._call("fetch", exposure_id=exposure_id))

    async def abort(self) -> None:
        await self._call("abort")


class RemoteFocuser(Remote, Focuser):
    """A focuser elsewhere."""

    async def read(self) -> FocuserState:
        return decode(FocuserState, await self._call("read"))

    async def move(self, position: int) -> None:
        await self._call("move", position=position)

    async def abort(self) -> None:
        await self._call("abort")


class RemoteWheel(Remote, FilterWheel):
    """A filter wheel elsewhere."""

    async def read(self) -> WheelState:
        return decode(WheelState, await self._call("read"))

    async def select(self, name: str) -> None:
        await self._call("select", name=name)


class RemoteRotator(Remote, Rotator):
    """A rotator elsewhere."""

    async def read(self) -> RotatorState:
        return decode(RotatorState, await self._call("read"))

    async def move(self, angle_deg: float) -> None:
        await self._call("move", angle_deg=angle_deg)

    async def abort(self) -> None:
        await self._call("abort")


class RemoteRoof(Remote, Roof):
    """A roof or dome elsewhere."""

    async def read(self) -> RoofState:
        return decode(RoofState, await self._call("read"))

    async def open(self, permit: Permit) -> None:
        await self._call("open", permit=permit)

    async def close(self) -> None:
        await self._call("close")

    async def turn(self, azimuth_deg: float) -> None:
        await self._call("turn", azimuth_deg=azimuth_deg)

    async def abort(self) -> None:
        await self._call("abort")


class RemoteCover(Remote, Cover):
    """A telescope cover elsewhere."""

    async def read(self) -> CoverState:
        return decode(CoverState, await self._call("read"))

    async def open(self, permit: Permit) -> None:
        await self._call("open", permit=permit)

    async def close(self) -> None:
        await self._call("close")

    async def light(self, brightness: int) -> None:
        await self._call("light", brightness=brightness)


class RemoteSwitch(Remote, Switch):
    """Power outlets elsewhere."""

    async def read(self) -> SwitchState:
        return decode(SwitchState, await self._call("read"))

    async def set(self, name: str, on: bool) -> None:
        await self._call("set", name=name, on=on)

    async def dim(self, name: str, percent: float) -> None:
        await self._call("dim", name=name, percent=percent)


class RemoteWeather(Remote, Weather):
    """A weather station elsewhere."""

    async def read(self) -> WeatherReading:
        return decode(WeatherReading, await self._call("read"))


class RemoteSafetyMonitor(Remote, SafetyMonitor):
    """A safety monitor elsewhere."""

    async def read(self) -> SafetyReading:
        return decode(SafetyReading, await self._call("read"))


class RemoteGuider(Remote, Guider):
    """A guider elsewhere."""

    async def read(self) -> GuiderState:
        return decode(GuiderState, await self._call("read"))

    async def start(self, permit: Permit) -> None:
        await self._call("start", permit=permit)

    async def dither(self, amount_px: float, permit: Permit) -> None:
        await self._call("dither", amount_px=amount_px, permit=permit)

    async def stop(self) -> None:
        await self._call("stop")


PROXIES: dict[str, type[Remote]] = {
    "mount": RemoteMount,
    "camera": RemoteCamera,
    "focuser": RemoteFocuser,
    "wheel": RemoteWheel,
    "rotator": RemoteRotator,
    "roof": RemoteRoof,
    "cover": RemoteCover,
    "switch": RemoteSwitch,
    "weather": RemoteWeather,
    "safety_monitor": RemoteSafetyMonitor,
    "guider": RemoteGuider,
}
