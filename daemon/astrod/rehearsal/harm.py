"""What a fault of the simulated observatory excuses: what nobody could do better while it lasts."""

from dataclasses import dataclass

from astrod.domain.instant import SECOND_US
from astrod_drivers.sim.injector import Running

RECOVERY_S = 420.0
"""What the daemon may take to get over a fault: to notice that a device is lost, to mend it, to go on."""

HOST = "host"
"""Stands for the daemon's computer where a fault names its device."""
BLINDING = frozenset({"hang", "drop", "crash", "vanish", "stale", "frozen", "wrong"})
DECEIVING = frozenset({"park_lies", "roof_lies", "pier_lies", "flip_fails", "wrong", "drifts", "tracking_stops"})
_CUTTING_OFF = frozenset({"drop", "crash", "vanish", "mains_off", "power_cut"})
_DAEMON_MENDS = frozenset({"reconnect", "restart"})
_ENDS_THE_DAEMON = frozenset({"daemon_crash", "power_cut"})


@dataclass(frozen=True, slots=True)
class Harm:
    """A fault that fired. `ended_us` None: it lasts. `curable`: the daemon can end it, by connecting anew or by
    starting the driver again, so that it excuses nothing for longer than that takes. A fault of the sky has no
    device and excuses nothing: the sky is what the daemon is there to mind. One of the host has HOST; it ends when
    the daemon that it killed lives again. `everywhere`: it took the power of every device too. The host's clock is
    wrong by `clock_us` while it lasts.
    """

    kind: str
    device: str
    since_us: int
    ended_us: int | None
    curable: bool
    everywhere: bool = False
    clock_us: int = 0

    def is_active(self, at_us: int) -> bool:
        """Whether it is there at that instant."""
        return self.since_us <= at_us and (self.ended_us is None or at_us < self.ended_us)

    def excuses(self, at_us: int) -> bool:
        """Whether it is there, or was until just now."""
        if at_us < self.since_us or not self.device:
            return False
        if self.curable:
            return at_us < self.since_us + RECOVERY_S * SECOND_US
        return self.ended_us is None or at_us < self.ended_us + RECOVERY_S * SECOND_US

    def hinders(self, device: str) -> bool:
        """Whether it is this device's."""
        return self.everywhere or self.device == device

    @property
    def ends_the_daemon(self) -> bool:
        """Whether nothing can be commanded as long as it lasts, for the daemon is dead."""
        return self.kind in _ENDS_THE_DAEMON

    @property
    def blinds(self) -> bool:
        """Whether a weather source with it tells nothing new."""
        return self.kind in BLINDING

    @property
    def cuts_off(self) -> bool:
        """Whether a device with it hears nothing."""
        return self.kind in _CUTTING_OFF

    @property
    def deceives(self) -> bool:
        """Whether a device with it says what is not so."""
        return self.kind in DECEIVING


def harm_of(running: Running) -> Harm:
    """A fault that fired, as an excuse."""
    fault = running.fault
    ended_us = running.ended_us
    if fault.kind in _ENDS_THE_DAEMON:
        ended_us = running.since_us + round(fault.size * SECOND_US)
    return Harm(
        fault.kind,
        HOST if fault.entry.where == "host" else fault.device,
        running.since_us,
        ended_us,
        fault.ends in _DAEMON_MENDS,
        everywhere=fault.kind == "power_cut" and fault.way == "site",
        clock_us=round(fault.size * SECOND_US) if fault.kind == "clock_step" else 0,
    )
