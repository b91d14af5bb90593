"""The daemon's end of the socket.

Nothing a client does reaches the daemon but a well-formed request, and no client can make it wait: requests
have a longest line, connections a greatest number, and each read, each handler and each write its deadline.
"""

import asyncio
import fcntl
import json
import logging
import os
import socket
import stat
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from astrod.api.schema import LINE_MAX, SCHEMA, Error, ErrorKind, speaks
from astrod.errors import AstrodError, Bug, TellOperator

Handler = Callable[[dict[str, Any]], Awaitable[Mapping[str, Any]]]
"""Takes the request's args, gives the answer. An AstrodError becomes an error answer with its text."""

CLIENTS_MAX = 16
IDLE_S = 30.0
ANSWER_S = 30.0
WRITE_S = 5.0

_log = logging.getLogger(__name__)


class ApiServer:
    """Serves `handlers`, by verb, on the Unix socket at `path`, for owner and group (mode 0660).

    `start` takes over the socket of a daemon that died, and raises TellOperator where one lives. One daemon
    holds `path` with `.lock` added for as long as it serves.
    """

    def __init__(
        self,
        path: Path,
        handlers: Mapping[str, Handler],
        *,
        clients_max: int = CLIENTS_MAX,
        idle_s: float = IDLE_S,
        answer_s: float = ANSWER_S,
        write_s: float = WRITE_S,
    ) -> None:
        self.path = path
        self._handlers = dict(handlers)
        self._clients_max = clients_max
        self._idle_s, self._answer_s, self._write_s = idle_s, answer_s, write_s
        self._server: asyncio.Server | None = None
        self._lock: int | None = None
        self._clients: set[asyncio.Task[None]] = set()

    async def start(self) -> None:
        """Listen. Raises TellOperator."""
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            self._lock = _locked(self.path.with_name(self.path.name + ".lock"))
            link = _bound(self.path)
        except OSError as fault:
            self._unlock()
            raise TellOperator(f"cannot listen on {self.path}: {fault.strerror}; see [daemon] run_dir") from fault
        except TellOperator:
            self._unlock()
            raise
        self._server = await asyncio.start_unix_server(self._connected, sock=link, limit=LINE_MAX)

    async def stop(self) -> None:
        """Hang up on every client and take the socket away. Harmless where nothing was started."""
        if self._server is None:
            return
        self._server.close()
        for client in tuple(self._clients):
            client.cancel()
        await asyncio.gather(*self._clients, return_exceptions=True)
        self.path.unlink(missing_ok=True)
        self._server = None
        self._unlock()

    def _unlock(self) -> None:
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None, "asyncio runs this in a task"
        self._clients.add(task)
        try:
            await self._serve(reader, writer)
        except (OSError, TimeoutError):
            _log.debug("a client of %s went away or was too slow", self.path)
        except asyncio.CancelledError:
            # Only `stop` cancels, and it waits for the end; asyncio's streams would log a cancelled handler.
            _log.debug("hung up on a client of %s", self.path)
        finally:
            self._clients.discard(task)
            writer.transport.abort()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if len(self._clients) > self._clients_max:
            await self._write(writer, _error("busy", f"{self._clients_max} clients are served already; try again"))
            return
        while True:
            try:
                async with asyncio.timeout(self._idle_s):
                    line = await reader.readuntil()
            except asyncio.IncompleteReadError:
                return
            except asyncio.LimitOverrunError:
                await self._write(writer, _error("bad_request", f"a request has {LINE_MAX} bytes at most"))
                return
            await self._write(writer, await self._answered(line))

    async def _write(self, writer: asyncio.StreamWriter, answer: bytes) -> None:
        # `drain` then waits until all is written: a client that does not read its answer loses its line.
        writer.transport.set_write_buffer_limits(high=0)
        writer.write(answer)
        async with asyncio.timeout(self._write_s):
            await writer.drain()

    async def _answered(self, line: bytes) -> bytes:
        try:
            request = json.loads(line)
        except (ValueError, RecursionError):
            return _error("bad_request", "a request is one line of JSON")
        if not isinstance(request, dict):
            return _error("bad_request", 'a request is an object: {"schema": 1, "verb": "status", "args": {}}')
        verb, args = request.get("verb"), request.get("args", {})
        if not speaks(request.get("schema")):
            return _error("schema", f"this daemon speaks schema {SCHEMA}; use the astrod that it was installed with")
        if not isinstance(verb, str) or not isinstance(args, dict):
            return _error("bad_request", "verb is a text, args an object")
        if verb not in self._handlers:
            return _error("unknown_verb", f"no verb {verb[:40]!r}; there is {', '.join(sorted(self._handlers))}")
        return await self._handled(verb, args)

    async def _handled(self, verb: str, args: dict[str, Any]) -> bytes:
        try:
            async with asyncio.timeout(self._answer_s):
                answer = await self._handlers[verb](args)
            return _encoded({"schema": SCHEMA, "ok": dict(answer)})
        except TimeoutError:
            return _error("failed", f"{verb} took longer than {self._answer_s:g} s; its outcome is not known")
        except Bug as fault:
            _log.exception("handler of %s", verb)
            return _error("bug", str(fault))
        except TellOperator as fault:
            return _error("refused", str(fault))
        except AstrodError as fault:
            return _error("failed", str(fault))
        except Exception as fault:  # noqa: BLE001  a handler's fault must not end the daemon; it is logged whole
            _log.exception("handler of %s", verb)
            return _error("bug", f"{verb} failed inside astrod ({type(fault).__name__}); see the log and report it")


def _encoded(answer: Mapping[str, Any]) -> bytes:
    """An answer as its line. Raises ValueError or TypeError for what JSON cannot say."""
    return json.dumps(answer, ensure_ascii=False, allow_nan=False).encode() + b"\n"


def _error(kind: ErrorKind, text: str) -> bytes:
    return _encoded({"schema": SCHEMA, "error": Error(kind=kind, text=text)})


def _locked(path: Path) -> int:
    """A lock that dies with the process. Raises TellOperator where another holds it."""
    handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as fault:
        os.close(handle)
        raise TellOperator(f"another astrod runs here already ({path} is held); stop it first") from fault
    return handle


def _bound(path: Path) -> socket.socket:
    """A socket bound at `path`, in place of a dead one. Nobody can connect before its mode is set."""
    _clear(path)
    link = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        link.bind(str(path))
        path.chmod(0o660)
    except OSError:
        link.close()
        raise
    return link


def _clear(path: Path) -> None:
    """Take away a socket that nobody listens on. Raises TellOperator for anything else that is there."""
    with suppress(FileNotFoundError):
        if not stat.S_ISSOCK(path.lstat().st_mode):
            raise TellOperator(f"{path} is there and is no socket; move it away, or change [daemon] run_dir")
        if _alive(path):
            raise TellOperator(f"something listens on {path} already; stop it first")
        path.unlink()


def _alive(path: Path) -> bool:
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.settimeout(1.0)
        try:
            probe.connect(str(path))
        except ConnectionRefusedError:
            return False
        except TimeoutError:
            return True  # its queue is full: somebody is there, and hangs
    return True
