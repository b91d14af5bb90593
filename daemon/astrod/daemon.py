"""The composition root: the daemon in real time, with its processes, from configuration to exit code.

control (this process)   the spine: conductor, observing, journey, schedule, archive's lane, socket
safety                   roof, sensors, parking; decides alone (`rig.safety.process`)
one child per device     for native drivers (`astrod_drivers.host`)
workers                  frames (keep, measure, judge) and plan; started when needed, let go when idle
"""

import asyncio
import fcntl
import json
import logging
import os
import signal
import socket
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from astrod.answers import Answers
from astrod.api.server import ApiServer
from astrod.archive.archive import Archive
from astrod.archive.telemetry import Telemetry
from astrod.assembly import assemble
from astrod.attended import Attended
from astrod.config.changes import changes
from astrod.config.load import Loaded, load
from astrod.core import Core, data_paths
from astrod.domain.instant import SECOND_US
from astrod.domain.site import Site
from astrod.domain.standing import Belief, differences
from astrod.errors import AstrodError, Bug, ConfigInvalid, TellOperator
from astrod.holds import Holds
from astrod.housekeeping import Housekeeping
from astrod.reconcile import reconcile
from astrod.rig.port import Session
from astrod.rig.safety.closing import closing_s, make_safe
from astrod.rig.safety.link import RemoteGuard, SafetyProcess, arguments
from astrod.rig.safety.loop import CONTROL_SILENT_S
from astrod.rig.safety.memory import boot_id
from astrod.rig.safety.process import Lines, movers_of, read_site
from astrod.runtime import systemd
from astrod.runtime.clock import WallClock
from astrod.runtime.durable import make_folder, replace_text
from astrod.runtime.offload import Cost, WallOffload
from astrod.runtime.supervise import Ready, Service, supervise
from astrod.runtime.timekeeping import Statements, timekeeper
from astrod.solving import Stars
from astrod_drivers.address import parse
from astrod_drivers.errors import DriverError
from astrod_drivers.permit import EpochPage
from astrod_drivers.session import open_session
from astrod_drivers.wire import encode

log = logging.getLogger("astrod")

SAFETY_SILENT_US = 15 * SECOND_US
STOP_MARGIN_S = 60.0
GUARDED_S = 3.0
"""A safety process whose last progress is older than this is not relied upon."""
FOUND_S = 5.0
"""The closer waits so long for its devices' first word; one that comes later is tried again."""
CAUGHT_UP_S = 30.0
"""Told to stop, the daemon finishes so long what a crash had left of frames; what remains waits for the next start."""
TELEMETRY_S = 30.0
FIRST_CONTACT_S = 10.0
_OPEN = Cost(modelled_s=0.05, deadline_s=60.0)

Resolve = Callable[[str], tuple[float, float]]


@dataclass(frozen=True, slots=True)
class Run:
    """How this run differs from a plain one: a shifted clock, a simulated observatory's socket and its stars."""

    offset_us: int = 0
    sim_socket: Path | None = None
    stars: Stars | None = None


def moving_s(site: Site) -> tuple[float, float]:
    """How long opening (a mount that must be parked first) and how long making the site safe may take, seconds."""
    return (site.roof.open_s if site.roof else 0.0) + closing_s(site) + 30.0, closing_s(site) + 60.0


def closer_s(site: Site) -> float:
    """The closer's own limit, seconds: it begins no try after `closing_s`, and ends the one that is under way."""
    return FOUND_S + 2.0 * closing_s(site)


def resolve_name(name: str) -> tuple[float, float]:
    """ICRS degrees of a name in the catalogue that we ship. Raises InputInvalid with the nearest names."""
    from astrod.planning.catalogue import resolve

    entry = resolve(name)
    return entry.ra_deg, entry.dec_deg


