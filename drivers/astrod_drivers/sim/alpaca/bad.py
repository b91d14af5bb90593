"""A server that misbehaves, as real ones do: a plan of misbehaviours, each for some requests and a number of times."""

import asyncio
from collections.abc import Awaitable, Callable, MutableMapping
from dataclasses import dataclass
from typing import Any

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[MutableMapping[str, Any], Receive, Send], Awaitable[None]]

KINDS = {
    "html": "a page instead of an answer, as a router's login does",
    "error500": "HTTP 500",
    "hang": "no answer, ever",
    "drip": "an answer that never ends, a byte at a time",
    "cut": "half of the answer, then the connection is closed",
    "wrong_size": "the answer with its end missing, and a length that agrees",
    "nan": "NaN for a value",
    "huge": "1e308 for a value",
    "text": "a text for a value",
    "no_value": "an answer without a value",
    "bad_error": "an error number that is none",
    "driver_error": "error 0x500, the driver's own",
    "disconnected": "error 0x407, not connected",
    "other_answer": "the answer to another client's question",
}
_VALUES = {"nan": b"NaN", "huge": b"1e308", "text": b'"surprise"'}
_ENVELOPES = {
    "no_value": b'{"ErrorNumber": 0, "ErrorMessage": ""}',
    "bad_error": b'{"Value": 1, "ErrorNumber": "none", "ErrorMessage": 7}',
    "driver_error": b'{"ErrorNumber": 1280, "ErrorMessage": "serial port timed out"}',
    "disconnected": b'{"ErrorNumber": 1031, "ErrorMessage": "not connected"}',
    "other_answer": b'{"Value": 1, "ErrorNumber": 0, "ErrorMessage": "", "ClientTransactionID": 2000000000}',
}


@dataclass(slots=True)
class Misbehaviour:
    """One of KINDS, for requests whose path ends with `path` ("" is all), `times` times (-1: until told otherwise)."""

    kind: str
    path: str = ""
    times: int = -1

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise ValueError(f"{self.kind!r} is none of {', '.join(KINDS)}")


class Misbehaving:
    """An ASGI application in front of another."""

    def __init__(self, app: App) -> None:
        self._app = app
        self.plan: list[Misbehaviour] = []

    def concerns(self, path: str) -> bool:
        """Whether something is planned for just those requests."""
        return any(one.times and one.path and path.endswith(one.path) for one in self.plan)

    async def __call__(self, scope: MutableMapping[str, Any], receive: Receive, send: Send) -> None:
        due = self._due(scope["path"]) if scope["type"] == "http" else None
        if due is None:
            await self._app(scope, receive, send)
        elif due.kind == "hang":
            await _until_gone(receive)
        elif due.kind == "drip":
            await _drip(receive, send)
        elif due.kind in ("cut", "wrong_size"):
            await self._shorten(scope, receive, send, honest=due.kind == "wrong_size")
        else:
            await _reply(send, *_canned(due.kind))

    def _due(self, path: str) -> Misbehaviour | None:
        if path.startswith("/simulator/"):
            return None
        for one in self.plan:
            if one.times and path.endswith(one.path):
                one.times -= one.times > 0
                return one
        return None

    async def _shorten(self, scope: MutableMapping[str, Any], receive: Receive, send: Send, honest: bool) -> None:
        """Half of what the application answers; `honest` says so in the length."""
        head: Message = {}
        body = b""

        async def collect(message: Message) -> None:
            nonlocal body
            if message["type"] == "http.response.start":
                head.update(message)
            else:
                body += message.get("body", b"")

        await self._app(scope, receive, collect)
        half = body[: len(body) // 2]
        if honest:
            head["headers"] = [pair for pair in head["headers"] if pair[0] != b"content-length"]
            head["headers"].append((b"content-length", str(len(half)).encode()))
        await send(head)
        # without the rest, uvicorn closes the connection
        await send({"type": "http.response.body", "body": half, "more_body": not honest})


def _canned(kind: str) -> tuple[int, bytes, bytes]:
    """Status, content type and body."""
    if kind == "html":
        return 200, b"text/html", b"<!DOCTYPE html><html><body>Please log in</body></html>"
    if kind == "error500":
        return 500, b"text/plain", b"Traceback (most recent call last): ..."
    if kind in _VALUES:
        return 200, b"application/json", b'{"Value": %s, "ErrorNumber": 0, "ErrorMessage": ""}' % _VALUES[kind]
    return 200, b"application/json", _ENVELOPES[kind]


async def _reply(send: Send, status: int, media: bytes, body: bytes) -> None:
    headers = [(b"content-type", media), (b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})


async def _until_gone(receive: Receive) -> None:
    """Wait until the client hangs up."""
    while (await receive())["type"] != "http.disconnect":
        continue


async def _drip(receive: Receive, send: Send) -> None:
    """A byte ten times a second, until the client hangs up."""
    headers = [(b"content-type", b"application/json"), (b"content-length", b"1000000")]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    gone = asyncio.create_task(_until_gone(receive))
    while not gone.done():
        await send({"type": "http.response.body", "body": b" ", "more_body": True})
        await asyncio.wait([gone], timeout=0.1)
