"""From the checked document to the words of the domain, with the faults that only show between keys."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

from astrod.config import coordinates
from astrod.config.faults import nearest
from astrod.config.position import KeyPath
from astrod.config.roots import socket_of
from astrod.config.schema import (
    CameraSection,
    DarknessSection,
    Document,
    ExposureSection,
    FocuserSection,
    GuiderSection,
    LadderSection,
    LimitSection,
    MountSection,
    RigSection,
    RoofSection,
    SiteSection,
    TargetSection,
    TrainSection,
    WatchSection,
    WeatherSection,
)
from astrod.config.settings import (
    CalibrationSettings,
    DaemonSettings,
    ModelSettings,
    NightSettings,
    Settings,
    SimulatorSettings,
    SolveSettings,
    StorageSettings,
)
from astrod.domain.dome import DomeGeometry
from astrod.domain.instant import from_datetime
from astrod.domain.recovery import Ladder, Rung
from astrod.domain.site import (
    CLOCK_SOURCE,
    WATCH_SOURCE,
    Agreement,
    CameraSetup,
    Darkness,
    FocuserSetup,
    GuiderSetup,
    Heater,
    IndiSetup,
    Limit,
    MountSetup,
    Outlet,
    Place,
    PowerSetup,
    Rig,
    RoofSetup,
    Site,
    TimeSetup,
    Train,
    WeatherSetup,
)
from astrod.domain.target import Request, Target
from astrod.domain.watching import WatchSetup
from astrod.errors import InputInvalid

Resolve = Callable[[str], tuple[float, float]]
"""From a catalogue name to ICRS degrees; raises InputInvalid, which names the nearest."""

SOCKET_PATH_MAX = 107
"""Bytes in a Unix socket's path (`sun_path` of unix(7), less its closing zero)."""


