"""Fake devices on the simulated clock: simple, obedient, and able to hang, stick and vanish on demand."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Generic, TypeVar

from astrod.domain.instant import SECOND_US
from astrod.domain.safety import SafetyReport
from astrod.domain.site import (
    CameraSetup,
    FocuserSetup,
    Limit,
    MountSetup,
    Place,
    Rig,
    RoofSetup,
    Site,
    TimeSetup,
    Train,
    WeatherSetup,
)
from astrod.rig.port import DirectSession, Port
from astrod.rig.safety.hardware import hardware_of
from astrod.rig.safety.loop import SafetyLoop
from astrod.rig.safety.memory import Memory
from astrod.rig.safety.sights import Sights
from astrod.runtime.clock import Clock, SimClock, VirtualLoop, run_virtual
from astrod_drivers.errors import CommandRefused, PermitRefused, Unreachable
from astrod_drivers.permit import EpochCell
from astrod_drivers.protocols import (
    Aperture,
    CameraInfo,
    CameraState,
    CoverState,
    FocuserState,
    MountBelief,
    MountState,
    Permit,
    RawFrame,
    RoofState,
    RotatorState,
    SafetyReading,
    Shot,
    SiteFix,
    SwitchState,
    WeatherReading,
    Zone,
)

MIDNIGHT_US = 1_797_292_800 * SECOND_US
"""2026-12-15T00:00:00Z: deep night at Pujalt."""
NOON_US = MIDNIGHT_US + 12 * 3600 * SECOND_US


class FakeDevice:
    """Whatever can vanish (`gone`) and hang (`hangs`: no call ever answers)."""

    def __init__(self, clock: Clock, events: list[str]) -> None:
        self.clock, self.events = clock, events
        self.gone = False
        self.hangs = False

    async def connect(self) -> None:
        await self.answer()

    async def disconnect(self) -> None:
        """Nothing to let go of."""

    async def answer(self) -> None:
        """What every call goes through."""
        if self.gone:
            raise Unreachable("it is gone")
        if self.hangs:
            await asyncio.Event().wait()


F = TypeVar("F", bound=FakeDevice)


class KillableSession(Generic[F]):
    """A session whose process can be killed and started again; a new process does not hang where the old one did,
    unless `hangs_on`: then the hardware itself hangs.
    """

    def __init__(self, device: F, hangs_on: bool = False) -> None:
        self._device = device
        self.hangs_on = hangs_on
        self.alive = False
        self.starts = self.kills = 0

    @property
    def device(self) -> F:
        return self._device

    async def start(self, deadline_s: float) -> None:
        self.alive = True
        self.starts += 1
        self._device.hangs = self._device.hangs and self.hangs_on

    async def kill(self) -> None:
        self.alive = False
        self.kills += 1


class FakeCamera(FakeDevice):
    """A camera of 64×48 pixels. `deaf`: it goes on exposing when it is told to abort. `stuck`: the exposure
    ends and the pixels never come. `forgets`: its cooler is off after each connection.
    """

    def __init__(self, clock: Clock, events: list[str], spool: Path) -> None:
        super().__init__(clock, events)
        self.spool = spool
        self.deaf = self.stuck = self.forgets = False
        self.cooler_on = False
        self.fetching = 0
        self._ends_s: float | None = None

    async def connect(self) -> None:
        await super().connect()
        self.events.append("connect")
        if self.forgets:
            self.cooler_on = False

    @property
    def exposing(self) -> bool:
        return self._ends_s is not None and self.clock.monotonic_s() < self._ends_s

    async def describe(self) -> CameraInfo:
        await self.answer()
        return CameraInfo("fake", 64, 48, 4.0, 16, cooled=True)

    async def read(self) -> CameraState:
        await self.answer()
        return CameraState(self.exposing, temperature_c=-10.0, cooler_on=self.cooler_on)

    async def cool(self, target_c: float | None) -> None:
        await self.answer()
        self.events.append("cool" if target_c is not None else "warm")
        self.cooler_on = target_c is not None

    async def expose(self, shot: Shot, permit: Permit) -> None:
        await self.answer()
        if self.exposing:
            raise CommandRefused("exposing already")
        self.events.append(f"expose {shot.exposure_id}")
        self._ends_s = self.clock.monotonic_s() + shot.exposure_s

    async def fetch(self, exposure_id: str) -> RawFrame:
        await self.answer()
        self.fetching += 1
        try:
            if self.stuck:
                await asyncio.Event().wait()
            await self.clock.sleep(max(0.0, (self._ends_s or 0.0) - self.clock.monotonic_s()))
        finally:
            self.fetching -= 1
        path = self.spool / f"{exposure_id}.npy"
        path.write_bytes(b"pixels")
        return RawFrame(exposure_id, path, "npy", self.clock.now_us() - SECOND_US, 0, 1.0)

    async def abort(self) -> None:
        await self.answer()
        self.events.append("abort")
        if not self.deaf:
            self._ends_s = None


class FakeSwitch(FakeDevice):
    """Outlets that power devices: without power a device is gone, and back with it, its hang cured."""

    def __init__(self, clock: Clock, events: list[str], feeds: dict[str, list[FakeDevice]]) -> None:
        super().__init__(clock, events)
        self.feeds = feeds
        self.on = dict.fromkeys(feeds, True)
        self.jammed = False

    async def read(self) -> SwitchState:
        await self.answer()
        return SwitchState(dict(self.on))

    async def set(self, name: str, on: bool) -> None:
        await self.answer()
        if name not in self.feeds:
            raise CommandRefused(f"there is no outlet {name}")
        self.events.append(f"{name} {'on' if on else 'off'}")
        if self.jammed:
            return
        self.on[name] = on
        for device in self.feeds[name]:
            device.gone = not on
            device.hangs = device.hangs and not on

    async def dim(self, name: str, percent: float) -> None:
        raise CommandRefused("no outlet can be dimmed")


class FakeMount(FakeDevice):
    """Parks in ten seconds unless `stuck`."""

    def __init__(self, clock: Clock, events: list[str], gate: EpochCell) -> None:
        super().__init__(clock, events)
        self.gate = gate
        self.stuck = False
        self.refuses_slews = False
        self.misses_by_deg = 0.0
        self.tracks = True
        self.lies_parked = False
        self.deaf = False
        self.belief = MountBelief()
        self._parked = True
        self._parked_at_s: float | None = None
        self.ra_deg, self.dec_deg, self.tracking = 0.0, 90.0, False

    @property
    def parked(self) -> bool:
        if self._parked_at_s is not None and self.clock.monotonic_s() >= self._parked_at_s:
            self._parked, self._parked_at_s = True, None
        return self._parked

    async def set_site(self, site: SiteFix, utc_us: int) -> None:
        await self.answer()
        if not self.deaf:
            self.belief = MountBelief(site, utc_us)

    async def believes(self) -> MountBelief:
        await self.answer()
        return self.belief

    async def read(self) -> MountState:
        await self.answer()
        return MountState(
            self.ra_deg, self.dec_deg, slewing=False, tracking=self.tracking, parked=self.parked or self.lies_parked
        )

    def shove(self) -> None:
        """Somebody moved it by hand: it is not parked any more."""
        self._parked, self._parked_at_s = False, None

    async def unpark(self, permit: Permit) -> None:
        await self.answer()
        if not self.gate.allows_slew(permit):
            raise PermitRefused("the epoch is over")
        self.events.append("unpark")
        self._parked, self._parked_at_s = False, None

    async def slew(self, ra_deg: float, dec_deg: float, permit: Permit) -> None:
        await self.answer()
        if not self.gate.allows_slew(permit):
            raise PermitRefused("the epoch is over")
        if self.parked or self.refuses_slews:
            raise CommandRefused("parked")
        self.events.append("slew")
        self.ra_deg, self.dec_deg, self.tracking = ra_deg + self.misses_by_deg, dec_deg, self.tracks

    async def set_tracking(self, on: bool) -> None:
        await self.answer()
        self.tracking = on and self.tracks

    async def abort(self) -> None:
        await self.answer()
        self.events.append("stop")

    async def set_park(self) -> None:
        raise CommandRefused("it parks where it stands")

    async def park(self) -> None:
        await self.answer()
        self.events.append("park")
        if not self.stuck and not self._parked:
            self._parked_at_s = self.clock.monotonic_s() + 10.0


class FakeRoof(FakeDevice):
    """Moves in `travel_s` unless `jammed`; a `deaf` driver takes a close and does nothing. `wrong` lists what must
    never happen, as the roof itself sees it; one that `clears_mounts` cannot hit any. `told_s` is when it was told.
    """

    def __init__(self, clock: Clock, events: list[str], gate: EpochCell, mounts: list[FakeMount]) -> None:
        super().__init__(clock, events)
        self.gate, self.mounts = gate, mounts
        self.jammed = False
        self.clears_mounts = False
        self.deaf = False
        self.travel_s = 20.0
        self.wrong: list[str] = []
        self.told_s: list[float] = []
        self._goal: Aperture = "closed"
        self._done_s = 0.0

    @property
    def aperture(self) -> Aperture:
        if self.clock.monotonic_s() >= self._done_s:
            return self._goal
        return "opening" if self._goal == "open" else "closing"

    async def read(self) -> RoofState:
        await self.answer()
        return RoofState(self.aperture)

    def move(self, goal: Aperture) -> None:
        self.events.append("open" if goal == "open" else "close")
        self.told_s.append(self.clock.monotonic_s())
        if not self.clears_mounts and not all(mount.parked for mount in self.mounts):
            self.wrong.append(f"told to become {goal} over an unparked mount")
        if not self.jammed and goal != self._goal:
            self._goal, self._done_s = goal, self.clock.monotonic_s() + self.travel_s

    async def open(self, permit: Permit) -> None:
        await self.answer()
        if not self.gate.allows(permit):
            raise PermitRefused("the epoch is over")
        self.move("open")

    async def close(self) -> None:
        await self.answer()
        if not self.deaf:
            self.move("closed")

    async def abort(self) -> None:
        await self.answer()


class FakeWeather(FakeDevice):
    """A wind gauge with a thermometer, and a clock of its own that may be `ahead_s`. `stale` repeats its last word."""

    wind_m_s = 2.0
    temperature_c = 8.0
    ahead_s = 0.0
    stale = False
    overridden = False

    def __init__(self, clock: Clock, events: list[str]) -> None:
        super().__init__(clock, events)
        self.more: dict[str, float] = {}
        self.zones: dict[str, Zone] = {}
        self._last: WeatherReading | None = None

    async def read(self) -> WeatherReading:
        await self.answer()
        if self.stale and self._last is not None:
            return self._last
        at_us = self.clock.now_us() + round(self.ahead_s * SECOND_US)
        values = {"wind_m_s": self.wind_m_s, "temperature_c": self.temperature_c, **self.more}
        self._last = WeatherReading(at_us, values, dict(self.zones), self.overridden)
        return self._last


class FakeMonitor(FakeDevice):
    """A safety monitor, or a park switch that is read as one."""

    safe = True

    async def read(self) -> SafetyReading:
        await self.answer()
        return SafetyReading(self.clock.now_us(), self.safe)


class FakeCover(FakeDevice):
    """Closes at once unless `jammed`."""

    def __init__(self, clock: Clock, events: list[str]) -> None:
        super().__init__(clock, events)
        self.aperture: Aperture = "open"
        self.jammed = False

    async def read(self) -> CoverState:
        await self.answer()
        return CoverState(self.aperture)

    async def close(self) -> None:
        await self.answer()
        self.events.append("close cover")
        if not self.jammed:
            self.aperture = "closed"


class SecondRoof:
    """Another driver of the same roof, which can hang by itself."""

    def __init__(self, roof: FakeRoof) -> None:
        self.roof = roof
        self.gone = self.hangs = False
        self.lies: Aperture | None = None

    async def connect(self) -> None:
        """Always there."""

    async def disconnect(self) -> None:
        """Nothing to let go of."""

    async def answer(self) -> None:
        """What every call goes through."""
        if self.gone:
            raise Unreachable("it is gone")
        if self.hangs:
            await asyncio.Event().wait()

    async def read(self) -> RoofState:
        await self.answer()
        return RoofState(self.lies or self.roof.aperture)

    async def close(self) -> None:
        await self.answer()
        self.roof.events.append("second path")
        self.roof.move("closed")


class HutSwitch(FakeDevice):
    """Outlets: the mount's power, the roof's, a relay that closes the roof, and a park switch read as an input."""

    def __init__(self, clock: Clock, events: list[str], roof: FakeRoof, mount: FakeMount) -> None:
        super().__init__(clock, events)
        self.roof, self.mount = roof, mount
        self.on = {"mount": True, "roof": True, "relay": False, "park": False}
        self.welded = False

    async def read(self) -> SwitchState:
        await self.answer()
        return SwitchState(dict(self.on))

    async def set(self, name: str, on: bool) -> None:
        await self.answer()
        self.events.append(f"{name} {'on' if on else 'off'}")
        if self.welded:
            return
        self.on[name] = on
        if name == "relay" and on:
            self.roof.move("closed")
        if name == "mount" and not on:
            self.mount.stuck = False  # what hung in its controller is gone
        if name == "roof" and not on:
            self.roof.jammed = self.roof.hangs = False


class FakeFocuser(FakeDevice):
    """Moves at once."""

    position = 1000

    async def read(self) -> FocuserState:
        await self.answer()
        return FocuserState(self.position, moving=False, max_position=5000)

    async def move(self, position: int) -> None:
        await self.answer()
        if not 0 <= position <= 5000:
            raise CommandRefused(f"{position} is outside 0..5000")
        self.position = position

    async def abort(self) -> None:
        await self.answer()


class FakeRotator(FakeDevice):
    """Turns at once, unless it is `stuck`; `sense` -1: it counts the other way round than the sky."""

    def __init__(self, clock: Clock, events: list[str]) -> None:
        super().__init__(clock, events)
        self.angle_deg = 0.0
        self.sense = 1.0
        self.stuck = False
        self.moves = 0

    @property
    def shows_deg(self) -> float:
        """What it adds to the position angle of a frame."""
        return self.sense * self.angle_deg

    async def read(self) -> RotatorState:
        await self.answer()
        return RotatorState(self.angle_deg, moving=False)

    async def move(self, angle_deg: float) -> None:
        await self.answer()
        self.moves += 1
        self.angle_deg = self.angle_deg if self.stuck else angle_deg

    async def abort(self) -> None:
        await self.answer()
        self.events.append("rotator stopped")


SITE = Site(
    name="pujalt",
    place=Place(41.72, 1.42, 760.0),
    rigs=(
        Rig(
            "main",
            MountSetup("sim://mount", settle_s=2.0, park_s=60.0),
            (Train("main", CameraSetup("sim://camera"), 400.0, 80.0, FocuserSetup("sim://focuser", step=50)),),
        ),
    ),
    roof=RoofSetup("sim://roof", open_s=60.0, close_s=60.0),
    time=TimeSetup(error_max_s=0.0),
    weather=(
        WeatherSetup("station", "sim://weather", (Limit("wind_m_s", high=12.0),), stale_s=60.0, safe_after_s=30.0),
    ),
)


@dataclass
class Hut:
    """A small observatory of fake devices with a real safety loop; `fit` changes it before the loop is there."""

    clock: SimClock
    site: Site = SITE
    memory: Memory = field(default_factory=lambda: Memory(None))
    fit: Callable[["Hut"], None] = lambda hut: None

    def __post_init__(self) -> None:
        self.events: list[str] = []
        self.gate = EpochCell()
        self.mount = FakeMount(self.clock, self.events, self.gate)
        self.roof = FakeRoof(self.clock, self.events, self.gate, [self.mount])
        self.weather = FakeWeather(self.clock, self.events)
        self.second_weather = FakeWeather(self.clock, self.events)
        self.monitor = FakeMonitor(self.clock, self.events)
        self.park_sensor = FakeMonitor(self.clock, self.events)
        self.cover = FakeCover(self.clock, self.events)
        self.second_roof = SecondRoof(self.roof)
        self.switch = HutSwitch(self.clock, self.events, self.roof, self.mount)
        self.devices: dict[str, Any] = {
            "sim://mount": self.mount,
            "sim://roof": self.roof,
            "sim://weather": self.weather,
            "sim://weather2": self.second_weather,
            "sim://monitor": self.monitor,
            "sim://park": self.park_sensor,
            "sim://cover": self.cover,
            "sim://roof2": self.second_roof,
            "sim://switch": self.switch,
        }
        self.control_lives = True
        self.fit(self)
        self.restart()

    def restart(self) -> None:
        """A new safety loop, as after its process was started again; the hardware stays as it is."""
        assert self.memory.settle(5.0)
        sights = Sights(self.clock)
        hardware = hardware_of(self.site, self.clock, self.port, sights.where_is_it)
        self.loop = SafetyLoop(self.site, self.clock, self.gate, hardware, self.memory, sights)

    def port(self, name: str, kind: str, address: str) -> Port[Any]:
        """A port to one of the fakes, by its address."""
        return Port(name, kind, address, DirectSession(self.devices[address]), self.clock)

    async def control(self) -> None:
        """The control process's heartbeat."""
        while True:
            if self.control_lives:
                self.gate.beat_control(self.clock.boottime_us())
            await self.clock.sleep(1.0)

    async def until(self, done: Callable[[SafetyReport], bool], within_s: float) -> SafetyReport:
        """Wait until the report says so; fails with what it says when it does not in time."""
        deadline_s = self.clock.monotonic_s() + within_s
        while not done(report := await self.loop.report()):
            assert self.clock.monotonic_s() < deadline_s, f"not within {within_s:g} s: {report}"
            await self.clock.sleep(0.25)
        return report

    async def open(self) -> Permit:
        """Wait for a clear sky, open, unpark; returns the permit that let us."""
        permit = Permit((await self.until(lambda report: report.safe, 120.0)).epoch)
        await self.loop.open_roof(permit)
        await self.mount.unpark(permit)
        return permit


def in_hut(story: Callable[[Hut], Awaitable[None]], start_us: int = MIDNIGHT_US, **setting: Any) -> Hut:
    """Play a story in a hut with its safety loop running; returns the hut."""
    huts: list[Hut] = []

    async def play(loop: VirtualLoop) -> None:
        hut = Hut(SimClock(loop, start_us), **setting)
        huts.append(hut)
        control = asyncio.create_task(hut.control())
        safety = asyncio.create_task(hut.loop.run(lambda: None))
        telling = asyncio.create_task(_as_coroutine(story(hut)))
        await asyncio.wait({telling, safety}, return_when=asyncio.FIRST_COMPLETED)
        for task in (control, safety):
            task.cancel()
        await asyncio.wait({control, safety})
        if not telling.done():
            telling.cancel()
            safety.result()
        telling.result()

    run_virtual(play)
    assert huts[0].roof.wrong == []
    return huts[0]


async def _as_coroutine(awaitable: Awaitable[None]) -> None:
    await awaitable
