"""kill -9, two hundred times: `make kills`, or `python -m tests.kills --kills 200 --seed 1 [--json]`.

indiserver with INDI's simulators and the real daemon observe in real time while the daemon, the server, a driver,
or one of the daemon's own driver hosts is killed at random moments, mostly several in a row. What ended is started
again as systemd would. Every few kills the daemon must observe again within a bound; now and then it is stopped, or
left dead, and the site must be closed and parked. At the end: frames recorded = frames on disk, readable, none twice.
"""

import argparse
import hashlib
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

from astropy.io import fits

from astrod.api.client import DaemonNotRunning, call
from astrod.archive.archive import Archive
from astrod.domain.darkness import dark_time
from astrod.domain.identity import Night
from astrod.domain.instant import HOUR_US
from astrod.domain.site import Darkness
from astrod.errors import AstrodError
from astrod.rehearsal.observatory import write_indi
from astrod.rehearsal.sites import known
from astrod.rehearsal.targets import Wish
from astrod.runtime.clock import WallClock
from astrod_drivers.indi.server import SIMULATORS, IndiServer, missing
from astrod_drivers.sim.gsc import write_gsc

NIGHT = Night.parse("2026-12-14")
RUNNER = "import sys; from pathlib import Path; from astrod.config.load import load; from astrod.daemon import *\n"
RUNNER += "sys.exit(run(load(Path(sys.argv[1]), resolve_name), Run(int(sys.argv[2]))))"
VICTIMS = {"daemon": 8, "driver": 6, "host": 4, "server": 2}
"""What is killed, and how often one of these against another."""
BURST = 5
"""So many kills before the observatory must have recovered."""
RECOVERED_S = 240.0
"""A killed dome driver forgets that the roof is open: mount parked, roof closed, a bar of half a minute, opened."""
SAFE_S = 150.0
STOP_EVERY, LEAVE_EVERY = 5, 11
"""Every so many bursts the daemon is stopped in order; every so many it is left dead, and safety must close alone."""
AGAIN_S = 1.0


class Broken(Exception):
    """What must never happen has happened."""


