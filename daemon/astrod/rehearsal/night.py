"""A whole night on the simulated clock: `astrod night`. The real daemon's code around the simulated observatory."""

import argparse
import asyncio
import hashlib
import json
import logging
import shutil
import tempfile
from collections.abc import AsyncIterator, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from functools import partial
from multiprocessing import get_context
from pathlib import Path
from typing import Any

from astrod.archive.archive import Archive
from astrod.assembly import assemble
from astrod.config.load import Loaded, load
from astrod.core import Core, data_paths
from astrod.daemon import resolve_name
from astrod.domain.darkness import dark_time
from astrod.domain.identity import Night
from astrod.domain.instant import MINUTE_US, iso
from astrod.domain.safety import ClockQuality
from astrod.errors import InputInvalid
from astrod.reconcile import reconcile
from astrod.rehearsal.host import Host, own_tasks
from astrod.rehearsal.observatory import Play, write_simulated
from astrod.rehearsal.referee import Claim, Referee
from astrod.rehearsal.session import SimSession
from astrod.rehearsal.simulator import setup_of
from astrod.rehearsal.sites import known
from astrod.rehearsal.stars import simulated_stars
from astrod.report import told
from astrod.rig.port import DirectSession, Port
from astrod.rig.safety.hardware import hardware_of
from astrod.rig.safety.loop import SafetyLoop
from astrod.rig.safety.memory import KeptMemory
from astrod.rig.safety.process import device_opener
from astrod.rig.safety.sights import Sights
from astrod.rig.safety.sources import is_own, simulated_source
from astrod.runtime import systemd
from astrod.runtime.clock import SimClock, VirtualLoop, elapsed_s, run_virtual
from astrod.runtime.durable import make_folder
from astrod.runtime.offload import VirtualOffload
from astrod.runtime.trace import Trace
from astrod_drivers.address import parse
from astrod_drivers.host import die_with_parent
from astrod_drivers.permit import EpochCell
from astrod_drivers.sim.faults import Fault, check, from_toml
from astrod_drivers.sim.injector import Running
from astrod_drivers.sim.observatory import Observatory
from astrod_drivers.sim.render import save
from astrod_drivers.sim.scene import Scene

log = logging.getLogger(__name__)

BEFORE_US = 10 * MINUTE_US
AFTER_S = 3 * 3600.0
AGAIN_S = 600.0
"""What a daemon that was started again after the night has to close, park and warm up."""
BEFORE_BREAK, AFTER_BREAK = 14, 4
"""Notes of the trace that are shown around a broken invariant."""
SMALL = (484, 274, 11.6)


@dataclass(frozen=True, slots=True)
class Script:
    """What night to play."""

    site: str
    night: Night
    play: Play
    faults: tuple[Fault, ...] = ()


class Here:
    """Renders scenes in this very process: for a soak, whose processes are all busy with nights of their own."""

    async def __call__(self, scene: Scene, path: Path) -> None:
        """See `astrod_drivers.sim.camera.Renderer`."""
        save(scene, path)

    def close(self) -> None:
        """Nothing to end."""


class Renderings:
    """Renders scenes in a process beside the one that judges, so that two cores share a night's work."""

    def __init__(self) -> None:
        self._pool = ProcessPoolExecutor(1, get_context("spawn"), die_with_parent)

    async def __call__(self, scene: Scene, path: Path) -> None:
        """See `astrod_drivers.sim.camera.Renderer`; blocks simulated time until the pixels are there."""
        self._pool.submit(save, scene, path).result()

    def close(self) -> None:
        self._pool.shutdown(wait=True, cancel_futures=True)


@asynccontextmanager
async def _running(*bodies: Any) -> AsyncIterator[list[asyncio.Task[Any]]]:
    """Run these beside the block; the first failure of any ends the block with it."""
    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(body) for body in bodies]
        yield tasks
        for task in tasks:
            task.cancel()


def _nobody_waits() -> None:
    """A played night starts everything at once."""


