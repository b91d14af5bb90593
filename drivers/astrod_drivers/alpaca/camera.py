"""A camera. Its pixels go to a file as they arrive (`imagebytes`); the child never holds a frame.

Alpaca does not say which exposure an image is of. So an image counts only for the exposure that this driver began, is
fetched once, and only when the camera says that it is ready.
"""

import logging
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from alpaca.camera import Camera as AlpycaCamera
from alpaca.camera import CameraStates, SensorType

from astrod_drivers.alpaca import imagebytes
from astrod_drivers.alpaca.device import COMMAND_S, AlpacaDevice
from astrod_drivers.alpaca.imagebytes import Size
from astrod_drivers.alpaca.values import flag, instant_us, number, optional, whole
from astrod_drivers.errors import CommandRefused, DriverError
from astrod_drivers.protocols import Camera, CameraInfo, CameraState, Permit, RawFrame, Shot

BUSY = (
    CameraStates.cameraWaiting,
    CameraStates.cameraExposing,
    CameraStates.cameraReading,
    CameraStates.cameraDownload,
)
POLL_S = 0.1
READY_GRACE_S = 30.0
DOWNLOAD_S = 60.0
log = logging.getLogger(__name__)


@dataclass(slots=True)
class Exposure:
    """The exposure that was begun last and not fetched yet. `lost` says what became of it."""

    shot: Shot
    size: Size
    began_s: float
    started_us: int = 0
    started_error_us: int = 0
    lost: str = ""

    def remaining_s(self, now_s: float) -> float:
        """Until the shutter closes."""
        return max(0.0, self.began_s + self.shot.exposure_s - now_s)

    def overdue(self, now_s: float) -> bool:
        """The image should have been ready long ago."""
        return now_s - self.began_s > self.shot.exposure_s + READY_GRACE_S