class Daemon:
    """One daemon's life. `run` returns when it was told to stop and everything is closed."""

    def __init__(self, loaded: Loaded, run: Run) -> None:
        self._loaded, self._run = loaded, run
        settings = loaded.settings
        self._data, self._run_dir = settings.storage.data_dir, settings.daemon.run_dir
        self._spool = settings.storage.spool_dir
        for folder in (self._data, self._run_dir, self._spool):
            _make_folder(folder)
        self._clock = WallClock(run.offset_us)
        self._paths = data_paths(self._data)
        self._page = EpochPage(self._run_dir / "epoch")
        statements = Statements(self._run_dir / "statement.json", self._clock, boot_id())
        self._time = timekeeper(self._clock, statements, loaded.site.time.gpsd, loaded.site.time.gps)
        self._offload = WallOffload()
        self._stop, self._caught_up = asyncio.Event(), asyncio.Event()
        self._core: Core | None = None

    def stop(self) -> None:
        """Close the site and end."""
        self._stop.set()

    async def run(self) -> None:
        """Run until stopped. Raises what ended it."""
        site = self._loaded.site
        _keep_good(site, self._paths["site"])
        self._page.beat_control(self._clock.boottime_us())
        self._page.beat_safety(self._clock.boottime_us())  # its first beat is due now, not since the last run
        archive = await self._offload.run("archive", _OPEN, Archive.open, self._paths["archive"])
        telemetry = await self._offload.run("archive", _OPEN, Telemetry.open, self._paths["telemetry"])
        safety = await SafetyProcess.start(self._safety_arguments())
        guard = RemoteGuard(safety.connection, *moving_s(site))
        try:
            core = self._core = assemble(
                self._loaded,
                self._clock,
                self._offload,
                archive,
                guard,
                self._session,
                self._beat,
                self._time.quality,
                self._run.stars,
            )
            await self._supervised(core, telemetry, safety)
        finally:
            await safety.stop()
            await self._offload.run("archive", _OPEN, archive.close)
            await self._offload.run("archive", _OPEN, telemetry.close)
            self._offload.close()

    # -- parts -----------------------------------------------------------------------------------------------

    def _session(self, address: str, kind: str) -> Session[Any]:
        return open_session(
            address,
            kind,
            spool=self._spool,
            gate_path=self._page.path,
            offset_us=self._run.offset_us,
            sim_socket=self._run.sim_socket,
        )

    def _beat(self) -> None:
        self._page.beat_control(self._clock.boottime_us())

    def _safety_arguments(self) -> list[str]:
        return arguments(
            site_file=self._paths["site"],
            page=self._page.path,
            memory=self._run_dir / "safety.json",
            statement=self._run_dir / "statement.json",
            pid_file=self._run_dir / "safety.pid",
            spool=self._spool,
            sim_socket=self._run.sim_socket,
            offset_us=self._run.offset_us,
        )

    # -- services --------------------------------------------------------------------------------------------

    async def _supervised(self, core: Core, telemetry: Telemetry, safety: SafetyProcess) -> None:
        holds = Holds(core.recording, core.conductor, self._clock)
        answers = Answers(core, holds, Attended(core, holds), self._time)
        server = ApiServer(self._loaded.settings.daemon.socket, answers.handlers())
        housekeeping = Housekeeping(core, telemetry, self._offload, self._loaded.settings)

        async def serve(ready: Ready) -> None:
            await server.start()
            ready()
            try:
                await asyncio.Event().wait()
            finally:
                await server.stop()

        async def guard_safety(ready: Ready) -> None:
            ready()
            status = await safety.ended()
            raise Bug(f"AST-131 the safety process ended with status {status}; stopping, so that the closer closes")

        async def keep_devices(ready: Ready) -> None:
            ready()
            async with asyncio.TaskGroup() as group:
                for port in core.ports():
                    group.create_task(port.keep(), name=f"keep {port.name}")
                await asyncio.gather(*(port.found(FIRST_CONTACT_S) for port in core.ports()))
                group.create_task(core.watch_devices(), name="watch devices")
                group.create_task(core.tend(), name="tend heaters and domes")
                group.create_task(core.watch_disk(), name="watch the disk")
                group.create_task(core.watch_sky(), name="watch the sky")
                group.create_task(core.whereabouts.answer(), name="tell safety where the tubes point")

        async def conduct(ready: Ready) -> None:
            await holds.restore()
            await core.conductor.run(ready)

        async def expire_holds(ready: Ready) -> None:
            ready()
            await holds.expire()

        async def catch_up(ready: Ready) -> None:
            await reconcile(core, self._loaded.settings.storage, ready)
            self._caught_up.set()
            await asyncio.Event().wait()

        async def keep_time(ready: Ready) -> None:
            ready()
            await self._time.watch()

        async def check_models(ready: Ready) -> None:
            ready()
            await core.curation.watch()

        services = [
            Service("safety", guard_safety),
            Service("time", keep_time),
            Service("devices", keep_devices),
            Service("socket", serve),
            Service("catch up", catch_up, ready_within_s=120.0),
            Service("conductor", conduct, ready_within_s=120.0),
            Service("holds", expire_holds),
            Service("housekeeping", housekeeping.run),
            Service("watchdog", self._feed),
            Service("models", check_models),
            Service("telemetry", lambda ready: self._measure(ready, core, telemetry)),
        ]
        running = asyncio.create_task(supervise(services, self._announce), name="daemon")
        stopping = asyncio.create_task(self._stop.wait(), name="stop")
        await asyncio.wait({running, stopping}, return_when=asyncio.FIRST_COMPLETED)
        if running.done():
            stopping.cancel()
            running.result()
        await self._wind_down(core, running)

    async def _wind_down(self, core: Core, running: asyncio.Task[None]) -> None:
        """Told to stop: close and park first, with everything still running, then end."""
        systemd.stopping()
        log.info("stopping: closing and parking first")
        _, close_s = moving_s(self._loaded.site)
        try:
            async with asyncio.timeout(close_s + STOP_MARGIN_S):
                await core.conductor.stop()
        except TimeoutError:
            log.critical("the site could not be closed in time; safety and the closer go on trying")
        try:
            async with asyncio.timeout(CAUGHT_UP_S):
                await self._caught_up.wait()
        except TimeoutError:
            log.warning("stopping before all that a crash had left was seen to; the next start goes on with it")
        running.cancel()
        await asyncio.wait({running})
        for port in core.ports():
            await port.release()

    def _announce(self) -> None:
        systemd.ready()
        log.info("ready: %s, %d targets", self._loaded.site.name, len(self._loaded.targets))

    async def _feed(self, ready: Ready) -> None:
        """Feed systemd's watchdog while both loops make progress, and keep its status line."""
        ready()
        pause_s = min(5.0, (systemd.watchdog_s() or 15.0) / 3.0)
        while True:
            silent_us = self._clock.boottime_us() - self._page.safety_beat_us
            if silent_us < SAFETY_SILENT_US:
                systemd.feed_watchdog()
            else:
                log.critical("AST-131 the safety loop has been silent for %.0f s", silent_us / 1e6)
            if self._core is not None:
                systemd.status(status_line(self._core))
            await self._clock.sleep(pause_s)

    async def _measure(self, ready: Ready, core: Core, telemetry: Telemetry) -> None:
        ready()
        while True:
            self._tell_place(core)
            weather, now_us = core.conductor.safety.weather, self._clock.now_us()
            if weather:
                await self._offload.run("archive", _OPEN, telemetry.record, now_us, "weather", dict(weather))
            for watch in core.watches:
                if watch.cover is not None and watch.cover.percent is not None:
                    clouds = {"cloud_percent": watch.cover.percent}
                    name = f"watch {watch.setup.name}"
                    await self._offload.run("archive", _OPEN, telemetry.record, watch.cover.at_us, name, clouds)
            for guider, errors in (await core.guiding_errors()).items():
                await self._offload.run("archive", _OPEN, telemetry.record, now_us, guider, errors)
            await self._clock.sleep(TELEMETRY_S)

    def _tell_place(self, core: Core) -> None:
        """Say where the GPS receiver is elsewhere than the configuration."""
        found, site = self._time.place, core.site
        if found is None:
            return
        belief = Belief(found.latitude_deg, found.longitude_deg)
        wrong = differences(site.place, self._clock.now_us(), belief, site.time)
        if wrong:
            core.health.found("AST-153", f"GPS: {'; '.join(wrong)}")
        else:
            core.health.mended("AST-153")

    def reload(self) -> None:
        """SIGHUP: read the configuration again; live keys count at once, the rest is named and waits."""
        systemd.reloading(round(self._clock.monotonic_s() * SECOND_US))
        core = self._core
        if core is None:
            return
        try:
            fresh = load(self._loaded.files[0], resolve_name)
        except ConfigInvalid as fault:
            core.health.found("AST-501", f"the old configuration stays: {fault.faults[0]}")
            for line in fault.faults:
                log.error("%s", line)
        else:
            core.health.mended("AST-501")
            later = [change.key for change in changes(self._loaded, fresh) if change.when == "restart"]
            if later:
                log.warning("these wait for `systemctl restart astrod`: %s", ", ".join(later))
            core.reload(fresh)
        systemd.ready()


