"""A site, its rigs and their trains, as configured. None means *not configured*, which is not *missing*."""

from dataclasses import dataclass, field
from typing import Literal

from astrod.domain.dome import DomeGeometry
from astrod.domain.guiding import DecMode
from astrod.domain.identity import SITE_NAME
from astrod.domain.recovery import DEFAULT, LADDERS, Ladder
from astrod.domain.watching import WatchSetup

MountKind = Literal["equatorial", "altaz"]
CentreWhen = Literal["always", "after_slew_over_deg", "never"]
CentreBy = Literal["sync", "offset"]
Interlock = Literal["none", "mount", "sensor", "solve"]
StuckMount = Literal["stay_open", "close_anyway"]
SourceKind = Literal["weather", "safety_monitor"]
SensorKind = Literal["safety_monitor", "switch", "weather"]
Action = Literal["unsafe", "no_slews", "warn"]
Master = Literal["astrod", "mount"]

CLOCK_SOURCE = "clock"
WATCH_SOURCE = "astrod://watch/"
"""What a watch sees of clouds is a source of weather: this and the watch's name."""
"""The name of the source that [time] brings by itself."""


@dataclass(frozen=True, slots=True)
class Place:
    """WGS84 degrees, north and east positive; metres above sea level."""

    latitude_deg: float
    longitude_deg: float
    height_m: float

    def __post_init__(self) -> None:
        if not -90.0 <= self.latitude_deg <= 90.0:
            raise ValueError(f"latitude {self.latitude_deg} is outside -90..90")
        if not -180.0 <= self.longitude_deg <= 180.0:
            raise ValueError(f"longitude {self.longitude_deg} is outside -180..180 (east positive)")
        if not -430.0 <= self.height_m <= 9000.0:
            raise ValueError(f"height {self.height_m} m is outside -430..9000")


@dataclass(frozen=True, slots=True)
class Outlet:
    """An outlet of a switch, by the switch's address and its own name there."""

    address: str
    name: str

    def __str__(self) -> str:
        return f"{self.address}#{self.name}"

    @classmethod
    def parse(cls, text: str) -> "Outlet":
        """From `ADDRESS#OUTLET`. Raises ValueError."""
        address, _, name = text.rpartition("#")
        if not address or not name:
            raise ValueError(f"{text!r} names no outlet; write the switch's address, then # and the outlet's name")
        return cls(address, name)


@dataclass(frozen=True, slots=True)
class IndiSetup:
    """How drivers of an indiserver are started anew: its FIFO, and the program that serves each device by name."""

    fifo: str
    drivers: dict[str, str]


@dataclass(frozen=True, slots=True)
class CameraSetup:
    """The camera of a train: where it is, and how it is used.

    `bayer` overrides what the driver says (a pattern, or "mono"). `cool_to_c` None leaves the cooler alone.
    `egain_e_per_adu` is the owner's figure where the driver has none. `power` is the outlet that feeds it. `shutter`
    True: it keeps the light out by itself. `ramp_c_min` 0: the camera ramps by itself.
    """

    address: str
    gain: float | None = None
    offset: float | None = None
    binning: int = 1
    bayer: str | None = None
    cool_to_c: float | None = None
    egain_e_per_adu: float | None = None
    saturation_adu: int = 65535
    readout_s: float = 5.0
    power: Outlet | None = None
    shutter: bool = False
    ramp_c_min: float = 0.0
    cooler_power_max_percent: float = 90.0


@dataclass(frozen=True, slots=True)
class FocuserSetup:
    """Steps. `backlash` is overshot on every way down (0: not known, and a step is overshot).

    `filter_offsets` says by how much the focus of each filter differs from a common zero; where it says nothing and
    `learn_offsets` allows it, focus runs tell (`domain.offsets`).
    """

    address: str
    start_position: int | None = None
    step: int = 150
    backlash: int = 0
    filter_offsets: dict[str, int] | None = None
    learn_offsets: bool = True
    power: Outlet | None = None