class PlayedNight:
    """One night: the parts, tied together as the daemon ties them."""

    def __init__(
        self,
        loaded: Loaded,
        loop: VirtualLoop,
        night: Night,
        spool: Path,
        seeing_arcsec: float,
        faults: tuple[Fault, ...] = (),
        alone: bool = False,
    ) -> None:
        site = loaded.site
        self.night = night
        self.loaded = loaded
        self.dark = dark_time(site.place, site.darkness, night)
        self.sky = SimClock(loop, self.dark.prepare_us - BEFORE_US)
        self.clock = SimClock(loop, self.dark.prepare_us - BEFORE_US)  # the daemon's, which may be wrong
        self.gate = EpochCell()
        self.host = Host(self.clock, loaded.settings.storage.data_dir)
        self.memory = KeptMemory()
        self.traces: list[Trace] = []
        self.render = Here() if alone else Renderings()
        setup = setup_of(loaded, seeing_arcsec, faults=faults)
        self.observatory = Observatory(setup, self.sky, self.gate, spool, self.render)
        self.offload = VirtualOffload(self.clock, setup.seed, processes=() if alone else ("frames", "plan"))
        self.referee = Referee(site, loaded.targets, self.dark, self.observatory, self.sky, self._alarms)
        self._boot()

    def _boot(self) -> None:
        """The daemon's parts, as a start of its processes makes them: anew at each of its lives."""
        self.archive = Archive.open(data_paths(self.loaded.settings.storage.data_dir)["archive"])
        self.safety = self._safety()
        self.core: Core = assemble(
            self.loaded,
            self.clock,
            self.host.offload(self.offload),
            self.archive,
            self.safety,
            self._session,
            lambda: self.gate.beat_control(self.clock.boottime_us()),
            self._clock_quality,
            simulated_stars,
        )
        self.traces.append(self.core.trace)

    def _alarms(self) -> set[str]:
        """The codes that `astrod status` shows."""
        return {finding.code for finding in self.core.health.findings}

    def _clock_quality(self) -> ClockQuality:
        return ClockQuality("simulated", None if self.host.clock_told_wrong else 0)

    def _session(self, address: str, kind: str) -> SimSession:
        return SimSession(self.observatory, parse(address).device, self.host.life, self.referee.overhear)

    def _safety(self) -> SafetyLoop:
        sights = Sights(self.clock)
        hardware = hardware_of(self.loaded.site, self.clock, self._port, sights.where_is_it)
        return SafetyLoop(self.loaded.site, self.clock, self.gate, hardware, self.memory, sights)

    def _port(self, name: str, kind: str, address: str) -> Port[Any]:
        """A port of safety's own. The host's disk and line are the simulated night's: always good."""
        if not is_own(address):
            return device_opener(self.loaded.site, self.clock, self._session)(name, kind, address)
        own = simulated_source(address, self.clock, self._clock_quality, self.loaded.settings.daemon.run_dir)
        return Port(name, kind, address, DirectSession(own), self.clock)

    async def run(self) -> dict[str, Any]:
        """Play it; returns the summary that `astrod night --json` prints."""
        began_s = elapsed_s()
        asyncio.get_running_loop().set_task_factory(own_tasks)
        self.host.lost_power = self._lose_power
        self.observatory.faults.on_host = self.host.strike
        self.observatory.play_faults({"dusk": self.dark.dusk_us, "dawn": self.dark.dawn_us})
        async with _running(self.referee.watch()):
            while (away_s := await self.host.live(self._live)) is not None:
                self.core.schedule.stop()
                self.archive.close()
                await self.offload.drain()
                await self.sky.sleep(away_s)
                self._boot()
        return await self._summary(began_s)

    async def _live(self) -> None:
        """One life of the daemon: to the night's end, or to its own."""
        keeping = [port.keep() for port in self.core.ports()]
        ready = _nobody_waits
        looking = self.core.whereabouts.answer()
        watching = (
            *(self.core.watch_devices(), self.core.watch_disk(), self.core.tend(), looking),
            self.core.watch_sky(),
        )
        catching_up = reconcile(self.core, self.loaded.settings.storage)
        services = (self.safety.run(ready), self.core.conductor.run(ready), catching_up, *watching, *keeping)
        async with _running(*services):
            await self._until_over()

    def _lose_power(self, running: Running) -> None:
        """What a power cut takes besides the daemon's life."""
        self.gate.become_unsafe()
        self.memory.save({})
        for spooled in self.loaded.settings.storage.spool_dir.glob("*"):
            spooled.unlink(missing_ok=True)
        if running.fault.way == "site":
            self.observatory.lose_power(running.fault.size)

    @property
    def _gets_dark(self) -> bool:
        return self.dark.dawn_us > self.dark.dusk_us

    async def _until_over(self) -> None:
        """Wait for the night's own end; a night that does not end by itself is over three hours after dawn."""
        last_us = self.dark.dawn_us + round(AFTER_S * 1e6)
        key = str(self.night)
        while key not in self.core.summaries and self._gets_dark and self.sky.now_us() < last_us:
            await self.sky.sleep(30.0)
        await self.sky.sleep(AGAIN_S if self._restarted_late else 30.0)

    @property
    def _restarted_late(self) -> bool:
        """Whether this life of the daemon began after the night, which it then only puts in order."""
        began = self.core.trace.notes
        return len(self.traces) > 1 and bool(began) and began[0]["at_us"] >= self.dark.dawn_us

    async def _summary(self, began_s: float) -> dict[str, Any]:
        self.host.disk = None  # a night that never ended is summed up by its judges, whose disk is another
        summary = self.core.summaries.get(str(self.night)) or await self.core.summarise(self.night)
        rows = self.archive.frames(self.night)
        claims = [
            Claim(
                str(row.id),
                row.taken.path,
                row.taken.sha256,
                row.taken.started_us,
                row.taken.exposure_s,
                row.kept,
                row.intent.kind,
                row.intent.rig,
                row.intent.ra_deg,
                row.intent.dec_deg,
            )
            for row in rows
            if row.taken is not None
        ]
        root = self.loaded.settings.storage.data_dir
        verdict = await self.referee.verdict(root, claims, summary["dark_minutes"]["unexplained"])
        broken = [str(found) for found in verdict.broken]
        if str(self.night) not in self.core.summaries and self._gets_dark and self.referee.could_end:
            broken.append(f"{iso(self.clock.now_us())} the night did not end by itself")
        return {
            "site": self.loaded.site.name,
            "night": str(self.night),
            "seed": self.observatory.setup.seed,
            "weather": self.observatory.setup.scenario,
            **summary,
            "faults_injected": [_told_fault(running) for running in self.observatory.faults.fired],
            "trace_sha256": _sha256_of(self.traces),
            "wall_s": round(elapsed_s() - began_s, 1),
            "usable_minutes": round(verdict.usable_min, 3),
            "used_minutes": round(verdict.observed_min, 3),
            "invariants_broken": broken,
            "excerpt": self._excerpt(verdict.broken[0].at_us) if verdict.broken else [],
        }

    def _excerpt(self, at_us: int) -> list[str]:
        """The last notes of the trace before an instant, and the first after it."""
        notes = [note for trace in self.traces for note in trace.notes]
        before = [note for note in notes if note["at_us"] <= at_us][-BEFORE_BREAK:]
        after = [note for note in notes if note["at_us"] > at_us][:AFTER_BREAK]
        return [_told_note(note) for note in before + after]

    def close(self) -> None:
        """End the workers, let go of the archive."""
        self.core.schedule.stop()
        self.offload.close()
        self.render.close()
        self.archive.close()


