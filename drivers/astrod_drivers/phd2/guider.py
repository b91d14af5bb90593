"""PHD2 as a `protocols.Guider`.

PHD2 says of itself what it does; whether that is so is told by its guide steps. While it claims to guide and no
step comes for SILENT_EXPOSURES exposures, or the same step comes over and over, it is frozen, and `read` says so
instead of its last numbers.
"""

import math
from collections import deque
from dataclasses import dataclass
from urllib.parse import parse_qsl, urlsplit

from astrod_drivers.address import parse
from astrod_drivers.errors import AddressInvalid, BadAnswer, CommandRefused, PermitRefused, Unreachable
from astrod_drivers.phd2.link import Event, Phd2Link, finite
from astrod_drivers.protocols import Clock, Device, Gate, Guider, GuiderState, Permit

SILENT_EXPOSURES = 5
SILENT_FLOOR_S = 10.0
SAME_STEPS = 5
RMS_WINDOW_S = 30.0
GEAR_S = 25.0
STOP_S = 10.0

STARTING = {"StartCalibration": "Calibrating", "Calibrating": "Calibrating", "StartGuiding": "Guiding"}
"""Events that say what PHD2 does from now on, and its own word for that."""
ENDING = {"GuidingStopped": "Stopped", "LoopingExposuresStopped": "Stopped", "CalibrationFailed": "Stopped"}
WORKING = ("Guiding", "LostLock", "Calibrating")
"""States in which PHD2 takes guide exposures and must be heard."""


@dataclass(frozen=True, slots=True)
class Settle:
    """When PHD2 calls the guiding settled: within `pixels` for `time_s`; given up after `timeout_s`."""

    pixels: float = 1.5
    time_s: float = 8.0
    timeout_s: float = 90.0

    def said(self) -> dict[str, float]:
        """As PHD2's methods take it."""
        return {"pixels": self.pixels, "time": self.time_s, "timeout": self.timeout_s}


_SETTLE_KEYS = {"settle_px": "pixels", "settle_s": "time_s", "settle_within_s": "timeout_s"}


def settle_of(address: str) -> Settle:
    """The settling that an address asks for, `phd2://HOST:PORT?settle_px=1.5&settle_s=8&settle_within_s=90`.

    Raises AddressInvalid for a word or a number that is none of these.
    """
    values: dict[str, float] = {}
    for word, text in parse_qsl(urlsplit(address).query, keep_blank_values=True):
        if word not in _SETTLE_KEYS:
            raise AddressInvalid(f"{address}: {word!r} is none of {', '.join(_SETTLE_KEYS)}")
        try:
            values[_SETTLE_KEYS[word]] = float(text)
        except ValueError as fault:
            raise AddressInvalid(f"{address}: {word} is {text!r}; write a number") from fault
    if not all(math.isfinite(value) and value > 0.0 for value in values.values()):
        raise AddressInvalid(f"{address}: what says when guiding has settled must be over 0")
    return Settle(**values)


@dataclass(frozen=True, slots=True)
class Step:
    """A guide step: when, errors in pixels along the mount's axes, and what would tell it from the one before."""

    at_s: float
    ra_px: float
    dec_px: float
    mark: tuple[object, ...]


