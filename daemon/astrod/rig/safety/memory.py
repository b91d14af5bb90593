"""What safety remembers over a restart: each source's last reading and its hysteresis.

Kept in a file under the runtime folder (memory, not disk), replaced atomically after each poll; it counts only
within the same boot of the host, and the readings in it age as they would have in memory.
"""

import json
import logging
from dataclasses import asdict
from pathlib import Path

from astrod.domain.safety import Observation, SourceState

log = logging.getLogger(__name__)
_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")


def boot_id() -> str:
    """The host's boot, or "" where the kernel does not tell: then nothing is remembered."""
    try:
        return _BOOT_ID.read_text().strip()
    except OSError:
        return ""


class Memory:
    """The file. `path` None remembers nothing (nights on the simulated clock)."""

    def __init__(self, path: Path | None) -> None:
        self._path = path
        self._boot = boot_id() if path else ""

    def save(self, sources: dict[str, SourceState]) -> None:
        """Replace what is remembered; a disk that refuses is logged, never waited for."""
        if self._path is None:
            return
        text = json.dumps({"boot": self._boot, "sources": {n: asdict(s) for n, s in sources.items()}})
        draft = self._path.with_suffix(".new")
        try:
            draft.write_text(text)
            draft.replace(self._path)
        except OSError as fault:
            log.warning("safety cannot remember its readings over a restart: %s", fault)

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
