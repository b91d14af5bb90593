"""The decision at each exposure: the plan is advice, and this takes it or leaves it.

Pure, fast and light: the control process asks here before every exposure, with what it holds already.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace

from astrod.domain.instant import MINUTE_US, SECOND_US, clock_text
from astrod.domain.plan import Choice, Plan, Slot
from astrod.domain.sphere import separation_deg
from astrod.domain.target import Request, Target
from astrod.planning.problem import Outlook, Problem, RigState

HALF_SIDEREAL_DAY_US = 43_082_045_252
LATE_US = 10 * MINUTE_US
WORTH_WAITING_US = 5 * MINUTE_US


@dataclass(frozen=True, slots=True)
class Turn:
    """Whose turn it is on a rig, and when.

    The set-up begins at `leave_us` and the shutter opens at `start_us`; a turn may lie in the future. `slot` is
    the plan's advice that it follows, None when it departs from the plan.
    """

    choice: Choice
    leave_us: int
    start_us: int
    end_us: int
    slot: Slot | None


@dataclass(frozen=True, slots=True)
class Situation:
    """What holds at the moment of a decision.

    `problem` is the one planned from, with its rigs where they stand *now* and its `remaining` as it is *now*
    (`dataclasses.replace`); `outlook` is what the plan was made under. `banned` are targets and requests, by name
    and id, to leave alone for now (a failed slew, a sky too bright for one), with the reason.
    """

    problem: Problem
    outlook: Outlook
    banned: Mapping[str, str]


def _whole_us(seconds: float) -> int:
    return round(seconds * SECOND_US)


def _rig(problem: Problem, name: str) -> RigState | None:
    return next((rig for rig in problem.rigs if rig.name == name), None)


def _found(problem: Problem, request_id: str) -> tuple[Target, Request] | None:
    for target in problem.targets:
        for request in target.requests:
            if request.id == request_id:
                return target, request
    return None


def _ban(situation: Situation, target: Target, request: Request) -> str | None:
    """Why a request is to be left alone for now, by its target or by itself."""
    return situation.banned.get(target.name, situation.banned.get(request.id))


def side_of_pier(rig: RigState, transit_us: int, instant_us: int) -> int:
    """1 east of the meridian, 0 west of it; always 0 for a mount that does not flip."""
    if rig.mount != "equatorial" or rig.flip_s <= 0.0:
        return 0
    return (instant_us - transit_us) // HALF_SIDEREAL_DAY_US % 2


def setup_us(rig: RigState, target: Target, request: Request) -> int:
    """The slew, filter change and settling before an exposure, without a flip; none from a parked rig."""
    if rig.pointing is None:
        return 0
    slew = _whole_us(separation_deg(*rig.pointing, target.ra_deg, target.dec_deg) / rig.slew_deg_s)
    other = request.filter is not None and request.filter != rig.filter
    change = _whole_us(rig.filter_change_s) if other else 0
    moved = slew > SECOND_US // 10 or change > 0
    return _whole_us(rig.settle_s) + max(slew, change) if moved else 0


def _serves(rig: RigState, target: Target, request: Request) -> bool:
    if target.rig is not None and target.rig != rig.name:
        return False
    return request.train is None or request.train in rig.trains


def earliest_us(situation: Situation, rig: RigState, target: Target, request: Request, now_us: int) -> int | None:
    """When a whole exposure of a request can begin, from now on; None when it cannot any more.

    It lies in the target's window, outside blocked time, before dawn, and not across the meridian.
    """
    problem, foreseen = situation.problem, situation.outlook.targets.get(target.name)
    if foreseen is None:
        return None
    exposure_us = _whole_us(request.exposure_s)
    ready = max(now_us + setup_us(rig, target, request), problem.dusk_us or now_us)
    for start, end in foreseen.windows:
        begin = max(start, ready)
        last = min(end, problem.end_us)
        while begin + exposure_us <= last:
            later = _obstacle_end_us(problem, rig, foreseen.transit_us, begin, exposure_us)
            if later is None:
                return begin
            begin = later
    return None


def _obstacle_end_us(problem: Problem, rig: RigState, transit_us: int, begin_us: int, exposure_us: int) -> int | None:
    """The end of what an exposure would run into; None when its way is clear."""
    for start, end in problem.blocked:
        if begin_us < end and begin_us + exposure_us > start:
            return end
    if side_of_pier(rig, transit_us, begin_us) == 1:
        meridian = begin_us + (transit_us - begin_us) % (2 * HALF_SIDEREAL_DAY_US)
        if begin_us + exposure_us > meridian + _whole_us(rig.past_meridian_s):
            return meridian + _whole_us(rig.flip_s)
    return None


def _turn(
    situation: Situation, rig: RigState, target: Target, request: Request, slot: Slot | None, now_us: int
) -> Turn | None:
    """A request's turn on a rig, as early as can be; None when it is not wanted, allowed or possible."""
    if _ban(situation, target, request) is not None or not situation.problem.wanted(request):
        return None
    begin = earliest_us(situation, rig, target, request, now_us)
    if begin is None:
        return None
    choice = Choice(
        rig=rig.name,
        target=target.name,
        request=request.id,
        ra_deg=target.ra_deg,
        dec_deg=target.dec_deg,
        exposure_s=request.exposure_s,
        why=slot.why if slot else "",
        filter=request.filter,
        binning=request.binning,
        train=request.train,
        exposure_min_s=request.exposure_min_s,
        position_angle_deg=target.position_angle_deg,
        adapt=request.adapt,
        exposure_max_s=request.exposure_max_s,
    )
    leave = max(now_us, begin - setup_us(rig, target, request))
    return Turn(choice, leave, begin, begin + _whole_us(request.exposure_s), slot)


