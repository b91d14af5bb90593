"""Guiding between exposures: started on each target, settled before the shutter opens, dithered, and never waited for
without end. An observatory whose guider fails goes on unguided, unless its owner said that it must not.
"""

import logging
from dataclasses import replace

from astrod.domain.site import GuiderSetup
from astrod.errors import OutcomeUnknown, RecoverDevice, Replan
from astrod.health import Health
from astrod.occupation import Occupation
from astrod.rig.dithering import Rhythm, aside
from astrod.rig.exposing import Exposed
from astrod.rig.guiding import Guiding, StarLost
from astrod.rig.telescope import Telescope
from astrod.runtime.clock import Clock
from astrod.runtime.trace import Trace
from astrod_drivers.protocols import GuiderState, Permit

log = logging.getLogger(__name__)

AGAIN_S = 300.0
"""A guider that failed is left alone for so long, so that the night is not spent on starting it."""


class Guidance:
    """One rig's guiding and dithering, as `observing` asks for them."""

    def __init__(
        self, telescope: Telescope, health: Health, trace: Trace, clock: Clock, occupation: Occupation
    ) -> None:
        self._telescope, self._health, self._trace = telescope, health, trace
        self._clock, self._occupation = clock, occupation
        self._rhythm = Rhythm()
        self._again_s = 0.0

    @property
    def _rig(self) -> str:
        return self._telescope.setup.name

    async def before(
        self, target: str, place: tuple[float, float], train: str, dither: tuple[float, int], permit: Permit
    ) -> None:
        """Have the mount guided and settled on `target` at `place` (ICRS), dithered where that is due.

        `dither` is the amount in pixels of the train's camera and after how many exposures. Raises Replan where
        guiding is required and cannot be had, GoSafe, and what moving the mount raises.
        """
        self._rhythm = self._rhythm.on(target)
        amount_px, every = dither
        due = amount_px > 0.0 and self._rhythm.is_due(every)
        guided = await self._guided(permit)
        if due:
            self._rhythm = self._rhythm.dithered()
            await self._dither(guided, place, train, amount_px, permit)

    async def after(self, exposed: Exposed) -> Exposed:
        """The exposure with how well it was guided; guiding that ended meanwhile is begun anew before the next."""
        self._rhythm = self._rhythm.taken()
        guiding = self._telescope.guiding
        if guiding is None or not guiding.wanted:
            return exposed
        try:
            state = await guiding.read()
        except (RecoverDevice, Replan) as fault:
            await self._failed(guiding, fault)
            return exposed
        if state.star_lost:
            self._tell(state)
        if not state.guiding:
            await self._failed(guiding, Replan(state.trouble or "it stopped during the exposure"))
            return exposed
        self._trace.note("guided", rig=self._rig, ra_arcsec=state.rms_ra_arcsec, dec_arcsec=state.rms_dec_arcsec)
        return replace(exposed, guided=state)

    async def stop(self) -> None:
        """Stop guiding: the rig stops observing."""
        if self._telescope.guiding is not None:
            await self._telescope.guiding.stop()

    # -- the guider ------------------------------------------------------------------------------------------

    async def _guided(self, permit: Permit) -> GuiderState | None:
        """Guiding settled, or None where there is none and it need not be."""
        guiding = self._telescope.guiding
        if guiding is None:
            return None
        if not guiding.wanted and self._clock.monotonic_s() < self._again_s:
            self._go_unguided(guiding.setup, "the guider failed a while ago")
            return None
        try:
            return await self._settled(guiding, permit)
        except (RecoverDevice, Replan) as fault:
            await self._failed(guiding, fault)
            self._go_unguided(guiding.setup, str(fault))
            return None

    async def _settled(self, guiding: Guiding, permit: Permit) -> GuiderState:
        if guiding.wanted and (await guiding.read()).guiding:
            state = await guiding.await_settled(self._tell)
        else:
            self._occupation.enter("overhead", "starting to guide")
            state = await guiding.begin(permit, self._tell)
            self._trace.note("guiding", rig=self._rig)
        self._well()
        return state

    def _tell(self, state: GuiderState) -> None:
        """What the occupation and `status` say while guiding settles."""
        if state.star_lost:
            self._occupation.enter("weather", "the guide star is lost, as behind a cloud; waiting for it")
            self._health.found("AST-231", f"rig {self._rig}: the guide star is lost; the exposure waits", self._rig)
        elif state.calibrating:
            self._occupation.enter("overhead", "starting to guide")

    def _well(self) -> None:
        self._health.mended("AST-230", self._rig)
        self._health.mended("AST-231", self._rig)

    async def _failed(self, guiding: Guiding, fault: RecoverDevice | Replan) -> None:
        """Say why, stop what is left of it, and leave it alone for a while."""
        self._health.mended("AST-231", self._rig)
        code = "AST-231" if isinstance(fault, StarLost) else "AST-230"
        self._health.found(code, f"rig {self._rig}: {fault}", self._rig)
        self._trace.note("guiding failed", rig=self._rig, why=str(fault))
        if not isinstance(fault, OutcomeUnknown):
            await guiding.stop()
        guiding.wanted = False
        self._again_s = self._clock.monotonic_s() + AGAIN_S

    def _go_unguided(self, setup: GuiderSetup, why: str) -> None:
        """Exposures go on without guiding. Raises Replan where the owner said that they must not."""
        if setup.required:
            raise Replan(f"guiding is required and cannot be had: {why}")

    # -- dithering -------------------------------------------------------------------------------------------

    async def _dither(
        self, guided: GuiderState | None, place: tuple[float, float], train: str, amount_px: float, permit: Permit
    ) -> None:
        self._occupation.enter("overhead", "dithering")
        amount_arcsec = amount_px * await self._scale_arcsec(train)
        guiding, number = self._telescope.guiding, self._rhythm.number
        self._trace.note("dither", rig=self._rig, number=number, arcsec=round(amount_arcsec, 2))
        if guided is None or guiding is None:
            await self._telescope.slew(*aside(*place, number, amount_arcsec), permit)
            return
        guide_px = amount_arcsec / guided.scale_arcsec_px if guided.scale_arcsec_px else amount_px
        try:
            await guiding.dither(guide_px, permit, self._tell)
        except (RecoverDevice, Replan) as fault:
            await self._failed(guiding, fault)
            self._go_unguided(guiding.setup, str(fault))

    async def _scale_arcsec(self, train: str) -> float:
        """Arcseconds per pixel of a train's frames."""
        ports = self._telescope.trains[train]
        info = await ports.camera.call("describe the camera", lambda camera: camera.describe())
        return 206.265 * info.pixel_um * ports.setup.camera.binning / ports.setup.focal_length_mm
