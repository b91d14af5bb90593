"""An INDI server that lies, stutters and hangs up: only `astrod_drivers.errors` come out, and never a hang.

The server is a raw socket that speaks INDI's XML as badly as a test wants. Behind it stands a real driver host with
pyindi-client: when the library itself dies or hangs, the child is killed by its deadline and the next one works.
"""

import base64
import importlib.util
import random
import re
import socket
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path

import pytest

from astrod_drivers.errors import DriverError, Unreachable
from astrod_drivers.permit import EpochPage
from astrod_drivers.protocols import Permit, Shot
from astrod_drivers.remote import RemoteCamera, RemoteWeather
from astrod_drivers.session import Session, open_session

pytestmark = [
    pytest.mark.indi,
    pytest.mark.skipif(importlib.util.find_spec("PyIndi") is None, reason="needs pyindi-client"),
]
LONGEST_S = 25.0
STAMP = 'timestamp="2026-12-14T22:00:00"'


def defined(kind: str, name: str, state: str = "Idle", perm: str = "rw", **values: object) -> str:
    extra = ' format="%g" min="0" max="100000" step="1"' if kind == "Number" else ""
    inner = "".join(f'<def{kind} name="{e}" label="{e}"{extra}>{v}</def{kind}>' for e, v in values.items())
    rule = ' rule="OneOfMany"' if kind == "Switch" else ""
    return (
        f'<def{kind}Vector device="Cam" name="{name}" label="" group="" state="{state}" perm="{perm}"{rule} {STAMP}>'
        f"{inner}</def{kind}Vector>\n"
    )


def told(kind: str, name: str, state: str, **values: object) -> str:
    inner = "".join(f'<one{kind} name="{e}">{v}</one{kind}>' for e, v in values.items())
    return f'<set{kind}Vector device="Cam" name="{name}" state="{state}" {STAMP}>{inner}</set{kind}Vector>\n'


CAMERA = "".join(
    (
        defined("Switch", "CONNECTION", "Ok", CONNECT="On", DISCONNECT="Off"),
        defined("Number", "CCD_EXPOSURE", CCD_EXPOSURE_VALUE=0),
        defined("Switch", "CCD_ABORT_EXPOSURE", ABORT="Off"),
        defined("Number", "CCD_INFO", CCD_MAX_X=64, CCD_MAX_Y=48, CCD_PIXEL_SIZE=3, CCD_BITSPERPIXEL=16),
        defined("Switch", "CCD_FRAME_TYPE", FRAME_LIGHT="On", FRAME_DARK="Off"),
        defined("Number", "CCD_TEMPERATURE", "Ok", CCD_TEMPERATURE_VALUE=-10),
    )
)
STATION = defined("Switch", "CONNECTION", "Ok", CONNECT="On", DISCONNECT="Off") + defined(
    "Number", "WEATHER_PARAMETERS", "Ok", "ro", WEATHER_TEMPERATURE=10, WEATHER_WIND_SPEED=3
)
BLOB = base64.b64encode(bytes(6000)).decode()


def blob(content: str, size: int, format_: str = ".fits") -> str:
    return (
        f'<setBLOBVector device="Cam" name="CCD1" state="Ok" {STAMP}>'
        f'<oneBLOB name="CCD1" size="{size}" format="{format_}">{content}</oneBLOB></setBLOBVector>\n'
    )


BLOB_DEFINED = (
    '<defBLOBVector device="Cam" name="CCD1" label="" group="" state="Idle" perm="ro">'
    '<defBLOB name="CCD1" label=""/></defBLOBVector>\n'
)
Reply = Callable[[socket.socket], None]
MESSAGE = re.compile(
    r"<(?P<tag>getProperties)\b[^>]*/>|<(?P<tag2>new\w+)\b[^>]*?name=['\"](?P<name>\w+)['\"].*?</(?P=tag2)>", re.S
)


