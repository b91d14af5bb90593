"""Weather from a JSON document over HTTP. Each reading asks for it; options that map nothing go into the URL."""

import asyncio
import http.client
import urllib.error
import urllib.request
from urllib.parse import quote, urlencode

from astrod_drivers.address import Address
from astrod_drivers.errors import BadAnswer, DeadlineMissed, Unreachable
from astrod_drivers.feeds.fields import POSSIBLE, document, fields_of, told_us, values
from astrod_drivers.protocols import Clock, Weather, WeatherReading

TIMEOUT_S = 2.5
LARGEST_BYTES = 1_000_000


class HttpWeather(Weather):
    """See `protocols.Weather`. Without `time=` a reading is as old as its document: one that repeats may be frozen."""

    def __init__(self, address: Address, clock: Clock) -> None:
        self.address = address
        self._mapping = fields_of(address)
        self._clock = clock
        own = [(name, text) for name, text in address.options if name not in (*POSSIBLE, "time")]
        scheme = address.scheme.removesuffix("+json")
        self.url = f"{scheme}://{address.host}:{address.port}/{quote(address.device)}"
        self.url += f"?{urlencode(own)}" if own else ""
        # no proxy from the environment: a station on the local network is behind none
        self._opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))

    async def connect(self) -> None:
        await self.read()

    async def disconnect(self) -> None:
        """Nothing is held."""

    async def read(self) -> WeatherReading:
        asked_us = self._clock.now_us()
        content = await asyncio.to_thread(self._content)
        found = document(self.url, content)
        own_us = told_us(self.url, self._mapping, found)
        return WeatherReading(asked_us if own_us is None else own_us, values(self._mapping, found))

    def _content(self) -> bytes:
        request = urllib.request.Request(self.url, headers={"Accept": "application/json", "User-Agent": "astrod"})
        try:
            with self._opener.open(request, timeout=TIMEOUT_S) as answer:
                content: bytes = answer.read(LARGEST_BYTES + 1)
        except urllib.error.HTTPError as fault:
            raise BadAnswer(f"{self.url} answers {fault.code} {fault.reason}; look at that station") from fault
        except TimeoutError as fault:
            raise DeadlineMissed(f"{self.url} does not answer within {TIMEOUT_S:g} s") from fault
        except (OSError, http.client.HTTPException, ValueError) as fault:
            raise Unreachable(f"{self.url} cannot be reached ({fault}); is the station on, the name right?") from fault
        if len(content) > LARGEST_BYTES:
            raise BadAnswer(f"{self.url} sends over {LARGEST_BYTES} bytes; that is no weather")
        return content
