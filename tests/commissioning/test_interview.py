"""Questions: the file's answers, a person's, and defaults."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from astrod.commissioning.interview import Answer, Interview, read_answers
from astrod.errors import InputInvalid


def alone(**answers: Answer) -> Interview:
    """Nobody there: a file's answers only, under `a.`."""
    return Interview({f"a.{name}": value for name, value in answers.items()}, None, lambda text: None)


def spoken(*typed: str, **answers: Answer) -> tuple[Interview, list[str]]:
    """A person who types these lines, then leaves; and what they are told."""
    lines: Iterator[str] = iter(typed)
    told: list[str] = []

    def ask(prompt: str) -> str:
        told.append(prompt)
        try:
            return next(lines)
        except StopIteration:
            raise EOFError from None

    return Interview({f"a.{name}": value for name, value in answers.items()}, ask, told.append), told


def test_a_file_answers_by_dotted_keys(tmp_path: Path) -> None:
    path = tmp_path / "answers.toml"
    path.write_text('[site]\nname = "home"\nlatitude_deg = 41\n[a.b]\nc = true\n')
    assert read_answers(path) == {"site.name": "home", "site.latitude_deg": 41, "a.b.c": True}


@pytest.mark.parametrize(
    ("content", "words"), [(b"[site", "is not TOML"), (b"x = [1]", "no single answer"), (b"\xff", "not TOML")]
)
def test_a_file_that_is_none(tmp_path: Path, content: bytes, words: str) -> None:
    path = tmp_path / "answers.toml"
    path.write_bytes(content)
    with pytest.raises(InputInvalid, match=words):
        read_answers(path)
    with pytest.raises(InputInvalid, match="cannot be read"):
        read_answers(tmp_path / "absent.toml")


def test_answers_defaults_and_what_nobody_asked_for() -> None:
    asked = alone(height=760, name="home", slip=1)
    assert asked.number("a.height", "height", 0, 9000) == 760.0
    assert asked.text("a.name", "name") == "home"
    assert asked.number("a.other", "other", 0, 10, 5) == 5.0
    assert asked.number("a.limit", "limit", 0, 10, none=True) is None
    assert asked.yes("a.move", "move?") is False, "no answer is no leave"
    assert asked.unused == ["a.slip"]


@pytest.mark.parametrize("wrong", [91, -91, "north", True, float("nan")])
def test_a_number_that_cannot_be(wrong: Answer) -> None:
    with pytest.raises(InputInvalid, match=r"a\.latitude is .*-90 to 90"):
        alone(latitude=wrong).number("a.latitude", "latitude", -90, 90)


def test_what_has_no_answer_names_its_key() -> None:
    with pytest.raises(InputInvalid, match=r"no answer for a\.latitude: how far north"):
        alone().number("a.latitude", "how far north", -90, 90)
    with pytest.raises(InputInvalid, match="none of mount, none"):
        alone(lock="moumt").choice("a.lock", "interlock", [("mount", ""), ("none", "")])


def test_a_person_is_asked_until_it_fits_and_may_choose_by_number() -> None:
    asked, told = spoken("north", "99", "41.7", "2", "maybe", "y")
    assert asked.number("a.latitude", "latitude", -90, 90) == 41.7
    assert sum("-90 to 90" in line for line in told) == 2
    assert asked.choice("a.lock", "interlock", [("mount", "its word"), ("none", "free")]) == "none"
    assert asked.yes("a.move", "move?") is True
    with pytest.raises(InputInvalid, match=r"ended at a\.more"):
        asked.text("a.more", "more")


def test_a_step_done_again_asks_for_what_the_file_had_answered() -> None:
    asked, _ = spoken("a", "41.7", name="home")
    assert asked.text("a.name", "name") == "home"
    assert asked.again("a")
    assert asked.text("a.name", "name") == "41.7"
    assert not alone().again("a"), "nobody is there to want it"
