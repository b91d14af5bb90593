"""Focusing: a sweep through focus, a curve through what it showed, and a move to its minimum; and measuring backlash.

    sweeping → fitting ─ a trustworthy curve ──→ moving → done
       ↑          ├─ its minimum lies outside: widening, from the best position so far
       └──────────┘        three sweeps at most, then the old position is restored → failed

Every position is approached upwards, with an overshoot, so that the play of the gears is always on the same side.
Whatever ends a run early, the focuser is sent back to where it was.
"""

import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Literal

from astrod.domain.focus import Curve, Sample, focus_curve
from astrod.errors import AstrodError, Replan
from astrod.rig.port import Port
from astrod.rig.telescope import Telescope
from astrod_drivers.protocols import Focuser

log = logging.getLogger(__name__)

MeasureFocus = Callable[[], Awaitable[Sample]]
"""Take one short exposure here and say what its stars look like."""

FocusState = Literal["sweeping", "widening", "fitting", "moving", "done", "failed"]
SWEEP = (-3, -2, -1, 0, 1, 2, 3)
MOST_SWEEPS = 3
POOR_AFTER = 3
"""So many exposures of the first sweep without enough stars, and none with: the field is too poor to focus on."""


class FieldPoor(Replan):
    """There are too few stars here to focus on; the old position is restored. Another field may do."""


@dataclass(frozen=True, slots=True)
class FocusRun:
    """What a run found: position, FWHM there by the fit, and the points it is drawn through."""

    position: int
    fwhm_px: float
    points: tuple[tuple[int, float], ...]


@dataclass(frozen=True, slots=True)
class BacklashRun:
    """What measuring the backlash found: steps of play, and best focus approached upwards and downwards."""

    steps: int
    upwards: Curve
    downwards: Curve


class Focusing:
    """One focus run on one train. `state` says how far it is."""

    def __init__(self, telescope: Telescope, train: str, measure: MeasureFocus) -> None:
        self._telescope = telescope
        self._train = train
        self._measure = measure
        self._points: dict[int, float] = {}
        self._blank = 0
        self.state: FocusState = "sweeping"

    async def run(self) -> FocusRun:
        """Focus. Raises FieldPoor without stars, Replan when no curve is found; the old position is restored."""
        ports = self._telescope.trains[self._train]
        focuser = self._telescope.focuser(self._train)
        if focuser is None or ports.setup.focuser is None:
            raise Replan(f"train {self._train} has no focuser")
        step = ports.setup.focuser.step
        async with self._telescope.leases.hold("focus", focuser.name, self._telescope.mount.name):
            before = await focuser.call("read the focuser", lambda device: device.read())
            try:
                curve = await self._search(before.position, step, before.max_position)
                return await self._settle(curve)
            except Replan:
                self.state = "failed"
                await self._telescope.move_focus(self._train, before.position)
                raise
            except BaseException:
                self.state = "failed"
                await _send_back(focuser, before.position)
                raise

    async def _search(self, centre: int, step: int, limit: int) -> Curve:
        for _ in range(MOST_SWEEPS):
            await self._sweep(centre, step, limit)
            self.state = "fitting"
            found = focus_curve(sorted(self._points.items()))
            if found is not None:
                return found
            self.state = "widening"
            centre = min(self._points, key=lambda x: self._points[x]) if self._points else centre
            step = step if self._points else 2 * step
        raise Replan(f"train {self._train}: no focus found in {len(self._points)} exposures with stars")

    async def _sweep(self, centre: int, step: int, limit: int) -> None:
        self.state = "sweeping"
        for position in (centre + step * k for k in SWEEP):
            if 0 <= position <= limit and position not in self._points:
                await self._telescope.move_focus(self._train, position)
                sample = await self._measure()
                if sample.credible and sample.fwhm_px is not None:
                    self._points[position] = sample.fwhm_px
                else:
                    self._blank += 1
        if not self._points and self._blank >= POOR_AFTER:
            raise FieldPoor(f"train {self._train}: too few stars to focus on in {self._blank} exposures")

    async def _settle(self, curve: Curve) -> FocusRun:
        self.state = "moving"
        position = round(curve.position)
        await self._telescope.move_focus(self._train, position)
        self.state = "done"
        log.info("train %s: focus %d, FWHM %.2f px by the curve", self._train, position, curve.fwhm_px)
        return FocusRun(position, curve.fwhm_px, curve.points)


class MeasuringBacklash:
    """Measures a focuser's play: best focus found by a sweep upwards and by one downwards; they differ by it."""

    def __init__(self, telescope: Telescope, train: str, measure: MeasureFocus) -> None:
        self._telescope, self._train, self._measure = telescope, train, measure

    async def run(self) -> BacklashRun:
        """Measure it, near focus. Raises Replan where a sweep shows no curve; the focuser is sent back either way."""
        ports, focuser = self._telescope.trains[self._train], self._telescope.focuser(self._train)
        if focuser is None or ports.setup.focuser is None:
            raise Replan(f"train {self._train} has no focuser")
        step = ports.setup.focuser.step
        async with self._telescope.leases.hold("measure backlash", focuser.name, self._telescope.mount.name):
            before = await focuser.call("read the focuser", lambda device: device.read())
            positions = [
                position for k in SWEEP if 0 <= (position := before.position + k * step) <= before.max_position
            ]
            beyond = min(before.max_position, positions[-1] + 2 * step), max(0, positions[0] - 2 * step)
            try:
                upwards = await self._sweep(beyond[1], positions)
                downwards = await self._sweep(beyond[0], positions[::-1])
            finally:
                await _send_back(focuser, before.position)
        await self._telescope.move_focus(self._train, before.position)
        return BacklashRun(max(0, round(upwards.position - downwards.position)), upwards, downwards)

    async def _sweep(self, start: int, positions: list[int]) -> Curve:
        """One way only, from well before the first position, so that the play is taken up."""
        await self._telescope.move_focus_straight(self._train, start)
        points: list[tuple[int, float]] = []
        for position in positions:
            await self._telescope.move_focus_straight(self._train, position)
            sample = await self._measure()
            if sample.credible and sample.fwhm_px is not None:
                points.append((position, sample.fwhm_px))
        found = focus_curve(points)
        if found is None:
            raise Replan(
                f"train {self._train}: {len(points)} exposures show no focus curve; focus first, on a rich field"
            )
        return found


async def _send_back(focuser: Port[Focuser], position: int) -> None:
    """Command the old position and wait for nothing: what ended the run comes first."""
    try:
        await focuser.call(f"go back to {position}", lambda device: device.move(position), deadline_s=5.0)
    except AstrodError as fault:
        log.warning("%s stays where it is: %s", focuser.name, fault)
