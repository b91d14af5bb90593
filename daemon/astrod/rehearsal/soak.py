"""Many nights, each drawn at random and judged by the referee: `astrod soak`.

A job is a process that plays one night after another, by itself: rendering, judging and planning happen in it
too, so that as many jobs as there are cores keep all of them busy and nothing is imported twice. A night is
played the same whatever job plays it and whatever it played before.
"""

import argparse
import contextlib
import json
import logging
import os
import shutil
import sys
import tempfile
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path
from typing import Any

from astrod.errors import AstrodError
from astrod.rehearsal.lots import Lot, draw, write
from astrod.rehearsal.night import play_configured
from astrod.runtime import systemd
from astrod.runtime.clock import cpu_s, elapsed_s

log = logging.getLogger(__name__)

THREADS = "OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS"


@dataclass(frozen=True, slots=True)
class Wish:
    """What is asked of a soak."""

    seed: int
    full_size_every: int = 50
    faults: bool = True
    keep: Path | None = None


@dataclass(frozen=True, slots=True)
class Played:
    """What became of a night; plain values, so that it crosses processes."""

    number: int
    told: str
    broken: tuple[str, ...]
    usable_min: float
    used_min: float
    frames: int
    trace_sha256: str
    cpu_s: float
    excerpt: tuple[str, ...] = ()


def play_lot(lot: Lot, keep: Path | None = None) -> Played:
    """Play one night, in this process, and judge it. `keep` is where the folder of a broken night goes."""
    began_s = cpu_s()
    folder = Path(tempfile.mkdtemp(prefix="astrod-soak-", dir=_memory()))
    try:
        summary = _summary(lot, folder)
        if summary["invariants_broken"] and keep is not None:
            shutil.copytree(folder, keep / f"night-{lot.seed}-{lot.number}", dirs_exist_ok=True)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    return Played(
        number=lot.number,
        told=_told(lot),
        broken=tuple(summary["invariants_broken"]),
        usable_min=summary.get("usable_minutes", 0.0),
        used_min=summary.get("used_minutes", 0.0),
        frames=summary.get("frames", {}).get("taken", 0),
        trace_sha256=summary.get("trace_sha256", ""),
        cpu_s=cpu_s() - began_s,
        excerpt=tuple(summary.get("excerpt", ())),
    )


def _summary(lot: Lot, folder: Path) -> dict[str, Any]:
    """The night's summary; a night that ends in an error is broken by that."""
    spool = folder / "spool"
    spool.mkdir()
    write(lot, folder, spool)
    try:
        return play_configured(folder, lot.night, spool, lot.seeing_arcsec, alone=True)
    except Exception as fault:  # noqa: BLE001  whatever ends the daemon in mid night is what a soak looks for
        return {"invariants_broken": [f"the daemon ended: {_innermost(fault)}"]}


def _innermost(fault: BaseException) -> str:
    """What really happened, out of the groups that tasks wrap it in."""
    while isinstance(fault, BaseExceptionGroup):
        fault = fault.exceptions[0]
    return f"{type(fault).__name__}: {fault}"


def _told(lot: Lot) -> str:
    shape = lot.shape
    parts = [shape.kind, "roof" if shape.roof else "no roof", f"{shape.rigs} rig{'s' if shape.rigs > 1 else ''}"]
    parts += [word for word in ("cooler", "wheel", "focuser") if getattr(shape, word)]
    return f"{lot.name} {lot.place.latitude_deg:+.1f} {lot.night} {lot.weather}, {', '.join(parts)}"


def _memory() -> str | None:
    return "/dev/shm" if Path("/dev/shm").is_dir() else None


# -- jobs ----------------------------------------------------------------------------------------------------


def _begin_job() -> None:
    """A job's process: only errors are logged, for there are thousands of nights."""
    systemd.start_log("error")
    logging.getLogger().setLevel(logging.CRITICAL)


def _play_number(number: int, wish: Wish) -> Played:
    return play_lot(draw(wish.seed, number, wish.full_size_every), wish.keep)


@contextlib.contextmanager
def _one_thread_each() -> Iterator[None]:
    """Libraries of linear algebra started below this take one thread: the jobs are the threads."""
    before = {name: os.environ.get(name) for name in THREADS}
    os.environ.update(dict.fromkeys(THREADS, "1"))
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


def soak(numbers: range, wish: Wish, jobs: int) -> dict[str, Any]:
    """Play them; returns what `astrod soak --json` prints."""
    began_s = elapsed_s()
    played: list[Played] = []
    with _one_thread_each(), ProcessPoolExecutor(jobs, get_context("spawn"), _begin_job) as pool:
        for night in pool.map(_play_number, numbers, [wish] * len(numbers)):
            played.append(night)
            _say(night, wish)
    return _summed(played, wish, elapsed_s() - began_s)


def _say(night: Played, wish: Wish) -> None:
    """One line for each night, on the standard error."""
    mark = "BROKEN" if night.broken else "ok"
    share = f"{night.used_min:.0f}/{night.usable_min:.0f} min"
    print(f"{night.number:>5} {mark:<6} {share:>13} {night.cpu_s:5.1f} s  {night.told}", file=sys.stderr, flush=True)
    for what in night.broken:
        print(f"      {what}", file=sys.stderr, flush=True)


def _share(nights: list[Played]) -> float | None:
    usable_min = sum(night.usable_min for night in nights)
    return round(sum(night.used_min for night in nights) / usable_min, 3) if usable_min else None


def _summed(played: list[Played], wish: Wish, wall_s: float) -> dict[str, Any]:
    return {
        "seed": wish.seed,
        "nights": len(played),
        "frames": sum(night.frames for night in played),
        "invariants_broken": sum(len(night.broken) for night in played),
        "observed_share": {"clear": _share(played), "all": _share(played)},
        "wall_s": round(wall_s, 1),
        "cpu_s": round(sum(night.cpu_s for night in played), 1),
        "failures": [{"night": night.number, "broken": list(night.broken)} for night in played if night.broken],
    }


def main(words: argparse.Namespace) -> int:
    """The verb `astrod soak`; returns the exit code: 1 when an invariant was broken."""
    wish = Wish(words.seed, words.full_size_every, words.faults, words.keep)
    numbers = range(words.nights) if words.night is None else range(words.night, words.night + 1)
    summary = soak(numbers, wish, words.jobs)
    print(json.dumps(summary))
    return 1 if summary["invariants_broken"] else 0
