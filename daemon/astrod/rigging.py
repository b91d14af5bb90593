"""A site's devices made ready for use: ports through their sessions, what recovers each, guiders, domes, heaters.

Nothing is connected here; `daemon` and the played night run the ports.
"""

import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

from astrod.conductor import Conductor
from astrod.domain.guiding import GuideStar
from astrod.domain.safety import SafetyReport
from astrod.domain.site import GuiderSetup, Outlet, Rig, Site, Train
from astrod.errors import InputInvalid
from astrod.health import Health
from astrod.rig.autoguider import AutoGuider, SeeStars
from astrod.rig.dew import Dew
from astrod.rig.doming import Doming
from astrod.rig.guidebook import GuideBook
from astrod.rig.guiding import Guiding
from astrod.rig.port import DirectSession, Port, Session
from astrod.rig.recovery import PowerBoard, Remedies, switch_addresses
from astrod.rig.standing import Standing
from astrod.rig.telescope import Intend, Telescope, TrainPorts
from astrod.runtime.clock import Clock
from astrod.runtime.offload import Cost, Offload, WorkerLost
from astrod_drivers.protocols import Camera, Guider, Mount, Roof

log = logging.getLogger(__name__)

GUIDE_LANE = "guide"
GUIDE_COST = Cost(modelled_s=0.05, deadline_s=10.0)

OpenSession = Callable[[str, str], Session[Any]]
"""Opens a session to a device by its address and kind; it is started by its port."""


def telescope_of(
    rig: Rig,
    site: Site,
    clock: Clock,
    open_session: OpenSession,
    board: PowerBoard,
    remedies: Remedies,
    intend: Intend,
    health: Health,
) -> Telescope:
    """A rig's ports, with what recovers them. The mount's place and time are seen to at each connection."""

    def port(part: str, kind: str, address: str | None, power: Outlet | None) -> Any:
        if address is None:
            return None
        session = open_session(address, kind)
        what = remedies.of(address, power)
        return Port(f"{rig.name} {part}", kind, address, session, clock, site.ladder(kind), what)

    def train_ports(train: Train) -> TrainPorts:
        label = f"{train.name} " if len(rig.trains) > 1 else ""
        return TrainPorts(
            setup=train,
            camera=port(f"{label}camera", "camera", train.camera.address, train.camera.power),
            focuser=port(
                f"{label}focuser",
                "focuser",
                train.focuser.address if train.focuser else None,
                train.focuser.power if train.focuser else None,
            ),
            wheel=port(f"{label}wheel", "wheel", train.wheel, train.wheel_power),
            cover=port(f"{label}cover", "cover", train.cover, None),
            rotator=port(f"{label}rotator", "rotator", train.rotator, None),
        )

    mount: Port[Mount] = port("mount", "mount", rig.mount.address, rig.mount.power)
    if rig.mount.power is not None:
        board.powers(rig.mount.power, mount)
    standing = Standing(site, clock, lambda found: _tell_standing(health, rig.name, found))
    mount.on_connect(standing.settle)
    trains = {train.name: train_ports(train) for train in rig.trains}
    telescope = Telescope(rig, mount, trains, clock, intend, lambda: standing.wrong)
    for number, address in enumerate(dict.fromkeys(heater.switch for heater in rig.heaters), start=1):
        telescope.switches[address] = port(f"heater switch {number}", "switch", address, None)
    return telescope


def _tell_standing(health: Health, rig: str, found: tuple[str, ...]) -> None:
    if found:
        health.found("AST-151", f"{rig} mount: {'; '.join(found)}", rig)
    else:
        health.mended("AST-151", rig)


