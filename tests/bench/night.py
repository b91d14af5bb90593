"""A whole simulated night at full size: wall and CPU seconds, frames, and what each frame cost.

python -m tests.bench.night [--small]
"""

import json
import resource
import subprocess
import sys


def main() -> None:
    """Play the night of the README and print what it took."""
    command = [sys.executable, "-m", "astrod.cli.main", "night", "--site", "pujalt", "--date", "2026-12-14"]
    command += ["--seed", "7", "--json", *sys.argv[2:]]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    night = json.loads(done.stdout)
    print(
        json.dumps(
            {
                "frames": night["frames"],
                "dark_minutes": night["dark_minutes"],
                "wall_s": night["wall_s"],
                "cpu_s": round(used.ru_utime + used.ru_stime, 1),
                "peak_rss_mb": used.ru_maxrss // 1024,
            }
        )
    )


if __name__ == "__main__":
    main()
