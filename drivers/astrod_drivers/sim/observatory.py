"""A simulated observatory: one sky, one weather, and the devices that live under them.

    observatory = Observatory(ObservatorySetup(), clock, gate, spool, renderer)
    mount = observatory.device("mount")

All time comes from the clock it is given, and nothing moves by itself: each device's state is a function of
time, so a whole night on a simulated clock repeats exactly.
"""

import difflib
import math
import zlib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from astrod_drivers.errors import DeviceMissing
from astrod_drivers.protocols import Aperture, Clock, Device, Gate, Shot
from astrod_drivers.sim import ephemeris, harm, light
from astrod_drivers.sim.allsky import SimAllSky
from astrod_drivers.sim.camera import Renderer, SimCamera
from astrod_drivers.sim.cover import SimCover
from astrod_drivers.sim.faults import Phase
from astrod_drivers.sim.faulty import Faulty
from astrod_drivers.sim.focuser import SimFocuser
from astrod_drivers.sim.guider import SimGuider
from astrod_drivers.sim.injector import Injector, Running
from astrod_drivers.sim.mains import Mains
from astrod_drivers.sim.mount import MountTruth, SimMount
from astrod_drivers.sim.roof import SimDome, SimRoof
from astrod_drivers.sim.rotator import SimRotator
from astrod_drivers.sim.scene import Event, Filter, Pointing, Scene, Sensor, Streak, filter_named
from astrod_drivers.sim.setup import ObservatorySetup, PlantedTransient, RoofSetup, TrainSetup
from astrod_drivers.sim.station import SimSafetyMonitor, SimWeather, lights
from astrod_drivers.sim.switch import SimSwitch
from astrod_drivers.sim.weather import Climate, Conditions
from astrod_drivers.sim.wheel import SimWheel

_CLEAR_ANGSTROM = filter_named(None).width_angstrom
_STEADY_SAMPLES, _UNSTEADY_SAMPLES = 9, 97
_MOST_DANGEROUS: tuple[Phase, ...] = (
    *("closing", "opening", "parking", "flipping", "slewing", "focusing", "exposing", "reading_out", "cooling"),
)
_FORGETFUL = (SimRoof, SimMount, SimCamera, SimFocuser, SimWheel, SimRotator, SimCover, SimAllSky)
"""What loses something with its power."""
_BEGINNINGS: Mapping[str, tuple[Phase, ...]] = {
    "open": ("opening",),
    "close": ("closing",),
    "slew": ("slewing", "flipping"),
    "park": ("parking",),
    "expose": ("exposing",),
    "move": ("focusing",),
}
"""Which phases a command may begin."""


@dataclass(frozen=True, slots=True)
class Truth:
    """What is really so at an instant, for a referee. Names are the devices'; `exposing` says whose shutter
    is open.

    Without a roof `aperture` is open. `free` is the share of its light that roof or dome lets each mount have, and
    that a cover leaves of it is `uncovered`, by camera.
    """

    utc_us: int
    sun_altitude_deg: float
    aperture: Aperture
    roof_open: float
    weather: Conditions
    mounts: dict[str, MountTruth]
    exposing: dict[str, bool]
    focus_error_um: dict[str, float]
    free: dict[str, float]
    uncovered: dict[str, float]
    mains: bool


