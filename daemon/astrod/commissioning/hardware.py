"""What is there: servers asked for their devices, devices connected and read, a roof watched as a person moves it."""

import asyncio
import math
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

from astrod.domain.site import Place, TimeSetup
from astrod.domain.standing import differences
from astrod.errors import Replan
from astrod.rig.standing import belief_of
from astrod.runtime.clock import Clock
from astrod_drivers.protocols import (
    Aperture,
    CameraInfo,
    CameraState,
    CoverState,
    FocuserState,
    MountState,
    Roof,
    RotatorState,
    SafetyReading,
    SwitchState,
    WeatherReading,
    WheelState,
)
from astrod_drivers.session import Session

CONNECT_S = 30.0
READ_S = 10.0
LOOK_S = 0.2
SIMULATED = {
    "mount": "sim://mount",
    "camera": "sim://camera",
    "focuser": "sim://focuser",
    "wheel": "sim://wheel",
    "roof": "sim://roof",
    "weather": "sim://weather",
}
"""The simulated observatory's devices. They are there while `astrod run` or a rehearsal runs, and not now."""

OpenSession = Callable[[str, str], Session]
"""A session to a device by address and kind, not started. Raises DriverError."""


@dataclass(frozen=True, slots=True)
class Offered:
    """A device that can be used as `kind`."""

    kind: str
    name: str
    address: str


@dataclass(frozen=True, slots=True)
class Known:
    """What a device said: in words for its owner, and its state and description for what is asked next."""

    words: tuple[str, ...]
    state: Any
    info: CameraInfo | None = None


def simulated() -> list[Offered]:
    """The simulated observatory."""
    return [Offered(kind, f"simulated {kind}", address) for kind, address in SIMULATED.items()]


async def indi_devices(host: str, port: int, clock: Clock) -> list[Offered]:
    """What an indiserver has; a device that is several things stands under each. Raises Unreachable."""
    from astrod_drivers.indi.discovery import find

    found = await find(host, port, clock)
    return [Offered(kind, device.name, device.address) for device in found for kind in device.kinds]


async def alpaca_devices(clock: Clock, to: Sequence[str] | None = None, port: int | None = None) -> list[Offered]:
    """What the Alpaca servers of the network have; `to` and `port` are whom to ask instead of everybody."""
    from astrod_drivers.alpaca.discovery import DISCOVERY_PORT, find

    servers = await find(clock, to=to, port=port or DISCOVERY_PORT)
    return [
        Offered(device.kind, device.name or device.address, device.address)
        for server in servers
        for device in server.devices
        if device.kind is not None
    ]


async def look(open_session: OpenSession, kind: str, address: str, place: Place, clock: Clock) -> Known:
    """Connect a device, read it and let it go. Raises DriverError, TimeoutError, OSError."""
    async with _connected(open_session, kind, address) as device, asyncio.timeout(READ_S):
        state = await device.read()
        info = await device.describe() if kind == "camera" else None
        words = [*_described(info), *_read(state)]
        if kind == "mount":
            said = belief_of(await device.believes())
            words += [f"but {text}" for text in differences(place, clock.now_us(), said, TimeSetup())]
        return Known(tuple(words), state, info)


@asynccontextmanager
async def _connected(open_session: OpenSession, kind: str, address: str) -> AsyncIterator[Any]:
    session = open_session(address, kind)
    try:
        async with asyncio.timeout(CONNECT_S):
            await session.start(CONNECT_S)
        yield session.device
    finally:
        await session.kill()


def _described(info: CameraInfo | None) -> list[str]:
    if info is None:
        return []
    colour = f"colour ({info.bayer})" if info.bayer else "mono"
    cooled = "cooled" if info.cooled else "not cooled"
    return [f"{info.name}: {info.width_px} by {info.height_px} pixels of {info.pixel_um:g} µm, {colour}, {cooled}"]


def _read(state: object) -> list[str]:
    """A state in words."""
    match state:
        case MountState():
            doing = (
                "parked" if state.parked else "slewing" if state.slewing else "tracking" if state.tracking else "still"
            )
            return [f"{doing}, at {state.ra_deg:.3f} {state.dec_deg:+.3f} (ICRS degrees)"]
        case CameraState(temperature_c=float() as now_c):
            return [f"its sensor is at {now_c:.1f} °C"]
        case FocuserState():
            return [f"at step {state.position} of {state.max_position}"]
        case WheelState():
            return [f"filters {', '.join(state.filters)}; {state.filter or 'none'} is in the way"]
        case RotatorState():
            return [f"at {state.angle_deg:.1f}°"]
        case CoverState():
            return [f"{state.aperture}, {'no light' if state.brightness is None else 'with a light'}"]
        case SwitchState():
            return [f"outlets {', '.join(state.on)}"]
        case WeatherReading():
            values = [f"{name} {value:g}" for name, value in sorted(state.values.items())]
            told = ["somebody told it to say that all is well: switch its override off"] if state.overridden else []
            return [", ".join(values) or "it measures nothing", *told]
        case SafetyReading():
            return ["it says safe" if state.safe else "it says unsafe"]
        case _:
            aperture = getattr(state, "aperture", None)
            return [f"it is {aperture}"] if aperture else ["it answers"]


class RoofWatch:
    """Times a roof that a person moves by its own button: it is read and never told anything."""

    def __init__(self, roof: Roof, clock: Clock, tell: Callable[[str], None]) -> None:
        self._roof, self._clock, self._tell = roof, clock, tell

    async def time(self, until: Aperture, wait_s: float = 180.0, most_s: float = 1800.0) -> float:
        """Seconds from the first motion to `until`. Raises Replan when nothing moves within `wait_s`, or the
        way takes over `most_s`; DriverError.
        """
        began = (await self._roof.read()).aperture
        if began == until:
            raise Replan(f"the roof is {until} already")
        await self._while(lambda aperture: aperture == began, wait_s, "nothing moved")
        start_s = self._clock.monotonic_s()
        self._tell("it moves")
        await self._while(lambda aperture: aperture != until, most_s, f"it did not become {until}")
        return self._clock.monotonic_s() - start_s

    async def _while(self, holds: Callable[[Aperture], bool], most_s: float, what: str) -> None:
        ends_s = self._clock.monotonic_s() + most_s
        while holds((await self._roof.read()).aperture):
            if self._clock.monotonic_s() > ends_s:
                raise Replan(f"{what} within {most_s:g} s")
            await self._clock.sleep(LOOK_S)


async def time_roof(
    open_session: OpenSession, address: str, clock: Clock, tell: Callable[[str], None]
) -> tuple[float, float]:
    """Seconds to open and to close, as a person does both by the roof's own button. Raises as `RoofWatch.time`."""
    async with _connected(open_session, "roof", address) as roof:
        watch = RoofWatch(roof, clock, tell)
        tell("open the roof now, by its own button")
        opened_s = await watch.time("open")
        tell(f"open after {opened_s:.1f} s; close it now")
        closed_s = await watch.time("closed")
        tell(f"closed after {closed_s:.1f} s")
        return opened_s, closed_s


def generous_s(measured_s: float) -> float:
    """A limit for what took so long: half as much again and ten seconds, for cold and wind."""
    return float(math.ceil(1.5 * measured_s + 10.0))
