"""Power as the last resort: an outlet switched off and on again, through sessions of safety's own."""

import logging
from typing import Protocol

from astrod.domain.site import Outlet, PowerSetup
from astrod.errors import RecoverDevice
from astrod.rig.port import Port
from astrod.rig.waiting import until
from astrod.runtime.clock import Clock
from astrod_drivers.protocols import Switch, SwitchState

log = logging.getLogger(__name__)

READ_BACK_S = 10.0


class PowerCycle(Protocol):
    """What can take a device's power away and give it back."""

    async def cycle(self) -> bool:
        """Off, a pause, on, and a pause in which the device starts; False when it is too soon after the last time.

        The caller has stopped whatever the device moves. Raises RecoverDevice when the outlet does not obey; it is
        then switched on again where that can be done.
        """


class OutletCycle:
    """`PowerCycle` through an outlet of a switch, verified by reading it back both times."""

    def __init__(self, port: Port[Switch], outlet: Outlet, setup: PowerSetup, clock: Clock) -> None:
        self._port, self._outlet, self._setup, self._clock = port, outlet, setup, clock
        self._last_s: float | None = None

    async def cycle(self) -> bool:
        """See `PowerCycle`."""
        now_s = self._clock.monotonic_s()
        if self._last_s is not None and now_s - self._last_s < self._setup.again_s:
            return False
        self._last_s = now_s
        log.warning("cycling the power of %s", self._outlet)
        try:
            await self._turn(False)
            await self._clock.sleep(self._setup.off_s)
        finally:
            await self._turn(True)  # whatever happened: a device without power can be neither asked nor moved
        await self._clock.sleep(self._setup.start_s)
        return True

    async def _turn(self, on: bool) -> None:
        word = f"switch {self._outlet.name} {'on' if on else 'off'}"
        await self._port.call(word, lambda switch: switch.set(self._outlet.name, on))
        await until(self._clock, self._port.name, word, self._read, lambda state: self._is(state, on), READ_BACK_S)

    async def _read(self) -> SwitchState:
        return await self._port.call("read the switch", lambda switch: switch.read())

    def _is(self, state: SwitchState, on: bool) -> bool:
        if self._outlet.name not in state.on:
            known = ", ".join(state.on) or "none"
            raise RecoverDevice(self._port.name, f"has no outlet {self._outlet.name!r}; it has {known}")
        return state.on[self._outlet.name] is on
