"""One rig's night in exact time: what an exposure costs, when it may start, and how advice becomes exposures.

All times are integer microseconds. A *stint* is advice: be on this target from about here to about there. To
carry advice out is to expose from the night's start to its end, following the stints as far as windows,
counts, set-ups and the meridian allow, and filling what they leave open with whatever is worth most then.
What comes out is valid by construction.
"""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from itertools import pairwise

import numpy as np

from astrod.domain.instant import MINUTE_US, SECOND_US
from astrod.domain.sphere import separation_deg
from astrod.domain.target import Request, Target
from astrod.planning.problem import Interval, Outlook, Problem, RigState
from astrod.planning.visits import Floats

HALF_SIDEREAL_DAY_US = 43_082_045_252
CHUNK_US = 15 * MINUTE_US
WAIT_US = 15 * MINUTE_US
HAZARD_PER_US = 0.02 / 3.6e9
"""What waiting costs: two per cent an hour, for a night may end at any moment."""


def whole_us(seconds: float) -> int:
    """Seconds as microseconds."""
    return round(seconds * SECOND_US)


@dataclass(frozen=True, slots=True)
class Segment:
    """A part of a window on one side of the pier: exposures start by `last_start_us` and end by `end_us`."""

    start_us: int
    end_us: int
    last_start_us: int
    side: int


@dataclass(frozen=True, slots=True)
class Order:
    """A request on the workbench. `chunk` exposures make a block of sensible length."""

    request: Request
    exposure_us: int
    wanted: int
    chunk: int


@dataclass(frozen=True, slots=True)
class Job:
    """A target on a rig: where, when, what. `weight` is the value of a second of exposure at quality 1."""

    target: Target
    segments: tuple[Segment, ...]
    orders: tuple[Order, ...]
    weight: float


@dataclass(frozen=True, slots=True)
class Stint:
    """Advice: this many exposures of a job (by index), from about `start_us` to about `end_us`."""

    job: int
    start_us: int
    end_us: int
    exposures: int


@dataclass(frozen=True, slots=True)
class Stay:
    """Exposures of an order of a job (by index), one after the other from an instant on, on one side of the pier."""

    job: int
    order: int
    start_us: int
    exposures: int
    side: int


@dataclass(frozen=True, slots=True)
class Shot:
    """One exposure in the plan, of an order of a job (by index)."""

    job: int
    order: int
    start_us: int
    end_us: int
    side: int
    value: float


@dataclass(slots=True)
class Stand:
    """Where a rig stands while its night is being laid out, and what is still wanted.

    `free_us` is when the last exposure has been read out. `left` is [job][order].
    """

    free_us: int
    pointing: tuple[float, float] | None
    filter: str | None
    side: int | None
    left: list[list[int]]
    taken: list[list[int]]
    job: int | None = None
    shots: list[Shot] = field(default_factory=list)


def without(windows: Iterable[Interval], blocked: Sequence[Interval]) -> tuple[Interval, ...]:
    """What is left of intervals when others are taken away."""
    rest = list(windows)
    for block_start, block_end in blocked:
        cut: list[Interval] = []
        for start, end in rest:
            if block_end <= start or end <= block_start:
                cut.append((start, end))
                continue
            cut.extend(part for part in ((start, block_start), (block_end, end)) if part[0] < part[1])
        rest = cut
    return tuple(rest)


def flips(rig: RigState) -> bool:
    """Whether a rig's mount changes pier side at the meridian."""
    return rig.mount == "equatorial" and rig.flip_s > 0.0


def segments(windows: Iterable[Interval], transit_us: int, rig: RigState) -> tuple[Segment, ...]:
    """Windows cut at the meridian, where the rig's mount has to flip there."""
    if not flips(rig):
        return tuple(Segment(start, end, end, 0) for start, end in windows)
    past_us = whole_us(rig.past_meridian_s)
    cut: list[Segment] = []
    for start, end in windows:
        for half in range(-3, 4):  # half a sidereal day each: east of the meridian when odd, west when even
            first = max(start, transit_us + half * HALF_SIDEREAL_DAY_US)
            meridian = transit_us + (half + 1) * HALF_SIDEREAL_DAY_US
            side = half % 2
            last = min(end, meridian) if side == 0 else min(end, meridian + past_us)
            if first < min(end, meridian):
                close = end if side == 0 else last
                cut.append(Segment(first, close, min(end, meridian) - 1, side))
    return tuple(sorted(cut, key=lambda segment: (segment.start_us, segment.side)))


