"""The day's chores, by APScheduler: the night's report, retention, upkeep of the databases. Never observing."""

import asyncio
import logging
from pathlib import Path

from apscheduler.schedulers.asyncio import AsyncIOScheduler
from apscheduler.triggers.cron import CronTrigger

from astrod.archive.telemetry import Telemetry
from astrod.config.settings import Settings, StorageSettings
from astrod.core import Core
from astrod.domain.identity import Night, night_of, noon_us
from astrod.domain.instant import DAY_US, MINUTE_US, to_datetime
from astrod.errors import AstrodError
from astrod.frames.retention import Retention, expired, remove
from astrod.report import told
from astrod.runtime.offload import Cost, Offload
from astrod.runtime.supervise import Ready

log = logging.getLogger(__name__)

CHORE = Cost(modelled_s=5.0, deadline_s=600.0)


class Housekeeping:
    """Runs the chores once a day, some time after local noon."""

    def __init__(self, core: Core, telemetry: Telemetry, offload: Offload, settings: Settings) -> None:
        self._core, self._telemetry, self._offload, self._settings = core, telemetry, offload, settings

    async def run(self, ready: Ready) -> None:
        """Keep the scheduler going for ever."""
        core = self._core
        noon = noon_us(core.conductor.night, core.site.place.longitude_deg)
        when = to_datetime(noon + round(self._settings.daemon.housekeeping_after_noon_min * MINUTE_US))
        scheduler = AsyncIOScheduler(timezone="UTC")
        trigger = CronTrigger(hour=when.hour, minute=when.minute, second=when.second, timezone="UTC")
        scheduler.add_job(self.chores, trigger, coalesce=True, max_instances=1, misfire_grace_time=6 * 3600)
        scheduler.start()
        ready()
        try:
            await asyncio.Event().wait()
        finally:
            scheduler.shutdown(wait=False)

    async def _write_report(self, night: Night) -> None:
        """`reports/NIGHT.txt` under the data root, for a night that was closed."""
        summary = await self._core.recording(lambda archive: archive.summary(night))
        if summary is None:
            return
        title = f"Night of {night} at {self._core.site.title or self._core.site.name}"
        path = self._settings.storage.data_dir / "reports" / f"{night}.txt"
        await self._offload.run("frames", CHORE, _write, path, told(title, summary))

    async def chores(self) -> None:
        """All of them; one that fails is told and leaves the others their turn."""
        core, storage = self._core, self._settings.storage
        now_us = core.clock.now_us()
        try:
            await self._write_report(night_of(now_us - DAY_US, core.site.place.longitude_deg))
            await core.recording(lambda archive: archive.upkeep(now_us))
            before_us = now_us - storage.telemetry_days * DAY_US
            if storage.telemetry_days:
                await self._offload.run("archive", CHORE, self._telemetry.prune, before_us)
            freed = await self._offload.run("frames", CHORE, _retain, storage, core.conductor.night)
            log.info("retention freed %.1f MB", freed / 1e6)
            await core.curation.look_after()
        except AstrodError as fault:
            log.error("a chore failed and is tried again tomorrow: %s", fault)
        core.trace.note("chores done")


def _write(path: Path, text: str) -> None:
    """In the worker: the report, whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_suffix(".new")
    draft.write_text(text + "\n")
    draft.replace(path)


def _retain(storage: StorageSettings, tonight: Night) -> int:
    """In the worker: delete what the configuration lets go; returns the bytes freed."""
    rules = Retention(
        raw_nights=storage.raw_days or None,
        quarantine_nights=storage.quarantine_days or None,
    )
    return remove(expired(storage.data_dir, tonight, rules))
