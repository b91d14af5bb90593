"""The command line's page in the documentation, written from the verbs.

    python -m astrod.cli.manual [FOLDER]

writes `daemon/docs/cli.md` below the folder (default: here). A test fails when it lags behind the parser.
"""

import sys
from pathlib import Path

from astrod.cli.exits import MEANING
from astrod.cli.main import VERBS, parser_of

PAGE = Path("daemon/docs/cli.md")

_HEAD = """\
# The command line

Generated from `daemon/astrod/cli` by `python -m astrod.cli.manual`; do not edit.

`--config PATH`, before or after the verb, names the configuration (a file or a folder); else `ASTROD_CONFIG`
does; else it is `/etc/astrod`. Verbs that ask the daemon take only the socket's place from it, so they work
while it is being edited. Times are UTC. Colours appear on a terminal only, and never against `NO_COLOR`.
"""

_READS = """
Each verb marked *json* has `--json`: one object on one line (`judge`: one for each file). The shapes are in
`daemon/astrod/api/schema.py`; `schema` is their version. Keys are only ever added within a version, and a
daemon and a command line one version apart still understand each other.
"""


def page() -> str:
    """The whole of `cli.md`."""
    table = [f"| `astrod {verb.name}` | {verb.summary} | {'json' if verb.reads else ''} |" for verb in VERBS]
    codes = [f"| {code} | {meaning} |" for code, meaning in MEANING.items()]
    parts = [_HEAD, "| verb | what it does | |", "|---|---|---|", *table, _READS]
    parts += ["## Exit codes", "", "| code | meaning |", "|---|---|", *codes, ""]
    for verb in VERBS:
        help_text = parser_of(verb).format_help().rstrip()
        parts += [f"## `astrod {verb.name}`", "", "```", help_text, "```", ""]
    return "\n".join(parts)


if __name__ == "__main__":
    (Path(sys.argv[1] if len(sys.argv) > 1 else ".") / PAGE).write_text(page(), encoding="utf-8")