class Liar:
    """Answers getProperties with `greeting`, and an exposure with `reply`; commands are echoed as Ok."""

    def __init__(self, greeting: str, reply: Reply | None = None) -> None:
        self.greeting, self.reply, self.exposures = greeting, reply, 0
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        self._clients: list[socket.socket] = []
        self._threads = [threading.Thread(target=self._accept, daemon=True)]
        self._threads[0].start()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            self._clients.append(client)
            thread = threading.Thread(target=self._serve, args=(client,), daemon=True)
            self._threads.append(thread)
            thread.start()

    def _serve(self, client: socket.socket) -> None:
        heard = ""
        try:
            while piece := client.recv(65536).decode("utf-8", "replace"):
                heard += piece
                while match := MESSAGE.search(heard):
                    heard = heard[match.end() :]
                    self._answer(client, match)
        except OSError:
            return

    def _answer(self, client: socket.socket, message: re.Match[str]) -> None:
        tag, name = message["tag"] or message["tag2"], message["name"]
        if tag == "getProperties":
            client.sendall(self.greeting.encode())
        elif name == "CCD_EXPOSURE" and self.reply is not None:
            self.exposures += 1
            self.reply(client)
        elif tag == "newSwitchVector":
            client.sendall(told("Switch", name, "Ok").encode())

    def close(self) -> None:
        self._listener.close()
        for client in self._clients:
            try:
                client.shutdown(socket.SHUT_RDWR)
            except OSError:
                continue
        for thread in self._threads:
            thread.join(2.0)
        for client in self._clients:
            client.close()


class Bench:
    """Liars and the sessions at them."""

    def __init__(self, folder: Path) -> None:
        self.page = EpochPage(folder / "epoch")
        self.permit = Permit(self.page.become_safe())
        self.folder = folder
        self.liars: list[Liar] = []
        self.sessions: list[Session] = []

    def session(self, kind: str, greeting: str, reply: Reply | None = None) -> Session:
        liar = Liar(greeting, reply)
        self.liars.append(liar)
        address = f"indi://127.0.0.1:{liar.port}/Cam"
        session = open_session(
            address,
            kind,
            spool=self.folder,
            gate_path=self.page.path,
            deadlines_s={"fetch": 2.0, "connect": 12.0, "expose": 3.0},
        )
        self.sessions.append(session)
        return session


@pytest.fixture
async def lies(tmp_path: Path) -> AsyncIterator[Bench]:
    bench = Bench(tmp_path)
    yield bench
    for session in bench.sessions:
        await session.kill()
    for liar in bench.liars:
        liar.close()
    bench.page.close()


def saying(*words: str, hang_up: bool = False) -> Reply:
    def reply(client: socket.socket) -> None:
        for word in words:
            client.sendall(word.encode())
            time.sleep(0.1)
        if hang_up:
            client.shutdown(socket.SHUT_RDWR)

    return reply


BUSY = told("Number", "CCD_EXPOSURE", "Busy", CCD_EXPOSURE_VALUE=0.1)
DONE = told("Number", "CCD_EXPOSURE", "Ok", CCD_EXPOSURE_VALUE=0)
HALF = blob(BLOB, 6000)[:3000]

ENDINGS: dict[str, Reply] = {
    "the stream is cut inside the BLOB": saying(BUSY, HALF, hang_up=True),
    "the stream stops inside the BLOB": saying(BUSY, HALF),
    "the exposure's property vanishes": saying(BUSY, '<delProperty device="Cam" name="CCD_EXPOSURE"/>\n'),
    "the whole device vanishes": saying(BUSY, '<delProperty device="Cam"/>\n'),
    "the exposure comes back as text": saying(BUSY, told("Text", "CCD_EXPOSURE", "Ok", CCD_EXPOSURE_VALUE="soon")),
    "the exposure fails with NaN left": saying(BUSY, told("Number", "CCD_EXPOSURE", "Alert", CCD_EXPOSURE_VALUE="nan")),
    "garbage instead of XML": saying(BUSY, "<<<>>><setBLOBVector &&& \x00\x01" * 50),
    "nothing at all": saying(),
    "another format": saying(BUSY, blob(BLOB, 6000, ".xisf"), DONE),
    "an empty BLOB": saying(BUSY, blob("", 0), DONE),
}


