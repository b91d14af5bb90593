"""The models' care: which version judges, what a candidate in the shadow has shown, and whether frames have drifted.

The choice lies on disk (`astrod_models.zoo`) and is read anew for each frame in the worker, so a promotion counts
from the next frame on and nothing need be started again. Whatever loads a model runs in the worker, never here.
"""

import asyncio
import logging
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from astrod.archive.archive import Archive
from astrod.archive.rows import Judged
from astrod.config.settings import ModelSettings
from astrod.domain.exposure import Intent, Judgement
from astrod.domain.instant import DAY_US
from astrod.errors import AstrodError, InputInvalid
from astrod.health import Health
from astrod.learning.drift import Drift, Shown, drifts, reference_of
from astrod.learning.promotion import Compared, Rule, Standing, standing
from astrod.learning.thumbs import Labelled, training_set
from astrod.recording import Recording
from astrod.runtime.clock import Clock
from astrod.runtime.offload import Cost, Offload
from astrod.versions import (
    choose_shadow,
    engine_fault,
    in_force,
    list_models,
    promote_model,
    roll_back_model,
    show_model,
    zoo_of,
)
from astrod_models.zoo import Version, ZooError

log = logging.getLogger(__name__)

T = TypeVar("T")

LANE = "frames"
COST = Cost(modelled_s=0.5, deadline_s=60.0)
APPRAISE = Cost(modelled_s=2.5, deadline_s=60.0)
QUALITY = "quality"
ANOMALY = "anomaly"
ENGINE = "engine"
"""What a choice may be about beside the models."""
SHADOWED = (QUALITY,)
"""The models that judge light frames in the daemon, and so can be compared with a candidate."""
DRIFT_DAYS = 10


def rule_of(settings: ModelSettings) -> Rule:
    """The rule of promotion by the configuration."""
    return Rule(settings.shadow_frames, settings.shadow_thumbs, settings.shadow_keep_percent)


@dataclass(frozen=True, slots=True)
class ShadowSaid:
    """A candidate's verdict on a frame."""

    version: str
    judgement: Judgement


def judge_in_shadow(path: Path, settings: ModelSettings) -> ShadowSaid | None:
    """In the worker: what the candidate says of a frame; None where there is none, or none that can be run.

    Raises InputInvalid for what is no frame.
    """
    from astrod.appraise import appraise

    candidate = zoo_of(settings).shadow(QUALITY)
    if candidate is None or candidate.card is None or candidate.refused:
        return None
    said = appraise(path, candidate.folder).judgement
    return ShadowSaid(candidate.key, said) if said.model == candidate.title else None


def tell_choice(health: Health, subject: str, fault: str | None) -> None:
    """Say of a choice of the owner, for a model or for the ENGINE, that it cannot be followed, or that it can again."""
    if fault is None:
        health.mended("AST-404", subject)
    else:
        health.found("AST-404", fault, subject)


