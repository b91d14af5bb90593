"""One site's daemon, assembled: every station tied to the others, whatever the clock and the hardware.

`daemon` builds it around real sessions and processes, `rehearsal.night` around the simulated observatory on
the simulated clock. Both run the same conductor, observing, journey, schedule, archive and safety.
"""

import asyncio
import dataclasses
import logging
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from astrod.archive.archive import Archive
from astrod.archive.rows import Outcome
from astrod.calibrating import Calibrating
from astrod.calibrating import told as ledger_told
from astrod.commands import Commands, RecordedGuard
from astrod.conductor import Conductor
from astrod.config.load import Loaded
from astrod.config.settings import CalibrationSettings, NightSettings, StorageSettings
from astrod.domain.calibration import Recipe
from astrod.domain.darkness import DarkTime, dark_time
from astrod.domain.exposure import CALIBRATION, FrameKind, Intent, Taken
from astrod.domain.guiding import GuideStar
from astrod.domain.identity import Night
from astrod.domain.instant import MINUTE_US
from astrod.domain.minutes import Interval, account
from astrod.domain.offsets import FocusPoint
from astrod.domain.plan import Choice
from astrod.domain.safety import ClockQuality, SafetyReport
from astrod.domain.site import GuiderSetup, Outlet, Rig, Site, Train
from astrod.domain.sphere import sun_altitude_deg
from astrod.errors import AstrodError, InputInvalid, Retry, TellOperator
from astrod.frames.retention import budget, free_bytes
from astrod.headers import circumstances_of, facts_of
from astrod.health import Health
from astrod.journey import Journey
from astrod.observing import Manners, Observing
from astrod.occupation import Occupation
from astrod.recording import Recording, insist
from astrod.rig.aperture import ApertureHistory, Witness
from astrod.rig.autoguider import AutoGuider, SeeStars
from astrod.rig.darks import Surroundings
from astrod.rig.dew import Dew
from astrod.rig.doming import Doming
from astrod.rig.guidebook import GuideBook
from astrod.rig.guiding import Guiding
from astrod.rig.port import DirectSession, Port, Session
from astrod.rig.recovery import PowerBoard, Remedies, switch_addresses
from astrod.rig.safety.guard import Guard
from astrod.rig.standing import Standing
from astrod.rig.telescope import Intend, Telescope, TrainPorts
from astrod.runtime.clock import Clock
from astrod.runtime.offload import Cost, Offload, WorkerLost
from astrod.runtime.trace import Trace
from astrod.schedule import Schedule
from astrod.solving import Solving, Stars
from astrod.whereabouts import Whereabouts
from astrod_drivers.protocols import Guider, Mount, Roof, Switch

log = logging.getLogger(__name__)

DEVICES_S = 5.0
NEXT_NIGHT_US = 30 * MINUTE_US
DISK_S = 300.0
FRAME_BYTES = 32_000_000
"""What a frame is taken to weigh before there is one."""

GUIDE_LANE = "guide"
GUIDE_COST = Cost(modelled_s=0.05, deadline_s=10.0)

OpenSession = Callable[[str, str], Session[Any]]
"""Opens a session to a device by its address and kind; it is started by its port."""


