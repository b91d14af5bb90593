"""One device as the rig sees it: its session, whether it is there, and calls that cannot hang.

The one place where a driver's errors become the daemon's.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping
from typing import Generic, Literal, Protocol, TypeVar

from astrod.domain.recovery import DEFAULT, FOOT, Climb, Ladder, Rung, Step, at_least, attempt, step
from astrod.errors import AstrodError, GoSafe, OutcomeUnknown, RecoverDevice, Replan
from astrod.runtime.clock import Clock
from astrod_drivers.errors import CommandRefused, DeadlineMissed, DriverError, PermitRefused
from astrod_drivers.protocols import Device

log = logging.getLogger(__name__)


class Readable(Device, Protocol):
    """Every kind of device can be read."""

    async def read(self) -> object: ...


D = TypeVar("D", bound=Readable)
D_co = TypeVar("D_co", bound=Readable, covariant=True)
T = TypeVar("T")

LOOK_S = 10.0
"""How often a device that nobody uses is read, so that its loss is noticed before it is needed."""


class Session(Protocol[D_co]):
    """A killable path to one device (`astrod_drivers.session`, or the simulator in this process)."""

    @property
    def device(self) -> D_co: ...

    @property
    def alive(self) -> bool: ...

    async def start(self, deadline_s: float) -> None: ...

    async def kill(self) -> None: ...


class DirectSession(Generic[D]):
    """A device in this very process, for nights on the simulated clock."""

    def __init__(self, device: D) -> None:
        self._device = device

    @property
    def device(self) -> D:
        return self._device

    @property
    def alive(self) -> bool:
        return True

    async def start(self, deadline_s: float) -> None:
        """Nothing to start."""

    async def kill(self) -> None:
        """Nothing to kill."""


class Port(Generic[D]):
    """A configured device. `up` says whether the last word from it was a good one; `detail` says why not.

    `ladder` is how it is recovered when it is lost, `remedies` what its steps beyond reconnecting do; steps
    without a remedy are left out.
    """

    def __init__(
        self,
        name: str,
        kind: str,
        address: str,
        session: Session[D],
        clock: Clock,
        ladder: Ladder = DEFAULT,
        remedies: Mapping[Step, Callable[[], Awaitable[None]]] | None = None,
    ) -> None:
        self.name = name
        self.kind = kind
        self.address = address
        self.up = False
        self.detail = "not connected yet"
        self.since_us = clock.now_us()
        self._session = session
        self._clock = clock
        self._remedies = dict(remedies or {})
        self._ladder = ladder.possible(self._remedies)
        self._climb = FOOT
        self._steady_since_s = clock.monotonic_s()
        self._heard_s = -LOOK_S
        self._lost = asyncio.Event()
        self._lost.set()
        self._found = asyncio.Event()
        self._restore: list[Callable[[D], Awaitable[None]]] = []

    def on_connect(self, restore: Callable[[D], Awaitable[None]]) -> None:
        """Run `restore` after each connection, to put back what a device forgets (site, cooler…)."""
        self._restore.append(restore)

    def _mark(self, up: bool, detail: str) -> None:
        if up != self.up:
            log.log(logging.INFO if up else logging.WARNING, "%s (%s): %s", self.name, self.address, detail)
            self.since_us = self._clock.now_us()
        self.up, self.detail = up, detail
        (self._found if up else self._lost).set()
        (self._lost if up else self._found).clear()

    @property
    def given_up(self) -> bool:
        """Every rung of its ladder was tried and the device is still gone; it is tried at leisure now."""
        return self._climb.spent and not self.up

    @property
    def climb(self) -> Climb:
        """Where on its ladder the device stands."""
        return self._climb

    async def keep(self) -> None:
        """Connect, and recover the device whenever it is lost, for ever. Run as a task of its own."""
        while True:
            await self._until_lost()
            self._freshen()
            rung = attempt(self._ladder, self._climb)
            try:
                await self._try(rung)
            except (DriverError, AstrodError, TimeoutError, OSError) as fault:
                self._mark(False, str(fault) or f"no connection within {rung.deadline_s:g} s")
                await self._session.kill()
                self._used_up("failed")
            else:
                self._mark(True, "connected")
                self._used_up("connected")

    async def _try(self, rung: Rung) -> None:
        """Take the rung's step, then connect and put back what the device forgets."""
        if rung.step != "reconnect":
            await self._session.kill()
        if rung.step in self._remedies:
            log.warning("%s (%s): %s", self.name, self.address, rung.step.replace("_", " "))
            await self._remedies[rung.step]()
        await self._clock.sleep(rung.wait_s)
        async with asyncio.timeout(rung.deadline_s):
            if not self._session.alive:
                await self._session.start(rung.deadline_s)
            await self._session.device.connect()
            for restore in self._restore:
                await restore(self._session.device)

    def _freshen(self) -> None:
        """Back to the ladder's foot after a good hour; also after an hour in vain above the last rung."""
        if self._clock.monotonic_s() - self._steady_since_s >= self._ladder.good_s:
            self._climb = step(self._ladder, self._climb, "fresh")
            self._steady_since_s = self._clock.monotonic_s()

    def _used_up(self, outcome: Literal["failed", "connected"]) -> None:
        before = self._climb
        self._climb = step(self._ladder, before, outcome)
        if outcome == "connected" or not before.spent:
            self._steady_since_s = self._clock.monotonic_s()

    async def distrust(self, why: str, wanted: Step = "restart_driver") -> None:
        """The device answers, but not what is true: treat it as lost, and start at `wanted` on its ladder."""
        self._climb = at_least(self._ladder, self._climb, wanted)
        self._mark(False, why)
        await self._session.kill()

    async def _until_lost(self) -> None:
        """Return when the device is lost; find that out by reading it now and then."""
        while not self._lost.is_set():
            try:
                async with asyncio.timeout(LOOK_S):
                    await self._lost.wait()
            except TimeoutError:
                if self._clock.monotonic_s() - self._heard_s >= LOOK_S:
                    await self._look()

    async def _look(self) -> None:
        try:
            await self.call("read", lambda device: device.read())
        except AstrodError as fault:  # `call` has marked the device as lost where it is
            log.debug("%s: %s", self.name, fault)

    async def found(self, within_s: float) -> bool:
        """Wait until the device is there; False when it is not within that time."""
        try:
            async with asyncio.timeout(within_s):
                await self._found.wait()
        except TimeoutError:
            return False
        return True

    async def call(self, what: str, action: Callable[[D], Awaitable[T]], deadline_s: float = 10.0) -> T:
        """`action(device)`, with a deadline. `what` names it in errors ("slew to M31").

        Raises RecoverDevice when the device is gone (it is reconnected meanwhile), OutcomeUnknown when the
        deadline passed, Replan when the device refused, GoSafe when the permit is over.
        """
        if not self.up:
            raise RecoverDevice(self.name, f"cannot {what}: {self.detail}")
        try:
            async with asyncio.timeout(deadline_s):
                answer = await action(self._session.device)
        except (TimeoutError, DeadlineMissed) as fault:
            self._mark(False, f"{what} took over {deadline_s:g} s")
            await self._session.kill()
            raise OutcomeUnknown(self.name, f"{what}: no answer within {deadline_s:g} s") from fault
        except PermitRefused as fault:
            raise GoSafe(f"{self.name}: {what} refused: the site is no longer safe") from fault
        except CommandRefused as fault:
            raise Replan(f"{self.name}: {what} refused: {fault}") from fault
        except DriverError as fault:
            self._mark(False, str(fault))
            raise RecoverDevice(self.name, f"{what}: {fault}") from fault
        self._heard_s = self._clock.monotonic_s()
        return answer

    async def release(self) -> None:
        """Let go of the device; it stays as it is."""
        if self.up:
            try:
                async with asyncio.timeout(5.0):
                    await self._session.device.disconnect()
            except (TimeoutError, DriverError) as fault:
                log.warning("%s: did not disconnect in order: %s", self.name, fault)
        await self._session.kill()
