"""A telescope cover and its calibration light (Alpaca: covercalibrator)."""

from typing import Any

from alpaca.covercalibrator import CalibratorStatus, CoverCalibrator, CoverStatus

from astrod_drivers.alpaca.device import AlpacaDevice
from astrod_drivers.alpaca.values import whole
from astrod_drivers.errors import CommandRefused, DeviceMissing
from astrod_drivers.protocols import Aperture, Cover, CoverState, Permit

APERTURES: dict[CoverStatus, Aperture] = {CoverStatus.Closed: "closed", CoverStatus.Open: "open"}
LIT = (CalibratorStatus.NotReady, CalibratorStatus.Ready)


class AlpacaCover(AlpacaDevice, Cover):
    """See `protocols.Cover`. A light panel without a cover counts as one that is always open."""

    kind = "cover"
    model = CoverCalibrator
    _covers = _lights = False
    _brightest = 0
    _way: Aperture = "unknown"

    def _survey(self, device: Any) -> None:
        self._covers = CoverStatus(device.CoverState) is not CoverStatus.NotPresent
        self._lights = CalibratorStatus(device.CalibratorState) is not CalibratorStatus.NotPresent
        if not self._covers and not self._lights:
            raise DeviceMissing(f"{self.address} has neither cover nor light; check its setup")
        self._brightest = whole(device.MaxBrightness, "MaxBrightness", 1, 2**31 - 1) if self._lights else 0

    async def read(self) -> CoverState:
        return await self._read_state(self._state)

    def _state(self, device: Any) -> CoverState:
        return CoverState(self._aperture(device), self._brightness(device) if self._lights else None)

    def _aperture(self, device: Any) -> Aperture:
        if not self._covers:
            return "open"
        state = CoverStatus(device.CoverState)
        if state is CoverStatus.Moving:  # the interface does not say which way
            return self._way
        return APERTURES.get(state, "unknown")

    def _brightness(self, device: Any) -> int:
        lit = CalibratorStatus(device.CalibratorState) in LIT
        return whole(device.Brightness, "Brightness", 0, self._brightest) if lit else 0

    async def open(self, permit: Permit) -> None:
        def go(device: Any) -> None:
            self._refuse_coverless()
            self._check(permit)
            device.OpenCover()
            self._way = "opening"

        self._check(permit)
        await self._command("opening", go)

    async def close(self) -> None:
        def go(device: Any) -> None:
            self._refuse_coverless()
            device.CloseCover()
            self._way = "closing"

        await self._command("closing", go)

    def _refuse_coverless(self) -> None:
        if not self._covers:
            raise CommandRefused(f"{self.address} is a light without a cover")

    async def light(self, brightness: int) -> None:
        self._live()
        if not self._lights:
            raise CommandRefused(f"{self.address} has no light")
        if not 0 <= brightness <= self._brightest:
            raise CommandRefused(f"{self.address}: brightness {brightness} is outside 0..{self._brightest}")

        def go(device: Any) -> None:
            if brightness:
                device.CalibratorOn(brightness)
            else:
                device.CalibratorOff()

        await self._command("lighting", go)
