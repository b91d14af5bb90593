"""What could be configured: INDI servers, Alpaca servers and serial devices, looked for all at once.

Nothing is connected and nothing moves: servers are asked what they have, in a few seconds however many there are.
"""

import asyncio
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from astrod.runtime.clock import Clock
from astrod_drivers.errors import Unreachable
from astrod_drivers.serialports import SerialPort, serial_ports

INDI_PORTS = (7624, 7625)
"""indiserver's own, and that of a second one for roof and weather."""
ALPACA_S = 2.0


@dataclass(frozen=True, slots=True)
class Device:
    """A device as its server names it: what it can be used as, and the address for the configuration."""

    name: str
    kinds: tuple[str, ...]
    address: str


@dataclass(frozen=True, slots=True)
class Server:
    """A server that answered; `protocol` is indi or alpaca."""

    protocol: str
    host: str
    port: int
    name: str
    devices: tuple[Device, ...]


@dataclass(frozen=True, slots=True)
class Place:
    """A computer to look at; `port` None: INDI's usual ones."""

    host: str
    port: int | None = None

    @classmethod
    def parse(cls, text: str) -> "Place":
        """From `HOST` or `HOST:PORT`. Raises ValueError."""
        host, colon, port = text.partition(":")
        if not host or (colon and not (port.isdigit() and 0 < int(port) < 65_536)):
            raise ValueError(f"{text!r} is no place; write HOST or HOST:PORT, for instance hut.lan:7624")
        return cls(host, int(port) if colon else None)


@dataclass(frozen=True, slots=True)
class Discovered:
    """All that was found."""

    servers: tuple[Server, ...]
    serial: tuple[SerialPort, ...]

    def as_json(self) -> dict[str, Any]:
        """The object that `astrod discover --json` prints."""
        return {
            "servers": [asdict(server) for server in self.servers],
            "serial": [asdict(port) for port in self.serial],
        }


async def discover(places: Sequence[Place], clock: Clock, discovery_port: int | None = None) -> Discovered:
    """Look at this computer, the networks it is in (Alpaca only), and at `places`; `discovery_port` is Alpaca's, where
    it is not the usual one.
    """
    looked = dict.fromkeys((Place("localhost"), *places))
    doors = dict.fromkeys((place.host, port) for place in looked for port in _indi_ports(place))
    alpaca = asyncio.create_task(_alpaca([place.host for place in places], clock, discovery_port))
    indi = await asyncio.gather(*(_indi(host, port, clock) for host, port in doors))
    return Discovered((*(server for server in indi if server is not None), *await alpaca), serial_ports())


def _indi_ports(place: Place) -> tuple[int, ...]:
    return INDI_PORTS if place.port is None else (place.port,)


async def _indi(host: str, port: int, clock: Clock) -> Server | None:
    """The indiserver there; None where nobody answers."""
    from astrod_drivers.indi.discovery import find

    try:
        found = await find(host, port, clock)
    except Unreachable:
        return None
    devices = tuple(Device(device.name, device.kinds, device.address) for device in found)
    return Server("indi", host, port, "indiserver", devices)


async def _alpaca(hosts: Sequence[str], clock: Clock, discovery_port: int | None) -> list[Server]:
    """The Alpaca servers that answer. A host that is named is asked by itself: broadcasts end at the router."""
    from astrod_drivers.alpaca.discovery import DISCOVERY_PORT, broadcasts, find

    found = await find(clock, ALPACA_S, (*broadcasts(), *hosts), discovery_port or DISCOVERY_PORT)
    return [
        Server(
            "alpaca",
            server.host,
            server.port,
            server.name,
            tuple(Device(one.name, (one.kind,) if one.kind else (), one.address) for one in server.devices),
        )
        for server in found
    ]
