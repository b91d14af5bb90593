"""What an examination says: what was looked at, and what is wrong with it."""

from collections.abc import Sequence
from dataclasses import dataclass

from astrod.domain.trouble import TROUBLES, Severity


@dataclass(frozen=True, slots=True)
class Diagnosis:
    """A trouble that was found. `text` says where and how; `remedy` what to do, where it can be said better than the
    code's own.
    """

    code: str
    text: str
    remedy: str = ""

    @property
    def severity(self) -> Severity:
        return TROUBLES[self.code].severity

    @property
    def cure(self) -> str:
        """What to do."""
        return self.remedy or TROUBLES[self.code].remedy


@dataclass(frozen=True, slots=True)
class Examined:
    """One thing that was looked at: its name, a word on how it is, and what is wrong."""

    what: str
    text: str
    diagnoses: tuple[Diagnosis, ...] = ()


def sound(examined: Sequence[Examined]) -> bool:
    """Whether nothing was found that may cost a night."""
    return not any(found.severity != "info" for each in examined for found in each.diagnoses)


def as_json(examined: Sequence[Examined]) -> dict[str, object]:
    """The shape of `astrod doctor --json`."""
    return {
        "sound": sound(examined),
        "examined": [
            {
                "what": each.what,
                "text": each.text,
                "troubles": [
                    {"code": found.code, "severity": found.severity, "text": found.text, "remedy": found.cure}
                    for found in each.diagnoses
                ],
            }
            for each in examined
        ],
    }
