"""What safety remembers over a restart: each source's last reading and its hysteresis.

Kept in a file under the runtime folder (memory, not disk), replaced atomically after a poll; it counts only within
the same boot of the host, and the readings in it age as they would have in memory.
"""

import json
import logging
import threading
from dataclasses import asdict
from pathlib import Path

from astrod.domain.safety import Observation, SourceState

log = logging.getLogger(__name__)
BOOT_ID = Path("/proc/sys/kernel/random/boot_id")


def boot_id(file: Path = BOOT_ID) -> str:
    """The host's boot, or "" where the kernel does not tell: then nothing is remembered."""
    try:
        return file.read_text().strip()
    except OSError:
        return ""


class Memory:
    """The file, written by a thread of its own: a disk that hangs keeps that thread, and safety goes on.

    `path` None remembers nothing (nights on the simulated clock).
    """

    def __init__(self, path: Path | None, boot_file: Path = BOOT_ID) -> None:
        self._path = path
        self._boot = boot_id(boot_file) if path else ""
        self._turn = threading.Lock()
        self._waiting: str | None = None
        self._writer: threading.Thread | None = None
        self._slow = False

    def save(self, sources: dict[str, SourceState]) -> None:
        """Replace what is remembered, soon; what waits to be written gives way to what is newer. A disk that refuses
        or hangs is logged, never waited for.
        """
        if self._path is None:
            return
        text = json.dumps({"boot": self._boot, "sources": {n: asdict(s) for n, s in sources.items()}})
        with self._turn:
            self._tell_if_slow()
            self._waiting = text
            if self._writer is None:
                self._writer = threading.Thread(target=self._write_all, name="safety's memory", daemon=True)
                self._writer.start()

    def _tell_if_slow(self) -> None:
        """What the last reading left is still not written: said once, until the disk has caught up."""
        slow = self._waiting is not None
        if slow and not self._slow:
            log.warning("%s: the disk is slow or hangs; safety's memory waits, safety does not", self._path)
        self._slow = slow

    def _write_all(self) -> None:
        """In the thread: write until nothing waits."""
        while True:
            with self._turn:
                text, self._waiting = self._waiting, None
                if text is None:
                    self._writer = None
                    return
            self._write(text)

    def _write(self, text: str) -> None:
        assert self._path is not None
        draft = self._path.with_suffix(".new")
        try:
            draft.write_text(text)
            draft.replace(self._path)
        except OSError as fault:
            log.warning("safety cannot remember its readings over a restart: %s", fault)

    def settle(self, within_s: float) -> bool:
        """Wait until all is written, at the end of a process; False where that took too long."""
        with self._turn:
            writer = self._writer
        if writer is not None:
            writer.join(within_s)
        return writer is None or not writer.is_alive()

    def load(self) -> dict[str, SourceState]:
        """What was remembered in this boot; empty when nothing, or nothing readable, was."""
        if self._path is None or not self._boot:
            return {}
        try:
            kept = json.loads(self._path.read_text())
            if kept["boot"] != self._boot:
                return {}
            return {name: _source(facts) for name, facts in kept["sources"].items()}
        except FileNotFoundError:
            return {}
        except (OSError, ValueError, KeyError, TypeError) as fault:
            log.warning("what safety remembered cannot be read and is left aside: %s", fault)
            return {}


class KeptMemory(Memory):
    """The same without a file, for nights on the simulated clock: who holds it decides what outlives what."""

    def __init__(self) -> None:
        super().__init__(None)
        self._kept: dict[str, SourceState] = {}

    def save(self, sources: dict[str, SourceState]) -> None:
        """See `Memory.save`."""
        self._kept = dict(sources)

    def load(self) -> dict[str, SourceState]:
        """See `Memory.load`."""
        return dict(self._kept)


def _source(facts: dict[str, object]) -> SourceState:
    last = facts.pop("last")
    reasons = facts.pop("reasons")
    if not isinstance(reasons, list):
        raise ValueError("reasons are no list")
    observation = None
    if isinstance(last, dict):
        observation = Observation(**{**last, "alerts": tuple(last["alerts"])})
    return SourceState(last=observation, reasons=tuple(reasons), **facts)  # type: ignore[arg-type]
