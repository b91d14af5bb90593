"""One rig's observing: choose, point, expose, hand the frame on, choose again.

The next exposure starts while the last frame is still being judged; what a verdict leads to is attended to
between exposures. Every stretch of time is entered in the rig's `Occupation`.
"""

import asyncio
import logging
from collections import deque
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from functools import partial
from typing import Protocol

from astrod.config.settings import NightSettings
from astrod.domain.exposure import FrameKind, Intent
from astrod.domain.focus import RefocusRule, Sample
from astrod.domain.plan import Choice
from astrod.domain.site import Site
from astrod.errors import AstrodError, GoSafe, RecoverDevice, Replan, Retry, TellOperator
from astrod.exposure_time import DarkNoise, ExposureTime, no_dark_noise
from astrod.guidance import Guidance
from astrod.health import Health
from astrod.journey import Journey, Outcome, Seen
from astrod.occupation import Occupation
from astrod.pointing import NO_FLIP_S, Pointing
from astrod.refocusing import FocusLog, Refocusing
from astrod.rig.exposing import Exposed, Exposing
from astrod.rig.flipping import FlipFailed
from astrod.rig.focusing import BacklashRun
from astrod.rig.telescope import Telescope
from astrod.runtime.clock import Clock
from astrod.runtime.trace import Trace
from astrod.schedule import Schedule
from astrod.solving import Solving
from astrod_drivers.protocols import Permit

log = logging.getLogger(__name__)

FOUND_S = 30.0
IDLE_S = 30.0
NO_PLAN_S = 2.0
AFTER_FAULT_S = 5.0
MISSED_MAX = 3
"""When a rig comes to none of so many targets in a row, it is not the targets."""
MISSED_REST_S = 60.0
GLARE_S = 600.0
"""So long is a direction left alone whose sky glares."""

CLEAR_TESTS = 2


class Intents(Protocol):
    """Where an exposure is recorded before its shutter opens, and how it ended without a frame."""

    async def begin(
        self, kind: FrameKind, rig: str, train: str, exposure_s: float, choice: Choice | None, retake_of: str | None
    ) -> Intent: ...

    async def failed(self, intent: Intent, reason: str) -> None: ...


@dataclass(frozen=True, slots=True)
class Manners:
    """How a rig observes; see the configuration's [night]."""

    in_flight_max: int = 3
    cloud_pause_s: float = 60.0
    test_exposure_s: float = 10.0
    focus_at_start: bool = True
    refocus_every_min: float = 90.0
    refocus_temperature_c: float = 2.0
    refocus_fwhm_percent: float = 25.0
    refocus_each_filter: bool = False
    cool_deadline_s: float = 600.0
    dither_px: float = 0.0
    dither_every: int = 1


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


