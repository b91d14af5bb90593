"""What the control process may ask of safety, and the page through which safety's leave is given and taken."""

from typing import Protocol

from astrod.domain.safety import SafetyReport
from astrod_drivers.protocols import Permit


class EpochGate(Protocol):
    """The safety epoch, as `astrod_drivers.permit` keeps it."""

    @property
    def epoch(self) -> int: ...

    @property
    def safe(self) -> bool: ...

    @property
    def control_beat_us(self) -> int: ...

    @property
    def safety_beat_us(self) -> int: ...

    def allows(self, permit: Permit) -> bool: ...

    def bar_slews(self, barred: bool) -> None: ...

    def become_safe(self) -> int: ...

    def become_unsafe(self) -> None: ...

    def beat_safety(self, boottime_us: int) -> None: ...

    def beat_control(self, boottime_us: int) -> None: ...


class Guard(Protocol):
    """Safety, seen from the control process."""

    async def report(self) -> SafetyReport:
        """Safety's word now."""

    async def changed(self, version: int) -> SafetyReport:
        """Wait until the report's version differs from `version`."""

    async def open_roof(self, permit: Permit) -> None:
        """Open the roof; returns when it is open, at once where there is none.

        Raises GoSafe when the permit is over, RecoverDevice or OutcomeUnknown when the roof does not open.
        """

    async def close_site(self, reason: str) -> None:
        """Park all mounts and close the roof; returns when that is so. Raises RecoverDevice when it is not."""

    async def tell_place(self, rig: str, number: int, azimuth_deg: float | None, altitude_deg: float | None) -> None:
        """Answer a question of `SafetyReport.sights_wanted`: where a plate solve made since finds the rig's tube.

        None for both where the sky does not tell. An answer to a question that is over is let go.
        """
