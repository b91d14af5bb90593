"""Every key of the configuration: its type, range, default, meaning, and when a change takes effect.

This is the one place that knows pydantic. A key's unit is in its name. `when` says what a change needs:

* `live`     in force at the next exposure after `systemctl reload astrod`;
* `restart`  only a restart of the daemon; a reload names such keys and leaves them as they were.

`daemon/docs/configuration.md` and `etc/astrod.toml` are generated from here by `reference.py`.
"""

import re
from collections.abc import Iterator
from datetime import datetime
from typing import Annotated, Any, Literal, get_args, get_origin

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, JsonValue
from pydantic.fields import FieldInfo

from astrod.config.settings import LogLevel, Scenario
from astrod.domain.guiding import DecMode
from astrod.domain.recovery import Step
from astrod_drivers.address import parse
from astrod_drivers.errors import AddressInvalid

When = Literal["live", "restart"]
Quantity = Literal[
    "temperature_c",
    "humidity_percent",
    "dew_point_c",
    "pressure_hpa",
    "wind_m_s",
    "gust_m_s",
    "rain_mm_h",
    "cloud_percent",
    "sky_temperature_c",
    "sky_brightness_mag",
    "mains",
    "battery_percent",
    "clock_error_s",
    "disk_free_gb",
    "internet",
]
"""What a source may measure: the canonical names of `astrod_drivers.protocols.WeatherReading`, `mains` and `internet`
being 1 or 0, and what the host's own sources tell (`astrod.rig.safety.sources`).
"""

DeviceKind = Literal[
    "mount", "camera", "focuser", "wheel", "rotator", "roof", "cover", "switch", "weather", "safety_monitor", "guider"
]
"""The kinds of device that may be lost; `astrod_drivers.protocols.KINDS`."""

Bayer = Literal["RGGB", "BGGR", "GRBG", "GBRG", "mono"]
NAME = r"^[a-z][a-z0-9_]{0,31}$"

_GUIDER = ("phd2", "sim")


_OWN = re.compile(r"^(astrod://(clock|disk)|astrod://internet/[^/:\s]+:\d{1,5}|nut://[^/:\s]+(:\d{1,5})?/\S+)$")


def _source(text: str) -> str:
    if text.startswith(("astrod://", "nut://")) and not _OWN.match(text):
        raise ValueError(
            "is nothing of the host; there are astrod://clock, astrod://disk, astrod://internet/HOST:PORT, nut://HOST/UPS"
        )
    return text if _OWN.match(text) else _address(text)


def _perhaps_named(text: str) -> str:
    return _outlet(text) if "#" in text else _address(text)


def _address(text: str) -> str:
    try:
        parse(text)
    except AddressInvalid as fault:
        raise ValueError(str(fault).removeprefix(repr(text)).lstrip(": ")) from fault
    return text


def _outlet(text: str) -> str:
    address, mark, name = text.rpartition("#")
    if not mark or not name.strip():
        raise ValueError("names no outlet; write the switch's address, then # and the outlet's name")
    _address(address)
    return text


Address = Annotated[str, AfterValidator(_address)]
SourceAddress = Annotated[str, AfterValidator(_source)]
"""A device, or something of the host itself: astrod://clock, astrod://disk, astrod://internet/HOST:PORT, or a UPS at a
NUT server, nut://HOST/UPS.
"""
Outlet = Annotated[str, AfterValidator(_outlet)]
"""An outlet of a switch: its address, `#`, the outlet's name."""
Named = Annotated[str, AfterValidator(_perhaps_named)]
"""A device, or something of it by name: `ADDRESS` or `ADDRESS#NAME`."""

POWER = (
    "The outlet that powers it, as the switch's address, # and the outlet's name; recovery may switch it off and on."
)


def _guider_address(text: str) -> str:
    if parse(_address(text)).scheme not in _GUIDER:
        raise ValueError("is no guider's address; write phd2://HOST:PORT, or give a guide camera instead")
    return text


GuiderAddress = Annotated[str, AfterValidator(_guider_address)]


def key(default: Any, doc: str, *, when: When, example: Any = None, shown: bool = False, **bounds: Any) -> Any:
    """A key of the configuration.

    `default` `...` makes it required. `example` is what `etc/astrod.toml` shows where there is no default.
    `shown` keys stand uncommented in `etc/astrod.toml`. `bounds` are pydantic's (ge, le, gt, lt, pattern…).
    """
    extra = {"when": when, "example": example, "shown": shown or default is ...}
    return Field(default, description=doc, json_schema_extra=extra, **bounds)


def section(doc: str, *, factory: type[BaseModel] | None = None, shown: bool = False) -> Any:
    """A table of the configuration. Without a `factory` an absent one is None."""
    extra: dict[str, JsonValue] = {"shown": shown}
    if factory is not None:
        return Field(default_factory=factory, description=doc, json_schema_extra=extra)
    return Field(None, description=doc, json_schema_extra=extra)


