"""What a rig's time is spent on, kept without gaps: each change of occupation closes one interval."""

from astrod.domain.minutes import DarkCause, Interval
from astrod.runtime.clock import Clock


class Occupation:
    """One rig's running account. `take` hands over the closed intervals for the archive."""

    def __init__(self, rig: str, clock: Clock, since_us: int | None = None) -> None:
        self._rig, self._clock = rig, clock
        self._since_us = clock.now_us() if since_us is None else since_us
        self._closed: list[Interval] = []
        self.cause: DarkCause = "idle"
        self.detail = "waiting for dark"

    def enter(self, cause: DarkCause, detail: str) -> None:
        """From now on the rig does this."""
        if (cause, detail) != (self.cause, self.detail):
            self.cut()
            self.cause, self.detail = cause, detail

    def cut(self) -> None:
        """Close the running interval and begin another of the same kind."""
        now_us = self._clock.now_us()
        if now_us > self._since_us:
            self._closed.append(Interval(self._rig, self._since_us, now_us, self.cause, self.detail))
        self._since_us = max(now_us, self._since_us)

    def rename(self, cause: DarkCause, detail: str) -> None:
        """What was being done turned out to be this: the running interval counts as such from its start."""
        self.cause, self.detail = cause, detail

    def away_since(self, since_us: int) -> None:
        """Nobody kept this account between then and now: the daemon was not running."""
        self.cut()
        first_us = min([interval.start_us for interval in self._closed], default=self._since_us)
        if since_us < first_us:
            self._closed.insert(0, Interval(self._rig, since_us, first_us, "fault", "the daemon was not running"))

    def give_back(self, intervals: list[Interval]) -> None:
        """Intervals that were taken and could not be recorded."""
        self._closed = intervals + self._closed

    def take(self) -> list[Interval]:
        """The intervals closed since the last call."""
        closed, self._closed = self._closed, []
        return closed
