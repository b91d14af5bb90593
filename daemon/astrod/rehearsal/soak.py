"""Many nights, each drawn at random and judged by the referee: `astrod soak`.

A job is a process that plays one night after another, by itself: rendering, judging and planning happen in it
too, so that as many jobs as there are cores keep all of them busy and nothing is imported twice. A night is
played the same whatever job plays it and whatever it played before.
"""

import argparse
import contextlib
import gc
import hashlib
import json
import logging
import os
import re
import shutil
import sys
import tempfile
import traceback
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass, replace
from multiprocessing import get_context
from pathlib import Path
from typing import Any

from astrod.errors import Bug
from astrod.rehearsal.lots import Lot, cells, draw, write
from astrod.rehearsal.night import play_configured
from astrod.rehearsal.shrinking import shrink
from astrod.runtime.clock import cpu_s, elapsed_s
from astrod_drivers.host import die_with_parent
from astrod_drivers.sim.faults import Fault

EXCERPT_LINES = 16
_PARTICULARS = re.compile(r"\S*-\d{8}-\d+\S*|\d+(\.\d+)?")
THREADS = "OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS"


@dataclass(frozen=True, slots=True)
class Order:
    """What is asked of a soak. No night lasts longer than `hours` after its dusk, where that is given."""

    seed: int
    full_size_every: int = 50
    faults: bool = True
    keep: Path | None = None
    hours: float | None = None

    def lot(self, number: int) -> Lot:
        """The night of that number."""
        lot = draw(self.seed, number, self.full_size_every, self.faults)
        return lot if self.hours is None else replace(lot, hours=min(self.hours, lot.hours or self.hours))


Play = Callable[[Lot, Path, Path], dict[str, Any]]
"""Plays a lot whose configuration is written to a folder, with that spool; returns the night's summary."""


def played_alone(lot: Lot, folder: Path, spool: Path) -> dict[str, Any]:
    """Play it with the daemon's own code, all in this process."""
    return play_configured(folder, lot.night, spool, lot.seeing_arcsec, lot.faults, alone=True)


@dataclass(frozen=True, slots=True)
class Played:
    """What became of a night; plain values, so that it crosses processes. `fired` are kinds and phases, `missed` those
    of faults that never came or came in another phase; `culprits` the shortest list of the night's faults with which
    it still breaks, where it broke.
    """

    number: int
    told: str
    sort: str
    broken: tuple[str, ...]
    usable_min: float
    used_min: float
    frames: int
    fired: tuple[tuple[str, str], ...]
    trace_sha256: str
    cpu_s: float
    missed: tuple[tuple[str, str], ...] = ()
    excerpt: tuple[str, ...] = ()
    culprits: tuple[Fault, ...] = ()


def play_lot(lot: Lot, keep: Path | None = None, play: Play = played_alone) -> Played:
    """Play one night, in this process, and judge it. `keep` is where the folder of a broken night goes."""
    began_s = cpu_s()
    folder = Path(tempfile.mkdtemp(prefix="astrod-soak-", dir=_memory()))
    try:
        summary = _summary(lot, folder, play)
        if summary["invariants_broken"] and keep is not None:
            shutil.copytree(folder, keep / f"night-{lot.seed}-{lot.number}", dirs_exist_ok=True)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    fired = tuple((fault["kind"], fault["phase"]) for fault in summary.get("faults_injected", ()))
    return Played(
        number=lot.number,
        told=_told(lot),
        sort="clear" if not lot.faults else "recoverable" if lot.recoverable else "lasting",
        broken=tuple(summary["invariants_broken"]),
        usable_min=summary.get("usable_minutes", 0.0),
        used_min=summary.get("used_minutes", 0.0),
        frames=summary.get("frames", {}).get("taken", 0),
        fired=fired,
        trace_sha256=summary.get("trace_sha256", ""),
        cpu_s=cpu_s() - began_s,
        missed=tuple((f.kind, str(f.when)) for f in lot.faults if (f.kind, str(f.when)) not in fired),
        excerpt=tuple(summary.get("excerpt", ())),
    )


