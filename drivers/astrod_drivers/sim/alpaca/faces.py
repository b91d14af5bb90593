"""Each kind of device as its Alpaca interface has it: `get_MEMBER` answers, `put_MEMBER` acts.

A face speaks Alpaca on one side (hours, JNow, numbered states, error numbers) and `protocols` on the other. Hardware
knows no safety epochs: it obeys whoever commands it, so faces hold a permit that is always good.
"""

import asyncio
import contextlib
import itertools
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, ClassVar

from astrod_drivers.equinox import apparent_of, icrs_of
from astrod_drivers.errors import CommandRefused, DriverError
from astrod_drivers.permit import EpochCell
from astrod_drivers.protocols import (
    Camera,
    CameraInfo,
    Clock,
    Compass,
    Cover,
    Device,
    FilterWheel,
    Focuser,
    Mount,
    Permit,
    RawFrame,
    Roof,
    Rotator,
    SafetyMonitor,
    Shot,
    SiteFix,
    Switch,
    Weather,
)

NOT_IMPLEMENTED, INVALID_VALUE, VALUE_NOT_SET = 0x400, 0x401, 0x402
NOT_CONNECTED, PARKED, INVALID_OPERATION = 0x407, 0x408, 0x40B
SHUTTER_STATES = {"open": 0, "closed": 1, "opening": 2, "closing": 3, "unknown": 4}
COVER_STATES = {"closed": 1, "opening": 2, "closing": 2, "open": 3, "unknown": 4}
IDLE, EXPOSING, FAILED = 0, 2, 5


class AlpacaFault(Exception):
    """A refusal with one of Alpaca's error numbers."""

    def __init__(self, number: int, text: str) -> None:
        super().__init__(text)
        self.number = number


class BadRequest(Exception):
    """A parameter that is missing or no value of its type: HTTP 400."""


class Words(Mapping[str, str]):
    """A request's parameters, typed on demand. `exact`: their names are case sensitive, as those of a PUT are."""

    def __init__(self, given: Mapping[str, str], exact: bool) -> None:
        self._exact = exact
        self._given = dict(given) if exact else {name.lower(): value for name, value in given.items()}

    def __getitem__(self, name: str) -> str:
        try:
            return self._given[name if self._exact else name.lower()]
        except KeyError as fault:
            raise BadRequest(f"parameter {name} is missing") from fault

    def __iter__(self) -> Any:
        return iter(self._given)

    def __len__(self) -> int:
        return len(self._given)

    def number(self, name: str) -> float:
        try:
            return float(self[name])
        except ValueError as fault:
            raise BadRequest(f"parameter {name} is no number") from fault

    def whole(self, name: str) -> int:
        try:
            return int(self[name])
        except ValueError as fault:
            raise BadRequest(f"parameter {name} is no whole number") from fault

    def flag(self, name: str) -> bool:
        said = self[name].lower()
        if said not in ("true", "false"):
            raise BadRequest(f"parameter {name} is neither true nor false")
        return said == "true"