class Train:
    """A camera with what is in front of it, and what they see together."""

    def __init__(self, observatory: "Observatory", mount: SimMount, setup: TrainSetup) -> None:
        self._observatory = observatory
        self._mount = mount
        self._setup = setup
        self._seed = observatory.setup.seed
        clock, climate = observatory.clock, observatory.climate
        self.focuser = SimFocuser(setup.focuser, climate, clock) if setup.focuser else None
        self.wheel = SimWheel(setup.wheel, clock) if setup.wheel else None
        self.rotator = SimRotator(setup.rotator, clock) if setup.rotator else None
        self.cover = SimCover(setup.cover, clock, observatory.gate) if setup.cover else None
        camera = replace(setup.camera, sensor=self._own(setup.camera.sensor))
        self.camera = SimCamera(
            camera, climate, self.look, observatory.render, clock, observatory.gate, observatory.spool
        )

    def _own(self, sensor: Sensor) -> Sensor:
        """Two cameras of one model have different hot pixels."""
        return replace(sensor, seed=sensor.seed * 65_537 + zlib.crc32(self._setup.camera.name.encode()) % 65_537)

    def defocus_um(self, instant_us: int) -> float:
        """Distance from best focus through the filter in the beam."""
        if self.focuser is None:
            return 0.0
        return self.focuser.defocus_um(instant_us, self._filter(instant_us)[1])

    def _filter(self, instant_us: int) -> tuple[str, float]:
        return self.wheel.filter_at(instant_us) if self.wheel else (self._setup.fixed_filter, 0.0)

    def look(self, start_us: int, shot: Shot, sensor: Sensor, temperature_c: float) -> Scene:
        """The scene of an exposure, as far as is known now. See `camera.Look`."""
        observatory, setup = self._observatory, self._observatory.setup
        end_us = start_us + round(shot.exposure_s * 1e6)
        middle_us = (start_us + end_us) // 2
        aim = self._mount.truth(middle_us)
        sky = observatory.climate.at(middle_us)
        name, _ = self._filter(middle_us)
        glass = filter_named(name)
        sun_deg, moon = lights(setup.site, middle_us, aim.altitude_deg, aim.azimuth_deg)
        return Scene(
            seed=self._frame_seed(start_us),
            exposure_s=shot.exposure_s,
            pointings=self._path(start_us, end_us),
            altitude_deg=aim.altitude_deg,
            azimuth_deg=aim.azimuth_deg,
            filter=glass,
            optics=self._setup.optics,
            sensor=sensor,
            seeing_arcsec=sky.seeing_arcsec * ephemeris.airmass(aim.altitude_deg) ** 0.6,
            jitter_arcsec=self._mount.setup.shake_arcsec * (1.0 + (sky.gust_m_s / 8.0) ** 2),
            defocus_um=self.defocus_um(middle_us),
            sky_mag_arcsec2=light.sky_mag_arcsec2(
                setup.dark_sky_mag, aim.altitude_deg, sun_deg, moon, glass.extinction
            ),
            cloud=observatory.climate.cloud(start_us),
            town_light=setup.town_light,
            temperature_c=temperature_c,
            binning=shot.binning,
            light=shot.light,
            roof_open=self._free(middle_us) if aim.altitude_deg > 0.0 else 0.0,
            panel_e_s=self._panel_e_s(middle_us, glass),
            events=self._events(start_us, end_us, sun_deg),
        )

    def _free(self, instant_us: int) -> float:
        free = self._observatory.free(instant_us, self._mount)
        return free * self.cover.opening(instant_us) if self.cover else free

    def _panel_e_s(self, instant_us: int, glass: Filter) -> float:
        return self.cover.panel_e_s(instant_us) * glass.width_angstrom / _CLEAR_ANGSTROM if self.cover else 0.0

    def _turned_deg(self, instant_us: int) -> float:
        """How far the camera is turned against the mount."""
        return self._setup.rotation_deg + (self.rotator.angle_deg(instant_us) if self.rotator else 0.0)

    def _frame_seed(self, start_us: int) -> int:
        return (self._seed * 1_000_003 + zlib.crc32(self._setup.camera.name.encode())) * 2**50 + start_us

    def _path(self, start_us: int, end_us: int) -> tuple[Pointing, ...]:
        """Where the axis pointed: a few samples of a steady mount, many of one that moved."""
        count = _UNSTEADY_SAMPLES if self._mount.unsteady(start_us, end_us) else _STEADY_SAMPLES
        count = count if end_us > start_us else 1
        path = []
        for k in range(count):
            at = k / max(1, count - 1)
            instant_us = start_us + round((end_us - start_us) * at)
            aim = self._mount.truth(instant_us)
            turn_deg = (aim.rotation_deg + self._turned_deg(instant_us)) % 360.0
            path.append(Pointing(at, aim.ra_deg, aim.dec_deg, turn_deg))
        return tuple(path)

    def _events(self, start_us: int, end_us: int, sun_deg: float) -> tuple[Event, ...]:
        setup = self._observatory.setup
        planted: list[Event] = [e.streak for e in setup.streaks if start_us <= e.at_us < max(end_us, start_us + 1)]
        planted += [_moved(e, start_us) for e in setup.transients if e.from_us <= start_us]
        return *planted, *self._satellites(start_us, end_us, sun_deg)

    def _satellites(self, start_us: int, end_us: int, sun_deg: float) -> tuple[Streak, ...]:
        """Satellites by chance: many while the Sun still lights them, few in the middle of the night."""
        lit = 4.0 if sun_deg > -18.0 else 0.4 if sun_deg < -35.0 else 1.0
        sequence = np.random.SeedSequence((abs(self._frame_seed(start_us)), 0x5A7))
        random = np.random.Generator(np.random.PCG64(sequence))
        hours = (end_us - start_us) / 3.6e9
        number = int(random.poisson(self._observatory.setup.satellites_per_hour * lit * hours))
        return tuple(_satellite(random) for _ in range(number))


def _roof(setup: RoofSetup, clock: Clock, gate: Gate) -> SimRoof:
    return SimDome(setup, clock, gate) if setup.kind == "dome" else SimRoof(setup, clock, gate)


