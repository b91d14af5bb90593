"""Guiding, as an observer asks for it: start it on a target, wait until it holds, dither, stop it before a move.

    off → starting → steady ⇄ star lost
             └──────────┴→ off, with the reason

It works on any guider, PHD2 or our own, and waits for none of them longer than its bounds.
"""

import logging
from collections.abc import Callable

from astrod.domain.site import GuiderSetup
from astrod.errors import AstrodError, RecoverDevice, Replan
from astrod.rig.port import Port
from astrod.runtime.clock import Clock
from astrod_drivers.protocols import Guider, GuiderState, Permit

log = logging.getLogger(__name__)

POLL_S = 1.0
CALIBRATE_S = 420.0


Tell = Callable[[GuiderState], None]
"""Told how it goes at each look, so that `status` can say what is waited for."""


def _nobody(state: GuiderState) -> None:
    """Nobody is told."""


class StarLost(Replan):
    """The guide star has been lost for longer than it is waited for."""


class Guiding:
    """One rig's guiding. `wanted`: it was started and not stopped since; `own` is the guider where it is ours;
    `seen` is what it said last, None since it was stopped.
    """

    def __init__(self, port: Port[Guider], setup: GuiderSetup, clock: Clock, own: Guider | None = None) -> None:
        self.port, self.setup = port, setup
        self.own = own
        self.wanted = False
        self.seen: GuiderState | None = None
        self._clock = clock

    async def read(self) -> GuiderState:
        """How it goes. Raises RecoverDevice when the guider is lost or frozen."""
        self.seen = await self.port.call("read the guider", lambda guider: guider.read())
        return self.seen

    async def errors_arcsec(self) -> dict[str, float]:
        """The guiding error now, RMS, by name; empty while nothing is guided, or the guider does not answer."""
        if not self.wanted:
            return {}
        try:
            state = await self.read()
        except (RecoverDevice, Replan) as fault:  # told by whoever waits for it
            log.debug("%s: %s", self.port.name, fault)
            return {}
        if not state.guiding or state.star_lost:
            return {}
        told = {
            "rms_arcsec": state.rms_arcsec,
            "rms_ra_arcsec": state.rms_ra_arcsec,
            "rms_dec_arcsec": state.rms_dec_arcsec,
        }
        return {name: value for name, value in told.items() if value is not None}

    async def begin(self, permit: Permit, tell: Tell = _nobody) -> GuiderState:
        """Start guiding here and wait until it has settled; a calibration is waited for.

        Raises Replan with the guider's reason, StarLost, RecoverDevice, GoSafe.
        """
        self.wanted = True
        await self.port.call("start guiding", lambda guider: guider.start(permit), deadline_s=15.0)
        return await self.await_settled(tell)

    async def await_settled(self, tell: Tell = _nobody) -> GuiderState:
        """Wait until the guiding has settled, as long as it may take. Raises as `begin`."""
        began_s = lost_s = self._clock.monotonic_s()
        deadline_s = began_s + self.setup.settle_within_s
        calibrating_until_s = began_s + CALIBRATE_S
        while True:
            state = await self.read()
            now_s = self._clock.monotonic_s()
            if state.settled:
                return state
            tell(state)
            if state.calibrating and now_s < calibrating_until_s:
                deadline_s = now_s + self.setup.settle_within_s
            if state.star_lost:
                self._check_patience(now_s - lost_s)
                deadline_s = now_s + self.setup.settle_within_s
            else:
                lost_s = now_s
            if not (state.guiding or state.calibrating) and (state.trouble or now_s > began_s + POLL_S * 10):
                raise Replan(f"{self.port.name}: it does not guide: {state.trouble or 'it stopped without a word'}")
            if now_s >= deadline_s:
                said = state.trouble or f"it did not settle within {self.setup.settle_within_s:g} s"
                raise Replan(f"{self.port.name}: {said}")
            await self._clock.sleep(POLL_S)

    def _check_patience(self, lost_for_s: float) -> None:
        if lost_for_s >= self.setup.lost_s:
            raise StarLost(f"{self.port.name}: the guide star has been lost for {lost_for_s:.0f} s")

    async def dither(self, amount_px: float, permit: Permit, tell: Tell = _nobody) -> GuiderState:
        """Dither by pixels of the guide camera and wait until it has settled. Raises as `begin`."""
        await self.port.call("dither", lambda guider: guider.dither(amount_px, permit), deadline_s=15.0)
        return await self.await_settled(tell)

    async def stop(self) -> None:
        """Stop guiding, if it was started. A guider that cannot be told is no reason not to move the mount."""
        if not self.wanted:
            return
        self.wanted, self.seen = False, None
        try:
            await self.port.call("stop guiding", lambda guider: guider.stop(), deadline_s=15.0)
        except AstrodError as fault:
            log.warning("the guider could not be stopped before a move: %s", fault)