class Face:
    """What all interfaces share. `constants` are the members that never change, `operational` those that DeviceState
    tells together; without `tells_state` the interface is of before there was one.
    """

    device_type = ""
    interface = 1
    constants: ClassVar[Mapping[str, object]] = {}
    operational: ClassVar[tuple[str, ...]] = ()
    tells_state = True

    def __init__(self, name: str, device: Any, clock: Clock) -> None:
        self.name = name
        self.device = device
        self.clock = clock
        self.connected = False
        gate = EpochCell()
        self.permit = Permit(gate.become_safe())

    async def close(self) -> None:
        """Let go of what runs in the background."""

    async def get_connected(self, words: Words) -> bool:
        return self.connected

    async def put_connected(self, words: Words) -> None:
        self.connected = words.flag("Connected")
        if self.connected:
            await self.device.connect()

    async def put_connect(self, words: Words) -> None:
        self.connected = True
        await self.device.connect()

    async def put_disconnect(self, words: Words) -> None:
        self.connected = False

    async def get_connecting(self, words: Words) -> bool:
        return False

    async def get_name(self, words: Words) -> str:
        return self.name

    async def get_description(self, words: Words) -> str:
        return f"{self.name} of astrod's simulated observatory"

    async def get_driverinfo(self, words: Words) -> str:
        return "astrod_drivers.sim.alpaca"

    async def get_driverversion(self, words: Words) -> str:
        return "1.0"

    async def get_interfaceversion(self, words: Words) -> int:
        return self.interface + self.tells_state  # of each interface the version after these brought DeviceState

    async def get_supportedactions(self, words: Words) -> list[str]:
        return []

    async def get_devicestate(self, words: Words) -> list[dict[str, object]]:
        """The operational members; what cannot be told is left out."""
        if not self.tells_state:
            raise LookupError("devicestate")
        return [one for name in self.operational if (one := await self._told(name, name, Words({}, exact=False)))]

    async def _told(self, name: str, member: str, words: Words) -> dict[str, object] | None:
        try:
            return {"Name": name, "Value": await self.answer("get", member.lower(), words)}
        except AlpacaFault:
            return None

    async def answer(self, verb: str, member: str, words: Words) -> object:
        """What a GET answers or a PUT does. Raises AlpacaFault, BadRequest, LookupError for no such member."""
        act = getattr(self, f"{verb}_{member}", None)
        if act is None and not (verb == "get" and member in self.constants):
            raise LookupError(member)
        if not self.connected and not hasattr(Face, f"{verb}_{member}"):
            raise AlpacaFault(NOT_CONNECTED, f"{self.name} is not connected")
        return self.constants[member] if act is None else await self._obeyed(act, words)

    async def _obeyed(self, act: Any, words: Words) -> object:
        try:
            return await act(words)
        except CommandRefused as fault:
            raise AlpacaFault(PARKED if "parked" in str(fault) else INVALID_OPERATION, str(fault)) from fault
        except DriverError as fault:
            raise AlpacaFault(0x500, str(fault)) from fault


class TelescopeFace(Face):
    """ITelescopeV3, of the true equinox of date."""

    device_type = "telescope"
    interface = 3
    device: Mount
    operational = ("RightAscension", "Declination", "Slewing", "Tracking", "AtPark", "SideOfPier", "UTCDate")
    constants: ClassVar[Mapping[str, object]] = {
        "alignmentmode": 2,
        "equatorialsystem": 1,
        "canpark": True,
        "canunpark": True,
        "canpulseguide": True,
        "cansync": True,
        "cansettracking": True,
        "canslew": True,
        "canslewasync": True,
        "cansetpark": True,
        "canfindhome": False,
        "athome": False,
    }

    def __init__(self, name: str, device: Mount, clock: Clock) -> None:
        super().__init__(name, device, clock)
        self._site = SiteFix(0.0, 0.0, 0.0)

    async def _place(self) -> tuple[float, float]:
        state = await self.device.read()
        return apparent_of(state.ra_deg, state.dec_deg, self.clock.now_us())

    async def get_rightascension(self, words: Words) -> float:
        return (await self._place())[0] / 15.0

    async def get_declination(self, words: Words) -> float:
        return (await self._place())[1]

    async def get_slewing(self, words: Words) -> bool:
        return (await self.device.read()).slewing

    async def get_tracking(self, words: Words) -> bool:
        return (await self.device.read()).tracking

    async def put_tracking(self, words: Words) -> None:
        await self.device.set_tracking(words.flag("Tracking"))

    async def get_atpark(self, words: Words) -> bool:
        return (await self.device.read()).parked

    async def get_sideofpier(self, words: Words) -> int:
        side = (await self.device.read()).pier_side
        if side is None:
            raise AlpacaFault(NOT_IMPLEMENTED, "this mount has no pier")
        return 0 if side == "east" else 1

    async def put_slewtocoordinatesasync(self, words: Words) -> None:
        ra_h, dec_deg = self._given_place(words)
        state = await self.device.read()
        if not state.tracking and not state.parked:
            raise AlpacaFault(INVALID_OPERATION, "tracking is off; a slew to coordinates needs it on")
        await self.device.slew(*icrs_of(ra_h * 15.0, dec_deg, self.clock.now_us()), self.permit)

    async def put_synctocoordinates(self, words: Words) -> None:
        ra_h, dec_deg = self._given_place(words)
        await self.device.sync(*icrs_of(ra_h * 15.0, dec_deg, self.clock.now_us()))

    def _given_place(self, words: Words) -> tuple[float, float]:
        ra_h, dec_deg = words.number("RightAscension"), words.number("Declination")
        if not (0.0 <= ra_h < 24.0 and -90.0 <= dec_deg <= 90.0):
            raise AlpacaFault(INVALID_VALUE, "right ascension is 0..24 h, declination -90..90 degrees")
        return ra_h, dec_deg

    async def put_pulseguide(self, words: Words) -> None:
        ways: tuple[Compass, ...] = ("north", "south", "east", "west")
        direction = words.whole("Direction")
        if direction not in range(4):
            raise AlpacaFault(INVALID_VALUE, "Direction is 0..3")
        await self.device.pulse(ways[direction], words.whole("Duration") / 1000.0)

    async def put_abortslew(self, words: Words) -> None:
        if (await self.device.read()).parked:
            raise AlpacaFault(PARKED, "the mount is parked")
        await self.device.abort()

    async def put_park(self, words: Words) -> None:
        await self.device.park()

    async def put_setpark(self, words: Words) -> None:
        await self.device.set_park()

    async def put_unpark(self, words: Words) -> None:
        await self.device.unpark(self.permit)

    async def get_sitelatitude(self, words: Words) -> float:
        return self._site.latitude_deg

    async def get_sitelongitude(self, words: Words) -> float:
        return self._site.longitude_deg

    async def get_siteelevation(self, words: Words) -> float:
        return self._site.height_m

    async def put_sitelatitude(self, words: Words) -> None:
        self._site = SiteFix(words.number("SiteLatitude"), self._site.longitude_deg, self._site.height_m)

    async def put_sitelongitude(self, words: Words) -> None:
        self._site = SiteFix(self._site.latitude_deg, words.number("SiteLongitude"), self._site.height_m)

    async def put_siteelevation(self, words: Words) -> None:
        self._site = SiteFix(self._site.latitude_deg, self._site.longitude_deg, words.number("SiteElevation"))

    async def get_utcdate(self, words: Words) -> str:
        return _iso(self.clock.now_us())

    async def put_utcdate(self, words: Words) -> None:
        try:
            told = datetime.fromisoformat(words["UTCDate"].rstrip("Z")).replace(tzinfo=UTC)
        except ValueError as fault:
            raise AlpacaFault(INVALID_VALUE, "UTCDate is ISO 8601") from fault
        await self.device.set_site(self._site, round(told.timestamp() * 1e6))