def _make_folder(folder: Path) -> None:
    try:
        make_folder(folder)
    except OSError as fault:
        raise TellOperator(f"{folder} cannot be made: {fault.strerror}; see [storage] and [daemon]") from fault


def status_line(core: Core) -> str:
    """One line for `systemctl status`."""
    conductor = core.conductor
    safety = "safe" if conductor.safety.safe else "unsafe: " + "; ".join(conductor.safety.reasons)
    return f"night {conductor.night}, {conductor.state.phase}, {safety}"


async def _run(loaded: Loaded, run: Run) -> None:
    daemon = Daemon(loaded, run)
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, daemon.stop)
    loop.add_signal_handler(signal.SIGHUP, daemon.reload)
    await daemon.run()


def run(loaded: Loaded, how: Run | None = None) -> int:
    """Run the daemon until SIGTERM; returns the exit code. SIGHUP reloads the targets."""
    systemd.start_log(loaded.settings.daemon.log_level)
    try:
        asyncio.run(_run(loaded, how or Run()))
    except TellOperator as fault:
        log.critical("%s", fault)
        return 1
    except (AstrodError, ExceptionGroup):  # a service's failure comes in a group
        log.exception("astrod ends; its closer closes the site")
        return 70
    return 0


# -- the closer ----------------------------------------------------------------------------------------------


