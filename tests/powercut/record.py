"""What a program did to its files, in order, as strace saw it."""

import re
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

CALLS = (
    "openat,creat,write,writev,pwrite64,pwritev,pwritev2,lseek,fsync,fdatasync,sync_file_range,syncfs,sync,rename,"
    "renameat,renameat2,link,linkat,unlink,unlinkat,ftruncate,truncate,fallocate,copy_file_range,sendfile,mkdir,mkdirat,rmdir"
)

Kind = Literal["create", "write", "truncate", "sync", "rename", "unlink", "mkdir", "said", "unsynced"]

_START = re.compile(r"^(\d+)\s+(\w+)\((.*)$", re.DOTALL)
_RESUMED = re.compile(r"^(\d+)\s+<\.\.\. (\w+) resumed>(.*)$", re.DOTALL)
_HEX = re.compile(r"(?:\\x[0-9a-f]{2})+")
_RESULT = re.compile(r"\)\s+= (-?\d+)")
_UNFINISHED = " <unfinished ...>"


@dataclass(frozen=True, slots=True)
class Event:
    """One thing that happened. `path` is where; `call` the system call; `data` and `at` for writes; `to` for renames.

    `said` is text written to standard error, `unsynced` a sync that is pretended not to have been asked for.
    """

    kind: Kind
    path: str
    call: str
    data: bytes = b""
    at: int = 0
    to: str = ""


def record(command: list[str], trace: Path, environment: dict[str, str]) -> list[Event]:
    """Run `command` under strace; returns what it and its children did. Fails when the command fails."""
    strace = [
        "strace",
        "-f",
        "-y",
        "-qq",
        "--seccomp-bpf",
        "-xx",
        "-s",
        "9000000",
        "-e",
        f"trace={CALLS}",
        "-o",
        str(trace),
    ]
    ran = subprocess.run([*strace, *command], env=environment, capture_output=True, text=True, timeout=200)
    assert ran.returncode == 0, ran.stderr[-3000:]
    with trace.open(encoding="latin-1") as lines:
        return list(_events(_whole(lines)))


def _whole(lines: Iterator[str]) -> Iterator[tuple[str, str]]:
    """Each system call with its arguments and result, in the order in which they ended."""
    waiting: dict[str, str] = {}
    for line in lines:
        if begun := _START.match(line):
            thread, call, rest = begun.groups()
            if rest.rstrip("\n").endswith(_UNFINISHED):
                waiting[thread] = rest.rstrip("\n").removesuffix(_UNFINISHED)
            else:
                yield call, rest
        elif resumed := _RESUMED.match(line):
            thread, call, rest = resumed.groups()
            yield call, waiting.pop(thread, "") + rest


class _Positions:
    """Where the next plain write to each file goes: one writer for a file at a time, as our code has it."""

    def __init__(self) -> None:
        self.at: dict[str, int] = {}


def _events(calls: Iterator[tuple[str, str]]) -> Iterator[Event]:
    positions = _Positions().at
    for call, rest in calls:
        result = _RESULT.search(rest)
        if result is None or int(result[1]) < 0:
            continue
        handle = re.match(r"(\d+)<([^>]*)>", rest)
        number, path = (handle[1], _text(handle[2])) if handle else ("", "")
        names = [] if "write" in call else [_text(name) for name in re.findall(r'"((?:\\x[0-9a-f]{2})*)"', rest)]
        match call:
            case "openat" | "creat":
                opened = re.search(r"= \d+<([^>]*)>", rest)
                where = _text(opened[1]) if opened else names[0]
                if "O_CREAT" in rest or call == "creat":
                    yield Event("create", where, call)
                if "O_TRUNC" in rest or call == "creat":
                    yield Event("truncate", where, call)
                positions[where] = 0
            case "lseek":
                positions[path] = int(result[1])
            case "write" if number == "2":
                yield Event("said", "", call, _bytes(rest))
            case "write":
                data = _bytes(rest)[: int(result[1])]
                yield Event("write", path, call, data, positions.get(path, 0))
                positions[path] = positions.get(path, 0) + len(data)
            case "pwrite64":
                offset = re.search(r", \d+, (\d+)\)\s+= ", rest)
                assert offset is not None, rest[-200:]
                yield Event("write", path, call, _bytes(rest)[: int(result[1])], int(offset[1]))
            case "ftruncate":
                length = re.search(r">, (\d+)\)", rest)
                assert length is not None, rest[-200:]
                yield Event("truncate", path, call, at=int(length[1]))
            case "fsync" | "fdatasync":
                yield Event("sync", path, call)
            case "rename" | "renameat" | "renameat2":
                yield Event("rename", names[0], call, to=names[1])
            case "unlink" | "unlinkat" | "rmdir":
                yield Event("unlink", names[0], call)
            case "mkdir" | "mkdirat":
                yield Event("mkdir", names[0], call)
            case "link" | "linkat":
                continue  # glibc's semaphores in /dev/shm
            case _:
                raise AssertionError(f"{call} on {path or names}: the replay does not know it, teach it")


def _text(escaped: str) -> str:
    return _bytes(f'"{escaped}"').decode() if escaped.startswith("\\x") else escaped


def _bytes(rest: str) -> bytes:
    """The first quoted string, which strace wrote as hexadecimal escapes."""
    found = re.search(r'"((?:\\x[0-9a-f]{2})*)"(\.\.\.)?', rest)
    assert found is not None and not found[2], f"strace cut a string short: {rest[:80]}"
    return bytes.fromhex(found[1].replace("\\x", ""))