@dataclass(slots=True)
class Builder:
    """Builds, and gathers faults (path, text) and notes: what is right but perhaps not meant."""

    document: Document
    folder: Path
    resolve: Resolve | None
    faults: list[tuple[KeyPath, str]] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def fault(self, path: KeyPath, text: str) -> None:
        self.faults.append((path, text))

    # -- the site --------------------------------------------------------------------------------------------

    def site(self) -> Site | None:
        """The site; None when faults stand in the way, which are then in `faults`."""
        self._check_roof_and_weather()
        self._check_interlock()
        self._check_dome()
        self._check_gps()
        self._check_agreements()
        self._check_watches()
        self._check_names()
        self._check_addresses()
        self._check_horizon()
        self._check_guiders()
        self._check_meridian()
        darkness = self._darkness()
        weather = tuple(self._weather(("weather", i), section) for i, section in enumerate(self.document.weather))
        if self.faults or darkness is None:
            return None
        section, roof = self.document.site, self.document.roof
        return Site(
            name=section.name,
            title=section.title or section.name,
            place=Place(section.latitude_deg, section.longitude_deg, section.height_m),
            rigs=tuple(_rig(rig) for rig in self.document.rig),
            roof=_roof(roof) if roof else None,
            weather=weather,
            agreements=tuple(Agreement(**section.model_dump()) for section in self.document.agreement),
            watches=tuple(self._watch(section) for section in self.document.watch),
            time=self._time(),
            power=PowerSetup(**self.document.power.model_dump()),
            darkness=darkness,
            horizon=_horizon(section),
            min_altitude_deg=section.min_altitude_deg,
            indi=IndiSetup(**self.document.indi.model_dump()) if self.document.indi else None,
            ladders={ladder.kind: _ladder(ladder) for ladder in self.document.ladder},
        )

    def _check_roof_and_weather(self) -> None:
        site, roof = self.document.site, self.document.roof
        if roof is None and site.roof is None:
            self.fault(("roof",), 'is missing; give it an address, or write roof = "none" under [site]')
        if roof is not None and site.roof == "none":
            self.fault(("site", "roof"), 'says "none", yet there is a [roof]; remove one of the two')
        if self.document.weather and site.weather == "none":
            self.fault(("site", "weather"), 'says "none", yet there is a [[weather]]; remove one of the two')
        if roof is not None and not self.document.weather and site.weather is None:
            text = 'is missing: the roof would open blindly; add a source, or weather = "none" under [site]'
            self.fault(("weather",), text)
        if roof is not None and not self.document.weather and site.weather == "none":
            self.notes.append("the roof opens with no weather source: a person must watch the sky")

    def _check_interlock(self) -> None:
        roof = self.document.roof
        if roof is None:
            return
        if not roof.needs_parked and roof.interlock not in (None, "none"):
            self.fault(
                ("roof", "interlock"), f'says "{roof.interlock}", yet needs_parked is false; remove one of the two'
            )
        for i, rig in enumerate(self.document.rig):
            if roof.interlock == "sensor" and rig.mount.park_sensor is None:
                text = 'is missing: the roof\'s interlock is "sensor"; give the address of what tells that it is parked'
                self.fault(("rig", i, "mount", "park_sensor"), text)
            if roof.interlock == "solve" and rig.mount.park_place is None:
                text = 'is missing: the roof\'s interlock is "solve"; say where the parked tube points'
                self.fault(("rig", i, "mount", "park_place"), text)
            if rig.mount.park_sensor is not None and roof.interlock != "sensor":
                self.notes.append(
                    f'rig "{rig.name}" has a park sensor that nobody asks: [roof] interlock is not "sensor"'
                )
            self._check_park_sensor(i, rig)

    def _check_dome(self) -> None:
        """A slit is over one telescope at a time, and must be large enough to hold what is said to be in the dome."""
        roof = self.document.roof
        if roof is None or roof.slit_within_deg is None:
            if roof is not None and roof.geometry is not None:
                self.notes.append("[roof.geometry] is for a dome with a slit; without slit_within_deg it means nothing")
            return
        if len(self.document.rig) > 1:
            self.fault(
                ("roof", "slit_within_deg"),
                f"a slit follows one rig, and there are {len(self.document.rig)}: cameras on one mount are trains of"
                " one rig; a second mount needs a roof of its own",
            )
        if roof.geometry is None:
            return
        try:
            DomeGeometry(**roof.geometry.model_dump())
        except ValueError as fault:
            self.fault(("roof", "geometry"), str(fault))

    def _check_gps(self) -> None:
        gps = self.document.time.gps
        if gps is not None and not gps.startswith("indi://"):
            self.fault(("time", "gps"), "is no INDI device, indi://HOST:PORT/DEVICE NAME; for a gpsd there is gpsd")

    def _check_park_sensor(self, i: int, rig: RigSection) -> None:
        sensor, kind = rig.mount.park_sensor, rig.mount.park_sensor_kind
        if sensor is not None and (kind != "safety_monitor") != ("#" in sensor):
            wanted = "has no #NAME; a safety monitor says one thing" if kind == "safety_monitor" else "needs #NAME"
            self.fault(("rig", i, "mount", "park_sensor"), f'"{sensor}" is a {kind} and {wanted}')

    def _check_agreements(self) -> None:
        self._unique(("agreement",), [section.name for section in self.document.agreement])
        if self.document.agreement and len(self.document.weather) < 2:
            self.fault(("agreement", 0), "needs two sources under [[weather]] at least, to compare")

    def _time(self) -> TimeSetup:
        """What depends on the clock. Simulated mounts keep the host's own time: none, unless written."""
        given = self.document.time.model_dump()
        written = "error_max_s" in self.document.time.model_fields_set
        if not written and all(rig.mount.address.startswith("sim://") for rig in self.document.rig):
            given["error_max_s"] = 0.0
        return TimeSetup(**given)

    def _check_watches(self) -> None:
        names = [section.name for section in self.document.watch]
        self._unique(("watch",), names)
        for i, section in enumerate(self.document.weather):
            watch = section.address.removeprefix(WATCH_SOURCE)
            if section.address.startswith(WATCH_SOURCE) and watch not in names:
                near = nearest(watch, names)
                hint = f"did you mean {near!r}?" if near else "write one, or correct the name"
                self.fault(("weather", i, "address"), f"there is no [[watch]] {watch!r}; {hint}")

    def _watch(self, section: WatchSection) -> WatchSetup:
        words = section.model_dump()
        if section.calibration is not None:
            words["calibration"] = str(self.folder / section.calibration)
        return WatchSetup(**words)

    def _check_names(self) -> None:
        self._unique(("rig",), [rig.name for rig in self.document.rig])
        self._unique(("weather",), [source.name for source in self.document.weather])
        self._unique(("ladder",), [ladder.kind for ladder in self.document.ladder], "kind")
        for i, rig in enumerate(self.document.rig):
            self._unique(("rig", i, "train"), [train.name for train in rig.train])
        for i, source in enumerate(self.document.weather):
            self._unique(("weather", i, "limits"), [limit.name for limit in source.limits])

    def _unique(self, path: KeyPath, names: Sequence[str], key: str = "name") -> None:
        for index, name in enumerate(names):
            if name in names[:index]:
                self.fault((*path, index, key), f'"{name}" is taken already; each {key} is used once')

    def _check_addresses(self) -> None:
        seen: set[str] = set()
        for path, address in _addresses(self.document):
            if address in seen:
                self.fault(path, f'"{address}" is used already; each device has one place')
            seen.add(address)

    def _check_horizon(self) -> None:
        for i, (azimuth_deg, altitude_deg) in enumerate(self.document.site.horizon):
            path = ("site", "horizon", i)
            if not 0.0 <= azimuth_deg < 360.0:
                self.fault(path, f"azimuth {azimuth_deg} is outside 0..360 (360 is 0)")
            if not -10.0 <= altitude_deg < 90.0:
                self.fault(path, f"altitude {altitude_deg} is outside -10..90")

    def _check_guiders(self) -> None:
        for i, rig in enumerate(self.document.rig):
            guided = [(j, train.guider) for j, train in enumerate(rig.train) if train.guider]
            for j, _ in guided[1:]:
                self.fault(("rig", i, "train", j, "guider"), "is the rig's second; a mount has one guider")
            for j, guider in guided:
                self._check_guider(("rig", i, "train", j, "guider"), guider)
                if guider.camera is not None and rig.mount.kind == "altaz":
                    self.notes.append(f'rig "{rig.name}" is alt-azimuth: its field turns, guide short exposures only')

    def _check_guider(self, path: KeyPath, guider: GuiderSection) -> None:
        if (guider.address is None) == (guider.camera is None):
            self.fault(path, "needs an address (PHD2's) or a camera (to guide by ourselves), one of the two")
        if guider.camera is not None and guider.focal_length_mm is None:
            self.fault((*path, "focal_length_mm"), "is missing; a guide camera needs its optic's focal length")

    def _check_meridian(self) -> None:
        for i, rig in enumerate(self.document.rig):
            if rig.mount.flip_after_deg > rig.mount.track_past_meridian_deg:
                self.fault(
                    ("rig", i, "mount", "flip_after_deg"),
                    f"{rig.mount.flip_after_deg:g} is past what the mount may track "
                    f"(track_past_meridian_deg = {rig.mount.track_past_meridian_deg:g}); flip before that",
                )

    def _darkness(self) -> Darkness | None:
        section = self.document.darkness
        if not section.observe_below_deg <= section.prepare_below_deg <= section.roof_below_deg:
            text = "observe_below_deg <= prepare_below_deg <= roof_below_deg must hold"
            self.fault(("darkness",), text)
            return None
        before, after = self._moment(section, "not_before"), self._moment(section, "not_after")
        if before is not None and after is not None and before >= after:
            self.fault(("darkness", "not_after"), "is not after not_before")
        return Darkness(section.observe_below_deg, section.prepare_below_deg, section.roof_below_deg, before, after)

    def _moment(self, section: DarknessSection, name: str) -> int | None:
        moment: datetime | None = getattr(section, name)
        if moment is None:
            return None
        if moment.tzinfo is None:
            self.fault(("darkness", name), f"{moment.isoformat()} has no zone; add Z for UTC")
            return None
        return from_datetime(moment)

    def _weather(self, path: KeyPath, section: WeatherSection) -> WeatherSetup:
        limits = [self._limit((*path, "limits", i), limit) for i, limit in enumerate(section.limits)]
        if not section.limits and section.kind == "weather":
            self.notes.append(f'weather source "{section.name}" has no limits: only its silence is unsafe')
        if section.name == CLOCK_SOURCE:
            self.fault((*path, "name"), f'"{CLOCK_SOURCE}" is the name of [time]\'s own source; choose another')
        if section.kind == "safety_monitor" and (section.limits or section.frozen_s):
            self.fault(path, "is a safety monitor, which measures nothing: no limits and no frozen_s")
        if section.stale_s <= section.poll_s:
            self.fault((*path, "stale_s"), f"{section.stale_s} s must be longer than poll_s ({section.poll_s} s)")
        return WeatherSetup(
            name=section.name,
            address=section.address,
            limits=tuple(limit for limit in limits if limit is not None),
            poll_s=section.poll_s,
            stale_s=section.stale_s,
            frozen_s=section.frozen_s,
            unsafe_after=section.unsafe_after,
            safe_after_s=section.safe_after_s,
            kind=section.kind,
            action=section.action,
        )

    def _limit(self, path: KeyPath, section: LimitSection) -> Limit | None:
        low, high = section.low, section.high
        if low is None and high is None:
            self.fault(path, f"{section.name} has neither low nor high")
            return None
        if low is not None and high is not None and low + 2 * section.margin >= high:
            self.fault(
                (*path, "high"),
                f"nothing between low {low} and high {high} is safe with margin {section.margin}",
            )
        return Limit(section.name, low, high, section.margin)

    # -- targets ---------------------------------------------------------------------------------------------

    def targets(self) -> tuple[Target, ...]:
        """The targets that are right; faults of the others are in `faults`."""
        sections = self.document.target
        seen: dict[str, str] = {}
        built = []
        for i, section in enumerate(sections):
            path: KeyPath = ("target", i)
            folded = " ".join(section.name.split()).casefold()
            if folded in seen:
                self.fault((*path, "name"), f'"{section.name}" is a target already; each name is used once')
                continue
            seen[folded] = section.name
            built.append(self._target(path, section))
        if not sections:
            self.notes.append("there is no target; the night will take nothing (add one to targets.d)")
        return tuple(target for target in built if target is not None)

    def _target(self, path: KeyPath, section: TargetSection) -> Target | None:
        self._check_rig_and_trains(path, section)
        place = self._place(path, section)
        if place is None:
            return None
        self._note_if_never_up(section, place[1])
        return Target(
            name=section.name,
            ra_deg=place[0],
            dec_deg=place[1],
            requests=tuple(_request(section.name, i, e) for i, e in enumerate(section.exposures)),
            priority=section.priority,
            min_altitude_deg=section.min_altitude_deg,
            max_airmass=section.max_airmass,
            min_moon_deg=section.min_moon_deg,
            rig=section.rig,
            position_angle_deg=section.position_angle_deg,
        )

    def _place(self, path: KeyPath, section: TargetSection) -> tuple[float, float] | None:
        ra_deg, dec_deg = section.ra_deg, section.dec_deg
        if section.coordinates is not None:
            if ra_deg is not None or dec_deg is not None:
                self.fault((*path, "coordinates"), "is given beside ra_deg or dec_deg; keep one of the two ways")
                return None
            try:
                return coordinates.parse(section.coordinates)
            except ValueError as fault:
                self.fault((*path, "coordinates"), f'"{section.coordinates}" {fault}')
                return None
        if ra_deg is not None and dec_deg is not None:
            return ra_deg, dec_deg
        if ra_deg is not None or dec_deg is not None:
            self.fault(path, f"{'dec_deg' if dec_deg is None else 'ra_deg'} is missing beside the other")
            return None
        return self._resolved(path, section.name)

    def _resolved(self, path: KeyPath, name: str) -> tuple[float, float] | None:
        if self.resolve is None:
            self.fault((*path, "name"), f'"{name}" has no coordinates, and there is no catalogue here; give them')
            return None
        try:
            return self.resolve(name)
        except InputInvalid as fault:
            self.fault((*path, "name"), str(fault))
            return None

    def _check_rig_and_trains(self, path: KeyPath, section: TargetSection) -> None:
        rigs = {rig.name: rig for rig in self.document.rig}
        if section.rig is not None and section.rig not in rigs:
            self.fault((*path, "rig"), _no_such("rig", section.rig, list(rigs)))
            return
        chosen = [rigs[section.rig]] if section.rig is not None else list(self.document.rig)
        trains = [train for rig in chosen for train in rig.train]
        if section.position_angle_deg is not None:
            self._check_rotators((*path, "position_angle_deg"), chosen)
        for i, exposure in enumerate(section.exposures):
            self._check_exposure((*path, "exposures", i), exposure, trains)

    def _check_lengths(self, path: KeyPath, exposure: ExposureSection) -> None:
        longest_s = exposure.exposure_max_s
        if longest_s is None:
            return
        if not exposure.adapt:
            self.fault((*path, "exposure_max_s"), "means something with adapt = true only; add that, or leave it out")
        if longest_s < exposure.exposure_s:
            text = f"{longest_s:g} is less than exposure_s, {exposure.exposure_s:g}; it is the most it may grow to"
            self.fault((*path, "exposure_max_s"), text)

    def _check_rotators(self, path: KeyPath, rigs: list[RigSection]) -> None:
        """A position angle needs a rotator, and a field that stands still: where it turns, the rotator's own driver
        has to follow it, and two masters would turn it.
        """
        turning = [rig for rig in rigs if any(train.rotator for train in rig.train)]
        if not turning:
            self.fault(path, "is asked for, but no train has a rotator; leave it out")
        elif all(rig.mount.kind == "altaz" for rig in turning):
            self.fault(path, "is for equatorial mounts; on an alt-azimuth the rotator follows the field by its driver")

    def _check_exposure(self, path: KeyPath, exposure: ExposureSection, trains: list[TrainSection]) -> None:
        names = [train.name for train in trains]
        if exposure.train is not None and exposure.train not in names:
            self.fault((*path, "train"), _no_such("train", exposure.train, names))
            return
        self._check_lengths(path, exposure)
        able = [train for train in trains if exposure.train in (None, train.name)]
        if exposure.filter is not None and not any(train.wheel for train in able):
            self.fault((*path, "filter"), f'"{exposure.filter}" is asked for, but no train has a wheel; leave it out')

    def _note_if_never_up(self, section: TargetSection, dec_deg: float) -> None:
        site = self.document.site
        highest_deg = 90.0 - abs(site.latitude_deg - dec_deg)
        least_deg = max(site.min_altitude_deg, section.min_altitude_deg or 0.0)
        if highest_deg < least_deg:
            self.notes.append(f"{section.name} never rises above {least_deg:g}° here (at best {highest_deg:.0f}°)")

    # -- settings --------------------------------------------------------------------------------------------

    def settings(self) -> Settings:
        """All that is not the site, with absolute paths."""
        night, models, storage = self.document.night, self.document.models, self.document.storage
        return Settings(
            night=NightSettings(**night.model_dump()),
            models=ModelSettings(
                models.enabled,
                self._optional_path(models.folder),
                self.folder / storage.data_dir / "models",
                models.provider,
                models.threads,
                models.shadow_frames,
                models.shadow_thumbs,
                models.shadow_keep_percent,
                models.promote_by_rule,
            ),
            storage=StorageSettings(
                data_dir=self.folder / storage.data_dir,
                spool_dir=self.folder / storage.spool_dir,
                free_min_gb=storage.free_min_gb,
                raw_days=storage.raw_days,
                quarantine_days=storage.quarantine_days,
                telemetry_days=storage.telemetry_days,
            ),
            daemon=self._daemon(),
            simulator=self._simulator(),
            calibration=self._calibration(),
            solve=self._solve(),
        )

    def _solve(self) -> SolveSettings:
        section = self.document.solve
        return SolveSettings(
            index_dirs=tuple(self.folder / text for text in section.index_dirs),
            solve_field=section.solve_field or None,
            astap=section.astap,
            deadline_s=section.deadline_s,
            lights=section.lights,
        )

    def _daemon(self) -> DaemonSettings:
        section = self.document.daemon
        socket = socket_of(self.folder, section.run_dir, section.socket)
        size = len(str(socket).encode())
        if size > SOCKET_PATH_MAX:
            self.fault(
                ("daemon", "run_dir"),
                f"the socket's path {socket} has {size} bytes, {SOCKET_PATH_MAX} is the most; shorten it",
            )
        return DaemonSettings(
            self.folder / section.run_dir, socket, section.log_level, section.housekeeping_after_noon_min
        )

    def _calibration(self) -> CalibrationSettings:
        section = self.document.calibration
        if section is None:
            return CalibrationSettings()
        return CalibrationSettings(scheduled=True, **section.model_dump())

    def _simulator(self) -> SimulatorSettings:
        section = self.document.simulator
        self._unique_texts(("simulator", "filters"), section.filters)
        return SimulatorSettings(
            section.seed,
            section.weather,
            section.width_px,
            section.height_px,
            section.pixel_um,
            tuple(section.filters),
            section.pointing_arcmin,
            section.meteors_per_hour,
        )

    def _unique_texts(self, path: KeyPath, texts: list[str]) -> None:
        for index, text in enumerate(texts):
            if text in texts[:index]:
                self.fault((*path, index), f'"{text}" is there twice')

    def _optional_path(self, text: str | None) -> Path | None:
        if text is None:
            return None
        path = self.folder / text
        if not path.is_dir():
            self.fault(("models", "folder"), f"{path} is no folder")
        return path


