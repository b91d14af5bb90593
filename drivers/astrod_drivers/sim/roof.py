"""The simulated roof: it travels from closed (0) to open (1) and can be stopped on the way. A dome turns, too."""

import math
from dataclasses import dataclass

from astrod_drivers.errors import CommandRefused, PermitRefused
from astrod_drivers.protocols import Aperture, Clock, Gate, Permit, RoofState
from astrod_drivers.sim.faults import Phase
from astrod_drivers.sim.setup import RoofSetup
from astrod_drivers.sim.timeline import Timeline


@dataclass(frozen=True, slots=True)
class Travel:
    """From a place towards another, all shares of the way; where it sticks, `end` falls short of `wanted`."""

    start: float
    end: float
    wanted: float


class Way:
    """The way of whatever opens and closes, as a function of time, with what can be wrong with it."""

    def __init__(self, travel_s: float, instant_us: int, place: float) -> None:
        self._travel_s = travel_s
        self._travels: Timeline[Travel] = Timeline(instant_us, Travel(place, place, place))
        self._sticks_at: float | None = None
        self._moves = True

    def go(self, wanted: float, now_us: int) -> None:
        """Start towards a place; told so already, it goes on."""
        _, travel = self._travels.at(now_us)
        if travel.wanted != wanted:
            self._travels.add(now_us, self._travel(self.opening(now_us), wanted))

    def stop(self, now_us: int) -> None:
        """Stop where it is."""
        here = self.opening(now_us)
        self._travels.add(now_us, Travel(here, here, here))

    def wanted(self, instant_us: int) -> float:
        """Where it was last told to go."""
        return self._travels.at(instant_us)[1].wanted

    def opening(self, instant_us: int) -> float:
        """How far it is open, 0 to 1."""
        began_us, travel = self._travels.at(instant_us)
        gone = max(0, instant_us - began_us) / 1e6 / self._travel_s
        way = travel.end - travel.start
        return travel.end if gone >= abs(way) else travel.start + gone * (1.0 if way > 0 else -1.0)

    def reads(self, instant_us: int) -> Aperture:
        """What its switches and its motor say: one that sticks is still on its way for them."""
        _, travel = self._travels.at(instant_us)
        if self.opening(instant_us) != travel.wanted:
            return "opening" if travel.wanted > travel.start else "closing"
        return _ends(travel.wanted)

    def truly(self, instant_us: int) -> Aperture:
        """What an eye would see: moving only while it moves."""
        _, travel = self._travels.at(instant_us)
        opening = self.opening(instant_us)
        if opening != travel.end:
            return "opening" if travel.end > travel.start else "closing"
        return _ends(opening)

    # -- what can be wrong with it --

    def stick(self, place: float, now_us: int) -> None:
        """From now on it does not come past this share of its way; the motor goes on pushing."""
        wanted = self.wanted(now_us)
        self._sticks_at = place
        self._travels.add(now_us, self._travel(self.opening(now_us), wanted))

    def lose_motor(self, now_us: int) -> None:
        """It stays where it is, whatever it is told."""
        self.stop(now_us)
        self._moves = False

    def mend(self, now_us: int) -> None:
        """It can move again, and does so when it is next told to: its motor tripped."""
        _, travel = self._travels.at(now_us)
        if travel.end != travel.wanted:
            self.stop(now_us)
        self._sticks_at, self._moves = None, True

    def _travel(self, start: float, wanted: float) -> Travel:
        """The way to `wanted`, as far as it comes."""
        if not self._moves:
            return Travel(start, start, start)
        place = self._sticks_at
        if place is None or not min(start, wanted) <= place <= max(start, wanted):
            return Travel(start, wanted, wanted)
        return Travel(start, place, wanted)


def _ends(place: float) -> Aperture:
    return "open" if place == 1.0 else "closed" if place == 0.0 else "unknown"


