"""The one door to pyindi-client: a connection to an indiserver for one device, seen from asyncio.

The library calls back from its own C++ thread. There each property is copied into a plain `Vector` and handed
to the loop; nothing native leaves this file. A lost server is noticed at once.

Host names: the library takes `localhost` to mean the Unix socket of whatever indiserver came first on the
machine, whatever the port; so `localhost` becomes 127.0.0.1 here.
"""

import asyncio
import logging
import math
import os
import socket
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal, TypeVar

import PyIndi

from astrod_drivers.errors import DeadlineMissed, Unreachable
from astrod_drivers.protocols import Clock

State = Literal["Idle", "Ok", "Busy", "Alert"]
Value = float | bool | str
T = TypeVar("T")

CONNECT_TIMEOUT_S = 5
STAMP_S = 1.0  # a time stamp's last digit
TRAVEL_S = 0.5  # what a message may take to us; more than that widens nothing and is told as an offset
log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Vector:
    """An INDI property as it last arrived.

    Values are floats, bools (switches) or strings (texts, and lights by state). `serial` grows with each
    arrival, definitions included; `update` is 0 for a property that was only defined and never set since.
    `any_of_many` are switches that are on or off each for itself. `told_us` is the sender's own time stamp, UTC,
    good to a second, or None where it gave none.
    """

    name: str
    state: State
    values: Mapping[str, Value]
    serial: int = 0
    update: int = 0
    arrived_us: int = 0
    limits: Mapping[str, tuple[float, float]] = field(default_factory=dict)
    labels: Mapping[str, str] = field(default_factory=dict)
    writable: bool = True
    any_of_many: bool = False
    told_us: int | None = None

    def number(self, element: str) -> float | None:
        """A number, or None where the element is absent."""
        value = self.values.get(element)
        return float(value) if isinstance(value, float) else None

    def on(self, element: str) -> bool:
        """True where that switch is there and on."""
        return self.values.get(element) is True

    def chosen(self) -> str | None:
        """The one switch that is on, or None."""
        return next((name for name, value in self.values.items() if value is True), None)


@dataclass(frozen=True, slots=True)
class Blob:
    """A BLOB, written to `path` as it was received. `format` is INDI's, for instance `.fits`.

    With a `fault` it is not what its sender said, and the file is empty.
    """

    vector: str
    path: Path
    format: str
    arrived_s: float
    fault: str | None = None


class _Client(PyIndi.BaseClient):  # type: ignore[misc]  # PyIndi has no types
    """Runs on the library's thread: copies, and hands over. An exception here would end the process."""

    def __init__(self, link: "Link") -> None:
        super().__init__()
        self._link = link

    def newProperty(self, prop: PyIndi.Property) -> None:  # noqa: N802 - the library's name
        self._guarded(self._copy, prop, False)

    def updateProperty(self, prop: PyIndi.Property) -> None:  # noqa: N802 - the library's name
        self._guarded(self._copy, prop, True)

    def removeProperty(self, prop: PyIndi.Property) -> None:  # noqa: N802 - the library's name
        self._guarded(lambda: self._link.post(self._link.forget, prop.getDeviceName(), prop.getName()))

    def removeDevice(self, device: PyIndi.BaseDevice) -> None:  # noqa: N802 - the library's name
        self._guarded(lambda: self._link.post(self._link.forget, device.getDeviceName(), None))

    def newMessage(self, device: PyIndi.BaseDevice, number: int) -> None:  # noqa: N802 - the library's name
        self._guarded(self._message, device, number)

    def serverDisconnected(self, code: int) -> None:  # noqa: N802 - the library's name
        self._link.post(self._link.lose, f"indiserver closed the connection ({code})")

    def _guarded(self, work: Callable[..., None], *arguments: object) -> None:
        try:
            work(*arguments)
        except Exception:  # whatever it is, thrown into C++ it would abort the process
            log.exception("an INDI message was lost")

    def _message(self, device: PyIndi.BaseDevice, number: int) -> None:
        self._link.post(self._link.note, device.getDeviceName(), str(device.messageQueue(number)))

    def _copy(self, prop: PyIndi.Property, updated: bool) -> None:
        device = prop.getDeviceName()
        if prop.getType() == PyIndi.INDI_BLOB:
            if updated:
                self._spool(device, PyIndi.PropertyBlob(prop))
            return
        self._link.post(self._link.take, device, _vector(prop), updated)

    def _spool(self, device: str, prop: PyIndi.PropertyBlob) -> None:
        """Write each element to a file here, off the loop; a 50 MB frame takes its time."""
        for widget in prop:
            if widget.getBlobLen() > 0:
                # the library copies as many bytes as the sender promised, whether or not they came
                fault = _short(int(widget.getSize()), int(widget.getBlobLen()))
                path = self._link.write_blob(b"" if fault else widget.getblobdata())
                blob = Blob(prop.getName(), path, widget.getFormat(), self._link.clock.monotonic_s(), fault)
                self._link.post(self._link.take_blob, device, blob)


