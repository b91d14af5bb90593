"""The conductor: carries out the effects of `domain.night.step`, and nothing else.

Messages come in (the light, safety, the operator, finished work), the table says what to do, the conductor
does it: cools, opens, lets the rigs observe, suspends them, closes, ends. Work runs as tasks of its own, so the
next message is never kept waiting.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Coroutine, Mapping
from typing import Protocol

from astrod.domain.darkness import DarkTime, dark_time
from astrod.domain.identity import Night, night_of
from astrod.domain.minutes import DarkCause
from astrod.domain.night import (
    BarLifted,
    Barred,
    Effect,
    Finished,
    Held,
    Hindered,
    LightChanged,
    Message,
    NightState,
    Paused,
    SafetyChanged,
    Stopped,
    Work,
    step,
)
from astrod.domain.safety import SafetyReport
from astrod.domain.site import Site
from astrod.errors import AstrodError, Bug, GoSafe
from astrod.health import Health
from astrod.occupation import Occupation
from astrod.rig.safety.guard import Guard
from astrod.rig.telescope import Telescope
from astrod.runtime.clock import Clock
from astrod.runtime.supervise import Ready
from astrod.runtime.trace import Trace
from astrod_drivers.protocols import Permit

log = logging.getLogger(__name__)

LIGHT_S = 5.0
ACCOUNT_S = 60.0
BARRED_S = (30.0, 60.0, 120.0, 300.0)
"""Rests after openings that failed, one after the other; the last is repeated. A driver that was only restarted
is there again within the first."""
AGAIN_S = 10.0
FINISH_S = 900.0
BEAT_S = 1.0
FOUND_S = 30.0
REST_S = 60.0
SAFETY_CODES = ("AST-102", "AST-110", "AST-113", "AST-114", "AST-120", "AST-122", "AST-150", "AST-152")
"""The troubles that safety finds and mends."""
THE_SITE = "site"
"""The subject of a closing that failed. What safety says of its roof has none, and is mended by safety alone."""


class Observer(Protocol):
    """One rig's observing, as the conductor starts and stops it."""

    occupation: Occupation

    async def observe(self, permit: Permit) -> None:
        """Observe until cancelled, or until `wind_up` was called and the exposure under way has ended."""

    def wind_up(self) -> None:
        """Begin nothing new."""

    def carry_on(self) -> None:
        """Take `wind_up` back while `observe` still runs."""

    async def settle(self) -> None:
        """Wait until all frames taken so far have been judged and recorded."""


async def _after(former: asyncio.Task[None] | None, observer: Observer, permit: Permit) -> None:
    """Observe as soon as the rig's former observing has ended: never two at once on one mount."""
    if former is not None and not former.done():
        await asyncio.wait({former})
    await observer.observe(permit)


def _let_go(body: Awaitable[None]) -> None:
    """Close work whose task has ended: where it was cancelled before it began, nobody has awaited it."""
    if isinstance(body, Coroutine):
        body.close()