@pytest.mark.parametrize("ending", ENDINGS)
async def test_an_exposure_that_ends_badly(lies: Bench, ending: str) -> None:
    session = lies.session("camera", CAMERA + BLOB_DEFINED, ENDINGS[ending])
    await session.start(15.0)
    camera = session.device_as(RemoteCamera)
    began_s = time.monotonic()
    with pytest.raises(DriverError):
        await camera.expose(Shot("x1", 0.1), lies.permit)
        await camera.fetch("x1")
    assert time.monotonic() - began_s < LONGEST_S
    assert lies.liars[0].exposures == 1


@pytest.mark.parametrize("size", [1, 6001, 60_000, 2**31])
async def test_a_blob_of_the_wrong_size_is_no_frame_and_no_hang(lies: Bench, size: int) -> None:
    session = lies.session("camera", CAMERA + BLOB_DEFINED, saying(BUSY, blob(BLOB, size), DONE))
    await session.start(15.0)
    camera = session.device_as(RemoteCamera)
    with pytest.raises(DriverError):  # were it believed, other memory would become pixels
        await camera.expose(Shot("x1", 0.1), lies.permit)
        await camera.fetch("x1")
    assert lies.liars[0].exposures == 1


@pytest.mark.parametrize("value", ["nan", "inf", "-inf", "", "minus ten", "1e999", "10:20:30"])
async def test_numbers_that_are_none(lies: Bench, value: str) -> None:
    camera = lies.session("camera", CAMERA.replace(">-10<", f">{value}<"))
    station = lies.session("weather", STATION.replace(">10<", f">{value}<"))
    for session in (camera, station):
        try:
            await session.start(15.0)
            device = session.device
            reading = await device.read()  # type: ignore[attr-defined]
        except DriverError:
            continue
        text = repr(reading)
        assert "nan" not in text
        assert "inf" not in text


async def test_a_station_of_texts_measures_nothing(lies: Bench) -> None:
    session = lies.session("weather", STATION.replace("Number", "Text"))
    await session.start(15.0)
    assert (await session.device_as(RemoteWeather).read()).values == {}


async def test_a_server_that_says_nothing_and_one_that_hangs_up(lies: Bench) -> None:
    began_s = time.monotonic()
    with pytest.raises(DriverError):
        await lies.session("camera", "").start(15.0)
    session = lies.session("camera", CAMERA)
    await session.start(15.0)
    lies.liars[-1].close()
    with pytest.raises(Unreachable):
        await session.device_as(RemoteCamera).read()
    assert time.monotonic() - began_s < LONGEST_S


async def test_a_blob_of_the_right_size_is_a_frame(lies: Bench) -> None:
    session = lies.session("camera", CAMERA + BLOB_DEFINED, saying(BUSY, blob(BLOB, 6000), DONE))
    await session.start(15.0)
    camera = session.device_as(RemoteCamera)
    await camera.expose(Shot("x1", 0.1), lies.permit)
    assert (await camera.fetch("x1")).path.stat().st_size == 6000


def mutants(count: int) -> Iterator[str]:
    """The camera's greeting with pieces lost, doubled, swapped and overwritten; the same ones each time."""
    dice = random.Random(7)
    for _ in range(count):
        text = CAMERA + BLOB_DEFINED
        for _ in range(dice.randint(1, 6)):
            start = dice.randrange(len(text))
            end = min(len(text), start + dice.randint(1, 60))
            piece = dice.choice(("", text[start:end] * 2, "\x00", "<", '"', "&#0;", "é" * 9, "9" * 400))
            text = text[:start] + piece + text[end:]
        yield text


@pytest.mark.parametrize("greeting", list(mutants(5)), ids=range(5))
async def test_mutilated_definitions(lies: Bench, greeting: str) -> None:
    session = lies.session("camera", greeting, saying(BUSY, blob(BLOB, 6000), DONE))
    began_s = time.monotonic()
    told = "read all the same"
    try:
        await session.start(12.0)
        await session.device_as(RemoteCamera).read()
    except DriverError as fault:
        told = str(fault)
    assert told, "an error of ours says what it is"
    assert time.monotonic() - began_s < LONGEST_S
    await session.kill()
