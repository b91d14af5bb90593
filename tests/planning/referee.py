"""What makes a plan valid, said again and apart from the planner: exposure by exposure, from the problem alone."""

from collections import Counter
from itertools import pairwise

from astrod.domain.plan import Plan, Slot
from astrod.domain.sphere import separation_deg
from astrod.domain.target import Request, Target
from astrod.planning.problem import Outlook, Problem, RigState

SIDEREAL_DAY_US = 86_164_090_504


def violations(plan: Plan, problem: Problem, outlook: Outlook) -> list[str]:
    """All that is wrong with a plan."""
    wrong: list[str] = []
    wanted = {request.id: (target, request) for target in problem.targets for request in target.requests}
    rigs = {rig.name: rig for rig in problem.rigs}
    for slot in plan.slots:
        target, request = wanted[slot.request]
        wrong += [f"{slot.request} at {slot.start_us}: {fault}" for fault in _slot(slot, target, request, problem)]
        wrong += _exposures(slot, target, request, rigs[slot.rig], problem, outlook)
    for rig in problem.rigs:
        mine = [slot for slot in plan.slots if slot.rig == rig.name]
        for early, late in pairwise(mine):
            need = rig.readout_s + _setup_s(early, late, wanted, rig, outlook)
            if (late.start_us - early.end_us) / 1e6 < need - 1e-3:
                wrong.append(f"{late.request}: {(late.start_us - early.end_us) / 1e6:.1f} s of {need:.1f} s set-up")
    counts: Counter[str] = Counter()
    for slot in plan.slots:
        counts[slot.request] += slot.exposures
    for request_id, (_, request) in wanted.items():
        if counts[request_id] > problem.wanted(request):
            wrong.append(f"{request_id}: {counts[request_id]} of {problem.wanted(request)} wanted")
        if (counts[request_id] == 0) != (request_id in plan.refused):
            wrong.append(
                f"{request_id}: planned {counts[request_id]} and yet refused is {plan.refused.get(request_id)}"
            )
    return wrong


def _slot(slot: Slot, target: Target, request: Request, problem: Problem) -> list[str]:
    rig = next(rig for rig in problem.rigs if rig.name == slot.rig)
    wrong = []
    if target.name != slot.target or (target.rig is not None and target.rig != slot.rig):
        wrong.append("wrong target or rig")
    if request.train is not None and request.train not in rig.trains:
        wrong.append(f"no train {request.train}")
    if slot.start_us < problem.start_us or slot.end_us > problem.end_us:
        wrong.append("outside the night")
    if any(slot.start_us < end and slot.end_us > start for start, end in problem.blocked):
        wrong.append("in blocked time")
    span_s = slot.exposures * request.exposure_s + (slot.exposures - 1) * rig.readout_s
    if abs((slot.end_us - slot.start_us) / 1e6 - span_s) > 1e-3:
        wrong.append(f"{slot.exposures} exposures do not fill it")
    if not slot.why:
        wrong.append("no reason given")
    return wrong


def _exposures(
    slot: Slot, target: Target, request: Request, rig: RigState, problem: Problem, outlook: Outlook
) -> list[str]:
    wrong = []
    foreseen = outlook.targets[target.name]
    step_us = (request.exposure_s + rig.readout_s) * 1e6
    for number in range(slot.exposures):
        start = slot.start_us + round(number * step_us)
        end = start + round(request.exposure_s * 1e6)
        if not any(opens <= start and end <= closes for opens, closes in foreseen.windows):
            wrong.append(f"{slot.request}: exposure {number} is outside its windows")
        if _side(rig, foreseen.transit_us, start) == 1:
            to_meridian = (foreseen.transit_us - start) % SIDEREAL_DAY_US
            if (end - start) > to_meridian + rig.past_meridian_s * 1e6 + 1:
                wrong.append(f"{slot.request}: exposure {number} tracks past the meridian")
    return wrong


def _side(rig: RigState, transit_us: int, instant_us: int) -> int:
    if rig.mount == "altaz" or rig.flip_s == 0.0:
        return 0
    return 1 if (instant_us - transit_us) % SIDEREAL_DAY_US > SIDEREAL_DAY_US // 2 else 0


def _setup_s(
    early: Slot, late: Slot, wanted: dict[str, tuple[Target, Request]], rig: RigState, outlook: Outlook
) -> float:
    (a, first), (b, second) = wanted[early.request], wanted[late.request]
    slew_s = separation_deg(a.ra_deg, a.dec_deg, b.ra_deg, b.dec_deg) / rig.slew_deg_s
    sides = (
        _side(rig, outlook.targets[a.name].transit_us, early.start_us),
        _side(rig, outlook.targets[b.name].transit_us, late.start_us),
    )
    slew_s += rig.flip_s if sides[0] != sides[1] else 0.0
    changes = second.filter is not None and first.filter is not None and first.filter != second.filter
    change_s = rig.filter_change_s if changes else 0.0
    return rig.settle_s + max(slew_s, change_s) if slew_s > 0 or change_s > 0 else 0.0