def sections(doc: str, *, shown: bool = False, least: int = 0) -> Any:
    """A list of tables, `least` of them at least."""
    extra: dict[str, JsonValue] = {"shown": shown}
    if least:
        return Field(..., min_length=least, description=doc, json_schema_extra=extra)
    return Field(default_factory=list, description=doc, json_schema_extra=extra)


class Section(BaseModel):
    """A table of the configuration: strict types, no key that is not declared."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True, allow_inf_nan=False)


class SiteSection(Section):
    """The observatory itself."""

    name: str = key(
        ...,
        "Short name, in file names and exposure ids for ever: lower-case letters, digits and _.",
        when="restart",
        example="home",
        pattern=NAME,
    )
    title: str = key("", "The name for people.", when="restart", example="Home observatory")
    latitude_deg: float = key(..., "Latitude, WGS84, north positive.", when="restart", example=41.7, ge=-90, le=90)
    longitude_deg: float = key(..., "Longitude, WGS84, east positive.", when="restart", example=1.4, ge=-180, le=180)
    height_m: float = key(..., "Height above sea level.", when="restart", example=760.0, ge=-430, le=9000)
    min_altitude_deg: float = key(25.0, "Nothing is observed below this altitude.", when="restart", ge=0, lt=90)
    horizon: list[Annotated[list[float], Field(min_length=2, max_length=2)]] = key(
        [],
        "What stands around: [azimuth_deg, altitude_deg] points, joined by straight lines; east is 90.",
        when="restart",
        example=[[0.0, 20.0], [90.0, 35.0], [180.0, 20.0], [270.0, 28.0]],
    )
    roof: Literal["none"] | None = key(
        None,
        'Write "none" where there is nothing to open (and no [roof]); attend such a site until dawn.',
        when="restart",
        example="none",
    )
    weather: Literal["none"] | None = key(
        None,
        'Write "none" where a roof opens with no weather source: then a person must watch the sky.',
        when="restart",
        example="none",
    )


class DarknessSection(Section):
    """How dark it must be, as altitudes of the Sun."""

    observe_below_deg: float = key(-12.0, "Exposures of the sky begin and end here.", when="restart", ge=-30, le=5)
    prepare_below_deg: float = key(-6.0, "Cooling and opening begin here.", when="restart", ge=-30, le=10)
    roof_below_deg: float = key(0.0, "With the Sun above this an open roof is unsafe.", when="restart", ge=-18, le=90)
    not_before: datetime | None = key(
        None,
        "No exposure before this moment (write the zone: Z is UTC).",
        when="restart",
        example=datetime.fromisoformat("2026-12-14T22:00:00+00:00"),
    )
    not_after: datetime | None = key(
        None,
        "No exposure after this moment.",
        when="restart",
        example=datetime.fromisoformat("2026-12-15T05:00:00+00:00"),
    )


class GeometrySection(Section):
    """A dome and the mount in it, so that the slit stands where the tube's axis leaves the dome."""

    radius_m: float = key(..., "Radius of the dome.", when="restart", example=1.35, gt=0, le=50)
    east_m: float = key(
        0.0, "From the dome's centre to where the mount's axes cross: east.", when="restart", ge=-50, le=50
    )
    north_m: float = key(0.0, "The same, north.", when="restart", ge=-50, le=50)
    up_m: float = key(0.0, "The same, up; the centre is that of the dome's sphere.", when="restart", ge=-50, le=50)
    tube_offset_m: float = key(
        0.0,
        "From a German mount's polar axis to the middle of the tube; 0 for others.",
        when="restart",
        ge=0,
        le=10,
    )


class RoofSection(Section):
    """The roof or dome over all rigs. Where there is none: no [roof], and roof = "none" under [site]."""

    address: Address = key(..., "The roof's device.", when="restart", example="sim://roof")
    needs_parked: bool = key(True, "The roof must not move over a mount that is not parked.", when="restart")
    interlock: Literal["none", "mount", "sensor", "solve"] | None = key(
        None,
        "What must tell that a mount is out of the way before the roof moves: none (the roof clears it), mount (its own"
        " park flag), sensor (its park_sensor), solve (its own park flag, and before closing a plate solve that shows"
        " the tube at park_place: under clouds such a roof stays open, see on_stuck_mount). Without it mount, or none"
        " where needs_parked is false.",
        when="restart",
        example="mount",
    )
    on_stuck_mount: Literal["stay_open", "close_anyway"] = key(
        "stay_open",
        "What to do under an unsafe sky when a mount that the roof could hit does not park, after its power was cycled"
        " where it can be: stay open with covers closed and call for help, or close all the same.",
        when="restart",
    )
    second_path: Named | None = key(
        None,
        "Another way to close the same roof, taken when the first hangs or fails: another driver's address, or"
        " ADDRESS#OUTLET, an outlet that closes the roof when it is switched on.",
        when="restart",
        example="sim://relay#Close the roof",
    )
    open_s: float = key(120.0, "Opening takes no longer than this.", when="restart", gt=0, le=1800)
    close_s: float = key(120.0, "Closing takes no longer than this.", when="restart", gt=0, le=1800)
    slit_within_deg: float | None = key(
        None,
        "For a dome: its slit follows the telescope and is never farther from it than this.",
        when="restart",
        example=5.0,
        gt=0,
        le=60,
    )
    geometry: GeometrySection | None = section("Where the mount stands in a dome with a slit.")
    power: Outlet | None = key(
        None,
        "The outlet that powers it; safety cycles it when the roof does not close, and never while the roof moves.",
        when="restart",
        example="indi://localhost:7624/Power Box#Outlet 1",
    )


