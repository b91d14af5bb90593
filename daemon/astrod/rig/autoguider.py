"""Guiding by ourselves: look at the guide stars, pulse the mount, look again.

    idle → calibrating → guiding ⇄ star lost
             └────────────┴→ ended, with its trouble

A `protocols.Guider` made of a guide camera and a mount's guide pulses, so that the rig need not know whether PHD2 or
this guides. A star lost in cloud is waited for, with no pulses; what cannot mend itself ends the guiding and is told
by `read`. It ends too when safety's permit does, for then the guide camera refuses the next exposure.
"""

import asyncio
import logging
import math
from collections import deque
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Literal

from astrod.domain.guiding import (
    Calibration,
    DecSteering,
    GuideStar,
    RaSteering,
    Residual,
    Settling,
    Shift,
    Tuning,
    Vector,
    rms,
    shift_of,
)
from astrod.domain.site import GuiderSetup
from astrod.errors import AstrodError, RecoverDevice, Replan
from astrod.rig.dithering import offset
from astrod.rig.guidebook import GuideBook
from astrod.rig.port import Port
from astrod.runtime.clock import Clock
from astrod_drivers.errors import CommandRefused
from astrod_drivers.protocols import Camera, Compass, Guider, GuiderState, Mount, MountState, Permit, Shot

log = logging.getLogger(__name__)

SeeStars = Callable[[Path], Awaitable[tuple[GuideStar, ...]]]
"""The stars of a guide frame, brightest first; empty where there are none."""
Phase = Literal["idle", "calibrating", "guiding", "ended"]

RMS_WINDOW_S = 30.0
READOUT_S = 20.0
CALIBRATION_PX = 18.0
STEP_PX = 4.0
MOST_STEPS = 30
CLEARED_PX = 3.0
STEP_S = (0.1, 3.0)
CALIBRATE_BELOW_DEG = 75.0
LOOKS = 4
LOST_AFTER = 2
REPEATED = 4
RUNAWAY_PX, RUNAWAY_FRAMES = 30.0, 6
BACK: dict[Compass, Compass] = {"west": "east", "east": "west", "north": "south", "south": "north"}
SIDEREAL_ARCSEC_S = 15.04