def _no_such(what: str, name: str, known: list[str]) -> str:
    close = nearest(name, known)
    return f'"{name}" is no {what}; ' + (f'did you mean "{close}"?' if close else f"there is {', '.join(known)}")


def _addresses(document: Document) -> Iterator[tuple[KeyPath, str]]:
    """Each device's address with its path. The host's own sources may be watched twice, with other limits."""
    if document.roof:
        yield ("roof", "address"), document.roof.address
        if document.roof.second_path and "#" not in document.roof.second_path:
            yield ("roof", "second_path"), document.roof.second_path
    for i, source in enumerate(document.weather):
        if not source.address.startswith(("astrod://", "nut://")):
            yield ("weather", i, "address"), source.address
    for i, watch in enumerate(document.watch):
        yield ("watch", i, "source"), watch.source
    for i, rig in enumerate(document.rig):
        yield ("rig", i, "mount", "address"), rig.mount.address
        for j, train in enumerate(rig.train):
            yield from _train_addresses(("rig", i, "train", j), train)


def _train_addresses(path: KeyPath, train: TrainSection) -> Iterator[tuple[KeyPath, str]]:
    yield (*path, "camera", "address"), train.camera.address
    if train.focuser:
        yield (*path, "focuser", "address"), train.focuser.address
    for name in ("address", "camera"):
        part: str | None = getattr(train.guider, name, None)
        if part is not None:
            yield (*path, "guider", name), part
    for name in ("wheel", "rotator", "cover"):
        address: str | None = getattr(train, name)
        if address is not None:
            yield (*path, name), address


