"""Each way in which others lost a night has its row here, and each test that a row names is there."""

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
ROWS = {f"S{number}" for number in range(1, 15)} | {str(number) for number in range(1, 50)}
"""The holes and the reports of the survey that this table answers."""

_ROW = re.compile(r"^\| (S?\d+) \| (.*?) \| (.*) \|$", re.MULTILINE)
_TEST = re.compile(r"`(tests/[\w/]+\.py)::(\w+)`")


def rows() -> dict[str, str]:
    """All rows: number to what it says."""
    parts = sorted(Path(__file__).parent.glob("*.md"))
    return {row[1]: row[2] for part in parts for row in _ROW.finditer(part.read_text(encoding="utf-8"))}


def test_every_row_is_answered() -> None:
    assert ROWS - set(rows()) == set()


def test_every_answer_names_a_test_or_says_that_it_does_not_apply() -> None:
    wrong = [
        number for number, text in rows().items() if not _TEST.search(text) and not text.startswith("does not apply")
    ]
    assert wrong == []


def test_the_tests_that_are_named_are_there() -> None:
    parts = sorted(Path(__file__).parent.glob("*.md"))
    named = {found for part in parts for found in _TEST.findall(part.read_text(encoding="utf-8"))}
    missing = [f"{path}::{name}" for path, name in sorted(named) if not _defines(ROOT / path, name)]
    assert missing == []


def _defines(path: Path, name: str) -> bool:
    return path.is_file() and re.search(rf"^ *(async )?def {name}\(", path.read_text(), re.MULTILINE) is not None
