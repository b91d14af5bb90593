"""The simulated mount: a German equatorial (or an alt-azimuth) with the errors of a real one.

Positions live on two mechanical axes. For the equatorial, axis 1 turns about the pole and axis 2 about the
declination axis, both 0 at the home position (counterweight down, tube at the pole); a negative axis 2 is
the tube east of the pier. For the alt-azimuth they are azimuth and altitude.

What the mount reports comes from its axes and from the last `sync`. Where it really points adds index, cone and
polar errors (the terms IH, ID, CH, MA, ME of Wallace's TPOINT), a scatter for each slew, the worm's periodic error
and, just after a slew, a ringing of the tube.
"""

import math
from dataclasses import dataclass, replace
from functools import lru_cache

import numpy as np

from astrod_drivers.errors import CommandRefused, PermitRefused
from astrod_drivers.protocols import Clock, Compass, Gate, MountBelief, MountState, Permit, PierSide, SiteFix
from astrod_drivers.sim import ephemeris
from astrod_drivers.sim.faults import Phase
from astrod_drivers.sim.setup import MountSetup
from astrod_drivers.sim.timeline import Timeline

SIDEREAL_DEG_S = 360.98564736629 / 86400.0
_ACCELERATION_DEG_S2 = 2.0
_GUIDE_RATE = 0.5  # of the sidereal rate
_PULSES_KEPT = 4096  # some hours of guiding: an exposure is looked back at when it ends
_RING_ARCSEC, _RING_S, _RING_HZ = 10.0, 0.7, 1.7

Axes = tuple[float, float]


def _half_turn(angle_deg: float) -> float:
    """The angle in -180..180."""
    return (angle_deg + 180.0) % 360.0 - 180.0


@dataclass(frozen=True, slots=True)
class Still:
    """The axes rest."""

    axes: Axes
    parked: bool = False


@dataclass(frozen=True, slots=True)
class Tracking:
    """The axes follow a place of date (right ascension, declination), on one side of the pier."""

    ra_deg: float
    dec_deg: float
    pier_side: PierSide
    until_us: int


@dataclass(frozen=True, slots=True)
class Slewing:
    """From one pair of axes to another; `then` follows at `end_us`. `flip`: it should change the side of the pier."""

    start: Axes
    end: Axes
    end_us: int
    then: Still | Tracking
    number: int
    flip: bool = False


Motion = Still | Tracking | Slewing


@dataclass(eq=False)
class Drift:
    """While it tracks, the tube runs off at these rates (hour angle, declination) and the mount does not know."""

    since_us: int
    hour_angle_deg_s: float
    dec_deg_s: float
    until_us: int | None = None


@dataclass(frozen=True, slots=True)
class Nudge:
    """How far guide pulses have moved the mount from the place it follows: so far, and by the pulse under way.

    Degrees of right ascension and declination; each axis ends its own pulse.
    """

    ra_deg: float = 0.0
    dec_deg: float = 0.0
    ra_rate_deg_s: float = 0.0
    dec_rate_deg_s: float = 0.0
    ra_s: float = 0.0
    dec_s: float = 0.0

    def after(self, seconds: float) -> tuple[float, float]:
        """Both, so long after it began."""
        ra_deg = self.ra_deg + self.ra_rate_deg_s * min(self.ra_s, seconds)
        return ra_deg, self.dec_deg + self.dec_rate_deg_s * min(self.dec_s, seconds)


@dataclass(frozen=True, slots=True)
class Errors:
    """A mount's pointing errors, degrees. `phase` is of the worm."""

    hour_index: float
    dec_index: float
    cone: float
    polar_azimuth: float
    polar_elevation: float
    phase: float


@dataclass(frozen=True, slots=True)
class MountTruth:
    """Where the tube really points: ICRS, horizon, and the position angle of the camera's upper edge."""

    ra_deg: float
    dec_deg: float
    altitude_deg: float
    azimuth_deg: float
    rotation_deg: float
    slewing: bool
    tracking: bool
    parked: bool
    pier_side: PierSide | None


@dataclass(frozen=True, slots=True)
class Hold:
    """A guider holds the tube to a star since `since_us`: what it erred by then, it goes on to err by, and the star is
    kept so far from where it was, arcseconds east and north.
    """

    since_us: int
    east_arcsec: float
    north_arcsec: float


