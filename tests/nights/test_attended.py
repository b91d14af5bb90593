"""Hands on in mid night, on the simulated clock: the pause, the job, and safety over both."""

import asyncio
import re
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from astrod.attended import Attended, Job
from astrod.config.load import load
from astrod.daemon import resolve_name
from astrod.domain.identity import Night
from astrod.errors import InputInvalid
from astrod.holds import Holds
from astrod.rehearsal.night import PlayedNight
from astrod.runtime.clock import VirtualLoop, run_virtual
from astrod_drivers.sim.focuser import SimFocuser
from tests.nights.observatories import PLAIN, Sketch

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]

NIGHT = "2026-12-14"
OWN = """[rig.train.guider]
camera = "sim://guide_camera"
focal_length_mm = 200.0

[night]
"""


class Visit:
    """An owner who comes while the rig observes."""

    def __init__(self, played: PlayedNight) -> None:
        self.played, self.clock = played, played.clock
        self.holds = Holds(played.core.recording, played.core.conductor, played.clock)
        self.attended = Attended(played.core, self.holds)

    async def observing(self) -> None:
        """Wait for the first exposure of a light."""
        observer = self.played.core.observers["main"]
        while observer.exposing.under_way is None or observer.exposing.under_way[0].kind != "light":
            await self.clock.sleep(1.0)

    async def do(self, what: str, **args: object) -> Job:
        """A job to its end."""
        job = await self.attended.begin(what, {"who": "owner", **args})
        while job.state == "running":
            await self.clock.sleep(1.0)
        return job


def visited(folder: Path, story: Callable[[Visit], Awaitable[None]]) -> None:
    """A night at which the owner turns up; it is cut when the story is over."""
    sketch = Sketch(folder, wishes=PLAIN).replace("[night]\n", OWN).dark_for(90, NIGHT)
    sketch.replace("focus_at_start = true", "focus_at_start = false")
    loaded = load(folder, resolve_name)
    for path in (loaded.settings.storage.data_dir, loaded.settings.daemon.run_dir):
        path.mkdir(parents=True, exist_ok=True)

    async def play(loop: VirtualLoop) -> None:
        played = PlayedNight(loaded, loop, Night.parse(NIGHT), folder / "spool", 2.0, alone=True)
        night = asyncio.create_task(played.run())
        telling = asyncio.ensure_future(story(Visit(played)))
        try:
            await asyncio.wait({night, telling}, return_when=asyncio.FIRST_COMPLETED)
            assert telling.done(), "the night was over before the story"
            telling.result()
        finally:
            night.cancel()
            await asyncio.wait({night})
            played.close()

    run_virtual(play)


def test_an_owner_slews_exposes_calibrates_and_aligns_in_mid_night(tmp_path: Path) -> None:
    async def story(visit: Visit) -> None:
        await visit.observing()
        telescope = visit.played.core.telescopes["main"]
        mount = await telescope.read_mount()
        slewed = await visit.do("slew", ra_deg=mount.ra_deg + 4.0, dec_deg=20.0)
        assert slewed.state == "done" and "tracking at" in slewed.lines[-1], slewed
        exposed = await visit.do("expose", exposure_s=5.0, count=2)
        assert exposed.state == "done" and sum("stars" in line for line in exposed.lines) == 2, exposed
        calibrated = await visit.do("guide-calibrate")
        assert calibrated.state == "done" and "RMS" in calibrated.lines[-1], calibrated
        assert (visit.played.loaded.settings.storage.data_dir / "guiding-main.json").exists()
        aligned = await visit.do("polar-align", follow=False)
        assert aligned.state == "done", aligned
        off_arcmin = float(aligned.lines[-1].split("'")[0])
        assert off_arcmin < 2.0, "the simulated axis is 0.6' off"
        parked = await visit.do("set-park")
        assert parked.state == "done" and "park_place = [" in parked.lines[-1], parked
        truth = visit.played.observatory.truth().mounts["mount"]
        azimuth_deg, altitude_deg = (float(n) for n in parked.lines[-1].split("[")[1].rstrip("]").split(","))
        assert truth.parked and abs(truth.altitude_deg - altitude_deg) < 0.5
        assert abs(truth.azimuth_deg - azimuth_deg) < 1.0
        assert visit.played.core.conductor.state.paused
        await visit.holds.lift("owner")
        await visit.clock.sleep(5.0)
        await visit.observing()

    visited(tmp_path, story)


def test_nothing_attended_overrules_safety_or_another_job(tmp_path: Path) -> None:
    async def story(visit: Visit) -> None:
        with pytest.raises(InputInvalid, match=r"overrules safety|open sky"):
            await visit.attended.begin("slew", {"ra_deg": 10.0, "dec_deg": 60.0})
        assert visit.holds.in_force == []
        await visit.observing()
        with pytest.raises(InputInvalid, match="there is no"):
            await visit.attended.begin("dance", {})
        with pytest.raises(InputInvalid, match="no rig"):
            await visit.attended.begin("focus", {"rig": "other"})
        wrong = await visit.do("slew", ra_deg=400.0, dec_deg=0.0)
        assert wrong.state == "failed" and "0..360" in wrong.lines[-1]
        job = await visit.attended.begin("expose", {"exposure_s": 5.0, "count": 1000})
        with pytest.raises(InputInvalid, match="still going on"):
            await visit.attended.begin("focus", {})
        while len(job.lines) < 2:
            await visit.clock.sleep(1.0)
        visit.played.gate.become_unsafe()
        while job.state == "running":
            await visit.clock.sleep(1.0)
        assert job.state in ("failed", "stopped"), "its next command was refused"

    visited(tmp_path, story)


def test_a_job_ends_with_its_pause(tmp_path: Path) -> None:
    async def story(visit: Visit) -> None:
        await visit.observing()
        job = await visit.attended.begin("expose", {"exposure_s": 5.0, "count": 1000})
        while not any("stars" in line for line in job.lines):
            await visit.clock.sleep(1.0)
        await visit.holds.lift("owner")
        await visit.clock.sleep(5.0)
        assert job.state == "stopped" and "the pause is over" in job.lines
        await visit.observing()
        again = await visit.attended.begin("expose", {"exposure_s": 5.0, "count": 1000})
        await visit.clock.sleep(2.0)
        await visit.attended.stop()
        assert again.state == "stopped"

    visited(tmp_path, story)


def test_an_owner_focuses_and_measures_the_backlash(tmp_path: Path) -> None:
    async def story(visit: Visit) -> None:
        await visit.observing()
        observatory = visit.played.observatory
        focuser = observatory.bare("focuser")
        assert isinstance(focuser, SimFocuser)
        await focuser.move((await focuser.read()).position + 150)
        focused = await visit.do("focus")
        assert focused.state == "done" and "focused" in focused.lines[-1], focused
        after = (await focuser.read()).position
        assert abs(focuser.defocus_um(visit.clock.now_us(), 0.0)) < 60.0, "30 steps, where it began 210 away"
        measured = await visit.do("backlash")
        assert measured.state == "done", measured
        found = re.fullmatch(
            r"(\d+) steps of play: write backlash = \1 under \[rig\.train\.focuser\]", measured.lines[-1]
        )
        assert found is not None and 8 <= int(found[1]) <= 32, (measured.lines, "the simulated gears have 20")
        assert abs((await focuser.read()).position - after) <= 1, "it goes back to where it was"

    visited(tmp_path, story)
