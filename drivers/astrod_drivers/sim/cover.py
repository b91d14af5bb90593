"""The simulated cover of a telescope, with the light panel on its inside."""

from astrod_drivers.errors import CommandRefused, PermitRefused
from astrod_drivers.protocols import Clock, CoverState, Gate, Permit
from astrod_drivers.sim.roof import Way
from astrod_drivers.sim.setup import CoverSetup
from astrod_drivers.sim.timeline import Timeline


class SimCover:
    """Implements `protocols.Cover`. The panel lights the telescope only while the cover is closed."""

    def __init__(self, setup: CoverSetup, clock: Clock, gate: Gate) -> None:
        self.setup = setup
        self._clock = clock
        self._gate = gate
        self._way = Way(setup.travel_s, clock.now_us(), 1.0 if setup.starts_open else 0.0)
        self._light: Timeline[int] = Timeline(clock.now_us(), 0)

    async def connect(self) -> None:
        """Always there."""

    async def disconnect(self) -> None:
        """The cover stays as it is, and so does its light."""

    async def read(self) -> CoverState:
        """See `protocols.Cover.read`."""
        now_us = self._clock.now_us()
        return CoverState(self._way.reads(now_us), self._light.at(now_us)[1] if self.setup.panel_max else None)

    async def open(self, permit: Permit) -> None:
        """See `protocols.Cover.open`; the light goes out."""
        if not self._gate.allows(permit):
            raise PermitRefused(f"open: safety epoch {permit.epoch} is over; the cover stays as it is")
        now_us = self._clock.now_us()
        self._light.add(now_us, 0)
        self._way.go(1.0, now_us)

    async def close(self) -> None:
        """Close."""
        self._way.go(0.0, self._clock.now_us())

    async def light(self, brightness: int) -> None:
        """See `protocols.Cover.light`. Raises CommandRefused beyond what the panel can."""
        if not self.setup.panel_max:
            raise CommandRefused("this cover has no light")
        if not 0 <= brightness <= self.setup.panel_max:
            raise CommandRefused(f"the panel's brightness is 0..{self.setup.panel_max}, not {brightness}")
        self._light.add(self._clock.now_us(), brightness)

    def lose_power(self) -> None:
        """The cover stops where it is, the light goes out."""
        now_us = self._clock.now_us()
        self._way.stop(now_us)
        self._light.add(now_us, 0)

    def opening(self, instant_us: int) -> float:
        """The share of the aperture that it leaves free."""
        return self._way.opening(instant_us)

    def panel_e_s(self, instant_us: int) -> float:
        """Electrons a second that the panel leaves in a pixel behind clear glass; none unless the cover is closed."""
        if self.opening(instant_us) > 0.0 or not self.setup.panel_max:
            return 0.0
        return self.setup.panel_e_s * self._light.at(instant_us)[1] / self.setup.panel_max
