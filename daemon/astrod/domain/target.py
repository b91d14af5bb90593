"""What the owner wants: targets, and the requests (exposures of one kind) that make them up."""

import re
from dataclasses import dataclass

_NAME = re.compile(r"^[A-Za-z0-9][A-Za-z0-9 _+.\-/']{0,63}$")


@dataclass(frozen=True, slots=True)
class Request:
    """`count` usable exposures of one length through one filter. `id` is `TARGET/N`, stable across reloads.

    `filter` None: whatever is in the beam (no wheel). Under a bright sky, or where the field turns, an exposure may be
    shortened by halves to no less than `exposure_min_s`; None: to 30 s. With `adapt` its length follows the sky, up to
    `exposure_max_s`; None: it grows no longer than asked.
    """

    id: str
    target: str
    exposure_s: float
    count: int
    filter: str | None = None
    binning: int = 1
    train: str | None = None
    exposure_min_s: float | None = None
    adapt: bool = False
    exposure_max_s: float | None = None

    def __post_init__(self) -> None:
        if not 0.0 < self.exposure_s <= 3600.0:
            raise ValueError(f"{self.id}: exposure_s {self.exposure_s} is outside 0..3600")
        if self.count < 1:
            raise ValueError(f"{self.id}: count {self.count} must be 1 or more")


@dataclass(frozen=True, slots=True)
class Target:
    """A place on the sky (ICRS degrees) and what is wanted of it.

    `priority` is relative (2 is worth twice 1). Limits None: the site's own. `position_angle_deg` is that of the
    frame's upper edge (first row up), from north through east; None: as the camera stands.
    """

    name: str
    ra_deg: float
    dec_deg: float
    requests: tuple[Request, ...]
    priority: float = 1.0
    min_altitude_deg: float | None = None
    max_airmass: float | None = None
    min_moon_deg: float = 0.0
    rig: str | None = None
    position_angle_deg: float | None = None

    def __post_init__(self) -> None:
        if not _NAME.match(self.name):
            raise ValueError(f"target name {self.name!r}: letters, digits, space and _+.-/' only, 64 at most")
        if not 0.0 <= self.ra_deg < 360.0:
            raise ValueError(f"{self.name}: ra_deg {self.ra_deg} is outside 0..360")
        if not -90.0 <= self.dec_deg <= 90.0:
            raise ValueError(f"{self.name}: dec_deg {self.dec_deg} is outside -90..90")
        if not self.requests:
            raise ValueError(f"{self.name}: no exposures are asked for")
        if self.position_angle_deg is not None and not 0.0 <= self.position_angle_deg < 360.0:
            raise ValueError(f"{self.name}: position_angle_deg {self.position_angle_deg} is outside 0..360")
        if self.priority <= 0.0:
            raise ValueError(f"{self.name}: priority {self.priority} must be over 0")
