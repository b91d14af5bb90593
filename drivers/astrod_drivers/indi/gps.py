"""A GPS receiver behind an indiserver, as a witness of time and place: INDI's own XML over one connection.

It is no device of a rig: nothing is moved by it, and no native library is needed, so the process that guards the site
may listen as well as the daemon. The receiver's driver is asked anew every REFRESH_S, for most tell their time only
when they are asked; what it told before that is as old as it is. A driver without a fix says so by its state.
"""

import asyncio
import logging
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any
from xml.etree.ElementTree import Element, ParseError, XMLPullParser
from xml.sax.saxutils import quoteattr

from astrod_drivers.address import Address
from astrod_drivers.errors import BadAnswer, Unreachable
from astrod_drivers.protocols import Clock, SiteFix

REFRESH_S = 10.0
CONNECT_S = 5.0
SILENT_S = 45.0
AGAIN_S = 10.0
_CHUNK = 65_536
log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Fix:
    """What the receiver told: a time as it wrote it (ISO 8601, UTC, whole seconds), or a place. `asked_us` and
    `heard_us` are between which instants of our clock that was.
    """

    asked_us: int
    heard_us: int
    utc: str | None = None
    place: SiteFix | None = None


class IndiGps:
    """One receiver."""

    def __init__(self, address: Address, clock: Clock) -> None:
        self.address = address
        self._clock = clock

    async def watch(self, hear: Callable[[Fix], None]) -> None:
        """Listen for ever, and connect again whenever the server or the receiver is gone."""
        while True:
            try:
                await self._listen(hear)
            except (OSError, TimeoutError, ParseError, Unreachable) as fault:
                log.debug("%s: %s", self.address, fault)
            await self._clock.sleep(AGAIN_S)

    async def _listen(self, hear: Callable[[Fix], None]) -> None:
        host = "127.0.0.1" if self.address.host == "localhost" else self.address.host
        async with asyncio.timeout(CONNECT_S):
            reader, writer = await asyncio.open_connection(host, self.address.port)
        told = Told(self.address.device)
        name = quoteattr(self.address.device)
        writer.write(f'<getProperties version="1.7" device={name}/>\n'.encode())
        asking = asyncio.create_task(self._ask(writer, name, told), name="ask the GPS")
        try:
            while True:
                async with asyncio.timeout(SILENT_S):
                    chunk = await reader.read(_CHUNK)
                if not chunk:
                    raise Unreachable(f"{self.address}: the server hung up")
                for fix in told.hear(chunk, self._clock.now_us()):
                    hear(fix)
        finally:
            asking.cancel()
            writer.close()

    async def _ask(self, writer: asyncio.StreamWriter, name: str, told: "Told") -> None:
        """Have the receiver tell where and when it is, again and again."""
        connect = f'<newSwitchVector device={name} name="CONNECTION"><oneSwitch name="CONNECT">On</oneSwitch>'
        refresh = f'<newSwitchVector device={name} name="GPS_REFRESH"><oneSwitch name="REFRESH">On</oneSwitch>'
        while True:
            if told.connected is False:
                writer.write(f"{connect}</newSwitchVector>\n".encode())
            elif told.connected:
                told.asked_us = self._clock.now_us()
                writer.write(f"{refresh}</newSwitchVector>\n".encode())
            await writer.drain()
            await self._clock.sleep(REFRESH_S if told.fixes else 1.0)


class Told:
    """What a receiver's driver has told so far. `connected` None: it has not said."""

    def __init__(self, device: str) -> None:
        self._device = device
        self.connected: bool | None = None
        self.asked_us: int | None = None
        self.fixes = 0
        self._parser: Any = XMLPullParser(("start", "end"))
        self._parser.feed("<indi>")  # INDI's stream has no root of its own
        self._open: list[Element] = []

    def hear(self, chunk: bytes, now_us: int) -> list[Fix]:
        """The fixes in what came in. Raises ParseError for what is not INDI's XML."""
        self._parser.feed(chunk)
        found = []
        for event, element in self._parser.read_events():
            if event == "start":
                self._open.append(element)
                continue
            self._open.pop()
            if len(self._open) == 1:
                fix = self._taken(element, now_us)
                found += [fix] if fix is not None else []
                self._open[0].clear()
        self.fixes += len(found)
        return found

    def _taken(self, vector: Element, now_us: int) -> Fix | None:
        if vector.get("device") != self._device:
            return None
        values = {each.get("name", ""): (each.text or "").strip() for each in vector}
        if vector.get("name") == "CONNECTION" and "CONNECT" in values:
            self.connected = values["CONNECT"] == "On"
        # a definition repeats what was told before; only an answer to our question has an age
        if not vector.tag.startswith("set") or vector.get("state") != "Ok" or self.asked_us is None:
            return None
        try:
            return self._fix(vector.get("name", ""), values, self.asked_us, now_us)
        except BadAnswer as fault:
            log.warning("%s tells what cannot be: %s", self._device, fault)
            return None

    def _fix(self, name: str, values: dict[str, str], asked_us: int, now_us: int) -> Fix | None:
        if name == "TIME_UTC" and values.get("UTC"):
            return Fix(asked_us, now_us, utc=values["UTC"])
        if name == "GEOGRAPHIC_COORD" and {"LAT", "LONG"} <= values.keys():
            latitude_deg = degrees(values["LAT"], 90.0)
            longitude_deg = (degrees(values["LONG"], 360.0) + 180.0) % 360.0 - 180.0  # INDI counts 0..360 eastward
            height_m = degrees(values.get("ELEV", "0"), 100_000.0)
            return Fix(asked_us, now_us, place=SiteFix(latitude_deg, longitude_deg, height_m))
        return None


def degrees(text: str, most: float) -> float:
    """A number as INDI writes it, plain or sexagesimal (`51:30:00`), within ± `most`. Raises BadAnswer."""
    sign = -1.0 if text.lstrip().startswith("-") else 1.0
    try:
        parts = [float(part) for part in text.strip().lstrip("+-").split(":")]
    except ValueError as fault:
        raise BadAnswer(f"{text[:40]!r} is no number") from fault
    value = sum(part / 60.0**place for place, part in enumerate(parts))
    if not (1 <= len(parts) <= 3 and 0.0 <= value <= most):
        raise BadAnswer(f"{text[:40]!r} is outside ±{most:g}")
    return sign * value
