"""The daemon at rest: memory (PSS) and CPU of all its processes by day, its devices polled, and how soon it is ready.

    python -m tests.bench.rest [SECONDS]

On etc/examples/sim where it is noon now; simulated devices are read once a second. The workers have been let go
by then, as by day they are. Floors: 300 MB, 5 % of one core, ready in 5 s.
"""

import json
import os
import re
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import psutil  # type: ignore[import-untyped,unused-ignore]

EXAMPLE = Path(__file__).parents[2] / "etc/examples/sim"
SETTLE_S = 20.0
READY_S = 60.0


def _configure(folder: Path) -> None:
    """The example, moved to where the sun stands highest."""
    hours = time.gmtime().tm_hour + time.gmtime().tm_min / 60.0
    text = (EXAMPLE / "astrod.toml").read_text()
    text = re.sub(r"(?m)^longitude_deg = .*", f"longitude_deg = {(12.0 - hours) * 15.0:.3f}", text)
    (folder / "astrod.toml").write_text(re.sub(r"(?m)^latitude_deg = .*", "latitude_deg = 0.0", text))
    (folder / "targets.d").mkdir()
    (folder / "targets.d/sky.toml").write_bytes((EXAMPLE / "targets.d/sky.toml").read_bytes())


def _ready_after_s(process: "subprocess.Popen[bytes]", log: Path, begun_s: float) -> float:
    while b" ready: " not in log.read_bytes():
        if process.poll() is not None or time.monotonic() - begun_s > READY_S:
            raise SystemExit(f"the daemon was not ready in {READY_S:g} s:\n{log.read_text()}")
        time.sleep(0.02)
    return time.monotonic() - begun_s


def _ours(folder: Path) -> dict[int, psutil.Process]:
    """Every process of the observatory: the simulated hardware is no child of the daemon."""
    found: dict[int, psutil.Process] = {}
    for process in psutil.process_iter():
        try:
            if str(folder) in " ".join(process.cmdline()):
                found |= {process.pid: process} | {child.pid: child for child in process.children(recursive=True)}
        except psutil.Error:
            continue  # it ended, or is not ours to look at
    return found


def _named(process: psutil.Process) -> str:
    words = process.cmdline()
    if "-m" in words:
        return str(words[words.index("-m") + 1])
    return "tracker" if "resource_tracker" in " ".join(words) else "worker"


def _cpu_s(processes: dict[int, psutil.Process]) -> float:
    return float(sum(process.cpu_times().user + process.cpu_times().system for process in processes.values()))


def _measured(folder: Path, seconds: float) -> dict[str, object]:
    log = folder / "log"
    begun_s = time.monotonic()
    with log.open("wb") as sink:
        process = subprocess.Popen(
            [sys.executable, "-m", "astrod.cli.main", "--config", str(folder), "run"],
            stdout=sink,
            stderr=sink,
            env=os.environ | {"ORT_DISABLE_TELEMETRY": "1", "OPENBLAS_NUM_THREADS": "1", "MALLOC_ARENA_MAX": "2"},
        )
    ours: dict[int, psutil.Process] = {}
    try:
        ready_s = _ready_after_s(process, log, begun_s)
        ready_cpu_s = _cpu_s(_ours(folder))
        time.sleep(SETTLE_S)
        ours = _ours(folder)
        before_s, since_s = _cpu_s(ours), time.monotonic()
        time.sleep(seconds)
        share = (_cpu_s(ours) - before_s) / (time.monotonic() - since_s)
        pss = {f"{_named(p)} {p.pid}": round(p.memory_full_info().pss / 1e6, 1) for p in ours.values()}
    finally:
        process.terminate()
        process.wait(120)
        for left in ours.values():  # the simulated hardware outlives the daemon; not this measurement
            if left.is_running():
                left.terminate()
    return {
        "ready_s": round(ready_s, 2),
        "ready_cpu_s": round(ready_cpu_s, 2),  # what it is on an idle core
        "pss_mb": round(sum(pss.values()), 1),
        "cpu_percent": round(100.0 * share, 2),
        "processes": pss,
        "exit": process.returncode,
    }


def main() -> None:
    """Measure once and print it."""
    seconds = float(sys.argv[-1]) if sys.argv[-1].replace(".", "", 1).isdigit() else 60.0
    with tempfile.TemporaryDirectory(prefix="astrod-rest-") as name:
        folder = Path(name)
        _configure(folder)
        print(json.dumps(_measured(folder, seconds)))


if __name__ == "__main__":
    main()