class LimitSection(Section):
    """When a measured value is unsafe: above `high` or below `low`."""

    name: Quantity = key(..., "What is measured.", when="restart", example="wind_m_s")
    low: float | None = key(None, "Unsafe below this.", when="restart", example=0.0)
    high: float | None = key(None, "Unsafe above this.", when="restart", example=12.0, shown=True)
    margin: float = key(0.0, "How far inside the bound a value must return to be safe again.", when="restart", ge=0)


class WeatherSection(Section):
    """A source of readings, as many as there are: a weather station, a safety monitor, a UPS, or the host's own clock,
    disk or line to the internet. Each must be safe by its own limits. Unknown is unsafe.
    """

    name: str = key(..., "What to call it.", when="restart", example="station", pattern=NAME)
    address: SourceAddress = key(
        ...,
        "The source's device; or astrod://clock, astrod://disk, astrod://internet/HOST:PORT, nut://HOST/UPS.",
        when="restart",
        example="sim://weather",
    )
    kind: Literal["weather", "safety_monitor"] = key(
        "weather", "What it is: it measures, or it says safe or unsafe and no more.", when="restart"
    )
    action: Literal["unsafe", "no_slews", "warn"] = key(
        "unsafe",
        "What follows when it is not trusted: the site closes, or nothing begins that slews, or somebody is told.",
        when="restart",
    )
    poll_s: float = key(5.0, "Seconds between two readings.", when="restart", ge=0.5, le=600)
    stale_s: float = key(120.0, "An older reading counts for nothing.", when="restart", gt=0, le=3600)
    frozen_s: float = key(
        0.0,
        "Values that stay the same to the last digit this long come from a dead sensor; 0 is never.",
        when="restart",
        ge=0,
        le=86400,
    )
    unsafe_after: int = key(2, "Bad readings in a row that make it unsafe.", when="restart", ge=1, le=100)
    safe_after_s: float = key(300.0, "Good readings for this long make it safe again.", when="restart", ge=0, le=86400)
    limits: list[LimitSection] = sections("The limits of this source.", shown=True)


class AgreementSection(Section):
    """A quantity that two sources or more measure. Farther apart than this they are both suspect: unsafe."""

    name: Quantity = key(..., "What is measured.", when="restart", example="temperature_c")
    within: float = key(..., "How far apart they may be, in its own unit.", when="restart", example=5.0, gt=0)
    stale_s: float = key(120.0, "An older reading counts for nothing.", when="restart", gt=0, le=3600)
    unsafe_after_s: float = key(30.0, "Apart for this long makes it unsafe.", when="restart", ge=0, le=3600)
    safe_after_s: float = key(300.0, "In accord for this long makes it safe again.", when="restart", ge=0, le=86400)


class TimeSection(Section):
    """How good the host's clock must be, and who tells the mount where and when it is."""

    error_max_s: float = key(
        15.0,
        "With a greater error, or one that nobody states, nothing slews; 0 is never mind. At 16 s the kernel itself"
        " stops to vouch for a clock that NTP has left. Where all mounts are simulated it counts only if written.",
        when="restart",
        ge=0,
        le=3600,
    )
    gpsd: str | None = key(
        None,
        "HOST:PORT of a gpsd whose fix is a source of time beside the kernel's word.",
        when="restart",
        example="localhost:2947",
        pattern=r"^[^/:\s]+:\d{1,5}$",
    )
    gps: Address | None = key(
        None,
        "A GPS receiver behind an indiserver, the same beside it; a site that it sees elsewhere is told of.",
        when="restart",
        example="indi://localhost:7624/GPSD",
    )
    mount_master: Literal["astrod", "mount"] = key(
        "astrod", "Who tells the other its place and time; a mount with GPS of its own may be it.", when="restart"
    )
    mount_error_max_s: float = key(
        30.0, "A mount whose clock is off by more does not slew; 0: never mind.", when="restart", ge=0, le=3600
    )
    mount_place_max_deg: float = key(
        0.1, "A mount that believes itself farther away from the site does not slew.", when="restart", gt=0, le=10
    )


class PowerSection(Section):
    """How an outlet is cycled, where a device names its `power`."""

    off_s: float = key(10.0, "It stays off for this long.", when="restart", ge=1, le=600)
    start_s: float = key(20.0, "What hangs on it is up after this long.", when="restart", ge=0, le=600)
    again_s: float = key(900.0, "It is not cycled again within this time.", when="restart", ge=60, le=86400)