def _moved(planted: PlantedTransient, start_us: int) -> Event:
    """A planted transient at its place when the exposure starts."""
    star = planted.transient
    hours = (start_us - planted.from_us) / 3.6e9
    east_deg = star.ra_rate_arcsec_h * hours / 3600.0 / max(0.01, math.cos(math.radians(star.dec_deg)))
    north_deg = star.dec_rate_arcsec_h * hours / 3600.0
    return replace(star, ra_deg=(star.ra_deg + east_deg) % 360.0, dec_deg=star.dec_deg + north_deg)


def _satellite(random: np.random.Generator) -> Streak:
    """A line through a random point of the frame, in a random direction."""
    angle, x, y = random.uniform(0.0, math.tau), random.uniform(0.1, 0.9), random.uniform(0.1, 0.9)
    dx, dy = 1.6 * math.cos(angle), 1.6 * math.sin(angle)
    flashing = bool(random.random() < 0.2)
    return Streak(
        float(x - dx),
        float(y - dy),
        float(x + dx),
        float(y + dy),
        mag=float(random.uniform(3.5, 7.5)),
        rate_arcsec_s=float(random.uniform(500.0, 2500.0)),
        tumble=float(random.uniform(0.5, 1.0)) if flashing else 0.1,
        flashes=float(random.uniform(3.0, 20.0)),
    )


