"""Short nights whose light frames are held against where the simulated telescope really pointed."""

from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from astrod.config.load import load
from astrod.daemon import resolve_name
from astrod.domain.darkness import dark_time
from astrod.domain.identity import Night
from astrod.domain.instant import MINUTE_US
from astrod.domain.site import Darkness
from astrod.domain.sphere import separation_deg, sidereal_deg
from astrod.rehearsal.night import PlayedNight
from astrod.rehearsal.sites import known
from astrod.runtime.clock import VirtualLoop, run_virtual
from astrod_drivers.sim.faults import Fault
from astrod_drivers.sim.mount import SimMount
from astrod_drivers.sim.rotator import SimRotator
from astrod_drivers.sim.setup import TrainSetup
from tests.nights.observatories import Sketch

DATE = "2026-12-14"
AFTER_DUSK_MIN = 60.0


@dataclass(frozen=True)
class Place:
    """A target by its hour angle when the night begins, degrees; negative is east of the meridian."""

    name: str
    hour_angle_deg: float
    dec_deg: float


@dataclass(frozen=True)
class Light:
    """A light frame: its target, whether it was kept, how far from the target the tube really pointed, and the
    position angle at which the camera really stood.
    """

    target: str
    kept: bool
    off_arcsec: float
    pier_side: str | None
    began_us: int
    rotation_deg: float


@dataclass(frozen=True)
class Told:
    """A night's summary, its lights, and the daemon's own notes."""

    summary: dict[str, Any]
    lights: list[Light]
    notes: list[dict[str, Any]]
    findings: list[str]

    def count(self, what: str) -> int:
        """How many notes of a kind there are."""
        return Counter(note["what"] for note in self.notes)[what]

    def of(self, what: str) -> list[dict[str, Any]]:
        """The notes of a kind."""
        return [note for note in self.notes if note["what"] == what]


def begin_us() -> int:
    """When these nights begin to expose."""
    dusk_us = dark_time(known("pujalt").place, Darkness(), Night.parse(DATE)).dusk_us
    return dusk_us + round(AFTER_DUSK_MIN * MINUTE_US)


def sketch(
    folder: Path,
    minutes: float,
    places: tuple[Place, ...],
    pointing_arcmin: float = 3.0,
    mount: str = "",
    exposure_s: float = 60.0,
) -> Sketch:
    """A small observatory with these targets; `mount` are more keys for its mount."""
    drawn = Sketch(folder, seed=7).dark_for(minutes, DATE, AFTER_DUSK_MIN)
    drawn.replace("pixel_um = 11.6", f"pixel_um = 11.6\npointing_arcmin = {pointing_arcmin}")
    drawn.replace("settle_s = 2.0", f"settle_s = 2.0\n{mount}")
    here_deg = sidereal_deg(begin_us(), known("pujalt").place.longitude_deg)
    lines = []
    for number, place in enumerate(places):
        lines += ["[[target]]", f'name = "{place.name}"', f"priority = {10.0 if number == 0 else 1.0}"]
        lines += [f"ra_deg = {(here_deg - place.hour_angle_deg) % 360.0}", f"dec_deg = {place.dec_deg}"]
        lines += ["[[target.exposures]]", f"exposure_s = {exposure_s}", "count = 200", 'filter = "L"', ""]
    (folder / "targets.d" / "rehearsal.toml").write_text("\n".join(lines))
    return drawn


def play(folder: Path, faults: tuple[Fault, ...] = ()) -> Told:
    """Play the night that was sketched there."""
    loaded = load(folder, resolve_name)
    for path in (loaded.settings.storage.data_dir, loaded.settings.daemon.run_dir):
        path.mkdir(parents=True, exist_ok=True)

    async def playing(loop: VirtualLoop) -> Told:
        played = PlayedNight(loaded, loop, Night.parse(DATE), folder / "spool", 2.0, faults, alone=True)
        try:
            summary = await played.run()
            core = played.core
            return Told(summary, _lights(played), list(core.trace.notes), [f.code for f in core.health.findings])
        finally:
            played.close()

    return run_virtual(playing)  # type: ignore[no-any-return]


def _lights(played: PlayedNight) -> list[Light]:
    mount = played.observatory.bare("mount")
    assert isinstance(mount, SimMount)
    found = []
    for row in played.archive.frames(played.night):
        if row.taken is None or row.intent.kind != "light":
            continue
        middle_us = row.taken.started_us + round(row.taken.exposure_s * 5e5)
        truth = mount.truth(middle_us)
        off_deg = separation_deg(truth.ra_deg, truth.dec_deg, row.intent.ra_deg or 0.0, row.intent.dec_deg or 0.0)
        turned_deg = (truth.rotation_deg + _camera_deg(played, middle_us)) % 360.0
        found.append(
            Light(
                row.intent.target or "",
                row.kept,
                3600.0 * off_deg,
                truth.pier_side,
                row.taken.started_us,
                turned_deg,
            )
        )
    return found


def _camera_deg(played: PlayedNight, instant_us: int) -> float:
    """How far the camera really was turned against the mount."""
    still_deg = TrainSetup().rotation_deg
    if played.core.telescopes["main"].trains["main"].rotator is None:
        return still_deg
    rotator = played.observatory.bare("rotator")
    assert isinstance(rotator, SimRotator)
    return still_deg + rotator.angle_deg(instant_us)
