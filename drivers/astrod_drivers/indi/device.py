"""What every INDI device shares: connecting, knowing that the driver lives, sending and being answered.

A command waits until the driver has answered: Busy, Ok or Idle means accepted, Alert means refused, and the
driver's last words say why. A reading is believed only while the driver is heard: one that has been silent
for SILENCE_S is asked to say something, and when it does not, DeadlineMissed says so instead of old values.
"""

import difflib
import logging
from collections.abc import Callable, Mapping
from pathlib import Path

from astrod_drivers.address import Address
from astrod_drivers.errors import (
    BadAnswer,
    CommandRefused,
    DeadlineMissed,
    DeviceMissing,
    PermitRefused,
    Unreachable,
)
from astrod_drivers.indi.link import ClockOffset, Link, Vector, devices_at
from astrod_drivers.protocols import Clock, Device, Gate, Permit

APPEAR_S = 2.0
QUIET_S = 0.1
HARDWARE_S = 20.0
ANSWER_S = 5.0
SILENCE_S = 3.0
PROBE_S = 2.0
OFFSET_S = 1.0
PORT = "DEVICE_PORT"
HERE = ("localhost", "127.0.0.1", "::1")
log = logging.getLogger(__name__)


class IndiDevice(Device):
    """One device on one indiserver. `needs` are the properties without which it is not of its kind."""

    kind = "device"
    needs: tuple[str, ...] = ()

    def __init__(self, address: Address, *, clock: Clock, gate: Gate, spool: Path) -> None:
        self.address = address
        self.clock = clock
        self._gate = gate
        self._spool = spool
        self._link: Link | None = None
        self._settled = False

    # -- connecting ------------------------------------------------------------------------------------------

    async def connect(self) -> None:
        """See `protocols.Device`. The hardware stays as it is; a driver that restarted is connected again."""
        self._settled = False
        link = self._link
        if link is None or link.lost is not None:
            link = await self._open()
        await self._find(link)
        await self._choose_port(link)
        await self._switch_on(link)
        for name in self.needs:
            await self._need(link, name)
        await self._all_defined(link)
        check_serial(self.address, link.vectors)
        await self._prepare(link)
        self._settled = True
        self._tell_offset(link)

    async def _open(self) -> Link:
        link = Link(self.address.host, self.address.port, self.address.device, clock=self.clock, spool=self._spool)
        await link.open()
        self._link = link
        return link

    async def _find(self, link: Link) -> None:
        try:
            await link.until(lambda: link.vectors.get("CONNECTION"), APPEAR_S, "appearing on the server")
        except DeadlineMissed as fault:
            there = await devices_at(link.host, link.port, self.clock, APPEAR_S / 2)
            raise DeviceMissing(_missing_text(self.address, there)) from fault

    async def _choose_port(self, link: Link) -> None:
        """Put the driver on the port that the address names; one that holds another lets go of it first."""
        port = self.address.option("port")
        if port is None:
            return
        await self._need(link, PORT)
        if self._vector(link, PORT).values.get("PORT") == port:
            return
        self._check_port(port)
        if link.vectors["CONNECTION"].on("CONNECT"):
            await self._command(link, "CONNECTION", lambda: link.send_switch("CONNECTION", "DISCONNECT"), HARDWARE_S)
        await self._command(link, PORT, lambda: link.send_texts(PORT, {"PORT": port}))

    def _check_port(self, port: str) -> None:
        """On this machine we can look ourselves whether anything is plugged in there. Raises Unreachable."""
        if self.address.host not in HERE or not port.startswith("/") or Path(port).exists():
            return
        there = sorted(str(path) for path in Path("/dev/serial/by-id").glob("*"))
        raise Unreachable(f"{self.address}: nothing is plugged in at {port}; there is {', '.join(there) or 'nothing'}")

    @property
    def clock_offset(self) -> ClockOffset:
        """How far the server's clock is ahead of ours, by the time stamps of what it sends."""
        return self._link.offset if self._link is not None else ClockOffset()

    def _tell_offset(self, link: Link) -> None:
        """A server with a wrong clock stamps its files wrongly. Ours are stamped by our clock, so it is only told."""
        offset = link.offset
        if offset.known and not offset.low_s - OFFSET_S <= 0.0 <= offset.high_s + OFFSET_S:
            log.warning(
                "%s: its machine's clock is %+.1f s from ours; start times are ours, set NTP up there",
                self.address,
                offset.middle_s,
            )

    async def _switch_on(self, link: Link) -> None:
        """CONNECTION.CONNECT on: the driver takes hold of its hardware."""
        if link.vectors["CONNECTION"].on("CONNECT") and link.vectors["CONNECTION"].state != "Busy":
            return
        try:
            await self._command(link, "CONNECTION", lambda: link.send_switch("CONNECTION", "CONNECT"), HARDWARE_S)
            await link.until(lambda: link.vectors["CONNECTION"].on("CONNECT") or None, HARDWARE_S, "connecting")
        except (CommandRefused, DeadlineMissed) as fault:
            text = f"{self.address}: the driver cannot reach its hardware ({fault}); check cable, power, port"
            raise Unreachable(text) from fault

    async def _need(self, link: Link, name: str) -> None:
        try:
            await link.until(lambda: link.vectors.get(name), ANSWER_S, f"defining {name}")
        except DeadlineMissed as fault:
            raise DeviceMissing(f"{self.address} is no {self.kind}: it has no {name}; check the address") from fault

    async def _all_defined(self, link: Link) -> None:
        """A driver defines its properties one by one; what it has is known once it has paused."""
        known = -1
        while len(link.vectors) != known:
            known = len(link.vectors)
            await self.clock.sleep(QUIET_S)

    async def _prepare(self, link: Link) -> None:
        """What a kind sets once per connection."""

    async def disconnect(self) -> None:
        """See `protocols.Device`. Other clients may be using the driver, so it stays connected."""
        link, self._link = self._link, None
        self._settled = False
        if link is not None:
            link.close()

    # -- reading ---------------------------------------------------------------------------------------------

    def _live(self) -> Link:
        """The link, if the device was connected and has not been lost since. Raises Unreachable."""
        link = self._link
        if link is None or not self._settled:
            raise Unreachable(f"{self.address} is not connected; connect it")
        if link.lost is not None:
            raise Unreachable(f"{self.address}: {link.lost}; connect again")
        connection = link.vectors.get("CONNECTION")
        if connection is None or not connection.on("CONNECT"):
            self._settled = False
            raise Unreachable(f"{self.address}: its driver restarted or was disconnected; connect again")
        return link

    async def _heard(self) -> Link:
        """The link, with a driver behind it that has just been heard. Raises Unreachable, DeadlineMissed."""
        link = self._live()
        if self.clock.monotonic_s() - link.heard_s < SILENCE_S:
            return link
        before = link.heard_s
        # a driver that is connected already answers a second CONNECT at once and does nothing else
        link.send_switch("CONNECTION", "CONNECT")
        await link.until(lambda: link.heard_s > before or None, PROBE_S, "any word from the driver")
        return self._live()

    def _vector(self, link: Link, name: str) -> Vector:
        """A property that must be there. Raises Unreachable: a driver that lost it has restarted."""
        vector = link.vectors.get(name)
        if vector is None:
            raise Unreachable(f"{self.address} no longer has {name}: its driver restarted; connect again")
        return vector

    def _number(self, link: Link, name: str, element: str) -> float:
        """A number that must be there and be finite. Raises Unreachable, BadAnswer."""
        value = self._vector(link, name).number(element)
        if value is None or value != value or abs(value) == float("inf"):
            raise BadAnswer(f"{self.address}: {name}.{element} is {value}; look at the driver's log")
        return value

    # -- commanding ------------------------------------------------------------------------------------------

    def _check(self, permit: Permit) -> None:
        """The last thing before a hazardous command. Raises PermitRefused."""
        if not self._gate.allows(permit):
            raise PermitRefused(f"{self.address}: safety epoch {permit.epoch} is over; wait for the site to be safe")

    def _check_slew(self, permit: Permit) -> None:
        """The same before a mount leaves its place. Raises PermitRefused."""
        self._check(permit)
        if not self._gate.allows_slew(permit):
            raise PermitRefused(f"{self.address}: no mount may move now; `astrod status` says why")

    async def _set_numbers(self, name: str, values: Mapping[str, float], deadline_s: float = ANSWER_S) -> Vector:
        link = self._live()
        return await self._command(link, name, lambda: link.send_numbers(name, values), deadline_s)

    async def _set_switch(self, name: str, element: str, deadline_s: float = ANSWER_S) -> Vector:
        link = self._live()
        if element not in self._vector(link, name).values:
            raise CommandRefused(f"{self.address} has no {name}.{element}; its driver cannot do that")
        return await self._command(link, name, lambda: link.send_switch(name, element), deadline_s)

    async def _command(
        self,
        link: Link,
        name: str,
        send: Callable[[], None],
        deadline_s: float = ANSWER_S,
        accepted: Callable[[Vector], bool] | None = None,
    ) -> Vector:
        """Send, and wait for the driver's answer in that property. Raises CommandRefused upon Alert.

        `accepted` tells the answer from updates that the driver sends anyway.
        """
        before = link.vectors[name].serial if name in link.vectors else 0
        words = len(link.messages)
        last_words = tuple(link.messages)
        send()

        def answer() -> Vector | None:
            vector = link.vectors.get(name)
            if vector is None:
                raise Unreachable(f"{self.address}: its driver restarted during {name}; connect again")
            if vector.serial <= before:
                return None
            if vector.state == "Alert" or accepted is None or accepted(vector):
                return vector
            return None

        vector = await link.until(answer, deadline_s, f"an answer to {name}")
        if vector.state == "Alert":
            said = [text for text in link.messages if text not in last_words] if words else list(link.messages)
            raise CommandRefused(f"{self.address} refused {name}: {said[-1] if said else 'it gave no reason'}")
        return vector


def check_serial(address: Address, vectors: Mapping[str, Vector]) -> None:
    """Make sure that the hardware is the one with the serial number that the address names.

    Raises DeviceMissing when no text of the driver is that number; the message names those it has.
    """
    wanted = address.option("serial")
    if wanted is None:
        return
    texts = [
        (f"{name} {element} {vector.labels.get(element, '')}".lower(), str(value).strip())
        for name, vector in vectors.items()
        for element, value in vector.values.items()
        if isinstance(value, str)
    ]
    if any(value == wanted for _, value in texts):
        return
    found = sorted({value for words, value in texts if value and ("serial" in words or "sn#" in words)})
    said = f"it says {', '.join(found)}" if found else "its driver tells no serial number"
    raise DeviceMissing(f"{address} is not the one with serial number {wanted!r}: {said}; check the address")


def _missing_text(address: Address, there: list[str]) -> str:
    if not there:
        return f"{address}: the indiserver runs no driver that answers; start the driver of {address.device!r}"
    near = difflib.get_close_matches(address.device, there, n=1, cutoff=0.5)
    hint = f" Did you mean {near[0]!r}?" if near else ""
    return f"{address}: no such device on the server.{hint} There are: {', '.join(there)}"
