"""One train's focus through the night: when a run is due, where there are stars for it, and what it found.

A run that fails is told and not repeated before it is due again: the old focus is kept, and frames that are good
enough go on being taken.
"""

import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Protocol

from astrod.domain.focus import FocusMemory, RefocusRule, Sample
from astrod.domain.offsets import FocusPoint, filter_offsets
from astrod.errors import Replan
from astrod.health import Health
from astrod.occupation import Occupation
from astrod.rig.focusing import BacklashRun, FieldPoor, Focusing, FocusRun, MeasuringBacklash
from astrod.rig.telescope import Telescope
from astrod.runtime.clock import Clock
from astrod.runtime.trace import Trace
from astrod_drivers.protocols import Permit

log = logging.getLogger(__name__)

SCATTER_STEPS = 0.5
"""Offsets between filters count where they scatter by no more than this share of a focus run's step."""
EXPOSURE_S = 4.0
LONGER = 3.0

Measure = Callable[[str, float, Permit], Awaitable[Sample]]
"""Expose with a train for so many seconds and say what its stars look like."""


class FocusLog(Protocol):
    """Where the positions that focus runs found are kept, over all nights. Neither method raises."""

    async def record(self, train: str, point: FocusPoint) -> None: ...

    async def recall(self, train: str) -> list[FocusPoint]: ...


class NoLog:
    """For a rig whose runs nobody keeps."""

    async def record(self, train: str, point: FocusPoint) -> None:
        """Not kept."""

    async def recall(self, train: str) -> list[FocusPoint]:
        """Nothing is known."""
        return []


RichField = Callable[[str], Awaitable[tuple[float, float] | None]]
"""A place (ICRS degrees) near where a train points now that shows it more stars; None where none is known."""


@dataclass(frozen=True, slots=True)
class Attempt:
    """One try of a run: how long to expose, and whether to go to a richer field first."""

    exposure_s: float
    elsewhere: bool


ATTEMPTS = (
    Attempt(EXPOSURE_S, elsewhere=False),
    Attempt(LONGER * EXPOSURE_S, elsewhere=False),
    Attempt(EXPOSURE_S, elsewhere=True),
)
"""Tried in turn while the field is too poor."""


class Refocusing:
    """The focus of one train."""

    def __init__(
        self,
        telescope: Telescope,
        train: str,
        measure: Measure,
        rich_field: RichField,
        health: Health,
        trace: Trace,
        clock: Clock,
        occupation: Occupation,
        focus_log: FocusLog | None = None,
    ) -> None:
        self._telescope, self._train = telescope, train
        self._focus_log = focus_log or NoLog()
        self._measure, self._rich_field = measure, rich_field
        self._health, self._trace, self._clock, self._occupation = health, trace, clock, occupation
        self.memory = FocusMemory()

    @property
    def possible(self) -> bool:
        """Whether there is a focuser to focus with."""
        return self._telescope.focuser(self._train) is not None

    async def due(self, rule: RefocusRule, filter_name: str | None) -> str | None:
        """Why the train should be focused before the next exposure, in words; None where it need not be."""
        if not self.possible:
            return None
        return self.memory.due(rule, self._clock.now_us(), await self._temperature_c(), filter_name)

    def seen(self, filter_name: str | None, fwhm_px: float | None) -> None:
        """A frame was kept, with this FWHM."""
        if fwhm_px is not None:
            self.memory.seen(filter_name, fwhm_px)

    async def run(self, why: str, filter_name: str | None, permit: Permit) -> bool:
        """Focus, where the mount points now or on a richer field near by. True where the mount was moved for it."""
        self._occupation.enter("overhead", f"focusing: {why}")
        self._trace.note("focusing", train=self._train, why=why)
        self.memory.focused(self._clock.now_us(), await self._temperature_c(), filter_name)
        moved, fault = False, "no try"
        for attempt in ATTEMPTS:
            if attempt.elsewhere:
                place = await self._rich_field(self._train)
                if place is None:
                    break
                moved = True
                self._trace.note("to a star field", train=self._train, ra_deg=place[0], dec_deg=place[1])
                await self._telescope.slew(*place, permit)
            try:
                run = await Focusing(self._telescope, self._train, self._measuring(attempt, permit)).run()
            except FieldPoor as poor:
                fault = str(poor)
            except Replan as failed:
                fault = str(failed)
                break
            else:
                await self._found(run, filter_name)
                return moved
        self._health.found("AST-204", fault, self._train)
        return moved

    async def measure_backlash(self, permit: Permit) -> BacklashRun:
        """Two sweeps through focus; see `rig.focusing.MeasuringBacklash`. Raises Replan where no curve shows."""
        self._occupation.enter("overhead", "measuring backlash")
        measure = self._measuring(ATTEMPTS[0], permit)
        run = await MeasuringBacklash(self._telescope, self._train, measure).run()
        self._trace.note("backlash", train=self._train, steps=run.steps)
        return run

    def _measuring(self, attempt: Attempt, permit: Permit) -> Callable[[], Awaitable[Sample]]:
        async def measure() -> Sample:
            sample = await self._measure(self._train, attempt.exposure_s, permit)
            self._occupation.enter("overhead", "focusing")
            return sample

        return measure

    async def _found(self, run: FocusRun, filter_name: str | None) -> None:
        self._health.mended("AST-204", self._train)
        self._trace.note("focused", train=self._train, position=run.position, fwhm_px=run.fwhm_px)
        self._telescope.suits(self._train, filter_name)
        if filter_name is not None:
            point = FocusPoint(filter_name, run.position, self.memory.temperature_c, self._clock.now_us())
            await self._focus_log.record(self._train, point)
            await self.learn()

    async def learn(self) -> None:
        """Take up what all focus runs so far tell of the filters, for whoever turns the wheel."""
        setup = self._telescope.trains[self._train].setup.focuser
        if setup is None or not setup.learn_offsets:
            return
        points = await self._focus_log.recall(self._train)
        learned = filter_offsets(points, SCATTER_STEPS * setup.step)
        if learned != self._telescope.offsets_learned(self._train):
            told = {offset.filter: offset.steps for offset in learned}
            self._trace.note("filter offsets", train=self._train, steps=told)
        self._telescope.learn_offsets(self._train, learned)

    async def _temperature_c(self) -> float | None:
        """The focuser's thermometer; None where it has none. Raises RecoverDevice when it is lost."""
        focuser = self._telescope.focuser(self._train)
        if focuser is None:
            return None
        return (await focuser.call("read the focuser", lambda device: device.read())).temperature_c
