"""Device addresses, as the configuration writes them.

indi://localhost:7624/Telescope Simulator     a device of an indiserver
indi://localhost:7624/CCD?serial=0d1a         that device, if its serial number is this one
indi://localhost/Mount?port=/dev/serial/by-id/usb-x   that device, on this port of the server's machine
sim://camera                                  a device of the simulated observatory
"""

from dataclasses import dataclass
from urllib.parse import parse_qsl, unquote, urlsplit

from astrod_drivers.errors import AddressInvalid

SCHEMES = ("indi", "sim")
INDI_PORT = 7624


@dataclass(frozen=True, slots=True)
class Address:
    """A parsed address. For `sim`, `host` is empty and `port` 0. `options` are what follows a `?`."""

    scheme: str
    host: str
    port: int
    device: str
    options: tuple[tuple[str, str], ...] = ()

    def option(self, name: str) -> str | None:
        """The value of that option; None where it is not given."""
        return dict(self.options).get(name)

    def __str__(self) -> str:
        return (
            f"sim://{self.device}" if self.scheme == "sim" else f"{self.scheme}://{self.host}:{self.port}/{self.device}"
        )


def parse(text: str) -> Address:
    """The parts of an address. Raises AddressInvalid, which says what an address looks like."""
    parts = urlsplit(text, allow_fragments=False)  # a # is part of a device's name
    if parts.scheme not in SCHEMES:
        raise AddressInvalid(f"{text!r} is no device address; write indi://HOST:PORT/DEVICE NAME or sim://DEVICE")
    if parts.scheme == "sim":
        name = unquote(parts.netloc + parts.path)
        if not name:
            raise AddressInvalid(f"{text!r} names no device; write for instance sim://camera")
        return Address("sim", "", 0, name)
    device = unquote(parts.path.lstrip("/"))
    try:
        port = parts.port or INDI_PORT
    except ValueError as fault:
        raise AddressInvalid(f"{text!r} has no valid port; INDI's own is {INDI_PORT}") from fault
    if not parts.hostname or not device:
        raise AddressInvalid(
            f"{text!r} lacks a {'device' if parts.hostname else 'host'}; write indi://HOST:PORT/DEVICE NAME"
        )
    return Address("indi", parts.hostname, port, device, _options(text, parts.query))


def _options(text: str, query: str) -> tuple[tuple[str, str], ...]:
    try:
        return tuple(parse_qsl(query, keep_blank_values=True, strict_parsing=bool(query)))
    except ValueError as fault:
        raise AddressInvalid(f"{text!r}: what follows the ? is written NAME=VALUE&NAME=VALUE") from fault
