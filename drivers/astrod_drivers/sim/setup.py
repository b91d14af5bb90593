"""What a simulated observatory is made of: plain values that travel as JSON."""

import json
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from astrod_drivers.errors import BadAnswer
from astrod_drivers.protocols import SiteFix
from astrod_drivers.sim.faults import Fault, check, nearest
from astrod_drivers.sim.scene import Optics, Sensor, Streak, Transient
from astrod_drivers.wire import decode, encode

Scenario = Literal["clear", "mixed", "cloudy"]


@dataclass(frozen=True, slots=True)
class CoolerSetup:
    """A cooler: how far below the ambient air it reaches, and how fast it ramps."""

    reach_c: float = 38.0
    ramp_c_min: float = 8.0


@dataclass(frozen=True, slots=True)
class CameraSetup:
    """A camera. `shutter` False: a dark frame needs a cover, since the sensor always sees the sky."""

    name: str = "camera"
    model: str = "Simulated 2 MP mono"
    sensor: Sensor = field(default_factory=Sensor)
    readout_s: float = 0.8
    shutter: bool = True
    cooler: CoolerSetup | None = field(default_factory=CoolerSetup)


@dataclass(frozen=True, slots=True)
class FocuserSetup:
    """A focuser. Best focus is at `best_at_10c` steps at 10 C and moves with the air's temperature;
    `start_error` is how far from it the focuser stands when the observatory is first switched on.
    """

    name: str = "focuser"
    step_um: float = 2.0
    max_position: int = 50_000
    best_at_10c: float = 25_000.0
    drift_um_c: float = 10.0
    backlash_steps: int = 20
    steps_s: float = 400.0
    start_error: int = 0


@dataclass(frozen=True, slots=True)
class WheelSetup:
    """A filter wheel: its filters in order, how long one place takes, and each filter's shift of best
    focus.
    """

    name: str = "wheel"
    filters: tuple[str, ...] = ("L", "R", "G", "B", "Ha")
    step_s: float = 1.2
    focus_shift_um: tuple[float, ...] = (0.0, 8.0, 4.0, 14.0, -10.0)


@dataclass(frozen=True, slots=True)
class RotatorSetup:
    """A rotator: where it stands at first, and how fast it turns."""

    name: str = "rotator"
    start_deg: float = 0.0
    rate_deg_s: float = 4.0


@dataclass(frozen=True, slots=True)
class CoverSetup:
    """A cover. Its panel has brightnesses up to `panel_max` (0: no panel), and at the brightest leaves `panel_e_s`
    electrons a second in a pixel behind clear glass.
    """

    name: str = "cover"
    travel_s: float = 5.0
    starts_open: bool = False
    panel_max: int = 100
    panel_e_s: float = 20_000.0


@dataclass(frozen=True, slots=True)
class TrainSetup:
    """What hangs on a mount behind one optic. `fixed_filter` is in the beam where there is no wheel."""

    optics: Optics = field(default_factory=Optics)
    camera: CameraSetup = field(default_factory=CameraSetup)
    focuser: FocuserSetup | None = field(default_factory=FocuserSetup)
    wheel: WheelSetup | None = field(default_factory=WheelSetup)
    rotator: RotatorSetup | None = None
    cover: CoverSetup | None = None
    fixed_filter: str = "L"
    rotation_deg: float = 3.0


@dataclass(frozen=True, slots=True)
class MountSetup:
    """A mount and its trains. `periodic_arcsec` is half the height of the worm's error; `shake_arcsec` the
    RMS jitter in still air; `meridian_limit_deg` how far it tracks past the meridian before it stops.
    `guider` names a guider that is one with the mount, as PHD2 is to astrod; `drift_arcsec_min` is what a flexing
    tube adds in declination, however well the mount tracks.
    """

    name: str = "mount"
    kind: Literal["equatorial", "altaz"] = "equatorial"
    trains: tuple[TrainSetup, ...] = field(default_factory=lambda: (TrainSetup(),))
    slew_deg_s: float = 3.0
    settle_s: float = 1.5
    pointing_arcmin: float = 3.0
    repeat_arcsec: float = 8.0
    polar_error_arcmin: float = 0.6
    periodic_arcsec: float = 1.2
    period_s: float = 480.0
    shake_arcsec: float = 0.35
    meridian_limit_deg: float = 7.5
    horizon_deg: float = 5.0
    guider: str | None = None
    drift_arcsec_min: float = 0.0


@dataclass(frozen=True, slots=True)
class RoofSetup:
    """A roof and how long it takes to travel. A dome has a slit of `slit_deg`, and turns."""

    name: str = "roof"
    travel_s: float = 25.0
    kind: Literal["roll_off", "dome"] = "roll_off"
    slit_deg: float = 16.0
    turn_deg_s: float = 4.0


