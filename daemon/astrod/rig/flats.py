"""Twilight flats that chase the light: near the zenith away from the Sun, each exposure drawn from the last ones.

    bright ── darker ──> probing ── level known ──> taking ── enough ──> probing the next filter
      ^ too much light      └────── too little ──────┘───────────────────> next filter, or done

In the evening the sky fades by half in about two minutes, so the next frame's light is foretold from the last two. The
filters that let least light through come first in the evening and last in the morning.
"""

import logging
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Literal

from astrod.domain.site import Place
from astrod.domain.sphere import altitude_azimuth_deg, equatorial_deg, sun_altitude_deg, sun_radec_deg
from astrod.rig.telescope import Telescope
from astrod.runtime.clock import Clock
from astrod_drivers.protocols import Permit

log = logging.getLogger(__name__)

FlatState = Literal["bright", "probing", "taking", "done", "stopped"]
Advice = Literal["expose", "too_bright", "too_dark"]

SUN_DEG = (-9.0, -4.0)
"""The Sun's altitude while the sky is even and neither too bright nor full of stars."""
FLAT_ALTITUDE_DEG = 78.0
"""Opposite the Sun the sky is most even some 10 degrees off the zenith (Chromey & Hasselbacher 1996, PASP 108, 944)."""
WAIT_S = 15.0
PROBE_S = 1.0
DRIFT_MOST = 3.0
SATURATED = 0.95

TakeFlat = Callable[[str | None, float, bool], Awaitable[float | None]]
"""Expose through a filter for so long and keep the frame or not; returns its median in ADU, None where it has none."""

NARROW = ("sii", "oiii", "ha", "h-alpha", "hb", "nii", "nb")
BROAD = ("u", "b", "i", "z", "g", "v", "r")


@dataclass(frozen=True, slots=True)
class Aim:
    """The level that flats are to have, and the exposures that may be used for it."""

    target_adu: float
    saturation_adu: float
    shortest_s: float
    longest_s: float
    bias_adu: float = 0.0


@dataclass(frozen=True, slots=True)
class Level:
    """What a frame had: its median, its length, and when it was in the middle."""

    adu: float
    exposure_s: float
    at_us: int

    def rate(self, aim: Aim) -> float:
        """ADU each second above the bias."""
        return max(1e-3, (self.adu - aim.bias_adu) / self.exposure_s)


def next_exposure(levels: Sequence[Level], aim: Aim, now_us: int) -> tuple[Advice, float]:
    """How long the next frame should be, from the last one or two; with `expose` it lies within the aim's bounds.

    A saturated frame says only that there was too much light: then a quarter of its length is tried.
    """
    if not levels:
        return "expose", min(max(PROBE_S, aim.shortest_s), aim.longest_s)
    last = levels[-1]
    if last.adu >= SATURATED * aim.saturation_adu:
        wanted_s = last.exposure_s / 4.0
        return ("too_bright", aim.shortest_s) if wanted_s < aim.shortest_s else ("expose", wanted_s)
    wanted_s = (aim.target_adu - aim.bias_adu) / (last.rate(aim) * _drift(levels, aim, now_us))
    if wanted_s < aim.shortest_s:
        return "too_bright", aim.shortest_s
    return ("too_dark", aim.longest_s) if wanted_s > aim.longest_s else ("expose", wanted_s)


def _drift(levels: Sequence[Level], aim: Aim, now_us: int) -> float:
    """By how much the light will have changed since the last frame, by how it changed between the last two."""
    if len(levels) < 2 or levels[-2].adu >= SATURATED * aim.saturation_adu:
        return 1.0
    before, last = levels[-2], levels[-1]
    apart_us = last.at_us - before.at_us
    if apart_us <= 0:
        return 1.0
    drift = (last.rate(aim) / before.rate(aim)) ** ((now_us - last.at_us) / apart_us)
    return float(min(DRIFT_MOST, max(1.0 / DRIFT_MOST, drift)))


