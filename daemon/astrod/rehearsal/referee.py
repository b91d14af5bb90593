"""Judges a simulated night by the simulator's truth and the disk; of the daemon it sees only what its owner is shown,
the troubles that stand, for a site that cannot be made safe must be among them.

It stands between the daemon's sessions and the devices (`overhear`), so that it hears each command that can
move or expose at the moment at which it is given, looks at the truth then and every few seconds, and reads the
disk when the night is over. `Verdict.broken` lists what must never happen and did.
"""

import hashlib
from bisect import bisect_right
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from astrod.domain.darkness import DarkTime
from astrod.domain.instant import MINUTE_US, SECOND_US, iso
from astrod.domain.site import Limit, Site
from astrod.domain.sphere import altitude_azimuth_deg, hour_angle_deg, separation_deg, sun_radec_deg
from astrod.domain.target import Target
from astrod.rehearsal.aim import Aim
from astrod.rehearsal.harm import Harm, harm_of
from astrod.runtime.clock import Clock
from astrod_drivers.address import parse
from astrod_drivers.protocols import Camera
from astrod_drivers.sim.mount import MountTruth
from astrod_drivers.sim.observatory import Observatory, Truth
from astrod_drivers.sim.weather import Conditions

LOOK_S = 10.0
CLOSED_WITHIN_S = 240.0
"""From the first command toward safety to a closed roof, devices that work granted."""
COMMAND_WITHIN_S = 10.0
"""From the last reading that hysteresis asks for to the first command toward safety."""
STUCK_MIN = 45.0
ALARM_WITHIN_S = 900.0
"""From when a site ought to be safe, and is not, to the alarm that says so."""
ALARMS = frozenset({"AST-110", "AST-120", "AST-122", "AST-206"})
"""What an owner is shown when a roof does not close, a mount does not park, or a device is given up."""
FLIPPING_S = 420.0
"""How long a mount that does not change sides may be tried past its limit, before it is stopped."""
MERIDIAN_MARGIN_DEG = 1.5
"""For pointing errors and the precession since J2000."""
OPEN = 0.99
DARK_UNDER = 0.02
"""How far open a roof must be at least to be open, and at most for no star to be seen from under it."""
OFF_TARGET = 2.0
"""A kept frame may be so many times as far off its target as the site allows."""
SUN_SEPARATION_DEG = 20.0
GROUND_DEG = 5.0
CLEAR_COVER = 0.08
"""More cloud than this may leave frames that no request can use."""
ALTITUDE_MARGIN_DEG = 2.0
TOWARD_SAFETY = frozenset({"park", "abort", "close"})
_HEARD = TOWARD_SAFETY | {"open", "unpark", "slew", "expose"}
_NOISE = {"rain_mm_h": 0.05, "wind_m_s": 1.0, "gust_m_s": 1.0, "humidity_percent": 1.5, "cloud_percent": 4.0}
"""How far past a limit the truth must be for every reading of the noisy station to be past it too."""


@dataclass(frozen=True, slots=True)
class Claim:
    """A frame that the archive says is on disk."""

    id: str
    path: str
    sha256: str
    started_us: int
    exposure_s: float
    kept: bool
    kind: str = "light"
    rig: str = ""
    ra_deg: float | None = None
    dec_deg: float | None = None


@dataclass(frozen=True, slots=True)
class Break:
    """Something that must never happen, and when it did."""

    at_us: int
    what: str

    def __str__(self) -> str:
        return f"{iso(self.at_us)} {self.what}"


@dataclass(frozen=True, slots=True)
class Verdict:
    """What became of the night. `usable_min` are the rigs' dark minutes under a safe, clear sky with something
    to observe; `observed_min` those of them in which a light frame that is on disk was being exposed.
    """

    broken: tuple[Break, ...]
    usable_min: float
    observed_min: float


@dataclass(slots=True)
class _Spell:
    """A stretch of time in which the site ought to be safe and is not."""

    since_us: int
    commanded: bool = False
    commanded_us: int | None = None
    free_s: float = 0.0
    """Seconds of it in which nothing hindered closing."""


