"""The whole examination: the configuration, the computer, and either the running daemon's word or the devices."""

import asyncio
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from astrod.api.client import DaemonNotRunning, call
from astrod.config.load import Loaded
from astrod.doctor import hardware, host
from astrod.doctor.diagnosis import Diagnosis, Examined
from astrod.domain.identity import night_of
from astrod.domain.safety import ClockQuality
from astrod.domain.trouble import TROUBLES
from astrod.errors import TellOperator
from astrod.runtime.clock import Clock
from astrod_drivers.address import parse
from astrod_drivers.permit import EpochPage
from astrod_drivers.session import Session, open_session

ANSWER_S = 5.0


def examine(loaded: Loaded, clock: Clock, quality: Callable[[], ClockQuality]) -> list[Examined]:
    """Everything that can be found out without moving anything. Takes half a minute where devices are silent."""
    today = night_of(clock.now_us(), loaded.site.place.longitude_deg)
    found = [
        _configuration(loaded),
        host.folders(loaded),
        host.disk(loaded),
        host.clock(quality),
        host.models(loaded),
        host.archive(loaded, today),
        hardware.sight(loaded.site),
        hardware.listeners(loaded.site),
    ]
    daemon, answered = _daemon(loaded)
    found.append(daemon)
    return found if answered else found + asyncio.run(_devices(loaded, clock))


def _configuration(loaded: Loaded) -> Examined:
    notes = tuple(Diagnosis("AST-608", note) for note in loaded.notes)
    return Examined("configuration", f"{loaded.files[0]}: {loaded.site.title or loaded.site.name}", notes)


def _daemon(loaded: Loaded) -> tuple[Examined, bool]:
    """What a running daemon says is wrong; whether one answered, for then it holds the devices and tells of them."""
    path = loaded.settings.daemon.socket
    try:
        status = call(path, "status", timeout_s=ANSWER_S)
    except DaemonNotRunning:
        return Examined("daemon", "not running; its devices are asked directly"), False
    except TellOperator as fault:
        return Examined("daemon", "does not answer", (Diagnosis("AST-609", str(fault)),)), False
    return Examined("daemon", "running", tuple(_told(status))), True


def _told(status: dict[str, Any]) -> list[Diagnosis]:
    return [
        Diagnosis(str(finding["code"]), str(finding["text"]))
        for finding in status.get("health", [])
        if finding.get("code") in TROUBLES
    ]


async def _devices(loaded: Loaded, clock: Clock) -> list[Examined]:
    simulated = [part for part in hardware.parts(loaded.site) if parse(part.address).scheme == "sim"]
    if simulated:
        return [Examined("devices", "simulated: they are there while `astrod demo` or a rehearsal runs")]
    with tempfile.TemporaryDirectory(prefix="astrod-doctor-") as folder:
        page = EpochPage(Path(folder) / "epoch")  # a page that nobody ever made safe: no command could pass

        def session(address: str, kind: str) -> Session:
            return open_session(address, kind, spool=Path(folder), gate_path=page.path)

        try:
            return await hardware.devices(loaded, session, clock)
        finally:
            page.close()
