"""The operator's holds: pause and close. They outlive a restart, for an owner means what was said."""

from astrod.archive.rows import Hold
from astrod.conductor import Conductor
from astrod.recording import Recording
from astrod.runtime.clock import Clock

PAUSE, CLOSE = "pause", "close"
EXPIRE_S = 5.0


class Holds:
    """The holds of one site, kept in the archive and carried out by the conductor."""

    def __init__(self, recording: Recording, conductor: Conductor, clock: Clock) -> None:
        self._recording, self._conductor, self._clock = recording, conductor, clock
        self.in_force: list[Hold] = []

    async def restore(self) -> None:
        """Put the holds that were in force before the restart back in force."""
        self.in_force = list(await self._recording(lambda archive: archive.holds()))
        self._carry_out()

    async def pause(self, who: str, until_us: int | None = None) -> None:
        """No new exposure, until then or until it is lifted."""
        await self._set(PAUSE, True, who, until_us)

    async def expire(self) -> None:
        """Lift holds whose time has come, for ever. Run as a service."""
        while True:
            now_us = self._clock.now_us()
            for hold in list(self.in_force):
                if hold.until_us is not None and hold.until_us <= now_us:
                    await self._set(hold.name, False, hold.who)
            await self._clock.sleep(EXPIRE_S)

    async def close(self, who: str) -> None:
        """Closed and parked. Told to the conductor before it is recorded: it is a move toward safety."""
        self._conductor.hold_closed(True)
        await self._set(CLOSE, True, who)

    async def lift(self, who: str) -> None:
        """Neither any more."""
        for hold in list(self.in_force):
            await self._set(hold.name, False, who)

    async def _set(self, name: str, on: bool, who: str, until_us: int | None = None) -> None:
        now_us = self._clock.now_us()
        await self._recording(lambda archive: archive.set_hold(name, on, who, now_us, until_us))
        self.in_force = [hold for hold in self.in_force if hold.name != name]
        if on:
            self.in_force.append(Hold(name, who, now_us, until_us))
        self._carry_out()

    def _carry_out(self) -> None:
        names = {hold.name for hold in self.in_force}
        self._conductor.pause(PAUSE in names)
        self._conductor.hold_closed(CLOSE in names)
