"""Compile the planner's search for the wheel, or in place: `python hatch_build.py`.

A machine without a C compiler gets a wheel without it; astrod then plans with CP-SAT, less well, and says so.
"""

import hashlib
import os
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any

try:
    from hatchling.builders.hooks.plugin.interface import BuildHookInterface
except ImportError:  # run by hand, where hatchling is not installed
    BuildHookInterface = object  # type: ignore[assignment,misc]

FOLDER = Path("daemon/astrod/planning")
SOURCES = ("_bound.c", "_night.h", "_search.c")
FLAGS = ("-std=c11", "-O2", "-ffp-contract=off", "-shared", "-fPIC", "-Wall", "-Wextra")


def compiled(root: Path) -> Path | None:
    """Compile the search next to its source; None, with a line on stderr, when that cannot be done here."""
    sources = [root / FOLDER / name for name in SOURCES]
    library = root / FOLDER / "_search.so"
    digest = hashlib.sha256(b"".join(source.read_bytes() for source in sources)).hexdigest()
    units = [str(source) for source in sources if source.suffix == ".c"]
    fresh = library.with_suffix(f".{os.getpid()}")
    command = [*shlex.split(os.environ.get("CC", "cc")), *FLAGS, f'-DSOURCE_DIGEST="{digest}"']
    try:
        subprocess.run([*command, "-o", str(fresh), *units], check=True)
    except (OSError, subprocess.CalledProcessError) as fault:
        print(f"astrod: the planner's search is not compiled ({fault}); plans are made by CP-SAT", file=sys.stderr)
        return None
    fresh.replace(library)  # a process that has the old one loaded keeps it
    return library


class CustomBuildHook(BuildHookInterface):
    """Called by hatchling for wheels and for editable installs."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Compile, and have the library in the wheel, which is then for this platform only."""
        if compiled(Path(self.root)) is not None:
            build_data["artifacts"].append("*.so")
            build_data["pure_python"] = False
            build_data["infer_tag"] = True


if __name__ == "__main__":
    sys.exit(0 if compiled(Path(__file__).parent) else 1)
