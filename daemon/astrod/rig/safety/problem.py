"""What stands in the way of a safe site, by its trouble's code."""

from collections.abc import Sequence
from dataclasses import dataclass

from astrod.domain.trouble import TROUBLES


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that went wrong while the site was made safe. `code` is one of `domain.trouble`."""

    code: str
    text: str

    @property
    def critical(self) -> bool:
        """Whether the site is not safe while this lasts; else it is worth telling only."""
        return TROUBLES[self.code].severity == "critical"


def by_code(problems: Sequence[Problem]) -> dict[str, str]:
    """The problems as one text for each code."""
    found: dict[str, str] = {}
    for problem in problems:
        found[problem.code] = f"{found[problem.code]}; {problem.text}" if problem.code in found else problem.text
    return found
