"""Weather from a file that another program writes over and over."""

import asyncio
from datetime import UTC, tzinfo
from pathlib import Path
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from astrod_drivers.address import Address
from astrod_drivers.errors import AddressInvalid, BadAnswer, Unreachable
from astrod_drivers.feeds import boltwood
from astrod_drivers.protocols import Clock, Weather, WeatherReading

LARGEST_BYTES = 65_536
AHEAD_US = 90_000_000
"""A line that is this much younger than its file was written in another time zone than we think."""


class FileWeather(Weather):
    """See `protocols.Weather`. A reading is as old as the oldest of: the line's own time, its data's age, the file."""

    def __init__(self, address: Address, clock: Clock) -> None:
        if address.option("format") != "boltwood":
            raise AddressInvalid(f"{address}: write ?format=boltwood, the only format of file that astrod reads")
        self.address = address
        self._path = Path(address.device)
        self._zone = _zone(address)
        self._clock = clock

    async def connect(self) -> None:
        await self.read()

    async def disconnect(self) -> None:
        """Nothing is held."""

    async def read(self) -> WeatherReading:
        content, changed_us = await asyncio.to_thread(self._content)
        lines = [line for line in content.decode("ascii", "replace").splitlines() if line.strip()]
        if not lines:
            raise BadAnswer(f"{self.address} is empty; its program may be writing it, or have died")
        line = boltwood.parse(lines[-1], self._zone)
        if line.written_us - changed_us > AHEAD_US:
            ahead_min = (line.written_us - changed_us) / 60e6
            raise BadAnswer(f"{self.address}: its line is {ahead_min:.0f} min ahead of the file; add ?zone=UTC or so")
        measured_us = min(line.written_us, changed_us) - round(line.idle_s * 1e6)
        return WeatherReading(measured_us, line.values, line.zones)

    def _content(self) -> tuple[bytes, int]:
        """The file and when it was written, UTC microseconds. Raises Unreachable."""
        try:
            with self._path.open("rb") as file:
                return file.read(LARGEST_BYTES), self._path.stat().st_mtime_ns // 1000
        except OSError as fault:
            text = f"{self.address} cannot be read ({fault.strerror}); is its program running, its share mounted?"
            raise Unreachable(text) from fault


def _zone(address: Address) -> tzinfo | None:
    """The zone of the line's times; None is this machine's own. Raises AddressInvalid."""
    name = address.option("zone")
    if name is None:
        return None
    if name.upper() == "UTC":
        return UTC
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError) as fault:
        raise AddressInvalid(
            f"{address}: {name!r} is no time zone; write UTC, or for instance Europe/Madrid"
        ) from fault
