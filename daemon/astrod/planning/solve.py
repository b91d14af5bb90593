"""The plan of a night: visits placed by a compiled search, laid out in exact time.

Requests are cut into visits of a quarter of an hour (`workload`), which the search places to the millisecond
(`search`); what they leave open is filled with single exposures. Where there was no compiler, CP-SAT gives advice
instead: the night is cut into bins. A *block* is some fifteen minutes on one target (or one exposure, where that is
longer), worth what its exposures would bring if it began in a bin. Which blocks to take is a packing problem that
CP-SAT solves well: its linear relaxation is nearly whole, since blocks are intervals. `timeline` carries its advice
out with real set-ups, read-outs and windows. A plan is judged by what it is worth then, against the greedy plan
carried out in the same way, and the best is returned.

A fixed seed and a budget of deterministic work: the same problem has the same plan on every machine under any load.
CPU and wall clock are only guards, and their tripping is recorded in `Plan.capped`.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from ortools.sat.python import cp_model

from astrod.domain.instant import HOUR_US, MINUTE_US, SECOND_US, clock_text
from astrod.domain.plan import Plan, Slot
from astrod.domain.sphere import airmass
from astrod.domain.target import Request, Target
from astrod.errors import Bug
from astrod.planning.problem import Interval, Outlook, Problem, RigState, TargetOutlook
from astrod.planning.search import STEPS_PER_S, library, pack, search
from astrod.planning.sky import describe, foresee
from astrod.planning.timeline import (
    CHUNK_US,
    Job,
    Order,
    Shot,
    Stint,
    Workbench,
    faults,
    segments,
    whole_us,
    without,
    worth,
)
from astrod.planning.workload import former_placements, workload

BIN_S = (60, 120, 300, 600, 900)
MOST_LITERALS = 4500
WALL_GUARD_S = 20.0
_SCALE = 1000.0


@dataclass(frozen=True, slots=True)
class Block:
    """A job's block if it began in a bin: how many bins it takes, its exposures and what they are worth."""

    job: int
    bin: int
    bins: int
    exposures: int
    value: float


@dataclass(frozen=True, slots=True)
class Model:
    """A rig's night in bins. `quota` is the most blocks of each job; `switch` the price of taking it up."""

    bench: Workbench
    bin_us: int
    bins: int
    blocks: tuple[Block, ...]
    quota: tuple[int, ...]
    switch: tuple[float, ...]


def _order(request: Request, wanted: int, readout_us: int) -> Order:
    exposure_us = whole_us(request.exposure_s)
    return Order(request, exposure_us, wanted, max(1, round(CHUNK_US / (exposure_us + readout_us))))


def _serves(rig: RigState, target: Target, request: Request) -> bool:
    """Whether a rig can take a request at all."""
    if target.rig is not None and target.rig != rig.name:
        return False
    return request.train is None or request.train in rig.trains


def _clipped(problem: Problem, foreseen: TargetOutlook) -> tuple[Interval, ...]:
    """A target's windows within what is left of the night."""
    bounds = ((max(start, problem.start_us), min(end, problem.end_us)) for start, end in foreseen.windows)
    return tuple((start, end) for start, end in bounds if start < end)


def _job(problem: Problem, outlook: Outlook, rig: RigState, target: Target) -> Job | None:
    """A target's work on a rig; None where there is nothing to do."""
    readout_us = whole_us(rig.readout_s)
    orders = tuple(
        _order(request, problem.wanted(request), readout_us)
        for request in target.requests
        if problem.wanted(request) and _serves(rig, target, request)
    )
    foreseen = outlook.targets[target.name]
    usable = without(_clipped(problem, foreseen), problem.blocked)
    cut = segments(usable, foreseen.transit_us, rig)
    return Job(target, cut, orders, target.priority) if orders and cut else None


def _work_us(job: Job, readout_us: int) -> int:
    """The time that all of a job's orders would take."""
    return sum(order.wanted * (order.exposure_us + readout_us) for order in job.orders)


