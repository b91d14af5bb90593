"""Rigs, their devices, and how these are recovered."""

from typing import Annotated, Literal

from pydantic import Field

from astrod.config.schema.key import (
    NAME,
    POWER,
    Address,
    Bayer,
    DeviceKind,
    GuiderAddress,
    Named,
    Outlet,
    Section,
    key,
    section,
    sections,
)
from astrod.domain.guiding import DecMode
from astrod.domain.recovery import Step


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