_CASTS = {
    PyIndi.INDI_NUMBER: PyIndi.PropertyNumber,
    PyIndi.INDI_SWITCH: PyIndi.PropertySwitch,
    PyIndi.INDI_TEXT: PyIndi.PropertyText,
    PyIndi.INDI_LIGHT: PyIndi.PropertyLight,
}


def _short(promised: int, came: int) -> str | None:
    """What is wrong with a BLOB of that size; None where it is whole."""
    return None if promised == came else f"sent {came} bytes and promised {promised}; restart its driver"


def _vector(prop: PyIndi.Property) -> Vector:
    kind = prop.getType()
    widgets = list(_CASTS[kind](prop))
    return Vector(
        name=prop.getName(),
        state=prop.getStateAsString(),
        values={widget.getName(): _value(kind, widget) for widget in widgets},
        limits={w.getName(): (w.getMin(), w.getMax()) for w in widgets} if kind == PyIndi.INDI_NUMBER else {},
        labels={widget.getName(): widget.getLabel() for widget in widgets},
        writable=kind != PyIndi.INDI_LIGHT and _CASTS[kind](prop).getPermission() != PyIndi.IP_RO,
        any_of_many=kind == PyIndi.INDI_SWITCH and PyIndi.PropertySwitch(prop).getRule() == PyIndi.ISR_NOFMANY,
        told_us=told_at(str(prop.getTimestamp())),
    )


def told_at(timestamp: str) -> int | None:
    """A message's time stamp as UTC microseconds; None for none, or for what is no time. INDI's are UTC."""
    try:
        instant = datetime.fromisoformat(timestamp.strip().removesuffix("Z"))
    except ValueError:
        return None
    return round(instant.replace(tzinfo=UTC).timestamp() * 1e6)


@dataclass(frozen=True, slots=True)
class ClockOffset:
    """How far a server's clock is ahead of ours, seconds, as bounds: its stamps hold whole seconds only.

    A stamp says "this second or within it", and we hear it some time later. So each message bounds the offset
    from below by (stamp - ours), and from above by that and the second that was cut off and the time it travelled.
    """

    low_s: float = -math.inf
    high_s: float = math.inf

    def heard(self, told_us: int, arrived_us: int) -> "ClockOffset":
        """The bounds with one more message. Bounds that contradict it are forgotten: a clock was set."""
        low_s = (told_us - arrived_us) / 1e6
        high_s = low_s + STAMP_S + TRAVEL_S
        if low_s > self.high_s or high_s < self.low_s:
            return ClockOffset(low_s, high_s)
        return ClockOffset(max(self.low_s, low_s), min(self.high_s, high_s))

    @property
    def known(self) -> bool:
        """Whether any message had a stamp."""
        return math.isfinite(self.low_s)

    @property
    def middle_s(self) -> float:
        """The best estimate."""
        return (self.low_s + self.high_s) / 2.0 if self.known else 0.0


def _value(kind: int, widget: PyIndi.WidgetViewNumber) -> Value:
    if kind == PyIndi.INDI_NUMBER:
        return float(widget.getValue())
    if kind == PyIndi.INDI_SWITCH:
        return bool(widget.getState() == PyIndi.ISS_ON)
    if kind == PyIndi.INDI_TEXT:
        return str(widget.getText())
    return str(widget.getStateAsString())


