"""Which Alpaca driver serves which kind of device."""

from pathlib import Path

from astrod_drivers.address import Address
from astrod_drivers.alpaca.camera import AlpacaCamera
from astrod_drivers.alpaca.cover import AlpacaCover
from astrod_drivers.alpaca.device import AlpacaDevice
from astrod_drivers.alpaca.focuser import AlpacaFocuser
from astrod_drivers.alpaca.mount import AlpacaMount
from astrod_drivers.alpaca.roof import AlpacaRoof
from astrod_drivers.alpaca.rotator import AlpacaRotator
from astrod_drivers.alpaca.switch import AlpacaSwitch
from astrod_drivers.alpaca.weather import AlpacaSafetyMonitor, AlpacaWeather
from astrod_drivers.alpaca.wheel import AlpacaWheel
from astrod_drivers.errors import AddressInvalid
from astrod_drivers.protocols import Clock, Device, Gate

DRIVERS: dict[str, type[AlpacaDevice]] = {
    "mount": AlpacaMount,
    "camera": AlpacaCamera,
    "focuser": AlpacaFocuser,
    "wheel": AlpacaWheel,
    "rotator": AlpacaRotator,
    "roof": AlpacaRoof,
    "cover": AlpacaCover,
    "switch": AlpacaSwitch,
    "weather": AlpacaWeather,
    "safety_monitor": AlpacaSafetyMonitor,
}


def open_alpaca(kind: str, address: Address, *, clock: Clock, gate: Gate, spool: Path) -> Device:
    """The driver for that device, not yet connected. Raises AddressInvalid for a kind Alpaca does not have."""
    driver = DRIVERS.get(kind)
    if driver is None:
        raise AddressInvalid(f"{address}: astrod drives no {kind} through Alpaca; it drives {', '.join(DRIVERS)}")
    return driver(address, clock=clock, gate=gate, spool=spool)