@dataclass(slots=True)
class Core:
    """The parts, for whoever answers questions about them."""

    site: Site
    clock: Clock
    trace: Trace
    health: Health
    recording: Recording
    schedule: Schedule
    journey: Journey
    telescopes: dict[str, Telescope]
    observers: dict[str, Observing]
    conductor: Conductor
    storage: StorageSettings
    calibrating: Calibrating
    whereabouts: Whereabouts
    switches: tuple[Port[Switch], ...] = ()
    summaries: dict[str, dict[str, Any]] = field(default_factory=dict)

    def ports(self) -> list[Port[Any]]:
        """Every device of every rig, those of safety excepted."""
        rigs: list[Port[Any]] = [port for scope in self.telescopes.values() for port in scope.ports().values()]
        return [*rigs, *self.switches]

    async def tend(self) -> None:
        """Keep heaters and domes where they should be, for ever. Run as a service."""
        heated = [dew_of(telescope, self.conductor, self.clock) for telescope in self.telescopes.values()]
        async with asyncio.TaskGroup() as group:
            for dew in heated:
                group.create_task(dew.run())
            for telescope in self.telescopes.values():
                if telescope.doming is not None:
                    group.create_task(telescope.doming.follow(telescope.mount))

    def reload(self, fresh: Loaded) -> None:
        """Take up the live keys of a new configuration: targets and [night]. The next exposure knows them."""
        night = fresh.settings.night
        for observer in self.observers.values():
            observer.manners = manners_of(night)
        self.schedule.reload(fresh.targets, night.plan_work_s, night.retakes_max)

    async def close_records(self) -> list[Night]:
        """Close the records of nights that are over and that a crash left open; returns them."""
        now_us = self.clock.now_us()
        open_nights = await self.recording(lambda archive: archive.open_nights())
        over = [night for night in open_nights if self.dark_of(night).dawn_us <= now_us and not self._runs(night)]
        for night in over:
            summary = self.summaries[str(night)] = await self.summarise_at_last(night)
            await self.record_if_possible(partial(_close_night, night=night, summary=summary, at_us=now_us))
        return over

    async def record_if_possible(self, action: Callable[[Archive], object]) -> None:
        """Record what the night can do without: a disk that refuses is told and costs the record, not the night."""
        try:
            await self.recording(action)
        except (Retry, TellOperator) as fault:
            self.health.found("AST-303", str(fault))

    def _runs(self, night: Night) -> bool:
        """Whether the conductor is still to end that night itself."""
        return night == self.conductor.night and self.conductor.state.phase != "asleep"

    def dark_of(self, night: Night) -> DarkTime:
        """The dark time of any night here."""
        return dark_time(self.site.place, self.site.darkness, night)

    async def summarise_at_last(self, night: Night) -> dict[str, Any]:
        """See `summarise`; waits for a disk that refuses the night's minutes, which nobody else will bring there."""
        return await insist(self.clock, self.health, "AST-303", lambda: self.summarise(night))

    async def summarise(self, night: Night) -> dict[str, Any]:
        """What became of a night: frames, dark minutes, requests."""
        dark = self.dark_of(night)
        for observer in self.observers.values():
            observer.occupation.cut()
        await self.write_intervals()
        rows = await self.recording(lambda archive: archive.frames(night))
        intervals = await self.recording(lambda archive: archive.intervals(night))
        lights = [row for row in rows if row.intent.kind == "light" and row.taken is not None]
        return {
            "frames": {
                "taken": len(lights),
                "kept": sum(1 for row in lights if row.kept),
                "rejected": sum(1 for row in lights if row.judgement is not None and not row.kept),
                "retaken": sum(1 for row in lights if row.intent.retake_of is not None),
            },
            "dark_minutes": account(intervals, len(self.site.rigs), dark.dusk_us, dark.dawn_us),
            "requests": dict(self.schedule.tally()),
            "closures": self._closures(dark),
            "calibrations": {
                "taken": dict(Counter(row.intent.kind for row in rows if row.intent.kind in CALIBRATION and row.kept)),
                **ledger_told(await self.calibrating.needs()),
            },
        }

    def _closures(self, dark: DarkTime) -> list[str]:
        """Why the site closed in the dark, as often as it did; from what this run of the daemon remembers."""
        return [
            "; ".join(note["reasons"])
            for note in self.trace.notes
            if note["what"] == "safety" and not note["safe"] and dark.dusk_us < note["at_us"] < dark.dawn_us
        ]

    async def watch_devices(self) -> None:
        """Say which devices are lost, and that they are back, for ever. Run as a service.

        A site none of whose mounts can be brought back is closed: there is nothing that it could be open for.
        """
        while True:
            for port in self.ports():
                if port.given_up:
                    self.health.found("AST-206", f"{port.name} ({port.address}): {port.detail}", port.name)
                else:
                    self.health.mended("AST-206", port.name)
                if port.up:
                    self.health.mended("AST-201", port.name)
                else:
                    self.health.found("AST-201", f"{port.name} ({port.address}): {port.detail}", port.name)
            lost = all(telescope.mount.given_up for telescope in self.telescopes.values())
            self.conductor.bar("no mount answers any more" if lost else None)
            await self.clock.sleep(DEVICES_S)

    async def guiding_errors(self) -> dict[str, dict[str, float]]:
        """How well each rig that guides is guided now, by the guider's name; for the telemetry."""
        guidings = [telescope.guiding for telescope in self.telescopes.values() if telescope.guiding is not None]
        told = {guiding.port.name: await guiding.errors_arcsec() for guiding in guidings}
        return {name: errors for name, errors in told.items() if errors}

    async def watch_disk(self) -> None:
        """Compare what is free with what the rest of the night will take, for ever. Run as a service."""
        while True:
            await self.clock.sleep(DISK_S)
            try:
                await self.check_disk()
            except (AstrodError, OSError) as fault:  # the disk that cannot be asked is told of by whoever writes to it
                log.warning("the disk cannot be looked at: %s", fault)

    async def check_disk(self) -> None:
        """Say when the night's frames will not fit on the disk."""
        dark_s = max(0.0, (self.conductor.dark.dawn_us - self.clock.now_us()) / 1e6)
        wanted = [
            (request.exposure_s, request.count) for target in self.schedule.targets for request in target.requests
        ]
        frames = min(sum(count for _, count in wanted), round(dark_s / min((s for s, _ in wanted), default=60.0)))
        rows = await self.recording(lambda archive: archive.frames(limit=20))
        each = max((row.taken.size_bytes for row in rows if row.taken), default=FRAME_BYTES)
        free, reserve = free_bytes(self.storage.data_dir), round(self.storage.free_min_gb * 1e9)
        short = budget(free, frames * len(self.site.rigs), each, reserve)
        if short is None:
            self.health.mended("AST-304")
        else:
            self.health.found("AST-304", short)

    async def write_intervals(self) -> None:
        """Bring the account of minutes into the archive, but for what is being done now: that may yet be renamed."""
        night = self.conductor.night
        for observer in self.observers.values():
            intervals = observer.occupation.take()
            try:
                await self.recording(partial(_record_intervals, night=night, intervals=intervals))
            except AstrodError:
                observer.occupation.give_back(intervals)
                raise

    async def note_absence(self, night: Night, dark: DarkTime) -> None:
        """Account for the dark time before this daemon ran, from where its forerunner's account of this night ends."""
        recorded = await self.recording(lambda archive: archive.intervals(night))
        for name, observer in self.observers.items():
            ends_us = [interval.end_us for interval in recorded if interval.rig == name]
            observer.occupation.away_since(max([dark.dusk_us, *ends_us]))


