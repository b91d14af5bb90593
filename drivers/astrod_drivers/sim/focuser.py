"""The simulated focuser: it moves at a rate, has backlash, and best focus runs away with the temperature."""

from dataclasses import dataclass

from astrod_drivers.errors import CommandRefused
from astrod_drivers.protocols import Clock, FocuserState
from astrod_drivers.sim.faults import Phase
from astrod_drivers.sim.setup import FocuserSetup
from astrod_drivers.sim.timeline import Timeline
from astrod_drivers.sim.weather import Climate

_LAG_US = 15 * 60 * 1_000_000  # the tube follows the air


@dataclass(frozen=True, slots=True)
class Move:
    """A move of the motor; `tube` is where the drawtube stood when it began."""

    start: int
    end: int
    tube: float


class SimFocuser:
    """Implements `protocols.Focuser`.

    The drawtube follows the motor with play: it stands between the motor's position and `backlash_steps`
    below it.
    """

    def __init__(self, setup: FocuserSetup, climate: Climate, clock: Clock) -> None:
        self.setup = setup
        self._climate = climate
        self._clock = clock
        here = round(self.best(clock.now_us(), 0.0)) + setup.start_error
        here = min(setup.max_position, max(0, here))
        self._moves: Timeline[Move] = Timeline(clock.now_us(), Move(here, here, float(here)))
        self._slips: list[tuple[int, int]] = []

    async def connect(self) -> None:
        """Always there."""

    async def disconnect(self) -> None:
        """The focuser stays as it is."""

    async def read(self) -> FocuserState:
        """See `protocols.Focuser.read`."""
        now_us = self._clock.now_us()
        position, moving = self._motor(now_us)
        temperature_c = round(self._climate.at(now_us).temperature_c, 1)
        return FocuserState(round(position), moving, self.setup.max_position, temperature_c)

    async def move(self, position: int) -> None:
        """See `protocols.Focuser.move`."""
        if not 0 <= position <= self.setup.max_position:
            raise CommandRefused(f"focuser position {position} is outside 0..{self.setup.max_position}")
        now_us = self._clock.now_us()
        here, _ = self._motor(now_us)
        self._moves.add(now_us, Move(round(here), position, self._tube(now_us)))

    async def abort(self) -> None:
        """Stop where it is."""
        self.lose_power()

    def lose_power(self) -> None:
        """The motor stops; the drive remembers where."""
        now_us = self._clock.now_us()
        here, moving = self._motor(now_us)
        if moving:
            self._moves.add(now_us, Move(round(here), round(here), self._tube(now_us)))

    def doing(self, instant_us: int) -> Phase | None:
        """What it is doing, in the words of faults."""
        return "focusing" if self._motor(instant_us)[1] else None

    def slip(self, steps: int) -> None:
        """The drawtube slides by so many steps; the motor notices nothing."""
        self._slips.append((self._clock.now_us(), steps))

    def best(self, instant_us: int, shift_um: float) -> float:
        """The drawtube's position of best focus, steps, for a filter that shifts it by `shift_um`."""
        temperature_c = self._climate.at(instant_us - _LAG_US).temperature_c
        drift_um = self.setup.drift_um_c * (temperature_c - 10.0)
        return self.setup.best_at_10c + (drift_um + shift_um) / self.setup.step_um

    def defocus_um(self, instant_us: int, shift_um: float) -> float:
        """How far the sensor is from best focus."""
        slipped = sum(steps for at_us, steps in self._slips if at_us <= instant_us)
        return (self._tube(instant_us) + slipped - self.best(instant_us, shift_um)) * self.setup.step_um

    def unsteady(self, start_us: int, end_us: int) -> bool:
        """Whether it moved between two instants."""
        return bool(self._moves.changes(start_us, end_us)) or self._motor(start_us)[1]

    def _motor(self, instant_us: int) -> tuple[float, bool]:
        """The motor's position, and whether it runs."""
        began_us, move = self._moves.at(instant_us)
        gone = self.setup.steps_s * max(0, instant_us - began_us) / 1e6
        way = move.end - move.start
        if gone >= abs(way):
            return float(move.end), False
        return move.start + gone * (1 if way > 0 else -1), True

    def _tube(self, instant_us: int) -> float:
        """Where the drawtube stands: dragged along once the play is used up."""
        _, move = self._moves.at(instant_us)
        motor, _ = self._motor(instant_us)
        return min(max(move.tube, motor - self.setup.backlash_steps), motor)
