"""What the host itself tells, as sources like any other: its clock, its disk, its line to the internet, its UPS.

astrod://clock                 clock_error_s, absent while nobody states one
astrod://disk                  disk_free_gb, where the archive and the frames lie
astrod://watch/NAME           cloud_percent, as that [[watch]] saw the sky last; as old as its picture
astrod://internet/HOST:PORT    internet, 1 when the owner's host takes a connection, else 0; nobody else is asked
nut://HOST[:PORT]/UPS          mains (1 or 0) and battery_percent, from a NUT server (RFC 9271)
"""

import asyncio
import json
import shutil
import threading
from collections.abc import Awaitable, Callable
from pathlib import Path

from astrod.domain.instant import SECOND_US
from astrod.domain.safety import ClockQuality
from astrod.domain.site import WATCH_SOURCE
from astrod.runtime.clock import Clock
from astrod_drivers.errors import AddressInvalid, BadAnswer, Unreachable
from astrod_drivers.protocols import WeatherReading

OWN = ("astrod://", "nut://")
CLOCK, DISK, INTERNET = "astrod://clock", "astrod://disk", "astrod://internet/"
CONNECT_S = 3.0
ANSWER_S = 3.0
NUT_PORT = 3493
LINE_LIMIT = 4096

Measure = Callable[[], Awaitable[dict[str, float]]]


def is_own(address: str) -> bool:
    """Whether an address is of the host itself, and not of a device."""
    return address.startswith(OWN)


class OwnSource:
    """Implements `protocols.Weather` around something that measures now."""

    def __init__(self, clock: Clock, measure: Measure) -> None:
        self._clock, self._measure = clock, measure

    async def connect(self) -> None:
        """Always there."""

    async def disconnect(self) -> None:
        """Nothing to let go of."""

    async def read(self) -> WeatherReading:
        """See `protocols.Weather`. Raises Unreachable, BadAnswer."""
        values = await self._measure()
        return WeatherReading(self._clock.now_us(), values)


class WatchSource:
    """Implements `protocols.Weather` for what a watch last wrote down (`astrod.watch.told`)."""

    def __init__(self, path: Path) -> None:
        self._path = path

    async def connect(self) -> None:
        """Always there."""

    async def disconnect(self) -> None:
        """Nothing to let go of."""

    async def read(self) -> WeatherReading:
        """See `protocols.Weather`. Raises Unreachable while the watch has said nothing, BadAnswer for nonsense."""
        try:
            told = json.loads(self._path.read_bytes())
            measured_us, percent = int(told["at_us"]), told["cloud_percent"]
            return WeatherReading(measured_us, {} if percent is None else {"cloud_percent": float(percent)})
        except OSError as fault:
            raise Unreachable(f"the watch has not told of clouds yet: {fault.strerror}") from fault
        except (ValueError, KeyError, TypeError) as fault:
            raise BadAnswer(f"{self._path} is no word of a watch: {fault!r}") from fault


def watch_file(run_dir: Path, watch: str) -> Path:
    """Where a watch writes down what it sees of clouds, for safety's process to read."""
    return run_dir / f"watch-{watch}.json"


def own_source(
    address: str,
    clock: Clock,
    quality: Callable[[], ClockQuality],
    free_bytes: Callable[[], int],
    run_dir: Path,
) -> OwnSource | WatchSource:
    """The source at an address for which `is_own` holds. Raises AddressInvalid. `free_bytes` may block."""
    if address.startswith(WATCH_SOURCE):
        return WatchSource(watch_file(run_dir, address.removeprefix(WATCH_SOURCE)))
    if address == CLOCK:
        return OwnSource(clock, lambda: _clock_error(quality))
    if address == DISK:
        return OwnSource(clock, Disk(clock, free_bytes).measure)
    if address.startswith(INTERNET):
        host, port = _host_and_port(address.removeprefix(INTERNET), address)
        return OwnSource(clock, lambda: _internet(host, port))
    if address.startswith("nut://"):
        place, _, ups = address.removeprefix("nut://").partition("/")
        host, port = _host_and_port(place if ":" in place else f"{place}:{NUT_PORT}", address)
        return OwnSource(clock, lambda: _ups(host, port, ups))
    raise AddressInvalid(
        f"{address}: there are {CLOCK}, {DISK}, {WATCH_SOURCE}NAME, {INTERNET}HOST:PORT and nut://HOST/UPS"
    )