def _roof(section: RoofSection) -> RoofSetup:
    given = _powered(section)
    needs_parked = given.pop("needs_parked")
    interlock = section.interlock or ("mount" if needs_parked else "none")
    geometry = DomeGeometry(**section.geometry.model_dump()) if section.geometry else None
    return RoofSetup(**given | {"interlock": interlock, "geometry": geometry})


def _rig(section: RigSection) -> Rig:
    mount = _powered(section.mount)
    place = section.mount.park_place
    trains = tuple(_train(train) for train in section.train)
    heaters = tuple(Heater(**heater.model_dump()) for heater in section.heater)
    return Rig(section.name, MountSetup(**mount | {"park_place": tuple(place) if place else None}), trains, heaters)


def _powered(section: RoofSection | MountSection | CameraSection | FocuserSection) -> dict[str, Any]:
    """A device's keys, with its outlet as the domain has it."""
    return {**section.model_dump(), "power": _outlet(section.power)}


def _outlet(text: str | None) -> Outlet | None:
    return None if text is None else Outlet.parse(text)


def _ladder(section: LadderSection) -> Ladder:
    rungs = tuple(Rung(**rung.model_dump()) for rung in section.rungs)
    return Ladder(rungs, section.again_s, section.good_min * 60.0)


def _train(section: TrainSection) -> Train:
    return Train(
        name=section.name,
        camera=CameraSetup(**_powered(section.camera)),
        focal_length_mm=section.focal_length_mm,
        aperture_mm=section.aperture_mm,
        focuser=FocuserSetup(**_powered(section.focuser)) if section.focuser else None,
        wheel=section.wheel,
        rotator=section.rotator,
        rotator_within_deg=section.rotator_within_deg,
        guider=_guider(section),
        cover=section.cover,
        wheel_power=_outlet(section.wheel_power),
    )


def _guider(train: TrainSection) -> GuiderSetup | None:
    section = train.guider
    if section is None:
        return None
    focal_length_mm = section.focal_length_mm or 0.0
    aperture_mm = section.aperture_mm or focal_length_mm / 4.0
    optic = {"focal_length_mm": focal_length_mm, "aperture_mm": aperture_mm}
    return GuiderSetup(**{**section.model_dump(), **optic})


def _horizon(section: SiteSection) -> tuple[tuple[float, float], ...]:
    return tuple(sorted((azimuth_deg, altitude_deg) for azimuth_deg, altitude_deg in section.horizon))


def _request(target: str, index: int, section: ExposureSection) -> Request:
    return Request(
        id=f"{target}/{index + 1}",
        target=target,
        exposure_s=section.exposure_s,
        count=section.count,
        filter=section.filter,
        binning=section.binning,
        train=section.train,
        exposure_min_s=section.exposure_min_s,
        adapt=section.adapt,
        exposure_max_s=section.exposure_max_s,
    )