async def _close(site: Site, run_dir: Path, spool: Path, how: Run) -> None:
    clock = WallClock(how.offset_us)
    page = EpochPage(run_dir / "epoch")
    page.become_unsafe()
    hardware = movers_of(site, clock, Lines(spool, page.path, how.offset_us, how.sim_socket))
    ports = hardware.ports
    keeping = [asyncio.create_task(port.keep()) for port in ports]
    try:
        async with asyncio.timeout(closer_s(site)):
            await asyncio.gather(*(port.found(FOUND_S) for port in ports))
            await make_safe(clock, site, hardware)
    finally:
        for task in keeping:
            task.cancel()
        await asyncio.gather(*keeping, return_exceptions=True)
        for port in ports:
            await port.release()


def close_now(config_root: Path | None, how: Run | None = None) -> int:
    """Park and close without a daemon, by the last configuration known to be good; the exit code.

    systemd runs it after each end of the service, however it ended (`ExecStopPost=`), and once more when it starts
    the service no more (`astrod-close.service`); so does `astrod close` when no daemon answers. A configuration that
    was broken since does not stop it. After a mere crash it stands back, see `guarded`.
    """
    systemd.start_log("info")
    try:
        site, run_dir, spool = _closable(config_root)
    except ConfigInvalid as fault:
        log.critical("there is no last good configuration to close by either: %s", fault.faults[0])
        return 78
    if systemd.ended_badly() and guarded(run_dir, WallClock()):
        log.warning("the safety process lives: it closes by itself unless the daemon that is started now takes over")
        return 0
    try:
        _make_folder(run_dir)
        how = how or Run(sim_socket=_answering(run_dir / "sim.sock"))
        if how.sim_socket is None and all(parse(address).scheme == "sim" for address in _moving(site)):
            log.warning("the simulated observatory is not up: nothing stands open")
            return 0
        asyncio.run(_close(site, run_dir, spool, how))
    except (AstrodError, DriverError, TimeoutError) as fault:
        log.critical("the site is NOT closed: %s", str(fault) or f"not within {closer_s(site):g} s")
        return 1
    log.info("closed and parked")
    return 0


