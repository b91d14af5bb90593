"""One site's daemon, assembled: every station tied to the others, whatever the clock and the hardware.

`daemon` builds it around real sessions and processes, `rehearsal.night` around the simulated observatory on
the simulated clock. Both run the same conductor, observing, journey, schedule, archive and safety.
"""

from collections.abc import Callable
from functools import partial

from astrod.archive.archive import Archive
from astrod.calibrating import Calibrating
from astrod.commands import Commands, RecordedGuard
from astrod.conductor import Conductor
from astrod.config.load import Loaded
from astrod.config.settings import CalibrationSettings
from astrod.core import Core, close_night
from astrod.curation import Curation
from astrod.domain.darkness import DarkTime, dark_time
from astrod.domain.identity import Night
from astrod.domain.instant import MINUTE_US
from astrod.domain.safety import ClockQuality, SafetyReport
from astrod.domain.site import Site
from astrod.domain.sphere import sun_altitude_deg
from astrod.headers import circumstances_of, facts_of
from astrod.health import Health
from astrod.journey import Journey
from astrod.observing import Observing, manners_of
from astrod.occupation import Occupation
from astrod.recording import Recording
from astrod.records import ArchiveFocusLog, ArchiveIntents, dark_noise_adu
from astrod.rig.aperture import ApertureHistory, Witness
from astrod.rig.darks import Surroundings
from astrod.rig.recovery import Remedies
from astrod.rig.safety.guard import Guard
from astrod.rigging import (
    OpenSession,
    add_dome,
    add_guider,
    power_board,
    seeing_of,
    telescope_of,
    watching_cameras,
)
from astrod.runtime.clock import Clock
from astrod.runtime.offload import Offload
from astrod.runtime.trace import Trace
from astrod.schedule import Schedule
from astrod.solving import Solving, Stars
from astrod.watch.order import look
from astrod.watch.source import source_of
from astrod.watch.watch import Watch
from astrod.whereabouts import Whereabouts

NEXT_NIGHT_US = 30 * MINUTE_US


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
        add_guider(telescopes[rig.name], site, clock, open_session, seeing_of(rig, offload), remedies, root)
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
        await core.record_if_possible(partial(close_night, night=night, summary=summary, at_us=clock.now_us()))

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
        lambda permit: core.use_twilight(permit),
    )
    for telescope in telescopes.values():
        add_dome(telescope, site, clock, open_session, lambda: conductor)
    solving = Solving(site, settings.solve, stars, offload, clock)
    curation = Curation(settings.models, recording, offload, health, clock)
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
        knows_field=solving.knows_field,
        after_verdict=curation.consider,
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
            partial(dark_noise_adu, recording, health, telescope),
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
    cameras = watching_cameras(site, clock, open_session, remedies)
    watches = tuple(
        Watch(
            setup,
            source_of(setup, cameras.get(setup.name), settings.storage.spool_dir, clock),
            look,
            settings.storage.data_dir / "detections",
            settings.daemon.run_dir,
            settings.models,
            schedule.covered,
            lambda: sun_altitude_deg(clock.now_us(), site.place.latitude_deg, site.place.longitude_deg),
            offload,
            recording,
            health,
            trace,
            clock,
        )
        for setup in site.watches
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
        curation,
        tuple(board.switches.values()),
        watches,
        tuple(cameras.values()),
    )
    return core


def surroundings_of(site: Site, safety: SafetyReport, now_us: int) -> Surroundings:
    """What decides whether it is dark in a tube: the roof, as safety reads it, and the Sun."""
    altitude_deg = sun_altitude_deg(now_us, site.place.latitude_deg, site.place.longitude_deg)
    return Surroundings(safety.roof, altitude_deg)


def dark_until_us(site: Site, dark: DarkTime, night: Night, settings: CalibrationSettings) -> int:
    """Darks end so long after dawn, and always well before the next night's cooling and opening begin."""
    following = dark_time(site.place, site.darkness, night.next)
    after_dawn_us = dark.dawn_us + round(settings.after_dawn_min * MINUTE_US)
    return min(after_dawn_us, following.prepare_us - NEXT_NIGHT_US)