class Observatory:
    """The devices of a setup, under one sky. `render` is awaited for each frame: it must leave the scene's
    pixels at the path, as `render.save` does, and may do so in another process. Frames land in `spool`.
    """

    def __init__(self, setup: ObservatorySetup, clock: Clock, gate: Gate, spool: Path, render: Renderer) -> None:
        self.setup = setup
        self.clock = clock
        self.gate = gate
        self.spool = spool
        self.render = render
        self.climate = Climate(setup)
        self.mains = Mains()
        self._roof = _roof(setup.roof, clock, gate) if setup.roof else None
        self._mounts: dict[str, SimMount] = {}
        self._trains: list[Train] = []
        self._devices: dict[str, Device] = {}
        self._kinds = setup.names()
        self._fed: dict[str, bool] = {}
        self.allsky: SimAllSky | None = None
        self._build()
        self.faults = Injector(clock, self._kinds, self._harm, lambda: self.phase(clock.now_us()))

    def _build(self) -> None:
        setup, site = self.setup, self.setup.site
        for mount_setup in setup.mounts:
            seed = setup.seed * 65_537 + zlib.crc32(mount_setup.name.encode()) % 65_537
            mount = SimMount(mount_setup, site, seed, self.clock, self.gate)
            self._mounts[mount_setup.name] = mount
            self._devices[mount_setup.name] = mount
            if mount_setup.guider:
                self._devices[mount_setup.guider] = SimGuider(mount, self.climate, self.clock, self.gate)
            for train_setup in mount_setup.trains:
                self._add_train(Train(self, mount, train_setup), train_setup)
        if setup.roof and self._roof:
            self._devices[setup.roof.name] = self._roof
        if setup.weather:
            self._devices[setup.weather] = SimWeather(
                self.climate, self.mains, site, setup.dark_sky_mag, setup.seed, self.clock
            )
        if setup.safety_monitor:
            self._devices[setup.safety_monitor] = SimSafetyMonitor(self.climate, self.clock)
        if setup.allsky:
            self.allsky = self._devices[setup.allsky] = SimAllSky(setup, self.climate, self.clock, self.spool)
        if setup.switch:
            self._devices[setup.switch.name] = SimSwitch(setup.switch, self._feed)

    def _add_train(self, train: Train, setup: TrainSetup) -> None:
        self._trains.append(train)
        self._devices[setup.camera.name] = train.camera
        if setup.focuser and train.focuser:
            self._devices[setup.focuser.name] = train.focuser
        if setup.wheel and train.wheel:
            self._devices[setup.wheel.name] = train.wheel
        if setup.rotator and train.rotator:
            self._devices[setup.rotator.name] = train.rotator
        if setup.cover and train.cover:
            self._devices[setup.cover.name] = train.cover

    def device(self, name: str) -> Faulty:
        """A new session's handle on the device of that name; it implements its kind's protocol. Raises DeviceMissing.

        Faults come between the two: see `faulty`.
        """
        found = self.bare(name)
        return Faulty(name, self._kinds[name], found, self.faults, self.clock, self._took)

    def bare(self, name: str) -> Device:
        """The device itself, which no fault between it and its user can touch. Raises DeviceMissing."""
        found = self._devices.get(name)
        if found is None:
            near = difflib.get_close_matches(name, self._devices, 1)
            hint = f"did you mean {near[0]!r}?" if near else f"it has {', '.join(self._devices)}"
            raise DeviceMissing(f"the simulated observatory has no device {name[:80]!r}; {hint}")
        return found

    # -- faults ----------------------------------------------------------------------------------------------

    def play_faults(self, anchors: Mapping[str, int]) -> None:
        """Have the faults of the setup happen; needs a running event loop.

        `anchors` has the instants of dusk and dawn, where they are known. Raises ValueError for one that is missing.
        """
        self.faults.plan(self.setup.faults, anchors)

    def phase(self, instant_us: int) -> str:
        """What the observatory is doing: the first of its devices' doings, the most dangerous before the others."""
        doing = {device.doing(instant_us) for device in self._moving()}
        return next((phase for phase in _MOST_DANGEROUS if phase in doing), "idle")

    def _moving(self) -> list[SimRoof | SimMount | SimCamera | SimFocuser]:
        parts: list[SimRoof | SimMount | SimCamera | SimFocuser | None] = [self._roof, *self._mounts.values()]
        for train in self._trains:
            parts += [train.camera, train.focuser]
        return [part for part in parts if part is not None]

    def _took(self, name: str, method: str, arguments: tuple[object, ...]) -> None:
        """A device took a call: a phase may have begun with it."""
        if method == "cool" and arguments[0] is not None:
            self.faults.began("cooling")
        if method not in _BEGINNINGS:
            return
        device, now_us = self._devices[name], self.clock.now_us()
        phase = device.doing(now_us) if isinstance(device, SimRoof | SimMount | SimCamera | SimFocuser) else None
        if phase is None or phase not in _BEGINNINGS[method]:
            return
        self.faults.began(phase)
        if phase == "exposing" and self.faults.wants_read_out and isinstance(device, SimCamera):
            self.faults.foresee("reading_out", device.ends_in_s(now_us))

    def lose_power(self, back_in_s: float) -> None:
        """Every device loses its power, and has it back after a while."""
        for name in self._devices:
            self._feed(name, False)
            self.faults.later(back_in_s, lambda name=name: self._feed(name, True))  # type: ignore[misc]

    def _feed(self, name: str, on: bool) -> None:
        """The switch took a device's power, or gave it back."""
        device = self._devices[name]
        self._fed[name] = on
        if on:
            boot_s = self.setup.switch.boot_s if self.setup.switch else 0.0
            self.faults.later(boot_s, lambda: self.faults.power(name) if self._fed[name] else None)
            return
        self.faults.unpower(name)
        if isinstance(
            device, SimRoof | SimMount | SimCamera | SimFocuser | SimWheel | SimRotator | SimCover | SimAllSky
        ):
            device.lose_power()

    def _harm(self, running: Running, begins: bool) -> None:
        """Have a fault do what it does to the truth, or undo it."""
        if begins:
            device = self._devices.get(running.fault.device)
            running.mend = harm.begin(running, device, self.climate, self.mains, self.clock)
        else:
            running.mend()

    # -- the truth -------------------------------------------------------------------------------------------

    def opening(self, instant_us: int) -> float:
        """How far the roof is open, 0 to 1; 1 without one."""
        return self._roof.opening(instant_us) if self._roof else 1.0

    def free(self, instant_us: int, mount: SimMount) -> float:
        """The share of its light that the roof, or a dome's slit, lets a mount have."""
        if self._roof is None:
            return 1.0
        aim = mount.truth(instant_us)
        return self._roof.free(instant_us, aim.altitude_deg, aim.azimuth_deg)

    def truth(self) -> Truth:
        """What is really so now."""
        now_us = self.clock.now_us()
        site = self.setup.site
        sun_deg = ephemeris.altitude_deg(ephemeris.sun_radec_deg(now_us), now_us, site.latitude_deg, site.longitude_deg)
        names = [(train.camera.setup.name, train) for train in self._trains]
        return Truth(
            now_us,
            sun_deg,
            self._roof.way.truly(now_us) if self._roof else "open",
            self.opening(now_us),
            self.climate.at(now_us),
            {name: mount.truth(now_us) for name, mount in self._mounts.items()},
            {name: train.camera.shutter_open(now_us) for name, train in names},
            {name: train.defocus_um(now_us) for name, train in names},
            {name: self.free(now_us, mount) for name, mount in self._mounts.items()},
            {name: train.cover.opening(now_us) if train.cover else 1.0 for name, train in names},
            self.mains.on(now_us),
        )

    async def close(self) -> None:
        """Drop what was not fetched and wait for renderings under way. Frames that were fetched stay."""
        await self.faults.close()
        for train in self._trains:
            await train.camera.close()
