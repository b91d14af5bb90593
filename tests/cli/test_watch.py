"""`astrod status --watch` on a real terminal (a pty of 80×24)."""

import fcntl
import os
import pty
import select
import struct
import subprocess
import sys
import termios
from pathlib import Path

from tests.cli.test_main import ROOT, _Daemon
from tests.config.observatory import GOOD, lay


def watch(folder: Path, type_after: bytes) -> tuple[int, str]:
    """Run it until `type_after` shows on the screen, press q, and return exit code and all it wrote."""
    master, slave = pty.openpty()
    fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 80, 0, 0))
    path = os.pathsep.join(str(ROOT / part) for part in ("daemon", "drivers", "models"))
    environ = {**os.environ, "PYTHONPATH": path, "TERM": "xterm"}
    environ = {name: value for name, value in environ.items() if name not in ("LINES", "COLUMNS", "NO_COLOR")}
    line = [sys.executable, "-m", "astrod.cli.main", "--config", str(folder), "status", "--watch"]
    with subprocess.Popen(line, stdin=slave, stdout=slave, stderr=slave, env=environ) as process:
        os.close(slave)
        written = b""
        while type_after not in written:
            assert select.select([master], [], [], 10)[0], written
            written += os.read(master, 65536)
        os.write(master, b"q\n")
        code = process.wait(10)
    while select.select([master], [], [], 0)[0]:
        try:
            written += os.read(master, 65536)
        except OSError:  # how Linux says that a terminal's other end is closed
            break
    os.close(master)
    return code, written.decode()


def test_the_screen_is_drawn_over_fits_and_is_given_back(tmp_path: Path) -> None:
    lay(tmp_path, GOOD + '[daemon]\nrun_dir = "run"\n')
    with _Daemon(tmp_path):
        code, written = watch(tmp_path, b"q, Enter: leave")
    assert code == 0
    assert written.startswith("\x1b[?1049h")
    assert written.rstrip().endswith("\x1b[?1049l")
    drawn = written.split("\x1b[H")[1].split("\x1b[J")[0]
    assert "\x1b[32mSAFE\x1b[0m" in drawn
    assert drawn.count("\n") < 24


def test_a_daemon_that_is_gone_is_waited_for(tmp_path: Path) -> None:
    lay(tmp_path, GOOD + '[daemon]\nrun_dir = "run"\n')
    code, written = watch(tmp_path, b"q, Enter: leave")
    assert code == 0
    assert "NO DAEMON" in written
    assert "waiting for it" in written