@dataclass(frozen=True, slots=True)
class GuiderSetup:
    """What keeps the mount on its star: PHD2 (or another guider) at `address`, or a guide camera of our own.

    `settle_px` is in pixels of the guide camera; guiding has settled when the star has stayed within it for `settle_s`.
    A star lost for `lost_s` is no longer waited for. `required`: no exposure without guiding.
    """

    address: str | None = None
    camera: str | None = None
    focal_length_mm: float = 0.0
    aperture_mm: float = 0.0
    exposure_s: float = 2.0
    binning: int = 1
    gain: float | None = None
    saturation_adu: int = 65535
    aggression: float = 0.7
    hysteresis: float = 0.1
    min_move_px: float = 0.15
    pulse_max_s: float = 2.0
    dec_mode: DecMode = "both"
    settle_px: float = 1.5
    settle_s: float = 8.0
    settle_within_s: float = 90.0
    lost_s: float = 180.0
    required: bool = False

    def __post_init__(self) -> None:
        if (self.address is None) == (self.camera is None):
            raise ValueError("a guider has an address or a guide camera, one of the two")
        if self.camera is not None and self.focal_length_mm <= 0.0:
            raise ValueError("a guide camera needs the focal length of its optic")


@dataclass(frozen=True, slots=True)
class Train:
    """What hangs on a mount behind one optic.

    `rotator_within_deg` is how near a frame must stand to the position angle that its target asks for.
    """

    name: str
    camera: CameraSetup
    focal_length_mm: float
    aperture_mm: float
    focuser: FocuserSetup | None = None
    wheel: str | None = None
    rotator: str | None = None
    guider: GuiderSetup | None = None
    cover: str | None = None
    wheel_power: Outlet | None = None
    rotator_within_deg: float = 1.0

    def __post_init__(self) -> None:
        if self.focal_length_mm <= 0 or self.aperture_mm <= 0:
            raise ValueError(f"train {self.name!r}: focal length and aperture must be over 0 mm")


@dataclass(frozen=True, slots=True)
class MountSetup:
    """A mount's address and manners. `park_s` and `slew_s` are deadlines.

    `park_sensor` is what tells, beside the mount itself, that it is parked: `ADDRESS`, or `ADDRESS#NAME` for an
    outlet of a switch or a quantity of a weather source. `park_place` is where the parked tube points, azimuth and
    altitude in degrees.
    `centre_within_arcsec` None: by the size of the field. Degrees of `flip_after_deg` and
    `track_past_meridian_deg` are of hour angle.
    """

    address: str
    kind: MountKind = "equatorial"
    settle_s: float = 3.0
    slew_s: float = 180.0
    park_s: float = 180.0
    on_target_arcmin: float = 10.0
    park_sensor: str | None = None
    park_sensor_kind: SensorKind = "safety_monitor"
    park_place: tuple[float, ...] | None = None
    centre: CentreWhen = "always"
    centre_after_slew_over_deg: float = 5.0
    centre_within_arcsec: float | None = None
    centre_tries: int = 3
    centre_exposure_s: float = 3.0
    centre_by: CentreBy = "sync"
    flip_after_deg: float = 1.0
    track_past_meridian_deg: float = 5.0
    power: Outlet | None = None

    def __post_init__(self) -> None:
        if not 0.0 <= self.flip_after_deg <= self.track_past_meridian_deg:
            raise ValueError("mount: 0 <= flip_after_deg <= track_past_meridian_deg must hold")


@dataclass(frozen=True, slots=True)
class Heater:
    """A dew heater: an outlet of a switch, and how far above the dew point it keeps the glass."""

    switch: str
    outlet: str
    margin_c: float = 3.0

    def __post_init__(self) -> None:
        if self.margin_c <= 0.0:
            raise ValueError(f"heater {self.outlet!r}: margin_c {self.margin_c} must be over 0")