def _iso(utc_us: int) -> str:
    return datetime.fromtimestamp(utc_us / 1e6, UTC).strftime("%Y-%m-%dT%H:%M:%S.%f")[:-3] + "Z"


class CameraFace(Face):
    """ICameraV3."""

    device_type = "camera"
    interface = 3
    device: Camera
    operational = ("CameraState", "CCDTemperature", "CoolerPower", "ImageReady", "PercentCompleted")
    constants: ClassVar[Mapping[str, object]] = {
        "canabortexposure": True,
        "canstopexposure": False,
        "canasymmetricbin": False,
        "canfastreadout": False,
        "canpulseguide": False,
        "hasshutter": True,
        "maxbinx": 4,
        "maxbiny": 4,
        "exposuremin": 0.0,
        "exposuremax": 7200.0,
        "exposureresolution": 0.000001,
    }

    def __init__(self, name: str, device: Camera, clock: Clock) -> None:
        super().__init__(name, device, clock)
        self._numbers = itertools.count(1)
        self._binning = 1
        self._window: dict[str, int] = {"StartX": 0, "StartY": 0, "NumX": 0, "NumY": 0}
        self._gain: float | None = None
        self._offset: float | None = None
        self._coming: asyncio.Task[RawFrame] | None = None
        self._latest: Path | None = None

    async def close(self) -> None:
        if self._coming is not None:
            self._coming.cancel()
            await asyncio.gather(self._coming, return_exceptions=True)

    async def _info(self) -> CameraInfo:
        return await self.device.describe()

    async def get_cameraxsize(self, words: Words) -> int:
        return (await self._info()).width_px

    async def get_cameraysize(self, words: Words) -> int:
        return (await self._info()).height_px

    async def get_pixelsizex(self, words: Words) -> float:
        return (await self._info()).pixel_um

    async def get_pixelsizey(self, words: Words) -> float:
        return (await self._info()).pixel_um

    async def get_maxadu(self, words: Words) -> int:
        return int(2 ** (await self._info()).bit_depth - 1)

    async def get_sensortype(self, words: Words) -> int:
        return 2 if (await self._info()).bayer else 0

    async def get_bayeroffsetx(self, words: Words) -> int:
        return 1 if await self._pattern() in ("GRBG", "BGGR") else 0

    async def get_bayeroffsety(self, words: Words) -> int:
        return 1 if await self._pattern() in ("GBRG", "BGGR") else 0

    async def _pattern(self) -> str:
        pattern = (await self._info()).bayer
        if pattern is None:
            raise AlpacaFault(NOT_IMPLEMENTED, "a mono sensor")
        return pattern

    async def get_electronsperadu(self, words: Words) -> float:
        gain = (await self._info()).egain_e_per_adu
        if gain is None:
            raise AlpacaFault(NOT_IMPLEMENTED, "unknown")
        return gain

    async def get_cansetccdtemperature(self, words: Words) -> bool:
        return (await self._info()).cooled

    async def get_cangetcoolerpower(self, words: Words) -> bool:
        return (await self._info()).cooled

    async def get_ccdtemperature(self, words: Words) -> float:
        temperature_c = (await self.device.read()).temperature_c
        if temperature_c is None:
            raise AlpacaFault(NOT_IMPLEMENTED, "no thermometer")
        return temperature_c

    async def get_cooleron(self, words: Words) -> bool:
        return (await self.device.read()).cooler_on

    async def get_coolerpower(self, words: Words) -> float:
        power = (await self.device.read()).cooler_power_percent
        if power is None:
            raise AlpacaFault(NOT_IMPLEMENTED, "no cooler")
        return power

    async def put_setccdtemperature(self, words: Words) -> None:
        self._target_c = words.number("SetCCDTemperature")
        if (await self.device.read()).cooler_on:
            await self.device.cool(self._target_c)

    _target_c = 0.0

    async def get_setccdtemperature(self, words: Words) -> float:
        return self._target_c

    async def put_cooleron(self, words: Words) -> None:
        await self.device.cool(self._target_c if words.flag("CoolerOn") else None)

    async def get_binx(self, words: Words) -> int:
        return self._binning

    async def get_biny(self, words: Words) -> int:
        return self._binning

    async def put_binx(self, words: Words) -> None:
        self._bin(words.whole("BinX"))

    async def put_biny(self, words: Words) -> None:
        self._bin(words.whole("BinY"))

    def _bin(self, binning: int) -> None:
        if binning not in range(1, 5):
            raise AlpacaFault(INVALID_VALUE, "the camera bins 1 to 4")
        self._binning = binning

    async def put_startx(self, words: Words) -> None:
        self._window["StartX"] = words.whole("StartX")

    async def put_starty(self, words: Words) -> None:
        self._window["StartY"] = words.whole("StartY")

    async def put_numx(self, words: Words) -> None:
        self._window["NumX"] = words.whole("NumX")

    async def put_numy(self, words: Words) -> None:
        self._window["NumY"] = words.whole("NumY")

    async def put_gain(self, words: Words) -> None:
        self._gain = float(words.whole("Gain"))

    async def put_offset(self, words: Words) -> None:
        self._offset = float(words.whole("Offset"))

    async def put_startexposure(self, words: Words) -> None:
        exposure_s, light = words.number("Duration"), words.flag("Light")
        if not 0.0 <= exposure_s <= 7200.0:
            raise AlpacaFault(INVALID_VALUE, "Duration is 0..7200 s")
        self._check_window(await self._info())
        name = f"alpaca-{self.name}-{next(self._numbers)}"
        shot = Shot(name, exposure_s, light, self._gain, self._offset, self._binning)
        await self.device.expose(shot, self.permit)
        self._forget()
        self._coming = asyncio.create_task(self.device.fetch(name))

    def _check_window(self, info: CameraInfo) -> None:
        width, height = info.width_px // self._binning, info.height_px // self._binning
        w = self._window
        if w["StartX"] < 0 or w["StartX"] + w["NumX"] > width or w["StartY"] < 0 or w["StartY"] + w["NumY"] > height:
            raise AlpacaFault(INVALID_VALUE, f"the window reaches beyond the {width} x {height} pixels")

    def _forget(self) -> None:
        if self._latest is not None:
            self._latest.unlink(missing_ok=True)
        self._latest = self._coming = None

    async def get_camerastate(self, words: Words) -> int:
        if (await self.device.read()).exposing:
            return EXPOSING
        return FAILED if self._failed() else IDLE

    def _failed(self) -> bool:
        task = self._coming
        return task is not None and task.done() and not task.cancelled() and task.exception() is not None

    async def get_imageready(self, words: Words) -> bool:
        return self._coming is not None and self._coming.done() and not self._failed()

    async def get_percentcompleted(self, words: Words) -> int:
        return 100 if await self.get_imageready(words) else 0

    async def get_lastexposurestarttime(self, words: Words) -> str:
        return _iso((await self._frame()).started_us).rstrip("Z")

    async def get_lastexposureduration(self, words: Words) -> float:
        return (await self._frame()).exposure_s

    async def _frame(self) -> RawFrame:
        if self._coming is None or not self._coming.done():
            raise AlpacaFault(INVALID_OPERATION, "no image is ready")
        with contextlib.suppress(asyncio.CancelledError):
            return await self._coming
        raise AlpacaFault(INVALID_OPERATION, "the exposure was aborted")

    async def image(self) -> tuple[Path, tuple[int, int, int, int]]:
        """The finished frame's file and the window (x, y, width, height) that was asked for."""
        frame = await self._frame()
        self._latest = frame.path
        w = self._window
        return frame.path, (w["StartX"], w["StartY"], w["NumX"], w["NumY"])

    async def put_abortexposure(self, words: Words) -> None:
        await self.device.abort()
        task, self._coming = self._coming, None
        if task is not None:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)


