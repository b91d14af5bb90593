"""The parts of one site's daemon, and what is to be known and done of all of them together: its nights' records,
what is lost, how the disk is, what a night came to. `assembly` ties them.
"""

import asyncio
import logging
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from astrod.archive.archive import Archive
from astrod.calibrating import Calibrating
from astrod.calibrating import told as ledger_told
from astrod.conductor import Conductor
from astrod.config.load import Loaded
from astrod.config.settings import StorageSettings
from astrod.curation import Curation
from astrod.domain.darkness import DarkTime, dark_time
from astrod.domain.exposure import CALIBRATION, Intent, Taken
from astrod.domain.identity import Night
from astrod.domain.instant import MINUTE_US
from astrod.domain.minutes import Interval, account
from astrod.domain.site import Site
from astrod.errors import AstrodError, Retry, TellOperator
from astrod.frames.retention import budget, free_bytes
from astrod.health import Health
from astrod.journey import Journey
from astrod.observing import Observing, manners_of
from astrod.recording import Recording, insist
from astrod.rig.port import Port
from astrod.rig.telescope import Telescope
from astrod.rigging import dew_of
from astrod.runtime.clock import Clock
from astrod.runtime.trace import Trace
from astrod.schedule import Schedule
from astrod.watch.watch import Watch
from astrod.whereabouts import Whereabouts
from astrod_drivers.protocols import Camera, Permit, Switch

log = logging.getLogger(__name__)

DEVICES_S = 5.0
DISK_S = 300.0
READY_US = 8 * MINUTE_US
"""So long before dusk rigs begin to point and focus: stars show by then, and a run takes two to five minutes."""
READY_LEAST_US = 4 * MINUTE_US
"""With less time than this left, it is not begun: the dark would break it off."""
FRAME_BYTES = 32_000_000
"""What a frame is taken to weigh before there is one."""


