"""From the last byte of a frame to its recorded verdict: CPU seconds of all steps, 1936×1096, 16 bit.

    python -m tests.bench.frame [FRAMES]

The steps are those of `journey`: gate, FITS, sync and digest; record *taken*; measure and judge; record
*judged*. Beside them, as a peer in the same run, what reading the file and `sep.extract` alone cost.
"""

import json
import resource
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import sep
from astropy.io import fits

from astrod.appraise import appraise
from astrod.archive.archive import Archive
from astrod.domain.identity import Night
from astrod.domain.site import Place
from astrod.frames.admission import Circumstances, Kept, admit
from astrod.frames.header import FrameFacts
from astrod_drivers.sim.render import save
from astrod_drivers.sim.scene import Pointing, Scene

T = TypeVar("T")
START_US = 1_797_285_600_000_000
NIGHT = Night.parse("2026-12-14")


def _timed(spent: dict[str, list[float]], step: str, work: Callable[[], T]) -> T:
    began_s = time.process_time()
    value = work()
    spent.setdefault(step, []).append(time.process_time() - began_s)
    return value


def _one(archive: Archive, root: Path, raw: Path, number: int, spent: dict[str, list[float]]) -> None:
    at_us = START_US + number * 130_000_000
    intent = archive.begin_exposure(
        "bench", NIGHT, kind="light", rig="main", train="main", exposure_s=120.0, at_us=at_us, ra_deg=83.8, dec_deg=22.0
    )
    facts = FrameFacts(intent, Place(41.72, 1.42, 760.0), at_us, 120.0, focal_length_mm=400.0, pixel_um=2.9)
    seen = Circumstances(1936, 1096, at_us - 1000, at_us + 121_000_000, True, 0.1, 10.0)
    kept = _timed(spent, "keep", lambda: admit(root, raw, "npy", facts, seen))
    assert isinstance(kept, Kept), kept
    _timed(spent, "record taken", lambda: archive.record_taken(kept.taken, at_us))
    path = root / kept.taken.path
    appraisal = _timed(spent, "measure and judge", lambda: appraise(path))
    _timed(
        spent, "record judged", lambda: archive.record_judged(intent.id, appraisal.measured, appraisal.judgement, at_us)
    )
    _timed(spent, "peer: read and sep.extract", lambda: _peer(path))


def _peer(path: Path) -> Any:
    pixels = np.ascontiguousarray(fits.getdata(path).astype(np.float32))
    background = sep.Background(pixels)
    return sep.extract(pixels - background, 3.0, err=background.globalrms)


def main(frames: int = 8) -> None:
    """Measure so many frames of different fields, the first thrown away, and print medians."""
    spent: dict[str, list[float]] = {}
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        archive = Archive.open(root / "archive.db")
        for number in range(frames + 1):
            raw = root / f"{number}.npy"
            save(replace(Scene(), seed=number, pointings=(Pointing(ra_deg=40.0 * number % 360, dec_deg=25.0),)), raw)
            if number == 1:
                spent.clear()
            _one(archive, root, raw, number, spent)
        archive.close()
    medians = {step: round(statistics.median(times), 3) for step, times in spent.items()}
    peer = medians.pop("peer: read and sep.extract")
    whole = sum(medians.values())
    print(
        json.dumps(
            {"cpu_s": {**medians, "whole": round(whole, 3)}, "peer_cpu_s": peer, "ratio": round(whole / peer, 2)}
        )
    )
    print(json.dumps({"peak_rss_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024}))


if __name__ == "__main__":
    main(*map(int, sys.argv[1:2]))
