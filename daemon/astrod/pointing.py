"""Pointing one rig: slew, change sides past the meridian, centre by the stars, turn the camera where it is asked.

Called before each exposure; most times the mount tracks its target already, and nothing is done. What the mount
says is believed until the sky says otherwise.
"""

import logging
import math
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from astrod.domain.plan import Choice
from astrod.domain.plate import PlateSolution, Sighting, turned_half
from astrod.domain.site import Site
from astrod.domain.sphere import altitude_azimuth_deg, hour_angle_deg, separation_deg
from astrod.errors import Replan
from astrod.framing import Framing
from astrod.health import Health
from astrod.occupation import Occupation
from astrod.rig.centring import Centred, Centring, tolerance_arcsec
from astrod.rig.exposing import Exposed
from astrod.rig.flipping import FlipFailed, Flipping, belongs_east_of_pier, wait_for_flip_s
from astrod.rig.telescope import Telescope
from astrod.runtime.clock import Clock
from astrod.runtime.trace import Trace
from astrod.solving import Solving
from astrod_drivers.protocols import MountState, Permit

log = logging.getLogger(__name__)

Look = Callable[[str, float, Permit], Awaitable[tuple[Exposed, Callable[[], Awaitable[None]]]]]
"""Expose with a train for so many seconds; the exposure, and what lets its pixels go again."""

BLIND_S = (600.0, 1800.0, 3600.0)
"""Not centred again for so long after frames could not be solved once, twice, more often in a row."""
NO_FLIP_S = 3600.0
"""After a flip that failed, targets that need one are refused this long before it is tried again."""
EAST_DEG = 1.0
"""So far east of the meridian no mount has its tube east of the pier; nearer it chooses by its own reckoning."""
LOWER_DEG = 2.0
"""A star field to focus on may be so much lower than the target."""
DRIFTED = 1.5
"""A target so many tolerances from the middle of a light frame is centred anew before the next one."""


@dataclass(frozen=True, slots=True)
class Held:
    """What the mount was last sent to: the target, where it is, and whether past the meridian."""

    target: str
    past: bool


@dataclass(frozen=True, slots=True)
class West:
    """How a train's field stood with the tube west of the pier, and its rotator's mechanical angle then."""

    rotation_deg: float
    rotator_deg: float | None


