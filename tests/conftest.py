"""For all tests: the slow ones first, so that they wait for their hardware while the others run.

Hypothesis draws the same examples on each run; `make soak` is where chance is let in.
"""

import pytest
from hypothesis import settings

settings.register_profile("steady", derandomize=True, deadline=None)
settings.load_profile("steady")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """A stable order: the longest first, by the time they are allowed, then as they stand."""
    items.sort(key=_haste)


def _haste(item: pytest.Item) -> float:
    allowed = item.get_closest_marker("timeout")
    return -float(allowed.args[0]) if allowed and item.get_closest_marker("slow") else 0.0