class FocuserFace(Face):
    """IFocuserV3, absolute."""

    device_type = "focuser"
    interface = 3
    device: Focuser
    operational = ("Position", "IsMoving", "Temperature")
    constants: ClassVar[Mapping[str, object]] = {"absolute": True, "tempcomp": False, "tempcompavailable": False}

    async def get_position(self, words: Words) -> int:
        return (await self.device.read()).position

    async def get_ismoving(self, words: Words) -> bool:
        return (await self.device.read()).moving

    async def get_maxstep(self, words: Words) -> int:
        return (await self.device.read()).max_position

    async def get_maxincrement(self, words: Words) -> int:
        return (await self.device.read()).max_position

    async def get_temperature(self, words: Words) -> float:
        temperature_c = (await self.device.read()).temperature_c
        if temperature_c is None:
            raise AlpacaFault(NOT_IMPLEMENTED, "no thermometer")
        return temperature_c

    async def put_move(self, words: Words) -> None:
        await self.device.move(words.whole("Position"))

    async def put_halt(self, words: Words) -> None:
        await self.device.abort()


class WheelFace(Face):
    """IFilterWheelV2."""

    device_type = "filterwheel"
    interface = 2
    device: FilterWheel
    operational = ("Position",)

    async def get_names(self, words: Words) -> list[str]:
        return list((await self.device.read()).filters)

    async def get_focusoffsets(self, words: Words) -> list[int]:
        return [0] * len((await self.device.read()).filters)

    async def get_position(self, words: Words) -> int:
        state = await self.device.read()
        return -1 if state.filter is None else state.filters.index(state.filter)

    async def put_position(self, words: Words) -> None:
        names, place = (await self.device.read()).filters, words.whole("Position")
        if place not in range(len(names)):
            raise AlpacaFault(INVALID_VALUE, f"Position is 0..{len(names) - 1}")
        await self.device.select(names[place])


