"""The serial devices of this computer, by the paths that stay theirs: what a driver's `?port=` wants.

`/dev/ttyUSB0` is whichever adapter was found first; udev's links below `/dev/serial` name the adapter itself, by its
serial number (`by-id`), or the socket it is plugged into (`by-path`).
"""

from dataclasses import dataclass
from pathlib import Path

BARE = ("ttyUSB*", "ttyACM*", "ttyAMA*")


@dataclass(frozen=True, slots=True)
class SerialPort:
    """A serial device. `path` is the steadiest name it has; `device` the kernel's own."""

    path: str
    device: str


def serial_ports(dev: Path = Path("/dev")) -> tuple[SerialPort, ...]:
    """The serial devices there are, by path.

    Two adapters with no serial number of their own share a `by-id` name, which then leads to one of them only: the
    other is named by its socket.
    """
    found: dict[str, str] = {}
    for folder in ("by-id", "by-path"):
        for link in sorted((dev / "serial" / folder).glob("*")):
            found.setdefault(str(link.resolve()), str(link))
    for pattern in BARE:
        for node in sorted(dev.glob(pattern)):
            found.setdefault(str(node.resolve()), str(node))
    return tuple(sorted((SerialPort(path, device) for device, path in found.items()), key=lambda port: port.path))
