"""A mount's place and time: who tells whom, and what follows when they disagree.

At each connection astrod tells the mount where and when it is, or leaves that to a mount that knows better, and then
reads back what the mount believes. One that believes otherwise than the site does not slew: it would point somewhere
else, at the Sun for instance.
"""

import logging
from collections.abc import Callable

from astrod.domain.site import Site
from astrod.domain.standing import Belief, differences
from astrod.runtime.clock import Clock
from astrod_drivers.errors import CommandRefused
from astrod_drivers.protocols import Mount, MountBelief, SiteFix

log = logging.getLogger(__name__)

Tell = Callable[[tuple[str, ...]], None]
"""Told what a mount believes wrongly, at each connection; nothing when all is well."""


class Standing:
    """One rig's mount. `wrong` says why it must not slew, None where nothing speaks against it."""

    def __init__(self, site: Site, clock: Clock, tell: Tell) -> None:
        self._site, self._clock, self._tell = site, clock, tell
        self._fix = SiteFix(site.place.latitude_deg, site.place.longitude_deg, site.place.height_m)
        self.wrong: str | None = None

    async def settle(self, mount: Mount) -> None:
        """Tell the mount, where it is ours to tell, and compare. Raises DriverError. For `Port.on_connect`."""
        self.wrong = "its place and time are not known yet"
        if self._site.time.mount_master == "astrod":
            await mount.set_site(self._fix, self._clock.now_us())
        found = differences(self._site.place, self._clock.now_us(), await self._belief(mount), self._site.time)
        self.wrong = "; ".join(found) or None
        self._tell(found)

    async def _belief(self, mount: Mount) -> Belief:
        try:
            said = await mount.believes()
        except CommandRefused as fault:
            log.info("the mount does not say where and when it believes it is: %s", fault)
            return Belief()
        return belief_of(said)


def belief_of(said: MountBelief) -> Belief:
    """A driver's word in the domain's terms."""
    site = said.site
    return Belief(site.latitude_deg if site else None, site.longitude_deg if site else None, said.utc_us)
