"""Judges a simulated night by the simulator's truth and the disk alone; it never asks the daemon."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from astrod.domain.instant import SECOND_US, iso
from astrod.domain.site import Site
from astrod.runtime.clock import Clock
from astrod_drivers.sim.observatory import Observatory, Truth

LOOK_S = 2.0
CLOSED_WITHIN_S = 240.0
RAIN_MM_H = 0.05


@dataclass(frozen=True, slots=True)
class Claim:
    """A frame that the archive says is on disk."""

    id: str
    path: str
    sha256: str
    started_us: int
    exposure_s: float
    kept: bool


class Referee:
    """Watches while a night is played, then reads the disk. `broken` lists what must never happen."""

    def __init__(self, site: Site, observatory: Observatory, clock: Clock) -> None:
        self._site, self._observatory, self._clock = site, observatory, clock
        self._bad_since_us: int | None = None
        self._shut: list[tuple[int, bool]] = []
        self.broken: list[str] = []

    async def watch(self) -> None:
        """Look every two seconds, for ever."""
        while True:
            self._look(self._observatory.truth())
            await self._clock.sleep(LOOK_S)

    def _break(self, at_us: int, what: str) -> None:
        if not self.broken or not self.broken[-1].endswith(what):
            self.broken.append(f"{iso(at_us)} {what}")

    def _look(self, truth: Truth) -> None:
        at_us = truth.utc_us
        parked = all(mount.parked for mount in truth.mounts.values())
        self._shut.append((at_us, truth.roof_open < 0.99))
        if self._site.roof is None:
            return
        if truth.aperture in ("opening", "closing") and not parked and self._site.roof.needs_parked:
            self._break(at_us, "the roof moved over an unparked mount")
        if truth.aperture == "closed" and any(m.slewing or not m.parked for m in truth.mounts.values()):
            self._break(at_us, "a mount was not parked under a closed roof")
        if truth.sun_altitude_deg > 1.0 and truth.aperture != "closed":
            self._break(at_us, "the roof was open with the Sun up")
        for mount in truth.mounts.values():
            if not mount.parked and mount.altitude_deg < 5.0:
                self._break(at_us, "a mount pointed at the ground")
        self._weather(truth)

    def _weather(self, truth: Truth) -> None:
        bad = truth.weather.rain_mm_h > RAIN_MM_H or truth.weather.wind_m_s > 20.0
        if not bad or truth.aperture == "closed":
            self._bad_since_us = None
        elif self._bad_since_us is None:
            self._bad_since_us = truth.utc_us
        elif truth.utc_us - self._bad_since_us > CLOSED_WITHIN_S * SECOND_US:
            self._break(truth.utc_us, f"the roof was open for {CLOSED_WITHIN_S:.0f} s in rain or storm")

    def verdict(self, root: Path, claims: Sequence[Claim], unexplained_min: float) -> list[str]:
        """All that was broken, the end of the night and the disk included."""
        truth = self._observatory.truth()
        if not all(mount.parked for mount in truth.mounts.values()):
            self._break(truth.utc_us, "the night ended with a mount that is not parked")
        if self._site.roof is not None and truth.aperture != "closed":
            self._break(truth.utc_us, "the night ended with the roof not closed")
        if unexplained_min > 0.01:
            self._break(truth.utc_us, f"{unexplained_min} dark minutes are unexplained")
        self._disk(root, claims)
        return self.broken

    def _disk(self, root: Path, claims: Sequence[Claim]) -> None:
        at_us = self._clock.now_us()
        if len({claim.path for claim in claims}) != len(claims):
            self._break(at_us, "a frame is recorded twice")
        for claim in claims:
            path = root / claim.path
            if not path.is_file() or hashlib.sha256(path.read_bytes()).hexdigest() != claim.sha256:
                self._break(at_us, f"{claim.id} is recorded and not whole on disk")
            if claim.kept and self._was_shut(claim):
                self._break(at_us, f"{claim.id} was kept although the roof was not open")
        recorded = {claim.path for claim in claims}
        for path in sorted((root / "frames").rglob("*.fits")):
            if str(path.relative_to(root)) not in recorded:
                self._break(at_us, f"{path.name} is on disk and not recorded")

    def _was_shut(self, claim: Claim) -> bool:
        end_us = claim.started_us + round(claim.exposure_s * SECOND_US)
        return any(shut for at_us, shut in self._shut if claim.started_us <= at_us <= end_us)
