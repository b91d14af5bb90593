"""What each kind of device can do, and nothing about how.

Every driver (INDI, the simulated observatory) implements these protocols and is held to them by
`tests/contract`. Conventions, for all of them:

* coordinates are ICRS degrees; an equinox of date exists only inside a driver;
* instants are UTC integer microseconds (`_us`), durations float seconds (`_s`);
* a command returns when the device has *accepted* it; whether it is *done* is read back with `read`;
  the one exception is `Camera.fetch`, which waits for the pixels;
* no call blocks for ever: a driver answers, or raises one of `astrod_drivers.errors`;
* commands toward danger (`open`, `unpark`, `slew`, `expose`) carry a `Permit` and raise `PermitRefused`
  when its safety epoch is over; commands toward safety (`close`, `park`, `abort`) never ask for one.

`connect` may be called again after `Unreachable`; it reconnects and leaves the hardware as it is.
"""

import math
from collections.abc import Awaitable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, Protocol

PierSide = Literal["east", "west"]
Aperture = Literal["open", "closed", "opening", "closing", "unknown"]
Compass = Literal["north", "south", "east", "west"]
PixelFormat = Literal["fits", "npy"]
Zone = Literal["ok", "warning", "alert", "unknown"]


class Clock(Protocol):
    """The clock a driver is given; a driver never asks the operating system for the time."""

    def now_us(self) -> int:
        """UTC, integer microseconds since 1970."""

    def monotonic_s(self) -> float:
        """Seconds that never jump; for deadlines and durations."""

    def sleep(self, seconds: float) -> Awaitable[None]:
        """Wait."""


@dataclass(frozen=True, slots=True)
class Permit:
    """Safety's leave to do something hazardous, good only during the safety epoch that gave it."""

    epoch: int


class Gate(Protocol):
    """Where a driver asks whether a permit still holds. Asking costs nothing and never waits."""

    def allows(self, permit: Permit) -> bool:
        """True while `permit.epoch` is the current epoch and the site is safe."""

    def allows_slew(self, permit: Permit) -> bool:
        """The same, and nothing forbids that a mount leaves its place: a clock that may be wrong does, or a closed
        roof, under the safest sky. `Mount.unpark` and `Mount.slew` ask this.
        """


@dataclass(frozen=True, slots=True)
class SiteFix:
    """Where the observatory stands: WGS84 degrees, east and north positive, metres above sea level."""

    latitude_deg: float
    longitude_deg: float
    height_m: float


class Device(Protocol):
    """Whatever can be connected."""

    async def connect(self) -> None:
        """Make the device ready for calls; again after a loss. Raises Unreachable, DeviceMissing."""

    async def disconnect(self) -> None:
        """Let go of the device and leave it as it is. Never raises for a device that is already gone."""


# -- mount ---------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class MountState:
    """Where the mount points (ICRS) and what it is doing. `pier_side` is None where the mount has none."""

    ra_deg: float
    dec_deg: float
    slewing: bool
    tracking: bool
    parked: bool
    pier_side: PierSide | None = None


@dataclass(frozen=True, slots=True)
class MountBelief:
    """Where and when the mount believes it is, to be compared with what is so; None where it does not say."""

    site: SiteFix | None = None
    utc_us: int | None = None


class Mount(Device, Protocol):
    """A telescope mount."""

    async def set_site(self, site: SiteFix, utc_us: int) -> None:
        """Tell the mount where and when it is."""

    async def believes(self) -> MountBelief:
        """The site and time by which the mount reckons."""

    async def read(self) -> MountState: ...

    async def unpark(self, permit: Permit) -> None: ...

    async def slew(self, ra_deg: float, dec_deg: float, permit: Permit) -> None:
        """Start a slew; tracking is on when it ends. Raises CommandRefused while parked."""

    async def sync(self, ra_deg: float, dec_deg: float) -> None:
        """Tell the mount that it points there (ICRS). Raises CommandRefused while parked or slewing."""

    async def pulse(self, towards: Compass, duration_s: float) -> None:
        """Move at guide rate, 5 s at most; returns when begun. Raises CommandRefused where it cannot guide."""

    async def set_tracking(self, on: bool) -> None: ...

    async def abort(self) -> None:
        """Stop all motion."""

    async def park(self) -> None:
        """Start parking; `read().parked` says when it is done."""

    async def set_park(self) -> None:
        """Make the place where it stands now its park place, for good. Raises CommandRefused while parked or moving,
        and where its driver cannot.
        """


