"""Questions to one Alpaca server: HTTP/1.1 that can be given up at any moment.

alpyca asks through `requests`: its time-outs count from one received byte to the next, it downloads images without any,
and one lock of the whole process is held while a question waits, so that an abort queues behind a call that hangs. Here
each question has its own connection and a `Call`, which another thread can cut. See decision 0009.

Everything a server can answer becomes a value or one of `astrod_drivers.errors`:

    nothing, a reset, no route, HTTP 5xx     Unreachable
    HTTP 4xx                                 NotServed: this server knows no such device or member
    HTML, half a body, no JSON, no number    BadAnswer
    ErrorNumber 0x400, 0x40C                 NotOffered: the device cannot do that
    ErrorNumber 0x402                        NotSet: there is no value yet
    ErrorNumber 0x407                        Unreachable: the server has lost its device
    any other ErrorNumber                    CommandRefused to a command, Unreachable to a question
"""

import contextvars
import http.client
import itertools
import json
import os
import select
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar
from urllib.parse import quote, urlencode

from astrod_drivers.errors import BadAnswer, CommandRefused, DriverError, Unreachable
from astrod_drivers.protocols import Clock

T = TypeVar("T")
CONNECT_S = 2.0
IDLE_S = 2.0  # servers drop a silent connection after 5 s or more; ours must never be the older opinion
ANSWER_LIMIT = 1 << 20
NOT_IMPLEMENTED, VALUE_NOT_SET, NOT_CONNECTED, NO_SUCH_ACTION = 0x400, 0x402, 0x407, 0x40C
DRIVER_ERRORS = range(0x400, 0x1000)


class NotOffered(CommandRefused):
    """The device does not implement that member of its interface."""


class NotSet(CommandRefused):
    """The device has no value for that yet."""


class NotServed(BadAnswer):
    """The server knows no such device, or no such member of it (HTTP 4xx)."""


class Call:
    """One question under way. `cut` may be called from any thread: the one that asks fails at once."""

    def __init__(self, limit_s: float) -> None:
        self.limit_s = limit_s
        self._lock = threading.Lock()
        self._sock: socket.socket | None = None
        self._over = False

    def uses(self, sock: socket.socket | None) -> None:
        """The connection that carries the question now. Raises Unreachable when it was cut before."""
        with self._lock:
            self._sock = sock
            if self._over:
                raise Unreachable("the question was given up")

    def cut(self) -> None:
        """Give up: whatever waits on the connection ends."""
        with self._lock:
            self._over = True
            if self._sock is not None:
                _shut(self._sock)


CALL: contextvars.ContextVar[Call] = contextvars.ContextVar("astrod_alpaca_call")
"""The call on whose behalf this thread asks; `asyncio.to_thread` carries it over."""


def _shut(sock: socket.socket) -> None:
    try:
        sock.shutdown(socket.SHUT_RDWR)
    except OSError:
        sock.close()  # it was never connected, or is gone already


