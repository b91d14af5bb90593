"""The benchmark's format: what it asks is understood, what is wrong with it is said, and its judge finds no fault."""

import copy
import importlib
import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from astrod.cli.main import main
from astrod.errors import InputInvalid
from astrod.planning.benchmark import check, plan_of, read, work_of
from astrod.planning.search import solve

pytestmark = pytest.mark.usefixtures("search_compiled")

BENCH = Path(__file__).parents[3] / "shared" / "bench"
GREEDY_INSERTION = {"s30_pujalt": 302.7, "m500_world": 2995.0}

SMALL: dict[str, Any] = {
    "format": "astrod-bench-1",
    "name": "small",
    "t0_utc": "2026-03-01T12:00:00",
    "horizon_s": 86400.0,
    "quality_exp": 0.8,
    "sites": [
        {
            "id": "pujalt",
            "lat_deg": 41.7,
            "lon_deg": 1.4,
            "height_m": 700.0,
            "mount": {
                "slew_deg_s": 3.0,
                "settle_s": 20.0,
                "flip_s": 90.0,
                "filter_change_s": 30.0,
                "ha_past_deg": 5.0,
            },
            "night_s": [25000.0, 60000.0],
        }
    ],
    "requests": [
        {
            "id": f"r{at}",
            "ra_deg": 120.0 + 5.0 * at,
            "dec_deg": 30.0,
            "duration_s": 600.0,
            "filter": "L" if at % 2 else None,
            "min_alt_deg": 30.0,
            "max_airmass": 2.0,
            "min_moon_sep_deg": 0.0,
            "sites": ["pujalt"],
            "windows_s": [[0.0, 86400.0]],
            "value": 5.0 + at,
        }
        for at in range(6)
    ],
    "groups": [
        {
            "id": "g0",
            "members": ["r0", "r1"],
            "bonus": 4.0,
            "type": "cadence",
            "min_gap_s": 1200.0,
            "max_gap_s": 3600.0,
            "site_rule": "any",
            "chain": True,
            "all_or_nothing": False,
        }
    ],
}


def _written(folder: Path, bench: object) -> Path:
    path = folder / "problem.json"
    path.write_text(json.dumps(bench), encoding="utf-8")
    return path


def test_the_verb_plans_a_problem_and_says_how_good_the_plan_is(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "plan.json"
    arguments = [str(_written(tmp_path, SMALL)), "--cpu-seconds", "1", "--seed", "3", "--out", str(out), "--json"]
    assert main(["bench", "plan", *arguments]) == 0
    printed = json.loads(capsys.readouterr().out)
    observed = json.loads(out.read_text(encoding="utf-8"))["observations"]
    assert printed["observations"] == len(observed) == 6
    assert 0.0 < printed["value"] <= printed["bound"]
    assert printed["gap"] < 0.1
    starts = {row["request"]: row["start_s"] for row in observed}
    assert 1200.0 <= starts["r1"] - starts["r0"] - 600.0 <= 3600.0
    assert main(["bench", "plan", *arguments]) == 0
    assert json.loads(out.read_text(encoding="utf-8"))["observations"] == observed


def _without(key: str) -> Callable[[dict[str, Any]], object]:
    return lambda bench: bench.pop(key)


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (lambda b: b.update(t0_utc="tonight"), "t0_utc 'tonight'"),
        (lambda b: b.update(horizon_s=float("nan")), "horizon_s"),
        (_without("requests"), "'requests' must be a list"),
        (lambda b: b["requests"].append(b["requests"][0]), "'r0' stands twice among the requests"),
        (lambda b: b["requests"][2].update(dec_deg=95.0), "request r2: dec_deg is 95.0"),
        (lambda b: b["requests"][2].update(duration_s="long"), "request r2: duration_s is 'long'"),
        (lambda b: b["requests"][1].update(windows_s=[[1.0]]), "request r1: windows_s holds"),
        (lambda b: b["requests"][1].update(sites=["moon"]), "its site 'moon'"),
        (lambda b: b["sites"][0].update(night_s=[60000.0, 25000.0]), "site pujalt: night_s"),
        (lambda b: b["sites"][0].pop("mount"), "site pujalt: has no mount"),
        (lambda b: b.update(sites=[]), "no site"),
        (lambda b: b["groups"][0].update(members=["r0", "r9"]), "member 'r9' is no request"),
        (lambda b: b["groups"][0].update(members=["r0", "r0"]), "in a group already"),
        (lambda b: b["groups"][0].update(site_rule="near"), "site_rule 'near'"),
        (lambda b: b["groups"][0].pop("min_gap_s"), "group g0: min_gap_s"),
    ],
)
def test_what_is_wrong_with_a_problem_is_said(spoil: Callable[[dict[str, Any]], object], said: str) -> None:
    bench = copy.deepcopy(SMALL)
    spoil(bench)
    with pytest.raises(InputInvalid) as fault:
        check(bench)
    assert said in str(fault.value)


@pytest.mark.parametrize("text", ["", "[]", '{"format": "another"}', "{"])
def test_a_file_that_is_no_problem_is_named(tmp_path: Path, text: str, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "bad.json"
    path.write_text(text, encoding="utf-8")
    assert main(["bench", "plan", str(path), "--out", str(tmp_path / "plan.json")]) == 1
    assert "bad.json" in capsys.readouterr().err
    assert main(["bench", "plan", str(tmp_path / "none.json"), "--out", str(tmp_path / "plan.json")]) == 1


def test_a_night_of_nothing_and_targets_that_never_rise_are_no_fault() -> None:
    bench = copy.deepcopy(SMALL)
    bench["sites"][0]["night_s"] = [30000.0, 30000.0]
    assert solve(work_of(bench), 1, 0.01).placements == ()
    bench = copy.deepcopy(SMALL)
    bench["requests"][3]["dec_deg"] = -80.0
    work = work_of(bench)
    served = {row["request"] for row in plan_of(work, solve(work, 1, 0.01).placements)["observations"]}
    assert served == {"r0", "r1", "r2", "r4", "r5"}


@pytest.mark.skipif(not (BENCH / "check_plan.py").exists(), reason="needs the benchmark kept beside the project")
@pytest.mark.filterwarnings("ignore")  # the judge's own
@pytest.mark.parametrize("name", sorted(GREEDY_INSERTION))
def test_the_judge_finds_no_fault(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Half a second's work on one site and on five, with cadences, relays and simultaneous pairs."""
    monkeypatch.syspath_prepend(str(BENCH))
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    judge = importlib.import_module("check_plan")
    bench = read(BENCH / "problems" / f"{name}.json")
    solved = solve(work := work_of(bench), 1, 0.5)
    verdict = judge.check(bench, plan_of(work, solved.placements))
    assert verdict["violations"] == []
    assert verdict["value"] == pytest.approx(solved.value, rel=1e-4)
    assert verdict["value"] > 1.03 * GREEDY_INSERTION[name]