def _close_night(archive: Archive, night: Night, summary: dict[str, Any], at_us: int) -> None:
    """Close a night's record, also of one that could not be opened when it began."""
    with archive.together():
        archive.open_night(night, at_us)
        archive.close_night(night, summary, at_us)


def _record_intervals(archive: Archive, night: Night, intervals: Sequence[Interval]) -> None:
    with archive.together():
        for interval in intervals:
            archive.record_interval(night, interval)


class ArchiveIntents:
    """Exposures recorded before they begin (`observing.Intents`), in the archive."""

    def __init__(
        self,
        site: Site,
        recording: Recording,
        clock: Clock,
        night: Callable[[], Night],
        angle_deg: Callable[[str, str], float | None],
    ) -> None:
        """`angle_deg` is the mechanical angle of a rig's and train's rotator, None where it has none."""
        self._site, self._recording, self._clock, self._night = site, recording, clock, night
        self._angle_deg = angle_deg
        self._ending: set[asyncio.Task[None]] = set()

    async def begin(
        self, kind: FrameKind, rig: str, train: str, exposure_s: float, choice: Choice | None, retake_of: str | None
    ) -> Intent:
        """See `observing.Intents`."""
        setup = next(t for r in self._site.rigs if r.name == rig for t in r.trains if t.name == train)
        facts: dict[str, Any] = {
            "kind": kind,
            "rig": rig,
            "train": train,
            "exposure_s": exposure_s,
            "ra_deg": choice.ra_deg if choice else None,
            "dec_deg": choice.dec_deg if choice else None,
            "target": choice.target if choice else None,
            "request": choice.request if choice else None,
            "filter": choice.filter if choice else None,
            "binning": choice.binning if choice else setup.camera.binning,
            "retake_of": retake_of,
            "at_us": self._clock.now_us(),
            "rotation_deg": self._angle_deg(rig, train),
            **_camera_facts(setup),
        }
        night = self._night()
        recording = asyncio.ensure_future(
            self._recording(lambda archive: archive.begin_exposure(self._site.name, night, **facts))
        )
        try:
            return await asyncio.shield(recording)
        except asyncio.CancelledError:  # it is recorded all the same, and nobody would ever end it
            self._end_unused(recording)
            raise

    def _end_unused(self, recording: "asyncio.Future[Intent]") -> None:
        async def end() -> None:
            intent = await recording
            await self.failed(intent, "aborted")

        task = asyncio.create_task(end(), name="end an exposure that was never begun")
        self._ending.add(task)
        task.add_done_callback(self._ended)

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._ending.discard(task)
        if not task.cancelled() and task.exception() is not None:
            log.warning("an exposure that was never begun stays unfinished until the next start: %s", task.exception())

    async def begin_calibration(self, recipe: Recipe, exposure_s: float) -> Intent:
        """See `calibrating.CalibrationIntents`."""
        facts = {field.name: getattr(recipe, field.name) for field in dataclasses.fields(recipe)}
        facts["exposure_s"] = exposure_s
        at_us, night = self._clock.now_us(), self._night()
        return await self._recording(
            lambda archive: archive.begin_exposure(self._site.name, night, at_us=at_us, **facts)
        )

    async def failed(self, intent: Intent, reason: str) -> None:
        """See `observing.Intents`."""
        outcome: Outcome = "aborted" if reason == "aborted" else "failed"
        now_us = self._clock.now_us()
        await self._recording(lambda archive: archive.end_exposure(intent.id, outcome, reason, now_us))


