"""Alpaca servers on the network and their devices: one broadcast, and a question to each that answers.

Asked on loopback and on each interface that has a broadcast address, or where the caller says. A question takes as long
as its deadline and no longer; a server that answers nonsense is left out and logged.
"""

import asyncio
import fcntl
import json
import logging
import socket
import struct
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from astrod_drivers.alpaca import TYPES
from astrod_drivers.alpaca.link import CALL, Call, Link
from astrod_drivers.errors import DriverError
from astrod_drivers.protocols import Clock

DISCOVERY_PORT = 32227
QUESTION = b"alpacadiscovery1"
ASK_EVERY_S = 0.5  # a broadcast may be lost; three are not
LOOPBACK = "127.255.255.255"
KINDS = {device_type: kind for kind, device_type in TYPES.items()}
_IFREQ, _SIOCGIFFLAGS, _SIOCGIFBRDADDR = struct.Struct("256s"), 0x8913, 0x8919
_UP, _BROADCAST = 0x1, 0x2
log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Found:
    """A device: its kind (as in `protocols.KINDS`; None for one that astrod does not drive), name and address."""

    kind: str | None
    name: str
    address: str
    unique_id: str


@dataclass(frozen=True, slots=True)
class Server:
    """A server that answered, with its devices in its own order. `name` is empty where it does not say."""

    host: str
    port: int
    name: str
    devices: tuple[Found, ...]


class Ears(asyncio.DatagramProtocol):
    """Collects who answers: (host, Alpaca port)."""

    def __init__(self) -> None:
        self.heard: set[tuple[str, int]] = set()

    def datagram_received(self, data: bytes, address: Any) -> None:
        """Believe an answer only when it names a port."""
        try:
            port = json.loads(data)["AlpacaPort"]
        except (ValueError, TypeError, KeyError, RecursionError):
            log.debug("no Alpaca answer from %s: %r", address, data[:60])
            return
        if isinstance(port, int) and not isinstance(port, bool) and 0 < port < 65_536:
            self.heard.add((address[0], port))


def broadcasts() -> tuple[str, ...]:
    """The IPv4 broadcast addresses of the interfaces that are up, and loopback's."""
    found = [LOOPBACK]
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        for _, name in socket.if_nameindex():
            request = _IFREQ.pack(name.encode()[:15])
            try:
                flags = struct.unpack_from("<H", fcntl.ioctl(probe, _SIOCGIFFLAGS, request), 16)[0]
                if flags & _UP and flags & _BROADCAST:
                    found.append(socket.inet_ntoa(fcntl.ioctl(probe, _SIOCGIFBRDADDR, request)[20:24]))
            except OSError as fault:  # an interface without an IPv4 address
                log.debug("%s: %s", name, fault)
    return tuple(dict.fromkeys(found))


async def find(
    clock: Clock,
    deadline_s: float = 2.0,
    to: Iterable[str] | None = None,
    port: int = DISCOVERY_PORT,
) -> tuple[Server, ...]:
    """The servers that answer within `deadline_s`, sorted; `to` are the addresses to ask, else `broadcasts()`.

    Half of the time is for answers to the broadcast, the rest for what each server has.
    """
    ends_s = clock.monotonic_s() + deadline_s
    heard = await _listen(clock, tuple(to) if to is not None else broadcasts(), port, deadline_s / 2.0)
    left_s = max(0.1, ends_s - clock.monotonic_s())
    asked = await asyncio.gather(*(_ask(host, its, clock, left_s) for host, its in sorted(heard)))
    return tuple(server for server in asked if server is not None)


async def _listen(clock: Clock, targets: tuple[str, ...], port: int, seconds: float) -> set[tuple[str, int]]:
    sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
    sock.setblocking(False)
    sock.bind(("", 0))
    transport, ears = await asyncio.get_running_loop().create_datagram_endpoint(Ears, sock=sock)
    ends_s = clock.monotonic_s() + seconds
    try:
        while (left_s := ends_s - clock.monotonic_s()) > 0.0:
            for target in targets:
                transport.sendto(QUESTION, (target, port))
            await clock.sleep(min(left_s, ASK_EVERY_S))
    finally:
        transport.close()
    return ears.heard


async def _ask(host: str, port: int, clock: Clock, seconds: float) -> Server | None:
    """What the server at that place has; None when it does not say so in time and in order."""
    link = Link(host, port, clock)
    call = Call(seconds)
    carried = CALL.set(call)
    try:
        async with asyncio.timeout(seconds):
            return await asyncio.to_thread(_server, link)
    except (TimeoutError, DriverError) as fault:
        log.warning("%s answers discovery, but not what it has (%s)", link, fault)
        return None
    finally:
        call.cut()
        CALL.reset(carried)
        link.close()


def _server(link: Link) -> Server:
    described = link.get("/management/v1/description")
    listed = link.get("/management/v1/configureddevices")
    name = described.get("ServerName", "") if isinstance(described, dict) else ""
    devices = [_found(link, one) for one in listed if isinstance(one, dict)] if isinstance(listed, list) else []
    return Server(link.host, link.port, str(name)[:80], tuple(devices))


def _found(link: Link, one: dict[str, Any]) -> Found:
    device_type = str(one.get("DeviceType", "")).lower()
    return Found(
        kind=KINDS.get(device_type),
        name=str(one.get("DeviceName", ""))[:80],
        address=f"alpaca://{link.host}:{link.port}/{device_type}/{one.get('DeviceNumber', 0)}",
        unique_id=str(one.get("UniqueID", ""))[:80],
    )
