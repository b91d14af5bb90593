"""A rig: one mount and its trains, as the activities use them. Pointing, filters, temperatures.

Each method is one thing an observer would say; each raises the daemon's errors (`Port.call`).
"""

import asyncio
import logging
import math
from collections.abc import Awaitable, Callable, Mapping
from contextlib import AbstractAsyncContextManager, nullcontext
from dataclasses import dataclass, replace
from functools import partial

from astrod.domain.offsets import FilterOffset, shift
from astrod.domain.plate import turn_deg
from astrod.domain.site import Rig, Train
from astrod.domain.sphere import separation_deg
from astrod.errors import OutcomeUnknown, RecoverDevice, Replan
from astrod.rig.cooling import Cooling
from astrod.rig.doming import Doming
from astrod.rig.guiding import Guiding
from astrod.rig.leases import Leases
from astrod.rig.port import Port
from astrod.rig.waiting import until
from astrod.runtime.clock import Clock
from astrod_drivers.protocols import (
    Camera,
    CameraState,
    Cover,
    FilterWheel,
    Focuser,
    Guider,
    Mount,
    MountState,
    Permit,
    Roof,
    Rotator,
    Switch,
)

log = logging.getLogger(__name__)

AnyPort = (
    Port[Mount]
    | Port[Camera]
    | Port[Focuser]
    | Port[FilterWheel]
    | Port[Cover]
    | Port[Rotator]
    | Port[Switch]
    | Port[Roof]
    | Port[Guider]
)

FILTER_S = 60.0
FOCUS_MOVE_S = 120.0
ROTATE_S = 300.0
ROTATED_WITHIN_DEG = 0.5
COOL_WITHIN_C = 1.0
COOLS_S = 5.0
COVER_S = 60.0


Intend = Callable[[str, str], AbstractAsyncContextManager[None]]
"""Record that a device is about to be told something toward danger; the command is given inside the block."""


def unrecorded(device: str, what: str) -> AbstractAsyncContextManager[None]:
    """For a telescope that nobody keeps a record of."""
    log.debug("%s: %s", device, what)
    return nullcontext()


@dataclass(frozen=True, slots=True)
class TrainPorts:
    """The devices of a train; None where none is configured."""

    setup: Train
    camera: Port[Camera]
    focuser: Port[Focuser] | None = None
    wheel: Port[FilterWheel] | None = None
    cover: Port[Cover] | None = None
    rotator: Port[Rotator] | None = None


def _own(train: TrainPorts) -> tuple[AnyPort | None, ...]:
    return train.camera, train.focuser, train.wheel, train.cover, train.rotator


