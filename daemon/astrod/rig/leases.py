"""Who holds which device. An activity takes all it needs at once, in one fixed order, so none can deadlock."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager


class Leases:
    """Device leases of one rig, by device name. Cancelling the holder gives them back."""

    def __init__(self) -> None:
        self._locks: dict[str, asyncio.Lock] = {}
        self.holders: dict[str, str] = {}

    @asynccontextmanager
    async def hold(self, activity: str, *devices: str) -> AsyncIterator[None]:
        """Hold `devices` for `activity`; waits for whoever holds them now."""
        async with AsyncExitStack() as stack:
            for name in sorted(set(devices)):
                await stack.enter_async_context(self._locks.setdefault(name, asyncio.Lock()))
                self.holders[name] = activity
                stack.callback(self.holders.pop, name, None)
            yield
