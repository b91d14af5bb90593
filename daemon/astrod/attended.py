"""What an owner does by hand at the running observatory: slew, expose, focus, measure backlash, calibrate the
guider, align the axis.

One thing at a time, as a job that goes on without its terminal. Each takes the operator's pause for itself, which ends
by itself when the terminal is forgotten, waits until the rig has stopped observing, and moves only with the permit
that safety gives to everybody: nothing attended can overrule it, and its end ends the job.
"""

import asyncio
import logging
import math
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

from astrod.core import Core
from astrod.domain.instant import MINUTE_US, jd_utc
from astrod.domain.sphere import altitude_azimuth_deg, separation_deg
from astrod.errors import AstrodError, InputInvalid, TellOperator
from astrod.holds import PAUSE, Holds
from astrod.observing import Observing
from astrod.rig.aligning import Aligning, Equinox
from astrod.rig.autoguider import AutoGuider
from astrod.rig.telescope import Telescope
from astrod_drivers.protocols import Permit

log = logging.getLogger(__name__)

HOLD_MIN = 20
REST_S = 120.0
WATCH_S = 1.0
PARKS_WITHIN_DEG = 1.0
"""A mount that parks farther than this from where it was told to park from now on did not take it."""


@dataclass(slots=True)
class Job:
    """Something attended: what, for whom, how it goes. `state` is running, done, failed or stopped."""

    what: str
    who: str
    state: str = "running"
    lines: list[str] = field(default_factory=list)

    def tell(self, text: str) -> None:
        """A line for whoever watches."""
        self.lines.append(text)


@dataclass(frozen=True, slots=True)
class Bench:
    """What a job works with."""

    job: Job
    telescope: Telescope
    observer: Observing
    permit: Permit


