"""A dome with a shutter, or a roll-off roof, through INDI.

INDI treats a roll-off roof as a dome without shutter: parked is closed, unparked is open. Anything between,
aborted or in alarm is `unknown`, which nobody may take for closed.
"""

from astrod_drivers.errors import CommandRefused
from astrod_drivers.indi.device import IndiDevice
from astrod_drivers.indi.link import Link, Vector
from astrod_drivers.protocols import Aperture, Permit, Roof, RoofState

SHUTTER = ("DOME_SHUTTER", "SHUTTER_OPEN", "SHUTTER_CLOSE")
ROLL_OFF = ("DOME_PARK", "UNPARK", "PARK")
AZIMUTH, AZIMUTH_ELEMENT = "ABS_DOME_POSITION", "DOME_ABSOLUTE_POSITION"
MOTION = ("DOME_MOTION", "DOME_CW", "DOME_CCW")  # of a roll-off roof: open and close


class IndiRoof(IndiDevice, Roof):
    """See `protocols.Roof`."""

    kind = "roof"
    needs = ("DOME_MOTION",)

    async def _prepare(self, link: Link) -> None:
        """A roof that can neither work a shutter nor park cannot be closed, so it is none."""
        await self._need(link, SHUTTER[0] if SHUTTER[0] in link.vectors else ROLL_OFF[0])

    def _parts(self, link: Link) -> tuple[str, str, str]:
        """The property that opens and closes, and its two switches."""
        return SHUTTER if "DOME_SHUTTER" in link.vectors else ROLL_OFF

    async def read(self) -> RoofState:
        link = await self._heard()
        name, opens, closes = self._parts(link)
        azimuth = link.vectors.get(AZIMUTH)
        azimuth_deg = azimuth.number(AZIMUTH_ELEMENT) if azimuth is not None else None
        if azimuth is None and self._vector(link, MOTION[0]).state == "Busy":
            name, opens, closes = MOTION
        return RoofState(_aperture(self._vector(link, name), opens, closes), azimuth_deg)

    async def open(self, permit: Permit) -> None:
        name, opens, _ = self._parts(await self._heard())
        self._check(permit)
        await self._work(name, opens, MOTION[1])

    async def close(self) -> None:
        link = self._live()
        name, _, closes = self._parts(link)
        vector = self._vector(link, name)
        if vector.on(closes) and vector.state == "Busy":
            return  # closing already; some drivers refuse to be told twice
        await self._work(name, closes, MOTION[2])

    async def _work(self, name: str, element: str, motion: str) -> None:
        """A roll-off roof stopped half way is, to its driver, where it came from: then move it plainly."""
        try:
            await self._set_switch(name, element)
        except CommandRefused:
            link = self._live()
            if name != ROLL_OFF[0] or AZIMUTH in link.vectors:
                raise
            await self._set_switch(MOTION[0], motion)

    async def turn(self, azimuth_deg: float) -> None:
        """See `protocols.Roof`. A dome that is parked at its azimuth is unparked first; its shutter stays."""
        link = await self._heard()
        if AZIMUTH not in link.vectors:
            raise CommandRefused(f"{self.address} is a roll-off roof and does not turn; leave dome following out")
        park = link.vectors.get("DOME_PARK")
        if park is not None and park.on("PARK") and "DOME_SHUTTER" in link.vectors:
            await self._set_switch("DOME_PARK", "UNPARK")
        await self._set_numbers(AZIMUTH, {AZIMUTH_ELEMENT: azimuth_deg % 360.0})

    async def abort(self) -> None:
        link = self._live()
        if "DOME_ABORT_MOTION" not in link.vectors:
            raise CommandRefused(f"{self.address} cannot be stopped; it ends its motion by itself")
        try:
            await self._set_switch("DOME_ABORT_MOTION", "ABORT")
        except CommandRefused:
            # INDI answers Alert for a shutter stopped half way too: only one that still moves has refused
            if (await self.read()).aperture in ("opening", "closing"):
                raise


def _aperture(vector: Vector, opens: str, closes: str) -> Aperture:
    if vector.on(opens) == vector.on(closes) or vector.state == "Alert":
        return "unknown"
    if vector.state == "Busy":
        return "opening" if vector.on(opens) else "closing"
    return "open" if vector.on(opens) else "closed"
