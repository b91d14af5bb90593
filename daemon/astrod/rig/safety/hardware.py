"""What safety itself holds: sessions of its own to all that it reads and moves, shared with nobody."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from astrod.domain.site import MountSetup, Outlet, Site
from astrod.rig.port import Port
from astrod.rig.safety.clearance import (
    Clearance,
    MonitorSensor,
    ParkSensor,
    QuantitySensor,
    SwitchSensor,
    WhereIsIt,
)
from astrod.rig.safety.power import OutletCycle, PowerCycle
from astrod.rig.safety.roof import Relay, RoofPaths, SecondDriver, SecondPath
from astrod.runtime.clock import Clock
from astrod_drivers.protocols import Cover, Mount, SafetyMonitor, Weather

OpenPort = Callable[[str, str, str], Port[Any]]
"""Makes a port from its name, kind and address."""

ROOF = "roof"


@dataclass(frozen=True, slots=True)
class Hardware:
    """The devices of one site. `power` is by rig, and under ROOF for the roof; `ports` are all there are."""

    mounts: Mapping[str, Port[Mount]]
    clearance: Clearance
    roof: RoofPaths | None = None
    sources: Mapping[str, Port[Weather] | Port[SafetyMonitor]] = field(default_factory=dict)
    covers: Mapping[str, Port[Cover]] = field(default_factory=dict)
    power: Mapping[str, PowerCycle] = field(default_factory=dict)
    ports: tuple[Port[Any], ...] = ()

    def movers(self) -> list[Port[Any]]:
        """What makes the site safe by moving, or is asked before anything moves: all but the sources."""
        return [port for port in self.ports if port not in self.sources.values()]


class _Opener:
    """Opens each device once, however many things hang on it."""

    def __init__(self, open_port: OpenPort) -> None:
        self._open = open_port
        self._opened: dict[tuple[str, str], Port[Any]] = {}

    def port(self, name: str, kind: str, address: str) -> Port[Any]:
        if (kind, address) not in self._opened:
            self._opened[kind, address] = self._open(name, kind, address)
        return self._opened[kind, address]

    def switch(self, outlet: Outlet) -> Port[Any]:
        """The switch that has an outlet."""
        return self.port(f"switch of {outlet.name}", "switch", outlet.address)

    @property
    def ports(self) -> tuple[Port[Any], ...]:
        return tuple(self._opened.values())


def hardware_of(
    site: Site, clock: Clock, open_port: OpenPort, where_is_it: WhereIsIt | None = None, sources: bool = True
) -> Hardware:
    """All that the site's configuration names for safety; without `sources` only what makes it safe."""
    opener = _Opener(open_port)
    mounts = {rig.name: opener.port(f"{rig.name} mount", "mount", rig.mount.address) for rig in site.rigs}
    covers = {
        f"{rig.name} {train.name}": opener.port(f"{rig.name} {train.name} cover", "cover", train.cover)
        for rig in site.rigs
        for train in rig.trains
        if train.cover
    }
    power: dict[str, PowerCycle] = {
        rig.name: OutletCycle(opener.switch(rig.mount.power), rig.mount.power, site.power, clock)
        for rig in site.rigs
        if rig.mount.power
    }
    if site.roof is not None and site.roof.power:
        power[ROOF] = OutletCycle(opener.switch(site.roof.power), site.roof.power, site.power, clock)
    clearance = Clearance(site, mounts, _park_sensors(site, opener), where_is_it)
    roof = _roof(site, clock, opener, power.get(ROOF))
    read = {s.name: opener.port(s.name, s.kind, s.address) for s in site.sources} if sources else {}
    return Hardware(mounts, clearance, roof, read, covers, power, opener.ports)


def _park_sensors(site: Site, opener: _Opener) -> dict[str, ParkSensor]:
    if site.roof is None or site.roof.interlock != "sensor":
        return {}
    return {
        rig.name: _park_sensor(rig.name, rig.mount, rig.mount.park_sensor, opener)
        for rig in site.rigs
        if rig.mount.park_sensor
    }


def _park_sensor(rig: str, mount: MountSetup, written: str, opener: _Opener) -> ParkSensor:
    label, (address, _, name) = f"{rig} park sensor", written.partition("#")
    port = opener.port(label, mount.park_sensor_kind, address)
    match mount.park_sensor_kind:
        case "safety_monitor":
            return MonitorSensor(port)
        case "switch":
            return SwitchSensor(port, name)
        case "weather":
            return QuantitySensor(port, name)


def _roof(site: Site, clock: Clock, opener: _Opener, power: PowerCycle | None) -> RoofPaths | None:
    setup = site.roof
    if setup is None:
        return None
    second: SecondPath | None = None
    if setup.second_path and "#" in setup.second_path:
        outlet = Outlet.parse(setup.second_path)
        second = Relay(opener.switch(outlet), outlet.name)
    elif setup.second_path:
        second = SecondDriver(opener.port("roof, second path", "roof", setup.second_path))
    return RoofPaths(clock, setup, opener.port("roof", "roof", setup.address), second, power)
