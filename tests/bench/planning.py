"""What planning costs: CPU seconds for the sky, the first plan, a plan again, warm and cold, and a decision.

    python -m tests.bench.planning [WORK]

Prints one JSON object per case. CPU seconds of one process on one worker; imports are counted apart.
"""

import json
import resource
import sys
import time
from collections.abc import Callable
from dataclasses import replace

from astrod.domain.instant import HOUR_US, MINUTE_US
from astrod.planning.current import Situation, next_exposure
from astrod.planning.problem import Problem
from astrod.planning.search import STEPS_PER_S, pack, search, solve
from astrod.planning.visits import Work
from tests.planning.test_replan import alerted, closed, still_legal, without_a_filter
from tests.planning.test_search import drawn


def _spent(begun_s: float) -> float:
    return round(time.process_time() - begun_s, 3)


def _measured(problem: Problem) -> dict[str, object]:
    from astrod.planning.sky import foresee
    from astrod.planning.solve import make_plan, open_minutes

    begun = time.process_time()
    outlook = foresee(problem)
    sky_s, begun = _spent(begun), time.process_time()
    plan = make_plan(problem, outlook)
    plan_s, begun = _spent(begun), time.process_time()
    again = make_plan(replace(problem, now_us=problem.start_us + 4 * HOUR_US), outlook)
    again_s, begun = _spent(begun), time.process_time()
    situation = Situation(problem, outlook, {})
    instants = range(problem.start_us, problem.end_us, 5 * MINUTE_US)
    for now in instants:
        next_exposure(plan, situation, problem.rigs[0].name, now)
    dark = (problem.end_us - problem.start_us) / MINUTE_US
    return {
        "targets": len(problem.targets),
        "frames": sum(slot.exposures for slot in plan.slots),
        "by": plan.by,
        "open_share": round(open_minutes(plan, problem) / dark, 3),
        "sky_cpu_s": sky_s,
        "plan_cpu_s": plan_s,
        "again_cpu_s": again_s,
        "again_slots": len(again.slots),
        "decision_ms": round(1000 * (time.process_time() - begun) / len(instants), 3),
        "value": round(sum(slot.value for slot in plan.slots)),
    }


def _windows() -> dict[str, object]:
    """A thousand targets' windows in a night of ten hours, of altitude and Moon."""
    import numpy as np

    from astrod.planning.sky import margins_deg, runs, visibility
    from tests.planning.places import LA_PALMA, night_problem, target

    sky = np.random.default_rng(4)
    ra, dec = sky.uniform(0.0, 360.0, 1000), sky.uniform(-60.0, 89.0, 1000)
    problem = night_problem(LA_PALMA, "2026-12-14", (target("M42"),))
    grid = np.linspace(problem.start_us, problem.end_us, 331).astype(np.int64)
    begun = time.process_time()
    seen = visibility(LA_PALMA, ra, dec, grid)
    found = runs(grid, margins_deg(seen, np.full(1000, 30.0), np.full(1000, 30.0)))
    return {"targets": 1000, "with_windows": sum(map(bool, found)), "cpu_s": _spent(begun)}


def _replanned(change: Callable[[Work], Work]) -> dict[str, object]:
    """A plan of 300 visits after a change: warm, against ten times the work from scratch."""
    work = drawn(21, 300)
    former = solve(work, 1, 3.0)
    changed = change(work)
    begun = time.process_time()
    packed = pack(changed)
    warm = search(packed, 2, round(0.25 * STEPS_PER_S), still_legal(changed, former.placements))
    warm_s, begun = _spent(begun), time.process_time()
    cold = search(packed, 2, round(2.5 * STEPS_PER_S))
    return {"share": round(warm.value / cold.value, 4), "warm_cpu_s": warm_s, "cold_cpu_s": _spent(begun)}


def main() -> None:
    """Run the cases."""
    begun = time.process_time()
    from tests.planning.places import CERRO_TOLOLO, PUJALT, SHOW, night_problem, target

    print(json.dumps({"case": "import", "cpu_s": _spent(begun)}))
    work = float(sys.argv[1]) if len(sys.argv) > 1 else 0.5
    for place, night in ((PUJALT, "2026-12-14"), (CERRO_TOLOLO, "2026-07-01")):
        for count in (5, 10, 20, 30):
            targets = tuple(target(name, filters="LRGB", priority=1.0 + at % 3) for at, name in enumerate(SHOW[:count]))
            problem = replace(night_problem(place, night, targets), work=work)
            print(json.dumps({"case": night, **_measured(problem)}))
    print(json.dumps({"case": "windows", **_windows()}))
    for name, change in (("closure", closed), ("no filter", without_a_filter), ("alert", alerted)):
        print(json.dumps({"case": f"replan: {name}", **_replanned(change)}))
    peak_mb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
    print(json.dumps({"case": "memory", "peak_mb": peak_mb}))


if __name__ == "__main__":
    main()
