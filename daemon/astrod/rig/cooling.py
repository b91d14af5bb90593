"""A camera's cooler: down in steps, held, and up again in steps at the end of the night.

    off ── cool ──> ramping ── there ──> holding          warming ── at ambient ──> off
                       └── power over the limit ──> limited      ^
                  holding, limited, ramping ── warm ─────────────┘

A sensor that is cooled or warmed too fast may frost or crack. Where `ramp_c_min` is 0 the camera's own firmware is
trusted to ramp: the target is set at once, and the cooler switched off at once.
"""

import logging
from dataclasses import dataclass, replace
from typing import Literal

from astrod.domain.site import CameraSetup
from astrod.errors import OutcomeUnknown, RecoverDevice
from astrod.rig.port import Port
from astrod.runtime.clock import Clock
from astrod_drivers.protocols import Camera, CameraState

log = logging.getLogger(__name__)

CoolState = Literal["off", "ramping", "holding", "limited", "warming"]

STEP_S = 20.0
THERE_C = 0.5
IDLE_POWER_PERCENT = 5.0
WARM_C = 30.0
"""Warming ends at this temperature at the latest: no observatory's night is warmer where no ambient is known."""
LONGEST_S = 3600.0


@dataclass(frozen=True, slots=True)
class Ramp:
    """Where a ramp is: its state, its setpoint now and where it leads."""

    state: CoolState
    setpoint_c: float
    target_c: float


def begin(temperature_c: float, target_c: float) -> Ramp:
    """A ramp from where the sensor is."""
    state: CoolState = "ramping" if target_c < temperature_c else "warming"
    return Ramp(state, temperature_c, target_c)


def step(ramp: Ramp, seen: CameraState, by_c: float, power_max_percent: float) -> Ramp:
    """The ramp one step on: `by_c` is the most that the setpoint may move.

    A setpoint never runs ahead of a sensor that does not follow by more than two steps. At the power limit the
    setpoint stays where the sensor is: a cooler without reserve cannot hold a temperature.
    """
    if ramp.state == "holding" or ramp.state == "off" or seen.temperature_c is None:
        return ramp
    power = seen.cooler_power_percent
    if ramp.state == "warming":
        idle = power is not None and power <= IDLE_POWER_PERCENT
        if idle or seen.temperature_c >= ramp.target_c - THERE_C:
            return replace(ramp, state="off")
        return replace(ramp, setpoint_c=min(ramp.target_c, ramp.setpoint_c + by_c, seen.temperature_c + 2.0 * by_c))
    if abs(seen.temperature_c - ramp.target_c) <= THERE_C:
        return replace(ramp, state="holding", setpoint_c=ramp.target_c)
    if power is not None and power > power_max_percent:
        return replace(ramp, state="limited", setpoint_c=max(ramp.target_c, seen.temperature_c))
    setpoint_c = max(ramp.target_c, ramp.setpoint_c - by_c, seen.temperature_c - 2.0 * by_c)
    return replace(ramp, state="ramping", setpoint_c=setpoint_c)


class Cooling:
    """One camera's cooler. `state` says how it stands; `wanted_c` is what a camera that comes back is told."""

    def __init__(self, camera: Port[Camera], setup: CameraSetup, clock: Clock) -> None:
        self._camera, self._setup, self._clock = camera, setup, clock
        self._turn = 0
        self.state: CoolState = "off"
        self.wanted_c: float | None = None

    async def cool(self, target_c: float) -> None:
        """Bring the sensor to `target_c` and leave it there; returns when it is there, or at the power limit.

        A later `cool` or `warm` takes over, and this one returns. Raises what `Port.call` raises.
        """
        turn = self._begin()
        if self._setup.ramp_c_min <= 0.0:
            self.state = "ramping"
            await self._set(target_c)
            return
        seen = await self._read()
        await self._run(turn, begin(target_c if seen.temperature_c is None else seen.temperature_c, target_c))

    async def warm(self, at_once: bool = False) -> None:
        """Let the sensor warm up, then switch the cooler off; `at_once` switches it off now."""
        turn = self._begin()
        seen = await self._read()
        cold = seen.temperature_c is not None and seen.cooler_on
        if self._setup.ramp_c_min > 0.0 and cold and not at_once and seen.temperature_c is not None:
            await self._run(turn, Ramp("warming", seen.temperature_c, WARM_C))
        if turn == self._turn:
            await self._set(None)
            self.state = "off"

    def _begin(self) -> int:
        self._turn += 1
        return self._turn

    async def _run(self, turn: int, ramp: Ramp) -> None:
        by_c = self._setup.ramp_c_min * STEP_S / 60.0
        deadline_s = self._clock.monotonic_s() + LONGEST_S
        while turn == self._turn and self._clock.monotonic_s() < deadline_s:
            try:
                ramp = await self._once(ramp, by_c)
            except (RecoverDevice, OutcomeUnknown) as fault:  # its port brings it back, at the ramp's last setpoint
                log.warning("the ramp waits: %s", fault)
                await self._clock.sleep(STEP_S)
                continue
            if ramp.state in ("off", "holding"):
                return
            if ramp.state == "limited":
                log.warning("%s: at its power limit at %.1f C", self._camera.name, ramp.setpoint_c)
                return
            await self._clock.sleep(STEP_S)

    async def _once(self, before: Ramp, by_c: float) -> Ramp:
        ramp = step(before, await self._read(), by_c, self._setup.cooler_power_max_percent)
        self.state = ramp.state
        if ramp.state != "off" and (ramp.setpoint_c != before.setpoint_c or self.wanted_c is None):
            await self._set(ramp.setpoint_c)
        return ramp

    async def _read(self) -> CameraState:
        return await self._camera.call("read the camera", lambda camera: camera.read())

    async def _set(self, target_c: float | None) -> None:
        self.wanted_c = target_c
        await self._camera.call("cool", lambda camera: camera.cool(target_c))