@dataclass(slots=True)
class Core:
    """The parts, for whoever answers questions about them."""

    site: Site
    clock: Clock
    trace: Trace
    health: Health
    recording: Recording
    schedule: Schedule
    journey: Journey
    telescopes: dict[str, Telescope]
    observers: dict[str, Observing]
    conductor: Conductor
    storage: StorageSettings
    calibrating: Calibrating
    whereabouts: Whereabouts
    curation: Curation
    switches: tuple[Port[Switch], ...] = ()
    watches: tuple[Watch, ...] = ()
    cameras: tuple[Port[Camera], ...] = ()
    summaries: dict[str, dict[str, Any]] = field(default_factory=dict)

    async def use_twilight(self, permit: Permit) -> None:
        """The evening's flats, then each rig made ready for the dark, where there is time for it."""
        await self.calibrating.flatten(permit)
        begin_us = self.conductor.dark.dusk_us - READY_US
        await self.clock.sleep(max(0.0, (begin_us - self.clock.now_us()) / 1e6))
        if self.conductor.dark.dusk_us - self.clock.now_us() >= READY_LEAST_US:
            await asyncio.gather(*(observer.make_ready(permit) for observer in self.observers.values()))

    def ports(self) -> list[Port[Any]]:
        """Every device of every rig, and the cameras that watch the sky; those of safety excepted."""
        rigs: list[Port[Any]] = [port for scope in self.telescopes.values() for port in scope.ports().values()]
        return [*rigs, *self.switches, *self.cameras]

    async def tend(self) -> None:
        """Keep heaters and domes where they should be, for ever. Run as a service."""
        heated = [dew_of(telescope, self.conductor, self.clock) for telescope in self.telescopes.values()]
        async with asyncio.TaskGroup() as group:
            for dew in heated:
                group.create_task(dew.run())
            for telescope in self.telescopes.values():
                if telescope.doming is not None:
                    group.create_task(telescope.doming.follow(telescope.mount))

    async def watch_sky(self) -> None:
        """Watch the whole sky with whatever is there to watch it with, for ever. Run as a service."""
        async with asyncio.TaskGroup() as group:
            for watch in self.watches:
                group.create_task(watch.run(), name=f"watch {watch.setup.name}")

    def reload(self, fresh: Loaded) -> None:
        """Take up the live keys of a new configuration: targets and [night]. The next exposure knows them."""
        night = fresh.settings.night
        for observer in self.observers.values():
            observer.manners = manners_of(night)
        self.schedule.reload(fresh.targets, night.plan_work_s, night.retakes_max)

    async def close_records(self) -> list[Night]:
        """Close the records of nights that are over and that a crash left open; returns them."""
        now_us = self.clock.now_us()
        open_nights = await self.recording(lambda archive: archive.open_nights())
        over = [night for night in open_nights if self.dark_of(night).dawn_us <= now_us and not self._runs(night)]
        for night in over:
            summary = self.summaries[str(night)] = await self.summarise_at_last(night)
            await self.record_if_possible(partial(close_night, night=night, summary=summary, at_us=now_us))
        return over

    async def record_if_possible(self, action: Callable[[Archive], object]) -> None:
        """Record what the night can do without: a disk that refuses is told and costs the record, not the night."""
        try:
            await self.recording(action)
        except (Retry, TellOperator) as fault:
            self.health.found("AST-303", str(fault))

    def _runs(self, night: Night) -> bool:
        """Whether the conductor is still to end that night itself."""
        return night == self.conductor.night and self.conductor.state.phase != "asleep"

    def dark_of(self, night: Night) -> DarkTime:
        """The dark time of any night here."""
        return dark_time(self.site.place, self.site.darkness, night)

    async def summarise_at_last(self, night: Night) -> dict[str, Any]:
        """See `summarise`; waits for a disk that refuses the night's minutes, which nobody else will bring there."""
        return await insist(self.clock, self.health, "AST-303", lambda: self.summarise(night))

    async def summarise(self, night: Night) -> dict[str, Any]:
        """What became of a night: frames, dark minutes, requests."""
        dark = self.dark_of(night)
        for observer in self.observers.values():
            observer.occupation.cut()
        await self.write_intervals()
        rows = await self.recording(lambda archive: archive.frames(night))
        intervals = await self.recording(lambda archive: archive.intervals(night))
        lights = [row for row in rows if row.intent.kind == "light" and row.taken is not None]
        return {
            "frames": {
                "taken": len(lights),
                "kept": sum(1 for row in lights if row.kept),
                "rejected": sum(1 for row in lights if row.judgement is not None and not row.kept),
                "retaken": sum(1 for row in lights if row.intent.retake_of is not None),
            },
            "dark_minutes": account(intervals, len(self.site.rigs), dark.dusk_us, dark.dawn_us),
            "requests": dict(self.schedule.tally()),
            "closures": self._closures(dark),
            **await self._sky(dark),
            "calibrations": {
                "taken": dict(Counter(row.intent.kind for row in rows if row.intent.kind in CALIBRATION and row.kept)),
                **ledger_told(await self.calibrating.needs()),
            },
        }

    async def _sky(self, dark: DarkTime) -> dict[str, Any]:
        """What the watches saw in the dark; nothing where there is none."""
        if not self.watches:
            return {}
        seen = await self.recording(lambda archive: archive.detections(dark.dusk_us, dark.dawn_us))
        return {"detections": dict(Counter(detection.kind for detection in seen))}

    def _closures(self, dark: DarkTime) -> list[str]:
        """Why the site closed in the dark, as often as it did; from what this run of the daemon remembers."""
        return [
            "; ".join(note["reasons"])
            for note in self.trace.notes
            if note["what"] == "safety" and not note["safe"] and dark.dusk_us < note["at_us"] < dark.dawn_us
        ]

    async def watch_devices(self) -> None:
        """Say which devices are lost, and that they are back, for ever. Run as a service.

        A site none of whose mounts can be brought back is closed: there is nothing that it could be open for.
        """
        while True:
            for port in self.ports():
                if port.given_up:
                    self.health.found("AST-206", f"{port.name} ({port.address}): {port.detail}", port.name)
                else:
                    self.health.mended("AST-206", port.name)
                if port.up:
                    self.health.mended("AST-201", port.name)
                else:
                    self.health.found("AST-201", f"{port.name} ({port.address}): {port.detail}", port.name)
            lost = all(telescope.mount.given_up for telescope in self.telescopes.values())
            self.conductor.bar("no mount answers any more" if lost else None)
            await self.clock.sleep(DEVICES_S)

    async def guiding_errors(self) -> dict[str, dict[str, float]]:
        """How well each rig that guides is guided now, by the guider's name; for the telemetry."""
        guidings = [telescope.guiding for telescope in self.telescopes.values() if telescope.guiding is not None]
        told = {guiding.port.name: await guiding.errors_arcsec() for guiding in guidings}
        return {name: errors for name, errors in told.items() if errors}

    async def watch_disk(self) -> None:
        """Compare what is free with what the rest of the night will take, for ever. Run as a service."""
        while True:
            await self.clock.sleep(DISK_S)
            try:
                await self.check_disk()
            except (AstrodError, OSError) as fault:  # the disk that cannot be asked is told of by whoever writes to it
                log.warning("the disk cannot be looked at: %s", fault)

    async def check_disk(self) -> None:
        """Say when the night's frames will not fit on the disk."""
        dark_s = max(0.0, (self.conductor.dark.dawn_us - self.clock.now_us()) / 1e6)
        wanted = [
            (request.exposure_s, request.count) for target in self.schedule.targets for request in target.requests
        ]
        frames = min(sum(count for _, count in wanted), round(dark_s / min((s for s, _ in wanted), default=60.0)))
        rows = await self.recording(lambda archive: archive.frames(limit=20))
        each = max((row.taken.size_bytes for row in rows if row.taken), default=FRAME_BYTES)
        free, reserve = free_bytes(self.storage.data_dir), round(self.storage.free_min_gb * 1e9)
        short = budget(free, frames * len(self.site.rigs), each, reserve)
        if short is None:
            self.health.mended("AST-304")
        else:
            self.health.found("AST-304", short)

    async def write_intervals(self) -> None:
        """Bring the account of minutes into the archive, but for what is being done now: that may yet be renamed."""
        night = self.conductor.night
        for observer in self.observers.values():
            intervals = observer.occupation.take()
            try:
                await self.recording(partial(_record_intervals, night=night, intervals=intervals))
            except AstrodError:
                observer.occupation.give_back(intervals)
                raise

    async def note_absence(self, night: Night, dark: DarkTime) -> None:
        """Account for the dark time before this daemon ran, from where its forerunner's account of this night ends."""
        recorded = await self.recording(lambda archive: archive.intervals(night))
        for name, observer in self.observers.items():
            ends_us = [interval.end_us for interval in recorded if interval.rig == name]
            observer.occupation.away_since(max([dark.dusk_us, *ends_us]))


def close_night(archive: Archive, night: Night, summary: dict[str, Any], at_us: int) -> None:
    """Close a night's record, also of one that could not be opened when it began."""
    with archive.together():
        archive.open_night(night, at_us)
        archive.close_night(night, summary, at_us)


def _record_intervals(archive: Archive, night: Night, intervals: Sequence[Interval]) -> None:
    with archive.together():
        for interval in intervals:
            archive.record_interval(night, interval)


async def resume_frames(core: Core, frames: Sequence[tuple[Intent, Taken]]) -> None:
    """Take up the frames that a crash left kept and unjudged, one after the other."""
    for intent, taken in frames:
        log.info("taking up %s where it was left", taken.id)
        core.schedule.settled(await core.journey.resume(intent, taken))


def data_paths(root: Path) -> dict[str, Path]:
    """Where things lie under the data root."""
    return {"archive": root / "archive.db", "telemetry": root / "telemetry.db", "site": root / "site.good.json"}
