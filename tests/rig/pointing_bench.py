"""A rig on a German mount that points wrong, flips or not, and tells the truth about it or not."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from typing import Any, Literal, TypeVar

from astrod.domain.plate import PlateSolution, Sighting
from astrod.domain.site import MountSetup, Rig
from astrod.domain.sphere import hour_angle_deg
from astrod.rig.port import DirectSession, Port
from astrod.rig.telescope import Telescope, TrainPorts
from astrod.runtime.clock import SimClock, VirtualLoop, run_virtual
from astrod_drivers.errors import CommandRefused
from astrod_drivers.permit import EpochCell
from astrod_drivers.protocols import MountState, Permit, PierSide
from tests.rig.devices import MIDNIGHT_US, SITE, FakeFocuser, FakeMount, FakeRotator

T = TypeVar("T")
Tells = Literal["truth", "nothing", "lies"]
OTHER: dict[PierSide, PierSide] = {"east": "west", "west": "east"}
LONGITUDE_DEG = SITE.place.longitude_deg


class GermanMount(FakeMount):
    """Its tube is `error_deg` beside what it reports; it changes sides unless `flips` is False, and says what
    `tells` says of it.
    """

    def __init__(self, clock: SimClock, events: list[str], gate: EpochCell) -> None:
        super().__init__(clock, events, gate)
        self.error_deg = (0.0, 0.0)
        self.scatter_deg = 0.0
        self.flips = True
        self.tells: Tells = "truth"
        self.syncs = True
        self.side: PierSide = "west"

    @property
    def sky(self) -> tuple[float, float]:
        """Where the tube really points."""
        return (self.ra_deg + self.error_deg[0]) % 360.0, self.dec_deg + self.error_deg[1]

    async def read(self) -> MountState:
        state = await super().read()
        told: dict[Tells, PierSide | None] = {"truth": self.side, "nothing": None, "lies": OTHER[self.side]}
        return replace(state, pier_side=told[self.tells])

    async def slew(self, ra_deg: float, dec_deg: float, permit: Permit) -> None:
        await super().slew(ra_deg, dec_deg, permit)
        self.events[-1] = f"slew {ra_deg:.2f} {dec_deg:.2f}"
        self.error_deg = (self.error_deg[0], self.error_deg[1] + self.scatter_deg)
        wanted: PierSide = "east" if hour_angle_deg(ra_deg, self.clock.now_us(), LONGITUDE_DEG) > 0.0 else "west"
        self.side = wanted if self.flips else self.side

    async def sync(self, ra_deg: float, dec_deg: float) -> None:
        await self.answer()
        if not self.syncs:
            raise CommandRefused("it cannot sync")
        self.events.append("sync")
        sky = self.sky
        self.error_deg = (sky[0] - ra_deg, sky[1] - dec_deg)
        self.ra_deg, self.dec_deg = ra_deg, dec_deg


@dataclass
class Bench:
    """The rig, its mount, and the permit to move it."""

    clock: SimClock
    telescope: Telescope
    mount: GermanMount
    focuser: FakeFocuser
    rotator: FakeRotator
    events: list[str]
    permit: Permit

    def ra_at(self, hour_angle: float) -> float:
        """The right ascension that stands at this hour angle (degrees) now."""
        return (hour_angle_deg(0.0, self.clock.now_us(), LONGITUDE_DEG) - hour_angle) % 360.0

    def seen(self, stars: int = 40) -> Sighting:
        """What a frame taken now shows, solved without error."""
        ra_deg, dec_deg = self.mount.sky
        rotation_deg = (10.0 if self.mount.side == "west" else 190.0) + self.rotator.shows_deg
        return Sighting(PlateSolution(ra_deg, dec_deg, rotation_deg % 360.0, 1.5, "direct", 0.3, stars, "test"), stars)


def at_bench(story: Callable[[Bench], Awaitable[T]], rotates: bool = False, **mount: Any) -> T:
    """Play a story at a rig whose mount is set up so (fields of `MountSetup`), and whose camera hangs on a rotator
    where it `rotates`; returns what the story returns.
    """

    async def play(loop: VirtualLoop) -> T:
        clock = SimClock(loop, MIDNIGHT_US)
        events: list[str] = []
        gate = EpochCell()
        permit = Permit(gate.become_safe())
        rig: Rig = replace(SITE.rigs[0], mount=MountSetup("sim://mount", settle_s=1.0, **mount))
        german, focuser = GermanMount(clock, events, gate), FakeFocuser(clock, events)
        rotator = FakeRotator(clock, events)
        ports: list[Port[Any]] = [
            Port("mount", "mount", "sim://mount", DirectSession(german), clock),
            Port("focuser", "focuser", "sim://focuser", DirectSession(focuser), clock),
            Port("rotator", "rotator", "sim://rotator", DirectSession(rotator), clock),
        ]
        train = TrainPorts(rig.trains[0], camera=ports[0], focuser=ports[1], rotator=ports[2] if rotates else None)
        telescope = Telescope(rig, ports[0], {"main": train}, clock)
        keeping = [asyncio.create_task(port.keep()) for port in ports]
        for port in ports:
            assert await port.found(5.0)
        await german.unpark(permit)
        try:
            return await story(Bench(clock, telescope, german, focuser, rotator, events, permit))
        finally:
            for task in keeping:
                task.cancel()
            await asyncio.wait(keeping)

    return run_virtual(play)  # type: ignore[no-any-return]
