"""The simulated roll-off roof: it travels from closed (0) to open (1) and can be stopped on the way."""

from dataclasses import dataclass

from astrod_drivers.errors import CommandRefused, PermitRefused
from astrod_drivers.protocols import Aperture, Clock, Gate, Permit, RoofState
from astrod_drivers.sim.faults import Phase
from astrod_drivers.sim.setup import RoofSetup
from astrod_drivers.sim.timeline import Timeline


@dataclass(frozen=True, slots=True)
class Travel:
    """From a place towards another; both shares of the way."""

    start: float
    end: float


class SimRoof:
    """Implements `protocols.Roof`."""

    def __init__(self, setup: RoofSetup, clock: Clock, gate: Gate) -> None:
        self.setup = setup
        self._clock = clock
        self._gate = gate
        self._travels: Timeline[Travel] = Timeline(clock.now_us(), Travel(0.0, 0.0))

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

    def doing(self, instant_us: int) -> Phase | None:
        """What it is doing, in the words of faults."""
        aperture = self.aperture(instant_us)
        return aperture if aperture in ("opening", "closing") else None

    def _go(self, end: float) -> None:
        now_us = self._clock.now_us()
        _, travel = self._travels.at(now_us)
        if travel.end != end:
            self._travels.add(now_us, Travel(self.opening(now_us), end))

    def opening(self, instant_us: int) -> float:
        """The share of the sky that the roof leaves free, 0 to 1."""
        began_us, travel = self._travels.at(instant_us)
        gone = max(0, instant_us - began_us) / 1e6 / self.setup.travel_s
        way = travel.end - travel.start
        return travel.end if gone >= abs(way) else travel.start + gone * (1.0 if way > 0 else -1.0)

    def aperture(self, instant_us: int) -> Aperture:
        """What the roof's switches say."""
        _, travel = self._travels.at(instant_us)
        if self.opening(instant_us) != travel.end:
            return "opening" if travel.end > travel.start else "closing"
        return "open" if travel.end == 1.0 else "closed" if travel.end == 0.0 else "unknown"
