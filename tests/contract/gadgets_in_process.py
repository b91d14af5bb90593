"""A rotator, a cover with a light panel, a power box and a dome in memory, for servers to offer."""

from astrod_drivers.errors import CommandRefused
from astrod_drivers.protocols import Clock, CoverState, Permit, RoofState, RotatorState, SwitchState
from astrod_drivers.sim.timeline import Timeline
from astrod_drivers.wire import Offer

TRAVEL_US = 400_000


class Gadget:
    """Whatever is always connected."""

    def __init__(self, clock: Clock) -> None:
        self.clock = clock

    async def connect(self) -> None:
        """Always there."""

    async def disconnect(self) -> None:
        """Stays as it is."""


class Turntable(Gadget):
    """A rotator that needs TRAVEL_US for any way."""

    def __init__(self, clock: Clock) -> None:
        super().__init__(clock)
        self._angles: Timeline[tuple[float, float]] = Timeline(clock.now_us() - TRAVEL_US, (0.0, 0.0))

    def _angle(self) -> tuple[float, bool]:
        began_us, (start, end) = self._angles.at(self.clock.now_us())
        share = min(1.0, (self.clock.now_us() - began_us) / TRAVEL_US)
        return start + (end - start) * share, share < 1.0

    async def read(self) -> RotatorState:
        return RotatorState(*self._angle())

    async def move(self, angle_deg: float) -> None:
        self._angles.add(self.clock.now_us(), (self._angle()[0], angle_deg))

    async def abort(self) -> None:
        here, _ = self._angle()
        self._angles.add(self.clock.now_us(), (here, here))


class Lid(Gadget):
    """A motorised cover with a light of 255 steps."""

    def __init__(self, clock: Clock) -> None:
        super().__init__(clock)
        self._since_us = 0
        self._opens = False
        self._light = 0

    async def read(self) -> CoverState:
        moves = self.clock.now_us() - self._since_us < TRAVEL_US
        if moves:
            return CoverState("opening" if self._opens else "closing", self._light)
        return CoverState("open" if self._opens else "closed", self._light)

    def _go(self, opens: bool) -> None:
        if opens != self._opens:
            self._opens, self._since_us = opens, self.clock.now_us()

    async def open(self, permit: Permit) -> None:
        self._go(True)

    async def close(self) -> None:
        self._go(False)

    async def light(self, brightness: int) -> None:
        self._light = brightness


class PowerBox(Gadget):
    """Two outlets and a dew heater."""

    def __init__(self, clock: Clock) -> None:
        super().__init__(clock)
        self._on = {"Camera": False, "Mount": True}
        self._level = {"Dew": 20.0}

    async def read(self) -> SwitchState:
        return SwitchState({**self._on, "Dew": self._level["Dew"] > 0.0}, dict(self._level))

    async def set(self, name: str, on: bool) -> None:
        if name in self._level:
            self._level[name] = 100.0 if on else 0.0
        else:
            self._on[name] = on

    async def dim(self, name: str, percent: float) -> None:
        if name not in self._level:
            raise CommandRefused(f"{name} cannot be dimmed")
        self._level[name] = percent


class Dome(Gadget):
    """A dome whose shutter and azimuth are where they are told to be, at once."""

    def __init__(self, clock: Clock) -> None:
        super().__init__(clock)
        self._state = RoofState("closed", 10.0)

    async def read(self) -> RoofState:
        return self._state

    async def open(self, permit: Permit) -> None:
        self._state = RoofState("open", self._state.azimuth_deg)

    async def close(self) -> None:
        self._state = RoofState("closed", self._state.azimuth_deg)

    async def turn(self, azimuth_deg: float) -> None:
        self._state = RoofState(self._state.aperture, azimuth_deg)

    async def abort(self) -> None:
        """It never moves for long."""


def gadgets(clock: Clock) -> dict[str, Offer]:
    """One of each, by name."""
    return {
        "rotator": Offer("rotator", Turntable(clock)),
        "cover": Offer("cover", Lid(clock)),
        "switch": Offer("switch", PowerBox(clock)),
        "dome": Offer("roof", Dome(clock)),
    }
