"""The benchmark's problems (`../shared/bench`) in our words, and our plans in its."""

import math
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from astrod.domain.instant import SECOND_US, parse_iso
from astrod.domain.plan import Plan
from astrod.domain.site import Place
from astrod.domain.target import Request, Target
from astrod.planning.problem import Outlook, Problem, RigState, TargetOutlook
from astrod.planning.sky import foresee
from astrod.planning.timeline import without


def one_site(bench: Mapping[str, Any], seed: int, work: float) -> tuple[Problem, Outlook]:
    """A problem of one site and its outlook; each request is a target of its own, wanted once."""
    (site,) = bench["sites"]
    zero = parse_iso(bench["t0_utc"])
    mount = site["mount"]
    rig = RigState(
        name=site["id"],
        readout_s=0.0,
        settle_s=mount["settle_s"],
        filter_change_s=mount["filter_change_s"],
        slew_deg_s=mount["slew_deg_s"],
        flip_s=mount["flip_s"],
        past_meridian_s=mount["ha_past_deg"] * 239.3,
        filter=site["initial_filter"],
    )
    start, end = (zero + round(second * SECOND_US) for second in site["night_s"])
    problem = Problem(
        place=Place(site["lat_deg"], site["lon_deg"], site["height_m"]),
        rigs=(rig,),
        targets=tuple(_target(row) for row in bench["requests"]),
        now_us=start,
        end_us=end,
        seed=seed,
        work=work,
    )
    seen = foresee(problem)
    rows = {row["id"]: row for row in bench["requests"]}
    return problem, replace(
        seen,
        targets={
            name: _as_judged(seen_of, rows[name], zero, bench["quality_exp"]) for name, seen_of in seen.targets.items()
        },
    )


def _target(row: Mapping[str, Any]) -> Target:
    return Target(
        name=row["id"],
        ra_deg=row["ra_deg"],
        dec_deg=row["dec_deg"],
        requests=(Request(row["id"], row["id"], row["duration_s"], 1, row["filter"]),),
        priority=row["value"] / row["duration_s"],
        min_altitude_deg=max(row["min_alt_deg"], math.degrees(math.asin(1.0 / row["max_airmass"]))),
        min_moon_deg=row["min_moon_sep_deg"],
    )


def _as_judged(seen: TargetOutlook, row: Mapping[str, Any], zero_us: int, exponent: float) -> TargetOutlook:
    """An outlook with the benchmark's own windows and quality."""
    wanted = [tuple(zero_us + round(second * SECOND_US) for second in window) for window in row["windows_s"]]
    closed: list[tuple[int, int]] = []
    edge = 0
    for start, end in sorted(wanted):
        closed.append((edge, start))
        edge = end
    closed.append((edge, 2 * zero_us))
    sines = (max(0.0, math.sin(math.radians(altitude))) for altitude in seen.altitude_deg)
    return replace(
        seen,
        windows=without(seen.windows, closed),
        quality=tuple(sine**exponent for sine in sines),
    )


def as_judged(plan: Plan, bench: Mapping[str, Any]) -> dict[str, Any]:
    """A plan as the judge reads it."""
    zero = parse_iso(bench["t0_utc"])
    site = bench["sites"][0]["id"]
    return {
        "observations": [
            {"request": slot.request, "site": site, "start_s": (slot.start_us - zero) / SECOND_US}
            for slot in plan.slots
        ]
    }