class Observatory:
    """indiserver and the daemon; whoever is killed is started again."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.server = IndiServer()
        self.programs = [program for program, _ in SIMULATORS.values()]
        self.gsc = write_gsc(folder / "gsc").parent
        self.start_server()
        site = known("pujalt")
        dusk_us = dark_time(site.place, Darkness(), NIGHT).dusk_us
        self.offset_us = dusk_us + 2 * HOUR_US - WallClock().now_us()
        write_indi(folder, site, self.server.port, folder / "spool", [Wish("Luminance", 2.0, 9000)], shifted=True)
        self.log = (folder / "daemon.log").open("ab")
        self.ended_by_itself: list[int] = []
        self.start()

    def start_server(self) -> None:
        self.server.start(self.programs, self.folder / "home", self.gsc)

    def start(self) -> None:
        self.daemon = subprocess.Popen(
            [sys.executable, "-c", RUNNER, str(self.folder), str(self.offset_us)], stdout=self.log, stderr=self.log
        )

    def revive(self) -> None:
        """Start the daemon again if it has ended, as systemd would."""
        status = self.daemon.poll()
        if status is not None:
            if status != -signal.SIGKILL:
                self.ended_by_itself.append(status)
            self.start()

    def status(self) -> dict[str, Any]:
        try:
            return call(self.folder / "run" / "astrod.sock", "status", {}, 5.0)
        except (DaemonNotRunning, AstrodError, OSError):
            return {}

    # -- killing ---------------------------------------------------------------------------------------------

    def kill(self, victim: str, chance: random.Random) -> str:
        """Kill it; returns what exactly was killed."""
        if victim == "daemon":
            self.daemon.kill()
            self.daemon.wait(10.0)
            time.sleep(chance.uniform(0.0, AGAIN_S))
            self.start()
        elif victim == "server":
            self.server.kill()
            time.sleep(chance.uniform(0.0, AGAIN_S))
            self.start_server()
        elif victim == "driver":
            victim = chance.choice(self.programs)
            self.server.kill_driver(victim)
        else:
            hosts = [pid for pid in self.processes("astrod_drivers.host") if pid != self.daemon.pid]
            if hosts:
                self._kill(chance.choice(hosts))
        return victim

    def _kill(self, pid: int) -> None:
        try:
            os.kill(pid, signal.SIGKILL)
        except ProcessLookupError:
            return  # it ended in this instant

    def processes(self, word: str) -> list[int]:
        """Processes of this folder whose command line holds that word."""
        found = []
        for entry in Path("/proc").glob("[0-9]*"):
            try:
                words = (entry / "cmdline").read_bytes().decode(errors="replace")
            except OSError:  # it ended while we looked
                continue
            if word in words and str(self.folder) in words and int(entry.name) != os.getpid():
                found.append(int(entry.name))
        return sorted(found)

    # -- what must be so -------------------------------------------------------------------------------------

    def recovered(self) -> float:
        """Wait until a frame is kept that was not there before; returns how long that took. Raises Broken."""
        began_s, kept = time.monotonic(), -1
        while time.monotonic() - began_s < RECOVERED_S:
            self.revive()
            told = self.status()
            if told and kept < 0:
                kept = told["frames"]["kept"]
            elif told and told["frames"]["kept"] > kept:
                return time.monotonic() - began_s
            time.sleep(0.25)
        raise Broken(f"no new frame within {RECOVERED_S:g} s: {json.dumps(self.status())[:1500]}")

    def hardware(self) -> tuple[bool, bool]:
        """Closed and parked, by INDI's own word."""
        return self._is_on("Dome Simulator.DOME_SHUTTER.SHUTTER_CLOSE"), self._is_on(
            "Telescope Simulator.TELESCOPE_PARK.PARK"
        )

    def _is_on(self, element: str) -> bool:
        command = ["indi_getprop", "-p", str(self.server.port), "-t", "4", "-1", element]
        done = subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)
        return done.stdout.strip() == "On"

    def safe_alone(self) -> float:
        """Kill the daemon and leave it dead: safety must close the site; returns how long it took. Raises Broken."""
        self.daemon.kill()
        self.daemon.wait(10.0)
        return self._until_safe("the daemon was left dead")

    def safe_in_order(self) -> float:
        """Stop the daemon in order: the site is closed before it ends. Raises Broken."""
        began_s = time.monotonic()
        self.daemon.send_signal(signal.SIGTERM)
        try:
            status = self.daemon.wait(SAFE_S)
        except subprocess.TimeoutExpired as fault:
            raise Broken(f"the daemon did not stop within {SAFE_S:g} s") from fault
        if status != 0:
            raise Broken(f"the daemon ended with {status} when it was stopped")
        if self.hardware() != (True, True):
            raise Broken(f"stopped, yet closed and parked are {self.hardware()}")
        return time.monotonic() - began_s

    def _until_safe(self, what: str) -> float:
        began_s = time.monotonic()
        while self.hardware() != (True, True):
            if time.monotonic() - began_s > SAFE_S:
                raise Broken(f"{what}: closed and parked are {self.hardware()} after {SAFE_S:g} s")
            time.sleep(1.0)
        return time.monotonic() - began_s

    def end(self) -> None:
        """End whatever is left."""
        if self.daemon.poll() is None:
            self.daemon.kill()
            self.daemon.wait(10.0)
        for pid in self.processes("astrod"):
            self._kill(pid)
        self.log.close()
        self.server.stop()


def audit(folder: Path) -> dict[str, Any]:
    """Archive against disk, once no daemon runs. Raises Broken."""
    root = folder / "data"
    archive = Archive.open(root / "archive.db")
    try:
        rows, faults, unfinished = archive.frames(), archive.integrity(), archive.unfinished()
    finally:
        archive.close()
    taken = [row.taken for row in rows if row.taken is not None]
    on_disk = sorted(path.relative_to(root).as_posix() for path in (root / "frames").rglob("*") if path.is_file())
    if faults:
        raise Broken(f"the archive contradicts itself: {faults[:3]}")
    if unfinished:
        raise Broken(f"unfinished exposures after an orderly end: {[str(intent.id) for intent in unfinished]}")
    if sorted(frame.path for frame in taken) != on_disk:
        odd = set(on_disk) ^ {frame.path for frame in taken}
        raise Broken(f"{len(taken)} frames recorded, {len(on_disk)} on disk; they differ in {sorted(odd)[:5]}")
    digests = Counter(_pixels(root / frame.path, frame.sha256) for frame in taken)
    twice = [digest for digest, count in digests.items() if count > 1]
    if twice:
        raise Broken(f"{len(twice)} frames are there twice")
    counters = [row.intent.id.counter for row in rows]
    if counters != list(range(1, len(counters) + 1)):
        raise Broken("the exposures' numbers have gaps or repeat")
    outcomes = Counter(str(row.outcome) for row in rows)
    return {"exposures": len(rows), "recorded": len(taken), "on_disk": len(on_disk), "outcomes": dict(outcomes)}


