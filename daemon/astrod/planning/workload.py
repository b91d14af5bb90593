"""A rig's night as visits for the search: each request cut into pieces of a quarter of an hour."""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from astrod.domain.plan import Slot
from astrod.planning.timeline import Job, Order, Stay, Workbench, flips
from astrod.planning.visits import MS_US, Chance, Floats, Overheads, Placement, Visit, Work

STEP_MS = 120_000
VISITS_MOST = 1000
SAMPLED = 5
"""The exposures of a visit whose worth is looked up, evenly spaced; the others lie between."""


@dataclass(frozen=True, slots=True)
class Piece:
    """A visit's exposures: of an order of a job, by index."""

    job: int
    order: int
    exposures: int

    def stay(self, bench: Workbench, placement: Placement, asked: Work) -> Stay:
        """The piece where the search placed it."""
        side = placement.of(asked).side
        return Stay(self.job, self.order, bench.start_us + placement.start_ms * MS_US, self.exposures, side)


def workload(bench: Workbench) -> tuple[Work, tuple[Piece, ...]]:
    """A rig's night, its zero at the plan's start, and what each of its visits is."""
    pieces = _pieces(bench)
    samples = max(2, (bench.end_us - bench.start_us) // (STEP_MS * MS_US) + 2)
    instants: Floats = np.arange(samples, dtype=np.float64) * STEP_MS
    kinds: dict[Piece, tuple[tuple[Chance, ...], Floats]] = {}
    for piece in pieces:
        if piece not in kinds:
            values = _values(bench, piece, instants)
            kinds[piece] = _chances(bench, piece, instants, values), values
    pieces = [piece for piece in pieces if kinds[piece][0]]
    work = Work(
        rigs=(_overheads(bench),),
        visits=tuple(_visit(bench, piece, at) for at, piece in enumerate(pieces)),
        groups=(),
        chances=(tuple(kinds[piece][0] for piece in pieces),),
        values=np.stack([kinds[piece][1] for piece in pieces])[None] if pieces else np.zeros((1, 0, len(instants))),
        step_ms=STEP_MS,
    )
    return work, tuple(pieces)


def former_placements(
    bench: Workbench, work: Work, pieces: Sequence[Piece], slots: Iterable[Slot]
) -> tuple[Placement, ...]:
    """What of an earlier plan's slots can stand as it was: for the search to start from."""
    unused: dict[tuple[str, int], list[int]] = {}
    for at, piece in enumerate(pieces):
        request = bench.jobs[piece.job].orders[piece.order].request
        unused.setdefault((request.id, piece.exposures), []).append(at)
    kept: list[Placement] = []
    for slot in slots:
        visits = unused.get((slot.request, slot.exposures)) if slot.rig == bench.rig.name else None
        start_ms = (slot.start_us - bench.start_us) // MS_US
        if not visits or slot.start_us < bench.start_us:
            continue
        chances = work.chances[0][visits[-1]]
        chance = next((at for at, one in enumerate(chances) if one.from_ms <= start_ms <= one.to_ms), None)
        if chance is not None:
            kept.append(Placement(visits.pop(), 0, start_ms, chance))
    return tuple(kept)


def _pieces(bench: Workbench) -> list[Piece]:
    """Every order cut up, as far as its windows could hold it; the most valuable ones where there are too many."""
    found: list[Piece] = []
    orders = sum(len(job.orders) for job in bench.jobs)
    most = max(1, VISITS_MOST // max(1, orders))
    for at, job in enumerate(bench.jobs):
        open_us = sum(segment.end_us - segment.start_us for segment in job.segments)
        for number, order in enumerate(job.orders):
            wanted = min(order.wanted, open_us // (order.exposure_us + bench.readout_us) + 1)
            whole, rest = divmod(wanted, order.chunk)
            found += [Piece(at, number, order.chunk)] * min(whole, most)
            if rest:
                found.append(Piece(at, number, rest))
    if len(found) > 2 * VISITS_MOST:
        found.sort(key=lambda piece: -bench.jobs[piece.job].weight)
    return found[: 2 * VISITS_MOST]


def _order(bench: Workbench, piece: Piece) -> tuple[Job, Order]:
    job = bench.jobs[piece.job]
    return job, job.orders[piece.order]


def _content_us(bench: Workbench, piece: Piece) -> int:
    """From the first exposure's start to the last one's end."""
    _, order = _order(bench, piece)
    return piece.exposures * (order.exposure_us + bench.readout_us) - bench.readout_us


def _visit(bench: Workbench, piece: Piece, at: int) -> Visit:
    job, order = _order(bench, piece)
    duration = -(-_content_us(bench, piece) // MS_US)
    return Visit(f"{order.request.id}#{at}", job.target.ra_deg, job.target.dec_deg, order.request.filter, duration)


def _overheads(bench: Workbench) -> Overheads:
    rig = bench.rig
    return Overheads(
        name=rig.name,
        slew_deg_s=rig.slew_deg_s,
        readout_ms=math.ceil(rig.readout_s * 1000),
        settle_ms=math.ceil(rig.settle_s * 1000),
        flip_ms=math.ceil(rig.flip_s * 1000) if flips(rig) else 0,
        change_ms=math.ceil(rig.filter_change_s * 1000),
        ready_ms=0,
        pointing=rig.pointing,
        filter=rig.filter,
    )


def _values(bench: Workbench, piece: Piece, instants: Floats) -> Floats:
    """What a piece brings by its start: the mean of some of its exposures, times their number."""
    job, order = _order(bench, piece)
    outlook = bench.outlook
    quality = np.asarray(outlook.targets[job.target.name].quality)
    step_us = order.exposure_us + bench.readout_us
    chosen = np.linspace(0, piece.exposures - 1, min(piece.exposures, SAMPLED))
    starts = bench.start_us + instants[:, None] * MS_US + chosen[None, :] * step_us
    at = (starts + order.exposure_us / 2 - outlook.start_us) / outlook.step_us
    good = np.interp(at, np.arange(len(quality)), quality)
    worth = job.weight * order.exposure_us / 1e6 * piece.exposures
    return np.asarray(worth * (good * bench.patience_of(starts)).mean(axis=1), dtype=np.float64)


def _chances(bench: Workbench, piece: Piece, instants: Floats, values: Floats) -> tuple[Chance, ...]:
    """When a piece can start: all its exposures within one segment, so on one side of the pier."""
    _, order = _order(bench, piece)
    content = _content_us(bench, piece)
    found = []
    for segment in bench.jobs[piece.job].segments:
        last = min(segment.end_us - content, segment.last_start_us - (content - order.exposure_us))
        low = -(-(max(segment.start_us, bench.start_us) - bench.start_us) // MS_US)
        high = (min(last, bench.end_us - content) - bench.start_us) // MS_US
        if low <= high:
            found.append(Chance(low, high, segment.side, peak(low, high, instants, values)))
    return tuple(found)


def peak(low: int, high: int, instants: Floats, values: Floats) -> int:
    """When between two starts a visit is worth most."""
    first, last = np.searchsorted(instants, (low, high), side="right")
    marks = np.concatenate([[low], instants[first:last], [high]])
    return int(marks[int(np.argmax(np.interp(marks, instants, values)))])
