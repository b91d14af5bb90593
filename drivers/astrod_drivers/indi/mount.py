"""A mount through INDI. INDI speaks of the true equinox of date; here it becomes ICRS."""

import math
from datetime import UTC, datetime

from astrod_drivers.equinox import apparent_of, icrs_of
from astrod_drivers.errors import CommandRefused
from astrod_drivers.indi.device import ANSWER_S, IndiDevice
from astrod_drivers.indi.link import Link, Vector
from astrod_drivers.protocols import Compass, Mount, MountBelief, MountState, Permit, PierSide, SiteFix

COORDINATES = "EQUATORIAL_EOD_COORD"
NEAR_DEG = 0.02
PULSES: dict[Compass, tuple[str, str]] = {
    "north": ("TELESCOPE_TIMED_GUIDE_NS", "TIMED_GUIDE_N"),
    "south": ("TELESCOPE_TIMED_GUIDE_NS", "TIMED_GUIDE_S"),
    "east": ("TELESCOPE_TIMED_GUIDE_WE", "TIMED_GUIDE_E"),
    "west": ("TELESCOPE_TIMED_GUIDE_WE", "TIMED_GUIDE_W"),
}
"""INDI's property and element for a guide pulse, milliseconds."""


class IndiMount(IndiDevice, Mount):
    """See `protocols.Mount`."""

    kind = "mount"
    needs = (COORDINATES,)

    async def set_site(self, site: SiteFix, utc_us: int) -> None:
        """See `protocols.Mount`. A mount that keeps its own site and time lacks the properties."""
        link = self._live()
        if "GEOGRAPHIC_COORD" in link.vectors:
            east_deg = site.longitude_deg % 360.0
            place = {"LAT": site.latitude_deg, "LONG": east_deg, "ELEV": site.height_m}
            await self._set_numbers("GEOGRAPHIC_COORD", place)
        if "TIME_UTC" in link.vectors:
            utc = datetime.fromtimestamp(utc_us / 1e6, UTC).strftime("%Y-%m-%dT%H:%M:%S")
            texts = {"UTC": utc, "OFFSET": "0"}
            await self._command(link, "TIME_UTC", lambda: link.send_texts("TIME_UTC", texts))

    async def believes(self) -> MountBelief:
        """See `protocols.Mount`. The driver's last word on the time, with what has passed since it came added.

        A time that was only defined, as each new client has it told, may be of any age: it says nothing.
        """
        link = await self._heard()
        return MountBelief(_site_of(link.vectors.get("GEOGRAPHIC_COORD")), self._utc_us(link.vectors.get("TIME_UTC")))

    def _utc_us(self, vector: Vector | None) -> int | None:
        text = vector.values.get("UTC") if vector is not None else None
        if vector is None or not vector.update or not isinstance(text, str):
            return None
        try:
            said = datetime.fromisoformat(text.strip()).replace(tzinfo=UTC)
        except ValueError:
            return None  # drivers leave it empty until they know
        return round(said.timestamp() * 1e6) + self.clock.now_us() - vector.arrived_us

    async def read(self) -> MountState:
        link = await self._heard()
        ra_deg, dec_deg = self._place(link)
        parking = link.vectors.get("TELESCOPE_PARK")
        tracking = link.vectors.get("TELESCOPE_TRACK_STATE")
        moving = self._vector(link, COORDINATES).state == "Busy"
        return MountState(
            ra_deg=ra_deg,
            dec_deg=dec_deg,
            slewing=moving or (parking is not None and parking.state == "Busy"),
            tracking=tracking.on("TRACK_ON") if tracking is not None else not moving,
            parked=_parked(parking),
            pier_side=_pier_side(link.vectors.get("TELESCOPE_PIER_SIDE")),
        )

    def _place(self, link: Link) -> tuple[float, float]:
        ra_h, dec_deg = self._number(link, COORDINATES, "RA"), self._number(link, COORDINATES, "DEC")
        return icrs_of(ra_h * 15.0, dec_deg, self.clock.now_us())

    async def unpark(self, permit: Permit) -> None:
        link = await self._heard()
        if "TELESCOPE_PARK" not in link.vectors:
            return  # a mount that cannot park is never parked
        self._check_slew(permit)
        await self._set_switch("TELESCOPE_PARK", "UNPARK")

    async def slew(self, ra_deg: float, dec_deg: float, permit: Permit) -> None:
        link = await self._heard()
        parking = link.vectors.get("TELESCOPE_PARK")
        if _parked(parking) or (parking is not None and parking.state == "Busy"):
            raise CommandRefused(f"{self.address} is parked or parking; unpark it before a slew")
        if "ON_COORD_SET" in link.vectors and not link.vectors["ON_COORD_SET"].on("TRACK"):
            await self._set_switch("ON_COORD_SET", "TRACK")
        date_ra_deg, date_dec_deg = apparent_of(ra_deg, dec_deg, self.clock.now_us())
        target = {"RA": date_ra_deg / 15.0, "DEC": date_dec_deg}
        self._check_slew(permit)

        def accepted(vector: Vector) -> bool:
            """The mount reports its position anyway: only Busy, or being there already, is an answer."""
            return vector.state == "Busy" or _near(vector, target)

        await self._command(link, COORDINATES, lambda: link.send_numbers(COORDINATES, target), ANSWER_S, accepted)

    async def sync(self, ra_deg: float, dec_deg: float) -> None:
        """See `protocols.Mount`. The driver is told to sync, and must say that it will, before it hears a place:
        one that still stands on TRACK would slew there.
        """
        link = await self._heard()
        parking = link.vectors.get("TELESCOPE_PARK")
        if _parked(parking) or self._vector(link, COORDINATES).state == "Busy":
            raise CommandRefused(f"{self.address} is parked or slewing; sync it while it tracks")
        if "ON_COORD_SET" not in link.vectors:
            raise CommandRefused(f'{self.address} cannot sync; write centre_by = "offset" for its rig')
        await self._set_switch("ON_COORD_SET", "SYNC")
        try:
            if not self._vector(link, "ON_COORD_SET").on("SYNC"):
                raise CommandRefused(f'{self.address} does not go over to syncing; write centre_by = "offset"')
            date_ra_deg, date_dec_deg = apparent_of(ra_deg, dec_deg, self.clock.now_us())
            place = {"RA": date_ra_deg / 15.0, "DEC": date_dec_deg}
            await self._command(
                link,
                COORDINATES,
                lambda: link.send_numbers(COORDINATES, place),
                ANSWER_S,
                lambda vector: vector.state != "Busy" and _near(vector, place),
            )
        finally:
            await self._set_switch("ON_COORD_SET", "TRACK")

    async def pulse(self, towards: Compass, duration_s: float) -> None:
        link = await self._heard()
        if not 0.0 < duration_s <= 5.0:
            raise CommandRefused(f"a pulse lasts over 0 and up to 5 s, not {duration_s}")
        name, element = PULSES[towards]
        vector = link.vectors.get(name)
        if vector is None:
            raise CommandRefused(f"{self.address} has no {name}: its driver takes no guide pulses; guide through PHD2")
        values = dict.fromkeys(vector.values, 0.0) | {element: duration_s * 1000.0}
        await self._set_numbers(name, values)

    async def set_tracking(self, on: bool) -> None:
        await self._heard()
        await self._set_switch("TELESCOPE_TRACK_STATE", "TRACK_ON" if on else "TRACK_OFF")

    async def abort(self) -> None:
        await self._set_switch("TELESCOPE_ABORT_MOTION", "ABORT")

    async def park(self) -> None:
        link = self._live()
        parking = link.vectors.get("TELESCOPE_PARK")
        if parking is None:
            raise CommandRefused(f"{self.address} cannot park; set a safe position in its driver or use another")
        if not _parked(parking) and not (parking.on("PARK") and parking.state == "Busy"):
            await self._set_switch("TELESCOPE_PARK", "PARK")

    async def set_park(self) -> None:
        """See `protocols.Mount`. The driver writes it to its own file, which outlives its server."""
        link = await self._heard()
        if "TELESCOPE_PARK_OPTION" not in link.vectors:
            raise CommandRefused(f"{self.address} has no park place that can be set; set it in its own software")
        parking = link.vectors.get("TELESCOPE_PARK")
        moving = self._vector(link, COORDINATES).state == "Busy" or (parking is not None and parking.state == "Busy")
        if _parked(parking) or moving:
            raise CommandRefused(f"{self.address} is parked or moving; its park place is set while it stands there")
        await self._set_switch("TELESCOPE_PARK_OPTION", "PARK_CURRENT")
        await self._set_switch("TELESCOPE_PARK_OPTION", "PARK_WRITE_DATA")


