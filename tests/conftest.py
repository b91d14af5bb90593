"""For all tests: what waits longest begins first, so that no worker is left with it at the end.

Hypothesis draws the same examples on each run; `make soak` is where chance is let in.
"""

import pytest
from hypothesis import settings

settings.register_profile("steady", derandomize=True, deadline=None)
settings.load_profile("steady")

FIRST = ("rehearsal", "twins", "alpaca night", "alpaca-simulators", "kill", "server dies", "powercut")
"""Groups of tests that take minutes, the longest first: most of that is waiting for hardware in real time."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """A stable order: FIRST, then what is slow by the time it is allowed, then all else as it stands."""
    items.sort(key=_haste)


def _haste(item: pytest.Item) -> tuple[int, float]:
    group = item.get_closest_marker("xdist_group")
    if group is not None and group.args[0] in FIRST:
        return FIRST.index(group.args[0]), 0.0
    allowed = item.get_closest_marker("timeout")
    slow = item.get_closest_marker("slow") is not None
    return len(FIRST), -float(allowed.args[0]) if allowed and slow else 0.0
