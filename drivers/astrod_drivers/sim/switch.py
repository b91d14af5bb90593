"""The simulated power switch: outlets that feed the observatory's own devices, and heaters that can be dimmed."""

from collections.abc import Callable

from astrod_drivers.errors import CommandRefused
from astrod_drivers.protocols import SwitchState
from astrod_drivers.sim.setup import Outlet, SwitchSetup

Feed = Callable[[str, bool], None]
"""Told of each device that loses its power (False) or has it back (True)."""


class SimSwitch:
    """Implements `protocols.Switch`. All outlets are on at first."""

    def __init__(self, setup: SwitchSetup, feed: Feed) -> None:
        self.setup = setup
        self._feed = feed
        self._on = {outlet.name: True for outlet in setup.outlets}
        self._level = {outlet.name: 0.0 for outlet in setup.outlets if outlet.dims}

    async def connect(self) -> None:
        """Always there."""

    async def disconnect(self) -> None:
        """The outlets stay as they are."""

    async def read(self) -> SwitchState:
        """See `protocols.Switch.read`."""
        return SwitchState(dict(self._on), dict(self._level))

    async def set(self, name: str, on: bool) -> None:
        """See `protocols.Switch.set`."""
        outlet = self._outlet(name)
        if self._on[name] != on:
            self._on[name] = on
            for device in outlet.powers:
                self._feed(device, on)

    async def dim(self, name: str, percent: float) -> None:
        """See `protocols.Switch.dim`."""
        if not self._outlet(name).dims:
            raise CommandRefused(f"the outlet {name!r} cannot be dimmed, only switched")
        if not 0.0 <= percent <= 100.0:
            raise CommandRefused(f"an outlet's level is 0..100 percent, not {percent:g}")
        self._level[name] = percent

    def _outlet(self, name: str) -> Outlet:
        for outlet in self.setup.outlets:
            if outlet.name == name:
                return outlet
        raise CommandRefused(f"the switch has no outlet {name!r}; it has {', '.join(self._on)}")
