"""The simulated guider: to astrod what PHD2 is, and as cheap as a formula.

It holds the tube to a star from the moment it has settled; a cloud that covers the sky takes its star, and it finds it
again. What remains of the mount's errors is drawn anew for each look.
"""

import math

import numpy as np

from astrod_drivers.errors import CommandRefused, PermitRefused
from astrod_drivers.protocols import Clock, Gate, GuiderState, Permit
from astrod_drivers.sim.mount import SimMount
from astrod_drivers.sim.weather import Climate

SETTLE_S = 8.0
SCALE_ARCSEC_PX = 3.0
RMS_ARCSEC = 0.45
LOST_ABOVE = 0.8  # share of the sky under cloud
_GOLDEN = math.radians(137.50776405003785)


class SimGuider:
    """Implements `protocols.Guider`."""

    def __init__(self, mount: SimMount, climate: Climate, clock: Clock, gate: Gate) -> None:
        self._mount, self._climate = mount, climate
        self._clock, self._gate = clock, gate
        self._guiding = False
        self._settled_us = 0
        self._dithers = 0

    async def connect(self) -> None:
        """Always there."""

    async def disconnect(self) -> None:
        """It goes on as it is."""

    async def read(self) -> GuiderState:
        """See `protocols.Guider.read`. A mount that was moved under it ends the guiding."""
        now_us = self._clock.now_us()
        if self._guiding and not self._mount.is_held(now_us):
            self._guiding = False
        lost = self._guiding and self._climate.at(now_us).cover > LOST_ABOVE
        if lost:
            self._settled_us = now_us + round(SETTLE_S * 1e6)
        settled = self._guiding and not lost and now_us >= self._settled_us
        ra, dec = self._residual(now_us) if settled else (None, None)
        return GuiderState(self._guiding, settled, lost, ra, dec, scale_arcsec_px=SCALE_ARCSEC_PX)

    def _residual(self, now_us: int) -> tuple[float, float]:
        random = np.random.Generator(np.random.PCG64(np.random.SeedSequence((0x601D, now_us))))
        ra, dec = np.abs(random.normal(RMS_ARCSEC, 0.1, 2))
        return float(ra), float(dec)

    async def start(self, permit: Permit) -> None:
        """See `protocols.Guider.start`."""
        self._ask(permit, "guide")
        self._mount.let_go()
        self._mount.hold()
        self._guiding = True
        self._settled_us = self._clock.now_us() + round(SETTLE_S * 1e6)

    async def dither(self, amount_px: float, permit: Permit) -> None:
        """See `protocols.Guider.dither`."""
        self._ask(permit, "dither")
        if not (self._guiding and self._mount.is_held(self._clock.now_us())):
            raise CommandRefused("there is no guiding to dither; start it first")
        self._dithers += 1
        angle, amount_arcsec = _GOLDEN * self._dithers, amount_px * SCALE_ARCSEC_PX
        self._mount.hold(amount_arcsec * math.cos(angle), amount_arcsec * math.sin(angle))
        self._settled_us = self._clock.now_us() + round(SETTLE_S * 1e6)

    async def stop(self) -> None:
        """See `protocols.Guider.stop`."""
        if self._guiding:
            self._guiding = False
            self._mount.let_go()

    def _ask(self, permit: Permit, what: str) -> None:
        if not self._gate.allows(permit):
            raise PermitRefused(f"{what}: safety epoch {permit.epoch} is over; the guider stays as it is")