def guarded(run_dir: Path, clock: WallClock) -> bool:
    """Whether the site is in good hands without the closer: a safety process lives, made progress a moment ago, and
    will close the site soon unless a new control process reports to it.
    """
    page, lock = run_dir / "epoch", run_dir / "safety.pid"
    if not (page.exists() and lock.exists() and _held(lock)):
        return False
    now_us, beats = clock.boottime_us(), EpochPage(page)
    safety_s, control_s = (now_us - beats.safety_beat_us) / SECOND_US, (now_us - beats.control_beat_us) / SECOND_US
    return 0.0 <= safety_s < GUARDED_S and 0.0 <= control_s < CONTROL_SILENT_S


def _held(lock: Path) -> bool:
    """Whether a process holds that lock."""
    with lock.open("rb") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
    return False


def refused(config_root: Path | None) -> int:
    """The exit code of `run` on a configuration that is wrong: 78, under systemd only once the site is closed.

    systemd does not start again what ended with 78, so with a roof that may stand open (a crash, then a bad edit)
    it is 1: the next start tries to close again.
    """
    if not systemd.started_us():
        return 78
    return 1 if close_now(config_root) == 1 else 78


def _closable(config_root: Path | None) -> tuple[Site, Path, Path]:
    """What the closer closes, its runtime folder and its spool: the last good site first. Raises ConfigInvalid."""
    try:
        loaded = load(config_root, resolve_name)
    except ConfigInvalid as fault:
        run_dir = Path(os.environ.get("RUNTIME_DIRECTORY", "/run/astrod"))
        log.error("the configuration is broken (%s); closing by the last good one", fault.faults[0])
        try:
            return read_site(data_paths(_state_dir())["site"]), run_dir, run_dir
        except AstrodError as worse:
            raise ConfigInvalid([str(worse)]) from fault
    settings = loaded.settings
    try:
        site = read_site(data_paths(settings.storage.data_dir)["site"])
    except AstrodError as fault:
        log.info("closing by the configuration as it is: %s", fault)
        site = loaded.site
    return site, settings.daemon.run_dir, settings.storage.spool_dir


def _state_dir() -> Path:
    """Where the last good site lies for whoever cannot read the configuration."""
    return Path(os.environ.get("STATE_DIRECTORY", "/var/lib/astrod"))


def _keep_good(site: Site, path: Path) -> None:
    """Keep the site for the closer, whole or not at all; under systemd in its state folder too."""
    beside = data_paths(_state_dir())["site"]
    for place in [path, beside] if "STATE_DIRECTORY" in os.environ and beside != path else [path]:
        replace_text(place, json.dumps(encode(site)))


def _moving(site: Site) -> list[str]:
    """The addresses of what the closer moves."""
    return [*(rig.mount.address for rig in site.rigs), *([site.roof.address] if site.roof else [])]


def _answering(path: Path) -> Path | None:
    """The simulated observatory's socket, if somebody serves it."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        try:
            probe.connect(str(path))
        except OSError:
            return None
    return path
