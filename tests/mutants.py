"""`make mutants`: does any test notice when safety, the guard or the conductor is wrong?

    python -m tests.mutants [--folder FOLDER] [--jobs N] [--only WORD…] [--again]

mutmut changes one thing at a time (an operator, a number, an argument, a condition) in the files of a `Share`, and
runs the tests among the share's killers that pass through the changed function, the quickest first. It works on a copy
in which the three packages lie side by side, since mutmut knows no other layout. What was judged is kept in FOLDER
until the function changes, so that a run can be broken off and taken up again; `--again` judges the survivors anew,
after a test was written. Prints the survivors and, at the end, one line of JSON.
"""

import argparse
import json
import os
import shutil
import subprocess
import sys
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
KEPT = ROOT / ".mutants"
ENOUGH = 0.95


@dataclass(frozen=True)
class Share:
    """Files that are changed together, and the tests that should notice: quick ones, of the same part."""

    name: str
    mutated: tuple[str, ...]
    killers: tuple[str, ...]


SAFETY = "astrod/rig/safety"
SHARES = (
    Share(
        "domain",
        ("astrod/domain/safety.py", "astrod/domain/night.py"),
        ("tests/domain/test_safety.py", "tests/domain/test_night.py"),
    ),
    Share(
        "safety",
        tuple(
            f"{SAFETY}/{name}.py"
            for name in ("loop", "closing", "clearance", "roof", "guard", "hardware", "power", "problem", "memory")
        ),
        (
            "tests/rig/test_safety.py",
            "tests/rig/test_safety_closing.py",
            "tests/rig/test_safety_roof.py",
            "tests/rig/test_safety_sources.py",
            "tests/rig/test_safety_memory.py",
            "tests/rig/test_safety_parts.py",
            "tests/rig/test_safety_report.py",
        ),
    ),
    Share(
        "conductor", ("astrod/conductor.py",), ("tests/spine/test_conductor.py", "tests/spine/test_conductor_duties.py")
    ),
)
PACKAGES = {
    "astrod": "daemon/astrod",
    "astrod_drivers": "drivers/astrod_drivers",
    "astrod_models": "models/astrod_models",
}
BESIDE = ("tests", "etc", "systemd")
UNREAD = (r"^\s*log\.\w+\(",)
"""What is logged for people to read is nobody's contract; findings and reports, which are, do not begin so."""
KILLED = frozenset({"killed", "timeout", "segfault"})
PATIENCE = 4.0
"""How many times as long as its tests usually take a mutant may go on: one that waits for ever burns CPU meanwhile."""
PYTEST = ("-p", "no:cacheprovider", "-p", "no:xdist", "--timeout", "600")


def lay_out(folder: Path, share: Share) -> None:
    """The copy: packages side by side, tests, weights, and mutmut's configuration; mutmut's own folder is left."""
    folder.mkdir(parents=True, exist_ok=True)
    unwanted = shutil.ignore_patterns("__pycache__")
    for name, source in {**PACKAGES, **{name: name for name in BESIDE}}.items():
        shutil.rmtree(folder / name, ignore_errors=True)
        shutil.copytree(ROOT / source, folder / name, ignore=unwanted)
    shutil.copytree(ROOT / "models/weights", folder / "astrod_models/weights", dirs_exist_ok=True)
    settings = {
        "source_paths": list(PACKAGES),
        "only_mutate": list(share.mutated),
        "do_not_mutate_patterns": list(UNREAD),
        "pytest_add_cli_args": list(PYTEST),
        "pytest_add_cli_args_test_selection": list(share.killers),
        "also_copy": list(BESIDE),
        "use_git_change_detection": False,
        "timeout_multiplier": PATIENCE,
    }
    lines = [f"{key} = {json.dumps(value)}" for key, value in settings.items()]
    ours = (ROOT / "pyproject.toml").read_text()
    (folder / "pyproject.toml").write_text("\n".join([ours, "[tool.mutmut]", *lines, ""]))


def mend(folder: Path) -> None:
    """Forget verdicts that are no JSON, since a run that was broken off may leave a file half written, and which tests
    pass through which function: both may have changed.
    """
    (folder / "mutants" / "mutmut-stats.json").unlink(missing_ok=True)
    for kept in (folder / "mutants").rglob("*.meta"):
        try:
            json.loads(kept.read_text())
        except ValueError:
            print(f"{kept.name}: half written, and judged again")
            kept.unlink()
            kept.with_suffix("").unlink(missing_ok=True)  # or mutmut takes it for done


def _mutmut(folder: Path, *words: str, **more: Any) -> "subprocess.CompletedProcess[str]":
    return subprocess.run([sys.executable, "-m", "mutmut", *words], cwd=folder, text=True, **more)


def judge(folder: Path, jobs: int, names: Iterable[str] = ()) -> None:
    """Run mutmut there, on all that is not judged yet or on these; what it says goes where ours goes."""
    environment = {**os.environ, "PYTHONDONTWRITEBYTECODE": "1"}
    _mutmut(folder, "run", "--max-children", str(jobs), *names, env=environment, check=True)


SHOW = """
import json, sys
from mutmut.mutation.diff_apply import find_mutant, get_diff_for_mutant
for name in json.load(sys.stdin):
    print(name, get_diff_for_mutant(name, path=find_mutant(name).path), sep="\\n")
"""
"""What `mutmut show` does, for many mutants in one process."""


def show(folder: Path, names: list[str]) -> None:
    """Print what was changed in each."""
    subprocess.run([sys.executable, "-c", SHOW], cwd=folder, input=json.dumps(names), text=True, check=True)


def states(folder: Path) -> dict[str, str]:
    """What became of each mutant."""
    told = _mutmut(folder, "results", "--all", "true", capture_output=True, check=True).stdout
    found = [line.strip().rsplit(": ", 1) for line in told.splitlines() if ": " in line]
    return {name: state for name, state in found if state != "skipped"}


def survivors(found: dict[str, str]) -> list[str]:
    """The mutants that no test noticed."""
    return [name for name, state in found.items() if state not in KILLED]


def summed(found: dict[str, str]) -> dict[str, Any]:
    """How many were killed, and who was not."""
    alive = survivors(found)
    killed = len(found) - len(alive)
    return {
        "mutants": len(found),
        "killed": killed,
        "share": round(killed / len(found), 4) if found else None,
        "states": dict(Counter(found.values())),
        "survivors": alive,
    }


def main() -> int:
    """The command line; exit code 1 when fewer than ENOUGH are killed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--folder", type=Path, default=KEPT, help="where the copies are, and what was judged")
    parser.add_argument("--jobs", type=int, default=1)
    parser.add_argument(
        "--only", nargs="*", default=[], help="the shares to judge: " + ", ".join(s.name for s in SHARES)
    )
    parser.add_argument("--again", action="store_true", help="judge the survivors of an earlier run anew")
    words = parser.parse_args()
    found: dict[str, str] = {}
    for share in SHARES:
        if words.only and share.name not in words.only:
            continue
        folder = words.folder.resolve() / share.name
        lay_out(folder, share)
        mend(folder)
        if words.again and (again := survivors(states(folder))):
            judge(folder, words.jobs, again)
        judge(folder, words.jobs)
        here = states(folder)
        show(folder, survivors(here))
        found |= here
    told = summed(found)
    print(json.dumps(told))
    return 0 if (told["share"] or 0.0) >= ENOUGH else 1


if __name__ == "__main__":
    sys.exit(main())
