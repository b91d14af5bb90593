"""The simulated roll-off roof: it travels from closed (0) to open (1) and can be stopped on the way."""

from dataclasses import dataclass

from astrod_drivers.errors import CommandRefused, PermitRefused
from astrod_drivers.protocols import Aperture, Clock, Gate, Permit, RoofState
from astrod_drivers.sim.faults import Phase
from astrod_drivers.sim.setup import RoofSetup
from astrod_drivers.sim.timeline import Timeline


@dataclass(frozen=True, slots=True)
class Travel:
    """From a place towards another, all shares of the way; where the roof sticks, `end` falls short of `wanted`."""

    start: float
    end: float
    wanted: float


class SimRoof:
    """Implements `protocols.Roof`."""

    def __init__(self, setup: RoofSetup, clock: Clock, gate: Gate) -> None:
        self.setup = setup
        self._clock = clock
        self._gate = gate
        self._travels: Timeline[Travel] = Timeline(clock.now_us(), Travel(0.0, 0.0, 0.0))
        self._sticks_at: float | None = None
        self._moves = True

    async def connect(self) -> None:
        """Always there."""

    async def disconnect(self) -> None:
        """The roof stays as it is."""

    async def read(self) -> RoofState:
        """See `protocols.Roof.read`; a roof that was stopped half way is neither open nor closed: unknown."""
        return RoofState(self.aperture(self._clock.now_us()))

    async def open(self, permit: Permit) -> None:
        """See `protocols.Roof.open`."""
        if not self._gate.allows(permit):
            raise PermitRefused(f"open: safety epoch {permit.epoch} is over; the roof stays as it is")
        self._go(1.0)

    async def close(self) -> None:
        """Close."""
        self._go(0.0)

    async def turn(self, azimuth_deg: float) -> None:
        """A roll-off roof does not turn."""
        raise CommandRefused(f"this roof does not turn, to {azimuth_deg:g} or anywhere; only a dome does")

    async def abort(self) -> None:
        """Stop where it is."""
        self._go(self.opening(self._clock.now_us()))

    # -- what can be wrong with it --

    def stick(self, place: float) -> None:
        """From now on it does not come past this share of its way; the motor goes on pushing."""
        now_us = self._clock.now_us()
        wanted = self._travels.at(now_us)[1].wanted
        self._sticks_at = place
        self._travels.add(now_us, self._travel(self.opening(now_us), wanted))

    def lose_motor(self) -> None:
        """It stays where it is, whatever it is told."""
        self._stop()
        self._moves = False

    def mend(self) -> None:
        """It can move again, and does so when it is next told to: its motor tripped."""
        if self._sticks_at is not None or not self._moves:
            self._stop()
        self._sticks_at, self._moves = None, True

    def wanted(self) -> float:
        """Where it was last told to go."""
        return self._travels.at(self._clock.now_us())[1].wanted

    def _stop(self) -> None:
        now_us = self._clock.now_us()
        here = self.opening(now_us)
        self._travels.add(now_us, Travel(here, here, here))

    def _travel(self, start: float, wanted: float) -> Travel:
        """The way to `wanted`, as far as the roof comes."""
        if not self._moves:
            return Travel(start, start, start)
        place = self._sticks_at
        if place is None or not min(start, wanted) <= place <= max(start, wanted) or place == wanted:
            return Travel(start, wanted, wanted)
        return Travel(start, place, wanted)

    def doing(self, instant_us: int) -> Phase | None:
        """What it is doing, in the words of faults."""
        aperture = self.aperture(instant_us)
        return aperture if aperture in ("opening", "closing") else None

    def _go(self, end: float) -> None:
        now_us = self._clock.now_us()
        _, travel = self._travels.at(now_us)
        if travel.wanted != end:
            self._travels.add(now_us, self._travel(self.opening(now_us), end))

    def opening(self, instant_us: int) -> float:
        """The share of the sky that the roof leaves free, 0 to 1."""
        began_us, travel = self._travels.at(instant_us)
        gone = max(0, instant_us - began_us) / 1e6 / self.setup.travel_s
        way = travel.end - travel.start
        return travel.end if gone >= abs(way) else travel.start + gone * (1.0 if way > 0 else -1.0)

    def aperture(self, instant_us: int) -> Aperture:
        """What the roof's switches and its motor say: one that sticks is still on its way for them."""
        _, travel = self._travels.at(instant_us)
        if self.opening(instant_us) != travel.wanted:
            return "opening" if travel.wanted > travel.start else "closing"
        return "open" if travel.wanted == 1.0 else "closed" if travel.wanted == 0.0 else "unknown"

    def truly(self, instant_us: int) -> Aperture:
        """What an eye would see: moving only while it moves."""
        _, travel = self._travels.at(instant_us)
        opening = self.opening(instant_us)
        if opening != travel.end:
            return "opening" if travel.end > travel.start else "closing"
        return "open" if opening == 1.0 else "closed" if opening == 0.0 else "unknown"
