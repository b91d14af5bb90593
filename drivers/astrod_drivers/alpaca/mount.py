"""A mount (Alpaca: telescope). Its EquatorialSystem says of which equinox it speaks; here all becomes ICRS."""

import asyncio
import logging
from datetime import UTC, datetime
from typing import Any

from alpaca.telescope import EquatorialCoordinateType, GuideDirections, Telescope
from alpaca.telescope import PierSide as Side

from astrod_drivers.alpaca.device import AlpacaDevice
from astrod_drivers.alpaca.link import NotOffered
from astrod_drivers.alpaca.values import flag, instant_us, number, optional
from astrod_drivers.equinox import apparent_of, icrs_of
from astrod_drivers.errors import CommandRefused, DriverError
from astrod_drivers.protocols import Compass, Mount, MountBelief, MountState, Permit, PierSide, SiteFix

OTHER = EquatorialCoordinateType.equOther
TOPOCENTRIC = EquatorialCoordinateType.equTopocentric
J2000 = EquatorialCoordinateType.equJ2000
PIER_SIDES: dict[Side, PierSide] = {Side.pierEast: "east", Side.pierWest: "west"}
PULSE_LIMIT_S = 5.0
PULSE_ANSWER_S = PULSE_LIMIT_S + 2.0  # some drivers answer when the pulse is over
PARK_S = 300.0
LOOK_S = 0.25
log = logging.getLogger(__name__)


