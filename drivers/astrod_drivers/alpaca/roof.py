"""A dome with a shutter, or a roll-off roof (to Alpaca, a dome that cannot turn)."""

from typing import Any

from alpaca.dome import Dome, ShutterState

from astrod_drivers.alpaca.device import AlpacaDevice
from astrod_drivers.alpaca.values import flag, number, optional
from astrod_drivers.errors import CommandRefused, DeviceMissing
from astrod_drivers.protocols import Aperture, Permit, Roof, RoofState

APERTURES: dict[ShutterState, Aperture] = {
    ShutterState.shutterOpen: "open",
    ShutterState.shutterClosed: "closed",
    ShutterState.shutterOpening: "opening",
    ShutterState.shutterClosing: "closing",
    ShutterState.shutterError: "unknown",
}


class AlpacaRoof(AlpacaDevice, Roof):
    """See `protocols.Roof`. A dome whose shutter does not obey cannot be closed, so it is none."""

    kind = "roof"
    model = Dome
    _turns = False

    def _survey(self, device: Any) -> None:
        if not flag(device.CanSetShutter, "CanSetShutter"):
            raise DeviceMissing(f"{self.address} cannot work its shutter; astrod must be able to close a roof")
        self._turns = flag(device.CanSetAzimuth, "CanSetAzimuth")

    async def read(self) -> RoofState:
        return await self._read_state(self._state)

    def _state(self, device: Any) -> RoofState:
        aperture = APERTURES[ShutterState(device.ShutterStatus)]
        return RoofState(aperture, number(device.Azimuth, "Azimuth", -360.0, 360.0) % 360.0 if self._turns else None)

    async def open(self, permit: Permit) -> None:
        def go(device: Any) -> None:
            self._check(permit)
            device.OpenShutter()

        self._check(permit)
        await self._command("opening", go)

    async def close(self) -> None:
        await self._command("closing", lambda device: device.CloseShutter())

    async def turn(self, azimuth_deg: float) -> None:
        self._live()
        if not self._turns:
            raise CommandRefused(f"{self.address} does not turn; only a dome does")

        def go(device: Any) -> None:
            if optional(lambda: flag(device.Slaved, "Slaved")):
                device.Slaved = False  # two masters would fight over the dome
            device.SlewToAzimuth(azimuth_deg % 360.0)

        await self._command("turning", go)

    async def abort(self) -> None:
        await self._command("stopping", lambda device: device.AbortSlew())
