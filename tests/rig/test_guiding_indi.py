"""Guiding by ourselves on Debian's INDI simulators: their mount drifts by itself, and their guide camera shows it."""

import asyncio
import math
import subprocess
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from astrod.appraise import guide_stars_of
from astrod.domain.guiding import GuideStar, shift_of
from astrod.domain.site import GuiderSetup
from astrod.domain.sphere import sidereal_deg
from astrod.rig.autoguider import AutoGuider
from astrod.rig.guidebook import GuideBook
from astrod.rig.guiding import Guiding
from astrod.rig.port import DirectSession, Port
from astrod.rig.waiting import until
from astrod.runtime.clock import WallClock
from astrod_drivers.errors import CommandRefused
from astrod_drivers.indi.server import IndiServer, missing
from astrod_drivers.permit import EpochPage
from astrod_drivers.protocols import Permit, Shot, SiteFix
from astrod_drivers.remote import RemoteCamera, RemoteMount
from astrod_drivers.session import open_session
from astrod_drivers.sim.gsc import write_gsc

pytestmark = [pytest.mark.indi, pytest.mark.slow, pytest.mark.timeout(240)]

OPTICS = "TELESCOPE_APERTURE=120;TELESCOPE_FOCAL_LENGTH=900;GUIDER_APERTURE=60;GUIDER_FOCAL_LENGTH=240"
PLACE = SiteFix(41.7, 1.4, 700.0)
SETUP = GuiderSetup(
    camera="indi://127.0.0.1/Guide Simulator", focal_length_mm=240.0, settle_s=3.0, settle_px=2.0, exposure_s=2.0
)


class Pier:
    """The simulators, their sessions, and our guider on them."""

    def __init__(self, folder: Path) -> None:
        self.clock = WallClock()
        self.server = IndiServer()
        (folder / "gsc").mkdir()
        (folder / "spool").mkdir()
        write_gsc(folder / "gsc")
        self.server.start(["indi_simulator_telescope", "indi_simulator_guide"], folder / "home", folder / "gsc")
        self.page = EpochPage(folder / "epoch")
        self.permit = Permit(self.page.become_safe())
        spot = {"spool": folder / "spool", "gate_path": self.page.path}
        self.sessions = [
            open_session(self.server.address("Telescope Simulator"), "mount", **spot),  # type: ignore[arg-type]
            open_session(self.server.address("Guide Simulator"), "camera", **spot),  # type: ignore[arg-type]
        ]
        self.mount = self.sessions[0].device_as(RemoteMount)
        self.camera = self.sessions[1].device_as(RemoteCamera)
        ports = [Port(session.kind, session.kind, "", session, self.clock) for session in self.sessions]  # type: ignore[type-var]
        self.auto = AutoGuider("guider", SETUP, ports[1], ports[0], self.see, GuideBook(None, ""), self.clock)  # type: ignore[arg-type]
        guider = Port("guider", "guider", "own", DirectSession(self.auto), self.clock)
        self.guiding = Guiding(guider, SETUP, self.clock)
        self.keeping = [asyncio.create_task(port.keep()) for port in (*ports, guider)]
        self.ports = (*ports, guider)
        self._shots = 0

    async def see(self, path: Path) -> tuple[GuideStar, ...]:
        return await asyncio.to_thread(guide_stars_of, path, 60_000)

    async def point(self) -> None:
        """Short guide optics, so that the field has stars, and a slew to it."""
        for port in self.ports:
            assert await port.found(40.0), port.detail
        command = ["indi_setprop", "-p", str(self.server.port), f"Telescope Simulator.TELESCOPE_INFO.{OPTICS}"]
        await asyncio.to_thread(subprocess.run, command, check=True, timeout=10.0, capture_output=True)
        await self.mount.set_site(PLACE, self.clock.now_us())
        await self.mount.unpark(self.permit)
        ra_deg = (sidereal_deg(self.clock.now_us(), PLACE.longitude_deg) - 20.0) % 360.0
        await self.mount.slew(ra_deg, 30.0, self.permit)
        await until(self.clock, "mount", "slew", self.mount.read, lambda state: not state.slewing, 90.0)
        await asyncio.sleep(2.0)

    async def look(self) -> tuple[GuideStar, ...]:
        """The guide camera's stars; the simulator's first frames after a slew may lack them."""
        for _ in range(8):
            if stars := await self._stars():
                return stars
        raise AssertionError("the guide camera's simulator shows no stars")

    async def _stars(self) -> tuple[GuideStar, ...]:
        self._shots += 1
        shot = Shot(f"look-{self._shots}", 2.0)
        await self.camera.expose(shot, self.permit)
        frame = await self.camera.fetch(shot.exposure_id)
        stars = await self.see(frame.path)
        frame.path.unlink()
        return stars

    async def drift_px_s(self, seconds: float) -> float:
        """How fast the stars move."""
        first, began_s = await self.look(), self.clock.monotonic_s()
        await asyncio.sleep(seconds)
        shift = shift_of(first, await self.look())
        assert shift is not None
        return math.hypot(shift.dx, shift.dy) / (self.clock.monotonic_s() - began_s)

    async def close(self) -> None:
        await self.auto.stop()
        for task in self.keeping:
            task.cancel()
        await asyncio.wait(self.keeping)
        for session in self.sessions:
            await session.kill()
        self.server.stop()
        self.page.close()


@pytest.fixture
async def pier(tmp_path: Path) -> AsyncIterator[Pier]:
    if why := missing():
        pytest.skip(why)
    pier = Pier(tmp_path)
    yield pier
    await pier.close()


async def test_guiding_takes_the_drift_away(pier: Pier) -> None:
    await pier.point()
    alone_px_s = await pier.drift_px_s(9.0)
    assert alone_px_s > 0.15, "the simulated mount drifts"
    state = await pier.guiding.begin(pier.permit)
    assert state.settled
    await asyncio.sleep(12.0)
    state = await pier.guiding.read()
    rms_px = math.hypot(state.rms_ra_arcsec or 99.0, state.rms_dec_arcsec or 99.0) / (state.scale_arcsec_px or 1.0)
    assert state.settled and rms_px < 2.5, "thirty seconds alone would have been over five pixels"


async def test_a_pulse_moves_the_star_its_own_way_and_no_longer_than_may_be(pier: Pier) -> None:
    await pier.point()
    moved = {}
    for towards in ("north", "south"):
        before = await pier.look()
        await pier.mount.pulse(towards, 2.0)  # type: ignore[arg-type]
        await asyncio.sleep(2.5)
        shift = shift_of(before, await pier.look())
        assert shift is not None
        moved[towards] = (shift.dx, shift.dy)
    assert math.hypot(*moved["north"]) > 4.0
    assert sum(n * s for n, s in zip(moved["north"], moved["south"], strict=True)) < 0.0
    with pytest.raises(CommandRefused, match="up to 5 s"):
        await pier.mount.pulse("north", 6.0)