def _summary(lot: Lot, folder: Path, play: Play) -> dict[str, Any]:
    """The night's summary; a night that ends in an error is broken by that."""
    spool = folder / "spool"
    spool.mkdir()
    write(lot, folder, spool)
    try:
        return play(lot, folder, spool)
    except Exception as fault:  # noqa: BLE001  whatever ends the daemon in mid night is what a soak looks for
        cause = _innermost(fault)
        where = [line for part in traceback.format_tb(cause.__traceback__) for line in part.splitlines()]
        broken = f"the daemon ended: {type(cause).__name__}: {cause}".replace(str(folder), "…")
        return {"invariants_broken": [broken], "excerpt": where[-EXCERPT_LINES:]}


def _innermost(fault: BaseException) -> BaseException:
    """What really happened, out of the groups that tasks wrap it in and of what was made of it."""
    while True:
        if isinstance(fault, BaseExceptionGroup):
            fault = fault.exceptions[0]
        elif isinstance(fault, Bug) and fault.__cause__ is not None:
            fault = fault.__cause__
        else:
            return fault


def _told(lot: Lot) -> str:
    shape = lot.shape
    parts = [shape.kind, "roof" if shape.roof else "no roof", f"{shape.rigs} rig{'s' if shape.rigs > 1 else ''}"]
    parts += [word for word in ("cooler", "wheel", "focuser") if getattr(shape, word)]
    parts += [told_fault(fault) for fault in lot.faults]
    return f"{lot.name} {lot.place.latitude_deg:+.1f} {lot.night} {lot.weather}, {', '.join(parts)}"


def told_fault(fault: Fault) -> str:
    """A fault in a few words."""
    what = " ".join(word for word in (fault.device, fault.kind, fault.mode) if word)
    lasts = f"{fault.lasts_s:g} s" if fault.ends == "time" else f"until {fault.ends}"
    return f"{what} while {fault.when} #{fault.nth}+{fault.after_s:g} s, {lasts}"


def _memory() -> str | None:
    return "/dev/shm" if Path("/dev/shm").is_dir() else None


def culprits(lot: Lot, broken: tuple[str, ...], play: Play = played_alone) -> tuple[Fault, ...]:
    """The shortest list of the lot's faults with which the night still breaks in one of these ways."""
    ways = {_way(what) for what in broken}

    def breaks(faults: tuple[Fault, ...]) -> bool:
        return any(_way(what) in ways for what in play_lot(replace(lot, faults=faults), play=play).broken)

    return shrink(lot.faults, breaks)


def _way(what: str) -> str:
    """What was broken, without when, by which frame and by how much: those change when other faults are left out."""
    return _PARTICULARS.sub("…", what.split(" ", 1)[1] if what[:2] == "20" else what)


# -- jobs ----------------------------------------------------------------------------------------------------


def _begin_job() -> None:
    """A job's process: it ends with its parent, however that ends. Nothing is logged, for there are thousands of
    nights, in which things go wrong on purpose.
    """
    die_with_parent()
    logging.disable(logging.CRITICAL)
    gc.freeze()  # what is imported stays; looking through it again and again is a twentieth of a night's cost
    gc.set_threshold(20_000, 20, 50)


def _play_number(number: int, order: Order) -> Played:
    lot = order.lot(number)
    played = play_lot(lot, order.keep)
    return replace(played, culprits=culprits(lot, played.broken)) if played.broken else played


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


def soak(numbers: range, order: Order, jobs: int) -> dict[str, Any]:
    """Play them; returns what `astrod soak --json` prints."""
    began_s = elapsed_s()
    played: list[Played] = []
    with _one_thread_each(), ProcessPoolExecutor(jobs, get_context("spawn"), _begin_job) as pool:
        for night in pool.map(_play_number, numbers, [order] * len(numbers)):
            played.append(night)
            _say(night, order)
    return summed(played, order, elapsed_s() - began_s)