class Observing:
    """One rig, one train in use at a time. Implements `conductor.Observer`."""

    def __init__(
        self,
        site: Site,
        telescope: Telescope,
        schedule: Schedule,
        journey: Journey,
        intents: Intents,
        manners: Manners,
        health: Health,
        trace: Trace,
        clock: Clock,
        occupation: Occupation,
        solving: Solving | None = None,
        focus_log: FocusLog | None = None,
        dark_noise: DarkNoise = no_dark_noise,
    ) -> None:
        self._site, self._telescope, self._schedule = site, telescope, schedule
        self._journey, self._intents, self.manners = journey, intents, manners
        self._health, self._trace, self._clock = health, trace, clock
        self.occupation = occupation
        self.exposing = Exposing(telescope, clock)
        self._guidance = Guidance(telescope, health, trace, clock, occupation)
        self._train = telescope.setup.trains[0].name
        self._flights: set[asyncio.Task[None]] = set()
        self._to_attend: deque[Outcome] = deque()
        self._winding_up = False
        self._filter: str | None = None
        self._missed: set[str] = set()
        self._broken: BaseException | None = None
        self.pointing = Pointing(site, telescope, solving, self._look, health, trace, clock, occupation)
        self.exposure_time = ExposureTime(site, telescope, schedule, self._sky_level, trace, clock, dark_noise)
        self.refocusing = Refocusing(
            telescope, self._train, self._sample, self.pointing.rich_field, health, trace, clock, occupation, focus_log
        )

    # -- what the conductor asks -----------------------------------------------------------------------------

    async def observe(self, permit: Permit) -> None:
        """See `conductor.Observer`."""
        try:
            await self._observe(permit)
        finally:
            await self._guidance.stop()

    async def _observe(self, permit: Permit) -> None:
        self._winding_up = False
        self.pointing.let_go()
        self._to_attend.clear()
        prepared = False
        while not self._winding_up:
            if self._broken is not None:
                raise self._broken
            try:
                prepared = prepared or await self._prepare(permit)
                await self._one(permit)
            except GoSafe as fault:
                self.occupation.enter("weather", str(fault))
                return  # the conductor hears of it from safety itself
            except Replan as fault:
                self._trace.note("replan", rig=self._telescope.setup.name, why=str(fault))
                await self._clock.sleep(self._rest_after(fault))
            except RecoverDevice as fault:
                prepared = False  # a driver that starts anew may come back parked
                await self._recover(fault)
            except (Retry, TellOperator) as fault:
                self.occupation.enter("fault", str(fault))
                self._health.found("AST-303", str(fault))
                await self._clock.sleep(AFTER_FAULT_S)
        await self._rest_after_all()

    def _rest_after(self, fault: Replan) -> float:
        """Seconds until the next choice; a rig that comes to no target at all is at fault, and tries at leisure."""
        if len(self._missed) < MISSED_MAX:
            return 1.0
        rig = self._telescope.setup.name
        self.occupation.enter("fault", str(fault))
        self._health.found("AST-123", f"rig {rig} came to none of {len(self._missed)} targets: {fault}", rig)
        return MISSED_REST_S

    async def make_ready(self, permit: Permit) -> None:
        """In the late twilight: point to what the night begins with, centre and focus there, so that the dark is not
        spent on it. What fails is only told of: the dark will try it again.
        """
        choice = self._schedule.first(self._telescope.setup.name)
        if choice is None:
            return
        try:
            await self._prepare(permit)
            self.pointing.let_go()
            await self._point(choice, permit)
            await self._turn_wheel(choice)
            why = await self.refocusing.due(self._refocus_rule(), choice.filter)
            if why is not None:
                await self._focus(why, choice.filter, permit)
        except AstrodError as fault:
            self._trace.note("not ready", rig=self._telescope.setup.name, why=str(fault))

    async def _rest_after_all(self) -> None:
        """Wound up for who knows how long: a mount that tracked on would end at its pier or in the ground."""
        try:
            await self._rest_mount()
        except AstrodError as fault:
            log.warning("%s tracks on: %s", self._telescope.mount.name, fault)

    def wind_up(self) -> None:
        """See `conductor.Observer`."""
        self._winding_up = True

    def carry_on(self) -> None:
        """See `conductor.Observer`."""
        self._winding_up = False

    async def settle(self) -> None:
        """See `conductor.Observer`."""
        while self._flights:
            await asyncio.wait(set(self._flights))

    @property
    def in_flight(self) -> int:
        """Frames taken and not yet judged."""
        return len(self._flights)

    # -- what an operator asks while the rig rests ------------------------------------------------------------

    async def try_exposure(self, exposure_s: float, permit: Permit) -> Seen:
        """An exposure where the telescope points, judged and let go."""
        return await self._journey.look(await self._expose("test", None, exposure_s, permit))

    async def try_focus(self, permit: Permit) -> None:
        """A focus run where the telescope points; AST-204 tells when it fails."""
        await self._focus("the operator asks for it", self._filter, permit)

    async def try_backlash(self, permit: Permit) -> BacklashRun:
        """The focuser's play, measured where the telescope points. Raises Replan where no curve shows."""
        return await self.refocusing.measure_backlash(permit)

    # -- getting ready ---------------------------------------------------------------------------------------

    async def _prepare(self, permit: Permit) -> bool:
        self.occupation.enter("overhead", "unparking")
        await self._telescope.unpark(permit)
        await self._telescope.uncover(self._train, permit)
        if self.refocusing.memory.at_us is None:
            await self.refocusing.learn()
            await self._telescope.focus_roughly(self._train)
        await self._await_cold()
        return True

    async def _await_cold(self) -> None:
        camera = self._telescope.trains[self._train].camera.name
        deadline_s = self._clock.monotonic_s() + self.manners.cool_deadline_s
        while not await self._telescope.is_cold(self._train):
            self.occupation.enter("overhead", "cooling")
            if self._clock.monotonic_s() > deadline_s:
                self._health.found("AST-203", f"{camera} is still not at its temperature; going on", camera)
                return
            await self._clock.sleep(5.0)
        self._health.mended("AST-203", camera)

    async def _recover(self, fault: RecoverDevice) -> None:
        """A device is lost: say so, wait for its port to bring it back, point anew."""
        self.occupation.enter("fault", str(fault))
        self.pointing.let_go()
        port = self._telescope.ports().get(fault.device)
        if port is not None:
            if port.kind == "focuser":
                self.refocusing.memory.forget()
            await port.found(FOUND_S)
        await self._clock.sleep(AFTER_FAULT_S)

    # -- one exposure ----------------------------------------------------------------------------------------

    async def _one(self, permit: Permit) -> None:
        await self._attend(permit)
        choice = self._schedule.choose(self._telescope.setup.name)
        if choice is None:
            await self._idle()
            return
        try:
            await self._point(choice, permit)
            await self._turn_wheel(choice)
            why = await self.refocusing.due(self._refocus_rule(), choice.filter)
            if why is not None:
                await self._focus(why, choice.filter, permit)
                await self._point(choice, permit)
        except Replan as fault:
            self._refuse(choice, fault)
            raise
        await self._guide(choice, permit)
        self._schedule.stands(self._telescope.setup.name, (choice.ra_deg, choice.dec_deg), choice.filter)
        exposed = await self._expose("light", choice, await self._exposure_s(choice, permit), permit)
        await self._hand_on(await self._guidance.after(exposed))

    async def _idle(self) -> None:
        """Nothing to choose. Where that is because the rig missed its targets, they are tried again from the first."""
        missing = len(self._missed) >= MISSED_MAX
        self.occupation.enter("fault" if missing else "idle", self._schedule.idle_because)
        await self._rest_mount()
        await self._clock.sleep(IDLE_S if self._schedule.outlook is not None else NO_PLAN_S)
        if missing:
            self._schedule.pardon(self._telescope.setup.name)

    async def _exposure_s(self, choice: Choice, permit: Permit) -> float:
        """See `ExposureTime.of`; a request that no exposure serves under this sky is left alone for a while."""
        try:
            return await self.exposure_time.of(choice, self._train_of(choice), permit)
        except Replan as fault:
            self._schedule.refuse(self._telescope.setup.name, choice.request, str(fault))
            raise

    async def _sky_level(self, train: str, exposure_s: float, permit: Permit) -> float | None:
        """See `exposure_time.Level`."""
        exposed = await self._expose("test", None, exposure_s, permit, train)
        return (await self._journey.look(exposed)).measured.background

    async def _guide(self, choice: Choice, permit: Permit) -> None:
        """Guiding settled and the dither done, as far as the rig guides and dithers."""
        dither = (self.manners.dither_px, self.manners.dither_every)
        place = (choice.ra_deg, choice.dec_deg)
        try:
            await self._guidance.before(choice.target, place, self._train_of(choice), dither, permit)
        except Replan as fault:
            self._schedule.refuse(self._telescope.setup.name, choice.target, str(fault))
            raise

    async def _turn_wheel(self, choice: Choice) -> None:
        try:
            await self._telescope.select_filter(self._train_of(choice), choice.filter)
        except Replan as fault:
            self._health.found("AST-205", f"{choice.request}: {fault}", choice.request)
            raise
        self._health.mended("AST-205", choice.request)
        self._filter = choice.filter

    async def _rest_mount(self) -> None:
        """Nothing to look at: let the mount stand, wherever it last tracked."""
        if self.pointing.held is not None:
            self.pointing.let_go()
            await self._telescope.stand_still()

    def _train_of(self, choice: Choice) -> str:
        return choice.train or self._train

    async def _point(self, choice: Choice, permit: Permit) -> None:
        """See `Pointing.point`."""
        try:
            await self.pointing.point(choice, self._train_of(choice), permit)
        except FlipFailed:
            raise  # it has an alarm of its own, and targets before the meridian go on
        except Replan:
            self._missed.add(choice.target)
            raise
        self._missed.clear()
        self._health.mended("AST-123", self._telescope.setup.name)

    def _refuse(self, choice: Choice, fault: Replan) -> None:
        """Leave the target alone for a while; one that needs a flip the mount does not do, for longer."""
        for_s = NO_FLIP_S if isinstance(fault, FlipFailed) else None
        self._schedule.refuse(self._telescope.setup.name, choice.target, str(fault), for_s)

    async def _look(
        self, train: str, exposure_s: float, permit: Permit
    ) -> tuple[Exposed, Callable[[], Awaitable[None]]]:
        """See `pointing.Look`."""
        exposed = await self._expose("test", None, exposure_s, permit, train)
        return exposed, partial(self._journey.let_go, exposed)

    async def _expose(
        self, kind: FrameKind, choice: Choice | None, exposure_s: float, permit: Permit, train: str | None = None
    ) -> Exposed:
        train = train or (self._train_of(choice) if choice else self._train)
        retake_of = self._schedule.retake_of(choice.request) if choice and kind == "light" else None
        intent = await self._intents.begin(kind, self._telescope.setup.name, train, exposure_s, choice, retake_of)
        if kind == "light":
            self.occupation.enter("observed", f"{intent.target} {intent.filter or ''}".strip())
            self._schedule.begun(intent)
        self._trace.note("expose", id=str(intent.id), kind=kind, target=intent.target, exposure_s=exposure_s)
        try:
            exposed = await self.exposing.expose(intent, permit)
        except asyncio.CancelledError:
            self._lost(intent, "aborted")
            raise
        except AstrodError as fault:
            self._lost(intent, str(fault))
            if not isinstance(fault, GoSafe):
                self._health.found("AST-202", f"{intent.id}: {fault}", train)
            raise
        self._health.mended("AST-202", train)
        self.occupation.enter("overhead", "readout and choice")
        return exposed

    def _lost(self, intent: Intent, reason: str) -> None:
        """The exposure brought no frame; its time was not observed after all."""
        if intent.kind == "light":
            self.occupation.rename("weather" if reason == "aborted" else "fault", f"exposure lost: {reason}")
            self._schedule.lost(intent)
        self._trace.note("lost", id=str(intent.id), why=reason)
        self._fly(self._intents.failed(intent, reason))

    # -- frames in flight ------------------------------------------------------------------------------------

    def _fly(self, body: "asyncio._CoroutineLike[None]") -> None:
        task = asyncio.create_task(body)
        self._flights.add(task)
        task.add_done_callback(self._landed)

    def _landed(self, flight: asyncio.Task[None]) -> None:
        """A flight that failed for no reason we know ends the observing, and so the daemon: it is a bug."""
        self._flights.discard(flight)
        if not flight.cancelled() and flight.exception() is not None:
            self._broken = flight.exception()

    async def _hand_on(self, exposed: Exposed) -> None:
        """Start the frame on its way; with too many in flight, wait for one to land."""
        self._fly(self._follow(exposed))
        while len(self._flights) >= self.manners.in_flight_max:
            self.occupation.enter("overhead", "waiting for frames to be judged")
            await asyncio.wait(set(self._flights), return_when=asyncio.FIRST_COMPLETED)

    async def _follow(self, exposed: Exposed) -> None:
        outcome = await self._journey.walk(exposed)
        self.pointing.hear(outcome.intent.target, outcome.off_target_arcmin)
        self.exposure_time.hear(outcome)
        if outcome.kept and outcome.measured is not None and outcome.intent.train == self._train:
            self.refocusing.seen(outcome.intent.filter, outcome.measured.fwhm_px)
        self._schedule.settled(outcome)
        if outcome.consequence != "none":
            self._to_attend.append(outcome)

    # -- what verdicts lead to -------------------------------------------------------------------------------

    async def _attend(self, permit: Permit) -> None:
        """Do what the verdicts since the last exposure ask for; each kind once."""
        asked = {outcome.consequence for outcome in self._to_attend}
        glaring = {o.intent.target for o in self._to_attend if o.consequence == "look_elsewhere" and o.intent.target}
        self._to_attend.clear()
        for target in sorted(glaring):  # a darker direction, or nothing, until the light has moved on
            self._schedule.refuse(self._telescope.setup.name, target, "the sky glares there", GLARE_S)
        if "pause_for_cloud" in asked:
            await self._sit_out_clouds(permit)
        if "check_tracking_and_retake" in asked:
            self.occupation.enter("overhead", "checking the tracking")
            self.pointing.let_go()
            await self._telescope.check_tracking()
        if "refocus_and_retake" in asked:
            await self._focus("frames are out of focus", self._filter, permit)

    async def _sit_out_clouds(self, permit: Permit) -> None:
        """Short test frames until the sky is clear again, twice in a row."""
        clear = 0
        while clear < CLEAR_TESTS and not self._winding_up:
            self.occupation.enter("weather", "clouds in the frames; looking with short exposures")
            await self._clock.sleep(self.manners.cloud_pause_s)
            await self._stay_pointed(permit)
            exposed = await self._expose("test", None, self.manners.test_exposure_s, permit)
            seen = await self._journey.look(exposed)
            clear = clear + 1 if seen.judgement.cause != "clouds" else 0
            self._trace.note("test frame", id=str(exposed.intent.id), cause=seen.judgement.cause)
        self._to_attend = deque(o for o in self._to_attend if o.consequence != "pause_for_cloud")

    async def _stay_pointed(self, permit: Permit) -> None:
        """Clouds may last for hours: look where the plan looks now, never where the last target has gone down."""
        choice = self._schedule.choose(self._telescope.setup.name)
        if choice is None:
            await self._rest_mount()
            return
        try:
            await self._point(choice, permit)
        except Replan as fault:
            self._refuse(choice, fault)
            raise

    async def _focus(self, why: str, filter_name: str | None, permit: Permit) -> None:
        """See `Refocusing.run`; a mount that was moved for it is pointed anew."""
        if self.refocusing.possible and await self.refocusing.run(why, filter_name, permit):
            self.pointing.let_go()

    async def _sample(self, train: str, exposure_s: float, permit: Permit) -> Sample:
        """See `refocusing.Measure`."""
        exposed = await self._expose("focus", None, exposure_s, permit, train)
        measured = (await self._journey.look(exposed)).measured
        return Sample(measured.fwhm_px, measured.stars)

    def _refocus_rule(self) -> RefocusRule:
        manners = self.manners
        return RefocusRule(
            manners.focus_at_start,
            manners.refocus_every_min,
            manners.refocus_temperature_c,
            manners.refocus_fwhm_percent,
            manners.refocus_each_filter,
        )
