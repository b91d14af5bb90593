"""Whatever comes through the HTTP door, a driver answers a value or one of `astrod_drivers.errors`, in time.

The server here is a bare socket: it says anything at all. The drivers are the real ones, in this process.
"""

import asyncio
import json
import struct
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

pytest.importorskip("alpaca", reason="alpyca is not installed (pip install astrod[alpaca])")

from astrod_drivers.address import parse
from astrod_drivers.alpaca import TYPES
from astrod_drivers.alpaca.device import READ_S
from astrod_drivers.alpaca.devices import DRIVERS, open_alpaca
from astrod_drivers.errors import BadAnswer, DeadlineMissed, DriverError, Unreachable
from astrod_drivers.permit import EpochCell
from astrod_drivers.protocols import Permit, RawFrame, Shot
from astrod_drivers.wallclock import WallClock
from astrod_drivers.wire import encode

GOOD: dict[str, object] = {
    "connected": True,
    "name": "x",
    # telescope
    "equatorialsystem": 2,
    "canpark": True,
    "canunpark": True,
    "canpulseguide": True,
    "cansync": True,
    "cansetpark": True,
    "cansettracking": True,
    "canslewasync": True,
    "rightascension": 3.5,
    "declination": 40.0,
    "slewing": False,
    "tracking": True,
    "atpark": False,
    "sideofpier": 1,
    "sitelatitude": 41.0,
    "sitelongitude": 2.0,
    "siteelevation": 700,
    "utcdate": "2026-11-21T20:00:00.5Z",
    # camera
    "cameraxsize": 6,
    "cameraysize": 4,
    "cansetccdtemperature": True,
    "canabortexposure": True,
    "canstopexposure": False,
    "pixelsizex": 3.76,
    "maxadu": 65535,
    "sensortype": 2,
    "bayeroffsetx": 0,
    "bayeroffsety": 0,
    "electronsperadu": 0.9,
    "camerastate": 0,
    "coolerpower": 10,
    "ccdtemperature": -10.0,
    "cooleron": True,
    "binx": 1,
    "imageready": True,
    "lastexposurestarttime": "2026-11-21T20:00:00",
    # focuser, rotator, wheel
    "absolute": True,
    "maxstep": 1000,
    "position": 1,
    "ismoving": False,
    "temperature": 4.0,
    "mechanicalposition": 12.0,
    "names": ["L", "R", "G"],
    # dome, cover
    "cansetshutter": True,
    "cansetazimuth": True,
    "shutterstatus": 1,
    "azimuth": 100.0,
    "coverstate": 1,
    "calibratorstate": 3,
    "maxbrightness": 255,
    "brightness": 5,
    # switch
    "maxswitch": 2,
    "canwrite": True,
    "getswitchname": "outlet",
    "minswitchvalue": 0,
    "maxswitchvalue": 10,
    "switchstep": 1,
    "getswitchvalue": 3,
    # weather, safety
    "humidity": 50,
    "dewpoint": 1,
    "pressure": 990,
    "windspeed": 2,
    "windgust": 3,
    "rainrate": 0,
    "cloudcover": 10,
    "skytemperature": -20,
    "skyquality": 20.5,
    "timesincelastupdate": 1.0,
    "issafe": True,
}
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=6,
)
NEAR = st.sampled_from([-1, 0, 1, 2, 3, 4, 5, 6, 99, -1e9, 1e308, 2**63, 10**400, "NaN", "1", "", "2026-13-01", [], {}])
STEADY = settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])


