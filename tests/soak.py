"""`make soak`: many nights of random sites, seasons and weather, each judged by the referee.

    python -m tests.soak --nights N --seed S

One line of JSON for each night that broke something, with what it takes to play it again, then a summary.
"""

import argparse
import json
import random
import sys
import tempfile
from datetime import date, timedelta
from pathlib import Path
from typing import Any

from astrod.domain.identity import Night
from astrod.rehearsal.night import SMALL, Script, play
from astrod.rehearsal.observatory import Play
from astrod.rehearsal.sites import SITES


def drawn(seed: int, number: int) -> Script:
    """The night of that number; the same for the same seed."""
    dice = random.Random(f"{seed}/{number}")
    day = date(2026, 1, 1) + timedelta(days=dice.randrange(1000))
    weather = dice.choice(("clear", "mixed", "mixed", "cloudy"))
    return Script(dice.choice(SITES).name, Night(day), Play(dice.randrange(2**31), weather, *SMALL))


def soak(nights: int, seed: int) -> dict[str, Any]:
    """Play them; returns the summary."""
    observed = dark = broken = frames = 0.0
    for number in range(nights):
        script = drawn(seed, number)
        with tempfile.TemporaryDirectory(prefix="astrod-soak-") as folder:
            told = play(script, Path(folder))
        observed += told["dark_minutes"]["observed"]
        dark += sum(told["dark_minutes"].values())
        frames += told["frames"]["taken"]
        broken += len(told["invariants_broken"])
        if told["invariants_broken"]:
            print(json.dumps({"number": number, **told}), flush=True)
    return {
        "nights": nights,
        "seed": seed,
        "frames": int(frames),
        "invariants_broken": int(broken),
        "observed_share": round(observed / dark, 3) if dark else None,
    }


def main() -> int:
    """The command line; exit code 1 when anything was broken."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--nights", type=int, default=20)
    parser.add_argument("--seed", type=int, default=1)
    words = parser.parse_args()
    summary = soak(words.nights, words.seed)
    print(json.dumps(summary))
    return 1 if summary["invariants_broken"] else 0


if __name__ == "__main__":
    sys.exit(main())
