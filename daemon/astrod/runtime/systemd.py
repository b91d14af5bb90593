"""The daemon's manners towards systemd; all of it does nothing, harmlessly, where systemd is not.

Through the library systemd-python, which is optional: it compiles against libsystemd, and a host without it
(or a Mac) still runs nights.
"""

import logging
import os
import sys
from types import ModuleType

try:
    from systemd import daemon as _systemd
    from systemd import journal as _journal
except ImportError:
    _systemd: ModuleType | None = None  # type: ignore[no-redef]
    _journal: ModuleType | None = None  # type: ignore[no-redef]

log = logging.getLogger(__name__)


def notify(state: str) -> bool:
    """Send `READY=1`, `STATUS=…` and the like; False where nobody listens."""
    if _systemd is None:
        if started_us():
            log.error("systemd waits for %r, but systemd-python is not installed: pip install astrod[systemd]", state)
        return False
    return bool(_systemd.notify(state))


def started_us() -> bool:
    """Whether systemd started this process and waits to hear from it."""
    return "NOTIFY_SOCKET" in os.environ


def ready() -> bool:
    """The daemon serves."""
    return notify("READY=1")


def reloading(monotonic_us: int) -> bool:
    """A reload of the configuration begins; end it with `ready`."""
    return notify(f"RELOADING=1\nMONOTONIC_USEC={monotonic_us}")


def stopping() -> bool:
    """The daemon is on its way out."""
    return notify("STOPPING=1")


def status(text: str) -> bool:
    """One line for `systemctl status`."""
    return notify("STATUS=" + text.replace("\n", " "))


def feed_watchdog() -> bool:
    """Real progress was made; call it only when that is true."""
    return notify("WATCHDOG=1")


def watchdog_s() -> float | None:
    """How often systemd wants to be fed, at the latest; None without a watchdog."""
    wanted, pid = os.environ.get("WATCHDOG_USEC"), os.environ.get("WATCHDOG_PID")
    if not wanted or (pid and int(pid) != os.getpid()):
        return None
    return int(wanted) / 1e6


def start_log(level: str) -> None:
    """Log to the journal when the service's own output goes there, else to stderr."""
    root = logging.getLogger()
    root.setLevel(level.upper())
    if _journal is not None and os.environ.get("JOURNAL_STREAM"):
        handler: logging.Handler = _journal.JournalHandler(SYSLOG_IDENTIFIER="astrod")
        handler.setFormatter(logging.Formatter("%(message)s"))
    else:
        handler = logging.StreamHandler(sys.stderr)
        handler.setFormatter(logging.Formatter("%(asctime)s %(levelname).1s %(name)s: %(message)s"))
    root.handlers[:] = [handler]
    logging.getLogger("apscheduler").setLevel("WARNING")  # it tells each of its own steps


def ended_badly() -> bool:
    """Whether systemd runs this process after a service that did not end in order (`ExecStopPost=`)."""
    return os.environ.get("SERVICE_RESULT", "success") != "success"