class MountSection(Section):
    """The mount of a rig."""

    address: Address = key(..., "The mount's device.", when="restart", example="sim://mount")
    kind: Literal["equatorial", "altaz"] = key("equatorial", "How it stands.", when="restart")
    settle_s: float = key(3.0, "Rest between the end of a slew and an exposure.", when="restart", ge=0, le=120)
    slew_s: float = key(180.0, "A slew takes no longer than this.", when="restart", gt=0, le=1800)
    park_s: float = key(180.0, "Parking takes no longer than this.", when="restart", gt=0, le=1800)
    on_target_arcmin: float = key(
        10.0, "Farther from its target than this, the mount is not on target.", when="restart", gt=0, le=600
    )
    park_sensor: Named | None = key(
        None,
        "What tells beside the mount itself that it is parked: ADDRESS of a safety monitor (safe is parked), or"
        " ADDRESS#NAME, a switch's outlet (on is parked) or a weather source's quantity (over 0.5 is parked).",
        when="restart",
        example="sim://park_sensor",
    )
    park_sensor_kind: Literal["safety_monitor", "switch", "weather"] = key(
        "safety_monitor", "What kind of device the park sensor is.", when="restart"
    )
    park_place: Annotated[list[float], Field(min_length=2, max_length=2)] | None = key(
        None,
        "Where the parked tube points: [azimuth_deg, altitude_deg]. The interlock solve needs it, to 5 degrees; a place"
        " near the pole, under open sky and above any wall, is seen best.",
        when="restart",
        example=[0.0, 41.7],
    )
    power: Outlet | None = key(None, POWER, when="restart", example="indi://localhost:7624/Power Box#Outlet 2")
    centre: Literal["always", "after_slew_over_deg", "never"] = key(
        "always",
        "When to solve a short exposure after a slew and centre the target by it.",
        when="restart",
    )
    centre_after_slew_over_deg: float = key(
        5.0, 'With centre = "after_slew_over_deg": slews longer than this.', when="restart", ge=0, le=180
    )
    centre_within_arcsec: float | None = key(
        None,
        "A target this near the middle is centred; a twentieth of the field's shorter side without it.",
        when="restart",
        example=60.0,
        gt=0,
        le=3600,
    )
    centre_tries: int = key(3, "Solved exposures for one centring, at most.", when="restart", ge=1, le=10)
    centre_exposure_s: float = key(3.0, "Length of such an exposure.", when="restart", gt=0, le=120)
    centre_by: Literal["sync", "offset"] = key(
        "sync",
        "Tell the mount where it points, or keep the difference here (for mounts with a pointing model of their own).",
        when="restart",
    )
    flip_after_deg: float = key(
        1.0,
        "An equatorial mount is sent over the meridian when its target is this far past it (15 is an hour).",
        when="restart",
        ge=0,
        le=60,
    )
    track_past_meridian_deg: float = key(
        5.0,
        "So far past the meridian it may track before the flip; no exposure is begun that would end later.",
        when="restart",
        ge=0,
        le=60,
    )


class CameraSection(Section):
    """The camera of a train: colour or mono, cooled or not, a DSLR too."""

    address: Address = key(..., "The camera's device.", when="restart", example="sim://camera")
    gain: float | None = key(
        None, "Gain, in the camera's own unit; left alone without it.", when="restart", example=100.0
    )
    offset: float | None = key(None, "Offset, in the camera's own unit.", when="restart", example=30.0)
    binning: int = key(1, "Pixels joined along each side.", when="restart", ge=1, le=8)
    bayer: Bayer | None = key(
        None, "What the driver does not know of the colour matrix, or mono.", when="restart", example="RGGB"
    )
    cool_to_c: float | None = key(
        None,
        "Sensor temperature; without it the cooler is left alone (DSLR).",
        when="restart",
        example=-10.0,
        ge=-100,
        le=40,
    )
    egain_e_per_adu: float | None = key(
        None, "Electrons per ADU, where the driver has no figure.", when="restart", example=0.25, gt=0, le=1000
    )
    saturation_adu: int = key(65535, "From here on a pixel tells nothing.", when="restart", ge=255, le=4294967295)
    readout_s: float = key(5.0, "Reading out takes about this long; plans use it.", when="restart", ge=0, le=600)
    ramp_c_min: float = key(
        0.0,
        "Cool and warm no faster than this; 0 leaves the pace to the camera.",
        when="restart",
        example=3.0,
        ge=0,
        le=60,
    )
    cooler_power_max_percent: float = key(
        90.0, "A ramp stops where the cooler needs more power than this.", when="restart", gt=0, le=100
    )
    power: Outlet | None = key(None, POWER, when="restart", example="indi://localhost:7624/Power Box#Outlet 3")
    shutter: bool = key(False, "It has a shutter of its own, which keeps the light out for darks.", when="restart")


