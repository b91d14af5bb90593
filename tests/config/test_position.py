"""Lines of keys."""

import tomllib
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from astrod.config.position import KeyPath, key_lines

TRICKY = '''\
title = """
[not] = a table
key = 1 \\""" still
"""  # a comment with = and [
a.b."c d" = 1
'quoted "key"' = [1, [2, {x = 3}],
  # ] not the end
  { y = "}" , z = [] } ]
[t]
p = { q = { r = 1 }, s = 'a\\' }
[[arr]]
n = 1979-05-27 07:32:00Z
[arr.sub]
m = 2
[[arr]]
n = 2
[[arr.deep]]
k = 1
[[arr.deep]]
k = 2
[arr.deep.last]
z = \'\'\'x\'\'\'\'
'''


def test_a_tricky_text() -> None:
    lines = key_lines(TRICKY)
    assert lines == {
        ("title",): 1,
        ("a",): 5,
        ("a", "b"): 5,
        ("a", "b", "c d"): 5,
        ('quoted "key"',): 6,
        ('quoted "key"', 0): 6,
        ('quoted "key"', 1): 6,
        ('quoted "key"', 1, 0): 6,
        ('quoted "key"', 1, 1): 6,
        ('quoted "key"', 1, 1, "x"): 6,
        ('quoted "key"', 2): 8,
        ('quoted "key"', 2, "y"): 8,
        ('quoted "key"', 2, "z"): 8,
        ("t",): 9,
        ("t", "p"): 10,
        ("t", "p", "q"): 10,
        ("t", "p", "q", "r"): 10,
        ("t", "p", "s"): 10,
        ("arr",): 11,
        ("arr", 0): 11,
        ("arr", 0, "n"): 12,
        ("arr", 0, "sub"): 13,
        ("arr", 0, "sub", "m"): 14,
        ("arr", 1): 15,
        ("arr", 1, "n"): 16,
        ("arr", 1, "deep"): 17,
        ("arr", 1, "deep", 0): 17,
        ("arr", 1, "deep", 0, "k"): 18,
        ("arr", 1, "deep", 1): 19,
        ("arr", 1, "deep", 1, "k"): 20,
        ("arr", 1, "deep", 1, "last"): 21,
        ("arr", 1, "deep", 1, "last", "z"): 22,
    }


def paths(value: Any, path: KeyPath = ()) -> set[KeyPath]:
    inside = list(value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ())
    return {(*path, part) for part, _ in inside} | {p for part, v in inside for p in paths(v, (*path, part))}


signs = st.text("ab=[]{}#\"'\\,. \n\té", max_size=8)
quoted = signs.map(lambda s: '"' + s.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n") + '"')
literal = st.text('ab=[]{}#", ', max_size=6).map(lambda s: f"'{s}'")
long = st.text("ab=[]{}#',\n", max_size=8).map(lambda s: f'"""{s}"""')
keys = st.one_of(st.sampled_from(["a", "b-1", "_c", "9"]), quoted)
values = st.recursive(
    st.one_of(st.sampled_from(["1", "-2.5", "true", "1979-05-27T07:32:00Z"]), quoted, literal, long),
    lambda inner: st.lists(inner, max_size=3).map(lambda items: "[ # c ]\n" + ",\n".join(items) + "]"),
    max_leaves=5,
)


@given(st.lists(st.tuples(keys, values), max_size=5, unique_by=lambda pair: pair[0]), st.booleans())
def test_every_key_that_tomllib_finds_has_a_line(pairs: list[tuple[str, str]], crlf: bool) -> None:
    text = "\n".join(["[[table]]", *(f"{key} = {value}" for key, value in pairs)])
    if crlf:
        text = text.replace("\n", "\r\n")
    try:
        parsed = tomllib.loads(text)
    except tomllib.TOMLDecodeError:  # "a" and a are one key
        return
    lines = key_lines(text)
    assert set(lines) == paths(parsed)
    rows = text.split("\n")
    for path, number in lines.items():
        if len(path) == 3 and isinstance(path[2], str) and path[2].isalnum():
            assert path[2] in rows[number - 1]
