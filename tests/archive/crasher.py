"""Begins and records exposures as fast as it can until it is killed; prints what the archive has promised."""

import sys
from pathlib import Path

from astrod.archive.archive import Archive
from astrod.domain.exposure import Judgement, Measured, Taken
from astrod.domain.identity import Night

NIGHT = Night.parse("2026-12-14")


def main(path: Path) -> None:
    """Never returns."""
    archive = Archive.open(path)
    at_us = 0
    while True:
        at_us += 1
        intent = archive.begin_exposure(
            "pujalt", NIGHT, kind="light", rig="main", train="t", exposure_s=1.0, at_us=at_us, request="M31/1"
        )
        print("begun", intent.id, flush=True)
        taken = Taken(intent.id, f"frames/{intent.id}.fits", "ab", 2880, at_us, 1.0)
        archive.record_taken(taken, at_us)
        print("taken", intent.id, flush=True)
        measured, judgement = Measured(9, 1.0, 1.0, 2.0, 1.1), Judgement(80.0, "keep", "none", {}, "m")
        archive.record_judged(intent.id, measured, judgement, at_us)
        print("judged", intent.id, flush=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