class FocuserSection(Section):
    """The focuser of a train. Leave it out where there is none."""

    address: Address = key(..., "The focuser's device.", when="restart", example="sim://focuser")
    start_position: int | None = key(None, "Where to begin the night, steps.", when="restart", example=10000, ge=0)
    step: int = key(150, "Steps between two points of a focus run.", when="restart", ge=1, le=100000)
    backlash: int = key(
        0,
        "Play of the gears, steps; overshot on each way down. 0 is unknown: then by a step.",
        when="restart",
        ge=0,
        le=100000,
    )
    filter_offsets: dict[str, int] | None = key(
        None,
        "By how many steps the focus of each filter differs from a common zero; applied as the wheel turns.",
        when="restart",
        example={"L": 0, "R": 12, "Ha": -25},
    )
    learn_offsets: bool = key(
        True, "Where filter_offsets says nothing, apply what focus runs have told (`astrod offsets`).", when="restart"
    )
    power: Outlet | None = key(None, POWER, when="restart", example="indi://localhost:7624/Power Box#Outlet 4")


class GuiderSection(Section):
    """What guides the mount, for all its trains: PHD2 by `address`, or a `camera` with which astrod guides itself."""

    address: GuiderAddress | None = key(
        None, "PHD2's event server; its own settings guide.", when="restart", example="phd2://localhost:4400"
    )
    camera: Address | None = key(
        None, "The guide camera.", when="restart", example="indi://localhost:7624/Guide Simulator"
    )
    focal_length_mm: float | None = key(
        None, "Focal length of the guide camera's optic.", when="restart", example=200.0, gt=0, le=100000
    )
    aperture_mm: float | None = key(None, "Its clear aperture.", when="restart", example=50.0, gt=0, le=40000)
    exposure_s: float = key(2.0, "Length of a guide exposure.", when="restart", ge=0.1, le=30)
    binning: int = key(1, "Pixels joined along each side.", when="restart", ge=1, le=4)
    gain: float | None = key(None, "Gain, in the guide camera's own unit.", when="restart", example=200.0)
    saturation_adu: int = key(65535, "From here on a pixel tells nothing.", when="restart", ge=255, le=4294967295)
    aggression: float = key(0.7, "Share of an error that one correction takes back.", when="restart", gt=0, le=1.2)
    hysteresis: float = key(0.1, "Weight of the last correction in right ascension.", when="restart", ge=0, lt=1)
    min_move_px: float = key(0.15, "Smaller errors are seeing, and left alone.", when="restart", ge=0, le=5)
    pulse_max_s: float = key(2.0, "The longest guide pulse.", when="restart", gt=0, le=5)
    dec_mode: DecMode = key(
        "both", "Directions in which declination is corrected; one of them avoids backlash.", when="restart"
    )
    settle_px: float = key(1.5, "Settled is within so many pixels of the guide camera ...", when="restart", gt=0, le=50)
    settle_s: float = key(8.0, "... for this long.", when="restart", ge=0, le=120)
    settle_within_s: float = key(90.0, "Settling takes no longer than this.", when="restart", gt=0, le=600)
    lost_s: float = key(180.0, "A lost guide star is waited for this long.", when="restart", ge=0, le=3600)
    required: bool = key(False, "No exposure without guiding; else they go on unguided.", when="restart")


class TrainSection(Section):
    """What hangs on a mount behind one optic; several may share a mount. Name only the devices there are."""

    name: str = key(..., "What to call it.", when="restart", example="main", pattern=NAME)
    focal_length_mm: float = key(..., "Focal length, reducers counted.", when="restart", example=400.0, gt=0, le=100000)
    aperture_mm: float = key(..., "Clear aperture.", when="restart", example=80.0, gt=0, le=40000)
    wheel: Address | None = key(None, "The filter wheel's device.", when="restart", example="sim://wheel", shown=True)
    wheel_power: Outlet | None = key(
        None, "The outlet that powers the wheel.", when="restart", example="indi://localhost:7624/Power Box#Outlet 4"
    )
    rotator: Address | None = key(
        None,
        "The rotator's device; it turns the camera to the position angle that a target asks for.",
        when="restart",
        example="indi://localhost:7624/Rotator Simulator",
    )
    rotator_within_deg: float = key(
        1.0, "So near to that position angle a frame must stand.", when="restart", gt=0, le=30
    )
    cover: Address | None = key(
        None, "The cover's device.", when="restart", example="indi://localhost:7624/Dust Cover Simulator"
    )
    camera: CameraSection = Field(..., description="The train's camera.", json_schema_extra={"shown": True})
    focuser: FocuserSection | None = section("The train's focuser.", shown=True)
    guider: GuiderSection | None = section("What guides the mount; at most one train of a rig names it.")


class HeaterSection(Section):
    """A dew heater: it keeps the glass above the dew point that a weather source measures."""

    switch: Address = key(..., "The switch it hangs on.", when="restart", example="indi://localhost:7624/Pegasus UPB")
    outlet: str = key(..., "Which of its outlets.", when="restart", example="Dew A", min_length=1)
    margin_c: float = key(
        3.0, "So far above the dew point the air is to be; below it heats.", when="restart", gt=0, le=20
    )