class RotatorFace(Face):
    """IRotatorV3; the sky's angle is the mechanical one."""

    device_type = "rotator"
    interface = 3
    device: Rotator
    operational = ("MechanicalPosition", "Position", "IsMoving")
    constants: ClassVar[Mapping[str, object]] = {"canreverse": False, "reverse": False}

    async def get_mechanicalposition(self, words: Words) -> float:
        return (await self.device.read()).angle_deg

    async def get_position(self, words: Words) -> float:
        return (await self.device.read()).angle_deg

    async def get_ismoving(self, words: Words) -> bool:
        return (await self.device.read()).moving

    async def put_movemechanical(self, words: Words) -> None:
        await self._turn(words.number("Position"))

    async def put_moveabsolute(self, words: Words) -> None:
        await self._turn(words.number("Position"))

    async def _turn(self, angle_deg: float) -> None:
        if not 0.0 <= angle_deg < 360.0:
            raise AlpacaFault(INVALID_VALUE, "Position is 0..360")
        await self.device.move(angle_deg)

    async def put_halt(self, words: Words) -> None:
        await self.device.abort()


class DomeFace(Face):
    """IDomeV2; a roll-off roof is one that cannot set its azimuth."""

    device_type = "dome"
    interface = 2
    device: Roof
    operational = ("ShutterStatus", "Azimuth", "Slewing")
    constants: ClassVar[Mapping[str, object]] = {
        "cansetshutter": True,
        "canslave": False,
        "slaved": False,
        "canpark": False,
        "cansetaltitude": False,
    }

    async def get_shutterstatus(self, words: Words) -> int:
        return SHUTTER_STATES[(await self.device.read()).aperture]

    async def get_cansetazimuth(self, words: Words) -> bool:
        return (await self.device.read()).azimuth_deg is not None

    async def get_azimuth(self, words: Words) -> float:
        azimuth_deg = (await self.device.read()).azimuth_deg
        if azimuth_deg is None:
            raise AlpacaFault(NOT_IMPLEMENTED, "a roll-off roof")
        return azimuth_deg

    async def get_slewing(self, words: Words) -> bool:
        return (await self.device.read()).aperture in ("opening", "closing")

    async def put_openshutter(self, words: Words) -> None:
        await self.device.open(self.permit)

    async def put_closeshutter(self, words: Words) -> None:
        await self.device.close()

    async def put_slewtoazimuth(self, words: Words) -> None:
        azimuth_deg = words.number("Azimuth")
        if not 0.0 <= azimuth_deg <= 360.0:
            raise AlpacaFault(INVALID_VALUE, "Azimuth is 0..360")
        await self.device.turn(azimuth_deg)

    async def put_abortslew(self, words: Words) -> None:
        await self.device.abort()


