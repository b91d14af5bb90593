"""The screen of `astrod status` as an SVG, from a real daemon's answer through the real renderer.

    python -m tests.docs.picture

writes `daemon/docs/status.svg` from `tests/docs/status.json` (the answer of `astrod status --json` during
`astrod demo` on INDI's simulators). A test fails when the screen has changed since.
"""

import json
from html import escape
from pathlib import Path

from astrod.api.schema import Status, read
from astrod.cli.ink import Line, Style
from astrod.cli.screen import COLUMNS, render

ROOT = Path(__file__).parents[2]
ANSWER = ROOT / "tests/docs/status.json"
PICTURE = ROOT / "daemon/docs/status.svg"

_ADVANCE, _LEADING, _MARGIN, _SIZE = 8.4, 18, 14, 14
_INK: dict[Style, str] = {
    "": 'fill="#d4d4d4"',
    "bold": 'fill="#ffffff" font-weight="bold"',
    "dim": 'fill="#8a8a8a"',
    "good": 'fill="#6fbf73"',
    "bad": 'fill="#f1707b" font-weight="bold"',
    "warn": 'fill="#e5c07b"',
}


def drawn(lines: list[Line]) -> str:
    """The SVG: each span at its own column, stretched to its width, so that any monospaced font lines up."""
    width, height = COLUMNS * _ADVANCE + 2 * _MARGIN, len(lines) * _LEADING + 2 * _MARGIN
    frame = (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width:g} {height:g}" width="{width:g}"'
        f' height="{height:g}" font-family="ui-monospace, Menlo, Consolas, monospace" font-size="{_SIZE}"'
        ' role="img" aria-label="The screen of astrod status">'
    )
    rows = [frame, f'<rect width="{width:g}" height="{height:g}" rx="8" fill="#1c1f24"/>']
    for number, spans in enumerate(lines):
        column, y = 0, _MARGIN + number * _LEADING + _SIZE
        for span in spans:
            if span.text.strip():
                x, length = _MARGIN + column * _ADVANCE, len(span.text) * _ADVANCE
                rows.append(
                    f'<text x="{x:.1f}" y="{y}" textLength="{length:.1f}" lengthAdjust="spacingAndGlyphs"'
                    f' xml:space="preserve" {_INK[span.style]}>{escape(span.text)}</text>'
                )
            column += len(span.text)
    return "\n".join([*rows, "</svg>", ""])


def picture() -> str:
    """What `status.svg` must hold."""
    answer = json.loads(ANSWER.read_text(encoding="utf-8"))
    return drawn(render(read(Status, answer)))


if __name__ == "__main__":
    PICTURE.write_text(picture(), encoding="utf-8")