def _say(night: Played, order: Order) -> None:
    """One line for each night, on the standard error, and all that helps with a broken one."""
    mark = "BROKEN" if night.broken else "ok"
    minutes = f"{night.used_min:5.0f} of {night.usable_min:4.0f} min"
    lines = [f"{night.number:>5} {mark:<6} {minutes} {night.cpu_s:5.1f} s  {night.told}"]
    lines += [f"      never came: {kind} while {phase}" for kind, phase in night.missed]
    if night.broken:
        lines += [f"      {what}" for what in night.broken]
        lines += ["      with no fault at all"] if not night.culprits else []
        lines += [f"      needs: {told_fault(fault)}" for fault in night.culprits]
        lines += [f"        {line}" for line in night.excerpt]
        lines.append(f"      again: astrod soak --seed {order.seed} --night {night.number}")
    print("\n".join(lines), file=sys.stderr, flush=True)


def _share(nights: list[Played]) -> float | None:
    usable_min = sum(night.usable_min for night in nights)
    return round(sum(night.used_min for night in nights) / usable_min, 4) if usable_min else None


def summed(played: list[Played], order: Order, wall_s: float) -> dict[str, Any]:
    """What `--json` prints of nights that were played. `by_phase` counts, for each kind of fault that is drawn, in
    which phases of the night it fired; `cells_empty` are those of the table in which none has.
    """
    fired = Counter(cell for night in played for cell in night.fired)
    table: dict[str, dict[str, int]] = {}
    for kind, phase in cells():
        table.setdefault(kind, {})[phase] = fired[kind, phase]
    return {
        "seed": order.seed,
        "nights": len(played),
        "frames": sum(night.frames for night in played),
        "faults_injected": sum(len(night.fired) for night in played),
        "faults_missed": Counter(f"{kind} while {phase}" for night in played for kind, phase in night.missed),
        "invariants_broken": sum(len(night.broken) for night in played),
        "observed_share": {
            "clear": _share([night for night in played if night.sort == "clear"]),
            "recoverable": _share([night for night in played if night.sort == "recoverable"]),
            "all": _share(played),
        },
        "wall_s": round(wall_s, 1),
        "cpu_s": round(sum(night.cpu_s for night in played), 1),
        "traces_sha256": hashlib.sha256(" ".join(night.trace_sha256 for night in played).encode()).hexdigest(),
        "by_phase": table,
        "cells_empty": sum(1 for counts in table.values() for count in counts.values() if count == 0),
        "failures": [_failure(night) for night in played if night.broken],
    }


def _failure(night: Played) -> dict[str, Any]:
    return {
        "night": night.number,
        "broken": list(night.broken),
        "faults": [_plain(fault) for fault in night.culprits],
        "excerpt": list(night.excerpt),
    }


def _plain(fault: Fault) -> dict[str, Any]:
    """As a `[[fault]]` table would have it."""
    return {key: value for key, value in asdict(fault).items() if value not in (None, "")}


def _told_summary(summary: dict[str, Any]) -> str:
    nights, seed, broken = summary["nights"], summary["seed"], summary["invariants_broken"]
    happened = f"{summary['frames']} frames, {summary['faults_injected']} faults, {broken} invariants broken"
    shares = [f"{sort} {share:.1%}" for sort, share in summary["observed_share"].items() if share is not None]
    cost = f"{summary['wall_s']} s, {summary['cpu_s']} s of CPU"
    return "\n".join(
        [
            f"{nights} nights of seed {seed}: {happened}",
            f"  used of what could be used: {', '.join(shares) or 'nothing could be'}",
            f"  {cost}; {summary['cells_empty']} cells of the table are empty",
        ]
    )


def main(words: argparse.Namespace) -> int:
    """The verb `astrod soak`; returns the exit code: 1 when an invariant was broken."""
    if words.keep is not None:
        words.keep.mkdir(parents=True, exist_ok=True)
    order = Order(words.seed, words.full_size_every, words.faults, words.keep)
    numbers = range(words.nights) if words.night is None else range(words.night, words.night + 1)
    summary = soak(numbers, order, max(1, words.jobs))
    print(json.dumps(summary) if words.json else _told_summary(summary))
    return 1 if summary["invariants_broken"] else 0
