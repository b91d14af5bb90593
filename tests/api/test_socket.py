"""Server and client over a real socket."""

import asyncio
import json
import socket
import stat
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from astrod.api.client import DaemonNotRunning, DaemonRefused, call
from astrod.api.schema import LINE_MAX, SCHEMA
from astrod.api.server import ApiServer
from astrod.errors import Bug, Replan, TellOperator

HUGE = 8_000_000


async def echo(args: dict[str, Any]) -> dict[str, Any]:
    return {"said": args}


async def huge(args: dict[str, Any]) -> dict[str, Any]:
    return {"text": "x" * HUGE}


async def hang(args: dict[str, Any]) -> dict[str, Any]:
    await asyncio.Event().wait()
    return {}


async def refuse(args: dict[str, Any]) -> dict[str, Any]:
    raise TellOperator("the roof is not there; see its cable")


async def fail(args: dict[str, Any]) -> dict[str, Any]:
    raise Replan("not now")


async def bug(args: dict[str, Any]) -> dict[str, Any]:
    raise Bug("two exposures at once")


async def blunder(args: dict[str, Any]) -> dict[str, Any]:
    return {"quotient": 1 // len(args)}


async def not_json(args: dict[str, Any]) -> dict[str, Any]:
    return {"when": float("nan")}


HANDLERS = {
    "echo": echo,
    "huge": huge,
    "hang": hang,
    "refuse": refuse,
    "fail": fail,
    "bug": bug,
    "blunder": blunder,
    "not_json": not_json,
}


@pytest_asyncio.fixture
async def server(tmp_path: Path) -> AsyncIterator[ApiServer]:
    made = ApiServer(tmp_path / "run" / "astrod.sock", HANDLERS, clients_max=3, idle_s=5.0, answer_s=0.3, write_s=0.5)
    await made.start()
    yield made
    await made.stop()


async def ask(server: ApiServer, verb: str, **args: Any) -> dict[str, Any]:
    return await asyncio.to_thread(call, server.path, verb, args)


async def raw(server: ApiServer, line: bytes) -> dict[str, Any]:
    """What the server says to a line that no client of ours would send."""
    reader, writer = await asyncio.open_unix_connection(server.path, limit=HUGE * 2)
    writer.write(line)
    answer = json.loads(await reader.readline())
    writer.close()
    assert answer["schema"] == SCHEMA
    return dict(answer)


async def test_a_verb_is_answered(server: ApiServer) -> None:
    assert await ask(server, "echo", night="2026-12-14", n=3) == {"said": {"night": "2026-12-14", "n": 3}}


async def test_a_big_answer_arrives_whole(server: ApiServer) -> None:
    assert len((await ask(server, "huge"))["text"]) == HUGE


async def test_several_requests_on_one_connection(server: ApiServer) -> None:
    reader, writer = await asyncio.open_unix_connection(server.path)
    for n in range(3):
        writer.write(json.dumps({"schema": SCHEMA, "verb": "echo", "args": {"n": n}}).encode() + b"\n")
        assert json.loads(await reader.readline())["ok"] == {"said": {"n": n}}
    writer.close()


@pytest.mark.parametrize(
    ("verb", "kind", "text"),
    [
        ("refuse", "refused", "the roof is not there; see its cable"),
        ("fail", "failed", "not now"),
        ("bug", "bug", "two exposures at once"),
        ("blunder", "bug", r"ZeroDivisionError"),
        ("not_json", "bug", "ValueError"),
        ("hang", "failed", "its outcome is not known"),
        ("dance", "unknown_verb", "no verb 'dance'; there is blunder, bug, echo"),
    ],
)
async def test_what_a_handler_cannot_do_is_an_error_answer(server: ApiServer, verb: str, kind: str, text: str) -> None:
    with pytest.raises(DaemonRefused, match=text) as caught:
        await ask(server, verb)
    assert caught.value.kind == kind
    assert await ask(server, "echo") == {"said": {}}


@pytest.mark.parametrize(
    ("line", "kind"),
    [
        (b"hello\n", "bad_request"),
        (b"\xff\xfe\n", "bad_request"),
        (b"[" * 50_000 + b"\n", "bad_request"),
        (b"[1]\n", "bad_request"),
        (b'{"schema": 1}\n', "bad_request"),
        (b'{"schema": 1, "verb": "echo", "args": [1]}\n', "bad_request"),
        (b'{"schema": 1, "verb": ["echo"]}\n', "bad_request"),
        (b'{"verb": "echo"}\n', "schema"),
        (b'{"schema": 99, "verb": "echo"}\n', "schema"),
        (b"x" * (LINE_MAX + 10) + b"\n", "bad_request"),
    ],
)
async def test_a_bad_request_gets_an_error_answer(server: ApiServer, line: bytes, kind: str) -> None:
    assert (await raw(server, line))["error"]["kind"] == kind
    assert await ask(server, "echo") == {"said": {}}


@pytest.mark.parametrize("schema", [SCHEMA - 1, SCHEMA + 1])
async def test_a_request_of_the_next_version_is_answered(server: ApiServer, schema: int) -> None:
    request = {"schema": schema, "verb": "echo", "args": {"new": 1}, "trace": "abc"}
    assert (await raw(server, json.dumps(request).encode() + b"\n"))["ok"] == {"said": {"new": 1}}


async def test_half_a_line_and_goodbye_harm_nobody(server: ApiServer) -> None:
    _, writer = await asyncio.open_unix_connection(server.path)
    writer.write(b'{"schema": 1, "ver')
    await writer.drain()
    writer.close()
    assert await ask(server, "echo") == {"said": {}}


async def test_a_client_that_does_not_read_is_dropped_and_delays_nobody(server: ApiServer) -> None:
    loop = asyncio.get_running_loop()
    reader, writer = await asyncio.open_unix_connection(server.path, limit=1024)
    writer.write(b'{"schema": 1, "verb": "huge"}\n')
    await writer.drain()
    began = loop.time()
    assert await ask(server, "echo") == {"said": {}}
    assert loop.time() - began < 0.4
    await asyncio.sleep(1.0)
    got = await reader.read(-1)
    assert len(got) < HUGE
    writer.close()


async def test_more_clients_than_allowed_are_told(server: ApiServer) -> None:
    idle = [await asyncio.open_unix_connection(server.path) for _ in range(3)]
    with pytest.raises(DaemonRefused, match="3 clients are served already") as caught:
        await ask(server, "echo")
    assert caught.value.kind == "busy"
    for _, writer in idle:
        writer.close()
    await asyncio.sleep(0.1)
    assert await ask(server, "echo") == {"said": {}}


async def test_an_idle_client_is_hung_up_on(tmp_path: Path) -> None:
    server = ApiServer(tmp_path / "s", HANDLERS, idle_s=0.1)
    await server.start()
    reader, writer = await asyncio.open_unix_connection(server.path)
    assert await asyncio.wait_for(reader.read(), 2.0) == b""
    writer.close()
    await server.stop()


async def test_owner_and_group_may_speak_nobody_else(server: ApiServer) -> None:
    assert stat.S_IMODE(server.path.stat().st_mode) == 0o660


async def test_a_dead_daemons_socket_is_taken_over(tmp_path: Path) -> None:
    path = tmp_path / "astrod.sock"
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(path))
    server = ApiServer(path, HANDLERS)
    await server.start()
    assert await ask(server, "echo") == {"said": {}}
    await server.stop()
    assert not path.exists()


