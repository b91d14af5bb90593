"""A session's handle on a simulated device: where faults come between the daemon and it.

Every session has its own (`Observatory.device` makes a new one each time). Whatever the device is, its protocol's
methods pass through `Faulty`; without a fault they pass as they are.
"""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any

from astrod_drivers.errors import CommandRefused, DeviceMissing, Unreachable
from astrod_drivers.protocols import KINDS, Clock, Device
from astrod_drivers.sim import lies, spoiling
from astrod_drivers.sim.injector import Injector, Running

Call = Callable[..., Coroutine[Any, Any, Any]]
Begun = Callable[[str, str, tuple[Any, ...]], None]
"""Told of each call that the device took: its name, the method and the arguments."""

_HARMLESS = frozenset({"connect", "disconnect", "read", "describe", "believes", "fetch"})
"""The methods that command nothing."""

_WAITING = frozenset({"fetch"})
"""The methods that wait by themselves, so that a connection can be lost meanwhile."""


class Faulty:
    """Implements the protocol of whatever device it stands before."""

    def __init__(
        self, name: str, kind: str, device: Device, injector: Injector, clock: Clock, begun: Begun | None = None
    ) -> None:
        self._name = name
        self._kind = kind
        self._device = device
        self._injector = injector
        self._clock = clock
        self._begun = begun
        self._cuts = injector.cuts(name)
        self._deaths = injector.deaths(name)
        self._fresh = True

    @property
    def alive(self) -> bool:
        """False once the driver behind this session has died."""
        return self._deaths == self._injector.deaths(self._name)

    async def connect(self) -> None:
        """Connect, which mends what that mends. Raises Unreachable, DeviceMissing."""
        if not self.alive:
            raise Unreachable(f"the driver of {self._name} died; start its session again")
        if not self._injector.powered(self._name):
            raise Unreachable(f"{self._name} does not answer; has it power?")
        self._injector.mended(self._name, "restart" if self._fresh else "reconnect")
        self._fresh = False
        self._cuts = self._injector.cuts(self._name)
        await self._pass("connect", self._device.connect, (), {})

    async def disconnect(self) -> None:
        """Let go of the device; that of one which is gone is nothing."""
        if self._is_there():
            await self._pass("disconnect", self._device.disconnect, (), {})

    def __getattr__(self, method: str) -> Call:
        if method.startswith("_") or not callable(getattr(KINDS[self._kind], method, None)):
            raise AttributeError(f"a {self._kind} has no {method!r}")
        real: Call = getattr(self._device, method)

        async def call(*args: Any, **named: Any) -> Any:
            if not self._is_there():
                raise Unreachable(f"{self._name} is gone; connect it anew")
            return await self._pass(method, real, args, named)

        setattr(self, method, call)  # found at once from now on
        return call

    def _is_there(self) -> bool:
        return self.alive and self._injector.powered(self._name) and self._cuts == self._injector.cuts(self._name)

    async def _pass(self, method: str, real: Call, args: tuple[Any, ...], named: dict[str, Any]) -> Any:
        faults = self._injector.active(self._name)
        if not faults and method not in _WAITING:
            return await self._carry_out(method, real, args, named)
        return await self._unless_severed(self._through(list(faults), method, real, args, named))

    async def _carry_out(self, method: str, real: Call, args: tuple[Any, ...], named: dict[str, Any]) -> Any:
        answer = await real(*args, **named)
        if self._begun is not None:
            self._begun(self._name, method, (*args, *named.values()))
        return answer

    async def _through(
        self, faults: list[Running], method: str, real: Call, args: tuple[Any, ...], named: dict[str, Any]
    ) -> Any:
        """The call, past every fault that the device has when it begins, and those that it has when it ends."""
        for running in faults:
            await self._before(running, method)
        answer = await self._carry_out(method, real, args, named)
        for running in list(self._injector.active(self._name)):
            answer = await self._after(running, method, answer, (*args, *named.values()))
        return answer

    async def _before(self, running: Running, method: str) -> None:
        fault = running.fault
        match fault.kind:
            case "hang" if fault.way == "before":
                await _for_ever()
            case "slow":
                await self._clock.sleep(fault.size)
            case "drop" | "crash":
                raise Unreachable(f"{self._name} does not answer; is its server up?")
            case "vanish":
                raise DeviceMissing(f"{self._name} is not on its server any more; look at its cable and its power")
            case "refuse" if method not in _HARMLESS:
                raise CommandRefused(f"{self._name} refuses to {method}")

    async def _after(self, running: Running, method: str, answer: Any, arguments: tuple[Any, ...]) -> Any:
        fault = running.fault
        if fault.kind == "hang":
            await _for_ever()
        if method == "read":
            return lies.told(running, answer, self._clock.now_us())
        lies.note(running, method, arguments)
        if method == "fetch" and fault.kind == "late":
            await (self._clock.sleep(fault.size) if fault.size > 0.0 else _for_ever())
        if method == "fetch" and fault.kind in spoiling.KINDS:
            spoiling.spoil(running, answer)
        return answer

    async def _unless_severed(self, call: Awaitable[Any]) -> Any:
        """The call's answer, or Unreachable as soon as the connection is lost."""
        severed = self._injector.severed(self._name)
        task = asyncio.ensure_future(call)
        try:
            await asyncio.wait({task, severed}, return_when=asyncio.FIRST_COMPLETED)
            if severed.done():
                raise Unreachable(f"the connection to {self._name} was lost; connect it anew")
            return task.result()
        finally:
            task.cancel()


async def _for_ever() -> None:
    """Until whoever waits is cancelled."""
    await asyncio.get_running_loop().create_future()
