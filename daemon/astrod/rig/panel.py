"""Panel flats: the cover closed, its light on, each filter exposed to the same level.

    closing ── closed ──> probing ── level known ──> taking ── enough ──> next filter … done
                             ^── brighter or dimmer ──┘

The exposure is fitted first; where it would leave its bounds the light is doubled or halved instead.
"""

import logging
from typing import Literal

from astrod.errors import Replan
from astrod.rig.flats import Aim, Level, TakeFlat, good, in_order, next_exposure
from astrod.rig.port import Port
from astrod.rig.telescope import Telescope
from astrod.runtime.clock import Clock
from astrod_drivers.protocols import Cover

log = logging.getLogger(__name__)

PanelState = Literal["closing", "probing", "taking", "done", "failed"]
FIRST_BRIGHTNESS = 64
SETTLE_S = 2.0
TRIES_MAX = 12


class PanelFlats:
    """Flats of one train by its cover's light. `state` says how far it is."""

    def __init__(self, telescope: Telescope, train: str, aim: Aim, take: TakeFlat, clock: Clock) -> None:
        self._telescope, self._train = telescope, train
        self._aim, self._take, self._clock = aim, take, clock
        self._brightness = FIRST_BRIGHTNESS
        self.state: PanelState = "closing"

    async def run(self, wanted: dict[str | None, int]) -> dict[str | None, int]:
        """Take so many of each filter; returns how many were kept. The light is off when it returns or raises.

        Raises Replan where the train has no light.
        """
        cover = self._telescope.trains[self._train].cover
        if cover is None:
            raise Replan(f"train {self._train} has no light panel")
        kept: dict[str | None, int] = {}
        async with self._telescope.leases.hold("panel flats", cover.name):
            await self._telescope.shut(cover)
            try:
                for name in in_order(list(wanted), evening=True):
                    await self._telescope.select_filter(self._train, name)
                    kept[name] = await self._filter(cover, name, wanted[name])
            finally:
                await cover.call("switch the light off", lambda device: device.light(0))
        self.state = "done" if all(kept[name] >= count for name, count in wanted.items()) else "failed"
        return kept

    async def _shine(self, cover: Port[Cover], brightness: int) -> None:
        self._brightness = brightness
        await cover.call("set the light", lambda device: device.light(brightness))
        await self._clock.sleep(SETTLE_S)

    async def _filter(self, cover: Port[Cover], name: str | None, count: int) -> int:
        kept, levels, tries = 0, list[Level](), 0
        await self._shine(cover, self._brightness)
        while kept < count and tries < count + TRIES_MAX:
            tries += 1
            advice, exposure_s = next_exposure(levels[-1:], self._aim, self._clock.now_us())
            if advice != "expose":
                brighter = advice == "too_dark"
                changed = self._brightness * 2 if brighter else self._brightness // 2
                if changed < 1:
                    log.warning("train %s: the panel is too bright for %s at its least", self._train, name)
                    return kept
                await self._shine(cover, changed)
                levels.clear()
                continue
            self.state = "taking" if levels else "probing"
            keep = bool(levels)
            adu = await self._take(name, exposure_s, keep)
            if adu is not None:
                levels.append(Level(adu, exposure_s, self._clock.now_us()))
                kept += keep and good(adu, self._aim)
        return kept