def _advised(situation: Situation, plan: Plan, rig: RigState, now_us: int) -> Turn | None:
    """The plan's advice for now, where it still makes sense. What would be waited for is begun early instead, where it
    can be: the one before it was done early.
    """
    soon = [slot for slot in plan.slots if slot.rig == rig.name and slot.end_us > now_us]
    for slot in soon[:2]:
        found = _found(situation.problem, slot.request)
        turn = _turn(situation, rig, *found, slot, now_us) if found else None
        if turn is None or turn.start_us > max(slot.start_us, now_us) + LATE_US:
            continue
        if slot.start_us - turn.start_us > WORTH_WAITING_US:
            turn = _postponed(turn, slot.start_us)
        if (turn.start_us + turn.end_us) // 2 <= slot.end_us:  # at most half of it outside the slot
            return turn
    return None


def _postponed(turn: Turn, start_us: int) -> Turn:
    """The same turn, not before an instant."""
    wait = max(0, start_us - turn.start_us)
    return replace(turn, leave_us=turn.leave_us + wait, start_us=turn.start_us + wait, end_us=turn.end_us + wait)


def _dispatched(situation: Situation, rig: RigState, now_us: int) -> Turn | None:
    """What is worth most per unit of time now, waiting and set-up counted."""
    best: tuple[float, Turn] | None = None
    for target in situation.problem.targets:
        for request in target.requests:
            turn = _turn(situation, rig, target, request, None, now_us) if _serves(rig, target, request) else None
            if turn is None:
                continue
            value = target.priority * _gain(situation, turn) / (turn.end_us - now_us)
            if best is None or value > best[0]:
                best = value, turn
    return None if best is None else _explained(situation, best[1], now_us)


def _gain(situation: Situation, turn: Turn) -> float:
    middle = (turn.start_us + turn.end_us) // 2
    return situation.outlook.quality(turn.choice.target, middle) * (turn.end_us - turn.start_us)


def _explained(situation: Situation, turn: Turn, now_us: int) -> Turn:
    foreseen = situation.outlook.targets[turn.choice.target]
    altitude = situation.outlook.sample(foreseen.altitude_deg, turn.start_us)
    when = "now" if turn.start_us - now_us < WORTH_WAITING_US else f"from {clock_text(turn.start_us)[:5]}"
    why = f"outside the plan: worth most {when}, altitude {altitude:.0f}°"
    return replace(turn, choice=replace(turn.choice, why=why))


