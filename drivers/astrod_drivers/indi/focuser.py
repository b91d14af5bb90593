"""A focuser through INDI."""

from astrod_drivers.errors import CommandRefused
from astrod_drivers.indi.device import IndiDevice
from astrod_drivers.indi.link import Link
from astrod_drivers.protocols import Focuser, FocuserState

POSITION, ELEMENT = "ABS_FOCUS_POSITION", "FOCUS_ABSOLUTE_POSITION"


class IndiFocuser(IndiDevice, Focuser):
    """See `protocols.Focuser`."""

    kind = "focuser"
    needs = (POSITION,)

    async def read(self) -> FocuserState:
        link = await self._heard()
        temperature = link.vectors.get("FOCUS_TEMPERATURE")
        return FocuserState(
            position=round(self._number(link, POSITION, ELEMENT)),
            moving=self._vector(link, POSITION).state == "Busy",
            max_position=self._max(link),
            temperature_c=temperature.number("TEMPERATURE") if temperature is not None else None,
        )

    def _max(self, link: Link) -> int:
        limit = link.vectors.get("FOCUS_MAX")
        value = limit.number("FOCUS_MAX_VALUE") if limit is not None else None
        return round(value if value is not None else self._vector(link, POSITION).limits[ELEMENT][1])

    async def move(self, position: int) -> None:
        link = await self._heard()
        if not 0 <= position <= self._max(link):
            raise CommandRefused(f"{self.address}: {position} is outside 0..{self._max(link)}")
        await self._set_numbers(POSITION, {ELEMENT: float(position)})

    async def abort(self) -> None:
        link = self._live()
        if "FOCUS_ABORT_MOTION" in link.vectors:
            await self._set_switch("FOCUS_ABORT_MOTION", "ABORT")
        elif self._vector(link, POSITION).state == "Busy":
            raise CommandRefused(f"{self.address} cannot stop a move; wait until it is done")