class AlpacaCamera(AlpacaDevice, Camera):
    """See `protocols.Camera`."""

    kind = "camera"
    model = AlpycaCamera
    _width_px = _height_px = 0
    _cools = _aborts = _stops = False
    _exposure: Exposure | None = None
    _clock_doubted = False

    def _survey(self, device: Any) -> None:
        self._clock_doubted = False
        self._width_px = whole(device.CameraXSize, "CameraXSize", 1, 65_536)
        self._height_px = whole(device.CameraYSize, "CameraYSize", 1, 65_536)
        self._cools = flag(device.CanSetCCDTemperature, "CanSetCCDTemperature")
        self._aborts = flag(device.CanAbortExposure, "CanAbortExposure")
        self._stops = flag(device.CanStopExposure, "CanStopExposure")

    # -- reading -----------------------------------------------------------------------------------------------

    async def describe(self) -> CameraInfo:
        return await self._read(self._info)

    def _info(self, device: Any) -> CameraInfo:
        return CameraInfo(
            name=str(device.Name)[:80],
            width_px=self._width_px,
            height_px=self._height_px,
            pixel_um=number(device.PixelSizeX, "PixelSizeX", 0.1, 200.0),
            bit_depth=whole(device.MaxADU, "MaxADU", 1, 2**32 - 1).bit_length(),
            bayer=_bayer(device),
            cooled=self._cools,
            egain_e_per_adu=optional(lambda: number(device.ElectronsPerADU, "ElectronsPerADU", 0.0, 1e6)) or None,
        )

    async def read(self) -> CameraState:
        return await self._read_state(self._state)

    def _state(self, device: Any) -> CameraState:
        exposing = CameraStates(device.CameraState) in BUSY
        exposure = self._exposure
        remaining_s = exposure.remaining_s(self.clock.monotonic_s()) if exposure is not None else 0.0
        power = optional(lambda: number(device.CoolerPower, "CoolerPower", 0.0, 100.0)) if self._cools else None
        return CameraState(
            exposing=exposing,
            remaining_s=remaining_s if exposing else 0.0,
            temperature_c=optional(lambda: number(device.CCDTemperature, "CCDTemperature", -273.0, 200.0)),
            cooler_on=bool(optional(lambda: flag(device.CoolerOn, "CoolerOn"))),
            cooler_power_percent=power,
        )

    async def cool(self, target_c: float | None) -> None:
        if not self._cools:
            raise CommandRefused(f"{self.address} has no cooler; leave cooling out of its configuration")

        def go(device: Any) -> None:
            if target_c is not None:
                device.SetCCDTemperature = target_c
            device.CoolerOn = target_c is not None

        await self._command("cooling", go)

    # -- exposing ----------------------------------------------------------------------------------------------

    async def expose(self, shot: Shot, permit: Permit) -> None:
        self._live()
        if shot.needs_permit:
            self._check(permit)
        size = Size(self._width_px // shot.binning, self._height_px // shot.binning)

        def go(device: Any) -> None:
            if CameraStates(device.CameraState) in BUSY or self._waited_for():
                raise CommandRefused(f"{self.address} is exposing already; fetch that exposure or abort it")
            self._set_up(device, shot, size)
            if shot.needs_permit:
                self._check(permit)
            exposure = Exposure(shot, size, self.clock.monotonic_s())
            self._exposure = exposure
            sent_us = self.clock.now_us()
            try:
                device.StartExposure(shot.exposure_s, shot.light)
            except DriverError as fault:
                exposure.lost = f"it was not accepted: {fault}"
                raise
            # the shutter opened some time between our word and the answer
            accepted_us = self.clock.now_us()
            exposure.started_us = (sent_us + accepted_us) // 2
            exposure.started_error_us = (accepted_us - sent_us + 1) // 2

        await self._command("exposing", go)

    def _waited_for(self) -> bool:
        last = self._exposure
        return last is not None and not last.lost and not last.overdue(self.clock.monotonic_s())

    def _set_up(self, device: Any, shot: Shot, size: Size) -> None:
        if shot.binning != 1 or optional(lambda: whole(device.BinX, "BinX", 1, 64)) not in (1, None):
            device.BinX = shot.binning
            device.BinY = shot.binning
        device.StartX = 0
        device.StartY = 0
        device.NumX = size.width
        device.NumY = size.height
        if shot.gain is not None:
            device.Gain = round(shot.gain)
        if shot.offset is not None:
            device.Offset = round(shot.offset)

    async def fetch(self, exposure_id: str) -> RawFrame:
        exposure = self._exposure
        if exposure is None or exposure.shot.exposure_id != exposure_id or exposure.lost:
            raise CommandRefused(f"{self.address} has no exposure {exposure_id!r}: it was aborted, lost or fetched")
        await self._until_ready(exposure)
        path = self._spool / f"{exposure_id}.npy"
        await self._ask("sending the image", lambda device: self._download(device, exposure, path), DOWNLOAD_S)
        if self._exposure is exposure:
            self._exposure = None
        return RawFrame(
            exposure_id=exposure_id,
            path=path,
            format="npy",
            started_us=exposure.started_us,
            started_error_us=exposure.started_error_us,
            exposure_s=exposure.shot.exposure_s,
        )

    async def _until_ready(self, exposure: Exposure) -> None:
        """Wait for the image. Raises CommandRefused when it will not come."""
        while True:
            await self.clock.sleep(max(POLL_S, min(exposure.remaining_s(self.clock.monotonic_s()), 1.0)))
            if exposure.lost or self._exposure is not exposure:
                raise CommandRefused(f"{self.address}: exposure {exposure.shot.exposure_id} is lost: {exposure.lost}")
            ready, state = await self._read(_progress)
            if ready and not exposure.remaining_s(self.clock.monotonic_s()):
                return
            if state is CameraStates.cameraError:
                exposure.lost = "the camera failed; read its log"
            elif exposure.overdue(self.clock.monotonic_s()):
                exposure.lost = f"no image within {READY_GRACE_S:g} s of its end"

    def _download(self, device: Any, exposure: Exposure, path: Path) -> None:
        """The image into `path`, whole or not at all; and, from the camera, when it began."""
        part = path.with_name(path.name + ".part")
        where = f"{self.address} imagearray"
        try:
            with part.open("wb") as file:
                self._link.exchange(
                    "GET",
                    f"{self._path}/imagearray",
                    "",
                    imagebytes.ACCEPT,
                    lambda response: imagebytes.save(response, exposure.size, file, where),
                )
            part.replace(path)
        finally:
            part.unlink(missing_ok=True)
        self._sharpen_start(device, exposure)

    def _sharpen_start(self, device: Any, exposure: Exposure) -> None:
        """Believe the camera's own start where it is finer than ours and does not contradict it."""
        told = optional(lambda: instant_us(device.LastExposureStartTime, "LastExposureStartTime"))
        if told is None:
            return
        told_us, coarse_us = told
        middle_us, error_us = told_us + coarse_us // 2, coarse_us // 2 + 1
        if abs(middle_us - exposure.started_us) > exposure.started_error_us + error_us:
            if not self._clock_doubted:  # once for a connection is enough
                log.warning("the camera's clock is %.1f s off ours", (middle_us - exposure.started_us) / 1e6)
            self._clock_doubted = True
        elif error_us < exposure.started_error_us:
            exposure.started_us, exposure.started_error_us = middle_us, error_us

    async def abort(self) -> None:
        self._live()
        exposure = self._exposure
        if exposure is not None and not exposure.lost:
            exposure.lost = "it was aborted"

        def stop(device: Any) -> None:
            if CameraStates(device.CameraState) not in BUSY:
                return
            if self._aborts:
                device.AbortExposure()
            elif self._stops:
                device.StopExposure()
            else:
                raise CommandRefused(f"{self.address} cannot end an exposure; wait for it")

        await self._command("aborting", stop, COMMAND_S)


def _progress(device: Any) -> tuple[bool, CameraStates]:
    return flag(device.ImageReady, "ImageReady"), CameraStates(device.CameraState)


def _bayer(device: Any) -> str | None:
    """The pattern of the top-left 2x2, moved by the camera's offsets; None for mono and unknown mosaics."""
    if optional(lambda: SensorType(device.SensorType)) is not SensorType.RGGB:
        return None
    shift_x = whole(device.BayerOffsetX, "BayerOffsetX", 0, 3) % 2
    shift_y = whole(device.BayerOffsetY, "BayerOffsetY", 0, 3) % 2
    return "".join("RGGB"[(y + shift_y) % 2 * 2 + (x + shift_x) % 2] for y in (0, 1) for x in (0, 1))