# -- camera --------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class CameraInfo:
    """What the camera is. `bayer` is None for mono, else the pattern of the top-left 2x2 (RGGB, GRBG…)."""

    name: str
    width_px: int
    height_px: int
    pixel_um: float
    bit_depth: int
    bayer: str | None = None
    cooled: bool = False
    egain_e_per_adu: float | None = None


@dataclass(frozen=True, slots=True)
class CameraState:
    """What the camera is doing. `remaining_s` is of the exposure under way."""

    exposing: bool
    remaining_s: float = 0.0
    temperature_c: float | None = None
    cooler_on: bool = False
    cooler_power_percent: float | None = None


@dataclass(frozen=True, slots=True)
class Shot:
    """One exposure as the camera is asked for it. `light` False keeps the shutter closed where there is one.

    `sight` True: taken for safety itself, which wants to know where a parked tube points before the roof moves.
    """

    exposure_id: str
    exposure_s: float
    light: bool = True
    gain: float | None = None
    offset: float | None = None
    binning: int = 1
    sight: bool = False

    @property
    def needs_permit(self) -> bool:
        """Whether it looks at a sky that safety must have allowed: a dark sees none, a sight serves safety."""
        return self.light and not self.sight


@dataclass(frozen=True, slots=True)
class RawFrame:
    """Pixels as they left the camera: a file that the caller now owns.

    `npy` is a 2-D array, rows from the top as read out (ROWORDER TOP-DOWN); `fits` is the primary array of a
    FITS file as the driver gave it, whose header is evidence only: ours is written anew.
    """

    exposure_id: str
    path: Path
    format: PixelFormat
    started_us: int
    started_error_us: int
    exposure_s: float


class Camera(Device, Protocol):
    """A camera; one exposure at a time."""

    async def describe(self) -> CameraInfo: ...

    async def read(self) -> CameraState: ...

    async def cool(self, target_c: float | None) -> None:
        """Set the cooler to `target_c`, or off with None. Raises CommandRefused where there is no cooler."""

    async def expose(self, shot: Shot, permit: Permit) -> None:
        """Start an exposure. Raises CommandRefused while another is under way.

        A shot with `light` False (dark, bias) sees no sky, and one with `sight` serves safety: both are taken
        whatever the permit says (`Shot.needs_permit`).
        """

    async def fetch(self, exposure_id: str) -> RawFrame:
        """Wait for the pixels of that exposure. Raises CommandRefused when it was aborted or lost."""

    async def abort(self) -> None:
        """End the exposure and throw it away."""


# -- focuser, filter wheel, rotator --------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class FocuserState:
    """Position in steps."""

    position: int
    moving: bool
    max_position: int
    temperature_c: float | None = None


class Focuser(Device, Protocol):
    """An absolute focuser."""

    async def read(self) -> FocuserState: ...

    async def move(self, position: int) -> None:
        """Start a move. Raises CommandRefused outside 0..max_position."""

    async def abort(self) -> None: ...


@dataclass(frozen=True, slots=True)
class WheelState:
    """`filter` is None while the wheel turns."""

    filter: str | None
    moving: bool
    filters: tuple[str, ...]


class FilterWheel(Device, Protocol):
    """A filter wheel; filters go by their names."""

    async def read(self) -> WheelState: ...

    async def select(self, name: str) -> None:
        """Start turning. Raises CommandRefused for a name the wheel does not have."""


@dataclass(frozen=True, slots=True)
class RotatorState:
    """Mechanical angle, degrees, counter-clockwise seen from behind."""

    angle_deg: float
    moving: bool


class Rotator(Device, Protocol):
    """A camera rotator."""

    async def read(self) -> RotatorState: ...

    async def move(self, angle_deg: float) -> None: ...

    async def abort(self) -> None: ...


# -- roof, cover, switch -------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class RoofState:
    """`azimuth_deg` is None for a roll-off roof."""

    aperture: Aperture
    azimuth_deg: float | None = None


