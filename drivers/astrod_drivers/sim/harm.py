"""What faults do to the truth: to roof, mount, camera, wheel, focuser and sky themselves, whatever is reported."""

from collections.abc import Callable

from astrod_drivers.protocols import Clock, Device
from astrod_drivers.sim.camera import SimCamera
from astrod_drivers.sim.focuser import SimFocuser
from astrod_drivers.sim.injector import Running
from astrod_drivers.sim.mains import Mains
from astrod_drivers.sim.mount import SimMount
from astrod_drivers.sim.roof import SimRoof
from astrod_drivers.sim.weather import QUANTITIES, Climate
from astrod_drivers.sim.wheel import SimWheel

Mend = Callable[[], None]


def _nothing() -> None:
    """What happened once is not undone by the fault's end."""


def begin(running: Running, device: Device | None, climate: Climate, mains: Mains, clock: Clock) -> Mend:
    """Do what the fault does to its device, or to sky or mains where it has none; returns what undoes it.

    A fault that only comes between the daemon and its device does nothing here.
    """
    match device:
        case None if running.fault.kind == "mains_off":
            outage = mains.fail(running.fault.size, clock.now_us())
            return lambda: setattr(outage, "until_us", clock.now_us())
        case None:
            return _to_sky(running, climate, clock)
        case SimRoof():
            return _to_roof(running, device, clock)
        case SimMount():
            return _to_mount(running, device)
        case SimCamera():
            return _to_camera(running, device)
        case SimWheel() if running.fault.kind == "filter_sticks":
            return _to_wheel(device)
        case SimFocuser() if running.fault.kind == "focuser_slips":
            device.slip(round(running.fault.size))
    return _nothing


def _to_sky(running: Running, climate: Climate, clock: Clock) -> Mend:
    quantity = next((quantity for quantity in QUANTITIES if quantity == running.fault.kind), None)
    if quantity is None:
        return _nothing
    spell = climate.begin(quantity, running.fault.size, clock.now_us())

    def clear_up() -> None:
        spell.until_us = clock.now_us()

    return clear_up


def _to_roof(running: Running, roof: SimRoof, clock: Clock) -> Mend:
    now_us = clock.now_us()
    match running.fault.kind:
        case "roof_sticks":
            roof.way.stick(running.fault.size, now_us)
        case "roof_lies":
            running.memory["wanted"] = roof.way.wanted(now_us)  # what it goes on to report
            roof.way.lose_motor(now_us)
        case _:
            return _nothing
    return lambda: roof.way.mend(clock.now_us())


def _to_mount(running: Running, mount: SimMount) -> Mend:
    match running.fault.kind:
        case "tracking_stops":
            drift = mount.stop_tracking_unnoticed()
            return lambda: mount.mend(drift)
        case "drifts":
            rate_arcsec_s = running.fault.size / 60.0
            drift = mount.drift(rate_arcsec_s, rate_arcsec_s / 2.0)
            return lambda: mount.mend(drift)
        case "slips":
            mount.knock(running.fault.size)
        case "flip_fails":
            mount.flips = False
            return lambda: setattr(mount, "flips", True)
        case "park_fails" | "park_lies":
            mount.parks = False
            return lambda: setattr(mount, "parks", True)
    return _nothing


def _to_camera(running: Running, camera: SimCamera) -> Mend:
    if running.fault.kind == "crash":
        camera.lose_power()
    elif running.fault.kind == "cooler_resets":
        camera.reset_cooler()
    return _nothing


def _to_wheel(wheel: SimWheel) -> Mend:
    wheel.turns = False
    return lambda: setattr(wheel, "turns", True)
