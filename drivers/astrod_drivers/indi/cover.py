"""A telescope cover, a light panel, or both in one, through INDI.

A panel without a lid has nothing to open: it reads `open`, for light from the sky passes it by.
"""

from astrod_drivers.errors import CommandRefused
from astrod_drivers.indi.device import IndiDevice
from astrod_drivers.indi.link import Link, Vector
from astrod_drivers.protocols import Aperture, Cover, CoverState, Permit

LID = "CAP_PARK"
LIGHT = "FLAT_LIGHT_CONTROL"
INTENSITY, LEVEL = "FLAT_LIGHT_INTENSITY", "FLAT_LIGHT_INTENSITY_VALUE"


class IndiCover(IndiDevice, Cover):
    """See `protocols.Cover`. Brightness is in the driver's own units, from 0 to what it allows."""

    kind = "cover"

    async def _prepare(self, link: Link) -> None:
        """A device that neither covers nor shines is no cover."""
        await self._need(link, LID if LIGHT not in link.vectors else LIGHT)

    async def read(self) -> CoverState:
        link = await self._heard()
        lid = link.vectors.get(LID)
        return CoverState(aperture=_aperture(lid) if lid is not None else "open", brightness=self._brightness(link))

    def _brightness(self, link: Link) -> int | None:
        light = link.vectors.get(LIGHT)
        if light is None:
            return None
        if not light.on("FLAT_LIGHT_ON"):
            return 0
        return max(1, round(self._number(link, INTENSITY, LEVEL))) if INTENSITY in link.vectors else 1

    async def open(self, permit: Permit) -> None:
        await self._heard()
        self._check(permit)
        await self._move_lid("UNPARK")

    async def close(self) -> None:
        await self._move_lid("PARK")

    async def _move_lid(self, element: str) -> None:
        link = self._live()
        if LID not in link.vectors:
            raise CommandRefused(f"{self.address} has no lid, only a light; name the lid's own device as the cover")
        vector = self._vector(link, LID)
        if vector.on(element) and vector.state == "Busy":
            return  # on its way already
        await self._set_switch(LID, element)

    async def light(self, brightness: int) -> None:
        link = await self._heard()
        if LIGHT not in link.vectors:
            raise CommandRefused(f"{self.address} has no light; leave panel flats out of its configuration")
        if brightness <= 0:
            await self._set_switch(LIGHT, "FLAT_LIGHT_OFF")
            return
        await self._set_switch(LIGHT, "FLAT_LIGHT_ON")
        if INTENSITY in link.vectors:
            highest = self._vector(link, INTENSITY).limits[LEVEL][1]
            if brightness > highest:
                raise CommandRefused(f"{self.address}: its light goes to {highest:g}, not to {brightness}")
            await self._set_numbers(INTENSITY, {LEVEL: float(brightness)})


def _aperture(lid: Vector) -> Aperture:
    if lid.on("PARK") == lid.on("UNPARK") or lid.state == "Alert":
        return "unknown"
    if lid.state == "Busy":
        return "closing" if lid.on("PARK") else "opening"
    return "closed" if lid.on("PARK") else "open"
