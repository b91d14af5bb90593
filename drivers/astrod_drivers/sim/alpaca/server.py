"""The HTTP side of the simulated Alpaca server (ASCOM Alpaca API Reference, version 1)."""

import itertools
import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import asdict
from typing import Any
from urllib.parse import parse_qsl

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

from astrod_drivers.protocols import Clock
from astrod_drivers.sim.alpaca import pixels
from astrod_drivers.sim.alpaca.bad import Misbehaving, Misbehaviour
from astrod_drivers.sim.alpaca.faces import INVALID_OPERATION, AlpacaFault, BadRequest, CameraFace, Face, Words, face_of
from astrod_drivers.wire import Offer


class AlpacaServer:
    """Serves the offers (by name) as Alpaca devices, numbered by type in their order.

    `app` is the ASGI application. The simulator's own path `/simulator/bad` takes a JSON list of `bad.Misbehaviour`
    (PUT, replacing what was there) and tells what is left of it (GET).
    """

    def __init__(self, offers: Mapping[str, Offer], clock: Clock, tells_state: bool = True) -> None:
        """`tells_state` False: interfaces of before DeviceState."""
        self._tells_state = tells_state
        self._faces: dict[tuple[str, int], Face] = {}
        for name, offer in offers.items():
            self._add(name, offer, clock)
        self._numbers = itertools.count(1)
        routes = [
            Route("/api/v1/{device_type}/{number:int}/{member}", self._device, methods=["GET", "PUT"]),
            Route("/management/apiversions", self._versions),
            Route("/management/v1/description", self._description),
            Route("/management/v1/configureddevices", self._configured),
            Route("/simulator/bad", self._misbehave, methods=["GET", "PUT"]),
        ]
        self.bad = Misbehaving(Starlette(routes=routes, lifespan=self._lifespan))
        self.app = self.bad

    def _add(self, name: str, offer: Offer, clock: Clock) -> None:
        if not isinstance(offer.kind, str):
            raise TypeError(f"{name} is of a kind of its own, which Alpaca does not have")
        device: Any = offer.device
        face = face_of(offer.kind, name, device, clock)
        face.tells_state = self._tells_state
        number = sum(1 for device_type, _ in self._faces if device_type == face.device_type)
        self._faces[face.device_type, number] = face

    @asynccontextmanager
    async def _lifespan(self, app: Starlette) -> AsyncIterator[None]:
        yield
        for face in self._faces.values():
            await face.close()

    # -- devices -----------------------------------------------------------------------------------------------

    async def _device(self, request: Request) -> Response:
        path = request.path_params
        face = self._faces.get((path["device_type"], path["number"]))
        if face is None:
            return PlainTextResponse(f"there is no {path['device_type']} {path['number']} here", 400)
        try:
            words = await _words(request)
            envelope = {"ClientTransactionID": _client_number(words), "ServerTransactionID": next(self._numbers)}
            if path["member"] == "imagearray" and isinstance(face, CameraFace):
                return await _image(face, request, envelope)
            value = await face.answer(request.method.lower(), path["member"], words)
            if path["member"] == "devicestate" and isinstance(value, list):  # it leaves out what it cannot tell
                value = [one for one in value if not self.bad.concerns(f"/{one['Name'].lower()}")]
        except LookupError as fault:
            return PlainTextResponse(f"{path['device_type']} has no {fault} to {request.method}", 400)
        except BadRequest as fault:
            return PlainTextResponse(str(fault), 400)
        except AlpacaFault as fault:
            return JSONResponse({**envelope, "ErrorNumber": fault.number, "ErrorMessage": str(fault)})
        return self._answer(envelope, value, request.method)

    def _answer(self, envelope: dict[str, int], value: object, method: str) -> Response:
        fields: dict[str, object] = {**envelope, "ErrorNumber": 0, "ErrorMessage": ""}
        return JSONResponse({**fields, "Value": value} if method == "GET" else fields)

    # -- management --------------------------------------------------------------------------------------------

    async def _managed(self, request: Request, value: object) -> Response:
        words = await _words(request)
        return JSONResponse(
            {"ClientTransactionID": _client_number(words), "ServerTransactionID": next(self._numbers), "Value": value}
        )

    async def _versions(self, request: Request) -> Response:
        return await self._managed(request, [1])

    async def _description(self, request: Request) -> Response:
        description = {
            "ServerName": "astrod's simulated observatory",
            "Manufacturer": "astrod",
            "ManufacturerVersion": "1.0",
            "Location": "nowhere",
        }
        return await self._managed(request, description)

    async def _configured(self, request: Request) -> Response:
        devices = [
            {
                "DeviceName": face.name,
                "DeviceType": face.device_type,
                "DeviceNumber": number,
                "UniqueID": f"astrod-sim-{face.device_type}-{number}",
            }
            for (_, number), face in self._faces.items()
        ]
        return await self._managed(request, devices)

    # -- the simulator's own -----------------------------------------------------------------------------------

    async def _misbehave(self, request: Request) -> Response:
        if request.method == "PUT":
            try:
                self.bad.plan = [Misbehaviour(**one) for one in json.loads(await request.body())]
            except (ValueError, TypeError) as fault:
                return PlainTextResponse(f"a list of misbehaviours, see astrod_drivers.sim.alpaca.bad: {fault}", 400)
        return JSONResponse([asdict(one) for one in self.bad.plan])


async def _words(request: Request) -> Words:
    if request.method == "GET":
        return Words(dict(request.query_params), exact=False)
    body = (await request.body()).decode("utf-8", "replace")
    return Words(dict(parse_qsl(body, keep_blank_values=True)), exact=True)


def _client_number(words: Words) -> int:
    given = {name.lower(): value for name, value in words.items()}.get("clienttransactionid", "0")
    return int(given) if given.isascii() and given.isdigit() and int(given) < 2**31 else 0


async def _image(face: CameraFace, request: Request, envelope: dict[str, int]) -> Response:
    """The image in the form that the client accepts."""
    numbers = envelope["ClientTransactionID"], envelope["ServerTransactionID"]
    binary = pixels.CONTENT_TYPE in request.headers.get("accept", "")
    try:
        if not face.connected:
            raise AlpacaFault(INVALID_OPERATION, f"{face.name} is not connected")
        path, place = await face.image()
    except AlpacaFault as fault:
        if not binary:
            raise
        return Response(pixels.failure_bytes(fault.number, str(fault), *numbers), media_type=pixels.CONTENT_TYPE)
    columns = pixels.window(path, place)
    if binary:
        return Response(pixels.image_bytes(columns, *numbers), media_type=pixels.CONTENT_TYPE)
    body = pixels.image_json(columns, {**envelope, "ErrorNumber": 0, "ErrorMessage": ""})
    return Response(body, media_type="application/json")