async def test_a_living_daemon_is_not_pushed_aside(server: ApiServer) -> None:
    with pytest.raises(TellOperator, match="another astrod runs here already"):
        await ApiServer(server.path, HANDLERS).start()
    assert await ask(server, "echo") == {"said": {}}


async def test_whatever_else_listens_there_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "astrod.sock"
    with socket.socket(socket.AF_UNIX) as other:
        other.bind(str(path))
        other.listen()
        with pytest.raises(TellOperator, match="something listens on"):
            await ApiServer(path, HANDLERS).start()
    path.unlink()
    path.write_text("a file")
    with pytest.raises(TellOperator, match="is no socket"):
        await ApiServer(path, HANDLERS).start()
    assert path.read_text() == "a file"


async def test_a_folder_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "run").write_text("a file")
    with pytest.raises(TellOperator, match=r"cannot listen on .*; see \[daemon\] run_dir"):
        await ApiServer(tmp_path / "run" / "astrod.sock", HANDLERS).start()


async def test_stop_hangs_up_on_everyone(tmp_path: Path) -> None:
    server = ApiServer(tmp_path / "s", HANDLERS, answer_s=30.0)
    await server.start()
    waiting = asyncio.create_task(ask(server, "hang"))
    await asyncio.sleep(0.1)
    await server.stop()
    with pytest.raises(DaemonNotRunning, match="hung up before it answered"):
        await waiting
    await server.stop()


def test_no_daemon_is_said_with_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(DaemonNotRunning, match="systemctl start astrod"):
        call(tmp_path / "none.sock", "status")
    with pytest.raises(TellOperator, match="cannot be reached"):
        call(tmp_path / ("x" * 200), "status")


def test_a_daemon_that_does_not_answer_is_not_waited_for(tmp_path: Path) -> None:
    path = tmp_path / "s"
    with socket.socket(socket.AF_UNIX) as mute:
        mute.bind(str(path))
        mute.listen()
        with pytest.raises(TellOperator, match=r"gave no answer in 0\.2 s"):
            call(path, "status", timeout_s=0.2)


@pytest.mark.parametrize(
    ("answer", "text"),
    [
        (b"SSH-2.0\n", "is no astrod"),
        (b"[]\n", "is of another version"),
        (b'{"schema": 7, "ok": {}}\n', "systemctl restart astrod"),
        (b"", "hung up"),
    ],
)
def test_strange_answers_are_refused(tmp_path: Path, answer: bytes, text: str) -> None:
    path = tmp_path / "s"

    async def strange() -> None:
        async def speak(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await reader.readline()
            writer.write(answer)
            writer.close()

        async with await asyncio.start_unix_server(speak, path):
            with pytest.raises(TellOperator, match=text):
                await asyncio.to_thread(call, path, "status")

    asyncio.run(strange())