class Roof(Device, Protocol):
    """Whatever opens to the sky: a roll-off roof, or a dome with its shutter."""

    async def read(self) -> RoofState: ...

    async def open(self, permit: Permit) -> None: ...

    async def close(self) -> None: ...

    async def turn(self, azimuth_deg: float) -> None:
        """Start turning a dome's slit to that azimuth (north 0, east 90). Raises CommandRefused for a roll-off roof."""

    async def abort(self) -> None: ...


@dataclass(frozen=True, slots=True)
class CoverState:
    """A cover's aperture, and its light panel where it has one."""

    aperture: Aperture
    brightness: int | None = None


class Cover(Device, Protocol):
    """A telescope cover, with or without a calibration light."""

    async def read(self) -> CoverState: ...

    async def open(self, permit: Permit) -> None: ...

    async def close(self) -> None: ...

    async def light(self, brightness: int) -> None:
        """0 is off. Raises CommandRefused where there is no light."""


@dataclass(frozen=True, slots=True)
class SwitchState:
    """Outlets by name; `level` holds, in percent, those that can be dimmed (dew heaters)."""

    on: dict[str, bool]
    level: dict[str, float] = field(default_factory=dict)


class Switch(Device, Protocol):
    """Power outlets, relays and heaters, by name."""

    async def read(self) -> SwitchState: ...

    async def set(self, name: str, on: bool) -> None:
        """Switch an outlet. Raises CommandRefused for a name the switch does not have."""

    async def dim(self, name: str, percent: float) -> None:
        """Set an outlet's level, 0..100. Raises CommandRefused where it cannot be dimmed."""


# -- weather, safety monitor ---------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class WeatherReading:
    """What a weather source measures, and when.

    `values` by canonical name: temperature_c, humidity_percent, dew_point_c, pressure_hpa, wind_m_s,
    gust_m_s, rain_mm_h, cloud_percent, sky_temperature_c, sky_brightness_mag, mains (1 or 0, of a UPS),
    battery_percent. A name that is absent was not measured.

    `zones` holds the source's own opinion of a parameter, where it has one. `overridden` is True
    when somebody told the source to say that all is well: never believe it then.
    """

    measured_us: int
    values: dict[str, float]
    zones: dict[str, Zone] = field(default_factory=dict)
    overridden: bool = False


class Weather(Device, Protocol):
    """A weather station, or a file or service that stands for one."""

    async def read(self) -> WeatherReading: ...


@dataclass(frozen=True, slots=True)
class SafetyReading:
    """A safety monitor's one bit, and when it was true."""

    measured_us: int
    safe: bool


class SafetyMonitor(Device, Protocol):
    """A device that says safe or unsafe."""

    async def read(self) -> SafetyReading: ...


# -- guider --------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class GuiderState:
    """RMS errors in arcseconds over the last half minute; None before there are any.

    `guiding` stays True while the star is lost and looked for. `scale_arcsec_px` is of the guide camera, None
    where nobody knows it. `trouble` says why the guider does not guide though it was started.
    """

    guiding: bool
    settled: bool
    star_lost: bool
    rms_ra_arcsec: float | None = None
    rms_dec_arcsec: float | None = None
    calibrating: bool = False
    scale_arcsec_px: float | None = None
    trouble: str = ""

    @property
    def rms_arcsec(self) -> float | None:
        """Both axes together; None before there are both."""
        if self.rms_ra_arcsec is None or self.rms_dec_arcsec is None:
            return None
        return math.hypot(self.rms_ra_arcsec, self.rms_dec_arcsec)


class Guider(Device, Protocol):
    """A guider: PHD2, or our own."""

    async def read(self) -> GuiderState: ...

    async def start(self, permit: Permit) -> None:
        """Begin to guide here, calibrating first where that must be; `read().settled` says when it holds.

        Raises CommandRefused with the guider's reason.
        """

    async def dither(self, amount_px: float, permit: Permit) -> None:
        """Move the star by so many pixels of the guide camera, in a direction of the guider's choice, and settle
        anew. Raises CommandRefused while it does not guide."""

    async def stop(self) -> None:
        """Stop guiding. Never raises for a guider that does not guide."""


KINDS: dict[str, type] = {
    "mount": Mount,
    "camera": Camera,
    "focuser": Focuser,
    "wheel": FilterWheel,
    "rotator": Rotator,
    "roof": Roof,
    "cover": Cover,
    "switch": Switch,
    "weather": Weather,
    "safety_monitor": SafetyMonitor,
    "guider": Guider,
}