class AutoGuider(Guider):
    """See `protocols.Guider`. One run at a time; `start` begins a new one, on the stars that are there then."""

    def __init__(
        self,
        name: str,
        setup: GuiderSetup,
        camera: Port[Camera],
        mount: Port[Mount],
        see: SeeStars,
        book: GuideBook,
        clock: Clock,
    ) -> None:
        self.name, self.book = name, book
        self._setup, self._camera, self._mount = setup, camera, mount
        self._see, self._clock = see, clock
        self._task: asyncio.Task[None] | None = None
        self._frames = 0
        self._dithers = 0
        self._scale_arcsec: float | None = None
        self._reset()

    def _reset(self) -> None:
        self._phase: Phase = "idle"
        self._trouble = ""
        self._lost = 0
        self._lock: Vector = (0.0, 0.0)
        self._settling = Settling()
        self._residuals: deque[Residual] = deque(maxlen=600)
        self._last_stars: tuple[GuideStar, ...] = ()
        self._repeats = 0
        self._astray = 0

    # -- what the protocol asks for --------------------------------------------------------------------------

    async def connect(self) -> None:
        """Nothing of its own to connect: camera and mount have ports of theirs."""

    async def disconnect(self) -> None:
        """Stop guiding; nobody would read how it goes."""
        await self.stop()

    async def read(self) -> GuiderState:
        """See `protocols.Guider`."""
        if self._task is not None and self._task.done() and not self._task.cancelled():
            self._task.result()  # a fault of ours must not pass for a lost star
        found = rms([r for r in self._residuals if r.at_s >= self._clock.monotonic_s() - RMS_WINDOW_S])
        lost = self._phase == "guiding" and self._lost >= LOST_AFTER
        return GuiderState(
            guiding=self._phase == "guiding",
            settled=self._phase == "guiding" and self._settling.done and not lost,
            star_lost=lost,
            rms_ra_arcsec=found[0] if found else None,
            rms_dec_arcsec=found[1] if found else None,
            calibrating=self._phase == "calibrating",
            scale_arcsec_px=self._scale_arcsec,
            trouble=self._trouble,
        )

    async def start(self, permit: Permit) -> None:
        """See `protocols.Guider`."""
        await self.stop()
        self._phase = "calibrating"
        self._task = asyncio.create_task(self._run(permit), name=f"guide {self.name}")

    async def dither(self, amount_px: float, permit: Permit) -> None:
        """See `protocols.Guider`. The lock moves about the place where guiding began, never away from it."""
        if self._phase != "guiding":
            raise CommandRefused("there is no guiding to dither; start it first")
        self._dithers += 1
        self._lock = offset(self._dithers, amount_px)
        self._settling = Settling()
        self._astray = 0

    async def stop(self) -> None:
        """See `protocols.Guider`. A guide exposure under way is aborted by its own cancellation."""
        task, self._task = self._task, None
        if task is not None and not task.done():
            task.cancel()
            await asyncio.wait({task})
        self._reset()

    # -- one run ---------------------------------------------------------------------------------------------

    async def _run(self, permit: Permit) -> None:
        try:
            calibration = await self._calibrated(permit)
            self._phase = "guiding"
            await self._hold(calibration, permit)
        except AstrodError as fault:
            self._phase, self._trouble = "ended", str(fault)
            log.warning("%s: guiding ended: %s", self.name, fault)

    async def _calibrated(self, permit: Permit) -> Calibration:
        """The calibration for where the mount points, learnt now where there is none. Raises Replan."""
        state = await self._read_mount()
        side = state.pier_side or "none"
        known = self.book.find(side)
        if known is None:
            known = await self._calibrate(state, side, permit)
            self.book.keep(known)
        return known.at(state.dec_deg)

    async def _hold(self, calibration: Calibration, permit: Permit) -> None:
        """Keep the stars where they are, until cancelled."""
        reference = await self._first_stars(permit)
        ra, dec, near = RaSteering(), DecSteering(), (0.0, 0.0)
        tuning = Tuning(self._setup.aggression, self._setup.hysteresis, self._setup.min_move_px)
        while True:
            shift = shift_of(reference, await self._look(permit), near)
            if shift is None:
                self._lose()
                continue
            self._lost, near = 0, (shift.dx, shift.dy)
            error = shift.dx - self._lock[0], shift.dy - self._lock[1]
            west_px, north_px = calibration.axes_px(*error)
            self._note(west_px, north_px, error, calibration)
            ra, back_west_px = ra.step(west_px, tuning)
            dec, back_north_px = dec.step(north_px, tuning, self._setup.dec_mode)
            west_s, north_s = calibration.pulse_s(back_west_px, back_north_px)
            await self._correct(west_s, north_s)

    def _lose(self) -> None:
        """No star: no pulse. It comes back when the cloud has gone."""
        self._lost += 1
        if self._lost == LOST_AFTER:
            log.info("%s: the guide star is lost; looking for it without moving the mount", self.name)
            self._settling = Settling()

    def _note(self, west_px: float, north_px: float, error: Vector, calibration: Calibration) -> None:
        """What this frame says of how well it goes. Raises Replan when corrections drive the star away."""
        now_s, scale = self._clock.monotonic_s(), self._scale_arcsec or 1.0
        error_px = math.hypot(*error)
        self._settling = self._settling.step(now_s, error_px, self._setup.settle_px, self._setup.settle_s)
        self._residuals.append(Residual(now_s, west_px * scale, north_px * scale))
        self._astray = self._astray + 1 if error_px > RUNAWAY_PX else 0
        if self._astray >= RUNAWAY_FRAMES:
            self.book.forget(calibration.pier_side)
            raise Replan(f"{self.name}: the corrections do not bring the star back; the next guiding calibrates anew")

    async def _correct(self, west_s: float, north_s: float) -> None:
        """Take back shifts that pulses of so many seconds west and north would have made."""
        ways: list[tuple[Compass, float]] = [
            ("east" if west_s > 0.0 else "west", abs(west_s)),
            ("south" if north_s > 0.0 else "north", abs(north_s)),
        ]
        longest_s = 0.0
        for towards, duration_s in ways:
            duration_s = min(duration_s, self._setup.pulse_max_s)
            if duration_s >= 0.01:
                await self._pulse(towards, duration_s)
                longest_s = max(longest_s, duration_s)
        await self._clock.sleep(longest_s)

    # -- calibration -----------------------------------------------------------------------------------------

    async def _calibrate(self, state: MountState, side: str, permit: Permit) -> Calibration:
        """Pulse west and back, clear the backlash, pulse north and back; what moved how far. Raises Replan."""
        if abs(state.dec_deg) > CALIBRATE_BELOW_DEG:
            raise Replan(
                f"{self.name}: no calibration yet and the target is at {state.dec_deg:.0f}°; it is learnt on a target "
                f"within {CALIBRATE_BELOW_DEG:.0f}° of the equator, or by `astrod guide-calibrate`"
            )
        stars = await self._first_stars(permit)
        cos_dec = math.cos(math.radians(state.dec_deg))
        west, steps, step_s = await self._leg("west", stars, self._step_s(cos_dec), permit)
        await self._return("west", steps, step_s)
        north_step_s = self._step_s(1.0)
        stars, cleared = await self._clear_backlash(north_step_s, permit)
        north, steps, step_s = await self._leg("north", stars, north_step_s, permit)
        await self._return("north", cleared + steps, step_s)
        calibration = Calibration(west, north, state.dec_deg, side)
        trouble = calibration.trouble()
        if trouble is not None:
            raise Replan(f"{self.name}: the guide calibration failed, {trouble}; it is tried again later")
        log.info("%s: calibrated at %.0f°, pier %s: %s", self.name, state.dec_deg, side, calibration)
        return calibration

    def _step_s(self, cos_dec: float) -> float:
        """A pulse that moves the star about STEP_PX at half the sidereal rate, the usual guide rate."""
        rate_px_s = 0.5 * SIDEREAL_ARCSEC_S * cos_dec / (self._scale_arcsec or 1.0)
        return min(STEP_S[1], max(STEP_S[0], STEP_PX / rate_px_s))

    async def _leg(
        self, towards: Compass, stars: tuple[GuideStar, ...], step_s: float, permit: Permit
    ) -> tuple[Vector, int, float]:
        """Pulse one way until the stars have gone CALIBRATION_PX: pixels a second, pulses, seconds each."""
        near: Vector = (0.0, 0.0)
        for step in range(1, MOST_STEPS + 1):
            await self._pulse_and_wait(towards, step_s)
            shift = await self._seen_shift(stars, near, permit)
            near = (shift.dx, shift.dy)
            if math.hypot(*near) >= CALIBRATION_PX:
                total_s = step * step_s
                return (shift.dx / total_s, shift.dy / total_s), step, step_s
        raise Replan(
            f"{self.name}: {MOST_STEPS} pulses {towards} moved the guide star by {math.hypot(*near):.1f} px only; "
            "check that the mount takes guide pulses, and their rate"
        )

    async def _clear_backlash(self, step_s: float, permit: Permit) -> tuple[tuple[GuideStar, ...], int]:
        """Pulse north until the stars follow; the stars from there, and how many pulses it took."""
        stars = await self._first_stars(permit)
        near: Vector = (0.0, 0.0)
        for step in range(1, MOST_STEPS + 1):
            await self._pulse_and_wait("north", step_s)
            shift = await self._seen_shift(stars, near, permit)
            near = (shift.dx, shift.dy)
            if math.hypot(*near) >= CLEARED_PX:
                return await self._first_stars(permit), step
        raise Replan(f"{self.name}: pulses north do not move the guide star; check the declination axis")

    async def _return(self, towards: Compass, steps: int, step_s: float) -> None:
        for _ in range(steps):
            await self._pulse_and_wait(BACK[towards], step_s)

    async def _pulse_and_wait(self, towards: Compass, duration_s: float) -> None:
        await self._pulse(towards, duration_s)
        await self._clock.sleep(duration_s)

    async def _seen_shift(self, stars: tuple[GuideStar, ...], near: Vector, permit: Permit) -> Shift:
        for _ in range(LOOKS):
            shift = shift_of(stars, await self._look(permit), near)
            if shift is not None:
                return shift
        raise Replan(f"{self.name}: the guide star was lost while calibrating; it is tried again later")

    # -- hardware --------------------------------------------------------------------------------------------

    async def _read_mount(self) -> MountState:
        return await self._mount.call("read the mount", lambda mount: mount.read())

    async def _pulse(self, towards: Compass, duration_s: float) -> None:
        await self._mount.call(f"pulse {towards}", lambda mount: mount.pulse(towards, duration_s))

    async def _first_stars(self, permit: Permit) -> tuple[GuideStar, ...]:
        """Stars to refer to. Under cloud they are waited for, as long as the guiding is wanted."""
        while True:
            stars = await self._look(permit)
            if stars:
                self._lost = 0
                return stars
            self._lose()

    async def _look(self, permit: Permit) -> tuple[GuideStar, ...]:
        """One guide exposure and its stars. Raises RecoverDevice when the camera repeats itself."""
        if self._scale_arcsec is None:
            info = await self._camera.call("describe the guide camera", lambda camera: camera.describe())
            self._scale_arcsec = 206.265 * info.pixel_um * self._setup.binning / self._setup.focal_length_mm
        self._frames += 1
        shot = Shot(
            f"guide-{self._clock.now_us()}-{self._frames}",
            self._setup.exposure_s,
            gain=self._setup.gain,
            binning=self._setup.binning,
        )
        stars = await self._shoot(shot, permit)
        self._repeats = self._repeats + 1 if stars and stars == self._last_stars else 0
        self._last_stars = stars
        if self._repeats >= REPEATED:
            raise RecoverDevice(self._camera.name, f"gave the same guide frame {REPEATED + 1} times; it is stuck")
        return stars

    async def _shoot(self, shot: Shot, permit: Permit) -> tuple[GuideStar, ...]:
        within_s = shot.exposure_s + READOUT_S
        try:
            await self._camera.call("expose a guide frame", lambda camera: camera.expose(shot, permit))
            await self._clock.sleep(shot.exposure_s)
            frame = await self._camera.call(
                "read out the guide camera", lambda camera: camera.fetch(shot.exposure_id), deadline_s=within_s
            )
        except asyncio.CancelledError:
            await self._abort()
            raise
        try:
            return await self._see(frame.path)
        finally:
            frame.path.unlink(missing_ok=True)

    async def _abort(self) -> None:
        try:
            await self._camera.call("abort", lambda camera: camera.abort(), deadline_s=5.0)
        except AstrodError as fault:  # the camera is gone: nothing is exposed either
            log.warning("the guide camera did not abort in order: %s", fault)