class Attended:
    """The attended jobs of one site."""

    def __init__(self, core: Core, holds: Holds) -> None:
        self._core, self._holds = core, holds
        self._task: asyncio.Task[None] | None = None
        self.job: Job | None = None
        self._kinds: dict[str, Callable[[Bench, dict[str, Any]], Awaitable[None]]] = {
            "slew": self._slew,
            "set-park": self._set_park,
            "expose": self._expose,
            "focus": self._focus,
            "backlash": self._measure_backlash,
            "guide-calibrate": self._calibrate_guider,
            "polar-align": self._align,
        }

    async def begin(self, what: str, args: dict[str, Any]) -> Job:
        """Begin a job. Raises InputInvalid while another runs, while it is not safe, and for what cannot be."""
        if what not in self._kinds:
            raise InputInvalid(f"there is no {what[:40]!r}; there is {', '.join(self._kinds)}")
        if self.job is not None and self.job.state == "running":
            raise InputInvalid(f"{self.job.what} is still going on for {self.job.who}; wait, or `astrod stop`")
        observer, telescope = self._rig(args.get("rig"))
        self._permit()
        who = str(args.get("who", ""))
        until_us = self._core.clock.now_us() + HOLD_MIN * MINUTE_US
        await self._holds.pause(who, until_us)
        job = self.job = Job(what, who)
        self._task = asyncio.create_task(self._run(job, observer, telescope, args), name=f"attended {what}")
        return job

    async def stop(self) -> None:
        """End the job under way; the rig stays as it is, under the same pause."""
        if self._task is not None and not self._task.done():
            self._task.cancel()
            await asyncio.wait({self._task})

    def _rig(self, name: object) -> tuple[Observing, Telescope]:
        rigs = list(self._core.telescopes)
        wanted = rigs[0] if name is None else str(name)
        if wanted not in rigs:
            raise InputInvalid(f"there is no rig {wanted[:40]!r}; there is {', '.join(rigs)}")
        return self._core.observers[wanted], self._core.telescopes[wanted]

    def _permit(self) -> Permit:
        """Safety's leave, the same that the night goes by. Raises InputInvalid, with the reasons."""
        safety = self._core.conductor.safety
        if not safety.safe:
            raise InputInvalid(f"it is not safe ({'; '.join(safety.reasons)}); nothing attended overrules safety")
        if safety.roof not in (None, "open"):
            raise InputInvalid(f"the roof is {safety.roof}; it opens for the night, and these are done under open sky")
        return Permit(safety.epoch)

    async def _run(self, job: Job, observer: Observing, telescope: Telescope, args: dict[str, Any]) -> None:
        watching = asyncio.create_task(self._watch(asyncio.current_task()), name="watch the attended job")
        try:
            await self._until_at_rest(job, telescope)
            await telescope.unpark(self._permit())
            await self._kinds[job.what](Bench(job, telescope, observer, self._permit()), args)
            job.state = "done"
        except asyncio.CancelledError:
            job.tell("stopped")
            job.state = "stopped"
            raise
        except AstrodError as fault:
            job.tell(str(fault))
            job.state = "failed"
            log.warning("%s for %s: %s", job.what, job.who, fault)
        finally:
            watching.cancel()

    async def _watch(self, task: "asyncio.Task[Any] | None") -> None:
        """End the job with its pause, or with safety: then the rig is no longer its own."""
        while task is not None:
            await self._core.clock.sleep(WATCH_S)
            paused = any(hold.name == PAUSE for hold in self._holds.in_force)
            if not paused or not self._core.conductor.safety.safe:
                if self.job is not None:
                    self.job.tell("the pause is over" if not paused else "it is no longer safe")
                task.cancel()
                return

    async def _until_at_rest(self, job: Job, telescope: Telescope) -> None:
        """Wait for the exposure under way to end: a pause never breaks one."""
        conductor, clock = self._core.conductor, self._core.clock
        deadline_s = clock.monotonic_s() + REST_S
        while not conductor.rests(telescope.setup.name):
            if not job.lines:
                job.tell("waiting for the exposure under way")
            if clock.monotonic_s() > deadline_s:
                raise InputInvalid("the exposure under way lasts too long; try again when it has ended")
            await clock.sleep(1.0)

    # -- the jobs --------------------------------------------------------------------------------------------

    async def _slew(self, bench: Bench, args: dict[str, Any]) -> None:
        ra_deg, dec_deg = _number(args, "ra_deg", 0.0, 360.0), _number(args, "dec_deg", -90.0, 90.0)
        state = await bench.telescope.slew(ra_deg, dec_deg, bench.permit)
        side = f", pier {state.pier_side}" if state.pier_side else ""
        bench.job.tell(f"tracking at {state.ra_deg:.4f} {state.dec_deg:+.4f}{side}")

    async def _set_park(self, bench: Bench, args: dict[str, Any]) -> None:
        """Where it stands becomes its park place; it is parked, and seen to be there."""
        telescope = bench.telescope
        await telescope.stand_still()
        azimuth_deg, altitude_deg = await self._stands_at(telescope)
        await telescope.mount.call("set the park place", lambda mount: mount.set_park(), deadline_s=20.0)
        await telescope.park()
        parked_deg = await self._stands_at(telescope)
        if separation_deg(azimuth_deg, altitude_deg, *parked_deg) > PARKS_WITHIN_DEG:
            told = f"at azimuth {parked_deg[0]:.1f}, altitude {parked_deg[1]:.1f}"
            raise TellOperator(f"{telescope.mount.name} took the place and parked elsewhere, {told}; see its driver")
        bench.job.tell(f"parked at azimuth {azimuth_deg:.1f}, altitude {altitude_deg:.1f} degrees, and so from now on")
        bench.job.tell(f"for a roof that asks the sky: park_place = [{azimuth_deg:.1f}, {altitude_deg:.1f}]")

    async def _stands_at(self, telescope: Telescope) -> tuple[float, float]:
        """Azimuth and altitude, degrees, by the mount's word."""
        place, state = self._core.site.place, await telescope.read_mount()
        altitude_deg, azimuth_deg = altitude_azimuth_deg(
            state.ra_deg, state.dec_deg, self._core.clock.now_us(), place.latitude_deg, place.longitude_deg
        )
        return azimuth_deg, altitude_deg

    async def _expose(self, bench: Bench, args: dict[str, Any]) -> None:
        exposure_s = _number(args, "exposure_s", 0.001, 600.0)
        for _ in range(round(_number(args, "count", 1.0, 1000.0)) if "count" in args else 1):
            seen = await bench.observer.try_exposure(exposure_s, bench.permit)
            measured = seen.measured
            fwhm = "no FWHM" if measured.fwhm_px is None else f"FWHM {measured.fwhm_px:.2f} px"
            bench.job.tell(f"{measured.stars} stars, {fwhm}, quality {seen.judgement.quality:.0f}")

    async def _focus(self, bench: Bench, args: dict[str, Any]) -> None:
        await bench.observer.try_focus(bench.permit)
        findings = [f.text for f in self._core.health.findings if f.code == "AST-204"]
        bench.job.tell(findings[0] if findings else "focused; `astrod status` and the log have the curve")

    async def _measure_backlash(self, bench: Bench, args: dict[str, Any]) -> None:
        bench.job.tell("two sweeps through focus, one upwards and one downwards")
        run = await bench.observer.try_backlash(bench.permit)
        up, down = run.upwards, run.downwards
        bench.job.tell(
            f"best focus is {up.position:.0f} approached upwards (FWHM {up.fwhm_px:.2f} px), {down.position:.0f} "
            f"approached downwards (FWHM {down.fwhm_px:.2f} px)"
        )
        bench.job.tell(f"{run.steps} steps of play: write backlash = {run.steps} under [rig.train.focuser]")

    async def _calibrate_guider(self, bench: Bench, args: dict[str, Any]) -> None:
        guiding = bench.telescope.guiding
        if guiding is None:
            raise InputInvalid("this rig has no guider; add [rig.train.guider] to the configuration")
        await guiding.stop()
        own = guiding.own
        if isinstance(own, AutoGuider):
            own.book.clear()
        await bench.telescope.check_tracking()
        state = await guiding.begin(bench.permit)
        bench.job.tell(f"guiding holds, {_rms_text(state.rms_ra_arcsec, state.rms_dec_arcsec)}")
        await guiding.stop()

    async def _align(self, bench: Bench, args: dict[str, Any]) -> None:
        train = bench.telescope.setup.trains[0].name

        async def sight(exposure_s: float, thorough: bool) -> Any:
            return await bench.observer.pointing.sight(train, exposure_s, thorough, bench.permit)

        place, clock = self._core.site.place, self._core.clock
        aligning = Aligning(bench.telescope, place, sight, Equinox(of_date, icrs), clock, bench.job.tell)
        _, axis, last = await aligning.measure(bench.permit)
        if args.get("follow", True):
            await aligning.follow(axis, last)


