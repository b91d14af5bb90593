"""A dome's slit where the telescope looks: there before an exposure begins, and kept there while it runs.

    facing ── off by over `slit_within_deg` ──> turning ── there ──> facing
                                                   └── not in time ──> lost

The slit is sent to where the tube's axis leaves the dome (`domain.dome`); without a geometry, to the azimuth of the
pointing, and `slit_within_deg` must then leave room for a tube beside the dome's centre. One dome follows one rig.
"""

import logging
from collections.abc import Callable
from typing import Literal

from astrod.domain.dome import DomeGeometry, Side, slit_place_deg
from astrod.domain.site import Place
from astrod.domain.sphere import altitude_azimuth_deg, hour_angle_deg
from astrod.errors import AstrodError
from astrod.rig.port import Port
from astrod.rig.waiting import until
from astrod.runtime.clock import Clock
from astrod_drivers.protocols import Mount, Roof

log = logging.getLogger(__name__)

DomeState = Literal["facing", "turning", "lost"]

LOOK_S = 20.0
TURN_S = 300.0
ZENITH_DEG = 87.0
ARRIVED = 0.5
"""A turn ends within this share of the tolerance, so that the sky's own motion does not start the next at once."""


def off_by_deg(azimuth_deg: float, slit_deg: float) -> float:
    """The angle between two azimuths, 0 to 180."""
    return abs((azimuth_deg - slit_deg + 180.0) % 360.0 - 180.0)


def must_turn(slit_deg: float | None, azimuth_deg: float, altitude_deg: float, within_deg: float) -> bool:
    """Whether the slit has to move. Near the zenith any azimuth serves; a slit that is nowhere known must move."""
    if altitude_deg > ZENITH_DEG:
        return False
    return slit_deg is None or off_by_deg(azimuth_deg, slit_deg) > within_deg


class Doming:
    """One dome over one rig. `face` before an exposure, `follow` all the time."""

    def __init__(
        self,
        dome: Port[Roof],
        place: Place,
        within_deg: float,
        following: Callable[[], bool],
        clock: Clock,
        geometry: DomeGeometry | None = None,
    ) -> None:
        self.dome = dome
        self._geometry = geometry
        self._place, self._within_deg, self._following, self._clock = place, within_deg, following, clock
        self.state: DomeState = "facing"

    async def face(self, ra_deg: float, dec_deg: float, side: Side | None = None) -> None:
        """Turn the slit to a place (ICRS) and wait until it is there; `side` of the pier is where the tube is, None
        where the mount does not tell.

        Raises OutcomeUnknown when it does not arrive, RecoverDevice when the dome is lost, Replan when it refuses.
        """
        altitude_deg, azimuth_deg = self.slit_deg(ra_deg, dec_deg, side)
        if not must_turn(await self._slit_deg(), azimuth_deg, altitude_deg, self._within_deg):
            self.state = "facing"
            return
        self.state = "turning"
        await self.dome.call("turn the dome", lambda dome: dome.turn(azimuth_deg))
        try:
            await until(
                self._clock,
                self.dome.name,
                f"turn to {azimuth_deg:.0f}",
                self._slit_deg,
                lambda slit: slit is not None and off_by_deg(azimuth_deg, slit) <= ARRIVED * self._within_deg,
                TURN_S,
            )
        except AstrodError:
            self.state = "lost"
            raise
        self.state = "facing"

    async def follow(self, mount: Port[Mount]) -> None:
        """Keep the slit where the mount points, for ever, while `following`; faults are told and tried again."""
        while True:
            await self._clock.sleep(LOOK_S)
            if not self._following():
                continue
            try:
                state = await mount.call("read the mount", lambda device: device.read())
                if state.tracking and not state.slewing:
                    await self.face(state.ra_deg, state.dec_deg, state.pier_side)
            except AstrodError as fault:
                log.warning("dome following: %s", fault)

    def slit_deg(self, ra_deg: float, dec_deg: float, side: Side | None) -> tuple[float, float]:
        """Altitude and azimuth, from the dome's centre, where the slit is wanted for a place (ICRS) now."""
        place, now_us, geometry = self._place, self._clock.now_us(), self._geometry
        altitude_deg, azimuth_deg = altitude_azimuth_deg(
            ra_deg, dec_deg, now_us, place.latitude_deg, place.longitude_deg
        )
        if geometry is None:
            return altitude_deg, azimuth_deg
        if side is None:  # as a German mount stands that has not been made to do otherwise
            side = "west" if hour_angle_deg(ra_deg, now_us, place.longitude_deg) < 0.0 else "east"
        return slit_place_deg(geometry, altitude_deg, azimuth_deg, place.latitude_deg, side)

    async def _slit_deg(self) -> float | None:
        state = await self.dome.call("read the dome", lambda dome: dome.read())
        return state.azimuth_deg
