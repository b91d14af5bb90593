"""The simulated filter wheel: it turns place by place, the short way round."""

from dataclasses import dataclass

from astrod_drivers.errors import CommandRefused
from astrod_drivers.protocols import Clock, WheelState
from astrod_drivers.sim.setup import WheelSetup
from astrod_drivers.sim.timeline import Timeline


@dataclass(frozen=True, slots=True)
class Turn:
    """A turn to a place (index), which is reached at `end_us`."""

    place: int
    end_us: int


class SimWheel:
    """Implements `protocols.FilterWheel`."""

    def __init__(self, setup: WheelSetup, clock: Clock) -> None:
        self.setup = setup
        self._clock = clock
        self._turns: Timeline[Turn] = Timeline(clock.now_us(), Turn(0, clock.now_us()))
        self.turns = True  # a fault takes it away

    async def connect(self) -> None:
        """Always there."""

    async def disconnect(self) -> None:
        """The wheel stays as it is."""

    async def read(self) -> WheelState:
        """See `protocols.FilterWheel.read`."""
        now_us = self._clock.now_us()
        _, turn = self._turns.at(now_us)
        moving = now_us < turn.end_us
        return WheelState(None if moving else self.setup.filters[turn.place], moving, self.setup.filters)

    async def select(self, name: str) -> None:
        """See `protocols.FilterWheel.select`."""
        if name not in self.setup.filters:
            raise CommandRefused(f"the wheel has no filter {name!r}; it has {', '.join(self.setup.filters)}")
        if not self.turns:
            return
        now_us = self._clock.now_us()
        _, turn = self._turns.at(now_us)
        place = self.setup.filters.index(name)
        apart = abs(place - turn.place)
        steps = min(apart, len(self.setup.filters) - apart)
        if steps:
            start_us = max(now_us, turn.end_us)  # a turn under way is finished first
            self._turns.add(now_us, Turn(place, start_us + round(steps * self.setup.step_s * 1e6)))

    def lose_power(self) -> None:
        """When its power comes back it turns to its first place."""
        now_us = self._clock.now_us()
        self._turns.add(now_us, Turn(0, now_us))

    def filter_at(self, instant_us: int) -> tuple[str, float]:
        """The filter in the beam (the coming one while it turns) and its shift of best focus, micrometres."""
        _, turn = self._turns.at(instant_us)
        shifts = self.setup.focus_shift_um
        return self.setup.filters[turn.place], shifts[turn.place] if turn.place < len(shifts) else 0.0
