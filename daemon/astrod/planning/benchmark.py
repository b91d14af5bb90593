"""The scheduling benchmark's format, `astrod-bench-1`: a problem as a night's work, and a plan as its judge reads it.

One night, one or more sites, seconds from `t0_utc`, requests with values, windows and limits, and groups of requests.
"""

import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from astrod.domain.instant import SECOND_US, parse_iso
from astrod.domain.site import Place
from astrod.errors import InputInvalid
from astrod.planning.sky import SIDEREAL_DEG_PER_US, Visibility, visibility
from astrod.planning.visits import Chance, Floats, Group, Overheads, Placement, Visit, Work
from astrod.planning.workload import peak

FORMAT = "astrod-bench-1"
STEP_S = 120
MARGIN_MS = 1500
"""Windows are taken a little smaller than they are: the judge's ephemerides and ours differ by arcseconds."""
HORIZON_MOST_S = 7 * 86_400.0
HALF_SIDEREAL_DAY_MS = 43_082_045.252
KINDS = ("any", "same", "different", "different_consecutive")


def read(path: Path) -> Mapping[str, Any]:
    """A problem from a file. Raises InputInvalid, naming what is wrong and where."""
    try:
        bench = json.loads(path.read_text(encoding="utf-8"))
    except OSError as fault:
        raise InputInvalid(f"{path}: cannot be read: {fault.strerror or fault}") from fault
    except ValueError as fault:
        raise InputInvalid(f"{path}: is not JSON: {fault}") from fault
    if not isinstance(bench, dict) or bench.get("format") != FORMAT:
        raise InputInvalid(f'{path}: is no problem of format {FORMAT!r}: its "format" must say so')
    try:
        check(bench)
    except InputInvalid as fault:
        raise InputInvalid(f"{path}: {fault}") from fault
    return bench


def check(bench: Mapping[str, Any]) -> None:
    """Raise InputInvalid for the first thing in a problem that cannot be planned from."""
    try:
        parse_iso(bench.get("t0_utc", ""))
    except (ValueError, TypeError) as fault:
        raise InputInvalid(f"t0_utc {bench.get('t0_utc')!r} is no UTC instant like 2026-06-22T18:00:00") from fault
    _number(bench, "horizon_s", "the problem", 1.0, HORIZON_MOST_S)
    _number(bench, "quality_exp", "the problem", 0.0, 10.0)
    sites = _rows(bench, "sites")
    if not sites:
        raise InputInvalid("there is no site to observe from")
    for site in sites:
        _check_site(site, bench["horizon_s"])
    names = {site["id"] for site in sites}
    rows = _rows(bench, "requests")
    for row in rows:
        _check_request(row)
        unknown = sorted(set(row["sites"]) - names)
        if unknown:
            raise InputInvalid(f"request {row['id']}: its site {unknown[0]!r} is not among the problem's")
    _check_groups(_rows(bench, "groups"), {row["id"] for row in rows})


def _rows(bench: Mapping[str, Any], key: str) -> list[dict[str, Any]]:
    """A list of objects, each with an id of its own."""
    rows = bench.get(key)
    if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
        raise InputInvalid(f"{key!r} must be a list of objects")
    names = [row.get("id") for row in rows]
    if not all(isinstance(name, str) and name for name in names):
        raise InputInvalid(f"one of the {key} has no id")
    twice = sorted({str(name) for name in names if names.count(name) > 1}) if len(set(names)) < len(names) else []
    if twice:
        raise InputInvalid(f"{twice[0]!r} stands twice among the {key}; ids must differ")
    return rows


def _number(row: Mapping[str, Any], key: str, whose: str, low: float, high: float) -> float:
    value = row.get(key)
    if isinstance(value, bool) or not isinstance(value, int | float) or not low <= value <= high:
        raise InputInvalid(f"{whose}: {key} is {value!r}; it must be a number from {low:g} to {high:g}")
    return float(value)


def _span(span: object, whose: str, key: str) -> None:
    fine = isinstance(span, list) and len(span) == 2
    if not fine or not all(isinstance(edge, int | float) and math.isfinite(edge) for edge in span):  # type: ignore[attr-defined]
        raise InputInvalid(f"{whose}: {key} holds {span!r}; it must be a pair of seconds, [from, to]")