class SimRoof:
    """Implements `protocols.Roof`: a roll-off roof."""

    def __init__(self, setup: RoofSetup, clock: Clock, gate: Gate) -> None:
        self.setup = setup
        self._clock = clock
        self._gate = gate
        self.way = Way(setup.travel_s, clock.now_us(), 0.0)

    async def connect(self) -> None:
        """Always there."""

    async def disconnect(self) -> None:
        """The roof stays as it is."""

    async def read(self) -> RoofState:
        """See `protocols.Roof.read`; a roof that was stopped half way is neither open nor closed: unknown."""
        return RoofState(self.way.reads(self._clock.now_us()))

    async def open(self, permit: Permit) -> None:
        """See `protocols.Roof.open`."""
        if not self._gate.allows(permit):
            raise PermitRefused(f"open: safety epoch {permit.epoch} is over; the roof stays as it is")
        self.way.go(1.0, self._clock.now_us())

    async def close(self) -> None:
        """Close."""
        self.way.go(0.0, self._clock.now_us())

    async def turn(self, azimuth_deg: float) -> None:
        """A roll-off roof does not turn."""
        raise CommandRefused(f"this roof does not turn, to {azimuth_deg:g} or anywhere; only a dome does")

    async def abort(self) -> None:
        """Stop where it is."""
        self.way.stop(self._clock.now_us())

    def lose_power(self) -> None:
        """The motor stops."""
        self.way.stop(self._clock.now_us())

    def doing(self, instant_us: int) -> Phase | None:
        """What it is doing, in the words of faults."""
        aperture = self.way.reads(instant_us)
        return aperture if aperture in ("opening", "closing") else None

    def opening(self, instant_us: int) -> float:
        """How far it is open, 0 to 1."""
        return self.way.opening(instant_us)

    def free(self, instant_us: int, altitude_deg: float, azimuth_deg: float) -> float:
        """The share of the light from a direction that it lets through."""
        return self.opening(instant_us)

    def azimuth_deg(self, instant_us: int) -> float | None:
        """Where its slit looks; None for a roof without one."""
        return None


class SimDome(SimRoof):
    """Implements `protocols.Roof`: a dome whose shutter opens and whose slit must look where the telescope looks."""

    ZENITH_DEG = 87.0
    """Above this the slit is over the telescope wherever it looks."""

    def __init__(self, setup: RoofSetup, clock: Clock, gate: Gate) -> None:
        super().__init__(setup, clock, gate)
        self._turns: Timeline[tuple[float, float]] = Timeline(clock.now_us(), (0.0, 0.0))

    async def read(self) -> RoofState:
        """See `protocols.Roof.read`."""
        now_us = self._clock.now_us()
        return RoofState(self.way.reads(now_us), round(self._azimuth_deg(now_us), 3))

    async def turn(self, azimuth_deg: float) -> None:
        """See `protocols.Roof.turn`; the short way round."""
        if not 0.0 <= azimuth_deg <= 360.0:
            raise CommandRefused(f"an azimuth is 0..360 degrees, not {azimuth_deg:g}")
        now_us = self._clock.now_us()
        here_deg = self._azimuth_deg(now_us)
        self._turns.add(now_us, (here_deg, (azimuth_deg - here_deg + 180.0) % 360.0 - 180.0))

    async def abort(self) -> None:
        """Stop shutter and dome where they are."""
        self.lose_power()

    def lose_power(self) -> None:
        """Both motors stop."""
        now_us = self._clock.now_us()
        self.way.stop(now_us)
        self._turns.add(now_us, (self._azimuth_deg(now_us), 0.0))

    def free(self, instant_us: int, altitude_deg: float, azimuth_deg: float) -> float:
        """See `SimRoof.free`: all of the opened slit, or nothing beside it."""
        if altitude_deg < self.ZENITH_DEG:
            off_deg = abs((azimuth_deg - self._azimuth_deg(instant_us) + 180.0) % 360.0 - 180.0)
            if off_deg * math.cos(math.radians(altitude_deg)) > self.setup.slit_deg / 2.0:
                return 0.0
        return self.opening(instant_us)

    def azimuth_deg(self, instant_us: int) -> float | None:
        """See `SimRoof.azimuth_deg`."""
        return self._azimuth_deg(instant_us)

    def _azimuth_deg(self, instant_us: int) -> float:
        began_us, (start_deg, by_deg) = self._turns.at(instant_us)
        gone_deg = min(abs(by_deg), self.setup.turn_deg_s * max(0, instant_us - began_us) / 1e6)
        return (start_deg + math.copysign(gone_deg, by_deg)) % 360.0