def _sha256_of(traces: Sequence[Trace]) -> str:
    """The trace's fingerprint; of several lives of the daemon, one of all."""
    if len(traces) == 1:
        return traces[0].sha256
    return hashlib.sha256("".join(trace.sha256 for trace in traces).encode()).hexdigest()


def _told_note(note: dict[str, Any]) -> str:
    facts = " ".join(f"{key}={value}" for key, value in note.items() if key not in ("at_us", "what"))
    return f"{iso(note['at_us'])} {note['what']} {facts}"


def _told_fault(running: Running) -> dict[str, Any]:
    """A fault that fired, as the summary tells it; `until` is None for one that was still there at the end."""
    fault = running.fault
    return {
        "kind": fault.kind,
        "device": fault.device,
        "phase": running.phase,
        "at": iso(running.since_us),
        "until": iso(running.ended_us) if running.ended_us is not None else None,
    }


def play(script: Script, folder: Path) -> dict[str, Any]:
    """Play a night with all its files under `folder`; returns its summary."""
    site = known(script.site)
    with _spool() as spool:
        write_simulated(folder, site, script.play, spool)
        return play_configured(folder, script.night, spool, site.seeing_arcsec, script.faults)


def play_configured(
    folder: Path,
    night: Night,
    spool: Path,
    seeing_arcsec: float = 2.0,
    faults: tuple[Fault, ...] = (),
    alone: bool = False,
) -> dict[str, Any]:
    """Play a night with the configuration in `folder`, all of whose devices must be `sim://`; returns its summary.

    `alone`: all in this process, without workers beside it. Raises InputInvalid for a fault of a device that is not
    there.
    """
    loaded = load(folder, resolve_name)
    for path in (loaded.settings.storage.data_dir, loaded.settings.daemon.run_dir):
        make_folder(path)
    _check_faults(loaded, faults)
    playing = partial(_play, loaded, night, spool, seeing_arcsec, faults, alone)
    return run_virtual(playing)  # type: ignore[no-any-return]


