"""Where in a TOML text each key stands, so that a fault can name its line.

`tomllib` gives values without positions. This scanner reads a text that `tomllib` has already accepted, so it
need not judge it: it only follows the structure and notes lines.
"""

import re
import tomllib
from dataclasses import dataclass, field

Part = str | int
KeyPath = tuple[Part, ...]
"""The way to a value: keys, and indices into arrays."""

_BARE = re.compile(r"[A-Za-z0-9_-]+")
_SCALAR = re.compile(r"[^,\]}#\n]*")


@dataclass(slots=True)
class _Scanner:
    """Walks the text once. `at` is the offset, `table` the path of the header in force."""

    text: str
    at: int = 0
    line: int = 1
    table: KeyPath = ()
    lines: dict[KeyPath, int] = field(default_factory=dict)
    counts: dict[KeyPath, int] = field(default_factory=dict)

    def peek(self, length: int = 1) -> str:
        return self.text[self.at : self.at + length]

    def move(self, length: int) -> None:
        self.line += self.text.count("\n", self.at, self.at + length)
        self.at += length

    def blank(self, newlines: bool) -> None:
        """Past spaces and comments, and past line ends where these do not matter."""
        while char := self.peek():
            if char == "#":
                end = self.text.find("\n", self.at)
                self.at = len(self.text) if end < 0 else end
            elif char in " \t\r" or (newlines and char == "\n"):
                self.move(1)
            else:
                return

    def string(self) -> str:
        """A quoted text; returned as written, quotes and escapes included."""
        quote = self.peek(3) if self.peek(3) in ('"""', "'''") else self.peek()
        start = self.at
        self.move(len(quote))
        while not self.text.startswith(quote, self.at):
            self.move(2 if quote[0] == '"' and self.peek() == "\\" else 1)
        self.move(len(quote))
        while len(quote) == 3 and self.peek() == quote[0]:  # """a"""": a quote may stand before the closing ones
            self.move(1)
        return self.text[start : self.at]

    def name(self) -> str:
        """One part of a key."""
        if self.peek() in "\"'":
            return str(tomllib.loads("k = " + self.string())["k"])
        match = _BARE.match(self.text, self.at)
        assert match is not None, "tomllib has accepted this text"
        self.at = match.end()
        return match.group()

    def dotted(self) -> KeyPath:
        """A key: a, or a.b."""
        parts = [self.name()]
        self.blank(False)
        while self.peek() == ".":
            self.move(1)
            self.blank(False)
            parts.append(self.name())
            self.blank(False)
        return tuple(parts)

    def note(self, path: KeyPath, start: KeyPath = ()) -> None:
        """Remember the line of a path, and of what leads to it where nothing did before."""
        for length in range(len(start) + 1, len(path) + 1):
            self.lines.setdefault(path[:length], self.line)

    def resolve(self, header: KeyPath) -> KeyPath:
        """A header's path with the index of the newest table of each array on the way."""
        path: KeyPath = ()
        for part in header:
            path = (*path, part)
            if path in self.counts:
                path = (*path, self.counts[path] - 1)
        return path

    def header(self) -> None:
        double = self.peek(2) == "[["
        self.move(2 if double else 1)
        self.blank(False)
        path = self.dotted()
        self.move(2 if double else 1)
        if double:
            array = (*self.resolve(path[:-1]), path[-1])
            index = self.counts.get(array, 0)
            self.counts[array] = index + 1
            self.table = (*array, index)
        else:
            self.table = self.resolve(path)
        self.note(self.table)

    def pair(self, base: KeyPath) -> None:
        path = (*base, *self.dotted())
        self.note(path, base)
        self.move(1)  # the equals sign
        self.value(path)

    def value(self, path: KeyPath) -> None:
        self.blank(False)
        char = self.peek()
        if char in ("'", '"'):
            self.string()
        elif char == "[":
            self.array(path)
        elif char == "{":
            self.inline(path)
        else:
            match = _SCALAR.match(self.text, self.at)
            self.at = match.end() if match else self.at

    def array(self, path: KeyPath) -> None:
        self.move(1)
        index = 0
        while True:
            self.blank(True)
            if self.peek() in ("]", ""):
                break
            if self.peek() == ",":
                self.move(1)
                continue
            self.note((*path, index), path)
            self.value((*path, index))
            index += 1
        self.move(1)

    def inline(self, path: KeyPath) -> None:
        self.move(1)
        while True:
            self.blank(True)
            if self.peek() in ("}", ""):
                break
            if self.peek() == ",":
                self.move(1)
                continue
            self.pair(path)
        self.move(1)

    def run(self) -> dict[KeyPath, int]:
        while True:
            self.blank(True)
            if not self.peek():
                return self.lines
            if self.peek() == "[":
                self.header()
            else:
                self.pair(self.table)


def key_lines(text: str) -> dict[KeyPath, int]:
    """The line, from 1, of each key and table in a valid TOML text."""
    return _Scanner(text.replace("\r\n", "\n")).run()