class Telescope:
    """One rig's devices, and who holds them.

    Places are those of the sky: where a mount cannot be synced, the difference between its word and the sky is
    kept here (`align`) and taken into account both ways. `before_slew` are awaited before each slew, for those who
    must let go of the mount first (a guider). `forbidden` says why the mount must not slew, None while it may.
    """

    def __init__(
        self,
        setup: Rig,
        mount: Port[Mount],
        trains: Mapping[str, TrainPorts],
        clock: Clock,
        intend: Intend = unrecorded,
        forbidden: Callable[[], str | None] = lambda: None,
    ) -> None:
        self._forbidden = forbidden
        self.setup = setup
        self._intend = intend
        self.mount = mount
        self.trains = trains
        self.leases = Leases()
        self.guiding: Guiding | None = None
        self.guide_camera: Port[Camera] | None = None
        self._clock = clock
        self.doming: Doming | None = None
        self.switches: dict[str, Port[Switch]] = {}
        self.coolers = {name: Cooling(train.camera, train.setup.camera, clock) for name, train in trains.items()}
        self._warm: bool | None = None
        self._beside = (0.0, 0.0)
        self.before_slew: list[Callable[[], Awaitable[None]]] = []
        self._focus: dict[str, int] = {}
        self._suits: dict[str, str] = {}
        self._learned: dict[str, tuple[FilterOffset, ...]] = {}
        self._angles: dict[str, float] = {}
        self._cools: set[str] = set()
        for train in trains.values():
            train.camera.on_connect(partial(self._restore_cooler, train))
            if train.focuser is not None:
                train.focuser.on_connect(partial(self._restore_focus, train.setup.name))
            if train.rotator is not None:
                train.rotator.on_connect(partial(self._restore_angle, train.setup.name))

    def device_names(self) -> tuple[str, ...]:
        """Everything on this rig, for activities that need all of it."""
        return (self.mount.name, *(train.camera.name for train in self.trains.values()))

    def ports(self) -> dict[str, AnyPort]:
        """Every device of this rig by its name."""
        found: list[AnyPort] = [self.mount]
        for train in self.trains.values():
            found += [port for port in _own(train) if port is not None]
        found += [self.guide_camera] if self.guide_camera else []
        found += [self.guiding.port] if self.guiding else []
        named: dict[str, AnyPort] = {port.name: port for port in found}
        if self.doming is not None:
            named[self.doming.dome.name] = self.doming.dome
        return named | {port.name: port for port in self.switches.values()}

    def guide_with(self, guiding: Guiding, camera: Port[Camera] | None = None) -> None:
        """Give the mount its guiding, and the guide camera where that is ours."""
        self.guiding, self.guide_camera = guiding, camera
        self.before_slew.append(guiding.stop)  # no guide pulse in mid slew

    async def read_mount(self) -> MountState:
        """Where the mount points now, ICRS."""
        state = await self.mount.call("read the mount", lambda mount: mount.read())
        if self._beside == (0.0, 0.0):
            return state
        return replace(state, ra_deg=(state.ra_deg + self._beside[0]) % 360.0, dec_deg=state.dec_deg + self._beside[1])

    async def align(self, ra_deg: float, dec_deg: float) -> None:
        """The sky says that the telescope points there: sync the mount, or remember the difference.

        Which of the two is configured (`centre_by`); a mount that refuses to sync is remembered about as well.
        """
        if self.setup.mount.centre_by == "sync":
            try:
                await self.mount.call("sync", lambda mount: mount.sync(ra_deg, dec_deg))
            except Replan as fault:
                log.info("%s; the difference is kept here", fault)
            else:
                self._beside = (0.0, 0.0)
                return
        state = await self.mount.call("read the mount", lambda mount: mount.read())
        east_deg = (ra_deg - state.ra_deg + 180.0) % 360.0 - 180.0
        self._beside = (east_deg, dec_deg - state.dec_deg)

    async def unpark(self, permit: Permit) -> None:
        """Unpark the mount if it is parked."""
        if (await self.read_mount()).parked:
            async with self._intend(self.mount.name, "unpark"):
                await self.mount.call("unpark", lambda mount: mount.unpark(permit))
                within_s = self.setup.mount.park_s
                await until(self._clock, self.mount.name, "unpark", self.read_mount, lambda s: not s.parked, within_s)

    async def slew(self, ra_deg: float, dec_deg: float, permit: Permit) -> MountState:
        """Slew, wait, settle, and check by reading back that the mount tracks where it was sent.

        Raises Replan when it reports another place or does not track: another target may do better; and when it must
        not slew at all.
        """
        why = self._forbidden()
        if why is not None:
            raise Replan(f"{self.mount.name} does not slew: {why}")
        for let_go in self.before_slew:
            await let_go()
        said_ra_deg = (ra_deg - self._beside[0]) % 360.0
        said_dec_deg = max(-90.0, min(90.0, dec_deg - self._beside[1]))
        async with self._intend(self.mount.name, f"slew to {ra_deg:.4f} {dec_deg:+.4f}"):
            await self.mount.call("slew", lambda mount: mount.slew(said_ra_deg, said_dec_deg, permit), deadline_s=20.0)
            state = await until(
                self._clock, self.mount.name, "slew", self.read_mount, lambda s: not s.slewing, self.setup.mount.slew_s
            )
        if not state.tracking:
            await self.mount.call("track", lambda mount: mount.set_tracking(True))
        await self._clock.sleep(self.setup.mount.settle_s)
        state = await self.read_mount()
        off_arcmin = 60.0 * separation_deg(ra_deg, dec_deg, state.ra_deg, state.dec_deg)
        if not off_arcmin <= self.setup.mount.on_target_arcmin or not state.tracking:  # NaN is off target too
            said = f"{off_arcmin:.0f}' from where it was sent" if state.tracking else "not tracking"
            raise Replan(f"{self.mount.name}: after the slew it is {said}")
        if self.doming is not None:
            await self.doming.face(ra_deg, dec_deg, state.pier_side)
        return state

    async def stand_still(self) -> None:
        """Stop tracking, so that a mount with nothing to do does not follow the sky into the ground or its pier."""
        if self.guiding is not None:
            await self.guiding.stop()
        if (await self.read_mount()).tracking:
            await self.mount.call("stop tracking", lambda mount: mount.set_tracking(False))

    async def park(self) -> None:
        """Park the mount. Raises OutcomeUnknown when it is not parked in time."""
        await self.mount.call("park", lambda mount: mount.park())
        await until(self._clock, self.mount.name, "park", self.read_mount, lambda s: s.parked, self.setup.mount.park_s)

    async def check_tracking(self) -> None:
        """Make sure that the mount tracks. Raises Replan when it cannot be made to."""
        if (await self.read_mount()).tracking:
            return
        log.warning("%s was not tracking; switched on again", self.mount.name)
        await self.mount.call("track", lambda mount: mount.set_tracking(True))
        if not (await self.read_mount()).tracking:
            raise Replan(f"{self.mount.name} does not track")

    async def select_filter(self, train: str, name: str | None) -> None:
        """Turn the wheel to `name`; nothing to do without a wheel or a wish. Raises Replan for unknown names."""
        wheel = self.trains[train].wheel
        if wheel is None or name is None:
            return
        if wheel.given_up:
            raise Replan(f"{wheel.name} is lost for now: {wheel.detail}")
        if (await wheel.call("read the wheel", lambda device: device.read())).filter == name:
            await self._shift_focus(train, name)
            return
        await wheel.call(f"select filter {name}", lambda device: device.select(name))
        await until(
            self._clock,
            wheel.name,
            f"select filter {name}",
            lambda: wheel.call("read the wheel", lambda device: device.read()),
            lambda state: not state.moving and state.filter == name,
            FILTER_S,
        )
        await self._shift_focus(train, name)

    def learn_offsets(self, train: str, offsets: tuple[FilterOffset, ...]) -> None:
        """What focus runs tell of the filters of a train; the configuration's own offsets go before them."""
        self._learned[train] = offsets

    def offsets_learned(self, train: str) -> tuple[FilterOffset, ...]:
        """What focus runs have told of the filters of a train."""
        return self._learned.get(train, ())

    def suits(self, train: str, name: str | None) -> None:
        """The focuser of a train stands where a run through this filter found its focus."""
        if name is not None:
            self._suits[train] = name

    async def _shift_focus(self, train: str, name: str) -> None:
        """Move the focuser by what the filter's focus differs from that of the filter which it suits now.

        Where that is not known the focuser stays, and goes on suiting the former filter.
        """
        setup, focuser = self.trains[train].setup.focuser, self.focuser(train)
        if setup is None or focuser is None:
            return
        before = self._suits.setdefault(train, name)
        steps = shift(setup.filter_offsets, self.offsets_learned(train), before, name)
        if steps is None:
            return
        if steps:
            here = await focuser.call("read the focuser", lambda device: device.read())
            await self.move_focus(train, min(max(here.position + steps, 0), here.max_position))
        self._suits[train] = name

    async def move_focus(self, train: str, position: int) -> None:
        """Move the focuser, always ending upwards so that backlash does not matter: a way down overshoots first.

        It overshoots by the configured backlash, and by a step of a focus run where none is configured.
        """
        focuser, setup = self.focuser(train), self.trains[train].setup.focuser
        if focuser is None or setup is None:
            raise Replan(f"train {train} has no focuser")
        current = (await focuser.call("read the focuser", lambda device: device.read())).position
        if position < current:
            await self._move_focuser(focuser, max(0, position - (setup.backlash or setup.step)))
        await self._move_focuser(focuser, position)
        self._focus[train] = position

    async def move_focus_straight(self, train: str, position: int) -> None:
        """Move the focuser with no overshoot, for whoever measures the backlash itself."""
        focuser = self.focuser(train)
        if focuser is None:
            raise Replan(f"train {train} has no focuser")
        await self._move_focuser(focuser, position)
        self._focus[train] = position

    def focuser(self, train: str) -> Port[Focuser] | None:
        """The train's focuser; None where there is none, or where it is lost and all was tried."""
        port = self.trains[train].focuser
        return None if port is None or port.given_up else port

    async def focus_roughly(self, train: str) -> None:
        """Move to the configured start position; nothing to do where there is none."""
        setup = self.trains[train].setup.focuser
        if setup is not None and setup.start_position is not None and self.focuser(train) is not None:
            await self.move_focus(train, setup.start_position)

    async def _move_focuser(self, focuser: Port[Focuser], position: int) -> None:
        await focuser.call(f"move to {position}", lambda device: device.move(position))
        await until(
            self._clock,
            focuser.name,
            f"move to {position}",
            lambda: focuser.call("read the focuser", lambda device: device.read()),
            lambda state: not state.moving and abs(state.position - position) <= 1,
            FOCUS_MOVE_S,
        )

    def rotator(self, train: str) -> Port[Rotator] | None:
        """The train's rotator; None where there is none, or where it is lost and all was tried."""
        port = self.trains[train].rotator
        return None if port is None or port.given_up else port

    def angle_deg(self, train: str) -> float | None:
        """The rotator's mechanical angle as it was read last; None where there is none or it was never read."""
        return self._angles.get(train)

    async def rotator_angle_deg(self, train: str) -> float:
        """The rotator's mechanical angle now. Raises Replan where the train has none."""
        rotator = self.rotator(train)
        if rotator is None:
            raise Replan(f"train {train} has no rotator")
        state = await rotator.call("read the rotator", lambda device: device.read())
        self._angles[train] = state.angle_deg
        return state.angle_deg

    async def turn_rotator(self, train: str, angle_deg: float) -> None:
        """Turn the camera to a mechanical angle and wait until it is there; guiding lets go first.

        Raises OutcomeUnknown when it does not arrive, Replan where the train has no rotator or it refuses.
        """
        rotator = self.rotator(train)
        if rotator is None:
            raise Replan(f"train {train} has no rotator")
        for let_go in self.before_slew:
            await let_go()
        await rotator.call(f"turn to {angle_deg:.1f}", lambda device: device.move(angle_deg))
        await until(
            self._clock,
            rotator.name,
            f"turn to {angle_deg:.1f}",
            lambda: rotator.call("read the rotator", lambda device: device.read()),
            lambda state: not state.moving and abs(turn_deg(state.angle_deg, angle_deg)) <= ROTATED_WITHIN_DEG,
            ROTATE_S,
        )
        self._angles[train] = angle_deg

    async def cool(self, warm: bool, at_once: bool = False) -> None:
        """Bring each camera to its configured temperature, or warm it up at the end of the night (`warm`).

        Returns when they are there. `at_once` does not ramp. A camera that is not there now is told when it connects,
        and so is one that comes back.
        """
        self._warm = warm
        for train in self.trains.values():
            target_c = train.setup.camera.cool_to_c
            if target_c is None or not train.camera.up:
                continue
            cooler = self.coolers[train.setup.name]
            await (cooler.warm(at_once) if warm else cooler.cool(target_c))

    async def meet_cameras(self, within_s: float) -> None:
        """Wait until the cameras that are cooled have been connected, or for so long in vain."""
        cooled = (train.camera for train in self.trains.values() if train.setup.camera.cool_to_c is not None)
        await asyncio.gather(*(camera.found(within_s) for camera in cooled))

    async def _restore_cooler(self, train: TrainPorts, camera: Camera) -> None:
        """Put the cooler back to what it was told last, and see that it took it: a camera that was reconnected
        with its cooler off would spoil the rest of the night (phd2#798).
        """
        target_c = train.setup.camera.cool_to_c
        if target_c is None or self._warm is None:
            return
        knows = train.camera.name in self._cools
        ramped_c = self.coolers[train.setup.name].wanted_c
        await camera.cool(None if self._warm else target_c if ramped_c is None else ramped_c)
        deadline_s = self._clock.monotonic_s() + COOLS_S
        while knows and (await camera.read()).cooler_on is self._warm:
            if self._clock.monotonic_s() > deadline_s:
                raise RecoverDevice(train.camera.name, "its cooler does not do as it is told after reconnecting")
            await self._clock.sleep(0.5)

    async def _restore_focus(self, train: str, focuser: Focuser) -> None:
        """Move a focuser that came back elsewhere to where it was sent last."""
        wanted = self._focus.get(train)
        if wanted is None or abs((await focuser.read()).position - wanted) <= 1:
            return
        log.warning("train %s: the focuser came back elsewhere; moving it to %d again", train, wanted)
        await focuser.move(wanted)

    async def _restore_angle(self, train: str, rotator: Rotator) -> None:
        """Turn a rotator that came back elsewhere to where it stood last."""
        state, wanted_deg = await rotator.read(), self._angles.get(train)
        if wanted_deg is None:
            self._angles[train] = state.angle_deg
        elif abs(turn_deg(state.angle_deg, wanted_deg)) > ROTATED_WITHIN_DEG:
            log.warning("train %s: the rotator came back elsewhere; turning it to %.1f° again", train, wanted_deg)
            await rotator.move(wanted_deg)

    async def see_cooler(self, train: str, state: CameraState) -> None:
        """Take note of what a camera says before an exposure; a cooler that went off by itself goes on again.

        Raises RecoverDevice then: the camera must become cold first. Cameras that never told of a cooler that is
        on are believed to have none that tells.
        """
        ports = self.trains[train]
        if state.cooler_on:
            self._cools.add(ports.camera.name)
        elif self._warm is False and ports.camera.name in self._cools:
            await self.cool(warm=False)
            raise RecoverDevice(ports.camera.name, "its cooler had gone off; it is cooled again")

    async def uncover(self, train: str, permit: Permit) -> None:
        """Put the light out and open the cover; nothing to do where there is none. Raises OutcomeUnknown when stuck."""
        cover = self.trains[train].cover
        if cover is None:
            return
        state = await cover.call("read the cover", lambda device: device.read())
        if state.brightness:
            await cover.call("switch the light off", lambda device: device.light(0))
        if state.aperture != "open":
            await cover.call("open the cover", lambda device: device.open(permit))
            await self._await_cover(cover, "open")

    async def cover_up(self) -> None:
        """Close every cover, at the end of the night; one that does not close is told and left to the morning."""
        for cover in [train.cover for train in self.trains.values() if train.cover is not None]:
            try:
                await self.shut(cover)
            except (RecoverDevice, OutcomeUnknown, Replan) as fault:
                log.warning("%s: not closed: %s", cover.name, fault)

    async def shut(self, cover: Port[Cover]) -> None:
        """Close a cover and wait until it is closed. Raises OutcomeUnknown when it does not get there."""
        await cover.call("close the cover", lambda device: device.close())
        await self._await_cover(cover, "closed")

    async def _await_cover(self, cover: Port[Cover], aperture: str) -> None:
        await until(
            self._clock,
            cover.name,
            f"be {aperture}",
            lambda: cover.call("read the cover", lambda device: device.read()),
            lambda state: state.aperture == aperture,
            COVER_S,
        )

    async def is_cold(self, train: str) -> bool:
        """Whether the camera is at its temperature; True where none is configured or it does not tell."""
        target_c = self.trains[train].setup.camera.cool_to_c
        if target_c is None:
            return True
        state = await self.trains[train].camera.call("read the camera", lambda camera: camera.read())
        return state.temperature_c is None or math.fabs(state.temperature_c - target_c) <= COOL_WITHIN_C

    async def abort(self) -> None:
        """Abort exposures on all trains; devices that are gone are left to their reconnection."""
        for train in self.trains.values():
            try:
                await train.camera.call("abort", lambda camera: camera.abort())
            except (RecoverDevice, OutcomeUnknown, Replan) as fault:
                log.warning("abort: %s", fault)