def _check_faults(loaded: Loaded, faults: tuple[Fault, ...]) -> None:
    try:
        check(faults, setup_of(loaded).names())
    except ValueError as wrong:
        raise InputInvalid(str(wrong)) from wrong


@contextmanager
def _spool() -> Iterator[Path]:
    spool = Path(tempfile.mkdtemp(prefix="astrod-night-", dir=_memory()))
    try:
        yield spool
    finally:
        shutil.rmtree(spool, ignore_errors=True)


async def _play(
    loaded: Loaded,
    night: Night,
    spool: Path,
    seeing_arcsec: float,
    faults: tuple[Fault, ...],
    alone: bool,
    loop: VirtualLoop,
) -> dict[str, Any]:
    played = PlayedNight(loaded, loop, night, spool, seeing_arcsec, faults, alone)
    try:
        return await played.run()
    finally:
        played.close()


def _memory() -> str | None:
    return "/dev/shm" if Path("/dev/shm").is_dir() else None


def _script(words: argparse.Namespace) -> Script:
    try:
        night = Night.parse(words.date)
    except ValueError as fault:
        raise InputInvalid(f"--date {words.date!r} is no date; write for instance 2026-12-14") from fault
    size = SMALL if words.small else (1936, 1096, 2.9)
    return Script(words.site, night, Play(words.seed, words.weather, *size), faults_in(words.faults))


def faults_in(file: Path | None) -> tuple[Fault, ...]:
    """The faults that a file asks for; none without one. Raises InputInvalid, which says what is wrong where."""
    if file is None:
        return ()
    try:
        return from_toml(file.read_text(encoding="utf-8"))
    except OSError as wrong:
        raise InputInvalid(f"{file}: {wrong.strerror}; name a file of [[fault]] tables") from wrong
    except ValueError as wrong:
        raise InputInvalid(f"{file}: {wrong}") from wrong


def main(words: argparse.Namespace) -> int:
    """The verb `astrod night`; returns the exit code: 1 when an invariant was broken."""
    systemd.start_log("info" if getattr(words, "verbose", False) else "error")
    script = _script(words)
    keep = Path(words.keep).resolve() if words.keep else None
    folder = keep or Path(tempfile.mkdtemp(prefix="astrod-night-"))
    folder.mkdir(parents=True, exist_ok=True)
    try:
        summary = play(script, folder)
    finally:
        if keep is None:
            shutil.rmtree(folder, ignore_errors=True)
    print(json.dumps(summary) if words.json else _told(summary))
    return 1 if summary["invariants_broken"] else 0


def _told(summary: dict[str, Any]) -> str:
    title = f"Night of {summary['night']} at {summary['site']}, {summary['weather']}, seed {summary['seed']}"
    lines = [told(title, summary), f"  played in {summary['wall_s']} s; trace {summary['trace_sha256'][:16]}"]
    lines += [f"  fault     {f['at'][11:19]} {f['kind']} {f['device']}".rstrip() for f in summary["faults_injected"]]
    return "\n".join([*lines, *(f"  BROKEN    {what}" for what in summary["invariants_broken"])])
