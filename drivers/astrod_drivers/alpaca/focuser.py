"""A focuser."""

from typing import Any

from alpaca.focuser import Focuser as AlpycaFocuser

from astrod_drivers.alpaca.device import AlpacaDevice
from astrod_drivers.alpaca.link import NotOffered
from astrod_drivers.alpaca.values import flag, number, optional, whole
from astrod_drivers.errors import CommandRefused, DeviceMissing
from astrod_drivers.protocols import Focuser, FocuserState


class AlpacaFocuser(AlpacaDevice, Focuser):
    """See `protocols.Focuser`. A relative one, which does not know where it is, is none for astrod."""

    kind = "focuser"
    model = AlpycaFocuser
    _max_position = 0

    def _survey(self, device: Any) -> None:
        if not flag(device.Absolute, "Absolute"):
            raise DeviceMissing(f"{self.address} is a relative focuser; astrod needs one that knows its position")
        self._max_position = whole(device.MaxStep, "MaxStep", 1, 2**31 - 1)

    async def read(self) -> FocuserState:
        return await self._read_state(self._state)

    def _state(self, device: Any) -> FocuserState:
        return FocuserState(
            position=whole(device.Position, "Position", -(2**31), 2**31 - 1),
            moving=flag(device.IsMoving, "IsMoving"),
            max_position=self._max_position,
            temperature_c=optional(lambda: number(device.Temperature, "Temperature", -100.0, 100.0)),
        )

    async def move(self, position: int) -> None:
        self._live()
        if not 0 <= position <= self._max_position:
            raise CommandRefused(f"{self.address}: {position} is outside 0..{self._max_position}")

        await self._command("moving", lambda device: device.Move(position))

    async def abort(self) -> None:
        def stop(device: Any) -> None:
            try:
                device.Halt()
            except NotOffered as fault:
                if flag(device.IsMoving, "IsMoving"):
                    raise CommandRefused(f"{self.address} cannot stop a move; wait until it is done") from fault

        await self._command("stopping", stop)
