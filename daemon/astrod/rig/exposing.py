"""One exposure: start it with safety's leave, watch where the mount points meanwhile, fetch its pixels.

A camera is never asked for a second exposure while anything of the first one lives: the lease is held until the
abort of a broken exposure has been seen to work, or the camera's session is gone.
"""

import asyncio
import logging
from dataclasses import dataclass, field

from astrod.domain.exposure import SHUT, Intent
from astrod.domain.sphere import separation_deg
from astrod.errors import AstrodError, OutcomeUnknown, Replan
from astrod.rig.telescope import Telescope, TrainPorts
from astrod.rig.waiting import until
from astrod.runtime.clock import Clock
from astrod_drivers.protocols import (
    CameraInfo,
    CameraState,
    FocuserState,
    GuiderState,
    MountState,
    Permit,
    RawFrame,
    Shot,
)

log = logging.getLogger(__name__)

READOUT_MARGIN_S = 60.0
ABORTED_S = 15.0
"""An aborted camera that still exposes after this long is not believed to abort at all."""
ASIDE_S = 3.0
"""How long an exposure waits for facts that its header can do without."""
NO_PERMIT = Permit(-1)
"""What a shot that needs no permit is taken with; anything else is refused with it."""
LOOKS = 8
LOOK_LEAST_S, LOOK_MOST_S = 5.0, 30.0


@dataclass(slots=True)
class Pointing:
    """How the mount stood while the shutter was open, from samples; `off_arcmin` is the worst of them, None
    without any.
    """

    off_arcmin: float | None = None
    tracked: bool = True

    def add(self, intent: Intent, mount: MountState) -> None:
        """Count a sample."""
        self.tracked = self.tracked and mount.tracking and not mount.slewing
        if intent.ra_deg is not None and intent.dec_deg is not None:
            off = 60.0 * separation_deg(intent.ra_deg, intent.dec_deg, mount.ra_deg, mount.dec_deg)
            self.off_arcmin = off if self.off_arcmin is None else max(self.off_arcmin, off)


@dataclass(frozen=True, slots=True)
class Exposed:
    """Pixels in the spool, with what the rig said while they were taken.

    `filter` is what the wheel read after the exposure, None where nobody can say; `rotator_deg` the rotator's
    mechanical angle before it; `began` the camera's word before it; `guided` how well the mount was guided, None
    where it was not.
    """

    intent: Intent
    raw: RawFrame
    camera: CameraInfo
    camera_state: CameraState
    mount: MountState
    focuser: FocuserState | None
    asked_us: int
    arrived_us: int
    pointing: Pointing = field(default_factory=Pointing)
    filter: str | None = None
    began: CameraState | None = None
    guided: GuiderState | None = None
    rotator_deg: float | None = None