def good(adu: float, aim: Aim) -> bool:
    """Whether a level is near enough to its target to be kept."""
    return 0.6 * aim.target_adu <= adu <= min(1.5 * aim.target_adu, SATURATED * aim.saturation_adu)


def dimness(name: str | None) -> int:
    """Where a filter stands among others by what it lets through, judged by its name; the dimmest is 0."""
    plain = (name or "").strip().lower()
    if plain.startswith(NARROW):
        return 0
    return 1 if plain.startswith("u") else 2 if plain in BROAD or plain in ("blue", "green", "red") else 3


def in_order(filters: Sequence[str | None], evening: bool) -> list[str | None]:
    """Filters in the order in which twilight serves them."""
    return sorted(filters, key=lambda name: (dimness(name) if evening else -dimness(name), name or ""))


def anti_sun(place: Place, instant_us: int) -> tuple[float, float]:
    """Right ascension and declination of the most even piece of twilight sky."""
    sun = sun_radec_deg(instant_us)
    _, azimuth_deg = altitude_azimuth_deg(*sun, instant_us, place.latitude_deg, place.longitude_deg)
    opposite_deg = (azimuth_deg + 180.0) % 360.0
    return equatorial_deg(FLAT_ALTITUDE_DEG, opposite_deg, instant_us, place.latitude_deg, place.longitude_deg)


class TwilightFlats:
    """One evening's or morning's flats on one train. `state` says how far it is."""

    def __init__(
        self, telescope: Telescope, train: str, place: Place, aim: Aim, take: TakeFlat, clock: Clock, evening: bool
    ) -> None:
        self._telescope, self._train, self._place = telescope, train, place
        self._aim, self._take, self._clock, self._evening = aim, take, clock, evening
        self.state: FlatState = "bright"

    async def run(self, wanted: dict[str | None, int], permit: Permit) -> dict[str | None, int]:
        """Take so many of each filter; returns how many were kept. Raises what slewing and exposing raise."""
        kept: dict[str | None, int] = {}
        async with self._telescope.leases.hold("flats", self._telescope.mount.name):
            if not await self._in_window():
                return kept
            await self._telescope.unpark(permit)
            await self._telescope.uncover(self._train, permit)
            for name in in_order(list(wanted), self._evening):
                await self._telescope.slew(*anti_sun(self._place, self._clock.now_us()), permit)
                await self._telescope.select_filter(self._train, name)
                kept[name] = await self._filter(name, wanted[name])
                if self.state == "stopped":
                    break
            await self._telescope.stand_still()
        self.state = "stopped" if self.state == "stopped" else "done"
        return kept

    def _sun_deg(self) -> float:
        return sun_altitude_deg(self._clock.now_us(), self._place.latitude_deg, self._place.longitude_deg)

    async def _in_window(self) -> bool:
        """Wait for the window to begin; False when it is over."""
        low, high = SUN_DEG
        while (sun_deg := self._sun_deg()) > high if self._evening else sun_deg < low:
            await self._clock.sleep(WAIT_S)
        self.state = "probing"
        return low <= sun_deg <= high

    async def _filter(self, name: str | None, count: int) -> int:
        kept, levels = 0, list[Level]()
        while kept < count:
            if not SUN_DEG[0] <= self._sun_deg() <= SUN_DEG[1]:
                self.state = "stopped"
                return kept
            advice, exposure_s = next_exposure(levels, self._aim, self._clock.now_us())
            if advice == ("too_dark" if self._evening else "too_bright"):
                return kept  # it only gets worse
            if advice != "expose":
                self.state = "bright"
                await self._clock.sleep(WAIT_S)
                levels.clear()
                continue
            self.state = "taking" if levels else "probing"
            kept += await self._one(name, exposure_s, levels)
        return kept

    async def _one(self, name: str | None, exposure_s: float, levels: list[Level]) -> bool:
        began_us = self._clock.now_us()
        keep = bool(levels)  # the first frame of a filter only measures
        adu = await self._take(name, exposure_s, keep)
        if adu is None:
            return False
        levels.append(Level(adu, exposure_s, began_us + round(exposure_s * 5e5)))
        return keep and good(adu, self._aim)
