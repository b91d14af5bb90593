"""How long a daemon that was killed takes to expose again, in real time on simulated devices.

The daemon is killed with -9 in mid exposure and started again at once, a few times; the roof must not have moved.
What systemd adds (RestartSec) is not in these figures.
"""

import json
import tempfile
import time
from pathlib import Path

from tests.nights.test_kill import Dark

TIMES = 5


def measure(folder: Path, times: int) -> dict[str, list[float]]:
    """Seconds from the new start to an answering daemon, to an open shutter, to the next kept frame."""
    told: dict[str, list[float]] = {"answers_s": [], "exposes_s": [], "keeps_s": []}
    night = Dark(folder)
    try:
        night.until(lambda said: said["frames"]["kept"] >= 2 and said["exposing"], 120.0)
        for _ in range(times):
            kept = night.status()["frames"]["kept"]
            night.daemon.kill()
            night.daemon.wait(10.0)
            began_s = time.monotonic()
            night.start()
            night.until(lambda said: True, 60.0)
            told["answers_s"].append(round(time.monotonic() - began_s, 1))
            night.until(lambda said: bool(said["exposing"]), 60.0)
            told["exposes_s"].append(round(time.monotonic() - began_s, 1))
            night.until(lambda said, kept=kept: said["frames"]["kept"] > kept + 1, 60.0)  # type: ignore[misc]
            told["keeps_s"].append(round(time.monotonic() - began_s, 1))
            assert night.hardware() == ("open", False), "the roof moved, or the mount parked"
    finally:
        night.clear_away()
    return told


def main() -> None:
    """Measure, and print."""
    with tempfile.TemporaryDirectory(prefix="astrod-recovery-") as folder:
        print(json.dumps(measure(Path(folder), TIMES)))


if __name__ == "__main__":
    main()
