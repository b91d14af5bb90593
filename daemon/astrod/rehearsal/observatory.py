"""The rehearsal's observatory, written as a configuration that an owner could have written."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from astrod.rehearsal.sites import KnownSite
from astrod.rehearsal.targets import COLOUR, Wish, document

Weather = Literal["clear", "mixed", "cloudy"]

_SITE = """\
# A rehearsal of astrod at {title}.

[site]
name = "{name}"
title = "{title}"
latitude_deg = {latitude}
longitude_deg = {longitude}
height_m = {height}

[roof]
address = "{roof}"

[[weather]]
name = "station"
address = "{weather}"
poll_s = {poll}
stale_s = {stale}
safe_after_s = {safe_after}
limits = [
  {{ name = "wind_m_s", high = 15.0, margin = 2.0 }},
  {{ name = "rain_mm_h", high = 0.0 }},{more_limits}
]

[[rig]]
name = "main"

[rig.mount]
address = "{mount}"
settle_s = {settle}{mount_keys}

[[rig.train]]
name = "main"
focal_length_mm = {focal_length}
aperture_mm = {aperture}
wheel = "{wheel}"

[rig.train.camera]
address = "{camera}"
readout_s = 1.0{cooling}

[rig.train.focuser]
address = "{focuser}"
step = {focus_step}

[night]
focus_at_start = {focus_at_start}
refocus_every_min = {refocus}

[storage]
data_dir = "data"
spool_dir = "{spool}"

[daemon]
run_dir = "run"
"""

_SIMULATOR = """
[simulator]
seed = {seed}
weather = "{scenario}"
width_px = {width}
height_px = {height}
pixel_um = {pixel}
"""

_PLAYED_TIME = """
# A played night's clock may fail as a real one does; a rehearsal in real time goes by a host that nobody may keep.
[time]
error_max_s = 15.0
"""

_INDI_TIME = """
# INDI's simulators keep the host's own time, right or wrong.
[time]
error_max_s = 0.0
"""

_SHIFTED_TIME = """
# The daemon's clock is shifted into the night, and some simulators keep the host's.
[time]
error_max_s = 0.0
mount_error_max_s = 0.0
"""

_NARROW = """
# The field of INDI's camera simulator is too narrow for the brightest stars alone.
[solve]
lights = false
"""

_SIM_LIMITS = """
  { name = "gust_m_s", high = 20.0, margin = 2.0 },
  { name = "humidity_percent", high = 92.0, margin = 3.0 },
  { name = "cloud_percent", high = 85.0, margin = 10.0 },"""


@dataclass(frozen=True, slots=True)
class Play:
    """What to rehearse: the seed and the weather of the simulated sky, and the camera's size."""

    seed: int = 1
    weather: Weather = "clear"
    width_px: int = 1936
    height_px: int = 1096
    pixel_um: float = 2.9


def write_simulated(
    folder: Path, site: KnownSite, play: Play, spool: Path, hurry: bool = False, wishes: Sequence[Wish] = COLOUR
) -> None:
    """A simulated observatory's configuration at `folder`.

    `hurry` trusts a clear sky within seconds and neither cools nor focuses first (the demonstration).
    """
    place = site.place
    text = _SITE.format(
        title=f"{site.title} (simulated)",
        name=site.name,
        latitude=place.latitude_deg,
        longitude=place.longitude_deg,
        height=place.height_m,
        roof="sim://roof",
        weather="sim://weather",
        poll=1.0 if hurry else 10.0,
        stale=60.0,
        safe_after=5.0 if hurry else 300.0,
        more_limits=_SIM_LIMITS,
        mount="sim://mount",
        settle=2.0,
        mount_keys="",
        focal_length=400.0,
        aperture=80.0,
        wheel="sim://wheel",
        camera="sim://camera",
        cooling="" if hurry else "\ncool_to_c = -10.0",
        focuser="sim://focuser",
        focus_step=60,
        focus_at_start="false" if hurry else "true",
        refocus=90.0,
        spool=spool,
    )
    text += _SIMULATOR.format(
        seed=play.seed, scenario=play.weather, width=play.width_px, height=play.height_px, pixel=play.pixel_um
    )
    _write(folder, text if hurry else text + _PLAYED_TIME, wishes)


_NO_FLIP = "\nflip_after_deg = 60.0\ntrack_past_meridian_deg = 60.0"


def write_indi(
    folder: Path,
    site: KnownSite,
    port: int,
    spool: Path,
    wishes: Sequence[Wish],
    safe_after_s: float = 5.0,
    more: str = "",
    shifted: bool = False,
) -> None:
    """The same at Debian's INDI simulators behind an indiserver at `port`; `more` is appended (whole tables).

    `shifted`: the daemon's clock will not be the host's. INDI's telescope simulator reckons its side of the pier by the
    host's own clock, so no flip of it can then be verified, and none is asked for within four hours of the meridian.
    """
    place, server = site.place, f"indi://localhost:{port}"
    text = _SITE.format(
        title=f"{site.title} (INDI simulators)",
        name=site.name,
        latitude=place.latitude_deg,
        longitude=place.longitude_deg,
        height=place.height_m,
        roof=f"{server}/Dome Simulator",
        weather=f"{server}/Weather Simulator",
        poll=1.0,
        stale=150.0,
        safe_after=safe_after_s,
        more_limits="",
        mount=f"{server}/Telescope Simulator",
        settle=1.0,
        mount_keys='\ncentre = "never"' + (_NO_FLIP if shifted else ""),
        focal_length=900.0,
        aperture=120.0,
        wheel=f"{server}/Filter Simulator",
        camera=f"{server}/CCD Simulator",
        cooling="",
        focuser=f"{server}/Focuser Simulator",
        focus_step=2000,
        focus_at_start="false",
        refocus=0.0,
        spool=spool,
    )
    _write(folder, text + (_SHIFTED_TIME if shifted else _INDI_TIME) + _NARROW + more, wishes)


def _write(folder: Path, text: str, wishes: Sequence[Wish]) -> None:
    targets = folder / "targets.d"
    targets.mkdir(parents=True, exist_ok=True)
    (folder / "astrod.toml").write_text(text)
    (targets / "rehearsal.toml").write_text(document(wishes))
