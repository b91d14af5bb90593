"""One exposure: start it with safety's leave, wait for its end, fetch its pixels."""

import logging
from dataclasses import dataclass

from astrod.domain.exposure import SHUT, Intent
from astrod.errors import AstrodError
from astrod.rig.telescope import Telescope, TrainPorts
from astrod.runtime.clock import Clock
from astrod_drivers.protocols import CameraInfo, CameraState, FocuserState, MountState, Permit, RawFrame, Shot

log = logging.getLogger(__name__)

READOUT_MARGIN_S = 60.0


@dataclass(frozen=True, slots=True)
class Exposed:
    """Pixels in the spool, with what the rig said while they were taken."""

    intent: Intent
    raw: RawFrame
    camera: CameraInfo
    camera_state: CameraState
    mount: MountState
    focuser: FocuserState | None
    asked_us: int
    arrived_us: int


class Exposing:
    """Exposures of one rig. `under_way` is what `status` shows: the intent and when it started."""

    def __init__(self, telescope: Telescope, clock: Clock) -> None:
        self._telescope = telescope
        self._clock = clock
        self.under_way: tuple[Intent, int] | None = None

    async def expose(self, intent: Intent, permit: Permit) -> Exposed:
        """Take the exposure. Cancelling it aborts the camera and brings no frame.

        Raises RecoverDevice or OutcomeUnknown when the camera is lost, GoSafe when the permit is over.
        """
        train = self._telescope.trains[intent.train]
        async with self._telescope.leases.hold("expose", train.camera.name):
            camera, mount, focuser = await self._facts(train)
            shot = Shot(
                exposure_id=str(intent.id),
                exposure_s=intent.exposure_s,
                light=intent.kind not in SHUT,
                gain=train.setup.camera.gain,
                offset=train.setup.camera.offset,
                binning=intent.binning,
            )
            asked_us = self._clock.now_us()
            try:
                await train.camera.call("expose", lambda device: device.expose(shot, permit))
                self.under_way = (intent, asked_us)
                await self._clock.sleep(intent.exposure_s)
                raw = await self._fetch(train, intent)
                state = await train.camera.call("read the camera", lambda device: device.read())
            except BaseException:
                await self._abort(train)
                raise
            finally:
                self.under_way = None
        return Exposed(intent, raw, camera, state, mount, focuser, asked_us, self._clock.now_us())

    async def _facts(self, train: TrainPorts) -> tuple[CameraInfo, MountState, FocuserState | None]:
        camera = await train.camera.call("describe the camera", lambda device: device.describe())
        mount = await self._telescope.read_mount()
        focuser = None
        if train.focuser is not None:
            focuser = await train.focuser.call("read the focuser", lambda device: device.read())
        return camera, mount, focuser

    async def _fetch(self, train: TrainPorts, intent: Intent) -> RawFrame:
        within_s = train.setup.camera.readout_s + READOUT_MARGIN_S
        return await train.camera.call(
            "read out the camera", lambda device: device.fetch(str(intent.id)), deadline_s=within_s
        )

    async def _abort(self, train: TrainPorts) -> None:
        try:
            await train.camera.call("abort", lambda device: device.abort(), deadline_s=5.0)
        except AstrodError as fault:  # whatever it is, what made us abort is what must be heard of
            log.warning("the camera did not abort in order: %s", fault)
