"""The calibration ledger at work: says what is missing, and takes it when the sky is of no use.

Darks, biases and flat-darks are taken under a closed roof, in bad weather and after dawn, before the cameras warm up;
flats in the evening's twilight, once the roof is open. Lights are never taken here.
"""

import asyncio
import logging
from collections import Counter
from collections.abc import Callable, Mapping
from typing import Any, Protocol

from astrod.config.settings import CalibrationSettings
from astrod.domain.calibration import DARK_KINDS, CalibrationKind, Need, Recipe, Rules, ledger
from astrod.domain.exposure import Intent
from astrod.domain.instant import DAY_US
from astrod.domain.site import Place, Train
from astrod.errors import AstrodError, GoSafe
from astrod.framing import turn_for_flats
from astrod.health import Health
from astrod.journey import Journey
from astrod.recording import Recording
from astrod.rig.darks import Darks, Surroundings
from astrod.rig.exposing import NO_PERMIT, Exposed, Exposing
from astrod.rig.flats import Aim, TwilightFlats
from astrod.rig.panel import PanelFlats
from astrod.rig.telescope import Telescope
from astrod.runtime.clock import Clock
from astrod.runtime.trace import Trace
from astrod_drivers.protocols import Permit

log = logging.getLogger(__name__)


class CalibrationIntents(Protocol):
    """Where a calibration exposure is recorded before it begins, and how it ended without a frame."""

    async def begin_calibration(self, recipe: Recipe, exposure_s: float) -> Intent: ...

    async def failed(self, intent: Intent, reason: str) -> None: ...


def rules_of(settings: CalibrationSettings) -> Rules:
    """The ledger's rules, from [calibration]."""
    counts: Mapping[CalibrationKind, int] = {
        "bias": settings.biases,
        "dark": settings.darks,
        "flat_dark": settings.flat_darks,
        "flat": settings.flats,
    }
    days: Mapping[CalibrationKind, float] = {
        "bias": settings.dark_days,
        "dark": settings.dark_days,
        "flat_dark": settings.dark_days,
        "flat": settings.flat_days,
    }
    return Rules(counts, days)


def makeable(recipe: Recipe, train: Train) -> bool:
    """Whether the train, as it is configured now, can make that frame: gain and temperature may have been changed."""
    camera = train.camera
    return (recipe.gain, recipe.offset, recipe.temperature_c) == (camera.gain, camera.offset, camera.cool_to_c)


