"""How a device is reached in another process: JSON lines over a Unix stream socket.

    -> {"id": 7, "device": "mount", "method": "slew", "args": {"ra_deg": 10.5, "dec_deg": 41.2, …}}
    <- {"id": 7, "ok": null}
    <- {"id": 7, "error": {"kind": "PermitRefused", "text": "…"}}

Calls run side by side, so that a long `fetch` never holds up an `abort`. Only what the protocol of the
device's kind declares can be called. A value crosses in the shape that the protocol's types give it and in no
other: `decode` raises BadAnswer at the first wrong shape. Nothing a client sends can stop a server.
"""

import asyncio
import dataclasses
import inspect
import json
import logging
import math
import socket
import types
import typing
from collections.abc import Callable, Mapping
from datetime import date
from functools import cache
from pathlib import Path
from typing import Any, Literal, TypeVar

from astrod_drivers.errors import BY_NAME, BadAnswer, CommandRefused, DeadlineMissed, DriverError, Unreachable
from astrod_drivers.protocols import KINDS

T = TypeVar("T")
LINE_LIMIT = 1 << 18
CALLS_LIMIT = 64
log = logging.getLogger(__name__)


# -- the codec -----------------------------------------------------------------------------------------------


def encode(value: object) -> Any:
    """The JSON form of a value of the protocols. Raises BadAnswer for one that has none."""
    match value:
        case None | bool() | int() | str():
            return value
        case float() if math.isfinite(value):
            return value
        case Path():
            return str(value)
        case date():
            return value.isoformat()
        case list() | tuple():
            return [encode(item) for item in value]
        case dict():
            return {str(key): encode(item) for key, item in value.items()}
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {part.name: encode(getattr(value, part.name)) for part in dataclasses.fields(value)}
    raise BadAnswer(f"{value!r} cannot be sent to another process; a driver must answer finite plain values")


def decode(hint: type[T], value: object, where: str = "answer") -> T:
    """The value of type `hint` that `value` stands for. Raises BadAnswer, naming the place that is wrong."""
    return typing.cast(T, _decode(hint, value, where))


def _decode(hint: Any, value: object, where: str) -> Any:
    origin = typing.get_origin(hint)
    if origin in (typing.Union, types.UnionType):
        return _decode_union(hint, value, where)
    if origin is Literal:
        return _expect(value in typing.get_args(hint) and isinstance(value, str), hint, value, where)
    if origin is tuple:
        _expect(isinstance(value, list), hint, value, where)
        item_hint = typing.get_args(hint)[0]
        return tuple(_decode(item_hint, item, f"{where}[{i}]") for i, item in enumerate(_items(value)))
    if origin is dict:
        item_hint = typing.get_args(hint)[1]
        return {key: _decode(item_hint, item, f"{where}.{key}") for key, item in _fields(value, where).items()}
    if dataclasses.is_dataclass(hint):
        return _decode_dataclass(hint, value, where)
    return _decode_plain(hint, value, where)


def _expect(right: bool, hint: Any, value: object, where: str) -> Any:
    if not right:
        name = getattr(hint, "__name__", str(hint))
        raise BadAnswer(f"{where} should be {name} but is {str(value)[:80]!r}; the two sides differ in version?")
    return value


def _items(value: object) -> list[object]:
    return value if isinstance(value, list) else []


def _fields(value: object, where: str) -> dict[str, object]:
    _expect(isinstance(value, dict), dict, value, where)
    return value if isinstance(value, dict) else {}


def _decode_union(hint: Any, value: object, where: str) -> Any:
    """Our unions are all `X | None`."""
    if value is None:
        return _expect(type(None) in typing.get_args(hint), hint, value, where)
    (only,) = (member for member in typing.get_args(hint) if member is not type(None))
    return _decode(only, value, where)


