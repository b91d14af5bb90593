"""Nothing of ours reaches out: a night, and a judgement, under strace and without a network."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = [pytest.mark.slow, pytest.mark.timeout(240), pytest.mark.xdist_group("silence")]

STRACE = shutil.which("strace")
UNSHARE = shutil.which("unshare")
NIGHT = [sys.executable, "-m", "tests.nights.observatories"]
REACHING = re.compile(r"\b(connect|sendto|sendmsg|sendmmsg|bind)\(")
AT_HOME = re.compile(r"AF_UNIX|AF_LOCAL|AF_NETLINK|sin_addr=inet_addr\(\"127\.|inet_pton\(AF_INET6, \"::1\"")


def reaching_out(trace: Path) -> list[str]:
    """The system calls that name an address outside this host."""
    calls = [line for line in trace.read_text(errors="replace").splitlines() if REACHING.search(line)]
    return [line for line in calls if "sa_family=" in line and not AT_HOME.search(line)]


def run(command: list[str], **more: str) -> None:
    """Run to its end; it must succeed."""
    ran = subprocess.run(command, env={**os.environ, **more}, capture_output=True, text=True, timeout=220)
    assert ran.returncode == 0, ran.stderr[-3000:]


def traced(trace: Path, command: list[str]) -> None:
    """Run under strace, all children included."""
    run([str(STRACE), "-f", "-qq", "--seccomp-bpf", "-e", "trace=network", "-o", str(trace), *command])


@pytest.mark.skipif(STRACE is None, reason="strace is not installed")
def test_strace_would_tell(tmp_path: Path) -> None:
    trace = tmp_path / "trace"
    reach = "import socket; s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); s.connect(('192.0.2.1', 9))"
    ran = subprocess.run(
        [str(STRACE), "-f", "-qq", "-e", "trace=network", "-o", str(trace), sys.executable, "-c", reach],
        capture_output=True,
        text=True,
        timeout=60,
    )
    if "ptrace" in ran.stderr.lower():
        pytest.skip(f"strace may not trace here: {ran.stderr.strip()}")
    assert len(reaching_out(trace)) == 1


@pytest.fixture(scope="module")
def night(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a short night that was played under strace; the trace lies beside it."""
    folder = tmp_path_factory.mktemp("silence") / "night"
    traced(folder.with_name("trace"), [*NIGHT, str(folder), "5", "12"])
    return folder


def frames_of(folder: Path) -> list[Path]:
    """The FITS files that a night has kept."""
    return sorted((folder / "data" / "frames").rglob("*.fits"))


@pytest.mark.skipif(STRACE is None, reason="strace is not installed")
def test_a_night_reaches_out_to_nobody(night: Path) -> None:
    assert frames_of(night)
    assert reaching_out(night.with_name("trace")) == []


@pytest.mark.skipif(STRACE is None, reason="strace is not installed")
def test_judging_reaches_out_to_nobody(night: Path, tmp_path: Path) -> None:
    frame = frames_of(night)[0]
    traced(tmp_path / "trace", [sys.executable, "-m", "astrod.cli.main", "judge", str(frame), "--json"])
    assert reaching_out(tmp_path / "trace") == []


@pytest.mark.skipif(UNSHARE is None or os.geteuid() != 0, reason="needs root and unshare")
def test_a_night_without_any_network_is_a_night(tmp_path: Path) -> None:
    probe = subprocess.run([str(UNSHARE), "-n", "true"], capture_output=True, text=True, timeout=30)
    if probe.returncode != 0:
        pytest.skip(f"no network namespace here: {probe.stderr.strip()}")
    run([str(UNSHARE), "-n", *NIGHT, str(tmp_path / "night"), "5", "8"])
    assert frames_of(tmp_path / "night")
