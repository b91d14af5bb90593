"""Nights lost to schedules and unattended hosts: FAILURES S12, S14, 31, 32, 43, 49."""

import asyncio
from dataclasses import replace
from pathlib import Path
from typing import Any

from astrod.config.load import load
from astrod.core import DISK_S, Core
from astrod.daemon import resolve_name
from astrod.domain.darkness import dark_time
from astrod.domain.target import Request, Target
from astrod.health import Health
from astrod.rehearsal.night import PlayedNight
from astrod.runtime.clock import VirtualLoop, run_virtual
from tests.nights.observatories import PLAIN, Sketch
from tests.rig.devices import SITE
from tests.spine.test_schedule import NIGHT, Desk, at_desk

SOUTH = Target("M 45", 56.6, 24.1, requests=(Request("M 45/1", "M 45", 60.0, 3),))


def test_s12_new_targets_are_observed_without_anybody_at_the_switch(tmp_path: Path) -> None:
    async def story(desk: Desk) -> None:
        await desk.schedule.begin_night(dark_time(SITE.place, SITE.darkness, NIGHT))
        await desk.clock.sleep(0.5)
        desk.schedule.reload((SOUTH,), 0.5, 1)  # while the first plan is still being made
        await desk.clock.sleep(60.0)
        choice = desk.schedule.choose("main")
        assert choice is not None
        assert choice.target == "M 45"

    at_desk(tmp_path, story)


def test_32_a_plan_is_committed_however_often_a_new_one_is_asked_for(tmp_path: Path) -> None:
    async def story(desk: Desk) -> None:
        await desk.schedule.begin_night(dark_time(SITE.place, SITE.darkness, NIGHT))
        for _ in range(200):
            desk.schedule.refresh("somebody saw a change")
            await desk.clock.sleep(0.1)
        assert desk.schedule.plan.slots
        assert desk.schedule.choose("main") is not None

    at_desk(tmp_path, story)


def with_core(folder: Path, story: Any) -> None:
    """Play a story with a whole daemon on the simulated observatory, none of whose loops run yet."""
    Sketch(folder / "observatory", wishes=PLAIN)
    loaded = load(folder / "observatory", resolve_name)
    for path in (loaded.settings.storage.data_dir, loaded.settings.daemon.run_dir):
        path.mkdir(parents=True, exist_ok=True)

    async def play(loop: VirtualLoop) -> None:
        played = PlayedNight(loaded, loop, NIGHT, folder / "observatory" / "spool", 2.0, alone=True)
        try:
            await story(played.core)
        finally:
            for task in asyncio.all_tasks() - {asyncio.current_task()}:
                task.cancel()
            played.close()

    run_virtual(play)


def test_s14_a_disk_that_has_too_little_left_in_mid_night_is_noticed(tmp_path: Path) -> None:
    def told(health: Health) -> bool:
        return any(finding.code == "AST-304" for finding in health.findings)

    async def story(core: Core) -> None:
        roomy = replace(core.storage, free_min_gb=0.0)
        core.storage = roomy
        watching = asyncio.create_task(core.watch_disk())
        core.conductor.dark = dark_time(SITE.place, SITE.darkness, NIGHT)
        await core.clock.sleep(2 * DISK_S)
        assert not told(core.health)
        core.storage = replace(roomy, free_min_gb=1e6)  # more than any disk has: to it, this one is full
        await core.clock.sleep(DISK_S + 10.0)
        assert told(core.health)
        core.storage = roomy
        await core.clock.sleep(DISK_S + 10.0)
        assert not told(core.health)
        watching.cancel()

    with_core(tmp_path, story)
