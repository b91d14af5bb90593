"""A camera rotator; its mechanical angle, whatever the server has been told about the sky."""

from typing import Any

from alpaca.rotator import Rotator as AlpycaRotator

from astrod_drivers.alpaca.device import AlpacaDevice
from astrod_drivers.alpaca.link import NotOffered, NotServed
from astrod_drivers.alpaca.values import flag, number
from astrod_drivers.protocols import Rotator, RotatorState


class AlpacaRotator(AlpacaDevice, Rotator):
    """See `protocols.Rotator`. Before interface version 3 the only angle, `Position`, is the mechanical one."""

    kind = "rotator"
    model = AlpycaRotator
    _mechanical = True

    def _survey(self, device: Any) -> None:
        try:
            number(device.MechanicalPosition, "MechanicalPosition", -360.0, 360.0)
            self._mechanical = True
        except (NotOffered, NotServed):
            number(device.Position, "Position", -360.0, 360.0)
            self._mechanical = False

    async def read(self) -> RotatorState:
        return await self._read_state(self._state)

    def _state(self, device: Any) -> RotatorState:
        angle = device.MechanicalPosition if self._mechanical else device.Position
        return RotatorState(number(angle, "Position", -360.0, 360.0) % 360.0, flag(device.IsMoving, "IsMoving"))

    async def move(self, angle_deg: float) -> None:
        def turn(device: Any) -> None:
            if self._mechanical:
                device.MoveMechanical(angle_deg % 360.0)
            else:
                device.MoveAbsolute(angle_deg % 360.0)

        await self._command("turning", turn)

    async def abort(self) -> None:
        await self._command("stopping", lambda device: device.Halt())