def _check_site(site: Mapping[str, Any], horizon_s: float) -> None:
    whose = f"site {site['id']}"
    _number(site, "lat_deg", whose, -90.0, 90.0)
    _number(site, "lon_deg", whose, -360.0, 360.0)
    _number(site, "height_m", whose, -500.0, 9000.0)
    _span(site.get("night_s"), whose, "night_s")
    if not 0.0 <= site["night_s"][0] <= site["night_s"][1] <= horizon_s:
        raise InputInvalid(f"{whose}: night_s {site['night_s']} must lie within 0 and the horizon, {horizon_s:g}")
    mount = site.get("mount")
    if not isinstance(mount, dict):
        raise InputInvalid(f"{whose}: has no mount")
    _number(mount, "slew_deg_s", whose, 0.001, 1000.0)
    for key in ("settle_s", "flip_s", "filter_change_s"):
        _number(mount, key, whose, 0.0, 36_000.0)
    _number(mount, "ha_past_deg", whose, 0.0, 180.0)


def _check_request(row: Mapping[str, Any]) -> None:
    whose = f"request {row['id']}"
    _number(row, "ra_deg", whose, 0.0, 360.0)
    _number(row, "dec_deg", whose, -90.0, 90.0)
    _number(row, "duration_s", whose, 0.001, 86_400.0)
    _number(row, "min_alt_deg", whose, -90.0, 90.0)
    _number(row, "max_airmass", whose, 1.0, 1000.0)
    _number(row, "min_moon_sep_deg", whose, 0.0, 180.0)
    _number(row, "value", whose, 0.0, 1e12)
    if not isinstance(row.get("filter"), str | None):
        raise InputInvalid(f"{whose}: filter is {row['filter']!r}; it must be a name, or null for none")
    for key in ("sites", "windows_s"):
        if not isinstance(row.get(key), list):
            raise InputInvalid(f"{whose}: {key} must be a list")
    if not all(isinstance(name, str) for name in row["sites"]):
        raise InputInvalid(f"{whose}: sites must be names")
    for span in row["windows_s"]:
        _span(span, whose, "windows_s")


def _check_groups(groups: Sequence[Mapping[str, Any]], requests: set[str]) -> None:
    seen: set[str] = set()
    for group in groups:
        whose, members = f"group {group['id']}", group.get("members")
        if not isinstance(members, list) or not members:
            raise InputInvalid(f"{whose}: has no members")
        for name in members:
            if name not in requests:
                raise InputInvalid(f"{whose}: its member {name!r} is no request of the problem")
            if name in seen:
                raise InputInvalid(f"{whose}: its member {name!r} is in a group already")
            seen.add(name)
        _number(group, "bonus", whose, 0.0, 1e12)
        if group.get("site_rule") not in KINDS:
            raise InputInvalid(f"{whose}: site_rule {group.get('site_rule')!r} is none of {', '.join(KINDS)}")
        if group.get("type") == "simultaneous":
            _number(group, "start_tol_s", whose, 0.0, 86_400.0)
        else:
            _number(group, "min_gap_s", whose, -86_400.0, HORIZON_MOST_S)
            _number(group, "max_gap_s", whose, -86_400.0, HORIZON_MOST_S)


def work_of(bench: Mapping[str, Any]) -> Work:
    """A problem, once checked, as a night's work; its zero is the problem's."""
    zero = parse_iso(bench["t0_utc"])
    visits = tuple(
        Visit(row["id"], row["ra_deg"] % 360.0, row["dec_deg"], row["filter"], math.ceil(row["duration_s"] * 1000))
        for row in bench["requests"]
    )
    index = {visit.name: at for at, visit in enumerate(visits)}
    values = np.zeros((len(bench["sites"]), len(visits), math.ceil(bench["horizon_s"] / STEP_S) + 2))
    return Work(
        rigs=tuple(_overheads(site) for site in bench["sites"]),
        visits=visits,
        groups=tuple(_group(row, index) for row in bench["groups"]),
        chances=tuple(_offers(bench, site, zero, values[at]) for at, site in enumerate(bench["sites"])),
        values=values,
        step_ms=STEP_S * 1000,
    )


def _overheads(site: Mapping[str, Any]) -> Overheads:
    """A site's mount. What the format calls settling is due after every visit, as our read-out is."""
    mount = site["mount"]
    return Overheads(
        name=site["id"],
        slew_deg_s=mount["slew_deg_s"],
        readout_ms=math.ceil(mount["settle_s"] * 1000),
        settle_ms=0,
        flip_ms=math.ceil(mount["flip_s"] * 1000),
        change_ms=math.ceil(mount["filter_change_s"] * 1000),
        ready_ms=math.ceil(site["night_s"][0] * 1000),
    )


def _group(row: Mapping[str, Any], index: Mapping[str, int]) -> Group:
    together = row["start_tol_s"] if row["type"] == "simultaneous" else None
    rule = row["site_rule"]
    return Group(
        name=row["id"],
        members=tuple(index[name] for name in row["members"]),
        bonus=row["bonus"],
        least_gap_ms=math.ceil(row.get("min_gap_s", 0.0) * 1000),
        most_gap_ms=math.floor(row.get("max_gap_s", 0.0) * 1000),
        together_ms=None if together is None else math.floor(together * 1000),
        rule="different" if rule == "different_consecutive" else rule,
        whole=bool(row.get("all_or_nothing")),
    )


