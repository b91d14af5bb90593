"""The parts of the documentation's pages that are written from the code: troubles, exit codes, the night's table.

    python -m astrod.cli.pages [FOLDER]

rewrites them in place below the folder (default: here). A part lies between `<!-- NAME: written by … -->` and
`<!-- end of NAME -->`; everything outside is written by hand. A test fails when a part lags behind.
"""

import re
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import get_args

from astrod.cli.exits import MEANING
from astrod.domain.exposure import CONSEQUENCES
from astrod.domain.night import TABLE, Finished, NightState, Phase, Want, Work, step
from astrod.domain.trouble import TROUBLES
from astrod.errors import InputInvalid
from astrod.rehearsal import catalogue

OPERATIONS = Path("daemon/docs/operations.md")
FAULTS = Path("daemon/docs/faults.md")
JOURNEY = Path("daemon/docs/journey.md")
COMMAND = "python -m astrod.cli.pages"

_ENDINGS: tuple[tuple[NightState, Work, bool], ...] = (
    (NightState("opening", "twilight", safe=True), "open", True),
    (NightState("opening", "twilight", safe=True), "open", False),
    (NightState("closing", "dark"), "close", True),
    (NightState("closing", "dark"), "close", False),
    (NightState("ending"), "end", True),
    (NightState("ending"), "end", False),
)
"""Work that can end, in the state it is done in, and how it ended."""


def troubles() -> str:
    """Every trouble code: how bad, what it means, what to do."""
    rows = [f"| {t.code} | {t.severity} | {t.meaning} | {t.remedy} |" for t in TROUBLES.values()]
    return "\n".join(["| code | severity | what it means | what to do |", "|---|---|---|---|", *rows])


def exit_codes() -> str:
    """Every exit code of the command line."""
    rows = [f"| {code} | {meaning} |" for code, meaning in MEANING.items()]
    return "\n".join(["| code | meaning |", "|---|---|", *rows])


def verdicts() -> str:
    """What a verdict leads to, by its cause."""
    rows = [f"| {cause} | {decision} | `{then}` |" for cause, (decision, then) in CONSEQUENCES.items()]
    return "\n".join(["| cause | decision | what follows |", "|---|---|---|", *rows])


def night_diagram() -> str:
    """The night's states as a Mermaid diagram: a move by what is wanted, or by work that has ended."""
    moves: dict[tuple[Phase, Phase], list[str]] = {}
    for (phase, want), (then, _) in TABLE.items():
        if then != phase:
            moves.setdefault((phase, then), []).append(want)
    for state, work, ok in _ENDINGS:
        then = step(state, Finished(work, ok))[0].phase
        moves.setdefault((state.phase, then), []).append(f"{work} {'done' if ok else 'failed'}")
    rows = [f"    {a} --> {b}: {', '.join(words)}" for (a, b), words in moves.items()]
    return "\n".join(["```mermaid", "stateDiagram-v2", "    [*] --> asleep", *rows, "```"])


def night_table() -> str:
    """The night's table: for each phase and each want, where it goes and what is done."""
    wants: tuple[Want, ...] = get_args(Want)
    rows = [f"| **{phase}** | {' | '.join(_cell(phase, want) for want in wants)} |" for phase in get_args(Phase)]
    return "\n".join([f"| phase | {' | '.join(wants)} |", "|---" * (len(wants) + 1) + "|", *rows])


def _cell(phase: Phase, want: Want) -> str:
    then, effects = TABLE[phase, want]
    return f"{then}: {', '.join(effects)}" if effects else then if then != phase else "stays"


PARTS: Mapping[Path, Mapping[str, Callable[[], str]]] = {
    OPERATIONS: {"troubles": troubles, "exit codes": exit_codes},
    FAULTS: {
        "faults of calls": catalogue.of_calls,
        "faults of the truth": catalogue.of_truth,
        "faults of the host": catalogue.of_host,
    },
    JOURNEY: {"verdicts": verdicts, "night diagram": night_diagram, "night table": night_table},
}
"""Which parts each page has, by name."""


def filled(text: str, parts: Mapping[str, Callable[[], str]]) -> str:
    """A page with its parts written anew. Raises InputInvalid for a page that lacks one."""
    for name, write in parts.items():
        first, last = f"<!-- {name}: written by {COMMAND} -->", f"<!-- end of {name} -->"
        pattern = re.compile(re.escape(first) + ".*?" + re.escape(last), re.DOTALL)
        if len(pattern.findall(text)) != 1:
            raise InputInvalid(f"the page must have the lines {first!r} and {last!r}, once")
        body = f"{first}\n\n{write()}\n\n{last}"
        before, after = pattern.split(text)
        text = before + body + after
    return text


def main(folder: Path) -> None:
    """Rewrite the pages below a folder."""
    for page, parts in PARTS.items():
        path = folder / page
        path.write_text(filled(path.read_text(encoding="utf-8"), parts), encoding="utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1] if len(sys.argv) > 1 else "."))
