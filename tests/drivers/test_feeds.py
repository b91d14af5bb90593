"""Weather from files, MQTT and HTTP: what is measured, how old it is, and what is said of anything else."""

import json
import math
import os
import shutil
import socket
import subprocess
import threading
import time
from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from astrod_drivers.address import parse
from astrod_drivers.errors import AddressInvalid, BadAnswer, DriverError, Unreachable
from astrod_drivers.feeds import boltwood
from astrod_drivers.feeds.fields import Field, Fields, document, fields_of, possible, told_us, values
from astrod_drivers.feeds.file import FileWeather
from astrod_drivers.permit import EpochPage
from astrod_drivers.remote import RemoteWeather
from astrod_drivers.session import Session, open_session
from astrod_drivers.wallclock import WallClock

OLD = "2010-10-20 12:08:09.44 F M -44.6 67.5 88.7 2.3 49 47.7 0 0 0 00002 040471.50566 1 1 1 3"
NEW = "2010-10-20 12:08:09.44 C K -24.8 19.7 31.5 3.7 49 8.7 0 0 0 00002 040471.50566 1 1 1 3 0 0"
STAMP_US = 1_287_576_489_440_000


# -- Boltwood ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("line", [OLD, NEW])
def test_both_formats_and_units_say_the_same_weather(line: str) -> None:
    read = boltwood.parse(line, UTC)
    assert read.written_us == STAMP_US
    assert read.idle_s == 2.0
    assert read.values == pytest.approx(
        {
            "humidity_percent": 49.0,
            "temperature_c": 19.7,
            "dew_point_c": 8.7,
            "sky_temperature_c": -5.1,
            "wind_m_s": 1.03,
            "rain_mm_h": 0.0,
        },
        abs=0.05,
    )
    assert read.zones["cloud_percent"] == "ok"


def test_rain_and_the_wish_to_close_are_told() -> None:
    wet = boltwood.parse(NEW.replace("0 0 0 00002", "0 2 1 00002").replace("1 1 1 3 0 0", "3 1 3 1 1 0"), UTC)
    assert wet.values["rain_mm_h"] > 0.0
    assert wet.zones["rain_mm_h"] == wet.zones["cloud_percent"] == wet.zones["roof"] == "alert"
    assert wet.zones["alert"] == "ok"


@pytest.mark.parametrize(("column", "code", "absent"), [(4, "-998.", "sky_temperature_c"), (7, "-4.", "wind_m_s")])
def test_codes_for_broken_sensors_are_no_values(column: int, code: str, absent: str) -> None:
    words = NEW.split()
    words[column] = code
    assert absent not in boltwood.parse(" ".join(words), UTC).values


@given(st.text(max_size=120) | st.lists(st.sampled_from([*NEW.split(), "nan", "inf", "x", ""])).map(" ".join))
def test_any_line_is_read_or_refused(line: str) -> None:
    try:
        read = boltwood.parse(line, UTC)
    except BadAnswer:
        return
    assert all(possible(name, value) for name, value in read.values.items())


async def test_a_file_is_as_old_as_its_oldest_word(tmp_path: Path) -> None:
    path = tmp_path / "cloud sensor.txt"
    feed = FileWeather(parse(f"file://{path}?format=boltwood&zone=UTC"), WallClock())
    with pytest.raises(Unreachable, match="cannot be read"):
        await feed.connect()
    path.write_text("")
    with pytest.raises(BadAnswer, match="empty"):
        await feed.connect()
    path.write_text(NEW + "\n")
    assert (await feed.read()).measured_us == STAMP_US - 2_000_000  # the file is new, its line is not
    os.utime(path, (STAMP_US / 1e6 - 60.0,) * 2)
    assert (await feed.read()).measured_us == STAMP_US - 62_000_000
    os.utime(path, (STAMP_US / 1e6 - 3600.0,) * 2)
    with pytest.raises(BadAnswer, match="60 min ahead of the file; add \\?zone"):
        await feed.read()


def test_a_file_needs_a_format_and_a_zone_that_exists() -> None:
    for address, said in (
        ("file:///x", "format=boltwood"),
        ("file:///x?format=boltwood&zone=No/Where", "no time zone"),
    ):
        with pytest.raises(AddressInvalid, match=said):
            FileWeather(parse(address), WallClock())


# -- mapping -------------------------------------------------------------------------------------------------