async def _dark_noise_adu(
    recording: Recording, health: Health, telescope: Telescope, train: str, choice: Choice
) -> float | None:
    """See `exposure_time.DarkNoise`: by the archive's newest dark, else bias, as this camera would take it now."""
    camera = telescope.trains[train].setup.camera
    recipe = Recipe(
        "dark",
        telescope.setup.name,
        train,
        choice.exposure_s,
        choice.binning,
        gain=camera.gain,
        offset=camera.offset,
        temperature_c=camera.cool_to_c,
    )
    try:
        _, noise_adu = await recording(lambda archive: archive.dark_level(recipe))
    except (Retry, TellOperator) as fault:
        health.found("AST-303", str(fault))
        return None
    return noise_adu


class ArchiveFocusLog:
    """Focus runs of one rig, in the archive (`refocusing.FocusLog`). A disk that refuses costs a run's record."""

    def __init__(self, rig: str, recording: Recording, health: Health) -> None:
        self._rig, self._recording, self._health = rig, recording, health

    async def record(self, train: str, point: FocusPoint) -> None:
        """See `refocusing.FocusLog`."""
        try:
            await self._recording(lambda archive: archive.record_focus(self._rig, train, point))
        except (Retry, TellOperator) as fault:
            self._health.found("AST-303", str(fault))

    async def recall(self, train: str) -> list[FocusPoint]:
        """See `refocusing.FocusLog`."""
        try:
            return await self._recording(lambda archive: archive.focus_points(self._rig, train))
        except (Retry, TellOperator) as fault:
            self._health.found("AST-303", str(fault))
            return []


def _camera_facts(train: Train) -> dict[str, float | None]:
    """What a camera is set to, which decides what calibrates its frames."""
    camera = train.camera
    return {"gain": camera.gain, "offset": camera.offset, "temperature_c": camera.cool_to_c}


