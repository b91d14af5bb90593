"""Making the site safe: mounts parked, then the roof closed, each with its own time and by reading back.

Commands toward safety need no permit and wait for nobody's record of them.
"""

import asyncio
import logging
from collections.abc import Mapping

from astrod.domain.site import RoofSetup, Site
from astrod.errors import AstrodError, RecoverDevice
from astrod.rig.port import Port
from astrod.rig.waiting import until
from astrod.runtime.clock import Clock
from astrod_drivers.protocols import Mount, Roof, RoofState

log = logging.getLogger(__name__)


async def park(clock: Clock, port: Port[Mount], within_s: float) -> None:
    """Stop the mount and park it; returns when it says that it is parked. Raises RecoverDevice."""
    if (await port.call("read the mount", lambda mount: mount.read())).parked:
        return
    await port.call("stop the mount", lambda mount: mount.abort())
    await port.call("park", lambda mount: mount.park())
    await until(
        clock,
        port.name,
        "park",
        lambda: port.call("read the mount", lambda mount: mount.read()),
        lambda state: state.parked,
        within_s,
    )


async def read_roof(port: Port[Roof]) -> RoofState:
    """The roof as its driver reads it. Raises RecoverDevice."""
    return await port.call("read the roof", lambda roof: roof.read())


async def close_roof(clock: Clock, port: Port[Roof], setup: RoofSetup) -> None:
    """Close the roof; returns when it reads closed. Raises RecoverDevice."""
    if (await read_roof(port)).aperture == "closed":
        return
    await port.call("close the roof", lambda roof: roof.close())
    await until(
        clock,
        port.name,
        "close the roof",
        lambda: read_roof(port),
        lambda state: state.aperture == "closed",
        setup.close_s,
    )


async def park_all(clock: Clock, site: Site, mounts: Mapping[str, Port[Mount]]) -> dict[str, str]:
    """Park every mount at once; returns why, for each that is not parked."""
    setups = {rig.name: rig.mount for rig in site.rigs}

    async def one(name: str) -> tuple[str, str] | None:
        try:
            await park(clock, mounts[name], setups[name].park_s)
        except AstrodError as fault:
            log.error("rig %s is not parked: %s", name, fault)
            return name, str(fault)
        return None

    return dict(failed for failed in await asyncio.gather(*map(one, mounts)) if failed)


async def make_safe(clock: Clock, site: Site, mounts: Mapping[str, Port[Mount]], roof: Port[Roof] | None) -> None:
    """Park all, then close the roof; where the roof clears any mount, both at once.

    Raises RecoverDevice naming what is not safe; everything that could be done has then been done.
    """
    wait_for_park = site.roof is None or site.roof.needs_parked
    parking = asyncio.ensure_future(park_all(clock, site, mounts))
    try:
        unparked = await parking if wait_for_park else {}
        if unparked and site.roof is not None:
            raise RecoverDevice(*_stuck(unparked, "; the roof needs it parked and stays as it is"))
        if roof is not None and site.roof is not None:
            await close_roof(clock, roof, site.roof)
        unparked = await parking
    finally:
        parking.cancel()
    if unparked:
        raise RecoverDevice(*_stuck(unparked, ""))


def _stuck(unparked: dict[str, str], consequence: str) -> tuple[str, str]:
    name, why = next(iter(unparked.items()))
    return name, f"is not parked ({why}){consequence}"
