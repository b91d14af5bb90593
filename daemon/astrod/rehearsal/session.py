"""A session with a simulated device in this very process, for nights on the simulated clock.

It behaves as `astrod_drivers.session.Session` does around a driver in a process of its own: it must be started, a
call may never answer, killing it ends every call that is under way, and it can then be started again.
"""

from typing import Any

from astrod_drivers.sim.observatory import Observatory


class SimSession:
    """One device's session. Calls before the first `start` meet a device that was never connected."""

    def __init__(self, observatory: Observatory, name: str) -> None:
        self._observatory, self._name = observatory, name
        self._handle = observatory.device(name)
        self._started = False

    @property
    def device(self) -> Any:
        """The device, through the handle of this session's last start."""
        return self._handle

    @property
    def alive(self) -> bool:
        """Whether the session is started and the driver behind it has not died since."""
        return self._started and self._handle.alive

    async def start(self, deadline_s: float) -> None:
        """Start it, unless it is alive. Connecting is its port's, which watches the deadline."""
        if not self.alive:
            self._handle = self._observatory.device(self._name)
            self._started = True

    async def kill(self) -> None:
        """End it at once; calls under way are their callers', who have given up on them."""
        self._started = False