def _share(problem: Problem, outlook: Outlook) -> dict[str, list[Job]]:
    """Each target on one rig: its own, or the one least loaded of those that can serve most of it."""
    load = {rig.name: 0 for rig in problem.rigs}
    jobs: dict[str, list[Job]] = {rig.name: [] for rig in problem.rigs}
    for target in sorted(problem.targets, key=lambda target: (target.rig is None, -target.priority, target.name)):
        offers = [(rig, job) for rig in problem.rigs if (job := _job(problem, outlook, rig, target)) is not None]
        if not offers:
            continue
        rig, job = min(offers, key=lambda offer: (-len(offer[1].orders), load[offer[0].name], offer[0].name))
        jobs[rig.name].append(job)
        load[rig.name] += min(_work_us(job, whole_us(rig.readout_s)), problem.end_us - problem.start_us)
    return jobs


def _block_shape(bench: Workbench, job: Job, bin_us: int) -> tuple[int, int, int]:
    """Bins, exposures and the microseconds of one exposure in a block of a job.

    A block of one exposure is rounded up to bins and has its set-up in it. One of several is filled with as many
    as its bins hold; its set-up is what taking the job up anew costs.
    """
    longest = max(order.exposure_us for order in job.orders)
    wanted = sum(order.wanted for order in job.orders)
    step = longest + bench.readout_us
    blocks = min(wanted, max(1, round(wanted * step / CHUNK_US)))
    exposures = -(-wanted // blocks)
    if exposures == 1:
        return -(-(step + _typical_setup_us(bench) // 2) // bin_us), 1, longest
    bins = max(1, round(exposures * step / bin_us), -(-step // bin_us))
    return bins, bins * bin_us // step, longest


def _typical_setup_us(bench: Workbench) -> int:
    rig = bench.rig
    return whole_us(rig.settle_s + max(rig.filter_change_s, 40.0 / rig.slew_deg_s))


def _blocks_of(bench: Workbench, at: int, bin_us: int, bins: int) -> list[Block]:
    """A job's blocks, one for each bin in which it could begin."""
    job = bench.jobs[at]
    length, exposures, exposure_us = _block_shape(bench, job, bin_us)
    content = exposures * (exposure_us + bench.readout_us) - bench.readout_us
    slack = max(0, length * bin_us - content)
    found: list[Block] = []
    for number in range(bins - length + 1):
        start = bench.start_us + number * bin_us
        for segment in job.segments:
            begin = max(start, segment.start_us)
            fits = begin + content <= segment.end_us and begin + content - exposure_us <= segment.last_start_us
            if fits and begin - start <= slack:
                middle = begin + content // 2 - exposure_us // 2
                value = bench.value(at, middle, exposure_us) * exposures
                found.append(Block(at, number, length, exposures, value))
                break
    return found


def _model(bench: Workbench, bin_us: int) -> Model:
    span = bench.end_us - bench.start_us
    bins = span // bin_us
    blocks: list[Block] = []
    quota: list[int] = []
    switch: list[float] = []
    for at, job in enumerate(bench.jobs):
        blocks.extend(_blocks_of(bench, at, bin_us, bins))
        exposures = _block_shape(bench, job, bin_us)[1]
        quota.append(-(-sum(order.wanted for order in job.orders) // exposures))
        switch.append(job.weight * 0.5 * _typical_setup_us(bench) / SECOND_US)
    return Model(bench, bin_us, bins, tuple(blocks), tuple(quota), tuple(switch))


def _literals(model: Model) -> int:
    return sum(2 if model.quota[block.job] > 1 else 1 for block in model.blocks)


def build(bench: Workbench) -> Model:
    """The night in the finest bins that keep the model small."""
    for bin_s in BIN_S:
        model = _model(bench, bin_s * SECOND_US)
        if _literals(model) <= MOST_LITERALS:
            return model
    return model


def greedy(model: Model) -> list[Block]:
    """Blocks by what they are worth per bin, each where it is worth most among what is still free."""
    free = [True] * model.bins
    quota = list(model.quota)
    chosen: list[Block] = []
    for block in sorted(model.blocks, key=lambda block: (-block.value / block.bins, block.bin, block.job)):
        wanted = range(block.bin, block.bin + block.bins)
        if quota[block.job] and all(free[number] for number in wanted):
            chosen.append(block)
            quota[block.job] -= 1
            for number in wanted:
                free[number] = False
    return sorted(chosen, key=lambda block: block.bin)


@dataclass(frozen=True, slots=True)
class Solution:
    """What CP-SAT found; `capped` when the wall clock stopped it and not its budget."""

    blocks: tuple[Block, ...]
    capped: bool


def _switches(
    model: Model, cp: cp_model.CpModel, taken: Sequence[cp_model.IntVar], hinted: frozenset[tuple[int, int]]
) -> list[tuple[cp_model.IntVar, float]]:
    """For each block of a job of several, whether it takes the job up anew, and the price of that."""
    index = {(block.job, block.bin): taken[at] for at, block in enumerate(model.blocks)}
    prices: list[tuple[cp_model.IntVar, float]] = []
    for at, block in enumerate(model.blocks):
        if model.quota[block.job] < 2:
            continue
        anew = cp.new_bool_var("")
        before = (block.job, block.bin - block.bins)
        if before in index:
            cp.add_bool_or([taken[at].negated(), index[before], anew])
        else:
            cp.add_implication(taken[at], anew)
        cp.add_hint(anew, (block.job, block.bin) in hinted and before not in hinted)
        prices.append((anew, model.switch[block.job]))
    return prices


def improve(model: Model, hint: Sequence[Block], seed: int, work: float) -> Solution | None:
    """The best choice of blocks that CP-SAT finds within its work; None when it finds none."""
    cp = cp_model.CpModel()
    taken = [cp.new_bool_var("") for _ in model.blocks]
    cover: list[list[cp_model.IntVar]] = [[] for _ in range(model.bins)]
    of_job: list[list[cp_model.IntVar]] = [[] for _ in model.quota]
    for at, block in enumerate(model.blocks):
        of_job[block.job].append(taken[at])
        for number in range(block.bin, block.bin + block.bins):
            cover[number].append(taken[at])
    for literals in cover:
        cp.add_at_most_one(literals)
    for literals, most in zip(of_job, model.quota, strict=True):
        if most < len(literals):
            cp.add(sum(literals) <= most)
    hinted = frozenset((block.job, block.bin) for block in hint)
    for at, block in enumerate(model.blocks):
        cp.add_hint(taken[at], (block.job, block.bin) in hinted)
    prices = _switches(model, cp, taken, hinted)
    cp.maximize(
        sum(round(block.value * _SCALE) * taken[at] for at, block in enumerate(model.blocks))
        - sum(round(price * _SCALE) * literal for literal, price in prices)
    )
    return _solved(model, cp, taken, seed, work)


def _solved(
    model: Model, cp: cp_model.CpModel, taken: Sequence[cp_model.IntVar], seed: int, work: float
) -> Solution | None:
    solver = cp_model.CpSolver()
    solver.parameters.num_workers = 1
    solver.parameters.random_seed = seed % (2**31)
    solver.parameters.max_deterministic_time = work
    solver.parameters.max_time_in_seconds = WALL_GUARD_S
    solver.parameters.relative_gap_limit = 0.001
    status = solver.solve(cp)
    if status == cp_model.MODEL_INVALID:
        raise Bug(f"CP-SAT refuses the plan's model: {cp.validate()}")
    if status not in (cp_model.OPTIMAL, cp_model.FEASIBLE):
        return None
    chosen = [block for at, block in enumerate(model.blocks) if solver.boolean_value(taken[at])]
    done = solver.response_proto.deterministic_time
    capped = status == cp_model.FEASIBLE and done < work and solver.wall_time >= WALL_GUARD_S
    return Solution(tuple(sorted(chosen, key=lambda block: block.bin)), capped)


def stints(model: Model, blocks: Sequence[Block]) -> list[Stint]:
    """Blocks as advice: neighbours of one job become one stint."""
    advice: list[Stint] = []
    left = [sum(order.wanted for order in job.orders) for job in model.bench.jobs]
    for block in blocks:
        start = model.bench.start_us + block.bin * model.bin_us
        end = start + block.bins * model.bin_us
        exposures = min(block.exposures, left[block.job])
        left[block.job] -= exposures
        last = advice[-1] if advice else None
        if last is not None and last.job == block.job and last.end_us == start:
            advice[-1] = Stint(block.job, last.start_us, end, last.exposures + exposures)
        elif exposures:
            advice.append(Stint(block.job, start, end, exposures))
    return advice


Method = Literal["search", "cp-sat", "dispatch"]
METHODS: tuple[Method, ...] = ("search", "cp-sat", "dispatch")


@dataclass(frozen=True, slots=True)
class Laid:
    """A rig's night laid out."""

    bench: Workbench
    shots: tuple[Shot, ...]
    by: Method
    capped: bool


def _laid(bench: Workbench, by: Method, taken: Sequence[Shot], capped: bool = False) -> Laid:
    shots = tuple(taken)
    wrong = faults(bench, shots)
    if wrong:
        raise Bug(f"the planner laid out a night that cannot be: {'; '.join(wrong[:3])}")
    return Laid(bench, shots, by, capped)


def lay_out(bench: Workbench, seed: int, work: float, former: Sequence[Slot] = ()) -> Laid:
    """The best night found for one rig: searched for, or where the search is not compiled, packed by CP-SAT.

    The search starts from what can still be had of `former`, an earlier plan's slots.
    """
    plain = _laid(bench, "dispatch", bench.carry_out(()))
    if not bench.jobs or bench.end_us <= bench.start_us or work <= 0.0:
        return plain
    found = _searched(bench, seed, work, former) if library() is not None else _packed(bench, seed, work)
    return max((plain, *found), key=lambda laid: worth(laid.shots))


def _searched(bench: Workbench, seed: int, work: float, former: Sequence[Slot]) -> list[Laid]:
    """The night that the search finds."""
    asked, pieces = workload(bench)
    if not pieces:
        return []
    warm = former_placements(bench, asked, pieces, former)
    found = search(pack(asked), seed, round(work * STEPS_PER_S), warm)
    stays = [pieces[placement.visit].stay(bench, placement, asked) for placement in found.placements]
    return [_laid(bench, "search", bench.carry_out_exactly(stays), found.capped)]


def _packed(bench: Workbench, seed: int, work: float) -> list[Laid]:
    """The nights that follow the advice of blocks, taken greedily and by CP-SAT."""
    model = build(bench)
    hint = greedy(model)
    nights = [_laid(bench, "dispatch", bench.carry_out(stints(model, hint)))]
    solution = improve(model, hint, seed, work) if model.blocks else None
    if solution is not None:
        nights.append(_laid(bench, "cp-sat", bench.carry_out(stints(model, solution.blocks)), solution.capped))
    return nights


def _why(laid: Laid, run: Sequence[Shot], outlook: Outlook) -> str:
    """Why this, now, in words: how high it stands, how far the Moon is, and when it is lost."""
    first = run[0]
    job = laid.bench.jobs[first.job]
    foreseen = outlook.targets[job.target.name]
    middle = (first.start_us + run[-1].end_us) // 2
    altitude = outlook.sample(foreseen.altitude_deg, middle)
    words = [f"altitude {altitude:.0f}°", f"airmass {airmass(altitude):.2f}"]
    if outlook.sample(outlook.moon_altitude_deg, middle) > 0.0:
        words.append(f"moon {outlook.sample(foreseen.moon_deg, middle):.0f}° away")
    else:
        words.append("moon down")
    return f"{_rank(laid, run, outlook)}: {', '.join(words)}; {_until(outlook, foreseen, middle)}"


def _rank(laid: Laid, run: Sequence[Shot], outlook: Outlook) -> str:
    """How a slot stands against the others that could be had at its start."""
    first, bench = run[0], laid.bench
    mine = bench.jobs[first.job].weight * outlook.quality(bench.jobs[first.job].target.name, first.start_us)
    rivals = [
        job.weight * outlook.quality(job.target.name, first.start_us)
        for at, job in enumerate(bench.jobs)
        if at != first.job and any(s.start_us <= first.start_us and first.end_us <= s.end_us for s in job.segments)
    ]
    if not rivals:
        return "the only one in reach now"
    if mine >= max(rivals):
        return "highest value now"
    return "its turn: what is worth more now has better hours or is served"


def _until(outlook: Outlook, foreseen: TargetOutlook, instant_us: int) -> str:
    """When what is good now ends, and by what."""
    window = foreseen.window_at(instant_us)
    if window is None or window[1] >= outlook.end_us:
        return "good until dawn"
    at = clock_text(window[1])[:5]
    if outlook.sample(foreseen.altitude_deg, window[1]) - foreseen.floor_deg < 0.1:
        return f"sets below {foreseen.floor_deg:.0f}° at {at}"
    return f"out of its limits at {at}"


def _runs(laid: Laid) -> list[list[Shot]]:
    """Exposures of one request without a break, a chunk at most."""
    runs: list[list[Shot]] = []
    for shot in laid.shots:
        last = runs[-1] if runs else None
        if last is not None and _continues(laid, last, shot):
            last.append(shot)
        else:
            runs.append([shot])
    return runs


def _continues(laid: Laid, run: Sequence[Shot], shot: Shot) -> bool:
    last = run[-1]
    same = (last.job, last.order, last.side) == (shot.job, shot.order, shot.side)
    chunk = laid.bench.jobs[shot.job].orders[shot.order].chunk
    return same and len(run) < chunk and shot.start_us - last.end_us == laid.bench.readout_us


def _slot(laid: Laid, run: Sequence[Shot], outlook: Outlook) -> Slot:
    job = laid.bench.jobs[run[0].job]
    return Slot(
        rig=laid.bench.rig.name,
        target=job.target.name,
        request=job.orders[run[0].order].request.id,
        start_us=run[0].start_us,
        end_us=run[-1].end_us,
        exposures=len(run),
        value=round(worth(run), 3),
        why=_why(laid, run, outlook),
    )


def _refusal(problem: Problem, outlook: Outlook, target: Target, request: Request) -> str:
    """Why a request has no slot, in words."""
    if not problem.wanted(request):
        return "done: nothing of it is wanted any more"
    if target.rig is not None and target.rig not in {rig.name for rig in problem.rigs}:
        return f"its rig {target.rig!r} is not among those at work: {', '.join(r.name for r in problem.rigs)}"
    if not any(_serves(rig, target, request) for rig in problem.rigs):
        return f"its train {request.train!r} is on none of the rigs at work"
    foreseen = outlook.targets[target.name]
    if not foreseen.windows:
        return foreseen.reason or "never within its limits"
    clipped = _clipped(problem, foreseen)
    if not clipped:
        return f"its time is over: {describe(foreseen.windows[-1])}"
    usable = without(clipped, problem.blocked)
    longest = max((end - start for start, end in usable), default=0)
    if longest < whole_us(request.exposure_s):
        shown = ", ".join(describe(window) for window in clipped)
        return f"no whole exposure of {request.exposure_s:g} s fits its window: {shown}"
    hours = sum(end - start for start, end in usable) / HOUR_US
    return f"others are worth more in the {hours:.1f} h in which it is up: {describe(usable[0])}"


def make_plan(problem: Problem, outlook: Outlook | None = None, former: Plan | None = None) -> Plan:
    """The plan of what is left of a night; always one, and always valid.

    `outlook` saves looking at the sky again: one made by `sky.foresee` earlier in the same night for the same
    targets and limits. `former`, the plan until now, is where the search starts.
    """
    seen = foresee(problem) if outlook is None else outlook
    shared = _share(problem, seen)
    nights = [
        lay_out(
            Workbench(problem, rig, tuple(shared[rig.name]), seen),
            problem.seed,
            problem.work,
            former.slots if former else (),
        )
        for rig in problem.rigs
    ]
    slots = [_slot(laid, run, seen) for laid in nights for run in _runs(laid)]
    slots.sort(key=lambda slot: (slot.start_us, slot.rig))
    served = {slot.request for slot in slots}
    refused = {
        request.id: _refusal(problem, seen, target, request)
        for target in problem.targets
        for request in target.requests
        if request.id not in served
    }
    return Plan(
        made_us=problem.now_us,
        by=next((method for method in METHODS if any(laid.by == method for laid in nights)), "dispatch"),
        slots=tuple(slots),
        refused=refused,
        capped=any(laid.capped for laid in nights),
    )


def open_minutes(plan: Plan, problem: Problem) -> float:
    """The minutes of open shutter in a plan, over all rigs."""
    exposure = {request.id: request.exposure_s for target in problem.targets for request in target.requests}
    return sum(slot.exposures * exposure[slot.request] for slot in plan.slots) * SECOND_US / MINUTE_US
