"""Weather from an MQTT topic, through paho-mqtt, whose network thread lives in this driver host only.

A broker hands the last retained message to whoever subscribes, however old it is. So a retained message counts only
where the document has a time stamp of its own (`time=`); without one we wait for the next.
"""

import asyncio
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import paho.mqtt.client as paho
from paho.mqtt.enums import CallbackAPIVersion

from astrod_drivers.address import Address
from astrod_drivers.errors import AddressInvalid, Unreachable
from astrod_drivers.feeds.fields import document, fields_of, told_us, values
from astrod_drivers.protocols import Clock, Weather, WeatherReading

CONNECT_S = 5.0
KEEPALIVE_S = 15


@dataclass(frozen=True, slots=True)
class Heard:
    """The last message and when it came."""

    payload: bytes
    arrived_us: int


class MqttWeather(Weather):
    """See `protocols.Weather`. `credentials=FILE` names a file with the user on one line, the password on the next."""

    def __init__(self, address: Address, clock: Clock) -> None:
        self.address = address
        self._mapping = fields_of(address)
        self._clock = clock
        self._lock = threading.Lock()
        self._heard: Heard | None = None
        self._refusal: str | None = "not connected yet"
        self._client: paho.Client | None = None

    async def connect(self) -> None:
        """Connect and subscribe. Raises Unreachable, AddressInvalid."""
        await self.disconnect()
        client = paho.Client(CallbackAPIVersion.VERSION2, protocol=paho.MQTTv311)
        self._sign_in(client)
        client.on_connect, client.on_disconnect = self._connected, self._disconnected
        client.on_subscribe, client.on_message = self._subscribed, self._message
        try:
            await asyncio.to_thread(client.connect, self.address.host, self.address.port, KEEPALIVE_S)
        except (OSError, ValueError) as fault:
            raise Unreachable(f"no MQTT broker at {self.address.host}:{self.address.port} ({fault})") from fault
        self._client = client
        client.loop_start()
        deadline_s = self._clock.monotonic_s() + CONNECT_S
        while self._why_not() is not None:
            if self._clock.monotonic_s() > deadline_s:
                why = self._why_not()
                await self.disconnect()
                raise Unreachable(f"{self.address}: the broker lets nobody in: {why}")
            await self._clock.sleep(0.05)

    def _sign_in(self, client: paho.Client) -> None:
        file = self.address.option("credentials")
        if file is None:
            return
        try:
            user, password, *_ = Path(file).read_text().split("\n")
        except (OSError, ValueError) as fault:
            raise AddressInvalid(f"{self.address}: {file} must hold user and password on two lines") from fault
        client.username_pw_set(user.strip(), password.strip())

    async def disconnect(self) -> None:
        client, self._client = self._client, None
        if client is not None:
            client.disconnect()
            await asyncio.to_thread(client.loop_stop)
        with self._lock:
            self._heard, self._refusal = None, "not connected yet"

    async def read(self) -> WeatherReading:
        """The last message. One that never came is as old as can be; a broker that is lost raises Unreachable."""
        why = self._why_not()
        if why is not None:
            raise Unreachable(f"{self.address}: {why}; connect again")
        with self._lock:
            heard = self._heard
        if heard is None:
            return WeatherReading(0, {})
        found = document(str(self.address), heard.payload)
        own_us = told_us(str(self.address), self._mapping, found)
        measured_us = heard.arrived_us if own_us is None else own_us
        return WeatherReading(measured_us, values(self._mapping, found))

    def _why_not(self) -> str | None:
        with self._lock:
            return self._refusal

    # -- on paho's thread ------------------------------------------------------------------------------------

    def _connected(self, client: paho.Client, _data: Any, _flags: Any, reason: Any, _properties: Any) -> None:
        if reason.is_failure:
            with self._lock:
                self._refusal = f"the broker says {reason}"
        else:
            client.subscribe(self.address.device, qos=1)

    def _subscribed(self, _client: paho.Client, _data: Any, _number: int, reasons: list[Any], _properties: Any) -> None:
        refused = [str(reason) for reason in reasons if reason.is_failure]
        with self._lock:
            self._refusal = f"the topic is refused: {refused[0]}" if refused else None

    def _disconnected(self, _client: paho.Client, _data: Any, _flags: Any, reason: Any, _properties: Any) -> None:
        with self._lock:
            self._refusal = f"the broker is lost ({reason})"

    def _message(self, _client: paho.Client, _data: Any, message: paho.MQTTMessage) -> None:
        if message.retain and self._mapping.time is None:
            return
        with self._lock:
            self._heard = Heard(message.payload, self._clock.now_us())