class Exposing:
    """Exposures of one rig. `under_way` is what `status` shows: the intent and when it started."""

    def __init__(self, telescope: Telescope, clock: Clock) -> None:
        self._telescope = telescope
        self._clock = clock
        self.under_way: tuple[Intent, int] | None = None

    async def expose(self, intent: Intent, permit: Permit | None) -> Exposed:
        """Take the exposure. Cancelling it aborts the camera and brings no frame. Without a permit it is a sight for
        safety (`protocols.Shot.sight`).

        Raises RecoverDevice or OutcomeUnknown when the camera is lost, GoSafe when the permit is over, Replan as soon
        as the mount is seen to have left the target of a light frame.
        """
        train = self._telescope.trains[intent.train]
        async with self._telescope.leases.hold("expose", train.camera.name):
            began = await self._quiet(train)
            await self._telescope.see_cooler(intent.train, began)
            camera, mount, focuser = await self._facts(train)
            rotator_deg = await self._rotator_deg(train)
            shot = Shot(
                exposure_id=str(intent.id),
                exposure_s=intent.exposure_s,
                light=intent.kind not in SHUT,
                gain=train.setup.camera.gain,
                offset=train.setup.camera.offset,
                binning=intent.binning,
                sight=permit is None,
            )
            leave = permit or NO_PERMIT
            asked_us = self._clock.now_us()
            try:
                await train.camera.call("expose", lambda device: device.expose(shot, leave))
                self.under_way = (intent, asked_us)
                pointing = await self._while_open(intent)
                raw = await self._fetch(train, intent)
                state = await self._read(train)
            except BaseException:
                await self._abort(train)
                raise
            finally:
                self.under_way = None
            arrived_us = self._clock.now_us()
            passed = await self._filter(train, intent)
        return Exposed(
            intent,
            raw,
            camera,
            state,
            mount,
            focuser,
            asked_us,
            arrived_us,
            pointing,
            filter=passed,
            began=began,
            rotator_deg=rotator_deg,
        )

    async def _read(self, train: TrainPorts) -> CameraState:
        return await train.camera.call("read the camera", lambda device: device.read())

    async def _quiet(self, train: TrainPorts) -> CameraState:
        """The camera's state, once it does not expose: a daemon that was killed leaves an exposure running."""
        state = await self._read(train)
        if state.exposing:
            log.warning("%s exposes what nobody waits for; aborting it", train.camera.name)
            await self._abort(train)
            state = await self._read(train)
        return state

    async def _facts(self, train: TrainPorts) -> tuple[CameraInfo, MountState, FocuserState | None]:
        camera = await train.camera.call("describe the camera", lambda device: device.describe())
        mount = await self._telescope.read_mount()
        return camera, mount, await self._focuser(train)

    async def _focuser(self, train: TrainPorts) -> FocuserState | None:
        """For the header, which can do without it: a focuser that hangs must not hold up the camera."""
        port = self._telescope.focuser(train.setup.name)
        if port is None:
            return None
        try:
            return await port.call("read the focuser", lambda device: device.read(), deadline_s=ASIDE_S)
        except AstrodError as fault:
            log.warning("exposing without word of the focuser: %s", fault)
            return None

    async def _rotator_deg(self, train: TrainPorts) -> float | None:
        """For the header as well; the last angle that was read has to do where the rotator says nothing now."""
        port = self._telescope.rotator(train.setup.name)
        if port is None:
            return None
        try:
            return (await port.call("read the rotator", lambda device: device.read(), deadline_s=ASIDE_S)).angle_deg
        except AstrodError as fault:
            log.warning("exposing without word of the rotator: %s", fault)
            return self._telescope.angle_deg(train.setup.name)

    async def _filter(self, train: TrainPorts, intent: Intent) -> str | None:
        """What stands in the beam, by the wheel's word; None where nobody asked for a filter or it says nothing."""
        if train.wheel is None or intent.filter is None:
            return None
        try:
            state = await train.wheel.call("read the wheel", lambda device: device.read(), deadline_s=ASIDE_S)
        except AstrodError as fault:
            log.warning("the filter in the beam is not known: %s", fault)
            return None
        return state.filter

    async def _while_open(self, intent: Intent) -> Pointing:
        """Wait while the shutter is open, and see where the mount points."""
        pointing = Pointing()
        if intent.kind != "light":
            await self._clock.sleep(intent.exposure_s)
            return pointing
        watching = asyncio.create_task(self._watch(intent, pointing), name="watch the mount")
        exposing = asyncio.create_task(self._clock.sleep(intent.exposure_s), name="while the shutter is open")
        try:
            await asyncio.wait({watching, exposing}, return_when=asyncio.FIRST_COMPLETED)
            if watching.done() and not exposing.done():
                watching.result()
                raise Replan(f"{intent.id} is broken off: {self._astray(pointing)}")
        finally:
            watching.cancel()
            exposing.cancel()
            await asyncio.wait({watching, exposing})
        await self._look(intent, pointing)
        return pointing

    async def _watch(self, intent: Intent, pointing: Pointing) -> None:
        """Look now and then; returns as soon as the frame could not pass the gate any more."""
        while self._astray(pointing) is None:
            await self._clock.sleep(min(LOOK_MOST_S, max(LOOK_LEAST_S, intent.exposure_s / LOOKS)))
            await self._look(intent, pointing)

    def _astray(self, pointing: Pointing) -> str | None:
        """How the mount has left its target, by the validity gate's own limits; None while it has not."""
        name, limit = self._telescope.mount.name, self._telescope.setup.mount.on_target_arcmin
        if not pointing.tracked:
            return f"{name} does not track"
        if pointing.off_arcmin is not None and not pointing.off_arcmin <= limit:  # NaN is off target too
            return f"{name} is {pointing.off_arcmin:.1f}' from the target, and {limit:.1f}' are allowed"
        return None

    async def _look(self, intent: Intent, pointing: Pointing) -> None:
        mount = self._telescope.mount
        try:
            state = await mount.call("read the mount", lambda device: device.read(), deadline_s=ASIDE_S)
        except AstrodError as fault:
            log.warning("%s: nobody knows where the mount points: %s", intent.id, fault)
        else:
            pointing.add(intent, state)

    async def _fetch(self, train: TrainPorts, intent: Intent) -> RawFrame:
        within_s = train.setup.camera.readout_s + READOUT_MARGIN_S
        return await train.camera.call(
            "read out the camera", lambda device: device.fetch(str(intent.id)), deadline_s=within_s
        )

    async def _abort(self, train: TrainPorts) -> None:
        """Abort, and see that it did. A camera that goes on exposing all the same is started anew by its ladder.

        Raises nothing: whatever it is, what made us abort is what must be heard of.
        """
        try:
            await train.camera.call("abort", lambda device: device.abort(), deadline_s=5.0)
            await until(
                self._clock,
                train.camera.name,
                "abort",
                lambda: self._read(train),
                lambda state: not state.exposing,
                ABORTED_S,
            )
        except OutcomeUnknown as fault:
            log.error("%s", fault)
            await train.camera.distrust(f"it did not abort: {fault}", "restart_driver")
        except AstrodError as fault:
            log.warning("the camera did not abort in order: %s", fault)