@dataclass(frozen=True, slots=True)
class Outlet:
    """A switch's outlet: the devices that it powers, by name, and whether it can be dimmed (a dew heater)."""

    name: str
    powers: tuple[str, ...] = ()
    dims: bool = False


@dataclass(frozen=True, slots=True)
class SwitchSetup:
    """A power switch; a device that has its power back answers after `boot_s`."""

    name: str = "switch"
    outlets: tuple[Outlet, ...] = ()
    boot_s: float = 8.0


@dataclass(frozen=True, slots=True)
class PlantedStreak:
    """A streak over every frame that is being exposed at `at_us`."""

    at_us: int
    streak: Streak = field(default_factory=Streak)


@dataclass(frozen=True, slots=True)
class PlantedTransient:
    """A transient that is there from `from_us` on. A moving one is at its coordinates at `from_us`."""

    from_us: int
    transient: Transient


@dataclass(frozen=True, slots=True)
class ObservatorySetup:
    """An observatory: site, weather, roof, mounts. The defaults are a small refractor near Barcelona.

    `seed` fixes the weather, the errors of mount and focuser, and every frame's noise; the stars are the
    same for all. `satellites_per_hour` is how many cross a field in the dark; twilight has four times as
    many. `allsky` names a camera that sees the whole sky, and `meteors_per_hour` fall into it.
    """

    seed: int = 1
    latitude_deg: float = 41.6
    longitude_deg: float = 1.5
    height_m: float = 700.0
    scenario: Scenario = "clear"
    dark_sky_mag: float = 21.3
    town_light: float = 1.0
    seeing_arcsec: float = 2.0
    evening_c: float = 10.0
    satellites_per_hour: float = 1.5
    roof: RoofSetup | None = field(default_factory=RoofSetup)
    weather: str | None = "weather"
    safety_monitor: str | None = "safety_monitor"
    allsky: str | None = None
    meteors_per_hour: float = 0.0
    switch: SwitchSetup | None = None
    mounts: tuple[MountSetup, ...] = field(default_factory=lambda: (MountSetup(),))
    streaks: tuple[PlantedStreak, ...] = ()
    transients: tuple[PlantedTransient, ...] = ()
    faults: tuple[Fault, ...] = ()

    def __post_init__(self) -> None:
        twice = [name for name, count in Counter(name for name, _ in self._devices()).items() if count > 1]
        if twice:
            raise ValueError(f"two devices of the observatory are named {twice[0]!r}; give each its own name")
        for outlet in self.switch.outlets if self.switch else ():
            for device in outlet.powers:
                if device not in self.names():
                    raise ValueError(f"outlet {outlet.name!r} powers {device!r}; {nearest(device, self.names())}")
        check(self.faults, self.names())

    @property
    def site(self) -> SiteFix:
        return SiteFix(self.latitude_deg, self.longitude_deg, self.height_m)

    def names(self) -> dict[str, str]:
        """Each device's name and its kind (as in `protocols.KINDS`), in a fixed order."""
        return dict(self._devices())

    def _devices(self) -> list[tuple[str, str]]:
        found: list[tuple[str, str]] = []
        for mount in self.mounts:
            found.append((mount.name, "mount"))
            found += [(mount.guider, "guider")] if mount.guider else []
            for train in mount.trains:
                found.append((train.camera.name, "camera"))
                found += [(train.focuser.name, "focuser")] if train.focuser else []
                found += [(train.wheel.name, "wheel")] if train.wheel else []
                found += [(train.rotator.name, "rotator")] if train.rotator else []
                found += [(train.cover.name, "cover")] if train.cover else []
        found += [(self.roof.name, "roof")] if self.roof else []
        found += [(self.weather, "weather")] if self.weather else []
        found += [(self.safety_monitor, "safety_monitor")] if self.safety_monitor else []
        found += [(self.switch.name, "switch")] if self.switch else []
        found += [(self.allsky, "camera")] if self.allsky else []
        return found

    def to_json(self) -> str:
        """The setup as JSON text, for `from_json`."""
        return json.dumps(encode(self), indent=1)

    @classmethod
    def from_json(cls, text: str) -> "ObservatorySetup":
        """A setup from JSON text; keys left out have their defaults. Raises ValueError, which names the
        wrong place.
        """
        try:
            return decode(cls, json.loads(text), "setup")
        except json.JSONDecodeError as fault:
            raise ValueError(f"the setup is not JSON: {fault}") from fault
        except BadAnswer as fault:
            raise ValueError(f"the setup is wrong: {fault}") from fault

    @classmethod
    def load(cls, path: Path) -> "ObservatorySetup":
        """A setup from a JSON file. Raises OSError, ValueError."""
        return cls.from_json(path.read_text())