class RigSection(Section):
    """A mount and what it carries; as many as stand under the roof."""

    name: str = key(..., "What to call it.", when="restart", example="main", pattern=NAME)
    mount: MountSection = Field(..., description="The rig's mount.", json_schema_extra={"shown": True})
    train: list[TrainSection] = sections("The rig's trains.", shown=True, least=1)
    heater: list[HeaterSection] = sections("The rig's dew heaters.")


class RungSection(Section):
    """One rung: what to do, how often, how long to rest before connecting, and how long that may take."""

    step: Step = key(..., "What to do.", when="restart", example="reconnect")
    tries: int = key(1, "How often.", when="restart", ge=1, le=100)
    wait_s: float = key(0.0, "Rest between the step and the attempt to connect.", when="restart", ge=0, le=600)
    deadline_s: float = key(20.0, "Connecting takes no longer than this.", when="restart", gt=0, le=600)


class LadderSection(Section):
    """How a lost device of one kind is recovered, rung by rung, in place of the ladder that astrod has for it."""

    kind: DeviceKind = key(..., "The kind of device.", when="restart", example="camera")
    rungs: list[RungSection] = sections("The rungs, from the gentlest.", shown=True, least=1)
    again_s: float = key(20.0, "Pause between attempts above the last rung.", when="restart", ge=1, le=3600)
    good_min: float = key(
        60.0, "After so long without trouble the ladder begins at its foot.", when="restart", ge=1, le=1440
    )


class IndiSection(Section):
    """How drivers of the indiserver on this machine are started anew, one by one."""

    fifo: str = key(..., "The FIFO of indiserver's -f option.", when="restart", example="/run/indi/fifo", min_length=1)
    drivers: dict[str, str] = key(
        ...,
        "The driver program of each device, by the device's name.",
        when="restart",
        example={"ZWO CCD ASI2600MM Pro": "indi_asi_ccd"},
    )


class NightSection(Section):
    """How a night is run."""

    retakes_max: int = key(
        1, "How often an exposure that was rejected for no known cause is taken again.", when="live", ge=0, le=10
    )
    cloud_pause_s: float = key(
        120.0, "Pause between test frames while clouds stand in the way.", when="live", ge=5, le=3600
    )
    test_exposure_s: float = key(10.0, "Length of such a test frame.", when="live", gt=0, le=300)
    focus_at_start: bool = key(True, "Focus before the first exposure, where there is a focuser.", when="live")
    refocus_every_min: float = key(
        120.0, "Focus again after this long; 0 is only when frames ask for it.", when="live", ge=0, le=1440
    )
    refocus_temperature_c: float = key(
        2.0,
        "Focus again when the focuser's temperature has changed by this much; 0 is never.",
        when="live",
        ge=0,
        le=30,
    )
    refocus_fwhm_percent: float = key(
        25.0,
        "Focus again when the stars of good frames have grown by this much since the last run; 0 is never.",
        when="live",
        ge=0,
        le=500,
    )
    refocus_each_filter: bool = key(False, "Focus in each filter anew, where no filter_offsets are known.", when="live")
    cool_deadline_s: float = key(
        900.0,
        "A camera that has not reached its temperature by then observes as it is.",
        when="live",
        ge=0,
        le=7200,
    )
    plan_work_s: float = key(
        1.0,
        "Work that the solver may put into one plan, in its own deterministic seconds.",
        when="live",
        gt=0,
        le=60,
    )
    dither_px: float = key(
        0.0, "Move the field by up to so many pixels between exposures; 0 is never.", when="live", ge=0, le=500
    )
    dither_every: int = key(1, "Dither after so many exposures.", when="live", ge=1, le=1000)
    frames_in_flight_max: int = key(
        3, "So many frames may wait for their verdict; then the camera waits.", when="live", ge=1, le=10
    )


class CalibrationSection(Section):
    """Calibration frames, taken when the sky is of no use. Without this table none are taken, only counted."""

    darks: int = key(20, "Darks that make a set; 0 wants none.", when="restart", ge=0, le=200)
    biases: int = key(20, "Biases that make a set; 0 wants none.", when="restart", ge=0, le=500)
    flats: int = key(20, "Flats that make a set, for each filter; 0 wants none.", when="restart", ge=0, le=200)
    flat_darks: int = key(10, "Darks of a flat's length that make a set.", when="restart", ge=0, le=200)
    dark_days: float = key(180.0, "Darks and biases serve so many days.", when="restart", gt=0, le=3650)
    flat_days: float = key(14.0, "Flats serve so many days.", when="restart", gt=0, le=3650)
    flat_level_percent: float = key(
        40.0, "The level that flats are to have, of saturation_adu.", when="restart", gt=5, lt=90
    )
    flat_shortest_s: float = key(
        0.5, "No flat is shorter: a shutter's own travel would show.", when="restart", gt=0, le=60
    )
    flat_longest_s: float = key(20.0, "No flat is longer: stars would show.", when="restart", gt=0, le=600)
    frame_days: float = key(30.0, "Frames of so many days back are provided for.", when="restart", gt=0, le=3650)
    after_dawn_min: float = key(
        90.0,
        "After dawn darks are taken for no longer than this, before the cameras warm up.",
        when="restart",
        ge=0,
        le=360,
    )


