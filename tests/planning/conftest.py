"""The planner's tests run the compiled search where it can be compiled."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from astrod.planning.search import library

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="session", autouse=True)
def _compiled() -> None:
    """Compile the search if this source's is not there; without a compiler CP-SAT plans."""
    if library() is None and shutil.which("cc") is not None:
        subprocess.run([sys.executable, str(ROOT / "hatch_build.py")], check=True)
        library.cache_clear()


@pytest.fixture
def search_compiled() -> None:
    """For tests of the search itself: skip where it is not there."""
    if library() is None:
        pytest.skip("no C compiler")
