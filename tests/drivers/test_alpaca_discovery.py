"""Discovery on loopback: our beacon, servers that answer nonsense, and the time it takes."""

import asyncio
import time
from collections.abc import Callable
from typing import Any

import pytest
from tests.drivers.test_alpaca_door import Mouth, answer, http

from astrod_drivers.address import parse
from astrod_drivers.alpaca.discovery import QUESTION, broadcasts, find
from astrod_drivers.sim.alpaca.beacon import open_beacon
from astrod_drivers.wallclock import WallClock

LOOPBACK = "127.0.0.1"
DEVICES = [
    {"DeviceName": "Big one", "DeviceType": "Telescope", "DeviceNumber": 0, "UniqueID": "t-0"},
    {"DeviceName": "Eye", "DeviceType": "Camera", "DeviceNumber": 2, "UniqueID": "c-2"},
    {"DeviceName": "Film", "DeviceType": "Video", "DeviceNumber": 0, "UniqueID": "v-0"},
    "nonsense",
]


def managed(devices: object = DEVICES) -> Callable[[str], bytes]:
    return lambda path: answer({"ServerName": "Hut"} if path.endswith("description") else devices)


def port_of(beacon: Any) -> int:
    return int(beacon.get_extra_info("sockname")[1])


async def test_servers_and_their_devices_are_found() -> None:
    async with Mouth(managed()) as mouth:
        beacon = await open_beacon(mouth.port, LOOPBACK, 0)
        before_s = time.monotonic()
        (server,) = await find(WallClock(), 1.0, [LOOPBACK], port_of(beacon))
        assert time.monotonic() - before_s < 1.2
        beacon.close()
    assert (server.host, server.port, server.name) == (LOOPBACK, mouth.port, "Hut")
    assert [(found.kind, found.name, found.unique_id) for found in server.devices] == [
        ("mount", "Big one", "t-0"),
        ("camera", "Eye", "c-2"),
        (None, "Film", "v-0"),
    ]
    assert parse(server.devices[1].address).device == "camera/2"


@pytest.mark.parametrize("devices", [None, 7, {"a": 1}, []])
async def test_a_server_with_a_strange_list_has_no_devices(devices: object) -> None:
    async with Mouth(managed(devices)) as mouth:
        beacon = await open_beacon(mouth.port, LOOPBACK, 0)
        (server,) = await find(WallClock(), 0.6, [LOOPBACK], port_of(beacon))
        beacon.close()
    assert server.devices == ()


async def test_a_server_that_answers_html_or_nothing_is_left_out() -> None:
    async with Mouth(lambda path: http(b"<html>", kind="text/html")) as mouth:
        beacon = await open_beacon(mouth.port, LOOPBACK, 0)
        assert await find(WallClock(), 0.6, [LOOPBACK], port_of(beacon)) == ()
        beacon.close()


class Babbler(asyncio.DatagramProtocol):
    """Answers discovery with everything but an answer."""

    def connection_made(self, transport: Any) -> None:
        self.transport = transport
        self.asked = 0

    def datagram_received(self, data: bytes, address: Any) -> None:
        assert data == QUESTION
        self.asked += 1
        for said in (b"", b"\xff", b"7", b"{}", b'{"AlpacaPort": "x"}', b'{"AlpacaPort": 0}', b'{"AlpacaPort": true}'):
            self.transport.sendto(said, address)


async def test_babble_is_nobody_and_the_question_is_asked_again() -> None:
    transport, babbler = await asyncio.get_running_loop().create_datagram_endpoint(Babbler, (LOOPBACK, 0))
    assert await find(WallClock(), 1.4, [LOOPBACK], port_of(transport)) == ()
    transport.close()
    assert babbler.asked == 2


async def test_silence_takes_no_longer_than_it_may() -> None:
    before_s = time.monotonic()
    assert await find(WallClock(), 0.4, [LOOPBACK], 1) == ()
    assert time.monotonic() - before_s < 0.8


def test_loopback_is_among_the_networks_asked() -> None:
    assert broadcasts()[0] == "127.255.255.255"
