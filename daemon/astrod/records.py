"""What the activities ask of the archive: exposures recorded before they begin, focus runs, the noise of a dark."""

import asyncio
import dataclasses
import logging
from collections.abc import Callable
from typing import Any

from astrod.archive.rows import Outcome
from astrod.domain.calibration import Recipe
from astrod.domain.exposure import FrameKind, Intent
from astrod.domain.identity import Night
from astrod.domain.offsets import FocusPoint
from astrod.domain.plan import Choice
from astrod.domain.site import Site, Train
from astrod.errors import Retry, TellOperator
from astrod.health import Health
from astrod.recording import Recording
from astrod.rig.telescope import Telescope
from astrod.runtime.clock import Clock

log = logging.getLogger(__name__)


class ArchiveIntents:
    """Exposures recorded before they begin (`observing.Intents`), in the archive."""

    def __init__(
        self,
        site: Site,
        recording: Recording,
        clock: Clock,
        night: Callable[[], Night],
        angle_deg: Callable[[str, str], float | None],
    ) -> None:
        """`angle_deg` is the mechanical angle of a rig's and train's rotator, None where it has none."""
        self._site, self._recording, self._clock, self._night = site, recording, clock, night
        self._angle_deg = angle_deg
        self._ending: set[asyncio.Task[None]] = set()

    async def begin(
        self, kind: FrameKind, rig: str, train: str, exposure_s: float, choice: Choice | None, retake_of: str | None
    ) -> Intent:
        """See `observing.Intents`."""
        setup = next(t for r in self._site.rigs if r.name == rig for t in r.trains if t.name == train)
        facts: dict[str, Any] = {
            "kind": kind,
            "rig": rig,
            "train": train,
            "exposure_s": exposure_s,
            "ra_deg": choice.ra_deg if choice else None,
            "dec_deg": choice.dec_deg if choice else None,
            "target": choice.target if choice else None,
            "request": choice.request if choice else None,
            "filter": choice.filter if choice else None,
            "binning": choice.binning if choice else setup.camera.binning,
            "retake_of": retake_of,
            "at_us": self._clock.now_us(),
            "rotation_deg": self._angle_deg(rig, train),
            **_camera_facts(setup),
        }
        night = self._night()
        recording = asyncio.ensure_future(
            self._recording(lambda archive: archive.begin_exposure(self._site.name, night, **facts))
        )
        try:
            return await asyncio.shield(recording)
        except asyncio.CancelledError:  # it is recorded all the same, and nobody would ever end it
            self._end_unused(recording)
            raise

    def _end_unused(self, recording: "asyncio.Future[Intent]") -> None:
        async def end() -> None:
            intent = await recording
            await self.failed(intent, "aborted")

        task = asyncio.create_task(end(), name="end an exposure that was never begun")
        self._ending.add(task)
        task.add_done_callback(self._ended)

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._ending.discard(task)
        if not task.cancelled() and task.exception() is not None:
            log.warning("an exposure that was never begun stays unfinished until the next start: %s", task.exception())

    async def begin_calibration(self, recipe: Recipe, exposure_s: float) -> Intent:
        """See `calibrating.CalibrationIntents`."""
        facts = {field.name: getattr(recipe, field.name) for field in dataclasses.fields(recipe)}
        facts["exposure_s"] = exposure_s
        at_us, night = self._clock.now_us(), self._night()
        return await self._recording(
            lambda archive: archive.begin_exposure(self._site.name, night, at_us=at_us, **facts)
        )

    async def failed(self, intent: Intent, reason: str) -> None:
        """See `observing.Intents`."""
        outcome: Outcome = "aborted" if reason == "aborted" else "failed"
        now_us = self._clock.now_us()
        await self._recording(lambda archive: archive.end_exposure(intent.id, outcome, reason, now_us))


class ArchiveFocusLog:
    """Focus runs of one rig, in the archive (`refocusing.FocusLog`). A disk that refuses costs a run's record."""

    def __init__(self, rig: str, recording: Recording, health: Health) -> None:
        self._rig, self._recording, self._health = rig, recording, health

    async def record(self, train: str, point: FocusPoint) -> None:
        """See `refocusing.FocusLog`."""
        try:
            await self._recording(lambda archive: archive.record_focus(self._rig, train, point))
        except (Retry, TellOperator) as fault:
            self._health.found("AST-303", str(fault))

    async def recall(self, train: str) -> list[FocusPoint]:
        """See `refocusing.FocusLog`."""
        try:
            return await self._recording(lambda archive: archive.focus_points(self._rig, train))
        except (Retry, TellOperator) as fault:
            self._health.found("AST-303", str(fault))
            return []


async def dark_noise_adu(
    recording: Recording, health: Health, telescope: Telescope, train: str, choice: Choice
) -> float | None:
    """See `exposure_time.DarkNoise`: by the archive's newest dark, else bias, as this camera would take it now."""
    camera = telescope.trains[train].setup.camera
    recipe = Recipe(
        "dark",
        telescope.setup.name,
        train,
        choice.exposure_s,
        choice.binning,
        gain=camera.gain,
        offset=camera.offset,
        temperature_c=camera.cool_to_c,
    )
    try:
        _, noise_adu = await recording(lambda archive: archive.dark_level(recipe))
    except (Retry, TellOperator) as fault:
        health.found("AST-303", str(fault))
        return None
    return noise_adu


def _camera_facts(train: Train) -> dict[str, float | None]:
    """What a camera is set to, which decides what calibrates its frames."""
    camera = train.camera
    return {"gain": camera.gain, "offset": camera.offset, "temperature_c": camera.cool_to_c}