class _Overheard:
    """A device as the daemon's session sees it: the commands that move or expose are told to the referee first."""

    def __init__(self, device: Any, tell: Callable[[str], None]) -> None:
        self._device = device
        self._tell = tell

    def __getattr__(self, method: str) -> Any:
        real = getattr(self._device, method)
        if method not in _HEARD:
            return real

        async def call(*args: Any, **named: Any) -> Any:
            self._tell(method)
            return await real(*args, **named)

        return call


@dataclass(slots=True)
class _Minutes:
    """What the truth said at each look in the dark, for the account at the end."""

    at_us: list[int] = field(default_factory=list)
    usable: list[bool] = field(default_factory=list)


class Referee:
    """Watches while a night is played, then reads the disk.

    What the faults that have fired so far make impossible is not held against the daemon.
    """

    def __init__(
        self,
        site: Site,
        targets: Sequence[Target],
        dark: DarkTime,
        observatory: Observatory,
        clock: Clock,
        alarms: Callable[[], Collection[str]] = lambda: (),
    ) -> None:
        """`alarms` are the codes of the troubles that the owner is shown now: all that is asked of the daemon."""
        self._alarms = alarms
        self._site, self._targets, self._dark = site, list(targets), dark
        self._observatory, self._clock = observatory, clock
        self._mounts = {parse(rig.mount.address).device: rig for rig in site.rigs}
        self._roof = parse(site.roof.address).device if site.roof else None
        self._limits = [limit for source in site.weather for limit in source.limits]
        self._stations = {parse(s.address).device: s for s in site.weather if s.address.startswith("sim://")}
        self._aims = {name: Aim() for name in self._mounts}
        self._past_s = dict.fromkeys(self._mounts, 0.0)
        self._openings_us: list[int] = []
        self._openings: list[float] = []
        self._spell: _Spell | None = None
        self._last_us = clock.now_us()
        self._good_since_us: int | None = None
        self._idle_s = 0.0
        self._minutes = _Minutes()
        self._broken: dict[str, Break] = {}

    # -- while the night is played ---------------------------------------------------------------------------

    def overhear(self, name: str, device: Any) -> Any:
        """The same device, its commands heard."""
        return _Overheard(device, lambda method: self._hear(name, method))

    async def watch(self) -> None:
        """Look every few seconds, for ever."""
        while True:
            self._look(self._observatory.truth())
            await self._clock.sleep(LOOK_S)

    def _hear(self, name: str, method: str) -> None:
        """A command, the moment before the device gets it."""
        truth = self._observatory.truth()
        self._look(truth)
        at_us = truth.utc_us
        moves = name in self._mounts or name == self._roof  # to abort an exposure makes nothing safe
        if moves and method in TOWARD_SAFETY and self._spell is not None and self._spell.commanded_us is None:
            self._spell.commanded_us = at_us
        if self._site.roof is None or self._lies(at_us):
            return
        unparked = [n for n, mount in truth.mounts.items() if not mount.parked]
        travels = name == self._roof and method in ("open", "close")  # a cover opens and closes too
        if travels and unparked and truth.aperture != ("open" if method == "open" else "closed"):
            self._needs_parked(at_us, unparked)
        if method in ("unpark", "slew") and truth.aperture == "closed":
            self._break(at_us, f"{name} was told to {method} under a closed roof")

    def _needs_parked(self, at_us: int, unparked: list[str]) -> None:
        if self._site.roof is not None and self._site.roof.needs_parked:
            self._break(at_us, f"the roof was told to move over {unparked[0]}, which is not parked")

    def _break(self, at_us: int, what: str) -> None:
        """Keep the first of its kind."""
        self._broken.setdefault(what, Break(at_us, what))

    def _harms(self) -> list[Harm]:
        return [harm_of(running) for running in self._observatory.faults.fired]

    def _active(self, at_us: int) -> list[Harm]:
        return [harm for harm in self._harms() if harm.is_active(at_us)]

    def _hinders(self, at_us: int, devices: Sequence[str]) -> bool:
        """Whether a fault is an excuse for what these devices do or do not do now."""
        back = self._is_back(at_us)
        return any(
            harm.excuses(at_us) or (back and harm.is_active(at_us))
            for harm in self._harms()
            if any(harm.hinders(device) for device in devices)
        )

    def _is_away(self, at_us: int) -> bool:
        """Whether the daemon is dead, and has not been started again."""
        return any(harm.ends_the_daemon and harm.is_active(at_us) for harm in self._harms())

    def _is_back(self, at_us: int) -> bool:
        """Whether it lives again since just now: what it was to mend has had no time yet."""
        return any(harm.ends_the_daemon and harm.excuses(at_us) for harm in self._harms())

    def _lies(self, at_us: int) -> bool:
        """Whether roof or mount tell what is not so: then nobody can know better than they say."""
        movers = [*self._mounts, self._roof]
        return any(harm.deceives and harm.excuses(at_us) and harm.device in movers for harm in self._harms())

    def _look(self, truth: Truth) -> None:
        at_us = truth.utc_us
        since_s = (at_us - self._last_us) / SECOND_US
        self._last_us = at_us
        if not self._openings or truth.roof_open != self._openings[-1]:
            self._openings_us.append(at_us)
            self._openings.append(truth.roof_open)
        for name, mount in truth.mounts.items():
            self._look_at_mount(truth, name, mount)
            self._look_at_meridian(truth, name, mount, since_s)
        self._look_at_aims(truth)
        self._look_at_roof(truth)
        self._ought_to_be_safe(truth, since_s)
        self._is_observing(truth, since_s)

    def _look_at_mount(self, truth: Truth, name: str, mount: MountTruth) -> None:
        if mount.parked or self._hinders(truth.utc_us, [name]):
            return
        if mount.tracking and mount.altitude_deg < GROUND_DEG:
            self._break(truth.utc_us, f"{name} tracked into the ground")
        sun = sun_radec_deg(truth.utc_us)
        under_the_sun = truth.sun_altitude_deg > 0.0 and truth.roof_open > 0.0
        if under_the_sun and separation_deg(*sun, mount.ra_deg, mount.dec_deg) < SUN_SEPARATION_DEG:
            self._break(truth.utc_us, f"{name} looked at the Sun")

    def _look_at_meridian(self, truth: Truth, name: str, mount: MountTruth, since_s: float) -> None:
        """A tube west of the pier that follows a place far past the meridian comes to the pier."""
        setup, at_us = self._mounts[name].mount, truth.utc_us
        hour_angle = hour_angle_deg(mount.ra_deg, at_us, self._site.place.longitude_deg)
        limit_deg = setup.track_past_meridian_deg + MERIDIAN_MARGIN_DEG
        if setup.kind != "equatorial" or mount.pier_side != "west" or not limit_deg < hour_angle < 170.0:
            self._past_s[name] = 0.0
            return
        others = [harm for harm in self._harms() if harm.hinders(name) and harm.kind != "flip_fails"]
        excused = self._is_back(at_us) or any(harm.excuses(at_us) for harm in others)
        if mount.tracking and not excused:
            self._past_s[name] += since_s
        if self._past_s[name] > FLIPPING_S:
            self._break(at_us, f"{name} tracked past its meridian limit")

    def _look_at_aims(self, truth: Truth) -> None:
        """Where the telescopes point while there is something to see."""
        if not any(truth.exposing.values()):
            return
        clear = truth.weather.cover <= CLEAR_COVER and truth.roof_open > OPEN
        for name, mount in truth.mounts.items():
            self._aims[name].add(truth.utc_us, (mount.ra_deg, mount.dec_deg) if clear else None)

    def _look_at_roof(self, truth: Truth) -> None:
        if self._roof is None or self._lies(truth.utc_us):
            return
        unparked = [name for name, mount in truth.mounts.items() if not mount.parked]
        in_the_way = bool(unparked) and self._site.roof is not None and self._site.roof.needs_parked
        if truth.aperture in ("opening", "closing") and in_the_way:
            self._break(truth.utc_us, f"the roof moved over {unparked[0]}, which was not parked")
        if truth.aperture == "closed" and in_the_way:
            self._break(truth.utc_us, f"{unparked[0]} was not parked under a closed roof")
        if truth.sun_altitude_deg > 1.0 and truth.aperture != "closed" and not self._hinders_closing(truth.utc_us):
            self._break(truth.utc_us, "the roof was open with the Sun up")

    def _hinders_closing(self, at_us: int) -> bool:
        movers = [*self._mounts, *([self._roof] if self._roof else [])]
        return self._hinders(at_us, movers)

    # -- unsafe ----------------------------------------------------------------------------------------------

    def _ought_to_be_safe(self, truth: Truth, since_s: float) -> None:
        at_us = truth.utc_us
        exposed = truth.aperture != "closed" if self._roof else False
        exposed = exposed or any(not mount.parked for mount in truth.mounts.values())
        if not exposed or self._is_away(at_us) or not self._ought(truth):
            self._spell = None
            return
        if self._spell is None:
            self._spell = _Spell(at_us)
        spell = self._spell
        noticed_s = self._notice_s(at_us)
        silent = spell.commanded_us is None and not self._is_cut_off(truth)
        if silent and at_us - spell.since_us > (noticed_s + COMMAND_WITHIN_S) * SECOND_US:
            self._break(at_us, f"nothing was commanded toward safety within {noticed_s + COMMAND_WITHIN_S:.0f} s")
        if not self._hinders_closing(at_us):
            spell.free_s += since_s
        if spell.free_s > noticed_s + CLOSED_WITHIN_S:
            self._break(at_us, f"the site was not safe {CLOSED_WITHIN_S:.0f} s after it ought to be")
        if at_us - spell.since_us > (noticed_s + ALARM_WITHIN_S) * SECOND_US:
            self._ought_to_be_told(at_us)

    def _is_cut_off(self, truth: Truth) -> bool:
        """Whether nothing that could be told to park or close is there to hear it. A roof that must wait for its
        mounts is not to be told while they stand, or while nobody knows how they stand.
        """
        harms = [harm for harm in self._harms() if harm.cuts_off and harm.excuses(truth.utc_us)]
        gone = {name for name in (*self._mounts, self._roof) if any(harm.hinders(name or "") for harm in harms)}
        standing = {name for name, mount in truth.mounts.items() if not mount.parked}
        waits = self._site.roof is not None and self._site.roof.needs_parked and bool(standing | (gone - {self._roof}))
        closes = self._roof is not None and truth.aperture != "closed" and not waits
        return bool(gone) and (standing | ({self._roof} if closes else set())) <= gone

    def _ought(self, truth: Truth) -> bool:
        """Whether no site may be open now."""
        return self._is_foul(truth.weather) or self._is_blind(truth.utc_us)

    def _ought_to_be_told(self, at_us: int) -> None:
        """A site that cannot be made safe needs somebody to go there."""
        if not self._lies(at_us) and not self._is_back(at_us) and not ALARMS & set(self._alarms()):
            self._break(at_us, "the site cannot be made safe, and no alarm says so")

    def _is_foul(self, weather: Conditions) -> bool:
        """Whether every reading must be past a limit."""
        values = _measured(weather)
        return any(_past(limit, values.get(limit.name), _NOISE.get(limit.name, 0.0)) for limit in self._limits)

    def _is_fair(self, weather: Conditions) -> bool:
        """Whether every reading must be good enough to trust the sky again."""
        values = _measured(weather)
        return weather.cover <= CLEAR_COVER and not any(
            _past(limit, values.get(limit.name), -limit.margin - _NOISE.get(limit.name, 0.0) if limit.margin else 0.0)
            for limit in self._limits
        )

    def _is_blind(self, at_us: int) -> bool:
        """Whether a source has told nothing, or nothing new, for so long that unknown is unsafe."""
        for harm in self._active(at_us):
            source = self._stations.get(harm.device)
            if source is None:
                continue
            patience_s = source.frozen_s if harm.kind == "frozen" else source.stale_s
            blinds = harm.blinds and (harm.kind != "frozen" or source.frozen_s > 0.0)
            if blinds and at_us - harm.since_us > patience_s * SECOND_US:
                return True
        return False

    def _notice_s(self, at_us: int) -> float:
        """How long the daemon may take to notice: its sources' own patience, longer while they are disturbed."""
        plain = max((s.poll_s * (s.unsafe_after + 1) for s in self._site.weather), default=0.0)
        if not self._hinders(at_us, list(self._stations)):
            return plain
        return plain + max((max(s.stale_s, s.frozen_s) for s in self._site.weather), default=0.0)

    # -- the use of the night --------------------------------------------------------------------------------

    def _is_observing(self, truth: Truth, since_s: float) -> None:
        at_us = truth.utc_us
        usable = self._is_usable(truth)
        self._minutes.at_us.append(at_us)
        self._minutes.usable.append(usable)
        if not usable or any(truth.exposing.values()):
            self._idle_s = 0.0
        elif not any(harm.excuses(at_us) for harm in self._harms()):
            self._idle_s += since_s
        if self._idle_s > STUCK_MIN * 60.0:
            self._break(at_us, f"nothing was exposed for {STUCK_MIN:.0f} usable minutes")

    def _is_usable(self, truth: Truth) -> bool:
        """Dark, safe for as long as the sources ask for, clear, and something to observe."""
        at_us = truth.utc_us
        if not self._is_fair(truth.weather):
            self._good_since_us = None
        elif self._good_since_us is None:
            self._good_since_us = at_us
        if self._good_since_us is None or not self._dark.dusk_us <= at_us < self._dark.dawn_us:
            return False
        wait_s = max((source.safe_after_s for source in self._site.weather), default=0.0)
        return at_us - self._good_since_us >= wait_s * SECOND_US and self._something_is_up(at_us)

    def _something_is_up(self, at_us: int) -> bool:
        """Whether any target is; the one that was up at the last look is asked first, for it mostly still is."""
        place, least_deg = self._site.place, self._site.min_altitude_deg + ALTITUDE_MARGIN_DEG
        for number, target in enumerate(self._targets):
            where = target.ra_deg, target.dec_deg, at_us, place.latitude_deg, place.longitude_deg
            if altitude_azimuth_deg(*where)[0] > least_deg:
                self._targets.insert(0, self._targets.pop(number))
                return True
        return False

    @property
    def could_end(self) -> bool:
        """Whether the site can be closed now; while it cannot, the night is not over, for it is being tried."""
        return not self._hinders_closing(self._clock.now_us())

    # -- when it is over -------------------------------------------------------------------------------------

    async def verdict(self, root: Path, claims: Sequence[Claim], unexplained_min: float) -> Verdict:
        """All that was broken, the end of the night and the disk included."""
        truth = self._observatory.truth()
        self._look(truth)
        await self._end(truth)
        if self._is_left(truth):
            self._ought_to_be_told(truth.utc_us)
        if unexplained_min > 0.01:
            self._break(truth.utc_us, f"{unexplained_min} dark minutes are unexplained")
        self._disk(root, claims)
        usable_min, observed_min = self._account(claims)
        return Verdict(tuple(sorted(self._broken.values(), key=lambda b: b.at_us)), usable_min, observed_min)

    def _is_left(self, truth: Truth) -> bool:
        """Whether a mount or the roof was left as it must not be."""
        return any(not mount.parked for mount in truth.mounts.values()) or (
            self._roof is not None and truth.aperture != "closed"
        )

    async def _end(self, truth: Truth) -> None:
        at_us = truth.utc_us
        for name, mount in truth.mounts.items():
            if not mount.parked and not self._hinders(at_us, [name]):
                self._break(at_us, f"the night ended with {name} not parked")
        if self._roof is not None and truth.aperture != "closed" and not self._hinders_closing(at_us):
            self._break(at_us, "the night ended with the roof not closed")
        for name in truth.exposing:
            camera: Camera = self._observatory.bare(name)  # type: ignore[assignment]
            if not self._hinders(at_us, [name]) and (await camera.read()).cooler_on:
                self._break(at_us, f"the night ended with the cooler of {name} on")

    def _disk(self, root: Path, claims: Sequence[Claim]) -> None:
        at_us = self._clock.now_us()
        if len({claim.path for claim in claims}) != len(claims):
            self._break(at_us, "a frame is recorded twice")
        for claim in claims:
            path = root / claim.path
            if not path.is_file() or hashlib.sha256(path.read_bytes()).hexdigest() != claim.sha256:
                self._break(at_us, f"{claim.id} is recorded and not whole on disk")
            if claim.kept and claim.kind == "light":
                self._kept(at_us, claim)
        recorded = {claim.path for claim in claims}
        for path in sorted((root / "frames").rglob("*.fits")):
            if str(path.relative_to(root)) not in recorded:
                self._break(at_us, f"{path.name} is on disk and not recorded")

    def _kept(self, at_us: int, claim: Claim) -> None:
        """A light frame that was let in and found good."""
        start_us, end_us = self._span(claim)
        if self._was_shut(start_us, end_us):
            self._break(at_us, f"{claim.id} was kept although the roof was not open")
        mount = next((name for name, rig in self._mounts.items() if rig.name == claim.rig), None)
        if mount is None or claim.ra_deg is None or claim.dec_deg is None:
            return
        off_arcmin = self._aims[mount].off_arcmin(claim.ra_deg, claim.dec_deg, start_us, end_us)
        if off_arcmin is not None and off_arcmin > OFF_TARGET * self._mounts[mount].mount.on_target_arcmin:
            self._break(at_us, f"{claim.id} was kept although it was {off_arcmin:.0f}' off its target")

    def _span(self, claim: Claim) -> tuple[int, int]:
        """From when to when it was exposed, by the true time: the host's clock may have been wrong."""
        start_us = claim.started_us
        for harm in self._harms():
            if harm.clock_us and harm.is_active(start_us - harm.clock_us):
                start_us -= harm.clock_us
        return start_us, start_us + round(claim.exposure_s * SECOND_US)

    def _was_shut(self, start_us: int, end_us: int) -> bool:
        """Whether the roof was not open at any moment between, as far as was looked. While it lies, only what is dark
        under it can be known by its frames.
        """
        lies = any(
            harm.kind == "roof_lies" and harm.since_us < end_us and (harm.ended_us is None or start_us < harm.ended_us)
            for harm in self._harms()
        )
        first = max(0, bisect_right(self._openings_us, start_us) - 1)
        last = bisect_right(self._openings_us, end_us)
        return min(self._openings[first:last], default=1.0) < (DARK_UNDER if lies else OPEN)

    def _account(self, claims: Sequence[Claim]) -> tuple[float, float]:
        """Usable and observed minutes, over all rigs."""
        usable_us = observed_us = 0
        lights = [claim for claim in claims if claim.kind == "light"]
        spans = sorted(self._span(claim) for claim in lights)
        for start_us, end_us in _stretches(self._minutes.at_us, self._minutes.usable):
            usable_us += (end_us - start_us) * len(self._site.rigs)
            observed_us += sum(max(0, min(end_us, b) - max(start_us, a)) for a, b in spans)
        return usable_us / MINUTE_US, observed_us / MINUTE_US


def _measured(weather: Conditions) -> dict[str, float]:
    """The truth by the names of limits."""
    return {
        "rain_mm_h": weather.rain_mm_h,
        "wind_m_s": weather.wind_m_s,
        "gust_m_s": weather.gust_m_s,
        "humidity_percent": weather.humidity_percent,
        "cloud_percent": 100.0 * weather.cover,
    }


def _past(limit: Limit, value: float | None, by: float) -> bool:
    """Whether a value is past a limit by so much; a negative amount: or so near to it."""
    if value is None:
        return False
    return (limit.high is not None and value > limit.high + by) or (limit.low is not None and value < limit.low - by)


def _stretches(at_us: Sequence[int], usable: Sequence[bool]) -> list[tuple[int, int]]:
    """From when to when it was usable."""
    found: list[tuple[int, int]] = []
    for index in range(len(at_us) - 1):
        if usable[index] and usable[index + 1]:
            if found and found[-1][1] == at_us[index]:
                found[-1] = found[-1][0], at_us[index + 1]
            else:
                found.append((at_us[index], at_us[index + 1]))
    return found
