"""The wire: what travels, what is refused, and that nothing a peer sends can stop a server."""

import asyncio
import errno
import json
import math
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from astrod_drivers.errors import (
    BadAnswer,
    CommandRefused,
    DeadlineMissed,
    DriverError,
    PermitRefused,
    Unreachable,
)
from astrod_drivers.protocols import (
    CameraState,
    Permit,
    RawFrame,
    Roof,
    RoofState,
    Shot,
    SwitchState,
    WeatherReading,
    WheelState,
)
from astrod_drivers.remote import DEADLINES_S, PROXIES, RemoteRoof
from astrod_drivers.wire import LINE_LIMIT, Connection, Offer, Server, decode, encode

NAMES = st.text(max_size=12)
FLOATS = st.floats(allow_nan=False, allow_infinity=False)


class SlowRoof(Roof):
    """A roof whose `open` waits until it is aborted."""

    def __init__(self) -> None:
        self.aborted = asyncio.Event()

    async def connect(self) -> None:
        self.aborted.clear()

    async def disconnect(self) -> None:
        raise KeyError("a bug in a driver")

    async def read(self) -> RoofState:
        return RoofState("closed", 12.5)

    async def open(self, permit: Permit) -> None:
        if permit.epoch == 0:
            raise PermitRefused("epoch 0 is over; wait for safety")
        await self.aborted.wait()

    async def close(self) -> None:
        raise CommandRefused("stuck")

    async def abort(self) -> None:
        self.aborted.set()


@pytest.fixture
async def server(tmp_path: Path) -> AsyncIterator[Path]:
    path = tmp_path / "sock"
    server = Server({"roof": Offer("roof", SlowRoof())})
    await server.listen(path)
    yield path
    await server.close()


@pytest.fixture
async def connection(server: Path) -> AsyncIterator[Connection]:
    connection = await Connection.open_path(server)
    yield connection
    await connection.close()


@given(NAMES, FLOATS, st.booleans(), st.none() | FLOATS, st.integers(1, 4))
def test_shot_travels_whole(name: str, exposure_s: float, light: bool, gain: float | None, binning: int) -> None:
    shot = Shot(name, exposure_s, light, gain, None, binning)
    assert decode(Shot, json.loads(json.dumps(encode(shot)))) == shot


@given(st.dictionaries(NAMES, FLOATS), st.dictionaries(NAMES, st.sampled_from(["ok", "alert"])), st.integers())
def test_weather_travels_whole(values: dict[str, float], zones: dict[str, str], measured_us: int) -> None:
    reading = WeatherReading(measured_us, values, zones, overridden=True)  # type: ignore[arg-type]
    assert decode(WeatherReading, json.loads(json.dumps(encode(reading)))) == reading


def test_paths_and_tuples_travel() -> None:
    frame = RawFrame("e1", Path("/spool/e1.fits"), "fits", 5, 6, 1.5)
    assert decode(RawFrame, encode(frame)) == frame
    wheel = WheelState(None, True, ("L", "R"))
    assert decode(WheelState, encode(wheel)) == wheel


@pytest.mark.parametrize(
    "wrong",
    [
        None,
        7,
        [],
        {},
        {"aperture": "ajar", "azimuth_deg": None},
        {"aperture": "open", "azimuth_deg": "north"},
        {"aperture": "open", "azimuth_deg": True},
        {"aperture": "open", "azimuth_deg": math.nan},
        {"aperture": "open", "surprise": 1},
        {"aperture": ["open"]},
    ],
)
def test_wrong_shapes_are_bad_answers(wrong: object) -> None:
    with pytest.raises(BadAnswer):
        decode(RoofState, wrong)


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | FLOATS | NAMES,
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES, inner, max_size=3),
    )
)
def test_decoding_anything_raises_nothing_else(anything: object) -> None:
    for hint in (RoofState, Shot, WeatherReading, CameraState, RawFrame, SwitchState, WheelState):
        try:
            assert isinstance(decode(hint, anything), hint)
        except BadAnswer as fault:
            assert "answer" in str(fault)


def test_a_number_that_is_none_does_not_leave() -> None:
    with pytest.raises(BadAnswer, match="finite"):
        encode(RoofState("open", math.inf))


async def test_answers_and_errors_keep_their_kind(connection: Connection) -> None:
    roof = RemoteRoof(connection, "roof")
    assert await roof.read() == RoofState("closed", 12.5)
    with pytest.raises(CommandRefused, match="stuck"):
        await roof.close()
    with pytest.raises(PermitRefused, match="epoch 0"):
        await roof.open(Permit(0))


async def test_a_bug_in_a_driver_is_told_and_survived(connection: Connection) -> None:
    roof = RemoteRoof(connection, "roof")
    with pytest.raises(DriverError, match="KeyError"):
        await roof.disconnect()
    assert (await roof.read()).aperture == "closed"


async def test_abort_passes_a_waiting_call(connection: Connection) -> None:
    roof = RemoteRoof(connection, "roof")
    opening = asyncio.create_task(roof.open(Permit(1)))
    await roof.read()
    assert not opening.done()
    await roof.abort()
    await opening


