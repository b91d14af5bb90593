"""How soon safety acts: real processes, over sockets, while every other driver hangs and the host is busy.

    python -m tests.bench.safety [TRIALS]

The hardware is a process of its own that notes when commands arrive. In each trial the wind rises, while a second
weather station, a cover and the switch never answer, and two processes burn CPU. Measured by one clock: from the
answer that holds the unsafe reading to the first command toward safety, and from the moment that the mount reads
parked to the roof's command. After that: how late the control loop wakes while a frame of 26 megapixels is kept,
solved, measured and judged beside it.
"""

import asyncio
import json
import multiprocessing
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from astrod.appraise import appraise
from astrod.config.settings import SolveSettings
from astrod.domain.exposure import Intent
from astrod.domain.identity import ExposureId, Night
from astrod.domain.plate import Expected
from astrod.domain.site import Limit, Outlet, Place, RoofSetup, Site, WeatherSetup
from astrod.frames.admission import Circumstances, Kept, admit
from astrod.frames.header import FrameFacts
from astrod.rehearsal.stars import simulated_stars
from astrod.rig.safety.link import RemoteGuard, SafetyProcess, arguments
from astrod.runtime.clock import WallClock
from astrod.runtime.offload import Cost, WallOffload
from astrod.solving import locate
from astrod_drivers.permit import EpochPage
from astrod_drivers.protocols import (
    MountState,
    Permit,
    RoofState,
    WeatherReading,
)
from astrod_drivers.sim.render import save
from astrod_drivers.sim.scene import Pointing, Scene, Sensor
from astrod_drivers.wire import Offer, Server, encode
from tests.rig.devices import SITE

TRIALS = 200
BURNERS = 2
PARK_S = 0.3
START_S = 30.0
FRAME = (4176, 6248)
PIXEL_UM = 3.76
TARGET = (83.8, 22.0)


class Never:
    """A device whose calls never answer."""

    async def connect(self) -> None:
        """Connected, and then silent."""

    async def disconnect(self) -> None:
        """Silent."""

    def __getattr__(self, name: str) -> Any:
        async def forever(*_: object, **__: object) -> None:
            await asyncio.Event().wait()

        return forever


class Hill:
    """The hardware: a mount, a roof and a wind gauge in one, which note when things happen."""

    def __init__(self) -> None:
        self.blows = False
        self.open = False
        self.moving_until_s = 0.0
        self.parked_at_s: float | None = 0.0
        self.times: dict[str, float] = {}

    def note(self, what: str) -> None:
        self.times.setdefault(what, time.monotonic())

    async def connect(self) -> None: ...

    async def disconnect(self) -> None: ...


class HillMount(Hill):
    def __init__(self, hill: Hill) -> None:
        self.hill = hill

    @property
    def is_parked(self) -> bool:
        at_s = self.hill.parked_at_s
        return at_s is not None and time.monotonic() >= at_s

    async def read(self) -> MountState:
        if self.is_parked and self.hill.open:
            self.hill.note("clear")
        return MountState(10.0, 10.0, slewing=False, tracking=not self.is_parked, parked=self.is_parked)

    async def unpark(self, permit: Permit) -> None:
        self.hill.parked_at_s = None

    async def abort(self) -> None:
        self.hill.note("first")

    async def park(self) -> None:
        self.hill.note("first")
        self.hill.parked_at_s = time.monotonic() + PARK_S


class HillRoof(Hill):
    def __init__(self, hill: Hill) -> None:
        self.hill = hill

    async def read(self) -> RoofState:
        return RoofState("open" if self.hill.open else "closed")

    async def open(self, permit: Permit) -> None:  # type: ignore[override]
        self.hill.open = True

    async def close(self) -> None:
        self.hill.note("roof")
        self.hill.open = False