class Curation:
    """The models of one daemon."""

    def __init__(
        self, settings: ModelSettings, recording: Recording, offload: Offload, health: Health, clock: Clock
    ) -> None:
        self._settings, self._recording, self._offload = settings, recording, offload
        self._health, self._clock = health, clock
        self._zoo = zoo_of(settings)
        self._in_shadow: asyncio.Task[None] | None = None

    # -- what there is ---------------------------------------------------------------------------------------

    async def listed(self) -> list[dict[str, Any]]:
        """Each model: its version in force, whether it can be trusted, what stands in for it."""
        return await self._work(list_models, self._settings)

    async def shown(self, name: str) -> dict[str, Any]:
        """All of one model: its versions, its card, its shadow's standing, its drift. Raises InputInvalid."""
        told: dict[str, Any] = await self._work(show_model, self._settings, name)
        told["shadow"] = await self._shadow_told(name)
        told["drift"] = [_drift_told(drift) for drift in await self.drift()] if name == QUALITY else []
        return told

    async def _shadow_told(self, name: str) -> dict[str, Any] | None:
        key = self._zoo.choice(name).shadow
        if key is None:
            return None
        found = await self.standing(name)
        return {"key": key, **(standing_told(found) if found else {})}

    async def standing(self, name: str) -> Standing | None:
        """What the candidate in the shadow has shown; None where there is no candidate."""
        key = self._zoo.choice(name).shadow
        if key is None or name not in SHADOWED:
            return None
        version: Version = await self._work(in_force, self._settings, name)
        rows = await self._recording(lambda archive: archive.shadowed(key, version.title))
        return standing(rule_of(self._settings), [Compared(row.now, row.shadow, row.up) for row in rows])

    async def drift(self) -> list[Drift]:
        """The frames of the last days against the card of the model in force; empty while there are too few."""
        version: Version = await self._work(in_force, self._settings, QUALITY)
        reference = reference_of(version.card.facts) if version.card else None
        if reference is None:
            return []
        since_us = self._clock.now_us() - DRIFT_DAYS * DAY_US
        title = version.title
        rows = await self._recording(lambda archive: archive.judged(since_us, model=title))
        return drifts(reference, [_shown(row) for row in rows if row.features])

    # -- what the owner does ---------------------------------------------------------------------------------

    async def set_shadow(self, name: str, file: Path | None) -> str:
        """Judge a candidate beside the model in force from now on, or none; what is now so, in words."""
        if name not in SHADOWED:
            raise InputInvalid(f"only {', '.join(SHADOWED)} is judged beside another; promote {name} by its file")
        return await self._work(choose_shadow, self._settings, name, file)

    async def promote(self, name: str, file: Path | None, anyway: bool) -> str:
        """Put the candidate, or the model in a file, in force. Raises InputInvalid where the rule does not let it."""
        if not anyway and name in SHADOWED:
            found = await self.standing(name)
            if file is not None or found is None:
                raise InputInvalid(
                    f"{name} is promoted from the shadow: `astrod models shadow {name} FILE`, or add --anyway"
                )
            if not found.passes:
                raise InputInvalid(f"the candidate is not ready: {'; '.join(found.lacks)}. --anyway promotes it")
        text = await self._work(promote_model, self._settings, name, file)
        await self._note(text)
        await self.check()
        return text

    async def roll_back(self, name: str) -> str:
        """Put the version in force that was before."""
        text = await self._work(roll_back_model, self._settings, name)
        await self._note(text)
        await self.check()
        return text

    async def export_thumbs(self, data_dir: Path) -> list[dict[str, Any]]:
        """The frames with a thumb, as a set to train with."""
        rows = await self._recording(lambda archive: archive.judged(thumbed=True))
        labelled = [
            Labelled(str(data_dir / row.path), row.thumb, row.judgement, row.features) for row in rows if row.thumb
        ]
        return list(training_set(labelled))

    # -- the shadow ------------------------------------------------------------------------------------------

    def consider(self, intent: Intent, path: Path) -> None:
        """Have a light frame that was judged judged by the candidate as well, if there is one and it has time."""
        busy = self._in_shadow is not None and not self._in_shadow.done()
        if busy or not self._settings.enabled or not self._zoo.has_shadow(QUALITY):
            return
        self._in_shadow = asyncio.create_task(self._judge_in_shadow(intent, path), name="judge in the shadow")

    async def _judge_in_shadow(self, intent: Intent, path: Path) -> None:
        """What it says is recorded beside the verdict and changes nothing; a frame that is missed is no loss."""
        try:
            said = await self._offload.run(LANE, APPRAISE, judge_in_shadow, path, self._settings)
            if said is not None:
                now_us = self._clock.now_us()
                await self._recording(
                    lambda archive: archive.record_shadow(intent.id, said.version, said.judgement, now_us)
                )
        except AstrodError as fault:
            log.warning("%s is not judged in the shadow: %s", intent.id, fault)

    # -- by itself -------------------------------------------------------------------------------------------

    async def check(self) -> None:
        """Tell where a choice cannot be followed, and of the model that judges frames where there is none."""
        if not self._settings.enabled:
            return
        tell_choice(self._health, ENGINE, await self._work(engine_fault, self._settings))
        for row in await self.listed():
            tell_choice(self._health, row["name"], row["fault"] if row["trusted"] else None)
            if row["name"] == QUALITY and not row["trusted"]:
                self._health.found("AST-401", f"frames are judged by the classical stand-in ({row['fault']})")

    async def watch(self) -> None:
        """Say at once, before any frame, what cannot be used; then wait for ever. Run as a service."""
        try:
            await self.check()
        except AstrodError as fault:
            log.warning("the models cannot be looked at: %s", fault)
        await asyncio.Event().wait()

    async def look_after(self) -> None:
        """Once a day: say of drift, and promote a candidate that has passed its rule where that is wished."""
        drifted = [drift for drift in await self.drift() if drift.is_drift]
        if drifted:
            self._health.found("AST-405", "; ".join(map(str, drifted[:3])))
        else:
            self._health.mended("AST-405")
        found = await self.standing(QUALITY)
        if found is not None and found.passes:
            if self._settings.promote_by_rule:
                await self.promote(QUALITY, None, anyway=False)
            else:
                await self._note("the quality model in the shadow has passed its rule: `astrod models promote quality`")

    # -- what it is made of ----------------------------------------------------------------------------------

    async def _work(self, work: Callable[..., T], *args: Any) -> T:
        try:
            return await self._offload.run(LANE, COST, work, *args)
        except ZooError as fault:
            raise InputInvalid(str(fault)) from fault

    async def _note(self, text: str) -> None:
        log.info("%s", text)
        now_us = self._clock.now_us()
        await self._recording(lambda archive: _event(archive, now_us, text))


def _event(archive: Archive, at_us: int, text: str) -> None:
    archive.record_event(at_us, "models", "info", text)


def _shown(row: Judged) -> Shown:
    return Shown(row.features, row.judgement.decision == "keep", row.judgement.quality)


def _drift_told(drift: Drift) -> dict[str, Any]:
    return {
        "name": drift.name,
        "frames": drift.frames,
        "outside": round(drift.outside, 4),
        "psi": round(drift.psi, 3),
        "drift": drift.is_drift,
    }


def standing_told(found: Standing) -> dict[str, Any]:
    """What a candidate has shown, as plain values."""
    return {
        "frames": found.frames,
        "alike": found.alike,
        "thumbs": found.thumbs,
        "in_force_right": found.now_right,
        "shadow_right": found.shadow_right,
        "good": found.good,
        "good_kept": found.good_kept,
        "passes": found.passes,
        "lacks": list(found.lacks),
    }