def manners_of(night: NightSettings) -> Manners:
    """How a rig observes, from [night]."""
    return Manners(
        in_flight_max=night.frames_in_flight_max,
        cloud_pause_s=night.cloud_pause_s,
        test_exposure_s=night.test_exposure_s,
        focus_at_start=night.focus_at_start,
        refocus_every_min=night.refocus_every_min,
        refocus_temperature_c=night.refocus_temperature_c,
        refocus_fwhm_percent=night.refocus_fwhm_percent,
        refocus_each_filter=night.refocus_each_filter,
        cool_deadline_s=night.cool_deadline_s,
        dither_px=night.dither_px,
        dither_every=night.dither_every,
    )


def dew_of(telescope: Telescope, conductor: Conductor, clock: Clock) -> Dew:
    """A rig's dew heaters: on from the evening's preparation to the end of the night."""
    return Dew(
        {heater: telescope.switches[heater.switch] for heater in telescope.setup.heaters},
        lambda: conductor.safety.weather,
        lambda: conductor.state.phase != "asleep",
        clock,
    )


def _add_dome(
    telescope: Telescope, site: Site, clock: Clock, open_session: OpenSession, conductor: Callable[[], Conductor]
) -> None:
    """A dome with a slit follows its one rig; the second session to it turns and never opens."""
    roof = site.roof
    if roof is None or roof.slit_within_deg is None or telescope.setup != site.rigs[0]:
        return
    dome: Port[Roof] = Port("dome slit", "roof", roof.address, open_session(roof.address, "roof"), clock)
    telescope.doming = Doming(
        dome, site.place, roof.slit_within_deg, lambda: conductor().state.phase == "observing", clock, roof.geometry
    )


def power_board(site: Site, clock: Clock, open_session: OpenSession, safety: Callable[[], SafetyReport]) -> PowerBoard:
    """The outlets that power the site's devices, each switch with a session of its own."""
    switches = {
        address: Port(
            f"switch {address}", "switch", address, open_session(address, "switch"), clock, site.ladder("switch")
        )
        for address in switch_addresses(site.outlets())
    }
    return PowerBoard(
        clock,
        switches,
        site.roof.power if site.roof else None,
        lambda: safety().roof not in (None, "open", "closed"),
    )


def surroundings_of(site: Site, safety: SafetyReport, now_us: int) -> Surroundings:
    """What decides whether it is dark in a tube: the roof, as safety reads it, and the Sun."""
    altitude_deg = sun_altitude_deg(now_us, site.place.latitude_deg, site.place.longitude_deg)
    return Surroundings(safety.roof, altitude_deg)


def dark_until_us(site: Site, dark: DarkTime, night: Night, settings: CalibrationSettings) -> int:
    """Darks end so long after dawn, and always well before the next night's cooling and opening begin."""
    following = dark_time(site.place, site.darkness, night.next)
    after_dawn_us = dark.dawn_us + round(settings.after_dawn_min * MINUTE_US)
    return min(after_dawn_us, following.prepare_us - NEXT_NIGHT_US)


def telescope_of(
    rig: Rig,
    site: Site,
    clock: Clock,
    open_session: OpenSession,
    board: PowerBoard,
    remedies: Remedies,
    intend: Intend,
    health: Health,
) -> Telescope:
    """A rig's ports, with what recovers them. The mount's place and time are seen to at each connection."""

    def port(part: str, kind: str, address: str | None, power: Outlet | None) -> Any:
        if address is None:
            return None
        session = open_session(address, kind)
        what = remedies.of(address, power)
        return Port(f"{rig.name} {part}", kind, address, session, clock, site.ladder(kind), what)

    def train_ports(train: Train) -> TrainPorts:
        label = f"{train.name} " if len(rig.trains) > 1 else ""
        return TrainPorts(
            setup=train,
            camera=port(f"{label}camera", "camera", train.camera.address, train.camera.power),
            focuser=port(
                f"{label}focuser",
                "focuser",
                train.focuser.address if train.focuser else None,
                train.focuser.power if train.focuser else None,
            ),
            wheel=port(f"{label}wheel", "wheel", train.wheel, train.wheel_power),
            cover=port(f"{label}cover", "cover", train.cover, None),
            rotator=port(f"{label}rotator", "rotator", train.rotator, None),
        )

    mount: Port[Mount] = port("mount", "mount", rig.mount.address, rig.mount.power)
    if rig.mount.power is not None:
        board.powers(rig.mount.power, mount)
    standing = Standing(site, clock, lambda found: _tell_standing(health, rig.name, found))
    mount.on_connect(standing.settle)
    trains = {train.name: train_ports(train) for train in rig.trains}
    telescope = Telescope(rig, mount, trains, clock, intend, lambda: standing.wrong)
    for number, address in enumerate(dict.fromkeys(heater.switch for heater in rig.heaters), start=1):
        telescope.switches[address] = port(f"heater switch {number}", "switch", address, None)
    return telescope


