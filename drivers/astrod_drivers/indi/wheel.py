"""A filter wheel through INDI; filters go by the names in FILTER_NAME."""

from astrod_drivers.errors import CommandRefused
from astrod_drivers.indi.device import IndiDevice
from astrod_drivers.indi.link import Link
from astrod_drivers.protocols import FilterWheel, WheelState

SLOT, ELEMENT = "FILTER_SLOT", "FILTER_SLOT_VALUE"


class IndiWheel(IndiDevice, FilterWheel):
    """See `protocols.FilterWheel`. A wheel without names calls its filters `1`, `2`, …"""

    kind = "wheel"
    needs = (SLOT,)

    async def read(self) -> WheelState:
        link = await self._heard()
        names = self._names(link)
        moving = self._vector(link, SLOT).state == "Busy"
        slot = round(self._number(link, SLOT, ELEMENT))
        there = not moving and 1 <= slot <= len(names)
        return WheelState(filter=names[slot - 1] if there else None, moving=moving, filters=names)

    def _names(self, link: Link) -> tuple[str, ...]:
        vector = link.vectors.get("FILTER_NAME")
        if vector is not None:
            return tuple(str(name) for name in vector.values.values())
        return tuple(str(slot) for slot in range(1, round(self._vector(link, SLOT).limits[ELEMENT][1]) + 1))

    async def select(self, name: str) -> None:
        link = await self._heard()
        names = self._names(link)
        if name not in names:
            raise CommandRefused(f"{self.address} has no filter {name!r}; it has {', '.join(names)}")
        await self._set_numbers(SLOT, {ELEMENT: float(names.index(name) + 1)})