class Link:
    """One server. Its methods block, for as long as the current `CALL` allows; use them from worker threads."""

    def __init__(self, host: str, port: int, clock: Clock) -> None:
        self.host = host
        self.port = port
        self._clock = clock
        self._idle: list[tuple[http.client.HTTPConnection, float]] = []
        self._lock = threading.Lock()
        self._client_id = os.getpid() % 65_535 + 1
        self._numbers = itertools.count(1)

    def __str__(self) -> str:
        return f"http://{self.host}:{self.port}"

    def close(self) -> None:
        """Drop the connections that nobody uses."""
        with self._lock:
            idle, self._idle = self._idle, []
        for connection, _ in idle:
            connection.close()

    # -- questions and commands --------------------------------------------------------------------------------

    def get(self, path: str, **query: object) -> Any:
        """The `Value` that a GET answers. See the module's notes for what it raises."""
        return self._ask("GET", path, query, Unreachable)

    def put(self, path: str, **form: object) -> Any:
        """Have the server do something. See the module's notes for what it raises."""
        return self._ask("PUT", path, form, CommandRefused)

    def _ask(self, method: str, path: str, data: dict[str, object], refused: type[DriverError]) -> Any:
        number = next(self._numbers)
        coded = urlencode({**data, "ClientID": self._client_id, "ClientTransactionID": number})
        where = f"{self}{path}"

        def answer(response: http.client.HTTPResponse) -> Any:
            body = response.read(ANSWER_LIMIT + 1)
            check_status(where, response.status, body)
            return _value(where, _answer(where, body), number, refused)

        return self.exchange(method, path, coded, "application/json", answer)

    def exchange(
        self, method: str, path: str, coded: str, accept: str, take: Callable[[http.client.HTTPResponse], T]
    ) -> T:
        """One request; `take` reads the response. Raises Unreachable, BadAnswer, and what `take` raises."""
        target, body = quote(path), None
        headers = {"Accept": accept}
        if method == "PUT":
            body = coded.encode()
            headers["Content-Type"] = "application/x-www-form-urlencoded"
        else:
            target = f"{target}?{coded}"
        with self._connection() as connection, self._honest(path):
            connection.request(method, target, body, headers)
            with connection.getresponse() as response:
                taken = take(response)
                if not response.isclosed():
                    connection.close()  # something is left unread: the next answer would begin with it
            return taken

    @contextmanager
    def _honest(self, path: str) -> Iterator[None]:
        """What can go wrong between two HTTP parties, in our words."""
        try:
            yield
        except http.client.RemoteDisconnected as fault:
            raise Unreachable(f"{self} closed the connection upon {path} without a word; read its log") from fault
        except http.client.IncompleteRead as fault:
            raise BadAnswer(f"{self}{path}: the answer was cut short; is the network good?") from fault
        except TimeoutError as fault:
            raise Unreachable(f"{self} says nothing upon {path}; is it overloaded?") from fault
        except OSError as fault:
            raise Unreachable(f"{self} was lost during {path}: {fault.strerror or fault}") from fault
        except (http.client.HTTPException, ValueError) as fault:
            text = f"{self}{path}: the answer is no HTTP ({type(fault).__name__}); is this an Alpaca server's port?"
            raise BadAnswer(text) from fault

    # -- connections -------------------------------------------------------------------------------------------

    @contextmanager
    def _connection(self) -> Iterator[http.client.HTTPConnection]:
        """A connection for one exchange; it is kept for the next one if all went well."""
        call = CALL.get()
        connection = self._rested() or self._fresh(call)
        try:
            call.uses(connection.sock)
            connection.sock.settimeout(call.limit_s)
            yield connection
            call.uses(None)
        except BaseException:
            connection.close()
            raise
        if connection.sock is not None:
            with self._lock:
                self._idle.append((connection, self._clock.monotonic_s()))

    def _rested(self) -> http.client.HTTPConnection | None:
        """A connection left over from a moment ago, on which the server has said nothing since."""
        while True:
            with self._lock:
                if not self._idle:
                    return None
                connection, since_s = self._idle.pop()
            poll = select.poll()
            poll.register(connection.sock, select.POLLIN)
            if self._clock.monotonic_s() - since_s < IDLE_S and not poll.poll(0):
                return connection
            connection.close()

    def _fresh(self, call: Call) -> http.client.HTTPConnection:
        connection = http.client.HTTPConnection(self.host, self.port, timeout=min(CONNECT_S, call.limit_s))
        try:
            connection.connect()
        except (OSError, UnicodeError) as fault:  # a host name may be one that cannot be encoded
            text = (
                f"no Alpaca server answers at {self.host}:{self.port} ({fault}); is it running, is the address right?"
            )
            raise Unreachable(text) from fault
        return connection


def check_status(where: str, status: int, body: bytes) -> None:
    """Raise what an HTTP status other than 200 means; `body` is quoted."""
    if status == http.client.OK:
        return
    said = " ".join(body[:300].decode("utf-8", "replace").split())[:120]
    if status >= http.client.INTERNAL_SERVER_ERROR:
        raise Unreachable(f"{where}: the server failed ({status}: {said}); read its log, restart it")
    if status >= http.client.BAD_REQUEST:
        raise NotServed(f"{where}: the server knows no such thing ({status}: {said}); check the address")
    raise BadAnswer(f"{where}: unexpected HTTP status {status}; is this an Alpaca server's port?")


def _answer(where: str, body: bytes) -> dict[str, Any]:
    """The answer's fields."""
    if len(body) > ANSWER_LIMIT:
        raise BadAnswer(f"{where}: an answer over {ANSWER_LIMIT} bytes; is this an Alpaca server?")
    try:
        fields = json.loads(body)
    except (ValueError, RecursionError) as fault:
        start = body[:60].decode("utf-8", "replace")
        raise BadAnswer(f"{where}: no JSON but {start!r}; is this an Alpaca server's port?") from fault
    if not isinstance(fields, dict):
        raise BadAnswer(f"{where}: an answer without fields; is this an Alpaca server's port?")
    return fields


def _value(where: str, fields: dict[str, Any], number: int, refused: type[DriverError]) -> Any:
    echoed = fields.get("ClientTransactionID", number)
    if echoed not in (number, 0, None):  # 0 and nothing: servers that do not count
        raise BadAnswer(f"{where}: this answers question {str(echoed)[:20]}, not {number}; is a proxy in between?")
    raise_error(where, fields.get("ErrorNumber", 0), fields.get("ErrorMessage", ""), refused)
    if refused is Unreachable and "Value" not in fields:
        raise BadAnswer(f"{where}: an answer without a Value; update the device's driver")
    return fields.get("Value")


def raise_error(where: str, number: object, said: object, refused: type[DriverError]) -> None:
    """Raise what an ErrorNumber means; 0 means that all is well."""
    if not isinstance(number, int) or isinstance(number, bool) or (number and number not in DRIVER_ERRORS):
        raise BadAnswer(f"{where}: {str(number)[:20]!r} is no Alpaca error number; update the device's driver")
    if number == 0:
        return
    text = f"{where}: {str(said)[:200] or 'no reason given'} (Alpaca error {number:#x})"
    if number in (NOT_IMPLEMENTED, NO_SUCH_ACTION):
        raise NotOffered(text)
    if number == VALUE_NOT_SET:
        raise NotSet(text)
    if number == NOT_CONNECTED:
        raise Unreachable(f"{text}; connect again")
    raise refused(text)
