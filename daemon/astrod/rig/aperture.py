"""Whether the roof was open while something was exposed, from what safety said over time."""

from collections import deque
from collections.abc import Callable

from astrod.domain.instant import SECOND_US
from astrod.domain.safety import SafetyReport
from astrod.rig.safety.guard import Guard
from astrod_drivers.protocols import Permit

KEPT = 500
"""Changes remembered: a roof that moves every minute for longer than an exposure is not to be expected."""
LOOK_US = 5 * SECOND_US
"""For so long after an opening safety may still say what it saw before its end."""


class ApertureHistory:
    """What the roof read, and since when. `note` it in order of time."""

    def __init__(self) -> None:
        self._changes: deque[tuple[int, str | None]] = deque(maxlen=KEPT)

    def note(self, at_us: int, aperture: str | None) -> None:
        """The roof reads so now; None where there is none."""
        if not self._changes or self._changes[-1][1] != aperture:
            self._changes.append((at_us, aperture))

    def open_throughout(self, start_us: int, end_us: int) -> bool | None:
        """Whether it read open from `start_us` to `end_us`; None where nobody knows, or there is no roof."""
        before = [aperture for at_us, aperture in self._changes if at_us <= start_us]
        during = [aperture for at_us, aperture in self._changes if start_us < at_us <= end_us]
        if not before or None in (before[-1], *during):
            return None
        return all(aperture == "open" for aperture in (before[-1], *during))


class Witness:
    """A `Guard` that remembers what the one behind it says of the roof."""

    def __init__(self, guard: Guard, history: ApertureHistory, now_us: Callable[[], int]) -> None:
        self._guard, self._history, self._now_us = guard, history, now_us
        self._opened_us: int | None = None
        self._there = True

    async def report(self) -> SafetyReport:
        """See `Guard`."""
        return self._heard(await self._guard.report())

    async def changed(self, version: int) -> SafetyReport:
        """See `Guard`."""
        return self._heard(await self._guard.changed(version))

    async def open_roof(self, permit: Permit) -> None:
        """See `Guard`. Once it returns the roof is open, though safety's next look at it is still to come."""
        await self._guard.open_roof(permit)
        self._opened_us = self._now_us()
        self._history.note(self._opened_us, self._roof("open"))

    async def close_site(self, reason: str) -> None:
        """See `Guard`."""
        await self._guard.close_site(reason)

    async def tell_place(self, rig: str, number: int, azimuth_deg: float | None, altitude_deg: float | None) -> None:
        """See `Guard`."""
        await self._guard.tell_place(rig, number, azimuth_deg, altitude_deg)

    def _heard(self, report: SafetyReport) -> SafetyReport:
        self._there = report.roof is not None
        late = report.roof in ("opening", "unknown") and self._opened_us is not None
        if not (late and self._now_us() - (self._opened_us or 0) < LOOK_US):
            self._history.note(self._now_us(), report.roof)
        return report

    def _roof(self, aperture: str) -> str | None:
        return aperture if self._there else None
