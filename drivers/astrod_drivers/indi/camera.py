"""A camera through INDI. The BLOB goes to a file as it was received; nothing is parsed here.

An INDI BLOB does not say which exposure it is of, and one of an aborted exposure may still come. So a BLOB
counts only while an exposure is under way, and not before the greater part of that exposure is over.
"""

import asyncio
import logging
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from astrod_drivers.errors import BadAnswer, CommandRefused, DeadlineMissed, DriverError, Unreachable
from astrod_drivers.indi.device import ANSWER_S, IndiDevice
from astrod_drivers.indi.link import Blob, Link, Vector
from astrod_drivers.protocols import Camera, CameraInfo, CameraState, Permit, RawFrame, Shot

EXPOSURE, ELEMENT = "CCD_EXPOSURE", "CCD_EXPOSURE_VALUE"
CHIP = "CCD1"
READOUT_GRACE_S = 10.0
POLLING_MS = 100.0
log = logging.getLogger(__name__)


@dataclass(slots=True)
class Exposure:
    """The exposure under way, or the last one. `frame` is settled by its BLOB or by its loss."""

    shot: Shot
    began_s: float
    frame: "asyncio.Future[Path]"
    started_us: int = 0
    started_error_us: int = 0
    ended: bool = field(default=False)

    def too_early(self, now_s: float) -> bool:
        """A BLOB now must be of an earlier exposure."""
        return now_s - self.began_s < 0.9 * self.shot.exposure_s - 0.25

    def overdue(self, now_s: float) -> bool:
        """The pixels should have come long ago."""
        return now_s - self.began_s > self.shot.exposure_s + READOUT_GRACE_S


