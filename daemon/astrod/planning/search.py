"""The door to the compiled search: a night's work packed into arrays, and its plan unpacked."""

import ctypes
import hashlib
import logging
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cache
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from astrod.domain.sphere import separation_deg
from astrod.errors import TellOperator
from astrod.planning.visits import RULES, Floats, Ints, Overheads, Placement, Work, narrowed, promising, separations_deg

log = logging.getLogger(__name__)

VISITS_MOST = 1500
"""More are narrowed down to the most promising: set-ups between all pairs would fill the memory."""
MEMBERS_MOST = 64
CELLS_PER_S = 250_000_000
BOUND_ROUNDS_MOST = 1000
HOT, COLD = 0.4, 0.005
"""What a worse plan may lose and still be gone on from, at first and at last, in mean values of a visit."""
GUARD_S = 20.0
STEPS_PER_S = 48_000_000
"""Steps of work in a second of CPU on a slow desktop core; on a Raspberry Pi a second's work takes three."""


@dataclass(frozen=True, slots=True)
class Packed:
    """A night's work as flat arrays, as `_search.c` describes them."""

    duration: Ints
    group: Ints
    beam: Ints
    readout: Ints
    first: Ints
    pause: Ints
    chance_at: Ints
    chance_from: Ints
    chance_to: Ints
    chance_side: Ints
    chance_peak: Ints
    value: Floats
    density: Floats
    member_at: Ints
    member: Ints
    least: Ints
    most: Ints
    together: Ints
    rule: Ints
    whole: Ints
    bonus: Floats
    step: int


_ARRAYS = (
    *("duration", "group", "beam", "readout", "first", "pause"),
    *("chance_at", "chance_from", "chance_to", "chance_side", "chance_peak", "value", "density"),
    *("member_at", "member", "least", "most", "together", "rule", "whole", "bonus"),
)


class _Night(ctypes.Structure):
    _fields_ = [
        *((name, ctypes.c_int32) for name in ("visits", "rigs", "samples", "groups", "step", "beams")),
        *((name, ctypes.c_void_p) for name in _ARRAYS),
    ]


def _ints(values: Any) -> Ints:
    return np.ascontiguousarray(values, dtype=np.int32)


def _beams(filters: Sequence[str | None]) -> Ints:
    """Filters as numbers, in order of appearance."""
    names = list(dict.fromkeys(filters))
    return _ints([names.index(name) for name in filters])


def _changes(filters: Sequence[str | None]) -> npt.NDArray[np.bool_]:
    """Whether the filter changes from each visit to each; never to one that takes what is in the beam."""
    code = _beams(filters)
    wanted = np.array([name is not None for name in filters])
    return np.asarray((code[:, None] != code[None, :]) & wanted[None, :])


def _pause(rig: Overheads, apart_deg: Floats, change: npt.NDArray[np.bool_]) -> Ints:
    """What must pass between any two visits, without a flip and with one."""
    pauses = np.empty((*apart_deg.shape, 2), dtype=np.int32)
    slew = np.ceil(apart_deg * (1000.0 / rig.slew_deg_s) - 1e-6).astype(np.int32)
    for flipped in (0, 1):
        busy = np.maximum(slew + flipped * rig.flip_ms, change * np.int32(rig.change_ms))
        pauses[:, :, flipped] = rig.readout_ms + np.where(busy > 0, busy + rig.settle_ms, 0)
    return pauses


def _first(work: Work, rig: Overheads) -> list[int]:
    """When a rig could start each visit as its first, from where it stands."""
    if rig.pointing is None:
        return [rig.ready_ms] * len(work.visits)
    begins = []
    for visit in work.visits:
        slew = separation_deg(*rig.pointing, visit.ra_deg, visit.dec_deg) / rig.slew_deg_s
        change = rig.change_ms if visit.filter is not None and visit.filter != rig.filter else 0
        busy = max(int(np.ceil(slew * 1000.0)), change)
        begins.append(rig.ready_ms + (rig.settle_ms + busy if busy else 0))
    return begins


def _density(work: Work, duration: Ints) -> Floats:
    """What each visit brings at best per millisecond, an ordinary set-up counted; a group's first for all of it."""
    best = work.values.max(axis=(0, 2))
    setup = float(np.mean([rig.readout_ms + rig.settle_ms for rig in work.rigs])) + 10_000.0
    density = best / (duration + setup)
    for group in work.groups:
        members = list(group.members)
        density[members[0]] = (best[members].sum() + group.bonus) / (duration[members] + setup).sum()
    return np.asarray(density, dtype=np.float64)


