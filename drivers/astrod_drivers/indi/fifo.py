"""Starting one driver of an indiserver anew through its FIFO (`indiserver -f PATH`), never the whole server.

indiserver forgets a driver after ten restarts of its own (`DvrInfo.cpp`); one that is started through the FIFO
begins with a count of its own.
"""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from astrod_drivers.errors import Unreachable
from astrod_drivers.protocols import Clock

STOPPED_S = 2.0


async def restart_driver(fifo: Path, program: str, clock: Clock) -> None:
    """Stop that driver program and start it. All devices that it serves are lost for a moment.

    Raises Unreachable when no server listens to the FIFO, or another process restarts a driver through it now. That
    the driver lives again is for its devices to say.
    """
    with _held(fifo) as handle:
        _tell(fifo, handle, f"stop {program}")
        await clock.sleep(STOPPED_S)
        _tell(fifo, handle, f"start {program}")


@contextmanager
def _held(fifo: Path) -> Iterator[int]:
    """The FIFO, open without waiting (one that nobody reads would block for ever), and locked: two that start the same
    driver at once would leave it running twice.
    """
    try:
        handle = os.open(fifo, os.O_WRONLY | os.O_NONBLOCK)
    except OSError as fault:
        raise Unreachable(f"no indiserver listens to {fifo} ({fault.strerror}); start it with -f {fifo}") from fault
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield handle
    except BlockingIOError as fault:
        raise Unreachable(f"a driver is being started anew through {fifo} just now") from fault
    finally:
        os.close(handle)


def _tell(fifo: Path, handle: int, command: str) -> None:
    try:
        os.write(handle, (command + "\n").encode())
    except OSError as fault:
        raise Unreachable(f"indiserver did not take {command!r} through {fifo}: {fault.strerror}") from fault
