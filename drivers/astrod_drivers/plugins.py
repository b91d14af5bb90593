"""Drivers of others: packages that declare an entry point in the group `astrod.drivers`.

    [project.entry-points."astrod.drivers"]
    myscope = "my_package.driver:open_device"

The entry point's name is the scheme of addresses (`myscope://192.168.1.9:4030/mount`), and what it names is called in
a child process of its own as `open_device(kind, address, *, clock, gate, spool)`. It answers an object that implements
the kind's protocol, not yet connected, or raises AddressInvalid. drivers/README.md writes one in an hour.
"""

from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Protocol, cast

from astrod_drivers.errors import AddressInvalid
from astrod_drivers.protocols import Clock, Device, Gate

if TYPE_CHECKING:
    from importlib.metadata import EntryPoint

    from astrod_drivers.address import Address

GROUP = "astrod.drivers"


class OpenDevice(Protocol):
    """What an entry point names."""

    def __call__(self, kind: str, address: "Address", *, clock: Clock, gate: Gate, spool: Path) -> Device: ...


@cache
def _found() -> "dict[str, EntryPoint]":
    """The entry points by scheme; the first one found has it where two packages want the same."""
    from importlib.metadata import entry_points  # rarely asked for, and a megabyte in each child

    found: dict[str, EntryPoint] = {}
    for entry in entry_points(group=GROUP):
        found.setdefault(entry.name, entry)
    return found


def schemes() -> tuple[str, ...]:
    """The schemes that installed packages add, sorted."""
    return tuple(sorted(_found()))


def forget() -> None:
    """Look again at what is installed; for programs that install while they run."""
    _found.cache_clear()


def open_plugin(kind: str, address: "Address", *, clock: Clock, gate: Gate, spool: Path) -> Device:
    """The device that a package's driver makes. Raises AddressInvalid when its code cannot be loaded."""
    entry = _found()[address.scheme]
    try:
        factory = cast(Callable[..., Device], entry.load())
    except (ImportError, AttributeError) as fault:
        package = entry.dist.name if entry.dist is not None else "?"
        text = f"{address}: the driver {entry.value} of the package {package} cannot be loaded ({fault}); reinstall it"
        raise AddressInvalid(text) from fault
    return factory(kind, address, clock=clock, gate=gate, spool=spool)