def pack(work: Work) -> Packed:
    """A night's work as flat arrays. Raises ValueError for a group of more members than the search can hold."""
    large = [group.name for group in work.groups if len(group.members) > MEMBERS_MOST]
    if large:
        raise ValueError(f"group {large[0]!r} has more than {MEMBERS_MOST} members; split it")
    duration = _ints([visit.duration_ms for visit in work.visits])
    group_of = np.full(len(work.visits), -1, dtype=np.int32)
    for at, group in enumerate(work.groups):
        group_of[list(group.members)] = at
    rows = [chances for of_rig in work.chances for chances in of_rig]
    chances = [chance for row in rows for chance in row]
    apart = separations_deg(work.visits)
    change = _changes([visit.filter for visit in work.visits])
    return Packed(
        duration=duration,
        group=group_of,
        beam=_beams([visit.filter for visit in work.visits]),
        readout=_ints([rig.readout_ms for rig in work.rigs]),
        first=_ints([_first(work, rig) for rig in work.rigs]),
        pause=np.stack([_pause(rig, apart, change) for rig in work.rigs]),
        chance_at=_ints(np.concatenate([[0], np.cumsum([len(row) for row in rows])])),
        chance_from=_ints([chance.from_ms for chance in chances]),
        chance_to=_ints([chance.to_ms for chance in chances]),
        chance_side=_ints([chance.side for chance in chances]),
        chance_peak=_ints([chance.peak_ms for chance in chances]),
        value=np.ascontiguousarray(work.values, dtype=np.float64),
        density=_density(work, duration),
        member_at=_ints(np.concatenate([[0], np.cumsum([len(group.members) for group in work.groups])])),
        member=_ints([member for group in work.groups for member in group.members]),
        least=_ints([group.least_gap_ms for group in work.groups]),
        most=_ints([group.most_gap_ms for group in work.groups]),
        together=_ints([-1 if group.together_ms is None else group.together_ms for group in work.groups]),
        rule=_ints([RULES[group.rule] for group in work.groups]),
        whole=_ints([group.whole for group in work.groups]),
        bonus=np.ascontiguousarray([group.bonus for group in work.groups], dtype=np.float64),
        step=work.step_ms,
    )


@dataclass(frozen=True, slots=True)
class Found:
    """A plan and what it is worth; `spent` steps of work in `rounds` rounds. `capped`: ended by its guard."""

    placements: tuple[Placement, ...]
    value: float
    spent: int
    rounds: int
    capped: bool


SOURCES = ("_bound.c", "_night.h", "_search.c")


def _digest(folder: Path) -> str:
    return hashlib.sha256(b"".join((folder / name).read_bytes() for name in SOURCES)).hexdigest()


@cache
def library() -> ctypes.CDLL | None:
    """The compiled search; None, and a line in the log, where it was never made or is not of this source."""
    here = Path(__file__).parent
    try:
        loaded = ctypes.CDLL(str(here / "_search.so"))
    except OSError as fault:
        log.warning("no compiled search (%s): plans are made by CP-SAT; run python hatch_build.py", fault)
        return None
    loaded.astrod_source.restype = ctypes.c_char_p
    made_of = loaded.astrod_source().decode()
    if made_of != _digest(here):
        log.warning("the compiled search is not of this source: plans are made by CP-SAT; run python hatch_build.py")
        return None
    return loaded


def _night(packed: Packed) -> _Night:
    night = _Night(
        len(packed.duration),
        len(packed.readout),
        packed.value.shape[2],
        len(packed.bonus),
        packed.step,
        int(packed.beam.max()) + 1,
    )
    for name in _ARRAYS:
        setattr(night, name, getattr(packed, name).ctypes.data)
    return night