class CoverFace(Face):
    """ICoverCalibratorV1."""

    device_type = "covercalibrator"
    interface = 1
    device: Cover
    operational = ("CoverState", "CalibratorState", "Brightness")
    constants: ClassVar[Mapping[str, object]] = {"maxbrightness": 100}

    async def get_coverstate(self, words: Words) -> int:
        return COVER_STATES[(await self.device.read()).aperture]

    async def get_calibratorstate(self, words: Words) -> int:
        brightness = (await self.device.read()).brightness
        return 0 if brightness is None else 3 if brightness else 1

    async def get_brightness(self, words: Words) -> int:
        brightness = (await self.device.read()).brightness
        if brightness is None:
            raise AlpacaFault(NOT_IMPLEMENTED, "no light")
        return brightness

    async def put_opencover(self, words: Words) -> None:
        await self.device.open(self.permit)

    async def put_closecover(self, words: Words) -> None:
        await self.device.close()

    async def put_calibratoron(self, words: Words) -> None:
        brightness = words.whole("Brightness")
        if brightness not in range(101):
            raise AlpacaFault(INVALID_VALUE, "Brightness is 0..100")
        await self.device.light(brightness)

    async def put_calibratoroff(self, words: Words) -> None:
        await self.device.light(0)


class SwitchFace(Face):
    """ISwitchV2; outlets that can be dimmed go from 0 to 100."""

    device_type = "switch"
    interface = 2
    device: Switch

    async def _outlet(self, words: Words) -> tuple[str, bool, float | None]:
        """Name, whether it is on, and its level if it can be dimmed."""
        state, place = await self.device.read(), words.whole("Id")
        if place not in range(len(state.on)):
            raise AlpacaFault(INVALID_VALUE, f"Id is 0..{len(state.on) - 1}")
        name = list(state.on)[place]
        return name, state.on[name], state.level.get(name)

    async def get_devicestate(self, words: Words) -> list[dict[str, object]]:
        """Each outlet's members, with its number in their names."""
        if not self.tells_state:
            raise LookupError("devicestate")
        told = [
            await self._told(f"{name}{place}", name, Words({"Id": str(place)}, exact=False))
            for place in range(await self.get_maxswitch(words))
            for name in ("GetSwitch", "GetSwitchValue")
        ]
        return [one for one in told if one is not None]

    async def get_maxswitch(self, words: Words) -> int:
        return len((await self.device.read()).on)

    async def get_canwrite(self, words: Words) -> bool:
        await self._outlet(words)
        return True

    async def get_getswitchname(self, words: Words) -> str:
        return (await self._outlet(words))[0]

    async def get_getswitchdescription(self, words: Words) -> str:
        return (await self._outlet(words))[0]

    async def get_getswitch(self, words: Words) -> bool:
        return (await self._outlet(words))[1]

    async def get_getswitchvalue(self, words: Words) -> float:
        _, on, level = await self._outlet(words)
        return float(on) if level is None else level

    async def get_minswitchvalue(self, words: Words) -> float:
        await self._outlet(words)
        return 0.0

    async def get_maxswitchvalue(self, words: Words) -> float:
        return 1.0 if (await self._outlet(words))[2] is None else 100.0

    async def get_switchstep(self, words: Words) -> float:
        await self._outlet(words)
        return 1.0

    async def put_setswitch(self, words: Words) -> None:
        await self.device.set((await self._outlet(words))[0], words.flag("State"))

    async def put_setswitchvalue(self, words: Words) -> None:
        name, _, level = await self._outlet(words)
        value = words.number("Value")
        if not 0.0 <= value <= (1.0 if level is None else 100.0):
            raise AlpacaFault(INVALID_VALUE, "Value is out of range")
        if level is None:
            await self.device.set(name, value > 0.0)
        else:
            await self.device.dim(name, value)


