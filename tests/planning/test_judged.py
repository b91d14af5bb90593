"""The benchmark's judge, which knows nothing of us, on our plan of its smallest problem."""

import importlib
import json
import sys
from pathlib import Path

import pytest

from astrod.planning.solve import make_plan
from tests.planning.judged import as_judged, one_site

BENCH = Path(__file__).parents[3] / "shared" / "bench"
GREEDY_INSERTION = 302.7
ASTROPLAN_PRIORITY = 297.0


@pytest.mark.skipif(not (BENCH / "check_plan.py").exists(), reason="needs the benchmark kept beside the project")
@pytest.mark.filterwarnings("ignore")  # the judge's own
def test_thirty_targets_at_pujalt_beat_greedy_and_astroplan(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(BENCH))
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    judge = importlib.import_module("check_plan")
    bench = json.loads((BENCH / "problems" / "s30_pujalt.json").read_text(encoding="utf-8"))
    problem, outlook = one_site(bench, seed=1, work=1.0)
    verdict = judge.check(bench, as_judged(make_plan(problem, outlook), bench))
    assert verdict["violations"] == []
    assert verdict["value"] > GREEDY_INSERTION > ASTROPLAN_PRIORITY
