"""Device addresses, as the configuration writes them.

indi://localhost:7624/Telescope Simulator     a device of an indiserver
indi://localhost:7624/CCD?serial=0d1a         that device, if its serial number is this one
indi://localhost/Mount?port=/dev/serial/by-id/usb-x   that device, on this port of the server's machine
alpaca://192.168.1.20:11111/telescope/0       a device of an ASCOM Alpaca server
alpaca://hut/telescope/0?state=yes            the same, read by its DeviceState
phd2://localhost:4400                         PHD2's event server; its one device is the guider
sim://camera                                  a device of the simulated observatory
file:///var/cloud.txt?format=boltwood         weather in a file; mqtt://, http+json://: see `feeds`

Packages of others may add schemes (`plugins`).
"""

from dataclasses import dataclass
from urllib.parse import SplitResult, parse_qsl, unquote, urlsplit

from astrod_drivers import plugins
from astrod_drivers.alpaca import TYPES
from astrod_drivers.errors import AddressInvalid

INDI_PORT = 7624
FEEDS = {"file": 0, "mqtt": 1883, "http+json": 80, "https+json": 443}
"""The schemes of `feeds`, each with its usual port."""
ALPACA_PORT = 11111
PHD2_PORT = 4400
FORMS = "indi://HOST:PORT/DEVICE NAME, alpaca://HOST:PORT/TYPE/NUMBER, phd2://HOST:PORT or sim://DEVICE"


@dataclass(frozen=True, slots=True)
class Address:
    """A parsed address. For `sim`, `host` is empty and `port` 0; for `alpaca`, `device` is TYPE/NUMBER. `options` are
    what follows a `?`.
    """

    scheme: str
    host: str
    port: int
    device: str
    options: tuple[tuple[str, str], ...] = ()

    def option(self, name: str) -> str | None:
        """The value of that option; None where it is not given."""
        return dict(self.options).get(name)

    def __str__(self) -> str:
        if self.scheme in ("sim", "file"):
            return f"{self.scheme}://{self.device}"
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{self.scheme}://{host}:{self.port}" + ("" if self.scheme == "phd2" else f"/{self.device}")


def parse(text: str) -> Address:
    """The parts of an address. Raises AddressInvalid, which says what an address looks like."""
    try:
        parts = urlsplit(text, allow_fragments=False)  # a # is part of a device's name
    except ValueError as fault:
        raise AddressInvalid(f"{text!r} is no device address ({fault}); write {FORMS}") from fault
    if parts.scheme == "sim":
        name = unquote(parts.netloc + parts.path)
        if not name:
            raise AddressInvalid(f"{text!r} names no device; write for instance sim://camera")
        return Address("sim", "", 0, name)
    if parts.scheme == "indi":
        return _on_server(text, parts, INDI_PORT, "indi://HOST:PORT/DEVICE NAME")
    if parts.scheme == "alpaca":
        return _alpaca(text, parts)
    if parts.scheme == "phd2":
        return _phd2(text, parts)
    if parts.scheme in FEEDS:
        return _feed(text, parts)
    if parts.scheme and parts.scheme in plugins.schemes():
        device, options = unquote(parts.path.lstrip("/")), _options(text, parts.query)
        return Address(parts.scheme, parts.hostname or "", _port(text, parts, 0), device, options)
    raise AddressInvalid(f"{text!r} is no device address; write {FORMS}")


def _on_server(text: str, parts: SplitResult, usual_port: int, form: str) -> Address:
    device = unquote(parts.path.lstrip("/"))
    port = _port(text, parts, usual_port)
    if not parts.hostname or not device:
        raise AddressInvalid(f"{text!r} lacks a {'device' if parts.hostname else 'host'}; write {form}")
    return Address(parts.scheme, parts.hostname, port, device, _options(text, parts.query))


def _feed(text: str, parts: SplitResult) -> Address:
    """A feed of weather: what is a device's name elsewhere is the file's path, the topic, the document."""
    place = unquote(parts.path)
    device = place if parts.scheme == "file" else place.lstrip("/")
    if not device or (parts.scheme != "file" and not parts.hostname):
        form = "file:///PATH?format=boltwood, mqtt://HOST/TOPIC?… or http+json://HOST/PATH?…"
        raise AddressInvalid(f"{text!r} is no feed; write {form}")
    port = _port(text, parts, FEEDS[parts.scheme])
    return Address(parts.scheme, parts.hostname or "", port, device, _options(text, parts.query))


def _options(text: str, query: str) -> tuple[tuple[str, str], ...]:
    try:
        return tuple(parse_qsl(query, keep_blank_values=True, strict_parsing=bool(query)))
    except ValueError as fault:
        raise AddressInvalid(f"{text!r}: what follows the ? is written NAME=VALUE&NAME=VALUE") from fault


def _port(text: str, parts: SplitResult, usual: int) -> int:
    try:
        return parts.port or usual
    except ValueError as fault:
        raise AddressInvalid(f"{text!r} has no valid port; the usual one is {usual}") from fault


def _alpaca(text: str, parts: SplitResult) -> Address:
    found = _on_server(text, parts, ALPACA_PORT, "alpaca://HOST:PORT/TYPE/NUMBER")
    device_type, _, number = found.device.lower().rstrip("/").partition("/")
    if device_type not in TYPES.values():
        there = ", ".join(TYPES.values())
        raise AddressInvalid(f"{text!r}: {device_type!r} is no type of device that astrod drives; there are {there}")
    if not (number.isascii() and number.isdigit() and len(number) < 10):
        raise AddressInvalid(f"{text!r}: write the device's number, for instance {device_type}/0")
    return Address(found.scheme, found.host, found.port, f"{device_type}/{int(number)}", found.options)


def _phd2(text: str, parts: SplitResult) -> Address:
    port = _port(text, parts, PHD2_PORT)
    if not parts.hostname or parts.path not in ("", "/"):
        raise AddressInvalid(f"{text!r} is no PHD2; write phd2://HOST:PORT, with nothing after it")
    return Address("phd2", parts.hostname, port, "guider")