def _draw_errors(setup: MountSetup, seed: int) -> Errors:
    random = np.random.Generator(np.random.PCG64(np.random.SeedSequence((abs(seed), 0x3077))))
    index = random.normal(0.0, setup.pointing_arcmin / 60.0 / 1.7, 3)
    angle = random.uniform(0.0, math.tau)
    polar = setup.polar_error_arcmin / 60.0
    return Errors(
        float(index[0]),
        float(index[1]),
        float(index[2]) / 2.0,
        polar * math.cos(angle),
        polar * math.sin(angle),
        float(random.uniform(0.0, 1.0)),
    )


class SimMount:
    """Implements `protocols.Mount`."""

    def __init__(self, setup: MountSetup, site: SiteFix, seed: int, clock: Clock, gate: Gate) -> None:
        self.setup = setup
        self._site = site
        self._seed = seed
        self._clock = clock
        self._gate = gate
        self._errors = _draw_errors(setup, seed)
        self._belief = site  # a mount remembers its site; `set_site` can spoil it
        self._clock_error_us = 0
        self._synced: Axes = (0.0, 0.0)  # what a sync adds to the right ascension and declination of the axes
        self._slews = 0
        self.parks = self.flips = True  # faults take these away
        self._drifts: list[Drift] = []
        self._knocks: list[tuple[int, float]] = []
        home = self._park_axes = (0.0, 0.0) if self._equatorial else (180.0, 10.0)
        self._motion: Timeline[Motion] = Timeline(clock.now_us(), Still(home, parked=True))
        self._holds: Timeline[Hold | None] = Timeline(clock.now_us(), None)
        self._nudges: Timeline[Nudge] = Timeline(clock.now_us(), Nudge(), kept=_PULSES_KEPT)

    @property
    def _equatorial(self) -> bool:
        return self.setup.kind == "equatorial"

    # -- what the protocol asks for --

    async def connect(self) -> None:
        """Always there."""

    async def disconnect(self) -> None:
        """The mount stays as it is."""

    async def set_site(self, site: SiteFix, utc_us: int) -> None:
        """The mount believes it, and points wrong when it is wrong."""
        self._belief = site
        self._clock_error_us = utc_us - self._clock.now_us()

    async def believes(self) -> MountBelief:
        """See `protocols.Mount.believes`."""
        return MountBelief(self._belief, self._clock.now_us() + self._clock_error_us)

    async def read(self) -> MountState:
        """See `protocols.Mount.read`; coordinates are what the axes say."""
        now_us = self._clock.now_us()
        motion = self._settled(now_us)
        place = self._place_of_axes(now_us)
        believed_dec_deg = max(-90.0, min(90.0, place[1] + self._synced[1]))
        ra_deg, dec_deg = ephemeris.icrs((place[0] + self._synced[0]) % 360.0, believed_dec_deg, now_us)
        return MountState(
            ra_deg,
            dec_deg,
            slewing=isinstance(motion, Slewing),
            tracking=isinstance(motion, Tracking),
            parked=isinstance(motion, Still) and motion.parked,
            pier_side=self._pier_side(self._axes(now_us)),
        )

    async def unpark(self, permit: Permit) -> None:
        """See `protocols.Mount.unpark`."""
        self._ask(permit, "unpark")
        now_us = self._clock.now_us()
        motion = self._settled(now_us)
        if isinstance(motion, Still) and motion.parked:
            self._motion.add(now_us, replace(motion, parked=False))

    async def slew(self, ra_deg: float, dec_deg: float, permit: Permit) -> None:
        """See `protocols.Mount.slew`. Raises CommandRefused while parked and below the horizon limit."""
        self._ask(permit, "slew")
        if not (math.isfinite(ra_deg) and -90.0 <= dec_deg <= 90.0):
            raise CommandRefused(f"no such place: {ra_deg}, {dec_deg}; right ascension 0..360, declination -90..90")
        now_us = self._clock.now_us()
        motion = self._settled(now_us)
        if isinstance(motion, Still) and motion.parked:
            raise CommandRefused("the mount is parked; unpark it before a slew")
        place = ephemeris.of_date(ra_deg % 360.0, dec_deg, now_us)
        hour_angle_deg = _half_turn(self._sidereal_deg(now_us) - place[0])
        altitude_deg, _ = ephemeris.horizontal_deg(hour_angle_deg, place[1], self._belief.latitude_deg)
        if altitude_deg < self.setup.horizon_deg:
            raise CommandRefused(
                f"the target is {altitude_deg:.1f} degrees up, under the limit of {self.setup.horizon_deg:g}"
            )
        axes_dec_deg = max(-90.0, min(90.0, place[1] - self._synced[1]))
        self._start_slew_to(((place[0] - self._synced[0]) % 360.0, axes_dec_deg), now_us)

    async def sync(self, ra_deg: float, dec_deg: float) -> None:
        """See `protocols.Mount.sync`."""
        if not (math.isfinite(ra_deg) and -90.0 <= dec_deg <= 90.0):
            raise CommandRefused(f"no such place: {ra_deg}, {dec_deg}; right ascension 0..360, declination -90..90")
        now_us = self._clock.now_us()
        motion = self._settled(now_us)
        if isinstance(motion, Slewing) or (isinstance(motion, Still) and motion.parked):
            raise CommandRefused("the mount is parked or slewing; sync it while it tracks")
        place, axes = ephemeris.of_date(ra_deg % 360.0, dec_deg, now_us), self._place_of_axes(now_us)
        self._synced = (_half_turn(place[0] - axes[0]), place[1] - axes[1])

    async def pulse(self, towards: Compass, duration_s: float) -> None:
        """See `protocols.Mount.pulse`: half the sidereal rate. Raises CommandRefused while it does not track."""
        if not 0.0 < duration_s <= 5.0:
            raise CommandRefused(f"a pulse lasts over 0 and up to 5 s, not {duration_s}")
        now_us = self._clock.now_us()
        if not isinstance(self._settled(now_us), Tracking):
            raise CommandRefused("the mount does not track; slew it to a target before guiding")
        began_us, nudge = self._nudges.at(now_us)
        gone_s = (now_us - began_us) / 1e6
        ra_deg, dec_deg = nudge.after(gone_s)
        left = replace(
            nudge,
            ra_deg=ra_deg,
            dec_deg=dec_deg,
            ra_s=max(0.0, nudge.ra_s - gone_s),
            dec_s=max(0.0, nudge.dec_s - gone_s),
        )
        rate_deg_s = _GUIDE_RATE * SIDEREAL_DEG_S * (1.0 if towards in ("east", "north") else -1.0)
        if towards in ("east", "west"):
            left = replace(left, ra_rate_deg_s=rate_deg_s, ra_s=duration_s)
        else:
            left = replace(left, dec_rate_deg_s=rate_deg_s, dec_s=duration_s)
        self._nudges.add(now_us, left)

    async def set_tracking(self, on: bool) -> None:
        """Follow the stars from here, or stop. Raises CommandRefused while parked."""
        now_us = self._clock.now_us()
        motion = self._settled(now_us)
        if isinstance(motion, Slewing):
            self._redirect(motion, now_us, on)
        elif isinstance(motion, Tracking) and not on:
            self._begin(now_us, Still(self._axes(now_us)))
        elif isinstance(motion, Still) and on:
            if motion.parked:
                raise CommandRefused("the mount is parked; unpark it before tracking")
            self._begin(now_us, self._track_from(motion.axes, now_us))

    async def abort(self) -> None:
        """Stop all motion; a mount that is parked stays parked."""
        now_us = self._clock.now_us()
        if not isinstance(self._settled(now_us), Still):
            self._begin(now_us, Still(self._axes(now_us)))

    async def park(self) -> None:
        """Go to the park place: home, unless another was set."""
        now_us = self._clock.now_us()
        motion = self._settled(now_us)
        going = isinstance(motion, Slewing) and isinstance(motion.then, Still) and motion.then.parked
        if going or (isinstance(motion, Still) and motion.parked):
            return
        if not self.parks:  # a fault: it was told to, and does not
            return
        self._slew(self._axes(now_us), self._park_axes, Still(self._park_axes, parked=True), now_us)

    async def set_park(self) -> None:
        """See `protocols.Mount.set_park`."""
        now_us = self._clock.now_us()
        motion = self._settled(now_us)
        if isinstance(motion, Slewing) or (isinstance(motion, Still) and motion.parked):
            raise CommandRefused("the mount is parked or slewing; its park place is set while it stands there")
        self._park_axes = self._axes(now_us)

    # -- what the simulated guider asks for --

    def hold(self, east_arcsec: float = 0.0, north_arcsec: float = 0.0) -> None:
        """Hold the tube to where it points now, or to a place beside where it was first held, until it moves.

        Raises CommandRefused while the mount does not track.
        """
        now_us = self._clock.now_us()
        if not isinstance(self._settled(now_us), Tracking):
            raise CommandRefused("the mount does not track; slew it to a target before guiding")
        _, held = self._holds.at(now_us)
        self._holds.add(now_us, Hold(held.since_us if held else now_us, east_arcsec, north_arcsec))

    def let_go(self) -> None:
        """Guide no longer."""
        self._holds.add(self._clock.now_us(), None)

    def is_held(self, instant_us: int) -> bool:
        """Whether a guider held the tube then; it loses its star with any motion of the mount."""
        return self._holds.at(instant_us)[1] is not None and isinstance(self._settled(instant_us), Tracking)

    # -- what the simulation asks for --

    def truth(self, instant_us: int) -> MountTruth:
        """Where the tube points at an instant, errors and all."""
        motion = self._settled(instant_us)
        axes = self._axes(instant_us)
        pier_side = self._pier_side(axes)
        hour_angle_deg, dec_deg = self._sky_axes(axes, instant_us)
        hour_angle_deg, dec_deg = self._guided(hour_angle_deg, dec_deg, axes, instant_us)
        run_off = self._run_off(instant_us)
        hour_angle_deg, dec_deg = hour_angle_deg + run_off[0], max(-90.0, min(90.0, dec_deg + run_off[1]))
        altitude_deg, azimuth_deg = ephemeris.horizontal_deg(hour_angle_deg, dec_deg, self._site.latitude_deg)
        sidereal_deg = ephemeris.sidereal_deg(instant_us, self._site.longitude_deg)
        ra_deg, dec_icrs_deg = ephemeris.icrs((sidereal_deg - hour_angle_deg) % 360.0, dec_deg, instant_us)
        turn_deg = 180.0 if pier_side == "west" else 0.0
        if not self._equatorial:
            turn_deg = ephemeris.parallactic_deg(hour_angle_deg, dec_deg, self._site.latitude_deg)
        return MountTruth(
            ra_deg,
            dec_icrs_deg,
            altitude_deg,
            azimuth_deg,
            turn_deg % 360.0,
            isinstance(motion, Slewing),
            isinstance(motion, Tracking),
            isinstance(motion, Still) and motion.parked,
            pier_side,
        )

    def doing(self, instant_us: int) -> Phase | None:
        """What it is doing, in the words of faults: a flip is a slew that changes the side of the pier."""
        motion = self._settled(instant_us)
        if not isinstance(motion, Slewing):
            return None
        if isinstance(motion.then, Still) and motion.then.parked:
            return "parking"
        return "flipping" if motion.flip else "slewing"

    def unsteady(self, start_us: int, end_us: int) -> bool:
        """Whether the mount slewed, rang or changed its motion between two instants."""
        if self._motion.changes(start_us, end_us) or self._runs_off(start_us, end_us):
            return True
        _, motion = self._motion.at(start_us)
        if isinstance(motion, Slewing):
            return start_us < motion.end_us + 5_000_000
        return isinstance(motion, Tracking) and start_us < motion.until_us < end_us

    # -- what can be wrong with it --

    def drift(self, hour_angle_arcsec_s: float, dec_arcsec_s: float) -> Drift:
        """From now on, and after each slew anew, the tube runs off while the mount reports that it tracks."""
        begun = Drift(self._clock.now_us(), hour_angle_arcsec_s / 3600.0, dec_arcsec_s / 3600.0)
        self._drifts.append(begun)
        return begun

    def stop_tracking_unnoticed(self) -> Drift:
        """The motor stands still and the mount reports that it tracks; it still slews."""
        return self.drift(-SIDEREAL_DEG_S * 3600.0, 0.0)

    def mend(self, drift: Drift) -> None:
        """The tube runs off no further; how far it came is made good by the next slew."""
        drift.until_us = self._clock.now_us()

    def knock(self, arcmin: float) -> None:
        """The tube slips on its axis, in hour angle, for good."""
        self._knocks.append((self._clock.now_us(), arcmin / 60.0))

    def lose_power(self) -> None:
        """The motors stop where they are; a mount that was parked remembers it."""
        now_us = self._clock.now_us()
        motion = self._settled(now_us)
        self._begin(now_us, Still(self._axes(now_us), isinstance(motion, Still) and motion.parked))

    def _run_off(self, instant_us: int) -> tuple[float, float]:
        """How far the tube has run off, hour angle and declination, since the mount began to track."""
        knocked = sum(deg for at_us, deg in self._knocks if at_us <= instant_us)
        motion = self._settled(instant_us)
        if not self._drifts or not isinstance(motion, Tracking):
            return knocked, 0.0
        leg_us, leg = self._motion.at(instant_us)
        began_us = leg.end_us if isinstance(leg, Slewing) else leg_us
        dha = ddec = 0.0
        for drift in self._drifts:
            end_us = instant_us if drift.until_us is None else min(instant_us, drift.until_us)
            lasted_s = max(0, end_us - max(began_us, drift.since_us)) / 1e6
            dha += drift.hour_angle_deg_s * lasted_s
            ddec += drift.dec_deg_s * lasted_s
        return knocked + dha, ddec

    def _runs_off(self, start_us: int, end_us: int) -> bool:
        return any(d.since_us < end_us and (d.until_us is None or d.until_us > start_us) for d in self._drifts)

    # -- motion --

    def _begin(self, now_us: int, motion: Motion) -> None:
        """A new motion, from where the pulses so far have brought the axes."""
        self._motion.add(now_us, motion)
        self._nudges.add(now_us, Nudge())
        self._holds.add(now_us, None)

    def _ask(self, permit: Permit, what: str) -> None:
        if not self._gate.allows(permit):
            raise PermitRefused(f"{what}: safety epoch {permit.epoch} is over; the mount stays as it is")
        if not self._gate.allows_slew(permit):
            raise PermitRefused(f"{what}: no mount may move now, by safety's word; it stays as it is")

    def _sidereal_deg(self, instant_us: int) -> float:
        """Sidereal time as the mount believes it."""
        return ephemeris.sidereal_deg(instant_us + self._clock_error_us, self._belief.longitude_deg)

    def _settled(self, instant_us: int) -> Motion:
        """What the mount is doing at an instant, ended slews and tracking past its limit resolved."""
        _, motion = self._motion.at(instant_us)
        if isinstance(motion, Slewing) and instant_us >= motion.end_us:
            motion = motion.then
        if isinstance(motion, Tracking) and instant_us >= motion.until_us:
            return Still(self._tracked_axes(motion, motion.until_us))
        return motion

    def _axes(self, instant_us: int) -> Axes:
        motion = self._settled(instant_us)
        if isinstance(motion, Still):
            return motion.axes
        if isinstance(motion, Tracking):
            return self._tracked_axes(motion, instant_us)
        began_us, _ = self._motion.at(instant_us)
        move_us = max(1, motion.end_us - began_us - round(self.setup.settle_s * 1e6))
        x = min(1.0, (instant_us - began_us) / move_us)
        way = x * x * (3.0 - 2.0 * x)
        return (
            motion.start[0] + (motion.end[0] - motion.start[0]) * way,
            motion.start[1] + (motion.end[1] - motion.start[1]) * way,
        )

    def _tracked_axes(self, motion: Tracking, instant_us: int) -> Axes:
        ra_deg, dec_deg = self._nudged(motion, instant_us)
        return self._axes_of(_half_turn(self._sidereal_deg(instant_us) - ra_deg), dec_deg, motion.pier_side)

    def _nudged(self, motion: Tracking, instant_us: int) -> tuple[float, float]:
        """The place followed at an instant, guide pulses counted."""
        began_us, nudge = self._nudges.at(instant_us)
        ra_deg, dec_deg = nudge.after(max(0.0, (instant_us - began_us) / 1e6))
        return motion.ra_deg + ra_deg, motion.dec_deg + dec_deg

    def _axes_of(self, hour_angle_deg: float, dec_deg: float, pier_side: PierSide) -> Axes:
        if not self._equatorial:
            altitude_deg, azimuth_deg = ephemeris.horizontal_deg(hour_angle_deg, dec_deg, self._belief.latitude_deg)
            return azimuth_deg, altitude_deg
        if pier_side == "west":
            return hour_angle_deg + 90.0, 90.0 - dec_deg
        return hour_angle_deg - 90.0, dec_deg - 90.0

    def _place_of_axes(self, instant_us: int) -> tuple[float, float]:
        """The place of date that the axes alone say."""
        hour_angle_deg, dec_deg = self._sky_axes(self._axes(instant_us), instant_us)
        return (self._sidereal_deg(instant_us) - hour_angle_deg) % 360.0, dec_deg

    def _sky_axes(self, axes: Axes, instant_us: int) -> tuple[float, float]:
        """Hour angle and declination of the axes, without errors."""
        if not self._equatorial:
            return ephemeris.equatorial_deg(axes[1], axes[0], self._belief.latitude_deg)
        if axes[1] >= 0.0:
            return _half_turn(axes[0] - 90.0), 90.0 - axes[1]
        return _half_turn(axes[0] + 90.0), 90.0 + axes[1]

    def _pier_side(self, axes: Axes) -> PierSide | None:
        if not self._equatorial:
            return None
        return "west" if axes[1] >= 0.0 else "east"

    def _start_slew_to(self, place: tuple[float, float], now_us: int) -> None:
        """Slew to a place of date; where its axes will be depends on how long the slew takes."""
        start = self._axes(now_us)
        hour_angle_deg = _half_turn(self._sidereal_deg(now_us) - place[0])
        here = self._pier_side(start)
        pier_side: PierSide = "west" if hour_angle_deg < 0.0 else "east"
        flip = here not in (None, pier_side)
        if not self.flips and here is not None:
            pier_side = here
        arrival_us = now_us
        for _ in range(3):
            target = Tracking(place[0], place[1], pier_side, now_us)
            end = self._near(start, self._tracked_axes(target, arrival_us))
            arrival_us = now_us + self._duration_us(start, end)
        limit_us = self._limit_us(place, pier_side, now_us)
        self._slew(start, end, replace(target, until_us=max(arrival_us, limit_us)), now_us, flip)

    def _near(self, start: Axes, end: Axes) -> Axes:
        """An alt-azimuth goes the short way round in azimuth."""
        return end if self._equatorial else (start[0] + _half_turn(end[0] - start[0]), end[1])

    def _slew(self, start: Axes, end: Axes, then: Still | Tracking, now_us: int, flip: bool = False) -> None:
        self._slews += 1
        end_us = now_us + self._duration_us(start, end)
        self._begin(now_us, Slewing(start, end, end_us, then, self._slews, flip))

    def _duration_us(self, start: Axes, end: Axes) -> int:
        """Travel of the slower axis, and the settling time."""
        way_deg = max(abs(end[0] - start[0]), abs(end[1] - start[1]))
        rate = self.setup.slew_deg_s
        ramp_deg = rate**2 / _ACCELERATION_DEG_S2
        travel_s = 2.0 * math.sqrt(way_deg / _ACCELERATION_DEG_S2)
        if way_deg > ramp_deg:
            travel_s = way_deg / rate + rate / _ACCELERATION_DEG_S2
        return round((travel_s + self.setup.settle_s) * 1e6)

    def _redirect(self, motion: Slewing, now_us: int, on: bool) -> None:
        """Change what follows a slew that is under way."""
        began_us, _ = self._motion.at(now_us)
        if on and isinstance(motion.then, Still) and not motion.then.parked:
            then: Still | Tracking = self._track_from(motion.end, motion.end_us)
        elif not on and isinstance(motion.then, Tracking):
            then = Still(motion.end)
        else:
            return
        self._motion.add(began_us, replace(motion, then=then))

    def _track_from(self, axes: Axes, instant_us: int) -> Tracking:
        hour_angle_deg, dec_deg = self._sky_axes(axes, instant_us)
        place = (self._sidereal_deg(instant_us) - hour_angle_deg) % 360.0, dec_deg
        pier_side = self._pier_side(axes) or "east"
        return Tracking(place[0], place[1], pier_side, self._limit_us(place, pier_side, instant_us))

    def _limit_us(self, place: tuple[float, float], pier_side: PierSide, now_us: int) -> int:
        """When tracking will stop by itself: at the meridian limit (tube still west of the pier) or the
        horizon.
        """
        hour_angle_deg = _half_turn(self._sidereal_deg(now_us) - place[0])
        lat, dec = math.radians(self._belief.latitude_deg), math.radians(place[1])
        floor = math.sin(math.radians(self.setup.horizon_deg - 2.0)) - math.sin(lat) * math.sin(dec)
        ratio = floor / max(1e-9, math.cos(lat) * math.cos(dec))
        last_deg = 540.0 if ratio <= -1.0 else math.degrees(math.acos(min(1.0, ratio)))
        if self._equatorial and pier_side == "west" and self.flips:
            last_deg = min(last_deg, self.setup.meridian_limit_deg)
        elif self._equatorial:
            last_deg = min(last_deg, 179.0)
        return now_us + max(0, round((last_deg - hour_angle_deg) / SIDEREAL_DEG_S * 1e6))

    # -- errors --

    def _guided(self, hour_angle_deg: float, dec_deg: float, axes: Axes, instant_us: int) -> tuple[float, float]:
        """The true hour angle and declination of a reported one, under whatever holds the tube."""
        _, held = self._holds.at(instant_us)
        if held is None or not self.is_held(instant_us):
            return self._erring(hour_angle_deg, dec_deg, axes, instant_us)
        then = self._axes(held.since_us)
        reported = self._sky_axes(then, held.since_us)
        true = self._erring(*reported, then, held.since_us)
        cos_dec = max(0.05, math.cos(math.radians(dec_deg)))
        turned_deg = SIDEREAL_DEG_S * (instant_us - held.since_us) / 1e6
        hour_angle_deg = true[0] + turned_deg - held.east_arcsec / 3600.0 / cos_dec
        return hour_angle_deg, max(-90.0, min(90.0, true[1] + held.north_arcsec / 3600.0))

    def _erring(self, hour_angle_deg: float, dec_deg: float, axes: Axes, instant_us: int) -> tuple[float, float]:
        """The true hour angle and declination of a reported one."""
        ha, dec = math.radians(hour_angle_deg), math.radians(dec_deg)
        cos_dec = max(0.05, math.cos(dec))
        tan_dec = math.sin(dec) / cos_dec
        side = 1.0 if axes[1] >= 0.0 else -1.0
        e = self._errors
        dha = e.hour_index + side * e.cone / cos_dec
        dha += e.polar_elevation * math.sin(ha) * tan_dec - e.polar_azimuth * math.cos(ha) * tan_dec
        ddec = side * e.dec_index + e.polar_elevation * math.cos(ha) + e.polar_azimuth * math.sin(ha)
        scatter = self._scatter_deg(instant_us)
        ring_deg = self._ringing_deg(instant_us)
        dha += (scatter[0] + ring_deg) / cos_dec + self._periodic_deg(axes)
        ddec += scatter[1] + 0.6 * ring_deg + self._flexure_deg(instant_us)
        return hour_angle_deg + dha, max(-90.0, min(90.0, dec_deg + ddec))

    def _flexure_deg(self, instant_us: int) -> float:
        """What a tube that gives way has given since the last slew."""
        slew = self._slew_before(instant_us)
        if slew is None or instant_us < slew.end_us:
            return 0.0
        return self.setup.drift_arcsec_min / 3600.0 * (instant_us - slew.end_us) / 60e6

    def _periodic_deg(self, axes: Axes) -> float:
        """The worm's error: it depends on the axis alone, so it comes back with each turn of the worm."""
        if not self._equatorial:
            return 0.0
        turns = axes[0] / (SIDEREAL_DEG_S * self.setup.period_s) + self._errors.phase
        wave = math.sin(math.tau * turns) + 0.25 * math.sin(2 * math.tau * turns + 1.0)
        return self.setup.periodic_arcsec / 3600.0 * wave

    def _slew_before(self, instant_us: int) -> Slewing | None:
        _, motion = self._motion.at(instant_us)
        return motion if isinstance(motion, Slewing) else None

    def _scatter_deg(self, instant_us: int) -> tuple[float, float]:
        """What each slew adds anew."""
        slew = self._slew_before(instant_us)
        if slew is None:
            return 0.0, 0.0
        return _scattered_deg(self._seed, slew.number, self.setup.repeat_arcsec)

    def _ringing_deg(self, instant_us: int) -> float:
        slew = self._slew_before(instant_us)
        if slew is None or instant_us < slew.end_us:
            return 0.0
        after_s = (instant_us - slew.end_us) / 1e6
        if after_s > 10.0 * _RING_S:
            return 0.0
        return _RING_ARCSEC / 3600.0 * math.exp(-after_s / _RING_S) * math.sin(math.tau * _RING_HZ * after_s)


@lru_cache(maxsize=64)
def _scattered_deg(seed: int, slew: int, repeat_arcsec: float) -> tuple[float, float]:
    """East and north, of a slew by its number."""
    sequence = np.random.SeedSequence((abs(seed), 0x51E3, slew))
    east, north = np.random.Generator(np.random.PCG64(sequence)).normal(0.0, repeat_arcsec / 3600.0, 2)
    return float(east), float(north)
