"""One watch: each new picture is looked at in a worker, and what was seen is told to whom it concerns.

Clouds go to the schedule (a target behind a cloud waits while another stands free), to safety (a file that its process
reads as a weather source) and to the telemetry; what crosses the sky goes into the archive. Nothing waits for a watch,
and a watch that fails costs its own pictures only.
"""

import json
import logging
from collections.abc import Awaitable, Callable
from pathlib import Path

from astrod.config.settings import ModelSettings
from astrod.domain.instant import MINUTE_US
from astrod.domain.watching import SkyCover, SkySeen, WatchSetup
from astrod.errors import AstrodError, InputInvalid
from astrod.health import Health
from astrod.recording import Recording
from astrod.runtime.clock import Clock
from astrod.runtime.durable import replace_text
from astrod.runtime.offload import Cost, Offload, WorkerLost
from astrod.runtime.trace import Trace
from astrod.watch.order import Order
from astrod.watch.source import Glance, SkySource

log = logging.getLogger(__name__)

LANE = "watch"
COST = Cost(modelled_s=0.8, deadline_s=120.0)
AFTER_FAULT_S = 30.0
DUSK_DEG = -6.0
"""With the Sun higher than this there are no stars, no meteors, and clouds are for the weather station."""
BY_DAY_S = 60.0
MISSES = 2
"""So many meteors of our own, one after the other, must have been missed before it is told: chance hides one."""


See = Callable[[Order], SkySeen]
"""Looks at a glance, in a worker. Raises InputInvalid for what is no picture."""
OnCover = Callable[[str, SkyCover], Awaitable[None]]


class Watch:
    """A watch of one site. `cover` is what was last seen of clouds."""

    def __init__(
        self,
        setup: WatchSetup,
        source: SkySource,
        see: See,
        album: Path,
        run_dir: Path,
        models: ModelSettings,
        on_cover: OnCover,
        sun_altitude_deg: Callable[[], float],
        offload: Offload,
        recording: Recording,
        health: Health,
        trace: Trace,
        clock: Clock,
    ) -> None:
        self.setup = setup
        self.cover: SkyCover | None = None
        self._source, self._see, self._album, self._models = source, see, album, models
        self._file = run_dir / f"watch-{setup.name}.json"
        self._on_cover, self._sun_altitude_deg = on_cover, sun_altitude_deg
        self._offload, self._recording = offload, recording
        self._health, self._trace, self._clock = health, trace, clock
        self._checked_us = clock.now_us()
        self._misses = 0

    async def run(self) -> None:
        """Watch for ever."""
        while True:
            if self._sun_altitude_deg() > DUSK_DEG:
                self._health.mended("AST-411", self.setup.name)
                await self._clock.sleep(BY_DAY_S)
                continue
            try:
                glance = await self._source.next()
                self._health.mended("AST-411", self.setup.name)
                await self._look(glance)
            except WorkerLost as fault:
                log.warning("watch %s: %s", self.setup.name, fault)
            except AstrodError as fault:
                self._health.found("AST-411", f"watch {self.setup.name}: {fault}", self.setup.name)
                await self._clock.sleep(AFTER_FAULT_S)

    async def _look(self, glance: Glance) -> None:
        inject = self._is_check_due()
        try:
            seen = await self._offload.run(
                LANE,
                COST,
                self._see,
                Order(glance, self.setup, self._album, inject, self._models),
            )
        except InputInvalid as fault:
            log.warning("watch %s: %s", self.setup.name, fault)
            return
        finally:
            if glance.ours:
                glance.path.unlink(missing_ok=True)
        if inject:
            self._checked_us = self._clock.now_us()
        await self._tell(seen)

    def _is_check_due(self) -> bool:
        every_us = round(self.setup.check_min * MINUTE_US)
        return self.setup.meteors and every_us > 0 and self._clock.now_us() - self._checked_us >= every_us

    async def _tell(self, seen: SkySeen) -> None:
        name = self.setup.name
        if seen.check is False:
            self._misses += 1
        elif seen.check:
            self._misses = 0
        if self._misses >= MISSES:
            self._health.found("AST-412", f"watch {name} did not find the meteor that was laid into its picture", name)
        elif self._misses == 0:
            self._health.mended("AST-412", name)
        if seen.cover is not None:
            self.cover = seen.cover
            self._write_down(seen.cover)
            await self._on_cover(name, seen.cover)
        for detection in seen.detections:
            self._trace.note("detection", watch=name, kind=detection.kind, score=round(detection.score, 3))
            log.info("watch %s: a %s, score %.2f", name, detection.kind, detection.score)
        if seen.detections:
            await self._recording(lambda archive: archive.record_detections(seen.detections))

    def _write_down(self, cover: SkyCover) -> None:
        """For safety's process, which takes a file that does not change for a silent source."""
        try:
            replace_text(self._file, json.dumps({"at_us": cover.at_us, "cloud_percent": cover.percent}))
        except OSError as fault:
            log.error("%s cannot be written (%s); safety hears no more of clouds", self._file, fault.strerror)