class AlpacaMount(AlpacaDevice, Mount):
    """See `protocols.Mount`. A mount of an unknown equinox (`Other`) is taken to speak of J2000."""

    kind = "mount"
    model = Telescope
    _of_date = True
    _sets_park = False
    _parks = _unparks = _pulses = _syncs = _turns_tracking = False
    _parking: "asyncio.Task[None] | None" = None

    async def connect(self) -> None:
        self._forget_parking()
        await super().connect()

    def _forget_parking(self) -> None:
        """Whoever waits for the answer to `Park` need not any more."""
        if self._parking is not None:
            self._parking.cancel()

    def _survey(self, device: Any) -> None:
        system = device.EquatorialSystem
        if system not in (OTHER, TOPOCENTRIC, J2000):
            text = "speaks of B1950 or J2050; set its driver to J2000 or to the topocentric equinox"
            raise CommandRefused(f"{self.address} {text}")
        if system == OTHER:
            log.warning("the mount does not say of which equinox it speaks; taken for J2000")
        self._of_date = system == TOPOCENTRIC
        self._parks = flag(device.CanPark, "CanPark")
        self._unparks = flag(device.CanUnpark, "CanUnpark")
        self._sets_park = flag(device.CanSetPark, "CanSetPark")
        self._pulses = flag(device.CanPulseGuide, "CanPulseGuide")
        self._syncs = flag(device.CanSync, "CanSync")
        self._turns_tracking = flag(device.CanSetTracking, "CanSetTracking")
        if not flag(device.CanSlewAsync, "CanSlewAsync"):
            raise CommandRefused(f"{self.address} cannot slew in the background; update its driver")

    # -- reading -----------------------------------------------------------------------------------------------

    async def read(self) -> MountState:
        return await self._read_state(self._state)

    def _state(self, device: Any) -> MountState:
        ra_h = number(device.RightAscension, "RightAscension", 0.0, 24.0)
        dec_deg = number(device.Declination, "Declination", -90.0, 90.0)
        ra_deg, dec_deg = self._to_icrs(ra_h * 15.0, dec_deg)
        return MountState(
            ra_deg=ra_deg,
            dec_deg=dec_deg,
            slewing=flag(device.Slewing, "Slewing") or self._parks_now(),
            tracking=flag(device.Tracking, "Tracking"),
            parked=self._is_parked(device),
            pier_side=_pier_side(device),
        )

    def _parks_now(self) -> bool:
        return self._parking is not None and not self._parking.done()

    def _is_parked(self, device: Any) -> bool:
        return self._parks and flag(device.AtPark, "AtPark")

    def _to_icrs(self, ra_deg: float, dec_deg: float) -> tuple[float, float]:
        return icrs_of(ra_deg, dec_deg, self.clock.now_us()) if self._of_date else (ra_deg % 360.0, dec_deg)

    def _of_icrs(self, ra_deg: float, dec_deg: float) -> tuple[float, float]:
        """Hours and degrees as the mount wants them."""
        if self._of_date:
            ra_deg, dec_deg = apparent_of(ra_deg, dec_deg, self.clock.now_us())
        return ra_deg % 360.0 / 15.0, dec_deg

    async def believes(self) -> MountBelief:
        return await self._read(_belief)

    # -- commanding --------------------------------------------------------------------------------------------

    async def set_site(self, site: SiteFix, utc_us: int) -> None:
        """See `protocols.Mount`. What the mount keeps by itself (GPS, its own setup) is left to it."""
        utc = datetime.fromtimestamp(utc_us / 1e6, UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
        values = {
            "SiteLatitude": site.latitude_deg,
            "SiteLongitude": site.longitude_deg,
            "SiteElevation": site.height_m,
            "UTCDate": utc,
        }

        def tell(device: Any) -> None:
            for member, value in values.items():
                try:
                    setattr(device, member, value)
                except NotOffered as fault:
                    log.info("%s keeps its own %s: %s", self.address, member, fault)

        await self._command("setting the site", tell)

    async def unpark(self, permit: Permit) -> None:
        def go(device: Any) -> None:
            if not self._is_parked(device):
                return
            if not self._unparks:
                raise CommandRefused(f"{self.address} is parked and cannot unpark; do it at its hand controller")
            self._check_slew(permit)
            device.Unpark()

        self._check_slew(permit)
        await self._command("unparking", go)

    async def slew(self, ra_deg: float, dec_deg: float, permit: Permit) -> None:
        def go(device: Any) -> None:
            self._refuse_parked(device)
            ra_h, own_dec_deg = self._of_icrs(ra_deg, dec_deg)
            if self._turns_tracking and not flag(device.Tracking, "Tracking"):
                self._check_slew(permit)
                device.Tracking = True  # the interface wants it on before a slew
            self._check_slew(permit)
            device.SlewToCoordinatesAsync(ra_h, own_dec_deg)

        self._check_slew(permit)
        await self._command("slewing", go)

    def _refuse_parked(self, device: Any) -> None:
        if self._parks_now() or self._is_parked(device):
            raise CommandRefused(f"{self.address} is parked or parking; unpark it first")

    async def sync(self, ra_deg: float, dec_deg: float) -> None:
        def go(device: Any) -> None:
            self._refuse_parked(device)
            if not self._syncs:
                raise CommandRefused(f"{self.address} cannot be synchronised; correct it by offset slews")
            if flag(device.Slewing, "Slewing"):
                raise CommandRefused(f"{self.address} is slewing; synchronise it when it is there")
            device.SyncToCoordinates(*self._of_icrs(ra_deg, dec_deg))

        await self._command("synchronising", go)

    async def pulse(self, towards: Compass, duration_s: float) -> None:
        if not 0.0 < duration_s <= PULSE_LIMIT_S:
            raise CommandRefused(f"a pulse lasts up to {PULSE_LIMIT_S:g} s, not {duration_s}")
        direction = GuideDirections[f"guide{towards.capitalize()}"]

        def go(device: Any) -> None:
            self._refuse_parked(device)
            if not self._pulses:
                raise CommandRefused(f"{self.address} takes no guide pulses; guide through the camera's port")
            device.PulseGuide(direction, round(duration_s * 1000.0))

        await self._command("a guide pulse", go, PULSE_ANSWER_S)

    async def set_tracking(self, on: bool) -> None:
        def go(device: Any) -> None:
            if on:
                self._refuse_parked(device)
            if not self._turns_tracking:
                raise CommandRefused(f"{self.address} cannot switch its tracking")
            device.Tracking = on

        await self._command("switching the tracking", go)

    async def abort(self) -> None:
        """See `protocols.Mount`; tracking ends as well."""

        def stop(device: Any) -> None:
            try:
                device.AbortSlew()
                if self._turns_tracking:
                    device.Tracking = False
            except CommandRefused:  # the interface has parked mounts refuse; those stand still
                if not self._is_parked(device):
                    raise

        await self._command("stopping", stop)
        self._forget_parking()

    async def park(self) -> None:
        """See `protocols.Mount`. Older drivers answer when the mount has arrived: motion counts as acceptance."""
        if not self._parks:
            raise CommandRefused(f"{self.address} cannot park; set a park position in its driver")
        if self._parks_now() or await self._read(self._is_parked):
            return
        task = asyncio.create_task(self._command("parking", lambda device: device.Park(), PARK_S))
        self._parking = task
        while not task.done():
            await asyncio.wait([task], timeout=LOOK_S)
            if not task.done() and await self._read(lambda device: flag(device.Slewing, "Slewing")):
                task.add_done_callback(self._parking_ended)
                return
        await task

    async def set_park(self) -> None:
        def go(device: Any) -> None:
            if not self._sets_park:
                raise CommandRefused(f"{self.address} has no park place that can be set; set it in its own software")
            if self._parks_now() or self._is_parked(device) or flag(device.Slewing, "Slewing"):
                raise CommandRefused(f"{self.address} is parked or moving; its park place is set while it stands there")
            device.SetPark()

        await self._command("setting the park place", go)

    def _parking_ended(self, task: "asyncio.Task[None]") -> None:
        fault = None if task.cancelled() else task.exception()
        if isinstance(fault, DriverError):
            log.warning("parking was under way and then failed: %s", fault)


def _pier_side(device: Any) -> PierSide | None:
    side = optional(lambda: Side(device.SideOfPier))
    return PIER_SIDES.get(side) if side is not None else None


def _belief(device: Any) -> MountBelief:
    latitude_deg = optional(lambda: number(device.SiteLatitude, "SiteLatitude", -90.0, 90.0))
    longitude_deg = optional(lambda: number(device.SiteLongitude, "SiteLongitude", -180.0, 360.0))
    height_m = optional(lambda: number(device.SiteElevation, "SiteElevation", -500.0, 10_000.0))
    # not alpyca's UTCDate: it reads "12" as the twelfth of this month
    utc = optional(lambda: instant_us(device._get("utcdate"), "UTCDate"))
    site = None
    if latitude_deg is not None and longitude_deg is not None:
        site = SiteFix(latitude_deg, longitude_deg - 360.0 * (longitude_deg > 180.0), height_m or 0.0)
    return MountBelief(site, utc[0] if utc else None)
