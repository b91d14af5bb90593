"""Faults as they happen: which are still to come, which are there, and what mends them.

Nothing is drawn by chance here: the same faults at the same observatory under the same commands fire at the same
instants.
"""

import asyncio
import contextvars
import logging
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from astrod_drivers.protocols import Clock
from astrod_drivers.sim.faults import Fault, Phase, Until, check

log = logging.getLogger(__name__)

_MENDS: tuple[Until, ...] = ("reconnect", "restart", "power")
"""Each mends what those before it do."""
_IDLE_LOOK_S = 10.0
IDLE_AFTER_S = 60.0


@dataclass(eq=False)
class Running:
    """A fault that fired: when, in which phase of the observatory, and when it ended. `memory` is for whoever
    carries it out, `mend` undoes what it did to the truth.
    """

    fault: Fault
    since_us: int
    phase: str
    ended_us: int | None = None
    memory: dict[str, Any] = field(default_factory=dict)
    mend: Callable[[], None] = lambda: None


Act = Callable[[Running, bool], None]
"""Told of each fault that begins (True) and ends (False)."""


class Injector:
    """The faults of one observatory. `act` does what they do to the truth; `phase` says what is going on."""

    def __init__(self, clock: Clock, devices: Mapping[str, str], act: Act, phase: Callable[[], str]) -> None:
        self._clock = clock
        self._devices = devices
        self._act = act
        self._phase = phase
        self._waiting: list[Fault] = []
        self._counts: Counter[str] = Counter()
        self._active: dict[str, list[Running]] = {}
        self._severed: dict[str, asyncio.Future[None]] = {}
        self._cuts: Counter[str] = Counter()
        self._deaths: Counter[str] = Counter()
        self._tasks: set[asyncio.Task[None]] = set()
        self._unpowered: set[str] = set()
        self._watching_idle = False
        self.fired: list[Running] = []
        self.on_host: Act | None = None
        """Told of the faults of the host, which nothing in the observatory can carry out."""

    # -- what is to come -------------------------------------------------------------------------------------

    def plan(self, faults: tuple[Fault, ...], anchors: Mapping[str, int]) -> None:
        """Have these happen; needs a running event loop. What is due in the past happens at once.

        Raises ValueError for a device that is not there, an anchor that is not known, or a fault of the host
        where nobody plays the host.
        """
        check(faults, self._devices)
        for fault in faults if self.on_host is None else ():
            if fault.entry.where == "host":
                raise ValueError(f"{fault.kind!r} happens to the daemon's host: only astrod night can play it")
        due = [fault.due_us({"start": self._clock.now_us(), **anchors}) for fault in faults]
        for fault, due_us in zip(faults, due, strict=True):
            if due_us is None:
                self._waiting.append(fault)
            else:
                self._fire_in((due_us - self._clock.now_us()) / 1e6 + fault.after_s, fault)
        self._watch_idle()

    @property
    def wants_read_out(self) -> bool:
        """Whether a fault waits for a read-out, which nobody commands."""
        return any(fault.when == "reading_out" for fault in self._waiting)

    def began(self, phase: Phase) -> None:
        """The observatory began a phase."""
        self._counts[phase] += 1
        due = [f for f in self._waiting if f.when == phase and f.nth <= self._counts[phase]]
        for fault in due:
            self._waiting.remove(fault)
            self.later(fault.after_s, partial(self._come_due, fault))

    def _come_due(self, fault: Fault) -> None:
        """So long after its phase began: one that is meant for within it waits for the next where that is over."""
        if fault.within and self._phase() != fault.when:
            self._waiting.append(fault)
            self._watch_idle()
        else:
            self._fire(fault)

    def _fire_in(self, wait_s: float, fault: Fault) -> None:
        self.later(wait_s, lambda: self._fire(fault))

    def foresee(self, phase: Phase, wait_s: float) -> None:
        """The observatory will begin a phase in so long, by what it does now; if it then does, `began` is told."""
        self.later(wait_s, lambda: self.began(phase) if self._phase() == phase else None)

    def later(self, wait_s: float, action: Callable[[], None]) -> None:
        """Do it after so long, in a task that belongs to nobody but the observatory."""
        if wait_s <= 0.0:
            action()
            return

        async def wait() -> None:
            await self._clock.sleep(wait_s)
            action()

        task = asyncio.get_running_loop().create_task(wait(), name="fault", context=contextvars.Context())
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def _watch_idle(self) -> None:
        if self._watching_idle or not any(fault.when == "idle" for fault in self._waiting):
            return
        self._watching_idle = True
        self.later(_IDLE_LOOK_S, lambda: self._look_idle(0.0))

    def _look_idle(self, idle_s: float) -> None:
        """Idleness begins with nothing: it can only be looked for."""
        self._watching_idle = False
        if self._phase() == "idle":
            idle_s += _IDLE_LOOK_S
            if IDLE_AFTER_S <= idle_s < IDLE_AFTER_S + _IDLE_LOOK_S:
                self.began("idle")
        else:
            idle_s = 0.0
        if any(fault.when == "idle" for fault in self._waiting):
            self._watching_idle = True
            self.later(_IDLE_LOOK_S, lambda: self._look_idle(idle_s))

    # -- what is there ---------------------------------------------------------------------------------------

    def active(self, device: str) -> list[Running]:
        """The faults that a device has now."""
        return self._active.get(device, [])

    def _fire(self, fault: Fault) -> None:
        running = Running(fault, self._clock.now_us(), self._phase())
        log.info("fault: %s %s in %s", fault.kind, fault.device, running.phase)
        self.fired.append(running)
        if not fault.entry.once:
            self._active.setdefault(fault.device, []).append(running)
        if fault.kind == "crash":
            self._deaths[fault.device] += 1
        if fault.kind in ("crash", "drop"):
            self.sever(fault.device)
        self._tell(running, True)
        if fault.entry.once:
            running.ended_us = running.since_us
        elif fault.ends == "time" and fault.lasts_s > 0.0:
            self.later(fault.lasts_s, lambda: self.end(running))

    def _tell(self, running: Running, begins: bool) -> None:
        if running.fault.entry.where == "host":
            if self.on_host is not None:
                self.on_host(running, begins)
        else:
            self._act(running, begins)

    def end(self, running: Running) -> None:
        """End a fault, unless it has ended."""
        if running.ended_us is None:
            running.ended_us = self._clock.now_us()
            self._active[running.fault.device].remove(running)
            self._tell(running, False)

    def clear(self, device: str = "") -> int:
        """End the faults of a device ("" for all), and forget what was still to come; returns how many that was."""
        waiting = [fault for fault in self._waiting if device in ("", fault.device)]
        self._waiting = [fault for fault in self._waiting if fault not in waiting]
        there = [r for name, running in self._active.items() for r in running if device in ("", name)]
        for running in there:
            self.end(running)
        return len(waiting) + len(there)

    def mended(self, device: str, how: Until) -> None:
        """The device was connected anew, its session started again, or its power switched off and on."""
        mends = _MENDS[: _MENDS.index(how) + 1]
        for running in list(self.active(device)):
            if running.fault.ends in mends:
                self.end(running)

    # -- sessions --------------------------------------------------------------------------------------------

    def unpower(self, device: str) -> None:
        """The device's power is gone: nobody answers."""
        self._unpowered.add(device)
        self.sever(device)

    def power(self, device: str) -> None:
        """It has its power back, which mends what that mends."""
        self._unpowered.discard(device)
        self.mended(device, "power")

    def powered(self, device: str) -> bool:
        """Whether the device has power."""
        return device not in self._unpowered

    def cuts(self, device: str) -> int:
        """How often the connection to the device was lost so far."""
        return self._cuts[device]

    def deaths(self, device: str) -> int:
        """How often the device's driver died so far."""
        return self._deaths[device]

    def severed(self, device: str) -> "asyncio.Future[None]":
        """Done when the connection to the device is lost the next time."""
        if device not in self._severed:
            self._severed[device] = asyncio.get_running_loop().create_future()
        return self._severed[device]

    def sever(self, device: str) -> None:
        """Lose every connection to the device."""
        self._cuts[device] += 1
        waiting = self._severed.pop(device, None)
        if waiting is not None and not waiting.done():
            waiting.set_result(None)

    async def close(self) -> None:
        """Let go of what is still to come."""
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
