"""Which INDI driver serves which kind of device."""

from pathlib import Path

from astrod_drivers.address import Address
from astrod_drivers.errors import AddressInvalid
from astrod_drivers.indi.camera import IndiCamera
from astrod_drivers.indi.cover import IndiCover
from astrod_drivers.indi.device import IndiDevice
from astrod_drivers.indi.focuser import IndiFocuser
from astrod_drivers.indi.mount import IndiMount
from astrod_drivers.indi.roof import IndiRoof
from astrod_drivers.indi.rotator import IndiRotator
from astrod_drivers.indi.switch import IndiSwitch
from astrod_drivers.indi.weather import IndiSafetyMonitor, IndiWeather
from astrod_drivers.indi.wheel import IndiWheel
from astrod_drivers.protocols import Clock, Device, Gate

DRIVERS: dict[str, type[IndiDevice]] = {
    "mount": IndiMount,
    "camera": IndiCamera,
    "focuser": IndiFocuser,
    "wheel": IndiWheel,
    "rotator": IndiRotator,
    "roof": IndiRoof,
    "cover": IndiCover,
    "switch": IndiSwitch,
    "weather": IndiWeather,
    "safety_monitor": IndiSafetyMonitor,
}


def open_indi(kind: str, address: Address, *, clock: Clock, gate: Gate, spool: Path) -> Device:
    """The driver for that device, not yet connected. Raises AddressInvalid for a kind INDI does not serve."""
    driver = DRIVERS.get(kind)
    if driver is None:
        raise AddressInvalid(f"{address}: astrod drives no {kind} through INDI; it drives {', '.join(DRIVERS)}")
    return driver(address, clock=clock, gate=gate, spool=spool)