class Mouth:
    """A TCP server on loopback that says what `reply(path)` gives, then hangs up; with None it never answers."""

    def __init__(self, reply: Callable[[str], bytes | None]) -> None:
        self._reply = reply

    async def __aenter__(self) -> "Mouth":
        self._server = await asyncio.start_server(self._attend, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_: object) -> None:
        self._server.close()
        await self._server.wait_closed()

    async def _attend(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            request = await reader.readline()
            while await reader.readline() not in (b"\r\n", b""):
                continue
            said = self._reply(request.split(b" ")[1].split(b"?")[0].decode())
            if said is None:
                await reader.read()
            writer.write(said or b"")
            await writer.drain()
        except (ConnectionError, IndexError):
            return
        finally:
            writer.close()


def http(body: bytes, status: int = 200, kind: str = "application/json") -> bytes:
    head = f"HTTP/1.1 {status} X\r\nContent-Type: {kind}\r\nContent-Length: {len(body)}\r\nConnection: close\r\n\r\n"
    return head.encode() + body


def answer(value: object) -> bytes:
    return http(json.dumps({"Value": value, "ErrorNumber": 0, "ErrorMessage": ""}).encode())


class Hasty(WallClock):
    """A clock by which no time is lost in waiting."""

    def sleep(self, seconds: float) -> Awaitable[None]:
        return super().sleep(0.0)


def driver(kind: str, port: int, spool: Path) -> Any:
    """The real driver of that kind, over a gate that is open with epoch 1."""
    gate = EpochCell()
    gate.become_safe()
    address = parse(f"alpaca://127.0.0.1:{port}/{TYPES[kind]}/0")
    return open_alpaca(kind, address, clock=Hasty(), gate=gate, spool=spool)


async def only_our_errors(call: Awaitable[object]) -> None:
    """What the call answers can travel, or its error is ours, and neither takes longer than it may."""
    before_s = time.monotonic()
    try:
        encode(await call)
    except DriverError as fault:
        assert str(fault)
    assert time.monotonic() - before_s < READ_S + 0.5


def in_turn(kind: str, device: Any) -> list[Callable[[], Awaitable[object]]]:
    """The calls of that kind that a night makes."""
    permit = Permit(1)
    calls: dict[str, list[Callable[[], Awaitable[object]]]] = {
        "mount": [
            lambda: device.believes(),
            lambda: device.slew(10.0, 20.0, permit),
            lambda: device.abort(),
            lambda: device.park(),
        ],
        "camera": [
            lambda: device.describe(),
            lambda: device.expose(Shot("e", 0.0), permit),
            lambda: device.abort(),
        ],
        "focuser": [lambda: device.move(5)],
        "wheel": [lambda: device.select("R")],
        "rotator": [lambda: device.move(5.0)],
        "roof": [lambda: device.open(permit), lambda: device.close(), lambda: device.turn(10.0)],
        "cover": [lambda: device.open(permit), lambda: device.light(3)],
        "switch": [lambda: device.set("outlet", True), lambda: device.dim("outlet", 5.0)],
    }
    return [device.read, *calls.get(kind, [])]


@pytest.mark.parametrize("kind", DRIVERS)
async def test_good_answers_are_understood(kind: str, tmp_path: Path) -> None:
    async with Mouth(lambda path: answer(GOOD.get(path.rpartition("/")[2]))) as mouth:
        device = driver(kind, mouth.port, tmp_path)
        await device.connect()
        assert encode(await device.read())


@STEADY
@given(st.sampled_from(sorted(DRIVERS)), st.data())
async def test_any_value_for_any_member(tmp_path: Path, kind: str, data: st.DataObject) -> None:
    lies = data.draw(st.dictionaries(st.sampled_from(sorted(GOOD)), JSON | NEAR, min_size=1, max_size=6))
    async with Mouth(lambda path: answer((GOOD | lies).get(path.rpartition("/")[2]))) as mouth:
        device = driver(kind, mouth.port, tmp_path)
        await only_our_errors(device.connect())
        device._settled = True  # a device may begin to lie after it was connected
        await only_our_errors(device.read())


@settings(STEADY, max_examples=25)
@given(st.sampled_from(sorted(set(DRIVERS) - {"weather", "safety_monitor"})), st.data())
async def test_any_value_while_commanded(tmp_path: Path, kind: str, data: st.DataObject) -> None:
    lies = data.draw(st.dictionaries(st.sampled_from(sorted(GOOD)), JSON | NEAR, max_size=3))
    said = dict(GOOD)
    async with Mouth(lambda path: answer(said.get(path.rpartition("/")[2]))) as mouth:
        device = driver(kind, mouth.port, tmp_path)
        await device.connect()
        said.update(lies)
        for call in in_turn(kind, device):
            await only_our_errors(call())


@STEADY
@given(st.binary(max_size=300) | st.binary(max_size=60).map(lambda body: b"HTTP/1.1 200 OK\r\n" + body))
async def test_bytes_that_are_no_http(tmp_path: Path, said: bytes) -> None:
    async with Mouth(lambda path: said) as mouth:
        device = driver("roof", mouth.port, tmp_path)
        with pytest.raises((BadAnswer, Unreachable, DeadlineMissed)):
            await device.connect()


@STEADY
@given(st.integers(100, 999), st.binary(max_size=80) | JSON.map(lambda value: json.dumps(value).encode()))
async def test_any_status_and_body(tmp_path: Path, status: int, body: bytes) -> None:
    async with Mouth(lambda path: http(body, status)) as mouth:
        await only_our_errors(driver("safety_monitor", mouth.port, tmp_path).connect())


ENVELOPE = st.fixed_dictionaries(
    {},
    optional={"Value": JSON | NEAR, "ErrorNumber": JSON | NEAR | st.integers(0x3FF, 0x600), "ErrorMessage": JSON},
)


@STEADY
@given(ENVELOPE)
async def test_any_envelope(tmp_path: Path, fields: dict[str, object]) -> None:
    async with Mouth(lambda path: http(json.dumps(fields).encode())) as mouth:
        await only_our_errors(driver("mount", mouth.port, tmp_path).connect())


WORD = st.integers(-1, 12) | st.sampled_from([44, 4096, 2**31 - 1, -(2**31)])


@STEADY
@given(st.lists(WORD, min_size=11, max_size=11), st.binary(max_size=120))
async def test_any_image_bytes(tmp_path: Path, head: list[int], body: bytes) -> None:
    image = http(struct.pack("<11i", *head) + body, kind="application/imagebytes")
    await _image_is_taken_or_refused(tmp_path, image)


@STEADY
@given(st.text('[]0123456789,.-{} "Value:', max_size=80) | JSON.map(lambda value: json.dumps({"Value": value})))
async def test_any_json_image(tmp_path: Path, text: str) -> None:
    await _image_is_taken_or_refused(tmp_path, http(text.encode()))


async def _image_is_taken_or_refused(spool: Path, image: bytes) -> None:
    """Whatever the image is, either a whole frame of the size asked for lands in the spool, or nothing."""

    def reply(path: str) -> bytes:
        member = path.rpartition("/")[2]
        return image if member == "imagearray" else answer(GOOD.get(member))

    async with Mouth(reply) as mouth:
        camera = driver("camera", mouth.port, spool)
        await camera.connect()
        await camera.expose(Shot("e", 0.0), Permit(1))
        frame: RawFrame | None
        try:
            frame = await camera.fetch("e")
        except DriverError as fault:
            assert str(fault)
            frame = None
        left = await asyncio.to_thread(lambda: [(path.name, path.stat().st_size) for path in spool.iterdir()])
        if frame is None:
            assert left == []
        else:
            assert [name for name, size in left if size >= 128 + 6 * 4] == ["e.npy"]
            frame.path.unlink()
