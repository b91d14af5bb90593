"""An indiserver asked for its devices: a real one, one that is none, and one that slips."""

import asyncio
from pathlib import Path

import pytest

from astrod_drivers.errors import Unreachable
from astrod_drivers.indi.discovery import Found, find, kinds_of
from astrod_drivers.indi.server import SIMULATORS, IndiServer, missing
from astrod_drivers.wallclock import WallClock

INFO = (
    '<defTextVector device="{0}" name="DRIVER_INFO"><defText name="DRIVER_NAME">x</defText>'
    '<defText name="DRIVER_INTERFACE">\n{1}\n</defText></defTextVector>'
)


async def said(content: bytes, listen_s: float = 0.3) -> tuple[Found, ...]:
    """What is found at a server that answers so."""

    gone = asyncio.Event()

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readline()
        for piece in (content[:7], content[7:]):  # no reader may rely on whole tags
            writer.write(piece)
            await writer.drain()
        await reader.read()
        writer.close()
        gone.set()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    try:
        return await find("localhost", server.sockets[0].getsockname()[1], WallClock(), listen_s)
    finally:
        await gone.wait()
        server.close()


def test_kinds_are_bits() -> None:
    assert kinds_of(0) == ()
    assert kinds_of(1 << 1 | 1 << 4) == ("camera", "wheel")
    assert kinds_of(1 << 9 | 1 << 10) == ("cover",), "a cover with a light is one cover"


async def test_devices_with_and_without_a_word_on_what_they_are() -> None:
    text = INFO.format("CCD", 2) + '<defNumberVector device="Odd" name="X"/>' + INFO.format("Liar", "9" * 30)
    found = await said(text.encode())
    assert {device.name: device.kinds for device in found} == {"CCD": ("camera",), "Odd": (), "Liar": ()}
    assert found[0].address.startswith("indi://localhost:") and found[0].address.endswith("/CCD")


async def test_a_slip_does_not_hide_the_devices_before_it() -> None:
    assert [device.name for device in await said((INFO.format("CCD", 2) + "<a b=</x>").encode())] == ["CCD"]


@pytest.mark.parametrize("content", [b"HTTP/1.1 400 Bad Request\r\n\r\n<html><p></html>", b"\x00\xff" * 50])
async def test_what_is_no_indiserver(content: bytes) -> None:
    with pytest.raises(Unreachable, match="does not speak INDI"):
        await said(content)


async def test_nobody_there() -> None:
    with pytest.raises(Unreachable, match="no indiserver answers at localhost:9"):
        await find("localhost", 9, WallClock())


@pytest.mark.indi
async def test_a_real_server(tmp_path: Path) -> None:
    if (reason := missing()) is not None:
        pytest.skip(reason)
    server = IndiServer()
    server.start([program for program, _ in SIMULATORS.values()], tmp_path)
    try:
        found = {device.name: device.kinds for device in await find("localhost", server.port, WallClock(), 2.0)}
    finally:
        server.stop()
    assert all(kind in found[name] for kind, (_, name) in SIMULATORS.items()), found