class Link:
    """One connection to one device. It is used once: after `lost`, make another."""

    def __init__(self, host: str, port: int, device: str, *, clock: Clock, spool: Path) -> None:
        self.host = "127.0.0.1" if host == "localhost" else host
        self.port = port
        self.device = device
        self.clock = clock
        self.vectors: dict[str, Vector] = {}
        self.messages: deque[str] = deque(maxlen=20)
        self.on_blob: Callable[[Blob], None] | None = None
        self.heard_s = clock.monotonic_s()
        self.serial = 0
        self.offset = ClockOffset()
        self._spool = spool
        self._blobs = 0
        self._lost: str | None = None
        self._loop = asyncio.get_running_loop()
        self._changed: asyncio.Future[None] = self._loop.create_future()
        self._client = _Client(self)

    @property
    def changed(self) -> "asyncio.Future[None]":
        """Done at the next arrival of anything."""
        return self._changed

    @property
    def lost(self) -> str | None:
        """Why the server is lost, or None."""
        return self._lost

    async def open(self) -> None:
        """Connect to the server and ask for the device. Raises Unreachable."""
        self._client.setServer(self.host, self.port)
        self._client.setConnectionTimeout(CONNECT_TIMEOUT_S, 0)
        self._client.watchDevice(self.device)
        # resolving and connecting block; the loop must still answer its parent
        if not await asyncio.to_thread(self._client.connectServer):
            text = f"no indiserver answers at {self.host}:{self.port}; is it running (systemctl status)?"
            raise Unreachable(text)
        _send_at_once(self.port)

    def close(self) -> None:
        """Let go of the server."""
        if self._lost is None:
            self.lose("the connection was closed")
            self._client.disconnectServer()

    # -- what the library's thread calls ---------------------------------------------------------------------

    def post(self, work: Callable[..., None], *arguments: object) -> None:
        """Have the loop do it. After the loop's end there is nobody left to tell."""
        if not self._loop.is_closed():
            self._loop.call_soon_threadsafe(work, *arguments)

    def write_blob(self, content: bytes) -> Path:
        """A new file in the spool with that content."""
        self._blobs += 1
        path = self._spool / f".{os.getpid()}-{id(self):x}-{self._blobs}.part"
        path.write_bytes(content)
        return path

    # -- what the loop does with it --------------------------------------------------------------------------

    def take(self, device: str, vector: Vector, updated: bool) -> None:
        """A property was defined or set."""
        if device != self.device:
            return
        self.serial += 1
        before = self.vectors.get(vector.name)
        update = (before.update if before else 0) + (1 if updated else 0)
        now_us = self.clock.now_us()
        self.vectors[vector.name] = replace(vector, serial=self.serial, update=update, arrived_us=now_us)
        if vector.told_us is not None and updated:  # a definition may be stamped when it was made, not when sent
            self.offset = self.offset.heard(vector.told_us, now_us)
        self._heard()

    def take_blob(self, device: str, blob: Blob) -> None:
        """A BLOB arrived; without anybody who wants it its file goes."""
        if device == self.device and self.on_blob is not None:
            self.on_blob(blob)
        else:
            blob.path.unlink(missing_ok=True)
        self._heard()

    def forget(self, device: str, name: str | None) -> None:
        """A property, or with None the whole device, was deleted."""
        if device != self.device:
            return
        if name is None:
            self.vectors.clear()
        else:
            self.vectors.pop(name, None)
        self._heard()

    def note(self, device: str, text: str) -> None:
        """The driver says something; the last words explain a refusal."""
        if device == self.device:
            self.messages.append(text)
            log.debug("%s: %s", device, text)
            self._heard()

    def lose(self, reason: str) -> None:
        """The server is gone."""
        self._lost = self._lost or reason
        self.vectors.clear()
        self._heard()

    def _heard(self) -> None:
        self.heard_s = self.clock.monotonic_s()
        changed, self._changed = self._changed, self._loop.create_future()
        if not changed.done():
            changed.set_result(None)

    # -- what drivers use ------------------------------------------------------------------------------------

    async def until(self, condition: Callable[[], T | None], deadline_s: float, what: str) -> T:
        """The first answer of `condition` that is not None; it is asked after each arrival.

        Raises Unreachable when the server is lost, DeadlineMissed after `deadline_s`.
        """
        try:
            async with asyncio.timeout(deadline_s):
                while True:
                    if self._lost is not None:
                        raise Unreachable(f"{self.device}: {self._lost}; connect again")
                    if (answer := condition()) is not None:
                        return answer
                    await asyncio.shield(self._changed)
        except TimeoutError as fault:
            text = f"{self.device}: {what} did not happen within {deadline_s:g} s; read back what it did"
            raise DeadlineMissed(text) from fault

    def send_numbers(self, name: str, values: Mapping[str, float]) -> None:
        """Set elements of a number property; the others keep their values."""
        prop = self._native(name).getNumber(name)
        for element, value in values.items():
            prop.findWidgetByName(element).setValue(value)
        self._client.sendNewProperty(prop)

    def send_texts(self, name: str, values: Mapping[str, str]) -> None:
        """Set elements of a text property; the others keep their values."""
        prop = self._native(name).getText(name)
        for element, value in values.items():
            prop.findWidgetByName(element).setText(value)
        self._client.sendNewProperty(prop)

    def send_switch(self, name: str, element: str, on: bool = True) -> None:
        """Turn one switch on, and with it the others off; or with `on` False, that one off."""
        prop = self._native(name).getSwitch(name)
        if on:
            prop.reset()
        prop.findWidgetByName(element).setState(PyIndi.ISS_ON if on else PyIndi.ISS_OFF)
        self._client.sendNewProperty(prop)

    def send_switches(self, name: str, values: Mapping[str, bool]) -> None:
        """Set elements of a switch property where any may be on; the others stay as they are."""
        prop = self._native(name).getSwitch(name)
        for element, on in values.items():
            prop.findWidgetByName(element).setState(PyIndi.ISS_ON if on else PyIndi.ISS_OFF)
        self._client.sendNewProperty(prop)

    def want_blobs(self, vector: str) -> None:
        """Ask the server for this device's BLOBs of that property, and for no others."""
        self._client.setBLOBMode(PyIndi.B_ALSO, self.device, vector)

    def _native(self, name: str) -> PyIndi.BaseDevice:
        device = self._client.getDevice(self.device)
        if self._lost is not None or name not in self.vectors or not device.isValid():
            raise Unreachable(f"{self.device} has no {name} now: {self._lost or 'its driver restarted'}; connect again")
        return device