def add_guider(
    telescope: Telescope,
    site: Site,
    clock: Clock,
    open_session: OpenSession,
    see: SeeStars,
    remedies: Remedies,
    root: Path,
) -> None:
    """Give the rig its guider, where it has one: PHD2 (or a simulated one) behind its port, or our own.

    `root` is the data root, where what guiding learns is kept.
    """
    rig = telescope.setup
    setup = rig.guider
    if setup is None:
        return

    def port(part: str, kind: str, address: str) -> Any:
        what = remedies.of(address, None)
        return Port(f"{rig.name} {part}", kind, address, open_session(address, kind), clock, site.ladder(kind), what)

    if setup.address is not None:
        telescope.guide_with(Guiding(port("guider", "guider", _with_settling(setup)), setup, clock))
    elif setup.camera is not None:
        camera = port("guide camera", "camera", setup.camera)
        optic = f"{setup.camera} {setup.focal_length_mm:g} mm {setup.binning}"
        book = GuideBook(root / f"guiding-{rig.name}.json", optic)
        own = AutoGuider(f"{rig.name} guider", setup, camera, telescope.mount, see, book, clock)
        session: Session[Guider] = DirectSession(own)
        guider = Port(f"{rig.name} guider", "guider", f"astrod with {setup.camera}", session, clock)
        telescope.guide_with(Guiding(guider, setup, clock, own), camera)


def _with_settling(setup: GuiderSetup) -> str:
    """PHD2's address, with when the guiding counts as settled."""
    address = setup.address or ""
    if not address.startswith("phd2://"):
        return address
    values = f"settle_px={setup.settle_px:g}&settle_s={setup.settle_s:g}&settle_within_s={setup.settle_within_s:g}"
    return f"{address}?{values}"


def _seeing(rig: Rig, offload: Offload) -> SeeStars:
    """The stars of a rig's guide frames, found in a worker of their own: judging must not keep them waiting."""
    saturation_adu = rig.guider.saturation_adu if rig.guider else 65535

    async def see(path: Path) -> tuple[GuideStar, ...]:
        try:
            return await offload.run(GUIDE_LANE, GUIDE_COST, guide_stars_in, path, saturation_adu)
        except (InputInvalid, WorkerLost) as fault:
            log.warning("a guide frame brought no stars: %s", fault)
            return ()

    return see


def guide_stars_in(path: Path, saturation_adu: float) -> tuple[GuideStar, ...]:
    """In the worker: the stars of a guide frame. Imported there, so that this process stays small."""
    from astrod.appraise import guide_stars_of

    return guide_stars_of(path, saturation_adu)


def _tell_standing(health: Health, rig: str, found: tuple[str, ...]) -> None:
    if found:
        health.found("AST-151", f"{rig} mount: {'; '.join(found)}", rig)
    else:
        health.mended("AST-151", rig)