def _legal(packed: Packed, warm: Sequence[Placement]) -> list[Placement]:
    """What of a plan can stand: each visit after the one before it on its rig, groups whole and within their gaps."""
    visits = len(packed.duration)
    last: dict[int, tuple[int, int, int]] = {}
    kept: dict[int, Placement] = {}
    for placement in sorted(warm, key=lambda placement: placement.start_ms):
        rig, visit, row = placement.rig, placement.visit, placement.rig * visits + placement.visit
        chance = int(packed.chance_at[row]) + placement.chance
        if chance >= packed.chance_at[row + 1] or visit in kept:
            continue
        fits = bool(packed.chance_from[chance] <= placement.start_ms <= packed.chance_to[chance])
        side, ready = int(packed.chance_side[chance]), int(packed.first[rig][visit])
        if rig in last:
            before, side_before, end = last[rig]
            ready = end + int(packed.pause[rig, before, visit, int(side != side_before)])
        if fits and placement.start_ms >= ready:
            kept[visit] = placement
            last[rig] = visit, side, placement.start_ms + int(packed.duration[visit])
    for group in range(len(packed.bonus)):
        members = packed.member[packed.member_at[group] : packed.member_at[group + 1]].tolist()
        if not _group_holds(packed, group, [kept.get(member) for member in members]):
            for member in members:
                kept.pop(member, None)
    return list(kept.values())


def _group_holds(packed: Packed, group: int, placed: Sequence[Placement | None]) -> bool:
    """Whether a group's visits are where they may be: all of them, or where that is allowed the first ones."""
    there = [placement for placement in placed if placement is not None]
    if list(placed[: len(there)]) != there or (packed.whole[group] and 0 < len(there) < len(placed)):
        return False
    for early, late in pairwise(there):
        apart = late.start_ms - early.start_ms
        gap = apart - int(packed.duration[early.visit])
        if packed.together[group] >= 0:
            within = abs(apart) <= int(packed.together[group])
        else:
            within = int(packed.least[group]) <= gap <= int(packed.most[group])
        same = early.rig == late.rig
        if not within or (packed.rule[group] == 1 and not same) or (packed.rule[group] == 2 and same):
            return False
    return True


def search(packed: Packed, seed: int, steps: int, warm: Sequence[Placement] = (), guard_s: float = GUARD_S) -> Found:
    """The best plan found in so many steps, from a plan to start with (or none). The same arguments, the same plan,
    unless its CPU time passed `guard_s`. Raises TellOperator where the search was not compiled.
    """
    visits = len(packed.duration)
    if not visits:
        return Found((), 0.0, 0, 0, False)
    rig, chance, start = np.full(visits, -1, np.int32), np.zeros(visits, np.int32), np.zeros(visits, np.int32)
    for placement in _legal(packed, warm):
        row = placement.rig * visits + placement.visit
        rig[placement.visit] = placement.rig
        chance[placement.visit] = packed.chance_at[row] + placement.chance
        start[placement.visit] = placement.start_ms
    value, spent, rounds, capped = ctypes.c_double(), ctypes.c_int64(), ctypes.c_int64(), ctypes.c_int32()
    night = _night(packed)
    compiled = library()
    if compiled is None:
        raise TellOperator("the planner's search is not compiled: run python hatch_build.py (it needs a C compiler)")
    done = compiled.astrod_search(
        ctypes.byref(night),
        ctypes.c_uint64(seed % 2**64),
        ctypes.c_int64(steps),
        ctypes.c_double(guard_s),
        ctypes.c_double(HOT),
        ctypes.c_double(COLD),
        *(ctypes.c_void_p(array.ctypes.data) for array in (rig, chance, start)),
        *(ctypes.byref(out) for out in (value, spent, rounds, capped)),
    )
    if done != 0:
        raise MemoryError(f"no memory for a plan of {visits} visits")
    placements = [
        Placement(v, int(rig[v]), int(start[v]), int(chance[v] - packed.chance_at[int(rig[v]) * visits + v]))
        for v in np.flatnonzero(rig >= 0).tolist()
    ]
    placements.sort(key=lambda placement: (placement.start_ms, placement.rig))
    return Found(tuple(placements), value.value, spent.value, rounds.value, bool(capped.value))


BIN_SHARES = (2, 4, 12, 24, 60, 120)
"""How many bins of the relaxation may make a step of the samples: few converge fast, many are tight."""
FINE = 12