class HillWeather(Hill):
    def __init__(self, hill: Hill) -> None:
        self.hill = hill

    async def read(self) -> WeatherReading:
        if self.hill.blows:
            self.hill.note("reading")
        return WeatherReading(time.time_ns() // 1000, {"wind_m_s": 30.0 if self.hill.blows else 1.0})


async def _hill(socket: Path, orders: Any) -> None:
    """Serve the hardware; obey the bench: begin a trial, tell its times, end."""
    hill = Hill()
    server = Server(
        {
            "mount": Offer("mount", HillMount(hill)),
            "roof": Offer("roof", HillRoof(hill)),
            "weather": Offer("weather", HillWeather(hill)),
            **{name: Offer(name.rstrip("2"), Never()) for name in ("weather2", "cover", "switch")},
        }
    )
    await server.listen(socket)
    while True:
        if not orders.poll():
            await asyncio.sleep(0.01)
            continue
        match orders.recv():
            case "unpark":
                hill.parked_at_s = None
            case "blow":
                hill.times = {}
                hill.blows = True
            case "calm":
                hill.blows = False
                orders.send(hill.times)
            case _:
                return


def _serve(socket: Path, orders: Any) -> None:
    asyncio.run(_hill(socket, orders))


def _burn() -> None:
    while True:
        sum(range(10_000))


@contextmanager
def _busy() -> Iterator[None]:
    """Two processes that want every core they can get, at this process's own priority."""
    burners = [multiprocessing.Process(target=_burn, daemon=True) for _ in range(BURNERS)]
    for burner in burners:
        burner.start()
    try:
        yield
    finally:
        for burner in burners:
            burner.terminate()
            burner.join()


def _site() -> Site:
    """A site whose safety has nothing but one wind gauge, the mount and the roof that still answers."""
    rig = SITE.rigs[0]
    train = replace(rig.trains[0], cover="sim://cover")
    mount = replace(rig.mount, power=Outlet("sim://switch", "mount"), park_s=20.0)
    gauge = WeatherSetup(
        "gauge", "sim://weather", (Limit("wind_m_s", high=12.0),), poll_s=0.5, unsafe_after=1, safe_after_s=0.0
    )
    hung = WeatherSetup("hung", "sim://weather2", poll_s=0.5, stale_s=5.0, action="warn")
    polar = replace(SITE.darkness, roof_below_deg=90.0)  # the Sun has no say in a bench
    return replace(
        SITE,
        place=Place(41.72, 1.42, 760.0),
        rigs=(replace(rig, mount=mount, trains=(train,)),),
        roof=RoofSetup("sim://roof", open_s=30.0, close_s=30.0, power=Outlet("sim://switch", "roof")),
        weather=(gauge, hung),
        darkness=polar,
    )


async def _beat(page: EpochPage, clock: WallClock) -> None:
    while True:
        page.beat_control(clock.boottime_us())
        await clock.sleep(1.0)


async def _until_safe(guard: RemoteGuard) -> Permit:
    report = await guard.report()
    async with asyncio.timeout(START_S):
        while not report.safe:
            report = await guard.changed(report.version)
    return Permit(report.epoch)


async def _trials(folder: Path, orders: Any, trials: int) -> dict[str, list[float]]:
    clock, page = WallClock(), EpochPage(folder / "epoch")
    (folder / "site.json").write_text(json.dumps(encode(_site())))
    line = arguments(
        folder / "site.json",
        folder / "epoch",
        folder / "memory.json",
        folder / "statement.json",
        folder / "pid",
        folder,
        folder / "hill.sock",
        0,
    )
    beating = asyncio.create_task(_beat(page, clock))
    safety = await SafetyProcess.start(line)
    guard = RemoteGuard(safety.connection, 60.0, 120.0)
    first_s, roof_s = [], []
    for _ in range(trials):
        permit = await _until_safe(guard)
        await guard.open_roof(permit)
        orders.send("unpark")
        orders.send("blow")
        report = await guard.report()
        async with asyncio.timeout(60.0):
            while report.roof != "closed" or report.safe:
                report = await guard.changed(report.version)
        orders.send("calm")
        times = await asyncio.to_thread(orders.recv)
        first_s.append(times["first"] - times["reading"])
        roof_s.append(times["roof"] - times["clear"])
    beating.cancel()
    await safety.stop()
    return {"unsafe_to_first_command": first_s, "clear_to_roof_command": roof_s}


def _told(name: str, seconds: list[float]) -> None:
    cuts = statistics.quantiles(seconds, n=100, method="inclusive")
    figures = {"p50_ms": cuts[49], "p99_ms": cuts[98], "max_ms": max(seconds)}
    print(json.dumps({"what": name, "n": len(seconds), **{k: round(1e3 * v, 1) for k, v in figures.items()}}))


def _act(trials: int) -> None:
    ours, theirs = multiprocessing.Pipe()
    with tempfile.TemporaryDirectory(prefix="astrod-safety-") as name:
        hill = multiprocessing.Process(target=_serve, args=(Path(name) / "hill.sock", theirs), daemon=True)
        hill.start()
        while not (Path(name) / "hill.sock").exists():
            time.sleep(0.05)
        with _busy():
            for what, seconds in asyncio.run(_trials(Path(name), ours, trials)).items():
                _told(what, seconds)
        ours.send("end")
        hill.join(5.0)


# -- the control loop ------------------------------------------------------------------------------------------


async def _lag(until: asyncio.Event) -> list[float]:
    """How late the loop wakes, each five milliseconds."""
    late = []
    loop = asyncio.get_running_loop()
    while not until.is_set():
        due_s = loop.time() + 0.005
        await asyncio.sleep(0.005)
        late.append(max(0.0, loop.time() - due_s))
    return late


def _rendered(folder: Path) -> tuple[Path, float]:
    """A frame of the simulated sky at TARGET, and its scale, arcseconds per pixel."""
    scene = Scene(sensor=Sensor(FRAME[1], FRAME[0], PIXEL_UM), exposure_s=60.0, pointings=(Pointing(0.0, *TARGET),))
    raw = folder / "raw.npy"
    save(scene, raw)
    return raw, scene.scale_arcsec


async def _loop_lag(folder: Path) -> list[float]:
    raw, scale_arcsec = await asyncio.to_thread(_rendered, folder)
    at_us = 1_797_285_600_000_000
    ra_deg, dec_deg = TARGET
    intent = Intent(
        ExposureId("bench", Night.parse("2026-12-14"), 1),
        kind="light",
        rig="main",
        train="main",
        exposure_s=60.0,
        ra_deg=ra_deg,
        dec_deg=dec_deg,
    )
    facts = FrameFacts(intent, Place(41.72, 1.42, 760.0), at_us, 60.0, pixel_um=PIXEL_UM)
    seen = Circumstances(FRAME[1], FRAME[0], at_us - 1000, at_us + 61_000_000, True, 0.1, 10.0)
    offload, ended = WallOffload(), asyncio.Event()
    watching = asyncio.create_task(_lag(ended))
    cost = Cost(5.0, 600.0)
    kept = await offload.run("frames", cost, admit, folder, raw, "npy", facts, seen)
    assert isinstance(kept, Kept), kept
    file = folder / kept.taken.path
    beside = Expected(ra_deg + 0.2, dec_deg + 0.1, 1.02 * scale_arcsec, 1.5)
    sighting = await offload.run("frames", cost, locate, file, [beside], SolveSettings(), simulated_stars)
    assert sighting.solution is not None, "the frame was not solved"
    await offload.run("frames", cost, appraise, file)
    ended.set()
    late = await watching
    offload.close()
    return late


def main(trials: int = TRIALS) -> None:
    """Measure and print; nothing is asserted."""
    _act(trials)
    with tempfile.TemporaryDirectory(prefix="astrod-lag-") as name, _busy():
        _told("control_loop_lag_26_mp", asyncio.run(_loop_lag(Path(name))))


if __name__ == "__main__":
    main(*map(int, sys.argv[1:2]))