def _send_at_once(port: int) -> None:
    """TCP_NODELAY on our connections to that port.

    The library writes a command in pieces and leaves Nagle's algorithm on, so that each command waits 40 ms
    for a delayed acknowledgement: measured, and too much for the start of an exposure.
    """
    for entry in Path("/proc/self/fd").iterdir():
        try:
            with socket.socket(fileno=os.dup(int(entry.name))) as sock:
                if sock.family in (socket.AF_INET, socket.AF_INET6) and sock.getpeername()[1] == port:
                    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        except OSError as fault:
            log.debug("descriptor %s is no connected socket: %s", entry.name, fault)


async def devices_at(host: str, port: int, clock: Clock, settle_s: float) -> list[str]:
    """The names of the devices that answer on that server within `settle_s`. Raises Unreachable."""
    names: list[str] = []

    class Lister(PyIndi.BaseClient):  # type: ignore[misc]  # PyIndi has no types
        """Collects names, on the library's thread."""

        def newDevice(self, device: PyIndi.BaseDevice) -> None:  # noqa: N802 - the library's name
            names.append(str(device.getDeviceName()))

    client = Lister()
    client.setServer("127.0.0.1" if host == "localhost" else host, port)
    client.setConnectionTimeout(CONNECT_TIMEOUT_S, 0)
    if not await asyncio.to_thread(client.connectServer):
        raise Unreachable(f"no indiserver answers at {host}:{port}")
    await clock.sleep(settle_s)
    client.disconnectServer()
    return sorted(names)
