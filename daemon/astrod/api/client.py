"""A client of the daemon's socket: standard library only, blocking, one request for each connection."""

import json
import socket
from contextlib import suppress
from pathlib import Path
from typing import Any

from astrod.api.schema import SCHEMA, speaks
from astrod.errors import TellOperator

ANSWER_MAX = 64 * 1024 * 1024
TIMEOUT_S = 10.0


class DaemonNotRunning(TellOperator):
    """Nobody listens on the socket. Exit 3."""


class DaemonRefused(TellOperator):
    """The daemon answered with an error; `kind` is one of `schema.ErrorKind`."""

    def __init__(self, kind: str, text: str) -> None:
        super().__init__(text)
        self.kind = kind


def call(path: Path, verb: str, args: dict[str, Any] | None = None, timeout_s: float = TIMEOUT_S) -> dict[str, Any]:
    """The daemon's answer to a verb.

    Raises DaemonNotRunning, DaemonRefused, and TellOperator where a daemon is there but does not answer.
    """
    request = json.dumps({"schema": SCHEMA, "verb": verb, "args": args or {}}).encode() + b"\n"
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as link:
        link.settimeout(timeout_s)
        _connect(link, path)
        try:
            with suppress(BrokenPipeError):  # a daemon that turns us away says why before it hangs up
                link.sendall(request)
            line = _line(link)
        except TimeoutError as fault:
            raise TellOperator(
                f"the daemon at {path} gave no answer in {timeout_s:g} s; see its log (journalctl -u astrod)"
            ) from fault
        except OSError as fault:
            raise DaemonNotRunning(f"the daemon at {path} went away: {fault.strerror}") from fault
    return _answer(path, line)


def _connect(link: socket.socket, path: Path) -> None:
    try:
        link.connect(str(path))
    except (FileNotFoundError, ConnectionRefusedError) as fault:
        raise DaemonNotRunning(
            f"no daemon at {path}; start it with `systemctl start astrod` or `astrod run`, "
            "or name its configuration with --config"
        ) from fault
    except PermissionError as fault:
        raise TellOperator(
            f"no leave to use {path}; join its group (`sudo usermod -aG astrod $USER`, then log in again)"
        ) from fault
    except OSError as fault:
        raise TellOperator(f"{path} cannot be reached: {fault}") from fault


def _line(link: socket.socket) -> bytes:
    """One line; empty where the daemon hung up first."""
    chunks: list[bytes] = []
    size = 0
    while size <= ANSWER_MAX:
        chunk = link.recv(65_536)
        if not chunk:
            break
        chunks.append(chunk)
        size += len(chunk)
        if chunk.endswith(b"\n"):
            return b"".join(chunks)
    return b""


def _answer(path: Path, line: bytes) -> dict[str, Any]:
    if not line:
        raise DaemonNotRunning(f"the daemon at {path} hung up before it answered; is it stopping?")
    try:
        answer = json.loads(line)
    except ValueError as fault:
        raise TellOperator(f"what listens at {path} is no astrod") from fault
    if not isinstance(answer, dict) or not speaks(answer.get("schema")):
        raise TellOperator(f"the daemon at {path} is of another version; after an upgrade, `systemctl restart astrod`")
    error = answer.get("error")
    if isinstance(error, dict):
        raise DaemonRefused(str(error.get("kind", "failed")), str(error.get("text", "no reason given")))
    ok = answer.get("ok")
    return ok if isinstance(ok, dict) else {}
