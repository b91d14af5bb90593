"""What all Alpaca devices share.

A driver is written as plain functions over alpyca's objects ("ask the telescope for its RightAscension"), each carried
out in a worker thread for as long as its deadline allows. When that is over the thread's connection is cut, so no
thread is left behind; a thread that cannot be cut (a name look-up) dies with the process, which the daemon kills.
"""

import asyncio
import contextvars
import logging
from collections.abc import Callable, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any, TypeVar

from astrod_drivers.address import Address
from astrod_drivers.alpaca.link import CALL, Call, Link, NotOffered, NotServed
from astrod_drivers.alpaca.values import flag
from astrod_drivers.errors import (
    AddressInvalid,
    BadAnswer,
    DeadlineMissed,
    DeviceMissing,
    DriverError,
    PermitRefused,
    Unreachable,
)
from astrod_drivers.protocols import Clock, Device, Gate, Permit

T = TypeVar("T")
READ_S = 2.5
COMMAND_S = 8.0
HARDWARE_S = 25.0
SETTLE_S = 0.2
NO_ANSWERS = (ValueError, TypeError, LookupError, AttributeError, OverflowError)
"""What alpyca raises upon answers that cannot be."""
NOTHING: Mapping[str, Any] = MappingProxyType({})
STATE: contextvars.ContextVar[Mapping[str, Any]] = contextvars.ContextVar("astrod_alpaca_state", default=NOTHING)
"""What the device has told in one answer, by member: this thread need not ask for it again."""
log = logging.getLogger(__name__)