@dataclass(frozen=True, slots=True)
class Rig:
    """One mount and its trains."""

    name: str
    mount: MountSetup
    trains: tuple[Train, ...]
    heaters: tuple[Heater, ...] = ()

    def __post_init__(self) -> None:
        if not self.trains:
            raise ValueError(f"rig {self.name!r} has no train; give it at least one camera")
        names = [train.name for train in self.trains]
        if len(set(names)) != len(names):
            raise ValueError(f"rig {self.name!r}: two trains share a name")
        if sum(train.guider is not None for train in self.trains) > 1:
            raise ValueError(f"rig {self.name!r}: a mount has one guider; two trains name one")

    @property
    def guider(self) -> GuiderSetup | None:
        """What guides the mount, whichever train it hangs at."""
        return next((train.guider for train in self.trains if train.guider is not None), None)


@dataclass(frozen=True, slots=True)
class RoofSetup:
    """The roof that a site's rigs share.

    `interlock` says what must have told that a mount is out of the way before the roof moves: nothing (the roof
    clears it), the mount's own park flag, its park sensor, or a plate solve. `on_stuck_mount` is what to do under
    an unsafe sky when a mount that the roof could hit does not park. `second_path` is another way to close the
    same roof, taken when the first hangs or fails: the address of another driver, or `ADDRESS#OUTLET`, an outlet
    which closes the roof when it is switched on. `slit_within_deg` is how far a dome's slit may be from where the
    telescope looks; None: it has no slit. `geometry` None: the tube is taken to be at the dome's centre.
    """

    address: str
    interlock: Interlock = "mount"
    on_stuck_mount: StuckMount = "stay_open"
    open_s: float = 120.0
    close_s: float = 120.0
    slit_within_deg: float | None = None
    geometry: DomeGeometry | None = None
    second_path: str | None = None
    power: Outlet | None = None

    @property
    def needs_parked(self) -> bool:
        """Whether the roof must not move over a mount that is not known to be out of its way."""
        return self.interlock != "none"


@dataclass(frozen=True, slots=True)
class PowerSetup:
    """How an outlet is switched off and on again: how long it stays off, how long what hangs on it takes to start,
    and how soon it may be done again.
    """

    off_s: float = 10.0
    start_s: float = 20.0
    again_s: float = 900.0


@dataclass(frozen=True, slots=True)
class TimeSetup:
    """How good the clock must be, and who tells the other where and when it is.

    Above `error_max_s` nothing slews (0: never mind). `gpsd` is HOST:PORT of a gpsd that knows better than the
    kernel, `gps` the address of a receiver behind an indiserver that may. `mount_error_max_s` (0: never mind) and
    `mount_place_max_deg` bound what a mount may believe of time and place.
    """

    error_max_s: float = 15.0
    gpsd: str | None = None
    gps: str | None = None
    mount_master: Master = "astrod"
    mount_error_max_s: float = 30.0
    mount_place_max_deg: float = 0.1


@dataclass(frozen=True, slots=True)
class Limit:
    """When a measured value is unsafe, and what it takes to trust it again.

    Unsafe above `high` or below `low`; the bounds for becoming safe again are tightened by `margin`.
    """

    name: str
    low: float | None = None
    high: float | None = None
    margin: float = 0.0

    def __post_init__(self) -> None:
        if self.low is None and self.high is None:
            raise ValueError(f"limit {self.name!r} has neither low nor high")


@dataclass(frozen=True, slots=True)
class WeatherSetup:
    """A source of readings and its limits: a weather station, a safety monitor, or something of the host.

    `action` is what follows when it is not trusted: the site is unsafe, or nothing slews, or somebody is told.
    `stale_s` is the age at which a reading counts for nothing; `frozen_s` the time after which values that have
    not changed in the last digit are taken for a dead sensor (0: never). `unsafe_after` bad polls in a row make
    it unsafe, `safe_after_s` of good ones safe again.
    """

    name: str
    address: str
    limits: tuple[Limit, ...] = ()
    poll_s: float = 5.0
    stale_s: float = 120.0
    frozen_s: float = 0.0
    unsafe_after: int = 2
    safe_after_s: float = 300.0
    kind: SourceKind = "weather"
    action: Action = "unsafe"


