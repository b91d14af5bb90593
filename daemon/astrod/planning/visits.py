"""A night's work as the search sees it: visits that may start in spans of time, on rigs, alone or in groups.

A *visit* is one uninterrupted stay on a place of the sky: a few exposures of one request. A *chance* is a span of
instants at which it may start on one rig, with the telescope on one side of the pier; what it brings depends on its
start. Rigs may stand at different sites. Times are milliseconds from the work's zero: windows rounded inwards, spans
of time upwards, so that what fits here fits.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
import numpy.typing as npt

Ints = npt.NDArray[np.int32]
Floats = npt.NDArray[np.float64]

MS_US = 1000
RULES: dict[str, int] = {"any": 0, "same": 1, "different": 2}


@dataclass(frozen=True, slots=True)
class Visit:
    """`filter` None: whatever is in the beam. Coordinates ICRS degrees."""

    name: str
    ra_deg: float
    dec_deg: float
    filter: str | None
    duration_ms: int


@dataclass(frozen=True, slots=True)
class Chance:
    """A visit may start from one instant to another, both included; `peak_ms` is when it is worth most."""

    from_ms: int
    to_ms: int
    side: int
    peak_ms: int


@dataclass(frozen=True, slots=True)
class Group:
    """Visits (by index) that belong together, in order; all of them bring `bonus` on top.

    A member needs the one before it, and starts from `least_gap_ms` to `most_gap_ms` after its end; with
    `together_ms`, the two start that near to one another instead. `rule`: on any rig, the same, or another than the
    one before. `whole`: all or none.
    """

    name: str
    members: tuple[int, ...]
    bonus: float
    least_gap_ms: int = 0
    most_gap_ms: int = 0
    together_ms: int | None = None
    rule: Literal["any", "same", "different"] = "any"
    whole: bool = False


@dataclass(frozen=True, slots=True)
class Overheads:
    """A rig's set-ups: read-out after each visit, then a slew (and flip) and a filter change at once, then settling
    where either was needed. From `ready_ms` on it is free; `pointing` None: its first set-up costs nothing.
    """

    name: str
    slew_deg_s: float
    readout_ms: int
    settle_ms: int
    flip_ms: int
    change_ms: int
    ready_ms: int
    pointing: tuple[float, float] | None = None
    filter: str | None = None


@dataclass(frozen=True, slots=True)
class Work:
    """All that the search depends on. `chances` and `values` are [rig][visit]; the values of a visit are samples by its
    start, `step_ms` apart from zero on, worth 0 where it cannot start.
    """

    rigs: tuple[Overheads, ...]
    visits: tuple[Visit, ...]
    groups: tuple[Group, ...]
    chances: tuple[tuple[tuple[Chance, ...], ...], ...]
    values: Floats
    step_ms: int

    def __post_init__(self) -> None:
        wanted = (len(self.rigs), len(self.visits))
        if self.values.ndim != 3 or self.values.shape[:2] != wanted or self.values.shape[2] < 2:
            raise ValueError(f"values of shape {self.values.shape} for {wanted[0]} rigs and {wanted[1]} visits")
        grouped = [member for group in self.groups for member in group.members]
        if len(set(grouped)) != len(grouped):
            raise ValueError("a visit belongs to two groups")


@dataclass(frozen=True, slots=True)
class Placement:
    """A visit in the plan: on which rig, when, on which side of the pier (all but the name by index)."""

    visit: int
    rig: int
    start_ms: int
    chance: int

    def of(self, work: Work) -> Chance:
        """The chance that it takes."""
        return work.chances[self.rig][self.visit][self.chance]


def promising(work: Work, most: int) -> list[int]:
    """The visits that are worth searching among, at most so many: the densest of each hour in turn, groups whole."""
    best = work.values.max(axis=(0, 2))
    hour = work.values.max(axis=0).argmax(axis=1) * work.step_ms // 3_600_000
    grouped = {member for group in work.groups for member in group.members}
    units = [group.members for group in work.groups] + [(at,) for at in range(len(work.visits)) if at not in grouped]
    bonus = [group.bonus for group in work.groups] + [0.0] * (len(units) - len(work.groups))
    density = [
        (extra + sum(best[at] for at in unit)) / sum(work.visits[at].duration_ms + 20_000 for at in unit)
        for unit, extra in zip(units, bonus, strict=True)
    ]
    taken: dict[int, int] = {}
    turn: dict[int, int] = {}
    for at in sorted(range(len(units)), key=lambda at: -density[at]):
        bucket = int(hour[units[at][0]])
        turn[at] = taken[bucket] = taken.get(bucket, -1) + 1
    chosen: list[int] = []
    for at in sorted(turn, key=lambda at: (turn[at], -density[at])):
        if density[at] > 0.0 and len(chosen) + len(units[at]) <= most:
            chosen.extend(units[at])
    return sorted(chosen)


def narrowed(work: Work, chosen: Sequence[int]) -> Work:
    """The same night with some of its visits only; groups that are not whole among them are left out."""
    place = {visit: at for at, visit in enumerate(chosen)}
    return replace(
        work,
        visits=tuple(work.visits[visit] for visit in chosen),
        groups=tuple(
            replace(group, members=tuple(place[member] for member in group.members))
            for group in work.groups
            if all(member in place for member in group.members)
        ),
        chances=tuple(tuple(row[visit] for visit in chosen) for row in work.chances),
        values=work.values[:, list(chosen)],
    )


def separations_deg(visits: Sequence[Visit]) -> Floats:
    """How far apart visits stand on the sky, by half angles, which keep small distances exact."""
    ra = np.radians([visit.ra_deg for visit in visits])
    dec = np.radians([visit.dec_deg for visit in visits])
    half = np.sin((dec[:, None] - dec[None, :]) / 2) ** 2
    half += np.cos(dec)[:, None] * np.cos(dec)[None, :] * np.sin((ra[:, None] - ra[None, :]) / 2) ** 2
    return np.asarray(np.degrees(2.0 * np.arcsin(np.sqrt(np.clip(half, 0.0, 1.0)))), dtype=np.float64)