class AlpacaDevice(Device):
    """One device of one server. `model` is alpyca's class for it, `kind` what errors call it."""

    kind = "device"
    model: type[Any]

    def __init__(self, address: Address, *, clock: Clock, gate: Gate, spool: Path) -> None:
        self.address = address
        self.clock = clock
        self._gate = gate
        self._spool = spool
        self._link = Link(address.host, address.port, clock)
        device_type, _, number = address.device.partition("/")
        self._path = f"/api/v1/{device_type}/{number}"
        self._model = self._over_our_link(int(number))
        self._settled = False
        self._tells_state = self._wants_state = _wants_state(address)

    def _over_our_link(self, number: int) -> Any:
        """alpyca's object, whose two doors to the network lead to our link."""
        model = self.model(f"{self.address.host}:{self.address.port}", number)

        def get(member: str, tmo: float = 0.0, **query: object) -> Any:
            told = STATE.get()
            key = f"{member}{query.get('Id', '')}"  # a switch's members carry their number: GetSwitchValue3
            if key in told:
                return told[key]
            return self._link.get(f"{self._path}/{member}", **query)

        def put(member: str, tmo: float = 0.0, **form: object) -> dict[str, Any]:
            return {"Value": self._link.put(f"{self._path}/{member}", **form)}

        model._get, model._put = get, put
        return model

    # -- connecting --------------------------------------------------------------------------------------------

    async def connect(self) -> None:
        """See `protocols.Device`. The hardware stays as it is."""
        self._settled, self._tells_state = False, self._wants_state
        self._link.close()
        await self._ask("connecting", self._take_hold, HARDWARE_S)
        self._settled = True

    def _take_hold(self, device: Any) -> None:
        try:
            held = flag(device.Connected, "Connected")
        except NotServed as fault:
            raise DeviceMissing(f"{self.address}: no such device on the server.{self._others()}") from fault
        if not held:
            self._switch_on(device)
        self._survey(device)

    def _switch_on(self, device: Any) -> None:
        try:
            device.Connected = True
            held = flag(device.Connected, "Connected")
        except (BadAnswer, DriverError) as fault:
            text = f"{self.address}: its driver cannot reach the hardware ({fault}); check cable, power, port"
            raise Unreachable(text) from fault
        if not held:
            raise Unreachable(f"{self.address}: its driver does not connect; check cable, power, port")

    def _others(self) -> str:
        """What else the server has, for the text of an error."""
        try:
            listed = self._link.get("/management/v1/configureddevices")
        except DriverError as fault:
            log.debug("%s: no list of devices: %s", self.address, fault)
            return " Check the address"
        found = [f"{one.get('DeviceType')}/{one.get('DeviceNumber')}" for one in listed if isinstance(one, dict)]
        return f" There are: {', '.join(found).lower() or 'none'}"

    def _survey(self, device: Any) -> None:
        """Learn once per connection what never changes. Raises DeviceMissing for one that is not of its kind."""

    async def disconnect(self) -> None:
        """See `protocols.Device`. Other clients may be using the device, so the server keeps its hold on it."""
        self._settled = False
        self._link.close()

    # -- asking ------------------------------------------------------------------------------------------------

    async def _read(self, question: Callable[[Any], T], deadline_s: float = READ_S) -> T:
        """What the device answers. Raises Unreachable, BadAnswer, DeadlineMissed."""
        self._live()
        return await self._ask("reading", question, deadline_s)

    async def _read_state(self, question: Callable[[Any], T]) -> T:
        """The same, by the device's DeviceState where its address says `?state=yes`: one request instead of one for
        each member.

        What it leaves out, or all where the server's interface is older, is asked member by member. It is not asked for
        unasked: some servers tell there what they knew last, and reckon anew only when a member is asked for.
        """
        return await self._read(lambda device: self._with_state(device, question))

    def _with_state(self, device: Any, question: Callable[[Any], T]) -> T:
        told = self._state_told(device)
        carried = STATE.set(told)
        try:
            return question(device)
        except (BadAnswer, *NO_ANSWERS) as fault:
            if not told:
                raise
            log.warning("%s: its DeviceState cannot be (%s); its members are asked one by one", self.address, fault)
            self._tells_state = False
        finally:
            STATE.reset(carried)
        return question(device)

    def _state_told(self, device: Any) -> Mapping[str, Any]:
        """What DeviceState says, by member in small letters. One that is no list is not asked for again."""
        if not self._tells_state:
            return NOTHING
        try:
            return _members(device.DeviceState)
        except (NotOffered, NotServed) as fault:
            log.debug("%s: no DeviceState: %s", self.address, fault)
        except BadAnswer as fault:
            log.warning("%s: its DeviceState is no use (%s); its members are asked one by one", self.address, fault)
        self._tells_state = False
        return NOTHING

    async def _command(self, what: str, action: Callable[[Any], None], deadline_s: float = COMMAND_S) -> None:
        """Have the device do something. Raises CommandRefused too."""
        self._live()
        await self._ask(what, action, deadline_s)

    def _live(self) -> None:
        if not self._settled:
            raise Unreachable(f"{self.address} is not connected; connect it")

    async def _ask(self, what: str, question: Callable[[Any], T], deadline_s: float) -> T:
        call = Call(deadline_s)
        carried = CALL.set(call)
        try:
            async with asyncio.timeout(deadline_s):
                return await asyncio.to_thread(self._answered, question)
        except TimeoutError as fault:
            text = f"{self.address}: {what} had no answer within {deadline_s:g} s; read back what it did"
            raise DeadlineMissed(text) from fault
        finally:
            call.cut()
            CALL.reset(carried)

    def _answered(self, question: Callable[[Any], T]) -> T:
        try:
            return question(self._model)
        except NO_ANSWERS as fault:
            # alpyca turns answers into its enumerations without looking at them
            raise BadAnswer(f"{self.address} answered what cannot be: {fault}; read the device's log") from fault

    # -- permits -----------------------------------------------------------------------------------------------

    def _check(self, permit: Permit) -> None:
        """The last thing before a hazardous command, in the thread that sends it. Raises PermitRefused."""
        if not self._gate.allows(permit):
            raise PermitRefused(f"{self.address}: safety epoch {permit.epoch} is over; wait for the site to be safe")

    def _check_slew(self, permit: Permit) -> None:
        """The same before a mount leaves its place. Raises PermitRefused."""
        self._check(permit)
        if not self._gate.allows_slew(permit):
            raise PermitRefused(f"{self.address}: no mount may move now; `astrod status` says why")


def _members(said: object) -> dict[str, Any]:
    """A DeviceState's values by member. Raises BadAnswer."""
    if not isinstance(said, list):
        raise BadAnswer(f"a list of members is wanted, not {str(said)[:40]!r}")
    told = {}
    for one in said:
        name = one.get("Name") if isinstance(one, dict) else None
        if not isinstance(name, str) or "Value" not in one:
            raise BadAnswer(f"a member with its name and value is wanted, not {str(one)[:40]!r}")
        told[name.lower()] = one["Value"]
    return told


def _wants_state(address: Address) -> bool:
    """Whether the address asks for DeviceState. Raises AddressInvalid for what it does not know."""
    for name, value in address.options:
        if name != "state" or value not in ("yes", "no"):
            raise AddressInvalid(f"{address}: ?{name}={value} means nothing here; an Alpaca address may say ?state=yes")
    return address.option("state") == "yes"