@dataclass(frozen=True, slots=True)
class Agreement:
    """A quantity that two sources or more measure, and how far apart they may be, in its own unit."""

    name: str
    within: float
    stale_s: float = 120.0
    unsafe_after_s: float = 30.0
    safe_after_s: float = 300.0

    def __post_init__(self) -> None:
        if not self.within > 0:
            raise ValueError(f"agreement on {self.name!r}: `within` must be over 0")


@dataclass(frozen=True, slots=True)
class Darkness:
    """Sun altitudes, degrees: where observing may begin and end, where cooling and opening begin, and above
    which an open roof is unsafe. `not_before_us` and `not_after_us` narrow the night by the operator's wish.
    """

    observe_below_deg: float = -12.0
    prepare_below_deg: float = -6.0
    roof_below_deg: float = 0.0
    not_before_us: int | None = None
    not_after_us: int | None = None

    def __post_init__(self) -> None:
        if not self.observe_below_deg <= self.prepare_below_deg <= self.roof_below_deg:
            raise ValueError("darkness: observe_below_deg <= prepare_below_deg <= roof_below_deg must hold")


@dataclass(frozen=True, slots=True)
class Site:
    """An observatory. `roof` None: nothing to open; such a site is attended until dawn."""

    name: str
    place: Place
    rigs: tuple[Rig, ...]
    roof: RoofSetup | None = None
    weather: tuple[WeatherSetup, ...] = ()
    agreements: tuple[Agreement, ...] = ()
    watches: tuple[WatchSetup, ...] = ()
    time: TimeSetup = field(default_factory=TimeSetup)
    power: PowerSetup = field(default_factory=PowerSetup)
    darkness: Darkness = field(default_factory=Darkness)
    horizon: tuple[tuple[float, float], ...] = ()
    min_altitude_deg: float = 25.0
    title: str = ""
    indi: IndiSetup | None = None
    ladders: dict[str, Ladder] = field(default_factory=dict)

    def ladder(self, kind: str) -> Ladder:
        """The recovery ladder for a kind of device: the owner's, else ours."""
        return self.ladders.get(kind) or LADDERS.get(kind, DEFAULT)

    def outlets(self) -> tuple[Outlet, ...]:
        """Every outlet that powers a device, as often as it is named."""
        named: list[Outlet | None] = [self.roof.power if self.roof else None]
        for rig in self.rigs:
            named.append(rig.mount.power)
            for train in rig.trains:
                focuser = train.focuser.power if train.focuser else None
                named += [train.camera.power, focuser, train.wheel_power]
        return tuple(outlet for outlet in named if outlet is not None)

    @property
    def sources(self) -> tuple[WeatherSetup, ...]:
        """All that safety reads: what is configured, and the host's own clock where its error counts."""
        error_s = self.time.error_max_s
        if not error_s:
            return self.weather
        limit = Limit("clock_error_s", high=error_s, margin=0.1 * error_s)
        clock = WeatherSetup(
            CLOCK_SOURCE, "astrod://clock", (limit,), stale_s=60.0, safe_after_s=0.0, action="no_slews"
        )
        return (*self.weather, clock)

    def __post_init__(self) -> None:
        if not SITE_NAME.match(self.name):
            raise ValueError(f"site name {self.name!r}: lower-case letters, digits and _ only, a letter first")
        if not self.rigs:
            raise ValueError(f"site {self.name!r} has no rig")
        for azimuth_deg, altitude_deg in self.horizon:
            if not (0.0 <= azimuth_deg < 360.0 and -10.0 <= altitude_deg < 90.0):
                raise ValueError(f"horizon point {azimuth_deg, altitude_deg}: azimuth 0..360, altitude -10..90")
