"""Answers discovery: who broadcasts `alpacadiscovery1` on UDP hears at which port Alpaca is served here."""

import asyncio
import json
import socket
from typing import Any

DISCOVERY_PORT = 32227
QUESTION = b"alpacadiscovery1"


class Beacon(asyncio.DatagramProtocol):
    """One socket of it. `open_beacon` makes it."""

    def __init__(self, alpaca_port: int) -> None:
        self._answer = json.dumps({"AlpacaPort": alpaca_port}).encode()
        self._transport: asyncio.DatagramTransport | None = None

    def connection_made(self, transport: Any) -> None:
        self._transport = transport

    def datagram_received(self, data: bytes, address: Any) -> None:
        """Answer a question; whatever else arrives is not for us."""
        if data.startswith(QUESTION) and self._transport is not None:
            self._transport.sendto(self._answer, address)


async def open_beacon(alpaca_port: int, host: str, port: int = DISCOVERY_PORT) -> asyncio.BaseTransport:
    """Listen for questions at `host`; several servers of one machine share the port. Raises OSError."""
    sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
    sock.setblocking(False)
    try:
        sock.bind((host, port))
        transport, _ = await asyncio.get_running_loop().create_datagram_endpoint(lambda: Beacon(alpaca_port), sock=sock)
    except OSError:
        sock.close()
        raise
    return transport
