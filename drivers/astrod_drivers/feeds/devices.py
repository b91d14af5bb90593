"""Which feed serves which scheme."""

from astrod_drivers.address import Address
from astrod_drivers.errors import AddressInvalid
from astrod_drivers.feeds import SERVED
from astrod_drivers.protocols import Clock, Weather


def open_feed(kind: str, address: Address, *, clock: Clock) -> Weather:
    """The feed at that address, not yet connected. Raises AddressInvalid for another kind, or a bad mapping."""
    if kind not in SERVED:
        raise AddressInvalid(f"{address} is a feed of weather and can be no {kind}")
    if address.scheme == "file":
        from astrod_drivers.feeds.file import FileWeather

        return FileWeather(address, clock)
    if address.scheme == "mqtt":
        from astrod_drivers.feeds.mqtt import MqttWeather

        return MqttWeather(address, clock)
    from astrod_drivers.feeds.http import HttpWeather

    return HttpWeather(address, clock)
