"""The simulated observatory for a configuration: what stands behind its `sim://` addresses."""

import asyncio
import logging
import sys
from pathlib import Path

from astrod import daemon
from astrod.config.load import Loaded
from astrod.config.settings import SimulatorSettings
from astrod.domain.site import Rig, Site, Train
from astrod.errors import TellOperator
from astrod.rehearsal.stars import simulated_stars
from astrod.runtime.clock import Clock, WallClock
from astrod_drivers.address import parse
from astrod_drivers.sim.faults import Fault
from astrod_drivers.sim.scene import Optics, Sensor
from astrod_drivers.sim.setup import (
    CameraSetup,
    CoolerSetup,
    CoverSetup,
    FocuserSetup,
    MountSetup,
    ObservatorySetup,
    Outlet,
    RoofSetup,
    RotatorSetup,
    SwitchSetup,
    TrainSetup,
    WheelSetup,
)

log = logging.getLogger(__name__)

SERVE_S = 20.0
GUIDE_SENSOR = Sensor(320, 240, 7.4, full_well_e=40_000.0, egain_e_per_adu=0.7, adc_bits=16)
"""A small guide camera, so that a night of guide frames is affordable."""


def _simulated(address: str | None) -> str | None:
    """The device's name in the observatory; None for no device, or a real one."""
    if address is None or not address.startswith("sim://"):
        return None
    return parse(address).device


def simulated_addresses(site: Site) -> list[str]:
    """All `sim://` addresses of a site."""
    addresses = [site.roof.address if site.roof else None, *(source.address for source in site.weather)]
    addresses += [watch.source for watch in site.watches if watch.kind == "camera"]
    for rig in site.rigs:
        addresses.append(rig.mount.address)
        for train in rig.trains:
            addresses += [train.camera.address, train.focuser.address if train.focuser else None, train.wheel]
            addresses += [train.cover, train.rotator]
        addresses += [heater.switch for heater in rig.heaters]
        if rig.guider:
            addresses += [rig.guider.address, rig.guider.camera]
    return [address for address in addresses if _simulated(address) and address]


def _train(train: Train, settings: SimulatorSettings, start_error: int) -> TrainSetup | None:
    camera = _simulated(train.camera.address)
    if camera is None:
        return None
    focuser = _simulated(train.focuser.address) if train.focuser else None
    wheel, rotator, cover = (_simulated(address) for address in (train.wheel, train.rotator, train.cover))
    bayer = None if train.camera.bayer in (None, "mono") else train.camera.bayer
    sensor = Sensor(settings.width_px, settings.height_px, settings.pixel_um, bayer=bayer)
    shifts = WheelSetup().focus_shift_um
    return TrainSetup(
        optics=Optics(train.focal_length_mm, train.aperture_mm),
        camera=CameraSetup(
            name=camera,
            sensor=sensor,
            shutter=train.camera.shutter,
            cooler=CoolerSetup() if train.camera.cool_to_c is not None else None,
        ),
        focuser=FocuserSetup(name=focuser, start_error=start_error) if focuser else None,
        wheel=WheelSetup(wheel, settings.filters, focus_shift_um=(shifts * 3)[: len(settings.filters)])
        if wheel
        else None,
        rotator=RotatorSetup(rotator) if rotator else None,
        cover=CoverSetup(cover) if cover else None,
    )


def _mount(rig: Rig, settings: SimulatorSettings, start_error: int) -> MountSetup | None:
    name = _simulated(rig.mount.address)
    if name is None:
        return None
    trains = [*(_train(train, settings, start_error) for train in rig.trains), _guide_train(rig)]
    return MountSetup(
        name=name,
        kind=rig.mount.kind,
        trains=tuple(train for train in trains if train),
        pointing_arcmin=settings.pointing_arcmin,
        guider=_simulated(rig.guider.address) if rig.guider else None,
    )


def _guide_train(rig: Rig) -> TrainSetup | None:
    """The guide camera and its small telescope, where they are simulated."""
    name = _simulated(rig.guider.camera) if rig.guider else None
    if name is None or rig.guider is None:
        return None
    return TrainSetup(
        optics=Optics(rig.guider.focal_length_mm, rig.guider.aperture_mm),
        camera=CameraSetup(name=name, model="Simulated guide camera", sensor=GUIDE_SENSOR, readout_s=0.1, cooler=None),
        focuser=None,
        wheel=None,
        rotation_deg=41.0,
    )