class Workbench:
    """A rig, its jobs and the sky they are planned under."""

    def __init__(self, problem: Problem, rig: RigState, jobs: tuple[Job, ...], outlook: Outlook) -> None:
        self.problem = problem
        self.rig = rig
        self.jobs = jobs
        self.outlook = outlook
        self.start_us = problem.start_us
        self.end_us = problem.end_us
        self.readout_us = whole_us(rig.readout_s)
        self._slews: dict[tuple[int, int], int] = {}

    def stand(self) -> Stand:
        """The rig at the start of the plan."""
        return Stand(
            free_us=self.start_us,
            pointing=self.rig.pointing,
            filter=self.rig.filter,
            side=None,
            left=[[order.wanted for order in job.orders] for job in self.jobs],
            taken=[[0 for _ in job.orders] for job in self.jobs],
        )

    def _slew_us(self, stand: Stand, job: int) -> int:
        if stand.pointing is None:
            return 0
        target = self.jobs[job].target
        if stand.job is None:
            apart = separation_deg(*stand.pointing, target.ra_deg, target.dec_deg)
            return whole_us(apart / self.rig.slew_deg_s)
        key = (stand.job, job)
        if key not in self._slews:
            apart = separation_deg(*stand.pointing, target.ra_deg, target.dec_deg)
            self._slews[key] = whole_us(apart / self.rig.slew_deg_s)
        return self._slews[key]

    def setup_us(self, stand: Stand, job: int, order: int, side: int) -> int:
        """What must pass between the last read-out and an exposure: slew or filter change, then settling."""
        if stand.pointing is None:
            return 0
        wanted = self.jobs[job].orders[order].request.filter
        other_filter = wanted is not None and wanted != stand.filter
        slew = self._slew_us(stand, job)
        if flips(self.rig) and stand.side is not None and side != stand.side:
            slew += whole_us(self.rig.flip_s)
        change = whole_us(self.rig.filter_change_s) if other_filter else 0
        return whole_us(self.rig.settle_s) + max(slew, change) if slew or change else 0

    def ready(self, stand: Stand, job: int, order: int) -> Shot | None:
        """The earliest exposure of an order from here on; None when there is none before dawn."""
        exposure_us = self.jobs[job].orders[order].exposure_us
        best: Shot | None = None
        for segment in self.jobs[job].segments:
            if best is not None and segment.start_us >= best.start_us:
                break
            start = max(segment.start_us, stand.free_us + self.setup_us(stand, job, order, segment.side))
            if start <= segment.last_start_us and start + exposure_us <= segment.end_us:
                worth = self.value(job, start, exposure_us)
                if best is None or start < best.start_us:
                    best = Shot(job, order, start, start + exposure_us, segment.side, worth)
        return best

    def value(self, job: int, start_us: int, exposure_us: int) -> float:
        """What an exposure brings if begun then: `planning.value`'s formula with the price of waiting."""
        work = self.jobs[job]
        good = self.outlook.quality(work.target.name, start_us + exposure_us // 2)
        return work.weight * good * exposure_us / SECOND_US * self.patience(start_us)

    def patience(self, instant_us: int) -> float:
        """What is left of a value after waiting for it from the plan's start."""
        return max(0.0, 1.0 - HAZARD_PER_US * (instant_us - self.start_us))

    def patience_of(self, instants_us: Floats) -> Floats:
        """The same for many instants."""
        return np.maximum(0.0, 1.0 - HAZARD_PER_US * (instants_us - self.start_us))

    def take(self, stand: Stand, shot: Shot) -> None:
        """Put an exposure into the plan."""
        work = self.jobs[shot.job]
        stand.shots.append(shot)
        stand.free_us = shot.end_us + self.readout_us
        stand.pointing = (work.target.ra_deg, work.target.dec_deg)
        stand.filter = work.orders[shot.order].request.filter or stand.filter
        stand.side, stand.job = shot.side, shot.job
        stand.left[shot.job][shot.order] -= 1
        stand.taken[shot.job][shot.order] += 1

    def next_order(self, stand: Stand, job: int) -> int | None:
        """Which of a target's requests comes next: the one under way until its chunk is full, then the one
        that is furthest behind."""
        orders, left, taken = self.jobs[job].orders, stand.left[job], stand.taken[job]
        last = stand.shots[-1] if stand.shots else None
        if last is not None and last.job == job and left[last.order] and taken[last.order] % orders[last.order].chunk:
            return last.order
        open_orders = [at for at in range(len(orders)) if left[at]]
        if not open_orders:
            return None
        return max(open_orders, key=lambda at: (left[at] / orders[at].request.count, -at))

    def next_shot(self, stand: Stand, job: int) -> Shot | None:
        """A target's next exposure from here on; another of its requests where the first does not fit."""
        first = self.next_order(stand, job)
        if first is None:
            return None
        shot = self.ready(stand, job, first)
        if shot is not None:
            return shot
        others = [at for at, left in enumerate(stand.left[job]) if left and at != first]
        shots = [shot for at in others if (shot := self.ready(stand, job, at)) is not None]
        return min(shots, key=lambda shot: (shot.start_us, shot.order), default=None)

    def filler(self, stand: Stand, until_us: int, reserved: Sequence[int], stint: Stint | None) -> Shot | None:
        """The exposure worth most per unit of time now, that leaves the next stint its latest start.

        `reserved` exposures of each job are spoken for. Waiting for a window counts against a target.
        """
        best: Shot | None = None
        best_density = 0.0
        for job in range(len(self.jobs)):
            if sum(stand.left[job]) <= reserved[job]:
                continue
            shot = self.next_shot(stand, job)
            if shot is None or shot.end_us + self.readout_us + self._leave_us(shot, stint) > until_us:
                continue
            density = self._density(stand, shot, until_us)
            if density > best_density:
                best, best_density = shot, density
        return best

    def _leave_us(self, shot: Shot, stint: Stint | None) -> int:
        """The set-up from an exposure to a stint, at most."""
        if stint is None:
            return -self.readout_us
        if stint.job == shot.job:
            return whole_us(self.rig.settle_s + self.rig.filter_change_s)
        here, there = self.jobs[shot.job].target, self.jobs[stint.job].target
        key = (shot.job, stint.job)
        if key not in self._slews:
            apart = separation_deg(here.ra_deg, here.dec_deg, there.ra_deg, there.dec_deg)
            self._slews[key] = whole_us(apart / self.rig.slew_deg_s)
        flip = self.rig.flip_s if flips(self.rig) else 0.0
        slew = self._slews[key] + whole_us(flip)
        return whole_us(self.rig.settle_s) + max(slew, whole_us(self.rig.filter_change_s))

    def _density(self, stand: Stand, shot: Shot, until_us: int) -> float:
        """Value per microsecond of a chunk that begins with an exposure."""
        order = self.jobs[shot.job].orders[shot.order]
        step = order.exposure_us + self.readout_us
        room = max(1, (until_us - shot.start_us) // step)
        count = min(order.chunk, stand.left[shot.job][shot.order], room)
        return shot.value * count / (shot.start_us - stand.free_us + count * step)

    def latest(self, stints: Sequence[Stint]) -> list[int]:
        """The latest start of each stint that leaves it and all that follow their whole content."""
        bounds = [0] * len(stints)
        following = self.end_us
        for at in range(len(stints) - 1, -1, -1):
            stint = stints[at]
            content = self._content_us(stint)
            ends = [
                s.end_us
                for s in self.jobs[stint.job].segments
                if s.start_us < stint.end_us and s.end_us > stint.start_us
            ]
            bound = min([following, max(ends, default=following)]) - content
            bounds[at] = max(stint.start_us, bound)
            leave = self._gap_us(stints[at - 1].job, stint.job) if at else 0
            following = min(following, bounds[at] - leave)
        return bounds

    def _gap_us(self, before: int, after: int) -> int:
        key = (before, after)
        if before == after:
            return self.readout_us
        if key not in self._slews:
            here, there = self.jobs[before].target, self.jobs[after].target
            apart = separation_deg(here.ra_deg, here.dec_deg, there.ra_deg, there.dec_deg)
            self._slews[key] = whole_us(apart / self.rig.slew_deg_s)
        return self.readout_us + self._slews[key] + whole_us(self.rig.settle_s)

    def _content_us(self, stint: Stint) -> int:
        longest = max(order.exposure_us for order in self.jobs[stint.job].orders)
        return stint.exposures * (longest + self.readout_us) - self.readout_us

    def carry_out(self, stints: Sequence[Stint]) -> list[Shot]:
        """The exposures of a night that follows advice; without any, that takes the best of each moment."""
        stand = self.stand()
        latest = self.latest(stints)
        reserved = [0] * len(self.jobs)
        for stint in stints:
            reserved[stint.job] += stint.exposures
        for at, stint in enumerate(stints):
            self._fill(stand, stint.start_us, latest[at], reserved, stint)
            reserved[stint.job] -= stint.exposures
            after = stints[at + 1] if at + 1 < len(stints) else None
            limit = self.end_us if after is None else max(latest[at + 1], stint.end_us)
            self._follow(stand, stint, after, limit)
        self._fill(stand, self.end_us, self.end_us, reserved, None)
        return stand.shots

    def carry_out_exactly(self, stays: Sequence[Stay]) -> list[Shot]:
        """The exposures of stays that leave one another their set-ups, in order of time, and of what fits between."""
        stand = self.stand()
        reserved = [0] * len(self.jobs)
        for stay in stays:
            reserved[stay.job] += stay.exposures
        for stay in stays:
            exposure_us = self.jobs[stay.job].orders[stay.order].exposure_us
            ahead = Stint(stay.job, stay.start_us, stay.start_us, stay.exposures)
            while (shot := self.filler(stand, stay.start_us, reserved, ahead)) is not None:
                self.take(stand, shot)
            reserved[stay.job] -= stay.exposures
            left = stand.left[stay.job][stay.order]  # what was taken in between is not wanted again
            for at in range(min(stay.exposures, left)):
                start = stay.start_us + at * (exposure_us + self.readout_us)
                value = self.value(stay.job, start, exposure_us)
                self.take(stand, Shot(stay.job, stay.order, start, start + exposure_us, stay.side, value))
        self._fill(stand, self.end_us, self.end_us, reserved, None)
        return stand.shots

    def _fill(self, stand: Stand, wanted_us: int, latest_us: int, reserved: Sequence[int], stint: Stint | None) -> None:
        """Use the time before a stint; wait for it only when nothing else can be had and it is far off."""
        while stand.free_us < wanted_us:
            if stint is not None and wanted_us - stand.free_us < self._shortest_us(stint):
                break
            shot = self.filler(stand, latest_us, reserved, stint)
            if shot is None:
                break
            self.take(stand, shot)
        if stint is not None and wanted_us - stand.free_us > WAIT_US:
            stand.free_us = max(stand.free_us, wanted_us - self._longest_setup_us(stand, stint.job))

    def _longest_setup_us(self, stand: Stand, job: int) -> int:
        """The set-up for a job from where the rig stands, on either side of the pier."""
        order = self.next_order(stand, job)
        return 0 if order is None else max(self.setup_us(stand, job, order, side) for side in (0, 1))

    def _shortest_us(self, stint: Stint) -> int:
        return min(order.exposure_us for order in self.jobs[stint.job].orders) // 2

    def _follow(self, stand: Stand, stint: Stint, after: Stint | None, limit_us: int) -> None:
        """Expose on a stint's target until its content is had or its time is over."""
        for _ in range(stint.exposures):
            shot = self.next_shot(stand, stint.job)
            if shot is None or shot.end_us + self.readout_us + self._leave_us(shot, after) > limit_us:
                return
            if shot.start_us - stand.free_us > WAIT_US and shot.start_us > stint.end_us:
                return
            self.take(stand, shot)


def worth(shots: Iterable[Shot]) -> float:
    """The whole value of exposures."""
    return sum(shot.value for shot in shots)


def faults(bench: Workbench, shots: Sequence[Shot]) -> list[str]:
    """What is wrong with a laid-out night, in words: nothing, ever. Plans pass it before they leave."""
    wrong = [
        f"{bench.jobs[late.job].target.name} starts before {bench.jobs[early.job].target.name} is read out"
        for early, late in pairwise(shots)
        if late.start_us < early.end_us + bench.readout_us
    ]
    for (job, order), taken in Counter((shot.job, shot.order) for shot in shots).items():
        if taken > bench.jobs[job].orders[order].wanted:
            wrong.append(f"{bench.jobs[job].target.name} is exposed more often than is wanted")
    for shot in shots:
        inside = any(
            s.start_us <= shot.start_us <= s.last_start_us and shot.end_us <= s.end_us
            for s in bench.jobs[shot.job].segments
        )
        if not inside or shot.end_us > bench.end_us:
            wrong.append(f"{bench.jobs[shot.job].target.name} is exposed outside its window")
    return wrong