class Calibrating:
    """One site's ledger. `needs` reads it, `darken` works it off."""

    def __init__(
        self,
        settings: CalibrationSettings,
        telescopes: Mapping[str, Telescope],
        recording: Recording,
        journey: Journey,
        intents: CalibrationIntents,
        around: Callable[[], Surroundings],
        place: Place,
        health: Health,
        trace: Trace,
        clock: Clock,
    ) -> None:
        self.settings = settings
        self._telescopes, self._recording, self._journey = telescopes, recording, journey
        self._intents, self._around, self._place = intents, around, place
        self._health, self._trace, self._clock = health, trace, clock
        self._walks: set[asyncio.Task[None]] = set()

    async def needs(self) -> tuple[Need, ...]:
        """The ledger now: what the frames of the last `frame_days` need, has, lacks, expired."""
        now_us, rules = self._clock.now_us(), rules_of(self.settings)
        frames_us = now_us - round(self.settings.frame_days * DAY_US)
        fresh_us = {kind: now_us - round(days * DAY_US) for kind, days in rules.days.items()}
        frames = await self._recording(lambda archive: archive.sorts_of_frames(frames_us))
        fresh, stale = await self._recording(lambda archive: archive.calibration_stock(fresh_us))
        return ledger(frames, fresh, stale, rules)

    async def review(self) -> tuple[Need, ...]:
        """`needs`, told as a finding where something is missing."""
        needs = await self.needs()
        lacking = [need for need in needs if need.missing]
        if lacking and self.settings.scheduled:
            first = ", ".join(str(need.recipe) for need in lacking[:3])
            self._health.found("AST-305", f"{len(lacking)} of {len(needs)} sets are not complete: {first}")
        else:
            self._health.mended("AST-305")
        return needs

    async def darken(self, until_us: int) -> None:
        """Take the darks, biases and flat-darks that are missing, on all rigs at once, until that instant.

        Cancelling it ends the exposure under way. Frames that were taken go on to the archive all the same.
        """
        if not self.settings.scheduled:
            return
        lacking = [need for need in await self.review() if need.missing and need.recipe.kind in DARK_KINDS]
        async with asyncio.TaskGroup() as group:
            for telescope in self._telescopes.values():
                group.create_task(self._darken_rig(telescope, lacking, until_us))
        await self.settle()
        await self.review()

    async def flatten(self, permit: Permit) -> None:
        """Take the flats that are missing in the evening's twilight: by the panel where there is one, else of the sky.

        Cancelling it ends the exposure under way.
        """
        if not self.settings.scheduled:
            return
        lacking = [need for need in await self.review() if need.missing and need.recipe.kind == "flat"]
        async with asyncio.TaskGroup() as group:
            for telescope in self._telescopes.values():
                group.create_task(self._flatten_rig(telescope, lacking, permit))
        await self.settle()

    async def _flatten_rig(self, telescope: Telescope, lacking: list[Need], permit: Permit) -> None:
        for name, train in telescope.trains.items():
            mine = [
                need
                for need in lacking
                if (need.recipe.rig, need.recipe.train) == (telescope.setup.name, name)
                and (need.recipe.gain, need.recipe.offset) == (train.setup.camera.gain, train.setup.camera.offset)
            ]
            if not mine:
                continue
            try:
                kept = Counter[str | None]()
                for angle_deg in dict.fromkeys(need.recipe.rotation_deg for need in mine):
                    if await turn_for_flats(telescope, name, angle_deg):
                        here = [need for need in mine if need.recipe.rotation_deg == angle_deg]
                        kept.update(await self._flats_of(telescope, name, here, permit))
            except GoSafe as fault:  # the conductor hears of it from safety itself
                log.info("flats of %s given up: %s", name, fault)
                return
            except AstrodError as fault:
                self._health.found("AST-202", f"flats of {name}: {fault}", name)
                continue
            self._trace.note("flats over", rig=telescope.setup.name, train=name, kept=sum(kept.values()))

    async def _flats_of(
        self, telescope: Telescope, name: str, needs: list[Need], permit: Permit
    ) -> dict[str | None, int]:
        """One train's flats; several binnings of one filter are taken on different evenings."""
        recipes = {need.recipe.filter: need.recipe for need in needs}
        wanted = {need.recipe.filter: need.missing for need in needs}
        train = telescope.trains[name]
        saturation_adu = float(train.setup.camera.saturation_adu)
        aim = Aim(
            self.settings.flat_level_percent / 100.0 * saturation_adu,
            saturation_adu,
            self.settings.flat_shortest_s,
            self.settings.flat_longest_s,
        )
        exposing = Exposing(telescope, self._clock)

        async def take(filter_name: str | None, exposure_s: float, keep: bool) -> float | None:
            return await self._take_flat(exposing, recipes[filter_name], exposure_s, permit, keep)

        self._trace.note("flats", rig=telescope.setup.name, train=name, wanted=sum(wanted.values()))
        if (
            train.cover is not None
            and (await train.cover.call("read the cover", lambda c: c.read())).brightness is not None
        ):
            return await PanelFlats(telescope, name, aim, take, self._clock).run(wanted)
        flats = TwilightFlats(telescope, name, self._place, aim, take, self._clock, evening=True)
        return await flats.run(wanted, permit)

    async def _take_flat(
        self, exposing: Exposing, recipe: Recipe, exposure_s: float, permit: Permit, keep: bool
    ) -> float | None:
        """One flat; its level is waited for, since the next exposure depends on it."""
        exposed = await self._expose(exposing, recipe, exposure_s, permit)
        if not keep:
            return (await self._journey.look(exposed)).measured.background
        outcome = await self._journey.walk(exposed)
        return outcome.measured.background if outcome.measured is not None else None

    async def settle(self) -> None:
        """Wait until all frames taken so far are recorded."""
        while self._walks:
            await asyncio.wait(set(self._walks))

    async def _darken_rig(self, telescope: Telescope, lacking: list[Need], until_us: int) -> None:
        for name, train in telescope.trains.items():
            wanted = [
                need.recipe
                for need in lacking
                if (need.recipe.rig, need.recipe.train) == (telescope.setup.name, name)
                and makeable(need.recipe, train.setup)
                for _ in range(need.missing)
            ]
            if not wanted:
                continue
            self._trace.note("darks", rig=telescope.setup.name, train=name, wanted=len(wanted))
            exposing = Exposing(telescope, self._clock)

            async def take(recipe: Recipe, exposing: Exposing = exposing) -> bool:
                return await self._take(exposing, recipe)

            try:
                taken = await Darks(telescope, name, take, self._around, self._clock).run(wanted, until_us)
            except AstrodError as fault:
                self._health.found("AST-202", f"darks of {name}: {fault}", name)
                continue
            self._trace.note("darks over", rig=telescope.setup.name, train=name, taken=taken)

    async def _take(self, exposing: Exposing, recipe: Recipe) -> bool:
        """One frame, recorded before and after; its way to the archive is not waited for."""
        exposed = await self._expose(exposing, recipe, recipe.exposure_s, NO_PERMIT)
        self._walk(self._follow(exposed))
        while len(self._walks) > 2:
            await asyncio.wait(set(self._walks), return_when=asyncio.FIRST_COMPLETED)
        return True

    async def _expose(self, exposing: Exposing, recipe: Recipe, exposure_s: float, permit: Permit) -> Exposed:
        intent = await self._intents.begin_calibration(recipe, exposure_s)
        self._trace.note("expose", id=str(intent.id), kind=intent.kind, target=None, exposure_s=intent.exposure_s)
        try:
            return await exposing.expose(intent, permit)
        except asyncio.CancelledError:
            self._walk(self._intents.failed(intent, "aborted"))
            raise
        except AstrodError as fault:
            self._walk(self._intents.failed(intent, str(fault)))
            raise

    async def _follow(self, exposed: Exposed) -> None:
        await self._journey.walk(exposed)

    def _walk(self, body: "asyncio._CoroutineLike[None]") -> None:
        walk = asyncio.create_task(body)
        self._walks.add(walk)
        walk.add_done_callback(self._walked)

    def _walked(self, walk: asyncio.Task[None]) -> None:
        self._walks.discard(walk)
        if not walk.cancelled() and walk.exception() is not None:
            log.critical("a calibration frame was lost on its way", exc_info=walk.exception())


def told(needs: tuple[Need, ...]) -> dict[str, Any]:
    """The ledger for the report: how many sets are complete, and those that are not, in words."""
    standings = Counter(need.standing for need in needs)
    return {
        "complete": standings["has"],
        "sets": len(needs),
        "missing": [f"{need.recipe}: {need.has} of {need.wanted}" for need in needs if need.missing],
    }
