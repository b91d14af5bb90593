"""A camera rotator through INDI."""

from astrod_drivers.errors import CommandRefused
from astrod_drivers.indi.device import IndiDevice
from astrod_drivers.protocols import Rotator, RotatorState

ANGLE = "ABS_ROTATOR_ANGLE"


class IndiRotator(IndiDevice, Rotator):
    """See `protocols.Rotator`."""

    kind = "rotator"
    needs = (ANGLE,)

    async def read(self) -> RotatorState:
        link = await self._heard()
        angle_deg = self._number(link, ANGLE, "ANGLE") % 360.0
        return RotatorState(angle_deg=angle_deg, moving=self._vector(link, ANGLE).state == "Busy")

    async def move(self, angle_deg: float) -> None:
        await self._heard()
        await self._set_numbers(ANGLE, {"ANGLE": angle_deg % 360.0})

    async def abort(self) -> None:
        link = self._live()
        if "ROTATOR_ABORT_MOTION" in link.vectors:
            await self._set_switch("ROTATOR_ABORT_MOTION", "ABORT")
        elif self._vector(link, ANGLE).state == "Busy":
            raise CommandRefused(f"{self.address} cannot stop a turn; wait until it is done")