class WeatherFace(Face):
    """IObservingConditionsV1. What the station does not measure is not implemented."""

    device_type = "observingconditions"
    interface = 1
    device: Weather
    constants: ClassVar[Mapping[str, object]] = {"averageperiod": 0.0}
    quantities: ClassVar[Mapping[str, str]] = {
        "temperature": "temperature_c",
        "humidity": "humidity_percent",
        "dewpoint": "dew_point_c",
        "pressure": "pressure_hpa",
        "windspeed": "wind_m_s",
        "windgust": "gust_m_s",
        "rainrate": "rain_mm_h",
        "cloudcover": "cloud_percent",
        "skytemperature": "sky_temperature_c",
        "skyquality": "sky_brightness_mag",
    }

    async def get_devicestate(self, words: Words) -> list[dict[str, object]]:
        """What the station measures."""
        if not self.tells_state:
            raise LookupError("devicestate")
        return [one for name in self.quantities if (one := await self._told(name, name, words)) is not None]

    async def answer(self, verb: str, member: str, words: Words) -> object:
        if verb == "get" and member in (*self.quantities, "starfwhm", "skybrightness", "winddirection"):
            if not self.connected:
                raise AlpacaFault(NOT_CONNECTED, f"{self.name} is not connected")
            return await self._quantity(member)
        return await super().answer(verb, member, words)

    async def _quantity(self, member: str) -> float:
        values = (await self.device.read()).values
        name = self.quantities.get(member, "")
        if name not in values:
            raise AlpacaFault(NOT_IMPLEMENTED, f"{member} is not measured")
        return values[name]

    async def get_timesincelastupdate(self, words: Words) -> float:
        reading, sensor = await self.device.read(), words["SensorName"].lower()
        if sensor and self.quantities.get(sensor, "") not in reading.values:
            raise AlpacaFault(NOT_IMPLEMENTED, f"{sensor} is not measured")
        return max(0.0, (self.clock.now_us() - reading.measured_us) / 1e6)

    async def put_refresh(self, words: Words) -> None:
        await self.device.read()


class SafetyFace(Face):
    """ISafetyMonitorV2; not connected is not safe."""

    device_type = "safetymonitor"
    interface = 2
    device: SafetyMonitor
    operational = ("IsSafe",)

    async def get_issafe(self, words: Words) -> bool:
        return (await self.device.read()).safe


FACES: dict[str, type[Face]] = {
    "mount": TelescopeFace,
    "camera": CameraFace,
    "focuser": FocuserFace,
    "wheel": WheelFace,
    "rotator": RotatorFace,
    "roof": DomeFace,
    "cover": CoverFace,
    "switch": SwitchFace,
    "weather": WeatherFace,
    "safety_monitor": SafetyFace,
}


def face_of(kind: str, name: str, device: Device, clock: Clock) -> Face:
    """The Alpaca interface for a device of that kind. Raises KeyError for a kind that Alpaca does not have."""
    return FACES[kind](name, device, clock)
