"""A session with a simulated device in this very process, for nights on the simulated clock.

It behaves as `astrod_drivers.session.Session` does around a driver in a process of its own: it must be started, a
call may never answer, killing it ends every call that is under way, and it can then be started again.
"""

from collections.abc import Callable
from typing import Any

from astrod.rehearsal.host import Life
from astrod_drivers.sim.observatory import Observatory

Overhear = Callable[[str, Any], Any]
"""Puts somebody's ear between a device, by its name, and its session."""


def _nobody_hears(name: str, device: Any) -> Any:
    return device


class SimSession:
    """One device's session. Calls before the first `start` meet a device that was never connected."""

    def __init__(self, observatory: Observatory, name: str, life: Life, overhear: Overhear = _nobody_hears) -> None:
        self._observatory, self._name, self._life, self._overhear = observatory, name, life, overhear
        self._handle = overhear(name, observatory.device(name))
        self._started = False

    @property
    def device(self) -> Any:
        """The device, through the handle of this session's last start. Raises CancelledError in a dead daemon."""
        self._life.check()
        return self._handle

    @property
    def alive(self) -> bool:
        """Whether the session is started and the driver behind it has not died since."""
        return self._started and self._handle.alive

    async def start(self, deadline_s: float) -> None:
        """Start it, unless it is alive. Connecting is its port's, which watches the deadline."""
        self._life.check()
        if not self.alive:
            self._handle = self._overhear(self._name, self._observatory.device(self._name))
            self._started = True

    async def kill(self) -> None:
        """End it at once; calls under way are their callers', who have given up on them."""
        self._started = False