class ModelsSection(Section):
    """The models that judge frames. They advise; without them classical measures judge."""

    enabled: bool = key(True, "Use the models.", when="restart")
    folder: str | None = key(
        None,
        "Other models than the shipped ones: a folder with quality.onnx and its card, quality.toml.",
        when="restart",
        example="models",
    )


class SolveSection(Section):
    """How frames are solved: where among the stars they are. Without any index the mount's own word is taken."""

    index_dirs: list[str] = key(
        ["/usr/share/astrometry"],
        "Folders with index files of astrometry.net (Debian: astrometry-data-tycho2); none there is no fault.",
        when="restart",
    )
    solve_field: str = key(
        "solve-field",
        "The program of astrometry.net that finds a mount that is lost; empty: not to be used.",
        when="restart",
    )
    astap: str | None = key(
        None,
        "The program ASTAP, where it is installed, for what astrometry.net cannot solve.",
        when="restart",
        example="/usr/bin/astap",
    )
    deadline_s: float = key(60.0, "Either program is ended after this long.", when="restart", ge=5, le=600)
    lights: bool = key(True, "Solve each light frame too: the validity gate then asks the sky.", when="restart")


class StorageSection(Section):
    """Where data lie, and what may be deleted. Relative paths start at the configuration's folder."""

    data_dir: str = key("/var/lib/astrod", "Frames, archive, products.", when="restart", min_length=1)
    spool_dir: str = key("/dev/shm/astrod", "Frames on their way, before they are kept.", when="restart", min_length=1)
    free_min_gb: float = key(5.0, "With less free than this, `status` calls for help.", when="restart", ge=0, le=100000)
    raw_days: int = key(0, "Delete raw frames after so many days; 0 is never.", when="restart", ge=0, le=36500)
    quarantine_days: int = key(
        90, "Delete quarantined frames after so many days; 0 is never.", when="restart", ge=0, le=36500
    )
    telemetry_days: int = key(365, "Delete telemetry after so many days; 0 is never.", when="restart", ge=0, le=36500)


class DaemonSection(Section):
    """The process itself."""

    run_dir: str = key("/run/astrod", "Sockets and other things of the moment.", when="restart", min_length=1)
    socket: str = key("astrod.sock", "The command line's socket, within run_dir.", when="restart", min_length=1)
    log_level: LogLevel = key("info", "The least that is logged.", when="restart")
    housekeeping_after_noon_min: float = key(
        30.0,
        "Report, retention and database upkeep run this long after the site's local noon.",
        when="restart",
        ge=0,
        le=360,
    )


class SimulatorSection(Section):
    """The simulated observatory behind `sim://` addresses; without any of them it is not started."""

    seed: int = key(1, "The same seed gives the same sky, weather and faults.", when="restart", ge=0, le=4294967295)
    weather: Scenario = key("clear", "The weather of the night.", when="restart")
    width_px: int = key(1936, "Width of its sensor.", when="restart", ge=64, le=16384)
    height_px: int = key(1096, "Height of its sensor.", when="restart", ge=64, le=16384)
    pixel_um: float = key(2.9, "Size of a pixel.", when="restart", ge=1, le=30)
    filters: list[str] = key(
        ["L", "R", "G", "B", "Ha"], "What is in its wheel.", when="restart", min_length=1, max_length=12
    )
    pointing_arcmin: float = key(3.0, "How far off its mount points, about.", when="restart", ge=0, le=120)


class ExposureSection(Section):
    """Exposures of one kind."""

    exposure_s: float = key(..., "Length of one exposure.", when="live", example=120.0, gt=0, le=3600)
    exposure_min_s: float | None = key(
        None,
        "Under a bright sky, or where an alt-azimuth turns the field, it is halved to no less than this; 30 by itself.",
        when="live",
        example=60.0,
        gt=0,
        le=3600,
    )
    adapt: bool = key(
        False,
        "Double or halve it as the sky asks: as short as can be without read-out noise counting, by the newest darks.",
        when="live",
    )
    exposure_max_s: float | None = key(
        None,
        "With adapt, it is doubled to no more than this; without it no longer than asked.",
        when="live",
        example=480.0,
        gt=0,
        le=3600,
    )
    count: int = key(..., "How many usable ones are wanted, over all nights.", when="live", example=40, ge=1, le=100000)
    filter: str | None = key(
        None, "Filter; leave it out where there is no wheel.", when="live", example="L", min_length=1
    )
    binning: int = key(1, "Pixels joined along each side.", when="live", ge=1, le=8)
    train: str | None = key(None, "The train to use, by name; any that can without it.", when="live", example="main")


