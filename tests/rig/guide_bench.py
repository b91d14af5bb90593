"""A simulated mount with a guide camera (and a simulated guider) on the simulated clock, and who guides with them."""

import asyncio
import math
from collections.abc import Awaitable, Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from astrod.appraise import guide_stars_of
from astrod.domain.guiding import GuideStar
from astrod.domain.site import CameraSetup, GuiderSetup, MountSetup, Rig, Train
from astrod.rehearsal.simulator import GUIDE_SENSOR
from astrod.rig.autoguider import AutoGuider
from astrod.rig.guidebook import GuideBook
from astrod.rig.guiding import Guiding
from astrod.rig.port import DirectSession, Port
from astrod.rig.telescope import Telescope, TrainPorts
from astrod.runtime.clock import SimClock, VirtualLoop, run_virtual
from astrod_drivers.permit import EpochCell
from astrod_drivers.protocols import GuiderState, Permit
from astrod_drivers.sim import setup as sim
from astrod_drivers.sim.mount import MountTruth
from astrod_drivers.sim.observatory import Observatory
from astrod_drivers.sim.render import save
from astrod_drivers.sim.scene import Optics, Scene

NIGHT_US = 1_797_289_200 * 1_000_000
"""2026-12-14T23:00:00Z."""
PLACE = (60.0, 35.0)
"""ICRS degrees of a field well up then, east of no pole."""
SETUP = GuiderSetup(camera="sim://guide_camera", focal_length_mm=200.0, aperture_mm=50.0, settle_s=6.0, lost_s=60.0)


def mount_setup(**errors: Any) -> sim.MountSetup:
    """A mount with a guide camera, a main camera and a simulated guider; `errors` are the mount's."""
    guide = sim.TrainSetup(
        optics=Optics(200.0, 50.0),
        camera=sim.CameraSetup(name="guide_camera", sensor=GUIDE_SENSOR, readout_s=0.1, cooler=None),
        focuser=None,
        wheel=None,
        rotation_deg=41.0,
    )
    main = sim.TrainSetup(camera=sim.CameraSetup(cooler=None), focuser=None, wheel=None)
    return sim.MountSetup(trains=(main, guide), guider="guider", **errors)


class GuideBench:
    """The devices, their ports, and both ways to guide. `see` may be replaced, to hide the stars."""

    def __init__(self, clock: SimClock, folder: Path, setup: GuiderSetup, errors: dict[str, Any]) -> None:
        self.clock, self.gate = clock, EpochCell()
        self.permit = Permit(self.gate.become_safe())
        spool = folder / "spool"
        spool.mkdir(exist_ok=True)
        self.spool = spool
        mount = mount_setup(**errors)
        observatory = sim.ObservatorySetup(roof=None, weather=None, safety_monitor=None, mounts=(mount,))
        self.observatory = Observatory(observatory, clock, self.gate, spool, self._render)
        self.book = GuideBook(folder / "guiding.json", "bench")
        self.mount = self.port("mount", "mount")
        self.camera = self.port("guide camera", "camera", "guide_camera")
        self.auto = AutoGuider("main guider", setup, self.camera, self.mount, self._see, self.book, clock)
        guider = Port("main guider", "guider", "own", DirectSession(self.auto), clock)
        self.guiding = Guiding(guider, setup, clock)
        self.simulated = Guiding(
            self.port("guider", "guider"), replace(setup, address="sim://guider", camera=None), clock
        )
        self.main = self.port("camera", "camera")
        self.cloudy = False
        self.frames = 0

    def port(self, name: str, kind: str, device: str | None = None) -> Port[Any]:
        """A port to a device of the observatory."""
        device = device or name
        return Port(name, kind, f"sim://{device}", DirectSession(self.observatory.device(device)), self.clock)  # type: ignore[type-var]

    def telescope(self, guiding: Guiding) -> Telescope:
        """A rig of these devices, guided by one of the two."""
        rig = Rig("main", MountSetup("sim://mount"), (Train("main", CameraSetup("sim://camera"), 400.0, 80.0),))
        trains = {"main": TrainPorts(rig.trains[0], self.main)}
        telescope = Telescope(rig, self.mount, trains, self.clock)
        telescope.guide_with(guiding)
        return telescope

    async def _render(self, scene: Scene, path: Path) -> None:
        save(scene, path)

    async def _see(self, path: Path) -> tuple[GuideStar, ...]:
        self.frames += 1
        return () if self.cloudy else guide_stars_of(path, 65535)

    @property
    def truth(self) -> MountTruth:
        """Where the tube really points."""
        return self.observatory.truth().mounts["mount"]

    def off_arcsec(self, place: tuple[float, float]) -> tuple[float, float]:
        """How far the tube points east and north of a place, really."""
        truth = self.truth
        east = ((truth.ra_deg - place[0] + 180.0) % 360.0 - 180.0) * math.cos(math.radians(place[1]))
        return east * 3600.0, (truth.dec_deg - place[1]) * 3600.0

    async def look(self, minutes: float) -> list[tuple[float, float]]:
        """Where the tube really points, once a second, from its place now; arcseconds east and north."""
        start = self.truth.ra_deg, self.truth.dec_deg
        seen = []
        for _ in range(round(minutes * 60)):
            await self.clock.sleep(1.0)
            seen.append(self.off_arcsec(start))
        return seen

    async def slew(self, place: tuple[float, float] = PLACE) -> None:
        """Unpark, slew, settle."""
        await self.mount.call("unpark", lambda mount: mount.unpark(self.permit))
        await self.mount.call("slew", lambda mount: mount.slew(*place, self.permit))
        while (await self.mount.call("read", lambda mount: mount.read())).slewing:
            await self.clock.sleep(1.0)
        await self.clock.sleep(10.0)

    async def until(self, good: Callable[[GuiderState], bool], within_s: float) -> GuiderState:
        """Wait for a state of our own guider."""
        deadline_s = self.clock.monotonic_s() + within_s
        while not good(state := await self.auto.read()):
            assert self.clock.monotonic_s() < deadline_s, state
            await self.clock.sleep(0.5)
        return state


def at_bench(
    story: Callable[[GuideBench], Awaitable[None]], folder: Path, setup: GuiderSetup = SETUP, **errors: Any
) -> None:
    """Play a story at the bench; `errors` are the mount's (`sim.setup.MountSetup`)."""

    async def play(loop: VirtualLoop) -> None:
        bench = GuideBench(SimClock(loop, NIGHT_US), folder, setup, errors)
        ports = (bench.mount, bench.camera, bench.guiding.port, bench.simulated.port, bench.main)
        keeping = [asyncio.create_task(port.keep()) for port in ports]
        try:
            for port in ports:
                await port.found(10.0)
            await story(bench)
        finally:
            await bench.auto.stop()
            for task in keeping:
                task.cancel()
            await asyncio.wait(keeping)
            await bench.observatory.close()

    run_virtual(play)