def _pixels(path: Path, sha256: str) -> str:
    """The digest of a frame's pixels, once the file is what the archive says. Raises Broken."""
    content = path.read_bytes()
    if hashlib.sha256(content).hexdigest() != sha256:
        raise Broken(f"{path.name} is not the file that was recorded")
    with fits.open(path) as hdus:
        return hashlib.sha256(hdus[0].data.tobytes()).hexdigest()


def play(folder: Path, kills: int, seed: int, say: Callable[[str], None]) -> dict[str, Any]:
    """Play `kills` kills. Raises Broken, with what happened."""
    chance = random.Random(seed)
    observatory = Observatory(folder)
    killed: Counter[str] = Counter()
    recovered_s: list[float] = []
    closed_s: dict[str, list[float]] = {"in order": [], "alone": []}
    began_s = time.monotonic()
    try:
        observatory.recovered()
        burst = 0
        while sum(killed.values()) < kills:
            burst += 1
            for _ in range(min(BURST, kills - sum(killed.values()))):
                time.sleep(chance.uniform(0.1, 3.0))
                victim = chance.choices(list(VICTIMS), list(VICTIMS.values()))[0]
                killed[observatory.kill(victim, chance)] += 1
                observatory.revive()
            recovered_s.append(observatory.recovered())
            say(f"{sum(killed.values())} kills, observing again after {recovered_s[-1]:.1f} s")
            if burst % LEAVE_EVERY == 0:
                closed_s["alone"].append(observatory.safe_alone())
                observatory.start()
            elif burst % STOP_EVERY == 0:
                closed_s["in order"].append(observatory.safe_in_order())
                audit(folder)
                observatory.start()
        observatory.recovered()
        closed_s["in order"].append(observatory.safe_in_order())
        found = audit(folder)
    except Broken as fault:
        raise Broken(f"after {sum(killed.values())} kills {dict(killed)}: {fault}") from fault
    finally:
        observatory.end()
    return {
        "kills": sum(killed.values()),
        "killed": dict(sorted(killed.items())),
        "ended_by_itself": observatory.ended_by_itself,
        **found,
        "recovered_s": _spread(recovered_s),
        "closed_s": {how: _spread(times) for how, times in closed_s.items() if times},
        "wall_s": round(time.monotonic() - began_s),
    }


def _spread(times: list[float]) -> dict[str, float]:
    ordered = sorted(times)
    return {
        "count": len(ordered),
        "median": round(ordered[len(ordered) // 2], 1),
        "most": round(ordered[-1], 1),
    }


def main() -> int:
    """The command line; exit code 1 when anything was broken."""
    parser = argparse.ArgumentParser(prog="tests.kills", description=__doc__)
    parser.add_argument("--kills", type=int, default=200)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--keep", type=Path, help="keep all files there")
    parser.add_argument("--json", action="store_true")
    words = parser.parse_args()
    absent = missing()
    if absent:
        print(f"cannot run: {absent}", file=sys.stderr)
        return 2
    folder = words.keep or Path(tempfile.mkdtemp(prefix="astrod-kills-"))
    folder.mkdir(parents=True, exist_ok=True)
    try:
        told = play(folder, words.kills, words.seed, lambda text: print(text, file=sys.stderr, flush=True))
    except Broken as fault:
        print(f"BROKEN {fault}\nthe log: {folder / 'daemon.log'}", file=sys.stderr)
        return 1
    print(json.dumps(told) if words.json else "\n".join(f"{name:16} {value}" for name, value in told.items()))
    return 0


if __name__ == "__main__":
    sys.exit(main())
