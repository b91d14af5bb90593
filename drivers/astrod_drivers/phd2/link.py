"""One connection to PHD2's event server: events come in by themselves, a method is called and answered by its id.

Whatever is no line of JSON ends the connection: behind it is no PHD2, or one that has lost its mind.
"""

import asyncio
import contextlib
import json
import logging
import math
from collections.abc import Callable, Mapping
from typing import Any

from astrod_drivers.errors import BadAnswer, CommandRefused, DeadlineMissed, Unreachable

LINE_MAX = 262_144
ANSWER_S = 2.5
CONNECT_S = 5.0
Event = Mapping[str, Any]
log = logging.getLogger(__name__)


def finite(event: Event, key: str) -> float | None:
    """A number of an event; None where it is missing, no number, or not finite."""
    value = event.get(key)
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        return None
    return float(value)


class Phd2Link:
    """Used once: after `lost`, make another. `hear` is called with each event, in their order."""

    def __init__(self, host: str, port: int, hear: Callable[[Event], None]) -> None:
        self.host, self.port = host, port
        self.lost: str | None = None
        self._hear = hear
        self._waiting: dict[int, asyncio.Future[Any]] = {}
        self._number = 0
        self._writer: asyncio.StreamWriter | None = None
        self._reading: asyncio.Task[None] | None = None

    async def open(self) -> None:
        """Connect. Raises Unreachable."""
        try:
            async with asyncio.timeout(CONNECT_S):
                reader, writer = await asyncio.open_connection(self.host, self.port, limit=LINE_MAX)
        except (OSError, TimeoutError) as fault:
            text = f"no PHD2 answers at {self.host}:{self.port}; start it and enable its server (Tools menu)"
            raise Unreachable(text) from fault
        self._writer = writer
        self._reading = asyncio.create_task(self._read(reader))

    async def close(self) -> None:
        """Let go; PHD2 goes on with what it does."""
        self._lose("the connection was closed")
        if self._reading is not None:
            self._reading.cancel()
            await asyncio.wait({self._reading})
        if self._writer is not None:
            self._writer.close()
            with contextlib.suppress(OSError):
                await self._writer.wait_closed()

    async def call(self, method: str, *params: object, deadline_s: float = ANSWER_S) -> Any:
        """The result of a method. Raises CommandRefused (PHD2's own words), DeadlineMissed, Unreachable."""
        if self.lost is not None or self._writer is None:
            raise Unreachable(f"PHD2 at {self.host}:{self.port}: {self.lost or 'not connected'}; connect again")
        self._number += 1
        number = self._number
        answer: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        self._waiting[number] = answer
        line = json.dumps({"method": method, "params": list(params), "id": number}) + "\r\n"
        try:
            async with asyncio.timeout(deadline_s):
                self._writer.write(line.encode())
                await self._writer.drain()
                return await answer
        except TimeoutError as fault:
            raise DeadlineMissed(f"PHD2 gave no answer to {method} within {deadline_s:g} s; restart it") from fault
        except OSError as fault:
            self._lose(f"the connection broke ({fault})")
            raise Unreachable(f"PHD2 at {self.host}:{self.port}: {self.lost}; connect again") from fault
        finally:
            self._waiting.pop(number, None)

    async def _read(self, reader: asyncio.StreamReader) -> None:
        try:
            while line := await reader.readline():
                self._take(line)
        except (OSError, ValueError, BadAnswer) as fault:  # ValueError: a line without end, or no JSON
            self._lose(f"it sent what is no event of PHD2's ({fault})"[:200])
        else:
            self._lose("it closed the connection")

    def _take(self, line: bytes) -> None:
        if not line.strip():
            return
        message = json.loads(line)
        if not isinstance(message, dict):
            raise BadAnswer(f"a {type(message).__name__} instead of an object")
        if "Event" in message:
            self._hear(message)
        else:
            self._answer(message)

    def _answer(self, message: dict[str, Any]) -> None:
        waiting = self._waiting.get(message["id"]) if isinstance(message.get("id"), int) else None
        if waiting is None or waiting.done():
            log.debug("an answer nobody waits for: %s", str(message)[:200])
            return
        error = message.get("error")
        if error is None:
            waiting.set_result(message.get("result"))
            return
        said = error.get("message") if isinstance(error, dict) else error
        waiting.set_exception(CommandRefused(f"PHD2 refused: {said}"))

    def _lose(self, reason: str) -> None:
        self.lost = self.lost or reason
        for waiting in self._waiting.values():
            if not waiting.done():
                waiting.set_exception(Unreachable(f"PHD2 at {self.host}:{self.port}: {self.lost}; connect again"))
