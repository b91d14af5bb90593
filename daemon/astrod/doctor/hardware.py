"""The devices: each is connected and read, through sessions of our own. Nothing is moved, opened or exposed."""

import asyncio
import math
import os
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from astrod.config.load import Loaded
from astrod.config.settings import SolveSettings
from astrod.doctor.diagnosis import Diagnosis, Examined
from astrod.domain.instant import SECOND_US, iso
from astrod.domain.site import Site, Train, WeatherSetup
from astrod.domain.standing import differences
from astrod.domain.target import Request
from astrod.rig.standing import belief_of
from astrod.runtime.clock import Clock
from astrod.solving import field_arcmin, field_coverage
from astrod_drivers.errors import DriverError
from astrod_drivers.protocols import CameraInfo, MountBelief, WeatherReading, WheelState
from astrod_drivers.session import Session

CONNECT_S = 20.0
READ_S = 10.0
OTHER_PLACE = "correct the mount's own setting, or [site] (west and south are negative)."

OpenSession = Callable[[str, str], Session]
"""A session to a device by address and kind, not started. Raises DriverError."""


@dataclass(frozen=True, slots=True)
class Part:
    """A configured device: its name for people, its kind, its address."""

    name: str
    kind: str
    address: str


def parts(site: Site) -> list[Part]:
    """Every device of a site."""
    found = [Part(setup.name, "weather", setup.address) for setup in site.weather]
    found += [Part("roof", "roof", site.roof.address)] if site.roof else []
    for rig in site.rigs:
        found.append(Part(f"{rig.name} mount", "mount", rig.mount.address))
        for train in rig.trains:
            label = f"{rig.name} {train.name} " if len(rig.trains) > 1 else f"{rig.name} "
            wanted = {
                "camera": train.camera.address,
                "focuser": train.focuser.address if train.focuser else None,
                "wheel": train.wheel,
                "rotator": train.rotator,
                "cover": train.cover,
                "guider": train.guider.address if train.guider else None,
                "guide camera": train.guider.camera if train.guider else None,
            }
            found += [Part(label + name, name.split()[-1], address) for name, address in wanted.items() if address]
    return found


async def devices(loaded: Loaded, open_session: OpenSession, clock: Clock) -> list[Examined]:
    """Connect and read every device, all at once; one that does not answer keeps no other waiting."""
    return list(await asyncio.gather(*(_examine(loaded, part, open_session, clock) for part in parts(loaded.site))))


async def _examine(loaded: Loaded, part: Part, open_session: OpenSession, clock: Clock) -> Examined:
    title = f"{part.name} ({part.address})"
    try:
        async with _session(open_session, part) as device:
            return await _look(loaded, part, title, device, clock)
    except (DriverError, TimeoutError, OSError) as fault:
        text = str(fault) or f"no answer within {CONNECT_S:g} s"
        return Examined(title, "not reached", (Diagnosis("AST-201", f"{part.name}: {text}"),))


@asynccontextmanager
async def _session(open_session: OpenSession, part: Part) -> AsyncIterator[Any]:
    session = open_session(part.address, part.kind)
    try:
        async with asyncio.timeout(CONNECT_S):
            await session.start(CONNECT_S)
        yield session.device
    finally:
        await session.kill()


async def _look(loaded: Loaded, part: Part, title: str, device: Any, clock: Clock) -> Examined:
    async with asyncio.timeout(READ_S):
        state = await device.read()
        match part.kind:
            case "weather":
                setup = next(setup for setup in loaded.site.weather if setup.name == part.name)
                found = weather_troubles(setup, state, clock.now_us())
            case "wheel":
                found = wheel_troubles(part.name, state, _requests(loaded))
            case "mount":
                found = belief_troubles(part.name, await device.believes(), loaded.site, clock.now_us())
            case "camera":
                found = await _camera_troubles(loaded, part, device)
            case _:
                found = ()
    return Examined(title, "answers", found)


async def _camera_troubles(loaded: Loaded, part: Part, device: Any) -> tuple[Diagnosis, ...]:
    trains = [train for rig in loaded.site.rigs for train in rig.trains if train.camera.address == part.address]
    if not trains:
        return ()  # a guide camera, whose frames are not solved
    info: CameraInfo = await device.describe()
    return tuple(found for train in trains for found in coverage_troubles(train, info, loaded.settings.solve))


def _requests(loaded: Loaded) -> list[Request]:
    return [request for target in loaded.targets for request in target.requests]


