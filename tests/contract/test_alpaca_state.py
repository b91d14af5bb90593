"""DeviceState: one request where there were many, the same answers, and the single members wherever it fails."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from tests.contract.alpaca_bench import ALPACA_TYPES, AlpacaBench
from tests.drivers.test_alpaca_door import Mouth, answer, http

from astrod_drivers.address import parse
from astrod_drivers.alpaca.device import AlpacaDevice
from astrod_drivers.alpaca.devices import open_alpaca
from astrod_drivers.errors import AddressInvalid, DeadlineMissed, Unreachable
from astrod_drivers.permit import EpochCell
from astrod_drivers.wallclock import WallClock

REQUESTS = {
    "mount": (6, 1),
    "camera": (4, 2),  # whether the cooler is on is no part of a camera's DeviceState
    "focuser": (3, 1),
    "rotator": (2, 1),
    "roof": (1, 1),
    "cover": (2, 1),
}
"""Requests of one reading, member by member and by DeviceState."""


@asynccontextmanager
async def counted(
    port: int, kind: str, folder: Path, options: str = "?state=yes"
) -> AsyncIterator[tuple[Any, Callable[[], int]]]:
    """A driver in this process, and how many requests it has made since it was last asked."""
    address = parse(f"alpaca://127.0.0.1:{port}/{ALPACA_TYPES[kind]}{options}")
    device = open_alpaca(kind, address, clock=WallClock(), gate=EpochCell(), spool=folder)
    assert isinstance(device, AlpacaDevice)
    made, exchange = 0, device._link.exchange

    def counting(*words: Any) -> Any:
        nonlocal made
        made += 1
        return exchange(*words)

    def since() -> int:
        nonlocal made
        found, made = made, 0
        return found

    device._link.exchange = counting  # type: ignore[method-assign]
    await device.connect()
    since()
    try:
        yield device, since
    finally:
        await device.disconnect()


@pytest.mark.parametrize("kind", REQUESTS)
async def test_a_reading_is_the_same_with_fewer_requests(alpaca_bench: AlpacaBench, kind: str, tmp_path: Path) -> None:
    singly, together = REQUESTS[kind]
    async with counted(alpaca_bench.port, kind, tmp_path) as (device, requests):
        at_once = await device.read()
        assert requests() == together
        alpaca_bench.misbehave({"kind": "html", "path": "/devicestate"})
        one_by_one = await device.read()
        assert requests() == singly + 1
        assert await device.read() is not None
        assert requests() == singly  # it is not asked for again
        alpaca_bench.misbehave()
        assert type(at_once) is type(one_by_one)
        await device.connect()
        requests()
        await device.read()
        assert requests() == together  # a new connection asks anew


async def test_a_switch_and_a_station_tell_all_they_have_at_once(alpaca_bench: AlpacaBench, tmp_path: Path) -> None:
    async with counted(alpaca_bench.port, "switch", tmp_path) as (switch, requests):
        outlets = len((await switch.read()).on)
        assert outlets > 1 and requests() == 1
    async with counted(alpaca_bench.port, "weather", tmp_path) as (station, requests):
        values = (await station.read()).values
        requests()
        assert (await station.read()).values.keys() == values.keys()
        assert requests() <= 1 + 2  # the ages fall due one after the other


async def test_a_member_that_is_left_out_is_asked_for_and_its_fault_is_heard(
    alpaca_bench: AlpacaBench, tmp_path: Path
) -> None:
    async with counted(alpaca_bench.port, "mount", tmp_path) as (mount, requests):
        alpaca_bench.misbehave({"kind": "driver_error", "path": "/tracking"})
        with pytest.raises(Unreachable, match="serial port timed out"):
            await mount.read()
        alpaca_bench.misbehave()
        requests()
        assert (await mount.read()).parked in (True, False)
        assert requests() == 1


@pytest.mark.parametrize(
    "value",
    [
        {"Name": "Position", "Value": "7"},
        {"Name": "Position", "Value": None},
        {"Name": "position", "Value": 7.5},
        {"Name": "Position", "Value": 10**12},
    ],
)
async def test_what_cannot_be_ends_it_and_the_members_are_asked(value: object, tmp_path: Path) -> None:
    async with Mouth(_focuser([value])) as mouth, counted(mouth.port, "focuser", tmp_path) as (focuser, requests):
        assert (await focuser.read()).position == 500
        requests()
        await focuser.read()
        assert requests() == 3


async def test_it_is_not_asked_for_unasked(alpaca_bench: AlpacaBench, tmp_path: Path) -> None:
    async with counted(alpaca_bench.port, "mount", tmp_path, "") as (mount, requests):
        await mount.read()
        assert requests() == REQUESTS["mount"][0]


@pytest.mark.parametrize("option", ["state=perhaps", "serial=7"])
def test_an_option_that_means_nothing_is_refused(option: str, tmp_path: Path) -> None:
    address = parse(f"alpaca://127.0.0.1:1/focuser/0?{option}")
    with pytest.raises(AddressInvalid, match="state=yes"):
        open_alpaca("focuser", address, clock=WallClock(), gate=EpochCell(), spool=tmp_path)


@pytest.mark.parametrize("said", [None, 7, {}, "text", [7], [{"Name": 3, "Value": 1}], [{"Name": "Position"}]])
async def test_what_is_no_state_is_done_without(said: object, tmp_path: Path) -> None:
    async with Mouth(_focuser(said)) as mouth, counted(mouth.port, "focuser", tmp_path) as (focuser, requests):
        assert (await focuser.read()).position == 500
        assert requests() == 4


@pytest.mark.parametrize("refused", [http(b"no such member", 404), http(b'{"ErrorNumber": 1024, "ErrorMessage": ""}')])
async def test_a_server_of_before_it_is_asked_once_for_each_connection(refused: bytes, tmp_path: Path) -> None:
    def old(path: str) -> bytes:
        return refused if path.endswith("/devicestate") else _focuser([])(path)

    async with Mouth(old) as mouth, counted(mouth.port, "focuser", tmp_path) as (focuser, requests):
        assert (await focuser.read()).position == 500
        assert requests() == 4
        await focuser.read()
        assert requests() == 3


async def test_one_that_hangs_costs_its_reading_only(alpaca_bench: AlpacaBench, tmp_path: Path) -> None:
    async with counted(alpaca_bench.port, "mount", tmp_path) as (mount, _):
        alpaca_bench.misbehave({"kind": "hang", "path": "/devicestate", "times": 1})
        with pytest.raises(DeadlineMissed):
            await mount.read()
        assert (await mount.read()).tracking in (True, False)


def _focuser(state: object) -> Callable[[str], bytes]:
    """A focuser that answers well, but for its DeviceState."""
    members = {"connected": True, "absolute": True, "maxstep": 1000, "position": 500, "ismoving": False}
    members |= {"temperature": 4.5, "devicestate": state}
    return lambda path: answer(members.get(path.rpartition("/")[2]))
