"""`astrod bench plan`: how good the planner is, on problems with a judge of their own."""

import argparse
import json
import sys
from pathlib import Path
from typing import Any

from astrod.cli import exits
from astrod.cli.ink import line, show
from astrod.cli.verb import Verb

STARTING_S = 2.4
"""The CPU that starting takes, astropy's tables included, on a desktop: it counts against the seconds given."""


def _seconds(text: str) -> float:
    value = float(text)
    if not 0.0 < value <= 86_400.0:
        raise ValueError(text)
    return value


def _plan(args: argparse.Namespace) -> int:
    import resource

    from astrod.planning.benchmark import plan_of, read, work_of
    from astrod.planning.search import solve
    from astrod.runtime.clock import cpu_s

    bench = read(args.problem)
    work = work_of(bench)
    begun_s = cpu_s()
    left_s = max(args.cpu_seconds - max(begun_s, STARTING_S), 0.02 * args.cpu_seconds)
    solved = solve(work, args.seed, left_s, guard_s=max(left_s, args.cpu_seconds - begun_s))
    args.out.write_text(json.dumps(plan_of(work, solved.placements)) + "\n", encoding="utf-8")
    found: dict[str, Any] = {
        "problem": bench.get("name", args.problem.stem),
        "value": round(solved.value, 4),
        "bound": None if solved.bound is None else round(solved.bound, 4),
        "gap": None if solved.gap is None else round(solved.gap, 5),
        "observations": len(solved.placements),
        "cpu_s": round(cpu_s(), 3),
        "solve_cpu_s": round(cpu_s() - begun_s, 3),
        "peak_mb": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024, 1),
        "seed": args.seed,
        "capped": solved.capped,
    }
    if args.json:
        print(json.dumps(found))
    else:
        proven = "no bound" if solved.gap is None else f"at most {solved.gap:.1%} below the best there is"
        show(
            [line(f" {found['problem']}: {found['value']} from {found['observations']} observations, {proven}")],
            sys.stdout,
        )
    return exits.DONE


def _plan_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("problem", type=Path, metavar="PROBLEM", help="a problem of format astrod-bench-1")
    parser.add_argument("--cpu-seconds", type=_seconds, default=10.0, metavar="S", help="CPU to spend (default 10)")
    parser.add_argument(
        "--seed", type=int, default=1, metavar="K", help="the same seed gives the same plan (default 1)"
    )
    parser.add_argument("--out", type=Path, required=True, metavar="PLAN", help="where to write the plan")


VERBS = (
    Verb(
        name="bench plan",
        summary="plan a problem of the scheduling benchmark",
        text=(
            "Reads a problem of format astrod-bench-1 (one night, one or more sites), plans it with the planner that "
            "the daemon uses, and writes the observations to PLAN. Prints the plan's value, a proven bound on any "
            "plan's value, the gap between the two, the CPU seconds and the peak memory. Work is counted in steps, so "
            "the same seed and seconds give the same plan; only a machine much slower than a desktop meets the guard "
            "on CPU seconds, and then `capped` says so. Needs no configuration and no daemon."
        ),
        example="astrod bench plan s300.json --cpu-seconds 10 --seed 1 --out plan.json --json",
        run=_plan,
        options=_plan_options,
        reads=True,
    ),
)
