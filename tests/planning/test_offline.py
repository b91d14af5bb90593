"""A plan needs no network, today or when every table has grown old."""

import os
import shutil
import socket
import subprocess
import sys
from typing import Any

import pytest

from astrod.planning.solve import make_plan, open_minutes
from tests.planning.places import PUJALT, SHOW, night_problem, target

_IN_2028 = """
from astrod.planning.solve import make_plan
from tests.planning.places import PUJALT, SHOW, night_problem, target
print(len(make_plan(night_problem(PUJALT, "2028-12-14", tuple(target(name) for name in SHOW[:6]))).slots))
"""


def test_a_night_two_years_from_now_asks_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    """No look-up, no connection, and not one warning (pytest makes them errors)."""

    def refuse(*args: Any, **kwargs: Any) -> None:
        raise AssertionError(f"the planner tried to reach {args[1:]}")

    for name in ("connect", "connect_ex", "sendto"):
        monkeypatch.setattr(socket.socket, name, refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    problem = night_problem(PUJALT, "2028-12-14", tuple(target(name, count=60) for name in SHOW[:15]))
    plan = make_plan(problem)
    assert open_minutes(plan, problem) / ((problem.end_us - problem.start_us) / 60e6) > 0.85


@pytest.mark.skipif(os.geteuid() != 0 or shutil.which("unshare") is None, reason="needs root and unshare")
def test_a_plan_is_made_in_a_world_without_network() -> None:
    run = subprocess.run(
        ["unshare", "-n", sys.executable, "-W", "error", "-c", _IN_2028],
        env=os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.returncode == 0, run.stderr[-2000:]
    assert int(run.stdout) > 10