def weather_troubles(setup: WeatherSetup, reading: WeatherReading, now_us: int) -> tuple[Diagnosis, ...]:
    """What is wrong with a source's answer: overridden, old, from the future, or without what its limits ask for."""
    found = []
    if reading.overridden:
        found.append("somebody told its driver to say that all is well (WEATHER_OVERRIDE); switch that off")
    age_s = (now_us - reading.measured_us) / SECOND_US
    if age_s > setup.stale_s:
        found.append(
            f"its last reading is {age_s:.0f} s old, and {setup.stale_s:g} s are allowed; see what it last heard"
        )
    elif age_s < -setup.poll_s - 5.0:
        found.append(f"its reading is from {iso(reading.measured_us)}, which is yet to come; set its clock")
    absent = [limit.name for limit in setup.limits if not math.isfinite(reading.values.get(limit.name, math.nan))]
    if absent:
        has = ", ".join(sorted(reading.values)) or "nothing"
        found.append(f"it does not measure {', '.join(absent)}, which its limits name; it measures {has}")
    return tuple(Diagnosis("AST-101", f"{setup.name}: {text}") for text in found)


def wheel_troubles(name: str, state: WheelState, requests: Sequence[Request]) -> tuple[Diagnosis, ...]:
    """Filters that are asked for and not in the wheel."""
    asked = {request.filter: request.id for request in reversed(requests) if request.filter is not None}
    has = ", ".join(state.filters)
    return tuple(
        Diagnosis("AST-205", f"{name}: {request} asks for filter {wanted}; the wheel has {has}")
        for wanted, request in sorted(asked.items())
        if wanted not in state.filters
    )


def belief_troubles(name: str, said: MountBelief, site: Site, now_us: int) -> tuple[Diagnosis, ...]:
    """Where the mount believes to be elsewhere, or at another time, by the rig's own measure (`domain.standing`)."""
    if said.site is not None and (said.site.latitude_deg, said.site.longitude_deg) == (0.0, 0.0):
        said = replace(said, site=None)  # a driver that nobody has told yet; astrod tells it at each start
    found = differences(site.place, now_us, belief_of(said), site.time)
    told = site.time.mount_master == "astrod"
    remedy = "astrod tells it at each start; if `astrod status` says the same then: " + OTHER_PLACE if told else ""
    return tuple(Diagnosis("AST-151", f"{name}: {text}", remedy) for text in found)


def coverage_troubles(train: Train, info: CameraInfo, settings: SolveSettings) -> tuple[Diagnosis, ...]:
    """A field that the installed index files cannot solve when the mount is lost."""
    width_arcmin, height_arcmin = field_arcmin(train, info.width_px, info.height_px, info.pixel_um)
    found = field_coverage(settings, width_arcmin, height_arcmin)
    if found.covered:
        return ()
    text = (
        f"train {train.name}: its field of {width_arcmin:.0f}' by {height_arcmin:.0f}' is not covered by the "
        f"{found.files} index files installed"
    )
    if not found.centres:
        text += f"; they hold {found.stars:.1f} stars in it on the average, too few to centre targets by either"
    return (Diagnosis("AST-610", text, found.advice),)


def sight(site: Site) -> Examined:
    """Whether any sensor could see rain or wind coming, where a roof opens to them."""
    if site.roof is None or not site.weather:
        return Examined("sensors", "no roof to close" if site.roof is None else "no weather source, by your own word")
    limited = {limit.name for setup in site.weather for limit in setup.limits}
    blind = [name for name, any_of in _SEES.items() if not limited & any_of]
    found = tuple(
        Diagnosis("AST-606", f"no limit of any weather source can see {name} coming ({', '.join(sorted(_SEES[name]))})")
        for name in blind
    )
    return Examined("sensors", f"limits on {', '.join(sorted(limited)) or 'nothing'}", found)


_SEES: Mapping[str, frozenset[str]] = {
    "rain": frozenset({"rain_mm_h", "humidity_percent", "cloud_percent", "sky_temperature_c"}),
    "wind": frozenset({"wind_m_s", "gust_m_s"}),
}


def listeners(site: Site, tables: Sequence[Path] = (Path("/proc/net/tcp"), Path("/proc/net/tcp6"))) -> Examined:
    """Whether an indiserver on this host lets everybody on the network move the telescope."""
    ports = {int(part.address.split("/")[2].rpartition(":")[2]) for part in parts(site) if _is_local_indi(part.address)}
    open_ports = sorted(ports & _open_to_all(tables))
    found = tuple(
        Diagnosis("AST-607", f"port {port} takes commands from the whole network, without a password")
        for port in open_ports
    )
    return Examined("network", "device servers on this host", found)


def _is_local_indi(address: str) -> bool:
    scheme, _, rest = address.partition("://")
    host, _, port = rest.partition("/")[0].rpartition(":")
    return scheme == "indi" and port.isdigit() and host in ("localhost", "127.0.0.1")


def _open_to_all(tables: Sequence[Path]) -> set[int]:
    """TCP ports that listen on every interface, as the kernel tells."""
    found: set[int] = set()
    for table in tables:
        if not os.access(table, os.R_OK):
            continue
        for row in table.read_text().splitlines()[1:]:
            local, state = row.split()[1], row.split()[3]
            host, port = local.split(":")
            if state == "0A" and set(host) == {"0"}:
                found.add(int(port, 16))
    return found