def simulated_source(
    address: str, clock: Clock, quality: Callable[[], ClockQuality], run_dir: Path
) -> OwnSource | WatchSource:
    """The host's own source in a simulated night, where nothing outside can be asked: all is well but the clock, which
    is as good as the night says, and the clouds that a watch sees.
    """
    if address.startswith(WATCH_SOURCE):
        return WatchSource(watch_file(run_dir, address.removeprefix(WATCH_SOURCE)))
    well = {"disk_free_gb": 1000.0, "internet": 1.0, "mains": 1.0, "battery_percent": 100.0}
    if address == CLOCK:
        return OwnSource(clock, lambda: _clock_error(quality))
    names = {DISK: ("disk_free_gb",)}
    told = names.get(address, ("internet",) if address.startswith(INTERNET) else ("mains", "battery_percent"))

    async def measure() -> dict[str, float]:
        return {name: well[name] for name in told}

    return OwnSource(clock, measure)


def _host_and_port(text: str, address: str) -> tuple[str, int]:
    host, _, port = text.rpartition(":")
    if not host or not port.isdigit() or not 0 < int(port) < 65536:
        raise AddressInvalid(f"{address}: {text!r} is no HOST:PORT")
    return host, int(port)


async def _clock_error(quality: Callable[[], ClockQuality]) -> dict[str, float]:
    error_us = quality().error_us
    return {} if error_us is None else {"clock_error_s": error_us / SECOND_US}


class Disk:
    """Free space, asked for in a thread: a disk that hangs keeps that thread, and nothing else waits for it."""

    def __init__(self, clock: Clock, free_bytes: Callable[[], int]) -> None:
        self._clock, self._free_bytes = clock, free_bytes
        self._asking: threading.Thread | None = None

    async def measure(self) -> dict[str, float]:
        """Raises Unreachable, also while an earlier question has not been answered."""
        if self._asking is not None and self._asking.is_alive():
            raise Unreachable("the disk has not answered the last question; it hangs")
        answers: list[int | OSError] = []
        self._asking = threading.Thread(target=self._ask, args=(answers,), name="disk", daemon=True)
        self._asking.start()
        while not answers:
            await self._clock.sleep(0.02)
        found = answers[0]
        if isinstance(found, OSError):
            raise Unreachable(f"the disk cannot be asked: {found}") from found
        return {"disk_free_gb": found / 1e9}

    def _ask(self, answers: list[int | OSError]) -> None:
        try:
            answers.append(self._free_bytes())
        except OSError as fault:
            answers.append(fault)


def free_bytes_of(folder: Path) -> Callable[[], int]:
    """How much is free where a folder lies."""
    return lambda: shutil.disk_usage(folder).free


async def _internet(host: str, port: int) -> dict[str, float]:
    try:
        async with asyncio.timeout(CONNECT_S):
            _, writer = await asyncio.open_connection(host, port)
    except (OSError, TimeoutError):
        return {"internet": 0.0}
    writer.close()
    return {"internet": 1.0}


async def _ups(host: str, port: int, ups: str) -> dict[str, float]:
    try:
        async with asyncio.timeout(ANSWER_S):
            reader, writer = await asyncio.open_connection(host, port, limit=LINE_LIMIT)
            try:
                status = await _ups_variable(reader, writer, ups, "ups.status")
                charge = await _ups_variable(reader, writer, ups, "battery.charge")
            finally:
                writer.close()
    except (OSError, TimeoutError) as fault:
        raise Unreachable(f"the NUT server at {host}:{port} does not answer; is upsd running?") from fault
    return _understood(status, charge)


async def _ups_variable(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, ups: str, name: str) -> str | None:
    """A variable of a UPS; None for one that it does not have. Raises BadAnswer."""
    writer.write(f"GET VAR {ups} {name}\n".encode())
    await writer.drain()
    try:
        line = (await reader.readline()).decode(errors="replace").strip()
    except ValueError as fault:
        raise BadAnswer(f"NUT answers a line of over {LINE_LIMIT} bytes") from fault
    if line == "ERR VAR-NOT-SUPPORTED":
        return None
    head = f"VAR {ups} {name} "
    if not line.startswith(head):
        raise BadAnswer(f"NUT answers {line[:80]!r} to {name} of {ups!r}; `upsc -l` lists the UPSs there are")
    return line.removeprefix(head).strip('"')


def _understood(status: str | None, charge: str | None) -> dict[str, float]:
    """`ups.status` is words, among them OL on line and OB on battery; one that has neither does not know."""
    values: dict[str, float] = {}
    words = (status or "").split()
    if "OL" in words or "OB" in words:
        values["mains"] = 0.0 if "OB" in words else 1.0
    if charge is not None:
        try:
            values["battery_percent"] = float(charge)
        except ValueError as fault:
            raise BadAnswer(f"NUT says that the battery's charge is {charge[:40]!r}") from fault
    return values
