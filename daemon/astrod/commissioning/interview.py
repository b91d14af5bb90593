"""Questions and their answers: from a file of answers first, else from a person, else the default."""

import math
import tomllib
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TypeVar

from astrod.errors import InputInvalid

T = TypeVar("T")
Answer = str | float | int | bool
Ask = Callable[[str], str]
"""Puts a line before a person and returns what they typed. Raises EOFError when nobody is there any more."""
Tell = Callable[[str], None]
Check = Callable[[str], str | None]
"""What is wrong with an answer, in words; None where nothing is."""

NONE = "none"
YES, NO = ("y", "yes"), ("n", "no")


def read_answers(path: Path) -> dict[str, Answer]:
    """The answers of a TOML file by dotted key, `site.latitude_deg` for instance. Raises InputInvalid."""
    try:
        values = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as fault:
        raise InputInvalid(f"{path} cannot be read: {fault.strerror}") from fault
    except (UnicodeDecodeError, tomllib.TOMLDecodeError) as fault:
        raise InputInvalid(f"{path} is not TOML: {fault}") from fault
    return dict(_flat("", values, path))


def _flat(prefix: str, values: Mapping[str, object], path: Path) -> Iterator[tuple[str, Answer]]:
    for name, value in values.items():
        key = f"{prefix}{name}"
        if isinstance(value, dict):
            yield from _flat(f"{key}.", value, path)
        elif isinstance(value, str | int | float | bool):
            yield key, value
        else:
            raise InputInvalid(f"{path}: {key} is no single answer; write a text, a number, true or false")


class Interview:
    """Asks. With `ask` None nobody is there: what the file does not answer takes its default, or is an error.

    At a terminal an empty line takes the default, and an answer that cannot be is asked for again.
    """

    def __init__(self, answers: Mapping[str, Answer], ask: Ask | None, tell: Tell) -> None:
        self._answers, self._ask, self.tell = dict(answers), ask, tell
        self._used: set[str] = set()

    @property
    def attended(self) -> bool:
        """Whether a person answers."""
        return self._ask is not None

    @property
    def unused(self) -> list[str]:
        """Keys of the file that no question asked for: slips of the pen, or answers for what was not there."""
        return sorted(set(self._answers) - self._used)

    def text(self, key: str, question: str, default: str | None = None, check: Check = lambda answer: None) -> str:
        """A word or a line. Raises InputInvalid where the file's answer cannot be, or there is none."""
        return self._settle(key, question, default, lambda raw: (str(raw), check(str(raw))))

    def number(
        self, key: str, question: str, low: float, high: float, default: float | None = None, none: bool = False
    ) -> float | None:
        """A number within bounds; None for the answer `none`, where that is allowed. Raises as `text`."""

        def parse(raw: Answer) -> tuple[float | None, str | None]:
            if none and raw == NONE:
                return None, None
            try:
                value = math.nan if isinstance(raw, bool) else float(raw)
            except ValueError:
                value = math.nan
            wrong = None if low <= value <= high else f"a number is wanted, {low:g} to {high:g}"
            return value, wrong and wrong + (f", or {NONE}" if none else "")

        shown = NONE if none and default is None else None if default is None else f"{default:g}"
        return self._settle(key, question, shown, parse)

    def required_number(self, key: str, question: str, low: float, high: float, default: float | None = None) -> float:
        """As `number`, never None."""
        found = self.number(key, question, low, high, default)
        assert found is not None, "None is no answer here"
        return found

    def yes(self, key: str, question: str, default: bool = False) -> bool:
        """Yes or no. What moves anything must never have yes for its default. Raises as `text`."""

        def parse(raw: Answer) -> tuple[bool, str | None]:
            word = str(raw).lower()
            known = isinstance(raw, bool) or word in (*YES, *NO)
            return raw is True or word in YES, None if known else "yes or no is wanted"

        return self._settle(key, question, "yes" if default else "no", parse)

    def choice(self, key: str, question: str, options: Sequence[tuple[str, str]], default: str | None = None) -> str:
        """One of (answer, words for it); a person may also give its number. Raises as `text`."""
        if self.attended and key not in self._answers:
            for number, (answer, words) in enumerate(options, 1):
                self.tell(f"  {number}  {answer}{': ' + words if words else ''}")
        known = [answer for answer, _ in options]

        def parse(raw: Answer) -> tuple[str, str | None]:
            word = str(raw)
            if self.attended and word.isascii() and word.isdigit() and 0 < int(word) <= len(known):
                word = known[int(word) - 1]
            return word, None if word in known else f"{word[:60]!r} is none of {', '.join(known)}"

        return self._settle(key, question, default, parse)

    def skipped(self, step: str) -> bool:
        """Whether a step is left out: STEP.skip in the file, or a person's word."""
        return self.yes(f"{step}.skip", f"leave out the step {step}?")

    def again(self, step: str) -> bool:
        """Whether a person wants the step once more; then all its questions are asked anew. Never without one."""
        if self._ask is None:
            return False
        try:
            wanted = self._ask(f"{step}: Enter to go on, a to do it again: ").strip().lower() in ("a", "again")
        except EOFError:
            return False
        if wanted:
            self.forget(f"{step}.")
        return wanted

    def forget(self, start: str) -> None:
        """Ask a person for the keys that start so, whatever the file says of them."""
        self._answers = {key: value for key, value in self._answers.items() if not key.startswith(start)}

    def _settle(
        self, key: str, question: str, default: str | None, parse: Callable[[Answer], tuple[T, str | None]]
    ) -> T:
        self._used.add(key)
        if key in self._answers:
            value, wrong = parse(self._answers[key])
            if wrong is not None:
                raise InputInvalid(f"{key} is {self._answers[key]!r}: {wrong}")
            self.tell(f"{question}: {self._answers[key]}")
            return value
        while True:
            raw = self._typed(key, question, default)
            value, wrong = parse(raw)
            if wrong is None:
                return value
            if self._ask is None:
                raise InputInvalid(f"{key}: {wrong}; answer it in the file")
            self.tell(f"  {wrong}")

    def _typed(self, key: str, question: str, default: str | None) -> str:
        """What a person says, or the default."""
        if self._ask is not None:
            try:
                typed = self._ask(f"{question}{f' [{default}]' if default is not None else ''}: ").strip()
            except EOFError:
                self._ask = None
                raise InputInvalid(f"the answers ended at {key} ({question}); nothing was written") from None
            if typed or default is None:
                return typed
        if default is None:
            raise InputInvalid(f"there is no answer for {key}: {question}")
        return default