def _decode_dataclass(hint: Any, value: object, where: str) -> Any:
    given = _fields(value, where)
    hints = _hints(hint)
    for name in given.keys() - hints.keys():
        raise BadAnswer(f"{where} has an unknown field {name[:80]!r}; the two sides differ in version?")
    arguments = {name: _decode(hints[name], item, f"{where}.{name}") for name, item in given.items()}
    try:
        return hint(**arguments)
    except (TypeError, ValueError) as fault:
        raise BadAnswer(f"{where} is no {hint.__name__}: {fault}") from fault


def _decode_plain(hint: Any, value: object, where: str) -> Any:
    if hint is None or hint is type(None):
        return _expect(value is None, type(None), value, where)
    if hint is float:
        number = isinstance(value, int | float) and not isinstance(value, bool)
        _expect(number and math.isfinite(typing.cast(float, value)), hint, value, where)
        return float(typing.cast(float, value))
    if hint is int:
        return _expect(isinstance(value, int) and not isinstance(value, bool), hint, value, where)
    if hint is Path:
        return Path(_expect(isinstance(value, str), hint, value, where))
    if hint is date:
        return _date(_expect(isinstance(value, str), hint, value, where), where)
    if hint in (str, bool):
        return _expect(isinstance(value, hint), hint, value, where)
    raise BadAnswer(f"{where} has a type that does not travel: {hint!r}")


def _date(text: str, where: str) -> date:
    try:
        return date.fromisoformat(text)
    except ValueError as fault:
        raise BadAnswer(f"{where} is no date: {text[:40]!r}") from fault


@cache
def _hints(of: Any) -> dict[str, Any]:
    return typing.get_type_hints(of)


def _protocol(kind: str | type) -> type:
    return KINDS[kind] if isinstance(kind, str) else kind


@cache
def _signature(kind: str | type, method: str) -> inspect.Signature | None:
    """The declared method of that kind of device, or None where the protocol has none of that name."""
    if method.startswith("_"):
        return None
    declared = getattr(_protocol(kind), method, None)
    return inspect.signature(declared) if inspect.iscoroutinefunction(declared) else None


@cache
def returns(kind: str, method: str) -> Any:
    """The declared type of that method's answer."""
    return _hints(getattr(KINDS[kind], method))["return"]


def _arguments(kind: str | type, method: str, given: Mapping[str, object]) -> dict[str, Any]:
    """Typed arguments for that method. Raises CommandRefused; nothing has happened then."""
    signature = _signature(kind, method)
    if signature is None:
        raise CommandRefused(f"a {kind} has no method {method[:80]!r}; see astrod_drivers.protocols")
    hints = _hints(getattr(_protocol(kind), method))
    names = [name for name in signature.parameters if name != "self"]
    if sorted(given) != sorted(names):
        raise CommandRefused(f"{kind}.{method} takes {names}, not {sorted(given)}; nothing was done")
    try:
        return {name: _decode(hints[name], given[name], name) for name in names}
    except BadAnswer as fault:
        raise CommandRefused(f"{kind}.{method}: {fault}") from fault


# -- the server ----------------------------------------------------------------------------------------------


@dataclasses.dataclass(frozen=True, slots=True)
class Offer:
    """What a server offers: its kind (a key of `protocols.KINDS`, or a protocol of its own) and the object."""

    kind: str | type
    device: object


def _line(message: Mapping[str, object]) -> bytes:
    return json.dumps(message, allow_nan=False, separators=(",", ":")).encode() + b"\n"


def _error(number: object, fault: DriverError) -> dict[str, object]:
    kind = next(cls.__name__ for cls in type(fault).__mro__ if cls.__name__ in BY_NAME)
    return {"id": number, "error": {"kind": kind, "text": str(fault)}}


def _bound(path: Path) -> socket.socket:
    """A Unix socket at `path` that only its owner may connect to."""
    path.unlink(missing_ok=True)
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    sock.bind(str(path))
    path.chmod(0o600)
    return sock