def next_exposure(plan: Plan, situation: Situation, rig_name: str, now_us: int) -> Turn | None:
    """What a rig should expose next: the plan's slot while it makes sense, or else what is worth most now.

    A slot makes sense while its request is wanted and its target allowed, and a whole exposure can begin
    within ten minutes of when it should. The turn may lie in the future: the time until then is idle,
    unless a stop-gap fits in. None when nothing can be had before dawn.
    """
    rig = _rig(situation.problem, rig_name)
    if rig is None:
        return None
    advised = _advised(situation, plan, rig, now_us)
    if advised is not None and advised.start_us - now_us <= WORTH_WAITING_US:
        return advised
    stopgap = _dispatched(situation, rig, now_us)
    if advised is None or stopgap is None:
        return advised or stopgap
    fits = stopgap.end_us + _whole_us(rig.readout_s) <= advised.start_us
    spare = _spare(plan, situation.problem, stopgap.choice.request, now_us)
    return stopgap if fits and spare > 0 else advised


def _spare(plan: Plan, problem: Problem, request_id: str, now_us: int) -> int:
    """The frames of a request that the rest of the plan does not take."""
    found = _found(problem, request_id)
    planned = sum(slot.exposures for slot in plan.slots if slot.request == request_id and slot.end_us > now_us)
    return 0 if found is None else problem.wanted(found[1]) - planned


def needs_replan(plan: Plan, situation: Situation, kept: Mapping[str, int], now_us: int) -> str | None:
    """Why the plan should be made again, in words; None while it serves.

    It does not when a slot under way cannot be had or is done early, when the night has slipped more than ten
    minutes behind it, or when it is over and something is still wanted that could be had. `kept` maps a
    request's id to its frames kept since the plan was made.
    """
    problem = situation.problem
    behind_us = _behind_us(plan, kept, now_us)
    if behind_us > LATE_US:
        return f"the night is {behind_us // MINUTE_US} minutes behind its plan"
    for slot in plan.slots:
        if slot.end_us <= now_us or slot.start_us > now_us:
            continue
        reason = _slot_trouble(situation, slot, now_us)
        if reason is not None:
            return f"{slot.target}: {reason}"
    if now_us < problem.start_us or any(slot.end_us > now_us for slot in plan.slots):
        return None
    left = [rig.name for rig in problem.rigs if _dispatched(situation, rig, now_us) is not None]
    return f"the plan is over and {left[0]} could go on" if left else None


def _slot_trouble(situation: Situation, slot: Slot, now_us: int) -> str | None:
    """What is wrong with the slot under way."""
    found, rig = _found(situation.problem, slot.request), _rig(situation.problem, slot.rig)
    if found is None or rig is None:
        return "it is not among what is wanted any more"
    target, request = found
    ban = _ban(situation, target, request)
    if ban is not None:
        return ban
    if not situation.problem.wanted(request):
        return None if slot.end_us - now_us < WORTH_WAITING_US else f"{request.id} is done early"
    begin = earliest_us(situation, rig, target, request, now_us)
    if begin is None or begin > now_us + LATE_US:
        return "it cannot be exposed in its slot"
    return None


def _behind_us(plan: Plan, kept: Mapping[str, int], now_us: int) -> int:
    """The time of the plan's past slots whose frames were not had."""
    planned: dict[str, int] = {}
    spent_us: dict[str, int] = {}
    for slot in plan.slots:
        if slot.end_us <= now_us:
            planned[slot.request] = planned.get(slot.request, 0) + slot.exposures
            spent_us[slot.request] = spent_us.get(slot.request, 0) + slot.end_us - slot.start_us
    return sum(
        round(spent_us[request] * max(0, count - kept.get(request, 0)) / count) for request, count in planned.items()
    )
