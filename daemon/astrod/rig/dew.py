"""Dew heaters by the dew point's margin: as much heat as keeps the glass a few degrees above it, and no more.

Glass under a clear sky radiates and becomes colder than the air, so heating begins well before the air reaches its dew
point. Too much heat spoils the seeing in the tube, so it fades out as the margin grows.
"""

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Literal

from astrod.domain.site import Heater
from astrod.errors import AstrodError
from astrod.rig.port import Port
from astrod.runtime.clock import Clock
from astrod_drivers.protocols import Switch

log = logging.getLogger(__name__)

DewState = Literal["off", "dry", "heating", "blind"]

LOOK_S = 60.0
TOLERANCE_PERCENT = 5.0
BLIND_PERCENT = 60.0
"""Without a measured dew point: dew on the optics costs a night, this much heat only some current."""
ON_ABOVE_PERCENT, OFF_BELOW_PERCENT = 40.0, 15.0
"""An outlet that cannot be dimmed goes on above the one and off below the other."""


@dataclass(frozen=True, slots=True)
class Wish:
    """What a heater should do, and why."""

    state: DewState
    percent: float


def wish(observing: bool, air_c: float | None, dew_point_c: float | None, margin_c: float) -> Wish:
    """The heat for a margin: full at the dew point, none at twice `margin_c` above it, linear between."""
    if not observing:
        return Wish("off", 0.0)
    if air_c is None or dew_point_c is None:
        return Wish("blind", BLIND_PERCENT)
    share = 1.0 - (air_c - dew_point_c) / (2.0 * margin_c)
    percent = round(100.0 * min(1.0, max(0.0, share)), 1)
    return Wish("heating" if percent > 0.0 else "dry", percent)


def switched(on: bool, percent: float) -> bool:
    """Whether an outlet that cannot be dimmed is on, with hysteresis."""
    return percent > (OFF_BELOW_PERCENT if on else ON_ABOVE_PERCENT)


class Dew:
    """The heaters of one rig. `states` is what each does, by its outlet."""

    def __init__(
        self,
        heaters: Mapping[Heater, Port[Switch]],
        weather: Callable[[], Mapping[str, float] | None],
        observing: Callable[[], bool],
        clock: Clock,
    ) -> None:
        self._heaters, self._weather, self._observing, self._clock = heaters, weather, observing, clock
        self.states: dict[str, Wish] = {}

    async def run(self) -> None:
        """Tend the heaters for ever; one whose switch is lost is tried again at the next look."""
        while True:
            for heater, port in self._heaters.items():
                try:
                    await self._tend(heater, port)
                except AstrodError as fault:
                    log.warning("heater %s: %s", heater.outlet, fault)
            await self._clock.sleep(LOOK_S)

    async def _tend(self, heater: Heater, port: Port[Switch]) -> None:
        weather = self._weather() or {}
        wanted = wish(self._observing(), weather.get("temperature_c"), weather.get("dew_point_c"), heater.margin_c)
        self.states[heater.outlet] = wanted
        state = await port.call("read the switch", lambda switch: switch.read())
        if heater.outlet in state.level:
            off_by = abs(state.level[heater.outlet] - wanted.percent)
            if off_by > TOLERANCE_PERCENT or (wanted.percent == 0.0 and off_by > 0.0):
                await port.call("set a heater", lambda switch: switch.dim(heater.outlet, wanted.percent))
            return
        on = state.on.get(heater.outlet, False)
        if switched(on, wanted.percent) != on or heater.outlet not in state.on:
            await port.call("switch a heater", lambda switch: switch.set(heater.outlet, not on))