class Phd2Guider(Guider):
    """See `protocols.Guider`. `dither` is in pixels of PHD2's own camera."""

    def __init__(self, host: str, port: int, settle: Settle, *, clock: Clock, gate: Gate) -> None:
        self._host, self._port, self._settle = host, port, settle
        self._clock, self._gate = clock, gate
        self._link: Phd2Link | None = None
        self._forget()

    def _forget(self) -> None:
        self._state = "Stopped"
        self._settled = False
        self._steps: deque[Step] = deque(maxlen=600)
        self._same = 0
        self._heard_s = self._clock.monotonic_s()
        self._scale_arcsec: float | None = None
        self._exposure_s = 2.0
        self._trouble = ""
        self._gear_changed = False

    # -- connecting ------------------------------------------------------------------------------------------

    async def connect(self) -> None:
        """See `protocols.Device`. PHD2 connects its camera and mount where they are not; guiding goes on as it is."""
        if self._link is not None and self._link.lost is None:
            await self._attach(self._link)
            return
        await self.disconnect()
        self._forget()
        self._link = Phd2Link(self._host, self._port, self._hear)
        await self._link.open()
        await self._attach(self._link)

    async def _attach(self, link: Phd2Link) -> None:
        if await link.call("get_connected") is not True:
            try:
                await link.call("set_connected", True, deadline_s=GEAR_S)
            except CommandRefused as fault:
                raise Unreachable(f"{fault}; choose a profile in PHD2 and connect its camera and mount once") from fault
        self._gear_changed = False
        state = await link.call("get_app_state")
        if not isinstance(state, str):
            raise BadAnswer(f"PHD2's state is {state!r}; it must be a word")
        self._enter(state)
        await self._learn(link)

    async def _learn(self, link: Phd2Link) -> None:
        """What a change of PHD2's settings may change."""
        scale = finite({"scale": await link.call("get_pixel_scale")}, "scale")
        self._scale_arcsec = scale if scale is not None and scale > 0.0 else None
        exposure_ms = finite({"exposure": await link.call("get_exposure")}, "exposure")
        self._exposure_s = exposure_ms / 1000.0 if exposure_ms is not None and exposure_ms > 0.0 else 2.0

    async def disconnect(self) -> None:
        """See `protocols.Device`. PHD2 goes on with what it does."""
        link, self._link = self._link, None
        if link is not None:
            await link.close()

    def _live(self) -> Phd2Link:
        if self._link is None:
            raise Unreachable(f"PHD2 at {self._host}:{self._port} is not connected; connect it")
        if self._link.lost is not None:
            raise Unreachable(f"PHD2 at {self._host}:{self._port}: {self._link.lost}; connect again")
        return self._link

    # -- what the protocol asks for --------------------------------------------------------------------------

    async def read(self) -> GuiderState:
        """See `protocols.Guider`. Raises Unreachable when PHD2 is frozen or has lost its camera or mount."""
        link = self._live()
        if self._gear_changed:
            await self._check_gear(link)
        self._check_alive()
        ra_px, dec_px = self._rms_px()
        scale = self._scale_arcsec
        return GuiderState(
            guiding=self._state in ("Guiding", "LostLock"),
            settled=self._state == "Guiding" and self._settled,
            star_lost=self._state == "LostLock",
            rms_ra_arcsec=ra_px * scale if ra_px is not None and scale else None,
            rms_dec_arcsec=dec_px * scale if dec_px is not None and scale else None,
            calibrating=self._state == "Calibrating",
            scale_arcsec_px=scale,
            trouble=self._trouble,
        )

    async def start(self, permit: Permit) -> None:
        """See `protocols.Guider`. PHD2 chooses a star and calibrates first where it must."""
        link = self._live()
        self._check(permit, "guide")
        self._trouble, self._settled = "", False
        self._heard_s = self._clock.monotonic_s()
        if self._state == "Paused":
            await link.call("set_paused", False)
        await link.call("guide", self._settle.said(), False)

    async def dither(self, amount_px: float, permit: Permit) -> None:
        """See `protocols.Guider`. Raises CommandRefused while PHD2 does not guide."""
        link = self._live()
        self._check(permit, "dither")
        if self._state != "Guiding":
            raise CommandRefused(f"PHD2 does not guide ({self._state}); start it before a dither")
        before, self._settled = self._settled, False
        try:
            await link.call("dither", amount_px, False, self._settle.said())
        except CommandRefused:
            self._settled = before
            raise

    async def stop(self) -> None:
        """See `protocols.Guider`."""
        await self._live().call("stop_capture", deadline_s=STOP_S)
        self._settled = False

    def _check(self, permit: Permit, what: str) -> None:
        if not self._gate.allows(permit):
            raise PermitRefused(f"{what}: safety epoch {permit.epoch} is over; wait for the site to be safe")

    # -- is it really guiding --------------------------------------------------------------------------------

    async def _check_gear(self, link: Phd2Link) -> None:
        connected = await link.call("get_connected")
        if connected is not True:
            raise Unreachable("PHD2 has lost its camera or mount; look at their cables, astrod connects them again")
        self._gear_changed = False
        await self._learn(link)

    def _check_alive(self) -> None:
        if self._state not in WORKING:
            return
        silent_s = self._clock.monotonic_s() - self._heard_s
        if silent_s > max(SILENT_FLOOR_S, SILENT_EXPOSURES * self._exposure_s):
            raise Unreachable(f"PHD2 says {self._state} and has been silent for {silent_s:.0f} s; restart it")
        if self._same >= SAME_STEPS:
            raise Unreachable(f"PHD2 repeats one guide step ({self._same + 1} times): its camera is stuck; restart it")

    def _rms_px(self) -> tuple[float | None, float | None]:
        """Root mean square of the last half minute's steps, by axis."""
        since_s = self._clock.monotonic_s() - RMS_WINDOW_S
        steps = [step for step in self._steps if step.at_s >= since_s]
        if not steps:
            return None, None
        return (
            math.sqrt(sum(step.ra_px**2 for step in steps) / len(steps)),
            math.sqrt(sum(step.dec_px**2 for step in steps) / len(steps)),
        )

    # -- events ----------------------------------------------------------------------------------------------

    def _enter(self, state: str) -> None:
        if state != self._state:
            self._heard_s = self._clock.monotonic_s()
            if state != "LostLock" and self._state != "LostLock":
                self._same = 0
                self._steps.clear()
            if state not in ("Guiding", "LostLock"):
                self._settled = False
        self._state = state

    def _hear(self, event: Event) -> None:
        name = event["Event"]
        if name in STARTING:
            self._enter(STARTING[name])
            self._heard_s = self._clock.monotonic_s()
        elif name in ENDING:
            self._enter(ENDING[name])
        if name == "GuideStep":
            self._step(event)
        elif name == "StarLost":
            self._heard_s = self._clock.monotonic_s()
            if self._state == "Guiding":
                self._enter("LostLock")
        elif name == "AppState" and isinstance(event.get("State"), str):
            self._enter(event["State"])
        elif name in ("Paused", "LockPositionLost"):
            self._enter("Paused" if name == "Paused" else "LostLock")
        elif name == "CalibrationFailed":
            self._trouble = f"PHD2's calibration failed: {event.get('Reason')}"
        elif name in ("SettleBegin", "GuidingDithered"):
            self._settled = False
        elif name == "SettleDone":
            self._settle_done(event)
        elif name == "Alert" and event.get("Type") == "error":
            self._trouble = f"PHD2 says: {event.get('Msg')}"
            self._gear_changed = True
        elif name == "ConfigurationChange":
            self._gear_changed = True

    def _settle_done(self, event: Event) -> None:
        self._settled = event.get("Status") == 0
        if not self._settled:
            self._trouble = f"PHD2 did not settle: {event.get('Error')}"

    def _step(self, event: Event) -> None:
        ra_px, dec_px = finite(event, "RADistanceRaw"), finite(event, "DECDistanceRaw")
        if ra_px is None or dec_px is None:
            return  # not a step: silence goes on counting
        now_s = self._clock.monotonic_s()
        mark = (ra_px, dec_px, event.get("StarMass"), event.get("SNR"), event.get("dx"), event.get("dy"))
        self._same = self._same + 1 if self._steps and self._steps[-1].mark == mark else 0
        self._steps.append(Step(now_s, ra_px, dec_px, mark))
        self._heard_s = now_s
        self._enter("Guiding")


def open_phd2(kind: str, address: str, *, clock: Clock, gate: Gate) -> Device:
    """The driver for that address, not yet connected. Raises AddressInvalid."""
    if kind != "guider":
        raise AddressInvalid(f"{address}: PHD2 is a guider, no {kind}")
    spot = parse(address)
    return Phd2Guider(spot.host, spot.port, settle_of(address), clock=clock, gate=gate)
