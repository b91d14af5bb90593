"""Killed at any moment, the archive has kept every promise it made."""

import os
import random
import subprocess
import sys
from pathlib import Path

from astrod.archive.archive import Archive
from tests.archive import crasher

KILLS = 15


def run_and_kill(path: Path, lines: int, wait_s: float) -> list[tuple[str, str]]:
    """What the process said before it was killed, some time after so many lines."""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(p for p in sys.path if p)}
    command = [sys.executable, crasher.__file__, str(path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment) as process:
        assert process.stdout is not None
        said = [process.stdout.readline() for _ in range(lines)]
        try:
            process.wait(wait_s)
        except subprocess.TimeoutExpired:
            process.kill()
        said += process.stdout.readlines()
    whole = [line.split() for line in said if line.endswith("\n")]
    return [(step, exposure) for step, exposure in whole]


def test_every_promise_outlasts_a_kill(tmp_path: Path) -> None:
    path, chance = tmp_path / "archive.db", random.Random(7)
    promised: dict[str, set[str]] = {"begun": set(), "taken": set(), "judged": set()}
    for _ in range(KILLS):
        before = len(promised["begun"])
        for step, exposure in run_and_kill(path, chance.randrange(1, 9), chance.uniform(0.0, 0.03)):
            assert exposure not in promised[step], f"{exposure} was {step} twice"
            promised[step].add(exposure)
        assert len(promised["begun"]) > before
        archive = Archive.open(path)
        rows = archive.frames()
        assert promised["begun"] <= {str(row.id) for row in rows}
        assert promised["taken"] <= {str(row.id) for row in rows if row.taken}
        assert promised["judged"] <= {str(row.id) for row in rows if row.kept}
        assert [row.id.counter for row in rows] == list(range(1, len(rows) + 1))
        assert archive.integrity() == []
        archive.close()
    assert 0 < len(promised["judged"]) <= len(promised["taken"]) <= len(promised["begun"])