def assemble(
    loaded: Loaded,
    clock: Clock,
    offload: Offload,
    archive: Archive,
    guard: Guard,
    open_session: OpenSession,
    beat: Callable[[], None],
    quality: Callable[[], ClockQuality],
    stars: Stars | None = None,
) -> Core:
    """Tie the stations together. Nothing moves before `Core.conductor` runs.

    `stars` is a catalogue to solve frames by in place of the installed index files (the simulator's sky).
    """
    site, settings = loaded.site, loaded.settings
    trace = Trace(clock)
    health = Health(clock, trace)
    recording = Recording(archive, offload)
    schedule = Schedule(
        site,
        loaded.targets,
        offload,
        recording,
        health,
        trace,
        clock,
        work=settings.night.plan_work_s,
        retakes_max=settings.night.retakes_max,
    )
    board = power_board(site, clock, open_session, lambda: conductor.safety)
    remedies = Remedies(clock, site.indi, board)
    commands = Commands(recording, clock)
    telescopes = {
        rig.name: telescope_of(rig, site, clock, open_session, board, remedies, commands.intend, health)
        for rig in site.rigs
    }
    for rig in site.rigs:
        root = settings.storage.data_dir
        add_guider(telescopes[rig.name], site, clock, open_session, _seeing(rig, offload), remedies, root)
    observers: dict[str, Observing] = {}
    core: Core

    async def begin_night(night: Night, dark: DarkTime) -> None:
        if dark.dawn_us > clock.now_us():  # after dawn nothing is opened anew: the record may be closed already
            await core.record_if_possible(lambda archive: archive.open_night(night, clock.now_us()))
        await core.note_absence(night, dark)
        await schedule.begin_night(dark)
        await core.check_disk()

    async def finish_night(night: Night) -> None:
        await core.calibrating.settle()
        summary = core.summaries[str(night)] = await core.summarise_at_last(night)
        await core.record_if_possible(partial(_close_night, night=night, summary=summary, at_us=clock.now_us()))

    aperture = ApertureHistory()
    conductor = Conductor(
        site,
        clock,
        Witness(RecordedGuard(guard, commands), aperture, clock.now_us),
        telescopes,
        observers,
        health,
        trace,
        beat,
        begin_night,
        finish_night,
        lambda: core.write_intervals(),
        lambda: core.calibrating.darken(dark_until_us(site, conductor.dark, conductor.night, settings.calibration)),
        lambda permit: core.calibrating.flatten(permit),
    )
    for telescope in telescopes.values():
        _add_dome(telescope, site, clock, open_session, lambda: conductor)
    solving = Solving(site, settings.solve, stars, offload, clock)
    facts = partial(facts_of, site, lambda: conductor.safety, quality)
    journey = Journey(
        settings.storage.data_dir,
        settings.models,
        offload,
        recording,
        facts,
        lambda exposed, recent: circumstances_of(site, aperture.open_throughout, exposed, recent),
        health,
        trace,
        clock,
        distrust=lambda intent, why: telescopes[intent.rig].trains[intent.train].camera.distrust(why),
        off_target_arcmin=solving.off_target_arcmin,
    )
    intents = ArchiveIntents(
        site, recording, clock, lambda: conductor.night, lambda rig, train: telescopes[rig].angle_deg(train)
    )
    for name, telescope in telescopes.items():
        occupation = Occupation(name, clock)
        observers[name] = Observing(
            site,
            telescope,
            schedule,
            journey,
            intents,
            manners_of(settings.night),
            health,
            trace,
            clock,
            occupation,
            solving,
            ArchiveFocusLog(name, recording, health),
            partial(_dark_noise_adu, recording, health, telescope),
        )
    calibrating = Calibrating(
        settings.calibration,
        telescopes,
        recording,
        journey,
        intents,
        lambda: surroundings_of(site, conductor.safety, clock.now_us()),
        site.place,
        health,
        trace,
        clock,
    )
    core = Core(
        site,
        clock,
        trace,
        health,
        recording,
        schedule,
        journey,
        telescopes,
        observers,
        conductor,
        settings.storage,
        calibrating,
        Whereabouts(site, guard, telescopes, solving, clock),
        tuple(board.switches.values()),
    )
    return core


async def resume_frames(core: Core, frames: Sequence[tuple[Intent, Taken]]) -> None:
    """Take up the frames that a crash left kept and unjudged, one after the other."""
    for intent, taken in frames:
        log.info("taking up %s where it was left", taken.id)
        core.schedule.settled(await core.journey.resume(intent, taken))


def data_paths(root: Path) -> dict[str, Path]:
    """Where things lie under the data root."""
    return {"archive": root / "archive.db", "telemetry": root / "telemetry.db", "site": root / "site.good.json"}
