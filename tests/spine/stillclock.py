"""A clock that a test moves by hand."""

from astrod.domain.instant import SECOND_US


class StillClock:
    """Time stands still until `pass_s`."""

    def __init__(self, now_us: int) -> None:
        self._now_us = now_us
        self._start_us = now_us

    def pass_s(self, seconds: float) -> None:
        """Move time on."""
        self._now_us += round(seconds * SECOND_US)

    def now_us(self) -> int:
        return self._now_us

    def monotonic_s(self) -> float:
        return (self._now_us - self._start_us) / SECOND_US

    def boottime_us(self) -> int:
        return self._now_us - self._start_us

    async def sleep(self, seconds: float) -> None:
        self.pass_s(max(0.0, seconds))