def _parked(parking: Vector | None) -> bool:
    return parking is not None and parking.on("PARK") and parking.state in ("Ok", "Idle")


def _site_of(vector: Vector | None) -> SiteFix | None:
    values = [vector.number(name) for name in ("LAT", "LONG", "ELEV")] if vector is not None else [None]
    latitude_deg, longitude_deg, height_m = (*values, None, None)[:3]
    if (
        latitude_deg is None
        or longitude_deg is None
        or not (math.isfinite(latitude_deg) and math.isfinite(longitude_deg))
    ):
        return None
    return SiteFix(latitude_deg, (longitude_deg + 180.0) % 360.0 - 180.0, height_m or 0.0)


def _pier_side(vector: Vector | None) -> PierSide | None:
    chosen = vector.chosen() if vector is not None else None
    return {"PIER_EAST": "east", "PIER_WEST": "west"}.get(chosen or "")  # type: ignore[return-value]


def _near(vector: Vector, target: dict[str, float]) -> bool:
    ra_h, dec_deg = vector.number("RA"), vector.number("DEC")
    if ra_h is None or dec_deg is None or vector.state == "Idle":
        return False
    ra_off_deg = (ra_h - target["RA"] + 12.0) % 24.0 * 15.0 - 180.0
    return abs(ra_off_deg) < NEAR_DEG and abs(dec_deg - target["DEC"]) < NEAR_DEG