class Conductor:
    """One site's night. `state` is where it is; `send` brings a message."""

    def __init__(
        self,
        site: Site,
        clock: Clock,
        guard: Guard,
        telescopes: Mapping[str, Telescope],
        observers: Mapping[str, Observer],
        health: Health,
        trace: Trace,
        beat: Callable[[], None],
        on_night: Callable[[Night, DarkTime], Awaitable[None]],
        on_finish: Callable[[Night], Awaitable[None]],
        on_account: Callable[[], Awaitable[None]],
        on_closed: Callable[[], Awaitable[None]] | None = None,
        on_twilight: Callable[[Permit], Awaitable[None]] | None = None,
    ) -> None:
        self._site, self._clock, self._guard = site, clock, guard
        self._telescopes, self._observers = telescopes, observers
        self._health, self._trace, self._beat = health, trace, beat
        self._on_night, self._on_finish, self._on_account = on_night, on_finish, on_account
        self._on_closed, self._on_twilight = on_closed, on_twilight
        self._aside: asyncio.Task[None] | None = None
        self._messages: asyncio.Queue[Message | Exception] = asyncio.Queue()
        self._observing: dict[str, asyncio.Task[None]] = {}
        self._work: asyncio.Task[None] | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._done = asyncio.Event()
        self.state = NightState()
        self.night = night_of(clock.now_us(), site.place.longitude_deg)
        self.dark = dark_time(site.place, site.darkness, self.night)
        self.safety = SafetyReport(0, False, ("safety has not spoken yet",), 0, clock.now_us())
        self._told_safe: bool | None = None
        self._told_hindered = False
        self._barred_because: str | None = None
        self._bars = 0
        self._alarmed = False
        self._effects: dict[Effect, Callable[[], None]] = {
            "cool": self._cool,
            "open": lambda: self._start("open", self._open()),
            "observe": self._observe,
            "suspend": self._suspend,
            "close": lambda: self._start("close", self._close()),
            "end": lambda: self._start("end", self._end()),
            "finish": self._begin_finish,
            "alarm_open": self._bar,
            "alarm_close": self._alarm,
        }

    # -- messages --------------------------------------------------------------------------------------------

    def send(self, message: Message) -> None:
        """Bring a message; it is handled in its turn."""
        self._messages.put_nowait(message)

    def pause(self, on: bool) -> None:
        """The operator's pause: the roof stays as it is, no exposure begins."""
        self.send(Paused(on))

    def hold_closed(self, on: bool) -> None:
        """The operator's close: everything parked and closed until it is lifted."""
        self.send(Held(on))

    def bar(self, because: str | None) -> None:
        """Keep the site closed for that reason, until called with None. Safe to repeat."""
        if (because is None) != (self._barred_because is None):
            self.send(Barred() if because is not None else BarLifted())
        self._barred_because = because

    async def stop(self) -> None:
        """Close, park, and come back when the night is over."""
        self.send(Stopped())
        self._leave_off()
        await self._done.wait()

    async def run(self, ready: Ready) -> None:
        """Conduct nights for ever."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._watch_light(), name="watch the light")
            group.create_task(self._watch_safety(), name="watch safety")
            group.create_task(self._keep_beating(), name="heartbeat")
            await self._on_night(self.night, self.dark)
            group.create_task(self._keep_account(), name="account")
            self._spawn("warm up what was left cold", self._warm_what_was_left())
            ready()
            while True:
                message = await self._messages.get()
                if isinstance(message, Exception):  # a task of ours broke: end, so that the closer closes
                    raise Bug(f"a task of the night failed: {message}") from message
                self._handle(message)

    def _handle(self, message: Message) -> None:
        before = self.state
        self.state, effects = step(before, message)
        if self.state.phase != before.phase or effects:
            self._trace.note("night", phase=self.state.phase, message=str(message), effects=list(effects))
        for effect in effects:
            self._effects[effect]()
        if self.state.phase != before.phase:
            self._leave_off()
            if self.state.phase == "closed":
                self._work_under_roof()
            elif self.state.phase == "open" and self.state.light == "twilight":
                self._use_twilight()
        self._account()
        if self.state.stopping and self.state.phase == "asleep" and "finish" not in effects:
            self._done.set()

    def _account(self) -> None:
        """What the rigs' time counts as while they do not observe."""
        if self.state.phase == "observing":
            return
        for name, observer in self._observers.items():
            if self.state.phase == "open" and self._observes(name):
                continue  # it ends its exposure and says itself what it does
            if self.state.paused or self.state.held:
                observer.occupation.enter("idle", "the operator's pause")
            elif self.state.hindered:
                observer.occupation.enter("fault", "; ".join(self.safety.no_slews) or "nothing may slew")
            elif self.state.barred:
                observer.occupation.enter("fault", self._barred_because or "the roof did not open")
            elif not self.state.safe:
                observer.occupation.enter(*self._unsafe_because())
            elif self.state.phase in ("opening", "closing", "ending"):
                observer.occupation.enter("overhead", self.state.phase)
            else:
                observer.occupation.enter("idle", "waiting for dark")

    def _unsafe_because(self) -> tuple[DarkCause, str]:
        text = "; ".join(self.safety.reasons) or "unsafe"
        sensor_lost = any("no reading" in reason for reason in self.safety.reasons)
        return ("fault" if sensor_lost else "weather"), text

    # -- what is watched -------------------------------------------------------------------------------------

    async def _watch_light(self) -> None:
        light = self.state.light
        while True:
            now_us = self._clock.now_us()
            night = night_of(now_us, self._site.place.longitude_deg)
            if night != self.night:
                self.night, self.dark = night, dark_time(self._site.place, self._site.darkness, night)
                await self._on_night(night, self.dark)
            if self.dark.light_at(now_us) != light:
                light = self.dark.light_at(now_us)
                self.send(LightChanged(light))
                self._note_troubles(self.safety)  # sensors that were silent all day matter from now on
            await self._clock.sleep(self._until_next_light(now_us))

    def _until_next_light(self, now_us: int) -> float:
        """Seconds to the next change, at most LIGHT_S, so that a stepped clock is noticed soon."""
        dark = self.dark
        ahead = [(at - now_us) / 1e6 for at in (dark.prepare_us, dark.dusk_us, dark.dawn_us)]
        return min([LIGHT_S, *(wait + 0.001 for wait in ahead if wait > 0)])

    async def _watch_safety(self) -> None:
        while True:
            try:
                report = await self._guard.changed(self.safety.version)
            except AstrodError as fault:
                self._tell_safe(False)
                self._health.found("AST-131", f"safety does not answer: {fault}")
                await self._clock.sleep(1.0)
                continue
            self._health.mended("AST-131")
            was = self.safety
            self.safety = report
            if bool(report.no_slews) != self._told_hindered:
                self._told_hindered = bool(report.no_slews)
                self._trace.note("slews", barred=self._told_hindered, reasons=list(report.no_slews))
                self.send(Hindered(self._told_hindered))
            if report.safe != self._told_safe:
                self._trace.note("safety", safe=report.safe, reasons=list(report.reasons), epoch=report.epoch)
                self._tell_safe(report.safe)
            elif report.safe and (report.epoch != was.epoch or self._fell_shut(report)):
                self.send(SafetyChanged(False))  # unsafe and safe again between two looks, or as good as
                self.send(SafetyChanged(True))
            self._note_troubles(report)

    def _tell_safe(self, safe: bool) -> None:
        self._told_safe = safe
        self.send(SafetyChanged(safe))

    def _fell_shut(self, report: SafetyReport) -> bool:
        """A roof that reads closed over open work: its driver started anew, or somebody pressed a button."""
        if self.state.phase not in ("open", "observing") or report.roof != "closed":
            self._health.mended("AST-112")
            return False
        self._health.found("AST-112", "the roof reads closed in mid work; parking, then opening again")
        return True

    def _note_troubles(self, report: SafetyReport) -> None:
        spoken = {text.split(" ", 1)[0]: text.split(" ", 1)[1] for text in report.troubles}
        for code in SAFETY_CODES:
            if code in spoken:
                self._health.found(code, spoken[code])
            else:
                self._health.mended(code)
        stale = [reason for reason in report.reasons if "no reading" in reason]
        if stale and self.dark.light_at(self._clock.now_us()) != "day":
            self._health.found("AST-101", "; ".join(stale))
        else:
            self._health.mended("AST-101")

    async def _keep_beating(self) -> None:
        while True:
            self._beat()
            await self._clock.sleep(BEAT_S)

    async def _keep_account(self) -> None:
        """Bring the account of minutes into the archive now and then, for a crash loses what is in memory."""
        while True:
            await self._clock.sleep(ACCOUNT_S)
            try:
                await self._on_account()
            except AstrodError as fault:  # the minutes stay in memory and are brought next time
                log.warning("the account of minutes cannot be recorded: %s", fault)

    # -- effects ---------------------------------------------------------------------------------------------

    def _spawn(self, name: str, body: Awaitable[None]) -> asyncio.Task[None]:
        async def guarded() -> None:
            await body

        task = asyncio.create_task(guarded(), name=name)
        task.add_done_callback(lambda _: _let_go(body))
        self._tasks.add(task)
        task.add_done_callback(self._ended)
        return task

    def _ended(self, task: asyncio.Task[None]) -> None:
        """Nothing of ours may break in silence: what no table has an answer for ends the conductor."""
        self._tasks.discard(task)
        broken = None if task.cancelled() else task.exception()
        if isinstance(broken, Exception):
            self._messages.put_nowait(broken)
        elif task in self._observing.values():
            self._account()

    def _start(self, work: Work, body: Awaitable[None]) -> None:
        """Begin work in place of whatever was under way, and report how it ended."""

        async def reported() -> None:
            try:
                await body
            except GoSafe as fault:  # the safety message that follows says what to do
                log.info("%s given up: %s", work, fault)
            except AstrodError as fault:
                self._trace.note("work failed", work=work, why=str(fault))
                if work == "open":
                    self._health.found("AST-111", str(fault))
                else:
                    self._health.found("AST-110", str(fault), THE_SITE)
                    await self._clock.sleep(AGAIN_S)
                self.send(Finished(work, ok=False))
            else:
                self._trace.note("work done", work=work)
                self.send(Finished(work, ok=True))

        if self._work is not None:
            self._work.cancel()
        self._work = self._spawn(work, reported())
        self._work.add_done_callback(lambda _: _let_go(body))

    def _cool(self) -> None:
        for telescope in self._telescopes.values():
            self._spawn("cool", self._set_coolers(telescope, warm=False))

    async def _set_coolers(self, telescope: Telescope, warm: bool) -> None:
        try:
            await telescope.cool(warm, at_once=self.state.stopping)
        except AstrodError as fault:
            self._health.found("AST-203", f"rig {telescope.setup.name}: {fault}", telescope.setup.name)
        else:
            self._health.mended("AST-203", telescope.setup.name)

    async def _open(self) -> None:
        await self._guard.open_roof(Permit(self.safety.epoch))
        self._bars = 0
        self._health.mended("AST-111")

    def _observe(self) -> None:
        permit = Permit(self.safety.epoch)
        for name, observer in self._observers.items():
            running = self._observing.get(name)
            if running is not None and self._observes(name) and not running.cancelling():
                observer.carry_on()  # the exposure that a pause lets end is still under way
            else:
                self._observing[name] = self._spawn(f"observe with {name}", _after(running, observer, permit))

    def rests(self, name: str) -> bool:
        """Whether that rig does not observe now: what a pause leads to once its exposure has ended."""
        return not self._observes(name)

    def _observes(self, name: str) -> bool:
        task = self._observing.get(name)
        return task is not None and not task.done()

    def _suspend(self) -> None:
        gently = self.state.safe and (self.state.paused or self.state.hindered) and not self.state.stopping
        for name, task in self._observing.items():
            if gently:
                self._observers[name].wind_up()
            else:
                task.cancel()

    async def _rest(self) -> None:
        """Wait until no rig observes any more."""
        running = [task for task in self._observing.values() if not task.done()]
        if running:
            await asyncio.wait(running, timeout=REST_S)

    def _cut_short(self) -> None:
        """End exposures that a pause lets end: closing waits for none."""
        for name, task in self._observing.items():
            if self._observes(name) and not task.cancelling():
                task.cancel()

    async def _close(self) -> None:
        self._cut_short()
        await self._guard.close_site("; ".join(self.safety.reasons) or "the operator's wish")
        await self._rest()
        self._health.mended("AST-110", THE_SITE)
        self._alarmed = False

    async def _end(self) -> None:
        self._cut_short()
        await self._rest()
        try:
            await self._guard.close_site("the night is over" if not self.state.stopping else "the daemon stops")
        except AstrodError:
            await self._warm_up()  # a roof that cannot be closed must not keep the coolers running into the day
            raise
        self._health.mended("AST-110", THE_SITE)
        self._alarmed = False
        self._work_under_roof()
        if self._aside is not None:
            await asyncio.wait({self._aside})
        for telescope in self._telescopes.values():
            await telescope.cover_up()
        await self._warm_up()

    async def _warm_up(self) -> None:
        for telescope in self._telescopes.values():
            await self._set_coolers(telescope, warm=True)

    async def _warm_what_was_left(self) -> None:
        """By day no camera is cold: one that a former run of the daemon left so, cut short in the morning, warms."""
        if self.dark.light_at(self._clock.now_us()) != "day":
            return
        for telescope in self._telescopes.values():
            await telescope.meet_cameras(FOUND_S)
            if self.state.phase == "asleep":  # it may have become dark meanwhile
                await self._set_coolers(telescope, warm=True)

    def _work_under_roof(self) -> None:
        """Have what needs no sky done (darks) while the site is closed; never against the operator's hold."""
        if self._on_closed is not None and not (self.state.held or self.state.paused or self.state.stopping):
            self._aside = self._spawn("work under the roof", self._on_closed())

    def _use_twilight(self) -> None:
        """The roof is open and it is not dark yet: flats. They are left off as soon as the phase changes."""
        if self._on_twilight is not None and not (self.state.held or self.state.paused or self.state.stopping):
            permit = Permit(self.safety.epoch)
            self._aside = self._spawn("use the twilight", self._on_twilight(permit))

    def _leave_off(self) -> None:
        if self._aside is not None:
            self._aside.cancel()

    async def _finish(self) -> None:
        for name, observer in self._observers.items():
            try:
                async with asyncio.timeout(FINISH_S):
                    await observer.settle()
            except TimeoutError:
                log.error("rig %s: some frames are still not judged; they will be at the next start", name)
        await self._on_finish(self.night)
        self._trace.note("night over", night=str(self.night))
        if self.state.stopping:
            self._done.set()

    def _begin_finish(self) -> None:
        self._spawn("finish the night", self._finish())

    def _alarm(self) -> None:
        if not self._alarmed:
            log.error("the site is not closed and parked; trying again until it is")
        self._alarmed = True

    def _bar(self) -> None:
        self._spawn("lift the bar", self._lift_bar())

    async def _lift_bar(self) -> None:
        rest_s = BARRED_S[min(self._bars, len(BARRED_S) - 1)]
        self._bars += 1
        await self._clock.sleep(rest_s)
        if self._barred_because is None:
            self.send(BarLifted())