class TargetSection(Section):
    """A target. With a name alone its place comes from the catalogue that astrod ships."""

    name: str = key(
        ...,
        "Its name; with no coordinates, a name of the catalogue (M 31, NGC 891, Vega).",
        when="live",
        example="M 31",
        pattern=r"^[A-Za-z0-9][A-Za-z0-9 _+.\-/']{0,63}$",
    )
    ra_deg: float | None = key(None, "Right ascension, ICRS.", when="live", example=10.6847, ge=0, lt=360)
    dec_deg: float | None = key(None, "Declination, ICRS.", when="live", example=41.2687, ge=-90, le=90)
    coordinates: str | None = key(
        None,
        "Both in one text, ICRS, instead of ra_deg and dec_deg.",
        when="live",
        example="00h42m44s +41d16m08s",
    )
    priority: float = key(1.0, "Relative worth: 2 is worth twice 1.", when="live", gt=0, le=1000)
    min_altitude_deg: float | None = key(
        None, "Higher than the site's own limit.", when="live", example=35.0, ge=0, lt=90
    )
    max_airmass: float | None = key(None, "Not through more air than this.", when="live", example=1.8, ge=1, le=40)
    min_moon_deg: float = key(0.0, "Keep this far from the Moon.", when="live", ge=0, le=180)
    rig: str | None = key(None, "The rig to use, by name; any that can without it.", when="live", example="main")
    position_angle_deg: float | None = key(
        None,
        "Position angle of the frame's upper edge (first row up), from north through east; needs a rotator.",
        when="live",
        example=35.0,
        ge=0,
        lt=360,
    )
    exposures: list[ExposureSection] = sections("What is wanted of it.", shown=True, least=1)


class Document(Section):
    """The whole configuration, all files joined."""

    site: SiteSection = Field(..., description="The observatory.", json_schema_extra={"shown": True})
    darkness: DarknessSection = section("How dark it must be.", factory=DarknessSection)
    roof: RoofSection | None = section("The roof.", shown=True)
    weather: list[WeatherSection] = sections("The weather sources.", shown=True)
    agreement: list[AgreementSection] = sections("What two sources must agree on.")
    time: TimeSection = section("Clocks, and what depends on them.", factory=TimeSection)
    power: PowerSection = section("How power is cycled.", factory=PowerSection)
    rig: list[RigSection] = sections("The rigs.", shown=True, least=1)
    ladder: list[LadderSection] = sections("Recovery ladders of the owner's own.")
    indi: IndiSection | None = section("Starting INDI drivers anew.")
    night: NightSection = section("How a night is run.", factory=NightSection)
    calibration: CalibrationSection | None = section("Calibration frames.")
    models: ModelsSection = section("The models.", factory=ModelsSection)
    solve: SolveSection = section("Plate solving.", factory=SolveSection)
    storage: StorageSection = section("Where data lie.", factory=StorageSection)
    daemon: DaemonSection = section("The process itself.", factory=DaemonSection)
    simulator: SimulatorSection = section("The simulated observatory.", factory=SimulatorSection)
    target: list[TargetSection] = sections("The targets; usually in files of their own, targets.d/*.toml.")


# -- reading the schema itself -------------------------------------------------------------------------------


def extra_of(info: FieldInfo) -> dict[str, Any]:
    """What `key` and `section` noted beside pydantic's own: when, example, shown."""
    extra = info.json_schema_extra
    return dict(extra) if isinstance(extra, dict) else {}


def table_of(info: FieldInfo) -> type[BaseModel] | None:
    """The table that a field holds (alone, optional, or in a list), None for a plain value."""
    for kind in _unwrapped(info.annotation):
        if isinstance(kind, type) and issubclass(kind, BaseModel):
            return kind
    return None


def is_list(info: FieldInfo) -> bool:
    """Whether a field holds a list."""
    return get_origin(info.annotation) is list


def options(info: FieldInfo) -> list[str]:
    """The texts that a field allows, where it allows only some."""
    literals = [kind for kind in _unwrapped(info.annotation) if get_origin(kind) is Literal]
    return [str(option) for kind in literals for option in get_args(kind)]


def bounds_text(info: FieldInfo) -> str:
    """The range of a number: `-90..90`, `over 0, up to 1800`, or nothing."""
    bounds = {name: getattr(m, name) for m in info.metadata for name in _BOUNDS if hasattr(m, name)}
    if "ge" in bounds and "le" in bounds:
        return f"{bounds['ge']}..{bounds['le']}"
    return ", ".join(form.format(bounds[name]) for name, form in _BOUNDS.items() if name in bounds)


_BOUNDS = {"ge": "{} or more", "gt": "over {}", "le": "up to {}", "lt": "under {}"}


def _unwrapped(annotation: Any) -> Iterator[Any]:
    """An annotation and all that is inside it."""
    yield annotation
    if get_origin(annotation) is not Literal:
        for inner in get_args(annotation):
            yield from _unwrapped(inner)
