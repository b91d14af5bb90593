"""A stand-in for PHD2: its event server as its wiki publishes it, with a mount that drifts, and with its faults.

It guides a star that wanders, takes a moment to calibrate and to settle, and can be told to fall silent, to repeat
its last step, to lose its star or its gear, to refuse, to hang, or to speak nonsense.
"""

import asyncio
import json
import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any


class Phd2StandIn:
    """One PHD2. Its settings and faults are attributes, changed at will; `asked` lists the methods called."""

    def __init__(self, exposure_s: float = 0.05) -> None:
        self.exposure_s = exposure_s
        self.state = "Stopped"
        self.connected = False
        self.calibrated = False
        self.silent = False
        self.repeats = False
        self.star_lost = False
        self.hangs = False
        self.gear_refuses = False
        self.calibration_fails = False
        self.never_settles = False
        self.asked: list[str] = []
        self.params: dict[str, Any] = {}
        self.dithers: list[float] = []
        self._writers: set[asyncio.StreamWriter] = set()
        self._attending: set[asyncio.Task[Any] | None] = set()
        self._work: asyncio.Task[None] | None = None
        self._random = random.Random(7)
        self._step: dict[str, Any] = {}
        self._offset_px = 0.0
        self.port = 0

    # -- the server ------------------------------------------------------------------------------------------

    @asynccontextmanager
    async def serving(self) -> AsyncIterator["Phd2StandIn"]:
        """Listen on a free port of the loopback while the block runs."""
        server = await asyncio.start_server(self._attend, "127.0.0.1", self.port)
        self.port = server.sockets[0].getsockname()[1]
        try:
            yield self
        finally:
            if self._work is not None:
                self._work.cancel()
            server.close()
            await self.drop()
            if self._attending:
                await asyncio.wait(self._attending)

    async def drop(self) -> None:
        """Close every connection, as a PHD2 that ends does."""
        for writer in list(self._writers):
            writer.close()

    def say(self, event: str, **values: Any) -> None:
        """An event to everyone."""
        self.send({"Event": event, "Timestamp": 1.0, "Host": "here", "Inst": 1, **values})

    def send(self, message: object) -> None:
        """A line to everyone."""
        self.send_raw(json.dumps(message).encode() + b"\r\n")

    def send_raw(self, line: bytes) -> None:
        """Bytes to everyone."""
        for writer in self._writers:
            writer.write(line)

    async def _attend(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._writers.add(writer)
        self._attending.add(mine := asyncio.current_task())
        self.say("Version", PHDVersion="2.6.13", PHDSubver="", OverlapSupport=True, MsgVersion=1)
        self.say("AppState", State=self.state)
        try:
            while line := await reader.readline():
                self._answer(json.loads(line), writer)
        finally:
            self._writers.discard(writer)
            self._attending.discard(mine)
            writer.close()

    def _answer(self, request: dict[str, Any], writer: asyncio.StreamWriter) -> None:
        method, params = request["method"], request["params"]
        self.asked.append(method)
        self.params[method] = params
        if self.hangs:
            return
        answer: dict[str, Any] = {"jsonrpc": "2.0", "id": request["id"]}
        try:
            answer["result"] = getattr(self, f"_{method}")(*params)
        except ValueError as fault:
            answer["error"] = {"code": 1, "message": str(fault)}
        writer.write(json.dumps(answer).encode() + b"\r\n")

    # -- its methods -----------------------------------------------------------------------------------------

    def _get_connected(self) -> bool:
        return self.connected

    def _set_connected(self, on: bool) -> int:
        if on and self.gear_refuses:
            raise ValueError("equipment could not be connected")
        self.connected = on
        return 0

    def _get_app_state(self) -> str:
        return self.state

    def _get_pixel_scale(self) -> float:
        return 2.0

    def _get_exposure(self) -> int:
        return round(self.exposure_s * 1000)

    def _set_paused(self, on: bool) -> int:
        return 0

    def _guide(self, settle: dict[str, float], recalibrate: bool) -> int:
        if not self.connected:
            raise ValueError("equipment not connected")
        self._restart(settle)
        return 0

    def _dither(self, amount: float, ra_only: bool, settle: dict[str, float]) -> int:
        if self.state != "Guiding":
            raise ValueError("not guiding")
        self.dithers.append(amount)
        self._offset_px = amount
        self.say("GuidingDithered", dx=amount, dy=0.0)
        self._restart(settle)
        return 0

    def _stop_capture(self) -> int:
        if self._work is not None:
            self._work.cancel()
        self._enter("Stopped", "GuidingStopped")
        return 0

    def _restart(self, settle: dict[str, float]) -> None:
        if self._work is not None:
            self._work.cancel()
        self._work = asyncio.create_task(self._run(settle))

    # -- what it does ----------------------------------------------------------------------------------------

    def _enter(self, state: str, event: str, **values: Any) -> None:
        self.state = state
        self.say(event, **values)

    async def _run(self, settle: dict[str, float]) -> None:
        if not self.calibrated:
            self._enter("Calibrating", "StartCalibration", Mount="Mount")
            await asyncio.sleep(2 * self.exposure_s)
            if self.calibration_fails:
                self._enter("Stopped", "CalibrationFailed", Reason="RA calibration failed: star did not move enough")
                return
            self.calibrated = True
            self.say("CalibrationComplete", Mount="Mount")
        if self.state != "Guiding":
            self._enter("Guiding", "StartGuiding")
        self.say("SettleBegin")
        for frame in range(1, 100_000):
            await asyncio.sleep(self.exposure_s)
            self._frame(frame)
            if frame == 4:
                self._settle(frame)

    def _settle(self, frame: int) -> None:
        failed = {"Status": 1, "Error": "timed-out waiting for guider to settle"}
        said: dict[str, Any] = failed if self.never_settles else {"Status": 0}
        self.say("SettleDone", **said, TotalFrames=frame, DroppedFrames=0)

    def _frame(self, frame: int) -> None:
        if self.silent:
            return
        if self.star_lost:
            self.state = "LostLock"
            self.say("StarLost", Frame=frame, Time=frame * self.exposure_s, StarMass=0, SNR=0, Status="Star lost")
            return
        self.state = "Guiding"
        self._offset_px *= 0.4
        if not (self.repeats and self._step):
            self._step = {
                "Frame": frame,
                "Mount": "Mount",
                "dx": self._random.gauss(0.0, 0.3),
                "dy": self._random.gauss(0.0, 0.3),
                "RADistanceRaw": self._offset_px + self._random.gauss(0.0, 0.3),
                "DECDistanceRaw": self._random.gauss(0.0, 0.3),
                "StarMass": 1000.0 + self._random.gauss(0.0, 30.0),
                "SNR": 40.0 + self._random.gauss(0.0, 2.0),
                "HFD": 2.4,
                "AvgDist": 0.4,
            }
        self.say("GuideStep", **self._step)
