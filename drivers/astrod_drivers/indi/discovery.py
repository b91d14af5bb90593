"""The devices of an indiserver and what each says it is: one question to the server, in INDI's own XML.

No native library is needed for it, so it may be asked from any process. A device says what it is by the bits of
DRIVER_INFO's DRIVER_INTERFACE (INDI's basedevice.h); one may be several things, as a camera with a wheel is.
"""

import asyncio
import logging
from dataclasses import dataclass
from typing import Any
from xml.etree.ElementTree import Element, ParseError, XMLPullParser

from astrod_drivers.errors import Unreachable
from astrod_drivers.protocols import Clock

QUESTION = b'<getProperties version="1.7"/>\n'
CONNECT_S = 5.0
MOST_BYTES = 8_000_000
"""A server that has more to say of its devices than this is none."""
_CHUNK = 65_536
INTERFACES: tuple[tuple[int, str], ...] = (
    (0, "mount"),
    (1, "camera"),
    (3, "focuser"),
    (4, "wheel"),
    (5, "roof"),
    (7, "weather"),
    (9, "cover"),
    (10, "cover"),
    (12, "rotator"),
    (16, "switch"),
    (18, "switch"),
)
"""Bits of DRIVER_INTERFACE, each with the kind of device that astrod drives by it."""
log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Found:
    """A device: its name, its address, and the kinds that it can be used as; none where it does not say."""

    name: str
    address: str
    kinds: tuple[str, ...]


async def find(host: str, port: int, clock: Clock, listen_s: float = 3.0) -> tuple[Found, ...]:
    """The devices of that server, by name, as far as it tells of them within `listen_s`. Raises Unreachable."""
    try:
        async with asyncio.timeout(CONNECT_S):
            reader, writer = await asyncio.open_connection("127.0.0.1" if host == "localhost" else host, port)
    except (OSError, TimeoutError) as fault:
        raise Unreachable(f"no indiserver answers at {host}:{port}; start it, or correct the address") from fault
    said = _Said()
    try:
        writer.write(QUESTION)
        async with asyncio.timeout(listen_s):
            while chunk := await reader.read(_CHUNK):
                said.hear(chunk)
    except TimeoutError:
        log.debug("%s:%d has told of %d devices", host, port, len(said.interfaces))
    except OSError as fault:
        raise Unreachable(f"{host}:{port} broke off: {fault.strerror or fault}") from fault
    except ParseError as fault:
        if said.interfaces:  # one driver's slip must not hide the devices before it
            log.warning("%s:%d sends what is no XML after %d devices: %s", host, port, len(said.interfaces), fault)
        else:
            raise Unreachable(f"{host}:{port} is no indiserver: it does not speak INDI ({fault})") from fault
    finally:
        writer.close()
    return tuple(
        Found(name, f"indi://{host}:{port}/{name}", kinds_of(interface))
        for name, interface in sorted(said.interfaces.items())
    )


def kinds_of(interface: int) -> tuple[str, ...]:
    """The kinds that the bits of a DRIVER_INTERFACE name."""
    return tuple(dict.fromkeys(kind for bit, kind in INTERFACES if interface >> bit & 1))


class _Said:
    """What a server has told so far: each device's DRIVER_INTERFACE, 0 until it is told."""

    def __init__(self) -> None:
        self.interfaces: dict[str, int] = {}
        self._parser: Any = XMLPullParser(("start", "end"))
        self._parser.feed("<indi>")  # INDI's stream has no root of its own
        self._open: list[Element] = []
        self._bytes = 0

    def hear(self, chunk: bytes) -> None:
        """Raises ParseError for what is not INDI's XML, or too much of it."""
        self._bytes += len(chunk)
        if self._bytes > MOST_BYTES:
            raise ParseError(f"over {MOST_BYTES} bytes of properties")
        self._parser.feed(chunk)
        for event, element in self._parser.read_events():
            if event == "start":
                self._open.append(element)
                continue
            self._open.pop()
            if len(self._open) == 1:
                self._take(element)
                self._open[0].clear()

    def _take(self, vector: Element) -> None:
        name = vector.get("device")
        if not name:
            return
        self.interfaces.setdefault(name, 0)
        if vector.get("name") == "DRIVER_INFO":
            told = next((each.text for each in vector if each.get("name") == "DRIVER_INTERFACE"), None)
            digits = (told or "").strip()
            if digits.isascii() and digits.isdigit() and len(digits) < 10:
                self.interfaces[name] = int(digits)
