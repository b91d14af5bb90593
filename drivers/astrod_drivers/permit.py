"""The safety epoch: one page of shared memory that says, at any instant, whether hazardous commands may go.

Safety writes it, every driver host reads it just before a hazardous command. Reading is a memory access: it
never waits for a process that hangs, which is the whole point (DESIGN.md, rule 2). The page is a file, so it
survives whoever wrote it; a page that nobody has written says unsafe.

Layout, little endian: epoch (uint64), safe (uint64, 0 or 1), then two heartbeats (int64, microseconds of
CLOCK_BOOTTIME): safety, control; then whether slews are barred (uint64, 0 or 1). Each field is one aligned
8-byte word, written in one store.
"""

import mmap
import os
import struct
from pathlib import Path

from astrod_drivers.protocols import Permit

_WORD = struct.Struct("<q")
_SIZE = 5 * _WORD.size
_EPOCH, _SAFE, _SAFETY_BEAT, _CONTROL_BEAT, _NO_SLEWS = (i * _WORD.size for i in range(5))


class EpochPage:
    """The page. Opening makes or reopens it; `path` is handed to driver hosts, which open it again."""

    def __init__(self, path: Path) -> None:
        self.path = path
        handle = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
        try:
            if os.fstat(handle).st_size < _SIZE:
                os.ftruncate(handle, _SIZE)
            self._page = mmap.mmap(handle, _SIZE)
        finally:
            os.close(handle)

    def _get(self, offset: int) -> int:
        return int(_WORD.unpack_from(self._page, offset)[0])

    def _put(self, offset: int, value: int) -> None:
        _WORD.pack_into(self._page, offset, value)

    @property
    def epoch(self) -> int:
        return self._get(_EPOCH)

    @property
    def safe(self) -> bool:
        return self._get(_SAFE) == 1

    def allows(self, permit: Permit) -> bool:
        """See `protocols.Gate`."""
        return self.safe and permit.epoch == self.epoch

    def allows_slew(self, permit: Permit) -> bool:
        """See `protocols.Gate`."""
        return self.allows(permit) and self._get(_NO_SLEWS) == 0

    def bar_slews(self, barred: bool) -> None:
        """From the next instruction on no slew begins, or again some may."""
        self._put(_NO_SLEWS, int(barred))

    def become_safe(self) -> int:
        """Start a new epoch in which hazardous commands may go; returns it."""
        self._put(_EPOCH, self.epoch + 1)
        self._put(_SAFE, 1)
        return self.epoch

    def become_unsafe(self) -> None:
        """End the epoch: from the next instruction on, every permit given so far is void."""
        self._put(_SAFE, 0)
        self._put(_EPOCH, self.epoch + 1)

    @property
    def safety_beat_us(self) -> int:
        return self._get(_SAFETY_BEAT)

    @property
    def control_beat_us(self) -> int:
        return self._get(_CONTROL_BEAT)

    def beat_safety(self, boottime_us: int) -> None:
        """Safety made real progress at this instant."""
        self._put(_SAFETY_BEAT, boottime_us)

    def beat_control(self, boottime_us: int) -> None:
        """The control loop made real progress at this instant."""
        self._put(_CONTROL_BEAT, boottime_us)

    def close(self) -> None:
        self._page.close()


class EpochCell:
    """The same promise within one process, for nights on the simulated clock."""

    def __init__(self) -> None:
        self.epoch = 0
        self.safe = False
        self.safety_beat_us = 0
        self.control_beat_us = 0
        self.slews_barred = False

    def allows(self, permit: Permit) -> bool:
        """See `protocols.Gate`."""
        return self.safe and permit.epoch == self.epoch

    def allows_slew(self, permit: Permit) -> bool:
        """See `protocols.Gate`."""
        return self.allows(permit) and not self.slews_barred

    def bar_slews(self, barred: bool) -> None:
        """See `EpochPage.bar_slews`."""
        self.slews_barred = barred

    def become_safe(self) -> int:
        """See `EpochPage.become_safe`."""
        self.epoch += 1
        self.safe = True
        return self.epoch

    def become_unsafe(self) -> None:
        """See `EpochPage.become_unsafe`."""
        self.safe = False
        self.epoch += 1

    def beat_safety(self, boottime_us: int) -> None:
        """See `EpochPage.beat_safety`."""
        self.safety_beat_us = boottime_us

    def beat_control(self, boottime_us: int) -> None:
        """See `EpochPage.beat_control`."""
        self.control_beat_us = boottime_us