def _understood(line: bytes) -> dict[str, Any]:
    """A request with its fields in place. Raises CommandRefused for anything else."""
    try:
        request = json.loads(line)
    except (ValueError, RecursionError) as fault:
        raise CommandRefused(f"not a line of JSON: {line[:80]!r}") from fault
    if not isinstance(request, dict):
        raise CommandRefused("a request is an object with id, device, method, args")
    shapes = {"id": int, "device": str, "method": str, "args": dict}
    wrong = [name for name, shape in shapes.items() if not isinstance(request.get(name), shape)]
    if wrong:
        raise CommandRefused(f"a request needs id, device, method, args; wrong here: {', '.join(wrong)}")
    return request


class Server:
    """Serves devices by name to any number of clients.

    A client's calls are dropped when it goes. A call that ends in anything but a DriverError is answered
    with DriverError and logged with its traceback: that is a driver's fault, never the caller's.
    """

    def __init__(self, offers: Mapping[str, Offer] | Callable[[], Mapping[str, Offer]]) -> None:
        """`offers` for all clients, or a function that makes each client's own."""
        self._offers: Callable[[], Mapping[str, Offer]] = offers if callable(offers) else lambda: offers
        self._listener: asyncio.Server | None = None
        self._clients: set[asyncio.Task[None]] = set()

    @property
    def clients(self) -> int:
        """How many clients are connected now."""
        return len(self._clients)

    async def listen(self, path: Path) -> None:
        """Accept clients at a Unix socket until `close`. A stale socket file there is replaced."""
        sock = _bound(path)
        self._listener = await asyncio.start_unix_server(self._accepted, sock=sock, limit=LINE_LIMIT)

    async def close(self) -> None:
        """Stop listening and drop all clients."""
        if self._listener is not None:
            self._listener.close()
        for task in tuple(self._clients):
            task.cancel()
        await asyncio.gather(*self._clients, return_exceptions=True)
        if self._listener is not None:
            await self._listener.wait_closed()
            self._listener = None

    async def attend_socket(self, sock: socket.socket) -> None:
        """Serve one connected socket until its peer goes."""
        reader, writer = await asyncio.open_unix_connection(sock=sock, limit=LINE_LIMIT)
        await self.attend(reader, writer)

    async def _accepted(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None, "asyncio runs this in a task"
        self._clients.add(task)
        try:
            await self.attend(reader, writer)
        except asyncio.CancelledError:
            log.debug("client dropped: the server closes")
        finally:
            self._clients.discard(task)

    async def attend(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Serve one client until it goes, or sends a line longer than LINE_LIMIT."""
        calls: set[asyncio.Task[None]] = set()
        offers = self._offers()
        try:
            while line := await reader.readline():
                if not line.endswith(b"\n"):
                    break  # half a request: its sender is gone
                self._begin(line, offers, writer, calls)
                await writer.drain()
        except ValueError:
            writer.write(_line(_error(None, CommandRefused(f"a line over {LINE_LIMIT} bytes; closing"))))
        except ConnectionError as fault:
            log.debug("client lost: %s", fault)
        finally:
            for call in calls:
                call.cancel()
            writer.close()

    def _begin(
        self,
        line: bytes,
        offers: Mapping[str, Offer],
        writer: asyncio.StreamWriter,
        calls: set[asyncio.Task[None]],
    ) -> None:
        try:
            request = _understood(line)
        except CommandRefused as fault:
            writer.write(_line(_error(None, fault)))
            return
        if len(calls) >= CALLS_LIMIT:
            busy = CommandRefused(f"{CALLS_LIMIT} calls are under way already; wait for their answers")
            writer.write(_line(_error(request["id"], busy)))
            return
        call = asyncio.create_task(self._answer(request, offers, writer))
        calls.add(call)
        call.add_done_callback(calls.discard)

    async def _answer(self, request: dict[str, Any], offers: Mapping[str, Offer], writer: asyncio.StreamWriter) -> None:
        try:
            answer: dict[str, object] = {"id": request["id"], "ok": encode(await self._carry_out(request, offers))}
        except DriverError as fault:
            answer = _error(request["id"], fault)
        except Exception as fault:  # whatever a driver's bug raises, its caller must hear of it
            log.exception("%s.%s failed", request["device"], request["method"])
            text = f"{request['device']}.{request['method']}: {type(fault).__name__}: {fault}"
            answer = _error(request["id"], DriverError(text))
        if not writer.is_closing():
            writer.write(_line(answer))

    async def _carry_out(self, request: dict[str, Any], offers: Mapping[str, Offer]) -> object:
        offer = offers.get(request["device"])
        if offer is None:
            there = ", ".join(offers)
            raise CommandRefused(f"no device {request['device'][:80]!r} is served here; there are: {there}")
        arguments = _arguments(offer.kind, request["method"], request["args"])
        return await getattr(offer.device, request["method"])(**arguments)


# -- the client ----------------------------------------------------------------------------------------------


class Connection:
    """The client's end. A lost peer fails every pending call with Unreachable at once."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._writer = writer
        self._pending: dict[int, asyncio.Future[Any]] = {}
        self._next = 0
        self._lost: str | None = None
        self._listening = asyncio.create_task(self._listen(reader))

    @classmethod
    async def open_path(cls, path: Path) -> "Connection":
        """Connect to a server's Unix socket. Raises Unreachable."""
        try:
            reader, writer = await asyncio.open_unix_connection(path, limit=LINE_LIMIT)
        except OSError as fault:
            raise Unreachable(f"nobody answers at {path}: {fault}; is the simulated observatory up?") from fault
        return cls(reader, writer)

    @classmethod
    async def open_socket(cls, sock: socket.socket) -> "Connection":
        """Take over a connected socket."""
        return cls(*await asyncio.open_unix_connection(sock=sock, limit=LINE_LIMIT))

    @property
    def alive(self) -> bool:
        """False once the peer is gone."""
        return self._lost is None

    async def call(self, device: str, method: str, args: Mapping[str, object], deadline_s: float) -> Any:
        """The answer, undecoded (see `decode`). Raises the driver's error, Unreachable or DeadlineMissed."""
        if self._lost is not None:
            raise Unreachable(self._lost)
        self._next += 1
        number = self._next
        request = {"id": number, "device": device, "method": method, "args": encode(dict(args))}
        answer = self._pending[number] = asyncio.get_running_loop().create_future()
        try:
            self._writer.write(_line(request))
            async with asyncio.timeout(deadline_s):
                return await answer
        except TimeoutError as fault:
            text = f"{device}.{method} gave no answer within {deadline_s:g} s; read back what it did"
            raise DeadlineMissed(text) from fault
        finally:
            self._pending.pop(number, None)

    async def close(self) -> None:
        """Let go of the peer; pending calls end with Unreachable."""
        self._listening.cancel()
        await asyncio.gather(self._listening, return_exceptions=True)
        self._fail("the connection was closed")
        self._writer.close()

    async def _listen(self, reader: asyncio.StreamReader) -> None:
        reason = "the process behind the device is gone; restart its session"
        try:
            while line := await reader.readline():
                self._settle(line)
        except (ConnectionError, ValueError, BadAnswer) as fault:
            reason = f"{reason} ({fault})"
        finally:
            self._fail(reason)
            self._writer.close()

    def _fail(self, reason: str) -> None:
        self._lost = self._lost or reason
        for answer in self._pending.values():
            if not answer.done():
                answer.set_exception(Unreachable(self._lost))

    def _settle(self, line: bytes) -> None:
        """Give an answer to whoever waits for it; late ones find nobody and are dropped."""
        try:
            message = json.loads(line)
            number = message["id"]
        except (ValueError, TypeError, KeyError, RecursionError) as fault:
            raise BadAnswer(f"not an answer: {line[:80]!r}") from fault
        answer = self._pending.get(number) if isinstance(number, int) else None
        if answer is None or answer.done():
            return
        if "ok" in message:
            answer.set_result(message["ok"])
        else:
            answer.set_exception(_fault(message.get("error")))


def _fault(error: object) -> DriverError:
    if not isinstance(error, dict):
        return BadAnswer(f"an answer without ok and error: {error!r}")
    return BY_NAME.get(str(error.get("kind")), DriverError)(str(error.get("text")))