async def test_missed_deadline_leaves_the_connection_good(connection: Connection) -> None:
    roof = RemoteRoof(connection, "roof", {"open": 0.05})
    with pytest.raises(DeadlineMissed, match=r"roof\.open.*read back"):
        await roof.open(Permit(1))
    await roof.abort()  # the late answer of `open` comes now and is dropped
    assert (await roof.read()).azimuth_deg == 12.5


@pytest.mark.parametrize("method", ["__init__", "_abc", "shutdown", "__class__", ""])
async def test_only_declared_methods_can_be_called(connection: Connection, method: str) -> None:
    with pytest.raises(CommandRefused, match="no method"):
        await connection.call("roof", method, {}, 1.0)


async def test_wrong_arguments_are_refused(connection: Connection) -> None:
    for args in ({}, {"permit": 3}, {"permit": {"epoch": 1}, "more": 1}, {"permit": {"epoch": "1"}}):
        with pytest.raises(CommandRefused):
            await connection.call("roof", "open", args, 1.0)
    with pytest.raises(CommandRefused, match=r"no device 'dome'.*there are: roof"):
        await connection.call("dome", "read", {}, 1.0)


async def test_lost_server_fails_pending_calls_at_once(tmp_path: Path) -> None:
    server = Server({"roof": Offer("roof", SlowRoof())})
    await server.listen(tmp_path / "sock")
    connection = await Connection.open_path(tmp_path / "sock")
    opening = asyncio.create_task(RemoteRoof(connection, "roof").open(Permit(1)))
    await RemoteRoof(connection, "roof").read()
    await server.close()
    async with asyncio.timeout(1.0):
        with pytest.raises(Unreachable, match="gone"):
            await opening
    assert not connection.alive
    with pytest.raises(Unreachable):
        await RemoteRoof(connection, "roof").read()
    await connection.close()


async def test_nobody_there_is_unreachable(tmp_path: Path) -> None:
    with pytest.raises(Unreachable, match="nobody answers"):
        await Connection.open_path(tmp_path / "none")


GARBAGE = [
    b"\n",
    b"}{\n",
    b"null\n",
    b"[1]\n",
    b"\xff\xfe\x00\n",
    b'{"id": 1}\n',
    b'{"id": "x", "device": 1, "method": [], "args": 2}\n',
    b'{"id": 1, "device": "roof", "method": "read", "args": []}\n',
    b"[" * 100_000 + b"\n",
    b"1e999\n",
]


@pytest.mark.parametrize("line", GARBAGE, ids=range(len(GARBAGE)))
async def test_garbage_is_answered_and_survived(server: Path, line: bytes) -> None:
    reader, writer = await asyncio.open_unix_connection(server, limit=1 << 20)
    writer.write(line)
    writer.write(b'{"id": 5, "device": "roof", "method": "read", "args": {}}\n')
    answers = [json.loads(await reader.readline()) for _ in range(2)]
    writer.close()
    assert answers[0]["error"]["kind"] == "CommandRefused"
    assert answers[1] == {"id": 5, "ok": {"aperture": "closed", "azimuth_deg": 12.5}}


async def test_a_giant_line_costs_only_its_sender(server: Path, connection: Connection) -> None:
    reader, writer = await asyncio.open_unix_connection(server)
    writer.write(b"x" * (4 * LINE_LIMIT))
    try:
        assert b"CommandRefused" in await reader.readline()
        assert await reader.read() == b""
    except ConnectionResetError as fault:  # the kernel's way to say that the rest was never read
        assert fault.errno == errno.ECONNRESET
    writer.close()
    assert (await RemoteRoof(connection, "roof").read()).aperture == "closed"


async def test_half_a_line_and_goodbye(server: Path, connection: Connection) -> None:
    _, writer = await asyncio.open_unix_connection(server)
    writer.write(b'{"id": 5, "device": "ro')
    writer.close()
    await writer.wait_closed()
    assert (await RemoteRoof(connection, "roof").read()).aperture == "closed"


async def test_too_many_calls_at_once_are_refused_with_their_number(server: Path) -> None:
    connection = await Connection.open_path(server)
    roof = RemoteRoof(connection, "roof")
    opening = [asyncio.create_task(roof.open(Permit(1))) for _ in range(64)]
    await asyncio.sleep(0)
    with pytest.raises(CommandRefused, match="under way"):
        await roof.read()
    await connection.close()
    ended = await asyncio.gather(*opening, return_exceptions=True)
    assert {type(end) for end in ended} == {Unreachable}


async def test_a_server_that_babbles_is_unreachable(tmp_path: Path) -> None:
    async def babble(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readline()
        writer.write(b"I am no device\n")
        writer.close()

    listener = await asyncio.start_unix_server(babble, tmp_path / "sock")
    connection = await Connection.open_path(tmp_path / "sock")
    with pytest.raises(Unreachable, match="not an answer"):
        await RemoteRoof(connection, "roof").read()
    await connection.close()
    listener.close()


def test_every_declared_method_has_a_deadline_and_a_proxy() -> None:
    from astrod_drivers.protocols import KINDS

    for kind, protocol in KINDS.items():
        methods = {name for name in dir(protocol) if not name.startswith("_")}
        assert methods <= DEADLINES_S.keys()
        own = {name for cls in PROXIES[kind].__mro__ if "remote" in cls.__module__ for name in vars(cls)}
        assert methods <= own, kind