def _switch(site: Site) -> SwitchSetup | None:
    """The switch behind the site's outlets: the first of them, where several are named. Each outlet feeds what the
    configuration plugs into it.
    """
    plugged = [(site.roof.power, site.roof.address)] if site.roof else []
    for rig in site.rigs:
        plugged.append((rig.mount.power, rig.mount.address))
        for train in rig.trains:
            plugged.append((train.camera.power, train.camera.address))
            plugged += [(train.focuser.power, train.focuser.address)] if train.focuser else []
            plugged += [(train.wheel_power, train.wheel)] if train.wheel else []
    fed: dict[str, dict[str, list[str]]] = {}
    for outlet, address in plugged:
        switch, device = _simulated(outlet.address if outlet else None), _simulated(address)
        if outlet is not None and switch is not None and device is not None:
            fed.setdefault(switch, {}).setdefault(outlet.name, []).append(device)
    heaters = [heater for rig in site.rigs for heater in rig.heaters]
    for heater in heaters:
        switch = _simulated(heater.switch)
        if switch is not None:
            fed.setdefault(switch, {}).setdefault(heater.outlet, [])
    warm = {heater.outlet for heater in heaters}
    for switch, outlets in fed.items():
        built = (Outlet(name, tuple(devices), dims=name in warm) for name, devices in outlets.items())
        return SwitchSetup(switch, tuple(built))
    return None


def setup_of(
    loaded: Loaded, seeing_arcsec: float = 2.0, start_error: int = 60, faults: tuple[Fault, ...] = ()
) -> ObservatorySetup:
    """The observatory behind a configuration's `sim://` addresses; `start_error` is how far from focus it starts.

    Raises ValueError for a fault of a device that is not there.
    """
    site, settings = loaded.site, loaded.settings.simulator
    roof = _simulated(site.roof.address) if site.roof else None
    sources = [name for source in site.weather if (name := _simulated(source.address))]
    mounts = [_mount(rig, settings, start_error) for rig in site.rigs]
    return ObservatorySetup(
        seed=settings.seed,
        latitude_deg=site.place.latitude_deg,
        longitude_deg=site.place.longitude_deg,
        height_m=site.place.height_m,
        scenario=settings.weather,
        seeing_arcsec=seeing_arcsec,
        roof=RoofSetup(roof, kind="dome" if site.roof and site.roof.slit_within_deg else "roll_off") if roof else None,
        weather=sources[0] if sources else None,
        safety_monitor=None,
        allsky=next(
            (name for w in site.watches if w.kind == "camera" and (name := _simulated(w.source)) is not None), None
        ),
        meteors_per_hour=settings.meteors_per_hour,
        switch=_switch(site),
        mounts=tuple(mount for mount in mounts if mount),
        faults=faults,
    )


def run(loaded: Loaded, offset_us: int = 0) -> int:
    """Run the daemon, with the simulated observatory up where the configuration has `sim://` addresses.

    The observatory is a process of its own and outlives the daemon, as hardware does: a daemon that was killed
    finds it as it left it. It ends by itself a quarter of an hour after its last client.
    """
    if not simulated_addresses(loaded.site):
        return daemon.run(loaded, daemon.Run(offset_us))
    socket = loaded.settings.daemon.run_dir / "sim.sock"
    try:
        asyncio.run(serve(loaded, socket, offset_us))
    except TellOperator as fault:
        log.critical("%s", fault)
        return 1
    return daemon.run(loaded, daemon.Run(offset_us, socket, simulated_stars))


async def serve(loaded: Loaded, socket: Path, offset_us: int = 0) -> None:
    """Start the observatory unless it is up already. Raises TellOperator when it does not start."""
    clock = WallClock(offset_us)
    if not await _answers(socket):
        await _start(loaded, socket, offset_us, clock)


async def _answers(socket: Path) -> bool:
    try:
        _, writer = await asyncio.open_unix_connection(socket)
    except OSError:
        return False
    writer.close()
    return True


async def _start(loaded: Loaded, socket: Path, offset_us: int, clock: Clock) -> None:
    settings = loaded.settings
    for folder in (settings.daemon.run_dir, settings.storage.spool_dir):
        folder.mkdir(parents=True, exist_ok=True)
    setup = settings.daemon.run_dir / "simulator.json"
    setup.write_text(setup_of(loaded).to_json())
    gate = settings.daemon.run_dir / "epoch"
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        *("-m", "astrod_drivers.sim.serve", "--socket", str(socket), "--setup", str(setup)),
        *("--spool", str(settings.storage.spool_dir), "--gate", str(gate), "--offset-s", str(offset_us / 1e6)),
        start_new_session=True,
    )
    deadline_s = clock.monotonic_s() + SERVE_S
    while not await _answers(socket):
        if process.returncode is not None or clock.monotonic_s() > deadline_s:
            raise TellOperator("the simulated observatory did not start; its own message stands above")
        await clock.sleep(0.1)
