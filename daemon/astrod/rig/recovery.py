"""What can be done for a lost device beyond asking again: its driver started anew, its outlet switched off and on.

`domain.recovery` says when; `Port.keep` carries it out with what `Remedies.of` gives it for a device.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping, Sequence
from pathlib import Path

from astrod.domain.recovery import Step
from astrod.domain.site import IndiSetup, Outlet
from astrod.errors import AstrodError, Replan
from astrod.rig.port import Port
from astrod.rig.waiting import until
from astrod.runtime.clock import Clock
from astrod_drivers.address import parse
from astrod_drivers.indi.fifo import restart_driver
from astrod_drivers.protocols import Mount, Switch

log = logging.getLogger(__name__)

OFF_S = 5.0
"""How long an outlet stays off: capacitors of a camera's supply hold for a second or two."""
SWITCHED_S = 10.0
STILL_S = 20.0
SHARED_S = 90.0
"""Whoever asks for the same remedy within this time shares the one that was just applied."""

Remedy = Callable[[], Awaitable[None]]


class Once:
    """A remedy that several devices share: applied once, however many of them ask for it."""

    def __init__(self, clock: Clock, remedy: Remedy) -> None:
        self._clock, self._remedy = clock, remedy
        self._turn = asyncio.Lock()
        self._done_s: float | None = None

    async def __call__(self) -> None:
        """Apply the remedy, unless it has just been applied. Raises what it raises."""
        async with self._turn:
            if self._done_s is not None and self._clock.monotonic_s() - self._done_s < SHARED_S:
                return
            await self._remedy()
            self._done_s = self._clock.monotonic_s()


class PowerBoard:
    """The outlets of a site that power its devices.

    `roof_moves` says whether the roof moves or may be moving; `roof` is the roof's outlet, None without one.
    """

    def __init__(
        self,
        clock: Clock,
        switches: Mapping[str, Port[Switch]],
        roof: Outlet | None,
        roof_moves: Callable[[], bool],
    ) -> None:
        self._clock, self._roof, self._roof_moves = clock, roof, roof_moves
        self.switches = switches
        self._mounts: dict[Outlet, list[Port[Mount]]] = {}
        self._cycles: dict[Outlet, Once] = {}

    def powers(self, outlet: Outlet, mount: Port[Mount]) -> None:
        """This outlet powers that mount, which must be told to stop before it loses its power."""
        self._mounts.setdefault(outlet, []).append(mount)

    def cycle_of(self, outlet: Outlet) -> Remedy:
        """Switching that outlet off and on. It raises RecoverDevice (the switch is gone, the outlet does not do
        as told) or Replan (the roof it powers moves: another time).
        """
        if outlet not in self._cycles:
            self._cycles[outlet] = Once(self._clock, lambda: self._cycle(outlet))
        return self._cycles[outlet]

    async def _cycle(self, outlet: Outlet) -> None:
        if outlet == self._roof and self._roof_moves():
            raise Replan(f"outlet {outlet} powers the roof, which moves; its power stays on")
        for mount in self._mounts.get(outlet, ()):
            await self._stop(mount)
        switch = self.switches[outlet.address]
        log.warning("switching %s off and on", outlet)
        try:
            await self._set(switch, outlet.name, False)
            await self._clock.sleep(OFF_S)
        finally:  # whatever happened meanwhile, nothing is left without power
            await self._set(switch, outlet.name, True)

    async def _set(self, switch: Port[Switch], name: str, on: bool) -> None:
        await switch.call(f"switch {name}", lambda device: device.set(name, on))
        await until(
            self._clock,
            switch.name,
            f"switch {name} {'on' if on else 'off'}",
            lambda: switch.call("read the switch", lambda device: device.read()),
            lambda state: state.on.get(name) is on,
            SWITCHED_S,
        )

    async def _stop(self, mount: Port[Mount]) -> None:
        """Abort its motion and see it stand. One that does not answer is stopped by the loss of its power."""
        try:
            await mount.call("stop the mount", lambda device: device.abort(), deadline_s=5.0)
            await until(
                self._clock,
                mount.name,
                "stop",
                lambda: mount.call("read the mount", lambda device: device.read()),
                lambda state: not state.slewing,
                STILL_S,
            )
        except AstrodError as fault:
            log.warning("%s could not be seen to stop before its power goes: %s", mount.name, fault)


class DriverRestarts:
    """What can be done for a device without its power: its driver is started anew, where its server has a FIFO."""

    def __init__(self, clock: Clock, indi: IndiSetup | None) -> None:
        self._clock, self._indi = clock, indi
        self._restarts: dict[str, Once] = {}

    def of(self, address: str) -> dict[Step, Remedy]:
        """The steps beyond reconnecting that are possible for the device at that address."""
        restart = self._restart_of(address)
        return {} if restart is None else {"restart_driver": restart}

    def _restart_of(self, address: str) -> Remedy | None:
        parsed = parse(address)
        program = dict(self._indi.drivers).get(parsed.device) if self._indi and parsed.scheme == "indi" else None
        if program is None or self._indi is None:
            return None
        fifo = Path(self._indi.fifo)
        if program not in self._restarts:
            self._restarts[program] = Once(self._clock, lambda: restart_driver(fifo, program, self._clock))
        return self._restarts[program]


class Remedies:
    """What can be done for each device of a site, by its address and its outlet."""

    def __init__(self, clock: Clock, indi: IndiSetup | None, board: PowerBoard) -> None:
        self._restarts, self._board = DriverRestarts(clock, indi), board

    def of(self, address: str, power: Outlet | None) -> dict[Step, Remedy]:
        """The steps beyond reconnecting that are possible for that device."""
        found = self._restarts.of(address)
        if power is not None:
            found["power_cycle"] = self._board.cycle_of(power)
        return found


def switch_addresses(outlets: Sequence[Outlet | None]) -> tuple[str, ...]:
    """The switches behind these outlets, each once, in order."""
    return tuple(dict.fromkeys(outlet.address for outlet in outlets if outlet is not None))
