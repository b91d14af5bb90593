"""Text with colours, for terminals that have them and for all that have not."""

import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Literal, TextIO

Style = Literal["", "bold", "dim", "good", "bad", "warn"]

_CODES: dict[Style, str] = {"bold": "1", "dim": "2", "good": "32", "bad": "1;31", "warn": "33"}
_ASCII = str.maketrans(
    {
        "●": "*",
        "○": "o",
        "✗": "x",
        "█": "#",
        "░": ".",
        "─": "-",
        "·": "-",
        "→": ">",
        "…": "~",
        "–": "-",
        "×": "x",
        "°": "d",
    }
)


@dataclass(frozen=True, slots=True)
class Span:
    """A run of text in one style."""

    text: str
    style: Style = ""


Line = tuple[Span, ...]


def line(*parts: str | Span) -> Line:
    """A line of spans; bare texts have no style."""
    return tuple(Span(part) if isinstance(part, str) else part for part in parts)


def width(spans: Line) -> int:
    """Columns that a line takes."""
    return sum(len(span.text) for span in spans)


def cut(text: str, columns: int) -> str:
    """The text in so many columns at most, with an ellipsis where it was longer."""
    return text if len(text) <= columns else text[: max(columns - 1, 0)].rstrip() + "…"


def wrapped(text: str, columns: int) -> list[str]:
    """The text broken between words; a word longer than a line is broken too."""
    rows = [""]
    for word in text.split():
        while len(word) > columns:
            head, word = word[:columns], word[columns:]
            rows.append(head)
        if rows[-1] and len(rows[-1]) + 1 + len(word) > columns:
            rows.append("")
        rows[-1] = f"{rows[-1]} {word}".strip()
    return [row for row in rows if row] or [""]


def paint(spans: Line, *, colour: bool) -> str:
    """The line as it is printed. Control characters, which a device's name could hold, are shown as `?`."""
    return "".join(_painted(span, colour) for span in spans).rstrip()


def _painted(span: Span, colour: bool) -> str:
    text = "".join(char if char.isprintable() else "?" for char in span.text)
    code = _CODES.get(span.style)
    return f"\x1b[{code}m{text}\x1b[0m" if colour and code and text else text


def wants_colour(out: TextIO, environ: Mapping[str, str] = os.environ) -> bool:
    """Colours only on a terminal that has them, and not against NO_COLOR."""
    return out.isatty() and not environ.get("NO_COLOR") and environ.get("TERM") != "dumb"


def show(lines: Iterable[Line], out: TextIO, *, over: bool = False) -> None:
    """Print lines, in what the other end can show; `over` what the terminal showed before, from its top."""
    colour = wants_colour(out)
    end = "\x1b[K\n" if over else "\n"  # each line clears its own rest, the last one all below: no flicker
    text = "".join(paint(spans, colour=colour) + end for spans in lines)
    encoding = (out.encoding or "ascii").lower()
    if not encoding.startswith("utf"):
        text = text.translate(_ASCII).encode(encoding, "replace").decode(encoding)
    out.write(f"\x1b[H{text}\x1b[J" if over else text)
    out.flush()
