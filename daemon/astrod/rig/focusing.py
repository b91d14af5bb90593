"""Focusing: a sweep through focus, a parabola through FWHM squared, and a move to its minimum.

FWHM^2 is the sum of the seeing's square and a term that grows with the square of the distance from focus, so a
parabola fits it without bias (a hyperbola in FWHM). Nothing is changed when no minimum is found.
"""

import logging
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Literal

from astrod.errors import Replan
from astrod.rig.telescope import Telescope

log = logging.getLogger(__name__)

MeasureFocus = Callable[[], Awaitable[float | None]]
"""Take one short exposure here and measure its FWHM in pixels; None when there are no stars."""

FocusState = Literal["sweeping", "widening", "fitting", "moving", "done", "failed"]
SWEEP = (-3, -2, -1, 0, 1, 2, 3)
MOST_SWEEPS = 3


@dataclass(frozen=True, slots=True)
class FocusRun:
    """What a run found: position, FWHM there by the fit, and the points it is drawn through."""

    position: int
    fwhm_px: float
    points: tuple[tuple[int, float], ...]


def minimum(points: Sequence[tuple[int, float]]) -> tuple[float, float] | None:
    """Position and FWHM at the minimum of the parabola through (position, FWHM^2); None when there is none.

    Weighted least squares in centred coordinates. There is a minimum when the curve opens upward and its lowest point
    lies within the sweep.
    """
    if len(points) < 4:
        return None
    centre = sum(x for x, _ in points) / len(points)
    scale = max(abs(x - centre) for x, _ in points) or 1.0
    xs = [(x - centre) / scale for x, _ in points]
    ys = [fwhm * fwhm for _, fwhm in points]
    fit = _parabola(xs, ys)
    if fit is None or fit[0] <= 0:
        return None
    a, b, c = fit
    best = -b / (2 * a)
    if not min(xs) <= best <= max(xs):
        return None
    lowest = c - b * b / (4 * a)
    return centre + scale * best, max(lowest, 0.25) ** 0.5


def _parabola(xs: Sequence[float], ys: Sequence[float]) -> tuple[float, float, float] | None:
    """a, b, c of the least-squares a x^2 + b x + c, by Cramer's rule on the normal equations.

    FWHM is measured to about the same fraction at any focus, so a point weighs 1 / y^2: else the widest stars,
    with the largest errors, would say where the narrowest are.
    """
    weights = [1.0 / max(y, 0.25) ** 2 for y in ys]
    largest = max(weights)
    weights = [weight / largest for weight in weights]
    s = [sum(w * x**k for w, x in zip(weights, xs, strict=True)) for k in range(5)]
    t = [sum(w * y * x**k for w, x, y in zip(weights, xs, ys, strict=True)) for k in range(3)]

    def det(m: Sequence[Sequence[float]]) -> float:
        return (
            m[0][0] * (m[1][1] * m[2][2] - m[1][2] * m[2][1])
            - m[0][1] * (m[1][0] * m[2][2] - m[1][2] * m[2][0])
            + m[0][2] * (m[1][0] * m[2][1] - m[1][1] * m[2][0])
        )

    base = [[s[4], s[3], s[2]], [s[3], s[2], s[1]], [s[2], s[1], s[0]]]
    whole = det(base)
    if abs(whole) < 1e-18:
        return None
    right = [t[2], t[1], t[0]]

    def solved(column: int) -> float:
        return det([[*row[:column], right[i], *row[column + 1 :]] for i, row in enumerate(base)]) / whole

    return solved(0), solved(1), solved(2)


class Focusing:
    """One focus run on one train. `state` says how far it is."""

    def __init__(self, telescope: Telescope, train: str, measure: MeasureFocus) -> None:
        self._telescope = telescope
        self._train = train
        self._measure = measure
        self.state: FocusState = "sweeping"

    async def run(self) -> FocusRun:
        """Focus. Raises Replan when no minimum is found; the old position is then restored."""
        ports = self._telescope.trains[self._train]
        if self._telescope.focuser(self._train) is None or ports.focuser is None or ports.setup.focuser is None:
            raise Replan(f"train {self._train} has no focuser")
        async with self._telescope.leases.hold("focus", ports.focuser.name):
            before = await ports.focuser.call("read the focuser", lambda device: device.read())
            points: dict[int, float] = {}
            centre, step = before.position, ports.setup.focuser.step
            for _ in range(MOST_SWEEPS):
                await self._sweep(centre, step, before.max_position, points)
                self.state = "fitting"
                found = minimum(sorted(points.items()))
                if found is not None:
                    return await self._settle(round(found[0]), found[1], points)
                self.state = "widening"
                centre = min(points, key=lambda x: points[x]) if points else centre
                step = step if points else 2 * step
            self.state = "failed"
            await self._telescope.move_focus(self._train, before.position)
            raise Replan(f"train {self._train}: no focus found in {len(points)} exposures with stars")

    async def _sweep(self, centre: int, step: int, limit: int, points: dict[int, float]) -> None:
        self.state = "sweeping"
        for position in (centre + step * k for k in SWEEP):
            if 0 <= position <= limit and position not in points:
                await self._telescope.move_focus(self._train, position)
                fwhm_px = await self._measure()
                if fwhm_px is not None:
                    points[position] = fwhm_px

    async def _settle(self, position: int, fwhm_px: float, points: dict[int, float]) -> FocusRun:
        self.state = "moving"
        await self._telescope.move_focus(self._train, position)
        self.state = "done"
        log.info("train %s: focus %d, FWHM %.2f px by the curve", self._train, position, fwhm_px)
        return FocusRun(position, fwhm_px, tuple(sorted(points.items())))
