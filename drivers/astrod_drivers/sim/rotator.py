"""The simulated rotator: it turns at a rate, the short way round, and the camera with it."""

from dataclasses import dataclass

from astrod_drivers.errors import CommandRefused
from astrod_drivers.protocols import Clock, RotatorState
from astrod_drivers.sim.setup import RotatorSetup
from astrod_drivers.sim.timeline import Timeline


@dataclass(frozen=True, slots=True)
class Turn:
    """A turn from an angle by so much, degrees; the sign is the direction."""

    start_deg: float
    by_deg: float


class SimRotator:
    """Implements `protocols.Rotator`."""

    def __init__(self, setup: RotatorSetup, clock: Clock) -> None:
        self.setup = setup
        self._clock = clock
        self._turns: Timeline[Turn] = Timeline(clock.now_us(), Turn(setup.start_deg, 0.0))

    async def connect(self) -> None:
        """Always there."""

    async def disconnect(self) -> None:
        """The rotator stays as it is."""

    async def read(self) -> RotatorState:
        """See `protocols.Rotator.read`."""
        now_us = self._clock.now_us()
        return RotatorState(self.angle_deg(now_us), self.moving(now_us))

    async def move(self, angle_deg: float) -> None:
        """See `protocols.Rotator.move`. Raises CommandRefused outside 0..360."""
        if not 0.0 <= angle_deg <= 360.0:
            raise CommandRefused(f"a rotator's angle is 0..360 degrees, not {angle_deg:g}")
        now_us = self._clock.now_us()
        here_deg = self.angle_deg(now_us)
        self._turns.add(now_us, Turn(here_deg, (angle_deg - here_deg + 180.0) % 360.0 - 180.0))

    async def abort(self) -> None:
        """Stop where it is."""
        self.lose_power()

    def lose_power(self) -> None:
        """The motor stops."""
        now_us = self._clock.now_us()
        if self.moving(now_us):
            self._turns.add(now_us, Turn(self.angle_deg(now_us), 0.0))

    def angle_deg(self, instant_us: int) -> float:
        """The mechanical angle, 0 to 360."""
        began_us, turn = self._turns.at(instant_us)
        gone_deg = min(abs(turn.by_deg), self.setup.rate_deg_s * max(0, instant_us - began_us) / 1e6)
        return (turn.start_deg + (gone_deg if turn.by_deg > 0.0 else -gone_deg)) % 360.0

    def moving(self, instant_us: int) -> bool:
        """Whether it turns."""
        began_us, turn = self._turns.at(instant_us)
        return self.setup.rate_deg_s * max(0, instant_us - began_us) / 1e6 < abs(turn.by_deg)