def test_paths_units_and_times() -> None:
    mapping = fields_of(parse("mqtt://h/t?temperature_c=out.0.t:F&wind_m_s=w:km/h&time=at"))
    found = document("h", b'{"out": [{"t": 50}], "w": 36, "at": "2026-12-14T22:00:00Z"}')
    assert values(mapping, found) == pytest.approx({"temperature_c": 10.0, "wind_m_s": 10.0})
    stamp_us = round(datetime(2026, 12, 14, 22, tzinfo=UTC).timestamp() * 1e6)
    assert told_us("h", mapping, found) == stamp_us
    assert told_us("h", mapping, {"at": stamp_us / 1e3}) == told_us("h", mapping, {"at": stamp_us / 1e6}) == stamp_us
    assert values(Fields((Field("temperature_c", ""),)), 12.5) == {"temperature_c": 12.5}


@pytest.mark.parametrize("value", ["12.5", None, True, math.nan, math.inf, [1], {}, 900.0])
def test_what_is_no_number_is_not_measured(value: object) -> None:
    assert values(Fields((Field("temperature_c", "t"),)), {"t": value}) == {}


def test_a_time_stamp_that_stops_coming_is_no_fresh_reading() -> None:
    with pytest.raises(BadAnswer, match="no time"):
        told_us("h", Fields((), "at"), {"t": 1.0})


@pytest.mark.parametrize("address", ["mqtt://h/t", "mqtt://h/t?kettle=x", "mqtt://h/t?wind_m_s=w:furlongs"])
def test_a_mapping_must_be_one(address: str) -> None:
    with pytest.raises(AddressInvalid):
        fields_of(parse(address))


@given(st.binary(max_size=200))
def test_any_document_is_read_or_refused(content: bytes) -> None:
    mapping = Fields((Field("temperature_c", "a.0"), Field("wind_m_s", "")), "at")
    try:
        found = document("h", content)
        assert all(possible(name, value) for name, value in values(mapping, found).items())
        told_us("h", mapping, found)
    except BadAnswer:
        return


# -- HTTP ----------------------------------------------------------------------------------------------------

ANSWERS: dict[str, tuple[int, bytes]] = {
    "/now": (200, b'{"temp": 11.5, "wind": null, "ts": 1797292800}'),
    "/html": (200, b"<html>Welcome to nginx!</html>"),
    "/broken": (500, b"{}"),
    "/nothing": (200, b""),
}