def _rms_text(ra_arcsec: float | None, dec_arcsec: float | None) -> str:
    if ra_arcsec is None or dec_arcsec is None:
        return "no error measured yet"
    return f'RMS {ra_arcsec:.2f}" in right ascension, {dec_arcsec:.2f}" in declination'


def _number(args: dict[str, Any], key: str, low: float, high: float) -> float:
    value = args.get(key)
    if isinstance(value, bool) or not isinstance(value, int | float) or not low <= value <= high:
        raise InputInvalid(f"{key} is {value!r}; a number, {low:g}..{high:g}")
    return float(value)


def of_date(ra_deg: float, dec_deg: float, instant_us: int) -> tuple[float, float]:
    """ICRS to the true equator and equinox of date (ERFA's ICRS to CIRS, less the equation of the origins)."""
    import erfa

    ra, dec, origins = erfa.atci13(math.radians(ra_deg), math.radians(dec_deg), 0, 0, 0, 0, jd_utc(instant_us), 0.0)
    return math.degrees(ra - origins) % 360.0, math.degrees(dec)


def icrs(ra_deg: float, dec_deg: float, instant_us: int) -> tuple[float, float]:
    """The inverse of `of_date`."""
    import erfa

    origins = erfa.eo06a(jd_utc(instant_us), 0.0)
    ra, dec, _ = erfa.atic13(math.radians(ra_deg) + origins, math.radians(dec_deg), jd_utc(instant_us), 0.0)
    return math.degrees(float(ra)) % 360.0, math.degrees(float(dec))
