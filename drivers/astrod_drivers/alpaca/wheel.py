"""A filter wheel; filters go by the server's names."""

from typing import Any

from alpaca.filterwheel import FilterWheel as AlpycaWheel

from astrod_drivers.alpaca.device import AlpacaDevice
from astrod_drivers.alpaca.values import texts, whole
from astrod_drivers.errors import CommandRefused
from astrod_drivers.protocols import FilterWheel, WheelState

MOVING = -1


class AlpacaWheel(AlpacaDevice, FilterWheel):
    """See `protocols.FilterWheel`. Filters without a name are called `1`, `2`, …"""

    kind = "filter wheel"
    model = AlpycaWheel

    async def read(self) -> WheelState:
        return await self._read(_state)

    async def select(self, name: str) -> None:
        def turn(device: Any) -> None:
            names = _names(device)
            if name not in names:
                raise CommandRefused(f"{self.address} has no filter {name!r}; it has {', '.join(names)}")
            device.Position = names.index(name)

        await self._command("turning", turn)


def _names(device: Any) -> tuple[str, ...]:
    names = texts(device.Names, "Names")
    return tuple(name.strip() or str(place) for place, name in enumerate(names, 1))


def _state(device: Any) -> WheelState:
    names = _names(device)
    place = whole(device.Position, "Position", MOVING, len(names) - 1)
    return WheelState(None if place == MOVING else names[place], place == MOVING, names)