class Station(BaseHTTPRequestHandler):
    """A station that answers by path; `/cut` hangs up in the middle, `/slow` never comes to an end."""

    def do_GET(self) -> None:
        path = self.path.partition("?")[0]
        if path == "/slow":
            time.sleep(4.0)
            return
        status, content = ANSWERS.get(path, (200, b'{"temp": 1'))
        self.send_response(status)
        self.send_header("Content-Length", str(len(content) + (1000 if path == "/cut" else 0)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *_: object) -> None:
        """Silence."""


@pytest.fixture(scope="module")
def station() -> Iterator[str]:
    server = HTTPServer(("127.0.0.1", 0), Station)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f"127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
async def sessions(tmp_path: Path) -> AsyncIterator["Opener"]:
    opener = Opener(tmp_path)
    yield opener
    for session in opener.sessions:
        await session.kill()


class Opener:
    """Feeds in killable children, as the daemon has them."""

    def __init__(self, folder: Path) -> None:
        self.page = EpochPage(folder / "epoch")
        self.folder, self.sessions = folder, list[Session]()

    async def weather(self, address: str) -> RemoteWeather:
        session = open_session(address, "weather", spool=self.folder, gate_path=self.page.path)
        self.sessions.append(session)
        await session.start(10.0)
        return session.device_as(RemoteWeather)


async def test_http_reads_what_is_mapped_and_when(sessions: Opener, station: str) -> None:
    weather = await sessions.weather(f"http+json://{station}/now?temperature_c=temp&wind_m_s=wind&time=ts&key=7")
    reading = await weather.read()
    assert reading.values == {"temperature_c": 11.5}
    assert reading.measured_us == 1_797_292_800_000_000


@pytest.mark.parametrize(
    ("path", "error", "said"),
    [
        ("html", BadAnswer, "no JSON but '<html>"),
        ("broken", BadAnswer, "answers 500"),
        ("nothing", BadAnswer, "no JSON"),
        ("cut", DriverError, "reached|no JSON"),
    ],
)
async def test_http_that_is_no_station(
    sessions: Opener, station: str, path: str, error: type[DriverError], said: str
) -> None:
    with pytest.raises(error, match=said):
        await sessions.weather(f"http+json://{station}/{path}?temperature_c=temp")


async def test_http_with_nobody_there(sessions: Opener) -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        address = f"http+json://127.0.0.1:{probe.getsockname()[1]}/now?temperature_c=temp"
        with pytest.raises(Unreachable, match="cannot be reached"):
            await sessions.weather(address)


async def test_http_that_hangs_costs_one_reading(sessions: Opener, station: str) -> None:
    began_s = time.monotonic()
    with pytest.raises(DriverError):
        await sessions.weather(f"http+json://{station}/slow?temperature_c=temp")
    assert time.monotonic() - began_s < 8.0


# -- MQTT ----------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    """A real mosquitto on loopback."""
    program = shutil.which("mosquitto", path=f"{os.environ['PATH']}:/usr/sbin")
    if program is None:
        pytest.skip("not installed: mosquitto (Debian: apt install mosquitto)")
    folder = tmp_path_factory.mktemp("broker")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = int(probe.getsockname()[1])
    (folder / "conf").write_text(f"listener {port} 127.0.0.1\nallow_anonymous true\n")
    process = subprocess.Popen([program, "-c", str(folder / "conf")], stderr=subprocess.DEVNULL)
    deadline_s = time.monotonic() + 10.0
    while not listens(port):
        assert time.monotonic() < deadline_s, "mosquitto does not listen"
        time.sleep(0.05)
    yield port
    process.terminate()
    process.wait(5.0)


def listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def publish(port: int, topic: str, payload: bytes, retain: bool = False) -> None:
    from paho.mqtt import publish as paho_publish

    paho_publish.single(topic, payload, qos=1, retain=retain, hostname="127.0.0.1", port=port)


async def heard(weather: RemoteWeather) -> dict[str, float]:
    """The first values that come."""
    deadline_s = time.monotonic() + 5.0
    while not (found := (await weather.read()).values):
        assert time.monotonic() < deadline_s, "no message came"
        await WallClock().sleep(0.05)
    return found


async def test_mqtt_hears_what_is_published(sessions: Opener, broker: int) -> None:
    weather = await sessions.weather(f"mqtt://127.0.0.1:{broker}/garden/sky?sky_temperature_c=ir&temperature_c=air")
    assert (await weather.read()).measured_us == 0  # nobody has spoken: as old as can be
    before_us = WallClock().now_us()
    publish(broker, "garden/sky", json.dumps({"ir": -21.5, "air": "warm"}).encode())
    assert await heard(weather) == {"sky_temperature_c": -21.5}
    assert before_us <= (await weather.read()).measured_us <= WallClock().now_us()
    publish(broker, "garden/sky", b"rebooting")
    deadline_s = time.monotonic() + 5.0
    with pytest.raises(BadAnswer, match="'rebooting'"):
        while time.monotonic() < deadline_s:
            await weather.read()


async def test_mqtt_retained_messages_are_believed_by_their_own_time_only(sessions: Opener, broker: int) -> None:
    publish(broker, "shed", b'{"t": 5.0, "at": 1797292800}', retain=True)
    timed = await sessions.weather(f"mqtt://127.0.0.1:{broker}/shed?temperature_c=t&time=at")
    assert await heard(timed) == {"temperature_c": 5.0}
    assert (await timed.read()).measured_us == 1_797_292_800_000_000
    blind = await sessions.weather(f"mqtt://127.0.0.1:{broker}/shed?temperature_c=t")
    await WallClock().sleep(0.5)
    assert (await blind.read()).values == {}


async def test_mqtt_without_a_broker(sessions: Opener) -> None:
    with pytest.raises(Unreachable, match="no MQTT broker"):
        await sessions.weather("mqtt://127.0.0.1:9/t?temperature_c=t")


def test_a_feed_is_weather_and_nothing_else(tmp_path: Path) -> None:
    for kind in ("mount", "roof"):
        with pytest.raises(AddressInvalid, match="can be no"):
            open_session("file:///x?format=boltwood", kind, spool=tmp_path, gate_path=tmp_path / "epoch")
