"""Named services that are expected never to end.

Each says when it is ready; the next is started then. One that ends by itself, or fails, ends them all: the
daemon then closes the site and leaves, and systemd starts it again. Ending is bounded.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

from astrod.errors import Bug

log = logging.getLogger(__name__)

Ready = Callable[[], None]


@dataclass(frozen=True, slots=True)
class Service:
    """A service: `run(ready)` calls `ready()` once it serves, and goes on until it is cancelled."""

    name: str
    run: Callable[[Ready], Awaitable[None]]
    ready_within_s: float = 30.0


class ServiceEnded(Bug):
    """A service ended by itself or was not ready in time."""


async def _start(service: Service, running: list[asyncio.Task[None]]) -> None:
    ready = asyncio.Event()

    async def body() -> None:
        await service.run(ready.set)

    task = asyncio.create_task(body(), name=service.name)
    running.append(task)
    waiter = asyncio.create_task(ready.wait(), name=f"{service.name}: ready")
    await asyncio.wait({task, waiter}, timeout=service.ready_within_s, return_when=asyncio.FIRST_COMPLETED)
    waiter.cancel()
    if task.done():
        task.result()
    if not ready.is_set():
        raise ServiceEnded(f"service {service.name} was not ready within {service.ready_within_s:g} s")


async def _stop(running: Sequence[asyncio.Task[None]], grace_s: float) -> None:
    for task in reversed(running):
        task.cancel()
    if running:
        _, stragglers = await asyncio.wait(running, timeout=grace_s)
        for task in stragglers:
            log.error("service %s did not end within %g s and is left behind", task.get_name(), grace_s)


async def supervise(services: Sequence[Service], on_ready: Callable[[], None], grace_s: float = 10.0) -> None:
    """Start the services in order, call `on_ready`, and run until cancelled or until one ends.

    Raises what the failed service raised, or ServiceEnded. On the way out all others are cancelled, last first.
    """
    running: list[asyncio.Task[None]] = []
    try:
        for service in services:
            await _start(service, running)
            log.debug("service %s is ready", service.name)
        on_ready()
        done, _ = await asyncio.wait(running, return_when=asyncio.FIRST_COMPLETED)
        for task in done:
            task.result()
        names = ", ".join(sorted(task.get_name() for task in done))
        raise ServiceEnded(f"service {names} ended by itself")
    finally:
        await _stop(running, grace_s)
