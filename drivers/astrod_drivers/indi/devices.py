"""Which INDI driver serves which kind of device."""

from pathlib import Path

from astrod_drivers.address import Address
from astrod_drivers.errors import AddressInvalid
from astrod_drivers.protocols import Clock, Device, Gate


def open_indi(kind: str, address: Address, *, clock: Clock, gate: Gate, spool: Path) -> Device:
    """The driver for that device, not yet connected. Raises AddressInvalid for a kind INDI does not serve."""
    raise AddressInvalid(f"{address}: astrod drives no {kind} through INDI")
