"""Starting one driver of an indiserver anew through its FIFO (`indiserver -f PATH`), never the whole server.

indiserver forgets a driver after ten restarts of its own (`DvrInfo.cpp`); one that is started through the FIFO
begins with a count of its own.
"""

import os
from pathlib import Path

from astrod_drivers.errors import Unreachable
from astrod_drivers.protocols import Clock

STOPPED_S = 2.0


async def restart_driver(fifo: Path, program: str, clock: Clock) -> None:
    """Stop that driver program and start it. All devices that it serves are lost for a moment.

    Raises Unreachable when no server listens to the FIFO. That the driver lives again is for its devices to say.
    """
    _tell(fifo, f"stop {program}")
    await clock.sleep(STOPPED_S)
    _tell(fifo, f"start {program}")


def _tell(fifo: Path, command: str) -> None:
    """Write without waiting: a FIFO that nobody reads would block for ever."""
    try:
        handle = os.open(fifo, os.O_WRONLY | os.O_NONBLOCK)
    except OSError as fault:
        raise Unreachable(f"no indiserver listens to {fifo} ({fault.strerror}); start it with -f {fifo}") from fault
    try:
        os.write(handle, (command + "\n").encode())
    except OSError as fault:
        raise Unreachable(f"indiserver did not take {command!r} through {fifo}: {fault.strerror}") from fault
    finally:
        os.close(handle)