def add_guider(
    telescope: Telescope,
    site: Site,
    clock: Clock,
    open_session: OpenSession,
    see: SeeStars,
    remedies: Remedies,
    root: Path,
) -> None:
    """Give the rig its guider, where it has one: PHD2 (or a simulated one) behind its port, or our own.

    `root` is the data root, where what guiding learns is kept.
    """
    rig = telescope.setup
    setup = rig.guider
    if setup is None:
        return

    def port(part: str, kind: str, address: str) -> Any:
        what = remedies.of(address, None)
        return Port(f"{rig.name} {part}", kind, address, open_session(address, kind), clock, site.ladder(kind), what)

    if setup.address is not None:
        telescope.guide_with(Guiding(port("guider", "guider", _with_settling(setup)), setup, clock))
    elif setup.camera is not None:
        camera = port("guide camera", "camera", setup.camera)
        optic = f"{setup.camera} {setup.focal_length_mm:g} mm {setup.binning}"
        book = GuideBook(root / f"guiding-{rig.name}.json", optic)
        own = AutoGuider(f"{rig.name} guider", setup, camera, telescope.mount, see, book, clock)
        session: Session[Guider] = DirectSession(own)
        guider = Port(f"{rig.name} guider", "guider", f"astrod with {setup.camera}", session, clock)
        telescope.guide_with(Guiding(guider, setup, clock, own), camera)


def _with_settling(setup: GuiderSetup) -> str:
    """PHD2's address, with when the guiding counts as settled."""
    address = setup.address or ""
    if not address.startswith("phd2://"):
        return address
    values = f"settle_px={setup.settle_px:g}&settle_s={setup.settle_s:g}&settle_within_s={setup.settle_within_s:g}"
    return f"{address}?{values}"


def seeing_of(rig: Rig, offload: Offload) -> SeeStars:
    """The stars of a rig's guide frames, found in a worker of their own: judging must not keep them waiting."""
    saturation_adu = rig.guider.saturation_adu if rig.guider else 65535

    async def see(path: Path) -> tuple[GuideStar, ...]:
        try:
            return await offload.run(GUIDE_LANE, GUIDE_COST, guide_stars_in, path, saturation_adu)
        except (InputInvalid, WorkerLost) as fault:
            log.warning("a guide frame brought no stars: %s", fault)
            return ()

    return see


def guide_stars_in(path: Path, saturation_adu: float) -> tuple[GuideStar, ...]:
    """In the worker: the stars of a guide frame. Imported there, so that this process stays small."""
    from astrod.appraise import guide_stars_of

    return guide_stars_of(path, saturation_adu)


def power_board(site: Site, clock: Clock, open_session: OpenSession, safety: Callable[[], SafetyReport]) -> PowerBoard:
    """The outlets that power the site's devices, each switch with a session of its own."""
    switches = {
        address: Port(
            f"switch {address}", "switch", address, open_session(address, "switch"), clock, site.ladder("switch")
        )
        for address in switch_addresses(site.outlets())
    }
    return PowerBoard(
        clock,
        switches,
        site.roof.power if site.roof else None,
        lambda: safety().roof not in (None, "open", "closed"),
    )


def watching_cameras(
    site: Site, clock: Clock, open_session: OpenSession, remedies: Remedies
) -> dict[str, Port[Camera]]:
    """The cameras that watch the sky, by their watch's name."""
    return {
        watch.name: Port(
            f"watch {watch.name}",
            "camera",
            watch.source,
            open_session(watch.source, "camera"),
            clock,
            site.ladder("camera"),
            remedies.of(watch.source, None),
        )
        for watch in site.watches
        if watch.kind == "camera"
    }


def add_dome(
    telescope: Telescope, site: Site, clock: Clock, open_session: OpenSession, conductor: Callable[[], Conductor]
) -> None:
    """A dome with a slit follows its one rig; the second session to it turns and never opens."""
    roof = site.roof
    if roof is None or roof.slit_within_deg is None or telescope.setup != site.rigs[0]:
        return
    dome: Port[Roof] = Port("dome slit", "roof", roof.address, open_session(roof.address, "roof"), clock)
    telescope.doming = Doming(
        dome, site.place, roof.slit_within_deg, lambda: conductor().state.phase == "observing", clock, roof.geometry
    )


def dew_of(telescope: Telescope, conductor: Conductor, clock: Clock) -> Dew:
    """A rig's dew heaters: on from the evening's preparation to the end of the night."""
    return Dew(
        {heater: telescope.switches[heater.switch] for heater in telescope.setup.heaters},
        lambda: conductor.safety.weather,
        lambda: conductor.state.phase != "asleep",
        clock,
    )