def bound(packed: Packed, found: Found, seconds: float, guard_s: float = GUARD_S) -> float | None:
    """What no plan can be worth more than, from about so many seconds' work; None where visits are too short for the
    bins of the relaxation, or nothing was compiled. Prices are found in coarse bins and finished in fine ones.
    """
    shortest = int(packed.duration.min()) if len(packed.duration) else 0
    shares = [share for share in BIN_SHARES if packed.step % share == 0 and packed.step // share <= shortest]
    compiled = library()
    if not shares or compiled is None:
        return None
    multipliers, lowest = (_prices(packed, found), _parts(packed), np.zeros(len(packed.duration))), np.inf
    fine = next((share for share in shares if share >= FINE), shares[-1])
    for share, part in ((shares[0], 0.5), (fine, 0.5)):
        rounds = max(1, _rounds(packed, share, part * seconds))
        lowest = min(
            lowest, _lowered(compiled, packed, found.value, packed.step // share, rounds, multipliers, guard_s)
        )
    return float(lowest) * (1.0 + 1e-9)


def _lowered(
    compiled: ctypes.CDLL,
    packed: Packed,
    known: float,
    bin_ms: int,
    rounds: int,
    multipliers: Sequence[Floats],
    guard_s: float,
) -> float:
    """The least bound of some rounds; the multipliers (prices, parts, debts) are brought to where it was found."""
    last = int((packed.chance_to.max() if len(packed.chance_to) else 0) + packed.duration.max())
    value = ctypes.c_double()
    night = _night(packed)
    done = compiled.astrod_bound(
        ctypes.byref(night),
        ctypes.c_int32(bin_ms),
        ctypes.c_int32(last // bin_ms + 2),
        ctypes.c_int32(rounds),
        ctypes.c_double(known),
        *(ctypes.c_void_p(values.ctypes.data) for values in multipliers),
        ctypes.byref(value),
        ctypes.c_double(guard_s),
    )
    if done != 0:
        raise MemoryError("no memory for a bound")
    return value.value


def _parts(packed: Packed) -> Floats:
    """Each group's bonus in equal parts, to begin with."""
    parts = np.zeros(len(packed.duration))
    for group in range(len(packed.bonus)):
        members = packed.member[packed.member_at[group] : packed.member_at[group + 1]]
        parts[members] = packed.bonus[group] / len(members)
    return parts


def _prices(packed: Packed, found: Found) -> Floats:
    """Prices to begin with: what each visit of the plan brings beyond what its time is worth elsewhere."""
    visits, best = len(packed.duration), packed.value.max(axis=(0, 2))
    used = packed.duration + 20_000.0
    taken = [placement.visit for placement in found.placements]
    density = best[taken] / used[taken] if taken else np.zeros(1)
    marginal = float(np.quantile(density, 0.15)) if len(taken) < visits else 0.0
    return np.ascontiguousarray(np.maximum(0.0, best - marginal * used), dtype=np.float64)


@dataclass(frozen=True, slots=True)
class Solved:
    """A plan, what it is worth, and what no plan can be worth more than (None: not proven)."""

    placements: tuple[Placement, ...]
    value: float
    bound: float | None
    capped: bool

    @property
    def gap(self) -> float | None:
        """By what share of the bound the plan may fall short of the best one."""
        return None if self.bound is None or self.bound <= 0.0 else max(0.0, 1.0 - self.value / self.bound)


def _rounds(packed: Packed, share: int, seconds: float) -> int:
    """The rounds of a bound that take about so many seconds: what one costs follows from the bins it looks at."""
    kinds = 2 * (int(packed.beam.max()) + 1)
    spans_ms = float((packed.chance_to - packed.chance_from).sum())
    cells = max(1000.0, spans_ms / (packed.step / share) * kinds)
    return min(BOUND_ROUNDS_MOST, int(seconds * CELLS_PER_S / cells))


def solve(work: Work, seed: int, seconds: float, warm: Sequence[Placement] = (), guard_s: float = GUARD_S) -> Solved:
    """The best plan of a night's work for so many seconds' work, three quarters of it spent on the plan, the rest
    on its bound (none where there are too many visits to search among all). What the benchmark is planned with; the
    daemon uses its parts.
    """
    if len(work.visits) > VISITS_MOST:
        chosen = promising(work, VISITS_MOST)
        place = {visit: at for at, visit in enumerate(chosen)}
        kept = [replace(one, visit=place[one.visit]) for one in warm if one.visit in place]
        solved = solve(narrowed(work, chosen), seed, seconds, kept, guard_s)
        back = tuple(replace(one, visit=chosen[one.visit]) for one in solved.placements)
        return replace(solved, placements=back, bound=None)
    if not work.visits:
        return Solved((), 0.0, 0.0, capped=False)
    packed = pack(work)
    found = search(packed, seed, round(0.75 * seconds * STEPS_PER_S), warm, guard_s)
    proven = bound(packed, found, 0.25 * seconds, guard_s) if found.placements else None
    return Solved(found.placements, found.value, proven, found.capped)