class IndiCamera(IndiDevice, Camera):
    """See `protocols.Camera`."""

    kind = "camera"
    needs = (EXPOSURE, "CCD_INFO", "CCD_FRAME_TYPE")
    _exposure: Exposure | None = None

    async def _prepare(self, link: Link) -> None:
        if self._vector(link, EXPOSURE).state != "Busy":  # and its pixels would be here by now
            self._lose("its driver or server went away in mid exposure")
        link.on_blob = self._received
        link.want_blobs(CHIP)
        for name, element in (
            ("UPLOAD_MODE", "UPLOAD_CLIENT"),
            ("CCD_TRANSFER_FORMAT", "FORMAT_FITS"),
            ("CCD_COMPRESSION", "INDI_DISABLED"),
        ):
            if name in link.vectors and not link.vectors[name].on(element):
                await self._command(link, name, lambda n=name, e=element: link.send_switch(n, e))  # type: ignore[misc]
        polling = link.vectors.get("POLLING_PERIOD")
        if polling is not None and (polling.number("PERIOD_MS") or 0.0) > POLLING_MS:
            values = {"PERIOD_MS": POLLING_MS}
            await self._command(link, "POLLING_PERIOD", lambda: link.send_numbers("POLLING_PERIOD", values))

    async def describe(self) -> CameraInfo:
        link = await self._heard()
        return CameraInfo(
            name=self.address.device,
            width_px=round(self._number(link, "CCD_INFO", "CCD_MAX_X")),
            height_px=round(self._number(link, "CCD_INFO", "CCD_MAX_Y")),
            pixel_um=self._number(link, "CCD_INFO", "CCD_PIXEL_SIZE"),
            bit_depth=round(self._number(link, "CCD_INFO", "CCD_BITSPERPIXEL")),
            bayer=_bayer(link.vectors.get("CCD_CFA")),
            cooled=_cools(link),
        )

    async def read(self) -> CameraState:
        link = await self._heard()
        exposure = self._vector(link, EXPOSURE)
        exposing = exposure.state == "Busy"
        temperature = link.vectors.get("CCD_TEMPERATURE")
        cooler = link.vectors.get("CCD_COOLER")
        power = link.vectors.get("CCD_COOLER_POWER")
        return CameraState(
            exposing=exposing,
            remaining_s=(exposure.number(ELEMENT) or 0.0) if exposing else 0.0,
            temperature_c=temperature.number("CCD_TEMPERATURE_VALUE") if temperature is not None else None,
            cooler_on=cooler is not None and cooler.on("COOLER_ON"),
            cooler_power_percent=power.number("CCD_COOLER_VALUE") if power is not None else None,
        )

    async def cool(self, target_c: float | None) -> None:
        link = await self._heard()
        if target_c is None:
            if "CCD_COOLER" not in link.vectors:
                raise CommandRefused(f"{self.address} has no cooler to switch off")
            await self._set_switch("CCD_COOLER", "COOLER_OFF")
            return
        if not _cools(link):
            raise CommandRefused(f"{self.address} has no cooler; leave cooling out of its configuration")
        await self._set_numbers("CCD_TEMPERATURE", {"CCD_TEMPERATURE_VALUE": target_c})

    # -- exposing --------------------------------------------------------------------------------------------

    async def expose(self, shot: Shot, permit: Permit) -> None:
        link = await self._heard()
        self._refuse_second(link)
        await self._set_up(link, shot)
        if shot.needs_permit:
            self._check(permit)
        self._lose("a later exposure was started")
        exposure = Exposure(shot, self.clock.monotonic_s(), asyncio.get_running_loop().create_future())
        self._exposure = exposure
        sent_us = self.clock.now_us()
        try:
            await self._set_numbers(EXPOSURE, {ELEMENT: shot.exposure_s})
        except DriverError as fault:
            self._lose(f"it was not accepted: {fault}")
            raise
        # the driver opened the shutter some time between our word and its answer
        accepted_us = self.clock.now_us()
        exposure.started_us = (sent_us + accepted_us) // 2
        exposure.started_error_us = (accepted_us - sent_us + 1) // 2

    def _refuse_second(self, link: Link) -> None:
        last = self._exposure
        waiting = last is not None and not last.frame.done() and not last.overdue(self.clock.monotonic_s())
        if self._vector(link, EXPOSURE).state == "Busy" or waiting:
            raise CommandRefused(f"{self.address} is exposing already; fetch that exposure or abort it")

    async def _set_up(self, link: Link, shot: Shot) -> None:
        await self._choose(link, "CCD_FRAME_TYPE", "FRAME_LIGHT" if shot.light else "FRAME_DARK")
        binning = {"HOR_BIN": float(shot.binning), "VER_BIN": float(shot.binning)}
        if "CCD_BINNING" in link.vectors:
            await self._adjust(link, "CCD_BINNING", binning)
        elif shot.binning != 1:
            raise CommandRefused(f"{self.address} cannot bin; ask for binning 1")
        if shot.gain is not None:
            await self._adjust_control(link, ("CCD_GAIN", "GAIN"), "Gain", shot.gain)
        if shot.offset is not None:
            await self._adjust_control(link, ("CCD_OFFSET", "OFFSET"), "Offset", shot.offset)

    async def _choose(self, link: Link, name: str, element: str) -> None:
        if not self._vector(link, name).on(element):
            await self._set_switch(name, element)

    async def _adjust(self, link: Link, name: str, values: dict[str, float]) -> None:
        vector = self._vector(link, name)
        if any(vector.number(element) != value for element, value in values.items()):
            await self._set_numbers(name, values)

    async def _adjust_control(self, link: Link, own: tuple[str, str], control: str, value: float) -> None:
        """Gain and offset have a property of their own in some drivers, a place in CCD_CONTROLS in others."""
        name, element = own if own[0] in link.vectors else ("CCD_CONTROLS", control)
        if name not in link.vectors or element not in link.vectors[name].values:
            raise CommandRefused(f"{self.address} has no {control.lower()}; leave it out of the request")
        await self._adjust(link, name, {element: value})

    async def fetch(self, exposure_id: str) -> RawFrame:
        exposure = self._exposure
        if exposure is None or exposure.shot.exposure_id != exposure_id:
            raise CommandRefused(f"{self.address} has no exposure {exposure_id!r}: it was aborted, lost or fetched")
        path = await self._pixels(exposure)
        return RawFrame(
            exposure_id=exposure_id,
            path=path,
            format="fits",
            started_us=exposure.started_us,
            started_error_us=exposure.started_error_us,
            exposure_s=exposure.shot.exposure_s,
        )

    async def _pixels(self, exposure: Exposure) -> Path:
        """Wait as long as the driver lives and means to deliver; the deadline is the caller's."""
        while not exposure.frame.done():
            link = self._link
            if link is None or link.lost is not None or EXPOSURE not in link.vectors:
                self._lose("its driver or server went away in mid exposure")
                break
            if link.vectors[EXPOSURE].state == "Alert":
                said = link.messages[-1] if link.messages else "it gave no reason"
                self._lose(f"the camera failed: {said}")
                break
            news: list[asyncio.Future[Any]] = [exposure.frame, link.changed]
            await asyncio.wait(news, return_when=asyncio.FIRST_COMPLETED)
        path = await asyncio.shield(exposure.frame)
        await self._idle()
        return path

    async def _idle(self) -> None:
        """The BLOB overtakes the end of the exposure by a moment; whoever has it may start the next."""
        link = self._live()
        try:
            await link.until(lambda: self._vector(link, EXPOSURE).state != "Busy" or None, ANSWER_S, "its end")
        except DeadlineMissed as fault:
            log.warning("the pixels are here, yet the camera says that it exposes: %s", fault)

    async def abort(self) -> None:
        link = self._live()
        self._lose("it was aborted")
        if self._vector(link, EXPOSURE).state == "Busy":
            await self._set_switch("CCD_ABORT_EXPOSURE", "ABORT")

    def _lose(self, reason: str) -> None:
        """End the wait for the pixels of the exposure under way, if there is one."""
        exposure = self._exposure
        if exposure is None or exposure.frame.done():
            return
        kind = Unreachable if "went away" in reason else CommandRefused
        exposure.frame.set_exception(kind(f"{self.address}: exposure {exposure.shot.exposure_id} is lost: {reason}"))
        exposure.frame.exception()  # told whether or not anybody fetches

    def _received(self, blob: Blob) -> None:
        """A BLOB arrived: the exposure's, or nobody's."""
        exposure = self._exposure
        unwanted = exposure is None or exposure.frame.done() or exposure.too_early(blob.arrived_s)
        if unwanted or exposure is None or blob.vector != CHIP:
            blob.path.unlink(missing_ok=True)
        elif blob.fault is not None or blob.format != ".fits":
            blob.path.unlink(missing_ok=True)
            wrong = blob.fault or f"sent {blob.format!r}, not FITS; set CCD_TRANSFER_FORMAT to FITS"
            text = f"{self.address} {wrong}"
            exposure.frame.set_exception(BadAnswer(text))
            exposure.frame.exception()
        else:
            exposure.frame.set_result(blob.path.rename(self._spool / f"{exposure.shot.exposure_id}.fits"))


def _cools(link: Link) -> bool:
    temperature = link.vectors.get("CCD_TEMPERATURE")
    return temperature is not None and temperature.writable


def _bayer(cfa: Vector | None) -> str | None:
    """The pattern of the top-left 2x2, moved by the driver's offsets; None for mono."""
    pattern = str(cfa.values.get("CFA_TYPE", "")).strip().upper() if cfa is not None else ""
    if cfa is None or len(pattern) != 4:
        return None
    shift = [int(float(str(cfa.values.get(f"CFA_OFFSET_{axis}") or 0))) % 2 for axis in "XY"]
    return "".join(pattern[(y + shift[1]) % 2 * 2 + (x + shift[0]) % 2] for y in (0, 1) for x in (0, 1))