class Pointing:
    """Where one rig points. `held` None: unknown, and the next `point` slews."""

    def __init__(
        self,
        site: Site,
        telescope: Telescope,
        solving: Solving | None,
        look: Look,
        health: Health,
        trace: Trace,
        clock: Clock,
        occupation: Occupation,
    ) -> None:
        self._site, self._telescope, self._solving, self._look = site, telescope, solving, look
        self._health, self._trace, self._clock, self._occupation = health, trace, clock, occupation
        self._name = telescope.setup.name
        self._mount = telescope.setup.mount
        self.held: Held | None = None
        self._blind_runs = 0
        self._blind_until_s = 0.0
        self._no_flip_until_s = 0.0
        self._framing = Framing(telescope, health, trace, clock, occupation)
        self._west_of_pier: dict[str, West] = {}
        self._within_arcsec: float | None = None

    def let_go(self) -> None:
        """Where the mount points is not to be relied on any more: the next `point` slews and centres."""
        self.held = None

    def hear(self, target: str | None, off_target_arcmin: float | None) -> None:
        """What a light frame's own stars say of the pointing: off by more than the tolerance, it is centred anew."""
        if off_target_arcmin is None or self.held is None or self.held.target != target:
            return
        within = self._within_arcsec or 60.0 * self._mount.on_target_arcmin
        if self._mount.centre != "never" and 60.0 * off_target_arcmin > DRIFTED * within:
            self._trace.note("drifted", rig=self._name, target=target, off_arcmin=round(off_target_arcmin, 2))
            self.let_go()

    async def point(self, choice: Choice, train: str, permit: Permit) -> None:
        """Have the mount track the choice's place, on the right side of the pier, in the middle of the field.

        Raises Replan where this target cannot be had now, FlipFailed where the mount does not change sides.
        """
        await self._wait_for_flip(choice)
        past = belongs_east_of_pier(self._mount, self._hour_angle_deg(choice))
        state = await self._telescope.read_mount()
        if self.held == Held(choice.target, past) and self._stands(choice, state, past):
            await self._frame(choice, train, past, None, permit)
            return
        seen = await self._go(choice, train, past, state, permit)
        await self._frame(choice, train, past, seen, permit)
        self.held = Held(choice.target, past)

    async def _go(
        self, choice: Choice, train: str, past: bool, state: MountState, permit: Permit
    ) -> PlateSolution | None:
        """Slew, flip where that is due, centre; what the last frame that centred it said, None without one."""
        away_deg = separation_deg(choice.ra_deg, choice.dec_deg, state.ra_deg, state.dec_deg)
        self.held = None
        self._occupation.enter("overhead", f"slewing to {choice.target}")
        self._trace.note("slew", rig=self._name, target=choice.target)
        await self._telescope.unpark(permit)  # a flip that failed may have parked it
        flipped = await self._send(choice, train, past, permit)
        await self._framing.ahead(choice, train, past)
        self._trace.note("on target", target=choice.target, pier_side=(await self._telescope.read_mount()).pier_side)
        if not self._is_to_be_centred(away_deg, flipped):
            return None
        seen = await self._centre(choice, train, permit)
        if seen is not None:
            await self._witness(choice, train, past, seen, permit)
        return seen

    async def _frame(self, choice: Choice, train: str, past: bool, seen: PlateSolution | None, permit: Permit) -> None:
        """Have the camera stand as the target asks; turning may have moved the target from the middle."""
        if self._framing.is_framed(choice, train, past):
            return

        async def sight() -> Sighting:
            return await self.sight(train, self._mount.centre_exposure_s, False, permit)

        turned = await self._framing.frame(choice, train, past, seen, sight)
        within = self._within_arcsec if self._mount.centre != "never" else None
        if turned is None or within is None:
            return
        if turned.off_arcsec(choice.ra_deg, choice.dec_deg) > within:
            await self._centre(choice, train, permit)

    def _stands(self, choice: Choice, state: MountState, past: bool) -> bool:
        """Whether the mount does already what is wanted of it, by its own word."""
        off_deg = separation_deg(choice.ra_deg, choice.dec_deg, state.ra_deg, state.dec_deg)
        wrong_side = past and state.pier_side == "west"
        return state.tracking and off_deg * 60.0 <= self._mount.on_target_arcmin and not wrong_side

    # -- the meridian ----------------------------------------------------------------------------------------

    def _hour_angle_deg(self, choice: Choice) -> float:
        return self._hour_angle_of(choice.ra_deg)

    async def _wait_for_flip(self, choice: Choice) -> None:
        """Let no exposure begin that would run over the tracking limit: wait until the mount can change sides."""
        wait_s = wait_for_flip_s(self._mount, self._hour_angle_deg(choice), choice.exposure_s)
        if wait_s > 0.0:
            self._occupation.enter("overhead", f"waiting for {choice.target} to pass the meridian")
            await self._telescope.stand_still()
            self.held = None
            await self._clock.sleep(wait_s)

    async def _send(self, choice: Choice, train: str, past: bool, permit: Permit) -> bool:
        """Slew, over the meridian where it is past it; True where the mount changed sides."""
        if not past:
            await self._telescope.slew(choice.ra_deg, choice.dec_deg, permit)
            return False
        if self._clock.monotonic_s() < self._no_flip_until_s:
            raise FlipFailed(f"{self._telescope.mount.name} did not change sides lately; {choice.target} would need it")
        before = (await self._telescope.read_mount()).pier_side

        async def rotation() -> float | None:
            sighting = await self.sight(train, self._mount.centre_exposure_s, False, permit)
            return sighting.solution.rotation_deg if sighting.solution else None

        flipping = Flipping(self._telescope, rotation, self._seen_west_deg(train))
        try:
            run = await flipping.run(choice.ra_deg, choice.dec_deg, permit)
        except FlipFailed as fault:
            self._no_flip(str(fault))
            raise
        self._health.mended("AST-142", self._name)
        if before != "east":
            self._trace.note("flip", rig=self._name, target=choice.target, witness=run.witness, tries=run.tries)
        return before != "east"

    def _no_flip(self, text: str) -> None:
        self._no_flip_until_s = self._clock.monotonic_s() + NO_FLIP_S
        self._health.found("AST-142", text, self._name)
        self._trace.note("flip failed", rig=self._name, why=text)

    async def _witness(self, choice: Choice, train: str, past: bool, seen: PlateSolution, permit: Permit) -> None:
        """What the field says of the side of the pier, which outranks what the mount said."""
        if self._mount.kind != "equatorial":
            return
        if not past:
            if self._hour_angle_deg(choice) < -EAST_DEG:
                self._west_of_pier[train] = West(seen.rotation_deg, self._telescope.angle_deg(train))
            return
        before_deg = self._seen_west_deg(train)
        if before_deg is None or turned_half(before_deg, seen.rotation_deg, slack_deg=90.0):
            return
        await self._telescope.stand_still()
        await self._telescope.park()
        text = f"{self._telescope.mount.name} says that it changed sides, and the field did not turn; it was parked"
        self._no_flip(text)
        raise FlipFailed(text)

    def _seen_west_deg(self, train: str) -> float | None:
        """How the field would stand west of the pier with the rotator as it is; None where it was never seen there."""
        west = self._west_of_pier.get(train)
        if west is None:
            return None
        return west.rotation_deg + self._framing.field_turn_deg(
            train, west.rotator_deg, self._telescope.angle_deg(train)
        )

    # -- centring --------------------------------------------------------------------------------------------

    def _is_to_be_centred(self, away_deg: float, flipped: bool) -> bool:
        if self._solving is None or not self._solving.able or self._mount.centre == "never":
            return False
        if self._clock.monotonic_s() < self._blind_until_s:
            return False
        return self._mount.centre == "always" or flipped or not away_deg <= self._mount.centre_after_slew_over_deg

    async def sight(self, train: str, exposure_s: float, thorough: bool, permit: Permit) -> Sighting:
        """Expose where the telescope points and solve the frame; `thorough`: search the whole sky if need be."""
        if self._solving is None:
            return Sighting(None, 0)
        exposed, let_go = await self._look(train, exposure_s, permit)
        self._occupation.enter("overhead", "centring")
        try:
            return await self._solving.sight(exposed, thorough)
        finally:
            await let_go()

    async def _centre(self, choice: Choice, train: str, permit: Permit) -> PlateSolution | None:
        """Centre; the solution, None where frames cannot be solved. Raises Replan where it stays off target."""
        self._occupation.enter("overhead", f"centring {choice.target}")
        camera = await self._telescope.trains[train].camera.call(
            "describe the camera", lambda device: device.describe()
        )
        setup = self._telescope.trains[train].setup
        scale = camera.pixel_um / setup.focal_length_mm * 206.265
        within = tolerance_arcsec(self._mount, camera.width_px * scale, camera.height_px * scale)
        self._within_arcsec = within

        async def sight(exposure_s: float, thorough: bool) -> Sighting:
            return await self.sight(train, exposure_s, thorough, permit)

        centred = await Centring(self._telescope, sight, within).run(choice.ra_deg, choice.dec_deg, permit)
        self._tell(choice, centred)
        return centred.solution

    async def rich_field(self, train: str) -> tuple[float, float] | None:
        """A place near by that shows more stars, about as high and on the same side of the meridian."""
        if self._solving is None:
            return None
        state = await self._telescope.read_mount()
        camera = await self._telescope.trains[train].camera.call("describe", lambda device: device.describe())
        across_px = min(camera.width_px, camera.height_px)
        field_deg = math.degrees(
            across_px * camera.pixel_um / 1000.0 / self._telescope.trains[train].setup.focal_length_mm
        )
        past = self._hour_angle_of(state.ra_deg) > 0.0
        height_deg = self._altitude_deg(state.ra_deg, state.dec_deg)
        for ra_deg, dec_deg in await self._solving.rich_fields(state.ra_deg, state.dec_deg, field_deg):
            same_side = (self._hour_angle_of(ra_deg) > 0.0) == past
            if same_side and self._altitude_deg(ra_deg, dec_deg) > height_deg - LOWER_DEG:
                return ra_deg, dec_deg
        return None

    def _hour_angle_of(self, ra_deg: float) -> float:
        return hour_angle_deg(ra_deg, self._clock.now_us(), self._site.place.longitude_deg)

    def _altitude_deg(self, ra_deg: float, dec_deg: float) -> float:
        place = self._site.place
        return altitude_azimuth_deg(ra_deg, dec_deg, self._clock.now_us(), place.latitude_deg, place.longitude_deg)[0]

    def _tell(self, choice: Choice, centred: Centred) -> None:
        off = centred.off_arcsec
        self._trace.note(
            "centred",
            rig=self._name,
            target=choice.target,
            state=centred.state,
            exposures=centred.exposures,
            off_arcsec=None if off is None else round(off, 1),
        )
        if centred.state == "unsolved":
            pause_s = BLIND_S[min(self._blind_runs, len(BLIND_S) - 1)]
            self._blind_runs += 1
            self._blind_until_s = self._clock.monotonic_s() + pause_s
            text = f"rig {self._name}: frames of {choice.target} cannot be solved; it points by the mount's word"
            self._health.found("AST-140", text, self._name)
            return
        self._blind_runs = 0
        self._health.mended("AST-140", self._name)
        if centred.state != "off" or off is None:
            self._health.mended("AST-141", self._name)
            return
        text = f"rig {self._name}: {choice.target} stays {off:.0f}″ from the middle"
        self._health.found("AST-141", text, self._name)
        if off > 60.0 * self._mount.on_target_arcmin:
            raise Replan(text)