def _offers(
    bench: Mapping[str, Any], site: Mapping[str, Any], zero_us: int, values: Floats
) -> tuple[tuple[Chance, ...], ...]:
    """Each request's chances at one site; what it is worth there by its start is written into `values`."""
    rows = bench["requests"]
    begin, end = (round(second * SECOND_US) for second in site["night_s"])
    grid = np.linspace(begin, end, max(1, math.ceil((end - begin) / (STEP_S * SECOND_US))) + 1).astype(np.int64)
    if not rows or begin >= end:
        return ((),) * len(rows)
    place = Place(site["lat_deg"], (site["lon_deg"] + 180.0) % 360.0 - 180.0, site["height_m"])
    ra, dec = (np.array([row[key] for row in rows], dtype=np.float64) for key in ("ra_deg", "dec_deg"))
    seen = visibility(place, ra, dec, grid + zero_us)
    ms = (grid / 1000.0).astype(np.float64)
    instants: Floats = np.arange(values.shape[1], dtype=np.float64) * (STEP_S * 1000)
    past_ms = site["mount"]["ha_past_deg"] / SIDEREAL_DEG_PER_US / 1000.0
    offers: list[tuple[Chance, ...]] = []
    for at, row in enumerate(rows):
        if site["id"] not in row["sites"]:
            offers.append(())
            continue
        duration_ms = row["duration_s"] * 1000.0
        sines = np.clip(np.sin(np.radians(seen.altitude_deg[at])), 0.0, 1.0)
        values[at] = row["value"] * np.interp(instants + duration_ms / 2, ms, sines) ** bench["quality_exp"]
        spans = _spans(ms, _margin(row, seen, at), row["windows_s"])
        transit_ms = (int(seen.transit_us[at]) - zero_us) / 1000.0
        offers.append(tuple(_chances(spans, duration_ms, transit_ms, past_ms, instants, values[at])))
    return tuple(offers)


def _margin(row: Mapping[str, Any], seen: Visibility, at: int) -> Floats:
    """By how many degrees a request is within its limits. A moon below the horizon troubles nobody."""
    floor = max(row["min_alt_deg"], math.degrees(math.asin(1.0 / row["max_airmass"])))
    moon = np.maximum(seen.moon_deg[at] - row["min_moon_sep_deg"], -seen.moon.altitude_deg)
    return np.asarray(np.minimum(seen.altitude_deg[at] - floor, moon), dtype=np.float64)


def _spans(ms: Floats, margin: Floats, windows: Sequence[Sequence[float]]) -> list[tuple[float, float]]:
    """The intervals in which a margin is not negative, within the windows asked for."""
    good = margin >= 0.0
    edges = np.flatnonzero(good[1:] != good[:-1])
    zeros = ms[edges] + margin[edges] / (margin[edges] - margin[edges + 1]) * (ms[edges + 1] - ms[edges])
    marks = ([float(ms[0])] if good[0] else []) + zeros.tolist() + ([float(ms[-1])] if good[-1] else [])
    found = [
        (max(start, opens * 1000.0), min(end, shuts * 1000.0))
        for start, end in zip(marks[::2], marks[1::2], strict=True)
        for opens, shuts in windows
    ]
    return [span for span in found if span[0] < span[1]]


def _chances(
    spans: Sequence[tuple[float, float]],
    duration_ms: float,
    transit_ms: float,
    past_ms: float,
    instants: Floats,
    values: Floats,
) -> list[Chance]:
    """Spans of starts, cut where the telescope changes sides: half a sidereal day each, odd ones in the east."""
    found = []
    for start, end in spans:
        first, last = start + MARGIN_MS, end - duration_ms - MARGIN_MS
        for half in range(-15, 16):
            opens = transit_ms + half * HALF_SIDEREAL_DAY_MS
            shuts = opens + HALF_SIDEREAL_DAY_MS - 1.0
            if half % 2:
                shuts = min(shuts, opens + HALF_SIDEREAL_DAY_MS + past_ms - duration_ms - MARGIN_MS)
            low, high = math.ceil(max(first, opens)), math.floor(min(last, shuts))
            if low <= high:
                found.append(Chance(low, high, half % 2, peak(low, high, instants, values)))
    return found


def plan_of(work: Work, placements: Sequence[Placement]) -> dict[str, Any]:
    """A plan as the judge reads it."""
    return {
        "observations": [
            {
                "request": work.visits[placement.visit].name,
                "site": work.rigs[placement.rig].name,
                "start_s": placement.start_ms / 1000.0,
            }
            for placement in placements
        ]
    }
