"""`make mutants`: does any test notice when safety, the guard or the conductor is wrong?

    python -m tests.mutants [--jobs N] [--only WORD…]

mutmut changes one thing at a time (an operator, a number, an argument, a condition) in MUTATED, and runs the tests
that pass through the changed function, of KILLERS. It works on a copy in which the three packages lie side by side,
since mutmut knows no other layout. Prints the survivors and, at the end, one line of JSON.
"""

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections import Counter
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
MUTATED = (
    "astrod/domain/safety.py",
    "astrod/domain/night.py",
    "astrod/rig/safety/loop.py",
    "astrod/rig/safety/closing.py",
    "astrod/rig/safety/guard.py",
    "astrod/conductor.py",
)
KILLERS = ("tests/domain", "tests/rig", "tests/spine")
PACKAGES = {
    "astrod": "daemon/astrod",
    "astrod_drivers": "drivers/astrod_drivers",
    "astrod_models": "models/astrod_models",
}
KILLED = frozenset({"killed", "timeout", "suspicious", "segfault"})


def lay_out(folder: Path, mutated: list[str]) -> None:
    """The copy: packages side by side, tests, weights, and mutmut's configuration."""
    for name, source in PACKAGES.items():
        shutil.copytree(ROOT / source, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copytree(ROOT / "models/weights", folder / "astrod_models/weights", dirs_exist_ok=True)
    shutil.copytree(ROOT / "tests", folder / "tests", ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("etc", "systemd"):
        shutil.copytree(ROOT / name, folder / name)
    ours = (ROOT / "pyproject.toml").read_text()
    settings = {
        "source_paths": list(PACKAGES),
        "only_mutate": mutated,
        "pytest_add_cli_args_test_selection": list(KILLERS),
        "also_copy": [*PACKAGES, "tests", "etc", "systemd"],
    }
    lines = [f"{key} = {json.dumps(value)}" for key, value in settings.items()]
    (folder / "pyproject.toml").write_text("\n".join([ours, "[tool.mutmut]", *lines, ""]))


def run(folder: Path, jobs: int) -> None:
    """Run mutmut there; what it says goes where ours goes."""
    environment = {**os.environ, "PYTHONDONTWRITEBYTECODE": "1"}
    subprocess.run(
        [sys.executable, "-m", "mutmut", "run", "--max-children", str(jobs)], cwd=folder, env=environment, check=True
    )


def results(folder: Path) -> dict[str, Any]:
    """How many were killed, and who was not."""
    told = subprocess.run(
        [sys.executable, "-m", "mutmut", "results", "--all", "true"],
        cwd=folder,
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    found = [line.strip().rsplit(": ", 1) for line in told.splitlines() if ": " in line]
    counts = Counter(state for _, state in found)
    judged = sum(count for state, count in counts.items() if state != "skipped")
    killed = sum(count for state, count in counts.items() if state in KILLED)
    return {
        "mutants": judged,
        "killed": killed,
        "share": round(killed / judged, 4) if judged else None,
        "states": dict(counts),
        "survivors": [name for name, state in found if state not in KILLED],
    }


def main() -> int:
    """The command line; exit code 1 when fewer than 95 of a hundred are killed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--only", nargs="*", default=[], help="files whose path has one of these words in it")
    words = parser.parse_args()
    mutated = [path for path in MUTATED if not words.only or any(word in path for word in words.only)]
    with tempfile.TemporaryDirectory(prefix="astrod-mutants-") as name:
        folder = Path(name)
        lay_out(folder, mutated)
        run(folder, words.jobs)
        told = results(folder)
        for survivor in told["survivors"]:
            shown = [sys.executable, "-m", "mutmut", "show", survivor]
            print(subprocess.run(shown, cwd=folder, capture_output=True, text=True, check=False).stdout)
    print(json.dumps(told))
    return 0 if (told["share"] or 0.0) >= 0.95 else 1


if __name__ == "__main__":
    sys.exit(main())
