"""Whether a mount is known to be out of the roof's way, by whatever the site's interlock believes."""

import logging
from collections.abc import Awaitable, Callable, Mapping
from typing import Protocol

from astrod.domain.site import Rig, Site
from astrod.domain.sphere import separation_deg
from astrod.errors import AstrodError
from astrod.rig.port import Port
from astrod_drivers.protocols import Mount, MountState, SafetyMonitor, Switch, Weather

log = logging.getLogger(__name__)

WhereIsIt = Callable[[str], Awaitable[tuple[float, float] | None]]
"""From a rig's name to the azimuth and altitude, degrees, at which its tube points by a plate solve made just now;
None when the sky does not tell (`sights.Sights`). Only control can solve, so there is an answer only while it lives.
"""
PARKED_WITHIN_DEG = 5.0
"""A tube that a solve finds this near to its park place is parked."""
PARKED_OVER = 0.5
"""A weather source's quantity that stands for a park switch reads 0 or 1."""


class ParkSensor(Protocol):
    """What tells beside the mount itself that it is parked."""

    async def parked(self) -> bool:
        """Raises RecoverDevice when it does not answer."""


class MonitorSensor:
    """A safety monitor at the park position: safe is parked."""

    def __init__(self, port: Port[SafetyMonitor]) -> None:
        self._port = port

    async def parked(self) -> bool:
        """See `ParkSensor`."""
        return (await self._port.call("read the park sensor", lambda device: device.read())).safe


class SwitchSensor:
    """An input of a switch: on is parked."""

    def __init__(self, port: Port[Switch], name: str) -> None:
        self._port, self._name = port, name

    async def parked(self) -> bool:
        """See `ParkSensor`; an input that the switch does not have is not on."""
        return (await self._port.call("read the park sensor", lambda device: device.read())).on.get(self._name, False)


class QuantitySensor:
    """A quantity of a weather source: over a half is parked."""

    def __init__(self, port: Port[Weather], name: str) -> None:
        self._port, self._name = port, name

    async def parked(self) -> bool:
        """See `ParkSensor`; what is not measured is not parked."""
        reading = await self._port.call("read the park sensor", lambda device: device.read())
        return reading.values.get(self._name, 0.0) > PARKED_OVER and not reading.overridden


class Clearance:
    """The interlock of one site."""

    def __init__(
        self,
        site: Site,
        mounts: Mapping[str, Port[Mount]],
        sensors: Mapping[str, ParkSensor],
        where_is_it: WhereIsIt | None = None,
    ) -> None:
        self._interlock = site.roof.interlock if site.roof else "mount"
        self._rigs: dict[str, Rig] = {rig.name: rig for rig in site.rigs}
        self._mounts, self._sensors, self._where_is_it = mounts, sensors, where_is_it
        self._seen_parked: set[str] = set()
        self._doubts: dict[str, str] = {}

    @property
    def asks_the_sky(self) -> bool:
        """Whether the sky must be seen before the roof may close: covers then stay open until it was."""
        return self._interlock == "solve"

    async def parked(self, name: str) -> bool | None:
        """Whether a rig is parked, by the word that counts here; None when nothing tells."""
        if self._interlock == "sensor":
            return await self._by_sensor(name)
        state = await self._state(name)
        if state is None or not state.parked:
            self._seen_parked.discard(name)  # what the sky said of it is over
        return None if state is None else state.parked

    def look_anew(self) -> None:
        """What the sky said is over: the roof stands open, and mounts may have left, whatever they say."""
        self._seen_parked.clear()

    def doubt(self, name: str) -> str:
        """Why the rig was not clear when it was last asked about, to follow the mount's name."""
        return self._doubts.get(name, "is not known to be clear")

    async def is_clear(self, name: str, under_roof: bool = False) -> bool:
        """Whether the roof may move past this rig. What is not known is not clear.

        `under_roof`: the roof reads closed, and no sky is to be seen. The interlock `solve` then goes by the mount's
        word alone: the roof closed over a tube that was seen at its place, and since then no mount could move.
        """
        match self._interlock:
            case "none":
                return True
            case "mount":
                return await self.parked(name) is True
            case "sensor":
                return await self._by_sensor(name) is True and not _moves(await self._state(name))
            case "solve":
                return await self.parked(name) is True and (under_roof or await self._by_solve(name))

    async def _state(self, name: str) -> MountState | None:
        try:
            return await self._mounts[name].call("read the mount", lambda mount: mount.read())
        except AstrodError as fault:
            log.debug("%s: %s", name, fault)
            return None

    async def _by_sensor(self, name: str) -> bool | None:
        sensor = self._sensors.get(name)
        if sensor is None:
            return None
        try:
            return await sensor.parked()
        except AstrodError as fault:
            log.debug("%s: the park sensor does not tell: %s", name, fault)
            return None

    async def _by_solve(self, name: str) -> bool:
        """Whether the sky shows the tube at its park place; once it did, for as long as the mount says parked and until
        `look_anew`: through a roof that is stuck half way there may be nothing to see.
        """
        place = self._rigs[name].mount.park_place
        if name in self._seen_parked:
            return True
        self._doubts[name] = "says that it is parked, and no plate solution says where it points"
        if self._where_is_it is None or place is None:
            return False  # nobody can look: nothing is known
        seen = await self._where_is_it(name)
        if seen is None:
            return False
        if separation_deg(seen[0], seen[1], place[0], place[1]) > PARKED_WITHIN_DEG:
            self._doubts[name] = (
                f"says that it is parked, and the sky shows it at azimuth {seen[0]:.0f}°, altitude {seen[1]:.0f}°, "
                f"not at its park place, {place[0]:.0f}°, {place[1]:.0f}°"
            )
            return False
        if await self.parked(name) is not True:  # it may have left meanwhile
            return False
        self._seen_parked.add(name)
        del self._doubts[name]
        return True


def _moves(state: MountState | None) -> bool:
    """A mount that says it moves is believed against any sensor; one that says nothing leaves it to the sensor."""
    return state is not None and (state.slewing or state.tracking)
