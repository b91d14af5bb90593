"""Whole short nights under a roof that asks the sky whether the mount is parked."""

import asyncio
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from astrod.config.load import load
from astrod.daemon import resolve_name
from astrod.domain.identity import Night
from astrod.domain.instant import MINUTE_US
from astrod.rehearsal.night import PlayedNight
from astrod.runtime.clock import VirtualLoop, run_virtual
from astrod_drivers.sim.faults import Fault
from tests.nights.observatories import Sketch, assert_in_order
from tests.nights.pointings import AFTER_DUSK_MIN, DATE, begin_us

pytestmark = [pytest.mark.slow, pytest.mark.timeout(400), pytest.mark.xdist_group("pointing")]

MINUTES = 7.0
LIES_S = 600.0


@dataclass(frozen=True)
class Told:
    """A night's summary, its findings, and the truth once a second: when, the roof, whether the mount is parked."""

    summary: dict[str, Any]
    findings: list[str]
    truth: list[tuple[int, str, bool]]

    def closes_us(self) -> int:
        """When the roof began to close for the last time."""
        return max(at_us for at_us, aperture, _ in self.truth if aperture == "closing")


def play(folder: Path, *faults: Fault) -> Told:
    """A short clear night at a site with `interlock = "solve"`."""
    drawn = Sketch(folder, seed=7).dark_for(MINUTES, DATE, AFTER_DUSK_MIN)
    drawn.replace("focus_at_start = true", "focus_at_start = false")
    drawn.replace('address = "sim://roof"', 'address = "sim://roof"\ninterlock = "solve"')
    drawn.replace("settle_s = 2.0", "settle_s = 2.0\npark_s = 60.0\npark_place = [0.0, 41.7]")
    loaded = load(folder, resolve_name)
    for path in (loaded.settings.storage.data_dir, loaded.settings.daemon.run_dir):
        path.mkdir(parents=True, exist_ok=True)
    truth: list[tuple[int, str, bool]] = []
    findings: set[str] = set()

    async def watch(played: PlayedNight) -> None:
        while True:
            seen = played.observatory.truth()
            truth.append((seen.utc_us, str(seen.aperture), all(mount.parked for mount in seen.mounts.values())))
            findings.update(finding.code for finding in played.core.health.findings)
            await played.sky.sleep(1.0)

    async def playing(loop: VirtualLoop) -> Told:
        played = PlayedNight(loaded, loop, Night.parse(DATE), folder / "spool", 2.0, faults)
        watching = asyncio.create_task(watch(played))
        try:
            return Told(await played.run(), sorted(findings), truth)
        finally:
            watching.cancel()
            played.close()

    return run_virtual(playing)  # type: ignore[no-any-return]


def test_the_roof_opens_by_the_mounts_word_and_closes_by_the_sky(tmp_path: Path) -> None:
    told = play(tmp_path)
    assert_in_order(told.summary)
    assert told.summary["frames"]["taken"] >= 1
    assert "AST-120" not in told.findings
    assert told.truth[-1][1:] == ("closed", True)


def test_the_roof_stays_open_over_a_mount_that_lies_until_the_sky_shows_it_parked(tmp_path: Path) -> None:
    begins_us = begin_us() + MINUTE_US
    told = play(tmp_path, Fault("park_lies", "mount", at_us=begins_us, lasts_s=LIES_S))
    assert told.summary["frames"]["taken"] >= 1
    assert "AST-120" in told.findings, "somebody is called"
    assert all(parked for _, aperture, parked in told.truth if aperture in ("closing", "closed"))
    assert told.closes_us() > begins_us + round(LIES_S * 1e6)
    assert told.truth[-1][1:] == ("closed", True)
