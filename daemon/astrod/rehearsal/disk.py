"""A disk that refuses to write, for a night on the simulated clock, without a disk of its own and without root.

While a piece of work runs, the kernel lets its process add to no file (RLIMIT_FSIZE), and Python's opening of files
for writing, making of folders and renaming below the data folder raise what a full or a read-only disk raises. So
frames fail exactly as on such a disk; SQLite fails too, but hears an error of input and output where a full disk
would say full. What was written before stays readable.
"""

import errno
import os
import resource
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal, TypeVar

T = TypeVar("T")

_ERRNO = {"full": errno.ENOSPC, "read_only": errno.EROFS}
_CHANGES = frozenset({"os.mkdir", "os.rename", "os.remove", "os.rmdir", "os.truncate"})
_FREES = frozenset({"os.remove", "os.rmdir"})
_WRITES = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND


class _Refusal:
    """Python's audit hook (it cannot be taken away again, so it is put up once and told when to refuse)."""

    def __init__(self) -> None:
        self._up = False
        self._state: Literal["full", "read_only"] | None = None
        self._root = ""

    @contextmanager
    def below(self, state: Literal["full", "read_only"], root: Path) -> Iterator[None]:
        if not self._up:
            sys.addaudithook(self._heard)
            self._up = True
        self._state, self._root = state, str(root)
        soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (0, hard))
        try:
            yield
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
            self._state = None

    def _heard(self, event: str, args: tuple[Any, ...]) -> None:
        if self._state is None or not self._changes(event, args):
            return
        path = args[0] if isinstance(args[0], str) else os.fsdecode(args[0]) if isinstance(args[0], bytes) else ""
        if path.startswith(self._root):
            number = _ERRNO[self._state]
            raise OSError(number, os.strerror(number), path)

    def _changes(self, event: str, args: tuple[Any, ...]) -> bool:
        """Whether what Python is about to do needs room, or on a read-only disk is a change."""
        if event == "open":
            return bool(args[2] & _WRITES)
        return event in _CHANGES and (self._state == "read_only" or event not in _FREES)


_refusal = _Refusal()


def on_bad_disk(state: Literal["full", "read_only"], root: Path, work: Callable[..., T], *args: Any) -> T:
    """`work(*args)` while nothing can be written below `root`. Raises what `work` raises."""
    with _refusal.below(state, root):
        return work(*args)
